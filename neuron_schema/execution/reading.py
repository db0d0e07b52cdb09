"""Reads through an engine: the history, the catalog, who the server is. Nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import TimeoutError as SqlalchemyTimeout

from neuron_schema.execution.engines import arranged, pool_exhausted
from neuron_schema.execution.failures import look_error, original
from neuron_schema.history import Look, look

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine

    from neuron_schema.history import Fetch, HistoryTable

T = TypeVar("T")


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
                arranged(connection) as raw,
            ):
                return ask(_fetch_through(connection), raw.info.backend_pid)
        except SqlalchemyTimeout as error:
            raise pool_exhausted(error) from None
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
