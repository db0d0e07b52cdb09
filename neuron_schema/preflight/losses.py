"""How much a rollback loses, told before it is agreed to. Reads only, and never for long.

The catalog's estimate is taken for a large table, a small one is counted. What cannot be read in
time, or not by this role, is named without a number.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from neuron_schema.quoting import identifier, literal
from neuron_schema.sqltext.actions import Kind
from neuron_schema.sqltext.lookup import array, relations_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from neuron_schema.history import Fetch
    from neuron_schema.sqltext.actions import ObjectRef
    from neuron_schema.sqltext.objects import Losses

COUNT_UP_TO = 100_000
"""Rows that are counted at most, for a table of which the catalog knows nothing."""

LIMIT_S = 1.0
"""Seconds that one of the queries may take."""

_SMALL_PAGES = 1000
_ALL_COUNTS_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """A table that is there.

    Attributes:
        rows: As the catalog estimates them; None where it was never analysed.
        pages: As the catalog remembers them.
    """

    schema: str
    name: str
    rows: float | None
    pages: int

    @property
    def label(self) -> str:
        """Schema and name, as people read them."""
        return f"{self.schema}.{self.name}"


def sentences(fetch: Fetch, losses: Losses, path: Sequence[str]) -> tuple[str, ...]:
    """Return what is lost, one sentence for each table and column that is there.

    Args:
        fetch: Runs SQL in autocommit, each within ``LIMIT_S``.
        losses: What the statements take away.
        path: The schemas in which an unqualified name is looked for.
    """
    ends = time.monotonic() + _ALL_COUNTS_S
    found = list(_told(fetch, losses, path, ends))
    found += [
        f"perhaps more: what this does is not known: {text}" for text in losses.not_understood
    ]
    return tuple(found)


def _told(fetch: Fetch, losses: Losses, path: Sequence[str], ends: float) -> Iterator[str]:
    for ref in losses.dropped:
        if ref.kind is Kind.SCHEMA:
            for table in _tables_of(fetch, ref):
                yield f"table {table.label}: {_rows(fetch, table, ends)}"
    refs = [ref for ref in losses.dropped if ref.kind is not Kind.SCHEMA]
    yield from _each(fetch, refs, path, ends)
    for verb, emptied in (("all rows of", losses.emptied), ("some rows of", losses.thinned)):
        for _, table in _there(fetch, emptied, path):
            yield f"{verb} table {table.label}: it has {_rows(fetch, table, ends)}"


def _each(
    fetch: Fetch, refs: Sequence[ObjectRef], path: Sequence[str], ends: float
) -> Iterator[str]:
    for ref, table in _there(fetch, [ref.table for ref in refs], path, refs):
        if ref.kind is Kind.TABLE:
            yield f"table {table.label}: {_rows(fetch, table, ends)}"
        else:
            yield f"column {table.label}.{ref.name}: {_values(fetch, table, ref.name, ends)}"


_SIZES = """
WITH RECURSIVE tree(number, root, oid) AS (
  SELECT f.number, f.oid, f.oid FROM ({found}) f(number, oid)
  UNION SELECT t.number, t.root, h.inhrelid FROM tree t
    JOIN pg_catalog.pg_inherits h ON h.inhparent = t.oid
)
SELECT t.number, n.nspname::pg_catalog.text, r.relname::pg_catalog.text,
  pg_catalog.sum(c.reltuples) FILTER (WHERE c.relkind <> 'p')::pg_catalog.float8,
  pg_catalog.bool_or(c.reltuples < 0) FILTER (WHERE c.relkind <> 'p'),
  pg_catalog.sum(c.relpages)::pg_catalog.int8
FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid
JOIN pg_catalog.pg_class r ON r.oid = t.root
JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
WHERE r.relkind IN ('r', 'p', 'f') GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""".strip()


def _there(
    fetch: Fetch,
    tables: Sequence[ObjectRef],
    path: Sequence[str],
    refs: Sequence[ObjectRef] | None = None,
) -> list[tuple[ObjectRef, _Table]]:
    """Return those whose table is there, with it."""
    if not tables:
        return []
    found = relations_sql(tables, path=array(("pg_catalog", *path)))
    rows = fetch(_SIZES.format(found=found))
    return [((refs or tables)[number], _table(rest)) for number, *rest in rows]


def _tables_of(fetch: Fetch, schema: ObjectRef) -> list[_Table]:
    found = (
        "SELECT 0, c.oid FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE n.nspname = {literal(schema.name)} AND c.relkind IN ('r', 'p', 'f') "
        "AND NOT c.relispartition"
    )
    return [_table(rest) for _, *rest in fetch(_SIZES.format(found=found))]


def _table(row: Sequence[Any]) -> _Table:
    schema, name, rows, unknown, pages = row
    return _Table(schema=schema, name=name, rows=None if unknown else rows, pages=pages or 0)


def _rows(fetch: Fetch, table: _Table, ends: float) -> str:
    counted = _counted(fetch, table, "1", ends)
    if counted is not None:
        return _number(counted, "row")
    if table.rows is None:
        return "nobody knows how many rows: it was never analysed"
    return f"about {table.rows:,.0f} rows"


def _values(fetch: Fetch, table: _Table, column: str, ends: float) -> str:
    counted = _counted(fetch, table, identifier(column), ends)
    if counted is not None:
        return f"{_number(counted, 'row')} with a value"
    rows = _rows(fetch, table, 0)
    with contextlib.suppress(psycopg.Error):
        share = fetch(
            "SELECT s.null_frac FROM pg_catalog.pg_stats s "
            f"WHERE s.schemaname = {literal(table.schema)} AND s.tablename = {literal(table.name)} "
            f"AND s.attname = {literal(column)} ORDER BY s.inherited DESC LIMIT 1"
        )
        if share and table.rows is not None:
            return f"about {table.rows * (1 - share[0][0]):,.0f} rows with a value"
    return f"its table has {rows}"


def _counted(fetch: Fetch, table: _Table, value: str, ends: float) -> int | None:
    """Return how many rows have a value, or None where that takes too long or is not allowed."""
    if time.monotonic() > ends or (table.rows is not None and table.pages > _SMALL_PAGES):
        return None
    sql = (
        f"SELECT pg_catalog.count(x.v) FROM (SELECT {value} AS v "
        f"FROM {identifier(table.schema)}.{identifier(table.name)} LIMIT {COUNT_UP_TO + 1}) x"
    )
    with contextlib.suppress(psycopg.Error):
        row: Any = fetch(sql)[0]
        return int(row[0])
    return None


def _number(count: int, what: str) -> str:
    if count > COUNT_UP_TO:
        return f"more than {COUNT_UP_TO:,} {what}s"
    return f"{count:,} {what}{'' if count == 1 else 's'}"
