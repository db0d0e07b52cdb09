"""What a CREATE makes, and what the parts of a table's definition say.

https://www.postgresql.org/docs/current/sql-createtable.html and its neighbours
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from neuron_schema.sqltext.actions import TEMPORARY, UNTOLD, Action, Kind, ObjectRef, Verb, touch
from neuron_schema.sqltext.sql_cursor import Cursor, NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def read_create(cursor: Cursor) -> Iterator[Action]:
    """Yield what a CREATE does; the cursor stands behind that word."""
    cursor.take("or", "replace")
    temporary = bool(
        cursor.take_any(("local", "global", "temp", "temporary", "unlogged"))
        & {"temp", "temporary"}
    )
    cursor.take_any(("recursive", "unique", "materialized", "constraint"))
    if cursor.take("foreign", "table"):
        yield from _create_table(cursor)
        return
    what = cursor.next()
    read = _CREATED.get(what)
    if read is None:
        yield UNTOLD
        return
    for action in read(cursor.after()):
        in_session = temporary or (action.ref is not None and action.ref.schema == "pg_temp")
        if action.verb is Verb.CREATE and in_session:
            yield replace(action, detail=TEMPORARY)
        else:
            yield action


def _create_table(cursor: Cursor) -> Iterator[Action]:
    cursor.take("if", "not", "exists")
    table = cursor.relation()
    yield Action(verb=Verb.CREATE, ref=table, mentions=cursor.names())
    if cursor.take("partition", "of") or cursor.take("of"):
        # Of a type is none of a table's, and no relation of that name is found.
        yield touch(cursor.relation())
    body = cursor.group()
    if body is not None and (cursor.whole or body.has("references", inside=True)):
        for item in body.parts():
            yield from _table_item(item, table)
    if cursor.take("inherits"):
        parents = cursor.group()
        for parent in parents.parts() if parents else ():
            if parent:
                yield touch(parent.relation())


def _table_item(item: Cursor, table: ObjectRef) -> Iterator[Action]:
    """Yield what one line of a CREATE TABLE makes."""
    if not item or item.next() == "like":
        return
    if is_constraint(item):
        yield from read_constraint(item, table)
    else:
        yield from read_column(item, table)


def is_constraint(item: Cursor) -> bool:
    """Whether a part of a table's definition is a constraint, and no column."""
    if item.next() == "exclude":
        return item.next(1) in ("using", "(")
    return item.next() in ("constraint", "primary", "unique", "check", "foreign")


def read_column(item: Cursor, table: ObjectRef) -> Iterator[Action]:
    """Yield what a column's definition makes."""
    name = item.name()
    ref = ObjectRef(Kind.COLUMN, table.schema, name, table.name)
    yield Action(verb=Verb.CREATE, ref=ref, mentions=item.names())
    rest = item.copy()
    while rest.seek("constraint"):
        constraint = rest.name()
        # Until 17 the server forgets the name of a NOT NULL; NULL and DEFAULT have none.
        if rest.next() in ("check", "unique", "primary", "references"):
            yield Action(
                verb=Verb.CREATE,
                ref=ObjectRef(Kind.CONSTRAINT, table.schema, constraint, table.name),
                mentions=rest.names() | {name},
            )
    yield from _references(item)


def read_constraint(item: Cursor, table: ObjectRef) -> Iterator[Action]:
    """Yield what a table constraint makes."""
    if item.take("constraint"):
        name = item.name()
        if item.next() != "not":
            yield Action(
                verb=Verb.CREATE,
                ref=ObjectRef(Kind.CONSTRAINT, table.schema, name, table.name),
                mentions=item.names(),
            )
        rest = item.copy()
        if rest.seek("using", "index"):
            # The index takes the constraint's name.
            index = ObjectRef(Kind.INDEX, table.schema, rest.name())
            yield Action(verb=Verb.RENAME, ref=index, becomes=replace(index, name=name))
    yield from _references(item)


