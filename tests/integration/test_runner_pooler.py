"""Runs through PgBouncer in transaction mode."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.errors import DirectAddressNeeded, LockTimeout, StatementFailed
from neuron_schema.model import Outcome
from neuron_schema.proof.shadow import open_shadow
from neuron_schema.runner import MigrationRunner
from tests.conftest import from_engine_url, libpq
from tests.runs import CONCURRENTLY, applied, scalar, wait_for
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

pytestmark = pytest.mark.skipif(
    "NEURON_SCHEMA_TEST_PGBOUNCER" not in os.environ, reason="there is no PgBouncer"
)


@pytest.fixture(params=[1, 4], ids=["a pool of one", "a pool of four"])
def pooled(request: pytest.FixtureRequest, database: URL, tmp_path: Path) -> Iterator[Engine]:
    """Yield an engine that leads through a PgBouncer of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path / "pgbouncer"
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
pool_mode = transaction
default_pool_size = {request.param}
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

    wait_for(answers)
    engine = create_engine(url, poolclass=NullPool)
    yield engine
    engine.dispose()
    process.terminate()
    process.wait()


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection past the pooler, with a table to build an index on."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA ledger CREATE TABLE entries (version text)")
        yield connection


def test_transactional_versions_work_through_a_pooler(
    pooled: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """One connection at a time is enough, and nothing is left set or locked in it."""
    versions = tmp_path / "versions"
    for number in range(1, 4):
        write_version(
            versions,
            f"{number:03}_v",
            up=[f"CREATE TABLE t{number} ()"],
            down=[f"DROP TABLE t{number}"],
        )
    runner = MigrationRunner(pooled, versions)
    for _ in range(2):
        runner.up()
        assert applied(observer) == ["001", "002", "003"]
        runner.reset()
        assert applied(observer) == []
    write_version(versions, "004_fails", up=["SELECT 1/0"])
    with pytest.raises(StatementFailed) as caught:
        MigrationRunner(pooled, versions).up()
    assert caught.value.report is not None
    assert caught.value.report.steps[-1].outcome is Outcome.FAILED
    assert applied(observer) == ["001", "002", "003"]
    # Of this database: another test's run may be at work beside it.
    mine = "(SELECT oid FROM pg_database WHERE datname = current_database())"
    held = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = {mine}"
    assert scalar(observer, held) == 0
    with pooled.connect() as connection:
        left = connection.exec_driver_sql("SHOW lock_timeout").scalar()
        assert left == "0"


def test_a_lock_timeout_through_a_pooler_is_an_error_of_ours(
    pooled: Engine, database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """The backend's own number is not known there; the error comes all the same."""
    versions = tmp_path / "versions"
    write_version(versions, "001_a", up=["ALTER TABLE ledger.entries ADD COLUMN y int"])
    with psycopg.connect(libpq(database)) as blocker:
        blocker.execute("SELECT FROM ledger.entries")
        with pytest.raises(LockTimeout):
            MigrationRunner(pooled, versions, lock_timeout=0.2, deadline=0).up()


def test_an_operation_that_commits_on_its_own_wants_the_server_itself(
    pooled: Engine, database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Refused before anything runs, the versions before it included; with the address it runs."""
    versions = tmp_path / "versions"
    write_version(versions, "001_a", up=["CREATE TABLE a ()"])
    write_version(versions, "002_index", **CONCURRENTLY)
    with pytest.raises(DirectAddressNeeded, match="002_index"):
        MigrationRunner(pooled, versions).up()
    assert applied(observer) == []
    direct = create_engine(database, poolclass=NullPool)
    with pytest.raises(DirectAddressNeeded):
        MigrationRunner(direct, versions, direct_engine=pooled).up()
    MigrationRunner(pooled, versions, direct_engine=direct).up()
    assert applied(observer) == ["001", "002"]
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ledger.i')"
    assert scalar(observer, valid) is True


def test_a_shadow_behind_a_pooler_is_refused(pooled: Engine) -> None:
    """The lock that says that its run lives would be another client's in a moment."""
    with (
        pytest.raises(DirectAddressNeeded, match="behind a pooler") as caught,
        open_shadow(from_engine_url(pooled.url)),
    ):
        pass
    assert "--shadow-url" in str(caught.value)
