"""Run one step: try, wait outside any transaction, try again, until a deadline.

A transactional step is one transaction with its history row in it. An operation that PostgreSQL
commits on its own runs on one connection while another holds the run lock; what an interrupted
attempt left behind is found by the operation's probe, and its history row comes last.
"""

from __future__ import annotations

import contextlib
import time
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
from neuron_schema.history import Look, create_sql, record_body, record_sql
from neuron_schema.locking import (
    BlockerWatch,
    Deadline,
    SessionSettings,
    can_change_session,
    guard_body,
    holder_of,
    operation_lock_key,
    run_lock_key,
    settings_sql,
)
from neuron_schema.quoting import do_block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from neuron_schema.history import Fetch
    from neuron_schema.model import OwnCommit, Step


class HistoryMoved(Exception):  # noqa: N818 - it never leaves the package
    """The history is not the one that the plan was made for, or may not be.

    Attributes:
        unsure: An earlier attempt lost its connection, so the change may be its own.
        otherwise: What to raise if the history did not move after all.
    """

    def __init__(self, *, unsure: bool, otherwise: NeuronSchemaError | None = None) -> None:
        super().__init__("the history changed since the plan was made")
        self.unsure = unsure
        self.otherwise = otherwise


class OperationRunning(Exception):  # noqa: N818 - it never leaves the package
    """The backend of an interrupted attempt is still at work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a step needs beside itself.

    Attributes:
        direct: The engine past a pooler, for operations that commit on their own.
        look: The database as it stood when the plan was made, but for ``exists``.
        premise: Plpgsql that raises unless the history is the one that the plan was made for.
        watch: Sees what a step waits for.
        deadline_s: Seconds after which waiting is given up.
        waiting: Told the reason and the seconds of every wait.
    """

    engine: Engine
    direct: Engine
    look: Look
    premise: str
    watch: BlockerWatch
    settings: SessionSettings
    deadline_s: float
    waiting: Callable[[str, float], None]

    @property
    def set_transaction(self) -> str:
        """What sets the transaction that the history row is written in."""
        return settings_sql(self.settings, self.look.facts, transactional=True)

    @property
    def guard(self) -> str:
        """Plpgsql that takes the run lock."""
        return guard_body(run_lock_key(self.look.table))

    def opening(self, step: Step) -> tuple[str, ...]:
        """Return what comes before the statements of a transactional step.

        Lock, premise and history row in one statement, which is one message less each.
        """
        if not self.look.exists:
            return (
                self.set_transaction,
                do_block(self.guard, self.premise),
                *self.record(step),
            )
        record = record_body(self.look.table, step)
        return (self.set_transaction, do_block(self.guard, self.premise, record))

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
    while True:
        try:
            if step.transactional:
                _attempt_transaction(step, context)
            else:
                _attempt_own_commit(step, context)
        except UnicodeEncodeError as error:
            raise ServerUnsupported(
                f"{step.label}: the database's encoding cannot hold {error.object[error.start]!r}",
                where=step.path,
                remedy="use a database with the encoding UTF8",
            ) from None
        except OperationRunning as running:
            reason = f"an interrupted run's operation is still at work: {running}"
            _wait(deadline, context, reason, _run_lock_error(step, str(running)))
        except AttemptFailed as failed:
            unsure = _after_failure(failed, deadline, step, context, unsure=unsure)
        else:
            return


def _after_failure(
    failed: AttemptFailed, deadline: Deadline, step: Step, context: StepContext, *, unsure: bool
) -> bool:
    """Wait until the next attempt; return whether the change may be there already.

    Raises:
        HistoryMoved, NeuronSchemaError: there is to be none.
    """
    cause = failed.cause
    if cause is Cause.HISTORY_MOVED:
        raise HistoryMoved(unsure=unsure) from None
    if cause is Cause.STATEMENT and not _creating_history(failed, context):
        raise _final(failed, step) from None
    # Sent at once, a transaction may be committed when any of its answers is lost.
    sent = failed.sql if step.transactional else failed.sql == "COMMIT"
    unsure = unsure or (cause is Cause.CONNECTION_LOST and bool(sent))
    try:
        _wait_after(failed, deadline, step, context)
    except NeuronSchemaError as error:
        if not unsure:
            raise
        raise HistoryMoved(unsure=True, otherwise=error) from None
    return unsure


def _attempt_transaction(step: Step, context: StepContext) -> None:
    authors = [statement.sql for statement in step.statements]
    script = (*context.opening(step), *authors)
    try:
        run_transaction(
            context.engine, script, context.watch.begin, check_session=can_change_session(authors)
        )
    except AttemptFailed as failed:
        failed.blockers = context.watch.seen
        raise
    finally:
        context.watch.end()


