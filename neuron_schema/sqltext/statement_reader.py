"""Which objects one SQL statement makes, drops, renames, empties or locks, as its text tells.

Read with PostgreSQL's lexer and by the grammar's fixed words, never by guessing: what does not fit
raises ``NotUnderstood``, and a statement that makes something of no ``Kind`` says ``UNTOLD``.
https://www.postgresql.org/docs/current/sql-commands.html
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from neuron_schema.canonical import SqlTextError, tokens
from neuron_schema.sqltext.actions import RELATIONS, UNTOLD, Action, Kind, ObjectRef, Verb, touch
from neuron_schema.sqltext.create_reader import (
    is_constraint,
    read_column,
    read_constraint,
    read_create,
    table_on,
)
from neuron_schema.sqltext.sql_cursor import Cursor, NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_INSERT_TOKENS = 16


def actions(sql: str, *, whole: bool = True) -> tuple[Action, ...]:
    """Return what one statement does, in order.

    Args:
        sql: The statement.
        whole: Read what it makes to the last column; else just what it concerns beside that.

    Raises:
        NotUnderstood: its text does not tell.
    """
    found = tokens(sql)
    try:
        first = list(itertools.islice(found, 1))
        # The rows of an INSERT tell nothing, and there may be many.
        limit = _INSERT_TOKENS if first and first[0].text == "insert" else None
        cursor = Cursor([*first, *itertools.islice(found, limit)], whole=whole)
    except SqlTextError as error:
        raise NotUnderstood(str(error)) from None
    read = _STATEMENTS.get(cursor.next())
    if read is None:
        raise NotUnderstood(cursor.next())
    return tuple(read(cursor.after()))


# --- DROP

_DROPPED = {
    "table": Kind.TABLE,
    "foreign table": Kind.TABLE,
    "view": Kind.VIEW,
    "materialized view": Kind.VIEW,
    "index": Kind.INDEX,
    "sequence": Kind.SEQUENCE,
    "type": Kind.TYPE,
    "domain": Kind.TYPE,
    "schema": Kind.SCHEMA,
    "extension": Kind.EXTENSION,
    "function": Kind.FUNCTION,
    "procedure": Kind.FUNCTION,
    "aggregate": Kind.FUNCTION,
    "routine": Kind.FUNCTION,
}


def _kind(cursor: Cursor) -> Kind | None:
    """Take the word or words for a kind of objects that are dropped and altered alike."""
    for count in (2, 1):
        words = " ".join(cursor.next(ahead) for ahead in range(count))
        if words in _DROPPED:
            cursor.after(count)
            return _DROPPED[words]
    return None


def _drop(cursor: Cursor) -> Iterator[Action]:
    if cursor.next() == "owned":
        raise NotUnderstood("DROP OWNED")
    kind = _kind(cursor)
    if kind is None:
        yield from _drop_other(cursor)
        return
    cursor.take("concurrently")
    cursor.take("if", "exists")
    cascade = cursor.has("cascade")
    for item in cursor.parts():
        schema, name = item.qualified()
        arguments = item.group()
        ref = ObjectRef(kind, schema, name)
        detail = arguments.text() if arguments is not None else None
        yield Action(verb=Verb.DROP, ref=ref, cascade=cascade, detail=detail)


def _drop_other(cursor: Cursor) -> Iterator[Action]:
    what = cursor.next()
    cursor.after()
    cursor.take("if", "exists")
    if what == "trigger":
        name = cursor.name()
        table = table_on(cursor)
        ref = ObjectRef(Kind.TRIGGER, table.schema, name, table.name)
        yield Action(verb=Verb.DROP, ref=ref, cascade=cursor.has("cascade"))
        yield touch(table)
        return
    yield UNTOLD
    if what in ("policy", "rule"):
        yield touch(table_on(cursor))


# --- ALTER


def _alter(cursor: Cursor) -> Iterator[Action]:
    what = cursor.next()
    kind = _kind(cursor)
    if kind is None:
        yield from _alter_other(what, cursor.after())
        return
    cursor.take("if", "exists")
    if cursor.next() == "all" and cursor.next(1) == "in":
        raise NotUnderstood("ALL IN TABLESPACE")
    ref = cursor.relation(kind)
    if kind in RELATIONS:
        yield touch(ref)
    if kind is Kind.FUNCTION:
        cursor.group()
    if kind is Kind.EXTENSION:
        yield from _alter_extension(cursor, ref)
    elif kind in (Kind.TABLE, Kind.VIEW):
        for part in cursor.parts():
            yield from _table_action(part, ref)
    else:
        yield from _renamed(cursor, ref)
        if kind is Kind.SEQUENCE and cursor.seek("owned", "by"):
            yield Action(verb=Verb.TOUCH, ref=ref, mentions=cursor.names())


def _alter_other(what: str, cursor: Cursor) -> Iterator[Action]:
    if what == "trigger":
        name = cursor.name()
        table = table_on(cursor)
        yield touch(table)
        yield from _renamed(cursor, ObjectRef(Kind.TRIGGER, table.schema, name, table.name))
    elif what in ("policy", "rule"):
        yield touch(table_on(cursor))
    elif what not in ("default", "role", "user", "group", "database", "system"):
        yield UNTOLD


def _alter_extension(cursor: Cursor, ref: ObjectRef) -> Iterator[Action]:
    if cursor.take("update"):
        version = cursor.next(1).strip("'\"") if cursor.next() == "to" else None
        yield Action(verb=Verb.TOUCH, ref=ref, detail=version)
    else:
        yield UNTOLD


def _renamed(cursor: Cursor, ref: ObjectRef) -> Iterator[Action]:
    if cursor.take("rename", "to"):
        yield Action(verb=Verb.RENAME, ref=ref, becomes=replace(ref, name=cursor.name()))
    elif cursor.take("set", "schema"):
        yield Action(verb=Verb.RENAME, ref=ref, becomes=replace(ref, schema=cursor.name()))


_WITH_ANOTHER = (
    ("attach", "partition"),
    ("detach", "partition"),
    ("inherit",),
    ("no", "inherit"),
)


def _table_action(part: Cursor, table: ObjectRef) -> Iterator[Action]:
    """Yield what one action of an ALTER TABLE does."""
    if part.take("add"):
        yield from _add(part, table)
    elif part.take("drop"):
        yield from _drop_part(part, table)
    elif part.next() == "rename" and part.next(1) != "to":
        part.after()
        yield from _rename_part(part, table)
    elif any(part.take(*words) for words in _WITH_ANOTHER):
        yield touch(part.relation())
    else:
        yield from _renamed(part, table)


def _add(part: Cursor, table: ObjectRef) -> Iterator[Action]:
    builds = ("unique",), ("primary", "key"), ("exclude",)
    if any(part.has(*words) for words in builds) and not part.has("using", "index"):
        yield Action(verb=Verb.BUILD, ref=table, detail="btree")
    if is_constraint(part):
        yield from read_constraint(part, table)
        return
    part.take("column")
    part.take("if", "not", "exists")
    yield from read_column(part, table)


def _drop_part(part: Cursor, table: ObjectRef) -> Iterator[Action]:
    kind = Kind.CONSTRAINT if part.take("constraint") else Kind.COLUMN
    if kind is Kind.COLUMN:
        part.take("column")
    part.take("if", "exists")
    ref = ObjectRef(kind, table.schema, part.name(), table.name)
    yield Action(verb=Verb.DROP, ref=ref, cascade=part.has("cascade"))


def _rename_part(part: Cursor, table: ObjectRef) -> Iterator[Action]:
    kind = Kind.CONSTRAINT if part.take("constraint") else Kind.COLUMN
    if kind is Kind.COLUMN and part.next(1) != "to":
        part.take("column")
    ref = ObjectRef(kind, table.schema, part.name(), table.name)
    if not part.take("to"):
        raise NotUnderstood(part.next())
    yield Action(verb=Verb.RENAME, ref=ref, becomes=replace(ref, name=part.name()))


# --- rows


def _truncate(cursor: Cursor) -> Iterator[Action]:
    cursor.take("table")
    cascade = cursor.has("cascade")
    for part in cursor.parts():
        ref = part.relation()
        yield touch(ref)
        yield Action(verb=Verb.EMPTY, ref=ref, cascade=cascade)


def _delete(cursor: Cursor) -> Iterator[Action]:
    if not cursor.take("from"):
        raise NotUnderstood(cursor.next())
    ref = cursor.relation()
    yield touch(ref)
    some = cursor.has("where") or cursor.has("using")
    yield Action(verb=Verb.DELETE if some else Verb.EMPTY, ref=ref)


def _change(*words: str) -> Callable[[Cursor], Iterator[Action]]:
    def read(cursor: Cursor) -> Iterator[Action]:
        if words and not cursor.take(*words):
            raise NotUnderstood(cursor.next())
        yield touch(cursor.relation())

    return read


def _copy(cursor: Cursor) -> Iterator[Action]:
    if cursor.next() != "(":
        ref = cursor.relation()
        cursor.group()
        if cursor.take("from"):
            yield touch(ref)


def _lock(cursor: Cursor) -> Iterator[Action]:
    cursor.take("table")
    for part in cursor.parts():
        yield touch(part.relation())


def _query(cursor: Cursor) -> Iterator[Action]:
    if cursor.has("into"):
        raise NotUnderstood("SELECT INTO")
    if cursor.calls():
        yield UNTOLD


def _with(cursor: Cursor) -> Iterator[Action]:
    """Read what a statement that begins with WITH does, its parts in parentheses included."""
    for read, verb in ((_change("into"), "insert"), (_change(), "update"), (_delete, "delete")):
        rest = cursor.copy()
        while rest.seek("(", verb, inside=True):
            yield from read(rest.copy())
    if cursor.has("(", "merge", inside=True):
        raise NotUnderstood("MERGE in WITH")
    verbs = ("select", "insert", "update", "delete", "merge", "values")
    main = next((word for word in cursor.words() if word in verbs), "")
    if not cursor.seek(main):
        raise NotUnderstood("WITH")
    yield from _STATEMENTS[main](cursor)


# --- the rest


def _comment(cursor: Cursor) -> Iterator[Action]:
    if cursor.take("on", "table"):
        yield touch(cursor.relation())
    elif cursor.take("on", "column"):
        *table, _column_name = cursor.dotted()
        if table:
            schema = table[-2] if len(table) > 1 else None
            yield touch(ObjectRef(Kind.TABLE, schema, table[-1]))


def _refresh(cursor: Cursor) -> Iterator[Action]:
    cursor.take("materialized", "view")
    cursor.take("concurrently")
    ref = cursor.relation(Kind.VIEW)
    yield touch(ref)
    yield Action(verb=Verb.BUILD, ref=ref)


def _maintain(cursor: Cursor) -> Iterator[Action]:
    """Read VACUUM, CLUSTER and REINDEX: options, and what is to be written anew."""
    cursor.group()
    cursor.take_any(("full", "freeze", "verbose", "analyze", "analyse"))
    kind = Kind.INDEX if cursor.take("index") else Kind.TABLE
    if cursor.next() in ("schema", "database", "system"):
        raise NotUnderstood(cursor.next())
    cursor.take("table")
    cursor.take("concurrently")
    if not cursor:
        return
    ref = cursor.relation(kind)
    if cursor.take("on"):
        # CLUSTER index ON table
        ref = cursor.relation()
    yield touch(ref)
    yield Action(verb=Verb.BUILD, ref=ref)


def _set(cursor: Cursor) -> Iterator[Action]:
    """Read SET: some change who does what comes next, and where."""
    if any(cursor.has(word) for word in ("role", "authorization", "search_path", "schema")):
        raise NotUnderstood("SET")
    return iter(())


def _nothing(_cursor: Cursor) -> Iterator[Action]:
    return iter(())


_STATEMENTS: dict[str, Callable[[Cursor], Iterator[Action]]] = {
    "create": read_create,
    "drop": _drop,
    "alter": _alter,
    "truncate": _truncate,
    "delete": _delete,
    "insert": _change("into"),
    "update": _change(),
    "merge": _change("into"),
    "copy": _copy,
    "lock": _lock,
    "select": _query,
    "values": _query,
    "table": _nothing,
    "with": _with,
    "comment": _comment,
    "refresh": _refresh,
    "vacuum": _maintain,
    "cluster": _maintain,
    "reindex": _maintain,
    "analyze": _nothing,
    "analyse": _nothing,
    "grant": _nothing,
    "revoke": _nothing,
    "security": _nothing,
    "set": _set,
    "reset": _nothing,
    "show": _nothing,
    "notify": _nothing,
}
