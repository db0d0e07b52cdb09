"""What interrupted operations left behind: invalid indexes, and detaches that are not finished.

PostgreSQL keeps both until somebody clears them away. An invalid index is kept up to date by every
write and serves no query.
https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neuron_schema.quoting import literal

if TYPE_CHECKING:
    from collections.abc import Iterable

_SQL = """
SELECT found.kind, found.name, found.relation, found.remedy FROM (
  SELECT 'invalid index' AS kind, n.nspname || '.' || c.relname AS name,
    t.relname::text AS relation,
    pg_catalog.format('DROP INDEX CONCURRENTLY %I.%I', n.nspname, c.relname) AS remedy
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_class t ON i.indrelid IN (t.oid, t.reltoastrelid) AND t.relkind <> 't'
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
  WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND c.relkind = 'i'
    AND tn.nspname = ANY (pg_catalog.current_schemas(false) || {schemas})
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.granted
      AND l.relation IN (t.oid, i.indrelid) AND l.mode = 'ShareUpdateExclusiveLock')
  UNION ALL
  SELECT 'pending detach', n.nspname || '.' || c.relname, t.relname::text,
    pg_catalog.format('ALTER TABLE %I.%I DETACH PARTITION %I.%I FINALIZE',
      tn.nspname, t.relname, n.nspname, c.relname)
  FROM pg_catalog.pg_inherits h
  JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid
  JOIN pg_catalog.pg_class t ON t.oid = h.inhparent
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
  WHERE h.inhdetachpending AND n.nspname = ANY (pg_catalog.current_schemas(false) || {schemas})
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.granted
      AND l.relation = h.inhparent AND l.mode = 'ShareUpdateExclusiveLock')
) found ORDER BY 1, 2
""".strip()


def leftovers_sql(schemas: Iterable[str] = ()) -> str:
    """Return a query for ``leftovers``, in the schemas of the session's search path and in others.

    An operation at work is none: its session locks the table, which every role may see, unlike what
    ``pg_stat_progress_create_index`` shows.

    Args:
        schemas: The others, those that the steps have on their search path.
    """
    names = ", ".join(map(literal, schemas))
    return _SQL.format(schemas=f"ARRAY[{names}]::pg_catalog.name[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """Something that an interrupted operation left behind.

    Attributes:
        kind: ``invalid index`` or ``pending detach``.
        name: With its schema, unquoted.
        table: The table that the index is on, or that the partition is detached from.
        remedy: SQL that clears it away.
    """

    kind: str
    name: str
    table: str
    remedy: str


def leftovers(rows: Iterable[Any]) -> tuple[Leftover, ...]:
    """Return what rows of ``leftovers_sql`` tell."""
    return tuple(
        Leftover(kind=kind, name=name, table=table, remedy=remedy)
        for kind, name, table, remedy in rows
    )
