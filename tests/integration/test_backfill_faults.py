"""What a backfill survives: connections cut at every message, killed processes, lost locks.

"Once" means one committed write per row: a trigger counts them, in the transaction of the write.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.errors import ConnectionFailed
from neuron_schema.events import Event, StepProgress, StepWaiting
from neuron_schema.model import Outcome
from neuron_schema.runner import MigrationRunner
from tests.backfills import LOWER, attempts, create_items, touches, write_backfill
from tests.conftest import libpq
from tests.faults.size import messages
from tests.proxy import Proxy
from tests.runs import applied, leftovers, scalar, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

LEFT = "SELECT count(*) FROM items WHERE b IS DISTINCT FROM lower(a)"
LOWER_ROWS = 'def lower(rows):\n    return [{"b": row["a"].lower()} for row in rows]\n'
#: What is in `up`, and the lines before it.
SHAPES = {
    "where": (LOWER.replace("batch_size=100", "batch_size=3"), ""),
    "all": ('[Backfill(items, {"b": "lower(a)"}, batch_size=4)]', ""),
    "rows": ('[BackfillRows(items, lower, ["a"], batch_size=4)]', LOWER_ROWS),
}


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield connection


def clean(observer: psycopg.Connection, rows: int) -> None:
    """Take everything back to before the run."""
    observer.execute(
        "DROP TABLE IF EXISTS neuron_migrations, neuron_migration_log; TRUNCATE ledger.touched, "
        "items"
    )
    source = f"SELECT i, 'A' || i FROM generate_series(1, {rows}) i"
    observer.execute(f"INSERT INTO items (id, a) {source}".encode())


@pytest.mark.parametrize(
    ("share", "shape", "deliver"),
    [(0, "all", False), (1, "rows", True), (2, "all", True), (3, "where", False)],
    ids=["all-before", "rows-after", "all-after", "where-before"],
)
def test_a_connection_cut_at_any_message_is_recovered_from(
    database: URL,
    observer: psycopg.Connection,
    tmp_path: Path,
    share: int,
    shape: str,
    *,
    deliver: bool,
) -> None:
    """The run itself goes on, whichever message is lost, and no row is written twice."""
    create_items(observer)
    up, more = SHAPES[shape]
    versions = write_backfill(tmp_path, up, more=more)
    for cut_at in messages(share, of=4):
        clean(observer, 7)
        with Proxy(database, cut_at=cut_at, deliver=deliver) as proxy:
            engine = create_engine(proxy.url, poolclass=NullPool, use_native_hstore=False)
            runner = MigrationRunner(engine, versions, deadline=60, allow_non_empty=True)
            gave_up: ConnectionFailed | None = None
            try:
                assert [step.outcome for step in runner.up().steps] == [Outcome.APPLIED]
            except ConnectionFailed as error:
                gave_up = error
            # Only at the first look, before anything had been sent.
            assert gave_up is None or gave_up.report is None
            if not proxy.cut:
                break
        plain = create_engine(database, poolclass=NullPool)
        MigrationRunner(plain, versions, allow_non_empty=True).up()
        assert applied(observer) == ["001"], cut_at
        assert scalar(observer, LEFT) == 0, cut_at
        assert touches(observer) == (7, 1), cut_at
        assert attempts(observer) == {1}, cut_at
        assert leftovers(observer) == []
    assert cut_at > 60


RUN = """
import sys
from sqlalchemy import create_engine
from neuron_schema.runner import MigrationRunner
MigrationRunner(create_engine(sys.argv[1]), sys.argv[2], deadline=60, allow_non_empty=True).up()
"""


def start(url: URL, versions: Path) -> subprocess.Popen[bytes]:
    """Start ``up`` in a process of its own."""
    address = url.render_as_string(hide_password=False)
    return subprocess.Popen(
        [sys.executable, "-c", RUN, address, str(versions)],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_a_run_that_is_killed_five_times_writes_every_row_once(
    database: URL, engine: Engine, observer: psycopg.Connection, tmp_path: Path, shape: str
) -> None:
    """Each run goes on where the one before was, without going through again what is done."""
    rows = 4000
    create_items(observer, rows)
    # Slow enough to be met half-way, whatever the size that it has come to.
    observer.execute(
        "CREATE FUNCTION ledger.slow() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep(0.0005); RETURN NEW; END'"
    )
    observer.execute(
        "CREATE TRIGGER slow BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION ledger.slow()"
    )
    up, more = SHAPES[shape]
    versions = write_backfill(tmp_path, up.replace("=4)", "=40)"), more=more)
    for kill in range(1, 6):
        process = start(database, versions)
        wait_for(lambda goal=rows * kill // 6: done(observer) >= goal, limit_s=90)  # type: ignore[misc]
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it had ended before it was killed"
        assert applied(observer) == []
    known = set(told(observer))
    report = MigrationRunner(engine, versions, allow_non_empty=True).up()
    assert report.steps[0].rows == rows
    assert scalar(observer, LEFT) == 0
    assert touches(observer) == (rows, 1)
    assert attempts(observer) == {1}
    everything = told(observer)
    assert known < set(everything)
    # No batch but the last of a pass is without rows: what was done was not gone through again.
    assert [n for n, count, ended in everything if not count and not ended] == []
    assert [n for n, *_ in everything] == list(range(1, len(everything) + 1))
    assert leftovers(observer) == []


def done(observer: psycopg.Connection) -> int:
    """Return how many rows are written."""
    found: int = scalar(observer, "SELECT count(*) FROM ledger.touched")
    return found


def told(observer: psycopg.Connection) -> list[tuple[int, int, bool]]:
    """Return for each batch its number, its rows, and whether it ended a pass."""
    rows = observer.execute(
        "SELECT n, (progress->>'rows')::int, (progress->>'ended')::boolean "
        "FROM neuron_migration_log WHERE outcome = 'batch' ORDER BY id"
    )
    return [(n, count, ended) for n, count, ended in rows]


@pytest.mark.parametrize("victim", ["guardian", "worker"])
def test_a_session_that_is_ended_is_replaced(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path, victim: str
) -> None:
    """The one that holds the run lock or the one that writes: the run goes on by itself."""
    create_items(observer, 300)
    state = "idle in transaction" if victim == "guardian" else "idle"
    ended: list[int] = []

    def listen(event: Event) -> None:
        if isinstance(event, StepProgress) and not ended:
            ended.append(
                scalar(
                    observer,
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname "
                    "= current_database() AND application_name = 'neuron_schema' AND state = "
                    f"'{state}'",
                )
            )

    up, _ = SHAPES["all"]
    report = MigrationRunner(
        engine, write_backfill(tmp_path, up), listeners=[listen], allow_non_empty=True
    ).up()
    assert ended == [1]
    assert report.steps[0].rows == 300
    assert touches(observer) == (300, 1)
    assert leftovers(observer) == []


def test_what_was_done_does_not_count_against_the_deadline(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """It bounds the waiting; a backfill that has run for longer is still taken up again."""
    create_items(observer, 60)
    seen = 0

    def listen(event: Event) -> None:
        nonlocal seen
        if isinstance(event, StepProgress):
            seen += 1
        if isinstance(event, StepProgress) and seen == 2:
            observer.execute("SELECT pg_sleep(2.5)")
            observer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                "current_database() AND application_name = 'neuron_schema' AND state = 'idle'"
            )

    up, _ = SHAPES["all"]
    path = write_backfill(tmp_path, up)
    report = MigrationRunner(
        engine, path, deadline=2, listeners=[listen], allow_non_empty=True
    ).up()
    assert report.steps[0].rows == 60
    assert touches(observer) == (60, 1)


def test_a_run_that_lost_its_lock_is_not_joined_by_another(
    database: URL, engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """While its worker lives the other waits, though the run lock is free."""
    create_items(observer, 400)
    versions = write_backfill(tmp_path, SHAPES["all"][0])
    second: list[Outcome] = []
    waits: list[str] = []

    def wait(event: Event) -> None:
        if isinstance(event, StepWaiting):
            waits.append(event.reason)

    def join() -> None:
        other = create_engine(database, poolclass=NullPool)
        report = MigrationRunner(other, versions, listeners=[wait], allow_non_empty=True).up()
        second.extend(step.outcome for step in report.steps)

    thread = threading.Thread(target=join)

    def listen(event: Event) -> None:
        if isinstance(event, StepProgress) and not thread.ident:
            observer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                "current_database() AND state = 'idle in transaction'"
            )
            thread.start()
            wait_for(lambda: waits)

    report = MigrationRunner(engine, versions, listeners=[listen], allow_non_empty=True).up()
    thread.join()
    assert waits[0] == "an interrupted run's operation is still at work"
    assert touches(observer) == (400, 1)
    assert sorted([report.steps[0].outcome, *second]) == [Outcome.APPLIED, Outcome.ALREADY]
