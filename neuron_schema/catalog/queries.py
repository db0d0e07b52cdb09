"""The queries that a snapshot is read with, one statement for each catalog.

Every query names objects by OID, for ``assembly`` to join; they are faster joined there than in
SQL. What is derived from something else is left out: TOAST tables, row and array types, the
triggers behind foreign keys, and what a partition has of its parent. What an extension made is
left out through ``pg_depend``.
https://www.postgresql.org/docs/current/catalogs.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SESSION = """SELECT pg_catalog.set_config(name, value, true) FROM (VALUES
  ('search_path', ''), ('client_encoding', 'UTF8'), ('quote_all_identifiers', 'off'),
  ('standard_conforming_strings', 'on'), ('DateStyle', 'ISO, YMD'), ('IntervalStyle', 'postgres'),
  ('TimeZone', 'UTC'), ('extra_float_digits', '1'), ('bytea_output', 'hex'),
  ('lc_monetary', 'C'), ('jit', 'off'), ('max_parallel_workers_per_gather', '0')) s(name, value)"""
"""Settings, for the transaction, that PostgreSQL's rendering or its speed depend on."""

FIRST_USER_OID = 16384
"""OIDs below are given by initdb. https://www.postgresql.org/docs/current/system-catalog-initial-data.html"""

_V15, _V17, _V18 = 150000, 170000, 180000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a snapshot is to be of, found out first.

    OIDs stand in the queries as they are: PostgreSQL plans and runs them several times faster than
    joins, of which some forty queries would each have a handful.

    Attributes:
        version: The server's ``server_version_num``.
        schemas: The name of each schema that objects are read of, by OID.
        catalogs: The name of each catalog, by OID.
        foreign: For each catalog the objects that are left out: members of extensions, what a
            range type brings with it, and our own tables.
    """

    version: int
    schemas: Mapping[int, str]
    catalogs: Mapping[int, str]
    foreign: Mapping[str, frozenset[int]]

    def holds(self, catalog: str, oid: str, namespace: str | None = None) -> str:
        """Return the condition that an object is to be read.

        Args:
            catalog: Its catalog.
            oid: An expression for its OID.
            namespace: One for its schema's; None for what stands in none.
        """
        place = (
            f"{oid} >= {FIRST_USER_OID}"
            if namespace is None
            else f"{namespace} IN ({_listed(self.schemas)})"
        )
        return f"{place} AND {self.lets(catalog, oid)}"

    def lets(self, catalog: str, oid: str) -> str:
        """Return the condition that an object is not one of those left out."""
        left_out = self.foreign.get(catalog)
        return f"{oid} NOT IN ({_listed(left_out)})" if left_out else "true"

    def within(self, namespace: str) -> str:
        """Return the condition that a schema's OID is one of those."""
        return f"{namespace} IN ({_listed(self.schemas)})"


def _listed(oids: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(oids))) or "0"


def grants(acl: str, letter: str, owner: str) -> str:
    """Return an expression: what is granted and what would be by default; NULL where unsaid.

    https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-ACLITEM
    """
    return (
        f"CASE WHEN {acl} IS NOT NULL THEN pg_catalog.jsonb_build_array({_exploded(acl)}, "
        f"{_exploded(f'pg_catalog.acldefault({letter}, {owner})')}) END"
    )


def _exploded(acl: str) -> str:
    return (
        "(SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array("
        "CASE WHEN e.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(e.grantee) END,"
        " e.privilege_type, e.is_grantable, pg_catalog.pg_get_userbyid(e.grantor)))"
        f" FROM pg_catalog.aclexplode({acl}) e)"
    )


def _owner(column: str) -> str:
    return f"pg_catalog.pg_get_userbyid({column})"


def schemas(scope: Scope) -> str:
    """OID, name, owner, grants."""
    return f"""SELECT n.oid, n.nspname, {_owner("n.nspowner")},
  {grants("n.nspacl", "'n'", "n.nspowner")}
FROM pg_catalog.pg_namespace n WHERE {scope.holds("pg_namespace", "n.oid", "n.oid")}"""


def extensions(_: Scope) -> str:
    """OID, name, owner, schema, version."""
    return f"""SELECT x.oid, x.extname, {_owner("x.extowner")}, n.nspname, x.extversion
FROM pg_catalog.pg_extension x JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace"""


def relations(scope: Scope) -> str:
    """Tables and views: OID, schema, name, kind, owner, grants, and what ``Relation`` says."""
    return f"""SELECT c.oid, c.relnamespace, c.relname, c.relkind, {_owner("c.relowner")},
  {grants("c.relacl", "'r'", "c.relowner")}, c.relpersistence, a.amname,
  CASE WHEN c.reltablespace <> 0 THEN (SELECT s.spcname FROM pg_catalog.pg_tablespace s
    WHERE s.oid = c.reltablespace) END,
  c.reloptions, CASE WHEN c.reltoastrelid <> 0 THEN (SELECT t.reloptions
    FROM pg_catalog.pg_class t WHERE t.oid = c.reltoastrelid) END,
  c.relrowsecurity, c.relforcerowsecurity, c.relreplident,
  CASE WHEN c.reloftype <> 0 THEN pg_catalog.format_type(c.reloftype, NULL) END,
  CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END,
  CASE WHEN c.relispartition THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) END,
  CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END,
  CASE WHEN c.relkind = 'f' THEN (SELECT s.srvname FROM pg_catalog.pg_foreign_table f
    JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid) END,
  CASE WHEN c.relkind = 'f' THEN (SELECT f.ftoptions FROM pg_catalog.pg_foreign_table f
    WHERE f.ftrelid = c.oid) END
FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam
WHERE {scope.holds("pg_class", "c.oid", "c.relnamespace")}
  AND c.relkind IN ('r', 'p', 'f', 'v', 'm')"""


