"""The tracer: operations that PostgreSQL commits on its own, seen while they wait."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import pytest

from neuron_schema.proof.shadow import open_shadow
from neuron_schema.review.locks import Access
from neuron_schema.review.tracing import parked as tracing_parked
from tests.conftest import from_engine_url
from tests.measuring import measured, shipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import psycopg
    from sqlalchemy.engine import URL

    from neuron_schema.proof.shadow import Shadow
    from neuron_schema.review.measures import VersionMeasure

T = "CREATE TABLE t (id integer PRIMARY KEY, a text)"
INDEXED = [T, "CREATE INDEX i ON t (a)"]
READS, WRITES, DDL = Access.READS, Access.WRITES, Access.DDL


@pytest.fixture(scope="module")
def shadow(server: URL) -> Iterator[Shadow]:
    """Yield a shadow on the test's server."""
    with open_shadow(from_engine_url(server)) as shadow:
        yield shadow


def parked(
    shadow: Shadow, directory: Path, setup: str | Sequence[str], up: str, body: str = ""
) -> VersionMeasure:
    """Measure a version of one operation on a table ``t``."""
    return measured(
        shadow,
        directory,
        setup,
        up,
        imports="from sqlalchemy import Column, Index, Integer, MetaData, String, Table\n"
        "from sqlalchemy.schema import CreateIndex, DropIndex\n"
        "from neuron_schema.ops import Backfill, BackfillRows, DetachPartition, Reindex, Vacuum",
        body='t = Table("t", MetaData(), Column("id", Integer, primary_key=True), '
        f'Column("a", String))\nindex = Index("i", t.c.a, postgresql_concurrently=True)\n{body}',
    )


def locks(found: VersionMeasure) -> list[tuple[str, str, tuple[Access, ...], bool]]:
    """Return table, mode, who has to wait, and whether somebody tried."""
    (only,) = found.statements
    assert (only.concurrent, found.transactional, only.alone) == (True, False, only.shipped)
    return [
        (str(each.table), each.mode.value, each.blocks, each.proven)
        for each in shipped(found).locks
    ]


SUE = [("public.t", "SHARE UPDATE EXCLUSIVE", (DDL,), True)]


def test_an_index_is_built_while_others_read_and_write(shadow: Shadow, tmp_path: Path) -> None:
    """Two passes over the table, and nobody but vacuum and DDL has to wait."""
    found = parked(shadow, tmp_path, T, "[CreateIndex(index)]")
    assert locks(found) == SUE
    measure = shipped(found)
    assert [(str(each.index), each.method, each.rebuilt) for each in measure.built] == [
        ("public.t.i", "btree", False)
    ]
    assert [(str(each.table), each.times) for each in measure.scans] == [("public.t", 2)]
    assert measure.said == ('building index "i" on table "t" serially',)
    assert measure.failed is None
    assert measure.wal_bytes > 0
    assert found.unmeasured == ()


@pytest.mark.extension("vector")
def test_an_hnsw_index_is_too(shadow: Shadow, tmp_path: Path) -> None:
    """As any other index."""
    setup = ["CREATE EXTENSION vector", "CREATE TABLE t (id integer PRIMARY KEY, a vector(3))"]
    found = parked(
        shadow,
        tmp_path,
        setup,
        "[CreateIndex(hnsw)]",
        'hnsw = Index("h", t.c.a, postgresql_concurrently=True, postgresql_using="hnsw", '
        'postgresql_ops={"a": "vector_l2_ops"})',
    )
    assert locks(found) == SUE
    assert [each.method for each in shipped(found).built] == ["hnsw"]


def test_an_index_is_dropped_while_others_read_and_write(shadow: Shadow, tmp_path: Path) -> None:
    """It waits for them, not they for it."""
    found = parked(shadow, tmp_path, INDEXED, "[DropIndex(index)]")
    assert locks(found) == SUE
    assert shipped(found).cascaded == ()


def test_an_index_is_rebuilt_while_others_read_and_write(shadow: Shadow, tmp_path: Path) -> None:
    """The new one has another OID, and the old one's name."""
    found = parked(shadow, tmp_path, INDEXED, '[Reindex("i", concurrently=True)]')
    assert locks(found) == SUE
    assert [(str(each.index), each.rebuilt) for each in shipped(found).built] == [
        ("public.t.i", True)
    ]
    assert shipped(found).cascaded == ()


def test_a_partition_that_is_detached_is_locked_at_last(shadow: Shadow, tmp_path: Path) -> None:
    """Whoever reads the partition itself has to wait while it waits; the table goes on."""
    setup = [
        "CREATE TABLE t (id integer, a text) PARTITION BY RANGE (id)",
        "CREATE TABLE t_0 PARTITION OF t FOR VALUES FROM (MINVALUE) TO (0)",
        "CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (MAXVALUE)",
    ]
    found = parked(shadow, tmp_path, setup, '[DetachPartition("t", "t_1", concurrently=True)]')
    assert locks(found) == [
        ("public.t_1", "ACCESS EXCLUSIVE", (READS, WRITES, DDL), True),
        *SUE,
    ]


