"""Many processes share one development server, and some of them are killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from neuron_schema.embedded import DevelopmentServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
WORK = """
import sys, time
from pathlib import Path
import psycopg
from neuron_schema.embedded import DevelopmentServer
time.sleep(float(sys.argv[2]))
with DevelopmentServer(Path(sys.argv[1])).in_use() as address:
    with psycopg.connect(**address.conninfo(), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")
        connection.execute("CREATE TABLE IF NOT EXISTS visits (who text)")
        connection.execute("INSERT INTO visits VALUES (%s)", (sys.argv[2],))
        time.sleep(0.1)
"""
HOLD = """
import sys, time
from pathlib import Path
from neuron_schema.embedded import DevelopmentServer
with DevelopmentServer(Path(sys.argv[1])).in_use():
    print("in use", flush=True)
    time.sleep(600)
"""
FORK = """
import os, sys, time
from pathlib import Path
from neuron_schema.embedded import DevelopmentServer
with DevelopmentServer(Path(sys.argv[1])).in_use():
    if os.fork() == 0:
        os.close(1), os.close(2)
        time.sleep(600)
        os._exit(0)
"""


@pytest.fixture
def project() -> Iterator[Path]:
    """Yield a project directory that every user can enter; its server is stopped afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="project-", dir="/tmp")).resolve()
    directory.chmod(0o755)
    yield directory
    DevelopmentServer(directory).stop(force=True)
    shutil.rmtree(directory)


def spawn(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Run a process of Python in the checkout."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def visits(project: Path) -> int:
    """Return how many processes left their mark in the database."""
    server = DevelopmentServer(project)
    with server.in_use() as address:
        output = subprocess.run(
            [server.psql(), "-XAtc", "SELECT count(*) FROM visits"],
            env=address.environment(),
            check=True,
            capture_output=True,
        ).stdout
    return int(output)


@pytest.mark.parametrize(("count", "gap"), [(2, 0.0), (24, 0.15)])
def test_processes_that_come_and_go_never_lose_the_server(
    project: Path, count: int, gap: float
) -> None:
    """Each gets a server that works, whoever started it, and the last one stops it."""
    processes = [spawn(WORK, project, number * gap) for number in range(count)]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * count, outputs
    assert not DevelopmentServer(project).status().running
    assert visits(project) == count


def test_a_killed_user_counts_no_longer(project: Path) -> None:
    """The server that it left behind is used by the next one, and stopped with it."""
    with spawn(HOLD, project) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == "in use\n"
        user.kill()
    status = DevelopmentServer(project).status()
    assert (status.running, status.used) == (True, False)
    with DevelopmentServer(project).in_use():
        pass
    assert not DevelopmentServer(project).status().running


def test_an_interrupted_user_stops_the_server(project: Path) -> None:
    """Ctrl-C reaches the user and not the server, which is stopped in order."""
    with spawn(HOLD, project) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == "in use\n"
        user.send_signal(signal.SIGINT)
    assert not DevelopmentServer(project).status().running
    assert "database system is shut down" in (project / ".neuron_schema" / "log").read_text()


def test_a_forked_child_does_not_hold_the_server(project: Path) -> None:
    """A user that has left is gone, though a child of it lives on."""
    with spawn(FORK, project) as user:
        user.communicate()
    try:
        assert not DevelopmentServer(project).status().running
    finally:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            if os.fsencode(project) in path.read_bytes().split(b"\0"):
                os.kill(int(path.parent.name), signal.SIGKILL)


def test_a_first_start_killed_half_way_is_taken_up_by_the_next(project: Path) -> None:
    """A user killed during initdb, at several moments, leaves nothing that hinders."""
    for delay in (0.1, 0.3, 0.5):
        with spawn(HOLD, project) as user:
            time.sleep(delay)
            user.kill()
    with DevelopmentServer(project).in_use() as address:
        assert address.params["dbname"] == "neuron"
    assert not DevelopmentServer(project).status().running
