"""What is in a run's way is told before its first write, all of it at once."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.errors import (
    ExtensionMissing,
    HistoryTableMalformed,
    HistoryTableMisplaced,
    NeuronSchemaError,
    NonEmptyDatabase,
    PreflightFailed,
    PrivilegeMissing,
    ReadOnlyServer,
    SettingsError,
    StatementFailed,
)
from neuron_schema.events import Warned
from neuron_schema.execution.execution import Execution
from neuron_schema.execution.reading import ask_apart
from neuron_schema.model import Outcome
from neuron_schema.preflight import preflight_sql
from neuron_schema.preflight.extensions import about_extensions
from neuron_schema.preflight.preflight import look_ahead
from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.proxy import Proxy
from tests.runs import CONCURRENTLY, applied, scalar
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

    from neuron_schema.events import Event


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection as superuser."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield connection


@pytest.fixture
def role(database: URL, observer: psycopg.Connection) -> Iterator[str]:
    """Yield a role that may log in and has no rights of its own."""
    name = f"role_{database.database}"
    observer.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'x'".encode())
    yield name
    observer.execute(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"'.encode())


def engine_as(database: URL, role: str) -> Engine:
    """Return an engine whose sessions are a role's."""
    url = database.update_query_dict({"options": f"-c role={role}"})
    return create_engine(url, poolclass=NullPool)


def version(directory: Path, up: str = "CREATE TABLE a ()", down: str = "DROP TABLE a") -> Path:
    """Write one version of one statement each way."""
    write_version(directory, "001_a", up=[up], down=[down])
    return directory


def refused(runner: MigrationRunner, error: type[NeuronSchemaError]) -> NeuronSchemaError:
    """Return the error of an ``up`` that ran nothing."""
    with pytest.raises(error) as caught:
        runner.up()
    assert type(caught.value) is error
    assert caught.value.remedy
    assert caught.value.report is not None
    assert {step.outcome for step in caught.value.report.steps} == {Outcome.NOT_RUN}
    return caught.value


# --- all at once


def test_everything_that_is_wrong_is_told_at_once(
    database: URL, observer: psycopg.Connection, role: str, tmp_path: Path
) -> None:
    """Each with its code and its remedy, in a fixed order; nothing is run."""
    observer.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE TABLE theirs ()")
    write_version(tmp_path, "001_a", up=["CREATE EXTENSION absent_one", "CREATE TABLE a ()"])
    write_version(tmp_path, "002_b", up=["CREATE SCHEMA s"])
    error = refused(MigrationRunner(engine_as(database, role), tmp_path), PreflightFailed)
    assert error.exit_code == 7
    assert isinstance(error, PreflightFailed)
    assert [problem.code for problem in error.problems] == ["NS702", "NS702", "NS703", "NS904"]
    assert error.message.splitlines()[0] == "4 things keep the run from beginning:"
    for told in (
        f"NS702: role {role} may not create in schema public, where the history table belongs",
        f'  fix: GRANT USAGE, CREATE ON SCHEMA "public" TO "{role}"',
        f"NS702: role {role} may not create schemas in this database (s)",
        f'  fix: GRANT CREATE ON DATABASE "{database.database}" TO "{role}"',
        "NS703: the server has no extension absent_one",
        "NS904: there is no history table, but there are tables: public.theirs",
    ):
        assert told in error.message.splitlines()
    assert applied(observer) == []


def test_several_of_one_kind_keep_its_exit_status() -> None:
    """Exit 7 stands for a mixture."""
    same = PreflightFailed("x", problems=[NonEmptyDatabase("a"), NonEmptyDatabase("b")])
    assert same.exit_code == 9
    mixed = PreflightFailed("x", problems=[NonEmptyDatabase("a"), PrivilegeMissing("b")])
    assert mixed.exit_code == 7


def round_trips(database: URL, directory: Path) -> tuple[int, int]:
    """Return the round trips of a run with one version and of one without, connecting aside."""
    with Proxy(database) as proxy:
        engine = create_engine(proxy.url, use_native_hstore=False)
        counted = []
        engine.connect().close()
        for _ in range(2):
            before = proxy.round_trips
            MigrationRunner(engine, directory).up()
            counted.append(proxy.round_trips - before)
        engine.dispose()
    return counted[0], counted[1]


