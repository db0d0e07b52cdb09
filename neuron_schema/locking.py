"""The run lock, what a session is set to, and when to try again.

Nobody waits inside PostgreSQL for the run lock: a blocked waiter holds a snapshot, and CREATE
INDEX CONCURRENTLY waits for snapshots, so that both would wait for each other
(https://github.com/flyway/flyway/issues/1654). A failed try ends its transaction and sleeps.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neuron_schema.quoting import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from neuron_schema.history import Fetch, HistoryTable
    from neuron_schema.model import ServerFacts

RUN_LOCK = "neuron_schema_run_lock"
"""The constraint name under which the server tells that another run holds the run lock."""

_FIRST_DELAY_S = 0.05
_LONGEST_DELAY_S = 2.0
_TRANSACTION_TIMEOUT_SINCE = 170000


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """What a step's session is set to.

    Attributes:
        search_path: As the session had it at connect, or as the settings say.
        role: The role that steps run as, or None for the login role.
        lock_timeout: Seconds a statement waits for a lock in one attempt.
        statement_timeout: Seconds a statement may take; 0 for no limit.
    """

    search_path: str
    role: str | None = None
    lock_timeout: float = 2.0
    statement_timeout: float = 0.0


@functools.lru_cache(maxsize=8)
def run_lock_key(table: HistoryTable) -> int:
    """Return the advisory lock's 64-bit key; PostgreSQL keeps it apart by database itself.

    https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS
    """
    digest = hashlib.sha256(f"neuron_schema run {table.qualified}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def operation_lock_key(table: HistoryTable) -> int:
    """Return the key that a session holds while an operation that commits on its own runs.

    The run lock dies with its runner's connection; the operation's backend may live on for a
    moment, and this key tells so.
    """
    digest = hashlib.sha256(f"neuron_schema operation {table.qualified}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def guard_body(key: int) -> str:
    """Return plpgsql that takes the run lock for this transaction, or raises 55P03 at once.

    A statement that raises, rather than one that answers false, lets a whole step go out
    without waiting for the answer.
    """
    return (
        f"  IF NOT pg_catalog.pg_try_advisory_xact_lock({key}) THEN\n"
        "    RAISE EXCEPTION 'another run holds the run lock'\n"
        f"      USING ERRCODE = '55P03', CONSTRAINT = '{RUN_LOCK}';\n"
        "  END IF;"
    )


@functools.lru_cache(maxsize=8)
def settings_sql(settings: SessionSettings, facts: ServerFacts, *, transactional: bool) -> str:
    """Return one SELECT that sets a session for a step.

    Args:
        transactional: For the transaction only, with ``lock_timeout``; else for the session
            and without one: a lock timeout in CREATE INDEX CONCURRENTLY leaves an invalid index.
    """
    values = {
        "search_path": settings.search_path,
        "application_name": "neuron_schema",
        "lock_timeout": _milliseconds(settings.lock_timeout) if transactional else "0",
        "statement_timeout": _milliseconds(settings.statement_timeout) if transactional else "0",
        "idle_in_transaction_session_timeout": "0",
        "standard_conforming_strings": "on",
    }
    if facts.version_num >= _TRANSACTION_TIMEOUT_SINCE:
        values["transaction_timeout"] = "0"
    if _can_check_connection(facts):
        # Without it a killed runner's statement goes on, and keeps its locks, until it ends.
        values["client_connection_check_interval"] = "2000"
    if settings.role is not None:
        values["role"] = settings.role
    local = "true" if transactional else "false"
    calls = (
        f"pg_catalog.set_config({literal(name)}, {literal(value)}, {local})"
        for name, value in values.items()
    )
    return "SELECT " + ",\n  ".join(calls)


def session_sql() -> str:
    """Return a SELECT of one text that differs once a session is no longer set as it was.

    A version may say SET, SET ROLE or CREATE TEMP TABLE, all of which outlive its transaction.
    """
    return (
        "SELECT pg_catalog.md5(pg_catalog.concat_ws(',', "
        "(SELECT pg_catalog.string_agg(name || '=' || setting, ',') "
        "FROM pg_catalog.pg_show_all_settings() WHERE source = 'session'), "
        "pg_catalog.current_setting('role'), session_user, pg_catalog.pg_my_temp_schema()))"
    )


_KEEPS_SESSION = frozenset({"ALTER", "COMMENT", "CREATE", "DROP", "GRANT", "REVOKE"})


def can_change_session(statements: Iterable[str]) -> bool:
    """Return whether statements may leave a session set otherwise than they found it.

    DDL does not, but for temporary tables. Data changes and SELECT may call a function that does.
    """
    # As in failures: the lexer is only wanted where something runs.
    from neuron_schema.canonical import leading_words

    for sql in statements:
        if not _KEEPS_SESSION.issuperset(leading_words(sql, 1) or ("",)):
            return True
        text = sql.lower()
        if "temp" in text or "set_config" in text:
            return True
    return False


def _milliseconds(seconds: float) -> str:
    # Rounding a small timeout to 0 would mean none at all.
    return str(max(1, round(seconds * 1000)) if seconds > 0 else 0)


def _can_check_connection(facts: ServerFacts) -> bool:
    """Whether the server's platform can tell that a client has gone.

    https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-CLIENT-CONNECTION-CHECK-INTERVAL
    """
    build = facts.version.lower()
    return not any(word in build for word in ("mingw", "visual c++", "msvc", "windows"))


class Deadline:
    """Counts attempts and says how long to sleep before the next one.

    Args:
        limit_s: Seconds from now until no further attempt is made.
    """

    def __init__(self, limit_s: float) -> None:
        self._ends = time.monotonic() + limit_s
        self.attempts = 0

    def delay(self) -> float | None:
        """Return seconds to sleep before the next attempt, or None when time is up.

        Full jitter: runs that failed together do not come back together.
        """
        left = self._ends - time.monotonic()
        if left <= 0:
            return None
        self.attempts += 1
        ceiling = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2 ** min(self.attempts, 16))
        return min(left, random.uniform(_FIRST_DELAY_S / 2, ceiling))  # noqa: S311 - no secret


def holder_of(fetch: Fetch, key: int) -> str | None:
    """Describe the session that holds an advisory lock, or return None.

    https://www.postgresql.org/docs/current/view-pg-locks.html
    """
    unsigned = key & 0xFFFFFFFFFFFFFFFF
    rows = fetch(
        f"""SELECT {_SESSION} FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                      WHERE d.datname = pg_catalog.current_database())
   AND l.classid = {unsigned >> 32} AND l.objid = {unsigned & 0xFFFFFFFF}"""
    )
    return describe_session(rows[0]) if rows else None


def blockers_of(fetch: Fetch, pid: int) -> str | None:
    """Describe the sessions that a backend waits for, or return None.

    https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SESSION
    """
    rows = fetch(
        f"SELECT {_SESSION} FROM pg_catalog.pg_stat_activity a "
        f"WHERE a.pid = ANY (pg_catalog.pg_blocking_pids({pid}))"
    )
    return "; ".join(describe_session(row) for row in rows) if rows else None


_SESSION = (
    "a.pid, a.usename, a.application_name, a.state, "
    "EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::float8, "
    "pg_catalog.left(a.query, 200)"
)


def describe_session(row: Any) -> str:
    """Return a row of ``pg_stat_activity`` as a sentence."""
    pid, user, application, state, age, query = row
    text = f"pid {pid}"
    text += f" ({', '.join(part for part in (user, application, state) if part)})"
    if age is not None:
        text += f", in its transaction for {age:.0f} s"
    if query:
        text += f": {' '.join(query.split())}"
    return text


class BlockerWatch:
    """Look from a second connection at what a step's backend waits for, while it waits.

    Afterwards nobody knows any more: the error of ``lock_timeout`` names no session. One thread
    serves all steps of a run; it opens its connection only for a step that takes long.

    Args:
        connect: Opens a connection for the length of a ``with`` block.
        after_s: Seconds that a step may take before it is watched; most never are.
    """

    INTERVAL_S = 0.1

    def __init__(
        self, connect: Callable[[], AbstractContextManager[Fetch]], *, after_s: float
    ) -> None:
        self._connect = connect
        self._after_s = after_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._watched: tuple[int, float] | None = None
        self.seen: str | None = None

    def begin(self, pid: int) -> None:
        """Watch a backend from now on."""
        self.seen = None
        self._watched = (pid, time.monotonic())
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="neuron-schema-blockers", daemon=True
            )
            self._thread.start()

    def end(self) -> None:
        """Watch nothing until the next step begins."""
        self._watched = None

    def __enter__(self) -> BlockerWatch:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.wait(min(self._after_s, self.INTERVAL_S)):
            watched = self._watched
            if watched is not None and time.monotonic() - watched[1] >= self._after_s:
                # A second connection is a convenience, not a need.
                with contextlib.suppress(Exception):
                    self._look(watched)

    def _look(self, watched: tuple[int, float]) -> None:
        with self._connect() as fetch:
            while self._watched is watched:
                blockers = blockers_of(fetch, watched[0])
                if blockers is not None and self._watched is watched:
                    self.seen = blockers
                if self._stop.wait(self.INTERVAL_S):
                    return
