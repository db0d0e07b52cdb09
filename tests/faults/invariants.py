"""What holds after every fault, whatever it was: one check for the whole suite.

* The history and the catalog agree: the catalog is what an undisturbed run had at those rows.
* The ledger shows no version that ran twice, which DDL cannot show.
* No row is double, and the rows are the first of the versions.
* No session, no lock and no prepared transaction is left.
* After a plain run no index is invalid and no partition is half detached.
* A plain ``up`` then ends well, and a second one writes nothing: it runs read-only.
* What a run said agrees with the database, and what it said holds no password.
"""

from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.errors import NeuronSchemaError
from neuron_schema.model import Direction, Outcome, Report
from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.faults.sample import ALONE, LEDGER
from tests.fingerprint import Fingerprint, difference, fingerprint
from tests.runs import applied, scalar, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import URL

CANARY = "canary-7f3a91"
"""The password of addresses that lead through a proxy; it may appear nowhere."""


@dataclass(frozen=True, slots=True)
class Golden:
    """What an undisturbed run leaves.

    Attributes:
        directory: Where the versions are.
        versions: Their numbers, in order.
        states: The catalog after so many of them as the index says.
    """

    directory: Path
    versions: tuple[str, ...]
    states: tuple[Fingerprint, ...]


def catalog(observer: psycopg.Connection) -> Fingerprint:
    """Return the catalog without the tables of neuron-schema itself."""
    return tuple(
        row for row in fingerprint(observer) if not any("neuron_migration" in cell for cell in row)
    )


def record(database: URL, directory: Path, versions: tuple[str, ...]) -> Golden:
    """Return what an undisturbed run leaves in a database, which is as it was afterwards.

    It differs from one major version of PostgreSQL to another.
    """
    with psycopg.connect(libpq(database), autocommit=True) as observer:
        observer.execute(LEDGER.encode())
        states = [catalog(observer)]
        engine = create_engine(database, poolclass=NullPool)
        runner = MigrationRunner(engine, directory)
        for _ in versions:
            runner.up(count=1)
            states.append(catalog(observer))
        # Each rolled back leaves what was there before it.
        for state in reversed(states[:-1]):
            runner.down()
            assert catalog(observer) == state
        observer.execute(
            "DROP TABLE IF EXISTS neuron_migrations, neuron_migration_log; "
            "DROP SCHEMA ledger CASCADE"
        )
    return Golden(directory, versions, tuple(states))


def plain_run(database: URL, golden: Golden, direction: Direction = Direction.UP) -> Report:
    """Run all versions as a user would who knows of no fault, with no option at all."""
    engine = create_engine(database, poolclass=NullPool)
    try:
        runner = MigrationRunner(engine, golden.directory, cache_directory=cache_of(golden))
        return runner.up() if direction is Direction.UP else runner.reset()
    finally:
        engine.dispose()


def cache_of(golden: Golden) -> Path:
    """Return where the checksums of the versions are remembered, which spares time."""
    return golden.directory.parent / "cache"


