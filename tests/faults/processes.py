"""The command line in processes of their own: to be killed, stopped, and let loose together.

They are forked from a server that has imported everything, so that a crowd of them costs neither
the start of as many interpreters nor their memory, and all begin at the same moment.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.context import ForkServerProcess
    from multiprocessing.synchronize import Barrier
    from pathlib import Path

    from sqlalchemy.engine import URL

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "neuron_schema.cli.entry",
        "neuron_schema.runner",
        "neuron_schema.url",
        "psycopg",
        "sqlalchemy.dialects.postgresql.psycopg",
    ]
)
_LIMIT_S = 150


@dataclass(frozen=True, slots=True)
class Command:
    """A command that was started.

    Attributes:
        process: Its process.
        output: Where its output goes, both streams together.
        barrier: What it waits at; it has to exist until the process has found it.
    """

    process: ForkServerProcess
    output: Path
    barrier: Barrier | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.process.pid is not None
        return self.process.pid

    def finish(self) -> int:
        """Wait for its end; return the exit status, below 0 for a signal."""
        self.process.join(_LIMIT_S)
        code = self.process.exitcode
        assert code is not None, f"still running: {self.text}"
        return code

    @property
    def text(self) -> str:
        """What it has printed."""
        return self.output.read_text(encoding="utf-8", errors="replace")


def start(
    url: URL,
    versions: Path,
    arguments: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str] | None = None,
    barrier: Barrier | None = None,
    number: int = 0,
) -> Command:
    """Start ``neuron-schema`` with arguments, in a process of its own.

    Args:
        url: The database.
        versions: Where the versions are.
        arguments: The command and its options.
        directory: Where it works, and its output goes.
        environment: Further variables.
        barrier: Waited at once everything is imported.
        number: Tells several apart.
    """
    directory.mkdir(parents=True, exist_ok=True)
    output = directory / f"output-{number}.txt"
    output.touch()
    variables = {
        "NEURON_SCHEMA_DATABASE_URL": url.set(drivername="postgresql").render_as_string(
            hide_password=False
        ),
        "NEURON_SCHEMA_VERSIONS": str(versions),
        **(environment or {}),
    }
    process = _CONTEXT.Process(
        target=_run, args=(list(arguments), variables, directory, output, barrier), daemon=True
    )
    process.start()
    return Command(process, output, barrier)


def crowd(
    url: URL,
    versions: Path,
    arguments: Sequence[str],
    *,
    directory: Path,
    count: int,
) -> list[Command]:
    """Start so many at the same moment."""
    barrier = _CONTEXT.Barrier(count)
    return [
        start(url, versions, arguments, directory=directory, barrier=barrier, number=number)
        for number in range(count)
    ]


def _run(
    arguments: list[str],
    environment: dict[str, str],
    directory: Path,
    output: Path,
    barrier: Barrier | None,
) -> None:
    os.chdir(directory)
    os.environ.update(environment)
    with output.open("wb") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    from neuron_schema.cli.entry import run
    from tests.faults.mutations import apply_from_environment

    apply_from_environment()
    if barrier is not None:
        barrier.wait(_LIMIT_S)
    sys.exit(run(arguments))
