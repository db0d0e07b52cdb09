"""What a run does and refuses, on a real server."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row
from sqlalchemy import create_engine, event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from neuron_schema.errors import (
    ConnectionFailed,
    DriverUnsupported,
    ExtensionMissing,
    HistoryConflict,
    HistoryTableMalformed,
    HistoryTableMisplaced,
    IrreversibleVersion,
    PrivilegeMissing,
    ReadOnlyServer,
    SettingsError,
    StatementFailed,
    TargetError,
    VersionError,
)
from neuron_schema.events import PlanMade, StepEnded, StepStarted, StepWaiting
from neuron_schema.execution.failures import AttemptFailed, Cause
from neuron_schema.execution.transaction import Script, check_commit, run_transaction
from neuron_schema.history import HistoryTable, record_sql
from neuron_schema.locking import run_lock_key
from neuron_schema.model import Outcome, Status
from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.proxy import Proxy
from tests.runs import CONCURRENTLY, applied, scalar
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from psycopg.pq.abc import PGresult
    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

    from neuron_schema.events import Event
    from neuron_schema.model import Report


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield connection


def write(directory: Path, count: int) -> Path:
    """Write versions of one table each."""
    for number in range(1, count + 1):
        write_version(
            directory,
            f"{number:03}_v",
            up=[f"CREATE TABLE t{number} (x int)"],
            down=[f"DROP TABLE t{number}"],
        )
    return directory


def outcomes(report: Report | None) -> list[Outcome]:
    """Return how the steps ended."""
    assert report is not None
    return [step.outcome for step in report.steps]


# --- round trips


def round_trips(database: URL, directory: Path, count: int) -> tuple[int, int]:
    """Return the round trips of a look and of an ``up`` of so many versions, connecting aside."""
    write(directory, count)
    with Proxy(database) as proxy:
        engine = create_engine(proxy.url, use_native_hstore=False)
        runner = MigrationRunner(engine, directory)
        engine.connect().close()
        before = proxy.round_trips
        runner.get_status()
        look = proxy.round_trips - before
        before = proxy.round_trips
        runner.up()
        up = proxy.round_trips - before
        engine.dispose()
    return look, up


def test_a_version_costs_one_round_trip(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """BEGIN, lock, history row, statements and COMMIT go out together; a look takes two at most."""
    look, few = round_trips(database, tmp_path / "few", 4)
    assert look <= 2
    observer.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    _, many = round_trips(database, tmp_path / "many", 24)
    assert (many - few) / 20 <= 1


# --- failures


def test_a_failing_statement_rolls_its_version_back_and_keeps_the_ones_before(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The error names the statement, and tells of every version how it ended."""
    write_version(tmp_path, "001_a", up=["CREATE TABLE a (x int)"])
    write_version(
        tmp_path,
        "002_b",
        up=["CREATE TABLE b (x int)", "INSERT INTO a\nSELECT 1/0", "CREATE TABLE c (x int)"],
    )
    write_version(tmp_path, "003_c", up=["SELECT 1"])
    events: list[Event] = []
    with caplog.at_level(logging.DEBUG), pytest.raises(StatementFailed) as caught:
        MigrationRunner(engine, tmp_path, listeners=[events.append]).up()
    error = caught.value
    assert error.statement == "INSERT INTO a\nSELECT 1/0"
    assert error.sqlstate == "22012"
    assert "002_b (up): division by zero" in error.message
    assert outcomes(error.report) == [Outcome.APPLIED, Outcome.FAILED, Outcome.NOT_RUN]
    assert applied(observer) == ["001"]
    assert scalar(observer, "SELECT to_regclass('b')") is None
    assert isinstance(events[-1], StepEnded)
    assert events[-1].report.outcome is Outcome.FAILED
    assert not [record for record in caplog.records if record.name.startswith("psycopg")]


def test_a_failed_up_is_corrected_and_run_again(engine: Engine, tmp_path: Path) -> None:
    """Its remedy says that it was rolled back."""
    write_version(tmp_path, "001_a", up=["SELECT 1/0"])
    with pytest.raises(StatementFailed) as caught:
        MigrationRunner(engine, tmp_path).up()
    assert caught.value.remedy == (
        "correct the version and run again; it was rolled back and is still pending"
    )
    write_version(tmp_path, "001_a", up=["SELECT 1"])
    MigrationRunner(engine, tmp_path).up()


