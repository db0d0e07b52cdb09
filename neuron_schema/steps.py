"""Run one step: try, wait outside any transaction, try again, until a deadline.

A transactional step is one transaction with its history row in it. An operation that PostgreSQL
commits on its own runs on one connection while another holds the run lock; what an interrupted
attempt left behind is found by the operation's probe, and its history row comes last.
"""

from __future__ import annotations

import contextlib
import functools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from neuron_schema import log
from neuron_schema.connections import (
    Script,
    execute,
    fetcher,
    private_connection,
    run_transaction,
)
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
    LOCK_ATTEMPTS,
    OPEN_BODY,
    STILL_OPEN_BODY,
    BlockerWatch,
    Deadline,
    Place,
    Session,
    SessionSettings,
    can_change_session,
    ending,
    guard_body,
    holder_of,
    operation_lock_key,
    role_body,
    run_lock_key,
    settings_sql,
)
from neuron_schema.model import Action
from neuron_schema.quoting import do_block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import Engine

    from neuron_schema.backfill import Filled
    from neuron_schema.history import Fetch
    from neuron_schema.log import Author
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
    """The backend of an interrupted attempt is still at work.

    Attributes:
        session: Which it is, where that can be seen.
    """

    def __init__(self, session: Session | None) -> None:
        super().__init__()
        self.session = session


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a step needs beside itself.

    Attributes:
        direct: The engine past a pooler, for operations that commit on their own.
        look: The database as it stood when the plan was made, but for ``exists``.
        premise: Plpgsql that raises unless the history is the one that the plan was made for.
        watch: Sees what a step waits for.
        author: Who runs, for the log; None where no log is wanted.
        wait_lock_s: Seconds to wait for the run lock.
        deadline_s: Seconds to wait for anything else.
        waiting: Told the reason and the seconds of every wait.
        progress: Told phase, done, total and unit of what takes long.
        note: Told what a user should know of the step, with ``warning=True`` where it is odd.
    """

    engine: Engine
    direct: Engine
    look: Look
    premise: str
    watch: BlockerWatch
    settings: SessionSettings
    author: Author | None
    wait_lock_s: float
    deadline_s: float
    waiting: Callable[[str, float], None]
    progress: Callable[[str, int | None, int | None, str], None] = lambda *_: None
    note: Callable[..., None] = lambda *_, **__: None

    def set_session(self, place: Place, attempt: int = 0) -> str:
        """Return what sets one of the step's sessions."""
        return settings_sql(self.settings, self.look.facts, place, attempt=attempt)

    @property
    def guard(self) -> str:
        """Plpgsql that takes the run lock."""
        return guard_body(run_lock_key(self.look.table))

    def script(self, step: Step, attempt: int) -> Script:
        """Return all of a transactional step.

        Lock, premise and history row are one statement, which is one message less each.
        """
        authored = step.statements if step.action is Action.RUN else ()
        bodies = (self.guard, self.premise, OPEN_BODY)
        if self.look.exists:
            opening = [do_block(*bodies, record_body(self.look.table, step))]
        else:
            opening = [do_block(*bodies), *self.record(step)]
        create, entry = self.log_entry(step)
        # A version may have set another role, which need not have a right to our tables.
        end = (STILL_OPEN_BODY, role_body(self.settings.role))
        if create:
            closing = [do_block(*end), *create, *entry]
        else:
            closing = [do_block(*end, *(f"  {sql};" for sql in entry))]
        return Script(
            settings=self.set_session(Place.TRANSACTION, attempt),
            opening=tuple(opening),
            statements=tuple(statement.sql for statement in authored),
            closing=tuple(closing),
        )

    def record(self, step: Step) -> tuple[str, ...]:
        """Return what writes the history row, and the table where it is absent."""
        table = self.look.table
        create = () if self.look.exists else (create_sql(table),)
        return (*create, record_sql(table, step))

    def log_entry(
        self, step: Step, filled: Filled | None = None
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return what creates the log where it is absent, and what adds a row to it."""
        if self.author is None:
            return (), ()
        table = self.look.table.qualified_log
        create = () if self.look.log_exists else (log.create_sql(table),)
        if filled is None:
            return create, (log.entry_sql(table, step, self.author),)
        told, attempt = filled.progress, filled.attempt
        return create, (log.entry_sql(table, step, self.author, told, attempt),)


def run_step(step: Step, context: StepContext) -> Filled | None:
    """Run one step to its end; return what a backfill did.

    Raises:
        HistoryMoved: another run changed the history; nothing of this step was done by this
            attempt.
        NeuronSchemaError: the step failed for good and left nothing behind.
    """
    waits = _Waits(step, context)
    unsure = False
    while True:
        try:
            if step.transactional:
                _attempt_transaction(step, context, waits.not_granted)
                return None
            return _attempt_own_commit(step, context)
        except UnicodeEncodeError as error:
            raise ServerUnsupported(
                f"{step.label}: the database's encoding cannot hold {error.object[error.start]!r}",
                where=step.path,
                remedy="use a database with the encoding UTF8",
            ) from None
        except OperationRunning as running:
            reason = "an interrupted run's operation is still at work"
            waits.for_run_lock(reason, functools.partial(getattr, running, "session"))
        except AttemptFailed as failed:
            unsure = _after_failure(failed, waits, step, context, unsure=unsure)


def _after_failure(
    failed: AttemptFailed, waits: _Waits, step: Step, context: StepContext, *, unsure: bool
) -> bool:
    """Wait until the next attempt; return whether the change may be there already.

    Raises:
        HistoryMoved, NeuronSchemaError: there is to be none.
    """
    cause = failed.cause
    if cause is Cause.HISTORY_MOVED:
        raise HistoryMoved(unsure=unsure) from None
    if cause is Cause.STATEMENT and not _creating_tables(failed, context):
        raise _final(failed, step) from None
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
    try:
        run_transaction(context.engine, script, context.watch.begin, check_session=check)
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


def _creating_tables(failed: AttemptFailed, context: StepContext) -> bool:
    """Whether two runs met in creating our tables, which IF NOT EXISTS does not prevent."""
    look = context.look
    absent = [] if look.exists else [create_sql(look.table)]
    absent += [] if look.log_exists else [log.create_sql(look.table.qualified_log)]
    return failed.sql in absent and failed.error.sqlstate in ("23505", "42710", "42P07")


def _final(failed: AttemptFailed, step: Step) -> NeuronSchemaError:
    """Return the error for a step that will not be tried again."""
    if isinstance(failed.error, psycopg.errors.InFailedSqlTransaction) and (
        failed.error.sqlstate is None
    ):
        return CommitFailed(
            f"{step.label}: {failed.error}", where=step.path, remedy="look into the server's log"
        )
    # What a backfill runs is made of the author's expressions.
    authors = step.backfill or failed.sql in {statement.sql for statement in step.statements}
    return step_error(failed, step, failed.sql if authors else None)


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
        contextlib.suppress(AttemptFailed, psycopg.Error, UnicodeEncodeError),
        private_connection(engine) as raw,
        raw.transaction(),
    ):
        for sql in (settings_sql(settings, look.facts, Place.TRANSACTION), *statements):
            execute(raw, sql)


class _Waits:
    """What a step has waited for so far, and whether it may wait again."""

    NAME_HOLDER_AFTER_S = 5.0

    def __init__(self, step: Step, context: StepContext) -> None:
        self._step = step
        self._context = context
        self._deadline = Deadline(context.deadline_s)
        self._run_lock: Deadline | None = None
        self.not_granted = 0
        """Attempts whose statements were not granted a lock."""

    def after(self, failed: AttemptFailed) -> None:
        """Sleep until the next attempt.

        Raises:
            NeuronSchemaError: there is to be none.
        """
        error = _final(failed, self._step)
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
                reason += f", blocked by {_all(failed.blockers)}"
            if self.not_granted >= LOCK_ATTEMPTS:
                raise error from None
        elif failed.cause is Cause.STATEMENT:
            reason = "another run created the history table or the log"
        else:
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


def _all(sessions: Iterable[Session]) -> str:
    return "; ".join(session.text for session in sessions)


def _holder(context: StepContext) -> Session | None:
    """Return who holds the run lock, where that can be seen."""
    with (
        contextlib.suppress(AttemptFailed, psycopg.Error),
        private_connection(context.engine) as raw,
    ):
        return holder_of(fetcher(raw), run_lock_key(context.look.table))
    return None


def _attempt_own_commit(step: Step, context: StepContext) -> Filled | None:
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
        execute(guardian, context.set_session(Place.GUARDIAN))
        execute(guardian, do_block(context.guard))
        key = operation_lock_key(context.look.table)
        if not _ask(worker, f"SELECT pg_catalog.pg_try_advisory_lock({key})"):
            raise OperationRunning(holder_of(fetcher(worker), key))
        execute(worker, context.set_session(Place.OPERATION))
        execute(worker, do_block(context.premise))
        filled = None
        if statement.own_commit.backfill is not None:
            filled = _backfill(worker, step, context)
        else:
            _operate(worker, statement.sql, statement.own_commit, step)
        create, entry = context.log_entry(step, filled)
        for sql in (*context.record(step), *create, *entry):
            execute(guardian, sql)
        if execute(guardian, "COMMIT").statusmessage != "COMMIT":
            raise CommitFailed(
                f"{step.label}: COMMIT was not answered with COMMIT", where=step.path
            )
    return filled


def _backfill(worker: psycopg.Connection[Any], step: Step, context: StepContext) -> Filled:
    """Bring a backfill to its end from wherever an earlier attempt left it.

    Raises:
        OperationRunning: another run is at work on it.
    """
    from neuron_schema.backfill import Around, BatchTaken, Worker
    from neuron_schema.backfill_rows import RowsWorker

    assert context.author is not None  # noqa: S101 - without a log nothing is run
    assert step.backfill is not None  # noqa: S101 - the caller's reason to call
    around = Around(
        table=context.look.table,
        create=context.log_entry(step)[0],
        by=context.author,
        facts=context.look.facts,
        settings=context.settings,
        watch=context.watch,
        deadline_s=context.deadline_s,
        waiting=context.waiting,
        progress=context.progress,
        note=context.note,
    )
    kind = Worker if step.backfill.rows is None else RowsWorker
    try:
        return kind(worker, step, step.backfill, around).run()
    except BatchTaken:
        raise OperationRunning(None) from None


def _ask(connection: psycopg.Connection[Any], sql: str) -> Any:
    """Return the first column of the first row."""
    return execute(connection, sql).fetchall()[0][0]


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
        execute(worker, sql)
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
        execute(worker, sql)
