"""A squashed version in databases that know its parts: on its way up and down, and in a race."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.errors import ConnectionFailed, HistoryConflict, NeuronSchemaError
from neuron_schema.events import StepEnded
from neuron_schema.model import Direction, Outcome
from neuron_schema.runner import MigrationRunner
from neuron_schema.schemafile.squash import compose, parts_of
from neuron_schema.schemafile.squash_source import source_of
from tests.conftest import libpq
from tests.faults.processes import start
from tests.faults.size import messages
from tests.proxy import Proxy
from tests.runs import applied, leftovers, scalar, wait_for
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

    from neuron_schema.events import Event
    from neuron_schema.model import Report

ALL = ["001", "002", "003", "004"]
OLD, NEW = "old", "new"


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield connection


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    """Return a directory with the versions of two releases: one by one, and 002 to 004 as one."""
    for number in range(1, 5):
        write_version(
            tmp_path / OLD,
            f"{number:03}_v",
            up=[f"CREATE TABLE t{number} (x int)"],
            down=[f"DROP TABLE t{number}"],
        )
    squash(tmp_path, "2", "4")
    return tmp_path


def squash(releases: Path, first: str, last: str) -> None:
    """Make the new release of the old one."""
    shutil.copytree(releases / OLD, releases / NEW)
    parts = parts_of(VersionSet(releases / OLD).migrations(), first, last)
    draft = compose(parts, "one", plain=True)
    for part in parts:
        (releases / NEW / f"{part.label}.py").unlink()
    (releases / NEW / f"{draft.version}_one.py").write_text(source_of(draft), encoding="utf-8")


def tables(observer: psycopg.Connection) -> list[str]:
    """Return the tables that versions made."""
    rows = observer.execute(
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname ~ '^t[0-9]$' ORDER BY 1"
    )
    return [name for (name,) in rows]


def at_once(
    database: URL, *runs: tuple[Path, Callable[[MigrationRunner], Report]]
) -> list[Report | Exception]:
    """Run at once, each with an engine of its own; return reports or errors."""
    barrier = threading.Barrier(len(runs))

    def one(run: tuple[Path, Callable[[MigrationRunner], Report]]) -> Report | Exception:
        runner = MigrationRunner(create_engine(database, poolclass=NullPool), run[0])
        barrier.wait()
        try:
            return run[1](runner)
        except Exception as error:  # noqa: BLE001 - judged by the test
            return error

    with ThreadPoolExecutor(len(runs)) as executor:
        return list(executor.map(one, runs))


def test_a_database_with_the_parts_has_the_whole(engine: Engine, releases: Path) -> None:
    """To the library as to the command line; nothing is pending and nothing run."""
    MigrationRunner(engine, releases / OLD).up()
    runner = MigrationRunner(engine, releases / NEW)
    assert [one.label for one in runner.get_applied()] == ["001_v", "004_one"]
    assert runner.get_pending() == []
    assert runner.up().steps == ()
    assert runner.dry_run() == []
    (_, line) = runner.get_status()
    assert (line.version, line.status.value, line.covers) == ("004", "applied", ("002", "003"))


def test_a_rollback_goes_on_below_the_squashed_version(
    engine: Engine, releases: Path, observer: psycopg.Connection
) -> None:
    """Whose rows count as one step, and are gone when the next one begins."""
    MigrationRunner(engine, releases / OLD).up()
    report = MigrationRunner(engine, releases / NEW).reset()
    assert [(one.step.version, one.outcome) for one in report.steps] == [
        ("004", Outcome.ROLLED_BACK),
        ("001", Outcome.ROLLED_BACK),
    ]
    assert (applied(observer), tables(observer), leftovers(observer)) == ([], [], [])


def test_a_rollback_from_above_comes_to_the_squashed_version(
    engine: Engine, releases: Path, observer: psycopg.Connection
) -> None:
    """The premise of its step counts what the one before has taken away."""
    for release in (OLD, NEW):
        write_version(
            releases / release, "005_v", up=["CREATE TABLE t5 ()"], down=["DROP TABLE t5"]
        )
    MigrationRunner(engine, releases / OLD).up()
    MigrationRunner(engine, releases / NEW).down("1")
    assert (applied(observer), tables(observer)) == (["001"], ["t1"])


def test_two_rollbacks_at_once_do_it_once(
    database: URL, engine: Engine, releases: Path, observer: psycopg.Connection
) -> None:
    """The other one finds it done, with all of its rows."""
    MigrationRunner(engine, releases / OLD).up()
    new = releases / NEW

    def down(runner: MigrationRunner) -> Report:
        return runner.down("1")

    reports = at_once(database, *[(new, down)] * 4)
    assert not [one for one in reports if isinstance(one, Exception)]
    outcomes = [step.outcome for one in reports for step in getattr(one, "steps", ())]
    assert outcomes.count(Outcome.ROLLED_BACK) == 1, outcomes
    # Who came too late to look has nothing to roll back.
    assert set(outcomes) <= {Outcome.ROLLED_BACK, Outcome.ALREADY}
    assert (applied(observer), tables(observer)) == (["001"], ["t1"])


@pytest.mark.parametrize("round_", range(3))
def test_two_releases_at_once_never_mix(
    database: URL, releases: Path, observer: psycopg.Connection, round_: int
) -> None:
    """One applies the parts, the other the whole: whoever is second is refused or has nothing left.

    The history is one of the two, and every table was made once.
    """

    def up(runner: MigrationRunner) -> Report:
        return runner.up()

    ended = at_once(database, *[(releases / name, up) for name in (OLD, NEW, OLD, NEW)])
    errors = [one for one in ended if isinstance(one, Exception)]
    assert all(isinstance(one, HistoryConflict) for one in errors), errors
    assert applied(observer) in (ALL, ["001", "004"])
    assert tables(observer) == ["t1", "t2", "t3", "t4"]


def test_a_part_that_the_old_release_rolls_back_meanwhile_stops_the_whole(
    engine: Engine, releases: Path, observer: psycopg.Connection
) -> None:
    """Nothing of it is rolled back: the `down` of the whole would undo what is undone."""
    old, new = (MigrationRunner(engine, releases / name) for name in (OLD, NEW))
    old.up()
    plan, look = new.plan(Direction.DOWN)
    old.down()
    with pytest.raises(HistoryConflict, match="004 was rolled back by another run meanwhile"):
        new.run(plan, look)
    assert (applied(observer), tables(observer)) == (ALL[:3], ["t1", "t2", "t3"])


def test_a_whole_that_came_back_as_its_parts_stops_the_rollback(
    engine: Engine, releases: Path, observer: psycopg.Connection
) -> None:
    """The plan knows of one row only: the others would stay, and nothing of what they made."""
    old, new = (MigrationRunner(engine, releases / name) for name in (OLD, NEW))
    new.up()
    plan, look = new.plan(Direction.DOWN)
    new.down()
    old.up()
    with pytest.raises(HistoryConflict, match="004 was applied anew by another run meanwhile"):
        new.run(plan, look)
    assert (applied(observer), tables(observer)) == (ALL, ["t1", "t2", "t3", "t4"])


def test_a_row_that_goes_unseen_is_missed_by_the_deletion(
    engine: Engine, releases: Path, observer: psycopg.Connection
) -> None:
    """The premise of a later step only counts rows; the deletion counts its own."""
    for release in (OLD, NEW):
        write_version(
            releases / release, "005_v", up=["CREATE TABLE t5 ()"], down=["DROP TABLE t5"]
        )
    MigrationRunner(engine, releases / OLD).up()

    def meddle(event: Event) -> None:
        if isinstance(event, StepEnded) and event.report.step.version == "005":
            observer.execute("UPDATE neuron_migrations SET version = '009' WHERE version = '002'")

    runner = MigrationRunner(engine, releases / NEW, listeners=[meddle])
    with pytest.raises(HistoryConflict):
        runner.down("1")
    assert applied(observer) == ["001", "003", "004", "009"]
    assert tables(observer) == ["t1", "t2", "t3", "t4"]


def test_a_rollback_that_is_killed_leaves_all_the_rows_and_tables(
    database: URL, tmp_path: Path, observer: psycopg.Connection
) -> None:
    """They go together or not at all; the next one completes it."""
    for number in (1, 2):
        write_version(
            tmp_path / OLD,
            f"{number:03}_v",
            up=[f"CREATE TABLE t{number} ()"],
            down=[
                f"DROP TABLE t{number}",
                "SELECT pg_sleep(600) WHERE EXISTS (SELECT FROM pg_class WHERE relname = 'gate')",
            ],
        )
    squash(tmp_path, "1", "2")
    engine = create_engine(database, poolclass=NullPool)
    MigrationRunner(engine, tmp_path / OLD).up()
    observer.execute("CREATE TABLE gate ()")
    command = start(database, tmp_path / NEW, ["down", "--yes"], directory=tmp_path / "work")
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = "
    wait_for(lambda: scalar(observer, sleeping + "current_database()") == 1)
    os.kill(command.pid, signal.SIGKILL)
    assert command.finish() == -signal.SIGKILL
    observer.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE wait_event = 'PgSleep' AND datname = current_database()"
    )
    assert leftovers(observer) == []
    assert (applied(observer), tables(observer)) == (["001", "002"], ["t1", "t2"])
    observer.execute("DROP TABLE gate")
    MigrationRunner(engine, tmp_path / NEW).down()
    assert (applied(observer), tables(observer)) == ([], [])


@pytest.mark.parametrize("deliver", [False, True], ids=["before", "after"])
def test_a_rollback_cut_at_any_message_takes_all_the_rows_or_none(
    database: URL, engine: Engine, releases: Path, observer: psycopg.Connection, *, deliver: bool
) -> None:
    """Whether the commit was lost, the rows that stand for the version tell together."""
    old = MigrationRunner(engine, releases / OLD)
    for cut_at in messages(int(deliver), of=2):
        old.up()
        with Proxy(database, cut_at=cut_at, deliver=deliver) as proxy:
            through = create_engine(proxy.url.set(password="x"), poolclass=NullPool)
            try:
                report = MigrationRunner(through, releases / NEW, deadline=60).down("1")
            except ConnectionFailed:
                # Only the first look gives up at once.
                assert (applied(observer), tables(observer)) == (ALL, ["t1", "t2", "t3", "t4"])
            else:
                assert [one.outcome for one in report.steps] == [Outcome.ROLLED_BACK]
                assert (applied(observer), tables(observer)) == (["001"], ["t1"])
            if not proxy.cut:
                break
    assert cut_at > 10


def test_without_a_log_a_rollback_takes_all_rows_too(
    engine: Engine, releases: Path, observer: psycopg.Connection
) -> None:
    """The history table is the truth."""
    MigrationRunner(engine, releases / OLD, log=False).up()
    MigrationRunner(engine, releases / NEW, log=False).down()
    assert applied(observer) == ["001"]
    assert scalar(observer, "SELECT to_regclass('neuron_migration_log')") is None


def test_a_role_that_may_only_read_learns_that_nothing_is_to_be_done(
    database: URL, engine: Engine, releases: Path, observer: psycopg.Connection
) -> None:
    """There is nothing to write, so no right to write is wanted; to roll back one is."""
    MigrationRunner(engine, releases / OLD).up()
    role = f"reader_{database.database}"
    observer.execute(
        f"CREATE ROLE \"{role}\" LOGIN PASSWORD 'reader'; "
        f'GRANT SELECT ON neuron_migrations, neuron_migration_log TO "{role}"'
    )
    try:
        limited = create_engine(database.set(username=role, password="reader"), poolclass=NullPool)
        runner = MigrationRunner(limited, releases / NEW)
        assert runner.up().steps == ()
        with pytest.raises(NeuronSchemaError, match="may not DELETE"):
            runner.down()
        assert applied(observer) == ALL
    finally:
        observer.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


def test_what_was_applied_without_checksums_is_taken_for_the_parts(
    engine: Engine, releases: Path, observer: psycopg.Connection
) -> None:
    """As a history that another tool wrote; all the rows must be there."""
    MigrationRunner(engine, releases / OLD).up()
    observer.execute("UPDATE neuron_migrations SET checksum = NULL")
    runner = MigrationRunner(engine, releases / NEW)
    assert runner.up().steps == ()
    observer.execute("DELETE FROM neuron_migrations WHERE version = '003'")
    with pytest.raises(HistoryConflict, match="not applied: 003"):
        runner.up()


def test_the_recorded_down_of_a_squashed_version_is_its_own(
    engine: Engine, releases: Path, observer: psycopg.Connection
) -> None:
    """Where it ran as one and its file is gone, the log still has what undoes it."""
    MigrationRunner(engine, releases / NEW).up()
    (releases / NEW / "004_one.py").unlink()
    MigrationRunner(engine, releases / NEW).down(from_history=True)
    assert (applied(observer), tables(observer)) == (["001"], ["t1"])


def test_the_parts_can_be_rolled_back_one_by_one_from_the_log(
    engine: Engine, releases: Path, observer: psycopg.Connection
) -> None:
    """Where the squashed file is gone as well: the rows are still those of the parts."""
    MigrationRunner(engine, releases / OLD).up()
    (releases / NEW / "004_one.py").unlink()
    MigrationRunner(engine, releases / NEW).down(count=2, from_history=True)
    assert (applied(observer), tables(observer)) == (["001", "002"], ["t1", "t2"])
