"""What the rows of PostgreSQL's views of progress tell, as values."""

from __future__ import annotations

from typing import Any

import pytest

from neuron_schema.stat_progress import Measure, measure

INDEX = {"tuples_done": 0, "tuples_total": 0, "blocks_done": 0, "blocks_total": 0}
# As the views showed them, of PostgreSQL 18 and pgvector 0.8.
CASES: list[tuple[str, dict[str, Any], Measure]] = [
    (
        "create_index",
        {**INDEX, "phase": "building index: scanning table", "blocks_done": 3, "blocks_total": 9},
        Measure("building index: scanning table", 3, 9, "blocks"),
    ),
    (
        "create_index",
        {
            "phase": "building index: loading tuples in tree",
            "tuples_done": 40,
            "tuples_total": 100,
            "blocks_done": 9,
            "blocks_total": 9,
        },
        Measure("building index: loading tuples in tree", 40, 100, "tuples"),
    ),
    (
        "create_index",
        {
            **INDEX,
            "phase": "building index: loading tuples",
            "tuples_done": 93,
            "blocks_done": 3,
            "blocks_total": 556,
        },
        Measure("building index: loading tuples", 3, 556, "blocks"),
    ),
    (
        "create_index",
        {
            "phase": "waiting for old snapshots",
            "lockers_done": 0,
            "lockers_total": 2,
            "blocks_done": 9,
            "blocks_total": 9,
        },
        Measure("waiting for old snapshots", 0, 2, "lockers"),
    ),
    ("create_index", {**INDEX, "phase": "initializing"}, Measure("initializing")),
    (
        "create_index",
        {**INDEX, "phase": "building index", "tuples_done": 7},
        Measure("building index", 7, None, "tuples"),
    ),
    (
        "vacuum",
        {"phase": "scanning heap", "heap_blks_scanned": 1, "heap_blks_total": 4},
        Measure("scanning heap", 1, 4, "blocks"),
    ),
    (
        "vacuum",
        {"phase": "vacuuming heap", "heap_blks_vacuumed": 2, "heap_blks_total": 4},
        Measure("vacuuming heap", 2, 4, "blocks"),
    ),
    (
        "vacuum",
        {"phase": "vacuuming indexes", "indexes_processed": 0, "indexes_total": 3},
        Measure("vacuuming indexes", 0, 3, "indexes"),
    ),
    # PostgreSQL 16 does not count them.
    ("vacuum", {"phase": "vacuuming indexes"}, Measure("vacuuming indexes")),
    ("vacuum", {"phase": "truncating heap", "heap_blks_total": 4}, Measure("truncating heap")),
    (
        "cluster",
        {"phase": "seq scanning heap", "heap_blks_scanned": 1, "heap_blks_total": 4},
        Measure("seq scanning heap", 1, 4, "blocks"),
    ),
    (
        "cluster",
        {"phase": "index scanning heap", "heap_tuples_scanned": 7, "heap_blks_total": 0},
        Measure("index scanning heap", 7, None, "tuples"),
    ),
    (
        "cluster",
        {"phase": "writing new heap", "heap_tuples_written": 5, "heap_tuples_scanned": 8},
        Measure("writing new heap", 5, 8, "tuples"),
    ),
    (
        "cluster",
        {"phase": "rebuilding index", "index_rebuild_count": 1},
        Measure("rebuilding index", 1, None, "indexes"),
    ),
    ("cluster", {"phase": "swapping relation files"}, Measure("swapping relation files")),
    (
        "copy",
        {"command": "COPY FROM", "bytes_processed": 5, "bytes_total": 50, "tuples_processed": 1},
        Measure("COPY FROM", 5, 50, "bytes"),
    ),
    (
        "copy",
        {"command": "COPY TO", "bytes_processed": 5, "bytes_total": 0, "tuples_processed": 1},
        Measure("COPY TO", 1, None, "tuples"),
    ),
    (
        "analyze",
        {"phase": "acquiring sample rows", "sample_blks_scanned": 3, "sample_blks_total": 4},
        Measure("acquiring sample rows", 3, 4, "blocks"),
    ),
    (
        "analyze",
        {"phase": "computing statistics", "sample_blks_scanned": 4, "sample_blks_total": 4},
        Measure("computing statistics"),
    ),
]


@pytest.mark.parametrize(
    ("view", "row", "expected"), CASES, ids=[f"{view}: {one.phase}" for view, _, one in CASES]
)
def test_a_phase_tells_what_it_counts(view: str, row: dict[str, Any], expected: Measure) -> None:
    """Each counts something else, and some nothing."""
    assert measure(view, row) == expected
