"""What listeners hear of a step that takes long."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from neuron_schema.errors import StatementFailed
from neuron_schema.events import StepEnded, StepProgress, StepWaiting
from neuron_schema.execution.watching import StepWatch, look_sql, read_look
from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.gate import Gate, gated_table
from tests.runs import CONCURRENTLY, applied, leftovers, scalar, wait_for
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

    from neuron_schema.events import Event

BUILD = "CREATE INDEX slow ON gated (gate(n))"


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection, with the table whose index waits at the gate."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        gated_table(connection)
        yield connection


@pytest.fixture
def gate(database: URL) -> Iterator[Gate]:
    """Yield a closed gate."""
    with Gate(libpq(database)) as gate:
        yield gate


class Heard:
    """A listener that remembers, and opens a gate once a condition holds of an event.

    Args:
        gate: The gate.
        until: The condition.
    """

    def __init__(self, gate: Gate | None, until: Callable[[Event], bool]) -> None:
        self._gate = gate
        self._until = until
        self.events: list[Event] = []
        self.threads: list[str] = []

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self.events.append(event)
        self.threads.append(threading.current_thread().name)
        if self._gate is not None and self._until(event):
            self._gate.open()

    @property
    def progress(self) -> list[StepProgress]:
        """What was heard of progress."""
        return [event for event in self.events if isinstance(event, StepProgress)]


def half_way(event: Event) -> bool:
    """Whether an event tells of a build that is between its beginning and its end."""
    return isinstance(event, StepProgress) and 0 < (event.done or 0) < (event.total or 0)


def test_a_listener_hears_how_far_an_index_is(
    engine: Engine, observer: psycopg.Connection, gate: Gate, tmp_path: Path
) -> None:
    """In a transaction too: phase, blocks done and blocks in all, before the step's end."""
    write_version(tmp_path, "001_slow", up=[BUILD])
    heard = Heard(gate, half_way)
    MigrationRunner(engine, tmp_path, allow_non_empty=True, listeners=[heard]).up()
    told = next(event for event in heard.progress if half_way(event))
    assert told.step.label == "001_slow"
    assert (told.phase, told.unit) == ("building index: scanning table", "blocks")
    blocks = scalar(observer, "SELECT pg_relation_size('gated') / 8192")
    assert told.total == blocks
    assert isinstance(heard.events[-1], StepEnded)
    threads = dict(zip(map(type, heard.events), heard.threads, strict=True))
    assert threads[StepProgress] == "neuron-schema-watch"
    assert threads[StepEnded] == threading.current_thread().name


@pytest.mark.parametrize(
    "case",
    [
        ("[Vacuum(gated, full=True)]", "rebuilding index"),
        ("[Vacuum(gated, analyze=True)]", "computing statistics"),
        ("[Reindex(gated, concurrently=True)]", "building index: scanning table"),
        ("[Sql(\"COPY (SELECT gate(n) FROM gated) TO '/dev/null'\")]", "COPY TO"),
    ],
    ids=["vacuum full", "vacuum analyze", "reindex", "copy"],
)
def test_other_operations_tell_how_far_they_are(
    engine: Engine,
    observer: psycopg.Connection,
    database: URL,
    tmp_path: Path,
    case: tuple[str, str],
) -> None:
    """Each in the words of PostgreSQL's own view of it."""
    up, phase = case
    observer.execute(BUILD)
    write_version(
        tmp_path,
        "001_slow",
        up=up,
        imports="from sqlalchemy import table\nfrom neuron_schema.ops import Reindex, Vacuum",
        body='gated = table("gated")',
    )
    with Gate(libpq(database)) as gate:
        heard = Heard(gate, lambda event: getattr(event, "phase", "") == phase)
        MigrationRunner(engine, tmp_path, allow_non_empty=True, listeners=[heard]).up()
    assert phase in [event.phase for event in heard.progress]
    assert applied(observer) == ["001"]


def test_every_view_of_progress_can_be_asked(observer: psycopg.Connection) -> None:
    """Its columns differ from one major to the next; the query of all of them runs on each."""
    sql = look_sql(observer.info.backend_pid, progress=True)
    assert read_look(observer.execute(sql.encode()).fetchall()) == ((), None)
    for view, columns in {
        "create_index": "tuples_done tuples_total blocks_done blocks_total lockers_done",
        "vacuum": "heap_blks_scanned heap_blks_vacuumed heap_blks_total",
        "cluster": "heap_tuples_written heap_tuples_scanned index_rebuild_count heap_blks_total",
        "copy": "command bytes_processed bytes_total tuples_processed",
        "analyze": "sample_blks_scanned sample_blks_total",
    }.items():
        names = ", ".join(columns.split())
        observer.execute(f"SELECT {names} FROM pg_stat_progress_{view}".encode())


