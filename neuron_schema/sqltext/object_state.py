"""What follows from one action after the other: what there is, and what it was called before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from neuron_schema.sqltext.actions import RELATIONS, TEMPORARY, Action, Kind, ObjectRef, Verb

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXCERPT = 120
_PARTS = frozenset({Kind.COLUMN, Kind.CONSTRAINT, Kind.TRIGGER})
# What goes in silence when a name in its definition is dropped with CASCADE.
_FOLLOWS = frozenset(
    {Kind.COLUMN, Kind.CONSTRAINT, Kind.FUNCTION, Kind.INDEX, Kind.TRIGGER, Kind.VIEW}
)


def excerpt(sql: str) -> str:
    """Return the beginning of a statement, on one line."""
    text = " ".join(sql[: 4 * _EXCERPT].split())
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 3] + "..."


class Names:
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


class There:
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
        self.unclear.append(excerpt(sql))


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
