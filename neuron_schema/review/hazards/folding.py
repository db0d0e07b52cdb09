"""What was done to a partitioned table by way of its partitions, as done to the table. Pure.

A statement that names the parent locks, reads and writes its partitions one by one; a reader wants
to be told of the parent, once. So it is with tables that inherit.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from neuron_schema.catalog.model import Kind, ObjectName, Relation, spelled
from neuron_schema.review.hazards.facts import Place, place
from neuron_schema.review.measures import IndexBuild, Measure, Scan, Sought, TableLock, Written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from neuron_schema.catalog import Snapshot
    from neuron_schema.review.case import Case
    from neuron_schema.review.measures import StatementMeasure


def folded(case: Case) -> Case:
    """Return a case whose measures tell of a parent what its children went through with it."""
    families = _Families(case.before, case.after)
    if not families.parents:
        return case
    statements = tuple(_statement(each, families) for each in case.measure.statements)
    return replace(case, measure=replace(case.measure, statements=statements))


def _statement(each: StatementMeasure, families: _Families) -> StatementMeasure:
    return replace(
        each,
        shipped=each.shipped and families.fold(each.shipped),
        alone=each.alone and families.fold(each.alone),
    )


class _Families:
    """The tables that are children before a version and after it.

    Attributes:
        parents: By child, its parent.
    """

    def __init__(self, before: Snapshot, after: Snapshot) -> None:
        self._after = after
        there = {_text(each): each for each in after.tables}
        were = {(each.schema, each.name): each.inherits for each in before.tables}
        self.parents: dict[Place, Relation] = {
            (each.schema, each.name): there[each.inherits[0]]
            for each in after.tables
            if each.inherits
            and each.inherits == were.get((each.schema, each.name))
            and each.inherits[0] in there
        }

    def fold(self, measure: Measure) -> Measure:
        """Return what a statement did, a child's part as that of a parent locked as strongly."""
        held = {place(lock.table): lock.mode.strength for lock in measure.under}
        tops = {child: self._top(child, held) for child in self.parents}
        ours = {child: top for child, top in tops.items() if top is not None}
        return replace(
            measure,
            locks=tuple(_locks(measure.locks, ours)),
            held=tuple(_locks(measure.held, ours)),
            rewritten=tuple(dict.fromkeys(_as(name, ours) for name in measure.rewritten)),
            built=tuple(dict.fromkeys(self._build(one, ours) for one in measure.built)),
            scans=tuple(_scans(measure.scans, ours)),
            written=tuple(_written(measure.written, ours)),
            sought=tuple(dict.fromkeys(_sought(measure.sought, ours))),
            truncated=tuple(dict.fromkeys(_as(name, ours) for name in measure.truncated)),
        )

    def _top(self, child: Place, held: Mapping[Place, int]) -> ObjectName | None:
        """Return the highest of its parents that was locked as strongly as the child, or None."""
        found = None
        parent = self.parents.get(child)
        while parent is not None:
            name = (parent.schema, parent.name)
            if name in held and held[name] >= held.get(child, 0):
                found = ObjectName(kind=Kind.TABLE, schema=parent.schema, name=parent.name)
            parent = self.parents.get(name)
        return found

    def _build(self, one: IndexBuild, ours: Mapping[Place, ObjectName]) -> IndexBuild:
        top = ours.get(place(one.index))
        index = one.index
        while top is not None and place(index) != place(top):
            above = self._above(index)
            if above is None:
                # The parent has no such index: PostgreSQL built it for the child alone.
                return one
            index = above
        return replace(one, index=index)

    def _above(self, index: ObjectName) -> ObjectName | None:
        """Return the index of the parent that an index is a part of, or None."""
        child = self._after.relation(index.schema or "", index.parent or "")
        parent = self.parents.get(place(index))
        if child is None or parent is None:
            return None
        behind = [each.index for each in child.constraints if each.index is not None]
        for each in (*child.indexes, *behind):
            if each.name == index.name and each.parent is not None:
                for name in self._names(parent):
                    if f"{spelled(parent.schema)}.{spelled(name)}" == each.parent:
                        return replace(index, schema=parent.schema, parent=parent.name, name=name)
        return None

    def _names(self, parent: Relation) -> Iterator[str]:
        yield from (each.name for each in parent.indexes)
        yield from (each.name for each in parent.constraints if each.index is not None)


def _text(relation: Relation) -> str:
    return f"{spelled(relation.schema)}.{spelled(relation.name)}"


def _as(name: ObjectName, ours: Mapping[Place, ObjectName]) -> ObjectName:
    return ours.get(place(name), name)


def _locks(locks: Iterable[TableLock], ours: Mapping[Place, ObjectName]) -> Iterator[TableLock]:
    """Yield locks without those of children; their parent's is as strong, or was held before."""
    return (lock for lock in locks if place(lock.table) not in ours)


def _scans(scans: Iterable[Scan], ours: Mapping[Place, ObjectName]) -> Iterator[Scan]:
    found: defaultdict[ObjectName, list[Scan]] = defaultdict(list)
    for scan in scans:
        found[_as(scan.table, ours)].append(scan)
    for table, ones in found.items():
        why = "; ".join(dict.fromkeys(each.why for each in ones if each.why))
        yield Scan(table=table, times=max(each.times for each in ones), why=why)


def _sought(sought: Iterable[Sought], ours: Mapping[Place, ObjectName]) -> Iterator[Sought]:
    return (replace(each, table=_as(each.table, ours)) for each in sought)


def _written(written: Iterable[Written], ours: Mapping[Place, ObjectName]) -> Iterator[Written]:
    found: defaultdict[ObjectName, list[Written]] = defaultdict(list)
    for one in written:
        found[_as(one.table, ours)].append(one)
    for table, ones in found.items():
        yield Written(
            table=table,
            inserted=sum(each.inserted for each in ones),
            updated=sum(each.updated for each in ones),
            deleted=sum(each.deleted for each in ones),
        )
