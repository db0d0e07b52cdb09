"""One attempt at a step that PostgreSQL commits on its own.

What an interrupted attempt left behind is found by the operation's probe, or, of a backfill, in
the log; the history row comes last.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg

from neuron_schema.errors import CommitFailed, LockTimeout, OperationTimeout
from neuron_schema.execution.operating import Operation, Overdue, ask
from neuron_schema.execution.private import execute, fetcher, private_connection
from neuron_schema.execution.step_context import watched
from neuron_schema.locking import Place, operation_lock_key
from neuron_schema.quoting import do_block
from neuron_schema.sessions import Session, ending, holder_of, in_words

if TYPE_CHECKING:
    from neuron_schema.execution.backfill import Filled
    from neuron_schema.execution.step_context import StepContext
    from neuron_schema.execution.step_waits import StepWaits
    from neuron_schema.model import Step


class OperationRunning(Exception):  # noqa: N818 - it never leaves the package
    """The backend of an interrupted attempt is still at work.

    Args:
        session: Which it is, where that can be seen.
    """

    def __init__(self, session: Session | None) -> None:
        super().__init__()
        self._session = session

    def holder(self) -> Session | None:
        """Return the session that is at work."""
        return self._session


def attempt_alone(step: Step, context: StepContext, waits: StepWaits) -> Filled | None:
    """Hold the run lock on one connection, and operate on another.

    The one that holds it stays without a snapshot and without a lock on any table, for which
    CONCURRENTLY would wait.
    """
    with (
        private_connection(context.direct) as guardian,
        private_connection(context.direct) as worker,
        context.notices.heard(worker),
    ):
        guardian.autocommit = False
        guardian.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        execute(guardian, context.set_session(Place.GUARDIAN))
        execute(guardian, do_block(context.guard))
        key = operation_lock_key(context.look.table)
        if not ask(worker, f"SELECT pg_catalog.pg_try_advisory_lock({key})"):
            raise OperationRunning(_holder(worker, key))
        execute(worker, context.set_session(Place.OPERATION))
        execute(worker, do_block(context.premise))
        filled = None
        if step.backfill is not None:
            filled = _backfill(worker, step, context)
        else:
            _operate(worker, step, context, waits)
        create, entry = context.log_entry(step, filled)
        for sql in (*context.record(step), *create, *entry):
            execute(guardian, sql)
        if execute(guardian, "COMMIT").statusmessage != "COMMIT":
            raise CommitFailed(
                f"{step.label}: COMMIT was not answered with COMMIT", where=step.path
            )
    return filled


def _holder(worker: psycopg.Connection[Any], key: int) -> Session | None:
    """Return who holds the operation's lock, where that can be seen."""
    with contextlib.suppress(psycopg.Error):
        return holder_of(fetcher(worker), key)
    return None


def _operate(
    worker: psycopg.Connection[Any], step: Step, context: StepContext, waits: StepWaits
) -> None:
    with watched(context, context.direct) as begun:
        if begun is not None:
            begun(worker.info.backend_pid)
        try:
            Operation(worker, step, waits.operation_ends()).run()
        except Overdue as overdue:
            raise _overdue_error(overdue, step, context) from None


def _overdue_error(
    overdue: Overdue, step: Step, context: StepContext
) -> LockTimeout | OperationTimeout:
    """Return the error for an operation whose time was over: what it waited for, if it did."""
    own = step.statements[0].own_commit
    text = (
        f"{step.label}: {own.kind if own else ''} was not done within "
        f"{context.settings.operation_timeout:g} s (operation_timeout)"
    )
    if overdue.state is None:
        text += "; what it left behind could not be cleared away, the next run does that first"
    blockers = context.watch.lately()
    if blockers:
        return LockTimeout(
            f"{text}; blocked by {in_words(blockers)}",
            where=step.path,
            remedy=f"end the blocking session ({ending(blockers)}) or run again when it is done",
        )
    return OperationTimeout(
        text,
        where=step.path,
        remedy="give it more time (operation_timeout in [tool.neuron_schema], 0 for no limit), "
        "and run again",
    )


def _backfill(worker: psycopg.Connection[Any], step: Step, context: StepContext) -> Filled:
    """Bring a backfill to its end from wherever an earlier attempt left it.

    Raises:
        OperationRunning: another run is at work on it.
    """
    from neuron_schema.execution.backfill import Around, BatchTaken, Worker
    from neuron_schema.execution.backfill_rows import RowsWorker

    assert context.author is not None  # noqa: S101 - without a log nothing is run
    assert step.backfill is not None  # noqa: S101 - the caller's reason to call
    around = Around(
        table=context.look.table,
        create=context.log_entry(step)[0],
        by=context.author,
        facts=context.look.facts,
        settings=context.settings,
        watched=lambda: watched(context, context.direct),
        deadline_s=context.deadline_s,
        waiting=context.waiting,
        progress=context.progress,
        note=context.note,
        warn=context.warn,
    )
    kind = Worker if step.backfill.rows is None else RowsWorker
    try:
        return kind(worker, step, step.backfill, around).run()
    except BatchTaken:
        raise OperationRunning(None) from None