def test_a_failed_down_stays_applied_and_its_remedy_leads_out(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Of a version whose `down` was corrected the new text has to be accepted first."""
    up = ["CREATE TABLE a ()"]
    write_version(tmp_path, "001_a", up=up, down=["DROP TABLE a", "DROP TABLE nosuch"])
    runner = MigrationRunner(engine, tmp_path)
    runner.up()
    [recorded] = [status.checksum for status in runner.get_status()]
    assert recorded is not None
    with pytest.raises(StatementFailed) as caught:
        runner.down()
    assert caught.value.remedy == (
        "mend the cause and run again; it stays applied, all of it; a corrected `down` is accepted "
        f"with neuron-schema repair 001 --expect {recorded[:12]}"
    )
    assert applied(observer) == ["001"]
    assert scalar(observer, "SELECT to_regclass('a')") is not None
    write_version(tmp_path, "001_a", up=up, down=["DROP TABLE a"])
    corrected = MigrationRunner(engine, tmp_path)
    corrected.repair("001", expected=recorded[:12])
    corrected.down()
    assert applied(observer) == []


def test_a_hint_of_postgresql_stands_in_front_of_the_remedy(engine: Engine, tmp_path: Path) -> None:
    """It knows more of the cause."""
    raising = "DO $$ BEGIN RAISE 'no' USING HINT = 'Ask Joe.'; END $$"
    write_version(tmp_path, "001_a", up=[raising])
    with pytest.raises(StatementFailed) as caught:
        MigrationRunner(engine, tmp_path).up()
    assert str(caught.value.remedy).startswith("Ask Joe. (correct the version and run again; ")


def test_a_baseline_that_fails_does_not_blame_the_version(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Nothing of it is run."""
    write_version(tmp_path, "001_a", up=["SELECT 1"])
    MigrationRunner(engine, write(tmp_path / "others", 1)).up()
    observer.execute(
        "DELETE FROM neuron_migrations; ALTER TABLE neuron_migrations ADD CHECK (version <> '001')"
    )
    with pytest.raises(StatementFailed) as caught:
        MigrationRunner(engine, tmp_path).baseline("1")
    assert caught.value.remedy == "run again when the cause is mended; the history is as it was"


@pytest.mark.parametrize("position", range(4))
def test_the_statement_blamed_is_the_one_that_failed(
    engine: Engine, tmp_path: Path, position: int
) -> None:
    """Whichever place it has among those that were sent together."""
    up = [f"SELECT {number}" for number in range(4)]
    up[position] = "SELECT nothing"
    write_version(tmp_path, "001_a", up=up)
    with pytest.raises(StatementFailed, match="in: SELECT nothing") as caught:
        MigrationRunner(engine, tmp_path).up()
    assert caught.value.statement == "SELECT nothing"


def test_a_failure_at_commit_is_no_success(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A deferred constraint is checked by COMMIT itself."""
    write_version(
        tmp_path,
        "001_a",
        up=[
            "CREATE TABLE a (x int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
            "INSERT INTO a VALUES (1), (1)",
        ],
    )
    with pytest.raises(StatementFailed, match="duplicate key") as caught:
        MigrationRunner(engine, tmp_path).up()
    assert caught.value.statement is None
    assert applied(observer) == []
    assert scalar(observer, "SELECT to_regclass('a')") is None


def answer(cursor: psycopg.Cursor) -> PGresult:
    """Return what libpq answered to a cursor's last statement."""
    assert cursor.pgresult is not None
    return cursor.pgresult


def test_a_commit_that_rolled_back_is_seen(database: URL) -> None:
    """PostgreSQL answers COMMIT with ROLLBACK after an error, and psycopg says nothing."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        with pytest.raises(psycopg.errors.DivisionByZero):
            cursor.execute("SELECT 1/0")
        cursor.execute("COMMIT")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction, match="ROLLBACK"):
            check_commit(answer(cursor))
        cursor.execute("BEGIN")
        cursor.execute("COMMIT")
        check_commit(answer(cursor))


def script(*statements: str) -> Script:
    """Return a transaction of an author's statements."""
    return Script(settings="SELECT 1", statements=statements)


@pytest.mark.parametrize("sql", ["SELECT 1/0", "SELECT pg_terminate_backend(pg_backend_pid())"])
def test_without_a_pipeline_the_same_holds(
    engine: Engine, observer: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    """A libpq before 14 sends one statement after the other."""
    monkeypatch.setattr(psycopg.Pipeline, "is_supported", lambda: False)
    run_transaction(engine, script("CREATE TABLE a ()"))
    assert scalar(observer, "SELECT to_regclass('a')::text") == "a"
    with pytest.raises(AttemptFailed) as caught:
        run_transaction(engine, script("CREATE TABLE b ()", sql, "SELECT 2"))
    assert caught.value.sql == sql
    assert caught.value.lost is ("terminate" in sql)
    assert scalar(observer, "SELECT to_regclass('b')") is None


@pytest.mark.parametrize("code", ["08006", "53300", "57P01", "57P03"])
def test_a_statement_that_raises_an_error_of_connections_is_not_tried_again(
    engine: Engine, tmp_path: Path, code: str
) -> None:
    """Dblink and functions raise such codes while the session lives on."""
    write_version(
        tmp_path,
        "001_a",
        up=[f"DO $$ BEGIN RAISE 'no server there' USING ERRCODE = '{code}'; END $$"],
    )
    told: list[Event] = []
    with pytest.raises(StatementFailed, match="no server there"):
        MigrationRunner(engine, tmp_path, deadline=1, listeners=[told.append]).up()
    assert not any(isinstance(one, StepWaiting) for one in told)


def test_what_is_missing_on_the_server_is_said(
    engine: Engine, observer: psycopg.Connection, database: URL, tmp_path: Path
) -> None:
    """An absent extension, a missing privilege and a read-only session each have their error."""
    write_version(tmp_path, "001_a", up=["CREATE EXTENSION absent_one"])
    with pytest.raises(ExtensionMissing, match="absent_one"):
        MigrationRunner(engine, tmp_path).up()
    write_version(tmp_path, "001_a", up=["CREATE TABLE a ()"])
    reading = database.update_query_dict({"options": "-c default_transaction_read_only=on"})
    with pytest.raises(ReadOnlyServer):
        MigrationRunner(create_engine(reading, poolclass=NullPool), tmp_path).up()
    only = engine.execution_options(postgresql_readonly=True)
    with pytest.raises(ReadOnlyServer):
        MigrationRunner(only, tmp_path).up()
    role = f"guest_{database.database}"
    observer.execute(f'CREATE ROLE "{role}"')
    try:
        with pytest.raises(PrivilegeMissing, match="may not create in schema public"):
            MigrationRunner(engine, tmp_path, role=role).up()
    finally:
        observer.execute(f'DROP ROLE "{role}"')
    assert applied(observer) == []


# --- targets and states


def test_up_and_down_reach_their_targets(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """By number, by count and to nothing; what is there already is no error."""
    runner = MigrationRunner(engine, write(tmp_path, 4))
    assert outcomes(runner.up("2")) == [Outcome.APPLIED] * 2
    assert outcomes(runner.up("002")) == []
    assert outcomes(runner.up(count=1)) == [Outcome.APPLIED]
    assert outcomes(runner.up()) == [Outcome.APPLIED]
    assert outcomes(runner.down()) == [Outcome.ROLLED_BACK]
    assert outcomes(runner.down(count=1)) == [Outcome.ROLLED_BACK]
    assert outcomes(runner.down("1")) == [Outcome.ROLLED_BACK]
    assert applied(observer) == ["001"]
    with pytest.raises(TargetError):
        runner.down("3")
    with pytest.raises(TargetError):
        runner.up("9")
    runner.up()
    assert outcomes(runner.reset()) == [Outcome.ROLLED_BACK] * 4
    assert applied(observer) == []
    assert scalar(observer, "SELECT to_regclass('neuron_migrations')::text") is not None
    assert scalar(observer, "SELECT to_regclass('t1')") is None


def test_a_file_that_is_edited_while_a_service_runs_is_not_run(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A runner compares what it read first with the history, so nothing else may run."""
    write(tmp_path, 2)
    runner = MigrationRunner(engine, tmp_path)
    runner.up()
    path = write_version(tmp_path, "002_v", up=["CREATE TABLE t2 ()"], down=["DROP TABLE t1"])
    with pytest.raises(VersionError, match="002_v was changed after the versions") as caught:
        runner.down()
    assert caught.value.where == str(path)
    assert applied(observer) == ["001", "002"]
    assert scalar(observer, "SELECT to_regclass('t1')") is not None


def test_a_conflict_is_refused_before_anything_runs(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Modified, missing, out of order; a database ahead of the code is a warning."""
    write(tmp_path, 3)
    MigrationRunner(engine, tmp_path).up()
    write(tmp_path, 4)
    (tmp_path / "003_v.py").rename(tmp_path / "003_w.py")
    runner = MigrationRunner(engine, tmp_path)
    assert [line.renamed_from for line in runner.get_status()] == [None, None, "v", None]
    write_version(tmp_path, "001_v", up=["CREATE TABLE other ()"])
    with pytest.raises(HistoryConflict, match="001_v was modified"):
        MigrationRunner(engine, tmp_path).up()
    write(tmp_path, 1)
    (tmp_path / "002_v.py").rename(tmp_path / "off")
    with pytest.raises(HistoryConflict, match="002_v is missing"):
        MigrationRunner(engine, tmp_path).up()
    (tmp_path / "off").rename(tmp_path / "002_v.py")
    observer.execute("DELETE FROM neuron_migrations WHERE version = '002'; DROP TABLE t2")
    with pytest.raises(HistoryConflict, match="002_v is out of order"):
        MigrationRunner(engine, tmp_path).up()
    assert applied(observer) == ["001", "003"]
    MigrationRunner(engine, tmp_path, allow_out_of_order=True).up()
    assert applied(observer) == ["001", "002", "003", "004"]
    (tmp_path / "004_v.py").unlink()
    report = MigrationRunner(engine, tmp_path).up()
    assert any("ahead" in warning for warning in report.warnings)
    with pytest.raises(HistoryConflict, match="004_v"):
        MigrationRunner(engine, tmp_path).down()


def test_an_irreversible_version_is_refused_before_anything_runs(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Not when half of the others have been rolled back."""
    write(tmp_path, 3)
    write_version(tmp_path, "002_v", up=["CREATE TABLE t2 ()"], down="irreversible('gone')")
    runner = MigrationRunner(engine, tmp_path)
    runner.up()
    with pytest.raises(IrreversibleVersion, match="gone"):
        runner.reset()
    assert applied(observer) == ["001", "002", "003"]


def test_listeners_are_told_of_the_plan_and_of_every_step(engine: Engine, tmp_path: Path) -> None:
    """In order, with index and total."""
    events: list[Event] = []
    MigrationRunner(engine, write(tmp_path, 2), listeners=[events.append]).up()
    assert [type(event) for event in events] == [
        PlanMade,
        StepStarted,
        StepEnded,
        StepStarted,
        StepEnded,
    ]
    places = [(e.index, e.total) for e in events if isinstance(e, StepStarted | StepEnded)]
    assert places == [(0, 2), (0, 2), (1, 2), (1, 2)]


# --- the history table


def test_a_row_that_is_not_there_cannot_be_rolled_back(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A DELETE of nothing is no error to PostgreSQL; what follows it must not run."""
    runner = MigrationRunner(engine, write(tmp_path, 1))
    runner.up()
    plan, look = runner.plan("down")
    observer.execute("DELETE FROM neuron_migrations")
    with pytest.raises(AttemptFailed, match="001 is not applied") as caught:
        run_transaction(engine, script(record_sql(look.table, plan.steps[0]), "DROP TABLE t1"))
    assert caught.value.cause is Cause.HISTORY_MOVED
    assert scalar(observer, "SELECT to_regclass('t1')::text") == "t1"


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("DROP SCHEMA public CASCADE", '"public.neuron_migrations" does not exist'),
        ("DELETE FROM neuron_migrations", "deleted version 001 from the history"),
    ],
)
def test_a_version_that_takes_itself_out_of_the_history_is_an_error(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path, sql: str, says: str, *, log: bool
) -> None:
    """Told as applied, it would run again the next time, and drop what came in since."""
    observer.execute("CREATE TABLE customers ()")
    write_version(tmp_path, "001_a", up=[sql, "CREATE SCHEMA IF NOT EXISTS public"])
    with pytest.raises(StatementFailed, match=says):
        MigrationRunner(engine, tmp_path, allow_non_empty=True, log=log).up()
    assert scalar(observer, "SELECT to_regclass('customers')::text") == "customers"
    assert scalar(observer, "SELECT to_regclass('neuron_migrations')") is None


@pytest.mark.parametrize(
    "setting", ["DateStyle = 'German, DMY'", "DateStyle = 'SQL'", "quote_all_identifiers = on"]
)
def test_how_the_database_writes_times_and_names_does_not_matter(
    engine: Engine, observer: psycopg.Connection, database: URL, tmp_path: Path, setting: str
) -> None:
    """Psycopg reads a time with its zone in ISO alone, and types have more names than one."""
    observer.execute(f'ALTER DATABASE "{database.database}" SET {setting}'.encode())
    zone = f"ALTER DATABASE \"{database.database}\" SET timezone = 'Asia/Kathmandu'"
    observer.execute(zone.encode())
    write_version(tmp_path, "001_a")
    runner = MigrationRunner(engine, tmp_path)
    runner.up()
    (line,) = runner.get_status()
    (entry,) = runner.get_history()
    for at, column in (
        (line.applied_at, "applied_at FROM neuron_migrations"),
        (entry.started_at, "started_at FROM neuron_migration_log"),
    ):
        assert at is not None
        assert at.utcoffset() == timedelta(hours=5, minutes=45)
        seconds = f"SELECT extract(epoch FROM t)::float8 FROM (SELECT {column}) s(t)"
        assert at.timestamp() == pytest.approx(scalar(observer, seconds), abs=1e-5)


def test_a_time_that_python_has_not_is_told_as_such(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Somebody has written it there by hand."""
    write_version(tmp_path, "001_a")
    MigrationRunner(engine, tmp_path).up()
    observer.execute("UPDATE neuron_migrations SET applied_at = 'infinity'")
    with pytest.raises(HistoryTableMalformed, match="holds the time infinity"):
        MigrationRunner(engine, tmp_path).get_status()


def test_a_history_table_in_another_schema_stops_a_run(
    engine: Engine, observer: psycopg.Connection, database: URL, tmp_path: Path
) -> None:
    """Else a changed search_path would run every version again."""
    MigrationRunner(engine, write(tmp_path, 1)).up()
    observer.execute("CREATE SCHEMA app")
    elsewhere = database.update_query_dict({"options": "-c search_path=app"})
    with pytest.raises(HistoryTableMisplaced, match="public"):
        MigrationRunner(create_engine(elsewhere, poolclass=NullPool), tmp_path).get_status()


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIEW neuron_migrations AS SELECT 1 AS version",
        "CREATE TABLE neuron_migrations (version text, name text)",
        "CREATE SEQUENCE neuron_migrations",
    ],
)
def test_what_only_has_the_name_of_a_history_table_is_left_alone(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path, sql: str
) -> None:
    """Another tool's table, or a view."""
    observer.execute(sql.encode())
    with pytest.raises(HistoryTableMalformed):
        MigrationRunner(engine, write(tmp_path, 1)).up()
    assert scalar(observer, "SELECT to_regclass('t1')") is None


def test_a_version_that_is_no_number_is_an_error(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Rows are written by neuron-schema alone."""
    runner = MigrationRunner(engine, write(tmp_path, 1))
    runner.up()
    observer.execute("INSERT INTO neuron_migrations VALUES ('v2', 'x')")
    with pytest.raises(HistoryTableMalformed, match="'v2'"):
        runner.get_status()


@pytest.mark.parametrize("name", ['a"b', "50%s", "$neuron_schema$", "UPPER", "it's", "é\\x", ":x"])
def test_a_history_table_may_have_any_name(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path, name: str
) -> None:
    """Up, down and concurrent operations work with names that must be quoted."""
    write(tmp_path, 1)
    write_version(
        tmp_path,
        "002_i",
        up="[CreateIndex(index)]",
        down="[DropIndex(index)]",
        imports=CONCURRENTLY["imports"],
        body='t = Table("t1", MetaData(), Column("x", String))\n'
        'index = Index("i", t.c.x, postgresql_concurrently=True)',
    )
    observer.execute(psycopg.sql.SQL("CREATE SCHEMA {}").format(psycopg.sql.Identifier(name)))
    runner = MigrationRunner(engine, tmp_path, history_table=name, history_schema=name)
    runner.up()
    assert [line.status for line in runner.get_status()] == [Status.APPLIED] * 2
    runner.reset()
    assert [line.status for line in runner.get_status()] == [Status.PENDING] * 2


def test_rows_hidden_by_row_security_are_an_error(
    engine: Engine, observer: psycopg.Connection, database: URL, tmp_path: Path
) -> None:
    """What a step's role does not see must not run twice, nor be tried for ever.

    It is seen before anything runs; here it is switched on after that.
    """
    role = f"owner_{database.database}"
    observer.execute(f'CREATE ROLE "{role}"; GRANT ALL ON SCHEMA public TO "{role}"')
    try:
        MigrationRunner(engine, write(tmp_path, 1)).up()
        observer.execute(
            f'GRANT ALL ON neuron_migrations TO "{role}"; '
            f'GRANT INSERT ON neuron_migration_log TO "{role}"'
        )

        def listen(event: Event) -> None:
            if isinstance(event, StepStarted):
                observer.execute("ALTER TABLE neuron_migrations ENABLE ROW LEVEL SECURITY")

        write(tmp_path, 2)
        runner = MigrationRunner(engine, tmp_path, role=role, listeners=[listen])
        with pytest.raises(HistoryConflict, match="reads differently"):
            runner.up()
    finally:
        observer.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


# --- reading


def test_reading_is_read_only(
    engine: Engine, observer: psycopg.Connection, database: URL, tmp_path: Path
) -> None:
    """Status, plan and dry run work where nothing may be written, table or no table."""
    write(tmp_path, 2)
    reading = create_engine(
        database.update_query_dict({"options": "-c default_transaction_read_only=on"}),
        poolclass=NullPool,
    )
    runner = MigrationRunner(reading, tmp_path)
    for pending in (2, 1):
        assert len(runner.get_pending()) == pending
        assert len(runner.get_applied()) == 2 - pending
        plan, _ = runner.plan()
        assert len(plan.steps) == pending
        sql = runner.dry_run()
        assert sql[-1] == "CREATE TABLE t2 (x int)"
        assert any("CREATE TABLE IF NOT EXISTS" in text for text in sql) is (pending == 2)
        MigrationRunner(engine, tmp_path).up(count=1) if pending == 2 else None
    assert applied(observer) == ["001"]


def test_a_dry_run_has_the_targets_of_the_run(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A version, a count, and the rollback that the history tells of."""
    runner = MigrationRunner(engine, write(tmp_path, 3))

    def tables(*arguments: Any, **options: Any) -> list[str]:
        sql = runner.dry_run(*arguments, **options)
        return [text for text in sql if text.startswith(("CREATE TABLE t", "DROP TABLE t"))]

    made = [f"CREATE TABLE t{number} (x int)" for number in (1, 2, 3)]
    assert (tables(), tables(to="2"), tables("up", count=1)) == (made, made[:2], made[:1])
    runner.up()
    gone = [f"DROP TABLE t{number}" for number in (3, 2, 1)]
    assert (tables("down"), tables("down", to="1")) == (gone[:1], gone[:2])
    assert tables("down", count=3) == gone
    (tmp_path / "003_v.py").unlink()
    runner = MigrationRunner(engine, tmp_path)
    with pytest.raises(HistoryConflict):
        tables("down")
    assert tables("down", from_history=True) == gone[:1]
    assert applied(observer) == ["001", "002", "003"]


def test_a_role_that_may_only_read_can_ask_for_the_status(
    engine: Engine, observer: psycopg.Connection, database: URL, tmp_path: Path
) -> None:
    """And is told what is missing where it may not even do that."""
    MigrationRunner(engine, write(tmp_path, 1)).up()
    role = f"reader_{database.database}"
    observer.execute(f'CREATE ROLE "{role}" LOGIN')
    reader = create_engine(database, poolclass=NullPool)

    @event.listens_for(reader, "connect")
    def become(connection: Any, _record: object) -> None:
        connection.execute(f'SET ROLE "{role}"')

    try:
        with pytest.raises(PrivilegeMissing, match="GRANT SELECT"):
            MigrationRunner(reader, tmp_path).get_status()
        observer.execute(f'GRANT SELECT ON neuron_migrations TO "{role}"')
        status = MigrationRunner(reader, tmp_path).get_status()
        assert [line.status for line in status] == [Status.APPLIED]
    finally:
        observer.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


def test_up_with_nothing_to_do_takes_no_lock_and_writes_nothing(
    engine: Engine, observer: psycopg.Connection, database: URL, tmp_path: Path
) -> None:
    """While another run holds the run lock it returns at once, in a read-only session too."""
    MigrationRunner(engine, write(tmp_path, 1)).up()
    key = run_lock_key(HistoryTable(schema="public"))
    observer.execute("SELECT pg_advisory_lock(%s)", (key,))
    reading = database.update_query_dict({"options": "-c default_transaction_read_only=on"})
    runner = MigrationRunner(create_engine(reading, poolclass=NullPool), tmp_path, deadline=0)
    assert runner.up().steps == ()


# --- engines


ENGINES: dict[str, dict[str, Any]] = {
    "no pool": {"poolclass": NullPool},
    "a pool of one": {"pool_size": 1, "max_overflow": 0},
    "static": {"poolclass": StaticPool},
    "autocommit": {"isolation_level": "AUTOCOMMIT"},
    "serializable": {"isolation_level": "SERIALIZABLE"},
    "repeatable read": {"isolation_level": "REPEATABLE READ"},
    "driver's autocommit": {"connect_args": {"autocommit": True}},
    "streaming": {"execution_options": {"stream_results": True}},
    "prepared": {"connect_args": {"prepare_threshold": 0}},
}


def session(engine: Engine) -> tuple[Any, ...]:
    """Return how the engine's next connection is set."""
    with engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        found = (raw.info.backend_pid, raw.autocommit, raw.isolation_level, raw.prepare_threshold)
        rows = connection.exec_driver_sql(
            "SELECT name, setting FROM pg_settings WHERE source = 'session' ORDER BY name"
        ).fetchall()
        role = connection.exec_driver_sql("SELECT current_setting('role')").scalar()
    return (*found, *map(tuple, rows), role)


@pytest.mark.parametrize("kind", ENGINES)
def test_any_engine_works_and_is_left_as_it_was(
    database: URL, observer: psycopg.Connection, tmp_path: Path, kind: str
) -> None:
    """A run sets its connection as it needs it and puts everything back."""
    engine = create_engine(database, **ENGINES[kind])

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.execute("SET statement_timeout = '1min'")
        if not connection.autocommit:
            connection.commit()

    before = session(engine)
    write(tmp_path, 2)
    write_version(tmp_path, "003_fails", up=["CREATE TABLE t3 ()", "SELECT 1/0"])
    runner = MigrationRunner(engine, tmp_path, lock_timeout=5)
    runner.up("2")
    first = slice(1 if kind == "no pool" else 0, None)
    assert session(engine)[first] == before[first]
    with pytest.raises(StatementFailed):
        runner.up()
    assert session(engine)[1:] == before[1:]
    assert applied(observer) == ["001", "002"]
    assert scalar(observer, "SELECT to_regclass('t3')") is None
    runner.reset()
    assert applied(observer) == []
    engine.dispose()


@pytest.mark.parametrize(
    "sql",
    [
        "SET search_path = pg_catalog",
        "SET ROLE pg_monitor",
        "SET lock_timeout = '7ms'",
        "SELECT set_config('default_transaction_read_only', 'on', false)",
        "CREATE TEMP TABLE t2 (x int)",
    ],
)
def test_no_version_changes_the_session_of_the_next_or_of_the_service(
    database: URL, observer: psycopg.Connection, tmp_path: Path, sql: str
) -> None:
    """What a version sets for good goes with its connection."""
    engine = create_engine(database, poolclass=QueuePool, pool_size=1, max_overflow=0)
    before = session(engine)
    write(tmp_path, 2)
    write_version(tmp_path, "001_v", up=[sql])
    MigrationRunner(engine, tmp_path).up()
    assert (
        scalar(
            observer,
            "SELECT relnamespace::regnamespace::text FROM pg_class "
            "WHERE relname = 't2' AND relpersistence = 'p'",
        )
        == "public"
    )
    assert session(engine)[1:] == before[1:]
    assert applied(observer) == ["001", "002"]
    engine.dispose()


LEAK = (
    "CREATE FUNCTION leak() RETURNS integer LANGUAGE sql AS "
    "$$ SELECT 1 FROM (SELECT set_config('work_mem', '77MB', false)) s $$"
)
TENANT = "SELECT current_setting('app.tenant', true)"
MEMORY = "SELECT nullif(current_setting('work_mem'), '4MB')"
LOCKS = "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"


@pytest.mark.parametrize(
    ("up", "left"),
    [
        (["SET app.tenant = '42'"], TENANT),
        (["SELECT set_config('app.tenant', '42', false)"], TENANT),
        (["DO $$ BEGIN SET app.tenant TO '42'; END $$"], TENANT),
        (["LISTEN c"], "SELECT pg_listening_channels()"),
        (["PREPARE p AS SELECT 1"], "SELECT name FROM pg_prepared_statements"),
        (["SELECT pg_advisory_lock(4711)"], LOCKS),
        (["DO $$ BEGIN PERFORM pg_advisory_lock(4711); END $$"], LOCKS),
        (["SELECT leak()"], MEMORY),
        (["CREATE TABLE c AS SELECT leak()"], MEMORY),
        (["ALTER TABLE one ADD b integer DEFAULT leak()"], MEMORY),
    ],
)
def test_nothing_that_a_version_leaves_in_its_session_reaches_the_service(
    database: URL, observer: psycopg.Connection, tmp_path: Path, up: list[str], left: str
) -> None:
    """Also what no comparison of the settings would show, such as a tenant for row security."""
    observer.execute(f"CREATE TABLE one AS SELECT 1 AS a; {LEAK}".encode())
    engine = create_engine(database, poolclass=QueuePool, pool_size=1, max_overflow=0)
    write_version(tmp_path, "001_v", up=up)
    MigrationRunner(engine, tmp_path, allow_non_empty=True).up()
    with engine.connect() as connection:
        found = connection.exec_driver_sql(left).scalars().all()
    assert [each for each in found if each] == []
    engine.dispose()


def test_search_path_and_role_are_set_in_every_step(
    engine: Engine, observer: psycopg.Connection, database: URL, tmp_path: Path
) -> None:
    """Objects belong to the role and go where the settings say."""
    role = f"own_{database.database}"
    observer.execute(f'CREATE ROLE "{role}"; CREATE SCHEMA app AUTHORIZATION "{role}"')
    write(tmp_path, 2)
    try:
        runner = MigrationRunner(
            engine, tmp_path, role=role, search_path="app, public", history_schema="app"
        )
        runner.up()
        rows = observer.execute(
            "SELECT relname, relowner::regrole::text FROM pg_class WHERE relkind = 'r' "
            "AND relnamespace = 'app'::regnamespace ORDER BY 1"
        ).fetchall()
        assert rows == [
            (name, f'"{role}"') if '"' in rows[0][1] else (name, role)
            for name in ("neuron_migration_log", "neuron_migrations", "t1", "t2")
        ]
    finally:
        observer.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


def test_a_busy_pool_is_an_error_of_ours(database: URL, tmp_path: Path) -> None:
    """The service holds the only connection of its pool."""
    engine = create_engine(database, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with engine.connect(), pytest.raises(ConnectionFailed, match="pool gave no connection"):
        MigrationRunner(engine, write(tmp_path, 1)).up()
    engine.dispose()


def test_another_driver_is_refused(tmp_path: Path) -> None:
    """Synchronous psycopg 3 only, said at once."""
    for engine in (
        create_engine("sqlite://"),
        "postgresql://localhost/x",
    ):
        with pytest.raises(DriverUnsupported):
            MigrationRunner(engine, write(tmp_path, 1))  # type: ignore[arg-type]
    beside = create_async_engine("postgresql+psycopg://localhost/x")
    for given in (beside, beside.sync_engine):
        with pytest.raises(DriverUnsupported, match="AsyncEngine is no synchronous") as caught:
            MigrationRunner(given, write(tmp_path, 1))  # type: ignore[arg-type]
        assert "create_engine(async_engine.url)" in (caught.value.remedy or "")


def test_an_engine_that_puts_other_schemas_in_place_is_refused(
    engine: Engine, tmp_path: Path
) -> None:
    """What is compiled beforehand would go to the schemas that the versions name."""
    other = engine.execution_options(schema_translate_map={None: "tenant"})
    with pytest.raises(SettingsError, match="schema_translate_map"):
        MigrationRunner(other, write(tmp_path, 1))


@pytest.mark.parametrize(
    "options",
    [
        {"execution_options": {"yield_per": 10}},
        {"connect_args": {"row_factory": namedtuple_row}},
    ],
    ids=["yield_per", "named tuples"],
)
def test_how_an_engine_fetches_rows_is_no_matter(
    database: URL, observer: psycopg.Connection, tmp_path: Path, options: dict[str, Any]
) -> None:
    """Rows are read as they come, and the connection goes back as it was."""
    given = create_engine(database, **options)
    try:
        given.connect().close()
    except TypeError:
        pytest.skip("this SQLAlchemy itself reads no such rows")
    runner = MigrationRunner(given, write(tmp_path, 2))
    runner.up()
    assert [row.version for row in runner.get_applied()] == ["001", "002"]
    runner.down()
    assert applied(observer) == ["001"]
    given.dispose()


def test_an_engine_that_gives_no_second_connection_hides_no_error(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """What failed is told; that it could not be written down beside is not."""
    made: list[psycopg.Connection] = []

    def connect() -> psycopg.Connection:
        if made:
            raise RuntimeError("the token service does not answer")
        made.append(psycopg.connect(libpq(database)))
        return made[0]

    engine = create_engine("postgresql+psycopg://", creator=connect, pool_size=1)
    write_version(tmp_path, "001_v", up=["SELECT 1 / 0"])
    with pytest.raises(StatementFailed, match="division by zero") as caught:
        MigrationRunner(engine, tmp_path).up()
    assert outcomes(caught.value.report) == [Outcome.FAILED]
    assert applied(observer) == []
    engine.dispose()


def test_a_direct_engine_of_another_database_is_an_error(
    engine: Engine, observer: psycopg.Connection, server: URL, tmp_path: Path
) -> None:
    """Else an index would be built in one database and recorded in another."""
    observer.execute("CREATE SCHEMA ledger CREATE TABLE entries (version text)")
    write_version(tmp_path, "001_index", **CONCURRENTLY)
    other = create_engine(server, poolclass=NullPool)
    with pytest.raises(SettingsError, match="another database") as caught:
        MigrationRunner(engine, tmp_path, direct_engine=other).up()
    assert outcomes(caught.value.report) == [Outcome.NOT_RUN]
    same = create_engine(engine.url, poolclass=NullPool)
    MigrationRunner(engine, tmp_path, direct_engine=same).up()
    assert applied(observer) == ["001"]


def test_listeners_and_the_log_of_an_engine_see_every_statement(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What a service watches on its engine, it also sees of a run."""
    write_version(tmp_path, "001_a", up=["CREATE TABLE watched (x int)"])
    seen: list[str] = []

    def see(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", see)
    MigrationRunner(engine, tmp_path).up()
    event.remove(engine, "before_cursor_execute", see)
    assert "CREATE TABLE watched (x int)" in seen
    assert seen[-1] == "COMMIT"

    write_version(tmp_path, "002_b", up=["CREATE TABLE logged (x int)"])
    with caplog.at_level(logging.INFO, logger="sqlalchemy.engine.Engine"):
        noisy = create_engine(engine.url, poolclass=NullPool)
        MigrationRunner(noisy, tmp_path).up()
    assert any("CREATE TABLE logged" in record.getMessage() for record in caplog.records)