def _references(item: Cursor) -> Iterator[Action]:
    rest = item.copy()
    while rest.seek("references"):
        yield touch(rest.relation())


def _create_index(cursor: Cursor) -> Iterator[Action]:
    cursor.take("concurrently")
    cursor.take("if", "not", "exists")
    name = None if cursor.next() == "on" else cursor.name()
    if not cursor.take("on"):
        raise NotUnderstood(cursor.next())
    table = cursor.relation()
    method = cursor.next(1) if cursor.next() == "using" else "btree"
    if name is not None:
        ref = ObjectRef(Kind.INDEX, table.schema, name, table.name)
        yield Action(verb=Verb.CREATE, ref=ref, mentions=cursor.names())
    yield touch(table)
    yield Action(verb=Verb.BUILD, ref=table, detail=method.strip('"'))


def _create_trigger(cursor: Cursor) -> Iterator[Action]:
    name = cursor.name()
    table = table_on(cursor)
    ref = ObjectRef(Kind.TRIGGER, table.schema, name, table.name)
    yield Action(verb=Verb.CREATE, ref=ref, mentions=cursor.names())
    yield touch(table)


def table_on(cursor: Cursor, word: str = "on") -> ObjectRef:
    """Return the table named behind a word, and go on behind it."""
    if not cursor.seek(word):
        raise NotUnderstood(f"{word} is missing")
    return cursor.relation()


def _create_named(kind: Kind) -> Callable[[Cursor], Iterator[Action]]:
    def read(cursor: Cursor) -> Iterator[Action]:
        cursor.take("if", "not", "exists")
        schema, name = cursor.qualified()
        yield Action(verb=Verb.CREATE, ref=ObjectRef(kind, schema, name), mentions=cursor.names())

    return read


def _create_function(cursor: Cursor) -> Iterator[Action]:
    schema, name = cursor.qualified()
    arguments = cursor.group()
    yield Action(
        verb=Verb.CREATE,
        ref=ObjectRef(Kind.FUNCTION, schema, name),
        detail=arguments.text() if arguments is not None else "",
        mentions=cursor.names(),
    )


def _create_schema(cursor: Cursor) -> Iterator[Action]:
    cursor.take("if", "not", "exists")
    name = None if cursor.next() == "authorization" else cursor.name()
    if cursor.take("authorization"):
        name = name or cursor.name()
        if cursor.next() == name:
            cursor.after()
    if name is None or (cursor and cursor.after()):
        raise NotUnderstood("objects within CREATE SCHEMA")
    yield Action(verb=Verb.CREATE, ref=ObjectRef(Kind.SCHEMA, None, name))


def _create_extension(cursor: Cursor) -> Iterator[Action]:
    cursor.take("if", "not", "exists")
    ref = ObjectRef(Kind.EXTENSION, None, cursor.name())
    version = None
    if cursor.seek("version"):
        version = cursor.next().strip("'\"")
    yield Action(verb=Verb.CREATE, ref=ref, detail=version)


def _untold_on(word: str) -> Callable[[Cursor], Iterator[Action]]:
    """Return a reader of what belongs to a table and has no kind."""

    def read(cursor: Cursor) -> Iterator[Action]:
        yield UNTOLD
        yield touch(table_on(cursor, word))

    return read


_CREATED: dict[str, Callable[[Cursor], Iterator[Action]]] = {
    "table": _create_table,
    "index": _create_index,
    "trigger": _create_trigger,
    "view": _create_named(Kind.VIEW),
    "sequence": _create_named(Kind.SEQUENCE),
    "type": _create_named(Kind.TYPE),
    "domain": _create_named(Kind.TYPE),
    "function": _create_function,
    "procedure": _create_function,
    "aggregate": _create_function,
    "schema": _create_schema,
    "extension": _create_extension,
    "policy": _untold_on("on"),
    "rule": _untold_on("to"),
    "statistics": _untold_on("from"),
}
