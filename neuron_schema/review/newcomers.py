"""Which tables nobody uses yet when a version runs, as earlier ones under review made them. Pure.

Where the versions under review are applied they are applied together: what one of them makes is
empty when the next one runs, and nobody waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from neuron_schema.catalog import Action, Kind
from neuron_schema.catalog.model import spelled
from neuron_schema.review.report import Novelty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import Change, ObjectName, Relation, Snapshot
    from neuron_schema.review.case import Case

Place: TypeAlias = tuple[str, str]
"""Schema and name of a table."""

_STORED = (Kind.TABLE, Kind.MATERIALIZED_VIEW)
_HOOKS = (Kind.TRIGGER, Kind.RULE)
_INDIRECT = (Kind.FUNCTION, Kind.PROCEDURE, Kind.VIEW)


def unused_after(case: Case) -> frozenset[Place]:
    """Return the tables that nobody uses yet after a version; ``case.unused`` are those before it.

    What may be in use counts as used: a table of which ``--stats`` tells, one that an edited
    version makes, that a version puts rows into, that is a part of a table in use or that one
    points at. A trigger, or a routine that was there, may write to any of them.
    """
    if case.after is case.before:
        return case.unused
    renamed = _renamed(case)
    used = {_place(each) for each in _stored(case.before)} - case.unused
    there = {_place(each) for each in _stored(case.after)}
    found = there if _makes_new_ones(case) else there & case.unused
    found = found | {new for old, new in renamed.items() if old in case.unused}
    found -= {new for old, new in renamed.items() if old in used}
    found -= used | _filled(case) | set(_told_of(case))
    if any(_reaches(change, found) for change in case.changes):
        return frozenset()
    return _apart(case, found)


def _stored(schema: Snapshot) -> Iterator[Relation]:
    return (each for each in schema.relations if each.kind in _STORED)


def _makes_new_ones(case: Case) -> bool:
    """Whether nobody has a version's new tables yet; what was not measured may be an old one."""
    return case.novelty is Novelty.NEW and all(
        each.shipped is not None and each.shipped.failed is None for each in case.measure.statements
    )


def _renamed(case: Case) -> dict[Place, Place]:
    """Return what tables were called before the version and are called after it."""
    found: dict[Place, Place] = {}
    for statement in case.measure.statements:
        pairs = statement.shipped.renamed if statement.shipped is not None else ()
        for old, new in pairs:
            if old.kind in _STORED:
                first = next((one for one, other in found.items() if other == _of(old)), _of(old))
                found[first] = _of(new)
    return found


def _filled(case: Case) -> set[Place]:
    return {
        _of(name)
        for statement in case.measure.statements
        if statement.shipped is not None
        for name in statement.shipped.filled
    }


def _told_of(case: Case) -> Iterator[Place]:
    sizes = case.stats.tables if case.stats is not None else {}
    for each in _stored(case.after):
        if f"{spelled(each.schema)}.{spelled(each.name)}" in sizes:
            yield _place(each)


def _reaches(change: Change, unused: set[Place]) -> bool:
    """Whether what is in use may write to other tables than before."""
    if change.kind in _HOOKS and change.action is not Action.REMOVED:
        return (change.object.schema or "", change.object.parent or "") not in unused
    return change.kind in _INDIRECT and change.action is Action.CHANGED


def _apart(case: Case, found: set[Place]) -> frozenset[Place]:
    """Return tables without those that one in use is tied to, and what is tied to these."""
    ties = [(_place(each), set(_tied(each, case))) for each in case.after.tables]
    while True:
        reached = {place for own, to in ties if own not in found for place in to} & found
        if not reached:
            return frozenset(found)
        found = found - reached


def _tied(table: Relation, case: Case) -> Iterator[Place]:
    """Yield what is used where a table is: what its foreign keys point at, and its children."""
    for key in table.foreign_keys:
        if key.references is not None:
            yield key.references.schema, key.references.table
    name = f"{spelled(table.schema)}.{spelled(table.name)}"
    yield from (_place(each) for each in case.after.tables if name in each.inherits)


def _place(table: Relation) -> Place:
    return table.schema, table.name


def _of(name: ObjectName) -> Place:
    return name.schema or "", name.name
