"""Crowds of processes that run at the same moment, on everything that several may want at once."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest

from neuron_schema.model import Direction
from tests.conftest import libpq
from tests.faults.clusters import server
from tests.faults.processes import Command, crowd, start
from tests.faults.size import WHOLE
from tests.runs import CONCURRENTLY, applied, leftovers, scalar, wait_for
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy.engine import URL

    from tests.faults.counts import Counts
    from tests.faults.invariants import Golden, Witness

_CROWDS = [32, 64] if WHOLE else [8]
_ROUNDS = 10 if WHOLE else 1


def finish(commands: Sequence[Command]) -> Counter[str]:
    """Wait for all, each of which has to succeed; return how often a version was applied."""
    done: Counter[str] = Counter()
    for command in commands:
        assert command.finish() == 0, command.text
        answer = json.loads(command.text[command.text.index("{") :])
        done.update(step["version"] for step in answer["steps"] if step["outcome"] == "applied")
    return done


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("count", _CROWDS)
@pytest.mark.parametrize("behind", ["everything", "one deploy"])
def test_of_many_racers_each_succeeds_and_one_applies_each_version(
    witness: Witness, counts: Counts, tmp_path: Path, count: int, behind: str
) -> None:
    """On an empty database, and on one that lacks the last versions, as at a deploy."""
    versions = list(witness.golden.versions)
    missing = versions if behind == "everything" else versions[-6:]
    for number in range(_ROUNDS):
        if behind == "one deploy":
            first = start(
                witness.database,
                witness.golden.directory,
                ["up", versions[-7]],
                directory=tmp_path / f"first-{number}",
            )
            assert first.finish() == 0, first.text
        racers = crowd(
            witness.database,
            witness.golden.directory,
            ["up", "--json"],
            directory=tmp_path / f"racers-{number}",
            count=count,
        )
        assert finish(racers) == dict.fromkeys(missing, 1)
        witness.check_recovery(Direction.UP)
        counts.add(f"racers on a database that lacks {behind}, all exit 0", count)
        witness.observer.execute("TRUNCATE ledger.entries")
        witness.check_recovery(Direction.DOWN)
        witness.forget()


@pytest.mark.timeout(600)
def test_racers_wait_when_the_server_has_no_connection_left(
    golden: Golden, counts: Counts, tmp_path: Path
) -> None:
    """More racers than connections: none of them fails."""
    count = 24 if WHOLE else 10

    with server({"max_connections": "6", "superuser_reserved_connections": "0"}) as made:
        with psycopg.connect(libpq(made.url), autocommit=True) as observer:
            observer.execute("CREATE SCHEMA ledger CREATE TABLE entries (version text NOT NULL)")
        racers = crowd(
            made.url,
            golden.directory,
            ["up", "--json"],
            directory=tmp_path / "racers",
            count=count,
        )
        assert finish(racers) == dict.fromkeys(golden.versions, 1)
    counts.add("racers on a server with 6 connections, all exit 0", count)


@pytest.mark.timeout(900)
def test_racers_and_writers_do_not_block_a_build(
    database: URL, counts: Counts, tmp_path: Path
) -> None:
    """CREATE INDEX CONCURRENTLY under 8 writers while many wait: no deadlock, a valid index."""
    count = 64 if WHOLE else 8
    versions = tmp_path / "versions"
    write_version(versions, "001_index", **CONCURRENTLY)
    stop = threading.Event()

    def write() -> int:
        written = 0
        with psycopg.connect(libpq(database), application_name="test writer") as writer:
            while not stop.is_set():
                writer.execute("INSERT INTO ledger.entries VALUES ('w')")
                writer.execute("UPDATE ledger.entries SET version = 'x' WHERE ctid = '(0,1)'")
                writer.commit()
                written += 1
        return written

    with psycopg.connect(libpq(database), autocommit=True) as observer:
        observer.execute("CREATE SCHEMA ledger CREATE TABLE entries (version text)")
        rows = 200_000 if WHOLE else 20_000
        observer.execute(
            f"INSERT INTO ledger.entries SELECT g::text FROM generate_series(1, {rows}) g"
        )
        with ThreadPoolExecutor(8) as pool:
            writers = [pool.submit(write) for _ in range(8)]
            try:
                wait_for(lambda: scalar(observer, "SELECT count(*) FROM ledger.entries") > rows)
                racers = crowd(
                    database,
                    versions,
                    ["up", "--json"],
                    directory=tmp_path / "racers",
                    count=count,
                )
                assert finish(racers) == {"001": 1}
            finally:
                stop.set()
            assert all(writer.result() > 0 for writer in writers)
        assert applied(observer) == ["001"]
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ledger.i'::regclass"
        assert scalar(observer, valid) is True
        assert leftovers(observer) == []
    counts.add("racers beside a CONCURRENTLY build under 8 writers, all exit 0", count)
