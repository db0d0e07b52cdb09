"""Several runners at once, and the run lock between them."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.pool import NullPool

from neuron_schema.errors import HistoryConflict, LockTimeout, RunLockNotObtained
from neuron_schema.events import StepEnded, StepWaiting
from neuron_schema.execution.step_waits import StepWaits
from neuron_schema.history import HistoryTable
from neuron_schema.locking import operation_lock_key, run_lock_key
from neuron_schema.model import Outcome
from neuron_schema.runner import MigrationRunner
from neuron_schema.sessions import holder_of
from tests.conftest import libpq
from tests.runs import CONCURRENTLY, applied, leftovers, scalar, wait_for
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

    from neuron_schema.events import Event
    from neuron_schema.model import Report

KEY = run_lock_key(HistoryTable(schema="public"))


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection, with the ledger that every version adds a row to."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA ledger CREATE TABLE entries (version text)")
        yield connection


def write(directory: Path, count: int) -> Path:
    """Write transactional versions that add to the ledger in both directions."""
    for number in range(1, count + 1):
        write_version(
            directory,
            f"{number:03}_v",
            up=[
                f"INSERT INTO ledger.entries VALUES ('{number:03}')",
                f"CREATE TABLE t{number} (x int)",
            ],
            down=[
                f"INSERT INTO ledger.entries VALUES ('-{number:03}')",
                f"DROP TABLE t{number}",
            ],
        )
    return directory


def race(
    database: URL, versions: Path, runs: list[Callable[[MigrationRunner], Report]]
) -> list[Report | Exception]:
    """Run at once, each with an engine of its own; return reports or errors."""
    barrier = threading.Barrier(len(runs))

    def one(run: Callable[[MigrationRunner], Report]) -> Report | Exception:
        runner = MigrationRunner(create_engine(database, poolclass=NullPool), versions)
        barrier.wait()
        try:
            return run(runner)
        except Exception as error:  # noqa: BLE001 - judged by the test
            return error

    with ThreadPoolExecutor(len(runs)) as executor:
        return list(executor.map(one, runs))


def ledger(observer: psycopg.Connection) -> list[str]:
    """Return what the versions wrote."""
    rows = observer.execute("SELECT version FROM ledger.entries ORDER BY 1").fetchall()
    return [version for (version,) in rows]


def outcomes(report: Report) -> list[Outcome]:
    """Return how the steps ended."""
    return [step.outcome for step in report.steps]


@pytest.mark.parametrize("count", [2, 8, 16])
def test_every_version_runs_once_however_many_runners(
    database: URL, observer: psycopg.Connection, tmp_path: Path, count: int
) -> None:
    """On an empty database all runners succeed, and each version is applied by one of them."""
    reports = race(database, write(tmp_path, 4), [MigrationRunner.up] * count)
    expected = ["001", "002", "003", "004"]
    for report in reports:
        assert not isinstance(report, Exception), report
        assert set(outcomes(report)) <= {Outcome.APPLIED, Outcome.ALREADY}
        assert len(report.steps) in {0, 1, 2, 3, 4}
    assert ledger(observer) == applied(observer) == expected
    ours = [
        step.step.version
        for report in reports
        if not isinstance(report, Exception)
        for step in report.steps
        if step.outcome is Outcome.APPLIED
    ]
    assert sorted(ours) == expected
    assert leftovers(observer) == []


def test_racing_downs_roll_back_one_version(
    database: URL, engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Two runs that were both to roll the newest version back do it once."""
    versions = write(tmp_path, 3)
    MigrationRunner(engine, versions).up()
    first, second = (MigrationRunner(engine, versions) for _ in range(2))
    plans = [runner.plan("down") for runner in (first, second)]
    reports = [runner.run(*plan) for runner, plan in zip((first, second), plans, strict=True)]
    assert [outcomes(report) for report in reports] == [
        [Outcome.ROLLED_BACK],
        [Outcome.ALREADY],
    ]
    assert applied(observer) == ["001", "002"]
    assert ledger(observer).count("-003") == 1


