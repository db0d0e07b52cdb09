"""What tells two snapshots apart, as values with words."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from neuron_schema.catalog.model import AnyObject, AnyPart, Kind, ObjectName, plain, spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

ColumnOrder: TypeAlias = tuple[str, ...]
"""The names of the columns that both sides have, in one side's order."""

PARTS = ("columns", "constraints", "indexes", "triggers", "rules", "policies")
"""The attributes that hold parts."""


class Action(enum.StrEnum):
    """What became of an object."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One property that is not the same on both sides.

    Attributes:
        attribute: The name of the attribute of the value.
        before: What it was.
        after: What it is.
    """

    attribute: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One object that is not the same on both sides.

    A relation, domain or composite type that was added or removed is one change, with all its parts
    in the value. Where it is on both sides, each part has a change of its own, and a change of
    the relation tells of its own properties only.

    Attributes:
        object: What names it.
        action: What became of it.
        before: The value, None where it was added; for a column order the names.
        after: The value, None where it was removed.
        rename: For something added or removed: the other half of what may be a rename, as both
            are alike in all but their names. A hint: nobody can know.
    """

    object: ObjectName
    action: Action
    before: AnyObject | AnyPart | ColumnOrder | None
    after: AnyObject | AnyPart | ColumnOrder | None
    rename: ObjectName | None = None

    def __str__(self) -> str:
        return "\n".join(self._lines())

    @property
    def kind(self) -> Kind:
        """What the object is."""
        return self.object.kind

    @property
    def order_only(self) -> bool:
        """Whether only the order of a table's columns is another one."""
        return self.kind is Kind.COLUMN_ORDER

    @property
    def validated_only(self) -> bool:
        """Whether a constraint that held for new rows is now known to hold for all, no more."""
        wanted = f"{getattr(self.after, 'definition', '')} NOT VALID"
        return (
            self.kind is Kind.CONSTRAINT
            and {each.attribute for each in self.differences} == {"definition", "validated"}
            and getattr(self.before, "definition", None) == wanted
        )

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The properties that differ, where the object is on both sides."""
        if self.action is not Action.CHANGED:
            return ()
        if isinstance(self.before, tuple) or self.before is None or self.after is None:
            return (Difference(attribute="order", before=self.before, after=self.after),)
        return tuple(
            Difference(attribute=each.name, before=before, after=after)
            for each in fields(self.before)
            if each.name not in PARTS
            and (before := getattr(self.before, each.name))
            != (after := getattr(self.after, each.name))
        )

    def plain(self) -> dict[str, Any]:
        """Return what ``json.dumps`` takes."""
        return {
            "kind": str(self.kind),
            "object": str(self.object),
            "action": str(self.action),
            "before": plain(self.before),
            "after": plain(self.after),
        }

    def _lines(self) -> Iterator[str]:
        """Yield the change in words: a line, and one for each property that differs."""
        name = self.object
        what = f"{name.parent if name.kind is Kind.OTHER else name.kind} {_shown(name)}"
        yield f"{what} {self.action}" + self._hint()
        for each in self.differences:
            for attribute, before, after in _told(each.attribute, each.before, each.after):
                said = f"{_worded(before)} -> {_worded(after)}"
                yield f"  {attribute.replace('_', ' ')}: {said}"

    def _hint(self) -> str:
        if self.rename is None:
            return ""
        way = "from" if self.action is Action.ADDED else "to"
        return f" (or renamed {way} {spelled(self.rename.name)}?)"


def _shown(name: ObjectName) -> str:
    """Return a name as words: a part is told with what it is a part of."""
    if name.kind in (Kind.OTHER, Kind.DEFAULT_PRIVILEGES):
        return name.name
    if name.parent is None:
        return str(name)
    owner = ".".join(spelled(part) for part in (name.schema, name.parent) if part is not None)
    return f"{spelled(name.name)} of {owner}"


def _told(attribute: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield what differs in a property: of a value with properties of its own, each of those."""
    if not is_dataclass(before) or type(before) is not type(after):
        yield attribute, before, after
        return
    for each in fields(before):
        was, became = getattr(before, each.name), getattr(after, each.name)
        if was != became:
            yield from _told(f"{attribute} {each.name}", was, became)


def _worded(value: Any) -> str:
    """Return a property's value in words, on one line."""
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(_worded(each) for each in value)
    if is_dataclass(value):
        told = ((each.name, getattr(value, each.name)) for each in fields(value))
        return "(" + ", ".join(f"{name} {_worded(said)}" for name, said in told if said) + ")"
    return " ".join(str(value).split())
