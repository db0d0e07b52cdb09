"""An operation that PostgreSQL commits on its own, made to stand still while it holds its locks.

It would be chance to see the locks of one that runs freely. So another session holds a lock on
every table, one that the operation waits for: a CONCURRENTLY waits for whoever writes. While it
stands there, its locks are read and others try what they may do; then it is let go. What waits
for nobody who reads or writes is made to wait by a stronger lock.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event

from neuron_schema.errors import NeuronSchemaError
from neuron_schema.proof.shadow import connected
from neuron_schema.quoting import identifier
from neuron_schema.review.locks import Access, LockMode
from neuron_schema.review.tracing.differences import Seen, measure_of
from neuron_schema.review.tracing.outcome import Outcome, failure_of
from neuron_schema.review.tracing.probing import Blocked, probe
from neuron_schema.review.tracing.queries import (
    depths,
    read_catalog,
    read_relations,
    read_wal,
    sessions,
    waiting,
)
from neuron_schema.review.tracing.shipped import check_fault
from neuron_schema.review.tracing.watch import emptied
from neuron_schema.review.tracing.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import psycopg

    from neuron_schema.review.measures import Measure
    from neuron_schema.review.tracing.existing import Held
    from neuron_schema.review.tracing.queries import Relation
    from neuron_schema.review.tracing.stage import Place, Stage

_POLL_S: Final = 0.002
_LONGEST_S: Final = 120.0
_GONE_S: Final = 10.0

_TRAFFIC: Final = (LockMode.ROW_EXCLUSIVE, LockMode.ACCESS_SHARE)
"""Somebody who writes and somebody who reads: neither is in the way of those who try."""
_UPKEEP: Final = (LockMode.SHARE_UPDATE_EXCLUSIVE,)
_WRITERS: Final = (LockMode.SHARE,)


def run_parked(stage: Stage, *, rows: bool) -> tuple[Outcome, tuple[str, ...]]:
    """Let the runner run a version that is one operation; return what could not be seen, too.

    Raises:
        ExtensionMissing, ConnectionFailed, PrivilegeMissing: as ``run_shipped`` does.
    """
    (statement,) = stage.migration.up_statements
    fills = statement.own_commit is not None and statement.own_commit.backfill is not None
    ladder = (_WRITERS,) if fills else (_TRAFFIC, _UPKEEP, _WRITERS)
    first: _Parking | None = None
    for modes in ladder:
        with stage.copy(rows=rows, last=True) as place:
            parking = _Parking(stage, place, modes)
            parking.run()
        first = first or parking
        if parking.locks or first.error is not None:
            return first.outcome(parking.locks, parking.blocked), ()
    assert first is not None  # noqa: S101 - there is a first rung
    # On a table that nobody uses yet there is nobody to wait for.
    alone = not words(statement.sql).isdisjoint(name for _, name in stage.unused)
    notes = () if alone else ("its locks could not be seen: it waited for nobody",)
    return first.outcome({}, {}), notes


class _Parking:
    """One run of the operation.

    Args:
        stage: Where.
        place: The copy that it is run on.
        modes: The locks that are in its way, each of which is let go when it waits.
    """

    def __init__(self, stage: Stage, place: Place, modes: Sequence[LockMode]) -> None:
        self._migration = stage.migration
        self._place = place
        self._modes = modes
        self._observer = place.observer
        self.error: NeuronSchemaError | None = None
        self._crash: BaseException | None = None
        self.locks: dict[int, Held] = {}
        self.blocked: dict[int, Blocked] = {}

    def outcome(self, locks: Mapping[int, Held], blocked: Mapping[int, Blocked]) -> Outcome:
        """Return how it went, with the locks that were seen."""
        if self.error is not None:
            return Outcome(measures=(), failed=failure_of(self.error))
        return Outcome(measures=(self._measure(locks, blocked),))

    def run(self) -> None:
        """Run it to its end, and look at it wherever it waits.

        Raises:
            ExtensionMissing, ConnectionFailed, PrivilegeMissing: the version is not to blame.
        """
        observer, engine = self._observer, self._place.ground.engine
        self._wal = read_wal(observer.fetch)
        self._before = read_catalog(observer.fetch, flushed=True)
        # A connection that was made before has not been set.
        engine.dispose()
        event.listen(engine, "connect", observer.prepare)
        try:
            self._run_watched()
        finally:
            event.remove(engine, "connect", observer.prepare)
            engine.dispose()
        if self._crash is not None:
            raise self._crash
        if self.error is not None:
            check_fault(self.error, embedded=self._place.ground.embedded)
        self._wal = max(0, read_wal(observer.fetch) - self._wal)
        self._until_gone()
        self._after = read_catalog(observer.fetch, flushed=True)
        self._emptied = emptied(observer.fetch, self._before, self._after)
        self._texts = observer.heard.take()

    def _run_watched(self) -> None:
        """Run it in a second thread, and let it go on once it was seen."""
        thread = threading.Thread(target=self._work, name="neuron_schema review", daemon=True)
        with ExitStack() as stack:
            blockers = [
                stack.enter_context(self._blocker(mode, tables))
                for mode in self._modes
                for tables in self._groups(mode)
            ]
            thread.start()
            # In whatever order it comes to them; many it never waits for.
            while (blocker := self._parked(thread, blockers)) is not None:
                self._look()
                blockers.remove(blocker)
                blocker.execute("ROLLBACK")
            for blocker in blockers:
                blocker.execute("ROLLBACK")
        # However long it takes; what ends the block before ends the database too.
        thread.join()

    def _measure(self, locks: Mapping[int, Held], blocked: Mapping[int, Blocked]) -> Measure:
        seen = Seen(
            sql=self._migration.up_statements[0].sql,
            before=self._before,
            after=self._after,
            held={},
            locks=locks,
            blocked_before={},
            blocked=blocked,
            texts=self._texts,
            emptied=self._emptied,
            wal_bytes=self._wal,
        )
        return measure_of(seen, self._observer.existing)

    def _work(self) -> None:
        try:
            self._place.ground.run([self._migration])
        except NeuronSchemaError as error:
            self.error = error
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self._crash = error

    def _groups(self, mode: LockMode) -> list[list[Relation]]:
        """Return the tables that are locked, and let go, together.

        A partition that is detached is locked last, when nobody reads its parent any more.
        """
        tables = list(self._observer.existing.tables())
        if mode is not LockMode.ACCESS_SHARE:
            return [tables]
        depth = depths(self._observer.fetch, [each.oid for each in tables])
        return [
            [each for each in tables if depth.get(each.oid) == level]
            for level in sorted(set(depth.values()))
        ]

    @contextmanager
    def _blocker(
        self, mode: LockMode, tables: Sequence[Relation]
    ) -> Iterator[psycopg.Connection[Any]]:
        """Yield a session that holds a lock on some tables."""
        names = [f"ONLY {identifier(each.schema)}.{identifier(each.name)}" for each in tables]
        with connected(self._place.address) as connection:
            connection.execute("BEGIN")
            if names:
                connection.execute(f"LOCK TABLE {', '.join(names)} IN {mode} MODE".encode())
            yield connection

    def _parked(
        self, thread: threading.Thread, blockers: Sequence[psycopg.Connection[Any]]
    ) -> psycopg.Connection[Any] | None:
        """Wait until the operation waits for a session; return that, or None once it has ended."""
        ends = time.monotonic() + _LONGEST_S
        while blockers and thread.is_alive() and time.monotonic() < ends:
            for blocker in blockers:
                if waiting(self._observer.fetch, self._observer.pids, blocker.info.backend_pid):
                    return blocker
            time.sleep(_POLL_S)
        return None

    def _look(self) -> None:
        """Read its locks, and let others try what they may do."""
        locks = self._observer.locks()
        if self._modes == _TRAFFIC:
            committed = read_relations(self._observer.fetch)
            blocked = probe(self._observer.connection, committed, locks)
        else:
            # The lock that it waits for is in everybody's way.
            blocked = {oid: Blocked(held.mode.blocks, proven=False) for oid, held in locks.items()}
        for oid, held in locks.items():
            known, now = self.blocked.get(oid), blocked[oid]
            both = {*now.accesses, *(known.accesses if known else ())}
            proven = now.proven and (known is None or known.proven)
            self.blocked[oid] = Blocked(tuple(each for each in Access if each in both), proven)
            if oid not in self.locks or self.locks[oid].mode.strength < held.mode.strength:
                self.locks[oid] = held

    def _until_gone(self) -> None:
        """Wait for the sessions to end: what they did is counted when they do."""
        ends = time.monotonic() + _GONE_S
        while sessions(self._observer.fetch, self._observer.pids) and time.monotonic() < ends:
            time.sleep(_POLL_S)
