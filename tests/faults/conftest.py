"""The sample versions, what an undisturbed run makes of them, and a database to disturb."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.conftest import libpq
from tests.faults.counts import Counts
from tests.faults.invariants import Golden, Witness, record
from tests.faults.sample import write_sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL


@pytest.fixture(scope="session")
def golden(
    server: URL, admin: psycopg.Connection, tmp_path_factory: pytest.TempPathFactory
) -> Golden:
    """Return the sample versions with the catalog after each of them."""
    directory = tmp_path_factory.mktemp("sample") / "versions"
    versions = write_sample(directory)
    name = f"golden_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    try:
        return record(server.set(database=name), directory, versions)
    finally:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def witness(database: URL, golden: Golden) -> Iterator[Witness]:
    """Yield a witness of an empty database with the ledger in it."""
    with psycopg.connect(
        libpq(database), autocommit=True, application_name="test observer"
    ) as observer:
        witness = Witness(database, observer, golden)
        witness.prepare()
        yield witness


@pytest.fixture
def counts(record_property: object) -> Counts:
    """Return what takes the counts that are printed at the end."""
    return Counts(record_property)  # type: ignore[arg-type]
