"""Connections of a command: a plain one for the look, an engine for the run."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, Any, TypeVar

from neuron_schema.errors import ConnectionFailed, ConnectionsExhausted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from neuron_schema.address import Address
    from neuron_schema.history import Fetch, HistoryTable, Look

T = TypeVar("T")

_LEAST_CONNECT_TIMEOUT_S = 2  # libpq's own
_SESSION = {
    "application_name": "neuron_schema",
    # From a database without an encoding (SQL_ASCII) psycopg would return bytes for text.
    "client_encoding": "utf8",
    # A host that vanished is noticed in half a minute, not in two hours.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "connect_timeout": "10",
}


def look_at(
    address: Address, table: HistoryTable, *, patience_s: float, beside: str | None = None
) -> tuple[Look, list[Any]]:
    """Look at a database through a plain psycopg connection.

    SQLAlchemy's first connection takes ten round trips, and importing it longer than all the
    rest of a command that has nothing to do.

    Args:
        address: Of the database.
        table: The history table.
        patience_s: Seconds to wait for a server that does not answer or is starting up.
        beside: A query to be asked in the same round trip as the first of the look.

    Returns:
        The look, and the rows of ``beside``.

    Raises:
        ConnectionFailed: the server does not answer.
        PrivilegeMissing: the role may not read the history table.
        LockTimeout, StatementFailed: it cannot be read for another reason.
    """
    from neuron_schema import history

    with _reading(address, table.qualified, patience_s) as connection:
        fetch = _Fetch(connection, beside)
        look = history.look(fetch, table, backend_pid=connection.info.backend_pid)
        return look, fetch.rows_beside


def read_at(address: Address, ask: Callable[[Fetch], T], name: str, *, patience_s: float) -> T:
    """Read through a plain psycopg connection.

    Args:
        address: Of the database.
        ask: Reads, given what runs SQL.
        name: The table that is read, for messages.
        patience_s: As for ``look_at``.

    Raises:
        ConnectionFailed: the server does not answer.
        PrivilegeMissing: the role may not read the table.
        LockTimeout, StatementFailed: it cannot be read for another reason.
    """
    with _reading(address, name, patience_s) as connection:
        return ask(_Fetch(connection, None))


@contextlib.contextmanager
def _reading(address: Address, name: str, patience_s: float) -> Iterator[Any]:
    import psycopg

    from neuron_schema.execution.failures import look_error

    with _connect(address, patience_s) as connection:
        try:
            yield connection
        except psycopg.Error as error:
            # A lock or a statement that timed out is an OperationalError too, like a lost server.
            raise look_error(error, name) from None


@contextlib.contextmanager
def bounded(address: Address, *, patience_s: float, limit_s: float) -> Iterator[Fetch]:
    """Yield what asks a database single queries, each within a time of its own.

    Names without a schema are found in ``pg_catalog`` alone.

    Raises:
        ConnectionFailed: the server does not answer.
    """
    limit = f"{limit_s * 1000:.0f}ms"
    values = {"statement_timeout": limit, "lock_timeout": limit, "search_path": "pg_catalog"}
    limits = "SELECT " + ", ".join(
        f"pg_catalog.set_config('{name}', '{value}', true)" for name, value in values.items()
    )
    with _connect(address, patience_s) as connection:

        def fetch(sql: str) -> list[Any]:
            # One message is one transaction, so that the limits end with it.
            cursor = connection.execute(f"{limits};\n{sql}".encode(connection.info.encoding))
            cursor.nextset()
            rows: list[Any] = cursor.fetchall()
            return rows

        yield fetch


def rows_of(
    address: Address, search_path: str, tables: Iterable[str], *, patience_s: float
) -> dict[str, int | None]:
    """Return about how many rows tables have; None for one that is not there or was not counted.

    Args:
        search_path: Where they are looked for.
        tables: As statements name them.
        patience_s: As for ``look_at``.

    Raises:
        ConnectionFailed: the server does not answer.
        NeuronSchemaError: they cannot be read.
    """
    from neuron_schema.backfill_sql import relation_sql
    from neuron_schema.quoting import literal

    with _reading(address, "the catalog", patience_s) as connection:
        fetch = _Fetch(connection, None)
        fetch(f"SELECT pg_catalog.set_config('search_path', {literal(search_path)}, false)")
        found = {table: fetch(relation_sql(table)) for table in tables}
    return {table: rows[0][2] if rows else None for table, rows in found.items()}


class _Fetch:
    """Runs one SQL text after the other and returns its rows, the first with a second beside it."""

    def __init__(self, connection: Any, beside: str | None) -> None:
        self._connection = connection
        self._beside = beside
        self.rows_beside: list[Any] = []

    def __call__(self, sql: str) -> list[Any]:
        beside, self._beside = self._beside, None
        text = f"{sql};\n{beside}" if beside else sql
        cursor = self._connection.execute(text.encode(self._connection.info.encoding))
        rows: list[Any] = cursor.fetchall()
        if beside:
            cursor.nextset()
            self.rows_beside = cursor.fetchall()
        return rows


@contextlib.contextmanager
def engine_for(address: Address) -> Iterator[Any]:
    """Yield an engine, which is disposed of afterwards."""
    from sqlalchemy import create_engine

    # The HSTORE look-up alone costs three round trips on the first connection.
    engine = create_engine(
        address.sqlalchemy_url(),
        pool_size=1,
        use_native_hstore=False,
        connect_args={**_session(address), "prepare_threshold": None},
    )
    try:
        yield engine
    finally:
        engine.dispose()


def _connect(address: Address, patience_s: float) -> Any:
    import psycopg

    from neuron_schema.execution.failures import connection_error
    from neuron_schema.locking import Deadline

    deadline = Deadline(patience_s)
    conninfo = {**_session(address), **address.conninfo()}
    if "connect_timeout" not in address.params:
        limit = max(_LEAST_CONNECT_TIMEOUT_S, math.ceil(min(patience_s, 3600)))
        conninfo["connect_timeout"] = str(min(int(_SESSION["connect_timeout"]), limit))
    while True:
        try:
            return psycopg.connect(**conninfo, autocommit=True, prepare_threshold=None)
        except psycopg.Error as error:
            failure = connection_error(error) or ConnectionFailed(
                f"cannot connect: {' '.join(str(error).split())}",
                remedy="check the address",
            )
            # A connection's failure has no SQLSTATE; libpq can tell a server that is
            # starting up or shutting down (57P03) from one that is not there.
            passing = isinstance(failure, ConnectionsExhausted) or _starting_up(conninfo)
            delay = deadline.delay() if passing else None
            if delay is None:
                raise failure from None
            time.sleep(delay)


def _starting_up(conninfo: dict[str, Any]) -> bool:
    """Whether libpq says that a server is there but takes no connections yet or any more.

    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PQPINGPARAMS
    """
    from psycopg import conninfo as libpq
    from psycopg import pq

    quick = {**conninfo, "connect_timeout": str(_LEAST_CONNECT_TIMEOUT_S)}
    answer: int = pq.PGconn.ping(libpq.make_conninfo("", **quick).encode())
    return answer == pq.Ping.REJECT


def _session(address: Address) -> dict[str, str]:
    """Return what a session is opened with, without what the address says itself."""
    return {key: value for key, value in _SESSION.items() if key not in address.params}
