"""What the tests of the runner share: queries on its traces, and waiting for a state."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

#: Arguments of ``write_version`` for one CREATE INDEX CONCURRENTLY on ``ledger.entries``.
CONCURRENTLY = {
    "imports": (
        "from sqlalchemy import Column, Index, MetaData, String, Table\n"
        "from sqlalchemy.schema import CreateIndex, DropIndex"
    ),
    "body": (
        'entries = Table("entries", MetaData(), Column("version", String), schema="ledger")\n'
        'index = Index("i", entries.c.version, postgresql_concurrently=True)'
    ),
    "up": "[CreateIndex(index)]",
    "down": "[DropIndex(index)]",
}


def scalar(connection: psycopg.Connection, sql: str) -> Any:
    """Return the first column of a query's first row."""
    row = connection.execute(sql.encode()).fetchone()
    return row[0] if row else None


def applied(connection: psycopg.Connection, table: str = "neuron_migrations") -> list[str]:
    """Return the versions in the history table, [] before it exists."""
    if scalar(connection, f"SELECT to_regclass('{table}')") is None:
        return []
    return [
        row[0] for row in connection.execute(f"SELECT version FROM {table} ORDER BY 1".encode())
    ]


def leftovers(connection: psycopg.Connection) -> list[str]:
    """Wait until no other session of the database is left; return what else a run left behind.

    That is advisory locks, invalid indexes and prepared transactions.
    """
    wait_for(
        lambda: (
            scalar(
                connection,
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
            )
            == 0
        )
    )
    return [
        row[0]
        for row in connection.execute(
            "SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database()) "
            "UNION ALL SELECT 'index ' || indexrelid::regclass FROM pg_index WHERE NOT indisvalid "
            "UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts"
        )
    ]


def wait_for(condition: Callable[[], object], *, limit_s: float = 30) -> None:
    """Wait until a condition holds; how long it takes makes no difference to a test.

    Raises:
        TimeoutError: it does not come true.
    """
    ends = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError
        time.sleep(0.01)
