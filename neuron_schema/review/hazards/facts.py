"""What checks ask of a case: which statement did what, under which lock, because of what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from neuron_schema.catalog.changes import Action
from neuron_schema.catalog.model import Column, Constraint, Domain, Kind, Relation, spelled
from neuron_schema.review.locks import Access, LockMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import Change, ObjectName
    from neuron_schema.catalog.model import AnyObject
    from neuron_schema.review.case import Case
    from neuron_schema.review.measures import (
        IndexBuild,
        LockTimeout,
        Measure,
        StatementMeasure,
        TableLock,
    )

Place: TypeAlias = tuple[str | None, str]
"""Schema and name of a relation."""

FEW = 1000
"""So many rows are changed in a moment: as many as a Backfill takes for its first batch."""

# What PUBLIC may do where nobody said anything.
# https://www.postgresql.org/docs/current/ddl-priv.html#PRIVILEGES-SUMMARY-TABLE
_USUAL = {
    **dict.fromkeys((Kind.FUNCTION, Kind.PROCEDURE, Kind.AGGREGATE), "EXECUTE"),
    **dict.fromkeys((Kind.ENUM, Kind.DOMAIN, Kind.COMPOSITE, Kind.RANGE), "USAGE"),
}

KEPT = frozenset((Access.READS, Access.WRITES))


@dataclass(frozen=True, slots=True)
class Ran:
    """One statement as far as it was measured.

    Attributes:
        statement: The statement.
        measure: What it did as shipped; alone where it was not reached.
    """

    statement: StatementMeasure
    measure: Measure

    @property
    def number(self) -> int:
        """The statement's number."""
        return self.statement.number


def ran(case: Case) -> Iterator[Ran]:
    """Yield the statements of which something was measured, in order."""
    for statement in case.measure.statements:
        measure = statement.shipped or statement.alone
        if measure is not None:
            yield Ran(statement, measure)


def place(name: ObjectName) -> Place:
    """Return the relation that a name is of, or is a part of."""
    return name.schema, name.parent or name.name


def same_table(one: ObjectName, other: ObjectName) -> bool:
    """Whether two names are of one relation or its parts."""
    return place(one) == place(other)


def stops(lock: TableLock | None) -> bool:
    """Whether a lock keeps others from reading or writing; nobody writes a materialized view."""
    if lock is None:
        return False
    if lock.table.kind is Kind.MATERIALIZED_VIEW:
        return Access.READS in lock.blocks
    return bool(KEPT & set(lock.blocks))


def lock_on(measure: Measure | None, table: ObjectName) -> TableLock | None:
    """Return the strongest lock on a table under which a statement ran, or None."""
    if measure is None:
        return None
    return next((each for each in measure.under if same_table(each.table, table)), None)


def taken_on(measure: Measure | None, table: ObjectName) -> TableLock | None:
    """Return the strongest lock on a table that a statement took itself, or None."""
    taken = [each for each in measure.locks if same_table(each.table, table)] if measure else []
    return max(taken, key=lambda each: each.mode.strength, default=None)


def held_since(case: Case, table: ObjectName, mode: LockMode) -> int | None:
    """Return the number of the statement that took a lock in a mode, or None."""
    for each in ran(case):
        lock = taken_on(each.measure, table)
        if lock is not None and lock.mode.strength >= mode.strength:
            return each.number
    return None


def worked_on(measure: Measure) -> tuple[ObjectName, ...]:
    """Return the tables that a statement wrote anew, read whole or built an index on."""
    found = [*measure.rewritten, *(each.table for each in measure.scans)]
    found += [each.index for each in measure.built]
    return tuple({place(each): each for each in reversed(found)}.values())


def column_changes(case: Case, table: ObjectName) -> list[Change]:
    """Return what became of a table's columns."""
    return [
        each for each in case.changes if each.kind is Kind.COLUMN and same_table(each.object, table)
    ]


def constraint_changes(case: Case, table: ObjectName) -> list[Change]:
    """Return what became of a table's constraints, and of those of domains (by their schema)."""
    return [
        each
        for each in case.changes
        if each.kind is Kind.CONSTRAINT and same_table(each.object, table)
    ]


def touched(case: Case, each: Ran, table: ObjectName, changes: list[Change]) -> list[Change]:
    """Return those changes of a table that a statement made.

    Where nobody measured which statement made which, all are the first one's that worked on it.
    """
    names = each.measure.touched
    if names is not None:
        return [change for change in changes if _is_touched(change, names)]
    first = next(
        one.number
        for one in ran(case)
        if any(same_table(table, other) for other in worked_on(one.measure)) or one is each
    )
    return changes if first == each.number else []


def _is_touched(change: Change, names: tuple[ObjectName, ...]) -> bool:
    """Whether a change is one of those; NOT NULL goes by its column."""
    if change.object in names:
        return True
    after = change.after
    return (
        isinstance(after, Constraint)
        and after.type == "not null"
        and any(
            name.kind is Kind.COLUMN and same_table(name, change.object)
            for name in names
            if name.name in after.columns
        )
    )


def added(changes: list[Change]) -> list[Column]:
    """Return the columns that are new."""
    return [
        each.after
        for each in changes
        if each.action is Action.ADDED and isinstance(each.after, Column)
    ]


def differs(change: Change, attribute: str) -> bool:
    """Whether a property is not what it was."""
    return any(each.attribute == attribute for each in change.differences)


