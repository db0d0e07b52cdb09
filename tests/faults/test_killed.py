"""Runs that are killed or stopped from outside, at each statement and in a long one."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.errors import RunLockNotObtained
from neuron_schema.model import Direction, Outcome
from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.faults.processes import Command, start
from tests.faults.size import WHOLE, chosen
from tests.proxy import Proxy
from tests.runs import CONCURRENTLY, applied, leftovers, scalar, wait_for
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import URL

    from tests.faults.counts import Counts
    from tests.faults.invariants import Witness

_COMMANDS = {Direction.UP: ["up"], Direction.DOWN: ["reset", "--yes"]}
_SHARES = 4 if WHOLE else 1
# The end of a statement, and of a round trip.
_BOUNDARIES = (b"E", b"Q", b"S")


class Hand:
    """Sends a signal to a command that is started after the proxy that it goes through."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._command: Command | None = None
        self._started = threading.Event()

    def started(self, command: Command) -> Command:
        """Say which command it is."""
        self._command = command
        self._started.set()
        return command

    def __call__(self) -> None:
        """Send the signal."""
        self._started.wait(60)
        assert self._command is not None
        os.kill(self._command.pid, self._number)


def boundaries(witness: Witness, directory: Path) -> dict[Direction, list[int]]:
    """Return the messages of an undisturbed up and down at which a statement ends."""
    found = {}
    for direction, arguments in _COMMANDS.items():
        with Proxy(witness.database) as proxy:
            command = start(
                proxy.url, witness.golden.directory, arguments, directory=directory / "calm"
            )
            assert command.finish() == 0, command.text
            found[direction] = [
                number for number, kind in enumerate(proxy.kinds, 1) if kind in _BOUNDARIES
            ]
    witness.forget()
    return found


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("share", range(_SHARES))
def test_a_command_killed_at_any_statement_leaves_whole_versions_only(
    witness: Witness, counts: Counts, tmp_path: Path, share: int
) -> None:
    """Kill -9 as a statement is sent: one plain run completes what it left."""
    points = boundaries(witness, tmp_path)
    pairs = list(zip(points[Direction.UP], points[Direction.DOWN], strict=False))[share::_SHARES]
    for index in chosen(list(range(len(pairs))), bounded=3):
        for direction, point in zip(_COMMANDS, pairs[index], strict=True):
            hand = Hand(signal.SIGKILL)
            with Proxy(witness.database, cut_at=point, deliver=True, act=hand) as proxy:
                command = hand.started(
                    start(
                        proxy.url,
                        witness.golden.directory,
                        _COMMANDS[direction],
                        directory=tmp_path / "killed",
                    )
                )
                assert command.finish() == -signal.SIGKILL
            witness.check_fault(direction)
            witness.check_recovery(direction)
            witness.observer.execute("TRUNCATE ledger.entries")
            counts.add("kill -9 of the runner at a statement, recovered")
        witness.forget()


def sleeping(observer: psycopg.Connection) -> int | None:
    """Return the backend that sleeps in a version."""
    found: int | None = scalar(
        observer,
        "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' "
        "AND datname = current_database()",
    )
    return found


def test_the_lock_of_a_killed_run_is_free_long_before_its_statement_would_end(
    witness: Witness, counts: Counts, tmp_path: Path
) -> None:
    """The server looks whether the client lives while a statement of 12 seconds runs."""
    write_version(
        tmp_path / "versions", "001_long", up=["CREATE TABLE long ()", "SELECT pg_sleep(12)"]
    )
    command = start(witness.database, tmp_path / "versions", ["up"], directory=tmp_path / "run")
    wait_for(lambda: sleeping(witness.observer))
    os.kill(command.pid, signal.SIGKILL)
    began = time.monotonic()
    locks = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    wait_for(lambda: scalar(witness.observer, locks) == 0)
    counts.measured("run lock free after kill -9 in a statement of 12 s", time.monotonic() - began)
    command.finish()
    # Had the statement come to its end, COMMIT would have followed: it was sent with it.
    assert leftovers(witness.observer) == []
    assert applied(witness.observer) == []
    assert scalar(witness.observer, "SELECT to_regclass('long')") is None


