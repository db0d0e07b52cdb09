"""What a step has waited for so far, and whether it may wait again."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import psycopg

from neuron_schema.errors import CommitFailed, NeuronSchemaError, RunLockNotObtained
from neuron_schema.execution.failures import AttemptFailed, Cause, connection_error, step_error
from neuron_schema.execution.private import fetcher, private_connection
from neuron_schema.locking import LOCK_ATTEMPTS, Deadline, run_lock_key
from neuron_schema.sessions import Session, ending, holder_of, in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from neuron_schema.execution.step_context import StepContext
    from neuron_schema.model import Step


class StepWaits:
    """What a step has waited for so far, and whether it may wait again."""

    NAME_HOLDER_AFTER_S = 5.0

    def __init__(self, step: Step, context: StepContext) -> None:
        self._step = step
        self._context = context
        self._deadline = Deadline(context.deadline_s)
        self._run_lock: Deadline | None = None
        self._operation: Deadline | None = None
        self.not_granted = 0
        """Attempts whose statements were not granted a lock."""

    def operation_ends(self) -> Deadline | None:
        """Return when the operation's time is over, counted from the first call on."""
        limit_s = self._context.settings.operation_timeout
        if self._operation is None and limit_s:
            self._operation = Deadline(limit_s)
        return self._operation

    def after(self, failed: AttemptFailed) -> None:
        """Sleep until the next attempt.

        Raises:
            NeuronSchemaError: there is to be none.
        """
        error = final_error(failed, self._step)
        if failed.progressed:
            self._deadline = Deadline(self._context.deadline_s)
        if failed.cause is Cause.RUN_LOCK_HELD:
            context = self._context
            self.for_run_lock("another run holds the run lock", lambda: _holder(context))
            return
        if failed.cause is Cause.LOCK_NOT_GRANTED:
            self.not_granted += 1
            reason = failed.error.diag.message_primary or "a lock was not granted"
            if failed.blockers:
                reason += f", blocked by {in_words(failed.blockers)}"
            if self.not_granted >= LOCK_ATTEMPTS:
                raise error from None
        elif failed.cause is Cause.STATEMENT:
            reason = "another run created the history table or the log"
        else:
            if failed.sql is None:
                self._context.let_go_of_idle()
            error = connection_error(failed.error) or error
            reason = error.message
        self._sleep(self._deadline, reason, error)

    def for_run_lock(self, reason: str, holder: Callable[[], Session | None]) -> None:
        """Sleep until the run lock is tried again.

        Args:
            reason: Who has it, as far as that is known without asking.
            holder: Asks; it is called when the wait is long, and when it ends.

        Raises:
            RunLockNotObtained: it was waited for long enough.
        """
        if self._run_lock is None:
            self._run_lock = Deadline(self._context.wait_lock_s)
        if self._run_lock.left_s <= 0:
            raise self._run_lock_error(reason, holder()) from None
        if self._run_lock.waited_s >= self.NAME_HOLDER_AFTER_S:
            session = holder()
            reason += f": {session.text}" if session else ""
        self._sleep(self._run_lock, reason, self._run_lock_error(reason, None))

    def _run_lock_error(self, reason: str, session: Session | None) -> RunLockNotObtained:
        return RunLockNotObtained(
            f"{self._step.label}: {reason}, until the deadline"
            + (f": {session.text}" if session else ""),
            remedy="wait for that run (--wait-lock), or end its session with "
            + (ending([session]) if session else "SELECT pg_terminate_backend(pid)"),
        )

    def _sleep(self, deadline: Deadline, reason: str, error: NeuronSchemaError) -> None:
        delay = deadline.delay()
        if delay is None:
            raise error from None
        self._context.waiting(reason, delay)
        time.sleep(delay)


def _holder(context: StepContext) -> Session | None:
    """Return who holds the run lock, where that can be seen."""
    with (
        contextlib.suppress(Exception),
        private_connection(context.engine) as raw,
    ):
        return holder_of(fetcher(raw), run_lock_key(context.look.table))
    return None


def final_error(failed: AttemptFailed, step: Step) -> NeuronSchemaError:
    """Return the error for a step that will not be tried again."""
    # One that the server raised has a SQLSTATE of its own, beside that of its class.
    if isinstance(failed.error, psycopg.errors.InFailedSqlTransaction) and (
        failed.error.diag.sqlstate is None
    ):
        return CommitFailed(
            f"{step.label}: {failed.error}", where=step.path, remedy="look into the server's log"
        )
    # What a backfill runs is made of the author's expressions.
    authors = step.backfill or failed.sql in {statement.sql for statement in step.statements}
    return step_error(failed, step, failed.sql if authors else None)
