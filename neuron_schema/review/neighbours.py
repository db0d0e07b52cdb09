"""A diagram of the tables that changed, with those that a foreign key ties to them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from neuron_schema.catalog import Kind, ObjectName
from neuron_schema.schemafile.diagram import MOST_EDGES, Diagram, mermaid

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from neuron_schema.catalog import Change, Relation, Snapshot

MOST_TABLES: Final = 40
MOST_CHARACTERS: Final = 20_000
"""More than that nobody reads in a pull request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What is drawn.

    Attributes:
        text: Mermaid text, "" for nothing.
        tables: The tables in it, in the schema's order.
        left_out: A sentence on what it leaves out, or "".
    """

    text: str = ""
    tables: tuple[Relation, ...] = ()
    left_out: str = ""


def draw(schema: Snapshot, changes: Iterable[Change]) -> Drawing:
    """Draw the tables that changed and their neighbours, as many as can be read.

    Args:
        schema: The schema afterwards.
        changes: What was done; what is no longer there is not drawn.
    """
    tables = {_key(each): each for each in schema.tables if each.partition_bound is None}
    changed = _changed(tables, changes)
    if not changed:
        return Drawing()
    beside = [key for key in _tied(tables, changed) if key not in changed]
    for chosen in _smaller([*changed, *beside][:MOST_TABLES], len(changed)):
        # In the schema's order: which of them changed does not move the others.
        shown = tuple(table for key, table in tables.items() if key in chosen)
        if sum(len(table.foreign_keys) for table in shown) > MOST_EDGES:
            continue
        for keys_only in (False, True):
            text = mermaid(Diagram(tables=shown, keys_only=keys_only))
            if len(text) <= MOST_CHARACTERS:
                return Drawing(text=text, tables=shown, left_out=_left_out(chosen, changed))
    return Drawing(left_out=_left_out((), changed))


def _key(table: Relation) -> tuple[str, str]:
    return table.schema, table.name


def _changed(
    tables: dict[tuple[str, str], Relation], changes: Iterable[Change]
) -> list[tuple[str, str]]:
    """Return the tables that a change is of, or of a part of, once each."""
    found = (_table_of(change.object) for change in changes)
    return [key for key in dict.fromkeys(found) if key in tables]


def _table_of(name: ObjectName) -> tuple[str, str]:
    return name.schema or "", name.name if name.kind is Kind.TABLE else name.parent or ""


def _tied(
    tables: dict[tuple[str, str], Relation], changed: Sequence[tuple[str, str]]
) -> Iterable[tuple[str, str]]:
    """Return the tables that changed ones point at, and those that point at changed ones."""
    for key, table in tables.items():
        targets = {
            (each.references.schema, each.references.table)
            for each in table.foreign_keys
            if each.references is not None
        }
        if key in changed:
            yield from (target for target in sorted(targets) if target in tables)
        elif targets & set(changed):
            yield key


def _smaller(keys: list[tuple[str, str]], changed: int) -> Iterable[list[tuple[str, str]]]:
    """Yield what may be drawn, the most first: all, without the neighbours, half of that, ..."""
    keys = list(dict.fromkeys(keys))
    yield keys
    keys = keys[:changed]
    while keys:
        yield keys
        keys = keys[: len(keys) // 2]


def _left_out(drawn: Sequence[tuple[str, str]], changed: Sequence[tuple[str, str]]) -> str:
    missing = sum(key not in drawn for key in changed)
    return f"The diagram leaves out {_counted(missing)} that changed." if missing else ""


def _counted(count: int) -> str:
    return "1 table" if count == 1 else f"{count} tables"
