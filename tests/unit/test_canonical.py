"""Canonical text, splitting and the questions asked of one statement."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuron_schema.canonical import (
    SqlTextError,
    canonical,
    commits_on_its_own,
    copies_stream,
    ends_transaction,
    leading_words,
    split,
)

ROUTINE = """CREATE FUNCTION f(a int) RETURNS int
BEGIN ATOMIC
  SELECT CASE WHEN a > 0 THEN 1 ELSE 2 END;
  SELECT 1 AS end;
  SELECT 2 end;
  SELECT (CASE a WHEN 1 THEN ';' END);
END"""

# --- canonical text -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("", ""),
        (" \n\t", ""),
        ("-- only a comment", ""),
        ("/* a /* nested */ comment */", ""),
        (";", ""),
        ("SELECT 1;", "select 1"),
        ("SELECT 1 ; -- done\n;", "select 1"),
        ("SELECT\r\n  1\v,\f2", "select 1 , 2"),
        ("a(b,c)", "a ( b , c )"),
        ("a ( b , c )", "a ( b , c )"),
        ("a/**/b", "a b"),
        ("1--x\r+2", "1 + 2"),
        ("NODES.Id", "nodes . id"),
        ("ÄÉ_Straße İ", "ÄÉ_straße İ"),
        ("a$B$c", "a$b$c"),
        ('"Ab ""c""  D"', '"Ab ""c""  D"'),
        ("'It''s  A' ", "'It''s  A'"),
        (r"E'\' A' B", r"e'\' A' b"),
        (r"'\' A", r"'\' a"),
        (r"E'''\\' A", r"e'''\\' a"),
        ("B'01' X'Ff' N'A'", "b'01' x'Ff' n'A'"),
        ("N 'a'", "n 'a'"),
        ("""U&'\\0041' U&"D" UESCAPE '!'""", """u&'\\0041' u&"D" uescape '!'"""),
        ('u & "D"', 'u & "D"'),
        ("$$ A;-- 'b $x $$", "$$ A;-- 'b $x $$"),
        ("$é_1$ A $$ B $é_1$ C", "$é_1$ A $$ B $é_1$ c"),
        ("$a$ $ab$a$", "$a$ $ab$a$"),
        ("a$$ b", "a$$ b"),
        ("0X1F 0b10 0O17 1_000 1. .5 1E10 1.5e-3", "0x1f 0b10 0o17 1_000 1. .5 1e10 1.5e-3"),
        ("1..2", "1 .. 2"),
        ("a[1:2]", "a [ 1 : 2 ]"),
        ("a.5", "a .5"),
        ("$1+$2", "$1 + $2"),
        ("a::INT::text", "a :: int :: text"),
        ("f(a:=1,b=>-1)", "f ( a := 1 , b => - 1 )"),
        ("a@>b->c->>d<->e", "a @> b -> c ->> d <-> e"),
        ("a<-1", "a < - 1"),
        ("a=-1*+1", "a = - 1 * + 1"),
        ("a@-1", "a @- 1"),
        ("a|/-1", "a |/- 1"),
        ("a*/**/b", "a * b"),
        ("a+--x\nb", "a + b"),
        ("a <=- b", "a <= - b"),
        ("'a'\n'b'", "'a'\n'b'"),
        ("'a' -- x\r\n\t'b'", "'a'\n'b'"),
        ("'a'\n\n--'\n'b'\r'c'", "'a'\n'b'\n'c'"),
        ("'a' 'b'", "'a' 'b'"),
        ("'a' /* \n */ 'b'", "'a' 'b'"),
        ("'a'\n/**/'b'", "'a' 'b'"),
        ("'a'\nE'b'", "'a' e'b'"),
        ("$$a$$\n'b'", "$$a$$ 'b'"),
        ('"a"\n"b"', '"a" "b"'),
        ("E'a'\n'\\'' A", "e'a'\n'\\'' a"),
        ("'a'\n'\\' A", "'a'\n'\\' a"),
        ("U&'a'\n'b'", "u&'a'\n'b'"),
    ],
)
def test_text_has_this_canonical_form(sql: str, expected: str) -> None:
    """Each construct of the lexer has one canonical text, which is its own canonical text."""
    assert canonical(sql) == expected
    assert canonical(expected) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select 'a'\n'b'", "select 'a' 'b'"),
        ("select 'a  b'", "select 'a b'"),
        ('select "A"', 'select "a"'),
        ('select "a"', "select a"),
        ("select É", "select é"),
        ("select e'\\n'", "select '\\n'"),
        ("select $$a$$", "select $b$a$b$"),
        ("select a@-b", "select a@ -b"),
        ("select 1.2", "select 1 .2"),
        ("select 12", "select 1 2"),
        ("select n'a'", "select n 'a'"),
        ("select a-- b", "select a- - b"),
        ("vector(3)", "vector(4)"),
    ],
)
def test_what_differs_in_meaning_differs(one: str, other: str) -> None:
    """Text that PostgreSQL reads differently has another canonical form."""
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("sql", "reason", "position"),
    [
        ("select 'a", "quoted string is not closed", 7),
        ("select e'a\\'", "quoted string is not closed", 7),
        ("select U&'a", "quoted string is not closed", 7),
        ("select 'a'\n'b", "quoted string is not closed", 11),
        ("select e'a'\n'b\\'", "quoted string is not closed", 12),
        ('select "a', "quoted identifier is not closed", 7),
        ('select U&"a""', "quoted identifier is not closed", 7),
        ("select $$a$", "dollar-quoted string is not closed", 7),
        ("select $a$ $A$", "dollar-quoted string is not closed", 7),
        ("select /* /* */", "comment is not closed", 7),
        ("select */* ", "comment is not closed", 8),
        ("select \0", "NUL", 7),
        ("'\0'", "NUL", 1),
        ("'\ud800'", "unexpected character", 1),
        ("\ufeffselect 1", "byte order mark", 0),
        ("select  1AS a", "number runs into", 8),
        ("select 0x", "number runs into", 7),
        ("select 0xG", "number runs into", 7),
        ("select 0b2", "number runs into", 7),
        ("select 0b12", "number runs into", 7),
        ("select 1_", "number runs into", 7),
        ("select 1__0", "number runs into", 7),
        ("select 1.a", "number runs into", 7),
        ("select .5e+", "number runs into", 7),
        ("select 1é", "number runs into", 7),
        ("select $", "dollar sign", 7),
        ("select $a", "dollar sign", 7),
        ("select $1a", "dollar sign", 7),
        ("\\d nodes", "backslash", 0),
        ("select {1}", "unexpected character '{'", 7),
    ],
)
def test_text_without_tokens_is_refused(sql: str, reason: str, position: int) -> None:
    """An error tells what is wrong and at which character."""
    with pytest.raises(SqlTextError, match=re.escape(reason)) as caught:
        canonical(sql)
    assert caught.value.position == position
    assert reason in caught.value.reason


def test_the_error_survives_pickling() -> None:
    """Workers of a fleet send errors as pickles."""
    error = pickle.loads(pickle.dumps(SqlTextError("a comment is not closed", 4)))
    assert (error.reason, error.position) == ("a comment is not closed", 4)
    assert str(error) == "a comment is not closed (at character 5)"


def test_long_text_costs_linear_time() -> None:
    """An unclosed quote after many quotes is found without trying every way to divide them."""
    with pytest.raises(SqlTextError):
        canonical("select " + "''" * 50_000 + "'")
    with pytest.raises(SqlTextError):
        canonical("/*" * 50_000)
    assert canonical("'a'" + "--x\n" * 50_000) == "'a'"


# --- properties ---------------------------------------------------------------------------------

_QUOTED_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0'\"\\$"), max_size=8
)
QUOTED = st.one_of(
    _QUOTED_TEXT.map(lambda text: f"'{text}'"),
    _QUOTED_TEXT.map(lambda text: f"'{text}''{text}'"),
    _QUOTED_TEXT.map(lambda text: f"e'{text}\\'{text}'"),
    _QUOTED_TEXT.map(lambda text: f'"{text}""{text}"'),
    _QUOTED_TEXT.map(lambda text: f'u&"{text}"'),
    _QUOTED_TEXT.map(lambda text: f"$${text}$$"),
    _QUOTED_TEXT.map(lambda text: f"$tag$ '{text}$$ $tag$"),
    _QUOTED_TEXT.map(lambda text: f"$ü1${text} -- /* $ü1$"),
)
BARE = st.one_of(
    st.sampled_from(
        ["select", "a_b", "é", "x$y", "e", "u", "n", "1", "1.5", ".5", "0x1f", "1_0", "$1"]
    ),
    st.sampled_from(
        ["+", "-", "*", "/", "<", "=", "@>", "->", "->>", "||", "<->", "@-", "~~*", "::", ":="]
    ),
    st.sampled_from(["=>", "..", "(", ")", "[", "]", ",", ".", ":"]),
)
BLANK = st.sampled_from(
    [" ", "  ", "\t", "\n", "\r\n", "/* x */", " --'\n", "/*/**/'*/", "\v\f", '--"$$\r']
)
# A blank without a newline, so that two literals stay two.
FLAT = st.sampled_from([" ", "\t", "/*\n*/", " /* ' */ ", "/*--*/"])


@st.composite
def layouts(draw: st.DrawFn) -> tuple[list[str], str, str]:
    """Draw tokens and two layouts of them."""
    tokens = draw(st.lists(st.one_of(QUOTED, BARE), max_size=8))

    def laid_out() -> str:
        text = draw(st.sampled_from(["", "\n", "--x\n"]))
        for index, token in enumerate(tokens):
            bare = token[0].isascii() and token[0] not in "'\"$"
            text += token.upper() if bare and token.isascii() and "'" not in token else token
            # A block comment keeps a literal from going on; a blank parts operator and comment.
            follows = tokens[index + 1 : index + 2]
            joins = bool(follows) and follows[0][0] == "'" and token[-1] == "'"
            text += " " + draw(FLAT if joins else BLANK) + draw(st.sampled_from(["", " "]))
        return text

    return tokens, laid_out(), laid_out()


@given(layouts())
@settings(max_examples=120, deadline=None)
def test_layout_makes_no_difference(drawn: tuple[list[str], str, str]) -> None:
    """The same tokens give one canonical text, which is idempotent and keeps quotes verbatim."""
    tokens, one, other = drawn
    text = canonical(one)
    place = 0
    for token in tokens:
        if token[0] in "'$\"" and len(token) > 1:
            place = text.index(token, place) + len(token)
    if not any("U&" in token.upper() for token in tokens):
        assert text == " ".join(tokens)
    assert text == canonical(other) == canonical(text)


@given(st.text(st.sampled_from("aE'\"$/*-+\n;().1 \\Uu&é:=@"), max_size=24))
@settings(max_examples=300, deadline=None)
def test_canonical_text_is_stable(sql: str) -> None:
    """Whatever can be read at all is its own canonical text after one pass, and splits alike."""
    try:
        text = canonical(sql)
    except SqlTextError:
        return
    assert canonical(text) == text
    try:
        parts = split(sql)
    except SqlTextError:
        return
    assert split(";\n".join(parts)) == parts
    assert " ; ".join(map(canonical, parts)) == canonical(";".join(parts))


# --- splitting ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("", ()),
        (" ; ;; -- x\n;/**/", ()),
        ("a;b", ("a", "b")),
        ("a ; b ;", ("a", "b")),
        ("\n  a\n  b\n;\n", ("a\n  b",)),
        ("a -- x; y\n; b /* ; */", ("a", "b")),
        ("-- about a\na; -- about b\nb", ("-- about a\na", "-- about b\nb")),
        ("select ';', \";\", $$;$$; b", ("select ';', \";\", $$;$$", "b")),
        (f"{ROUTINE};", (ROUTINE,)),
        ("BEGIN; a; END", ("BEGIN", "a", "END")),
    ],
)
def test_text_splits_at_top_level_semicolons(sql: str, expected: tuple[str, ...]) -> None:
    """Statements come out verbatim, without semicolons, blanks and closing comments."""
    assert split(sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "create rule r as on insert to t do also (a; b)",
        ROUTINE,
        ROUTINE.replace("CREATE", "create OR replace"),
        ROUTINE.replace("FUNCTION", "PROCEDURE"),
        "CREATE FUNCTION f() RETURNS void BEGIN ATOMIC END",
        "CREATE FUNCTION f() RETURNS void BEGIN/**/Atomic ; END",
        "CREATE FUNCTION begin() RETURNS int RETURN 1",
        "CREATE FUNCTION f(begin atomic) RETURNS int RETURN 1",
        "SELECT begin atomic FROM t",
        "SELECT end, 1 AS atomic",
    ],
)
def test_inner_semicolons_divide_nothing(sql: str) -> None:
    """Rules in parentheses and routine bodies stay whole, and what looks like them opens none."""
    assert split(f"{sql}; b") == (sql, "b")


@pytest.mark.parametrize(
    ("sql", "reason", "position"),
    [
        ("a (b; c", "a parenthesis is not closed", 2),
        ("a; (b", "a parenthesis is not closed", 3),
        ("a) (", "closing parenthesis has no opening one", 1),
        ("(a]);)", "closing parenthesis has no opening one", 5),
        ("CREATE FUNCTION f() BEGIN ATOMIC a;", "BEGIN ATOMIC is not closed", 20),
        ("CREATE FUNCTION f() BEGIN ATOMIC a);END", "closing parenthesis", 34),
        ("a; 'b", "quoted string is not closed", 3),
    ],
)
def test_open_constructs_are_refused(sql: str, reason: str, position: int) -> None:
    """A text that ends within a parenthesis or a body cannot be split."""
    with pytest.raises(SqlTextError, match=reason) as caught:
        split(sql)
    assert caught.value.position == position


@given(st.lists(st.lists(st.one_of(QUOTED, BARE), min_size=1, max_size=5), max_size=4))
@settings(max_examples=80, deadline=None)
def test_splitting_undoes_joining(drawn: list[list[str]]) -> None:
    """Statements joined by semicolons are found again, verbatim."""
    brackets = {"(", ")"}
    statements = tuple(
        " ".join("x" if token in brackets else token for token in tokens) for tokens in drawn
    )
    assert split(";".join(statements)) == statements
    assert split(" ;\n--x\n;".join(statements)) == statements


# --- questions about one statement --------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "count", "expected"),
    [
        ("/* x */ Create  TABLE nodes (id int)", 9, ("CREATE", "TABLE", "NODES")),
        ("create unique index i on t", 3, ("CREATE", "UNIQUE", "INDEX")),
        ('create table "Nodes"', 3, ("CREATE", "TABLE")),
        ("select straße", 2, ("SELECT", "STRAßE")),
        ("(select 1)", 1, ()),
        ("", 1, ()),
        ("select 1", 0, ()),
        ("select a 'never closed", 2, ("SELECT", "A")),
    ],
)
def test_leading_words(sql: str, count: int, expected: tuple[str, ...]) -> None:
    """Words are folded to upper case and end at the first other token."""
    assert leading_words(sql, count) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN",
        "begin isolation level serializable",
        "START TRANSACTION",
        "/* x */ Commit",
        "commit and chain",
        "COMMIT PREPARED 'x'",
        "END",
        "ROLLBACK",
        "rollback to s",
        "ROLLBACK PREPARED 'x'",
        "ABORT",
        "SAVEPOINT s",
        "RELEASE s",
        "PREPARE TRANSACTION 'x'",
        "prepare transaction $$x$$",
    ],
)
def test_transaction_control_is_recognised(sql: str) -> None:
    """What begins, ends or divides a transaction is found whatever its spelling."""
    assert ends_transaction(sql)


@pytest.mark.parametrize(
    "sql",
    [
        ROUTINE,
        "",
        "PREPARE p AS SELECT 1",
        "PREPARE transaction AS SELECT 1",
        "PREPARE transaction (int) AS SELECT $1",
        'SELECT 1 AS "begin"',
        "DO $$ BEGIN COMMIT; END $$",
        "CREATE TABLE begin (commit int)",
        "SET TRANSACTION READ ONLY",
        '"begin"',
    ],
)
def test_other_statements_leave_the_transaction_alone(sql: str) -> None:
    """Neither bodies nor names count as transaction control."""
    assert not ends_transaction(sql)


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("create index concurrently i on t (a)", "CREATE INDEX CONCURRENTLY"),
        (
            "CREATE UNIQUE INDEX /**/ CONCURRENTLY IF NOT EXISTS i ON t (a)",
            "CREATE INDEX CONCURRENTLY",
        ),
        ("CREATE INDEX CONCURRENTLY ON t (a)", "CREATE INDEX CONCURRENTLY"),
        ("DROP INDEX CONCURRENTLY IF EXISTS i", "DROP INDEX CONCURRENTLY"),
        ("REINDEX INDEX CONCURRENTLY i", "REINDEX CONCURRENTLY"),
        ("REINDEX (VERBOSE) TABLE CONCURRENTLY t", "REINDEX CONCURRENTLY"),
        ("REINDEX (VERBOSE, CONCURRENTLY) TABLE t", "REINDEX CONCURRENTLY"),
        ("REINDEX (CONCURRENTLY true) TABLE t", "REINDEX CONCURRENTLY"),
        ("REINDEX DATABASE", "REINDEX DATABASE"),
        ("REINDEX (VERBOSE) SCHEMA s", "REINDEX SCHEMA"),
        ("REINDEX SYSTEM d", "REINDEX SYSTEM"),
        ("VACUUM", "VACUUM"),
        ("vacuum (analyze) t", "VACUUM"),
        (
            "ALTER TABLE IF EXISTS s.t DETACH PARTITION s.p CONCURRENTLY;",
            "ALTER TABLE DETACH PARTITION CONCURRENTLY",
        ),
        ("CREATE DATABASE d", "CREATE DATABASE"),
        ("DROP DATABASE IF EXISTS d", "DROP DATABASE"),
        ("ALTER DATABASE d SET TABLESPACE x", "ALTER DATABASE SET TABLESPACE"),
        ("CREATE TABLESPACE x LOCATION '/x'", "CREATE TABLESPACE"),
        ("DROP TABLESPACE x", "DROP TABLESPACE"),
        ("ALTER SYSTEM SET work_mem = 1", "ALTER SYSTEM"),
        ("CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p", "CREATE SUBSCRIPTION"),
        ("DROP SUBSCRIPTION s", "DROP SUBSCRIPTION"),
        ("ALTER SUBSCRIPTION s REFRESH PUBLICATION", "ALTER SUBSCRIPTION REFRESH PUBLICATION"),
        ("ALTER SUBSCRIPTION s ADD PUBLICATION p", "ALTER SUBSCRIPTION ADD PUBLICATION"),
        ("CLUSTER", "CLUSTER"),
        ("CLUSTER VERBOSE;", "CLUSTER"),
        ("CLUSTER (VERBOSE)", "CLUSTER"),
        ("DISCARD ALL", "DISCARD ALL"),
    ],
)
def test_what_commits_on_its_own_is_named(sql: str, name: str) -> None:
    """PostgreSQL refuses these inside a transaction block; the name is in SQL's words."""
    assert commits_on_its_own(sql) == name


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "CREATE INDEX i ON t (concurrently)",
        'CREATE INDEX "concurrently" ON t (a)',
        "DROP INDEX i",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
        "REINDEX TABLE t",
        "REINDEX (CONCURRENTLY false) TABLE t",
        "REINDEX (CONCURRENTLY off, VERBOSE) INDEX i",
        "ALTER TABLE t DETACH PARTITION p",
        "ALTER TABLE t DETACH PARTITION p FINALIZE",
        'ALTER TABLE t DETACH PARTITION "concurrently"',
        "ALTER DATABASE d SET work_mem = 1",
        'ALTER DATABASE "d set tablespace x" SET work_mem = 1',
        "ALTER SUBSCRIPTION s DISABLE",
        "ALTER TABLE vacuum ADD a int",
        "CLUSTER t",
        "CLUSTER VERBOSE t USING i",
        "CLUSTER (VERBOSE) t",
        "ANALYZE",
        "DISCARD TEMP",
        "CREATE TABLE database (a int)",
    ],
)
def test_what_runs_in_a_transaction_is_not_named(sql: str) -> None:
    """Names, quoted words and relatives of such commands stay out."""
    assert commits_on_its_own(sql) is None


@pytest.mark.parametrize(
    ("sql", "streams"),
    [
        ("COPY t FROM STDIN", True),
        ("copy t (a, b) from stdin with (format csv)", True),
        ("COPY (SELECT 1) TO STDOUT", True),
        ("COPY t TO stdin", True),
        ("COPY t FROM '/file'", False),
        ("COPY t FROM PROGRAM 'cat'", False),
        ("COPY stdin FROM '/file'", False),
        ("COPY (SELECT a FROM stdin) TO '/file'", False),
        ("SELECT 1", False),
        ("SELECT a FROM stdin", False),
    ],
)
def test_copy_from_or_to_the_client_is_recognised(sql: str, streams: bool) -> None:  # noqa: FBT001
    """COPY with a file, a program or a table of that name needs no stream."""
    assert copies_stream(sql) is streams