def test_racing_ups_and_downs_end_in_a_whole_history(
    database: URL, engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Whoever wins, rows and tables agree, and a loser is told of the other run."""
    versions = write(tmp_path, 4)
    for _ in range(3):
        results = race(
            database,
            versions,
            [MigrationRunner.up, MigrationRunner.reset, MigrationRunner.up, MigrationRunner.down],
        )
        assert all(
            not isinstance(one, Exception) or isinstance(one, HistoryConflict) for one in results
        ), results
        rows = applied(observer)
        assert rows == ["001", "002", "003", "004"][: len(rows)]
        for number in range(1, 5):
            there = scalar(observer, f"SELECT to_regclass('t{number}') IS NOT NULL")
            assert there is (f"{number:03}" in rows)
        written = ledger(observer)
        for row in ("001", "002", "003", "004"):
            assert written.count(row) - written.count(f"-{row}") == (row in rows)


def test_versions_do_not_go_on_top_of_what_was_rolled_back_meanwhile(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A plan that stood on 002 is refused once 002 has gone."""
    versions = write(tmp_path, 3)
    runner = MigrationRunner(engine, versions)
    runner.up("2")
    plan = runner.plan("up")
    runner.down()
    with pytest.raises(HistoryConflict, match="002 was rolled back by another run"):
        runner.run(*plan)
    assert applied(observer) == ["001"]


@pytest.mark.parametrize("allowed", [True, False])
def test_what_a_run_goes_on_with_may_be_out_of_order_where_that_is_allowed(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path, *, allowed: bool
) -> None:
    """Another run applied a newer version meanwhile, and the option still holds."""
    versions = write(tmp_path / "all", 3)
    newer = write(tmp_path / "newer", 3)
    (newer / "002_v.py").unlink()
    met = False

    def listen(told: Event) -> None:
        nonlocal met
        if isinstance(told, StepEnded) and not met:
            met = True
            MigrationRunner(create_engine(engine.url, poolclass=NullPool), newer).up()

    runner = MigrationRunner(engine, versions, allow_out_of_order=allowed, listeners=[listen])
    if allowed:
        assert outcomes(runner.up("2")) == [Outcome.APPLIED, Outcome.APPLIED]
    else:
        with pytest.raises(HistoryConflict, match="002_v"):
            runner.up("2")
    assert applied(observer) == (["001", "002", "003"] if allowed else ["001", "003"])


def test_a_rollback_stops_below_what_was_applied_meanwhile(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A plan to roll 002 back is refused once 003 stands on it."""
    versions = write(tmp_path, 3)
    runner = MigrationRunner(engine, versions)
    runner.up("2")
    plan = runner.plan("down")
    runner.up()
    with pytest.raises(HistoryConflict, match="003 was applied by another run") as caught:
        runner.run(*plan)
    assert caught.value.report is not None
    assert applied(observer) == ["001", "002", "003"]


def test_what_another_run_did_is_reported_as_such(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """All versions of the plan are in the report, those of the other run too."""
    runner = MigrationRunner(engine, write(tmp_path, 3))
    plan = runner.plan("up")
    runner.up("2")
    report = runner.run(*plan)
    assert outcomes(report) == [Outcome.ALREADY, Outcome.ALREADY, Outcome.APPLIED]
    assert ledger(observer) == ["001", "002", "003"]


def test_runs_on_two_databases_do_not_meet(
    server: URL, admin: psycopg.Connection, database: URL, tmp_path: Path
) -> None:
    """The run lock of one database is not that of another."""
    other = f"{database.database}_other"
    admin.execute(f'CREATE DATABASE "{other}" TEMPLATE template0')
    try:
        with psycopg.connect(libpq(database)) as holder:
            holder.execute("SELECT pg_advisory_xact_lock(%s)", (KEY,))
            write_version(tmp_path, "001_a", up=["CREATE TABLE a ()"])
            engine = create_engine(server.set(database=other), poolclass=NullPool)
            report = MigrationRunner(engine, tmp_path, wait_lock=0).up()
        assert outcomes(report) == [Outcome.APPLIED]
    finally:
        admin.execute(f'DROP DATABASE "{other}" WITH (FORCE)')


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("shape", ["transactional", "concurrently"])
def test_a_held_run_lock_is_waited_for(
    engine: Engine, database: URL, observer: psycopg.Connection, tmp_path: Path, shape: str
) -> None:
    """Who holds it is looked up once the wait is long; when it is let go the run goes on."""
    if shape == "transactional":
        write(tmp_path, 1)
    else:
        write_version(tmp_path, "001_index", **CONCURRENTLY)
    waits: list[str] = []
    with psycopg.connect(libpq(database)) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(%s)", (KEY,))

        def listen(event: Event) -> None:
            if isinstance(event, StepWaiting):
                waits.append(event.reason)
                if "pid" in event.reason:
                    holder.rollback()

        report = MigrationRunner(engine, tmp_path, listeners=[listen]).up()
        assert waits[0] == "another run holds the run lock"
        assert f"pid {holder.info.backend_pid} " in waits[-1]
    assert outcomes(report) == [Outcome.APPLIED]
    assert applied(observer) == ["001"]


def test_a_run_lock_that_is_not_let_go_is_an_error(
    engine: Engine, database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """After the deadline the error names the holder, and nothing was run."""
    with psycopg.connect(libpq(database)) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(%s)", (KEY,))
        with pytest.raises(RunLockNotObtained) as caught:
            MigrationRunner(engine, write(tmp_path, 1), wait_lock=0).up()
        assert f"pid {holder.info.backend_pid} " in str(caught.value)
        remedy = caught.value.remedy or ""
        assert f"SELECT pg_terminate_backend({holder.info.backend_pid})" in remedy
    assert applied(observer) == []


@pytest.mark.parametrize("key", [0, 1, -1, 2**63 - 1, -(2**63), 2**32, -(2**32) - 5])
def test_the_holder_of_any_key_is_found(observer: psycopg.Connection, key: int) -> None:
    """pg_locks shows a 64-bit key as two unsigned halves."""
    observer.execute("SELECT pg_advisory_lock(%s)", (key,))
    found = holder_of(lambda sql: observer.execute(sql.encode()).fetchall(), key)
    assert found is not None
    assert found.pid == observer.info.backend_pid
    assert found.text.startswith(f"pid {found.pid} ")
    observer.execute("SELECT pg_advisory_unlock(%s)", (key,))
    assert holder_of(lambda sql: observer.execute(sql.encode()).fetchall(), key) is None


def test_an_operation_still_at_work_is_waited_for(
    engine: Engine, database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A killed run's backend may live on after its run lock has gone."""
    write_version(tmp_path, "001_index", **CONCURRENTLY)
    waits: list[str] = []
    with psycopg.connect(libpq(database), autocommit=True) as orphan:
        key = operation_lock_key(HistoryTable(schema="public"))
        orphan.execute("SELECT pg_advisory_lock(%s)", (key,))
        with pytest.raises(RunLockNotObtained, match=f"pid {orphan.info.backend_pid} "):
            MigrationRunner(engine, tmp_path, wait_lock=0).up()

        def listen(event: Event) -> None:
            if isinstance(event, StepWaiting):
                waits.append(event.reason)
                orphan.execute("SELECT pg_advisory_unlock_all()")

        MigrationRunner(engine, tmp_path, listeners=[listen]).up()
    assert "still at work" in waits[0]
    assert applied(observer) == ["001"]


def test_an_operation_still_at_work_is_waited_for_also_where_nobody_is_seen(
    admin: psycopg.Connection, database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A server may keep its views of sessions from everybody."""
    role = f"{database.database}_blind"
    admin.execute(f"CREATE ROLE \"{role}\" LOGIN PASSWORD 'x'".encode())
    observer.execute(f'GRANT ALL ON SCHEMA public, ledger TO "{role}"'.encode())
    observer.execute(f'ALTER TABLE ledger.entries OWNER TO "{role}"'.encode())
    observer.execute("REVOKE SELECT ON pg_stat_activity, pg_locks FROM PUBLIC")
    write_version(tmp_path, "001_index", **CONCURRENTLY)
    engine = create_engine(database.set(username=role, password="x"), poolclass=NullPool)
    try:
        key = operation_lock_key(HistoryTable(schema="public"))
        observer.execute("SELECT pg_advisory_lock(%s)", (key,))
        with pytest.raises(RunLockNotObtained, match="still at work, until the deadline"):
            MigrationRunner(engine, tmp_path, wait_lock=0).up()
        observer.execute("SELECT pg_advisory_unlock(%s)", (key,))
        MigrationRunner(engine, tmp_path).up()
        assert applied(observer) == ["001"]
    finally:
        observer.execute(f'DROP OWNED BY "{role}"'.encode())
        admin.execute(f'DROP ROLE "{role}"'.encode())


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a wait be a long one sooner."""
    monkeypatch.setattr(StepWaits, "NAME_HOLDER_AFTER_S", 0.01)


@pytest.fixture
def blocked(tmp_path: Path, observer: psycopg.Connection) -> Path:
    """Write a version that alters the ledger."""
    write_version(tmp_path, "001_a", up=["SELECT 1", "ALTER TABLE ledger.entries ADD COLUMN y int"])
    return tmp_path


@pytest.mark.parametrize("deadline", [0.0, 0.5])
def test_a_lock_timeout_names_the_blocking_session(
    engine: Engine, database: URL, blocked: Path, deadline: float
) -> None:
    """Its pid, query and age are in the error, even after a single attempt."""
    with psycopg.connect(libpq(database)) as blocker:
        blocker.execute("SELECT 'culprit' FROM ledger.entries")
        runner = MigrationRunner(engine, blocked, lock_timeout=0.4, deadline=deadline)
        with pytest.raises(LockTimeout) as caught:
            runner.up()
        text = str(caught.value)
        assert f"blocked by pid {blocker.info.backend_pid} " in text
        assert "'culprit'" in text
        assert "in its transaction for" in text
        assert "ALTER TABLE ledger.entries" in text
        remedy = caught.value.remedy or ""
        assert f"SELECT pg_terminate_backend({blocker.info.backend_pid})" in remedy


def test_a_lock_that_is_never_granted_is_given_up_after_so_many_tries(
    engine: Engine, database: URL, blocked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a timeout, the last one too: whoever waits behind the statement waits that long."""
    monkeypatch.setattr("neuron_schema.execution.step_waits.LOCK_ATTEMPTS", 4)
    sent: list[str] = []

    def seen(_c: object, _cursor: object, sql: str, *_rest: object) -> None:
        if found := re.search(r"'lock_timeout', '(\w+)'", sql):
            sent.append(found[1])

    event.listen(engine, "before_cursor_execute", seen)
    with psycopg.connect(libpq(database)) as blocker:
        blocker.execute("SELECT FROM ledger.entries")
        with pytest.raises(LockTimeout):
            MigrationRunner(engine, blocked, lock_timeout=0.6).up()
    assert sent == ["200ms", "500ms", "600ms", "600ms"]


def test_readers_are_not_held_up_for_long_behind_a_blocked_change(
    engine: Engine, database: URL, observer: psycopg.Connection, blocked: Path
) -> None:
    """Whoever comes after the waiting statement waits for it: for lock_timeout and no longer."""
    lock_timeout = 0.8
    stop = threading.Event()

    def longest_read() -> float:
        longest = 0.0
        with psycopg.connect(libpq(database), autocommit=True) as reader:
            while not stop.is_set():
                began = time.monotonic()
                reader.execute("SELECT count(*) FROM ledger.entries")
                longest = max(longest, time.monotonic() - began)
        return longest

    with ThreadPoolExecutor() as pool, psycopg.connect(libpq(database)) as blocker:
        blocker.execute("SELECT FROM ledger.entries")
        reading = pool.submit(longest_read)
        tries: list[str] = []

        def listen(event: Event) -> None:
            if isinstance(event, StepWaiting):
                tries.append(event.reason)
                if len(tries) == 4:
                    blocker.rollback()

        try:
            runner = MigrationRunner(engine, blocked, lock_timeout=lock_timeout, listeners=[listen])
            runner.up()
        finally:
            stop.set()
        # The readers did wait, or this would prove nothing.
        assert 0.15 < reading.result() <= lock_timeout + 0.5
    assert len(tries) >= 4
    assert applied(observer) == ["001"]


def test_a_blocker_that_goes_away_is_no_failure(
    engine: Engine, database: URL, observer: psycopg.Connection, blocked: Path
) -> None:
    """The whole step is tried again."""
    waits: list[str] = []
    with psycopg.connect(libpq(database)) as blocker:
        blocker.execute("SELECT FROM ledger.entries")
        pid = blocker.info.backend_pid

        def listen(event: Event) -> None:
            if isinstance(event, StepWaiting):
                waits.append(event.reason)
                blocker.rollback()

        MigrationRunner(engine, blocked, lock_timeout=0.2, listeners=[listen]).up()
    assert f"pid {pid} " in waits[0]
    assert applied(observer) == ["001"]


def test_a_deadlock_is_tried_again(
    engine: Engine, database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """PostgreSQL ends one of two sessions that wait for each other; if it is ours we go on."""
    observer.execute("CREATE TABLE ledger.one (); CREATE TABLE ledger.two ()")
    observer.execute(f"ALTER DATABASE \"{database.database}\" SET deadlock_timeout = '50ms'")
    write_version(
        tmp_path,
        "001_a",
        up=["LOCK ledger.one", "SELECT pg_sleep(0) FROM ledger.entries", "LOCK ledger.two"],
    )
    with psycopg.connect(libpq(database)) as other:
        # Its own deadlock check comes too late to be the one that ends.
        other.execute("SET deadlock_timeout = '60s'")
        other.execute("LOCK ledger.two")
        runner = MigrationRunner(engine, tmp_path, lock_timeout=30)
        thread = threading.Thread(target=runner.up)
        thread.start()
        wait_for(
            lambda: scalar(
                observer,
                "SELECT count(*) FROM pg_locks "
                "WHERE NOT granted AND relation = 'ledger.two'::regclass",
            )
        )
        other.execute("LOCK ledger.one")
        other.rollback()
        thread.join()
    assert applied(observer) == ["001"]


def test_two_runs_that_create_the_history_table_at_once_both_succeed(
    engine: Engine, database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """IF NOT EXISTS does not keep two sessions from creating one table: one gets an error."""
    versions = write(tmp_path, 1)
    with psycopg.connect(libpq(database)) as other:
        other.execute(
            "CREATE TABLE neuron_migrations (version VARCHAR(10) PRIMARY KEY, "
            "name VARCHAR(255) NOT NULL, applied_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(), "
            "checksum VARCHAR(64))"
        )
        runner = MigrationRunner(engine, versions, lock_timeout=30)
        thread = threading.Thread(target=runner.up)
        thread.start()
        wait_for(
            lambda: scalar(
                observer,
                "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
                "WHERE NOT granted AND locktype = 'transactionid' "
                "AND datname = current_database()",
            )
        )
        other.commit()
        thread.join()
    assert applied(observer) == ["001"]
