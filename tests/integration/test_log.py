"""The log beside the history table: what it tells, and what is done with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.errors import (
    HistoryConflict,
    HistoryTableMalformed,
    IrreversibleVersion,
    NonEmptyDatabase,
    ObjectsMissing,
    PrivilegeMissing,
    RunLockNotObtained,
    SettingsError,
    StatementFailed,
    TransactionEnded,
)
from neuron_schema.history import HistoryTable
from neuron_schema.locking import run_lock_key
from neuron_schema.model import Outcome, Statement
from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.runs import CONCURRENTLY, applied, scalar
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection, with a table for the index of ``CONCURRENTLY``."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA ledger CREATE TABLE entries (version text)")
        yield connection


HOSTILE = (
    r"""SELECT 'it''s \ $neuron_schema$ %s :x', E'\\ \n', $neuron_schema_$ ; $neuron_schema_$"""
)


def test_every_step_is_told_of_with_its_sql(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Who, when, how long, and the SQL of both directions as it was sent."""
    write_version(tmp_path, "001_a", up=["CREATE TABLE a ()", HOSTILE], down=["DROP TABLE a"])
    write_version(tmp_path, "002_i", **CONCURRENTLY)
    write_version(tmp_path, "003_c", up=["SELECT 3"], down=[])
    runner = MigrationRunner(engine, tmp_path)
    runner.up()
    runner.down()
    first, second, third, down = runner.get_history()
    assert (first.version, first.name, first.direction, first.outcome) == (
        "001",
        "a",
        "up",
        "applied",
    )
    assert first.kind == third.kind == "transaction"
    assert second.kind == "CREATE INDEX CONCURRENTLY"
    assert first.up == ("CREATE TABLE a ()", HOSTILE)
    assert first.down == ("DROP TABLE a",)
    assert (down.version, down.direction, down.outcome) == ("003", "down", "rolled back")
    assert (down.up, down.down) == (("SELECT 3",), ())
    assert first.run_id == second.run_id == third.run_id != down.run_id
    assert first.database_user == scalar(observer, "SELECT session_user::text")
    assert first.host
    assert first.tool_version
    assert first.duration_ms is not None
    assert 0 < first.duration_ms < 60_000
    assert first.checksum == runner.get_status()[0].checksum
    assert scalar(
        observer,
        "SELECT now() - %L < interval '1 minute'".replace(
            "%L", f"'{first.started_at}'::timestamptz"
        ),
    )


