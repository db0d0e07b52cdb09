"""The history table: its SQL, and the first look at a database. Nothing else touches it.

Reading never writes, so that it works on a standby, for a role that may only read, and before
the table exists. ``fetch`` runs one SQL text and returns its rows, whatever the connection is.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from neuron_schema.errors import (
    HistoryTableMalformed,
    HistoryTableMisplaced,
    ServerUnsupported,
    SettingsError,
)
from neuron_schema.log import SHAPE as LOG_SHAPE
from neuron_schema.model import AppliedRow, Direction, Purpose, ServerFacts
from neuron_schema.quoting import MAX_IDENTIFIER_BYTES, do_block, identifier, literal

if TYPE_CHECKING:
    from neuron_schema.model import Step

Fetch: TypeAlias = Callable[[str], Sequence[Any]]

OLDEST_SERVER = 140000
"""The oldest ``server_version_num`` supported: 14 has ``client_connection_check_interval``."""

HISTORY_MOVED = "neuron_schema_history"
"""The constraint name under which the server tells that the history is not the plan's."""

_LOG_SUFFIX = "_log"
_USUAL, _USUAL_LOG = "neuron_migrations", "neuron_migration_log"

_COLUMNS = (
    "version:character varying(10),name:character varying(255),"
    "applied_at:timestamp with time zone,checksum:character varying(64)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryTable:
    """Where the history table is.

    Attributes:
        name: Its name.
        schema: Its schema; None stands for the session's current schema.
    """

    name: str = _USUAL
    schema: str | None = None

    def __post_init__(self) -> None:
        """Refuse the one name whose log is another table's.

        Raises:
            SettingsError: it is that.
        """
        if self.name == _USUAL_LOG.removesuffix(_LOG_SUFFIX):
            raise SettingsError(
                f"history_table cannot be {self.name!r}: its log would be that of {_USUAL}",
                remedy="choose another name",
            )

    @property
    def qualified(self) -> str:
        """The quoted name, with the schema where it is known."""
        return self._in_schema(self.name)

    @property
    def log_name(self) -> str:
        """The name of the log beside it."""
        if self.name == _USUAL:
            return _USUAL_LOG
        # A name may have 63 bytes; PostgreSQL itself cuts those that it makes in the same way.
        kept = self.name.encode()[: MAX_IDENTIFIER_BYTES - len(_LOG_SUFFIX)].decode(errors="ignore")
        return kept + _LOG_SUFFIX

    @property
    def qualified_log(self) -> str:
        """The log's quoted name, with the schema where it is known."""
        return self._in_schema(self.log_name)

    def _in_schema(self, name: str) -> str:
        prefix = f"{identifier(self.schema)}." if self.schema is not None else ""
        return prefix + identifier(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at a database shows.

    Attributes:
        table: The history table with its schema.
        exists: Whether it is there.
        applied: Its rows, ordered by number.
        log_exists: Whether the log is there.
    """

    facts: ServerFacts
    table: HistoryTable
    exists: bool
    applied: tuple[AppliedRow, ...]
    log_exists: bool = False


def look(fetch: Fetch, table: HistoryTable, *, backend_pid: int | None = None) -> Look:
    """Read the server's facts and the history table, in two queries at most.

    Args:
        fetch: Runs SQL on a connection.
        table: As the settings name it.
        backend_pid: The process that libpq was told of; another one answers behind a pooler
            in transaction mode.

    Raises:
        HistoryTableMisplaced: the table is not in the schema, but in another one.
        HistoryTableMalformed: the relation is not a history table.
        ServerUnsupported: the server is older than PostgreSQL 14.
        SettingsError: no schema is given and the session has none.
    """
    row = fetch(_facts_sql(table))[0]
    facts = ServerFacts(
        version_num=row[0],
        database=row[1],
        user=row[2],
        current_schema=row[3],
        search_path=row[4],
        in_recovery=row[5],
        through_pooler=backend_pid is not None and backend_pid != row[6],
        version=row[7],
        application=row[11],
    )
    if facts.version_num < OLDEST_SERVER:
        raise ServerUnsupported(
            f"the server is PostgreSQL {facts.version_num // 10000}",
            remedy="use PostgreSQL 14 or newer",
        )
    located = _located(table, facts)
    exists = _exists(located, relkind=row[8], columns=row[9], elsewhere=row[10], given=table)
    applied = read(fetch, located) if exists else ()
    return Look(
        facts=facts,
        table=located,
        exists=exists,
        applied=applied,
        log_exists=_log_exists(located, relkind=row[12], columns=row[13]),
    )


def _facts_sql(table: HistoryTable) -> str:
    schema = literal(table.schema) if table.schema is not None else "pg_catalog.current_schema()"
    return f"""
SELECT pg_catalog.current_setting('server_version_num')::int, pg_catalog.current_database()::text,
  current_user::text, pg_catalog.current_schema()::text, pg_catalog.current_setting('search_path'),
  pg_catalog.pg_is_in_recovery(), pg_catalog.pg_backend_pid(), pg_catalog.version(),
{_relation_sql(table.name, schema)},
  (SELECT pg_catalog.string_agg(n.nspname, ', ' ORDER BY n.nspname) FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = {literal(table.name)} AND c.relkind IN ('r', 'p')),
  pg_catalog.current_setting('application_name'),
{_relation_sql(table.log_name, schema)}
""".strip()


def _relation_sql(name: str, schema: str) -> str:
    """Return two columns: a relation's kind and its columns, NULL where it is not there.

    The types without quotes, which ``quote_all_identifiers`` puts around some.
    """
    relation = f"c.relname = {literal(name)} AND n.nspname = {schema}"
    return f"""\
  (SELECT c.relkind::text FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {relation}),
  (SELECT pg_catalog.string_agg(
      a.attname || ':' || pg_catalog.replace(
        pg_catalog.format_type(a.atttypid, a.atttypmod), '"', ''), ',' ORDER BY a.attnum)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE {relation})"""


def _located(table: HistoryTable, facts: ServerFacts) -> HistoryTable:
    schema = table.schema or facts.current_schema
    if schema is None:
        raise SettingsError(
            f"the session has no current schema (search_path is {facts.search_path!r})",
            remedy="set history_schema in [tool.neuron_schema], or create the schema",
        )
    return HistoryTable(name=table.name, schema=schema)


def _exists(
    located: HistoryTable,
    *,
    relkind: str | None,
    columns: str | None,
    elsewhere: str | None,
    given: HistoryTable,
) -> bool:
    """Return whether the history table is there, and refuse what only looks like it."""
    if relkind is None:
        # A search_path that changed must not make every version run a second time.
        if elsewhere and given.schema is None:
            raise HistoryTableMisplaced(
                f"{located.name} is not in schema {located.schema}, where this session would "
                f"create it, but in {elsewhere}",
                remedy="set history_schema in [tool.neuron_schema] to the schema that is meant",
            )
        return False
    if relkind not in ("r", "p") or columns != _COLUMNS:
        raise HistoryTableMalformed(
            f"{located.schema}.{located.name} is no history table"
            + (f": its columns are {columns}" if columns != _COLUMNS else ""),
            remedy="set history_table or history_schema in [tool.neuron_schema] to another name",
        )
    return True


def _log_exists(located: HistoryTable, *, relkind: str | None, columns: str | None) -> bool:
    """Return whether the log is there, and refuse what only looks like it.

    Columns at its end may be a later release's, beside which this one goes on.
    """
    if relkind is None:
        return False
    ours = columns == LOG_SHAPE or (columns or "").startswith(f"{LOG_SHAPE},")
    if relkind not in ("r", "p") or not ours:
        raise HistoryTableMalformed(
            f"{located.schema}.{located.log_name} is no log of neuron-schema"
            + (f": its columns are {columns}" if not ours else ""),
            remedy="rename it, or set history_table in [tool.neuron_schema] to another name",
        )
    return True


def read(fetch: Fetch, table: HistoryTable) -> tuple[AppliedRow, ...]:
    """Return the rows of the history table, ordered by number.

    Raises:
        HistoryTableMalformed: a version in it is no number, or two rows have one number; or a time
            is none that Python has.
    """
    rows = fetch(
        f"SELECT version, name, {moment_sql('applied_at')}, checksum FROM {table.qualified}"
    )
    for version, *_ in rows:
        if not (version.isascii() and version.isdigit()):
            raise HistoryTableMalformed(
                f"the history table holds the version {version!r}, which is no number",
                remedy=f"look at {table.qualified}: rows are written by neuron-schema alone",
            )
    applied = [
        AppliedRow(version=version, name=name, applied_at=moment(applied_at), checksum=checksum)
        for version, name, applied_at, checksum in rows
    ]
    by_number: dict[int, AppliedRow] = {}
    for row in applied:
        twin = by_number.setdefault(row.number, row)
        if twin is not row:
            # Rolled back, it would run twice.
            raise HistoryTableMalformed(
                f"the history table holds one number twice: {twin.version!r} and {row.version!r}",
                remedy=f"delete the row of {table.qualified} that does not belong there",
            )
    return tuple(row for _, row in sorted(by_number.items()))


def moment_sql(column: str) -> str:
    """Return an expression of a time as a text, the same whatever the session's ``DateStyle`` is.

    psycopg reads a time with its zone in the style ISO alone.
    """
    return f"pg_catalog.to_json({column}) #>> '{{}}'"


def moment(text: str | None) -> dt.datetime | None:
    """Return a time that was read so.

    Raises:
        HistoryTableMalformed: it is infinite, or before the year 1.
    """
    try:
        return None if text is None else dt.datetime.fromisoformat(text)
    except ValueError:
        raise HistoryTableMalformed(
            f"the history or its log holds the time {text}",
            remedy="correct it: rows are written by neuron-schema alone",
        ) from None


def create_sql(table: HistoryTable) -> str:
    """Return the SQL that creates the history table where it is absent."""
    return (
        f"CREATE TABLE IF NOT EXISTS {table.qualified} (\n"
        "  version VARCHAR(10) PRIMARY KEY,\n"
        "  name VARCHAR(255) NOT NULL,\n"
        "  applied_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),\n"
        "  checksum VARCHAR(64)\n)"
    )


def record_sql(table: HistoryTable, step: Step) -> str:
    """Return the SQL that records a step: one row more, or exactly one row less."""
    if step.direction is Direction.UP and step.purpose is not Purpose.REPAIR:
        return _insert(table, step)
    # What finds no row is no error to PostgreSQL, and what follows it would run.
    return do_block(record_body(table, step))


def record_all_sql(table: HistoryTable, steps: Sequence[Step]) -> str:
    """Return the SQL that records several versions as applied."""
    rows = ",\n  ".join(
        f"({literal(step.version)}, {literal(step.name)}, {literal(step.checksum)})"
        for step in steps
    )
    return f"INSERT INTO {table.qualified} (version, name, checksum) VALUES\n  {rows}"


def record_body(table: HistoryTable, step: Step) -> str:
    """Return plpgsql statements that do what ``record_sql`` does."""
    if step.covers and step.direction is Direction.DOWN:
        return _delete_all(table, step)
    if step.purpose is Purpose.REPAIR:
        change = (
            f"UPDATE {table.qualified} SET checksum = {literal(step.checksum)}, "
            f"name = {literal(step.name)} WHERE version = {literal(step.version)} "
            f"AND checksum IS NOT DISTINCT FROM {_nullable(step.expected)}"
        )
    elif step.direction is Direction.UP:
        return f"  {_insert(table, step)};"
    else:
        change = f"DELETE FROM {table.qualified} WHERE version = {literal(step.version)}"
    return (
        f"  {change};\n"
        "  IF NOT FOUND THEN\n"
        f"    RAISE EXCEPTION 'version {step.version} is not applied'\n"
        f"      USING ERRCODE = '40001', CONSTRAINT = '{HISTORY_MOVED}';\n"
        "  END IF;"
    )


def kept_body(table: HistoryTable, step: Step) -> str:
    """Return plpgsql that raises unless a version's row is still there after its statements.

    One that drops the schema, and the history with it, would run again the next time.
    """
    return (
        f"  IF NOT EXISTS (SELECT 1 FROM {table.qualified} "
        f"WHERE version = {literal(step.version)}) THEN\n"
        f"    RAISE EXCEPTION 'a statement deleted version {step.version} from the history'\n"
        "      USING ERRCODE = '55000';\n"
        "  END IF;"
    )


def _delete_all(table: HistoryTable, step: Step) -> str:
    """Return plpgsql that deletes the rows that stand for a squashed version, or raises."""
    versions = [row.version for row in step.covers] + [step.version]
    listed = ", ".join(map(literal, versions))
    return (
        "  DECLARE\n    gone bigint;\n  BEGIN\n"
        f"    DELETE FROM {table.qualified} WHERE version IN ({listed});\n"
        "    GET DIAGNOSTICS gone = ROW_COUNT;\n"
        f"    IF gone <> {len(versions)} THEN\n"
        f"      RAISE EXCEPTION 'version {step.version} is not applied as {', '.join(versions)}'\n"
        f"        USING ERRCODE = '40001', CONSTRAINT = '{HISTORY_MOVED}';\n"
        "    END IF;\n"
        "  END;"
    )


def _nullable(text: str | None) -> str:
    return "NULL" if text is None else literal(text)


def _insert(table: HistoryTable, step: Step) -> str:
    return (
        f"INSERT INTO {table.qualified} (version, name, checksum) VALUES "
        f"({literal(step.version)}, {literal(step.name)}, {literal(step.checksum)})"
    )


def premise_body(table: HistoryTable, applied: Sequence[AppliedRow], *, exists: bool) -> str:
    """Return plpgsql that raises unless the history is the one that a plan was made for."""
    if not exists:
        holds = f"pg_catalog.to_regclass({literal(table.qualified)}) IS NULL"
    else:
        holds = (
            "(SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(COALESCE("
            "pg_catalog.string_agg(version || ' ' || COALESCE(checksum, ''), ',' "
            "ORDER BY version COLLATE \"C\"), ''), 'UTF8')), 'hex') "
            f"FROM {table.qualified}) = '{_digest(applied)}'"
        )
    return _unless(holds)


def succession_body(table: HistoryTable, previous: Step, *, count: int) -> str:
    """Return plpgsql that raises unless the history is as this run's step before left it.

    Cheaper than ``premise_body``, which reads every row: a run of a thousand versions would read
    half a million.

    Args:
        table: The history table.
        previous: The step that this run did before.
        count: How many rows there are to be.
    """
    present = "" if previous.direction is Direction.UP else "NOT "
    return _unless(
        f"(SELECT pg_catalog.count(*) FROM {table.qualified}) = {count} AND {present}EXISTS "
        f"(SELECT 1 FROM {table.qualified} WHERE version = {literal(previous.version)}"
        + (f" AND checksum = {literal(previous.checksum)})" if not present else ")")
    )


def _unless(holds: str) -> str:
    return (
        f"  IF NOT ({holds}) THEN\n"
        "    RAISE EXCEPTION 'the history changed since the plan was made'\n"
        f"      USING ERRCODE = '40001', CONSTRAINT = '{HISTORY_MOVED}';\n"
        "  END IF;"
    )


def _digest(applied: Sequence[AppliedRow]) -> str:
    rows = sorted((row.version, row.checksum or "") for row in applied)
    text = ",".join(f"{version} {checksum}" for version, checksum in rows)
    return hashlib.sha256(text.encode()).hexdigest()
