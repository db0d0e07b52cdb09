"""Statements in one round trip: their encoding, what interrupts them, what floods them."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.errors import ServerUnsupported, StatementFailed
from neuron_schema.execution.failures import AttemptFailed
from neuron_schema.execution.transaction import Script, run_transaction
from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.runs import CONCURRENTLY, applied, leftovers, scalar
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

BOTH = pytest.mark.parametrize("way", ["by libpq", "by SQLAlchemy"])


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield connection


@pytest.fixture
def encoded_database(
    request: pytest.FixtureRequest, database: URL, admin: psycopg.Connection
) -> Iterator[URL]:
    """Yield the address of a database with the encoding that the test is parametrized with."""
    name = f"{database.database}_encoded"
    admin.execute(
        f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING '{request.param}' "
        "LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'".encode()
    )
    address = database.set(database=name)
    if request.param == "SQL_ASCII":
        # Without it psycopg returns bytes for text, and SQLAlchemy cannot connect at all.
        address = address.update_query_dict({"client_encoding": "utf8"})
    yield address
    admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def engine_of(url: URL, way: str) -> Engine:
    """Return an engine, with its log on where SQLAlchemy itself is to execute the statements."""
    return create_engine(url, poolclass=NullPool, echo=way == "by SQLAlchemy")


@BOTH
@pytest.mark.parametrize("encoded_database", ["LATIN1", "SQL_ASCII", "EUC_JP"], indirect=True)
def test_text_arrives_in_the_databases_encoding(
    encoded_database: URL, tmp_path: Path, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    """The bytes of another encoding would be stored as other letters, and nobody would notice."""
    caplog.set_level(logging.ERROR)
    word = "日本" if "EUC" in str(scalar_of(encoded_database, "SHOW server_encoding")) else "é"
    write_version(
        tmp_path, "001_é" if word == "é" else "001_日", up=[f"CREATE TABLE {word} (x int)"]
    )
    MigrationRunner(engine_of(encoded_database, way), tmp_path).up()
    found = scalar_of(
        encoded_database,
        "SELECT encode(relname::bytea, 'hex') FROM pg_class WHERE relkind = 'r' "
        "AND relnamespace = 'public'::regnamespace AND relname NOT LIKE 'neuron%'",
    )
    encodings = {"LATIN1": "latin-1", "SQL_ASCII": "utf-8", "EUC_JP": "euc_jp"}
    server = scalar_of(encoded_database, "SHOW server_encoding")
    assert bytes.fromhex(found).decode(encodings[server]) == word


@pytest.mark.parametrize("encoded_database", ["LATIN1"], indirect=True)
def test_a_character_that_the_database_lacks_is_an_error(
    encoded_database: URL, tmp_path: Path
) -> None:
    """Nothing is sent, and the error names the character."""
    write_version(tmp_path, "001_a", up=["CREATE TABLE a (x int)", "COMMENT ON TABLE a IS '☃'"])
    runner = MigrationRunner(engine_of(encoded_database, "by libpq"), tmp_path)
    with pytest.raises(ServerUnsupported, match="☃"):
        runner.up()
    assert scalar_of(encoded_database, "SELECT to_regclass('a')") is None


@BOTH
@pytest.mark.parametrize(
    "sql",
    ["SET client_encoding = 'LATIN1'", "SELECT set_config('client_encoding', 'LATIN1', true)"],
)
def test_a_version_that_sets_another_encoding_is_an_error(
    database: URL, observer: psycopg.Connection, tmp_path: Path, way: str, sql: str
) -> None:
    """What it says after that is on its way already, and would be stored as other letters."""
    comment = "COMMENT ON TABLE a IS 'é'"
    write_version(tmp_path, "001_é", up=["CREATE TABLE a ()", sql, comment])
    runner = MigrationRunner(engine_of(database, way), tmp_path)
    with pytest.raises(StatementFailed, match="set client_encoding to LATIN1") as caught:
        runner.up()
    assert caught.value.remedy is not None
    assert caught.value.remedy.startswith("leave it out")
    assert scalar(observer, "SELECT to_regclass('a')") is None
    write_version(
        tmp_path, "001_é", up=["SET client_encoding = 'UTF8'", "CREATE TABLE a ()", comment]
    )
    MigrationRunner(engine_of(database, way), tmp_path).up()
    assert scalar(observer, "SELECT obj_description('a'::regclass)") == "é"


@pytest.mark.parametrize("encoded_database", ["LATIN1"], indirect=True)
def test_operations_that_commit_on_their_own_are_encoded_alike(
    encoded_database: URL, tmp_path: Path
) -> None:
    """Their statements and their history row go other ways."""
    with psycopg.connect(libpq(encoded_database), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA ledger CREATE TABLE entries (version text)")
    changed = {**CONCURRENTLY, "body": CONCURRENTLY["body"].replace('"i"', '"í"')}
    write_version(tmp_path, "001_é", **changed)
    MigrationRunner(engine_of(encoded_database, "by libpq"), tmp_path).up()
    with psycopg.connect(libpq(encoded_database), client_encoding="utf8") as connection:
        assert scalar(connection, "SELECT relname FROM pg_class WHERE relname LIKE 'í'") == "í"
        assert scalar(connection, "SELECT name FROM neuron_migrations") == "é"


def scalar_of(database: URL, sql: str) -> str:
    """Return the first column of a query's first row, read over a connection of its own."""
    with psycopg.connect(libpq(database)) as connection:
        value: str = scalar(connection, sql)
        return value


