"""pg_dump, an independent witness: the specification's SQL and our versions, step by step.

Runs where ``NEURON_SCHEMA_TEST_PG_DUMP`` names a pg_dump that can read the server under test.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from tests.conftest import libpq
from tests.neuron_rows import fill
from tests.neuron_versions import migrate
from tests.reference_sql import VERSIONS, reference_down, reference_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    from sqlalchemy.engine import URL

PG_DUMP = os.environ.get("NEURON_SCHEMA_TEST_PG_DUMP", "")

pytestmark = [
    pytest.mark.skipif(not PG_DUMP, reason="NEURON_SCHEMA_TEST_PG_DUMP names no pg_dump"),
    pytest.mark.extension("uuid-ossp"),
    pytest.mark.extension("vector"),
]


@pytest.fixture
def reference(database: URL, admin: psycopg.Connection) -> Iterator[Engine]:
    """Yield an engine on a second database, for the specification's SQL."""
    name = f"{database.database}_reference"
    admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    engine = create_engine(database.set(database=name), poolclass=NullPool)
    yield engine
    engine.dispose()
    admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def execute(engine: Engine, sql: str) -> None:
    """Run verbatim SQL in one transaction."""
    with engine.connect().execution_options(no_parameters=True) as connection:
        connection.exec_driver_sql(sql)
        connection.commit()


def dump(engine: Engine) -> str:
    r"""Return the schema as pg_dump prints it, without the history table.

    Newer ones of pg_dump 17 frame their output with ``\restrict`` and a random key.
    """
    command = [PG_DUMP, "--schema-only", "--exclude-table=neuron_migration*", "--dbname"]
    printed = subprocess.run(  # noqa: PLW1510 - the message below says more than check=True
        [*command, libpq(engine.url)], capture_output=True, text=True, timeout=60
    )
    assert printed.returncode == 0, printed.stderr
    return re.sub(r"(?m)^\\(un)?restrict .*\n", "", printed.stdout)


def test_dumps_are_equal_after_every_step_up_and_down(engine: Engine, reference: Engine) -> None:
    """After each version, up and down and with rows, both databases dump the same."""
    empty = dump(engine)
    states = [empty]
    for version in VERSIONS:
        migrate(engine, version)
        execute(reference, reference_up(version))
        states.append(dump(engine))
        assert states[-1] == dump(reference), version
    assert len(set(states)) == len(states)

    for each in (engine, reference):
        with each.begin() as connection:
            fill(connection, VERSIONS[-1])
    for version, before, expected in zip(
        reversed(VERSIONS), [*reversed(VERSIONS[:-1]), "000"], reversed(states[:-1]), strict=True
    ):
        migrate(engine, before)
        execute(reference, reference_down(version))
        assert dump(engine) == expected, version
        assert dump(reference) == expected, version
