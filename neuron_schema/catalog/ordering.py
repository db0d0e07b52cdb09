"""Orders changes by what needs what. Pure."""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias

from neuron_schema.catalog.changes import Action
from neuron_schema.catalog.model import PART_KINDS, Kind, ObjectName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from neuron_schema.catalog.changes import Change
    from neuron_schema.catalog.model import Dependency

_RANK = {kind: rank for rank, kind in enumerate(Kind)}
_TYPED = frozenset(
    {
        Kind.TABLE,
        Kind.FOREIGN_TABLE,
        Kind.VIEW,
        Kind.MATERIALIZED_VIEW,
        Kind.COLUMN_ORDER,
        Kind.ENUM,
        Kind.COMPOSITE,
        Kind.RANGE,
        Kind.DOMAIN,
    }
)
"""Kinds that are types as well, so that no two of one schema have one name."""

_Owner: TypeAlias = tuple[str, str, str, str]
_Step: TypeAlias = tuple[bool, _Owner]
"""All that is done to one object: whether it is removed, and which it is."""


def ordered(
    changes: Iterable[Change], before: Iterable[Dependency], after: Iterable[Dependency]
) -> tuple[Change, ...]:
    """Return changes in an order in which they could be made.

    Args:
        changes: In any order.
        before: What needed what, for removals.
        after: What needs what, for the rest.
    """
    steps: defaultdict[_Step, list[Change]] = defaultdict(list)
    for change in changes:
        steps[_step(change)].append(change)
    order = _sorted(steps, _needs(steps, before, after))
    return tuple(change for step in order for change in sorted(steps[step], key=_place))


def _step(change: Change) -> _Step:
    whole = change.kind not in PART_KINDS
    return (whole and change.action is Action.REMOVED, _owner(change.object))


def _owner(name: ObjectName) -> _Owner:
    """Return which object a name, also one of a part, belongs to."""
    if name.kind in PART_KINDS:
        return ("", name.schema or "", name.parent or "", "")
    kind = "" if name.kind in _TYPED else name.kind.value
    return (kind, name.schema or "", name.name, name.arguments or name.parent or "")


def _place(change: Change) -> tuple[bool, int, str]:
    """Order the changes of one object: parts go, last made first, before others come."""
    gone = change.action is Action.REMOVED
    rank = _RANK[change.kind]
    if change.kind not in PART_KINDS and change.kind is not Kind.COLUMN_ORDER:
        rank = -1
    return (not gone, -rank if gone else rank, change.object.name)


def _needs(
    steps: Iterable[_Step], before: Iterable[Dependency], after: Iterable[Dependency]
) -> dict[_Step, set[_Step]]:
    """Return for each step the steps that have to be done before it."""
    known = set(steps)
    needs: dict[_Step, set[_Step]] = {step: set() for step in known}
    for each in before:
        gone = (True, _owner(each.needs))
        if gone in known:
            # What needed it goes first, or is first made to do without it.
            dependent = _owner(each.dependent)
            needs[gone] |= {(True, dependent), (False, dependent)} & known - {gone}
    for each in after:
        made, needed = (False, _owner(each.dependent)), (False, _owner(each.needs))
        if made in known and needed in known and made != needed:
            needs[made].add(needed)
    for removal, owner in known:
        if not removal and (True, owner) in known:
            needs[False, owner].add((True, owner))
    return needs


def _sorted(steps: Mapping[_Step, list[Change]], needs: dict[_Step, set[_Step]]) -> list[_Step]:
    """Sort topologically; of those that could come next, removals first, then by kind and name."""
    keys = {step: _key(step, changes) for step, changes in steps.items()}
    needed_by: defaultdict[_Step, list[_Step]] = defaultdict(list)
    for step, needed in needs.items():
        for each in needed:
            needed_by[each].append(step)
    waiting = {step: len(needed) for step, needed in needs.items()}
    ready = [(keys[step], step) for step, count in waiting.items() if not count]
    heapq.heapify(ready)
    order: list[_Step] = []
    while waiting:
        # In a circle nothing is ready: the first by kind and name is as good as any.
        step = heapq.heappop(ready)[1] if ready else min(waiting, key=keys.__getitem__)
        if waiting.pop(step, None) is None:
            continue
        order.append(step)
        for each in needed_by[step]:
            if each in waiting:
                waiting[each] -= 1
                if not waiting[each]:
                    heapq.heappush(ready, (keys[each], each))
    return order


def _key(step: _Step, changes: list[Change]) -> tuple[bool, int, _Owner]:
    removal, owner = step
    ranks = [
        _RANK[Kind.TABLE] if change.kind in PART_KINDS else _RANK[change.kind] for change in changes
    ]
    return (not removal, -max(ranks) if removal else min(ranks), owner)
