"""Names, values and blocks as PostgreSQL reads them, without a connection."""

from __future__ import annotations

from neuron_schema.errors import SettingsError

MAX_IDENTIFIER_BYTES = 63


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
