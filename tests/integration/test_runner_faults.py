"""What a run survives: connections cut at every message, killed processes, a crashed server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.pool import NullPool, QueuePool, SingletonThreadPool

from neuron_schema.errors import CommitFailed, ConnectionFailed, ConnectionsExhausted
from neuron_schema.events import StepStarted, StepWaiting
from neuron_schema.model import Outcome
from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.faults.size import messages
from tests.proxy import Proxy
from tests.runs import CONCURRENTLY, applied, leftovers, scalar, wait_for
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

    from neuron_schema.events import Event


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection, with the ledger that every version adds a row to."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA ledger CREATE TABLE entries (version text)")
        yield connection


def two_tables(directory: Path) -> Path:
    """Write two small transactional versions."""
    for number, table in ((1, "a"), (2, "b")):
        write_version(
            directory,
            f"{number:03}_{table}",
            up=[
                f"INSERT INTO ledger.entries VALUES ('{number:03}')",
                f"CREATE TABLE {table} (x int)",
            ],
            down=[f"DROP TABLE {table}"],
        )
    return directory


def index_alone(directory: Path) -> Path:
    """Write a version that is one CREATE INDEX CONCURRENTLY on ``ledger.entries``."""
    write_version(directory, "001_index", **CONCURRENTLY)
    return directory


def check_tables(observer: psycopg.Connection) -> set[str]:
    """Check that history, schema and ledger agree; return the applied versions."""
    rows = applied(observer)
    assert len(rows) == len(set(rows))
    tables = scalar(
        observer,
        "SELECT coalesce(array_agg(relname::text ORDER BY relname), '{}') FROM pg_class "
        "WHERE relname IN ('a', 'b')",
    )
    assert tables == [{"001": "a", "002": "b"}[row] for row in rows]
    ledger = observer.execute("SELECT version FROM ledger.entries ORDER BY 1").fetchall()
    assert [one for (one,) in ledger] == rows
    return set(rows)


def check_index(observer: psycopg.Connection) -> set[str]:
    """Check that the history tells of the index only when it is valid."""
    rows = applied(observer)
    valid = scalar(
        observer,
        "SELECT count(*) FROM pg_index WHERE indisvalid AND indexrelid = to_regclass('ledger.i')",
    )
    assert valid >= len(rows)
    return set(rows)


def clean(observer: psycopg.Connection) -> None:
    """Take everything back to before the run."""
    observer.execute(
        "DROP TABLE IF EXISTS a, b, neuron_migrations, neuron_migration_log; "
        "DROP INDEX IF EXISTS ledger.i; TRUNCATE ledger.entries"
    )


SHAPES: dict[str, tuple[Any, Any, set[str]]] = {
    "transactional": (two_tables, check_tables, {"001", "002"}),
    "concurrently": (index_alone, check_index, {"001"}),
}


@pytest.mark.parametrize("deliver", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_connection_cut_at_any_message_is_recovered_from(
    database: URL, observer: psycopg.Connection, tmp_path: Path, shape: str, *, deliver: bool
) -> None:
    """The run itself or a plain second one ends right, whichever message is lost."""
    write, check, everything = SHAPES[shape]
    versions = write(tmp_path)
    confirmed = 0
    shares = 2 if shape == "transactional" else 1
    for cut_at in messages(int(deliver) % shares, of=shares):
        with Proxy(database, cut_at=cut_at, deliver=deliver) as proxy:
            engine = create_engine(proxy.url, pool_size=1, max_overflow=0, use_native_hstore=False)
            gave_up: ConnectionFailed | None = None
            try:
                report = MigrationRunner(engine, versions, deadline=60).up()
                outcomes = [step.outcome for step in report.steps]
                confirmed += sum(step.confirmed for step in report.steps)
                assert set(outcomes) <= {Outcome.APPLIED}
                assert check(observer) == everything
            except ConnectionFailed as error:
                gave_up = error
            finally:
                engine.dispose()
            if gave_up is not None:
                # Only where nothing had been sent yet: no run gives up after its first look.
                assert gave_up.report is None
                assert check(observer) == set()
            if not proxy.cut:
                break
        plain = create_engine(database, poolclass=NullPool)
        MigrationRunner(plain, versions).up()
        assert check(observer) == everything
        assert leftovers(observer) == []
        clean(observer)
    assert cut_at > 20
    assert confirmed > 0 or shape == "concurrently", "no COMMIT was lost"


@pytest.mark.parametrize("deliver", [False, True], ids=["before", "after"])
def test_a_repair_that_was_cut_is_whole_or_not_there(
    database: URL, observer: psycopg.Connection, tmp_path: Path, *, deliver: bool
) -> None:
    """Whichever message is lost: the row and its entry in the log agree, and it was done once."""
    write_version(tmp_path, "001_a", up=["SELECT 1"])
    plain = create_engine(database, poolclass=NullPool)
    MigrationRunner(plain, tmp_path).up()
    cut_at = 1
    while True:
        recorded = scalar(observer, "SELECT checksum FROM neuron_migrations")
        write_version(tmp_path, "001_a", up=[f"SELECT {1 + cut_at}"])
        with Proxy(database, cut_at=cut_at, deliver=deliver) as proxy:
            engine = create_engine(proxy.url, pool_size=1, max_overflow=0, use_native_hstore=False)
            try:
                [step] = (
                    MigrationRunner(engine, tmp_path, deadline=60)
                    .repair("1", expected=recorded)
                    .steps
                )
                assert step.outcome is Outcome.REPAIRED
            except ConnectionFailed:
                # Only the first look gives up; nothing was begun.
                MigrationRunner(plain, tmp_path).repair("1", expected=recorded)
            finally:
                engine.dispose()
        assert [line.status.value for line in MigrationRunner(plain, tmp_path).get_status()] == [
            "applied"
        ]
        logged = "SELECT count(*) FROM neuron_migration_log WHERE outcome = 'repaired'"
        assert scalar(observer, logged) == cut_at
        if not proxy.cut:
            break
        cut_at += 1
    assert cut_at > 5


RUN = """
import sys
from sqlalchemy import create_engine, event
from neuron_schema.runner import MigrationRunner
MigrationRunner(create_engine(sys.argv[1]), sys.argv[2], deadline=60).up()
"""


def start(url: URL, versions: Path) -> subprocess.Popen[bytes]:
    """Start ``up`` in a process of its own."""
    address = url.render_as_string(hide_password=False)
    return subprocess.Popen(
        [sys.executable, "-c", RUN, address, str(versions)], stderr=subprocess.PIPE
    )


def sleeping(observer: psycopg.Connection) -> int | None:
    """Return the backend that runs the version that sleeps."""
    pid: int | None = scalar(
        observer,
        "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' "
        "AND datname = current_database()",
    )
    return pid


def write_slow(directory: Path) -> Path:
    """Write a version that holds on in the middle until ``ledger.go`` is there."""
    wait = (
        # Not to_regclass, whose cached answer a session that takes no lock keeps for ever.
        "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_class WHERE relname = 'go') LOOP "
        "PERFORM pg_sleep(0.1); END LOOP; END $$"
    )
    write_version(directory, "001_a", up=["CREATE TABLE a (x int)"])
    write_version(directory, "002_b", up=["CREATE TABLE b (x int)", wait, "SELECT 1"])
    return directory


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_run_leaves_whole_versions_only(
    database: URL, engine: Engine, observer: psycopg.Connection, tmp_path: Path, number: int
) -> None:
    """Killed or interrupted in a version: it is gone soon, and the next run applies it."""
    process = start(database, write_slow(tmp_path))
    wait_for(lambda: sleeping(observer))
    process.send_signal(number)
    process.communicate()
    assert process.returncode != 0
    assert leftovers(observer) == []
    assert applied(observer) == ["001"]
    assert scalar(observer, "SELECT to_regclass('b')") is None
    observer.execute("CREATE TABLE ledger.go ()")
    MigrationRunner(engine, tmp_path).up()
    assert applied(observer) == ["001", "002"]


def test_a_terminated_backend_is_replaced(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """pg_terminate_backend in a statement: the version is tried again and applied once."""
    waits: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, StepWaiting):
            waits.append(event.reason)
            observer.execute("CREATE TABLE IF NOT EXISTS ledger.go ()")

    runner = MigrationRunner(engine, write_slow(tmp_path), listeners=[listen])
    thread = threading.Thread(target=runner.up)
    thread.start()
    wait_for(lambda: sleeping(observer))
    observer.execute("SELECT pg_terminate_backend(%s)", (sleeping(observer),))
    thread.join()
    assert len(waits) == 1
    assert applied(observer) == ["001", "002"]


def test_a_server_that_crashes_is_waited_for(tmp_path: Path) -> None:
    """A server that stops without a checkpoint in mid-run and comes back is no failure."""
    from neuron_schema.embedded import temporary_server

    with temporary_server(
        settings={"restart_after_crash": "on", "synchronous_commit": "on"}
    ) as address:
        url = address.sqlalchemy_url()
        versions = write_slow(tmp_path)
        with psycopg.connect(libpq(url), autocommit=True) as observer:
            observer.execute("CREATE SCHEMA ledger")
            result: list[Any] = []
            engine = create_engine(url, poolclass=QueuePool)
            runner = MigrationRunner(engine, versions, deadline=60)
            thread = threading.Thread(target=lambda: result.append(runner.up()))
            thread.start()
            wait_for(lambda: sleeping(observer))
            # The death of one backend makes the server restart all of itself.
            os.kill(sleeping(observer) or 0, signal.SIGKILL)

        def back() -> bool:
            try:
                with psycopg.connect(libpq(url), autocommit=True) as again:
                    again.execute("CREATE TABLE IF NOT EXISTS ledger.go ()")
            except psycopg.Error:
                return False
            return True

        wait_for(back)
        thread.join()
        engine.dispose()
        assert [step.outcome for step in result[0].steps] == [Outcome.APPLIED] * 2
        with psycopg.connect(libpq(url), autocommit=True) as observer:
            assert applied(observer) == ["001", "002"]
            assert scalar(observer, "SELECT to_regclass('b')::text") == "b"


def test_a_connection_that_died_in_the_pool_does_no_harm(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A service's pool may hold what the server closed long ago."""
    engine = create_engine(database, pool_size=1, max_overflow=0)
    runner = MigrationRunner(engine, two_tables(tmp_path))
    runner.get_status()
    observer.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    runner.up()
    assert applied(observer) == ["001", "002"]
    engine.dispose()


