"""The options that several commands share, each defined once."""

from __future__ import annotations

import os
from typing import Annotated, Any, Optional

import typer


def complete_version(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the versions that begin so, for the shell's completion."""
    from neuron_schema.cli.invocation import working_directory
    from neuron_schema.discovery.version_set import VersionSet
    from neuron_schema.settings import load

    given: dict[str, Any] = {name: ctx.params.get(option) for name, option in _SETTINGS.items()}
    try:
        settings = load(directory=working_directory(), environ=os.environ, **given)
        files = VersionSet(settings.versions).files
    except Exception:  # noqa: BLE001 - nothing to complete is no error at a prompt
        return []
    return [file.version for file in files if file.version.startswith(incomplete)]


def complete_direction(incomplete: str) -> list[str]:
    """Return the directions that begin so."""
    return [word for word in ("up", "down") if word.startswith(incomplete)]


_SETTINGS = {"environment": "env", "versions": "versions"}

# Typer reads annotations at run time: Optional rather than "X | None" keeps one spelling for all.
Database = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--database-url", help="Address of the database.", show_envvar=False),
]
Direct = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--direct-url", help="Address past a pooler, for CONCURRENTLY."),
]
Shadow = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--shadow-url", help="Server for throw-away databases; else the embedded one."),
]
Versions = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--versions", help="Directory or package of the versions."),
]
Environment = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--env", help="Environment of [tool.neuron_schema.env.NAME]."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the SQL and run nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Count = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--count", help="So many versions."),
]
OutOfOrder = Annotated[
    bool,
    typer.Option("--allow-out-of-order", help="Apply versions older than the newest applied."),
]
NonEmpty = Annotated[
    bool,
    typer.Option("--allow-non-empty", help="Begin in a database with tables of somebody else's."),
]
WaitLock = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--wait-lock", metavar="DURATION", help="Wait so long for another run's end."),
]
LockTimeout = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--lock-timeout", metavar="DURATION", help="Wait so long for a lock, each try."),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say what each step's session is set to.")
]
NoLog = Annotated[
    bool, typer.Option("--no-log", help="Write nothing into the log beside the history table.")
]
FromSnapshot = Annotated[
    bool, typer.Option("--from-snapshot", help="Load schema.sql into an empty database first.")
]
FromHistory = Annotated[
    bool,
    typer.Option(
        "--from-history", help="Run the recorded down where a file is gone or was modified."
    ),
]
Target = Annotated[
    Optional[str],  # noqa: UP045
    typer.Argument(metavar="[TARGET]", help="A version.", autocompletion=complete_version),
]
