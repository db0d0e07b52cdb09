"""Any history: versions added, edited, deleted and moved between runs that are whole or cut.

Hypothesis makes up the steps and a dictionary says what has to come of them. The seeds are fixed,
so that every run tries the same histories; a failure prints the shortest one that shows it.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.errors import ConnectionFailed, HistoryConflict, TargetError
from neuron_schema.model import Direction, Report
from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.faults.invariants import check_report
from tests.faults.size import WHOLE
from tests.proxy import Proxy
from tests.runs import applied, leftovers
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import URL

    from tests.faults.counts import Counts

_HIGHEST = 12
_numbers = itertools.count(1)
_INDEX_IMPORTS = """\
from sqlalchemy import Column, Index, MetaData, String, Table
from sqlalchemy.schema import CreateIndex, DropIndex"""


@dataclass(frozen=True, slots=True)
class File:
    """What a version module holds.

    Attributes:
        revision: Changed by an edit.
        index: Whether it is one CREATE INDEX CONCURRENTLY; else it makes a table.
    """

    revision: int = 0
    index: bool = False


class Histories(RuleBasedStateMachine):
    """One database and one directory of versions.

    Args:
        server: The address of a maintenance database.
        admin: A connection to it.
        steps: Takes the name of every step.
    """

    def __init__(self, server: URL, admin: psycopg.Connection, steps: list[str]) -> None:
        super().__init__()
        self._admin, self._steps = admin, steps
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        self._name = f"history_{worker}_{os.getpid()}_{next(_numbers)}"
        admin.execute(f'CREATE DATABASE "{self._name}" TEMPLATE template0')
        self._url = server.set(database=self._name)
        self._observer = psycopg.connect(libpq(self._url), autocommit=True)
        self._observer.execute("CREATE SCHEMA ledger CREATE TABLE entries (version text)")
        self._directory = Path(tempfile.mkdtemp(prefix="neuron-histories-"))
        self.files: dict[int, File] = {}
        self.applied: dict[int, File] = {}
        self._unsure: set[int] = set()

    def teardown(self) -> None:
        """Let a plain run bring the database to its end, where the files allow it; drop it."""
        try:
            self.up()
            self.agrees()
            assert leftovers(self._observer) == []
        finally:
            self._observer.close()
            self._admin.execute(f'DROP DATABASE "{self._name}" WITH (FORCE)')
            shutil.rmtree(self._directory)

    @rule(number=st.integers(1, _HIGHEST), index=st.booleans())
    def add(self, number: int, *, index: bool) -> None:
        """Write a version, new or in the place of a deleted one."""
        if number not in self.files:
            self._write(number, File(index=index))
            self._steps.append("add")

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def edit(self, data: st.DataObject) -> None:
        """Change what a version makes."""
        number = self._some_file(data)
        if not self.files[number].index:
            file = self.files[number]
            self._write(number, replace(file, revision=file.revision + 1))
            self._steps.append("edit")

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """Delete a version."""
        self._unlink(self._some_file(data))
        self._steps.append("delete")

    @precondition(lambda self: self.files)
    @rule(data=st.data(), number=st.integers(1, _HIGHEST))
    def move(self, data: st.DataObject, number: int) -> None:
        """Give a version another place in the order."""
        old = self._some_file(data)
        if number not in self.files:
            file = self._unlink(old)
            self._write(number, file)
            self._steps.append("move")

    @rule()
    def up(self) -> None:
        """Apply all that is pending."""
        self._up(None)

    @rule(number=st.integers(1, _HIGHEST))
    def up_to(self, number: int) -> None:
        """Apply up to a version, which may not be there."""
        self._up(number)

    @rule(count=st.integers(1, 4))
    def down(self, count: int) -> None:
        """Roll the newest back."""
        chosen = sorted(self.applied, reverse=True)[:count]
        if self._run(Direction.DOWN, count=count, refusable=self._changed(chosen)):
            for number in chosen:
                del self.applied[number]
        self._steps.append("down")

    @rule(point=st.integers(1, 150), deliver=st.booleans(), patient=st.booleans())
    def cut_up(self, point: int, *, deliver: bool, patient: bool) -> None:
        """Apply all, with a connection cut; an impatient run does not try again."""
        if not self._refused(None):
            todo = self._pending(None)
            self._cut(Direction.UP, todo, point, deliver=deliver, patient=patient)

    @rule(point=st.integers(1, 150), deliver=st.booleans(), patient=st.booleans())
    def cut_down(self, point: int, *, deliver: bool, patient: bool) -> None:
        """Roll all back, with a connection cut."""
        todo = sorted(self.applied, reverse=True)
        if not self._changed(todo):
            self._cut(Direction.DOWN, todo, point, deliver=deliver, patient=patient)

    @invariant()
    def agrees(self) -> None:
        """History, catalog and ledger are what the dictionary says."""
        assert [int(row) for row in applied(self._observer)] == sorted(self.applied)
        columns = self._observer.execute(
            "SELECT c.relname::text, a.attname::text FROM pg_class c "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 "
            "WHERE c.relname ~ '^t[0-9]+$' AND c.relkind = 'r'"
        ).fetchall()
        tables = {number: file for number, file in self.applied.items() if not file.index}
        assert set(columns) == {
            (f"t{number}", f"r{file.revision}") for number, file in tables.items()
        }
        indexes = self._observer.execute(
            "SELECT substr(c.relname, 2)::int FROM pg_index i "
            "JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname ~ '^i[0-9]+$' AND i.indisvalid"
        ).fetchall()
        built = {number for (number,) in indexes}
        wanted = {number for number, file in self.applied.items() if file.index}
        assert wanted <= built <= wanted | self._unsure
        entries = self._observer.execute("SELECT version, count(*) FROM ledger.entries GROUP BY 1")
        written: dict[str, int] = dict(entries.fetchall())
        for number in range(1, _HIGHEST + 1):
            net = written.get(f"{number}", 0) - written.get(f"-{number}", 0)
            assert net == (number in tables)

    def _up(self, limit: int | None) -> None:
        to = None if limit is None else str(limit)
        if limit is not None and limit not in self.files:
            with pytest.raises(TargetError):
                self._runner(self._url).up(to)
        elif self._refused(limit):
            with pytest.raises(HistoryConflict):
                self._runner(self._url).up(to)
        else:
            pending = self._pending(limit)
            assert self._run(Direction.UP, to=to)
            self.applied |= {number: self.files[number] for number in pending}
            self._unsure -= set(pending)
        self._steps.append("up" if limit is None else "up to")

    def _run(self, direction: Direction, *, refusable: bool = False, **target: Any) -> bool:
        """Run; return whether it was done rather than refused."""
        runner = self._runner(self._url)
        try:
            report = runner.up(**target) if direction is Direction.UP else runner.down(**target)
        except HistoryConflict:
            assert refusable
            return False
        check_report(report, applied(self._observer), None)
        return True

    def _cut(
        self, direction: Direction, todo: list[int], point: int, *, deliver: bool, patient: bool
    ) -> None:
        before, to_do = set(self.applied), list(todo)
        result: Report | ConnectionFailed
        with Proxy(self._url, cut_at=point, deliver=deliver) as proxy:
            engine = create_engine(proxy.url, pool_size=1, max_overflow=0, use_native_hstore=False)
            try:
                runner = self._runner(engine, deadline=60.0 if patient else 0.0)
                result = runner.up() if direction is Direction.UP else runner.reset()
            except ConnectionFailed as error:
                result = error
            finally:
                engine.dispose()
        # What a backend had in hand when its client went is ended or finished by now.
        leftovers_of_sessions(self._observer)
        rows = [int(row) for row in applied(self._observer)]
        done = sorted(before ^ set(rows), reverse=direction is Direction.DOWN)
        assert done == to_do[: len(done)]
        if isinstance(result, Report):
            assert done == to_do
        if patient and isinstance(result, ConnectionFailed):
            assert result.report is None
        for number in done:
            if direction is Direction.UP:
                self.applied[number] = self.files[number]
            else:
                del self.applied[number]
        # An operation that commits on its own may be done without its row.
        self._unsure |= {
            number for number in to_do if self.files[number].index and number not in self.applied
        }
        self._steps.append("cut")

    def _refused(self, limit: int | None) -> bool:
        """Whether going up is refused: a version is modified, missing or out of order."""
        newest_file, newest = max(self.files, default=0), max(self.applied, default=0)
        modified = any(
            number in self.files and self.files[number] != file
            for number, file in self.applied.items()
        )
        missing = any(number not in self.files and number < newest_file for number in self.applied)
        late = any(number < newest for number in self._pending(limit))
        return modified or missing or late

    def _pending(self, limit: int | None) -> list[int]:
        return sorted(
            number
            for number in self.files
            if number not in self.applied and (limit is None or number <= limit)
        )

    def _changed(self, chosen: Iterable[int]) -> bool:
        return any(self.files.get(number) != self.applied[number] for number in chosen)

    def _runner(self, target: Any, **options: Any) -> MigrationRunner:
        engine = target if hasattr(target, "dispose") else create_engine(target, poolclass=NullPool)
        return MigrationRunner(engine, self._directory, **options)

    def _some_file(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.files)))

    def _write(self, number: int, file: File) -> None:
        self.files[number] = file
        label = f"{number:03}_v"
        if file.index:
            write_version(
                self._directory,
                label,
                imports=_INDEX_IMPORTS,
                body='entries = Table("entries", MetaData(), Column("version", String), '
                f'schema="ledger")\nindex = Index("i{number}", entries.c.version, '
                "postgresql_concurrently=True)",
                up="[CreateIndex(index)]",
                down="[DropIndex(index)]",
            )
            return
        write_version(
            self._directory,
            label,
            up=[
                f"INSERT INTO ledger.entries VALUES ('{number}')",
                f"CREATE TABLE t{number} (r{file.revision} int)",
            ],
            down=[f"INSERT INTO ledger.entries VALUES ('-{number}')", f"DROP TABLE t{number}"],
        )

    def _unlink(self, number: int) -> File:
        (self._directory / f"{number:03}_v.py").unlink()
        return self.files.pop(number)


def leftovers_of_sessions(observer: psycopg.Connection) -> None:
    """Wait until no other session is left, and check that it left no lock."""
    assert [one for one in leftovers(observer) if not one.startswith("index")] == []


@pytest.mark.timeout(3600)
def test_any_history_is_kept(server: URL, admin: psycopg.Connection, counts: Counts) -> None:
    """Whatever happens between and in the runs, rows, catalog and ledger agree."""
    steps: list[str] = []
    run_state_machine_as_test(
        lambda: Histories(server, admin, steps),  # type: ignore[arg-type] # what makes one will do
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=200 if WHOLE else 6,
            stateful_step_count=40 if WHOLE else 20,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
    counts.add("steps of the state machine", len(steps))
    counts.add("of which runs with a cut connection", steps.count("cut"))
