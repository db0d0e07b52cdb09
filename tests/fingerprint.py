"""A database's catalog as a value: two databases with one fingerprint hold the same schema.

No OIDs, no physical column numbers, no statistics; user schemas only; what belongs to an
extension is represented by the extension's name and version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    import psycopg
    from sqlalchemy import Connection

Fingerprint = tuple[tuple[str, ...], ...]

#: Tables of neuron-schema itself, which no version makes.
OWN_TABLES = ("neuron_migrations", "neuron_migration_log", "neuron_migration_log_id_seq")

# {user}: a condition on a schema's name n.nspname; {own}: on a relation's name c.relname;
# {member}: the extension that an object belongs to.
_QUERIES = {
    "schema": """
        SELECT n.nspname, pg_get_userbyid(n.nspowner), n.nspacl::text
          FROM pg_namespace n WHERE {user} AND {member:pg_namespace:n}""",
    "relation": """
        SELECT n.nspname, c.relname, c.relkind::text, c.relpersistence::text, c.reloptions::text,
               (SELECT amname FROM pg_am a WHERE a.oid = c.relam), c.relrowsecurity::text,
               c.relforcerowsecurity::text, c.relreplident::text, c.relacl::text,
               pg_get_userbyid(c.relowner), pg_get_partkeydef(c.oid),
               pg_get_expr(c.relpartbound, c.oid),
               (SELECT spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace),
               (SELECT string_agg(h.inhparent::regclass::text, ',' ORDER BY h.inhseqno)
                  FROM pg_inherits h WHERE h.inhrelid = c.oid)
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE {user} AND {own} AND c.relkind NOT IN ('i', 'I', 't') AND {member:pg_class:c}""",
    "column": """
        SELECT n.nspname, c.relname, a.attname,
               row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum)::text,
               format_type(a.atttypid, a.atttypmod), a.attnotnull::text, a.attidentity::text,
               a.attgenerated::text, pg_get_expr(d.adbin, d.adrelid), a.attstorage::text,
               a.attcompression::text, a.attacl::text, a.attoptions::text, a.attislocal::text,
               coalesce(nullif(a.attstattarget, -1)::text, ''),
               (SELECT collname FROM pg_collation l WHERE l.oid = a.attcollation)
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
          LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE {user} AND {own} AND a.attnum > 0 AND NOT a.attisdropped
           AND c.relkind NOT IN ('i', 'I', 't', 'S') AND {member:pg_class:c}""",
    "constraint": """
        SELECT n.nspname, coalesce(c.relname, k.contypid::regtype::text), k.conname,
               k.contype::text, pg_get_constraintdef(k.oid), k.convalidated::text
          FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
          LEFT JOIN pg_class c ON c.oid = k.conrelid
         WHERE {user} AND (c.relname IS NULL OR {own}) AND {member:pg_constraint:k}
           AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.deptype = 'e'
                            AND e.objid IN (k.conrelid, k.contypid))""",
    "index": """
        SELECT n.nspname, c.relname, x.relname, pg_get_indexdef(i.indexrelid),
               i.indisvalid::text, i.indisready::text, i.indisclustered::text,
               i.indisreplident::text, i.indisprimary::text, x.reloptions::text
          FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
          JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE {user} AND {own} AND {member:pg_class:c}""",
    "sequence": """
        SELECT n.nspname, c.relname, format_type(s.seqtypid, NULL), s.seqstart::text,
               s.seqincrement::text, s.seqmin::text, s.seqmax::text, s.seqcache::text,
               s.seqcycle::text,
               (SELECT d.refobjid::regclass::text || '.' || a.attname FROM pg_depend d
                  JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                 WHERE d.objid = c.oid AND d.deptype IN ('a', 'i')
                   AND d.classid = 'pg_class'::regclass)
          FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE {user} AND {own} AND {member:pg_class:c}""",
    "routine": """
        SELECT n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), p.prokind::text,
               CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END, p.proacl::text,
               pg_get_userbyid(p.proowner)
          FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE {user} AND {member:pg_proc:p}""",
    "trigger": """
        SELECT n.nspname, c.relname, g.tgname, pg_get_triggerdef(g.oid), g.tgenabled::text
          FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE {user} AND {own} AND NOT g.tgisinternal AND {member:pg_trigger:g}""",
    "type": """
        SELECT n.nspname, t.typname, t.typtype::text, format_type(t.typbasetype, t.typtypmod),
               t.typnotnull::text, t.typdefault, t.typacl::text,
               (SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder)
                  FROM pg_enum e WHERE e.enumtypid = t.oid),
               (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid),
               (SELECT collname FROM pg_collation l WHERE l.oid = t.typcollation)
          FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
         WHERE {user} AND t.typtype IN ('d', 'e', 'r', 'm') AND {member:pg_type:t}""",
    "view": """
        SELECT n.nspname, c.relname, pg_get_viewdef(c.oid), c.relispopulated::text
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE {user} AND c.relkind IN ('v', 'm') AND {member:pg_class:c}""",
    "rule": """
        SELECT n.nspname, c.relname, r.rulename, pg_get_ruledef(r.oid), r.ev_enabled::text
          FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE {user} AND r.rulename <> '_RETURN' AND {member:pg_class:c}""",
    "policy": """
        SELECT n.nspname, c.relname, p.polname, p.polcmd::text, p.polpermissive::text,
               (SELECT string_agg(CASE WHEN r = 0 THEN 'public' ELSE pg_get_userbyid(r) END, ',')
                  FROM unnest(p.polroles) r),
               pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
          FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user}""",
    "statistics": """
        SELECT n.nspname, s.stxname, pg_get_statisticsobjdef(s.oid)
          FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE {user}""",
    "extension": """
        SELECT x.extname, x.extversion, n.nspname
          FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace""",
    "collation": """
        SELECT n.nspname, l.collname, l.collprovider::text, l.collcollate
          FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
         WHERE {user} AND {member:pg_collation:l}""",
    "operator": """
        SELECT n.nspname, o.oid::regoperator::text, o.oprcode::regprocedure::text
          FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
         WHERE {user} AND {member:pg_operator:o}""",
    "event trigger": """
        SELECT e.evtname, e.evtevent, e.evtenabled::text, e.evttags::text,
               e.evtfoid::regprocedure::text FROM pg_event_trigger e""",
    "publication": """
        SELECT p.pubname, p.puballtables::text,
               (SELECT string_agg(r.prrelid::regclass::text, ',' ORDER BY r.prrelid::regclass::text)
                  FROM pg_publication_rel r WHERE r.prpubid = p.oid) FROM pg_publication p""",
    "default privileges": """
        SELECT pg_get_userbyid(a.defaclrole), n.nspname, a.defaclobjtype::text, a.defaclacl::text
          FROM pg_default_acl a LEFT JOIN pg_namespace n ON n.oid = a.defaclnamespace""",
    "comment": """
        SELECT o.type, o.identity, d.description
          FROM pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) o
         WHERE d.objoid >= 16384 AND NOT EXISTS (SELECT 1 FROM pg_depend e
                WHERE e.classid = d.classoid AND e.objid = d.objoid AND e.deptype = 'e')""",
}


def fingerprint(
    connection: Connection | psycopg.Connection[Any], *, ignore: Collection[str] = OWN_TABLES
) -> Fingerprint:
    """Return the catalog of a database as sorted rows of text, each begun by its kind.

    Args:
        connection: An SQLAlchemy or psycopg connection; only read from.
        ignore: Names of relations that are left out, with all that hangs on them.
    """
    # Names are printed with their schema only when the search path is empty.
    run: Any = getattr(connection, "exec_driver_sql", connection.execute)
    before = run("SELECT current_setting('search_path')").fetchone()[0]
    run("SELECT set_config('search_path', '', false)")
    try:
        rows = [
            (kind, *("" if value is None else str(value) for value in row))
            for kind, query in _QUERIES.items()
            for row in run(_complete(query, ignore)).fetchall()
        ]
    finally:
        quoted = before.replace("'", "''")
        run(f"SELECT set_config('search_path', '{quoted}', false)")
    return tuple(sorted(rows))


def difference(left: Fingerprint, right: Fingerprint) -> list[str]:
    """Return the rows that only one of two fingerprints has, marked ``-`` and ``+``."""
    return [f"- {row}" for row in left if row not in set(right)] + [
        f"+ {row}" for row in right if row not in set(left)
    ]


def _complete(query: str, ignore: Collection[str]) -> str:
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in ignore) or "''"
    query = query.replace("{own}", f"c.relname NOT IN ({names})")
    query = query.replace(
        "{user}",
        "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'",
    )
    head, *rest = query.split("{member:")
    for part in rest:
        where, _, tail = part.partition("}")
        catalog, alias = where.split(":")
        head += (
            f"NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.classid = '{catalog}'::regclass"
            f" AND e.objid = {alias}.oid AND e.deptype = 'e')" + tail
        )
    return head
