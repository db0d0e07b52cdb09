"""One transaction in one round trip, in an ``engine.begin()`` block."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import psycopg
from sqlalchemy.exc import TimeoutError as SqlalchemyTimeout

from neuron_schema.errors import NeuronSchemaError
from neuron_schema.execution.engines import arranged, pool_exhausted
from neuron_schema.execution.failures import AttemptFailed, original
from neuron_schema.execution.pipeline import run_script
from neuron_schema.execution.pooled import ending_sql, remember_sql
from neuron_schema.execution.session_state import leaves_unseen, session_sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from psycopg.pq.abc import PGresult
    from sqlalchemy import Connection, Engine

    from neuron_schema.notices import Notices

COMMIT: Final = "COMMIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What one transaction consists of, but for BEGIN and COMMIT: single statements all.

    Attributes:
        settings: Sets the session.
        opening: What comes before the author's statements.
        statements: The author's.
        closing: What comes after them.
    """

    settings: str
    opening: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    closing: tuple[str, ...] = ()


def run_transaction(
    engine: Engine,
    script: Script,
    begun: Callable[[int], None] | None = None,
    *,
    check_session: bool = True,
    notices: Notices | None = None,
    shared: bool = False,
) -> None:
    """Run statements and COMMIT in one ``engine.begin()`` block, in one round trip.

    A pipeline sends all of them before it reads an answer; after a statement that fails the
    server skips the rest, COMMIT included. Where libpq has no pipeline (before 14) they go one
    by one. https://www.postgresql.org/docs/current/libpq-pipeline-mode.html

    Args:
        script: What to run.
        begun: Told the backend's process before anything is sent.
        check_session: See whether the author's statements left the session set otherwise, and if
            so do not give the connection back to its pool.
        notices: Takes what the server says.
        shared: A pooler gives the session to other clients: if it is left set otherwise, end it.

    Raises:
        AttemptFailed: with the statement that failed; nothing was committed, unless ``lost``.
        ConnectionFailed: the engine's pool gave no connection.
    """
    try:
        with (
            engine.begin() as connection,
            arranged(connection) as raw,
            _discarded_on_failure(connection, raw) as progress,
            notices.heard(raw) if notices is not None else nullcontext(),
        ):
            if begun is not None:
                begun(raw.info.backend_pid)
            if check_session and shared:
                _run_shared(connection, raw, script, progress)
                return
            check = (session_sql(),) if check_session else ()
            authored = (*script.opening, *script.statements)
            end = (*check, *script.closing, COMMIT)
            progress.script = (_begin(raw), script.settings, *check, *authored, *end)
            run_script(connection, raw, progress.script, progress.answers)
            answers = progress.answers
            check_commit(answers[-1])
            if check_session and (
                leaves_unseen(script.statements) or _value(answers[2]) != _value(answers[-len(end)])
            ):
                # What a version leaves set is for no other version, and not for the service.
                connection.connection.invalidate(soft=True)
    except _SessionEnded:
        return
    except (AttemptFailed, NeuronSchemaError):
        raise
    except SqlalchemyTimeout as error:
        raise pool_exhausted(error) from None
    except Exception as error:
        cause = original(error)
        if cause is None:
            raise
        # No statement was sent: there was no connection to send it on.
        raise AttemptFailed(cause, lost=isinstance(cause, psycopg.OperationalError)) from None


class _SessionEnded(Exception):  # noqa: N818 - it never leaves the module
    """All is committed, and the session was ended for what was left set in it."""


def _run_shared(
    connection: Connection,
    raw: psycopg.Connection[Any],
    script: Script,
    progress: Progress,
) -> None:
    """Run a script in a pooler's session, which is ended when it is left set otherwise.

    Raises:
        _SessionEnded: it was.
    """
    parts = (script.settings, *script.opening, *script.statements, *script.closing)
    opening = (_begin(raw), remember_sql(), *parts)
    closing = (COMMIT, ending_sql(script.statements))
    progress.script = (*opening, *closing)
    committing = len(opening)
    try:
        run_script(connection, raw, opening, progress.answers, closing=closing)
    except Exception as error:
        if original(error) is None or len(progress.answers) <= committing:
            raise
        check_commit(progress.answers[committing])
        raise _SessionEnded from None
    check_commit(progress.answers[committing])


def _begin(raw: psycopg.Connection[Any]) -> str:
    """Return the BEGIN of a step; a connection that its engine lets only read stays one."""
    return "BEGIN ISOLATION LEVEL READ COMMITTED" + (" READ ONLY" if raw.read_only else "")


@dataclass(slots=True)
class Progress:
    """The statements of a transaction, and the answers to those that went well."""

    script: tuple[str, ...] = ()
    answers: list[PGresult] = field(default_factory=list)

    @property
    def failing(self) -> str | None:
        """The statement that failed, if one did; None where none was sent."""
        if not self.script:
            return None
        return self.script[min(len(self.answers), len(self.script) - 1)]


def _value(answer: PGresult) -> bytes | None:
    return answer.get_value(0, 0)


@contextmanager
def _discarded_on_failure(
    connection: Connection, raw: psycopg.Connection[Any]
) -> Iterator[Progress]:
    """Turn what psycopg raises into ``AttemptFailed``, and never give that connection back.

    A pipeline that failed half-way leaves a connection in a state that the pool's reset does not
    mend. Closing it is also what rolls its transaction back for certain.
    """
    progress = Progress()
    try:
        yield progress
    except BaseException as error:
        closed = raw.closed
        connection.invalidate()
        raw.close()
        cause = original(error)
        if cause is None:
            raise
        raise AttemptFailed(cause, sql=progress.failing, lost=closed) from None


def check_commit(answer: PGresult) -> None:
    """Raise unless COMMIT was answered with COMMIT.

    PostgreSQL answers ROLLBACK when the transaction had failed, and psycopg says nothing.
    """
    if answer.command_status != b"COMMIT":
        raise psycopg.errors.InFailedSqlTransaction(
            f"COMMIT was answered with {answer.command_status!r}"
        )
