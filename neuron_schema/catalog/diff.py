"""What tells two snapshots apart. Pure: values in, values out."""

from __future__ import annotations

import functools
import operator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from neuron_schema.catalog.changes import PARTS, Action, Change
from neuron_schema.catalog.model import Kind, ObjectName, Relation, part_name
from neuron_schema.catalog.ordering import ordered
from neuron_schema.catalog.renames import with_renames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from neuron_schema.catalog.model import AnyObject, AnyPart, Column, Composite, Domain, Snapshot


def diff(before: Snapshot, after: Snapshot) -> tuple[Change, ...]:
    """Return what makes ``after`` differ from ``before``; nothing where they are equal.

    In an order in which it could be done: what is removed as soon as nothing needs it any more,
    what is added or changed once all that it needs is there. Two things that need each other have
    no such order, but always the same one.

    Columns are compared by name; another order of those that both sides have is a change of its
    own (``Change.order_only``). A column that a child or partition inherits is told of only where
    its change is not its parent's. Text is compared as it is: between servers of two majors
    (``Snapshot.server_major``) PostgreSQL may word one and the same thing in two ways.
    """
    old, new = before.by_name, after.by_name
    changes = [
        Change(object=name, action=Action.REMOVED, before=value, after=None)
        for name, value in old.items()
        if name not in new
    ]
    for name, value in new.items():
        was = old.get(name)
        if was is None:
            changes.append(Change(object=name, action=Action.ADDED, before=None, after=value))
        elif was != value:
            changes.extend(_changes(name, was, value))
    told = _without_inherited(changes, before, after)
    return ordered(with_renames(told), before.dependencies, after.dependencies)


def _changes(name: ObjectName, before: AnyObject, after: AnyObject) -> Iterator[Change]:
    """Yield what differs between two values of one name: parts, and properties of its own."""
    kind: Any = type(before)
    properties, parts = _attributes(kind)
    if properties(before) != properties(after):
        yield Change(object=name, action=Action.CHANGED, before=before, after=after)
    for each in parts:
        old, new = getattr(before, each), getattr(after, each)
        if old != new:
            yield from _part_changes(before, after, old, new)
    if "columns" in parts:
        yield from _order_change(name, before.columns, after.columns)  # type: ignore[union-attr]


@functools.cache
def _attributes(kind: type) -> tuple[Callable[[Any], tuple[Any, ...]], tuple[str, ...]]:
    """Return what gets the properties of a value, and the names of the attributes with parts."""
    names = [each.name for each in fields(kind)]
    own = [name for name in names if name not in PARTS]
    return operator.attrgetter(*own), tuple(name for name in PARTS if name in names)


def _part_changes(
    before: Any, after: Any, old: tuple[Any, ...], new: tuple[Any, ...]
) -> Iterator[Change]:
    were = {part.name: part for part in old}
    are = {part.name: part for part in new}
    for part in old:
        if part.name not in are:
            yield _part_change(before, part, None)
    for part in new:
        was = were.get(part.name)
        if was != part:
            yield _part_change(after, was, part)


def _part_change(
    owner: Relation | Domain | Composite, before: AnyPart | None, after: AnyPart | None
) -> Change:
    part = after or before
    assert part is not None  # noqa: S101 - one of them is there
    action = Action.ADDED if before is None else Action.REMOVED if after is None else Action.CHANGED
    return Change(object=part_name(part, owner), action=action, before=before, after=after)


def _order_change(
    name: ObjectName, before: tuple[Column, ...], after: tuple[Column, ...]
) -> Iterator[Change]:
    if [column.name for column in before] == [column.name for column in after]:
        return
    shared = {column.name for column in before} & {column.name for column in after}
    old = tuple(column.name for column in before if column.name in shared)
    new = tuple(column.name for column in after if column.name in shared)
    if old != new:
        order = ObjectName(kind=Kind.COLUMN_ORDER, schema=name.schema, name=name.name)
        yield Change(object=order, action=Action.CHANGED, before=old, after=new)


def _without_inherited(changes: list[Change], before: Snapshot, after: Snapshot) -> list[Change]:
    """Leave out what a change of a parent's column says already."""
    if not any(map(_is_inherited, changes)):
        return changes
    told = {_essence(change) for change in changes if change.kind is Kind.COLUMN}
    return [
        change
        for change in changes
        if not _is_inherited(change)
        or not any(
            _essence(change, schema, parent) in told
            for schema, parent in _parents(change.object, before, after)
        )
    ]


def _is_inherited(change: Change) -> bool:
    """Return whether a change is of a column that its table does not declare itself."""
    if change.kind is not Kind.COLUMN:
        return False
    return not any(getattr(side, "is_local", False) for side in (change.before, change.after))


def _parents(column: ObjectName, before: Snapshot, after: Snapshot) -> Iterator[tuple[str, str]]:
    """Yield schema and name of the parents that a column's table has on both sides."""
    sides = [side.relation(column.schema or "", column.parent or "") for side in (before, after)]
    inherits = [set(side.inherits) for side in sides if side is not None]
    for name, value in after.by_name.items():
        if inherits and isinstance(value, Relation) and all(str(name) in each for each in inherits):
            yield value.schema, value.name


def _essence(change: Change, schema: str | None = None, parent: str | None = None) -> Any:
    """Return what a parent's change and its child's have in common."""
    name = change.object
    return (
        schema or name.schema,
        parent or name.parent,
        name.name,
        change.action,
        tuple((each.attribute, repr(each.before), repr(each.after)) for each in change.differences),
    )
