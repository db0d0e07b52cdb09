"""A project with three versions, and the command in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.acceptance.command import CANARY, Command, eventually
from tests.conftest import libpq
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import URL


@pytest.fixture
def address(database: URL) -> URL:
    """Return the test database's address with a password that nothing may print."""
    return database if database.password else database.set(password=CANARY)


@pytest.fixture
def cli(tmp_path: Path, address: URL) -> Command:
    """Return the command in an empty project, on the test's database."""
    return Command(tmp_path, {"DATABASE_URL": libpq(address)})


@pytest.fixture
def offline(tmp_path: Path) -> Command:
    """Return the command in an empty project, without a database."""
    return Command(tmp_path, {})


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """Return the project's versions: three tables ``a``, ``b`` and ``c``."""
    directory = tmp_path / "versions"
    for number, name in enumerate("abc", 1):
        write_version(
            directory,
            f"{number:03d}_{name}",
            up=[f"CREATE TABLE {name} (id int)"],
            down=[f"DROP TABLE {name}"],
            docstring=f"Table {name}.",
        )
    return directory


@pytest.fixture
def connection(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection to the test's database, of its own."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield connection


def applied(connection: psycopg.Connection) -> list[str]:
    """Return what the history table holds; nothing where there is no such table."""
    if connection.execute("SELECT to_regclass('neuron_migrations')").fetchall() == [(None,)]:
        return []
    rows = connection.execute("SELECT version FROM neuron_migrations ORDER BY version")
    return [version for (version,) in rows]


def tables(connection: psycopg.Connection) -> list[str]:
    """Return the tables of the schema public, without the history table."""
    rows = connection.execute(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' "
        "AND tablename NOT IN ('neuron_migrations', 'neuron_migration_log') ORDER BY 1"
    )
    return [name for (name,) in rows]


def wait_for_sleep(connection: psycopg.Connection) -> None:
    """Return when a session in the database sleeps."""
    for _ in eventually():
        if not nobody_sleeps(connection):
            return


def nobody_sleeps(connection: psycopg.Connection) -> bool:
    """Whether no session in the database sleeps in ``pg_sleep``."""
    return not connection.execute(
        "SELECT 1 FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event = 'PgSleep'"
    ).fetchall()
