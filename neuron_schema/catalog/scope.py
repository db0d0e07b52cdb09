"""Finds out what a snapshot is of: schemas, catalogs, and what is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.catalog.queries import FIRST_USER_OID, SESSION, Scope
from neuron_schema.quoting import literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.catalog.rows import Batch
    from neuron_schema.history import HistoryTable


def find_scope(
    batch: Batch, version: int, history: HistoryTable, schemas: Sequence[str] | None
) -> Scope:
    """Set the session up for the transaction, and look, in one round trip.

    Args:
        batch: Runs queries.
        version: The server's ``server_version_num``.
        history: Names our own tables.
        schemas: Names of schemas; None for all.
    """
    _, *fetches = batch((SESSION, _namespaces(schemas), _CATALOGS, _foreign(history)))
    namespaces, catalogs, foreign = (fetch() for fetch in fetches)
    left_out: dict[str, set[int]] = {}
    for catalog, oid in foreign:
        left_out.setdefault(catalog, set()).add(oid)
    return Scope(
        version=version,
        schemas=dict(namespaces),
        catalogs=dict(catalogs),
        foreign={catalog: frozenset(oids) for catalog, oids in left_out.items()},
    )


_CATALOGS = f"""SELECT c.oid, c.relname FROM pg_catalog.pg_class c
WHERE c.oid < {FIRST_USER_OID} AND c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace
  AND c.relkind = 'r' AND NOT c.relisshared
  AND EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'oid')
UNION ALL SELECT 'pg_catalog.pg_subscription'::pg_catalog.regclass, 'pg_subscription'"""


def _namespaces(schemas: Sequence[str] | None) -> str:
    condition = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
    if schemas is not None:
        names = ", ".join(map(literal, schemas))
        condition += f" AND n.nspname = ANY (ARRAY[{names}]::pg_catalog.name[])"
    return f"SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace n WHERE {condition}"


def _foreign(history: HistoryTable) -> str:
    """Return a query for what is left out: catalog, OID.

    Members of extensions; the casts and functions that came with a range type; our own tables.
    Of a table also its indexes and sequences, which are no members by themselves.
    """
    own = f"c.relname IN ({literal(history.name)}, {literal(history.log_name)})"
    if history.schema is not None:
        own += f" AND n.nspname = {literal(history.schema)}"
    return f"""WITH relation AS MATERIALIZED (
  SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND {own}
  UNION SELECT d.objid FROM pg_catalog.pg_depend d
  WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
    AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass)
SELECT 'pg_class', oid FROM relation
UNION ALL SELECT 'pg_class', i.indexrelid FROM pg_catalog.pg_index i
  JOIN relation r ON r.oid = i.indrelid
UNION ALL SELECT 'pg_class', d.objid FROM relation r JOIN pg_catalog.pg_depend d
  ON d.refobjid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
UNION ALL SELECT c.relname, d.objid FROM pg_catalog.pg_depend d
  JOIN pg_catalog.pg_class c ON c.oid = d.classid
  WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
UNION ALL SELECT c.relname, d.objid FROM pg_catalog.pg_range r JOIN pg_catalog.pg_depend d
  ON d.refobjid IN (r.rngtypid, r.rngmultitypid) AND d.deptype = 'i'
    AND d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
  JOIN pg_catalog.pg_class c ON c.oid = d.classid
  WHERE r.rngtypid >= {FIRST_USER_OID} AND c.relname IN ('pg_proc', 'pg_cast')"""
