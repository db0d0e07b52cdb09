"""Locks that are never let go, and applications that lock in another order than a version."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest

from neuron_schema.history import HistoryTable
from neuron_schema.locking import run_lock_key
from tests.conftest import libpq
from tests.faults.processes import start
from tests.faults.size import WHOLE
from tests.runs import applied, leftovers, scalar, wait_for
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import URL

    from tests.faults.counts import Counts

_SETTINGS = """\
[tool.neuron_schema]
deadline = "1s"
wait_lock = "1s"
lock_timeout = "300ms"
"""


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection to a database with two accounts."""
    with psycopg.connect(
        libpq(database), autocommit=True, application_name="test observer"
    ) as connection:
        connection.execute("CREATE SCHEMA ledger")
        for name in ("one", "two"):
            connection.execute(f"CREATE TABLE ledger.{name} AS SELECT 0 AS x")
        yield connection


@pytest.mark.parametrize("what", ["a table", "the run lock"])
def test_a_lock_that_is_never_let_go_ends_the_command_with_names(
    database: URL, observer: psycopg.Connection, tmp_path: Path, what: str
) -> None:
    """Exit status 6, who holds it and what ends that; nothing is done, and a later run works."""
    versions = tmp_path / "versions"
    write_version(versions, "001_a", up=["ALTER TABLE ledger.one ADD COLUMN y int"])
    (tmp_path / "pyproject.toml").write_text(_SETTINGS)
    with psycopg.connect(libpq(database), application_name="greedy") as holder:
        if what == "a table":
            holder.execute("SELECT FROM ledger.one")
        else:
            key = run_lock_key(HistoryTable(schema="public"))
            holder.execute("SELECT pg_advisory_xact_lock(%s)", (key,))
        command = start(database, versions, ["up"], directory=tmp_path)
        assert command.finish() == 6, command.text
        pid = holder.info.backend_pid
        assert f"pid {pid} (" in command.text
        assert "greedy" in command.text
        assert f"SELECT pg_terminate_backend({pid})" in command.text
        assert "Traceback" not in command.text
    assert applied(observer) == []
    command = start(database, versions, ["up"], directory=tmp_path)
    assert command.finish() == 0, command.text
    assert applied(observer) == ["001"]


@pytest.mark.timeout(600)
def test_deadlocks_with_an_application_end_in_the_version_and_no_lost_write(
    database: URL, observer: psycopg.Connection, counts: Counts, tmp_path: Path
) -> None:
    """The version locks one table, then the other; the application does so the other way round."""
    # The server looks for deadlocks before any lock_timeout ends the wait.
    observer.execute(f"ALTER DATABASE \"{database.database}\" SET deadlock_timeout = '10ms'")
    steps = 20 if WHOLE else 4
    for number in range(1, steps + 1):
        write_version(
            tmp_path / "versions",
            f"{number:03}_v",
            up=[
                f"ALTER TABLE ledger.one ADD COLUMN y{number} int",
                "SELECT pg_sleep(0.02)",
                f"ALTER TABLE ledger.two ADD COLUMN y{number} int",
            ],
        )
    stop = threading.Event()

    def pay() -> tuple[int, int]:
        committed = deadlocks = 0
        with psycopg.connect(libpq(database), application_name="test application") as connection:
            while not stop.is_set():
                try:
                    connection.execute("UPDATE ledger.two SET x = x + 1")
                    connection.execute("SELECT pg_sleep(0.01)")
                    connection.execute("UPDATE ledger.one SET x = x + 1")
                    connection.commit()
                    committed += 1
                except psycopg.errors.DeadlockDetected:
                    connection.rollback()
                    deadlocks += 1
                # Between two payments the tables are free for a moment.
                stop.wait(0.03)
        return committed, deadlocks

    with ThreadPoolExecutor(2) as pool:
        payers = [pool.submit(pay) for _ in range(2)]
        try:
            wait_for(lambda: scalar(observer, "SELECT x FROM ledger.one") > 0)
            command = start(database, tmp_path / "versions", ["up"], directory=tmp_path)
            assert command.finish() == 0, command.text
        finally:
            stop.set()
        paid = sum(payer.result()[0] for payer in payers)
    found = int(
        scalar(
            observer,
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
        )
    )
    assert len(applied(observer)) == steps
    assert (
        scalar(observer, "SELECT x FROM ledger.one")
        == scalar(observer, "SELECT x FROM ledger.two")
        == paid
    )
    assert leftovers(observer) == []
    counts.add("deadlocks with an application, survived", found)
