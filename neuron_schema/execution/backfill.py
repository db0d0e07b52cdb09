"""Run a backfill: batch after batch, each in a transaction that also tells the log of it.

The row in the log is the witness of its batch, as the history row is of its version: whatever is
lost, what it tells is done, and what it does not tell is not. Its key (version, direction, attempt,
n) is unique, so that two runs cannot both write one batch.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from neuron_schema import log
from neuron_schema.backfill_log import (
    Position,
    advanced,
    counted,
    known,
    position_sql,
    resumed,
    written_otherwise,
)
from neuron_schema.backfill_pace import lagging, next_size
from neuron_schema.backfill_sql import (
    CONDITION_HOLDS,
    SESSION_SQL,
    STANDBYS_SQL,
    Walk,
    bare,
    batch_sql,
    check_sql,
    columns_sql,
    progress_sql,
    relation_sql,
    unique_sql,
)
from neuron_schema.errors import OperationUnfinished
from neuron_schema.execution.failures import AttemptFailed, Cause, step_error
from neuron_schema.execution.private import commit_alone, execute
from neuron_schema.locking import LOCK_ATTEMPTS, UNRAMPED, Deadline, Place, settings_sql
from neuron_schema.quoting import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    import psycopg

    from neuron_schema.history import HistoryTable
    from neuron_schema.locking import SessionSettings
    from neuron_schema.model import BackfillSpec, ServerFacts, Step

EMPTY_SWEEPS = 3
"""So many passes that change nothing, while rows still match, are the last ones."""

_LONGEST_LAG_WAIT_S = 30.0
_LAG_POLL_S = 0.5


class BatchTaken(Exception):  # noqa: N818 - it never leaves the package
    """Another run has written the batch that was to be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a backfill needs beside itself.

    Attributes:
        table: The history table; the log is beside it.
        create: What creates the log, where it is absent.
        by: Who runs, for the log.
        settings: What the step's sessions are set to.
        watched: Opens a block in which a backend is watched that it is told of; a batch that fails
            there names who blocked it.
        deadline_s: Seconds to wait for locks of one batch.
        waiting: Told the reason and the seconds of every wait.
        progress: Told phase, rows done, rows in all as far as known, and the unit.
        note: Told what a user should know.
        warn: Told what is odd.
    """

    table: HistoryTable
    create: tuple[str, ...]
    by: log.Author
    facts: ServerFacts
    settings: SessionSettings
    watched: Callable[[], AbstractContextManager[Callable[[int], None] | None]]
    deadline_s: float
    waiting: Callable[[str, float], None]
    progress: Callable[[str, int | None, int | None, str], None]
    note: Callable[[str], None]
    warn: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What a backfill did, all runs of its attempt together.

    Attributes:
        rows: How many rows it wrote.
        note: What is to be said of it.
        attempt: Which attempt it was.
        progress: What the log is told at its end.
    """

    rows: int
    note: str
    attempt: int
    progress: Mapping[str, object]


