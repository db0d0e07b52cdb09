"""Run one step: try, wait outside any transaction, try again, until a deadline.

A transactional step is one transaction with its history row in it. An operation that PostgreSQL
commits on its own runs on one connection while another holds the run lock; what an interrupted
attempt left behind is found by the operation's probe, and its history row comes last.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from neuron_schema.connections import fetcher, private_connection, run_transaction
from neuron_schema.errors import (
    CommitFailed,
    NeuronSchemaError,
    OperationUnfinished,
    RunLockNotObtained,
    ServerUnsupported,
)
from neuron_schema.failures import AttemptFailed, Cause, connection_error, step_error
from neuron_schema.history import create_sql, premise_sql, record_sql
from neuron_schema.locking import (
    BlockerWatch,
    Deadline,
    guard_sql,
    guardian_sql,
    holder_of,
    operation_lock_key,
    run_lock_key,
    settings_sql,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from neuron_schema.history import Fetch, Look
    from neuron_schema.locking import SessionSettings
    from neuron_schema.model import OwnCommit, Step


class HistoryMoved(Exception):  # noqa: N818 - it never leaves the package
    """The history is not the one that the plan was made for.

    Attributes:
        unsure: An earlier attempt lost its connection, so the change may be its own.
    """

    def __init__(self, *, unsure: bool) -> None:
        super().__init__("the history changed since the plan was made")
        self.unsure = unsure


class OperationRunning(Exception):  # noqa: N818 - it never leaves the package
    """The backend of an interrupted attempt is still at work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a step needs beside itself.

    Attributes:
        direct: The engine past a pooler, for operations that commit on their own.
        look: The database as it stands before the step; its rows are the step's premise.
        deadline_s: Seconds after which waiting is given up.
        waiting: Told the reason and the seconds of every wait.
    """

    engine: Engine
    direct: Engine
    look: Look
    settings: SessionSettings
    deadline_s: float
    waiting: Callable[[str, float], None]

    @property
    def preamble(self) -> tuple[str, ...]:
        """Set the transaction, take the run lock, check the premise."""
        table = self.look.table
        return (
            settings_sql(self.settings, self.look.facts, transactional=True),
            guard_sql(run_lock_key(table)),
            premise_sql(table, self.look.applied, exists=self.look.exists),
        )

    def record(self, step: Step) -> tuple[str, ...]:
        """Return what writes the history row, and the table where it is absent."""
        table = self.look.table
        create = () if self.look.exists else (create_sql(table),)
        return (*create, record_sql(table, step))


def run_step(step: Step, context: StepContext) -> None:
    """Run one step to its end.

    Raises:
        HistoryMoved: another run changed the history; nothing of this step was done by this
            attempt.
        NeuronSchemaError: the step failed for good and left nothing behind.
    """
    deadline = Deadline(context.deadline_s)
    unsure = False
    contended = False
    while True:
        try:
            if step.transactional:
                _attempt_transaction(step, context, watch=contended)
            else:
                _attempt_own_commit(step, context)
        except UnicodeEncodeError as error:
            raise ServerUnsupported(
                f"{step.label}: the database's encoding cannot hold {error.object[error.start]!r}",
                where=step.path,
                remedy="use a database with the encoding UTF8",
            ) from None
        except OperationRunning:
            reason = "the backend of an interrupted run is still at work"
            _wait(deadline, context, reason, lambda: _run_lock_error(step, None))
        except AttemptFailed as failed:
            cause = failed.cause
            if cause is Cause.HISTORY_MOVED:
                raise HistoryMoved(unsure=unsure) from None
            if cause is Cause.STATEMENT and not _creating_history(failed, context):
                raise _final(failed, step, context) from None
            unsure = unsure or cause is Cause.CONNECTION_LOST
            contended = contended or cause is Cause.LOCK_NOT_GRANTED
            _wait_after(failed, deadline, step, context)
        else:
            return


def _attempt_transaction(step: Step, context: StepContext, *, watch: bool) -> None:
    script = (
        *context.preamble,
        *context.record(step),
        *(statement.sql for statement in step.statements),
    )
    if not watch:
        run_transaction(context.engine, script)
        return
    with _watched(context) as blockers:
        try:
            run_transaction(context.engine, script)
        except AttemptFailed as failed:
            failed.blockers = blockers()
            raise


@contextlib.contextmanager
def _watched(context: StepContext) -> Iterator[Callable[[], str | None]]:
    """Watch what the engine's next connection waits for; yield what was seen.

    Which backend that will be is not known yet, so the watch begins at the pool's checkout.
    """
    from sqlalchemy import event

    watches: list[BlockerWatch] = []

    def connect() -> tuple[Fetch, Callable[[], None]]:
        stack = contextlib.ExitStack()
        raw = stack.enter_context(private_connection(context.engine))
        return fetcher(raw), stack.close

    def begin(connection: Any) -> None:
        if not watches:
            raw = connection.connection.driver_connection
            watch = BlockerWatch(connect, raw.info.backend_pid)
            watches.append(watch.__enter__())

    event.listen(context.engine, "begin", begin)
    try:
        yield lambda: watches[0].seen if watches else None
    finally:
        event.remove(context.engine, "begin", begin)
        for watch in watches:
            watch.__exit__(None, None, None)


def _creating_history(failed: AttemptFailed, context: StepContext) -> bool:
    """Whether two runs met in creating the history table, which IF NOT EXISTS does not prevent."""
    return (
        not context.look.exists
        and failed.index == len(context.preamble)
        and failed.error.sqlstate in ("23505", "42710", "42P07")
    )


def _final(failed: AttemptFailed, step: Step, context: StepContext) -> NeuronSchemaError:
    """Return the error for a step that will not be tried again."""
    if isinstance(failed.error, psycopg.errors.InFailedSqlTransaction) and (
        failed.error.sqlstate is None
    ):
        return CommitFailed(
            f"{step.label}: {failed.error}", where=step.path, remedy="look into the server's log"
        )
    return step_error(failed, step, _authors_sql(failed, step, context))


def _authors_sql(failed: AttemptFailed, step: Step, context: StepContext) -> str | None:
    if failed.index is None:
        return None
    first = len(context.preamble) + len(context.record(step)) if step.transactional else 0
    index = failed.index - first
    return step.statements[index].sql if 0 <= index < len(step.statements) else None


def _wait_after(
    failed: AttemptFailed, deadline: Deadline, step: Step, context: StepContext
) -> None:
    """Sleep until the next attempt, or raise what the user is to see."""
    cause = failed.cause
    if cause is Cause.RUN_LOCK_HELD:
        holder = _holder(context)
        reason = "another run holds the run lock" + (f": {holder}" if holder else "")
        _wait(deadline, context, reason, lambda: _run_lock_error(step, holder))
    elif cause is Cause.LOCK_NOT_GRANTED:
        reason = failed.error.diag.message_primary or "a lock was not granted"
        if failed.blockers:
            reason += f", blocked by {failed.blockers}"
        _wait(deadline, context, reason, lambda: _final(failed, step, context))
    elif cause is Cause.STATEMENT:
        reason = "another run created the history table"
        _wait(deadline, context, reason, lambda: _final(failed, step, context))
    else:
        gone = connection_error(failed.error)
        reason = gone.message if gone else str(failed.error)
        _wait(deadline, context, reason, lambda: gone or _final(failed, step, context))


def _wait(
    deadline: Deadline,
    context: StepContext,
    reason: str,
    error: Callable[[], NeuronSchemaError],
) -> None:
    delay = deadline.delay()
    if delay is None:
        raise error()
    context.waiting(reason, delay)
    time.sleep(delay)


def _run_lock_error(step: Step, holder: str | None) -> RunLockNotObtained:
    return RunLockNotObtained(
        f"{step.label}: another run held the run lock until the deadline"
        + (f" ({holder})" if holder else ""),
        remedy="wait for that run, or end its session with SELECT pg_terminate_backend(pid)",
    )


def _holder(context: StepContext) -> str | None:
    """Return who holds the run lock, where that can be seen."""
    with (
        contextlib.suppress(AttemptFailed, psycopg.Error),
        private_connection(context.engine) as raw,
    ):
        return holder_of(fetcher(raw), run_lock_key(context.look.table))
    return None


def _attempt_own_commit(step: Step, context: StepContext) -> None:
    statement = step.statements[0]
    assert statement.own_commit is not None  # noqa: S101 - the step is not transactional
    with (
        private_connection(context.direct) as guardian,
        private_connection(context.direct) as worker,
        _answered(guardian, worker),
    ):
        guardian.autocommit = False
        guardian.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        for sql in (*context.preamble, guardian_sql(context.look.facts)):
            guardian.execute(sql.encode())
        key = operation_lock_key(context.look.table)
        if not fetcher(worker)(f"SELECT pg_catalog.pg_try_advisory_lock({key})")[0][0]:
            raise OperationRunning
        worker.execute(
            settings_sql(context.settings, context.look.facts, transactional=False).encode()
        )
        _operate(worker, statement.sql, statement.own_commit, step)
        for sql in context.record(step):
            guardian.execute(sql.encode())
        if guardian.execute(b"COMMIT").statusmessage != "COMMIT":
            raise CommitFailed(f"{step.label}: COMMIT was not answered with COMMIT", where=step.path)


@contextlib.contextmanager
def _answered(*connections: psycopg.Connection[Any]) -> Iterator[None]:
    """Turn what psycopg raises on one of the connections into ``AttemptFailed``."""
    try:
        yield
    except psycopg.Error as error:
        lost = any(connection.closed for connection in connections)
        raise AttemptFailed(error, index=0, lost=lost) from None


def _operate(worker: psycopg.Connection[Any], sql: str, own: OwnCommit, step: Step) -> None:
    """Bring the operation to its end from whatever an earlier attempt left."""
    state = _probe(worker, own)
    if state == "invalid":
        _repair(worker, own)
        state = _probe(worker, own)
    if state == "different":
        raise OperationUnfinished(
            f"{step.label}: {own.kind}: something else has that name already",
            where=step.path,
            remedy="drop or rename what is there, or give the new one another name",
        )
    if state == "done":
        return
    try:
        worker.execute(sql.encode())
    except psycopg.Error:
        # A failed build leaves an invalid index that costs every write and serves no read.
        with contextlib.suppress(psycopg.Error):
            if not worker.closed and _probe(worker, own) == "invalid":
                _repair(worker, own)
        raise
    if own.probe is not None and _probe(worker, own) != "done":
        raise OperationUnfinished(
            f"{step.label}: {own.kind} ended, but what it was to make is not there",
            where=step.path,
            remedy="run again: what is left behind will be repaired",
        )


def _probe(worker: psycopg.Connection[Any], own: OwnCommit) -> str:
    if own.probe is None:
        return "absent"
    return str(fetcher(worker)(own.probe)[0][0])


def _repair(worker: psycopg.Connection[Any], own: OwnCommit) -> None:
    for sql in own.repair:
        worker.execute(sql.encode())