def inheritance(scope: Scope) -> str:
    """Child, its parents' names in order."""
    return f"""SELECT h.inhrelid, pg_catalog.array_agg(h.inhparent::pg_catalog.regclass::text
  ORDER BY h.inhseqno)
FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid
WHERE {scope.holds("pg_class", "c.oid", "c.relnamespace")} GROUP BY h.inhrelid"""


def columns(scope: Scope) -> str:
    """Relation, number, name, type, modifier, NOT NULL, collation, storage."""
    return f"""SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
  a.attcollation, a.attstorage
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
WHERE {scope.within("c.relnamespace")} AND a.attnum > 0 AND NOT a.attisdropped
  AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c')"""


def special_columns(scope: Scope) -> str:
    """What few columns have, after relation and number; of indexes, their statistics targets."""
    return f"""SELECT a.attrelid, a.attnum, a.attidentity, a.attgenerated, a.attcompression,
  CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END, a.attoptions, a.attfdwoptions,
  a.attislocal, a.attinhcount, {grants("a.attacl", "'c'", "c.relowner")}
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
WHERE (a.attidentity <> '' OR a.attgenerated <> '' OR a.attcompression <> ''
    OR a.attstattarget >= 0 OR a.attoptions IS NOT NULL OR a.attfdwoptions IS NOT NULL
    OR NOT a.attislocal OR a.attinhcount > 0 OR a.attacl IS NOT NULL)
  AND {scope.within("c.relnamespace")} AND a.attnum > 0 AND NOT a.attisdropped"""


def defaults(_: Scope) -> str:
    """OID, relation, column number, expression; in all schemas."""
    # Only a generated column's expression names columns, for which the relation must be opened.
    return """SELECT d.oid, d.adrelid, d.adnum, pg_catalog.pg_get_expr(d.adbin,
  CASE WHEN (d.adrelid, d.adnum) IN (SELECT a.attrelid, a.attnum FROM pg_catalog.pg_attribute a
    WHERE a.attgenerated <> '') THEN d.adrelid ELSE 0 END)
FROM pg_catalog.pg_attrdef d"""


def constraints(scope: Scope) -> str:
    """OID, table, domain, name, type, and what ``Constraint`` says; all but NOT NULL."""
    return f"""{_constraint(scope)}
WHERE {_of_constraint(scope)} AND k.contype IN ('c', 'f', 'p', 'u', 'x')
  AND NOT {derived_constraint()}"""


def not_nulls(scope: Scope) -> str:
    """As ``constraints``: those NOT NULLs of which there is more to tell than that they are."""
    enforced = "k.conenforced" if scope.version >= _V18 else "true"
    # OFFSET 0 keeps PostgreSQL from looking up each of thousands of columns by itself.
    return f"""{_constraint(scope)}
  LEFT JOIN (SELECT c.oid, c.relname FROM pg_catalog.pg_class c OFFSET 0) c ON c.oid = k.conrelid
  LEFT JOIN (SELECT a.attrelid, a.attnum, a.attname FROM pg_catalog.pg_attribute a OFFSET 0) a
    ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
WHERE {_of_constraint(scope)} AND k.contype = 'n' AND (k.conislocal AND k.conname <> coalesce(
    c.relname || '_' || a.attname, (SELECT t.typname FROM pg_catalog.pg_type t
      WHERE t.oid = k.contypid)) || '_not_null'
  OR k.connoinherit OR NOT k.convalidated OR NOT {enforced}
  OR k.oid IN (SELECT e.objoid FROM pg_catalog.pg_description e
    WHERE e.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass))"""


def _constraint(scope: Scope) -> str:
    enforced = "k.conenforced" if scope.version >= _V18 else "true"
    period = "k.conperiod" if scope.version >= _V18 else "false"
    some = "k.confdelsetcols IS NOT NULL" if scope.version >= _V15 else "false"
    return f"""SELECT k.oid, k.conrelid, k.contypid, k.conname, k.contype, k.condeferrable,
  k.condeferred, k.convalidated, {enforced}, k.connoinherit, k.conislocal, k.conindid,
  k.conkey, k.confrelid, k.confkey, k.confupdtype, k.confdeltype, k.confmatchtype,
  {period} OR {some}, k.oid NOT IN (SELECT g.tgconstraint FROM pg_catalog.pg_trigger g
    WHERE g.tgisinternal AND g.tgenabled IN ('D', 'R'))
FROM pg_catalog.pg_constraint k"""


