"""What became of tables and columns, whatever they are called: renamed, attached or detached.

https://www.postgresql.org/docs/current/catalog-pg-attribute.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from neuron_schema.catalog.model import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import psycopg

    from neuron_schema.catalog import Snapshot

_NAMES: Final = b"""
SELECT a.attrelid::pg_catalog.int8, a.attnum::pg_catalog.int4, n.nspname::pg_catalog.text,
  c.relname::pg_catalog.text, a.attname::pg_catalog.text
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.oid >= 16384
  AND (a.attnum > 0 OR a.attname = 'tableoid') AND NOT a.attisdropped
"""


@dataclass(frozen=True, slots=True)
class State:
    """What there is at one time.

    Attributes:
        schema: All of it.
        names: By OID and column number, 0 for the table, ``schema.table.column``.
    """

    schema: Snapshot
    names: Mapping[tuple[int, int], str]


def state(connection: psycopg.Connection[Any], schema: Snapshot) -> State:
    """Return a schema with what its tables and columns are known by."""
    names = {}
    for oid, number, *parts, column in connection.execute(_NAMES).fetchall():
        called = (*parts, column) if number > 0 else parts
        names[oid, max(number, 0)] = ".".join(map(spelled, called))
    return State(schema, names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where things are that were there before.

    Attributes:
        moved: What has another name, with that name.
        taken: The names that are those of such things now.
        partitions: The tables that are partitions now.
        detached: Tables that are on their own now, with the table that they were partitions of.
    """

    moved: Mapping[str, str]
    taken: frozenset[str]
    partitions: frozenset[str]
    detached: Mapping[str, str]

    def of(self, name: str) -> str | None:
        """Return what something is called now; None where another thing has its name."""
        if name in self.moved:
            return self.moved[name]
        return None if name in self.taken else name


def whereabouts(before: State, after: State) -> Whereabouts:
    """Return what became of the tables and columns of a schema."""
    now = after.names
    moved = {name: now[key] for key, name in before.names.items() if now.get(key, name) != name}
    roots = dict(_roots(before.schema))
    parts = frozenset(dict(_roots(after.schema)))
    names = {name: moved.get(name, name) for name in roots}
    return Whereabouts(
        moved=moved,
        taken=frozenset(moved.values()),
        partitions=parts,
        detached={names[name]: root for name, root in roots.items() if names[name] not in parts},
    )


def _roots(schema: Snapshot) -> Iterator[tuple[str, str]]:
    """Yield partitions, each with the table that it is in the end a partition of."""
    parents = {
        f"{spelled(each.schema)}.{spelled(each.name)}": each.inherits[0]
        for each in schema.tables
        if each.partition_bound is not None and each.inherits
    }
    for name, parent in parents.items():
        root = parent
        while root in parents:
            root = parents[root]
        yield name, root
