"""Operations that PostgreSQL commits on its own, through the runner."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.errors import OperationUnfinished, StatementFailed
from neuron_schema.events import StepWaiting
from neuron_schema.model import Outcome
from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.runs import CONCURRENTLY, applied, leftovers, scalar, wait_for
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

    from neuron_schema.events import Event

VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ledger.i')"
BUILDING = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
    "AND query ILIKE 'CREATE %INDEX CONCURRENTLY%' AND state = 'active'"
)


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection, with the table that the index is on."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA ledger CREATE TABLE entries (version text)")
        yield connection


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """Write one version: CREATE INDEX CONCURRENTLY."""
    write_version(tmp_path, "001_index", **CONCURRENTLY)
    return tmp_path


def unique(directory: Path) -> Path:
    """Write the version with a unique index."""
    body = CONCURRENTLY["body"].replace("concurrently=True", "concurrently=True, unique=True")
    write_version(directory, "001_index", **{**CONCURRENTLY, "body": body})
    return directory


def maintenance(directory: Path, label: str, up: str, down: str = "[]") -> Path:
    """Write a version of one of our own operations."""
    return write_version(
        directory,
        label,
        up=up,
        down=down,
        imports="from sqlalchemy import table\n"
        "from neuron_schema.ops import DetachPartition, Reindex, Vacuum",
        body='entries = table("entries", schema="ledger")',
    )


def test_an_index_is_built_and_dropped_as_the_first_version(
    engine: Engine, observer: psycopg.Connection, versions: Path
) -> None:
    """The history table is made with its row, after the operation."""
    runner = MigrationRunner(engine, versions)
    runner.up()
    assert scalar(observer, VALID) is True
    assert applied(observer) == ["001"]
    runner.down()
    assert scalar(observer, VALID) is None
    assert applied(observer) == []
    assert leftovers(observer) == []


def test_a_build_that_fails_leaves_no_invalid_index(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """It would cost every write and serve no read."""
    observer.execute("INSERT INTO ledger.entries VALUES ('x'), ('x')")
    runner = MigrationRunner(engine, unique(tmp_path))
    with pytest.raises(StatementFailed, match="could not create unique index") as caught:
        runner.up()
    assert caught.value.sqlstate == "23505"
    assert caught.value.statement is not None
    assert "CONCURRENTLY" in caught.value.statement
    assert caught.value.remedy == (
        "correct the version and run again; it is still pending: what an operation that commits on "
        "its own leaves behind is cleared away at once or by the next run"
    )
    assert scalar(observer, VALID) is None
    assert applied(observer) == []
    observer.execute("TRUNCATE ledger.entries")
    runner.up()
    assert scalar(observer, VALID) is True


def test_a_rollback_that_fails_outside_of_a_transaction_stays_applied(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """It is not said to have been rolled back, nor to be pending."""
    down = "[CreateIndex(index)]"
    body = CONCURRENTLY["body"].replace("concurrently=True", "concurrently=True, unique=True")
    write_version(
        tmp_path,
        "001_index",
        **{**CONCURRENTLY, "body": body, "up": "[Sql('SELECT 1')]", "down": down},
    )
    runner = MigrationRunner(engine, tmp_path)
    runner.up()
    observer.execute("INSERT INTO ledger.entries VALUES ('x'), ('x')")
    with pytest.raises(StatementFailed, match="could not create unique index") as caught:
        runner.down()
    remedy = str(caught.value.remedy)
    assert remedy.startswith("mend the cause and run again; it stays applied: what an operation")
    assert "a corrected `down` is accepted with neuron-schema repair 001 --expect" in remedy
    assert applied(observer) == ["001"]


def test_an_invalid_index_of_an_interrupted_run_is_built_again(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """PostgreSQL leaves one behind, which IF NOT EXISTS would take for the one wanted."""
    observer.execute("INSERT INTO ledger.entries VALUES ('x'), ('x')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        observer.execute("CREATE UNIQUE INDEX CONCURRENTLY i ON ledger.entries (version)")
    assert scalar(observer, VALID) is False
    observer.execute("TRUNCATE ledger.entries")
    MigrationRunner(engine, unique(tmp_path)).up()
    assert scalar(observer, VALID) is True
    assert applied(observer) == ["001"]


def test_an_index_that_is_there_is_recorded_and_not_built_again(
    engine: Engine, observer: psycopg.Connection, versions: Path
) -> None:
    """What an interrupted run had finished is only recorded."""
    observer.execute("CREATE INDEX i ON ledger.entries (version)")
    before = scalar(observer, "SELECT 'ledger.i'::regclass::oid")
    MigrationRunner(engine, versions).up()
    assert scalar(observer, "SELECT 'ledger.i'::regclass::oid") == before
    assert applied(observer) == ["001"]


def test_another_index_of_the_name_is_left_alone(
    engine: Engine, observer: psycopg.Connection, versions: Path
) -> None:
    """It is neither dropped nor recorded as the one wanted."""
    observer.execute("CREATE INDEX i ON ledger.entries (upper(version))")
    with pytest.raises(OperationUnfinished, match="something else has that name") as caught:
        MigrationRunner(engine, versions).up()
    assert caught.value.report is not None
    assert [step.outcome for step in caught.value.report.steps] == [Outcome.FAILED]
    assert scalar(observer, VALID) is True
    assert applied(observer) == []


WANTED = {
    "expression": ("func.lower(entries.c.version)", "", "(lower(version))", "(upper(version))"),
    "where": (
        "entries.c.version",
        "postgresql_where=entries.c.version > 'a', ",
        "(version) WHERE version > 'a'",
        "(version) WHERE version > 'b'",
    ),
    "text": ("text('version DESC')", "", "(version DESC)", "(version)"),
    "operator class": (
        "text('version text_pattern_ops')",
        "",
        "(version text_pattern_ops)",
        "(version)",
    ),
}


@pytest.mark.parametrize("case", WANTED)
def test_an_index_that_only_postgresql_can_compare_is_compared(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path, case: str
) -> None:
    """Expressions and conditions are worded anew by the server, also those given as text."""
    key, options, same, other = WANTED[case]
    write_version(
        tmp_path,
        "001_index",
        up="[CreateIndex(index)]",
        down="[DropIndex(index)]",
        imports="from sqlalchemy import Column, Index, MetaData, Table, Text, func, text\n"
        "from sqlalchemy.schema import CreateIndex, DropIndex",
        body='entries = Table("entries", MetaData(), Column("version", Text), schema="ledger")\n'
        f'index = Index("i", {key}, {options}postgresql_concurrently=True, _table=entries)',
    )
    runner = MigrationRunner(engine, tmp_path)
    observer.execute(f"CREATE INDEX i ON ledger.entries {other}".encode())
    with pytest.raises(OperationUnfinished, match="something else has that name"):
        runner.up()
    assert applied(observer) == []
    observer.execute("DROP INDEX ledger.i")
    observer.execute(f"CREATE INDEX i ON ledger.entries {same}".encode())
    before = scalar(observer, "SELECT 'ledger.i'::regclass::oid")
    runner.up()
    assert scalar(observer, "SELECT 'ledger.i'::regclass::oid") == before
    assert applied(observer) == ["001"]
    assert leftovers(observer) == []


def test_an_index_that_could_not_be_made_is_not_the_one_that_is_there(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """It names a function that the database has not."""
    body = CONCURRENTLY["body"].replace("entries.c.version", "func.nowhere(entries.c.version)")
    up = {**CONCURRENTLY, "body": f"from sqlalchemy import func\n{body}"}
    write_version(tmp_path, "001_index", **up)
    observer.execute("CREATE INDEX i ON ledger.entries (lower(version))")
    with pytest.raises(OperationUnfinished, match="something else has that name"):
        MigrationRunner(engine, tmp_path).up()
    assert applied(observer) == []


def test_a_comparison_that_was_cut_off_takes_nothing_for_done(
    engine: Engine, observer: psycopg.Connection, versions: Path
) -> None:
    """The run lock's holder was let down by its time, or by an administrator."""
    observer.execute("CREATE INDEX i ON ledger.entries (version)")
    observer.execute(
        "CREATE FUNCTION ledger.cut() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF current_query() LIKE '%neuron_schema_sample%' THEN "
        "RAISE 'cut off' USING ERRCODE = '57014'; END IF; END $$"
    )
    observer.execute("CREATE EVENT TRIGGER cut ON ddl_command_start EXECUTE FUNCTION ledger.cut()")
    with pytest.raises(StatementFailed, match="cut off"):
        MigrationRunner(engine, versions).up()
    assert applied(observer) == []
    observer.execute("DROP EVENT TRIGGER cut")
    MigrationRunner(engine, versions).up()
    assert applied(observer) == ["001"]


