"""Start an empty database from ``schema.sql``: one step instead of one for each version."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuron_schema import log
from neuron_schema.errors import (
    ConnectionFailed,
    NeuronSchemaError,
    SnapshotUnusable,
    TargetError,
)
from neuron_schema.execution.reading import ask_apart, read_through
from neuron_schema.execution.step_context import StepContext
from neuron_schema.execution.steps import run_step, write_aside
from neuron_schema.execution.transaction import Script
from neuron_schema.history import create_sql, record_all_sql
from neuron_schema.locking import OPEN_BODY, RESTORE_ROLE_BODY, STILL_OPEN_BODY, Place
from neuron_schema.model import Direction, Purpose, Statement, Step
from neuron_schema.preflight.preflight import look_ahead
from neuron_schema.preflight.preflight_sql import Run, first_of
from neuron_schema.quoting import do_block, literal
from neuron_schema.schemafile.checksums import FILE, SCHEMA_FILE, Checksums, digest, parse
from neuron_schema.schemafile.text import SchemaFile
from neuron_schema.schemafile.text import parse as parse_schema
from neuron_schema.sqltext.lookup import array
from neuron_schema.sqltext.objects import needs
from neuron_schema.targets import target_number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Engine

    from neuron_schema.history import Look
    from neuron_schema.model import Migration, VersionInfo

_AGAIN = "`neuron-schema up` runs the versions; `neuron-schema snapshot` writes the file anew"
_SHOWN = 5
_PREFLIGHT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a database is to start from.

    Attributes:
        file: What ``schema.sql`` tells.
        infos: The versions that are in it.
        path: Where it is.
    """

    file: SchemaFile
    infos: tuple[VersionInfo, ...]
    path: Path


def beginning(directory: Path, infos: Sequence[VersionInfo], *, to: str | None = None) -> Beginning:
    """Return what an empty database may start from.

    Args:
        directory: Where the versions are.
        infos: All of them.
        to: The version that the database is to have in the end; None for the newest.

    Raises:
        SnapshotUnusable: there is no such file, it is not of these versions, or it does not
            hold all that they do.
        ChecksumsDiffer: ``checksums.txt`` cannot be read.
        TargetError: the file is newer than ``to``.
    """
    path = directory / SCHEMA_FILE
    text, listed = _read(directory)
    if listed.schema != digest(text):
        raise SnapshotUnusable(
            f"{SCHEMA_FILE} is not the file that {FILE} was written with",
            where=str(path),
            remedy=_AGAIN,
        )
    file = parse_schema(text, str(path))
    inside = _inside(listed, infos, path)
    reasons = [*file.obstacles, *(f"{each} is not in it" for each in file.left_out)]
    if reasons:
        raise SnapshotUnusable(
            f"a database cannot start from {SCHEMA_FILE}: {'; '.join(reasons)}",
            where=str(path),
            remedy="`neuron-schema up` runs the versions",
        )
    if to is not None and inside and target_number(to) < inside[-1].number:
        raise TargetError(
            f"{SCHEMA_FILE} is the schema after {inside[-1].label}, which is newer than {to}",
            remedy=f"neuron-schema up {to} (without --from-snapshot)",
        )
    return Beginning(file=file, infos=inside, path=path)


def _read(directory: Path) -> tuple[str, Checksums]:
    found = []
    for name in (SCHEMA_FILE, FILE):
        path = directory / name
        try:
            found.append(path.read_bytes().decode())
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SnapshotUnusable(
                f"{name} cannot be read: {reason}", where=str(path), remedy="neuron-schema snapshot"
            ) from None
    return found[0], parse(found[1], str(directory / FILE))


