"""What statements leave behind, lose, and lock. Pure: SQL texts in, values out, no database.

``actions`` reads one statement; here they follow one another: what is made and dropped again is not
there, and what is renamed has its last name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from neuron_schema.actions import (
    RELATIONS,
    TEMPORARY,
    Action,
    Kind,
    NotUnderstood,
    ObjectRef,
    Verb,
    actions,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from neuron_schema.model import Statement

_EXCERPT = 120
# What goes in silence when a name in its definition is dropped with CASCADE.
_FOLLOWS = frozenset(
    {Kind.COLUMN, Kind.CONSTRAINT, Kind.FUNCTION, Kind.INDEX, Kind.TRIGGER, Kind.VIEW}
)


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
    there = _There()
    for sql, action in _read(statements, there.unclear, untold=True):
        there.apply(action, sql)
    return Objects(refs=tuple(there.found), not_understood=_once(there.unclear))


def dropped(statements: Iterable[Statement]) -> Losses:
    """Return the tables and columns, and the rows, that statements take away."""
    names = _Names()
    unclear: list[str] = []
    lost: dict[Verb, dict[ObjectRef, None]] = {verb: {} for verb in _LOSING}
    for sql, action in _read(statements, unclear, untold=False):
        ref = names.before(action.ref) if action.ref else None
        if ref is not None and action.verb in _LOSING and ref.kind in _LOST:
            lost[action.verb][ref] = None
        if action.verb is Verb.DROP and action.cascade and ref and ref.kind in _TAKES_COLUMNS:
            unclear.append(_excerpt(sql))
        if action.verb is Verb.EMPTY and action.cascade:
            unclear.append(_excerpt(sql))
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
    names = _Names()
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
    for _, action in _read(statements, unclear, untold=False):
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
_PARTS = frozenset({Kind.COLUMN, Kind.CONSTRAINT, Kind.TRIGGER})
_IN_SCHEMA = frozenset({Kind.TABLE, Kind.TYPE, Kind.FUNCTION, Kind.VIEW, Kind.SEQUENCE})


def tables_touched(statements: Iterable[Statement]) -> Objects:
    """Return the relations that statements lock, under the names that they have before."""
    found = needs(statements)
    return Objects(refs=found.touched, not_understood=found.not_understood)


def _read(
    statements: Iterable[Statement], unclear: list[str], *, untold: bool
) -> Iterator[tuple[str, Action]]:
    """Yield what each statement does; note those of which the text does not tell."""
    for statement in statements:
        try:
            found = actions(statement.sql)
        except NotUnderstood:
            unclear.append(_excerpt(statement.sql))
            continue
        for action in found:
            if action.verb is not Verb.UNTOLD:
                yield statement.sql, action
            elif untold:
                unclear.append(_excerpt(statement.sql))


def _excerpt(sql: str) -> str:
    text = " ".join(sql[: 4 * _EXCERPT].split())
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 3] + "..."


def _once(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


class _Names:
    """Which name an object had before the statements; those they made had none."""

    def __init__(self) -> None:
        self._before: dict[ObjectRef, ObjectRef | None] = {}

    def before(self, ref: ObjectRef) -> ObjectRef | None:
        """Return a reference as it was, or None for what the statements made."""
        if ref.parent is None or ref.kind is Kind.INDEX:
            return self._before.get(_plain(ref), ref)
        table = self.before(ref.table)
        if table is None:
            return None
        known = self._before.get(ref, ref)
        return known and replace(known, schema=table.schema, parent=table.name)

    def relation(self, ref: ObjectRef) -> list[ObjectRef]:
        """Return the relation that is, or holds, an object; none where the statements made it."""
        if ref.kind not in RELATIONS | _PARTS:
            return []
        before = self.before(ref if ref.kind in RELATIONS else ref.table)
        return [before] if before else []

    def follow(self, action: Action) -> None:
        """Go on by one action."""
        if action.ref is None:
            return
        if action.verb is Verb.CREATE and action.ref.kind in RELATIONS | {Kind.COLUMN, Kind.SCHEMA}:
            self._before[_plain(action.ref)] = None
        elif action.verb is Verb.RENAME and action.becomes is not None:
            old = _plain(action.ref)
            self._before[_plain(action.becomes)] = self._before.pop(old, old)


def _plain(ref: ObjectRef) -> ObjectRef:
    """Return a reference that does not tell kinds of relations apart: they share their names."""
    if ref.kind in RELATIONS:
        return ObjectRef(Kind.TABLE, ref.schema, ref.name)
    return ref


class _There:
    """What there is after the statements so far.

    Attributes:
        unclear: The beginnings of statements that may concern something else.
    """

    def __init__(self) -> None:
        self._mentions: dict[ObjectRef, frozenset[str]] = {}
        self._overloads: dict[ObjectRef, set[str]] = {}
        self._temporary: set[ObjectRef] = set()
        self.unclear: list[str] = []

    @property
    def found(self) -> Iterator[ObjectRef]:
        """What there is, in the order in which it was made."""
        return (ref for ref in self._mentions if ref.table not in self._temporary)

    def apply(self, action: Action, sql: str) -> None:
        """Go on by one action."""
        if action.ref is None:
            return
        match action.verb:
            case Verb.CREATE:
                self._create(action, action.ref)
            case Verb.DROP:
                self._drop(action, action.ref, sql)
            case Verb.RENAME if action.becomes is not None:
                self._rename(action.ref, action.becomes, sql)
            case Verb.TOUCH if action.ref in self._mentions and action.mentions:
                self._mentions[action.ref] |= action.mentions

    def _create(self, action: Action, ref: ObjectRef) -> None:
        if action.detail == TEMPORARY:
            if ref.kind in RELATIONS:
                self._temporary.add(ObjectRef(Kind.TABLE, ref.schema, ref.name))
            if ref.kind is not Kind.TABLE:
                return
        # CREATE OR REPLACE and IF NOT EXISTS keep the place of the first.
        self._mentions[ref] = self._mentions.get(ref, frozenset()) | action.mentions
        if ref.kind is Kind.FUNCTION:
            self._overloads.setdefault(ref, set()).add(action.detail or "")

    def _drop(self, action: Action, ref: ObjectRef, sql: str) -> None:
        known = self._known(ref, sql)
        if known is None:
            return
        if known.kind is Kind.FUNCTION and len(self._overloads.get(known, ())) > 1:
            # Its arguments are spelled otherwise than where it was made.
            self._note(sql)
            return
        self._overloads.pop(known, None)
        self._mentions.pop(known, None)
        self._temporary.discard(known)
        for other in [other for other in self._mentions if self._goes_with(other, known, action)]:
            del self._mentions[other]

    def _goes_with(self, other: ObjectRef, gone: ObjectRef, action: Action) -> bool:
        """Whether an object goes with another one that is dropped."""
        if gone.kind is Kind.SCHEMA:
            return other.schema == gone.name
        mentions = self._mentions[other]
        if gone.kind is Kind.TABLE and other.table == gone and other is not gone:
            return True
        if gone.kind is Kind.TABLE and other.kind is Kind.SEQUENCE:
            return gone.name in mentions
        if gone.kind is Kind.COLUMN and other.table == gone.table:
            return other.kind in (Kind.INDEX, Kind.CONSTRAINT) and gone.name in mentions
        return action.cascade and other.kind in _FOLLOWS and gone.name in mentions

    def _rename(self, ref: ObjectRef, becomes: ObjectRef, sql: str) -> None:
        known = self._known(ref, sql)
        if known is None:
            return
        becomes = replace(
            becomes, kind=known.kind, parent=known.parent, schema=becomes.schema or known.schema
        )
        self._mentions = {
            _moved(other, known, becomes): _reworded(mentions, known, becomes)
            for other, mentions in self._mentions.items()
        }
        self._overloads = {
            _moved(other, known, becomes): found for other, found in self._overloads.items()
        }
        self._temporary = {_moved(other, known, becomes) for other in self._temporary}

    def _known(self, ref: ObjectRef, sql: str) -> ObjectRef | None:
        """Return what is meant of what was made, or None where nothing of it is.

        A name with a schema and one without may be the same or not: the database alone knows, so
        the object is no longer vouched for.
        """
        same = [other for other in self._mentions if _same_name(other, ref)]
        exact = [other for other in same if other.schema == ref.schema]
        if exact:
            return exact[0]
        for other in same:
            if other.schema is None or ref.schema is None:
                self._note(sql)
                del self._mentions[other]
        return None

    def _note(self, sql: str) -> None:
        self.unclear.append(_excerpt(sql))


def _same_name(one: ObjectRef, other: ObjectRef) -> bool:
    if one.kind in RELATIONS and other.kind in RELATIONS:
        return one.name == other.name
    return (one.kind, one.name, one.parent) == (other.kind, other.name, other.parent)


def _moved(ref: ObjectRef, known: ObjectRef, becomes: ObjectRef) -> ObjectRef:
    """Return an object's name after another one, or itself, was renamed."""
    if ref == known:
        return becomes
    if known.kind is Kind.SCHEMA and ref.schema == known.name:
        return replace(ref, schema=becomes.name)
    if known.kind in (Kind.TABLE, Kind.VIEW) and ref.parent and ref.table == _plain(known):
        return replace(ref, schema=becomes.schema, parent=becomes.name)
    return ref


def _reworded(mentions: frozenset[str], known: ObjectRef, becomes: ObjectRef) -> frozenset[str]:
    return mentions | {becomes.name} if known.name in mentions else mentions
