"""What a review could not measure, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.catalog.model import Kind
from neuron_schema.review.locks import Access
from neuron_schema.review.render.wording import joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.review.report import ReviewedVersion, ReviewReport
    from neuron_schema.review.stats import Stats


def unmeasured(report: ReviewReport) -> tuple[str, ...]:
    """Return all that was not measured, each sentence once."""
    said = [*report.unmeasured]
    for version in report.versions:
        said += _of(version)
    if report.stats is None and report.versions:
        said.append(
            "How large the real tables are: let neuron-schema stats write it down, and give it "
            "with --stats."
        )
    if report.stats is not None:
        said += _without_size(report, report.stats)
    return tuple(dict.fromkeys(said))


def _without_size(report: ReviewReport, stats: Stats) -> Iterator[str]:
    """Yield that the file of sizes does not tell of tables that are kept from others."""
    locked = {
        str(lock.table)
        for version in report.versions
        for statement in version.measure.statements
        if statement.shipped is not None
        for lock in statement.shipped.under
        if lock.table.kind in (Kind.TABLE, Kind.MATERIALIZED_VIEW)
        and not {Access.READS, Access.WRITES}.isdisjoint(lock.blocks)
    }
    unknown = sorted(locked - set(stats.tables))
    if unknown:
        verb = "is" if len(unknown) == 1 else "are"
        yield f"How large {joined(unknown)} really {verb}: the file of sizes does not say."


def _of(version: ReviewedVersion) -> Iterator[str]:
    for sentence in version.measure.unmeasured:
        yield f"{version.label}: {sentence}"
    neither = [
        each.number
        for each in version.measure.statements
        if each.shipped is None and each.alone is None
    ]
    if neither:
        noun = "statement" if len(neither) == 1 else "statements"
        verb = "was" if len(neither) == 1 else "were"
        numbers = joined(map(str, neither))
        yield f"{version.label}: {noun} {numbers} {verb} not run, as an earlier one failed."
    for each in version.proof.unseeded:
        yield f"{version.label}: {each.table} had no rows: {each.why}"
    if version.proof.without:
        yield (
            f"{version.label} was tried without {joined(version.proof.without)}, whose up raises."
        )