class Worker:
    """One run of a backfill, from wherever an earlier run left it.

    Args:
        connection: A private connection in autocommit, set as the step wants it.
        step: The step.
        spec: What is done to each row.
        around: What it needs beside.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], step: Step, spec: BackfillSpec, around: Around
    ) -> None:
        self.connection = connection
        self.step = step
        self.spec = spec
        self.around = around
        self.log = around.table.qualified_log
        self.position = Position(attempt=1)
        self.begins = Position(attempt=1)
        self._size = spec.batch_size
        self._idle_sweeps = 0
        self._expected: int | None = None
        self._settings = settings_sql(
            around.settings, around.facts, Place.TRANSACTION, attempt=UNRAMPED
        )

    def run(self) -> Filled:
        """Do what is left to do.

        Raises:
            AttemptFailed: the step may be tried again.
            BatchTaken: another run is at work on it.
            NeuronSchemaError: it cannot go on.
        """
        *_, sorting, _ = self._first(SESSION_SQL)
        self._settings += f", pg_catalog.set_config('enable_sort', {literal(sorting)}, true)"
        for sql in self.around.create:
            execute(self.connection, sql)
        self._prepare()
        try:
            while self._goes_on():
                self._keep_pace()
                began = time.monotonic()
                self.position = advanced(self.position, self._write(self.batch()))
                self._tell(time.monotonic() - began)
            return self._filled()
        except AttemptFailed as failed:
            failed.progressed = self.position.n > self.begins.n
            raise

    def batch(self) -> str:
        """Return the statement of the next batch."""
        at = self.position
        row = self._first(self.walk.edge_sql(at.after, self._size))
        upto = tuple(row) if row is not None else None
        entry = self.entry(
            known(at) | self.same | {"after": upto, "ended": upto is None},
            counted(at, "pg_catalog.count(*)") | {"still": self.walk.still},
        )
        return batch_sql(self.walk.update(at.after, upto), self.walk.returning, entry)

    def entry(self, known_: dict[str, object], counted_: dict[str, str]) -> str:
        """Return what tells the log of the next batch, up to its FROM."""
        return log.batch_sql(
            self.log,
            self.step,
            self.around.by,
            attempt=self.position.attempt,
            n=self.position.n + 1,
            progress=progress_sql(known_, counted_),
        )

    def refuse(self, text: str, remedy: str) -> OperationUnfinished:
        """Return the error for a backfill that cannot go on."""
        own = self.step.statements[0].own_commit
        kind = own.kind if own is not None else ""
        return OperationUnfinished(
            f"{self.step.label}: {kind} of {self.spec.table}: {text}",
            where=self.step.path,
            remedy=remedy,
        )

    def fetch(self, sql: str) -> list[Any]:
        """Return the rows of a query."""
        return execute(self.connection, sql).fetchall()

    def check_function(self) -> None:
        """Tell what is odd about a function; there is none here."""

    @property
    def same(self) -> dict[str, object]:
        """What an attempt's rows in the log tell that must not differ for it to go on."""
        return self._same

    def _first(self, sql: str) -> Any:
        rows = self.fetch(sql)
        return rows[0] if rows else None

    def _prepare(self) -> None:
        """Look whether the table can be walked through, and from where."""
        relation = self._first(relation_sql(self.spec.table))
        if relation is None or relation[1] not in ("r", "p"):
            raise self.refuse(
                "there is no such table" if relation is None else "that is no table",
                "correct its name, or the search_path that finds it",
            )
        oid, _, self._expected, inserted = relation
        found = self.fetch(columns_sql(self.spec.table))
        columns = {name: (type_, full) for name, type_, full, _ in found}
        self.walk = Walk(spec=self.spec, key_types=self._key_types(columns))
        self.column_types = {name: type_ for name, (type_, _) in columns.items()}
        # A column that was dropped and added again is empty where it had been written.
        written = {bare(name) for name, _ in self.spec.set_}
        numbers = [number for name, *_, number in found if not written or name in written]
        self._same = {"table": oid, "key": list(self.spec.key), "columns": numbers}
        rows = self.fetch(position_sql(self.log, self.step))
        self.position = resumed(rows, self.step, self._same)
        others = written_otherwise(rows, self.step, self._same)
        if others and self.spec.where is None and self.spec.rows is None:
            raise self.refuse(
                f"{others} batches were written by another text of this version, and without "
                "`where` nobody can tell their rows from those that are left",
                "add a `where` that holds for the rows still to be changed alone, or put the text "
                "back; under a new version number it begins with all rows",
            )
        if self.position.n == 0:
            self.position = replace(self.position, inserted=inserted)
            if rows and not rows[0][4]:
                self.around.warn(
                    f"{self.step.label}: begins anew: the version or its table is another than "
                    f"when {rows[0][1]} batches were written"
                )
        else:
            self.around.note(
                f"{self.step.label}: goes on after {self.position.total} rows that are written"
            )
        self.begins = self.position
        self.check_function()

    def _key_types(self, columns: dict[str, tuple[str, bool]]) -> tuple[str, ...]:
        """Return the types of the key's columns.

        Raises:
            OperationUnfinished: one is not there or may be NULL, or they are not unique together.
        """
        names = [bare(name) for name in self.spec.key]
        remedy = (
            "name with key= the columns of a unique index, none of them nullable, in their order"
        )
        for name in names:
            if name not in columns:
                raise self.refuse(f"there is no column {name}", remedy)
            if not columns[name][1]:
                raise self.refuse(f"{name} may be NULL, so no key", remedy)
        unique = [found for (found,) in self.fetch(unique_sql(self.spec.table))]
        if names not in unique:
            there = "; ".join(", ".join(one) for one in unique) or "none"
            raise self.refuse(
                f"no unique index has the columns {', '.join(names)} in that order",
                f"{remedy}; those that there are: {there}",
            )
        return tuple(columns[name][0] for name in names)

    def _goes_on(self) -> bool:
        """Return whether there is a batch to be written; begin another pass where one is due."""
        at = self.position
        if not at.ended or at.again:
            return True
        if self.spec.where is None or self.is_done():
            return False
        (left,) = self._first(self.walk.left_sql())
        if not left:
            return False
        # Rows come in meanwhile; but what nobody changes would be gone through for ever.
        self._idle_sweeps = 0 if at.swept else self._idle_sweeps + 1
        if self._idle_sweeps >= EMPTY_SWEEPS:
            raise self.refuse(
                "rows match its condition, but to update them changes nothing",
                "look for a trigger, a rule or a policy that keeps them from being changed",
            )
        self.position = at.next_sweep()
        return True

    def is_done(self) -> bool:
        """Return whether another pass would be in vain, at the end of one."""
        return False

    def _write(self, sql: str) -> dict[str, Any]:
        """Commit a batch, again and again where a lock is not granted; return what it tells."""
        at = self.position
        statements = [sql]
        if self.spec.where is not None:
            version, direction = self.step.version, self.step.direction.value
            statements.append(
                check_sql(
                    self.log, version=version, direction=direction, attempt=at.attempt, n=at.n + 1
                )
            )
        deadline = Deadline(self.around.deadline_s)
        for tries in range(1, LOCK_ATTEMPTS + 1):
            try:
                answers = self._try(tuple(statements), watched=tries > 1)
            except AttemptFailed as failed:
                self._judge(failed)
                delay = deadline.delay()
                if delay is None or tries == LOCK_ATTEMPTS:
                    raise step_error(failed, self.step, failed.sql) from None
                reason = failed.error.diag.message_primary or "a lock was not granted"
                self.around.waiting(f"a batch is tried again: {reason}", delay)
                time.sleep(delay)
            else:
                told: dict[str, Any] = json.loads(answers[0].get_value(0, 0) or b"")
                return told
        raise AssertionError

    def _try(self, statements: tuple[str, ...], *, watched: bool) -> Any:
        if not watched:
            return commit_alone(self.connection, self._settings, statements)
        with self.around.watched() as begun:
            if begun is not None:
                begun(self.connection.info.backend_pid)
            return commit_alone(self.connection, self._settings, statements)

    def _judge(self, failed: AttemptFailed) -> None:
        """Raise unless a batch that failed is to be tried again."""
        error = failed.error
        if failed.lost:
            raise failed from None
        if error.diag.constraint_name == CONDITION_HOLDS:
            raise self.refuse(
                "its condition still holds for rows that it changed, so that it would never end; "
                "the batch was rolled back",
                "write `where` so that the change makes it false, for instance "
                "`column IS DISTINCT FROM new value`",
            ) from None
        table = self.around.table
        here = (error.diag.schema_name, error.diag.table_name) == (table.schema, table.log_name)
        if here and error.sqlstate == "23505":
            raise BatchTaken from None
        if failed.cause is not Cause.LOCK_NOT_GRANTED:
            raise failed from None

    def _keep_pace(self) -> None:
        """Sleep between two batches: as asked, and while a standby is far behind."""
        if self.position.n == self.begins.n:
            return
        if self.spec.pause_s:
            time.sleep(self.spec.pause_s)
        ends = time.monotonic() + _LONGEST_LAG_WAIT_S
        told = False
        while (behind := lagging(self.fetch(STANDBYS_SQL))) and time.monotonic() < ends:
            if not told:
                names = ", ".join(behind)
                self.around.waiting(f"a standby is far behind: {names}", _LONGEST_LAG_WAIT_S)
                told = True
            time.sleep(_LAG_POLL_S)

    def _tell(self, seconds: float) -> None:
        at = self.position
        if not at.ended:
            self._size = next_size(self._size, seconds)
        phase = "backfill" if at.sweep == 1 else f"backfill, pass {at.sweep}"
        expected = self._expected
        total = None if expected is None else max(expected, at.total)
        self.around.progress(phase, at.total, total, "rows")

    def _filled(self) -> Filled:
        at = self.position
        progress = {"pass": at.sweep, "batches": at.n, "total": at.total, "left": at.left}
        return Filled(
            rows=at.total, note="; ".join(self.notes()), attempt=at.attempt, progress=progress
        )

    def notes(self) -> list[str]:
        """Return what is to be said of it at its end."""
        if self.spec.where is not None or self.position.inserted is None:
            return []
        inserted = self._first(relation_sql(self.spec.table))[3] - self.position.inserted
        if inserted <= 0:
            return []
        return [f"about {inserted} rows were inserted meanwhile, and are as they were inserted"]