def _inside(listed: Checksums, infos: Sequence[VersionInfo], path: Path) -> tuple[VersionInfo, ...]:
    """Return the versions that the file holds.

    Raises:
        SnapshotUnusable: they are not the ones that are there now.
    """
    inside = tuple(info for info in infos if listed.versions.get(info.label) == info.checksum)
    found = {info.label for info in inside}
    newest = inside[-1].number if inside else 0
    wrong = [f"{label} is in it and was modified or is gone" for label in listed.versions]
    wrong = [each for label, each in zip(listed.versions, wrong, strict=True) if label not in found]
    wrong += [
        f"{info.label} is older than its newest version and not in it"
        for info in infos
        if info.label not in listed.versions and info.number < newest
    ]
    if wrong:
        raise SnapshotUnusable(
            f"{SCHEMA_FILE} is not of these versions: {'; '.join(wrong)}",
            where=str(path),
            remedy=_AGAIN,
        )
    return inside


def refuse_database(engine: Engine, look: Look, file: SchemaFile, path: Sequence[str] = ()) -> None:
    """Refuse a database that cannot start from a file.

    Args:
        engine: The database's.
        look: A look at it.
        file: What it is to start from.
        path: The schemas in which a step looks for a name; () for the session's own.

    Raises:
        SnapshotUnusable: it has a history or objects, or other names would be meant.
    """
    if look.applied:
        newest = look.applied[-1]
        raise SnapshotUnusable(
            f"the database is not empty: {newest.version}_{newest.name} is applied",
            remedy="neuron-schema up (without --from-snapshot)",
        )
    home = look.facts.current_schema
    if path:
        sql = f"SELECT ({first_of(array(path))})[1]::pg_catalog.text"
        home = read_through(engine, lambda fetch, _pid: fetch(sql), "the catalog")[0][0]
    strangers = _strangers_sql(look, home)
    rows = read_through(engine, lambda fetch, _pid: fetch(strangers), "the catalog")
    if rows:
        names = ", ".join(f"{kind} {name}" for kind, name in rows[:_SHOWN])
        more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        raise SnapshotUnusable(
            f"the database is not empty: it has {names}{more}",
            remedy="start with an empty database, or run `neuron-schema up` without "
            "--from-snapshot",
        )
    if file.schema != home:
        raise SnapshotUnusable(
            f"names without a schema are in {file.schema} in {SCHEMA_FILE}; here they would be in "
            f"{home}",
            remedy="let search_path be the same, or run `neuron-schema up` without --from-snapshot",
        )


def _strangers_sql(look: Look, home: str | None) -> str:
    """Return a query for what a version could have made: kind and name."""
    own = f"({literal(look.table.name)}, {literal(look.table.log_name)})"
    kept = f"('public', {literal(look.table.schema or 'public')}, {literal(home or 'public')})"
    user = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
    member = (
        "NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' AND d.objid = x.oid "
        "AND d.classid = 'pg_catalog.{}'::pg_catalog.regclass)"
    )
    return f"""
SELECT CASE x.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
    WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' ELSE 'table' END,
  x.oid::pg_catalog.regclass::text
FROM pg_catalog.pg_class x JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
WHERE {user} AND x.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND {member.format("pg_class")}
  AND NOT (x.relname IN {own} AND n.nspname = {literal(look.table.schema or "")})
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend o JOIN pg_catalog.pg_class t
    ON t.oid = o.refobjid WHERE o.objid = x.oid AND o.deptype IN ('a', 'i') AND t.relname IN {own})
UNION ALL
SELECT 'function', x.oid::pg_catalog.regprocedure::text
FROM pg_catalog.pg_proc x JOIN pg_catalog.pg_namespace n ON n.oid = x.pronamespace
WHERE {user} AND {member.format("pg_proc")}
UNION ALL
SELECT 'type', pg_catalog.format_type(x.oid, NULL)
FROM pg_catalog.pg_type x JOIN pg_catalog.pg_namespace n ON n.oid = x.typnamespace
WHERE {user} AND x.typtype IN ('e', 'd', 'r') AND {member.format("pg_type")}
UNION ALL
SELECT 'schema', n.nspname FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_namespace x
  ON x.oid = n.oid
WHERE {user} AND n.nspname NOT IN {kept} AND {member.format("pg_namespace")}
ORDER BY 2
""".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class StartContext(StepContext):
    """What the one step that loads a file needs.

    Attributes:
        steps: One for each version that the file holds: what is recorded.
    """

    steps: tuple[Step, ...]

    def script(self, step: Step, attempt: int) -> Script:
        """Return all of the step: the file's statements, the history and the log."""
        table = self.look.table
        create = () if self.look.exists else (create_sql(table),)
        logged: tuple[str, ...] = ()
        entries: tuple[str, ...] = ()
        if self.author is not None:
            logged = () if self.look.log_exists else (log.create_sql(table.qualified_log),)
            told = {"from": SCHEMA_FILE}
            entries = tuple(
                log.entry_sql(table.qualified_log, each, self.author, told) for each in self.steps
            )
        return Script(
            settings=self.set_session(Place.TRANSACTION, attempt),
            opening=(
                do_block(self.guard, self.premise, OPEN_BODY),
                *create,
                record_all_sql(table, self.steps),
            ),
            statements=tuple(statement.sql for statement in step.runs),
            closing=(do_block(STILL_OPEN_BODY, RESTORE_ROLE_BODY), *logged, *entries),
        )


