"""The run lock, what a session is set to, and when to try again.

Nobody waits inside PostgreSQL for the run lock: a blocked waiter holds a snapshot, and CREATE
INDEX CONCURRENTLY waits for snapshots, so that both would wait for each other
(https://github.com/flyway/flyway/issues/1654). A failed try ends its transaction and sleeps.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from neuron_schema.quoting import literal
from neuron_schema.settings_values import SESSION_LIMITS, milliseconds

if TYPE_CHECKING:
    from neuron_schema.history import HistoryTable
    from neuron_schema.model import ServerFacts, Step

RUN_LOCK = "neuron_schema_run_lock"
"""The constraint name under which the server tells that another run holds the run lock."""

LOCK_ATTEMPTS = 20
"""How often a step is tried whose statements are not granted a lock."""

TRANSACTION_ENDED = "neuron_schema_transaction"
"""The constraint name under which the server tells that a step's transaction ended too early."""

OPEN_BODY = (
    "  PERFORM pg_catalog.set_config('neuron_schema.transaction', 'open', true),\n"
    "    pg_catalog.set_config('neuron_schema.role', pg_catalog.current_setting('role'), true),\n"
    "    pg_catalog.set_config('neuron_schema.encoding', "
    "pg_catalog.current_setting('client_encoding'), true);"
)
"""Plpgsql that marks a transaction, and notes its role and encoding; the mark ends with it."""

STILL_OPEN_BODY = (
    "  IF pg_catalog.current_setting('neuron_schema.transaction', true) "
    "IS DISTINCT FROM 'open' THEN\n"
    "    RAISE EXCEPTION 'a statement ended the transaction of its version'\n"
    f"      USING ERRCODE = '2D000', CONSTRAINT = '{TRANSACTION_ENDED}';\n"
    "  END IF;\n"
    # What was sent after that statement was read as other letters.
    "  IF pg_catalog.current_setting('client_encoding') "
    "<> pg_catalog.current_setting('neuron_schema.encoding') THEN\n"
    "    RAISE EXCEPTION 'a statement set client_encoding to %, and later ones are sent in %',\n"
    "      pg_catalog.current_setting('client_encoding'), "
    "pg_catalog.current_setting('neuron_schema.encoding')\n"
    "      USING ERRCODE = '0A000', HINT = 'leave it out';\n"
    "  END IF;"
)
"""Plpgsql that raises unless transaction and encoding are still those that were marked."""

RESTORE_ROLE_BODY = (
    "  PERFORM pg_catalog.set_config('role', "
    "pg_catalog.current_setting('neuron_schema.role'), true);"
)
"""Plpgsql that sets the role that a transaction had when it was marked."""

_FIRST_DELAY_S = 0.05
_LONGEST_DELAY_S = 2.0
_TRANSACTION_TIMEOUT_SINCE = 170000
# While a statement waits for a lock, everybody who comes later waits for it: at first a short
# wait will do, because most locks are held for moments.
_LOCK_TIMEOUT_RAMP_S = (0.2, 0.5)
UNRAMPED = len(_LOCK_TIMEOUT_RAMP_S)
"""The attempt from which on a lock is waited for as long as the settings say."""

_BATCH_LOCK_TIMEOUT_S = 2.0


