"""Run one step: try, wait outside any transaction, try again, until a deadline.

A transactional step is one transaction with its history row in it. An operation that PostgreSQL
commits on its own runs on one connection while another holds the run lock (``alone``).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from neuron_schema.errors import NeuronSchemaError, ServerUnsupported
from neuron_schema.execution.alone import OperationRunning, attempt_alone
from neuron_schema.execution.failures import AttemptFailed, Cause
from neuron_schema.execution.private import execute, private_connection
from neuron_schema.execution.session_state import can_change_session
from neuron_schema.execution.step_context import creating_tables, watched
from neuron_schema.execution.step_waits import StepWaits, final_error
from neuron_schema.execution.transaction import run_transaction
from neuron_schema.locking import Place, SessionSettings, settings_sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Engine

    from neuron_schema.execution.backfill import Filled
    from neuron_schema.execution.step_context import StepContext
    from neuron_schema.history import Look
    from neuron_schema.model import Step


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


def run_step(step: Step, context: StepContext) -> Filled | None:
    """Run one step to its end; return what a backfill did.

    Raises:
        HistoryMoved: another run changed the history; nothing of this step was done by this
            attempt.
        NeuronSchemaError: the step failed for good and left nothing behind.
    """
    waits = StepWaits(step, context)
    unsure = False
    while True:
        try:
            if step.transactional:
                _attempt_transaction(step, context, waits.not_granted)
                return None
            return attempt_alone(step, context, waits)
        except UnicodeEncodeError as error:
            raise ServerUnsupported(
                f"{step.label}: {error.object[error.start]!r} cannot be sent in the connection's "
                f"client_encoding ({error.encoding})",
                where=step.path,
                remedy="let the connection be client_encoding=utf8, on a database that is UTF8",
            ) from None
        except OperationRunning as running:
            reason = "an interrupted run's operation is still at work"
            waits.for_run_lock(reason, running.holder)
        except AttemptFailed as failed:
            unsure = _after_failure(failed, waits, step, context, unsure=unsure)


def _after_failure(
    failed: AttemptFailed, waits: StepWaits, step: Step, context: StepContext, *, unsure: bool
) -> bool:
    """Wait until the next attempt; return whether the change may be there already.

    Raises:
        HistoryMoved, NeuronSchemaError: there is to be none.
    """
    cause = failed.cause
    if cause is Cause.HISTORY_MOVED:
        raise HistoryMoved(unsure=unsure) from None
    if cause is Cause.STATEMENT and not creating_tables(failed, context):
        raise final_error(failed, step) from None
    # Sent at once, a transaction may be committed when any of its answers is lost.
    sent = failed.sql if step.transactional else failed.sql == "COMMIT"
    unsure = unsure or (cause is Cause.CONNECTION_LOST and bool(sent))
    try:
        waits.after(failed)
    except NeuronSchemaError as error:
        if not unsure:
            raise
        raise HistoryMoved(unsure=True, otherwise=error) from None
    return unsure


def _attempt_transaction(step: Step, context: StepContext, attempt: int) -> None:
    script = context.script(step, attempt)
    check = can_change_session(script.statements)
    with watched(context, context.engine) as begun:
        run_transaction(
            context.engine,
            script,
            begun,
            check_session=check,
            notices=context.notices,
            shared=context.look.facts.through_pooler,
        )


def write_aside(
    engine: Engine, look: Look, settings: SessionSettings, statements: Iterable[str]
) -> None:
    """Run statements in a transaction beside the run; that they fail is no matter.

    Args:
        engine: The run's.
        look: The database that they are for.
        settings: What the transaction is set to.
        statements: Single statements.
    """
    with (
        # Whatever it is: an engine's own listeners may raise as well.
        contextlib.suppress(Exception),
        private_connection(engine) as raw,
        raw.transaction(),
    ):
        for sql in (settings_sql(settings, look.facts, Place.TRANSACTION), *statements):
            execute(raw, sql)
