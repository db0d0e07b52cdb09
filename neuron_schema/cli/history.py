"""The commands about the history itself: ``history``, ``baseline``, ``repair``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from neuron_schema.cli.invocation import Invocation
from neuron_schema.cli.modified import show_modified
from neuron_schema.cli.options import (
    Database,
    Environment,
    Json,
    LockTimeout,
    NoLog,
    Versions,
    WaitLock,
    complete_version,
)
from neuron_schema.cli.output import columns, say, show
from neuron_schema.cli.running import run_plan

if TYPE_CHECKING:
    from neuron_schema.model import LogEntry

_MS_PER_S = 1000

Version = Annotated[
    str, typer.Argument(metavar="VERSION", help="A version.", autocompletion=complete_version)
]


def history(
    version: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="[VERSION]", help="A version.", autocompletion=complete_version),
    ] = None,
    *,
    sql: Annotated[bool, typer.Option("--sql", help="Show the SQL that was recorded.")] = False,
    database_url: Database = None,
    versions: Versions = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Show what was run when, by whom, and how it ended."""
    with Invocation(
        "history", as_json=as_json, database_url=database_url, versions=versions, environment=env
    ) as call:
        from neuron_schema import targets
        from neuron_schema.execution import records

        number = targets.target_number(version) if version is not None else None
        with call.database() as address:
            look = call.look(address)
            found = call.log_entries(address, look)
        lines = [
            line
            for line in records.with_unlogged(found, look.applied)
            if number is None or int(line.version) == number
        ]
        call.put(entries=[_entry_object(line) for line in lines])
        if not as_json:
            none = "nothing was" if number is None else f"version {number} was not"
            _show(lines, sql=sql, none=f"{none} run yet")


def baseline(
    version: Version,
    *,
    database_url: Database = None,
    versions: Versions = None,
    env: Environment = None,
    wait_lock: WaitLock = None,
    lock_timeout: LockTimeout = None,
    no_log: NoLog = False,
    as_json: Json = False,
) -> None:
    """Mark versions up to VERSION as applied without running them."""
    with (
        Invocation(
            "baseline",
            as_json=as_json,
            database_url=database_url,
            versions=versions,
            environment=env,
            wait_lock=wait_lock,
            lock_timeout=lock_timeout,
            no_log=no_log,
        ) as call,
        call.database() as address,
    ):
        from neuron_schema import planning

        look = call.look(address)
        selection = planning.select_baseline(call.versions.infos(), look.applied, version)
        run_plan(call, address, call.made(selection, look), look)


def repair(
    version: Version,
    *,
    expect: Annotated[
        str,
        typer.Option("--expect", metavar="CHECKSUM", help="The recorded checksum, 12 digits do."),
    ],
    database_url: Database = None,
    versions: Versions = None,
    env: Environment = None,
    wait_lock: WaitLock = None,
    lock_timeout: LockTimeout = None,
    no_log: NoLog = False,
    as_json: Json = False,
) -> None:
    """Accept the present text of a modified version."""
    with (
        Invocation(
            "repair",
            as_json=as_json,
            database_url=database_url,
            versions=versions,
            environment=env,
            wait_lock=wait_lock,
            lock_timeout=lock_timeout,
            no_log=no_log,
        ) as call,
        call.database() as address,
    ):
        from neuron_schema import planning

        look = call.look(address)
        show_modified(call, address, look)
        infos = call.versions.infos()
        selection = planning.select_repair(infos, look.applied, version, expect)
        run_plan(call, address, call.made(selection, look), look)


def _entry_object(line: LogEntry) -> dict[str, Any]:
    return {
        "run_id": line.run_id,
        "version": line.version,
        "name": line.name,
        "direction": line.direction,
        "kind": line.kind,
        "outcome": line.outcome,
        "started_at": line.started_at.isoformat() if line.started_at else None,
        "duration_ms": round(line.duration_ms, 1) if line.duration_ms is not None else None,
        "database_user": line.database_user,
        "host": line.host,
        "application": line.application,
        "tool_version": line.tool_version,
        "checksum": line.checksum,
        "sqlstate": line.sqlstate,
        "message": line.message,
        "up": list(line.up),
        "down": None if line.down is None else list(line.down),
    }


def _show(lines: list[LogEntry], *, sql: bool, none: str) -> None:
    from neuron_schema.cli.output import paint, stdout

    if not lines:
        say(none)
        return
    rows = [("when", "version", "direction", "outcome", "took", "by", "message")]
    rows += [
        (
            f"{line.started_at:%Y-%m-%d %H:%M:%S %Z}" if line.started_at else "-",
            f"{line.version}_{line.name}",
            line.direction,
            line.outcome,
            _took(line.duration_ms),
            "@".join(part for part in (line.database_user, line.host) if part) or "-",
            line.message or "",
        )
        for line in lines
    ]
    texts = columns(rows)
    show(paint(texts[0], "bold", stdout()))
    for line, text in zip(lines, texts[1:], strict=True):
        show(paint(text, "red" if line.outcome == "failed" else "", stdout()))
        if sql:
            _show_sql(line)


def _show_sql(line: LogEntry) -> None:
    from neuron_schema.model import ended

    for statement in (line.up if line.direction == "up" else line.down) or ():
        say("    " + ended(statement).replace("\n", "\n    "))


def _took(duration_ms: float | None) -> str:
    if duration_ms is None:
        return "-"
    return f"{duration_ms:.0f} ms" if duration_ms < _MS_PER_S else f"{duration_ms / 1000:.1f} s"
