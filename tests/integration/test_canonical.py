"""PostgreSQL judges the canonicaliser: same result, nothing valid refused, nothing collapsed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import pq

from neuron_schema.canonical import SqlTextError, canonical, commits_on_its_own, split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

Answer = tuple[object, ...]

BOUNDED = settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def judge(server: URL) -> Iterator[psycopg.Connection]:
    """Yield a connection whose settings are those that the lexer assumes."""
    address = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SET standard_conforming_strings = on")
        connection.execute("SET statement_timeout = '5s'")
        yield connection


def ask(connection: psycopg.Connection, sql: str) -> Answer:
    """Return what a query gives, column names and types included, or its SQLSTATE."""
    result = connection.pgconn.exec_(sql.encode())
    if result.status == pq.ExecStatus.FATAL_ERROR:
        return ("error", result.error_field(pq.DiagnosticField.SQLSTATE))
    columns = range(result.nfields)
    names = [(result.fname(column), result.ftype(column)) for column in columns]
    rows = [[result.get_value(row, column) for column in columns] for row in range(result.ntuples)]
    return ("result", repr(names), repr(rows))


FRAGMENT = st.one_of(
    st.sampled_from(
        ["1", "0x1F", "0b10", "0o17", "1_000", "1.", "1.5", ".5", "1e10", "1e+", "..", "1..2", "0x"]
    ),
    st.sampled_from(
        ["a", "E", "É", "int", "null", "true", "interval", "U&", "N", "1AS", "AS", "uescape", "_"]
    ),
    st.sampled_from(
        ["'a'", "'B'", "e'\\''", "E'\\n'", "'\\'", "n'x'", "B'1'", "x'1f'", "U&'\\0061'", "'!'"]
    ),
    st.sampled_from(
        ["'1 day'", "$$x$$", "$é$y$é$", '"A"', 'u&"a"', "'", '"', "$", "\\", "{", "$1", '""']
    ),
    st.sampled_from(
        ["+", "-", "*", "/", "<", ">", "=", "@", "~", "!", "#", "%", "^", "&", "|", "?", "`"]
    ),
    st.sampled_from(
        ["||", "->", "<=", "!=", "@-", "::", ":=", "=>", "(", ")", "[", "]", ",", ".", ":"]
    ),
    st.sampled_from(
        ["--", "--c\n", "/*", "*/", "/*c*/", "/*/*n*/*/", "\n", "\r", "\t", "\u00a0", " "]
    ),
)
SOUP = st.lists(st.tuples(FRAGMENT, st.sampled_from(["", "", " ", "\n"])), max_size=7).map(
    lambda parts: "SELECT " + "".join(text + blank for text, blank in parts)
)
VALUE = st.one_of(
    st.sampled_from(
        ["1", "-1", "- 2", "+1", "1.5", "0x1F", "1_000", "1e3", "'a'", "'b'\n'c'", "E'\\n'\n'\\t'"]
    ),
    st.sampled_from(
        ["ARRAY[1,2]", "'{\"a\":1}'::jsonb", "$$x$$", "U&'\\0061'", "N'x'", "true", "null", "(3)"]
    ),
    st.sampled_from(["CASE WHEN true THEN 1 ELSE 2 END", "B'101'", "X'1F'", "date '2020-01-01'"]),
    st.sampled_from(
        ["'[1,2]'::int4range", "1::text", "U&'d!0061t' UESCAPE '!'", "'a'::TEXT", "2 AS É"]
    ),
)
INFIX = st.one_of(
    st.sampled_from(
        ["+", "-", "*", "/", "||", "<", "=", "<=", "<>", "!=", "->", "->>", "@>", "<@", "&&", "%"]
    ),
    st.sampled_from(["^", "&", "|", "#", "~~", "!~", ",", "@-", "<-", "*-", "=-"]),
)
BLANK = st.sampled_from(["", " ", "\n", "--'\n", "/* -- */", "\r\n\t", "/*/**/*/"])
EXPRESSION = st.tuples(
    VALUE, st.lists(st.tuples(BLANK, INFIX, BLANK, VALUE).map("".join), max_size=3)
).map(lambda parts: "SELECT " + parts[0] + "".join(parts[1]))


@given(sql=st.one_of(SOUP, EXPRESSION))
@example(sql="SELECT 'a'\n'b'")
@example(sql="SELECT 'a' 'b'")
@example(sql="SELECT E'a'\n'\\n' AS x")
@example(sql="SELECT 1-- 2\n-3")
@example(sql="SELECT 1 @-1")
@BOUNDED
def test_canonical_text_gives_the_same_answer(judge: psycopg.Connection, sql: str) -> None:
    """A query and its canonical text give the same rows, names and types, or the same error."""
    before = ask(judge, sql)
    try:
        text = canonical(sql)
    except SqlTextError:
        assert before[0] == "error", "the server takes what the lexer refused"
        return
    assert ask(judge, text) == before


@given(drawn=st.lists(EXPRESSION, min_size=2, max_size=12))
@settings(BOUNDED, max_examples=60)
def test_no_two_answers_share_a_canonical_text(judge: psycopg.Connection, drawn: list[str]) -> None:
    """Queries with different answers have different canonical texts."""
    answers: dict[str, Answer] = {}
    for sql in drawn:
        answer = ask(judge, sql)
        if answer[0] == "result":
            assert answers.setdefault(canonical(sql), answer) == answer


SCRIPT = r"""
-- a rule, routines of each kind, a view, comments: one statement each
CREATE TABLE t (a int DEFAULT 1 /* ; */, "b;" text DEFAULT ';''', c text DEFAULT E';\';');;
CREATE TABLE log (a int);
CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO log VALUES (1); INSERT INTO log VALUES (2));
CREATE FUNCTION atomic(x int) RETURNS SETOF int LANGUAGE sql
BEGIN ATOMIC
  INSERT INTO log VALUES (CASE WHEN x > 0 THEN x ELSE 0 END);
  SELECT 1 AS end;
  SELECT CASE x WHEN 1 THEN 2 END "end;";
  SELECT 3 end;
