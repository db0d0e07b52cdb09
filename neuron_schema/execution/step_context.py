"""What a step needs beside itself, and the texts that it sends around the author's statements."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy.pool import QueuePool

from neuron_schema import log
from neuron_schema.execution.failures import AttemptFailed
from neuron_schema.execution.private import fetcher, private_connection
from neuron_schema.execution.session_state import can_write_rows
from neuron_schema.execution.transaction import Script
from neuron_schema.execution.watching import StepWatch
from neuron_schema.history import Look, create_sql, kept_body, record_body, record_sql
from neuron_schema.locking import (
    OPEN_BODY,
    RESTORE_ROLE_BODY,
    STILL_OPEN_BODY,
    Place,
    SessionSettings,
    guard_body,
    run_lock_key,
    settings_sql,
)
from neuron_schema.model import Direction
from neuron_schema.quoting import do_block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from neuron_schema.execution.backfill import Filled
    from neuron_schema.execution.watching import Told
    from neuron_schema.history import Fetch
    from neuron_schema.log import Author
    from neuron_schema.model import Step
    from neuron_schema.notices import Notices

_FLUSH_SINCE = 150000
"""An idle session tells the server's statistics of its work up to ten seconds later otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a step needs beside itself.

    Attributes:
        direct: The engine past a pooler, for operations that commit on their own.
        look: The database as it stood when the plan was made, but for ``exists``.
        premise: Plpgsql that raises unless the history is the one that the plan was made for.
        watch: Sees what a step waits for, and how far it is.
        author: Who runs, for the log; None where no log is wanted.
        wait_lock_s: Seconds to wait for the run lock.
        deadline_s: Seconds to wait for anything else.
        waiting: Told the reason and the seconds of every wait.
        notices: Takes what the server says while the step runs.
        progress: Told phase, done, total and unit of what takes long.
        note: Told what a user should know of the step.
        warn: Told what is odd about it.
    """

    engine: Engine
    direct: Engine
    look: Look
    premise: str
    watch: StepWatch
    settings: SessionSettings
    author: Author | None
    wait_lock_s: float
    deadline_s: float
    waiting: Callable[[str, float], None]
    notices: Notices
    progress: Callable[[str, int | None, int | None, str], None] = lambda *_: None
    note: Callable[[str], None] = lambda _: None
    warn: Callable[[str], None] = lambda _: None

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
        bodies = (self.guard, self.premise, OPEN_BODY)
        if self.look.exists:
            opening = [do_block(*bodies, record_body(self.look.table, step))]
        else:
            opening = [do_block(*bodies), *self.record(step)]
        create, entry = self.log_entry(step)
        # A version may have set another role, which need not have a right to our tables.
        end = [STILL_OPEN_BODY, RESTORE_ROLE_BODY]
        if can_write_rows(statement.sql for statement in step.runs):
            if step.direction is Direction.UP:
                end.append(kept_body(self.look.table, step))
            if self.look.facts.version_num >= _FLUSH_SINCE:
                # A backfill that follows counts the rows that are inserted from then on.
                end.append("  PERFORM pg_catalog.pg_stat_force_next_flush();")
        if create:
            closing = [do_block(*end), *create, *entry]
        else:
            closing = [do_block(*end, *(f"  {sql};" for sql in entry))]
        return Script(
            settings=self.set_session(Place.TRANSACTION, attempt),
            opening=tuple(opening),
            statements=tuple(statement.sql for statement in step.runs),
            closing=tuple(closing),
        )

    def let_go_of_idle(self) -> None:
        """Close the connections that lie idle in the pools.

        Where none is to be had, a crowd of waiting runs would keep them from one another: an
        operation that commits on its own needs two. Pools of other kinds close what is at work too.
        """
        for engine in {self.engine, self.direct}:
            if isinstance(engine.pool, QueuePool):
                engine.dispose()

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
            return create, tuple(
                log.entry_sql(table, each, self.author) for each in (*_parts(step), step)
            )
        told, attempt = filled.progress, filled.attempt
        return create, (log.entry_sql(table, step, self.author, told, attempt),)


def _parts(step: Step) -> tuple[Step, ...]:
    """Return the versions that go with a squashed one, for the log to tell of each of them."""
    return tuple(
        replace(
            step,
            version=row.version,
            name=row.name,
            checksum=row.checksum or "",
            statements=(),
            opposite=(),
            covers=(),
        )
        for row in step.covers
    )


def step_watch(lock_timeout: float, told: Told | None) -> StepWatch:
    """Return a watch over the steps of a run.

    Args:
        lock_timeout: Seconds that a statement waits for a lock at most; 0 for no limit.
        told: Is told what is seen.
    """
    # Most attempts end before that: only one that waits is worth a second connection.
    return StepWatch(after_s=min(1.0, lock_timeout / 4) or 1.0, told=told)


@contextlib.contextmanager
def watched(context: StepContext, engine: Engine) -> Iterator[Callable[[int], None] | None]:
    """Yield what is to be told the backend's process for it to be watched, if it can be.

    Behind a pooler the number that libpq knows is another process's, or nobody's.
    """
    watch = context.watch
    pooled = context.look.facts.through_pooler and engine is context.engine
    begin = None if pooled else lambda pid: watch.begin(pid, lambda: _watching(engine))
    try:
        yield begin
    except AttemptFailed as failed:
        failed.blockers = watch.seen
        raise
    finally:
        watch.end()


@contextlib.contextmanager
def _watching(engine: Engine) -> Iterator[Fetch]:
    """Yield a connection for the watch, made as the engine makes its own."""
    with private_connection(engine) as raw:
        # A look that is held up by a lock on the catalog ends, so that it is nobody's burden.
        raw.execute(
            "SELECT pg_catalog.set_config('application_name', 'neuron_schema watch', false), "
            "pg_catalog.set_config('statement_timeout', '2s', false)"
        )
        yield fetcher(raw)


def creating_tables(failed: AttemptFailed, context: StepContext) -> bool:
    """Whether two runs met in creating our tables, which IF NOT EXISTS does not prevent."""
    look = context.look
    absent = [] if look.exists else [create_sql(look.table)]
    absent += [] if look.log_exists else [log.create_sql(look.table.qualified_log)]
    return failed.sql in absent and failed.error.sqlstate in ("23505", "42710", "42P07")
