"""Names and statements of remedies, as SQL and Python spell them. Pure text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.canonical import SqlTextError, tokens
from neuron_schema.catalog.model import spelled
from neuron_schema.review.fixes.text import string
from neuron_schema.review.fixes.writing import Piece, verbatim
from neuron_schema.sqltext.sql_cursor import Cursor, NotUnderstood

if TYPE_CHECKING:
    from neuron_schema.review.fixes.original import Item
    from neuron_schema.sqltext.actions import ObjectRef

LONGEST_NAME = 63


def as_sql(table: ObjectRef) -> str:
    """Return a table's name as its statement gives it: with its schema, or without."""
    name = spelled(table.name)
    return name if table.schema is None else f"{spelled(table.schema)}.{name}"


def as_python(table: ObjectRef) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return what an operation takes for a table, and what that imports."""
    if table.schema is None:
        return string(table.name), ()
    text = f"table({string(table.name)}, schema={string(table.schema)})"
    return text, (("sqlalchemy", "table"),)


def operation(name: str, *arguments: str, table: ObjectRef | None = None, end: str = "") -> Piece:
    """Return an operation of ``neuron_schema.ops``, with ``table=`` and what comes after it."""
    given, imports = list(arguments), [("neuron_schema.ops", name)]
    if table is not None:
        text, more = as_python(table)
        given.append(f"table={text}")
        imports += more
    given += [end] if end else []
    return Piece(text=f"{name}({', '.join(given)})", imports=tuple(imports))


def drop_constraint(table: ObjectRef, name: str) -> Piece:
    """Return the statement that drops a constraint."""
    return verbatim(f"ALTER TABLE {as_sql(table)} DROP CONSTRAINT {spelled(name)}")


def is_one_action(item: Item) -> bool:
    """Whether an ALTER TABLE does one thing only."""
    depth = 0
    try:
        for token in tokens(item.sql):
            depth += (token.text in "([") - (token.text in ")]")
            if token.text == "," and depth == 0:
                return False
    except SqlTextError:
        return False
    return item.words.startswith("alter table ")


def cursor_of(item: Item) -> Cursor:
    """Return the beginning of a statement's tokens."""
    try:
        return Cursor(list(tokens(item.sql)))
    except SqlTextError:
        return Cursor([])


def altering(item: Item) -> tuple[Cursor, ObjectRef] | None:
    """Return what a statement does to the one table that it alters, and that table."""
    cursor = cursor_of(item)
    if not cursor.take("alter", "table") or not is_one_action(item):
        return None
    cursor.take("if", "exists")
    try:
        return cursor, cursor.relation()
    except NotUnderstood:
        return None


def name_at(cursor: Cursor) -> str | None:
    """Take a name, if one is next."""
    try:
        return cursor.name()
    except NotUnderstood:
        return None


def with_ending(sql: str, ending: str) -> str:
    """Return a statement with more words at its end, outside of a comment there."""
    return f"{sql}\n{ending}" if "--" in sql.rpartition("\n")[2] else f"{sql} {ending}"
