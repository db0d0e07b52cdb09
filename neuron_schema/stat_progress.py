"""How far a backend is, as PostgreSQL itself tells while it works.

Pure text and values. Each view counts in its own way, and what it counts depends on the phase:
https://www.postgresql.org/docs/current/progress-reporting.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Measure:
    """How far something is.

    Attributes:
        phase: What is done now, in PostgreSQL's words.
        done: How much of it is done; None where nothing is counted.
        total: How much there is to do; None where that is not known.
        unit: What is counted; "" where nothing is.
    """

    phase: str
    done: int | None = None
    total: int | None = None
    unit: str = ""


def progress_sql(pid: int) -> str:
    """Return a query of at most one row, which ``measure`` reads: a view, and its row as JSON.

    As JSON, because the columns differ from one version of PostgreSQL to the next.
    """
    return "\nUNION ALL ".join(
        f"SELECT '{view}', pg_catalog.to_jsonb(p)::pg_catalog.text"
        f" FROM pg_catalog.pg_stat_progress_{view} p WHERE p.pid = {pid}"
        for view in _COUNTED
    )


def measure(view: str, row: Mapping[str, Any]) -> Measure:
    """Return what a row of one of the views tells."""
    phase = str(row["phase"] if "phase" in row else row["command"])
    for unit, done, total in _COUNTED[view](phase):
        if row.get(total):
            return Measure(phase, int(row.get(done) or 0), int(row[total]), unit)
        if not total and row.get(done):
            return Measure(phase, int(row[done]), None, unit)
    return Measure(phase)


_Counters = tuple[tuple[str, str, str], ...]
"""Unit, column of what is done and column of the total ("" for none), the first that fits first."""


def _create_index(phase: str) -> _Counters:
    if phase.startswith("waiting"):
        return (("lockers", "lockers_done", "lockers_total"),)
    # A method that counts tuples keeps the blocks of its scan: btree, IVFFlat. HNSW has blocks.
    return (
        ("tuples", "tuples_done", "tuples_total"),
        ("blocks", "blocks_done", "blocks_total"),
        ("tuples", "tuples_done", ""),
    )


def _vacuum(phase: str) -> _Counters:
    if phase == "scanning heap":
        return (("blocks", "heap_blks_scanned", "heap_blks_total"),)
    if phase == "vacuuming heap":
        return (("blocks", "heap_blks_vacuumed", "heap_blks_total"),)
    if phase.endswith("indexes"):
        # Since PostgreSQL 17.
        return (("indexes", "indexes_processed", "indexes_total"),)
    return ()


def _cluster(phase: str) -> _Counters:
    if phase == "writing new heap":
        return (("tuples", "heap_tuples_written", "heap_tuples_scanned"),)
    if phase == "rebuilding index":
        return (("indexes", "index_rebuild_count", ""),)
    if phase.endswith("scanning heap"):
        return (
            ("blocks", "heap_blks_scanned", "heap_blks_total"),
            ("tuples", "heap_tuples_scanned", ""),
        )
    return ()


def _copy(_phase: str) -> _Counters:
    return (("bytes", "bytes_processed", "bytes_total"), ("tuples", "tuples_processed", ""))


def _analyze(phase: str) -> _Counters:
    if phase.endswith("sample rows"):
        return (("blocks", "sample_blks_scanned", "sample_blks_total"),)
    return ()


_COUNTED: dict[str, Callable[[str], _Counters]] = {
    "create_index": _create_index,
    "vacuum": _vacuum,
    "cluster": _cluster,
    "copy": _copy,
    "analyze": _analyze,
}
"""The views, without their prefix. VACUUM FULL shows in ``cluster``."""