class Witness:
    """Looks at one database from outside and compares.

    Args:
        database: Its address, past any proxy.
        observer: An autocommit connection to it.
        golden: What an undisturbed run leaves.
    """

    def __init__(self, database: URL, observer: psycopg.Connection, golden: Golden) -> None:
        self.database = database
        self.observer = observer
        self.golden = golden

    def prepare(self) -> None:
        """Make the ledger in a database that is empty."""
        self.observer.execute(LEDGER.encode())

    def forget(self) -> None:
        """Go back to before the first run, in a database whose versions are rolled back."""
        self.observer.execute(
            "DROP TABLE IF EXISTS neuron_migrations, neuron_migration_log; TRUNCATE ledger.entries"
        )

    def rows(self) -> list[str]:
        """Return the applied versions."""
        return applied(self.observer)

    def check_fault(
        self, direction: Direction, result: Report | NeuronSchemaError | None = None
    ) -> list[str]:
        """Check what a run left that met a fault; return the applied versions.

        Args:
            direction: Of the run; it began with no version applied, or with all.
            result: What it returned or raised; None when it was killed.
        """
        self.check_nobody_left()
        rows = self.check_rows()
        self.check_ledger(direction, rows)
        self.check_agreement(rows, unfinished=True)
        if result is not None:
            check_report(result, rows, self._started(direction))
            check_no_secret(result)
        return rows

    def check_recovery(self, direction: Direction) -> None:
        """Run plainly to the end, and check that nothing but the versions is there."""
        report = plain_run(self.database, self.golden, direction)
        rows = self.check_rows()
        check_report(report, rows, None)
        assert rows == (list(self.golden.versions) if direction is Direction.UP else [])
        self.check_whole(direction)
        if direction is Direction.UP:
            self.check_second_run_writes_nothing()

    def check_whole(self, direction: Direction) -> None:
        """Check a database in which nothing is under way."""
        self.check_nobody_left()
        rows = self.check_rows()
        self.check_ledger(direction, rows)
        self.check_agreement(rows, unfinished=False)
        assert self._unfinished() == 0, "an index is invalid, or a partition half detached"

    def check_second_run_writes_nothing(self) -> None:
        """Run again in sessions that may only read."""
        read_only = {"options": "-c default_transaction_read_only=on"}
        report = plain_run(self.database.update_query_dict(read_only), self.golden)
        assert report.steps == ()

    def check_rows(self) -> list[str]:
        """Check that no row is double and that the rows are the first versions; return them."""
        rows = self.rows()
        assert rows == list(self.golden.versions[: len(rows)])
        return rows

    def check_agreement(self, rows: list[str], *, unfinished: bool) -> None:
        """Check that the catalog is the one that belongs to the rows.

        Args:
            rows: The applied versions.
            unfinished: Whether what commits on its own may be half-way, in either direction.
        """
        expected, now = self.golden.states[len(rows)], catalog(self.observer)
        if now == expected:
            return
        differing = difference(expected, now)
        touched = {ALONE[version] for version in self._neighbours(rows) if version in ALONE}
        assert unfinished, differing
        assert all(any(name in row for name in touched) for row in differing), differing

    def check_ledger(self, direction: Direction, rows: list[str]) -> None:
        """Check that every transactional version ran once, of those that the run was to run."""
        entries = self.observer.execute("SELECT version FROM ledger.entries").fetchall()
        written = Counter(version for (version,) in entries)
        done = rows if direction is Direction.UP else self.golden.versions[len(rows) :]
        sign = "" if direction is Direction.UP else "-"
        expected = {f"{sign}{version}" for version in done} & _LEDGER_ENTRIES
        assert written == dict.fromkeys(expected, 1)

    def check_nobody_left(self) -> None:
        """Check that all sessions of runs end soon, and with them their locks."""
        wait_for(lambda: scalar(self.observer, _SESSIONS) == 0, limit_s=60)
        assert self.observer.execute(_LEFT).fetchall() == []

    def _unfinished(self) -> int:
        return int(scalar(self.observer, _UNFINISHED))

    def _neighbours(self, rows: list[str]) -> tuple[str, ...]:
        """Return the last applied version and the first pending one."""
        return self.golden.versions[max(len(rows) - 1, 0) : len(rows) + 1]

    def _started(self, direction: Direction) -> list[str]:
        return [] if direction is Direction.UP else list(self.golden.versions)


# What the versions of the sample write; those that commit on their own write nothing.
_LEDGER_ENTRIES = {
    entry
    for number in range(1, 1000)
    for entry in (f"{number:03}", f"-{number:03}")
    if f"{number:03}" not in ALONE or entry == "-010"
}

_SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND backend_type = 'client backend' AND pid <> pg_backend_pid() "
    "AND application_name NOT LIKE 'test%'"
)
_LEFT = (
    "SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database()) "
    "UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts WHERE database = current_database()"
)
_UNFINISHED = (
    "SELECT (SELECT count(*) FROM pg_index WHERE NOT indisvalid OR NOT indisready) "
    "+ (SELECT count(*) FROM pg_inherits WHERE inhdetachpending)"
)


def check_report(
    result: Report | NeuronSchemaError, rows: list[str], before: list[str] | None
) -> None:
    """Check that what a run said of its versions is so.

    Args:
        result: What it returned or raised.
        rows: The applied versions now.
        before: Those before the run, to be the same where it says nothing; None if not known.
    """
    report = result if isinstance(result, Report) else result.report
    if report is None:
        assert before is None or rows == before
        return
    up = report.direction is Direction.UP
    for step in report.steps:
        done = (step.step.version in rows) is up
        ended = step.outcome in (Outcome.APPLIED, Outcome.ROLLED_BACK, Outcome.ALREADY)
        assert done is ended, f"{step.step.label}: {step.outcome}, applied are {rows}"


def check_no_secret(result: Report | NeuronSchemaError) -> None:
    """Check that a password is in no text that a run gives away."""
    texts = [repr(result), str(result)]
    if isinstance(result, NeuronSchemaError):
        texts += traceback.format_exception(result)
    assert not any(CANARY in text for text in texts)