def test_a_role_that_may_make_no_temporary_table_goes_by_the_catalog(
    engine: Engine, observer: psycopg.Connection, versions: Path
) -> None:
    """What the catalog says for certain is still compared."""
    observer.execute("CREATE INDEX i ON ledger.entries (version)")
    observer.execute("CREATE ROLE sampler LOGIN PASSWORD 'sampler'")
    try:
        observer.execute(
            "DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', "
            "current_database()); END $$"
        )
        observer.execute("GRANT ALL ON SCHEMA public, ledger TO sampler")
        observer.execute("ALTER TABLE ledger.entries OWNER TO sampler")
        url = engine.url.set(username="sampler", password="sampler")
        MigrationRunner(create_engine(url, poolclass=NullPool), versions).up()
        assert applied(observer) == ["001"]
    finally:
        observer.execute("DROP OWNED BY sampler CASCADE")
        observer.execute("DROP ROLE sampler")


def test_vacuum_reindex_and_detach_run_between_transactional_versions(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Each alone in its version, on a table that the version before made."""
    write_version(
        tmp_path,
        "001_parts",
        up=[
            "CREATE TABLE ledger.p (x int) PARTITION BY LIST (x)",
            "CREATE TABLE ledger.p1 PARTITION OF ledger.p FOR VALUES IN (1)",
            "CREATE INDEX i ON ledger.entries (version)",
        ],
    )
    maintenance(tmp_path, "002_vacuum", "[Vacuum(entries)]")
    maintenance(tmp_path, "003_reindex", "[Reindex(entries, concurrently=True)]")
    maintenance(
        tmp_path,
        "004_detach",
        '[DetachPartition(table("p", schema="ledger"), table("p1", schema="ledger"), '
        "concurrently=True)]",
    )
    write_version(tmp_path, "005_after", up=["CREATE TABLE ledger.after (x int)"])
    before = scalar(observer, "SELECT 1")
    MigrationRunner(engine, tmp_path).up()
    assert before == 1
    assert applied(observer) == ["001", "002", "003", "004", "005"]
    assert (
        scalar(observer, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'ledger.p'::regclass")
        == 0
    )
    assert leftovers(observer) == []


def test_the_history_table_itself_may_be_maintained(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Who holds the run lock must hold no lock on a table: CONCURRENTLY waits for that."""
    write_version(tmp_path, "001_a", up=["SELECT 1"])
    source = 'table("neuron_migrations")'
    maintenance(tmp_path, "002_reindex", f"[Reindex({source}, concurrently=True)]")
    maintenance(tmp_path, "003_vacuum", f"[Vacuum({source}, full=True)]")
    MigrationRunner(engine, tmp_path).up()
    assert applied(observer) == ["001", "002", "003"]


def test_a_build_waits_for_writers_while_others_wait_for_the_run(
    database: URL, engine: Engine, observer: psycopg.Connection, versions: Path
) -> None:
    """Eight runners that poll for the run lock keep no snapshot that the build would wait for."""
    observer.execute(
        f"ALTER DATABASE \"{database.database}\" SET idle_in_transaction_session_timeout = '300ms'"
    )
    errors: list[Exception] = []
    waits: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, StepWaiting):
            waits.append(event.reason)

    def run() -> None:
        engine = create_engine(database, poolclass=NullPool)
        try:
            MigrationRunner(engine, versions, listeners=[listen]).up()
        except Exception as error:  # noqa: BLE001 - judged below
            errors.append(error)

    with psycopg.connect(libpq(database)) as writer:
        writer.execute("SET idle_in_transaction_session_timeout = 0")
        writer.execute("INSERT INTO ledger.entries VALUES ('w')")
        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        wait_for(lambda: scalar(observer, BUILDING))
        # Longer than a session of this database may be idle in a transaction.
        observer.execute("SELECT pg_sleep(0.6)")
        writer.commit()
        for thread in threads:
            thread.join()
    assert errors == []
    assert all("run lock" in reason or "still at work" in reason for reason in waits), waits
    assert applied(observer) == ["001"]
    assert scalar(observer, VALID) is True
    assert leftovers(observer) == []


def test_a_lost_run_lock_does_not_lose_the_build(
    database: URL, engine: Engine, observer: psycopg.Connection, versions: Path
) -> None:
    """The session that holds it ends while the index is built: the build is found and recorded."""
    with psycopg.connect(libpq(database)) as writer:
        writer.execute("INSERT INTO ledger.entries VALUES ('w')")
        thread = threading.Thread(target=MigrationRunner(engine, versions).up)
        thread.start()
        wait_for(lambda: scalar(observer, BUILDING))
        ended = scalar(
            observer,
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state = 'idle in transaction' "
            f"AND pid <> {writer.info.backend_pid}",
        )
        assert ended == 1
        writer.commit()
        thread.join()
    assert applied(observer) == ["001"]
    assert scalar(observer, VALID) is True
    assert leftovers(observer) == []
