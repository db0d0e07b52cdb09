"""What a server does to a run: it ends sessions, cancels statements, crashes, is replaced."""

from __future__ import annotations

import os
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from neuron_schema.embedded.account import server_account
from neuron_schema.errors import ConnectionFailed, NeuronSchemaError, StatementFailed
from neuron_schema.model import Direction, Report
from tests.conftest import libpq
from tests.faults.clusters import Server, server, standby_of
from tests.faults.invariants import Golden, Witness, record
from tests.faults.size import WHOLE, chosen
from tests.faults.test_cuts import attempt, messages
from tests.proxy import Proxy
from tests.runs import scalar, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.counts import Counts

_SHARES = 4 if WHOLE else 1
_SESSIONS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' "
    "AND pid <> pg_backend_pid() AND application_name NOT LIKE 'test%'"
)


def boundaries(kinds: list[bytes]) -> list[int]:
    """Return the messages at which a statement or a round trip ends."""
    return [number for number, kind in enumerate(kinds, 1) if kind in (b"E", b"Q", b"S")]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("share", range(_SHARES))
@pytest.mark.parametrize("way", ["terminate", "cancel"])
def test_sessions_ended_at_any_statement_end_right(
    witness: Witness, counts: Counts, way: str, share: int
) -> None:
    """pg_terminate_backend is survived; pg_cancel_backend fails the step or comes too late."""
    up, down = messages(witness)
    pairs = list(zip(boundaries(up), boundaries(down), strict=False))[share::_SHARES]
    with psycopg.connect(
        libpq(witness.database), autocommit=True, application_name="test hand"
    ) as hand:

        def act() -> None:
            hand.execute(f"SELECT pg_{way}_backend(pid) {_SESSIONS}".encode())

        for index in chosen(list(range(len(pairs))), bounded=3):
            for direction, point in zip(Direction, pairs[index], strict=True):
                # Now before the statement is there, now after it.
                with Proxy(
                    witness.database, cut_at=point, deliver=index % 2 == 0, act=act
                ) as proxy:
                    result = attempt(proxy.url, witness.golden, direction)
                witness.check_fault(direction, result)
                _check_result(result, may_be_cancelled=way == "cancel")
                witness.check_recovery(direction)
                witness.observer.execute("TRUNCATE ledger.entries")
                counts.add(f"pg_{way}_backend at a statement, recovered")
            witness.forget()


def _check_result(result: Report | NeuronSchemaError, *, may_be_cancelled: bool) -> None:
    if isinstance(result, Report):
        return
    if may_be_cancelled and getattr(result, "sqlstate", None) == "57014":
        assert isinstance(result, StatementFailed)
        return
    # Only the first look gives up at once.
    assert isinstance(result, ConnectionFailed), result
    assert result.report is None, result


@contextmanager
def witness_of(made: Server, golden: Golden) -> Iterator[Witness]:
    """Yield a witness of a server's own database."""
    with psycopg.connect(
        libpq(made.url), autocommit=True, application_name="test observer"
    ) as observer:
        yield Witness(made.url, observer, golden)


def _crash(made: Server) -> None:
    made.stop_immediately()
    made.start()


def _kill_backend(made: Server) -> None:
    """Kill one backend, at which the server restarts all of itself."""
    with psycopg.connect(libpq(made.url), application_name="test hand") as hand:
        pid = hand.execute(f"SELECT pid {_SESSIONS} LIMIT 1".encode()).fetchone()
        assert pid is not None
        os.kill(pid[0], signal.SIGKILL)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("way", [_crash, _kill_backend], ids=["server", "backend"])
def test_a_server_that_dies_at_any_statement_and_comes_back_loses_nothing(
    golden: Golden, counts: Counts, way: Callable[[Server], None]
) -> None:
    """Stopped immediately and started again, or restarted by itself for a killed backend."""
    with server() as made:
        golden = record(made.url, golden.directory, golden.versions)
        with witness_of(made, golden) as witness:
            witness.prepare()
            up, down = messages(witness)
        # What comes before the first step is the look, which gives up at once.
        pairs = list(zip(boundaries(up), boundaries(down), strict=False))[8:]
        for index in chosen(list(range(0, len(pairs), 3)), bounded=2):
            for direction, point in zip(Direction, pairs[index], strict=True):
                with Proxy(made.url, cut_at=point, deliver=True, act=lambda: way(made)) as proxy:
                    result = attempt(proxy.url, golden, direction)
                with witness_of(made, golden) as witness:
                    witness.check_fault(direction, result)
                    assert isinstance(result, Report), result
                    witness.check_recovery(direction)
                    witness.observer.execute("TRUNCATE ledger.entries")
                counts.add("server crashes at a statement, recovered")
            with witness_of(made, golden) as witness:
                witness.forget()


@pytest.mark.timeout(900)
def test_a_standby_promoted_in_the_middle_of_a_run_is_brought_to_the_end(
    golden: Golden, counts: Counts
) -> None:
    """The primary dies and its standby takes over: the run goes on there, and nothing is lost."""
    settings = {"synchronous_standby_names": "*", "synchronous_commit": "local"}
    with server(settings) as calm:
        golden = record(calm.url, golden.directory, golden.versions)
        with witness_of(calm, golden) as witness:
            witness.prepare()
            up, _ = messages(witness)
    points = boundaries(up)[8:]
    for point in chosen(points[::8], bounded=1):
        with server(settings) as primary, _own_directory() as directory:
            with witness_of(primary, golden) as witness:
                witness.prepare()
            with standby_of(primary, directory) as standby:
                _promote_at(point, primary, standby, golden)
        counts.add("standbys promoted in mid-run, recovered")


def _promote_at(point: int, primary: Server, standby: Server, golden: Golden) -> None:
    # From now on a COMMIT is only answered when the standby has it.
    with psycopg.connect(libpq(primary.url), autocommit=True, application_name="test") as observer:
        observer.execute("ALTER SYSTEM SET synchronous_commit = 'remote_apply'")
        observer.execute("SELECT pg_reload_conf()")
        wait_for(lambda: scalar(observer, "SELECT sync_state FROM pg_stat_replication") == "sync")

    def act() -> None:
        primary.stop_immediately()
        with psycopg.connect(libpq(standby.url), autocommit=True) as hand:
            hand.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            hand.execute("SELECT pg_promote()")
            hand.execute("SELECT pg_reload_conf()")
        proxy.lead_to(standby.url)

    with Proxy(primary.url, cut_at=point, deliver=True, act=act) as proxy:
        result = attempt(proxy.url, golden, Direction.UP)
        assert proxy.cut
    assert isinstance(result, Report), result
    with witness_of(standby, golden) as witness:
        assert scalar(witness.observer, "SELECT pg_is_in_recovery()") is False
        witness.check_fault(Direction.UP, result)
        witness.check_recovery(Direction.UP)


@contextmanager
def _own_directory() -> Iterator[Path]:
    """Yield a directory that the server's account may reach."""
    with tempfile.TemporaryDirectory(prefix="neuron-standby-") as name:
        directory = Path(name)
        server_account().own(directory)
        yield directory