def test_the_library_waits_for_a_free_connection(
    admin: psycopg.Connection, database: URL, tmp_path: Path
) -> None:
    """A full server is full for moments; when it stays so the deadline ends the look."""
    role = f"{database.database}_single"
    admin.execute(f"CREATE ROLE \"{role}\" LOGIN PASSWORD 'x' CONNECTION LIMIT 1".encode())
    write_version(tmp_path, "001_a", up=["SELECT 1"])
    address = database.set(username=role, password="x")
    engine = create_engine(address, poolclass=NullPool)
    try:
        with ThreadPoolExecutor(1) as pool:
            with psycopg.connect(libpq(address)):
                with pytest.raises(ConnectionsExhausted, match="too many connections for role"):
                    MigrationRunner(engine, tmp_path, deadline=0.2).get_status()
                waiting = pool.submit(MigrationRunner(engine, tmp_path, deadline=60).get_status)
                with pytest.raises(TimeoutError):
                    waiting.result(0.5)
            lines = waiting.result(30)
        assert [line.version for line in lines] == ["001"]
    finally:
        admin.execute(f'DROP ROLE "{role}"'.encode())


def test_a_full_server_costs_no_other_thread_its_connection(
    admin: psycopg.Connection, database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A pool of one connection for each thread closes those at work as well, when it is emptied."""
    role = f"{database.database}_two"
    admin.execute(f"CREATE ROLE \"{role}\" LOGIN PASSWORD 'x' CONNECTION LIMIT 2".encode())
    observer.execute(f'GRANT ALL ON SCHEMA public, ledger TO "{role}"'.encode())
    observer.execute(f'ALTER TABLE ledger.entries OWNER TO "{role}"'.encode())
    write_version(tmp_path, "001_index", **CONCURRENTLY)
    address = database.set(username=role, password="x")
    engine = create_engine(address, poolclass=SingletonThreadPool)
    held, over = threading.Event(), threading.Event()

    def serve() -> Any:
        with engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO ledger.entries VALUES ('service')")
            held.set()
            over.wait(60)
            return connection.exec_driver_sql("SELECT count(*) FROM ledger.entries").scalar()

    try:
        with ThreadPoolExecutor(1) as pool:
            service = pool.submit(serve)
            assert held.wait(30)
            try:
                with pytest.raises(ConnectionsExhausted):
                    MigrationRunner(engine, tmp_path, deadline=0.5).up()
            finally:
                over.set()
            assert service.result(30) == 1
    finally:
        engine.dispose()
        observer.execute(f'DROP OWNED BY "{role}"'.encode())
        admin.execute(f'DROP ROLE "{role}"'.encode())


def test_a_server_that_does_not_come_back_is_an_error(database: URL, tmp_path: Path) -> None:
    """After the deadline the error says so, and what became of every version."""
    proxy = Proxy(database)
    with proxy:
        engine = create_engine(proxy.url, poolclass=NullPool)

        def listen(event: Event) -> None:
            if isinstance(event, StepStarted):
                proxy.__exit__(None, None, None)

        runner = MigrationRunner(engine, two_tables(tmp_path), deadline=0, listeners=[listen])
        with pytest.raises(ConnectionFailed) as caught:
            runner.up()
    assert caught.value.report is not None
    assert [step.outcome for step in caught.value.report.steps] == [
        Outcome.FAILED,
        Outcome.NOT_RUN,
    ]


def test_a_commit_that_is_answered_with_rollback_is_an_error(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """The server says nothing, and the statements are not to blame."""

    def rolled_back(_connection: Any, _cursor: Any, sql: str, parameters: Any, *_rest: Any) -> Any:
        return ("ROLLBACK" if sql == "COMMIT" else sql), parameters

    event.listen(engine, "before_cursor_execute", rolled_back, retval=True)
    with pytest.raises(CommitFailed, match="COMMIT was answered with") as caught:
        MigrationRunner(engine, two_tables(tmp_path), allow_non_empty=True).up()
    assert caught.value.exit_code == 1
    assert "log" in (caught.value.remedy or "")
    assert scalar(observer, "SELECT to_regclass('a')") is None
