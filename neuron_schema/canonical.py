r"""PostgreSQL's lexer in small: canonical text, splitting, and what a statement begins with.

The rules are those of ``src/backend/parser/scan.l`` in PostgreSQL 16 to 18 (older servers refuse
some numbers that these take), with ``standard_conforming_strings`` on. Text that this lexer
refuses is refused by the server as well. See
https://www.postgresql.org/docs/current/sql-syntax-lexical.html.

The canonical text feeds checksums that stand in databases: a change here that alters it for
any valid statement makes every applied version look modified.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SPACE = " \t\n\r\f\v"
# Every character beyond ASCII may begin and continue a word, blanks and letters alike.
_START = r"A-Za-z_\x80-\U0010ffff"
_DECIMAL = r"[0-9](?:_?[0-9])*"

# Alternatives stand in the order of their precedence, and quantifiers are possessive, so that
# a token that does not close matches nothing and costs linear time.
_TOKEN = re.compile(
    rf"""
    [{_SPACE}]*+
    (?:
      (?P<word>(?![EeBbXxNn]'|[Uu]&['"])[{_START}][{_START}0-9$]*+)
    | (?P<mark>[,()\[\];]|::|:=|:|\.\.|\.(?![0-9]))
    | (?P<text>(?:[BbXxNn]|[Uu]&)?+'[^']*+(?:''[^']*+)*+')
    | (?P<escaped>[Ee]'[^'\\]*+(?:(?:''|\\.)[^'\\]*+)*+')
    | (?P<name>(?:[Uu]&)?+"[^"]*+(?:""[^"]*+)*+")
    | (?P<number>
        (?>
          0[Xx](?:_?[0-9A-Fa-f])+
        | 0[Oo](?:_?[0-7])+
        | 0[Bb](?:_?[01])+
        | (?:{_DECIMAL}(?:\.(?!\.)(?:{_DECIMAL})?)?|\.{_DECIMAL})(?:[Ee][-+]?{_DECIMAL})?
        )
        (?![{_START}0-9])
      )
    | (?P<line>--[^\n\r]*+)
    | (?P<block>/\*)
    | (?P<operator>[~!@\#^&|`?+\-*/%<>=]++)
    | (?P<dollar>\$(?:[{_START}][{_START}0-9]*+)?\$)
    | (?P<parameter>\$[0-9]++(?![{_START}]))
    | (?P<end>\Z)
    )
    """,
    re.VERBOSE | re.DOTALL,
)
# A literal goes on after whitespace that holds a newline; a block comment breaks it.
_JOINT = rf"(?:[{_SPACE}]|--[^\n\r]*+[\n\r])*+"
_MORE_TEXT = re.compile(rf"({_JOINT})('[^']*+(?:''[^']*+)*+')")
_MORE_ESCAPED = re.compile(rf"({_JOINT})('[^'\\]*+(?:(?:''|\\.)[^'\\]*+)*+')", re.DOTALL)
_OPEN_QUOTE = re.compile(rf"{_JOINT}'")
_COMMENT_MARK = re.compile(r"/\*|\*/")
_COMMENT_START = re.compile(r"--|/\*")
_NEWLINE = re.compile(r"[\n\r]")
_KEEPS_SIGN = re.compile(r"[~!@#^&|`?%]")
_REFUSED = re.compile("[\0\ud800-\udfff]|^\ufeff")

_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_UPPER = {upper + 32: upper for upper in _LOWER}

# CREATE OR REPLACE FUNCTION
_LONGEST_HEAD = 4
_FOLDED = frozenset({"word", "number"})
_STRINGS = frozenset({"text", "escaped", "dollar"})
_TRANSACTION_WORDS = frozenset(
    {"ABORT", "BEGIN", "COMMIT", "END", "RELEASE", "ROLLBACK", "SAVEPOINT", "START"}
)
_OWN_COMMIT_STARTS = (
    "ALTER SYSTEM",
    "CREATE DATABASE",
    "CREATE SUBSCRIPTION",
    "CREATE TABLESPACE",
    "DISCARD ALL",
    "DROP DATABASE",
    "DROP SUBSCRIPTION",
    "DROP TABLESPACE",
    "VACUUM",
)
_FALSE = frozenset({"false", "off", "0", "'false'", "'off'", "'0'", '"false"', '"off"'})


class SqlTextError(ValueError):
    """SQL text that PostgreSQL's lexer would refuse, or that cannot be split.

    Attributes:
        reason: What is wrong, as a clause: ``a quoted string is not closed``.
        position: Where, counted in characters from 0.
    """

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"{reason} (at character {position + 1})")
        self.reason = reason
        self.position = position

    def __reduce__(self) -> tuple[type[SqlTextError], tuple[str, int]]:
        return type(self), (self.reason, self.position)


class Token(NamedTuple):
    """A token: its kind, its canonical text, and where it stands."""

    kind: str
    text: str
    start: int
    end: int


def canonical(sql: str) -> str:
    """Return text that is the same for all layouts of the same SQL, and for no other SQL.

    Comments count as whitespace, tokens are joined by one blank (the parts of a literal that
    goes on over lines by one newline), ASCII letters of words and numbers are lower case,
    closing semicolons are gone. What stands in quotes stays as it is.

    Raises:
        SqlTextError: The text has no tokens by PostgreSQL's rules.
    """
    texts = [text for _, text, _, _ in _scan(sql)]
    while texts and texts[-1] == ";":
        texts.pop()
    return " ".join(texts)


def split(sql: str) -> tuple[str, ...]:
    """Return the statements of a text, verbatim, without their semicolons.

    Semicolons in parentheses (``CREATE RULE ... DO (...; ...)``) and in the ``BEGIN ATOMIC ...
    END`` body of a function do not end a statement. Comments before a statement stay with it,
    those behind its last token go; statements of nothing but comments are dropped.

    Raises:
        SqlTextError: The text has no tokens, or parentheses or a body are not closed.
    """
    statements = []
    start = 0
    nesting = _Nesting()
    for _, text, begin, end in _scan(sql):
        if text != ";" or nesting.open:
            nesting.take(text, begin, end)
            continue
        if nesting.last:
            statements.append(sql[start : nesting.end].lstrip(_SPACE))
        start = end
        nesting = _Nesting()
    if nesting.open:
        opened, begin = nesting.open[-1]
        what = "a parenthesis" if opened == "(" else "BEGIN ATOMIC"
        raise SqlTextError(f"{what} is not closed", begin)
    if nesting.last:
        statements.append(sql[start : nesting.end].lstrip(_SPACE))
    return tuple(statements)


def leading_words(sql: str, count: int) -> tuple[str, ...]:
    """Return the first unquoted words, in upper case, up to ``count`` or the first other token.

    Args:
        count: At most 4.
    """
    return _head(sql)[:count]


# A statement is looked at several times in a row.
@functools.lru_cache(maxsize=8)
def _head(sql: str) -> tuple[str, ...]:
    words: list[str] = []
    # What cannot be read further on is for whoever reads on.
    with contextlib.suppress(SqlTextError):
        for kind, text, _, _ in itertools.islice(_scan(sql), _LONGEST_HEAD):
            if kind != "word":
                break
            words.append(text.translate(_UPPER))
    return tuple(words)


def ends_transaction(sql: str) -> bool:
    """Tell whether one statement begins, ends or divides a transaction.

    See https://www.postgresql.org/docs/current/tutorial-transactions.html.
    """
    words = leading_words(sql, 2)
    if words == ("PREPARE", "TRANSACTION"):
        # PREPARE transaction AS ... is a prepared statement of that name.
        return any(t.kind in _STRINGS for t in itertools.islice(tokens(sql), 2, 3))
    return bool(words) and words[0] in _TRANSACTION_WORDS


def commits_on_its_own(sql: str) -> str | None:
    """Name what PostgreSQL refuses inside a transaction block (SQLSTATE 25001), else None.

    It tells by the text alone, so what depends on the database is named when it may be refused
    (``CREATE SUBSCRIPTION``) and not named when it seldom is (``REINDEX TABLE`` of a partitioned
    table).
    """
    words = leading_words(sql, 4)
    start = " ".join(words)
    for name in _OWN_COMMIT_STARTS:
        if f"{start} ".startswith(f"{name} "):
            return name
    if words[:1] == ("CREATE",) or words[:1] == ("DROP",):
        found = re.match(r"(CREATE|DROP) (?:UNIQUE )?INDEX CONCURRENTLY\b", start)
        return f"{found[1]} INDEX CONCURRENTLY" if found else None
    if words[:2] == ("ALTER", "TABLE") and "detach" not in sql.lower():
        return None
    if words[:1] in {("ALTER",), ("CLUSTER",), ("REINDEX",)}:
        texts = [token.text for token in tokens(sql) if token.text != ";"]
        return {"ALTER": _altering, "CLUSTER": _clustering, "REINDEX": _reindexing}[words[0]](texts)
    return None


def copies_stream(sql: str) -> bool:
    """Tell whether one statement is a COPY from or to the client, which needs a stream of data."""
    if leading_words(sql, 1) != ("COPY",):
        return False
    depth = 0
    before = ""
    for token in tokens(sql):
        depth += (token.text == "(") - (token.text == ")")
        if not depth and before in {"from", "to"} and token.text in {"stdin", "stdout"}:
            return True
        before = token.text
    return False


def _altering(texts: list[str]) -> str | None:
    """Name the ALTER that may not run in a transaction block; see ``commits_on_its_own``."""
    what, pairs = texts[1:2], set(itertools.pairwise(texts))
    if what == ["database"] and ("set", "tablespace") in pairs:
        return "ALTER DATABASE SET TABLESPACE"
    if what == ["table"] and ("detach", "partition") in pairs and texts[-1] == "concurrently":
        return "ALTER TABLE DETACH PARTITION CONCURRENTLY"
    if what == ["subscription"]:
        for verb in ("refresh", "set", "add", "drop"):
            if (verb, "publication") in pairs:
                return f"ALTER SUBSCRIPTION {verb.upper()} PUBLICATION"
    return None


def _clustering(texts: list[str]) -> str | None:
    _, rest = _options(texts[1:])
    return "CLUSTER" if rest in ([], ["verbose"]) else None


def _reindexing(texts: list[str]) -> str | None:
    options, rest = _options(texts[1:])
    for option, value in itertools.pairwise([*options, ","]):
        if option == "concurrently" and value not in _FALSE:
            return "REINDEX CONCURRENTLY"
    if rest[1:2] == ["concurrently"]:
        return "REINDEX CONCURRENTLY"
    if rest[:1] and rest[0] in {"database", "schema", "system"}:
        return f"REINDEX {rest[0].upper()}"
    return None


def _options(texts: list[str]) -> tuple[list[str], list[str]]:
    """Divide ``( options ) rest``."""
    if texts[:1] != ["("] or ")" not in texts:
        return [], texts
    close = texts.index(")")
    return texts[1:close], texts[close + 1 :]


class _Nesting:
    """What is open within one statement: parentheses, and the body of a routine.

    Attributes:
        open: Text and place of what opened each.
        last: The text of the last token; "" before the first.
        end: Where that ends.
    """

    __slots__ = ("_begin", "_head", "end", "last", "open")

    def __init__(self) -> None:
        self.open: list[tuple[str, int]] = []
        self.last = ""
        self.end = 0
        self._begin = 0
        self._head: list[str] = []

    def take(self, text: str, begin: int, end: int) -> None:
        """Go on by one token."""
        if len(self._head) < _LONGEST_HEAD:
            self._head.append(text)
        if text == "(":
            self.open.append((text, begin))
        elif text == ")":
            if not self.open or self.open[-1][0] != "(":
                raise SqlTextError("a closing parenthesis has no opening one", begin)
            self.open.pop()
        elif text == "atomic" and self.last == "begin" and self._is_routine():
            self.open.append((self.last, self._begin))
        elif text == "end" and self._ends_body():
            self.open.pop()
        self.last, self._begin, self.end = text, begin, end

    def _ends_body(self) -> bool:
        # Each statement of the body ends with a semicolon, which tells the body's END from
        # that of CASE and from a column labelled so.
        in_body = bool(self.open) and self.open[-1][0] == "begin"
        return in_body and self.last in {";", "atomic"}

    def _is_routine(self) -> bool:
        head = self._head[3:] if self._head[1:3] == ["or", "replace"] else self._head[1:]
        created = self._head[:1] == ["create"] and not self.open
        return created and head[:1] in (["function"], ["procedure"])


def tokens(sql: str) -> Iterator[Token]:
    """Yield the tokens of a text.

    Raises:
        SqlTextError: At the first place where none begins.
    """
    return itertools.starmap(Token, _scan(sql))


def _scan(sql: str) -> Iterator[tuple[str, str, int, int]]:
    """Yield the fields of the tokens: to make tokens of them takes as long as to find them."""
    if found := _REFUSED.search(sql):
        raise SqlTextError(_reason(sql, found.start()), found.start())
    fold = str.lower if sql.isascii() else _fold
    position = 0
    begins = _TOKEN.match
    while match := begins(sql, position):
        kind = match.lastgroup or ""
        start, position = match.span(kind)
        text = match[kind]
        if kind in _FOLDED:
            yield kind, fold(text), start, position
        elif kind in _REST:
            text, position = _REST[kind](sql, text, start)
            yield kind, text, start, position
        elif kind == "end":
            return
        elif kind == "block":
            position = _end_of_comment(sql, start)
        elif kind != "line":
            yield kind, text, start, position
    position += len(sql[position:]) - len(sql[position:].lstrip(_SPACE))
    raise SqlTextError(_reason(sql, position), position)


def _fold(word: str) -> str:
    """Fold as PostgreSQL does in UTF-8: letters beyond ASCII stay."""
    return word.translate(_LOWER)


def _end_of_comment(sql: str, start: int) -> int:
    """Return where a comment ends; comments nest."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(sql, start):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    raise SqlTextError("a comment is not closed", start)


def _literal(sql: str, text: str, start: int) -> tuple[str, int]:
    """Fold a literal's prefix and take up its continuations on further lines."""
    position = start + len(text)
    prefix, quote, rest = text.partition("'")
    text = prefix.lower() + quote + rest
    more = _MORE_ESCAPED if prefix in {"e", "E"} else _MORE_TEXT
    while (opened := _OPEN_QUOTE.match(sql, position)) and _NEWLINE.search(opened[0]):
        part = more.match(sql, position)
        if part is None:
            raise SqlTextError("a quoted string is not closed", opened.end() - 1)
        text += "\n" + part[2]
        position = part.end()
    return text, position


def _identifier(_sql: str, text: str, start: int) -> tuple[str, int]:
    """Fold the prefix of U&"..."."""
    return text.replace("U", "u", 1) if text[0] == "U" else text, start + len(text)


def _operator(_sql: str, text: str, start: int) -> tuple[str, int]:
    """Cut an operator where PostgreSQL does: before a comment, and before a closing sign.

    See https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-OPERATORS.
    """
    if found := _COMMENT_START.search(text):
        text = text[: found.start()]
    if not _KEEPS_SIGN.search(text):
        text = text[0] + text[1:].rstrip("+-")
    return text, start + len(text)


def _dollar_quoted(sql: str, text: str, start: int) -> tuple[str, int]:
    close = sql.find(text, start + len(text))
    if close < 0:
        raise SqlTextError("a dollar-quoted string is not closed", start)
    end = close + len(text)
    return sql[start:end], end


_REST: dict[str, Callable[[str, str, int], tuple[str, int]]] = {
    "text": _literal,
    "escaped": _literal,
    "name": _identifier,
    "operator": _operator,
    "dollar": _dollar_quoted,
}


def _reason(sql: str, position: int) -> str:
    """Tell why no token begins here."""
    rest = sql[position : position + 3]
    if re.match(r"(?:[EeBbXxNn]|[Uu]&)?'", rest):
        return "a quoted string is not closed"
    if re.match(r'(?:[Uu]&)?"', rest):
        return "a quoted identifier is not closed"
    if re.match(r"\.?[0-9]", rest):
        return "a number runs into something else"
    known = {
        "$": "a dollar sign begins neither a parameter nor a closed tag",
        "\\": "a backslash stands outside of quotes; commands of psql are not SQL",
        "\0": "the text holds a NUL character",
        "\ufeff": "the text begins with a byte order mark; read the file as utf-8-sig",
    }
    return known.get(rest[0], f"unexpected character {rest[0]!r}")