@pytest.mark.extension("vector")
def test_a_vector_index_tells_its_blocks(
    engine: Engine, observer: psycopg.Connection, gate: Gate, tmp_path: Path
) -> None:
    """The build that users wait for: HNSW has phases of its own, and a percentage."""
    observer.execute(
        "CREATE EXTENSION vector;"
        "CREATE FUNCTION gated_vector(n int) RETURNS vector LANGUAGE sql IMMUTABLE "
        "AS $$ SELECT ARRAY[public.gate(n), 1, 2]::public.vector $$"
    )
    sql = "CREATE INDEX slow ON gated USING hnsw ((gated_vector(n)::vector(3)) vector_l2_ops)"
    write_version(tmp_path, "001_slow", up=[sql])
    heard = Heard(gate, half_way)
    MigrationRunner(engine, tmp_path, allow_non_empty=True, listeners=[heard]).up()
    told = next(event for event in heard.progress if half_way(event))
    assert (told.phase, told.unit) == ("building index: loading tuples", "blocks")


def test_a_build_that_waits_for_a_transaction_tells_whose_it_is(
    engine: Engine,
    observer: psycopg.Connection,
    database: URL,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CREATE INDEX CONCURRENTLY waits without end, and nothing fails that could name it later."""
    monkeypatch.setattr(StepWatch, "NAME_BLOCKERS_AFTER_S", 0.5)
    observer.execute("CREATE SCHEMA ledger CREATE TABLE entries (version text)")
    write_version(tmp_path, "001_index", **CONCURRENTLY)
    with psycopg.connect(libpq(database)) as writer:
        writer.execute("INSERT INTO ledger.entries VALUES ('culprit')")
        pid = writer.info.backend_pid

        def let_go(event: Event) -> None:
            # A look or two later, in which it is not told again.
            waited = any(isinstance(before, StepWaiting) for before in heard.events)
            if waited and isinstance(event, StepProgress):
                writer.rollback()

        heard = Heard(None, bool)
        MigrationRunner(engine, tmp_path, allow_non_empty=True, listeners=[heard, let_go]).up()
    waits = [event for event in heard.events if isinstance(event, StepWaiting)]
    assert len(waits) == 1
    assert f"blocked by pid {pid} " in waits[0].reason
    assert "culprit" in waits[0].reason
    assert waits[0].delay_s == 0
    phase = "waiting for writers before build"
    told = next(event for event in heard.progress if event.phase == phase)
    assert (told.done, told.total, told.unit) == (0, 1, "lockers")
    assert leftovers(observer) == []


def test_a_moment_of_waiting_is_not_told(
    engine: Engine, observer: psycopg.Connection, database: URL, tmp_path: Path
) -> None:
    """A build waits for every transaction that writes, and for most of them for moments."""
    observer.execute("CREATE SCHEMA ledger CREATE TABLE entries (version text)")
    write_version(tmp_path, "001_index", **CONCURRENTLY)
    with psycopg.connect(libpq(database)) as writer:
        writer.execute("INSERT INTO ledger.entries VALUES ('brief')")

        def let_go(event: Event) -> None:
            if isinstance(event, StepProgress) and event.phase.startswith("waiting"):
                writer.rollback()

        heard = Heard(None, bool)
        MigrationRunner(engine, tmp_path, allow_non_empty=True, listeners=[heard, let_go]).up()
    assert not any(isinstance(event, StepWaiting) for event in heard.events)


def test_a_step_ends_for_its_listeners_when_they_have_heard_its_progress(
    engine: Engine, observer: psycopg.Connection, gate: Gate, tmp_path: Path
) -> None:
    """One event at a time, though it is another thread that tells of progress."""
    write_version(tmp_path, "001_slow", up=[BUILD])
    order: list[str] = []

    def slow(event: Event) -> None:
        if isinstance(event, StepProgress) and not order:
            gate.open()
            wait_for(lambda: applied(observer))
            observer.execute("SELECT pg_sleep(0.5)")
            order.append("progress")
        elif isinstance(event, StepEnded):
            order.append("ended")

    MigrationRunner(engine, tmp_path, allow_non_empty=True, listeners=[slow]).up()
    assert order == ["progress", "ended"]


def test_what_a_listener_raises_ends_the_run_when_the_step_has_ended(
    engine: Engine,
    observer: psycopg.Connection,
    gate: Gate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A broken log does not break off a build of hours, but the next version does not run."""
    monkeypatch.setattr(StepWatch, "TELL_EVERY_S", 0.0)
    write_version(tmp_path, "001_slow", up=[BUILD])
    write_version(tmp_path, "002_next")
    heard = Heard(None, bool)

    def broken(event: Event) -> None:
        if isinstance(event, StepProgress):
            # Some looks later.
            threading.Timer(0.5, gate.open).start()
            raise OSError("the log is full")

    with pytest.raises(OSError, match="the log is full"):
        MigrationRunner(engine, tmp_path, allow_non_empty=True, listeners=[heard, broken]).up()
    assert len(heard.progress) == 1
    assert isinstance(heard.events[-1], StepEnded)
    assert applied(observer) == ["001"]


def test_what_a_listener_raises_in_a_step_that_fails_is_noted_on_its_error(
    engine: Engine, observer: psycopg.Connection, gate: Gate, tmp_path: Path
) -> None:
    """The step's own error goes first."""
    write_version(tmp_path, "001_slow", up=[BUILD, "SELECT 1/0"])

    def broken(event: Event) -> None:
        if isinstance(event, StepProgress):
            gate.open()
            raise OSError("the log is full")

    with pytest.raises(StatementFailed) as caught:
        MigrationRunner(engine, tmp_path, allow_non_empty=True, listeners=[broken]).up()
    assert any("the log is full" in note for note in caught.value.__notes__)


def test_a_second_connection_that_fails_fails_nothing(
    database: URL, observer: psycopg.Connection, gate: Gate, tmp_path: Path
) -> None:
    """It is a convenience, and not tried in a hurry."""
    write_version(tmp_path, "001_slow", up=[BUILD])
    tried: list[int] = []

    def connect() -> Any:
        if threading.current_thread().name == "neuron-schema-watch":
            tried.append(1)
            raise psycopg.OperationalError("too many connections")
        return psycopg.connect(libpq(database))

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    heard = Heard(None, bool)
    runner = MigrationRunner(engine, tmp_path, allow_non_empty=True, listeners=[heard])
    thread = threading.Thread(target=runner.up, daemon=True)
    thread.start()
    gate.wait()
    wait_for(lambda: tried)
    observer.execute("SELECT pg_sleep(0.5)")
    gate.open()
    thread.join()
    assert len(tried) == 1
    assert heard.progress == []
    assert applied(observer) == ["001"]


def test_a_pool_of_one_is_enough_to_be_watched(
    database: URL, observer: psycopg.Connection, gate: Gate, tmp_path: Path
) -> None:
    """The second connection is none of the pool's."""
    write_version(tmp_path, "001_slow", up=[BUILD])
    engine = create_engine(
        database, poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=1
    )
    heard = Heard(gate, half_way)
    MigrationRunner(engine, tmp_path, allow_non_empty=True, listeners=[heard]).up()
    assert any(map(half_way, heard.events))
    engine.dispose()
    ours = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name ~ 'neuron_schema'"
    )
    wait_for(lambda: scalar(observer, ours) == 0)


