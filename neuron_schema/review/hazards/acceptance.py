"""Hazards that a version accepts: ``accept = {"create-index-blocking": "the table is empty"}``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards.model import Hazard, example, source
from neuron_schema.review.hazards.wording import finding
from neuron_schema.settings import suggest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding

_PAGE: Final = "https://www.postgresql.org/docs/current/explicit-locking.html"


def accepted(findings: Iterable[Finding], case: Case) -> list[Finding]:
    """Return findings, those with a reason that their version accepts."""
    reasons = dict(case.migration.accept)
    return [replace(each, accepted=reasons.get(each.hazard)) for each in findings]


def acceptances(case: Case, found: Collection[str], known: Collection[str]) -> Iterator[Finding]:
    """Yield what is wrong with what a version accepts.

    Args:
        case: The version.
        found: The ids of the hazards that it has.
        known: The ids of all hazards.
    """
    for hazard, reason in case.migration.accept:
        if hazard not in known:
            hint = suggest(hazard, known)
            yield finding(
                case,
                "acceptance-unknown",
                Severity.NOTE,
                None,
                f"Version {case.migration.version} accepts {hazard!r}, which is no hazard"
                + (f"; {hint}" if hint else ""),
                reasons=(f"the reason that it gives: {reason}",),
            )
        elif hazard not in found:
            yield finding(
                case,
                "acceptance-unused",
                Severity.NOTE,
                None,
                f"Version {case.migration.version} accepts {hazard}, which it does not have",
                reasons=(f"the reason that it gives: {reason}",),
            )


def _nothing(_case: Case) -> tuple[Finding, ...]:
    """Find nothing: only when all else is found can it be said what was accepted in vain."""
    return ()


def _index(accept: str) -> str:
    return source(
        "Find items by name",
        f"""
items = Table("items", MetaData(), Column("name", Text))
index = Index("idx_items_name", items.c.name)

accept = {{"{accept}": "there are no items before the launch"}}

up = [CreateIndex(index)]
down = [DropIndex(index)]
""",
    )


_NEW: Final = source(
    "Titles of items",
    """
titles = Table("titles", MetaData(), Column("title", Text))

accept = {"create-index-blocking": "there are no items before the launch"}

up = [CreateTable(titles)]
down = [DropTable(titles)]
""",
)

HAZARDS: Final = (
    Hazard(
        id="acceptance-unused",
        title="A hazard is accepted that is not there",
        condition="`accept` of a version names a hazard that the version does not have.",
        effect="None now; should the hazard come with a later edit, it would be accepted for a "
        "reason that was given for something else.",
        remedy="Take it out of `accept`",
        page=_PAGE,
        bad=example(_NEW),
        good=example(_index("create-index-blocking"), also=("create-index-blocking",)),
        check=_nothing,
    ),
    Hazard(
        id="acceptance-unknown",
        title="A hazard is accepted that does not exist",
        condition="`accept` of a version names something that is no hazard.",
        effect="What was meant is not accepted.",
        remedy="Write the hazard's id; `neuron-schema explain` lists them",
        page=_PAGE,
        bad=example(_index("create-index-blokcing"), also=("create-index-blocking",)),
        good=example(_index("create-index-blocking"), also=("create-index-blocking",)),
        check=_nothing,
    ),
)