def test_it_costs_one_round_trip_and_none_when_there_is_nothing_to_do(
    database: URL, tmp_path: Path
) -> None:
    """A look without a table, the preflight, the version; then a look at a table with its rows."""
    assert round_trips(database, version(tmp_path)) == (3, 2)


def test_what_the_session_is_set_to_is_neither_obeyed_nor_changed(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Functions of the same names in front of the search path answer nothing here."""
    observer.execute(
        "CREATE SCHEMA evil; "
        "CREATE FUNCTION evil.has_schema_privilege(oid, oid, text) RETURNS bool LANGUAGE sql "
        "AS 'SELECT false'; "
        "CREATE FUNCTION evil.has_database_privilege(oid, oid, text) RETURNS bool LANGUAGE sql "
        "AS 'SELECT false'"
    )
    path = "public, evil, pg_catalog"
    url = database.update_query_dict({"options": f"-csearch_path={path.replace(' ', '')}"})
    engine = create_engine(url, poolclass=NullPool)
    MigrationRunner(engine, version(tmp_path)).up()
    assert applied(observer) == ["001"]
    with engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        before = raw.execute("SHOW search_path").fetchone()
        raw.rollback()
        ask_apart(engine, "SELECT 1", timeout_s=1)
        assert raw.execute("SHOW search_path").fetchone() == before
        assert raw.execute("SHOW statement_timeout").fetchone() == ("0",)


# --- the server and the role


def test_a_server_that_may_only_be_read_is_told(
    engine: Engine, database: URL, tmp_path: Path
) -> None:
    """A standby, a read-only default, and an engine that only reads."""
    runner = MigrationRunner(engine, version(tmp_path))
    plan, look = runner.plan()
    standby = replace(look, facts=replace(look.facts, in_recovery=True))
    with pytest.raises(ReadOnlyServer, match="standby"):
        runner.run(plan, standby)
    url = database.update_query_dict({"options": "-cdefault_transaction_read_only=on"})
    for reading in (
        create_engine(url, poolclass=NullPool),
        engine.execution_options(postgresql_readonly=True),
    ):
        error = refused(MigrationRunner(reading, tmp_path), ReadOnlyServer)
        assert "may only read" in error.message


def test_a_role_that_is_not_there_or_not_ours_is_told(
    database: URL, observer: psycopg.Connection, role: str, tmp_path: Path
) -> None:
    """Before a step tries to become it."""
    version(tmp_path)
    owner = f"owner_{database.database}"
    observer.execute(f'CREATE ROLE "{owner}"; GRANT ALL ON SCHEMA public TO "{owner}"'.encode())
    try:
        url = database.set(username=role, password="x")
        stranger = create_engine(url, poolclass=NullPool)
        missing = refused(MigrationRunner(stranger, tmp_path, role="no such"), SettingsError)
        assert "there is no role no such" in missing.message
        error = refused(MigrationRunner(stranger, tmp_path, role=owner), PrivilegeMissing)
        assert error.message == f"{role} may not become the role {owner}"
        assert error.remedy == f'GRANT "{owner}" TO "{role}"'
        observer.execute(f"{error.remedy}".encode())
        MigrationRunner(stranger, tmp_path, role=owner).up()
        assert applied(observer) == ["001"]
    finally:
        observer.execute(f'DROP OWNED BY "{owner}"; DROP ROLE "{owner}"'.encode())


def test_where_versions_write_the_role_must_be_able_to(
    database: URL, observer: psycopg.Connection, role: str, tmp_path: Path
) -> None:
    """A schema it may use but not create in, one it may not even use, and the database itself."""
    observer.execute(f'GRANT ALL ON SCHEMA public TO "{role}"; CREATE SCHEMA app'.encode())
    engine = engine_as(database, role)
    error = refused(
        MigrationRunner(engine, version(tmp_path, "CREATE TABLE app.a ()")), PrivilegeMissing
    )
    assert "may not create in schema app, where what the versions make belongs" in error.message
    observer.execute(f'GRANT CREATE ON SCHEMA app TO "{role}"'.encode())
    refused(MigrationRunner(engine, tmp_path), PrivilegeMissing)
    runner = MigrationRunner(engine, version(tmp_path), search_path="app, nowhere")
    error = refused(runner, PrivilegeMissing)
    assert "can use no schema of the search path 'app, nowhere'" in error.message
    observer.execute(
        (error.remedy or "").partition(",")[0].encode()
        if "..." not in (error.remedy or "")
        else f'GRANT USAGE ON SCHEMA app TO "{role}"'.encode()
    )
    runner.up()
    assert scalar(observer, "SELECT to_regclass('app.a')::text") == "app.a"


def test_what_may_change_the_role_is_not_judged(
    database: URL, observer: psycopg.Connection, role: str, tmp_path: Path
) -> None:
    """After SET ROLE nobody here knows who creates: the server will say so."""
    observer.execute(f'GRANT ALL ON SCHEMA public TO "{role}"; CREATE SCHEMA app'.encode())
    write_version(tmp_path, "001_a", up=["SET LOCAL ROLE NONE", "CREATE TABLE app.a ()"])
    MigrationRunner(engine_as(database, role), tmp_path).up()
    assert scalar(observer, "SELECT to_regclass('app.a')::text") == "app.a"


def test_a_history_schema_that_is_not_there_is_told(engine: Engine, tmp_path: Path) -> None:
    """With the statement that makes it."""
    error = refused(MigrationRunner(engine, version(tmp_path), history_schema="h"), SettingsError)
    assert error.remedy is not None
    assert error.remedy.startswith('CREATE SCHEMA "h"')


def test_a_role_without_rights_on_the_catalogs_can_run(
    database: URL, observer: psycopg.Connection, role: str, tmp_path: Path
) -> None:
    """What it may not see is taken to be well, and what it may not ask is a warning."""
    observer.execute(f'GRANT ALL ON SCHEMA public TO "{role}"'.encode())
    observer.execute("REVOKE SELECT ON pg_settings, pg_locks, pg_stat_activity FROM PUBLIC")
    write_version(tmp_path, "001_a", up=["CREATE TABLE a ()", "SELECT 1"], down=["DROP TABLE a"])
    observer.execute("CREATE TABLE theirs ()")
    blind = engine_as(database, role)
    refused(MigrationRunner(blind, tmp_path), NonEmptyDatabase)
    observer.execute("DROP TABLE theirs")
    report = MigrationRunner(blind, tmp_path).up()
    (warning,) = report.warnings
    assert "old transactions and the disk could not be looked at" in warning
    assert "permission denied" in warning


# --- the history table


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
            "CREATE TRIGGER planted BEFORE INSERT ON neuron_migrations "
            "FOR EACH ROW EXECUTE FUNCTION f()",
            "it has a trigger (planted)",
        ),
        (
            "CREATE RULE planted AS ON INSERT TO neuron_migrations DO INSTEAD NOTHING",
            "it has a rule (planted)",
        ),
        ("ALTER TABLE neuron_migrations ENABLE ROW LEVEL SECURITY", "row security may hide rows"),
        (
            "CREATE TABLE planted () INHERITS (neuron_migrations)",
            "it has a parent or child table (planted)",
        ),
        ("ALTER TABLE neuron_migrations SET UNLOGGED", "it is unlogged"),
        ("ALTER TABLE neuron_migrations DROP CONSTRAINT neuron_migrations_pkey", "primary key"),
        (
            "ALTER TABLE neuron_migrations DROP CONSTRAINT neuron_migrations_pkey, "
            "ADD PRIMARY KEY (version) DEFERRABLE",
            "primary key",
        ),
        ("ALTER TABLE neuron_migrations ALTER name DROP NOT NULL", "name may be null"),
        (
            "ALTER TABLE neuron_migrations RENAME TO other; CREATE TABLE neuron_migrations "
            "(version varchar(10) PRIMARY KEY, name varchar(255) NOT NULL, "
            "applied_at timestamptz, checksum varchar(64)) PARTITION BY RANGE (version)",
            "it is no ordinary table",
        ),
    ],
)
def test_what_was_planted_on_the_history_table_is_refused(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path, sql: str, told: str
) -> None:
    """It could hide a row, or lose one: a version would run twice, or never."""
    MigrationRunner(engine, version(tmp_path)).up()
    observer.execute(sql.encode())
    write_version(tmp_path, "002_b", up=["CREATE TABLE b ()"])
    if "RENAME" in sql:
        (tmp_path / "001_a.py").unlink()
    error = refused(MigrationRunner(engine, tmp_path), HistoryTableMalformed)
    assert told in error.message
    assert scalar(observer, "SELECT to_regclass('b')") is None


def test_two_history_tables_on_the_search_path_are_refused(
    engine: Engine, database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """One planted in front, empty, would let every version run again."""
    MigrationRunner(engine, version(tmp_path)).up()
    observer.execute(
        "CREATE SCHEMA front; CREATE TABLE front.neuron_migrations "
        "(LIKE neuron_migrations INCLUDING ALL)"
    )
    url = database.update_query_dict({"options": "-csearch_path=front,public"})
    behind = create_engine(url, poolclass=NullPool)
    error = refused(MigrationRunner(behind, tmp_path), HistoryTableMisplaced)
    assert "stands in schema front and in public" in error.message
    MigrationRunner(behind, tmp_path, history_schema="public").up()
    assert scalar(observer, "SELECT count(*) FROM front.neuron_migrations") == 0


def test_rights_on_the_history_table_are_looked_at(
    database: URL, engine: Engine, observer: psycopg.Connection, role: str, tmp_path: Path
) -> None:
    """To insert on the way up, to delete on the way down, by the role of the steps."""
    MigrationRunner(engine, version(tmp_path)).up()
    observer.execute(
        f'ALTER TABLE a OWNER TO "{role}"; GRANT ALL ON SCHEMA public TO "{role}"; '
        f'GRANT INSERT ON neuron_migration_log TO "{role}"'.encode()
    )
    write_version(tmp_path, "002_b", up=["CREATE TABLE b ()"], down=["DROP TABLE b"])
    runner = MigrationRunner(engine, tmp_path, role=role)
    error = refused(runner, PrivilegeMissing)
    assert "may not SELECT and INSERT on public.neuron_migrations" in error.message
    assert error.remedy == f'GRANT SELECT, INSERT ON "public"."neuron_migrations" TO "{role}"'
    observer.execute(error.remedy.encode())
    runner.up()
    with pytest.raises(PrivilegeMissing, match="may not DELETE"):
        runner.down()
    observer.execute(f'GRANT DELETE ON neuron_migrations TO "{role}"'.encode())
    runner.down()
    assert applied(observer) == ["001"]


def test_rights_on_the_log_are_looked_at(
    engine: Engine, observer: psycopg.Connection, role: str, tmp_path: Path
) -> None:
    """Whoever has none goes on without the log."""
    MigrationRunner(engine, version(tmp_path)).up()
    observer.execute(
        f'GRANT ALL ON SCHEMA public TO "{role}"; '
        f'GRANT ALL ON neuron_migrations TO "{role}"'.encode()
    )
    write_version(tmp_path, "002_b", up=["CREATE TABLE b ()"], down=["DROP TABLE b"])
    error = refused(MigrationRunner(engine, tmp_path, role=role), PrivilegeMissing)
    assert "may not INSERT on the log neuron_migration_log" in error.message
    assert "--no-log" in (error.remedy or "")
    MigrationRunner(engine, tmp_path, role=role, log=False).up()
    MigrationRunner(engine, tmp_path, role=role, log=False).down()
    grant = (error.remedy or "").partition(";")[0]
    observer.execute(grant.encode())
    MigrationRunner(engine, tmp_path, role=role).up()
    assert applied(observer) == ["001", "002"]


# --- extensions


def needing(
    *,
    installed: str | None = None,
    offered: str | None = "0.8",
    trusted: bool = False,
    superuser: bool = False,
    creates: bool = False,
    hosted: bool = False,
    sql: str = "CREATE EXTENSION vector",
) -> list[str]:
    """Return what is wrong with an extension, by what the catalog says of it."""
    from neuron_schema.model import ServerFacts, Statement
    from neuron_schema.sqltext.objects import needs

    run: Any = SimpleNamespace(needs=needs([Statement(sql=one) for one in sql.split(";")]))
    facts: Any = SimpleNamespace(spec=ServerFacts, database="d")
    answer = {
        "role": {"name": "joe", "superuser": superuser, "creates": creates},
        "managed_service": hosted,
        "hnsw": False,
        "extensions": [("vector", installed, offered, True, trusted, offered)],
    }
    return [str(error) for error in about_extensions(run, facts, answer)]


def test_an_extension_must_be_there_and_may_be_created() -> None:
    """By a superuser, or when it is trusted by who may create in the database; unless installed."""
    assert "no extension vector" in needing(offered=None)[0]
    assert needing(installed="0.8", offered=None) == []
    assert needing(superuser=True) == []
    assert "let a superuser run CREATE EXTENSION" in needing(creates=True)[0]
    assert 'GRANT CREATE ON DATABASE "d" TO "joe"' in needing(trusted=True)[0]
    assert needing(trusted=True, creates=True) == []
    assert needing(hosted=True) == []


def test_hnsw_needs_a_vector_that_has_it() -> None:
    """The installed version counts, else the one to be created; IF NOT EXISTS updates none."""
    index = "CREATE INDEX i ON t USING hnsw (x)"
    both = f"CREATE EXTENSION IF NOT EXISTS vector;{index}"
    assert "which no version creates" in needing(sql=index)[0]
    assert needing(sql=index, installed="0.5.0") == []
    assert "needs vector 0.5 or newer; here it is 0.4.4" in needing(sql=index, installed="0.4.4")[0]
    assert needing(sql=both, superuser=True) == []
    assert "here it is 0.4" in needing(sql=both, superuser=True, offered="0.4")[0]
    assert "here it is 0.4" in needing(sql=both, superuser=True, installed="0.4")[0]
    updated = f"ALTER EXTENSION vector UPDATE;{index}"
    assert needing(sql=updated, superuser=True, installed="0.4") == []


@pytest.mark.extension("vector")
def test_a_real_server_tells_of_its_extensions(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """One that is there, one of a version that is not, one that hnsw needs and nobody creates."""
    table = "CREATE TABLE t (x text)"
    index = "CREATE INDEX i ON t USING hnsw (x)"
    write_version(tmp_path, "001_a", up=[table, index])
    assert (
        "needs the extension vector"
        in refused(MigrationRunner(engine, tmp_path), ExtensionMissing).message
    )
    write_version(tmp_path, "001_a", up=["CREATE EXTENSION vector VERSION '99'"])
    error = refused(MigrationRunner(engine, tmp_path), ExtensionMissing)
    assert "no extension vector of version 99; it has " in error.message
    write_version(
        tmp_path,
        "001_a",
        up=[
            "CREATE EXTENSION vector",
            "CREATE TABLE t (x vector(3))",
            "CREATE INDEX i ON t USING hnsw (x vector_l2_ops)",
        ],
    )
    MigrationRunner(engine, tmp_path).up()
    assert applied(observer) == ["001"]


# --- a database that is not empty


def test_tables_without_a_history_are_refused(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """The versions may have made them: then all would run a second time."""
    observer.execute("CREATE TABLE theirs (); CREATE VIEW v AS SELECT 1")
    runner = MigrationRunner(engine, version(tmp_path))
    error = refused(runner, NonEmptyDatabase)
    assert error.exit_code == 9
    assert error.message == "there is no history table, but there are tables: public.theirs"
    assert error.remedy is not None
    assert "neuron-schema baseline VERSION" in error.remedy
    assert "--allow-non-empty" in error.remedy
    MigrationRunner(engine, tmp_path, allow_non_empty=True).up()
    assert applied(observer) == ["001"]


def test_only_the_managed_schemas_are_looked_at(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Those that are set, else the one in which an unqualified name is made."""
    observer.execute("CREATE SCHEMA app CREATE TABLE t ()")
    version(tmp_path)
    refused(MigrationRunner(engine, tmp_path, schemas=["public", "app"]), NonEmptyDatabase)
    refused(MigrationRunner(engine, tmp_path, search_path="nowhere, app"), NonEmptyDatabase)
    MigrationRunner(engine, tmp_path).up()
    assert applied(observer) == ["001"]


def test_tables_of_extensions_and_of_ours_do_not_count(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Nor do partitions beside their table, of which one is named."""
    observer.execute("CREATE TABLE of_extension ()")
    observer.execute("ALTER EXTENSION plpgsql ADD TABLE of_extension")
    write_version(tmp_path, "001_a", up=["SELECT 1/0"])
    with pytest.raises(StatementFailed):
        MigrationRunner(engine, tmp_path).up()
    assert scalar(observer, "SELECT count(*) FROM neuron_migration_log") == 1
    version(tmp_path)
    MigrationRunner(engine, tmp_path).up()
    assert applied(observer) == ["001"]
    observer.execute("ALTER EXTENSION plpgsql DROP TABLE of_extension")


def test_another_runs_first_versions_are_no_strangers(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """What it made between our look and our preflight has a history table by then."""
    runner = MigrationRunner(engine, version(tmp_path))
    plan, look = runner.plan()
    MigrationRunner(engine, tmp_path).up()
    report = runner.run(plan, look)
    assert [step.outcome for step in report.steps] == [Outcome.ALREADY]


def test_a_run_that_was_let_in_is_let_in_again(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Interrupted in its first version it left a log and no history: a plain run goes on."""
    observer.execute("CREATE TABLE theirs ()")
    version(tmp_path, up="SELECT 1/0")
    with pytest.raises(StatementFailed):
        MigrationRunner(engine, tmp_path, allow_non_empty=True).up()
    version(tmp_path)
    MigrationRunner(engine, tmp_path).up()
    assert applied(observer) == ["001"]


# --- warnings


def test_an_old_transaction_on_a_target_is_named(
    engine: Engine,
    database: URL,
    observer: psycopg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With its session, and how to end it, in an event and in the report; a young one is not."""
    observer.execute("CREATE SCHEMA ledger CREATE TABLE entries (version text)")
    events: list[Event] = []
    write_version(tmp_path, "001_a", **CONCURRENTLY)
    write_version(tmp_path, "002_b", up=["COMMENT ON TABLE ledger.entries IS 'x'"])
    with psycopg.connect(libpq(database), autocommit=True) as holder:
        young = MigrationRunner(engine, tmp_path).up()
        assert young.warnings == ()
        MigrationRunner(engine, tmp_path).reset()
        monkeypatch.setattr(preflight_sql, "OLD_TRANSACTION_S", 0.0)
        holder.execute("BEGIN")
        holder.execute("SELECT 'culprit' FROM ledger.entries")
        runner = MigrationRunner(engine, tmp_path, listeners=[events.append])
        plan, look = runner.plan(to="1")
        found = look_ahead(
            lambda sql: ask_apart(engine, sql, timeout_s=5),
            Execution(runner._means).preflight_run(plan, look),
            look.facts,
        )
        (warning,) = found.warnings
        assert (
            "an old transaction holds entries, which is to be locked: "
            f"pid {holder.info.backend_pid} " in warning
        )
        assert "'culprit'" in warning
        assert f"SELECT pg_terminate_backend({holder.info.backend_pid})" in warning
        holder.execute("ROLLBACK")
        runner.up("1")
        holder.execute("BEGIN")
        holder.execute("SELECT 'culprit' FROM ledger.entries")
        # A comment waits for nobody who reads.
        report = runner.up()
    assert [event.text for event in events if isinstance(event, Warned)] == list(report.warnings)
    assert len(report.warnings) == 1


@pytest.mark.parametrize(
    ("encoding", "told"), [("LATIN1", "letters"), ("SQL_ASCII", "no text at all")]
)
def test_an_encoding_that_is_not_utf8_is_a_warning(
    database: URL, admin: psycopg.Connection, tmp_path: Path, encoding: str, told: str
) -> None:
    """What such a database cannot hold fails much later."""
    name = f"{database.database}_{encoding.lower()}"
    admin.execute(
        f"CREATE DATABASE \"{name}\" ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0".encode()
    )
    try:
        # Without it psycopg returns bytes from a database without an encoding.
        url = database.set(database=name).update_query_dict({"client_encoding": "utf8"})
        engine = create_engine(url, poolclass=NullPool)
        report = MigrationRunner(engine, version(tmp_path)).up()
        (warning,) = report.warnings
        assert f"the encoding of database {name} is {encoding}, not UTF8" in warning
        assert told in warning
    finally:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def test_a_disk_that_is_too_small_for_an_index_is_a_warning(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the data is on this machine, which the server's own file there proves."""
    place = scalar(observer, "SHOW data_directory")
    if not (Path(place) / "postmaster.pid").exists():
        pytest.skip("the server's data is not on this machine")
    observer.execute(
        "CREATE SCHEMA app CREATE TABLE t (x int) PARTITION BY RANGE (x); "
        "CREATE TABLE app.p PARTITION OF app.t DEFAULT; "
        "INSERT INTO app.t SELECT generate_series(1, 10000)"
    )
    observer.execute("ANALYZE app.p")
    version(tmp_path, "CREATE INDEX i ON app.t (x)")

    def free(count: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=count))

    def warnings(started: int = 0) -> tuple[str, ...]:
        runner = MigrationRunner(engine, tmp_path)
        plan, look = runner.plan()

        def ask(sql: str) -> list[Any]:
            if started:
                sql = sql.replace(
                    "pg_catalog.pg_postmaster_start_time()", f"to_timestamp({started})"
                )
            return ask_apart(engine, sql, timeout_s=5)

        return look_ahead(
            ask, Execution(runner._means).preflight_run(plan, look), look.facts
        ).warnings

    free(10**12)
    assert warnings() == ()
    free(1000)
    (warning,) = warnings()
    assert (
        warning == f"{place} has 1000 B free, and indexes are to be built on 360 kB of tables (p)"
    )
    assert warnings(started=1) == ()


def test_a_backfill_wants_to_read_the_log(
    engine: Engine, observer: psycopg.Connection, role: str, tmp_path: Path
) -> None:
    """It is told before anything runs, and not with the advice to do without the log."""
    MigrationRunner(engine, version(tmp_path)).up()
    observer.execute(
        "CREATE TABLE b (id int PRIMARY KEY, x int); "
        f'GRANT ALL ON b, neuron_migrations TO "{role}"; GRANT ALL ON SCHEMA public TO "{role}"; '
        f'GRANT INSERT ON neuron_migration_log TO "{role}"'.encode()
    )
    (tmp_path / "002_fill.py").write_text(
        "from sqlalchemy import Column, Integer, MetaData, Table\n"
        "from neuron_schema.ops import Backfill\n"
        "b = Table('b', MetaData(), Column('id', Integer, primary_key=True),"
        " Column('x', Integer))\n"
        "up = [Backfill(b, {'x': '1'})]\ndown = []\n"
    )
    error = refused(MigrationRunner(engine, tmp_path, role=role), PrivilegeMissing)
    assert "may not SELECT on the log neuron_migration_log" in error.message
    assert "--no-log" not in (error.remedy or "")
    observer.execute((error.remedy or "").encode())
    MigrationRunner(engine, tmp_path, role=role).up()


def test_a_repair_wants_to_update_the_history(
    engine: Engine, observer: psycopg.Connection, role: str, tmp_path: Path
) -> None:
    """It is told with the line that gives the right."""
    MigrationRunner(engine, version(tmp_path)).up()
    recorded = scalar(observer, "SELECT checksum FROM neuron_migrations")
    write_version(tmp_path, "001_a", up=["CREATE TABLE a (other int)"], down=["DROP TABLE a"])
    observer.execute(
        f'GRANT SELECT, INSERT ON neuron_migrations, neuron_migration_log TO "{role}"; '
        f'GRANT USAGE ON SCHEMA public TO "{role}"'.encode()
    )
    with pytest.raises(PrivilegeMissing, match="may not UPDATE on public") as no:
        MigrationRunner(engine, tmp_path, role=role).repair("1", expected=recorded)
    observer.execute((no.value.remedy or "").encode())
    MigrationRunner(engine, tmp_path, role=role).repair("1", expected=recorded)
