"""PgBouncer in both modes with one connection and with four: nothing of a run reaches others."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.errors import StatementFailed
from neuron_schema.execution.reading import look_through
from neuron_schema.history import HistoryTable
from neuron_schema.model import Direction, Outcome
from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.faults.invariants import CANARY
from tests.faults.processes import crowd, start
from tests.faults.size import WHOLE
from tests.faults.test_racers import finish
from tests.runs import applied, wait_for
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import URL

    from tests.faults.counts import Counts
    from tests.faults.invariants import Witness

pytestmark = pytest.mark.skipif(
    "NEURON_SCHEMA_TEST_PGBOUNCER" not in os.environ, reason="there is no PgBouncer"
)
_DIRECT = "NEURON_SCHEMA_DIRECT_URL"


@contextmanager
def pgbouncer(database: URL, folder: Path, *, mode: str, size: int) -> Iterator[URL]:
    """Run a PgBouncer in front of a server for the length of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir()
    (folder / "users.txt").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"""[databases]
* = host={database.host} port={database.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = users.txt
pool_mode = {mode}
default_pool_size = {size}
"""
    )
    process = subprocess.Popen(
        [os.environ["NEURON_SCHEMA_TEST_PGBOUNCER"], str(folder / "pgbouncer.ini")]
    )
    url = database.set(host="127.0.0.1", port=port)

    def answers() -> bool:
        try:
            psycopg.connect(libpq(url)).close()
        except psycopg.Error:
            return False
        return True

    try:
        wait_for(answers)
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(params=[1, 4], ids=["a pool of one", "a pool of four"])
def size(request: pytest.FixtureRequest) -> int:
    """Return how many connections the pooler has to the server."""
    assert isinstance(request.param, int)
    return request.param


@pytest.fixture(params=["session", "transaction"])
def pooled(
    request: pytest.FixtureRequest, witness: Witness, size: int, tmp_path: Path
) -> Iterator[URL]:
    """Yield an address that leads through a PgBouncer of the test's own."""
    with pgbouncer(witness.database, tmp_path / "pgbouncer", mode=request.param, size=size) as url:
        yield url.set(password=CANARY)


def sessions(pooled: URL, size: int) -> list[object]:
    """Return what every session of the pool shows to whoever gets it."""
    with ExitStack() as stack:
        found: list[object] = []
        for _ in range(size):
            connection = stack.enter_context(
                psycopg.connect(libpq(pooled), application_name="test client")
            )
            # In a transaction that stays open, so that the next one gets another session.
            found.append(connection.execute(_SHOWN.encode()).fetchone())
    return found


# What belongs to the client is left out: the pooler sets that for each anew.
_SHOWN = """
SELECT (SELECT string_agg(name || '=' || setting, ',' ORDER BY name) FROM pg_settings
         WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding',
               'DateStyle', 'TimeZone', 'standard_conforming_strings', 'search_path',
               'IntervalStyle')),
       current_user, session_user, current_setting('search_path'),
       current_setting('lock_timeout'), current_setting('app.tenant', true),
       pg_my_temp_schema(), (SELECT count(*) FROM pg_prepared_statements),
       (SELECT count(*) FROM pg_listening_channels()),
       (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database =
         (SELECT oid FROM pg_database WHERE datname = current_database()))"""


def transactional(directory: Path) -> Path:
    """Write three versions that each run in a transaction."""
    for number in range(1, 4):
        write_version(
            directory,
            f"{number:03}_v",
            up=[
                f"INSERT INTO ledger.entries VALUES ('{number:03}')",
                f"CREATE TABLE t{number} ()",
                "SET LOCAL work_mem = '8MB'",
            ],
            down=[f"DROP TABLE t{number}"],
        )
    return directory


def test_a_run_leaves_nothing_in_the_sessions_of_a_pooler(
    pooled: URL, size: int, witness: Witness, tmp_path: Path
) -> None:
    """No setting, lock, prepared statement or temporary table, also after a version that fails."""
    before = sessions(pooled, size)
    versions = transactional(tmp_path / "versions")
    runner = MigrationRunner(create_engine(pooled, poolclass=NullPool), versions)
    # psycopg prepares what it has run five times, unless it is told not to.
    for _ in range(4):
        runner.up()
        assert applied(witness.observer) == ["001", "002", "003"]
        runner.reset()
    write_version(versions, "004_fails", up=["SET LOCAL work_mem = '9MB'", "SELECT 1/0"])
    with pytest.raises(StatementFailed):
        MigrationRunner(create_engine(pooled, poolclass=NullPool), versions).up()
    assert sessions(pooled, size) == before


