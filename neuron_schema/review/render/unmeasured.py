"""What a review could not measure, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.review.render.wording import joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.review.report import ReviewedVersion, ReviewReport


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
    return tuple(dict.fromkeys(said))


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
