"""What a PostgreSQL error means for a run, told by its SQLSTATE and never by its text.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors as pg

from neuron_schema.errors import (
    ConnectionFailed,
    ConnectionsExhausted,
    ExtensionMissing,
    LockTimeout,
    NeuronSchemaError,
    PrivilegeMissing,
    ReadOnlyServer,
    ServerUnsupported,
    StatementFailed,
    TransactionEnded,
)
from neuron_schema.history import HISTORY_MOVED
from neuron_schema.locking import RUN_LOCK, TRANSACTION_ENDED
from neuron_schema.model import Direction, Purpose
from neuron_schema.sessions import ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.model import Step
    from neuron_schema.sessions import Session

_EXCERPT = 200
# The one exception to the rule above: libpq gives no SQLSTATE for a connection that was refused.
# Where the server speaks another language than English, it is not waited for.
_FULL = (
    "too many clients already",
    "too many connections for",
    "connection slots are reserved",
    "no more connections allowed",
)


class Cause(enum.Enum):
    """Why an attempt failed, as far as it decides what comes next."""

    RUN_LOCK_HELD = enum.auto()
    HISTORY_MOVED = enum.auto()
    LOCK_NOT_GRANTED = enum.auto()
    CONNECTION_LOST = enum.auto()
    NO_CONNECTION_FREE = enum.auto()
    STATEMENT = enum.auto()


class AttemptFailed(Exception):  # noqa: N818 - it never leaves the package
    """One attempt at a step failed.

    Attributes:
        error: What psycopg raised.
        sql: The statement that failed, as it was sent; None where none was reached.
        lost: The connection is gone, so that the outcome is unknown.
        blockers: The sessions it waited for, where they were seen.
        progressed: It had come a way that need not be gone again.
    """

    def __init__(
        self,
        error: psycopg.Error,
        *,
        sql: str | None = None,
        lost: bool = False,
        blockers: Sequence[Session] = (),
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.sql = sql
        self.lost = lost
        self.blockers = blockers
        self.progressed = False

    @property
    def cause(self) -> Cause:
        """Return what the error means."""
        return cause_of(self.error, lost=self.lost)


def original(error: BaseException) -> psycopg.Error | None:
    """Return the psycopg error behind one that SQLAlchemy wrapped, or None."""
    if isinstance(error, psycopg.Error):
        return error
    inner = getattr(error, "orig", None)
    return inner if isinstance(inner, psycopg.Error) else None


def cause_of(error: psycopg.Error, *, lost: bool) -> Cause:
    """Return what an error means for the attempt."""
    constraint = error.diag.constraint_name
    if isinstance(error, pg.LockNotAvailable) and constraint == RUN_LOCK:
        return Cause.RUN_LOCK_HELD
    if isinstance(error, pg.SerializationFailure) and constraint == HISTORY_MOVED:
        return Cause.HISTORY_MOVED
    if isinstance(error, pg.LockNotAvailable | pg.DeadlockDetected | pg.SerializationFailure):
        return Cause.LOCK_NOT_GRANTED
    if isinstance(error, pg.TooManyConnections | pg.CannotConnectNow) and _ends_session(error):
        return Cause.NO_CONNECTION_FREE
    if lost or _ends_session(error):
        return Cause.CONNECTION_LOST
    return Cause.STATEMENT


def _ends_session(error: psycopg.Error) -> bool:
    """Whether the server ends the session with it, rather than the statement alone.

    A statement may raise any SQLSTATE, those of connections too (dblink does), but not FATAL.
    https://www.postgresql.org/docs/current/protocol-error-fields.html
    """
    return error.diag.severity_nonlocalized in ("FATAL", "PANIC")


def connection_error(error: BaseException) -> ConnectionFailed | None:
    """Return our error for one that means that there is no connection, or None for another kind."""
    cause = original(error)
    if not isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) or not (
        cause.sqlstate is None or _ends_session(cause)
    ):
        return None
    if any(words in str(cause) for words in _FULL):
        return ConnectionsExhausted(
            f"cannot connect: {_one_line(cause)}",
            remedy="run again when connections are free, or raise the limit: max_connections, or "
            "CONNECTION LIMIT of the role or the database",
        )
    return ConnectionFailed(
        f"cannot connect: {_one_line(cause)}",
        remedy="check that the server runs, and the address: host, port, database, user, password",
    )


def look_error(error: psycopg.Error, table: str) -> NeuronSchemaError:
    """Return the error a user sees when a database could not be looked at.

    Args:
        table: What was looked at, by its name.
    """
    gone = connection_error(error)
    if gone is not None:
        return gone
    text = f"{table} cannot be read: {_one_line(error)}"
    if isinstance(error, pg.InsufficientPrivilege):
        return PrivilegeMissing(text, remedy=f"GRANT SELECT ON {table}, and USAGE on its schema")
    if isinstance(error, pg.LockNotAvailable):
        return LockTimeout(text, remedy="run again when the session that locks it is done")
    remedy = None
    if isinstance(error, pg.QueryCanceled):
        remedy = "run again; if it is too slow, raise statement_timeout of the role or the session"
    return StatementFailed(text, remedy=remedy, sqlstate=error.sqlstate)


def _one_line(error: psycopg.Error) -> str:
    return " ".join(str(error.diag.message_primary or error).split())


def step_error(failed: AttemptFailed, step: Step, sql: str | None) -> NeuronSchemaError:
    """Return the error a user sees for a step that failed for good.

    Args:
        sql: The author's statement that failed, or None where it was one of our own.
    """
    if failed.error.diag.constraint_name == TRANSACTION_ENDED:
        error: NeuronSchemaError = TransactionEnded(
            _message(failed.error, step, sql),
            where=step.path,
            remedy="look with `neuron-schema status` whether what came before that statement is "
            "committed, and take it out",
        )
    else:
        error = _step_error(failed, step, sql)
    error.sqlstate = failed.error.sqlstate
    return error


def _step_error(failed: AttemptFailed, step: Step, sql: str | None) -> NeuronSchemaError:
    error = failed.error
    text = _message(error, step, sql)
    if isinstance(error, pg.InsufficientPrivilege):
        return PrivilegeMissing(
            text,
            where=step.path,
            remedy="grant the role what is missing, or set `role` in [tool.neuron_schema] to one "
            "that has it" + _without_log(failed, sql),
        )
    if isinstance(error, pg.ReadOnlySqlTransaction):
        return ReadOnlyServer(
            text,
            where=step.path,
            remedy="connect to the primary, or unset default_transaction_read_only",
        )
    if isinstance(error, pg.LockNotAvailable | pg.DeadlockDetected):
        return LockTimeout(
            text + "".join(f"; blocked by {session.text}" for session in failed.blockers),
            where=step.path,
            remedy=f"end the blocking session ({_ending(failed)}) or run again when it is done; "
            "lock_timeout (--lock-timeout) and deadline are settings",
        )
    if isinstance(error, pg.FeatureNotSupported | pg.UndefinedFile) and _creates_extension(sql):
        return ExtensionMissing(
            text,
            where=step.path,
            remedy="install the extension's package on the server (pgvector on Debian: "
            "postgresql-<major>-pgvector); the embedded server has vector and uuid-ossp only",
        )
    if isinstance(error, pg.UntranslatableCharacter | pg.CharacterNotInRepertoire):
        return ServerUnsupported(
            text, where=step.path, remedy="use a database with the encoding UTF8"
        )
    return StatementFailed(
        text,
        where=step.path,
        sqlstate=error.sqlstate,
        statement=sql,
        remedy=_remedy(error, step),
        hint=error.diag.message_hint,
    )


def _without_log(failed: AttemptFailed, sql: str | None) -> str:
    """Return a way out where it is the log that could not be made or written."""
    concerned = sql is None and "tool_version" in (failed.sql or "")
    return "; --no-log goes on without the log" if concerned else ""


def _ending(failed: AttemptFailed) -> str:
    return ending(failed.blockers) if failed.blockers else "SELECT pg_terminate_backend(pid)"


def _creates_extension(sql: str | None) -> bool:
    # Compiling the lexer's pattern costs more than a command that finds nothing to do should pay.
    from neuron_schema.canonical import leading_words

    return sql is not None and leading_words(sql, 2) == ("CREATE", "EXTENSION")


def _remedy(error: psycopg.Error, step: Step) -> str:
    hint = error.diag.message_hint
    no_room = isinstance(error, pg.DiskFull | pg.IoError | pg.ConfigurationLimitExceeded)
    advice = _advice(step, no_room=no_room)
    if step.backfill is not None and isinstance(error, pg.UndefinedColumn):
        advice += '; a str in Backfill is SQL, a text to be stored is literal("...")'
    return f"{hint} ({advice})" if hint else advice


def _advice(step: Step, *, no_room: bool) -> str:
    """Return what to do after a failure, and how the version stands until then."""
    if step.backfill is not None:
        return "run again when the cause is mended; the batches before it are done and stay so"
    if step.purpose is not Purpose.RUN:
        return "run again when the cause is mended; the history is as it was"
    up = step.direction is Direction.UP
    first = "correct the version" if up else "mend the cause"
    first = "make room on the server" if no_room else first
    if step.transactional:
        stands = "was rolled back and is still pending" if up else "stays applied, all of it"
    else:
        stands = f"{'is still pending' if up else 'stays applied'}: what an operation that commits "
        stands += "on its own leaves behind is cleared away at once or by the next run"
    advice = f"{first} and run again; it {stands}"
    if up or no_room:
        return advice
    # With another `down` its file counts as modified, and would not be rolled back.
    return (
        f"{advice}; a corrected `down` is accepted with neuron-schema repair {step.version} "
        f"--expect {step.checksum[:12]}"
    )


def _message(error: psycopg.Error, step: Step, sql: str | None) -> str:
    reason = _one_line(error)
    text = f"{step.label} ({step.direction.value}): {reason}"
    if error.sqlstate:
        text += f" (SQLSTATE {error.sqlstate})"
    if error.diag.message_detail:
        text += f"; {error.diag.message_detail}"
    if sql is not None:
        text += f"; in: {_excerpt(sql, error.diag.statement_position)}"
    return text


def _excerpt(sql: str, position: str | None) -> str:
    """Return the statement's beginning, or the line in which PostgreSQL saw the error."""
    if position and position.isdigit() and 0 < int(position) <= len(sql):
        start = sql.rfind("\n", 0, int(position) - 1) + 1
        end = sql.find("\n", start)
        line = sql[start : end if end != -1 else None].strip()
        if start:
            number = sql.count("\n", 0, start) + 1
            return f"line {number}: {line[:_EXCERPT]}"
    text = " ".join(sql.split())
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 3] + "..."
