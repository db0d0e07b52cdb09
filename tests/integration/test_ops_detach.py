"""DETACH PARTITION CONCURRENTLY: what its probe says, and that its repair finishes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import table
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from neuron_schema.ops import DetachPartition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL
    from sqlalchemy.sql.expression import TableClause

    from neuron_schema.model import OwnCommit

DIALECT = PGDialect_psycopg(paramstyle="named")  # type: ignore[no-untyped-call]
PARENT = table("Par\"ent's %s", schema="Sch%ema :x")
PART = table("pärt \\ \"1'", schema="Sch%ema :x")


def name(found: TableClause) -> str:
    """Return a table's name as SQL."""
    return DIALECT.identifier_preparer.format_table(found)


@pytest.fixture
def session(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection to a database with a parent and one partition."""
    address = database.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in (
            'CREATE SCHEMA "Sch%ema :x"',
            f"CREATE TABLE {name(PARENT)} (n integer) PARTITION BY RANGE (n)",
            f"CREATE TABLE {name(PART)} PARTITION OF {name(PARENT)} FOR VALUES FROM (1) TO (9)",
        ):
            connection.execute(statement)
        yield connection


def plan(parent: TableClause = PARENT, partition: TableClause = PART) -> OwnCommit:
    """Return how the operation is made safe to repeat."""
    found = DetachPartition(parent, partition, concurrently=True).own_commit(
        DIALECT.identifier_preparer
    )
    assert found is not None
    return found


def state(session: psycopg.Connection, own_commit: OwnCommit) -> str:
    """Return what the probe says: one row of one text."""
    assert own_commit.probe is not None
    rows = session.execute(own_commit.probe).fetchall()
    assert len(rows) == 1
    assert isinstance(rows[0][0], str)
    return rows[0][0]


def detach(session: psycopg.Connection) -> None:
    """Run the operation itself."""
    op = DetachPartition(PARENT, PART, concurrently=True)
    session.execute(str(op.compile(dialect=DIALECT)))


def test_a_partition_is_absent_before_and_done_after(session: psycopg.Connection) -> None:
    """The probe tells the two ends apart, under names that need every kind of quoting."""
    assert state(session, plan()) == "absent"
    detach(session)
    assert state(session, plan()) == "done"


def test_an_interrupted_detach_is_invalid_and_the_repair_finishes_it(
    session: psycopg.Connection,
) -> None:
    """Cancelled while it waits for a reader, it stays pending; FINALIZE ends it."""
    with psycopg.connect(session.info.dsn) as reader:
        reader.execute(f"SELECT * FROM {name(PARENT)}")
        session.execute("SET statement_timeout = '300ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            detach(session)
        session.execute("RESET statement_timeout")
        assert state(session, plan()) == "invalid"
    for statement in plan().repair:
        session.execute(statement)
    assert state(session, plan()) == "done"
    assert session.execute(f"SELECT * FROM {name(PART)}").fetchall() == []


def test_a_partition_of_another_table_is_different(session: psycopg.Connection) -> None:
    """What is attached elsewhere is not taken for detached."""
    session.execute("CREATE TABLE other (n integer) PARTITION BY RANGE (n)")
    assert state(session, plan(parent=table("other"))) == "different"


@pytest.mark.parametrize("which", ["parent", "partition"])
def test_a_table_that_does_not_exist_is_left_to_postgresql(
    session: psycopg.Connection, which: str
) -> None:
    """The operation then runs, and PostgreSQL's error names the table."""
    missing = {which: table("missing")}
    assert state(session, plan(**missing)) == "absent"


def test_the_probe_does_not_depend_on_the_search_path(session: psycopg.Connection) -> None:
    """A relation that shadows the catalog's is not looked at."""
    session.execute("CREATE TEMP TABLE pg_inherits (inhrelid oid, inhparent oid)")
    session.execute("SET search_path = pg_temp, pg_catalog")
    assert state(session, plan()) == "absent"


def test_without_concurrently_it_runs_in_a_transaction() -> None:
    """Only CONCURRENTLY commits on its own."""
    assert DetachPartition(PARENT, PART).own_commit(DIALECT.identifier_preparer) is None