END;
CREATE OR REPLACE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC ; END;
CREATE FUNCTION plain(begin int, atomic int DEFAULT 1) RETURNS int IMMUTABLE RETURN begin + atomic;
CREATE FUNCTION body() RETURNS void LANGUAGE plpgsql AS $body$ BEGIN PERFORM $$;$$; END; $body$;
DO $$ BEGIN RAISE NOTICE ';'; END $$;
CREATE VIEW v AS SELECT a AS begin, 'x'
  -- joined; to one literal
  ';y' AS atomic FROM t;
COMMENT ON VIEW v IS 'a; /* b'; /* the /* end; */ */
"""


def test_the_server_runs_what_split_returns(database: URL) -> None:
    """Each part runs alone, as it stands and as canonical text, and none was cut in two."""
    address = database.set(drivername="postgresql").render_as_string(hide_password=False)
    parts = split(SCRIPT)
    assert len(parts) == 10
    with psycopg.connect(address, autocommit=True) as connection:
        for spelled in (parts, tuple(map(canonical, parts))):
            connection.execute("BEGIN")
            for part in spelled:
                # The extended protocol takes one statement only.
                result = connection.pgconn.exec_params(part.encode(), [])
                assert result.status == pq.ExecStatus.COMMAND_OK, part
            connection.execute("ROLLBACK")


REFUSED = [
    "CREATE INDEX CONCURRENTLY i2 ON t (a)",
    "CREATE UNIQUE INDEX CONCURRENTLY ON t (a)",
    "DROP INDEX CONCURRENTLY i",
    "REINDEX INDEX CONCURRENTLY i",
    "REINDEX (CONCURRENTLY) TABLE t",
    "REINDEX (CONCURRENTLY true, VERBOSE) TABLE t",
    "REINDEX DATABASE",
    "REINDEX SYSTEM",
    "REINDEX SCHEMA public",
    "VACUUM",
    "VACUUM (ANALYZE) t",
    "ALTER TABLE parent DETACH PARTITION part CONCURRENTLY",
    "CREATE DATABASE never",
    "DROP DATABASE IF EXISTS never",
    "CREATE TABLESPACE never LOCATION '/never'",
    "DROP TABLESPACE IF EXISTS never",
    "ALTER SYSTEM RESET work_mem",
    "ALTER DATABASE postgres SET TABLESPACE pg_default",
    "CREATE SUBSCRIPTION s CONNECTION 'dbname=never' PUBLICATION p",
    "CLUSTER",
    "CLUSTER (VERBOSE)",
    "DISCARD ALL",
]
ALLOWED = [
    "CREATE INDEX i2 ON t (a)",
    "DROP INDEX i",
    "REINDEX TABLE t",
    "REINDEX (CONCURRENTLY false) TABLE t",
    "REINDEX (CONCURRENTLY off) INDEX i",
    "ALTER TABLE parent DETACH PARTITION part",
    "CLUSTER t USING i",
    "CLUSTER VERBOSE t USING i",
    "ANALYZE",
    "ANALYZE t",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
    "DISCARD TEMP",
    "CHECKPOINT",
]


@pytest.fixture(scope="module")
def furnished(server: URL, admin: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Yield a connection to a database that has what the statements name."""
    name = f"test_own_commit_{os.getpid()}"
    admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    url = server.set(drivername="postgresql", database=name)
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE t (a int); CREATE INDEX i ON t (a);"
            "CREATE TABLE parent (a int) PARTITION BY LIST (a);"
            "CREATE TABLE part PARTITION OF parent FOR VALUES IN (1);"
            "CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; CREATE UNIQUE INDEX ON m (a)"
        )
        yield connection
    admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("sql", REFUSED + ALLOWED)
def test_the_server_refuses_what_is_named_in_a_transaction(
    furnished: psycopg.Connection, sql: str
) -> None:
    """SQLSTATE 25001 inside a transaction block, exactly where the text was named."""
    if sql == "CLUSTER (VERBOSE)" and furnished.info.server_version < 170000:
        pytest.skip("PostgreSQL 16 wants a table after the options of CLUSTER")
    furnished.execute("BEGIN")
    try:
        answer = ask(furnished, sql)
    finally:
        furnished.execute("ROLLBACK")
    assert (answer == ("error", b"25001")) is (sql in REFUSED), answer
    assert (commits_on_its_own(sql) is not None) is (sql in REFUSED)
