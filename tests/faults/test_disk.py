"""A disk that is full: what was begun is rolled back, nothing is tried again, and it is said."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.embedded.account import server_account
from neuron_schema.errors import StatementFailed
from neuron_schema.events import StepWaiting
from neuron_schema.model import Outcome
from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.faults.clusters import server
from tests.runs import CONCURRENTLY, applied, leftovers, scalar
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

    from neuron_schema.events import Event

_SMALL = 8  # MB


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Yield a directory of the server's account on a disk of a few megabytes."""
    with tempfile.TemporaryDirectory(prefix="neuron-disk-") as name:
        options = f"size={_SMALL}m,mode=0700,uid={server_account().uid}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", name]
        # As root in a container without the capability it fails, too.
        tried = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False)
        if not tried or tried.returncode != 0:
            pytest.skip("mounting does not work here")
        try:
            Path(name).chmod(0o700)
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


def run_into_full_disk(url: URL, versions: Path) -> StatementFailed:
    """Run up; return its error, after checking that it came at once."""
    waits: list[StepWaiting] = []

    def listen(event: Event) -> None:
        if isinstance(event, StepWaiting):
            waits.append(event)

    engine = create_engine(url, poolclass=NullPool)
    with pytest.raises(StatementFailed) as caught:
        MigrationRunner(engine, versions, listeners=[listen]).up()
    assert waits == []
    assert caught.value.exit_code == 1
    assert "make room on the server" in (caught.value.remedy or "")
    assert caught.value.report is not None
    assert caught.value.report.steps[-1].outcome is Outcome.FAILED
    return caught.value


def test_a_full_disk_rolls_the_version_back_and_says_so(small_disk: Path, tmp_path: Path) -> None:
    """In a transaction and in a build that commits on its own; with room again both run."""
    write_version(
        tmp_path,
        "001_big",
        up=[
            "CREATE TABLE big (x text) TABLESPACE small",
            "INSERT INTO big SELECT repeat('x', 1000) FROM generate_series(1, 40000)",
        ],
    )
    with server() as made, psycopg.connect(libpq(made.url), autocommit=True) as observer:
        observer.execute(f"CREATE TABLESPACE small LOCATION '{small_disk}'".encode())
        observer.execute("CREATE SCHEMA ledger CREATE TABLE entries (version text)")
        error = run_into_full_disk(made.url, tmp_path)
        assert error.sqlstate == "53100"
        assert applied(observer) == []
        assert scalar(observer, "SELECT to_regclass('big')") is None
        assert leftovers(observer) == []
        (tmp_path / "001_big.py").unlink()
        _build_without_room(made.url, observer, tmp_path)
        # Dropped, so that the server can be removed before the disk.
        observer.execute("DROP INDEX ledger.i")
        observer.execute("DROP TABLESPACE small")


def _build_without_room(url: URL, observer: psycopg.Connection, versions: Path) -> None:
    observer.execute(
        "INSERT INTO ledger.entries SELECT repeat(md5(g::text), 10) "
        "FROM generate_series(1, 40000) g"
    )
    body = CONCURRENTLY["body"].replace(
        "concurrently=True", 'concurrently=True, postgresql_tablespace="small"'
    )
    write_version(versions, "001_index", **{**CONCURRENTLY, "body": body})
    error = run_into_full_disk(url, versions)
    assert error.sqlstate == "53100"
    assert applied(observer) == []
    assert leftovers(observer) == []
    assert scalar(observer, "SELECT to_regclass('ledger.i')") is None
    observer.execute("TRUNCATE ledger.entries")
    MigrationRunner(create_engine(url, poolclass=NullPool), versions).up()
    assert applied(observer) == ["001"]


def test_an_exhausted_temporary_space_rolls_the_version_back(
    database: URL, admin: psycopg.Connection, tmp_path: Path
) -> None:
    """The limit of a session's temporary files is not waited for either."""
    write_version(
        tmp_path,
        "001_sorted",
        up=[
            "CREATE TABLE sorted AS SELECT md5(g::text) AS x "
            "FROM generate_series(1, 60000) g ORDER BY 1"
        ],
    )
    admin.execute(f"ALTER DATABASE \"{database.database}\" SET temp_file_limit = '1MB'")
    admin.execute(f"ALTER DATABASE \"{database.database}\" SET work_mem = '64kB'")
    error = run_into_full_disk(database, tmp_path)
    assert error.sqlstate == "53400"
    with psycopg.connect(libpq(database), autocommit=True) as observer:
        assert applied(observer) == []
        assert leftovers(observer) == []
    admin.execute(f'ALTER DATABASE "{database.database}" RESET temp_file_limit')
    MigrationRunner(create_engine(database, poolclass=NullPool), tmp_path).up()
