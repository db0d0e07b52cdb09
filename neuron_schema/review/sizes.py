"""Reads from a database how large its tables are. No row of theirs is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from neuron_schema.catalog import Kind, ObjectName
from neuron_schema.quoting import literal
from neuron_schema.review.stats import Stats, TableStats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.history import Fetch, HistoryTable

_MAJOR: Final = "SELECT pg_catalog.current_setting('server_version_num')::int / 10000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How large the tables of a database are.

    Attributes:
        stats: Of those whose rows were ever counted.
        uncounted: The others, by name: nobody knows how many rows they have.
    """

    stats: Stats
    uncounted: tuple[str, ...] = ()


def read(fetch: Fetch, history: HistoryTable, schemas: Sequence[str], *, taken_on: str) -> Sizes:
    """Return how large tables and materialized views are; a partitioned table is its partitions.

    Any role may ask for it: the rows are those that VACUUM and ANALYZE counted last.

    Args:
        fetch: Runs a query.
        history: The history table; it and the log beside it are left out.
        schemas: Those whose tables are wanted; none for all but PostgreSQL's own.
        taken_on: The day, ISO 8601.
    """
    major = int(fetch(_MAJOR)[0][0])
    tables: dict[str, TableStats] = {}
    uncounted: list[str] = []
    for schema, name, rows, size in fetch(_sql(history, schemas)):
        label = str(ObjectName(kind=Kind.TABLE, schema=schema, name=name))
        if rows is None:
            uncounted.append(label)
        else:
            tables[label] = TableStats(rows=rows, bytes=size)
    return Sizes(
        stats=Stats(taken_on=taken_on, tables=tables, server_major=major),
        uncounted=tuple(sorted(uncounted)),
    )


def _sql(history: HistoryTable, schemas: Sequence[str]) -> str:
    """Return the query.

    The rows of a table without a page are known: none. ``reltuples`` of any other one that was
    never counted is -1, and that of a partitioned table itself says nothing of its partitions.
    """
    there = (
        f"n.nspname IN ({', '.join(literal(name) for name in schemas)})"
        if schemas
        else "n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'"
    )
    own = f"c.relname IN ({literal(history.name)}, {literal(history.log_name)})"
    if history.schema is not None:
        own += f" AND n.nspname = {literal(history.schema)}"
    return f"""\
SELECT n.nspname::text, c.relname::text, size.rows::bigint, size.bytes::bigint
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT
        CASE WHEN pg_catalog.bool_and(leaf.counted) IS DISTINCT FROM false
            THEN coalesce(pg_catalog.sum(leaf.rows), 0) END AS rows,
        coalesce(pg_catalog.sum(leaf.bytes), 0) AS bytes
    FROM (
        SELECT
            part.reltuples >= 0 OR pg_catalog.pg_relation_size(part.oid) = 0 AS counted,
            greatest(part.reltuples, 0)::bigint AS rows,
            pg_catalog.pg_total_relation_size(part.oid) AS bytes
        FROM pg_catalog.pg_class AS part
        WHERE part.relkind IN ('r', 'm') AND (
            part.oid = c.oid OR c.relkind = 'p' AND part.oid IN (
                SELECT relid FROM pg_catalog.pg_partition_tree(c.oid) WHERE isleaf)
        )
    ) AS leaf
) AS size
WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't'
    AND {there} AND NOT ({own})
ORDER BY 1, 2"""