def test_the_log_names_the_application_of_the_engine(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A service is found again by the name that it gives itself."""
    write_version(tmp_path, "001_a")
    engine = create_engine(
        database, poolclass=NullPool, connect_args={"application_name": "billing"}
    )
    runner = MigrationRunner(engine, tmp_path)
    runner.up()
    assert [entry.application for entry in runner.get_history()] == ["billing"]


def test_a_failure_is_told_of_beside_what_was_rolled_back(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """With SQLSTATE and message; even the first failure on an empty database."""
    write_version(tmp_path, "001_a", up=["CREATE TABLE a ()", "SELECT 1/0"])
    runner = MigrationRunner(engine, tmp_path)
    with pytest.raises(StatementFailed):
        runner.up()
    [entry] = runner.get_history()
    assert (entry.outcome, entry.sqlstate) == ("failed", "22012")
    assert "division by zero" in (entry.message or "")
    assert applied(observer) == []
    assert scalar(observer, "SELECT to_regclass('a')") is None
    write_version(tmp_path, "001_a", up=["CREATE TABLE a ()"])
    again = MigrationRunner(engine, tmp_path)
    again.up()
    assert [entry.outcome for entry in again.get_history()] == ["failed", "applied"]


def test_a_failure_is_told_of_by_a_role_that_may_create_nothing(
    database: URL, engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """The log is there, and to write into it is all that is wanted."""
    role = f"writer_{database.database}"
    write_version(tmp_path, "001_a")
    MigrationRunner(engine, tmp_path).up()
    observer.execute(
        f'CREATE ROLE "{role}"; REVOKE CREATE ON SCHEMA public FROM PUBLIC; '
        f'GRANT ALL ON neuron_migrations TO "{role}"; '
        f'GRANT INSERT ON neuron_migration_log TO "{role}"'
    )
    write_version(tmp_path, "002_b", up=["SELECT 1/0"])
    try:
        with pytest.raises(StatementFailed):
            MigrationRunner(engine, tmp_path, role=role).up()
        outcomes = [entry.outcome for entry in MigrationRunner(engine, tmp_path).get_history()]
        assert outcomes == ["applied", "failed"]
    finally:
        observer.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


def test_a_baseline_that_fails_lets_nobody_in(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """The log is proof that an ``up`` was let in; so a failed baseline makes none."""
    observer.execute("CREATE TABLE a (x int)")
    write_version(tmp_path, "001_a", up=["CREATE TABLE a (x int)"])
    observer.execute(f"SELECT pg_advisory_lock({run_lock_key(HistoryTable(schema='public'))})")
    with pytest.raises(RunLockNotObtained):
        MigrationRunner(engine, tmp_path, wait_lock=0).baseline("1")
    observer.execute("SELECT pg_advisory_unlock_all()")
    with pytest.raises(NonEmptyDatabase):
        MigrationRunner(engine, tmp_path).up()


def test_without_a_history_table_what_the_log_tells_is_not_applied_again(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A baseline writes the history anew; what was rolled back, or failed, is no obstacle."""
    write_version(
        tmp_path, "001_a", up=["CREATE TABLE IF NOT EXISTS a (x int)", "INSERT INTO a VALUES (1)"]
    )
    write_version(tmp_path, "002_b", up=["CREATE TABLE b ()"], down=["DROP TABLE b"])
    runner = MigrationRunner(engine, tmp_path)
    runner.up()
    runner.down()
    observer.execute("DROP TABLE neuron_migrations")
    with pytest.raises(HistoryConflict, match="by the log 001_a is applied") as caught:
        MigrationRunner(engine, tmp_path).up()
    assert "neuron-schema baseline 001 " in (caught.value.remedy or "")
    assert scalar(observer, "SELECT count(*) FROM a") == 1
    again = MigrationRunner(engine, tmp_path)
    again.baseline("001")
    again.up()
    assert [row.version for row in again.get_applied()] == ["001", "002"]
    assert scalar(observer, "SELECT count(*) FROM a") == 1


def test_a_log_that_may_not_be_read_keeps_no_run_from_beginning(
    database: URL, engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A role that may only add to the log goes on as without one."""
    role = f"writer_{database.database}"
    write_version(tmp_path, "001_a", up=["SELECT 1"])
    MigrationRunner(engine, tmp_path).up()
    observer.execute(
        f"DROP TABLE neuron_migrations; CREATE ROLE \"{role}\" LOGIN PASSWORD 'x'; "
        f'GRANT CREATE ON SCHEMA public TO "{role}"; '
        f'GRANT INSERT ON neuron_migration_log TO "{role}"'
    )
    try:
        other = create_engine(database.set(username=role, password="x"), poolclass=NullPool)
        assert [one.outcome for one in MigrationRunner(other, tmp_path).up().steps] == ["applied"]
    finally:
        observer.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


def test_without_a_log_nothing_of_it_is_made(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Neither for what goes well nor for a failure."""
    write_version(tmp_path, "001_a")
    write_version(tmp_path, "002_b", up=["SELECT 1/0"])
    runner = MigrationRunner(engine, tmp_path, log=False)
    with pytest.raises(StatementFailed):
        runner.up()
    assert scalar(observer, "SELECT to_regclass('neuron_migration_log')") is None
    [entry] = runner.get_history()
    assert (entry.version, entry.outcome, entry.kind) == ("001", "applied", None)


def test_an_installation_without_a_log_gets_one_with_the_next_write(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """What was applied before it is told of by the history table."""
    write_version(tmp_path, "001_a")
    MigrationRunner(engine, tmp_path, log=False).up()
    write_version(tmp_path, "002_b")
    runner = MigrationRunner(engine, tmp_path)
    assert [step.outcome for step in runner.up().steps] == [Outcome.APPLIED]
    old, new = runner.get_history()
    assert (old.version, old.run_id) == ("001", None)
    assert (new.version, new.run_id is None) == ("002", False)


def test_a_history_table_of_another_name_has_a_log_of_its_own(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Two sets of versions in one database do not share a log."""
    write_version(tmp_path, "001_a")
    MigrationRunner(engine, tmp_path, history_table="billing", history_schema="ledger").up()
    assert scalar(observer, "SELECT count(*) FROM ledger.billing_log") == 1


def test_a_role_that_may_not_create_the_log_is_told_so(
    database: URL, engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """The version is rolled back; without a log it runs."""
    role = f"small_{database.database}"
    write_version(tmp_path, "001_a")
    MigrationRunner(engine, tmp_path, log=False).up()
    observer.execute(
        f'CREATE ROLE "{role}"; REVOKE CREATE ON SCHEMA public FROM PUBLIC; '
        f'GRANT SELECT, INSERT, DELETE ON neuron_migrations TO "{role}"'
    )
    write_version(tmp_path, "002_b")
    try:
        with pytest.raises(PrivilegeMissing) as caught:
            MigrationRunner(engine, tmp_path, role=role).up()
        assert "--no-log" in str(caught.value)
        assert applied(observer) == ["001"]
        MigrationRunner(engine, tmp_path, role=role, log=False).up()
        assert applied(observer) == ["001", "002"]
    finally:
        observer.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE neuron_migration_log (id int)",
        "CREATE VIEW neuron_migration_log AS SELECT 1 AS id",
    ],
)
def test_what_only_looks_like_the_log_is_refused(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path, sql: str
) -> None:
    """Nothing is written into another relation of that name."""
    observer.execute(sql.encode())
    write_version(tmp_path, "001_a")
    with pytest.raises(HistoryTableMalformed, match="neuron_migration_log is no log"):
        MigrationRunner(engine, tmp_path).up()
    assert applied(observer) == []


def test_a_log_with_a_later_releases_columns_is_written_on(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """An older release still starts beside a newer one."""
    write_version(tmp_path, "001_a")
    MigrationRunner(engine, tmp_path).up()
    observer.execute("ALTER TABLE neuron_migration_log ADD COLUMN later text DEFAULT 'x'")
    write_version(tmp_path, "002_b")
    runner = MigrationRunner(engine, tmp_path)
    runner.up()
    assert [entry.version for entry in runner.get_history()] == ["001", "002"]


def test_a_history_table_of_the_longest_name_has_a_log(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Its name is cut as PostgreSQL cuts the names that it makes, between two letters."""
    write_version(tmp_path, "001_a")
    name = "ü" * 31 + "x"
    MigrationRunner(engine, tmp_path, history_table=name).up()
    assert scalar(observer, f'SELECT count(*) FROM "{"ü" * 29}_log"') == 1


def test_a_transaction_that_ends_too_early_is_noticed(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Loading refuses COMMIT by its text; if one came through, the run would say what is so."""
    write_version(tmp_path, "001_a", up=["SELECT 1"])
    write_version(tmp_path, "002_b")
    runner = MigrationRunner(engine, tmp_path)
    plan, look = runner.plan("up")
    texts = ("CREATE TABLE a ()", "COMMIT", "BEGIN", "CREATE TABLE b ()")
    first = replace(plan.steps[0], statements=tuple(Statement(sql=text) for text in texts))
    with pytest.raises(TransactionEnded) as caught:
        runner.run(replace(plan, steps=(first, plan.steps[1])), look)
    assert caught.value.report is not None
    assert [step.outcome for step in caught.value.report.steps] == [
        Outcome.FAILED,
        Outcome.NOT_RUN,
    ]
    assert scalar(observer, "SELECT to_regclass('b')") is None


def test_a_version_whose_file_is_gone_is_rolled_back_by_the_recorded_sql(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Only on demand, transactional or not, and each under the guards of its kind."""
    write_version(tmp_path, "001_a", up=["CREATE TABLE a ()"], down=["DROP TABLE a"])
    write_version(
        tmp_path,
        "002_i",
        **CONCURRENTLY,
    )
    concurrent = tmp_path / "002_i.py"
    text = concurrent.read_text().replace("DropIndex(index)", "DropIndex(index, if_exists=True)")
    concurrent.write_text(text)
    write_version(tmp_path, "003_b", up=["CREATE TABLE b ()"], down=["DROP TABLE b"])
    MigrationRunner(engine, tmp_path).up()
    (tmp_path / "001_a.py").unlink()
    concurrent.unlink()
    write_version(tmp_path, "003_b", up=["CREATE TABLE b ()"], down=["DROP TABLE wrong"])
    runner = MigrationRunner(engine, tmp_path)
    with pytest.raises(HistoryConflict, match=r"001_a, 002_i; 003_b was modified"):
        runner.reset()
    report = runner.reset(from_history=True)
    assert [step.outcome for step in report.steps] == [Outcome.ROLLED_BACK] * 3
    assert len(report.warnings) == 3
    assert [step.step.transactional for step in report.steps] == [True, False, True]
    assert applied(observer) == []
    for name in ("a", "b", "ledger.i"):
        assert scalar(observer, f"SELECT to_regclass('{name}')") is None


def test_the_recorded_sql_is_read_whatever_an_engine_makes_of_json(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """How the operation of a `down` is made safe to repeat is kept as json."""
    write_version(tmp_path, "001_i", **CONCURRENTLY)
    engine = create_engine(database, poolclass=NullPool, json_deserializer=lambda text: [text])
    MigrationRunner(engine, tmp_path).up()
    (tmp_path / "001_i.py").unlink()
    (step,) = MigrationRunner(engine, tmp_path).down(from_history=True).steps
    assert not step.step.transactional
    assert scalar(observer, "SELECT to_regclass('ledger.i')") is None


def test_the_recorded_sql_runs_with_the_settings_of_its_version(
    engine: Engine, tmp_path: Path
) -> None:
    """The file that says how long it may take is gone."""
    write_version(
        tmp_path,
        "001_slow",
        up=["CREATE TABLE q ()"],
        down=["SELECT pg_sleep(0.6)", "DROP TABLE q"],
        body='settings = {"statement_timeout": "30s"}',
    )
    MigrationRunner(engine, tmp_path).up()
    (tmp_path / "001_slow.py").unlink()
    runner = MigrationRunner(engine, tmp_path, statement_timeout=0.2)
    (step,) = runner.down(from_history=True).steps
    assert step.outcome is Outcome.ROLLED_BACK


def test_two_history_tables_never_share_a_log(engine: Engine, tmp_path: Path) -> None:
    """The usual log is not called after its table."""
    with pytest.raises(SettingsError, match="history_table cannot be 'neuron_migration'"):
        MigrationRunner(engine, tmp_path, history_table="neuron_migration")


def test_a_recorded_irreversible_version_stays(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """The reason is recorded as well."""
    path = write_version(tmp_path, "001_a", down=None, body='down = irreversible("data is lost")')
    MigrationRunner(engine, tmp_path).up()
    path.unlink()
    with pytest.raises(IrreversibleVersion, match="data is lost"):
        MigrationRunner(engine, tmp_path).down(from_history=True)
    assert applied(observer) == ["001"]


def test_a_repair_accepts_the_present_text(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Checksum or name of the history row, and the SQL that a rollback from history runs."""
    old = write_version(tmp_path, "001_a", up=["CREATE TABLE a ()"], down=["DROP TABLE a"])
    MigrationRunner(engine, tmp_path).up()
    recorded = scalar(observer, "SELECT checksum FROM neuron_migrations")
    write_version(
        tmp_path, "001_a", up=["CREATE TABLE a ()"], down=["DROP TABLE a", "CREATE TABLE gone ()"]
    )
    runner = MigrationRunner(engine, tmp_path)
    with pytest.raises(HistoryConflict, match=recorded):
        runner.repair("1", expected="0" * 64)
    [step] = runner.repair("1", expected=recorded).steps
    assert step.outcome is Outcome.REPAIRED
    recorded = scalar(observer, "SELECT checksum FROM neuron_migrations")
    old.rename(tmp_path / "001_b.py")
    runner = MigrationRunner(engine, tmp_path)
    [step] = runner.repair("1", expected=recorded).steps
    assert step.outcome is Outcome.REPAIRED
    assert [line.status.value for line in runner.get_status()] == ["applied"]
    assert scalar(observer, "SELECT name FROM neuron_migrations") == "b"
    assert runner.get_history()[-1].outcome == "repaired"
    assert runner.repair("1", expected="").steps == ()
    (tmp_path / "001_b.py").unlink()
    MigrationRunner(engine, tmp_path).down(from_history=True)
    assert scalar(observer, "SELECT to_regclass('gone')::text") == "gone"


def test_a_repair_gives_way_to_another_change_of_the_history(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """The row is not the one that was looked at: it is left as it is."""
    write_version(tmp_path, "001_a")
    MigrationRunner(engine, tmp_path).up()
    write_version(tmp_path, "001_a", up=["SELECT 2"])
    recorded = scalar(observer, "SELECT checksum FROM neuron_migrations")
    meddled = False

    def listen(_event: object) -> None:
        nonlocal meddled
        if not meddled:
            meddled = True
            observer.execute("UPDATE neuron_migrations SET checksum = repeat('f', 64)")

    runner = MigrationRunner(engine, tmp_path, listeners=[listen])
    with pytest.raises(HistoryConflict):
        runner.repair("1", expected=recorded)
    assert scalar(observer, "SELECT checksum FROM neuron_migrations") == "f" * 64


def test_a_repair_lets_another_one_pass(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """What another run repairs meanwhile is another version's affair; a new name counts too."""
    write_version(tmp_path, "001_a")
    path = write_version(tmp_path, "002_b")
    MigrationRunner(engine, tmp_path).up()
    recorded = scalar(observer, "SELECT checksum FROM neuron_migrations WHERE version = '002'")
    write_version(tmp_path, "001_a", up=["SELECT 2"])
    path.rename(tmp_path / "002_renamed.py")
    meddled = False

    def listen(_event: object) -> None:
        nonlocal meddled
        if not meddled:
            meddled = True
            observer.execute(
                "UPDATE neuron_migrations SET checksum = repeat('e', 64) WHERE version = '001'"
            )

    runner = MigrationRunner(engine, tmp_path, listeners=[listen])
    [step] = runner.repair("2", expected=recorded).steps
    assert step.outcome is Outcome.REPAIRED
    names = observer.execute("SELECT name FROM neuron_migrations ORDER BY version").fetchall()
    assert names == [("a",), ("renamed",)]


def test_a_baseline_marks_versions_without_running_them(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """One that commits on its own as well; what comes after them runs as ever."""
    observer.execute("CREATE TABLE a (x int); CREATE INDEX i ON ledger.entries (version)")
    write_version(tmp_path, "001_a", up=["CREATE TABLE a (x int)"], down=["DROP TABLE a"])
    write_version(tmp_path, "002_i", **CONCURRENTLY)
    write_version(tmp_path, "003_b", up=["CREATE TABLE b ()"])
    runner = MigrationRunner(engine, tmp_path)
    assert [step.outcome for step in runner.baseline("2").steps] == [Outcome.BASELINED] * 2
    assert applied(observer) == ["001", "002"]
    assert runner.baseline("2").steps == ()
    runner.up()
    assert [entry.outcome for entry in runner.get_history()] == [
        "baselined",
        "baselined",
        "applied",
    ]
    runner.reset()
    assert scalar(observer, "SELECT to_regclass('a')") is None


def test_a_baseline_names_what_is_not_there(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Tables, columns, indexes; what a later version of them drops again is not wanted."""
    observer.execute("CREATE TABLE a (x int)")
    write_version(
        tmp_path, "001_a", up=["CREATE TABLE a (x int, y int)", "CREATE INDEX i ON a (x)"]
    )
    write_version(tmp_path, "002_b", up=["CREATE TABLE b ()", "ALTER TABLE a ADD COLUMN z int"])
    write_version(tmp_path, "003_c", up=["DROP TABLE b", "DO $$ BEGIN END $$"])
    runner = MigrationRunner(engine, tmp_path)
    with pytest.raises(ObjectsMissing) as caught:
        runner.baseline("3")
    assert caught.value.message == "not there: column a.y, index i, column a.z"
    assert applied(observer) == []
    observer.execute("ALTER TABLE a ADD COLUMN y int, ADD COLUMN z int; CREATE INDEX i ON a (x)")
    report = runner.baseline("3")
    assert applied(observer) == ["001", "002", "003"]
    assert any("DO $$ BEGIN END $$" in sentence for sentence in report.warnings)
