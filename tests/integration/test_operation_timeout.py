"""Operations that commit on their own, ended when their time is over, and what they leave."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import psycopg
import pytest

from neuron_schema.errors import LockTimeout, OperationTimeout, OperationUnfinished
from neuron_schema.execution.operating import Operation
from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.gate import Gate, gated_table
from tests.runs import applied, leftovers, scalar, wait_for
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('slow')"
INVALID = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection, with the table whose index waits at the gate."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        gated_table(connection)
        yield connection


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """Write a version that builds an index which waits at the gate."""
    write_version(
        tmp_path,
        "001_slow",
        up="[CreateIndex(slow)]",
        imports="from sqlalchemy import Column, Index, Integer, MetaData, Table, func\n"
        "from sqlalchemy.schema import CreateIndex",
        body='gated = Table("gated", MetaData(), Column("n", Integer))\n'
        'slow = Index("slow", func.gate(gated.c.n), postgresql_concurrently=True)',
    )
    return tmp_path


def test_a_build_that_takes_too_long_is_ended_and_leaves_nothing(
    engine: Engine, database: URL, observer: psycopg.Connection, versions: Path
) -> None:
    """Exit 1, with the setting to raise; with more time the next run builds it."""
    with Gate(libpq(database)), pytest.raises(OperationTimeout) as caught:
        MigrationRunner(engine, versions, allow_non_empty=True, operation_timeout=0.7).up()
    assert caught.value.exit_code == 1
    assert "CREATE INDEX CONCURRENTLY was not done within 0.7 s" in caught.value.message
    assert "left behind" not in caught.value.message
    assert "operation_timeout" in (caught.value.remedy or "")
    assert scalar(observer, VALID) is None
    assert applied(observer) == []
    assert leftovers(observer) == []
    MigrationRunner(engine, versions, allow_non_empty=True, operation_timeout=60).up()
    assert scalar(observer, VALID) is True
    assert applied(observer) == ["001"]


def test_a_build_that_waits_too_long_names_whom_it_waits_for(
    engine: Engine,
    database: URL,
    observer: psycopg.Connection,
    versions: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit 6, as for every lock; what the same session keeps from being dropped the next run drops.

    The drop waits for the session as well, so that it has a time of its own.
    """
    monkeypatch.setattr(Operation, "CLEAR_AWAY_S", 0.5)
    with psycopg.connect(libpq(database)) as writer:
        writer.execute("INSERT INTO gated VALUES (0, 'culprit')")
        with pytest.raises(LockTimeout) as caught:
            MigrationRunner(engine, versions, allow_non_empty=True, operation_timeout=1.5).up()
        pid = writer.info.backend_pid
        writer.rollback()
    assert caught.value.exit_code == 6
    assert f"blocked by pid {pid} " in caught.value.message
    assert "could not be cleared away" in caught.value.message
    assert f"SELECT pg_terminate_backend({pid})" in (caught.value.remedy or "")
    assert scalar(observer, VALID) is False
    MigrationRunner(engine, versions, allow_non_empty=True).up()
    assert scalar(observer, VALID) is True
    assert leftovers(observer) == []


def test_another_index_of_the_name_is_told_where_the_time_is_limited(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """What cannot even be made for comparison leaves a transaction in which nothing can be set."""
    observer.execute("CREATE INDEX slow ON gated (abs(n))")
    write_version(
        tmp_path,
        "001_slow",
        up="[CreateIndex(slow)]",
        imports="from sqlalchemy import Column, Index, MetaData, Table, Text, func\n"
        "from sqlalchemy.schema import CreateIndex",
        body='gated = Table("gated", MetaData(), Column("absent", Text))\n'
        'slow = Index("slow", func.upper(gated.c.absent), postgresql_concurrently=True)',
    )
    with pytest.raises(OperationUnfinished, match="something else has that name already"):
        MigrationRunner(engine, tmp_path, allow_non_empty=True, operation_timeout=60).up()


def test_a_reindex_that_takes_too_long_leaves_no_copy(
    engine: Engine, database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Its copies have names that only the catalog knows."""
    observer.execute("CREATE INDEX slow ON gated (gate(n))")
    write_version(
        tmp_path,
        "001_slow",
        up='[Reindex("slow", concurrently=True)]',
        imports="from neuron_schema.ops import Reindex",
    )
    with Gate(libpq(database)) as gate:
        runner = MigrationRunner(engine, tmp_path, allow_non_empty=True, operation_timeout=2)
        with pytest.raises(OperationTimeout):
            runner.up()
        assert scalar(observer, INVALID) == 0
        gate.open()
        runner.up()
    assert applied(observer) == ["001"]


def test_all_attempts_of_an_operation_share_its_time(
    engine: Engine, database: URL, observer: psycopg.Connection, versions: Path
) -> None:
    """Connections that are lost again and again do not make it endless."""
    over = threading.Event()

    def disturb() -> None:
        with psycopg.connect(libpq(database), autocommit=True) as session, Gate(dsn) as gate:
            while not over.is_set():
                with contextlib.suppress(TimeoutError, TypeError):
                    session.execute("SELECT pg_terminate_backend(%s)", (gate.wait(limit_s=1),))

    dsn = libpq(database)
    thread = threading.Thread(target=disturb, daemon=True)
    thread.start()
    try:
        with pytest.raises(OperationTimeout):
            MigrationRunner(
                engine, versions, allow_non_empty=True, operation_timeout=3, deadline=60
            ).up()
    finally:
        over.set()
        thread.join()
    assert applied(observer) == []


def test_a_detach_that_was_cancelled_is_finished_and_recorded(
    engine: Engine, database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """What is pending cannot be taken back: finishing it is the repair, and then it is done."""
    observer.execute(
        "CREATE TABLE whole (n int) PARTITION BY LIST (n);"
        "CREATE TABLE part PARTITION OF whole FOR VALUES IN (1)"
    )
    write_version(
        tmp_path,
        "001_detach",
        up='[DetachPartition("whole", "part", concurrently=True)]',
        imports="from neuron_schema.ops import DetachPartition",
    )
    with psycopg.connect(libpq(database)) as reader:
        reader.execute("SELECT FROM whole")
        thread = threading.Thread(
            target=MigrationRunner(engine, tmp_path, allow_non_empty=True).up, daemon=True
        )
        thread.start()
        wait_for(lambda: scalar(observer, "SELECT inhdetachpending FROM pg_inherits"))
        cancelled = (
            "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE state = 'active' "
            "AND datname = current_database() AND query LIKE 'ALTER TABLE whole%CONCURRENTLY'"
        )
        assert scalar(observer, cancelled) == 1
        wait_for(
            lambda: scalar(
                observer,
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE '%FINALIZE'",
            )
        )
        reader.rollback()
        thread.join()
    assert applied(observer) == ["001"]
    assert scalar(observer, "SELECT count(*) FROM pg_inherits") == 0
