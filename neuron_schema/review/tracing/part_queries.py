"""One query for all objects of a database that are no relations: what may vanish with another.

Left out are an extension's own, and the triggers that a partition has because its parent has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from neuron_schema.catalog import Kind
from neuron_schema.catalog.queries import FIRST_USER_OID

if TYPE_CHECKING:
    from collections.abc import Iterable

_ONLY: Final = "/* only some relations */"
_NO_OID: Final = "NULL::pg_catalog.int8"


def _select(
    catalog: str,
    kind: str,
    name: str,
    *,
    joins: str,
    condition: str,
    schema: str = "n.nspname::pg_catalog.text",
    parent: str = "NULL",
    arguments: str = "NULL",
    of: str = _NO_OID,
    refers: str = _NO_OID,
    state: str = "''",
    inherited: str = "false",
) -> str:
    """Return a query for the objects of one catalog, which stands as ``x``."""
    return f"""SELECT '{catalog}', x.oid::pg_catalog.int8, 0, {kind}, {name}::pg_catalog.text,
  {schema}, {parent}, {arguments}, {of}, {refers}, {state}, {inherited}
FROM pg_catalog.{catalog} x {joins}
WHERE x.oid >= {FIRST_USER_OID} AND {condition} AND NOT EXISTS (
  SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' AND d.objid = x.oid
    AND d.classid = 'pg_catalog.{catalog}'::pg_catalog.regclass)"""


def _of_relation(
    catalog: str,
    kind: Kind,
    name: str,
    relation: str,
    condition: str,
    *,
    refers: str = _NO_OID,
    state: str = "''",
    inherited: str = "false",
) -> str:
    return _select(
        catalog,
        f"'{kind}'",
        f"x.{name}",
        joins=f"JOIN pg_catalog.pg_class c ON c.oid = x.{relation} AND c.relpersistence <> 't' "
        f"{_ONLY} JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
        condition=condition,
        parent="c.relname::pg_catalog.text",
        of="c.oid::pg_catalog.int8",
        refers=refers,
        state=state,
        inherited=inherited,
    )


def _in_schema(catalog: str, kind: str, prefix: str, condition: str, arguments: str) -> str:
    return _select(
        catalog,
        kind,
        f"x.{prefix}name",
        joins=f"JOIN pg_catalog.pg_namespace n ON n.oid = x.{prefix}namespace "
        "AND n.nspname !~ '^pg_'",
        condition=condition,
        arguments=arguments,
    )


_COLUMNS: Final = f"""SELECT 'pg_attribute', c.oid::pg_catalog.int8, a.attnum::pg_catalog.int4,
  '{Kind.COLUMN}', a.attname::pg_catalog.text, n.nspname::pg_catalog.text,
  c.relname::pg_catalog.text, NULL, c.oid::pg_catalog.int8, {_NO_OID},
  pg_catalog.concat_ws(' ', a.atttypid, a.atttypmod, a.attcollation, a.attnotnull, a.attidentity,
    a.attgenerated, pg_catalog.md5(f.adbin::pg_catalog.text), v.convalidated), false
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
LEFT JOIN pg_catalog.pg_constraint v ON v.conrelid = a.attrelid AND v.contype = 'n'
  AND v.conkey[1] = a.attnum
WHERE c.oid >= {FIRST_USER_OID} AND c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
  {_ONLY}"""

_COMPOSITE: Final = (
    "EXISTS (SELECT FROM pg_catalog.pg_class t WHERE t.oid = x.typrelid AND t.relkind = 'c')"
)

_OF_RELATIONS: Final = "\nUNION ALL ".join(
    (
        _COLUMNS,
        _of_relation(
            "pg_constraint",
            Kind.CONSTRAINT,
            "conname",
            "conrelid",
            "x.contype IN ('c', 'f', 'p', 'u', 'x')",
            refers="NULLIF(x.confrelid, 0)::pg_catalog.int8",
            state="x.convalidated::pg_catalog.text",
            inherited="x.conparentid <> 0",
        ),
        _of_relation(
            "pg_trigger",
            Kind.TRIGGER,
            "tgname",
            "tgrelid",
            "NOT x.tgisinternal AND x.tgparentid = 0",
        ),
        _of_relation("pg_policy", Kind.POLICY, "polname", "polrelid", "true"),
        _of_relation("pg_rewrite", Kind.RULE, "rulename", "ev_class", "x.rulename <> '_RETURN'"),
    )
)

OTHER_PARTS: Final = "\nUNION ALL ".join(
    (
        _in_schema(
            "pg_type",
            f"CASE x.typtype WHEN 'e' THEN '{Kind.ENUM}' WHEN 'd' THEN '{Kind.DOMAIN}' "
            f"WHEN 'r' THEN '{Kind.RANGE}' ELSE '{Kind.COMPOSITE}' END",
            "typ",
            f"(x.typtype IN ('e', 'd', 'r') OR x.typtype = 'c' AND {_COMPOSITE})",
            "NULL",
        ),
        _in_schema(
            "pg_proc",
            f"CASE x.prokind WHEN 'p' THEN '{Kind.PROCEDURE}' "
            f"WHEN 'a' THEN '{Kind.AGGREGATE}' ELSE '{Kind.FUNCTION}' END",
            "pro",
            "true",
            "pg_catalog.pg_get_function_identity_arguments(x.oid)",
        ),
        _in_schema("pg_statistic_ext", f"'{Kind.STATISTICS}'", "stx", "true", "NULL"),
        _select(
            "pg_namespace",
            f"'{Kind.SCHEMA}'",
            "x.nspname",
            joins="",
            condition="x.nspname !~ '^pg_'",
            schema="NULL",
        ),
    )
)
"""Columns: catalog, OID, column number, kind, name, schema, parent, arguments, the OIDs of the
relation that it belongs to and of the table that it refers to, what may be altered about it,
whether it is a part of its parent's."""


def parts_of_relations(only: Iterable[int] | None = None) -> str:
    """Return a query for what belongs to relations, with the same columns.

    Args:
        only: The OIDs of those wanted; None for all.
    """
    if only is None:
        return _OF_RELATIONS
    oids = ", ".join(str(int(oid)) for oid in only) or "0"
    return _OF_RELATIONS.replace(_ONLY, f"AND c.oid IN ({oids})")
