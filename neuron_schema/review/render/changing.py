"""Changes in words, and which tables and columns are not as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.catalog.changes import Action
from neuron_schema.catalog.model import PART_KINDS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from neuron_schema.catalog import Change

_TABLES = (Kind.TABLE, Kind.FOREIGN_TABLE)


def change_words(change: Change) -> str:
    """Return a change on one line."""
    first, *rest = str(change).split("\n")
    return f"{first}: {'; '.join(each.strip() for each in rest)}" if rest else first


def changed_tables(changes: Iterable[Change]) -> frozenset[tuple[str, str]]:
    """Return the tables ``(schema, name)`` that changes are of, or of parts of them."""
    return frozenset(_tables(changes))


def _tables(changes: Iterable[Change]) -> Iterator[tuple[str, str]]:
    for change in changes:
        name = change.object
        if name.kind in _TABLES:
            yield name.schema or "", name.name
        elif name.kind in (*PART_KINDS, Kind.COLUMN_ORDER) and name.parent is not None:
            yield name.schema or "", name.parent


def new_tables(changes: Iterable[Change]) -> frozenset[tuple[str, str]]:
    """Return the tables ``(schema, name)`` that were not there before."""
    return frozenset(
        (change.object.schema or "", change.object.name)
        for change in changes
        if change.object.kind in _TABLES and change.action is Action.ADDED
    )


def changed_columns(changes: Iterable[Change]) -> frozenset[tuple[str, str, str]]:
    """Return the columns ``(schema, table, column)`` of older tables that are not as they were."""
    return frozenset(_columns(changes))


def _columns(changes: Iterable[Change]) -> Iterator[tuple[str, str, str]]:
    for change in changes:
        name = change.object
        if name.kind is Kind.COLUMN and name.parent is not None:
            yield name.schema or "", name.parent, name.name