def start(found: Beginning, migrations: Sequence[Migration], context: StartContext) -> None:
    """Load a file into an empty database and record its versions, in one transaction.

    Args:
        found: What to start from.
        migrations: Its versions with their SQL, for the log.
        context: The step's, with ``steps_of`` of the same migrations.

    Raises:
        HistoryMoved: another run was faster; nothing was done.
        NeuronSchemaError: it failed and left nothing behind but a row in the log.
    """
    step, began = loading(found, migrations[-1]), time.monotonic()
    try:
        run_step(step, context)
    except NeuronSchemaError as error:
        if context.author is not None and not isinstance(error, ConnectionFailed):
            table = context.look.table.qualified_log
            create = () if context.look.log_exists else (log.create_sql(table),)
            told = log.failure_sql(
                table,
                step,
                context.author,
                duration_ms=(time.monotonic() - began) * 1000,
                message=error.message,
                sqlstate=error.sqlstate,
            )
            write_aside(context.engine, context.look, context.settings, (*create, told))
        raise


def loading(found: Beginning, newest: VersionInfo) -> Step:
    """Return the step that loads a file."""
    return Step(
        version=newest.version,
        name=newest.name,
        description=newest.description,
        direction=Direction.UP,
        checksum=newest.checksum,
        statements=tuple(Statement(sql=sql) for sql in found.file.statements),
        path=str(found.path),
    )


def look_before(step: Step, context: StepContext, *, given_schema: bool) -> tuple[str, ...]:
    """Ask, before the first write, what is in the way of loading a file.

    Args:
        step: What ``loading`` returned.
        context: The step's.
        given_schema: Whether the settings name the history table's schema.

    Returns:
        Sentences about what is odd, and goes on.

    Raises:
        NeuronSchemaError: what is in its way, all of it.
    """
    look = context.look
    run = Run(
        up=True,
        table=look.table,
        given_schema=given_schema,
        role=context.settings.role,
        search_path=context.settings.search_path,
        schemas=(),
        needs=needs(step.runs),
        log=() if context.author is None else ("INSERT",),
    )
    # That it is empty has been seen to, by a stricter measure.
    found = look_ahead(
        lambda sql: ask_apart(context.engine, sql, timeout_s=_PREFLIGHT_S),
        run,
        look.facts,
        allow_non_empty=True,
    )
    found.check()
    return found.warnings


def steps_of(migrations: Sequence[Migration]) -> tuple[Step, ...]:
    """Return what is recorded of versions that a file holds."""
    return tuple(
        Step(
            version=each.version,
            name=each.name,
            description=each.description,
            direction=Direction.UP,
            checksum=each.checksum,
            statements=each.up_statements,
            opposite=each.down_statements,
            irreversible=each.irreversible,
            path=each.path,
            settings=each.settings,
            purpose=Purpose.BASELINE,
        )
        for each in migrations
    )
