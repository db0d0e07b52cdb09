"""The one query behind ``preflight``: what a run must know of a database before it writes.

It asks only for what every role may ask; what a role may not see is null. Its rows come as one text
of JSON. It is to run with nothing but ``pg_catalog`` in its search path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuron_schema.quoting import identifier, literal, names_of_path
from neuron_schema.sessions import SESSION
from neuron_schema.sqltext.lookup import array, relations_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.history import HistoryTable
    from neuron_schema.model import ServerFacts
    from neuron_schema.sqltext.objects import Needs

OLD_TRANSACTION_S = 60.0
"""Seconds after which somebody else's transaction on a target table is worth a warning."""

_SET_OPTION_SINCE = 160000
_NAMED = 5
_MANAGED_ROLES = (
    "alloydbsuperuser",
    "azure_pg_admin",
    "cloudsqlsuperuser",
    "doadmin",
    "neon_superuser",
    "rds_superuser",
    "supabase_admin",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run is to do, as far as it decides what is asked.

    Attributes:
        up: Whether it applies versions.
        table: The history table, with its schema.
        given_schema: Whether the settings name that schema.
        role: The role that steps run as; None for the session's own.
        search_path: What steps are set to.
        schemas: The managed ones; () for the one in which an unqualified name is made.
        needs: What the statements want.
        write: The privilege that its entries in the history want.
        log: Those that it wants on the log; () where it writes none.
    """

    up: bool
    table: HistoryTable
    given_schema: bool
    role: str | None
    search_path: str
    schemas: tuple[str, ...]
    needs: Needs
    write: str = "INSERT"
    log: tuple[str, ...] = ("INSERT",)

    def path(self, facts: ServerFacts) -> tuple[str, ...]:
        """Return the schemas in which a step looks for a name, in order."""
        return schemas_of_path(self.search_path, self.role or facts.user)


def schemas_of_path(search_path: str, user: str) -> tuple[str, ...]:
    """Return the schemas that a value of ``search_path`` names for a user."""
    names = names_of_path(search_path) or ()
    return tuple(user if name == "$user" else name for name in names if name)


def preflight_sql(run: Run, facts: ServerFacts, *, statistics: bool = True) -> str:
    """Return the query; its one row is one text of JSON.

    Args:
        run: What is to be done.
        facts: What the look at the server told.
        statistics: Ask for sessions, locks and settings too, rights on which may be taken away.
    """
    parts = {
        "read_only": "pg_catalog.current_setting('transaction_read_only') = 'on'",
        "encoding": "(SELECT pg_catalog.pg_encoding_to_char(d.encoding) FROM database d)",
        "role": _role(run, facts),
        "managed_service": f"EXISTS (SELECT FROM pg_roles WHERE rolname = ANY ({_MANAGED}))",
        "schemas": _schemas(run, facts),
        "history": _history(run),
        "log": _log(run),
        "twins": _twins(run, facts),
        "tables": _tables(run, facts),
        "extensions": _extensions(run),
        "hnsw": "EXISTS (SELECT FROM pg_am WHERE amname = 'hnsw')",
        "old": _old() if statistics else "NULL::json",
        "disk": _disk() if statistics else "NULL::json",
    }
    pairs = ",\n".join(f"'{key}', {sql}" for key, sql in parts.items())
    path = array(("pg_catalog", *run.path(facts)))
    who = literal(run.role) if run.role is not None else "current_user"
    return f"""
WITH RECURSIVE database AS (
  SELECT d.* FROM pg_database d WHERE d.datname = pg_catalog.current_database()
), actor AS (SELECT r.* FROM pg_roles r WHERE r.rolname = {who}
), touched AS (
  SELECT DISTINCT coalesce(i.indrelid, t.oid) AS oid
  FROM ({relations_sql(run.needs.touched, path=path)}) t
  LEFT JOIN pg_index i ON i.indexrelid = t.oid
), built AS (
  SELECT t.oid FROM ({relations_sql(run.needs.built_on, path=path)}) t
  UNION SELECT h.inhrelid FROM pg_inherits h JOIN built ON built.oid = h.inhparent
), history AS (
  SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relname = {literal(run.table.name)} AND n.nspname = {literal(run.table.schema or "")}
)
SELECT pg_catalog.json_build_object({pairs})::text
""".strip()


_MANAGED = array(_MANAGED_ROLES)


def _list(columns: str, source: str) -> str:
    return f"(SELECT pg_catalog.json_agg(pg_catalog.json_build_array({columns})) FROM {source})"


def _role(run: Run, facts: ServerFacts) -> str:
    option = "SET" if facts.version_num >= _SET_OPTION_SINCE else "MEMBER"
    member = f"pg_has_role(session_user, a.oid, '{option}')" if run.role is not None else "true"
    return (
        "(SELECT pg_catalog.json_build_object('name', a.rolname, 'superuser', a.rolsuper, "
        f"'member', {member}, 'creates', has_database_privilege(a.oid, d.oid, 'CREATE')) "
        "FROM actor a, database d)"
    )


def _schemas(run: Run, facts: ServerFacts) -> str:
    """Return SQL for name and privileges of the schemas that are there."""
    named = [run.table.schema, *run.needs.schemas, *run.path(facts)]
    names = array(dict.fromkeys(name for name in named if name))
    return _list(
        "n.nspname, has_schema_privilege(a.oid, n.oid, 'USAGE'), "
        "has_schema_privilege(a.oid, n.oid, 'CREATE')",
        f"actor a, pg_namespace n WHERE n.nspname = ANY ({names})",
    )


def _history(run: Run) -> str:
    can_read = "has_any_column_privilege(a.oid, h.oid, 'SELECT')"
    can_write = f"has_table_privilege(a.oid, h.oid, '{run.write}')"
    if run.write != "DELETE":
        can_write += f" OR has_any_column_privilege(a.oid, h.oid, '{run.write}')"
    return f"""(SELECT pg_catalog.json_build_object(
  'relkind', h.relkind, 'persistence', h.relpersistence, 'row_security', h.relrowsecurity,
  'select', {can_read}, 'write', {can_write},
  'key', (SELECT pg_catalog.string_agg(t.attname, ',') FROM pg_constraint k
    JOIN pg_attribute t ON t.attrelid = k.conrelid AND t.attnum = ANY (k.conkey)
    WHERE k.conrelid = h.oid AND k.contype = 'p' AND NOT k.condeferrable),
  'nullable', (SELECT pg_catalog.string_agg(t.attname, ', ') FROM pg_attribute t
    WHERE t.attrelid = h.oid AND t.attname IN ('version', 'name') AND NOT t.attnotnull),
  'triggers', (SELECT pg_catalog.string_agg(t.tgname, ', ') FROM pg_trigger t
    WHERE t.tgrelid = h.oid AND NOT t.tgisinternal),
  'rules', (SELECT pg_catalog.string_agg(r.rulename, ', ') FROM pg_rewrite r
    WHERE r.ev_class = h.oid),
  'relatives', (SELECT pg_catalog.string_agg(c.relname, ', ') FROM pg_inherits i
    JOIN pg_class c ON c.oid = CASE h.oid WHEN i.inhparent THEN i.inhrelid ELSE i.inhparent END
    WHERE h.oid IN (i.inhparent, i.inhrelid)))
FROM history h, actor a)"""


def _log(run: Run) -> str:
    """Return SQL for the rights on the log that are missing, null where it is not there."""
    name, schema = literal(run.table.log_name), literal(run.table.schema or "")
    missing = f"""ARRAY(SELECT w.word FROM pg_catalog.unnest({array(run.log)}) w(word)
    WHERE NOT has_table_privilege(a.oid, c.oid, w.word))"""
    return f"""(SELECT pg_catalog.to_json({missing})
  FROM actor a, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relname = {name} AND n.nspname = {schema})"""


def _twins(run: Run, facts: ServerFacts) -> str:
    """Return SQL for other schemas of the path with a table of the history table's name."""
    return _list(
        "n.nspname",
        "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.relname = {literal(run.table.name)} AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
        f"AND n.nspname = ANY ({array(run.path(facts))}) "
        f"AND n.nspname <> {literal(run.table.schema or '')}",
    )


def _tables(run: Run, facts: ServerFacts) -> str:
    """Return SQL for the first user tables, where there is no history table."""
    schemas = array(run.schemas) if run.schemas else first_of(array(run.path(facts)))
    source = user_tables_sql(run.table, schemas)
    return _list("t.schema, t.name", f"({source}) t WHERE NOT EXISTS (SELECT FROM history)")


def user_tables_sql(table: HistoryTable, schemas: str) -> str:
    """Return a query for schema and name of a few tables that no extension and no run made.

    Args:
        table: The history table.
        schemas: SQL for an array of the schemas to look in.
    """
    ours = array((table.name, table.log_name))
    return f"""
SELECT n.nspname::pg_catalog.text AS schema, c.relname::pg_catalog.text AS name
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
  AND n.nspname = ANY ({schemas}) AND c.relname <> ALL ({ours})
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
      AND d.deptype = 'e')
ORDER BY 1, 2 LIMIT {_NAMED + 1}
""".strip()


def _extensions(run: Run) -> str:
    wanted = dict(run.needs.updated) | dict(run.needs.extensions)
    if "hnsw" in run.needs.methods:
        wanted.setdefault("vector", None)
    if not wanted:
        return "NULL::json"
    rows = ", ".join(
        f"({literal(name)}, {literal(version) if version else 'NULL'}::text)"
        for name, version in wanted.items()
    )
    return _list(
        "w.name, e.extversion, v.version, v.superuser, v.trusted, a.default_version",
        f"""(VALUES {rows}) w(name, version)
    LEFT JOIN pg_extension e ON e.extname = w.name
    LEFT JOIN pg_catalog.pg_available_extensions() a ON a.name = w.name
    LEFT JOIN pg_catalog.pg_available_extension_versions() v
      ON v.name = w.name AND v.version = coalesce(w.version, a.default_version)""",
    )


def _old() -> str:
    """Return SQL for the sessions with an old transaction on a table that is to be locked."""
    return _list(
        f"{SESSION}, held.tables",
        f"""(SELECT l.pid, pg_catalog.string_agg(DISTINCT c.relname, ', ') AS tables
      FROM pg_locks l JOIN touched t ON t.oid = l.relation JOIN pg_class c ON c.oid = t.oid
      WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
        AND l.database = (SELECT d.oid FROM database d) GROUP BY l.pid) held
    JOIN pg_stat_activity a ON a.pid = held.pid
    WHERE a.backend_type IS DISTINCT FROM 'autovacuum worker'
      AND a.xact_start < pg_catalog.clock_timestamp() - interval '{OLD_TRANSACTION_S} s'""",
    )


def _disk() -> str:
    """Return SQL for where the data is, and how much of it indexes are to be built on.

    The sizes are those that the catalog remembers: to measure a table its lock must be had.
    """
    return """pg_catalog.json_build_object(
  'directory', (SELECT s.setting FROM pg_settings s WHERE s.name = 'data_directory'),
  'tablespace', (SELECT pg_catalog.pg_tablespace_location(d.dattablespace) FROM database d),
  'started', EXTRACT(epoch FROM pg_catalog.pg_postmaster_start_time()),
  'tables', (SELECT pg_catalog.string_agg(c.relname, ', ') FROM built b
    JOIN pg_class c ON c.oid = b.oid WHERE c.relpages > 0),
  'bytes', (SELECT pg_catalog.sum(greatest(c.relpages, 0)::int8
      * pg_catalog.current_setting('block_size')::int8) FROM built b
    JOIN pg_class t ON t.oid = b.oid JOIN pg_class c ON c.oid IN (t.oid, t.reltoastrelid)))"""


def qualified(schema: str, name: str) -> str:
    """Return a name as GRANT takes it."""
    return f"{identifier(schema)}.{identifier(name)}"


def managed_sql(table: HistoryTable, schemas: Sequence[str], search_path: str | None = None) -> str:
    """Return a query for user tables that a reading command asks beside its look."""
    if schemas:
        return user_tables_sql(table, array(schemas))
    if search_path is None:
        return user_tables_sql(table, "ARRAY[pg_catalog.current_schema()]")
    path = array(name for name in names_of_path(search_path) or () if name)
    return user_tables_sql(table, first_of(path))


def first_of(path: str) -> str:
    """Return SQL for an array of the first schema of a path that is there."""
    return (
        "ARRAY(SELECT n.nspname FROM pg_catalog.pg_namespace n "
        f"WHERE n.nspname = ANY ({path}) "
        f"ORDER BY pg_catalog.array_position({path}, n.nspname) LIMIT 1)"
    )
