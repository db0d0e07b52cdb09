"""Finds what may have been renamed rather than removed and added. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from neuron_schema.catalog.changes import Action
from neuron_schema.catalog.model import AnyObject, AnyPart, Column, Relation

if TYPE_CHECKING:
    from neuron_schema.catalog.changes import Change
    from neuron_schema.catalog.model import ObjectName


def with_renames(changes: list[Change]) -> list[Change]:
    """Return the changes, those of likely pairs with a hint at each other.

    A pair is something removed and something added that are of one kind and place, and alike
    in all but their names. Where there are several, the first goes with the first.
    """
    removed: defaultdict[tuple[object, ...], list[ObjectName]] = defaultdict(list)
    for change in changes:
        if change.action is Action.REMOVED:
            removed[_likeness(change.object, change.before)].append(change.object)
    if not removed:
        return changes
    pairs: dict[ObjectName, ObjectName] = {}
    for change in changes:
        if change.action is Action.ADDED and (
            alike := removed.get(_likeness(change.object, change.after))
        ):
            other = alike.pop(0)
            pairs[change.object], pairs[other] = other, change.object
    return [
        replace(change, rename=pairs[change.object]) if change.object in pairs else change
        for change in changes
    ]


def _likeness(name: ObjectName, value: object) -> tuple[object, ...]:
    """Return what two objects have in common if one may be the other under a new name."""
    place = (name.kind, name.schema, name.parent)
    if isinstance(value, Relation):
        # Its indexes and constraints keep the names that they were given under the old one.
        shape = tuple((each.name, each.type, each.not_null) for each in value.columns)
        return (*place, shape, value.definition, value.partition_key, value.partition_bound)
    if isinstance(value, Column):
        shown = (value.type, value.not_null, value.default, value.generated, value.identity)
        return (*place, *shown, value.collation)
    if isinstance(value, AnyObject | AnyPart):
        return (*place, _nameless(name.name, repr(value)))
    return place


def _nameless(name: str, text: str) -> str:
    """Return text without a name, also where a longer one holds it: ``t`` in ``t_pkey``."""
    return re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", "", text)
