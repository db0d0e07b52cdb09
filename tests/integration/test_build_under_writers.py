"""CREATE INDEX CONCURRENTLY on a table that others write to, with a runner that is killed."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.gate import Gate, gated_table
from tests.runs import applied, leftovers, scalar, wait_for
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

ROWS = 200_000
WRITERS = 8
RUNNER = """
import sys
from sqlalchemy import create_engine
from neuron_schema import MigrationRunner
MigrationRunner(create_engine(sys.argv[1]), sys.argv[2], allow_non_empty=True).up()
"""
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('slow')"
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
OLD_SNAPSHOTS = (
    "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots'"
)
BUILDS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND state = 'active'"
)


class Writer(threading.Thread):
    """Inserts, updates and deletes rows until it is told to stop.

    Attributes:
        written: How many statements went well.
        failure: The error that ended it, or None.
    """

    def __init__(self, dsn: str, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._dsn = dsn
        self._number = number
        self._halt = stop
        self.written = 0
        self.failure: psycopg.Error | None = None

    def run(self) -> None:
        """Write."""
        choice = random.Random(self._number)
        try:
            with psycopg.connect(self._dsn) as connection:
                while not self._halt.wait(0.002):
                    # Of rows of its own in one transaction, so that writers cannot deadlock.
                    for _ in range(3):
                        n = choice.randrange(self._number, ROWS, WRITERS)
                        if n != ROWS // 2:
                            connection.execute("UPDATE gated SET n = n + 0 WHERE n = %s", (n,))
                    connection.execute("DELETE FROM gated WHERE n = %s", (ROWS + self._number,))
                    connection.execute("INSERT INTO gated VALUES (%s)", (ROWS + self._number,))
                    connection.commit()
                    self.written += 1
        except psycopg.Error as error:
            self.failure = error


@contextmanager
def writing(dsn: str) -> Iterator[list[Writer]]:
    """Let eight writers write during the block; they must not fail, and all get through."""
    stop = threading.Event()
    writers = [Writer(dsn, number, stop) for number in range(1, WRITERS + 1)]
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert [writer.failure for writer in writers] == [None] * WRITERS


def go_on(writers: list[Writer]) -> None:
    """Wait until every writer has written again."""
    before = [writer.written for writer in writers]
    wait_for(
        lambda: all(
            writer.failure or writer.written > written
            for writer, written in zip(writers, before, strict=True)
        )
    )


@pytest.fixture
def observer(database: URL, tmp_path: Path) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection, with the table and the version that builds its index."""
    write_version(
        tmp_path / "versions",
        "001_slow",
        up="[CreateIndex(slow)]",
        imports="from sqlalchemy import Column, Index, Integer, MetaData, Table, func\n"
        "from sqlalchemy.schema import CreateIndex",
        body='gated = Table("gated", MetaData(), Column("n", Integer))\n'
        'slow = Index("slow", func.gate(gated.c.n), postgresql_concurrently=True)',
    )
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        gated_table(connection, ROWS)
        connection.execute("CREATE INDEX ON gated (n); ANALYZE gated")
        yield connection


@contextmanager
def runner_to_be_killed(database: URL, versions: Path) -> Iterator[None]:
    """Run it in a process of its own that is killed with SIGKILL when the block ends."""
    url = database.render_as_string(hide_password=False)
    process = subprocess.Popen([sys.executable, "-c", RUNNER, url, str(versions)])
    try:
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


@contextmanager
def held_up(where: str, dsn: str, observer: psycopg.Connection) -> Iterator[Callable[[], object]]:
    """Hold a build up half-way during the block; yield what waits until it stands there."""
    if where == "while it is built":
        with Gate(dsn) as gate:
            yield gate.wait
        return
    with psycopg.connect(dsn) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1 FROM pg_class")
        yield lambda: wait_for(lambda: scalar(observer, OLD_SNAPSHOTS))


@pytest.mark.parametrize("where", ["while it is built", "while it waits for old snapshots"])
def test_a_killed_build_is_completed_by_the_next_run_under_eight_writers(
    engine: Engine, database: URL, observer: psycopg.Connection, tmp_path: Path, where: str
) -> None:
    """No writer fails or stands still, nothing deadlocks, and in the end the index is whole."""
    dsn, versions = libpq(database), tmp_path / "versions"
    with writing(dsn) as writers:
        with held_up(where, dsn, observer) as wait:
            with runner_to_be_killed(database, versions):
                wait()
                go_on(writers)
            # Its server process sees within two seconds that nobody waits for it any more.
            wait_for(lambda: scalar(observer, BUILDS) == 0)
        assert scalar(observer, VALID) is False
        assert applied(observer) == []
        MigrationRunner(engine, versions, allow_non_empty=True).up()
        go_on(writers)
    assert applied(observer) == ["001"]
    assert scalar(observer, VALID) is True
    assert scalar(observer, BUILDS) == 0
    assert leftovers(observer) == []
    assert scalar(observer, DEADLOCKS) == 0
    counted = "SELECT count(*) FROM gated WHERE gate(n) > 0"
    rows = scalar(observer, counted)
    observer.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    assert "Index Scan using slow" in str(observer.execute(f"EXPLAIN {counted}").fetchall())
    assert scalar(observer, counted) == rows
