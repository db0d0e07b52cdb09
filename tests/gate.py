"""Holds a build up at a row of its table until the test lets it go on."""

from __future__ import annotations

import psycopg

from tests.runs import scalar, wait_for

_KEY = 7707
_ROWS = 3000  # a few dozen blocks


def gated_table(connection: psycopg.Connection, rows: int = _ROWS) -> None:
    """Make ``gated (n int, filler text)`` and the function ``gate(n)``, for an index on it.

    The gate is at its middle row.
    The function is called immutable so that an index may use it. It asks again and again, because
    a wait for the lock would fall under lock_timeout.
    """
    connection.execute(
        "CREATE FUNCTION gate(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN\n"
        f"  IF n = {rows // 2} THEN\n"
        f"    WHILE NOT pg_catalog.pg_try_advisory_lock_shared({_KEY}) LOOP\n"
        "      PERFORM pg_catalog.pg_sleep(0.01);\n"
        "    END LOOP;\n"
        f"    PERFORM pg_catalog.pg_advisory_unlock_shared({_KEY});\n"
        "  END IF;\n"
        "  RETURN n;\nEND$$;"
        "CREATE TABLE gated (n int, filler text);"
        f"INSERT INTO gated SELECT g, repeat('x', 100) FROM generate_series(1, {rows}) g"
    )


class Gate:
    """Closed from the beginning of the block until ``open``, or its end.

    Args:
        dsn: The address of the database.
    """

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)

    def __enter__(self) -> Gate:
        self._connection.execute("SELECT pg_advisory_lock(%s)", (_KEY,))
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def open(self) -> None:
        """Let what waits go on."""
        self._connection.execute("SELECT pg_advisory_unlock_all()")

    def wait(self, *, limit_s: float = 30) -> int:
        """Return the process of a build once it stands at the gate."""
        wait_for(lambda: scalar(self._connection, _WAITING), limit_s=limit_s)
        return int(scalar(self._connection, _WAITING))


_WAITING = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
    "AND state = 'active' AND wait_event = 'PgSleep'"
)
