"""What a run needs of the engine that the caller gave, and of its connections.

The engine keeps its pool, its isolation level and its listeners; what a run changes on a
connection is put back when that goes back to the pool.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy import Engine

from neuron_schema.errors import ConnectionFailed, DriverUnsupported, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection
    from sqlalchemy.exc import TimeoutError as SqlalchemyTimeout


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


@contextmanager
def arranged(connection: Connection) -> Iterator[psycopg.Connection[Any]]:
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


def pool_exhausted(error: SqlalchemyTimeout) -> ConnectionFailed:
    """Return what is raised where an engine's pool gave no connection in its time."""
    return ConnectionFailed(
        f"the engine's pool gave no connection: {error}",
        remedy="give the runner an engine of its own, or return connections before it runs",
    )
