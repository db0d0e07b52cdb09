"""What was measured, by tool, operation and number of migrations; as JSON and back."""

from __future__ import annotations

import enum
import json
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.tools import Operation, Tool

if TYPE_CHECKING:
    from collections.abc import Iterable


class Metric(enum.StrEnum):
    """What is counted or timed."""

    CPU = "CPU, s"
    COLD_CPU = "CPU with nothing cached, s"
    WALL = "wall, s"
    PEAK = "peak memory, MiB"
    TRIPS = "round trips"
    TRIPS_PER_VERSION = "round trips per version"
    FAR_WALL = "wall at 20 ms, s"


class Series(NamedTuple):
    """Names one list of values, a value a round."""

    tool: Tool
    operation: Operation
    versions: int
    metric: Metric


@dataclass(slots=True)
class Results:
    """Everything that one run measured.

    Attributes:
        about: The versions of what was measured, and the machine.
        values: A list per series, in the order of the rounds.
    """

    about: dict[str, str] = field(default_factory=dict)
    values: defaultdict[Series, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, series: Series, value: float) -> None:
        """Record a value of one more round."""
        self.values[series].append(value)

    def get(self, series: Series) -> list[float]:
        """Return the values of a series; none when it was not measured."""
        return self.values.get(series, [])

    def median(self, series: Series) -> float | None:
        """Return the median of a series, or None when it was not measured."""
        values = self.get(series)
        return statistics.median(values) if values else None

    def ratio(self, series: Series, peer: Series) -> float | None:
        """Return the median of the ratios round by round, or None when either was not measured.

        The tools take turns, so that a slow minute of the machine falls on both of a pair.
        """
        pairs = list(zip(self.get(series), self.get(peer), strict=False))
        return statistics.median(one / other for one, other in pairs) if pairs else None

    def to_json(self) -> str:
        """Return everything as JSON."""
        series = [
            {
                "tool": key.tool,
                "operation": key.operation,
                "versions": key.versions,
                "metric": key.metric,
                "values": values,
            }
            for key, values in self.values.items()
        ]
        return json.dumps({"about": self.about, "series": series}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Results:
        """Return what ``to_json`` wrote.

        Raises:
            ValueError: the text is not of ``to_json``.
            KeyError: likewise.
        """
        stored = json.loads(text)
        results = cls(about=dict(stored["about"]))
        series: Iterable[dict[str, Any]] = stored["series"]
        for one in series:
            key = Series(
                Tool(one["tool"]),
                Operation(one["operation"]),
                int(one["versions"]),
                Metric(one["metric"]),
            )
            results.values[key] = [float(value) for value in one["values"]]
        return results
