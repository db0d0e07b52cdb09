"""Work that grows with a table, on one that is known to be small. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards.facts import ran, worked_on
from neuron_schema.review.hazards.wording import amount, size_of, sized

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import ObjectName
    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding

SMALL: Final = 1024 * 1024
"""Bytes, indexes and all, below which nobody notices that a table is read, or written anew."""

GROWING: Final = frozenset(
    {
        "add-check-valid",
        "add-column-constrained-domain",
        "add-column-generated-stored",
        "add-column-inline-check",
        "add-column-inline-unique",
        "add-column-serial",
        "add-column-volatile-default",
        "add-exclusion",
        "add-fk-valid",
        "add-pk-nullable-scan",
        "add-unique-blocking",
        "alter-type-rewrite",
        "bulk-dml",
        "create-index-blocking",
        "lock-held-across-statements",
        "matview-refresh",
        "not-valid-validated-same-tx",
        "opaque-ddl",
        "partition-attach-scan",
        "reindex-blocking",
        "set-not-null-scan",
        "vector-index-blocking",
        "vector-type-change",
        "whole-table-rewrite-command",
    }
)
"""Hazards that are as bad as the tables are large."""


def lowered(case: Case, finding: Finding) -> Finding:
    """Return a finding as a note, where all tables that its work grows with are known to be small.

    What ``--stats`` does not tell of may be large.
    """
    if case.stats is None or finding.hazard not in GROWING or finding.severity is Severity.NOTE:
        return finding
    tables = list(dict.fromkeys(_tables(case, finding)))
    sizes = [size_of(case, table) for table in tables]
    if not sizes or any(size is None or size.bytes >= SMALL for size in sizes):
        return finding
    return replace(
        finding,
        severity=Severity.NOTE,
        sentence=f"{finding.sentence}; it is a note, as that takes a moment below {amount(SMALL)}",
        reasons=(*finding.reasons, *(f"--stats tells of {sized(case, each)}" for each in tables)),
    )


def _tables(case: Case, finding: Finding) -> Iterator[ObjectName]:
    """Yield the tables that the work of a finding may grow with."""
    if finding.object is not None:
        yield finding.object
    later = finding.hazard == "lock-held-across-statements"
    for each in ran(case):
        if each.number == finding.statement or (later and each.number > (finding.statement or 0)):
            yield from worked_on(each.measure)
            yield from (one.table for one in each.measure.written)