def test_an_operation_of_a_killed_run_ends_and_is_built_anew(
    witness: Witness, counts: Counts, tmp_path: Path
) -> None:
    """CREATE INDEX CONCURRENTLY that waits for a writer does not outlive its runner for long."""
    versions = tmp_path / "versions"
    write_version(versions, "001_index", **CONCURRENTLY)
    building = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND query ILIKE 'CREATE INDEX CONCURRENTLY%' AND state = 'active'"
    )
    with psycopg.connect(libpq(witness.database), application_name="test writer") as writer:
        writer.execute("INSERT INTO ledger.entries VALUES ('w')")
        command = start(witness.database, versions, ["up"], directory=tmp_path / "run")
        wait_for(lambda: scalar(witness.observer, building))
        os.kill(command.pid, signal.SIGKILL)
        began = time.monotonic()
        witness.check_nobody_left()
        counts.measured(
            "run lock free after kill -9 in CREATE INDEX CONCURRENTLY", time.monotonic() - began
        )
        command.finish()
        writer.commit()
    engine = create_engine(witness.database, poolclass=NullPool)
    MigrationRunner(engine, versions).up()
    assert applied(witness.observer) == ["001"]
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ledger.i')"
    assert scalar(witness.observer, valid) is True
    assert leftovers_but_observers(witness) == []


def leftovers_but_observers(witness: Witness) -> list[str]:
    """Return what a run left behind."""
    witness.check_nobody_left()
    rows = witness.observer.execute(
        "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid"
    )
    return [str(row) for row in rows]


def ending(error: RunLockNotObtained) -> str:
    """Return the statement that the error offers against the holder."""
    found = re.search(r"SELECT pg_terminate_backend\(\d+\)", error.remedy or "")
    assert found is not None, error
    return found[0]


@pytest.mark.parametrize("way", ["goes on", "is ended"])
def test_a_stopped_run_is_named_to_whoever_waits(
    witness: Witness, database: URL, tmp_path: Path, way: str
) -> None:
    """SIGSTOP in the middle of a step: others give up with its pid, and with what ends it."""
    versions = tmp_path / "versions"
    write_version(versions, "001_a", up=["CREATE TABLE a ()", "CREATE TABLE b ()"])
    with Proxy(database) as calm:
        engine = create_engine(calm.url, poolclass=NullPool, use_native_hstore=False)
        runner = MigrationRunner(engine, versions)
        runner.up()
        made = list(calm.kinds)
        runner.down()
    witness.observer.execute("DROP TABLE neuron_migrations, neuron_migration_log; DROP TABLE a, b")
    # Four statements before COMMIT: the run lock is taken, and the row is written.
    at = [number for number, kind in enumerate(made, 1) if kind == b"E"][-4]
    stopped, go_on = threading.Event(), threading.Event()
    hand = Hand(signal.SIGSTOP)

    def stop() -> None:
        hand()
        stopped.set()
        go_on.wait(60)

    plain = create_engine(database, poolclass=NullPool)
    with Proxy(database, cut_at=at, act=stop) as proxy:
        command = hand.started(start(proxy.url, versions, ["up"], directory=tmp_path / "run"))
        assert stopped.wait(60)
        with pytest.raises(RunLockNotObtained) as caught:
            MigrationRunner(plain, versions, wait_lock=0.5).up()
        assert "neuron_schema" in caught.value.message
        if way == "is ended":
            witness.observer.execute(ending(caught.value).encode())
            report = MigrationRunner(plain, versions).up()
            assert [step.outcome for step in report.steps] == [Outcome.APPLIED]
        go_on.set()
        os.kill(command.pid, signal.SIGCONT)
        assert command.finish() == 0, command.text
    assert applied(witness.observer) == ["001"]
    assert leftovers_but_observers(witness) == []
