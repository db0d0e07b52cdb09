"""Names of objects, looked up in a database's catalogs as a session with a search path would.

The catalogs are read rather than asked through ``to_regclass``, which fails for a schema that the
role may not use. https://www.postgresql.org/docs/current/catalogs.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.quoting import literal
from neuron_schema.sqltext.actions import RELATIONS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from neuron_schema.history import Fetch
    from neuron_schema.sqltext.actions import ObjectRef

SESSION_PATH = "pg_catalog.current_schemas(true)"
"""SQL for the schemas in which the session looks for a name, in order."""


def absent(
    fetch: Fetch, refs: Sequence[ObjectRef], *, path: str = SESSION_PATH
) -> tuple[ObjectRef, ...]:
    """Return the objects that a database does not have, in one query.

    An index that is not valid is none. A function is there under any arguments.

    Args:
        fetch: Runs SQL on a connection.
        refs: What ``objects.net_objects`` returns, for instance.
        path: SQL for an array of schemas, in which unqualified names are looked for.
    """
    if not refs:
        return ()
    missing = fetch(absent_sql(refs, path=path))
    return tuple(refs[number] for (number,) in missing)


def absent_sql(refs: Sequence[ObjectRef], *, path: str = SESSION_PATH) -> str:
    """Return a query for the numbers, from 0, of the objects that are not there."""
    cases = "\n".join(f"  WHEN '{kind}' THEN EXISTS ({sql})" for kind, sql in _IS_THERE.items())
    return f"""
SELECT w.number FROM {wanted_sql(refs)}
CROSS JOIN (SELECT {path} AS schemas) path
CROSS JOIN LATERAL (SELECT {_RELATION} AS oid) found
WHERE NOT CASE w.kind
{cases}
END ORDER BY 1
""".strip()


def relations_sql(refs: Sequence[ObjectRef], *, path: str = SESSION_PATH) -> str:
    """Return a query for number and oid of the relations that are there."""
    return (
        f"SELECT w.number, found.oid FROM {wanted_sql(refs)} "
        f"CROSS JOIN (SELECT {path} AS schemas) path "
        f"CROSS JOIN LATERAL (SELECT {_RELATION} AS oid) found WHERE found.oid IS NOT NULL"
    )


def wanted_sql(refs: Iterable[ObjectRef]) -> str:
    """Return objects as a table ``w`` of number, kind, schema, name and relation."""
    rows = []
    for number, ref in enumerate(refs):
        relation = ref.parent or (ref.name if ref.kind in RELATIONS else None)
        cells = (str(ref.kind), ref.schema, ref.name, relation)
        rows.append(f"({number}, {', '.join(map(_text, cells))})")
    # Without a row there is a table all the same.
    values = ", ".join(rows) or f"(-1, {', '.join([_text(None)] * 4)})"
    return f"(VALUES {values}) w(number, kind, schema, name, relation)"


def _text(value: str | None) -> str:
    return "NULL::pg_catalog.text" if value is None else f"{literal(value)}::pg_catalog.text"


def array(names: Iterable[str]) -> str:
    """Return names as an array of SQL."""
    return f"ARRAY[{', '.join(map(literal, names))}]::pg_catalog.name[]"


_HERE = "(n.nspname = w.schema OR w.schema IS NULL AND n.nspname = ANY (path.schemas))"
# The first schema of the path that has the name, whatever has it there.
_RELATION = f"""(SELECT c.oid FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = w.relation AND {_HERE}
    ORDER BY pg_catalog.array_position(path.schemas, n.nspname) LIMIT 1)"""


def _relation_of(kinds: str) -> str:
    return f"SELECT FROM pg_catalog.pg_class c WHERE c.oid = found.oid AND c.relkind IN ({kinds})"


_IS_THERE = {
    Kind.TABLE: _relation_of("'r', 'p', 'f'"),
    Kind.VIEW: _relation_of("'v', 'm'"),
    Kind.SEQUENCE: _relation_of("'S'"),
    Kind.INDEX: (
        "SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
        "WHERE c.relname = w.name AND i.indisvalid AND found.oid IN (i.indrelid, i.indexrelid)"
    ),
    Kind.COLUMN: (
        "SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = found.oid "
        "AND a.attname = w.name AND a.attnum > 0 AND NOT a.attisdropped"
    ),
    Kind.CONSTRAINT: (
        "SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = found.oid AND k.conname = w.name"
    ),
    Kind.TRIGGER: (
        "SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = found.oid AND t.tgname = w.name "
        "AND NOT t.tgisinternal"
    ),
    # Every table has a type of its name.
    Kind.TYPE: (
        "SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace "
        "LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid "
        f"WHERE t.typname = w.name AND {_HERE} AND coalesce(c.relkind, 'c') = 'c'"
    ),
    Kind.FUNCTION: (
        "SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace "
        f"WHERE p.proname = w.name AND {_HERE}"
    ),
    Kind.SCHEMA: "SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = w.name",
    Kind.EXTENSION: "SELECT FROM pg_catalog.pg_extension e WHERE e.extname = w.name",
}
