"""The connections that a run uses, all of them from the engine that the caller gave.

The engine keeps its pool, its isolation level and its listeners; what a run changes on a
connection is put back when that goes back to the pool.
"""

from __future__ import annotations

import contextlib
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as SqlalchemyTimeout

from neuron_schema.errors import (
    ConnectionFailed,
    DriverUnsupported,
    NeuronSchemaError,
    SettingsError,
)
from neuron_schema.execution.failures import AttemptFailed, look_error, original
from neuron_schema.execution.pipeline import run_alone, run_script
from neuron_schema.execution.pooled import ending_sql, remember_sql
from neuron_schema.execution.session_state import leaves_unseen, session_sql
from neuron_schema.history import Look, look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from psycopg.pq.abc import PGresult
    from sqlalchemy import Connection

    from neuron_schema.history import Fetch, HistoryTable
    from neuron_schema.notices import Notices

T = TypeVar("T")


def check_engine(engine: object) -> Engine:
    """Return the engine when it is a synchronous one on psycopg 3.

    Raises:
        DriverUnsupported: it is something else.
        SettingsError: it is to put other schemas in place of those that versions name.
    """
    # What an AsyncEngine calls its sync_engine works in SQLAlchemy's greenlets alone.
    if not isinstance(engine, Engine) or engine.dialect.is_async:
        raise DriverUnsupported(
            f"{'the sync_engine of an AsyncEngine' if isinstance(engine, Engine) else _a(engine)}"
            " is no synchronous SQLAlchemy Engine",
            remedy="pass sqlalchemy.create_engine('postgresql+psycopg://...'); beside an "
            "AsyncEngine on psycopg, create_engine(async_engine.url)",
        )
    if engine.dialect.name != "postgresql" or engine.dialect.driver != "psycopg":
        raise DriverUnsupported(
            f"the engine runs on {engine.dialect.name}+{engine.dialect.driver}",
            remedy="create it with the URL postgresql+psycopg://...",
        )
    if engine.get_execution_options().get("schema_translate_map"):
        raise SettingsError(
            "the engine has a schema_translate_map, and versions are compiled without it",
            remedy="pass an engine without it, and search_path='...' to the runner",
        )
    return engine


def _a(value: object) -> str:
    return f"a {type(value).__name__}"


