"""The values in which is told what a statement does: objects by their names, and the deed."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.StrEnum):
    """What an object is. A view may be a materialized one, a function a procedure or aggregate."""

    TABLE = "table"
    COLUMN = "column"
    INDEX = "index"
    CONSTRAINT = "constraint"
    TYPE = "type"
    FUNCTION = "function"
    TRIGGER = "trigger"
    VIEW = "view"
    SEQUENCE = "sequence"
    SCHEMA = "schema"
    EXTENSION = "extension"


RELATIONS = frozenset({Kind.TABLE, Kind.VIEW, Kind.INDEX, Kind.SEQUENCE})
"""Those that share one space of names."""


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """An object by its name, as the catalog spells it.

    Attributes:
        schema: Its schema, or that of the table it is part of; None leaves it to the search path.
        parent: The table that a column, constraint or trigger is part of; of an index the table
            it is on, where that is known.
    """

    kind: Kind
    schema: str | None
    name: str
    parent: str | None = None

    def __str__(self) -> str:
        prefix = f"{self.schema}." if self.schema is not None else ""
        match self.kind:
            case Kind.COLUMN:
                return f"column {prefix}{self.parent}.{self.name}"
            case Kind.CONSTRAINT | Kind.TRIGGER:
                return f"{self.kind} {self.name} of {prefix}{self.parent}"
        return f"{self.kind} {prefix}{self.name}"

    @property
    def table(self) -> ObjectRef:
        """The table that it is part of, or itself."""
        return ObjectRef(Kind.TABLE, self.schema, self.parent) if self.parent else self


class Verb(enum.Enum):
    """What a statement does to an object."""

    CREATE = enum.auto()
    DROP = enum.auto()
    RENAME = enum.auto()
    EMPTY = enum.auto()
    """TRUNCATE, or DELETE without WHERE."""
    DELETE = enum.auto()
    """DELETE of some rows."""
    TOUCH = enum.auto()
    """It takes a lock that others may have to wait for."""
    BUILD = enum.auto()
    """It builds an index on it, or writes it anew."""
    UNTOLD = enum.auto()
    """It makes or drops something that has no ``Kind``; ``ref`` is None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that a statement does.

    Attributes:
        ref: To what; None for ``UNTOLD`` alone.
        becomes: The new name, for ``RENAME``.
        detail: An extension's version, a function's arguments, the method of an index that is
            built.
        cascade: What depends on it goes too.
        mentions: Names and words in the definition: what may go when one of them does.
    """

    verb: Verb
    ref: ObjectRef | None
    becomes: ObjectRef | None = None
    detail: str | None = None
    cascade: bool = False
    mentions: frozenset[str] = frozenset()


def touch(ref: ObjectRef) -> Action:
    """Return that a statement locks a relation."""
    return Action(verb=Verb.TOUCH, ref=ref)


UNTOLD = Action(verb=Verb.UNTOLD, ref=None)

TEMPORARY = "temporary"
"""The ``detail`` of what ends with its session."""