def is_rebuilt(case: Case, one: IndexBuild) -> bool:
    """Whether an index is what it was, and was built anew; one of its name may be another one."""
    return one.rebuilt and not any(
        change.kind in (Kind.INDEX, Kind.CONSTRAINT)
        and change.object.name == one.index.name
        and same_table(change.object, one.index)
        and differs(change, "definition")
        for change in case.changes
    )


def is_new(case: Case, name: ObjectName) -> bool:
    """Whether a relation is not there before the version, or nobody uses it yet."""
    schema, own = place(name)
    return (schema or "", own) in case.unused or case.before.relation(schema or "", own) is None


def relation_after(case: Case, name: ObjectName) -> Relation | None:
    """Return a relation as the version leaves it."""
    schema, own = place(name)
    return case.after.relation(schema or "", own)


def relation_before(case: Case, name: ObjectName) -> Relation | None:
    """Return a relation as it was before the version."""
    schema, own = place(name)
    return case.before.relation(schema or "", own)


def constraint_of(case: Case, index: ObjectName) -> Constraint | None:
    """Return the constraint that an index is behind, or None."""
    relation = relation_after(case, index)
    parts = relation.constraints if relation is not None else ()
    return next((each for each in parts if each.index and each.name == index.name), None)


def all_new(case: Case, table: ObjectName, columns: tuple[str, ...]) -> bool:
    """Whether all of some columns are made by the version."""
    new = {column.name for column in added(column_changes(case, table))}
    return bool(columns) and set(columns) <= new


def domain_of(case: Case, type_: str) -> Domain | None:
    """Return the domain that a column's type is, or None."""
    for each in case.after.objects:
        if isinstance(each, Domain) and f"{spelled(each.schema)}.{spelled(each.name)}" == type_:
            return each
    return None


def set_limit(case: Case) -> int | None:
    """Return the milliseconds to which a version's ``settings`` set ``lock_timeout``, or None."""
    text = dict(case.migration.settings).get("lock_timeout")
    return int(text.removesuffix("ms")) if text is not None else None


def lock_limit(case: Case, each: Ran) -> int | None:
    """Return how many milliseconds a statement may wait for a lock; 0 for no limit.

    None where that is what the runner is told, whatever it is. A limit that the statement itself
    sets counts, where it is the longer one.
    """
    if each.statement.concurrent:
        # A limit there would leave it half-done, so the runner sets none.
        return 0
    limits = lock_timeouts(case)
    own = limits.get(each.number)
    runners = next(iter(limits.values())).before if limits else 0
    changed = {own.before, own.after} - {runners} if own is not None else set()
    if not changed:
        return set_limit(case)
    return 0 if 0 in changed else max(changed)


def lock_timeouts(case: Case) -> dict[int, LockTimeout]:
    """Return what limited the waiting for locks, by statement, in the version's transaction."""
    return {
        each.number: each.shipped.lock_timeout
        for each in case.measure.statements
        if each.shipped is not None and each.shipped.lock_timeout is not None
    }


def changes_few(measure: Measure, table: ObjectName) -> bool:
    """Whether a statement changes a table's rows and, whatever is in it, only a few of them."""
    most = [one.most for one in measure.sought if one.table == table]
    return bool(most) and all(each is not None and each <= FEW for each in most)


def own_lock(each: Ran, table: ObjectName) -> TableLock | None:
    """Return the lock on a table that a statement takes by itself, or None."""
    return taken_on(each.statement.alone, table) or taken_on(each.measure, table)


def validates(each: Ran, table: ObjectName) -> bool:
    """Whether a statement by itself would let others go on, and does so only for a held lock."""
    own = own_lock(each, table)
    return own is not None and not stops(own) and stops(lock_on(each.measure, table))


def statement_of(case: Case, name: ObjectName) -> Ran | None:
    """Return the statement that made, altered or dropped something, or None.

    Where nobody measured that, the first that kept others out of its table.
    """
    statements = list(ran(case))
    for each in statements:
        if each.measure.touched is not None and name in each.measure.touched:
            return each
    return next((each for each in statements if stops(taken_on(each.measure, name))), None)


def is_renamed(case: Case, change: Change) -> bool:
    """Whether something removed is there under another name, with what it held.

    Where nobody measured that, what looks like it is taken for it.
    """
    statements = list(ran(case))
    if all(each.measure.touched is None for each in statements):
        return change.rename is not None
    return any(change.object == old for each in statements for old, _ in each.measure.renamed)


def new_name(case: Case, change: Change) -> ObjectName | None:
    """Return what something is called that was renamed."""
    pairs = {old: new for each in ran(case) for old, new in each.measure.renamed}
    return pairs.get(change.object, change.rename)


def taken(name: ObjectName, was: AnyObject, is_: AnyObject) -> list[tuple[str, str]]:
    """Return role and privilege of those that might use an object, and may no more.

    Args:
        name: What the first is called: of its kind PUBLIC may do something unless it is said.
        was: The object.
        is_: It, or what stands for it.
    """
    left = _given(name, is_)
    return [each for each in _given(name, was) if each not in left and each[0] != was.owner]


def _given(name: ObjectName, value: AnyObject) -> list[tuple[str, str]]:
    if value.privileges is None:
        return [("", _USUAL[name.kind])] if name.kind in _USUAL else []
    return [(each.grantee, each.privilege) for each in value.privileges]
