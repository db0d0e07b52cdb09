"""The log: what was run, by whom, and how it ended. Rows are added and never altered.

The history table tells what is applied now; the log tells how that came about. A step writes its
row in its own transaction, so that no row tells of something that was rolled back; a failure is
written afterwards, in a transaction of its own.
"""

from __future__ import annotations

import functools
import json
import socket
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neuron_schema.model import BackfillSpec, Direction, Outcome, OwnCommit
from neuron_schema.quoting import literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from neuron_schema.model import Statement, Step

TRANSACTION = "transaction"
"""The kind of a step that is one transaction; any other kind is the operation's name."""

BATCH = "batch"
"""The outcome that the row of a backfill's batch tells; the step's own row comes after the last."""

_COLUMNS = (
    ("id", "bigint", "GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    ("run_id", "uuid", "NOT NULL"),
    ("version", "character varying(10)", "NOT NULL"),
    ("name", "character varying(255)", "NOT NULL"),
    ("direction", "character varying(4)", "NOT NULL"),
    ("kind", "text", "NOT NULL"),
    ("outcome", "text", "NOT NULL"),
    ("started_at", "timestamp with time zone", "NOT NULL"),
    ("duration_ms", "double precision", "NOT NULL"),
    ("database_user", "text", "NOT NULL DEFAULT SESSION_USER"),
    ("host", "text", ""),
    ("application", "text", ""),
    ("tool_version", "text", ""),
    ("checksum", "character varying(64)", ""),
    ("sqlstate", "character varying(5)", ""),
    ("message", "text", ""),
    ("up", "text[]", ""),
    ("down", "text[]", ""),
    ("irreversible", "text", ""),
    ("down_operation", "json", ""),
    ("attempt", "integer", ""),
    ("n", "integer", ""),
    ("progress", "json", ""),
)

SHAPE = ",".join(f"{name}:{kind}" for name, kind, _ in _COLUMNS)
"""Names and types as the catalog tells them of a log that is ours."""


def create_sql(table: str) -> str:
    """Return the SQL that creates the log where it is absent.

    Args:
        table: Its quoted name.
    """
    columns = ",\n".join(f"  {' '.join(column).rstrip()}" for column in _COLUMNS)
    return (
        f"CREATE TABLE IF NOT EXISTS {table} (\n{columns},\n"
        "  UNIQUE (version, direction, attempt, n)\n)"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who runs, as the log tells it.

    Attributes:
        run_id: Rows of one run share it.
        host: The machine that the run is on.
        application: What the session's client calls itself.
    """

    run_id: str
    host: str
    application: str
    tool_version: str


def author(application: str) -> Author:
    """Return who is about to run."""
    return Author(
        run_id=str(uuid.uuid4()),
        host=socket.gethostname(),
        application=application,
        tool_version=_tool_version(),
    )


@functools.cache
def _tool_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("neuron-schema")
    except PackageNotFoundError:  # the sources alone, without an installation
        return "unknown"


def entry_sql(
    table: str,
    step: Step,
    by: Author,
    progress: Mapping[str, object] | None = None,
    attempt: int | None = None,
) -> str:
    """Return the INSERT that tells of a step, for the end of the transaction that it tells of.

    Args:
        table: The log's quoted name.
        step: What is done.
        by: Who does it.
        progress: What a backfill tells of itself.
        attempt: Which of a backfill's attempts this ends.
    """
    values = _values(step, by, step.outcome)
    values |= {
        "started_at": "pg_catalog.transaction_timestamp()",
        "duration_ms": "EXTRACT(epoch FROM pg_catalog.clock_timestamp() "
        "- pg_catalog.transaction_timestamp()) * 1000",
    }
    if progress is not None:
        values["progress"] = literal(json.dumps(progress))
    if attempt is not None:
        values["attempt"] = str(attempt)
    return _insert(table, values)


def batch_sql(table: str, step: Step, by: Author, *, attempt: int, n: int, progress: str) -> str:
    """Return the INSERT that tells of a backfill's batch, up to its SELECT's FROM.

    Version, direction, attempt and n are unique: of two runs that would do one batch, one fails.

    Args:
        table: The log's quoted name.
        step: The backfill.
        by: Who runs it.
        attempt: Which of its attempts.
        n: Which of the attempt's batches, from 1.
        progress: An SQL expression of the type json.
    """
    values = _identity(step, by, BATCH) | {
        "started_at": "pg_catalog.transaction_timestamp()",
        "duration_ms": "EXTRACT(epoch FROM pg_catalog.clock_timestamp() "
        "- pg_catalog.transaction_timestamp()) * 1000",
        "attempt": str(attempt),
        "n": str(n),
        "progress": progress,
    }
    return f"INSERT INTO {table} ({', '.join(values)})\nSELECT {', '.join(values.values())}"


def failure_sql(
    table: str, step: Step, by: Author, *, duration_ms: float, message: str, sqlstate: str | None
) -> str:
    """Return the INSERT that tells of a step that failed, for a transaction of its own.

    Args:
        table: The log's quoted name.
        step: What failed.
        by: Who ran it.
        duration_ms: Milliseconds from its beginning until now.
        message: What the user is told.
        sqlstate: PostgreSQL's code, where it has one.
    """
    values = _values(step, by, Outcome.FAILED)
    values |= {
        "started_at": "pg_catalog.clock_timestamp() "
        f"- pg_catalog.make_interval(secs => {duration_ms / 1000:.6f})",
        "duration_ms": f"{duration_ms:.3f}",
        "message": literal(message),
        "sqlstate": literal(sqlstate) if sqlstate else "NULL",
    }
    return _insert(table, values)


def _values(step: Step, by: Author, outcome: Outcome) -> dict[str, str]:
    """Return columns and SQL expressions that every row of a step has."""
    up, down = step.statements, step.opposite
    if step.direction is Direction.DOWN:
        up, down = down, up
    values = {**_identity(step, by, outcome.value), "up": _array(up)}
    if step.irreversible is not None:
        return {**values, "irreversible": literal(step.irreversible)}
    values["down"] = _array(down)
    how = {}
    for one in down:
        if one.own_commit is not None:
            how = recorded_operation(one.own_commit)
    if step.settings:
        how["settings"] = dict(step.settings)
    if how:
        values["down_operation"] = literal(json.dumps(how))
    return values


def _identity(step: Step, by: Author, outcome: str) -> dict[str, str]:
    """Return columns and SQL expressions that tell of what a row is, and who wrote it."""
    return {
        "run_id": literal(by.run_id),
        "version": literal(step.version),
        "name": literal(step.name),
        "direction": literal(step.direction.value),
        "kind": literal(_kind(step.statements)),
        "outcome": literal(outcome),
        "host": literal(by.host),
        "application": literal(by.application),
        "tool_version": literal(by.tool_version),
        "checksum": literal(step.checksum),
    }


def recorded_operation(own: OwnCommit) -> dict[str, Any]:
    """Return how an operation is made safe to repeat, as JSON; a function cannot be kept."""
    record: dict[str, Any] = {
        "kind": own.kind,
        "probe": own.probe,
        "repair": list(own.repair),
        "cleanup": own.cleanup,
        "sample": list(own.sample),
    }
    if own.backfill is not None:
        spec = own.backfill
        record["backfill"] = {
            "table": spec.table,
            "key": list(spec.key),
            "set_": [list(pair) for pair in spec.set_],
            "where": spec.where,
            "batch_size": spec.batch_size,
            "pause_s": spec.pause_s,
        }
        if spec.rows is not None:
            kept = ("name", "columns", "revision", "source")
            record["backfill"]["rows"] = {name: getattr(spec.rows, name) for name in kept}
    return record


def restored_operation(record: Mapping[str, Any]) -> OwnCommit | None:
    """Return what ``recorded_operation`` was given, or None where that was a function's work."""
    spec = record.get("backfill")
    if spec is not None and "rows" in spec:
        return None
    return OwnCommit(
        kind=record["kind"],
        probe=record["probe"],
        repair=tuple(record["repair"]),
        cleanup=record["cleanup"],
        # Rows that were written before there was one have none.
        sample=tuple(record.get("sample", ())),
        backfill=None
        if spec is None
        else BackfillSpec(
            **{**spec, "key": tuple(spec["key"]), "set_": tuple(map(tuple, spec["set_"]))}
        ),
    )


def _kind(statements: Iterable[Statement]) -> str:
    return next((one.own_commit.kind for one in statements if one.own_commit), TRANSACTION)


def _array(statements: Iterable[Statement]) -> str:
    return f"ARRAY[{', '.join(literal(one.sql) for one in statements)}]::text[]"


def _insert(table: str, values: Mapping[str, str]) -> str:
    return f"INSERT INTO {table} ({', '.join(values)})\nVALUES ({', '.join(values.values())})"
