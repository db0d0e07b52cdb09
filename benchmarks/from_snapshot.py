"""``python -m benchmarks.from_snapshot``: a new database from ``schema.sql`` against the versions.

Both run as a user runs them, in turns, on a durable server; the checksums of the versions are
known, as they are after the first command in a checkout. Seconds of CPU are the command's own.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.server import durable_server
from benchmarks.workload import shape, write_versions

if TYPE_CHECKING:
    from benchmarks.server import Server

ROUNDS = 3
COUNTS = (100, 1000)


def main() -> None:
    """Measure, and print one line for each number of versions."""
    counts = [int(text) for text in sys.argv[1:]] or COUNTS
    print("versions  command                 seconds  of CPU")
    with durable_server() as server, tempfile.TemporaryDirectory() as root:
        for count in counts:
            _measure(server, Path(root) / str(count), count)


def _measure(server: Server, project: Path, count: int) -> None:
    """Print what so many versions take, the median of all rounds."""
    write_versions(project, count)
    taken: dict[str, list[tuple[float, float]]] = {}
    _note(taken, "snapshot", _timed(server, project, "snapshot"))
    for _ in range(ROUNDS):
        _note(taken, "up", _timed(server, project, "up", count=count))
        _note(
            taken,
            "up --from-snapshot",
            _timed(server, project, "up", "--from-snapshot", count=count),
        )
    for command, values in taken.items():
        wall = statistics.median(value[0] for value in values)
        cpu = statistics.median(value[1] for value in values)
        print(f"{count:8}  {command:20}  {wall:9.2f}  {cpu:6.2f}", flush=True)


def _note(
    taken: dict[str, list[tuple[float, float]]], command: str, value: tuple[float, float]
) -> None:
    taken.setdefault(command, []).append(value)


def _timed(server: Server, project: Path, *arguments: str, count: int = 0) -> tuple[float, float]:
    """Return the seconds that a command takes on an empty database, and those of CPU.

    Raises:
        AssertionError: it did not make the schema that the versions make.
    """
    name = server.create()
    environment = {**os.environ, "DATABASE_URL": f"postgresql:{server.url(name)}"}
    environment["XDG_CACHE_HOME"] = str(project / ".cache")
    server.settle()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "neuron_schema", *arguments],
        cwd=project,
        env=environment,
        check=True,
        capture_output=True,
    )
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert not count or server.shape(name) == shape(count), server.shape(name)
    server.drop(name)
    return took, cpu


if __name__ == "__main__":
    main()
