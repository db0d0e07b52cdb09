"""Pieces of SQL that several operations share: names, literals and expressions.

Identifiers go through SQLAlchemy's preparer, after a look at their length: PostgreSQL cuts names
at 63 bytes in silence, so that two long names can become one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

from sqlalchemy import Enum, MetaData, Table
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.expression import ColumnClause, TableClause
from sqlalchemy.types import TypeEngine, to_instance

from neuron_schema.errors import VersionError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from sqlalchemy.dialects.postgresql.base import PGIdentifierPreparer
    from sqlalchemy.sql.compiler import DDLCompiler, IdentifierPreparer

#: A ``Table``, a light ``sqlalchemy.table("name", schema="...")``, or one name without schema.
TableRef: TypeAlias = "TableClause | str"
#: An SQLAlchemy expression, or SQL text that is taken as it stands.
Fragment: TypeAlias = "ClauseElement | str"
#: A type of SQLAlchemy, or SQL text that is taken as it stands.
TypeRef: TypeAlias = "TypeEngine[Any] | type[TypeEngine[Any]] | str"

#: ``NAMEDATALEN`` less one: https://www.postgresql.org/docs/current/limits.html
MAX_NAME_BYTES = 63


def checked_name(name: str, what: str = "name") -> str:
    """Return ``name`` if PostgreSQL keeps it as it is.

    Raises:
        VersionError: It is no text, empty, holds a NUL or has more than 63 bytes.
    """
    if not isinstance(name, str):
        raise VersionError(
            f"a {what} is wanted here, not {name!r}", remedy=f"pass the {what} as a str"
        )
    if not name or "\x00" in name:
        raise VersionError(
            f"{name!r} is no {what} of PostgreSQL",
            remedy="use a name that is not empty and holds no NUL byte",
        )
    length = len(name.encode("utf-8", "surrogatepass"))
    if length > MAX_NAME_BYTES:
        raise VersionError(
            f"the {what} {name!r} has {length} bytes; PostgreSQL cuts it at {MAX_NAME_BYTES}",
            remedy=f"choose a name of at most {MAX_NAME_BYTES} bytes in UTF-8",
        )
    return name


def checked_text(text: str, what: str) -> str:
    """Return ``text`` if it can be part of a statement.

    Raises:
        VersionError: It is no text, blank, or holds a NUL byte.
    """
    if not isinstance(text, str) or not text.strip() or "\x00" in text:
        raise VersionError(
            f"{what} is {text!r}", remedy=f"pass {what} as SQL text that is not blank"
        )
    return text


def checked_word(word: str, allowed: Iterable[str], what: str) -> str:
    """Return ``word`` in capitals if it is one of ``allowed``.

    Raises:
        VersionError: It is another word.
    """
    choices = tuple(allowed)
    found = " ".join(word.upper().split()) if isinstance(word, str) else ""
    if found not in choices:
        raise VersionError(f"{what} cannot be {word!r}", remedy=f"use one of {', '.join(choices)}")
    return found


def quoted(preparer: IdentifierPreparer, name: str, what: str = "name") -> str:
    """Return one identifier, quoted where it must be."""
    return preparer.quote(checked_name(name, what))


def qualified(preparer: IdentifierPreparer, name: str, schema: str | None, what: str) -> str:
    """Return an identifier with its schema, if it has one."""
    text = quoted(preparer, name, what)
    if schema is None:
        return text
    return f"{preparer.quote_schema(checked_name(schema, 'schema name'))}.{text}"


def as_table(ref: TableRef) -> TableClause:
    """Return the table that ``ref`` is or names.

    Raises:
        VersionError: It is neither a table nor a name.
    """
    if isinstance(ref, TableClause):
        return ref
    if isinstance(ref, str):
        return Table(checked_name(ref, "table name"), MetaData())
    if isinstance(found := getattr(ref, "__table__", None), TableClause):
        return found
    raise VersionError(
        f"{ref!r} is no table", remedy="pass a Table, sqlalchemy.table(name, schema=...) or a name"
    )


def table_name(preparer: IdentifierPreparer, table: TableClause) -> str:
    """Return a table's name, with its schema if it has one."""
    checked_name(table.name, "table name")
    if table.schema is not None:
        checked_name(table.schema, "schema name")
    return preparer.format_table(cast("Table", table))


def column_name(preparer: IdentifierPreparer, column: ColumnClause[Any] | str) -> str:
    """Return a column's name, without its table."""
    if isinstance(column, str):
        return quoted(preparer, column, "column name")
    checked_name(column.name, "column name")
    return preparer.format_column(column)


def verbatim(compiler: DDLCompiler, text: str) -> str:
    """Return SQL text as the compiler's parameter style wants it.

    Under ``paramstyle="named"`` that is the text itself; a driver that formats ``%`` gets ``%%``.
    """
    found: str = compiler.sql_compiler.post_process_text(text)  # type: ignore[no-untyped-call]
    return found


def quote_literal(text: str) -> str:
    """Return ``text`` as a string constant for ``standard_conforming_strings = on``.

    Raises:
        VersionError: It holds a NUL byte, which no text of PostgreSQL can.
    """
    if "\x00" in text:
        raise VersionError(f"{text!r} holds a NUL byte", remedy="leave the NUL byte out")
    return "'" + text.replace("'", "''") + "'"


def literal(compiler: DDLCompiler, text: str) -> str:
    """Return ``text`` as a string constant, as the compiler's parameter style wants it."""
    return verbatim(compiler, quote_literal(text))


def fragment(compiler: DDLCompiler, value: Fragment, *, with_table: bool = False) -> str:
    """Return an expression as SQL: values inline, columns without their table.

    Args:
        compiler: The compiler of the statement that the expression is part of.
        value: An SQLAlchemy expression, or SQL text that is taken as it stands.
        with_table: Keep ``table.column``, as in a trigger's WHEN.
    """
    if isinstance(value, str):
        return verbatim(compiler, checked_text(value, "an expression"))
    if hasattr(value, "__clause_element__"):
        value = value.__clause_element__()
    if not isinstance(value, ClauseElement):
        raise VersionError(
            f"{value!r} is no SQL expression",
            remedy="pass an SQLAlchemy expression or SQL text as a str",
        )
    return compiler.sql_compiler.process(value, include_table=with_table, literal_binds=True)


def type_name(compiler: DDLCompiler, type_: TypeRef) -> str:
    """Return a type as SQL."""
    if isinstance(type_, str):
        return verbatim(compiler, checked_text(type_, "a type"))
    found: TypeEngine[Any] = to_instance(type_)
    # Not with type_expression=: a primary key's Integer must stay INTEGER and not become SERIAL.
    return compiler.dialect.type_compiler_instance.process(
        found, identifier_preparer=compiler.preparer
    )


def enum_name(preparer: IdentifierPreparer, enum: Enum | str, schema: str | None) -> str:
    """Return the name of an enumerated type, with its schema if it has one.

    Raises:
        VersionError: An ``Enum`` has no name, or comes with a schema besides its own.
    """
    if isinstance(enum, str):
        return qualified(preparer, enum, schema, "type name")
    if not isinstance(enum, Enum) or not enum.name or schema is not None:
        raise VersionError(
            f"{enum!r} does not say which type is meant",
            remedy="pass a named Enum (it carries its schema), or a name and schema=",
        )
    checked_name(enum.name, "type name")
    if enum.schema is not None:
        checked_name(enum.schema, "schema name")
    found: str = cast("PGIdentifierPreparer", preparer).format_type(enum)  # type: ignore[no-untyped-call]
    return found
