"""The queries for what stands beside tables: routines, triggers, policies, and what is rarer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.catalog.queries import FIRST_USER_OID, grants

if TYPE_CHECKING:
    from neuron_schema.catalog.queries import Scope

_V15, _V18 = 150000, 180000


def routines(scope: Scope) -> str:
    """OID, schema, name, kind, owner, grants, arguments, result, language, definition, extensions.

    https://www.postgresql.org/docs/current/catalog-pg-aggregate.html
    """
    return f"""SELECT p.oid, p.pronamespace, p.proname, p.prokind,
  pg_catalog.pg_get_userbyid(p.proowner),
  {grants("p.proacl", "'f'", "p.proowner")}, pg_catalog.pg_get_function_identity_arguments(p.oid),
  pg_catalog.pg_get_function_result(p.oid), l.lanname,
  CASE WHEN p.prokind <> 'a' THEN pg_catalog.pg_get_functiondef(p.oid)
    ELSE (SELECT pg_catalog.concat_ws(', ',
      'sfunc = ' || a.aggtransfn::pg_catalog.regprocedure::text,
      'stype = ' || pg_catalog.format_type(a.aggtranstype, NULL),
      'sspace = ' || nullif(a.aggtransspace, 0)::text,
      'finalfunc = ' || nullif(a.aggfinalfn, 0)::pg_catalog.regprocedure::text,
      'finalfunc_extra = ' || nullif(a.aggfinalextra, false)::text,
      'finalfunc_modify = ' || a.aggfinalmodify::text,
      'combinefunc = ' || nullif(a.aggcombinefn, 0)::pg_catalog.regprocedure::text,
      'serialfunc = ' || nullif(a.aggserialfn, 0)::pg_catalog.regprocedure::text,
      'deserialfunc = ' || nullif(a.aggdeserialfn, 0)::pg_catalog.regprocedure::text,
      'initcond = ' || pg_catalog.quote_literal(a.agginitval),
      'msfunc = ' || nullif(a.aggmtransfn, 0)::pg_catalog.regprocedure::text,
      'minvfunc = ' || nullif(a.aggminvtransfn, 0)::pg_catalog.regprocedure::text,
      'mstype = ' || CASE WHEN a.aggmtranstype <> 0
        THEN pg_catalog.format_type(a.aggmtranstype, NULL) END,
      'msspace = ' || nullif(a.aggmtransspace, 0)::text,
      'mfinalfunc = ' || nullif(a.aggmfinalfn, 0)::pg_catalog.regprocedure::text,
      'mfinalfunc_extra = ' || nullif(a.aggmfinalextra, false)::text,
      'mfinalfunc_modify = ' || a.aggmfinalmodify::text,
      'minitcond = ' || pg_catalog.quote_literal(a.aggminitval),
      'sortop = ' || nullif(a.aggsortop, 0)::pg_catalog.regoperator::text,
      'parallel = ' || p.proparallel::text,
      'kind = ' || a.aggkind::text,
      'arguments = ' || pg_catalog.pg_get_function_arguments(p.oid))
      FROM pg_catalog.pg_aggregate a WHERE a.aggfnoid = p.oid) END,
  (SELECT pg_catalog.array_agg(x.extname ORDER BY x.extname) FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid
    WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid
      AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'x')
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
WHERE {scope.holds("pg_proc", "p.oid", "p.pronamespace")} AND p.prokind IN ('f', 'p', 'a', 'w')"""


def triggers(scope: Scope) -> str:
    """OID, relation, name, enabled, definition.

    A partition's copy of its parent's trigger is derived, unless it is enabled in another way.
    """
    return f"""SELECT g.oid, g.tgrelid, g.tgname, g.tgenabled, pg_catalog.pg_get_triggerdef(g.oid)
FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
WHERE {scope.holds("pg_class", "c.oid", "c.relnamespace")} AND {underived_trigger("g")}"""


def underived_trigger(alias: str) -> str:
    """Return the condition that a trigger is no copy of a partitioned table's, or enabled apart."""
    return (
        f"NOT {alias}.tgisinternal AND ({alias}.tgparentid = 0 OR {alias}.tgenabled <> (SELECT"
        f" p.tgenabled FROM pg_catalog.pg_trigger p WHERE p.oid = {alias}.tgparentid))"
    )


def rules(scope: Scope) -> str:
    """OID, relation, name, enabled, definition; the last is NULL for what makes a view."""
    return f"""SELECT r.oid, r.ev_class, r.rulename, r.ev_enabled,
  CASE WHEN r.rulename <> '_RETURN' THEN pg_catalog.pg_get_ruledef(r.oid) END
FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
WHERE {scope.holds("pg_class", "c.oid", "c.relnamespace")}"""


