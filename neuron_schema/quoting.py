"""Names, values and blocks as PostgreSQL reads them, without a connection."""

from __future__ import annotations

import re

from neuron_schema.errors import SettingsError

MAX_IDENTIFIER_BYTES = 63

_SCHEMA = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^\s,"]+))\s*(?:,|$)')


def identifier(name: str) -> str:
    """Return a name as a quoted identifier.

    https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS

    Raises:
        SettingsError: it is empty, holds a NUL, or is longer than 63 bytes, which PostgreSQL
            would cut in silence.
    """
    if not name or "\0" in name or len(name.encode()) > MAX_IDENTIFIER_BYTES:
        raise SettingsError(
            f"{name!r} cannot be a name in PostgreSQL",
            remedy=f"use 1 to {MAX_IDENTIFIER_BYTES} bytes",
        )
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return text as a string literal, right whatever ``standard_conforming_strings`` is.

    https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-STRINGS-ESCAPE
    """
    quoted = text.replace("'", "''")
    if "\\" in text:
        return " E'" + quoted.replace("\\", "\\\\") + "'"
    return f"'{quoted}'"


def names_of_path(path: str) -> tuple[str, ...] | None:
    """Return the names that a value of ``search_path`` holds, or None where it is no list of names.

    As PostgreSQL's SplitIdentifierString reads it. PostgreSQL itself shows an empty path as an
    empty name.
    """
    names: list[str] = []
    position = 0
    path = path.strip()
    while position < len(path):
        match = _SCHEMA.match(path, position)
        if match is None:
            return None
        quoted = match[1]
        names.append(_lower(match[2]) if quoted is None else quoted.replace('""', '"'))
        position = match.end()
    return tuple(names)


def _lower(name: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in name)


def do_block(*bodies: str, head: str = "") -> str:
    """Return plpgsql statements as one DO, in a dollar quote that nothing inside can end.

    https://www.postgresql.org/docs/current/sql-do.html

    Args:
        bodies: The statements.
        head: Options and declarations, each line ended.
    """
    body = "\n".join(bodies)
    tag = "neuron_schema"
    while f"${tag}$" in head + body:
        tag += "_"
    return f"DO ${tag}$\n{head}BEGIN\n{body}\nEND\n${tag}$"
