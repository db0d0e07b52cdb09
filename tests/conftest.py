"""Servers and databases for the tests.

The server is the one in ``NEURON_SCHEMA_TEST_URL``, else an embedded PostgreSQL that lives as
long as the test session (``NEURON_SCHEMA_TEST_MAJOR`` picks 18 or 16). Every test that asks for
``database`` gets one of its own.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from neuron_schema.url import parse
from tests.faults.counts import summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.address import Address

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """Yield the address of a server's maintenance database, as a role that may create databases."""
    given = os.environ.get("NEURON_SCHEMA_TEST_URL")
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg")
        return
    from neuron_schema.embedded import temporary_server

    major = int(os.environ.get("NEURON_SCHEMA_TEST_MAJOR", "18"))
    with temporary_server(major=major) as address:
        yield address.sqlalchemy_url()


@pytest.fixture(scope="session")
def admin(server: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection to the maintenance database."""
    with psycopg.connect(libpq(server), autocommit=True) as connection:
        yield connection


def libpq(url: URL) -> str:
    """Return the libpq spelling of an address."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def from_engine_url(url: URL) -> Address:
    """Return an address as the commands and the shadow servers take it."""
    return parse(libpq(url))


@pytest.fixture
def database(server: URL, admin: psycopg.Connection) -> Iterator[URL]:
    """Yield the address of an empty database that is dropped after the test."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"test_{worker}_{os.getpid()}_{next(_numbers)}"
    admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    yield server.set(database=name)
    admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def engine(database: URL) -> Iterator[Engine]:
    """Yield an engine on the test's database, without a pool."""
    engine = create_engine(database, poolclass=NullPool)
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def _needs_extension(request: pytest.FixtureRequest) -> None:
    """Skip a test whose extension the server under test has no files of."""
    for marker in request.node.iter_markers("extension"):
        admin = request.getfixturevalue("admin")
        found = admin.execute(
            "SELECT 1 FROM pg_available_extensions WHERE name = %s", (marker.args[0],)
        ).fetchone()
        if found is None:
            pytest.skip(f"the server has no extension {marker.args[0]}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the fault suite counted."""
    lines = summary(terminalreporter.stats.get("passed", []))
    if lines:
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.write_line(line)