class Place(enum.Enum):
    """Which of a step's sessions is set."""

    TRANSACTION = enum.auto()
    """The transaction of a step, or of an operation's history row."""

    GUARDIAN = enum.auto()
    """The transaction that holds the run lock while an operation commits on its own."""

    OPERATION = enum.auto()
    """The session of that operation: a lock timeout there would leave an invalid index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """What a step's session is set to.

    Attributes:
        search_path: As the session had it at connect, or as the settings say.
        role: The role that steps run as, or None for the login role.
        lock_timeout: Seconds a statement waits for a lock, from the third attempt on; less in
            the first two. 0 for no limit.
        statement_timeout: Seconds a statement may take; 0 for no limit.
        idle_in_transaction_session_timeout: Seconds after which the server ends a step whose
            runner is silent; 0 for no limit.
        transaction_timeout: Seconds a step may take (PostgreSQL 17); 0 for no limit.
        operation_timeout: Seconds an operation that commits on its own may take, its waiting for
            other sessions included; 0 for no limit.
        own: Name and value of what a version sets itself.
    """

    search_path: str
    role: str | None = None
    lock_timeout: float = 1.0
    statement_timeout: float = 0.0
    idle_in_transaction_session_timeout: float = 600.0
    transaction_timeout: float = 0.0
    operation_timeout: float = 0.0
    own: tuple[tuple[str, str], ...] = ()

    def of(self, step: Step) -> SessionSettings:
        """Return the settings of a step: its own go before the run's."""
        if not step.settings and step.backfill is None:
            return self
        own = dict(step.settings)
        # A batch of a backfill waits for rows, which does not keep others waiting as DDL does.
        limits: dict[str, Any] = (
            {} if step.backfill is None else {"lock_timeout": _BATCH_LOCK_TIMEOUT_S}
        )
        limits |= {
            name: int(own.pop(name).removesuffix("ms")) / 1000
            for name in SESSION_LIMITS
            if name in own
        }
        return replace(self, **limits, own=tuple(own.items()))

    def lock_timeout_of(self, attempt: int) -> float:
        """Return the seconds that a statement waits for a lock.

        Args:
            attempt: 0 for the first; counted by the attempts that were not granted a lock.
        """
        if self.lock_timeout and attempt < len(_LOCK_TIMEOUT_RAMP_S):
            return min(_LOCK_TIMEOUT_RAMP_S[attempt], self.lock_timeout)
        return self.lock_timeout


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
def settings_sql(
    settings: SessionSettings, facts: ServerFacts, place: Place, *, attempt: int = 0
) -> str:
    """Return one SELECT that sets a session for a step: the transaction alone, where it is in one.

    Args:
        place: Which session.
        attempt: 0 for the first; counted by the attempts that were not granted a lock.
    """
    local = "false" if place is Place.OPERATION else "true"
    calls = (
        f"pg_catalog.set_config({literal(name)}, {literal(value)}, {local})"
        for name, value in session_values(settings, facts, place, attempt=attempt).items()
    )
    return "SELECT " + ",\n  ".join(calls)


def session_values(
    settings: SessionSettings, facts: ServerFacts, place: Place, *, attempt: int = 0
) -> dict[str, str]:
    """Return all that a session is set to, by the server's names; nothing of it is inherited.

    What the server does not know is left out.

    Args:
        place: Which session.
        attempt: 0 for the first; counted by the attempts that were not granted a lock.
    """
    limited = place is Place.TRANSACTION
    lock_timeout = settings.lock_timeout_of(attempt) if limited else 0
    idle = settings.idle_in_transaction_session_timeout if limited else 0
    alone = settings.operation_timeout if place is Place.OPERATION else 0
    values = {
        "search_path": settings.search_path,
        "application_name": "neuron_schema",
        "lock_timeout": milliseconds(lock_timeout),
        "statement_timeout": milliseconds(settings.statement_timeout if limited else alone),
        "idle_in_transaction_session_timeout": milliseconds(idle),
        "standard_conforming_strings": "on",
        # A host that vanished is noticed in half a minute, not in two hours.
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }
    if facts.version_num >= _TRANSACTION_TIMEOUT_SINCE:
        whole = settings.transaction_timeout if limited else 0
        values["transaction_timeout"] = milliseconds(whole)
    if _can_check_connection(facts):
        # Without it a killed runner's statement goes on, and keeps its locks, until it ends.
        values["client_connection_check_interval"] = "2000ms"
    if place is not Place.GUARDIAN:
        values |= dict(settings.own)
    if settings.role is not None:
        values["role"] = settings.role
    return values


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
        self._began = time.monotonic()
        self._ends = self._began + limit_s
        self.attempts = 0

    @property
    def waited_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    @property
    def left_s(self) -> float:
        """Seconds until it is over; 0 or less when it is."""
        return self._ends - time.monotonic()

    def delay(self) -> float | None:
        """Return seconds to sleep before the next attempt, or None when time is up.

        Full jitter: runs that failed together do not come back together.
        """
        left = self.left_s
        if left <= 0:
            return None
        self.attempts += 1
        ceiling = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2 ** min(self.attempts, 16))
        return min(left, random.uniform(_FIRST_DELAY_S / 2, ceiling))  # noqa: S311 - no secret
