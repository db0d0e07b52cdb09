"""A session at work, seen from itself and from another one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import psycopg

from neuron_schema.quoting import literal
from neuron_schema.review.measures import LockTimeout
from neuron_schema.review.tracing.differences import Seen, measure_of
from neuron_schema.review.tracing.existing import Existing
from neuron_schema.review.tracing.plans import changes
from neuron_schema.review.tracing.probing import probe
from neuron_schema.review.tracing.queries import (
    is_empty,
    own_tables,
    read_catalog,
    read_changed,
    read_keys,
    read_lock_timeout,
    read_locks,
    read_relations,
    read_unchecked,
    read_wal,
)
from neuron_schema.review.tracing.told import Listener

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from neuron_schema.history import Fetch, HistoryTable
    from neuron_schema.review.locks import LockMode
    from neuron_schema.review.measures import Measure
    from neuron_schema.review.tracing.existing import Held
    from neuron_schema.review.tracing.probing import Blocked
    from neuron_schema.review.tracing.queries import Catalog

# Workers of a parallel scan are not in its leader's counts. What a timestamp without a time zone
# means, and so whether a column has to be written anew, hangs on the session's.
_SESSION: Final = {
    "client_min_messages": "debug1",
    "max_parallel_maintenance_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "debug_pretty_print": "off",
    "TimeZone": "UTC",
}
_OBSERVER: Final = "SET lock_timeout = '1s'; SET statement_timeout = '10s'"


class Unwatched(Exception):  # noqa: N818 - it never leaves the package
    """A query of our own failed, which is no fault of the version's."""


@contextmanager
def watching() -> Iterator[None]:
    """Tell a failure to look from one of what is looked at.

    Raises:
        Unwatched: a query failed within the block.
    """
    try:
        yield
    except psycopg.OperationalError as error:
        if error.sqlstate is None:
            # The connection is lost.
            raise
        raise Unwatched(_one_line(error)) from error
    except psycopg.Error as error:
        raise Unwatched(_one_line(error)) from error


def _one_line(error: psycopg.Error) -> str:
    return " ".join(str(error.diag.message_primary or error).split())


