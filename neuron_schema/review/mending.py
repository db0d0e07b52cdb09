"""Runs the remedies that could be written, each where the version that it is of began."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from neuron_schema.review.course import passed_by
from neuron_schema.review.fixes import propose, try_all
from neuron_schema.review.hazards import judge

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from neuron_schema.model import Migration
    from neuron_schema.proof.ground import Workshop
    from neuron_schema.proof.trunk import Trunk
    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.fixes import Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was found of one version.

    Attributes:
        case: The version.
        findings: The worst first, then as the statements stand.
        proposals: For each of them its remedy, None where none could be written.
    """

    case: Case
    findings: tuple[Finding, ...]
    proposals: tuple[Proposal | None, ...]


def judged(case: Case, numbers: Collection[int]) -> Judged:
    """Return what is found of a version, and what could be done instead. Nothing is run.

    Args:
        case: The version.
        numbers: Those of all versions that there are.
    """
    findings = tuple(sorted(judge(case), key=_order))
    return Judged(
        case=case,
        findings=findings,
        proposals=tuple(propose(case, finding, taken=numbers) for finding in findings),
    )


def _order(finding: Finding) -> tuple[int, int, str, str]:
    return (
        finding.severity.rank,
        finding.statement or 0,
        finding.hazard,
        str(finding.object or ""),
    )


def mended(
    workshop: Workshop, trunk: Trunk, migrations: Sequence[Migration], found: Sequence[Judged]
) -> list[tuple[Finding, ...]]:
    """Return the findings of each version, with the remedies that prove themselves.

    Args:
        workshop: Where.
        trunk: The schema before the first of the migrations; it is used up.
        migrations: The versions from the first one under review on, in order.
        found: What was found of those under review, in order.

    Raises:
        ServerUnavailable: the server cannot be used.
    """
    told: list[tuple[Finding, ...]] = []
    waiting = list(migrations)
    for each in found:
        number = each.case.migration.number
        if any(each.proposals):
            between = [one for one in waiting if one.number < number]
            waiting = waiting[len(between) :]
            # What raised before raises again, and is left out again.
            list(passed_by(trunk, between))
        told.append(_tried(workshop, trunk, each))
    return told


def _tried(workshop: Workshop, trunk: Trunk, found: Judged) -> tuple[Finding, ...]:
    fixes = try_all(workshop, trunk.address, found.case, found.proposals)
    return tuple(
        finding if fix is None else replace(finding, fix=fix)
        for finding, fix in zip(found.findings, fixes, strict=True)
    )
