"""Watch a step's backend from a second connection while it works."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from neuron_schema.sessions import blockers_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from neuron_schema.history import Fetch
    from neuron_schema.sessions import Session


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
        self.seen: tuple[Session, ...] = ()

    def begin(self, pid: int) -> None:
        """Watch a backend from now on."""
        self.seen = ()
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
                if blockers and self._watched is watched:
                    self.seen = blockers
                if self._stop.wait(self.INTERVAL_S):
                    return