def policies(scope: Scope) -> str:
    """OID, relation, name, command, permissive, roles, the two conditions."""
    return f"""SELECT p.oid, p.polrelid, p.polname, p.polcmd, p.polpermissive,
  ARRAY(SELECT CASE WHEN r = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(r) END
    FROM pg_catalog.unnest(p.polroles) r), pg_catalog.pg_get_expr(p.polqual, p.polrelid),
  pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
WHERE {scope.holds("pg_class", "c.oid", "c.relnamespace")}"""


def statistics(scope: Scope) -> str:
    """OID, schema, name, owner, table, definition, target."""
    return f"""SELECT s.oid, s.stxnamespace, s.stxname, pg_catalog.pg_get_userbyid(s.stxowner),
  s.stxrelid::pg_catalog.regclass::text, pg_catalog.pg_get_statisticsobjdef(s.oid),
  CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget END
FROM pg_catalog.pg_statistic_ext s
WHERE {scope.holds("pg_statistic_ext", "s.oid", "s.stxnamespace")}"""


def event_triggers(scope: Scope) -> str:
    """OID, name, owner, event, enabled, tags, function."""
    return f"""SELECT e.oid, e.evtname, pg_catalog.pg_get_userbyid(e.evtowner), e.evtevent,
  e.evtenabled, e.evttags, e.evtfoid::pg_catalog.regprocedure::text
FROM pg_catalog.pg_event_trigger e
WHERE {scope.holds("pg_event_trigger", "e.oid")}"""


def publications(scope: Scope) -> str:
    """OID, name, owner, all tables, what is published, via root, generated, tables, schemas."""
    generated = "p.pubgencols" if scope.version >= _V18 else "'n'"
    said = "''"
    whole = "NULL::text[]"
    if scope.version >= _V15:
        # As pg_dump, https://www.postgresql.org/docs/current/catalog-pg-publication-rel.html
        said = """coalesce((SELECT ' (' || pg_catalog.string_agg(
        pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')'
      FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)), '')
    || coalesce(' WHERE ' || pg_catalog.pg_get_expr(r.prqual, r.prrelid), '')"""
        whole = """ARRAY(SELECT n.nspname FROM pg_catalog.pg_publication_namespace s
    JOIN pg_catalog.pg_namespace n ON n.oid = s.pnnspid WHERE s.pnpubid = p.oid)"""
    return f"""SELECT p.oid, p.pubname, pg_catalog.pg_get_userbyid(p.pubowner), p.puballtables,
  p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot, {generated},
  ARRAY(SELECT r.prrelid::pg_catalog.regclass::text || {said}
    FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid), {whole}
FROM pg_catalog.pg_publication p
WHERE {scope.holds("pg_publication", "p.oid")}"""


def default_privileges(scope: Scope) -> str:
    """OID, role, schema, kind of object, grants."""
    letter = "CASE a.defaclobjtype WHEN 'S' THEN 's' ELSE a.defaclobjtype END"
    # Those of one schema add to the defaults, from nothing; those of all schemas replace them.
    granted = grants("a.defaclacl", f'({letter})::"char"', "a.defaclrole")
    return f"""SELECT a.oid, pg_catalog.pg_get_userbyid(a.defaclrole), nullif(a.defaclnamespace, 0),
  a.defaclobjtype, {granted}
FROM pg_catalog.pg_default_acl a
WHERE a.defaclnamespace = 0 OR {scope.within("a.defaclnamespace")}"""


def comments(_: Scope) -> str:
    """Catalog, OID, column number, text; of all but what initdb made and is no schema."""
    return f"""SELECT d.classoid::pg_catalog.regclass::text, d.objoid, d.objsubid, d.description
FROM pg_catalog.pg_description d
WHERE d.objoid >= {FIRST_USER_OID} OR d.classoid IN (
  'pg_catalog.pg_namespace'::pg_catalog.regclass, 'pg_catalog.pg_extension'::pg_catalog.regclass)"""


def dependencies(_: Scope) -> str:
    """What needs what: catalog and OID of both, without schemas and what goes with its whole.

    A row or array type stands for its relation or element. A partition goes with its table, and
    needs it.
    """
    return f"""SELECT d.classid, d.objid,
  CASE WHEN coalesce(e.typrelid, t.typrelid, 0) <> 0
    THEN 'pg_catalog.pg_class'::pg_catalog.regclass ELSE d.refclassid END::pg_catalog.oid,
  coalesce(nullif(e.typrelid, 0), e.oid, nullif(t.typrelid, 0), d.refobjid)
FROM pg_catalog.pg_depend d
  LEFT JOIN pg_catalog.pg_type t ON t.oid = d.refobjid
    AND d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
  LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
WHERE (d.deptype = 'n' OR d.deptype = 'a' AND d.refobjsubid = 0 AND d.refclassid = d.classid)
  AND d.refobjid >= {FIRST_USER_OID}
  AND d.refclassid <> 'pg_catalog.pg_namespace'::pg_catalog.regclass"""
