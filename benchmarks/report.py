"""The results as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.bounds import BOUNDS
from benchmarks.results import Metric
from benchmarks.tools import Tool

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.bounds import Bound
    from benchmarks.results import Results, Series

_UNITS = {
    Metric.CPU: " s",
    Metric.WALL: " s",
    Metric.FAR_WALL: " s",
    Metric.COLD_CPU: " s",
    Metric.PEAK: " MiB",
}
_NONE = "-"


def verdicts(results: Results) -> str:
    """Return the table of the bounds."""
    rows = [_bound_row(bound, results) for bound in BOUNDS]
    head = ("What", "neuron-schema", "compared with", "result", "bound", "verdict")
    return _table(head, rows)


def medians(results: Results) -> str:
    """Return the table of everything measured."""
    lines = dict.fromkeys((key.operation, key.versions, key.metric) for key in results.values)
    rows = []
    for operation, count, metric in lines:
        what = f"`{operation}`" if " " not in operation else operation
        row = [f"{what}{f', {count:,} versions' if count else ''}: {metric}"]
        for tool in Tool:
            found = [
                results.median(key)
                for key in results.values
                if key == (tool, operation, count, metric)
            ]
            row.append(_number(found[0], metric) if found else _NONE)
        rows.append(row)
    return _table(("Medians", *Tool), rows)


def about(results: Results) -> str:
    """Return a sentence on what was measured."""
    return ", ".join(f"{name} {value}" for name, value in results.about.items()) + "."


def _bound_row(bound: Bound, results: Results) -> list[str]:
    value = bound.value(results)
    metric = bound.series.metric
    return [
        bound.what,
        _with_unit(results, bound.series),
        _peer(bound, results),
        _NONE if value is None else f"{value:.2f}" if bound.peer else _number(value, metric),
        f"{bound.limit:g}",
        bound.verdict(results),
    ]


def _peer(bound: Bound, results: Results) -> str:
    if bound.peer is None:
        others = (Tool.ALEMBIC, Tool.PSQL)
        shown = [
            f"{tool} {_with_unit(results, key)}"
            for tool in others
            if (key := bound.series._replace(tool=tool)) in results.values
        ]
        return ", ".join(shown) or _NONE
    if bound.peer.tool is bound.series.tool:
        return _with_unit(results, bound.peer)
    return f"{bound.peer.tool} {_with_unit(results, bound.peer)}"


def _with_unit(results: Results, series: Series) -> str:
    value = results.median(series)
    if value is None:
        return _NONE
    return _number(value, series.metric) + _UNITS.get(series.metric, "")


def _number(value: float | None, metric: Metric) -> str:
    if value is None:
        return _NONE
    if metric in (Metric.TRIPS, Metric.TRIPS_PER_VERSION):
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.1f}" if metric is Metric.PEAK else f"{value:.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
