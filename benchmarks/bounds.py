"""The bounds that neuron-schema has to keep, and whether it does."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.results import Metric, Series
from benchmarks.tools import Operation, Tool

if TYPE_CHECKING:
    from benchmarks.results import Results

FEW, SOME, MANY = 4, 100, 1000
"""Numbers of migrations."""

_WALL_ROUNDS = 6


class Verdict(enum.StrEnum):
    """How a bound was found."""

    MET = "met"
    MISSED = "**missed**"
    UNKNOWN = "not measured"
    TOO_FEW = "too few rounds"


@dataclass(frozen=True, slots=True)
class Bound:
    """An upper bound on a series, or on its ratio to another one.

    Attributes:
        what: The thing measured, in words.
        series: Of neuron-schema.
        limit: The largest value, or ratio to ``peer``, that is good.
        peer: What it is compared with; None for a bound on the value itself.
        rounds: So many are needed for a verdict.
    """

    what: str
    series: Series
    limit: float
    peer: Series | None = None
    rounds: int = 1

    def value(self, results: Results) -> float | None:
        """Return what the limit is for, or None when it was not measured."""
        if self.peer is None:
            return results.median(self.series)
        return results.ratio(self.series, self.peer)

    def verdict(self, results: Results) -> Verdict:
        """Say whether the bound is kept."""
        value = self.value(results)
        if value is None:
            return Verdict.UNKNOWN
        if len(results.get(self.series)) < self.rounds:
            return Verdict.TOO_FEW
        return Verdict.MET if value <= self.limit else Verdict.MISSED


def _absolute(what: str, operation: Operation, metric: Metric, limit: float) -> Bound:
    return Bound(what, Series(Tool.NEURON, operation, SOME, metric), limit)


def _against(
    what: str,
    operation: Operation,
    count: int,
    metric: Metric,
    limit: float,
    *,
    peer: Tool = Tool.ALEMBIC,
) -> Bound:
    series = Series(Tool.NEURON, operation, count, metric)
    return Bound(what, series, limit, series._replace(tool=peer))


def _wall(what: str, limit: float, peer: Tool, *, tool: Tool = Tool.NEURON) -> Bound:
    series = Series(tool, Operation.UP, MANY, Metric.WALL)
    return Bound(what, series, limit, series._replace(tool=peer), _WALL_ROUNDS)


_UP, _NO_OP, _STATUS = Operation.UP, Operation.NO_OP, Operation.STATUS
_GROWN = Series(Tool.NEURON, _NO_OP, MANY, Metric.CPU)

BOUNDS = (
    _absolute("round trips of `up`, per version", _UP, Metric.TRIPS_PER_VERSION, 3),
    _absolute("round trips of `up` with nothing to do", _NO_OP, Metric.TRIPS, 4),
    _absolute("round trips of `status`", _STATUS, Metric.TRIPS, 4),
    _against("wall of `up` of 100, 20 ms away", _UP, SOME, Metric.FAR_WALL, 0.6),
    _against("CPU of `--help`", Operation.HELP, 0, Metric.CPU, 0.35),
    _against("CPU of `up` with nothing to do, 100 versions", _NO_OP, SOME, Metric.CPU, 0.75),
    _against("CPU of `status`, 100 versions", _STATUS, SOME, Metric.CPU, 0.75),
    _against("CPU of `up` with nothing to do, 1,000 versions", _NO_OP, MANY, Metric.CPU, 0.45),
    _against("CPU of `status`, 1,000 versions", _STATUS, MANY, Metric.CPU, 0.45),
    Bound(
        "CPU of `up` with nothing to do, 1,000 versions against 4",
        _GROWN,
        1.4,
        _GROWN._replace(versions=FEW),
    ),
    _against(
        "CPU of `up` of 1,000, Core constructs in both",
        _UP,
        MANY,
        Metric.CPU,
        0.65,
        peer=Tool.ALEMBIC_OPERATIONS,
    ),
    _wall("wall of `up` of 1,000, Core constructs in both", 0.8, Tool.ALEMBIC_OPERATIONS),
    _wall("wall of `up` of 1,000, SQL as text in both", 0.8, Tool.ALEMBIC, tool=Tool.NEURON_SQL),
    _wall("wall of `up` of 1,000, SQL as text in both", 1.15, Tool.PSQL, tool=Tool.NEURON_SQL),
    _against(
        "peak memory of `up` with nothing to do, 100 versions", _NO_OP, SOME, Metric.PEAK, 0.85
    ),
    _against(
        "peak memory of `up` with nothing to do, 1,000 versions", _NO_OP, MANY, Metric.PEAK, 0.85
    ),
    _against("peak memory of `up` of 1,000", _UP, MANY, Metric.PEAK, 1.0),
)
