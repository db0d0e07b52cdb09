"""The sessions of others that a run waits for: who they are, and the SQL that ends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from neuron_schema.history import Fetch


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody else's session that a run waits for.

    Attributes:
        text: Who it is, since when, and what it runs.
    """

    pid: int
    text: str


def holder_of(fetch: Fetch, key: int) -> Session | None:
    """Return the session that holds an advisory lock, or None.

    https://www.postgresql.org/docs/current/view-pg-locks.html
    """
    unsigned = key & 0xFFFFFFFFFFFFFFFF
    rows = fetch(
        f"""SELECT {SESSION} FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                      WHERE d.datname = pg_catalog.current_database())
   AND l.classid = {unsigned >> 32} AND l.objid = {unsigned & 0xFFFFFFFF}"""
    )
    return describe_session(rows[0]) if rows else None


def blockers_sql(pid: int) -> str:
    """Return FROM and WHERE of a query for the sessions that a backend waits for, as ``a``.

    ``pg_blocking_pids`` stops the lock manager for a moment, so it is asked of a backend that
    waits for a lock alone.
    https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SESSION
    """
    return (
        f"FROM pg_catalog.pg_stat_get_activity({pid}) s "
        "CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(s.pid)) b(pid) "
        "JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid "
        "WHERE s.wait_event_type = 'Lock'"
    )


SESSION = (
    "a.pid, a.usename, a.application_name, pg_catalog.host(a.client_addr), a.state, "
    "EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::float8, "
    "pg_catalog.left(a.query, 200)"
)
"""The columns of ``pg_stat_activity a`` that ``describe_session`` takes."""


def describe_session(row: Any) -> Session:
    """Return a row of ``pg_stat_activity`` in words."""
    pid, user, application, client, state, age, query = row
    text = f"pid {pid}"
    known = (user, application, f"from {client}" if client else None, state)
    if any(known):
        text += f" ({', '.join(part for part in known if part)})"
    if age is not None:
        text += f", in its transaction for {age:.0f} s"
    if query:
        text += f": {' '.join(query.split())}"
    return Session(pid, text)


def in_words(sessions: Iterable[Session]) -> str:
    """Return who sessions are, in a line."""
    return "; ".join(session.text for session in sessions)


def ending(sessions: Iterable[Session]) -> str:
    """Return the SQL that ends sessions."""
    calls = ", ".join(f"pg_terminate_backend({session.pid})" for session in sessions)
    return f"SELECT {calls}"
