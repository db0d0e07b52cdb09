"""Connections of a run's own, made as its engine makes them and never part of the pool."""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import tuple_row

from neuron_schema.execution.failures import AttemptFailed, original
from neuron_schema.execution.pipeline import run_alone
from neuron_schema.execution.transaction import COMMIT, Progress, check_commit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg.pq.abc import PGresult
    from sqlalchemy import Engine

    from neuron_schema.history import Fetch


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
    script = ("BEGIN ISOLATION LEVEL READ COMMITTED", settings, *statements, COMMIT)
    progress = Progress(script=script)
    try:
        run_alone(connection, script, progress.answers)
        check_commit(progress.answers[-1])
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
