"""What interrupted operations leave behind is found, named and cleared away by its remedy."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import psycopg
import pytest

from neuron_schema.leftovers import Leftover, leftovers, leftovers_sql
from tests.conftest import libpq
from tests.runs import scalar, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL


@pytest.fixture
def session(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection with a table of equal rows, and a partitioned one."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        connection.execute(
            'CREATE TABLE "It\'s" (n int); INSERT INTO "It\'s" VALUES (1), (1);'
            "CREATE TABLE whole (n int) PARTITION BY RANGE (n);"
            "CREATE TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (9)"
        )
        yield connection


def found(session: psycopg.Connection, *schemas: str) -> tuple[Leftover, ...]:
    """Return what is there."""
    return leftovers(session.execute(leftovers_sql(schemas).encode()).fetchall())


def test_nothing_is_left_behind_at_first(session: psycopg.Connection) -> None:
    """An index of a partitioned table that lacks a part is invalid too, and no leftover."""
    session.execute("CREATE INDEX incomplete ON ONLY whole (n)")
    assert found(session) == ()


def test_an_invalid_index_is_found_and_its_remedy_drops_it(session: psycopg.Connection) -> None:
    """A build that met equal rows stays, with a name that needs quoting."""
    with pytest.raises(psycopg.errors.UniqueViolation):
        session.execute('CREATE UNIQUE INDEX CONCURRENTLY "a b" ON "It\'s" (n)')
    (one,) = found(session)
    assert (one.kind, one.name, one.table) == ("invalid index", "public.a b", "It's")
    session.execute(one.remedy.encode())
    assert found(session) == ()


def test_a_pending_detach_is_found_and_its_remedy_finishes_it(session: psycopg.Connection) -> None:
    """Cancelled while it waits for a reader, it stays."""
    with psycopg.connect(session.info.dsn) as reader:
        reader.execute("SELECT * FROM whole")
        session.execute("SET statement_timeout = '300ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute("ALTER TABLE whole DETACH PARTITION part CONCURRENTLY")
        session.execute("RESET statement_timeout")
    (one,) = found(session)
    assert (one.kind, one.name, one.table) == ("pending detach", "public.part", "whole")
    session.execute(one.remedy.encode())
    assert found(session) == ()


def test_a_build_at_work_is_no_leftover(session: psycopg.Connection, database: URL) -> None:
    """Its remedy would break it off."""
    with psycopg.connect(libpq(database)) as writer:
        writer.execute('INSERT INTO "It\'s" VALUES (2)')

        def build() -> None:
            with psycopg.connect(libpq(database), autocommit=True) as builder:
                builder.execute('CREATE INDEX CONCURRENTLY slow ON "It\'s" (n)')

        thread = threading.Thread(target=build)
        thread.start()
        invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
        wait_for(lambda: scalar(session, invalid) == 1)
        assert found(session) == ()
        writer.rollback()
        thread.join()
    assert found(session) == ()


def test_an_invalid_index_of_a_toast_table_is_its_tables(session: psycopg.Connection) -> None:
    """REINDEX CONCURRENTLY rebuilds that one too, and leaves it in a schema of PostgreSQL's own."""
    session.execute("CREATE TABLE long (x text)")
    with psycopg.connect(session.info.dsn) as writer:
        writer.execute("INSERT INTO long VALUES ('x')")
        session.execute("SET statement_timeout = '300ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute("REINDEX TABLE CONCURRENTLY long")
        session.execute("RESET statement_timeout")
    (one,) = found(session)
    assert one.name.startswith("pg_toast.pg_toast_")
    assert (one.kind, one.table) == ("invalid index", "long")
    session.execute(one.remedy.encode())
    assert found(session) == ()


def test_other_schemas_are_left_alone(session: psycopg.Connection) -> None:
    """What is neither on the search path nor named belongs to somebody else."""
    session.execute("""CREATE SCHEMA "It's" CREATE TABLE t (n int)""")
    session.execute("""INSERT INTO "It's".t VALUES (1), (1)""")
    with pytest.raises(psycopg.errors.UniqueViolation):
        session.execute("""CREATE UNIQUE INDEX CONCURRENTLY i ON "It's".t (n)""")
    assert found(session) == ()
    assert [one.name for one in found(session, "It's", "absent")] == ["It's.i"]
    session.execute("""SET search_path = "It's\"""")
    assert [one.name for one in found(session)] == ["It's.i"]
