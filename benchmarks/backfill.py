"""``python -m benchmarks.backfill``: a large backfill that is killed again and again.

A table is filled three times on a durable server: by one plain UPDATE, by a backfill, and by a
backfill whose process is killed with SIGKILL five times. A column that every write adds 1 to tells
how often each row was written. The exit status is 1 unless that is once for every row.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from benchmarks.server import Server, durable_server

if TYPE_CHECKING:
    from collections.abc import Sequence

KILLS = 5
_VERSION = """
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, func
from neuron_schema.ops import Backfill

items = Table("items", MetaData(), Column("id", BigInteger, primary_key=True),
              Column("name", Text), Column("folded", Text), Column("writes", Integer))
up = [Backfill(items, {"folded": func.lower(items.c.name), "writes": items.c.writes + 1},
               where=items.c.folded.is_(None))]
down = []
"""
_TABLE = """
CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, folded text,
                    writes integer NOT NULL DEFAULT 0);
INSERT INTO items (id, name) SELECT i, 'Item Number ' || i FROM generate_series(1, {rows}) i;
"""
_UPDATE = "UPDATE items SET folded = lower(name), writes = writes + 1 WHERE folded IS NULL"
_RUN = """
import sys
from sqlalchemy import create_engine
from neuron_schema.runner import MigrationRunner
engine = create_engine("postgresql+psycopg:" + sys.argv[1])
MigrationRunner(engine, sys.argv[2], allow_non_empty=True).up()
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One way to fill the table.

    Attributes:
        seconds: Wall time, processes' starts included.
        once: How many rows were written exactly once.
        batches: Its transactions.
        longest_ms: How long the longest of them was.
        ended: How many processes were killed.
    """

    way: str
    seconds: float
    once: int
    batches: int = 1
    longest_ms: float = 0.0
    ended: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the tables, print Markdown, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backfill", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args(arguments).rows
    results = measure(rows)
    print(f"{rows:,} rows; a row is written once by each way.\n")
    print(report(results, rows))
    return 0 if all(result.once == rows for result in results) else 1


def measure(rows: int) -> list[Result]:
    """Fill the table in three ways."""
    with durable_server() as server, tempfile.TemporaryDirectory() as directory:
        versions = Path(directory)
        (versions / "001_fold.py").write_text(_VERSION, encoding="utf-8")
        return [
            _plain(server, rows),
            _filled(server, rows, versions, kills=0),
            _filled(server, rows, versions, kills=KILLS),
        ]


def report(results: Sequence[Result], rows: int) -> str:
    """Return a Markdown table."""
    lines = [
        "| | seconds | rows/s | transactions | longest, ms | written once |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one.way} | {one.seconds:.1f} | {rows / one.seconds:,.0f} | {one.batches} | "
        f"{one.longest_ms:,.0f} | {one.once:,} |"
        for one in results
    ]
    return "\n".join(lines)


def _plain(server: Server, rows: int) -> Result:
    with _connect(server, _prepared(server, rows)) as connection:
        began = time.perf_counter()
        connection.execute(_UPDATE)
        seconds = time.perf_counter() - began
        return Result("one UPDATE", seconds, _once(connection), longest_ms=seconds * 1000)


def _filled(server: Server, rows: int, versions: Path, *, kills: int) -> Result:
    name = _prepared(server, rows)
    with _connect(server, name) as connection:
        began = time.perf_counter()
        ended = 0
        for number in range(1, kills + 1):
            process = _start(server, name, versions)
            while _total(connection) < rows * number // (kills + 1) and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            ended += process.wait() == -signal.SIGKILL
        code = _start(server, name, versions).wait()
        seconds = time.perf_counter() - began
        assert code == 0, f"the run failed with {code}"
        assert ended == kills, "a process had ended before it was to be killed"
        batches, longest = connection.execute(
            "SELECT count(*), max(duration_ms) FROM neuron_migration_log WHERE outcome = 'batch'"
        ).fetchall()[0]
        way = "Backfill" + (f", killed {kills} times" if kills else "")
        return Result(way, seconds, _once(connection), batches, longest, ended)


def _prepared(server: Server, rows: int) -> str:
    name = server.create()
    with _connect(server, name) as connection:
        connection.execute(_TABLE.format(rows=rows).encode())
        connection.execute("VACUUM ANALYZE items")
    server.settle()
    return name


def _connect(server: Server, name: str) -> psycopg.Connection:
    return psycopg.connect("postgresql:" + server.url(name), autocommit=True)


def _start(server: Server, name: str, versions: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _RUN, server.url(name), str(versions)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


def _total(connection: psycopg.Connection) -> int:
    """Return how many rows the log tells of."""
    if connection.execute("SELECT to_regclass('neuron_migration_log')").fetchall() == [(None,)]:
        return 0
    found = connection.execute(
        "SELECT coalesce(max((progress->>'total')::int), 0) FROM neuron_migration_log"
    )
    return int(found.fetchall()[0][0])


def _once(connection: psycopg.Connection) -> int:
    sql = "SELECT count(*) FROM items WHERE writes = 1 AND folded = lower(name)"
    return int(connection.execute(sql).fetchall()[0][0])


if __name__ == "__main__":
    sys.exit(main())
