"""From what was measured of a version to what is found of it. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from neuron_schema.review.hazards.acceptance import acceptances, accepted
from neuron_schema.review.hazards.facts import same_table
from neuron_schema.review.hazards.folding import folded
from neuron_schema.review.hazards.registry import HAZARDS
from neuron_schema.review.hazards.small import GROWING, lowered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding


def judge(case: Case) -> tuple[Finding, ...]:
    """Return the hazards that a version has, the worst first, each with its remedy.

    What a more special hazard of the same table says already is left out. The order is the same
    for the same case: severity, statement, the order of the registry, the object's name.
    """
    case = folded(case)
    checked = [each for hazard in HAZARDS.values() for each in hazard.check(case)]
    found = [lowered(case, each) for each in checked]
    small = [now for was, now in zip(checked, found, strict=True) if now is not was]
    told = [each for each in found if not _is_covered(each, found, small)]
    wrong = acceptances(case, {each.hazard for each in told}, HAZARDS)
    complete = (
        replace(each, remedy=each.remedy or HAZARDS[each.hazard].remedy)
        for each in (*accepted(told, case), *wrong)
    )
    return tuple(sorted(complete, key=_order))


def _is_covered(finding: Finding, found: Sequence[Finding], small: Sequence[Finding]) -> bool:
    """Whether another finding says what one would.

    One that is a note because its table is small does not say it of what small tables have too: a
    lock that waits for those at work, rows that refuse.
    """
    others = (each for each in found if finding.hazard in GROWING or each not in small)
    return any(_covers(other, finding) for other in others)


def _covers(special: Finding, general: Finding) -> bool:
    """Whether one finding says what another one would."""
    if general.hazard not in HAZARDS[special.hazard].covers:
        return False
    statement = HAZARDS[general.hazard].per_table or special.statement == general.statement
    if special.object is None or general.object is None:
        return statement
    return statement and same_table(special.object, general.object)


def _order(finding: Finding) -> tuple[object, ...]:
    return (
        finding.severity.rank,
        finding.statement or 0,
        tuple(HAZARDS).index(finding.hazard),
        finding.object.sort_key if finding.object is not None else (),
        finding.sentence,
    )