_SETS = {
    "SET": ["SET app.tenant = '7'"],
    "SET of a known setting": ["SET work_mem = '9MB'"],
    "SET ROLE": ["SET ROLE pg_monitor"],
    "a function": ["SELECT set_config('work_mem', '9MB', false)"],
    "a DO block": ["DO $$ BEGIN SET work_mem = '9MB'; END $$"],
    "a temporary table": ["CREATE TEMPORARY TABLE t (x int)"],
    "PREPARE": ["PREPARE p AS SELECT 1"],
    "LISTEN": ["LISTEN c"],
}


@pytest.mark.parametrize("what", _SETS)
def test_what_a_version_leaves_set_reaches_no_other_client_of_a_pooler(
    pooled: URL, size: int, witness: Witness, tmp_path: Path, what: str
) -> None:
    """The version runs as it does without a pooler, and its session ends with it."""
    before = sessions(pooled, size)
    versions = transactional(tmp_path / "versions")
    write_version(versions, "004_sets", up=["CREATE TABLE t4 ()", *_SETS[what]])
    write_version(versions, "005_after", up=["CREATE TABLE t5 ()"])
    report = MigrationRunner(create_engine(pooled, poolclass=NullPool), versions).up()
    assert [step.outcome for step in report.steps] == [Outcome.APPLIED] * 5
    # The answer to COMMIT was there: nothing had to be looked up.
    assert not any(step.confirmed for step in report.steps)
    assert applied(witness.observer) == ["001", "002", "003", "004", "005"]
    assert sessions(pooled, size) == before


def test_a_session_in_which_nothing_is_left_set_is_not_ended(
    pooled: URL, size: int, witness: Witness, tmp_path: Path
) -> None:
    """Other clients go on with it."""
    living = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    sessions(pooled, size)
    before = set(witness.observer.execute(living).fetchall())
    versions = transactional(tmp_path / "versions")
    MigrationRunner(create_engine(pooled, poolclass=NullPool), versions).up()
    assert applied(witness.observer) == ["001", "002", "003"]
    assert set(witness.observer.execute(living).fetchall()) == before


def test_what_commits_on_its_own_wants_the_direct_address(
    pooled: URL, size: int, witness: Witness, counts: Counts, tmp_path: Path
) -> None:
    """Refused before anything runs; with the address in the environment all versions run."""
    before = sessions(pooled, size)
    directory = witness.golden.directory
    for arguments in (["up"], ["up", "--json"]):
        refused = start(pooled, directory, arguments, directory=tmp_path / "refused")
        assert refused.finish() == 7, refused.text
        assert "--direct-url" in refused.text
        assert CANARY not in refused.text
        assert witness.rows() == []
    address = libpq(witness.database)
    for direction, arguments in (
        (Direction.UP, ["up"]),
        (Direction.DOWN, ["reset", "--yes"]),
        (Direction.UP, ["up", "--direct-url", address]),
    ):
        environment = {} if "--direct-url" in arguments else {_DIRECT: address}
        command = start(
            pooled, directory, arguments, directory=tmp_path / "direct", environment=environment
        )
        assert command.finish() == 0, command.text
        rows = witness.check_rows()
        assert rows == (list(witness.golden.versions) if direction is Direction.UP else [])
        witness.check_ledger(direction, rows)
        witness.check_agreement(rows, unfinished=False)
        witness.observer.execute("TRUNCATE ledger.entries")
    assert sessions(pooled, size) == before
    counts.add("runs through PgBouncer with a direct address, as without it", 3)


def test_racers_through_a_pooler_each_succeed(
    pooled: URL, size: int, witness: Witness, counts: Counts, tmp_path: Path
) -> None:
    """More of them than the pooler has connections: each version is applied once."""
    count = 32 if WHOLE else 6
    before = sessions(pooled, size)
    racers = crowd(
        pooled,
        transactional(tmp_path / "versions"),
        ["up", "--json"],
        directory=tmp_path / "racers",
        count=count,
    )
    assert finish(racers) == {"001": 1, "002": 1, "003": 1}
    entries = witness.observer.execute("SELECT version FROM ledger.entries ORDER BY 1").fetchall()
    assert entries == [("001",), ("002",), ("003",)]
    assert sessions(pooled, size) == before
    counts.add("racers through PgBouncer, all exit 0", count)


def test_a_pooler_is_always_known_for_one(pooled: URL, witness: Witness, counts: Counts) -> None:
    """By the process number that the client was told, which is not the server's."""
    number = 1000 if WHOLE else 25
    engine = create_engine(pooled, poolclass=NullPool)
    table = HistoryTable()
    assert all(look_through(engine, table).facts.through_pooler for _ in range(number))
    direct = create_engine(witness.database, poolclass=NullPool)
    assert not look_through(direct, table).facts.through_pooler
    counts.add("connections through PgBouncer, each known for one", number)
