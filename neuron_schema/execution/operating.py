"""Bring an operation that PostgreSQL commits on its own to its end.

Whatever an earlier attempt left is found by its probe and cleared away first; what this one leaves
when it fails is cleared away after it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import psycopg

from neuron_schema.errors import OperationUnfinished
from neuron_schema.execution.failures import AttemptFailed
from neuron_schema.execution.private import execute
from neuron_schema.locking import Deadline

if TYPE_CHECKING:
    from neuron_schema.model import OwnCommit, Step


class Overdue(Exception):  # noqa: N818 - it never leaves the package
    """The operation's time was over before it ended.

    Attributes:
        state: How the database stands now, in the words of the probe; None where that is not
            known.
    """

    def __init__(self, state: str | None) -> None:
        super().__init__("the operation's time is over")
        self.state = state


def ask(connection: psycopg.Connection[Any], sql: str) -> Any:
    """Return the first column of the first row.

    Raises:
        AttemptFailed: the query failed.
    """
    return execute(connection, sql).fetchall()[0][0]


class Operation:
    """The one operation of a step, on the connection that it runs on.

    Args:
        worker: In autocommit.
        step: Its one statement commits on its own.
        ends: When its time is over; None where it may take as long as it takes.
    """

    CLEAR_AWAY_S = 10.0
    """Seconds for what is left behind once the time is over: it may wait for the same sessions."""

    def __init__(
        self, worker: psycopg.Connection[Any], step: Step, ends: Deadline | None = None
    ) -> None:
        (statement,) = step.statements
        assert statement.own_commit is not None  # noqa: S101 - the step is not transactional
        self._worker = worker
        self._step = step
        self._sql = statement.sql
        self._own: OwnCommit = statement.own_commit
        self._ends = ends
        self._begun = False

    def run(self) -> None:
        """Run it to its end.

        Raises:
            AttemptFailed: one of its statements failed.
            Overdue: its time is over.
            OperationUnfinished: it is in another object's way, or did not do what it should.
        """
        try:
            done = self._bring_to_end()
        except AttemptFailed as failed:
            overdue = self._is_over(failed)
            state = self._clear_away()
            if state == "done" and self._begun and self._own.probe is not None:
                # Such as a detach that was cancelled, and is finished by its repair.
                return
            if overdue:
                raise Overdue(state) from None
            raise
        if not done:
            raise self._unfinished(
                "ended, but what it was to make is not there",
                "run again: what is left behind will be repaired",
            )

    def _bring_to_end(self) -> bool:
        """Return whether it is done, as far as that can be told."""
        self._clean()
        state = self._probe()
        if state == "invalid":
            self._begun = True
            self._repair()
            state = self._probe()
        if state == "different" or (state == "done" and not self._is_as_wanted()):
            raise self._unfinished(
                "something else has that name already",
                "drop or rename what is there, or give the new one another name",
                colon=True,
            )
        if state != "done":
            self._begun = True
            self._send(self._sql)
        return self._own.probe is None or state == "done" or self._probe() == "done"

    def _clear_away(self) -> str | None:
        """Clear away what is left behind, as far as it can be, and return how it stands then.

        An invalid index costs every write and serves no read.
        """
        if self._ends is not None:
            self._ends = Deadline(self.CLEAR_AWAY_S)
        try:
            self._clean()
            if self._probe() == "invalid":
                self._repair()
            return self._probe()
        except AttemptFailed:
            return None

    def _clean(self) -> None:
        if self._own.cleanup is not None:
            for (sql,) in self._send(self._own.cleanup).fetchall():
                self._send(sql)

    def _probe(self) -> str:
        if self._own.probe is None:
            return "absent"
        return str(self._send(self._own.probe).fetchall()[0][0])

    def _is_as_wanted(self) -> bool:
        """Whether what was there before is what is wanted, as far as that can be told."""
        if not self._own.sample:
            return True
        *make, compare = self._own.sample
        self._send("BEGIN")
        try:
            for sql in make:
                self._send(sql)
            return bool(self._send(compare).fetchall()[0][0])
        except AttemptFailed as failed:
            code = failed.error.sqlstate or ""
            # Without TEMPORARY on the database, or where an event trigger refuses tables.
            if code in ("42501", "P0001"):
                return True
            # What cannot be made on such a table is not what is there.
            if code.startswith("42"):
                return False
            raise
        finally:
            if not self._worker.closed:
                # Whatever is left of the time: a transaction that failed can be given no limit.
                execute(self._worker, "ROLLBACK")

    def _repair(self) -> None:
        for sql in self._own.repair:
            self._send(sql)

    def _send(self, sql: str) -> psycopg.Cursor[Any]:
        """Run a statement in what is left of the time.

        The server keeps the time: it ends the statement also when this process cannot.
        """
        if self._ends is not None:
            left_ms = math.ceil(self._ends.left_s * 1000)
            if left_ms <= 0:
                raise AttemptFailed(psycopg.errors.QueryCanceled("no time is left"), sql=sql)
            execute(self._worker, f"SET statement_timeout = {left_ms}")
        return execute(self._worker, sql)

    def _is_over(self, failed: AttemptFailed) -> bool:
        canceled = isinstance(failed.error, psycopg.errors.QueryCanceled)
        return canceled and self._ends is not None and self._ends.left_s <= 0

    def _unfinished(self, text: str, remedy: str, *, colon: bool = False) -> OperationUnfinished:
        return OperationUnfinished(
            f"{self._step.label}: {self._own.kind}{':' if colon else ''} {text}",
            where=self._step.path,
            remedy=remedy,
        )
