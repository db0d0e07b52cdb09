"""Watch a step's backend from a second connection: who blocks it, and how far it is.

Neither can be learned afterwards: the error of ``lock_timeout`` names no session, and
PostgreSQL's views of progress show what is at work alone.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from neuron_schema.sessions import SESSION, blockers_sql, describe_session
from neuron_schema.stat_progress import Measure, measure, progress_sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from neuron_schema.history import Fetch
    from neuron_schema.sessions import Session


class Told(Protocol):
    """Is told what a watch sees."""

    def blocked(self, sessions: tuple[Session, ...]) -> None:
        """Hear that the step has been waiting for these for a while."""

    def progressed(self, measure: Measure) -> None:
        """Hear how far the step is: when that changes its phase, and about once a second."""


@dataclass(slots=True)
class _Watched:
    """A backend at work on an attempt.

    Attributes:
        since: When the attempt began.
        blocking: Since when each process has blocked it, seen from the present one backwards.
        named: The processes that were told of.
        told: What was told last of its progress, and when.
    """

    pid: int
    connect: Callable[[], AbstractContextManager[Fetch]]
    since: float
    blocking: dict[int, float] = field(default_factory=dict)
    named: set[int] = field(default_factory=set)
    told: tuple[str, float] = ("", 0.0)


class StepWatch:
    """One thread that watches the steps of a run, one after the other.

    It opens its connection only for a step that takes long, and in autocommit: CREATE INDEX
    CONCURRENTLY never waits for it for longer than a look takes. A connection that fails is tried
    again later and fails nothing.

    Args:
        after_s: Seconds that an attempt may take before it is watched; most never are.
        told: Is told what is seen, from the watch's thread, only between ``begin`` and ``end``.
            What it raises is kept until ``raise_failure``; it is told nothing more then.

    Attributes:
        seen: The sessions that blocked the attempt when it was last seen blocked.
    """

    INTERVAL_S = 0.1
    NAME_BLOCKERS_AFTER_S = 5.0
    TELL_EVERY_S = 1.0
    _EAGER_S = 5.0
    _LATELY_S = 2.0
    _CONNECT_AGAIN_S = 5.0

    def __init__(self, *, after_s: float, told: Told | None = None) -> None:
        self._after_s = after_s
        self._told = told
        self._stop = threading.Event()
        self._telling = threading.Lock()
        self._thread: threading.Thread | None = None
        self._watched: _Watched | None = None
        self._not_before = 0.0
        self._failure: BaseException | None = None
        self._seen_at = 0.0
        self.seen: tuple[Session, ...] = ()

    def begin(self, pid: int, connect: Callable[[], AbstractContextManager[Fetch]]) -> None:
        """Watch a backend from now on.

        Args:
            connect: Opens a connection to its server for the length of a ``with`` block.
        """
        self.seen = ()
        self._watched = _Watched(pid, connect, time.monotonic())
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="neuron-schema-watch", daemon=True
            )
            self._thread.start()

    def end(self) -> None:
        """Watch nothing until the next step begins; nothing more is told when this returns."""
        self._watched = None
        with self._telling:
            pass

    def lately(self) -> tuple[Session, ...]:
        """Return the sessions that block the attempt now, or did a moment ago."""
        return self.seen if time.monotonic() - self._seen_at < self._LATELY_S else ()

    def raise_failure(self) -> None:
        """Raise what a listener raised in the watch's thread, if one did, once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def __enter__(self) -> StepWatch:
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
        if exc is None:
            self.raise_failure()
        elif self._failure is not None:
            exc.add_note(f"a listener failed before that: {self._failure!r}")

    def _run(self) -> None:
        while not self._stop.wait(min(self._after_s, self.INTERVAL_S)):
            watched, now = self._watched, time.monotonic()
            if watched is None or now < max(watched.since + self._after_s, self._not_before):
                continue
            try:
                self._look(watched)
            except Exception:  # noqa: BLE001 - a second connection is a convenience, not a need
                self._not_before = now + self._CONNECT_AGAIN_S

    def _look(self, watched: _Watched) -> None:
        sql = look_sql(watched.pid, progress=self._told is not None)
        with watched.connect() as fetch:
            while self._watched is watched:
                blockers, progress = read_look(fetch(sql))
                now = time.monotonic()
                with self._telling:
                    if self._watched is not watched:
                        return
                    if blockers:
                        self.seen, self._seen_at = blockers, now
                    self._tell(watched, blockers, progress, now)
                eager = now - watched.since < self._EAGER_S
                if self._stop.wait(self.INTERVAL_S if eager else self._patient_s):
                    return

    @property
    def _patient_s(self) -> float:
        """Seconds between two looks at what takes long; a lock's wait is not to be missed."""
        return max(self.INTERVAL_S, self._after_s)

    def _tell(
        self,
        watched: _Watched,
        blockers: tuple[Session, ...],
        progress: Measure | None,
        now: float,
    ) -> None:
        if self._told is None or self._failure is not None:
            return
        try:
            if progress is not None and _is_due(watched.told, progress, now, self.TELL_EVERY_S):
                watched.told = (progress.phase, now)
                self._told.progressed(progress)
            lasting = _lasting(watched, blockers, now, self.NAME_BLOCKERS_AFTER_S)
            if {session.pid for session in lasting} - watched.named:
                watched.named |= {session.pid for session in lasting}
                self._told.blocked(lasting)
        except BaseException as error:  # noqa: BLE001 - raised again where the runner runs
            self._failure = error


def _is_due(told: tuple[str, float], progress: Measure, now: float, every_s: float) -> bool:
    return progress.phase != told[0] or now - told[1] >= every_s


def _lasting(
    watched: _Watched, blockers: tuple[Session, ...], now: float, after_s: float
) -> tuple[Session, ...]:
    """Return the sessions that have blocked it for a while: it waits for most for moments."""
    before = watched.blocking
    watched.blocking = {session.pid: before.get(session.pid, now) for session in blockers}
    return tuple(one for one in blockers if now - watched.blocking[one.pid] >= after_s)


def look_sql(pid: int, *, progress: bool) -> str:
    """Return one query for who blocks a backend, and if wanted how far it is."""
    blockers = f"SELECT NULL AS view, NULL AS progress, {SESSION} {blockers_sql(pid)}"
    if not progress:
        return blockers
    nothing = ", ".join(["NULL"] * _SESSION_COLUMNS)
    return f"{blockers}\nUNION ALL SELECT p.*, {nothing} FROM (\n{progress_sql(pid)}) p"


def read_look(rows: Iterable[Any]) -> tuple[tuple[Session, ...], Measure | None]:
    """Return what the rows of ``look_sql`` tell."""
    blockers: list[Session] = []
    progress = None
    for view, data, *session in rows:
        if view is None:
            blockers.append(describe_session(session))
        else:
            progress = measure(view, json.loads(data))
    return tuple(blockers), progress


_SESSION_COLUMNS = 7
