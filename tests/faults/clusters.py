"""Embedded servers that the tests may stop, kill, start again, and copy."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from neuron_schema.embedded import temporary_server
from neuron_schema.embedded.account import server_account
from neuron_schema.embedded.binaries import DEFAULT_MAJOR, find_binaries, reachable_binaries
from neuron_schema.embedded.cluster import Cluster
from tests.runs import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy.engine import URL

MAJOR = int(os.environ.get("NEURON_SCHEMA_TEST_MAJOR", str(DEFAULT_MAJOR)))


@dataclass(frozen=True, slots=True)
class Server:
    """A server and its data directory.

    Attributes:
        url: Its database ``postgres``, as superuser.
    """

    cluster: Cluster
    url: URL

    def stop_immediately(self) -> None:
        """Stop it without a checkpoint, as a crash would."""
        running = self.cluster.running()
        assert running is not None
        os.kill(running.pid, signal.SIGQUIT)
        wait_for(lambda: not self.cluster.is_alive(), limit_s=60)

    def start(self) -> None:
        """Start it again, and wait until it has recovered."""
        # The shell that launches it ends at once.
        self.cluster.launch().wait()
        self.cluster.wait_until_ready()


@contextmanager
def server(settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run a server of the test's own for the length of the block.

    What it has committed survives the end of its processes.
    """
    wanted = {"synchronous_commit": "on", "restart_after_crash": "on", **(settings or {})}
    with temporary_server(major=MAJOR, settings=wanted) as address:
        account = server_account()
        binaries = reachable_binaries(find_binaries(MAJOR), account)
        cluster = Cluster(Path(address.params["host"]), binaries, account, throw_away=True)
        made = Server(cluster, address.sqlalchemy_url())
        try:
            yield made
        finally:
            _stop(made)


@contextmanager
def standby_of(primary: Server, directory: Path) -> Iterator[Server]:
    """Run a streaming standby of a server for the length of the block.

    Args:
        primary: Whose.
        directory: An empty one, which the server's account may reach.
    """
    account, binaries = primary.cluster.account, primary.cluster.binaries
    cluster = Cluster(directory, binaries, account, throw_away=True)
    for lock in (cluster.alive_lock, cluster.log):
        lock.touch()
        account.own(lock)
    account.own(directory)
    subprocess.run(
        [
            binaries.path("pg_basebackup"),
            *("-D", cluster.data, "-R", "-X", "stream", "-c", "fast", "--no-sync"),
            *("-h", primary.cluster.home, "-U", "postgres"),
        ],
        check=True,
        capture_output=True,
        cwd="/",
        **account.process_arguments(),
    )
    with (cluster.data / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
        settings.write(f"unix_socket_directories = '{directory}'\n")
    standby = Server(cluster, primary.url.update_query_dict({"host": str(directory)}))
    standby.start()
    try:
        yield standby
    finally:
        _stop(standby)


def _stop(made: Server) -> None:
    if made.cluster.is_alive():
        made.cluster.shut_down()
