"""The connections that a run uses, all of them from the engine that the caller gave.

The engine keeps its pool, its isolation level and its listeners; what a run changes on a
connection is put back when that goes back to the pool.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import Engine, event

from neuron_schema.errors import DriverUnsupported
from neuron_schema.failures import AttemptFailed, connection_error, original
from neuron_schema.history import Look, look

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from neuron_schema.history import Fetch, HistoryTable


def check_engine(engine: object) -> Engine:
    """Return the engine when it is a synchronous one on psycopg 3.

    Raises:
        DriverUnsupported: it is something else.
    """
    if not isinstance(engine, Engine):
        raise DriverUnsupported(
            f"a {type(engine).__name__} is no synchronous SQLAlchemy Engine",
            remedy="pass sqlalchemy.create_engine('postgresql+psycopg://...'); of an AsyncEngine "
            "on psycopg, its sync counterpart made from the same URL",
        )
    if engine.dialect.name != "postgresql" or engine.dialect.driver != "psycopg":
        raise DriverUnsupported(
            f"the engine runs on {engine.dialect.name}+{engine.dialect.driver}",
            remedy="create it with the URL postgresql+psycopg://...",
        )
    return engine


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
    reader = engine.execution_options(
        isolation_level="AUTOCOMMIT", no_parameters=True, stream_results=False
    )
    try:
        with reader.connect() as connection:
            pid = driver_connection(connection).info.backend_pid
            return look(
                lambda sql: connection.exec_driver_sql(sql).fetchall(), table, backend_pid=pid
            )
    except Exception as error:
        failure = connection_error(error)
        if failure is None:
            raise
        raise failure from None


def run_transaction(engine: Engine, script: Sequence[str]) -> None:
    """Run statements and COMMIT in one ``engine.begin()`` block, in one round trip.

    A pipeline sends all of them before it reads an answer; after a statement that fails the
    server skips the rest, COMMIT included. Where libpq has no pipeline (before 14) they go one
    by one. https://www.postgresql.org/docs/current/libpq-pipeline-mode.html

    Args:
        script: Single statements, without BEGIN and COMMIT.

    Raises:
        AttemptFailed: with the statement that failed; nothing was committed, unless ``lost``.
    """
    begin = engine.execution_options(
        isolation_level="READ COMMITTED", no_parameters=True, stream_results=False
    )
    cursors: list[Any] = []
    try:
        with begin.begin() as connection:
            event.listen(
                connection, "after_cursor_execute", lambda _c, cursor, *_: cursors.append(cursor)
            )
            with _discarded_on_failure(connection, cursors):
                _send(connection, (*script, "COMMIT"))
                _check_commit(cursors[-1])
    except AttemptFailed:
        raise
    except Exception as error:
        cause = original(error)
        if cause is None:
            raise
        # No statement was sent: there was no connection to send it on.
        raise AttemptFailed(cause, lost=isinstance(cause, psycopg.OperationalError)) from None


def _send(connection: Connection, script: Sequence[str]) -> None:
    raw = driver_connection(connection)
    raw.prepare_threshold, threshold = None, raw.prepare_threshold
    try:
        if not psycopg.Pipeline.is_supported():
            for sql in script:
                connection.exec_driver_sql(sql)
            return
        failure: BaseException | None = None
        with raw.pipeline() as pipeline:
            try:
                for sql in script:
                    connection.exec_driver_sql(sql)
                pipeline.sync()
            except Exception as error:  # noqa: BLE001 - raised again below
                # Raised inside the block, so that leaving it does not raise a second error.
                failure = error
        if failure is not None:
            raise failure
    finally:
        raw.prepare_threshold = threshold


@contextmanager
def _discarded_on_failure(connection: Connection, cursors: list[Any]) -> Iterator[None]:
    """Turn what psycopg raises into ``AttemptFailed``, and never give that connection back.

    A pipeline that failed half-way leaves a connection in a state that the pool's reset does not
    mend. Closing it is also what rolls its transaction back for certain.
    """
    raw = driver_connection(connection)
    try:
        yield
    except BaseException as error:
        closed = raw.closed
        connection.invalidate()
        cause = original(error)
        if cause is None:
            raise
        answered = [index for index, cursor in enumerate(cursors) if cursor.pgresult is None]
        raise AttemptFailed(
            cause, index=answered[0] if answered else len(cursors), lost=closed
        ) from None


def _check_commit(cursor: Any) -> None:
    """Raise unless COMMIT was answered with COMMIT.

    PostgreSQL answers ROLLBACK when the transaction had failed, and psycopg says nothing.
    """
    status = cursor.pgresult.command_status if cursor.pgresult else None
    if status != b"COMMIT":
        raise psycopg.errors.InFailedSqlTransaction(f"COMMIT was answered with {status!r}")


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
                raw.rollback()
            raw.autocommit = True
            raw.prepare_threshold = None
            yield raw
        finally:
            fairy.invalidate()
            fairy.close()
    finally:
        pool.dispose()


def fetcher(connection: psycopg.Connection[Any]) -> Fetch:
    """Return a function that runs one SQL text on a connection and returns its rows."""
    return lambda sql: connection.execute(sql.encode()).fetchall()