def blocker_watch(engine: Engine, lock_timeout: float) -> BlockerWatch:
    """Return a watch over the steps of a run, on connections made as the engine makes its own."""

    @contextlib.contextmanager
    def connect() -> Iterator[Fetch]:
        with private_connection(engine) as raw:
            yield fetcher(raw)

    # Most attempts end before that: only one that waits is worth a second connection.
    return BlockerWatch(connect, after_s=min(1.0, lock_timeout / 4) or 1.0)


def _creating_history(failed: AttemptFailed, context: StepContext) -> bool:
    """Whether two runs met in creating the history table, which IF NOT EXISTS does not prevent."""
    return (
        not context.look.exists
        and failed.sql == create_sql(context.look.table)
        and failed.error.sqlstate in ("23505", "42710", "42P07")
    )


def _final(failed: AttemptFailed, step: Step) -> NeuronSchemaError:
    """Return the error for a step that will not be tried again."""
    if isinstance(failed.error, psycopg.errors.InFailedSqlTransaction) and (
        failed.error.sqlstate is None
    ):
        return CommitFailed(
            f"{step.label}: {failed.error}", where=step.path, remedy="look into the server's log"
        )
    authors = failed.sql in {statement.sql for statement in step.statements}
    return step_error(failed, step, failed.sql if authors else None)


def _wait_after(
    failed: AttemptFailed, deadline: Deadline, step: Step, context: StepContext
) -> None:
    """Sleep until the next attempt, or raise what the user is to see."""
    cause = failed.cause
    error = _final(failed, step)
    if cause is Cause.RUN_LOCK_HELD:
        holder = _holder(context)
        reason = "another run holds the run lock" + (f": {holder}" if holder else "")
        error = _run_lock_error(step, holder)
    elif cause is Cause.LOCK_NOT_GRANTED:
        reason = failed.error.diag.message_primary or "a lock was not granted"
        if failed.blockers:
            reason += f", blocked by {failed.blockers}"
    elif cause is Cause.STATEMENT:
        reason = "another run created the history table"
    else:
        error = connection_error(failed.error) or error
        reason = error.message
    _wait(deadline, context, reason, error)


def _wait(deadline: Deadline, context: StepContext, reason: str, error: NeuronSchemaError) -> None:
    delay = deadline.delay()
    if delay is None:
        raise error from None
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
    """Hold the run lock on one connection, and operate on another.

    The one that holds it stays without a snapshot and without a lock on any table, for which
    CONCURRENTLY would wait.
    """
    statement = step.statements[0]
    assert statement.own_commit is not None  # noqa: S101 - the step is not transactional
    with (
        private_connection(context.direct) as guardian,
        private_connection(context.direct) as worker,
    ):
        guardian.autocommit = False
        guardian.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        _execute(guardian, context.set_transaction)
        _execute(guardian, do_block(context.guard))
        key = operation_lock_key(context.look.table)
        if not _ask(worker, f"SELECT pg_catalog.pg_try_advisory_lock({key})"):
            raise OperationRunning(holder_of(fetcher(worker), key) or "its session just ended")
        _execute(worker, settings_sql(context.settings, context.look.facts, transactional=False))
        _execute(worker, do_block(context.premise))
        _operate(worker, statement.sql, statement.own_commit, step)
        for sql in context.record(step):
            _execute(guardian, sql)
        if _execute(guardian, "COMMIT").statusmessage != "COMMIT":
            raise CommitFailed(
                f"{step.label}: COMMIT was not answered with COMMIT", where=step.path
            )


def _execute(connection: psycopg.Connection[Any], sql: str) -> psycopg.Cursor[Any]:
    """Run one statement.

    Raises:
        AttemptFailed: it failed.
    """
    try:
        return connection.execute(sql.encode(connection.info.encoding))
    except psycopg.Error as error:
        raise AttemptFailed(error, sql=sql, lost=connection.closed) from None


def _ask(connection: psycopg.Connection[Any], sql: str) -> Any:
    """Return the first column of the first row."""
    return _execute(connection, sql).fetchall()[0][0]


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
        _execute(worker, sql)
    except AttemptFailed:
        # A failed build leaves an invalid index that costs every write and serves no read.
        with contextlib.suppress(AttemptFailed):
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
    return "absent" if own.probe is None else str(_ask(worker, own.probe))


def _repair(worker: psycopg.Connection[Any], own: OwnCommit) -> None:
    for sql in own.repair:
        _execute(worker, sql)
