"""What statements leave behind, lose, and lock. Pure: SQL texts in, values out, no database.

``statement_reader`` reads one statement; here they follow one another: what is made and dropped
again is not there, and what is renamed has its last name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuron_schema.sqltext.actions import TEMPORARY, Action, Kind, ObjectRef, Verb
from neuron_schema.sqltext.object_state import Names, There, excerpt
from neuron_schema.sqltext.sql_cursor import NotUnderstood
from neuron_schema.sqltext.statement_reader import actions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from neuron_schema.model import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """Objects, and the statements of which the text does not tell.

    Attributes:
        refs: Without repetition, in the order in which they came up.
        not_understood: The beginnings of statements that may concern others.
    """

    refs: tuple[ObjectRef, ...]
    not_understood: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What a rollback loses, under the names that it has before.

    Attributes:
        dropped: Tables, columns and schemas; no column of a table that goes as a whole.
        emptied: Tables that lose all rows.
        thinned: Tables that lose rows by a condition.
    """

    dropped: tuple[ObjectRef, ...] = ()
    emptied: tuple[ObjectRef, ...] = ()
    thinned: tuple[ObjectRef, ...] = ()
    not_understood: tuple[str, ...] = ()


def net_objects(statements: Iterable[Statement]) -> Objects:
    """Return what is to be there after all statements: creates, less drops, under last names.

    Not listed: what has no name of its own in the text (keys and checks without one), what ends
    with the session, and what belongs to no ``Kind`` (policies, rules, roles, ...).
    """
    there = There()
    for sql, action in _read(statements, there.unclear, whole=True):
        there.apply(action, sql)
    return Objects(refs=tuple(there.found), not_understood=_once(there.unclear))


def dropped(statements: Iterable[Statement]) -> Losses:
    """Return the tables and columns, and the rows, that statements take away."""
    names = Names()
    unclear: list[str] = []
    lost: dict[Verb, dict[ObjectRef, None]] = {verb: {} for verb in _LOSING}
    for sql, action in _read(statements, unclear, whole=False):
        ref = names.before(action.ref) if action.ref else None
        if ref is not None and action.verb in _LOSING and ref.kind in _LOST:
            lost[action.verb][ref] = None
        if action.verb is Verb.DROP and action.cascade and ref and ref.kind in _TAKES_COLUMNS:
            unclear.append(excerpt(sql))
        if action.verb is Verb.EMPTY and action.cascade:
            unclear.append(excerpt(sql))
        names.follow(action)
    gone = lost[Verb.DROP]
    tables = {ref for ref in gone if ref.kind is Kind.TABLE}
    kept = [ref for ref in gone if ref.kind is not Kind.COLUMN or ref.table not in tables]
    emptied = [ref for ref in lost[Verb.EMPTY] if ref not in tables]
    thinned = [ref for ref in lost[Verb.DELETE] if ref not in tables and ref not in emptied]
    return Losses(
        dropped=tuple(kept),
        emptied=tuple(emptied),
        thinned=tuple(thinned),
        not_understood=_once(unclear),
    )


_LOSING = (Verb.DROP, Verb.EMPTY, Verb.DELETE)
_LOST = frozenset({Kind.TABLE, Kind.COLUMN, Kind.SCHEMA})
_TAKES_COLUMNS = frozenset({Kind.TYPE, Kind.EXTENSION, Kind.FUNCTION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What statements want of the database that they are to run in, as it is before them.

    Attributes:
        touched: Relations that they lock, but for those that they make: nobody else locks them.
        built_on: Tables that they build indexes on, or write anew.
        methods: Access methods of the indexes that they build.
        extensions: What they create, with the version they name; None for the default.
        updated: The extensions that they update, likewise.
        schemas: Where they make something, but for those they make; None where it is unqualified.
        made_schemas: The schemas that they make.
    """

    touched: tuple[ObjectRef, ...]
    built_on: tuple[ObjectRef, ...]
    methods: frozenset[str]
    extensions: tuple[tuple[str, str | None], ...]
    updated: tuple[tuple[str, str | None], ...]
    schemas: tuple[str | None, ...]
    made_schemas: frozenset[str] = frozenset()
    not_understood: tuple[str, ...] = ()


def needs(statements: Iterable[Statement]) -> Needs:
    """Return what statements want of the database, as far as their text tells."""
    names = Names()
    unclear: list[str] = []
    touched: dict[ObjectRef, None] = {}
    built_on: dict[ObjectRef, None] = {}
    schemas: dict[str | None, None] = {}
    methods: set[str] = set()
    extensions: dict[Verb, dict[tuple[str, str | None], None]] = {
        Verb.CREATE: {},
        Verb.TOUCH: {},
    }
    made = {"pg_temp"}
    for _, action in _read(statements, unclear, whole=False):
        ref, verb = action.ref, action.verb
        if ref is None:
            continue
        if ref.kind is Kind.EXTENSION:
            extensions.get(verb, {})[ref.name, action.detail] = None
        elif ref.kind is Kind.SCHEMA:
            made |= {ref.name} if verb is Verb.CREATE else set()
        elif verb is Verb.BUILD:
            methods |= {action.detail} if action.detail else set()
            built_on |= dict.fromkeys(names.relation(ref))
        elif verb is Verb.CREATE and action.detail != TEMPORARY and ref.kind in _IN_SCHEMA:
            schemas |= {} if ref.schema in made else {ref.schema: None}
        elif verb in _LOCKING:
            touched |= dict.fromkeys(names.relation(ref))
        names.follow(action)
    return Needs(
        touched=tuple(touched),
        built_on=tuple(built_on),
        methods=frozenset(methods),
        extensions=tuple(extensions[Verb.CREATE]),
        updated=tuple(extensions[Verb.TOUCH]),
        schemas=tuple(schemas),
        made_schemas=frozenset(made - {"pg_temp"}),
        not_understood=_once(unclear),
    )


_LOCKING = (Verb.TOUCH, Verb.DROP, Verb.EMPTY, Verb.DELETE)
_IN_SCHEMA = frozenset({Kind.TABLE, Kind.TYPE, Kind.FUNCTION, Kind.VIEW, Kind.SEQUENCE})


def _read(
    statements: Iterable[Statement], unclear: list[str], *, whole: bool
) -> Iterator[tuple[str, Action]]:
    """Yield what each statement does; note those of which the text does not tell.

    Args:
        statements: In order.
        unclear: Takes the beginnings of those.
        whole: Every part of what is made is asked for, and what has no ``Kind`` is noted too.
    """
    for statement in statements:
        try:
            found = actions(statement.sql, whole=whole)
        except NotUnderstood:
            unclear.append(excerpt(statement.sql))
            continue
        for action in found:
            if action.verb is not Verb.UNTOLD:
                yield statement.sql, action
            elif whole:
                unclear.append(excerpt(statement.sql))


def _once(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