@BOTH
def test_an_interrupt_leaves_nothing_running(
    database: URL,
    observer: psycopg.Connection,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    way: str,
) -> None:
    """When the exception arrives, the server is done with it, so that a look tells the truth."""
    caplog.set_level(logging.ERROR)
    write_version(tmp_path, "001_a", up=["CREATE TABLE a (x int)", "SELECT pg_sleep(60)"])
    runner = MigrationRunner(engine_of(database, way), tmp_path)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            runner.up()
        busy = scalar(
            observer,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%pg_sleep%'",
        )
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert busy == 0
    assert applied(observer) == []
    assert scalar(observer, "SELECT to_regclass('a')") is None
    assert leftovers(observer) == []


@BOTH
def test_a_flood_of_notices_does_not_stop_what_is_still_to_be_sent(
    database: URL,
    observer: psycopg.Connection,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    way: str,
) -> None:
    """Both sides would wait for ever if each only wrote; the buffers of a socket hold less."""
    caplog.set_level(logging.ERROR)
    notices = (
        "DO $$ BEGIN FOR i IN 1..20000 LOOP RAISE NOTICE '%', repeat('x', 500); END LOOP; END $$"
    )
    long = "x" * 8_000_000
    write_version(
        tmp_path,
        "001_a",
        up=[notices, "CREATE TABLE a (x text)", f"INSERT INTO a VALUES ('{long}')", notices],
    )
    MigrationRunner(engine_of(database, way), tmp_path).up()
    assert scalar(observer, "SELECT length(x) FROM a") == len(long)


@BOTH
def test_a_copy_to_the_client_is_refused(
    database: URL, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    """A version's check refuses it by its text; if one came through, it would not hang."""
    caplog.set_level(logging.ERROR)
    engine = engine_of(database, way)
    with pytest.raises(AttemptFailed):
        run_transaction(
            engine, Script(settings="SELECT 1", statements=("COPY (SELECT 1) TO STDOUT",))
        )


def test_a_notification_of_a_version_is_harmless(database: URL, tmp_path: Path) -> None:
    """The session may listen to a channel that its own version notifies."""
    write_version(tmp_path, "001_a", up=["LISTEN c", "NOTIFY c, 'x'"])
    write_version(tmp_path, "002_b", up=["SELECT 1"])
    engine = create_engine(database)
    report = MigrationRunner(engine, tmp_path).up()
    engine.dispose()
    assert len(report.steps) == 2