def test_short_steps_are_not_watched(engine: Engine, tmp_path: Path) -> None:
    """A second connection would cost more than they do."""
    for number in range(1, 4):
        write_version(tmp_path, f"{number:03}_v", up=["SELECT pg_sleep(0.3)"])
    connections: list[object] = []
    event.listen(engine, "connect", lambda connection, _record: connections.append(connection))
    # The most patient watch there is: a second.
    runner = MigrationRunner(
        engine, tmp_path, allow_non_empty=True, lock_timeout=60, listeners=[Heard(None, bool)]
    )
    plan = runner.plan()
    before = len(connections)
    runner.run(*plan)
    # One for each step, and one to ask what is in the run's way.
    assert len(connections) - before == 4


def test_nobody_is_watched_by_a_number_that_a_pooler_made_up(
    engine: Engine, observer: psycopg.Connection, gate: Gate, tmp_path: Path
) -> None:
    """Behind a pooler libpq is told of another process, or of none."""
    write_version(tmp_path, "001_slow", up=[BUILD])
    heard = Heard(None, bool)
    runner = MigrationRunner(engine, tmp_path, allow_non_empty=True, listeners=[heard])
    plan, look = runner.plan()
    pooled = replace(look, facts=replace(look.facts, through_pooler=True))
    thread = threading.Thread(target=runner.run, args=(plan, pooled), daemon=True)
    thread.start()
    gate.wait()
    observer.execute("SELECT pg_sleep(0.5)")
    watches = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name ~ 'watch'"
    )
    assert scalar(observer, watches) == 0
    gate.open()
    thread.join()
    assert heard.progress == []
    assert applied(observer) == ["001"]
