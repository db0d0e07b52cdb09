"""Tables in the order in which foreign keys let rows into them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from neuron_schema.catalog.model import spelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from neuron_schema.catalog import Constraint, Relation

_Name: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Ordered:
    """Tables in order.

    Attributes:
        tables: Each with the foreign keys that can be filled only when all rows are there.
        circles: The others: tables on a circle of foreign keys that must not be NULL, with the
            circle in words.
    """

    tables: tuple[tuple[Relation, tuple[Constraint, ...]], ...]
    circles: tuple[tuple[Relation, str], ...]


def in_order(tables: Iterable[Relation]) -> Ordered:
    """Return tables so that those come first that foreign keys point at."""
    left = {(table.schema, table.name): table for table in tables}
    done: list[tuple[Relation, tuple[Constraint, ...]]] = []
    while left:
        ready = [
            table
            for table in left.values()
            if not any(_open(table, key, left) for key in _keys(table))
        ]
        if not ready:
            # A circle: one table of it has to go first, its keys to the others NULL.
            ready = [
                table
                for table in left.values()
                if all(_may_be_null(table, key) for key in _keys(table) if _open(table, key, left))
            ][:1]
        if not ready:
            break
        for table in ready:
            later = tuple(
                key for key in _keys(table) if _open(table, key, left) or _is_own(table, key)
            )
            done.append((table, later))
        for table in ready:
            del left[table.schema, table.name]
    return Ordered(
        tables=tuple(done),
        circles=tuple((table, _circle(table, left)) for table in left.values()),
    )


def _keys(table: Relation) -> Sequence[Constraint]:
    return [key for key in table.foreign_keys if key.enforced]


def _target(key: Constraint) -> _Name:
    assert key.references is not None  # noqa: S101 - it is a foreign key
    return key.references.schema, key.references.table


def _is_own(table: Relation, key: Constraint) -> bool:
    return _target(key) == (table.schema, table.name)


def _open(table: Relation, key: Constraint, left: dict[_Name, Relation]) -> bool:
    """Whether a key points at another table that has no rows yet."""
    return _target(key) in left and not _is_own(table, key)


def _may_be_null(table: Relation, key: Constraint) -> bool:
    free = {column.name for column in table.columns if not column.not_null}
    return bool(free & set(key.columns))


def _circle(table: Relation, left: dict[_Name, Relation]) -> str:
    """Return the way along keys that must not be NULL, until it comes to a table again."""
    way = [(table.schema, table.name)]
    while True:
        here = left[way[-1]]
        following = next(
            _target(key)
            for key in _keys(here)
            if _open(here, key, left) and not _may_be_null(here, key)
        )
        way.append(following)
        if following in way[:-1]:
            return " -> ".join(".".join(map(spelled, name)) for name in way)
