"""Counts that the fault suite prints at its end: cut points recovered, racers, and the like.

They travel as properties of the test reports, which pytest-xdist carries between its processes.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MARK = "fault count: "


class Counts:
    """Takes the counts of one test.

    Args:
        record: pytest's ``record_property``.
    """

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record

    def add(self, what: str, number: int = 1) -> None:
        """Add to a count, which is summed over all tests."""
        self._record(_MARK + what, number)

    def measured(self, what: str, seconds: float) -> None:
        """Note a measured time, of which the longest is shown. No test depends on it."""
        self._record(_MARK + what, round(seconds, 2))


def summary(reports: list[Any]) -> list[str]:
    """Return one line for each count in the reports of the tests that passed."""
    found: dict[str, list[float]] = defaultdict(list)
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            if name.startswith(_MARK):
                found[name.removeprefix(_MARK)].append(value)
    return [f"{name}: {_together(values)}" for name, values in sorted(found.items())]


def _together(values: list[float]) -> str:
    if any(isinstance(value, float) for value in values):
        return f"{max(values):.2f} s (the longest of {len(values)})"
    return str(sum(values))