def _of_constraint(scope: Scope) -> str:
    return (
        f"{scope.holds('pg_class', 'k.conrelid', 'k.connamespace')}"
        f" AND {scope.lets('pg_type', 'k.contypid')}"
    )


def constraint_texts(scope: Scope) -> str:
    """OID and definition of those that never have the plain form."""
    return f"""SELECT k.oid, pg_catalog.pg_get_constraintdef(k.oid)
FROM pg_catalog.pg_constraint k
WHERE {_of_constraint(scope)} AND k.contype IN ('c', 'x') AND NOT {derived_constraint()}"""


def index_texts(scope: Scope) -> str:
    """OID and definition of those that never have the plain form."""
    return f"""SELECT i.indexrelid, pg_catalog.pg_get_indexdef(i.indexrelid)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
WHERE {scope.holds("pg_class", "i.indrelid", "x.relnamespace")}
  AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)"""


def derived_constraint() -> str:
    """Return the condition that ``k`` is a partition's or child's copy of its parent's."""
    return (
        "(k.contype = 'f' AND k.conparentid <> 0"
        " OR k.contype = 'c' AND NOT k.conislocal AND k.coninhcount > 0)"
    )


def indexes(scope: Scope) -> str:
    """OID, table, name, kind, method, and what ``Index`` says."""
    distinct = "i.indnullsnotdistinct" if scope.version >= _V15 else "false"
    return f"""SELECT i.indexrelid, i.indrelid, x.relname, x.relkind, m.amname, x.reloptions,
  CASE WHEN x.reltablespace <> 0 THEN (SELECT s.spcname FROM pg_catalog.pg_tablespace s
    WHERE s.oid = x.reltablespace) END,
  i.indisunique, i.indisclustered, i.indisvalid AND i.indisready, i.indisreplident, i.indnatts,
  i.indnkeyatts, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text,
  i.indexprs IS NOT NULL OR i.indpred IS NOT NULL OR {distinct}
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  JOIN pg_catalog.pg_am m ON m.oid = x.relam
WHERE {scope.holds("pg_class", "i.indrelid", "x.relnamespace")}"""


def opclasses(_: Scope) -> str:
    """OID, qualified name, default, input type."""
    return """SELECT o.oid, pg_catalog.quote_ident(n.nspname) || '.'
  || pg_catalog.quote_ident(o.opcname), o.opcdefault, o.opcintype
FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_namespace n ON n.oid = o.opcnamespace"""


def sequences(scope: Scope) -> str:
    """OID, schema, name, owner, grants, values, the column that owns it by number, how, by name."""
    return f"""SELECT c.oid, c.relnamespace, c.relname, {_owner("c.relowner")},
  {grants("c.relacl", "'s'", "c.relowner")}, pg_catalog.format_type(s.seqtypid, NULL), s.seqstart,
  s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle, c.relpersistence,
  d.refobjid, d.refobjsubid, d.deptype, CASE WHEN d.deptype = 'a' THEN
    (SELECT d.refobjid::pg_catalog.regclass || '.' || pg_catalog.quote_ident(a.attname)
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = d.refobjid AND a.attnum = d.refobjsubid) END
FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
  LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
WHERE {scope.holds("pg_class", "c.oid", "c.relnamespace")}"""


def types(scope: Scope) -> str:
    """Enums, domains, composite and range types: OID, schema, name, kind, owner, grants, ..."""
    return f"""SELECT t.oid, t.typnamespace, t.typname, t.typtype, {_owner("t.typowner")},
  {grants("t.typacl", "'T'", "t.typowner")}, t.typrelid,
  CASE WHEN t.typtype = 'e' THEN (SELECT pg_catalog.array_agg(e.enumlabel ORDER BY e.enumsortorder)
    FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) END,
  CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END,
  t.typnotnull, CASE WHEN t.typtype = 'd' THEN
    coalesce(pg_catalog.pg_get_expr(t.typdefaultbin, 0), t.typdefault) END,
  CASE WHEN t.typcollation <> b.typcollation
    THEN t.typcollation::pg_catalog.regcollation::text END,
  pg_catalog.format_type(r.rngsubtype, NULL),
  CASE WHEN r.rngcollation <> u.typcollation
    THEN r.rngcollation::pg_catalog.regcollation::text END,
  (SELECT pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(o.opcname)
    FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_namespace s ON s.oid = o.opcnamespace
    WHERE o.oid = r.rngsubopc),
  nullif(r.rngcanonical, 0)::pg_catalog.regproc::text,
  nullif(r.rngsubdiff, 0)::pg_catalog.regproc::text,
  pg_catalog.format_type(r.rngmultitypid, NULL)
FROM pg_catalog.pg_type t
  LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
  LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
  LEFT JOIN pg_catalog.pg_type u ON u.oid = r.rngsubtype
WHERE {scope.holds("pg_type", "t.oid", "t.typnamespace")} AND t.typtype IN ('e', 'd', 'r', 'c')
  AND (t.typtype <> 'c' OR (SELECT c.relkind FROM pg_catalog.pg_class c
    WHERE c.oid = t.typrelid) = 'c')"""
