"""What the log tells: what was run when, and the SQL that a version was applied with.

Reading writes nothing, and does without the log where it is not there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from neuron_schema.history import moment, moment_sql
from neuron_schema.log import TRANSACTION, restored_operation
from neuron_schema.model import LogEntry, Migration, Outcome, OwnCommit, Statement
from neuron_schema.quoting import literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from neuron_schema.history import Fetch, HistoryTable
    from neuron_schema.model import AppliedRow

_STANDS = (Outcome.APPLIED, Outcome.BASELINED, Outcome.REPAIRED)


def entries(fetch: Fetch, table: HistoryTable, *, version: str | None = None) -> list[LogEntry]:
    """Return the rows of the log, oldest first; the batches of backfills are left out.

    Args:
        fetch: Runs SQL on a connection.
        table: The history table that the log is beside.
        version: Only this version's, as the log spells it.
    """
    wanted = f" AND version = {literal(version)}" if version is not None else ""
    rows = fetch(
        "SELECT run_id::text, version, name, direction, kind, outcome, "
        f"{moment_sql('started_at')}, duration_ms, "
        "database_user, host, application, tool_version, checksum, sqlstate, message, up, down "
        f"FROM {table.qualified_log} WHERE n IS NULL{wanted} ORDER BY id"
    )
    return [_entry(row) for row in rows]


def _entry(row: Any) -> LogEntry:
    *plain, up, down = row
    names = (
        "run_id",
        "version",
        "name",
        "direction",
        "kind",
        "outcome",
        "started_at",
        "duration_ms",
        "database_user",
        "host",
        "application",
        "tool_version",
        "checksum",
        "sqlstate",
        "message",
    )
    values = dict(zip(names, plain, strict=True))
    values["started_at"] = moment(values["started_at"])
    return LogEntry(**values, up=tuple(up or ()), down=None if down is None else tuple(down))


def with_unlogged(found: Iterable[LogEntry], applied: Sequence[AppliedRow]) -> list[LogEntry]:
    """Return entries and, in their place, what the history table tells of the unlogged ones.

    Args:
        found: What the log tells.
        applied: The rows of the history table.
    """
    lines = list(found)
    ends = (*_STANDS, Outcome.ROLLED_BACK)
    last = {entry.version: entry.outcome for entry in lines if entry.outcome in ends}
    for row in applied:
        # One that was rolled back by a run with a log may be back by a script for psql.
        if last.get(row.version) in _STANDS:
            continue
        silent = LogEntry(
            version=row.version,
            name=row.name,
            direction="up",
            outcome=Outcome.APPLIED.value,
            started_at=row.applied_at,
            checksum=row.checksum,
        )
        moment = _moment(silent)
        later = (at for at, each in enumerate(lines) if _moment(each) > moment)
        lines.insert(next(later, len(lines)), silent)
    return lines


def _moment(entry: LogEntry) -> float:
    """Return when a step began; what has no time comes first."""
    return entry.started_at.timestamp() if entry.started_at else 0


def recorded(fetch: Fetch, table: HistoryTable, versions: Iterable[str]) -> tuple[Migration, ...]:
    """Return applied versions with the SQL that the log has of them; those it has none of lack.

    Args:
        fetch: Runs SQL on a connection.
        table: The history table that the log is beside.
        versions: As the history table spells them.
    """
    wanted = ", ".join(map(literal, versions))
    if not wanted:
        return ()
    outcomes = ", ".join(literal(outcome.value) for outcome in _STANDS)
    rows = fetch(
        "SELECT DISTINCT ON (version) version, name, checksum, kind, up, down, irreversible, "
        f"down_operation::text, id FROM {table.qualified_log} "
        f"WHERE outcome IN ({outcomes}) AND version IN ({wanted}) ORDER BY version, id DESC"
    )
    return tuple(_migration(row, table) for row in rows)


def _migration(row: Any, table: HistoryTable) -> Migration:
    version, name, checksum, kind, up, down, irreversible, operation, number = row
    # As a text, because an engine may make what it likes of json (`json_deserializer`).
    record = json.loads(operation) if operation is not None else {}
    alone = "kind" in record
    own = restored_operation(record) if alone else None
    if alone and own is None:
        irreversible = "a function of its file computed the values, and the log cannot keep that"
    return Migration(
        version=version,
        name=name,
        description="",
        checksum=checksum or "",
        path=f"row {number} of {table.log_name}",
        up_statements=tuple(Statement(sql=sql, own_commit=_alone(kind)) for sql in up or ()),
        down_statements=tuple(Statement(sql=sql, own_commit=own) for sql in down or ()),
        irreversible=irreversible,
        settings=tuple(record.get("settings", {}).items()),
    )


def _alone(kind: str) -> OwnCommit | None:
    """Return how a recorded ``up`` is run anew, which is done on an empty database alone.

    Nothing is left behind there that would have to be looked for, and no rows want batches.
    """
    return None if kind == TRANSACTION else OwnCommit(kind=kind)
