"""What the sessions of a run are set to, seen from inside and from the pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine, text

from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.runs import CONCURRENTLY, scalar
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import URL

NAMES = (
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "maintenance_work_mem",
)
# What the version's own session is set to, written down by the version.
NOTE = (
    "CREATE TABLE seen AS SELECT name, setting FROM pg_settings WHERE name IN "
    "('lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout', "
    "'maintenance_work_mem')"
)


@pytest.fixture
def observer(database: URL, admin: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Yield a connection to a database whose defaults would end a run or let it wait for ever."""
    for name, value in (("statement_timeout", "1ms"), ("lock_timeout", "1h")):
        admin.execute(f"ALTER DATABASE \"{database.database}\" SET {name} = '{value}'".encode())
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        yield connection


def seen(observer: psycopg.Connection, table: str = "seen") -> dict[str, str]:
    """Return what a version wrote down."""
    return dict(observer.execute(f"SELECT name, setting FROM {table}".encode()).fetchall())


def test_no_limit_is_inherited(database: URL, observer: psycopg.Connection, tmp_path: Path) -> None:
    """Those of the role and the database are for the application."""
    write_version(tmp_path, "001_a", up=[NOTE, "SELECT pg_sleep(0.05)"])
    # SQLAlchemy's own first queries take longer than a millisecond.
    engine = create_engine(database, connect_args={"options": "-c statement_timeout=10s"})
    MigrationRunner(engine, tmp_path).up()
    engine.dispose()
    found = seen(observer)
    assert found["lock_timeout"] == "200"
    assert found["statement_timeout"] == "0"
    assert found["idle_in_transaction_session_timeout"] == "600000"


def test_a_version_has_its_own_settings_and_the_next_has_not(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """They last for its step, and a pooled connection goes back as it came."""
    write_version(
        tmp_path,
        "001_a",
        up=[NOTE],
        body='settings = {"maintenance_work_mem": "70MB", "statement_timeout": "30s"}',
    )
    write_version(tmp_path, "002_b", up=[NOTE.replace("seen", "later")])
    engine = create_engine(database, connect_args={"options": "-c statement_timeout=10s"})
    with engine.connect() as connection:
        before = {name: connection.scalar(text(f"SHOW {name}")) for name in NAMES}
    MigrationRunner(engine, tmp_path).up()
    with engine.connect() as connection:
        assert {name: connection.scalar(text(f"SHOW {name}")) for name in NAMES} == before
    engine.dispose()
    found = seen(observer)
    assert (found["maintenance_work_mem"], found["statement_timeout"]) == ("71680", "30000")
    later = seen(observer, "later")
    assert (later["maintenance_work_mem"], later["statement_timeout"]) == ("65536", "0")


def test_an_operation_on_its_own_has_its_settings_and_no_limit(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A lock timeout would leave an invalid index; more memory makes the build faster."""
    observer.execute("CREATE SCHEMA ledger CREATE TABLE entries (version text)")
    observer.execute(
        "CREATE FUNCTION checked(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN "
        "IF current_setting('lock_timeout') <> '0' OR current_setting('statement_timeout') <> '0' "
        "OR current_setting('maintenance_work_mem') <> '70MB' THEN "
        "RAISE EXCEPTION 'set otherwise'; END IF; RETURN $1; END $$"
    )
    changed = {**CONCURRENTLY}
    changed["imports"] += "\nfrom sqlalchemy import text"
    changed["body"] = changed["body"].replace(
        'Index("i", entries.c.version,',
        'Index("i", text("public.checked(version)"), _table=entries,',
    )
    changed["body"] += '\nsettings = {"maintenance_work_mem": "70MB"}'
    write_version(tmp_path, "001_a", **changed)
    observer.execute("INSERT INTO ledger.entries VALUES ('x')")
    engine = create_engine(database, connect_args={"options": "-c statement_timeout=10s"})
    MigrationRunner(engine, tmp_path).up()
    engine.dispose()
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ledger.i'::regclass"
    assert scalar(observer, valid) is True