class Observer:
    """The session that watches another one.

    Args:
        connection: To the database that a version is to be run on, before it is; in autocommit.
        history: Names our own tables.
        settings: What the sessions that are watched are set to beside the usual.
        unused: Schema and name of the tables that nobody uses yet.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        history: HistoryTable,
        settings: Mapping[str, str] | None = None,
        unused: Collection[tuple[str, str]] = (),
    ) -> None:
        connection.execute(_OBSERVER.encode())
        self.connection = connection
        self.heard = Listener()
        self.pids: set[int] = set()
        catalog = read_catalog(self.fetch)
        new = frozenset(
            oid for oid, each in catalog.relations.items() if (each.schema, each.name) in unused
        )
        self.existing = Existing(catalog, self._own(history), new)
        self._settings = {**_SESSION, **(settings or {})}

    def fetch(self, sql: str) -> list[Any]:
        """Run SQL and return its rows."""
        return self.connection.execute(sql.encode()).fetchall()

    def prepare(self, raw: psycopg.Connection[Any], *_rest: Any) -> None:
        """Set a session that is to be watched, and listen to it."""
        calls = ", ".join(
            f"pg_catalog.set_config({literal(name)}, {literal(value)}, false)"
            for name, value in self._settings.items()
        )
        raw.add_notice_handler(self.heard.hear)
        raw.execute(f"SELECT {calls}".encode())
        self.pids.add(raw.info.backend_pid)

    def locks(self) -> dict[int, Held]:
        """Return the locks of all sessions on the tables that were there before the version."""
        return self.existing.folded(read_locks(self.fetch, self.pids))

    def _own(self, history: HistoryTable) -> frozenset[int]:
        condition = f"c.relname IN ({literal(history.name)}, {literal(history.log_name)})"
        if history.schema is not None:
            condition += f" AND n.nspname = {literal(history.schema)}"
        return own_tables(self.fetch, condition)


class StatementWatch:
    """Sees what one statement after the other does.

    Args:
        observer: The other session.
        session: The one that runs them; nothing else goes on in it.
    """

    def __init__(self, observer: Observer, session: psycopg.Connection[Any]) -> None:
        self._observer = observer
        self._session = session
        with watching():
            self._committed = read_relations(observer.fetch)
        self._begun = False
        self._before: Catalog | None = None
        self._held: dict[int, Held] = {}
        self._blocked: dict[int, Blocked] = {}
        self._wal = 0
        self._lock_timeout = 0
        self._unchecked = False

    def renew(self) -> None:
        """Look at another transaction from now on: the last one was committed, or rolled back.

        Raises:
            Unwatched: that was not possible.
        """
        with watching():
            self._committed = read_relations(self._observer.fetch)
        self._begun = False

    def begin(self) -> None:
        """Look before a statement.

        Raises:
            Unwatched: that was not possible.
        """
        with watching():
            self._begin()

    def end(self, sql: str) -> Measure:
        """Look after it, and return what it did.

        Raises:
            Unwatched: that was not possible.
        """
        with watching():
            return self._end(sql)

    def _begin(self) -> None:
        observer = self._observer
        if not self._begun:
            self._begun = True
            known = self._before
            self._before = (
                read_catalog(self._fetch) if known is None else read_changed(self._fetch, known, ())
            )
            self._held = observer.existing.folded(self._locks())
            self._blocked = probe(observer.connection, self._committed, self._held)
        # The version may have bid the server be silent.
        self._fetch("SELECT pg_catalog.set_config('client_min_messages', 'debug1', false)")
        self._lock_timeout, _ = read_lock_timeout(self._fetch)
        self._unchecked = read_unchecked(self._fetch)
        self._wal = read_wal(observer.fetch)
        # A plan that is kept is not printed.
        self._session.execute(b"DISCARD PLANS")
        self._session.execute(b"SET debug_print_plan = on")
        observer.heard.take()

    def _end(self, sql: str) -> Measure:
        assert self._before is not None  # noqa: S101 - it began
        observer = self._observer
        # What is asked here need not be printed.
        self._session.execute(b"SET debug_print_plan = off")
        meant = [each for said in observer.heard.take_plans() for each in changes(said)]
        wal = read_wal(observer.fetch)
        texts = observer.heard.take()
        limit, own = read_lock_timeout(self._fetch)
        reset = own and limit != self._lock_timeout
        locked = self._locks()
        locks = observer.existing.folded(locked)
        kept = {oid: self._blocked[oid] for oid in locks if self._held.get(oid) == locks[oid]}
        tried = {oid: lock for oid, lock in locks.items() if oid not in kept}
        blocked = kept | probe(observer.connection, self._committed, tried)
        after = read_changed(self._fetch, self._before, locked)
        seen = Seen(
            sql=sql,
            before=self._before,
            after=after,
            held=self._held,
            locks=locks,
            blocked_before=self._blocked,
            blocked=blocked,
            texts=texts,
            emptied=emptied(self._fetch, self._before, after),
            sought=tuple(meant),
            keys=read_keys(self._fetch, {oid for each in meant for oid, _ in each.scans}),
            wal_bytes=max(0, wal - self._wal),
            lock_timeout=LockTimeout(before=self._lock_timeout, after=limit, reset=reset),
            unchecked=self._unchecked,
        )
        self._before, self._held, self._blocked = after, locks, blocked
        return measure_of(seen, observer.existing)

    def _locks(self) -> dict[int, LockMode]:
        return read_locks(self._observer.fetch, [self._session.info.backend_pid])

    def _fetch(self, sql: str) -> list[Any]:
        return self._session.execute(sql.encode()).fetchall()


def emptied(fetch: Fetch, before: Catalog, after: Catalog) -> frozenset[int]:
    """Return the tables that have another file than before, with nothing in it."""
    changed = [
        oid
        for oid, now in after.relations.items()
        if now.kind == "r"
        and oid in before.relations
        and now.filenode != before.relations[oid].filenode
    ]
    return frozenset(oid for oid in changed if is_empty(fetch, oid))
