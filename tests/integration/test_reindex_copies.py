"""The copies that an interrupted REINDEX CONCURRENTLY leaves, and what only looks like them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import table

from neuron_schema.compiling.rendering import DIALECT
from neuron_schema.ops import Reindex
from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.runs import applied, scalar
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

INVALID = (
    "SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM pg_index "
    "JOIN pg_class ON pg_class.oid = indexrelid WHERE NOT indisvalid AND relkind = 'i'"
)


@pytest.fixture
def session(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection with a table of two indexes, one of them unique."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE t (n int PRIMARY KEY, m int); CREATE INDEX i ON t (m);"
            "INSERT INTO t VALUES (1, 1)"
        )
        yield connection


def interrupt(session: psycopg.Connection, what: str, *, by: str = "DELETE FROM t") -> None:
    """Break a REINDEX off while it waits for another transaction: a writer's, or a reader's."""
    with psycopg.connect(session.info.dsn) as other:
        other.execute(by.encode())
        session.execute("SET statement_timeout = '300ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute(f"REINDEX {what}".encode())
        session.execute("RESET statement_timeout")
        other.rollback()


def drops(session: psycopg.Connection, op: Reindex) -> list[str]:
    """Return what is run before an operation."""
    own = op.own_commit(DIALECT.identifier_preparer)
    assert own is not None
    assert own.cleanup is not None
    return [sql for (sql,) in session.execute(own.cleanup.encode())]


@pytest.mark.parametrize(
    ("source", "kept"),
    [('Reindex("i", concurrently=True)', "t_pkey_ccnew"), ("Reindex(t, concurrently=True)", "")],
    ids=["an index", "a table"],
)
def test_copies_of_an_interrupted_run_are_dropped_first(
    engine: Engine, session: psycopg.Connection, tmp_path: Path, source: str, kept: str
) -> None:
    """Of the very index, or of all of the table; more than one attempt may have left some."""
    interrupt(session, "INDEX CONCURRENTLY i")
    interrupt(session, "TABLE CONCURRENTLY t")
    interrupt(session, "INDEX CONCURRENTLY i", by="SELECT FROM t")
    assert scalar(session, INVALID) == "i_ccnew i_ccnew1 i_ccold t_pkey_ccnew"
    write_version(
        tmp_path,
        "001_r",
        up=f"[{source}]",
        imports="from sqlalchemy import table\nfrom neuron_schema.ops import Reindex",
        body='t = table("t")',
    )
    MigrationRunner(engine, tmp_path, allow_non_empty=True).up()
    assert scalar(session, INVALID) == kept
    assert applied(session) == ["001"]
    assert scalar(session, "SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass") == (
        2 + bool(kept)
    )


def test_what_is_no_copy_is_left_alone(session: psycopg.Connection) -> None:
    """A valid index of such a name, an invalid one of another, and other tables' indexes."""
    session.execute(
        "CREATE INDEX i_ccnew ON t (m); CREATE INDEX i_ccold1 ON t (m);"
        "CREATE INDEX orphan_ccnew ON t (m); CREATE INDEX i_ccnewer ON t (m);"
        "CREATE INDEX i2 ON t (m);"
        "CREATE SCHEMA other; CREATE TABLE other.t (m int); CREATE INDEX i_ccnew ON other.t (m);"
        "CREATE TABLE o (m int); CREATE INDEX i_ccnew7 ON o (m);"
        "SET allow_system_table_mods = on; UPDATE pg_index SET indisvalid = false "
        "WHERE indexrelid::regclass::text IN "
        "('orphan_ccnew', 'i_ccnewer', 'i2', 'other.i_ccnew', 'i_ccnew7')"
    )
    assert drops(session, Reindex("i", concurrently=True)) == []
    assert drops(session, Reindex(table("t"), concurrently=True)) == []
    assert drops(session, Reindex("absent", concurrently=True)) == []


def test_an_index_that_is_rebuilt_is_no_copy_of_another(session: psycopg.Connection) -> None:
    """Who rebuilds a copy by its name wants to keep it."""
    interrupt(session, "INDEX CONCURRENTLY i")
    assert drops(session, Reindex("i_ccnew", concurrently=True)) == []
    wanted = ["DROP INDEX CONCURRENTLY IF EXISTS public.i_ccnew"]
    assert drops(session, Reindex("i", concurrently=True)) == wanted


@pytest.mark.parametrize("name", ["n" * 63, "ä" * 31, 'Odd "q" \\ %s {x}'])
def test_copies_with_names_that_were_cut_or_need_quotes_are_found(
    session: psycopg.Connection, name: str
) -> None:
    """PostgreSQL cuts the index's name so that the ending fits, between two letters."""
    quoted = '"' + name.replace('"', '""') + '"'
    session.execute(f"ALTER INDEX i RENAME TO {quoted}".encode())
    interrupt(session, f"INDEX CONCURRENTLY {quoted}")
    interrupt(session, f"INDEX CONCURRENTLY {quoted}")
    found = drops(session, Reindex(name, concurrently=True))
    assert len(found) == 2
    for sql in found:
        session.execute(sql.encode())
    assert scalar(session, INVALID) == ""


def test_copies_on_the_partitions_are_found(session: psycopg.Connection) -> None:
    """A partitioned table and its index are rebuilt partition by partition."""
    session.execute(
        "DROP TABLE t; CREATE TABLE whole (n int) PARTITION BY LIST (n);"
        "CREATE TABLE part PARTITION OF whole FOR VALUES IN (1);"
        "CREATE INDEX on_whole ON whole (n)"
    )
    interrupt(session, "TABLE CONCURRENTLY whole", by="SELECT FROM whole")
    wanted = ["DROP INDEX CONCURRENTLY IF EXISTS public.part_n_idx_ccold"]
    for op in (Reindex(table("whole"), concurrently=True), Reindex("on_whole", concurrently=True)):
        assert drops(session, op) == wanted


def test_copies_of_toast_are_dropped_by_who_may(session: psycopg.Connection) -> None:
    """A table's owner may not: for such a role they stay, and stop nothing."""
    name = f"owner_{session.info.backend_pid}"
    session.execute(f"CREATE ROLE {name}".encode())
    session.execute(
        f"DROP TABLE t; CREATE TABLE t (x text); ALTER TABLE t OWNER TO {name}".encode()
    )
    interrupt(session, "TABLE CONCURRENTLY t")
    op = Reindex(table("t"), concurrently=True)
    (drop,) = drops(session, op)
    assert "pg_toast" in drop
    session.execute(f"SET ROLE {name}".encode())
    assert drops(session, op) == []
    session.execute("REINDEX TABLE CONCURRENTLY t")
    session.execute("RESET ROLE")
    session.execute(drop.encode())
    assert scalar(session, INVALID) == ""
    session.execute(f"DROP TABLE t; DROP ROLE {name}".encode())
