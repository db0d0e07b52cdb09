"""How fast a step is, and how long it will take still. Pure: the clock is the caller's."""

from __future__ import annotations

import collections
from dataclasses import dataclass

_MINUTE_S, _HOUR_S = 60, 3600
_UNCOUNTED = ("lockers", "indexes")
"""Units of which each takes as long as it takes: a rate would tell nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How far a step is, for people.

    Attributes:
        percent: Whole percent, rounded down; None where the total is not known.
        rate: Of the unit per second, over the last while; None where it is not known yet.
        left_s: Seconds until the phase ends if the rate stays; None where that is not known.
    """

    phase: str
    done: int | None
    total: int | None
    unit: str
    percent: int | None
    rate: float | None
    left_s: float | None

    def brief(self) -> str:
        """Return it without what a bar shows: percent, rate and time left."""
        parts = [f"{self.percent}%"] if self.percent is not None else []
        if self.percent is None and self.done is not None:
            parts.append(_counted(self.done, self.unit))
        return ", ".join([*parts, *self._speed()])

    def whole(self) -> str:
        """Return all of it, in a line."""
        parts = [self.phase]
        if self.percent is not None and self.total is not None:
            parts.append(f"{self.percent}% of {_counted(self.total, self.unit)}")
        elif self.done is not None:
            parts.append(_counted(self.done, self.unit))
        return ", ".join([*parts, *self._speed()])

    def _speed(self) -> list[str]:
        if self.rate is None:
            return []
        left = [] if self.left_s is None else [f"{duration(self.left_s)} left"]
        return [f"{_counted(self.rate, self.unit)}/s", *left]


class Pace:
    """Reads a phase's rate off the last while: a build may be quick at first and slow later."""

    WINDOW_S = 30.0
    _LEAST_S = 1.0

    def __init__(self) -> None:
        self._phase = ("", "")
        self._seen: collections.deque[tuple[float, int]] = collections.deque()

    def see(
        self, phase: str, done: int | None, total: int | None, unit: str, *, now: float
    ) -> Reading:
        """Take what is done by now, and return how far the step is.

        Args:
            now: Seconds of a clock that never goes back.
        """
        total = total or None
        if (phase, unit) != self._phase or (done or 0) < self._last:
            # What begins anew has a pace of its own.
            self._phase = (phase, unit)
            self._seen.clear()
        if done is not None:
            self._take(now, done)
        rate = None if unit in _UNCOUNTED else self._rate()
        percent = None if done is None or total is None else min(100, 100 * done // total)
        left_s = None
        if rate and done is not None and total is not None and done <= total:
            left_s = (total - done) / rate
        return Reading(
            phase=phase,
            done=done,
            total=total,
            unit=unit,
            percent=percent,
            rate=rate,
            left_s=left_s,
        )

    @property
    def _last(self) -> int:
        return self._seen[-1][1] if self._seen else 0

    def _take(self, now: float, done: int) -> None:
        self._seen.append((now, done))
        # The oldest is the last from before the window, so that there is always a span.
        while len(self._seen) > 2 and now - self._seen[1][0] >= self.WINDOW_S:  # noqa: PLR2004
            self._seen.popleft()

    def _rate(self) -> float | None:
        if not self._seen:
            return None
        (began, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - began) if now - began >= self._LEAST_S else None


def duration(seconds: float) -> str:
    """Return seconds as people say them: ``45 s``, ``3 min 10 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S:02} s"
    return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S:02} min"


def _counted(number: float, unit: str) -> str:
    if unit == "bytes":
        for name in ("bytes", "kB", "MB", "GB"):
            if number < 1000 or name == "GB":  # noqa: PLR2004 - as the names of the units say
                return f"{_number(number)} {name}"
            number /= 1000
    return f"{_number(number)} {unit}"


def _number(number: float) -> str:
    return f"{number:,.1f}" if isinstance(number, float) and number < 10 else f"{number:,.0f}"  # noqa: PLR2004