def driver_connection(connection: Connection) -> psycopg.Connection[Any]:
    """Return the psycopg connection behind SQLAlchemy's."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)  # noqa: S101 - check_engine saw to it
    return raw


def look_through(engine: Engine, table: HistoryTable) -> Look:
    """Look at the engine's database, without writing.

    Raises:
        ConnectionFailed: the server does not answer.
        NeuronSchemaError: what ``history.look`` raises.
    """
    return read_through(
        engine, lambda fetch, pid: look(fetch, table, backend_pid=pid), table.qualified
    )


def ask_apart(engine: Engine, sql: str, *, timeout_s: float) -> list[Any]:
    """Ask one query that finds names in ``pg_catalog`` alone and ends in time, in one round trip.

    What the session is set to is neither obeyed nor changed: one message is one transaction.

    Raises:
        PrivilegeMissing: the role may not ask it.
        ConnectionFailed: the server does not answer.
        NeuronSchemaError: it failed otherwise.
    """
    limit = f"{round(timeout_s * 1000)}ms"
    script = (
        "SELECT pg_catalog.set_config('search_path', 'pg_catalog', true), "
        f"pg_catalog.set_config('statement_timeout', '{limit}', true);\n{sql}"
    )
    return list(read_through(engine, lambda fetch, _pid: fetch(script), "the catalog"))


def server_identity(engine: Engine) -> tuple[object, ...]:
    """Return what tells an engine's database from every other one.

    Raises:
        ConnectionFailed: the server does not answer.
    """
    sql = (
        "SELECT oid::text, datname::text, pg_catalog.pg_postmaster_start_time()::text "
        "FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
    )
    return tuple(read_through(engine, lambda fetch, _pid: fetch(sql)[0], "the server"))


def read_through(engine: Engine, ask: Callable[[Fetch, int], T], what: str) -> T:
    """Read on one of the engine's connections; on a second one if the first was dead already.

    Args:
        engine: Whose connection it is to be.
        ask: Reads, given what runs SQL and the backend's process.
        what: What is read, for messages.

    Raises:
        ConnectionFailed: the server does not answer.
        NeuronSchemaError: it may not be read.
    """
    for last in (False, True):
        try:
            with (
                engine.connect() as connection,
                _arranged(connection) as raw,
            ):
                return ask(_fetch_through(connection), raw.info.backend_pid)
        except SqlalchemyTimeout as error:
            raise _pool_exhausted(error) from None
        except Exception as error:
            cause = original(error)
            if cause is None:
                raise
            if last or not getattr(error, "connection_invalidated", False):
                raise look_error(cause, what) from None
    raise AssertionError


def _fetch_through(connection: Connection) -> Fetch:
    def fetch(sql: str) -> Sequence[Any]:
        result = connection.exec_driver_sql(sql)
        cursor: Any = result.cursor
        while cursor.nextset():
            # Of several statements in one message the last one's rows are asked for.
            pass
        rows: list[Any] = cursor.fetchall()
        result.close()
        return rows

    return fetch


def _pool_exhausted(error: SqlalchemyTimeout) -> ConnectionFailed:
    return ConnectionFailed(
        f"the engine's pool gave no connection: {error}",
        remedy="give the runner an engine of its own, or return connections before it runs",
    )


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
            _arranged(connection) as raw,
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
            end = (*check, *script.closing, _COMMIT)
            progress.script = (_begin(raw), script.settings, *check, *authored, *end)
            run_script(connection, raw, progress.script, progress.answers)
            answers = progress.answers
            _check_commit(answers[-1])
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
        raise _pool_exhausted(error) from None
    except Exception as error:
        cause = original(error)
        if cause is None:
            raise
        # No statement was sent: there was no connection to send it on.
        raise AttemptFailed(cause, lost=isinstance(cause, psycopg.OperationalError)) from None


_COMMIT = "COMMIT"


class _SessionEnded(Exception):  # noqa: N818 - it never leaves the module
    """All is committed, and the session was ended for what was left set in it."""


def _run_shared(
    connection: Connection,
    raw: psycopg.Connection[Any],
    script: Script,
    progress: _Progress,
) -> None:
    """Run a script in a pooler's session, which is ended when it is left set otherwise.

    Raises:
        _SessionEnded: it was.
    """
    parts = (script.settings, *script.opening, *script.statements, *script.closing)
    ending = ending_sql(script.statements)
    progress.script = (_begin(raw), remember_sql(), *parts, _COMMIT, ending)
    committing = len(progress.script) - 2
    try:
        run_script(connection, raw, progress.script, progress.answers)
    except Exception as error:
        if original(error) is None or len(progress.answers) <= committing:
            raise
        _check_commit(progress.answers[committing])
        raise _SessionEnded from None
    _check_commit(progress.answers[committing])


def _begin(raw: psycopg.Connection[Any]) -> str:
    """Return the BEGIN of a step; a connection that its engine lets only read stays one."""
    return "BEGIN ISOLATION LEVEL READ COMMITTED" + (" READ ONLY" if raw.read_only else "")


@dataclass(slots=True)
class _Progress:
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
def _arranged(connection: Connection) -> Iterator[psycopg.Connection[Any]]:
    """Set up a connection as a run needs it, whatever its engine's options, and put it back.

    Autocommit to the driver: its own BEGIN would cost a round trip of its own.
    """
    raw = driver_connection(connection)
    if raw.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        # A listener of the engine's began it, with settings that are to last.
        raw.commit()
    # With `yield_per` SQLAlchemy would use a cursor of the server's all the same.
    connection.execution_options(no_parameters=True, stream_results=False, yield_per=None)
    before = (raw.autocommit, raw.prepare_threshold, raw.row_factory)
    raw.autocommit, raw.prepare_threshold, raw.row_factory = True, None, tuple_row
    try:
        yield raw
    finally:
        raw.row_factory = before[2]
        if raw.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            raw.autocommit, raw.prepare_threshold = before[:2]


@contextmanager
def _discarded_on_failure(
    connection: Connection, raw: psycopg.Connection[Any]
) -> Iterator[_Progress]:
    """Turn what psycopg raises into ``AttemptFailed``, and never give that connection back.

    A pipeline that failed half-way leaves a connection in a state that the pool's reset does not
    mend. Closing it is also what rolls its transaction back for certain.
    """
    progress = _Progress()
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


def _check_commit(answer: PGresult) -> None:
    """Raise unless COMMIT was answered with COMMIT.

    PostgreSQL answers ROLLBACK when the transaction had failed, and psycopg says nothing.
    """
    if answer.command_status != b"COMMIT":
        raise psycopg.errors.InFailedSqlTransaction(
            f"COMMIT was answered with {answer.command_status!r}"
        )


@contextmanager
def private_connection(engine: Engine) -> Iterator[psycopg.Connection[Any]]:
    """Yield a psycopg connection that is made as the engine makes its own, and closed afterwards.

    It does not come out of the engine's pool, which may hold a single connection, and nothing
    that is set in its session can leak to the service.

    Raises:
        AttemptFailed: there is no connection to be had.
    """
    pool = engine.pool.recreate()
    try:
        try:
            fairy = pool.connect()
        except Exception as error:
            cause = original(error)
            if cause is None:
                raise
            raise AttemptFailed(cause, lost=True) from None
        raw = fairy.driver_connection
        assert isinstance(raw, psycopg.Connection)  # noqa: S101 - check_engine saw to it
        try:
            if raw.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                raw.commit()
            raw.autocommit = True
            raw.prepare_threshold = None
            raw.row_factory = tuple_row
            yield raw
        finally:
            fairy.invalidate()
            fairy.close()
    finally:
        pool.dispose()


def execute(connection: psycopg.Connection[Any], sql: str) -> psycopg.Cursor[Any]:
    """Run one statement on a private connection.

    Raises:
        AttemptFailed: it failed.
    """
    try:
        return connection.execute(sql.encode(connection.info.encoding))
    except psycopg.Error as error:
        raise AttemptFailed(error, sql=sql, lost=connection.closed) from None


def commit_alone(
    connection: psycopg.Connection[Any], settings: str, statements: tuple[str, ...]
) -> list[PGresult]:
    """Run statements and COMMIT as one transaction on a private connection, in one round trip.

    Args:
        connection: In autocommit; it can be used again, unless it is lost.
        settings: Sets the transaction.
        statements: What it does.

    Returns:
        What libpq answers to each of the statements.

    Raises:
        AttemptFailed: nothing was committed, unless the connection is lost.
    """
    script = ("BEGIN ISOLATION LEVEL READ COMMITTED", settings, *statements, _COMMIT)
    progress = _Progress(script=script)
    try:
        run_alone(connection, script, progress.answers)
        _check_commit(progress.answers[-1])
    except psycopg.Error as error:
        lost = connection.closed
        if not lost:
            with contextlib.suppress(psycopg.Error):
                connection.execute("ROLLBACK")
        # Whatever of it was under way, it is the batch that may be there or not.
        sql = statements[0] if lost else progress.failing
        raise AttemptFailed(error, sql=sql, lost=lost) from None
    return progress.answers[2:-1]


def fetcher(connection: psycopg.Connection[Any]) -> Fetch:
    """Return a function that runs one SQL text on a connection and returns its rows."""
    return lambda sql: connection.execute(sql.encode(connection.info.encoding)).fetchall()