def test_tables_that_an_operation_does_not_touch_hold_nobody_up(
    shadow: Shadow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for where it waits, and not where the first of those in its way might be."""
    monkeypatch.setattr(tracing_parked, "_LONGEST_S", math.inf)
    setup = [
        "CREATE TABLE beside (id integer)",
        "CREATE TABLE t (id integer, a text) PARTITION BY RANGE (id)",
        "CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (MAXVALUE)",
    ]
    found = parked(shadow, tmp_path, setup, '[DetachPartition("t", "t_1", concurrently=True)]')
    assert [table for table, *_ in locks(found)] == ["public.t_1", "public.t"]


def test_vacuum_waits_for_nobody_who_works(shadow: Shadow, tmp_path: Path) -> None:
    """It is made to wait by another one like it, so that nobody could try beside it."""
    found = parked(shadow, tmp_path, INDEXED, '[Vacuum("t")]')
    assert locks(found) == [("public.t", "SHARE UPDATE EXCLUSIVE", (DDL,), False)]
    assert shipped(found).rewritten == ()


def test_vacuum_full_keeps_everybody_waiting(shadow: Shadow, tmp_path: Path) -> None:
    """From when it waits itself on: whoever comes later stands behind it."""
    setup = [*INDEXED, "ALTER TABLE t ADD COLUMN e integer DEFAULT 3 CHECK (e > 1)"]
    found = parked(shadow, tmp_path, setup, '[Vacuum("t", full=True)]')
    assert locks(found) == [("public.t", "ACCESS EXCLUSIVE", (READS, WRITES, DDL), True)]
    assert [str(each) for each in shipped(found).rewritten] == ["public.t"]
    assert [(each.index.name, each.rebuilt) for each in shipped(found).built] == [
        ("i", True),
        ("t_pkey", True),
    ]


def test_a_backfill_writes_rows(shadow: Shadow, tmp_path: Path) -> None:
    """It locks its table as any writer does, which keeps nobody waiting."""
    found = parked(shadow, tmp_path, T, """[Backfill(t, {"a": "'x'"})]""")
    assert locks(found) == [("public.t", "ROW EXCLUSIVE", (), False)]
    (written,) = shipped(found).written
    assert (str(written.table), written.updated) == ("public.t", 3)


def test_a_backfill_in_python_writes_rows(shadow: Shadow, tmp_path: Path) -> None:
    """As one in SQL; its function sees the hostile rows."""
    body = 'def fill(rows):\n    return [{"a": "y"} for row in rows]\n'
    up = '[BackfillRows(t, fill, columns=["a"], revision="1")]'
    found = parked(shadow, tmp_path, T, up, body)
    assert shipped(found).failed is None
    assert locks(found) == [("public.t", "ROW EXCLUSIVE", (), False)]
    assert [each.updated for each in shipped(found).written] == [3]


def test_what_fails_on_rows_is_measured_without(shadow: Shadow, tmp_path: Path) -> None:
    """A unique index finds two equal rows; the server says so, not the runner."""
    body = 'unique = Index("u", t.c.a, unique=True, postgresql_concurrently=True)'
    found = parked(shadow, tmp_path, T, "[CreateIndex(unique)]", body)
    assert locks(found) == SUE
    failed = shipped(found).failed
    assert failed is not None
    assert (failed.sqlstate, failed.rows_only) == ("23505", True)
    assert failed.message == 'could not create unique index "u"'
    assert found.unmeasured == (
        "statement 1 fails where there are rows, so its locks and its work are measured on empty "
        "tables",
    )


def test_what_always_fails_is_told(shadow: Shadow, tmp_path: Path) -> None:
    """A column that is not there stops it before it waits for anybody."""
    setup = "CREATE TABLE t (id integer PRIMARY KEY)"
    (only,) = parked(shadow, tmp_path, setup, "[CreateIndex(index)]").statements
    assert only.shipped is not None
    assert only.shipped.failed is not None
    assert (only.shipped.failed.sqlstate, only.shipped.failed.rows_only) == ("42703", False)


def test_what_waits_for_nobody_is_said(shadow: Shadow, tmp_path: Path) -> None:
    """Nobody stands in the way of a catalog's vacuum, so it is not seen at work."""
    found = parked(shadow, tmp_path, T, '[Vacuum("pg_description", full=True)]')
    assert locks(found) == []
    assert found.unmeasured == ("its locks could not be seen: it waited for nobody",)


def test_what_may_not_be_stopped_is_not_measured(
    server: URL, admin: psycopg.Connection, tmp_path: Path
) -> None:
    """A table that the role may not lock cannot be held."""
    admin.execute("CREATE ROLE tracer_barred LOGIN CREATEDB PASSWORD 'tracer'")
    try:
        address = server.set(username="tracer_barred", password="tracer")
        setup = [T, "REVOKE ALL ON t FROM CURRENT_USER", "GRANT SELECT ON t TO CURRENT_USER"]
        with open_shadow(from_engine_url(address)) as given:
            found = parked(given, tmp_path, setup, "[CreateIndex(index)]")
    finally:
        admin.execute("DROP ROLE tracer_barred")
    (only,) = found.statements
    assert (only.shipped, only.concurrent, found.transactional) == (None, True, False)
    assert found.unmeasured == ("nothing of it was measured: permission denied for table t",)


def test_it_is_the_same_again(shadow: Shadow, tmp_path: Path) -> None:
    """What is made to wait is seen every time; and no thread stays behind."""
    threads = threading.active_count()
    first, second = (
        locks(parked(shadow, tmp_path / name, T, "[CreateIndex(index)]")) for name in "ab"
    )
    assert first == second
    assert threading.active_count() == threads
