"""Findings as sections: what happens, why that is known, and what to do instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.review.render.blocks import (
    Block,
    Bullets,
    Code,
    Fold,
    Grid,
    Link,
    Paragraph,
    Section,
    Source,
)
from neuron_schema.review.render.lock_table import lock_grid
from neuron_schema.review.render.locked import lock_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from neuron_schema.review.findings import Finding, Fix, FixModule
    from neuron_schema.review.render.blocks import Inline, Text
    from neuron_schema.review.render.helping import Help
    from neuron_schema.review.render.locked import LockRow
    from neuron_schema.review.report import ReviewedVersion, ReviewReport
    from neuron_schema.review.stats import Stats


def findings_told(report: ReviewReport, helps: Mapping[str, Help]) -> Section:
    """Return the open findings, the worst first."""
    found = report.open_findings
    title: Text = ("Findings",)
    if not found:
        return Section(title=title, blocks=(Paragraph(("None.",)),))
    teller = _Teller(report, helps)
    return Section(title=title, parts=tuple(map(teller.finding, found)), noun="finding")


class _Teller:
    """Tells of findings one after the other; what was shown once is not shown again.

    Args:
        report: What they are of.
        helps: What is known of hazards, by their ids.
    """

    def __init__(self, report: ReviewReport, helps: Mapping[str, Help]) -> None:
        self._versions = {version.version: version for version in report.versions}
        self._helps = helps
        self._stats = report.stats
        self._fixes: dict[tuple[FixModule, ...], Finding] = {}
        self._compared: set[str] = set()

    def finding(self, finding: Finding) -> Section:
        """Return a finding."""
        version = self._versions.get(finding.version)
        blocks = [*_told(finding), *self._fix(finding, version), _more(finding, self._helps)]
        return Section(
            title=(
                f"{finding.severity}: ",
                Code(finding.hazard),
                " in ",
                *_place(finding, version),
            ),
            blocks=tuple(blocks),
            severity=finding.severity,
        )

    def _fix(self, finding: Finding, version: ReviewedVersion | None) -> Iterator[Block]:
        fix = finding.fix
        if fix is None:
            return
        first = self._fixes.setdefault(fix.modules, finding)
        if first is not finding:
            at = "" if first.statement is None else f", statement {first.statement}"
            yield Paragraph(("the same as that of ", Code(first.hazard), f"{at}, above"), "Fix")
            return
        beside = finding.version not in self._compared
        self._compared.add(finding.version)
        yield _fix(fix, version if beside else None, self._stats)


def _told(finding: Finding) -> Iterator[Block]:
    yield Paragraph((finding.sentence,))
    if finding.reasons:
        yield Bullets(tuple((reason,) for reason in finding.reasons))
    if finding.remedy:
        yield Paragraph((finding.remedy,), label="Remedy")


def _more(finding: Finding, helps: Mapping[str, Help]) -> Block:
    known = helps.get(finding.hazard)
    more: Text = (Code(f"neuron-schema explain {finding.hazard}"),)
    if known is not None and known.uri:
        more = (Link(known.title or finding.hazard, known.uri), ", or ", *more)
    return Paragraph(more, label="More")


def _place(finding: Finding, version: ReviewedVersion | None) -> Text:
    """Return where a finding is, in words."""
    label = finding.version if version is None else version.label
    at = "" if finding.statement is None else f", statement {finding.statement}"
    return (Code(label), *((at,) if at else ()))


def _fix(fix: Fix, version: ReviewedVersion | None, stats: Stats | None) -> Fold:
    rows: list[tuple[Inline, LockRow]] = []
    if version is not None:
        rows += [("as written", row) for row in lock_rows(version.measure, stats)]
    names = {
        measure.version: module.file_name
        for module, measure in zip(fix.modules, fix.measures, strict=False)
    }
    for measure in fix.measures:
        name = names.get(measure.version, measure.version)
        rows += [(Code(name), row) for row in lock_rows(measure, stats)]
    # The version's own are told once beside a fix.
    caption = f"Locks of the fix{' beside those of the version' if version is not None else ''}"
    measured = (
        lock_grid(caption, rows, sized=False, of="Module")
        if rows
        else Paragraph(("The fix locks no table that was there before.",))
    )
    modules = (Source("python", each.source, each.file_name) for each in fix.modules)
    summary: Text = ("Fix, run on the same server: ", fix.summary)
    if not fix.left:
        return Fold(summary, (measured, *modules))
    still = Bullets(tuple((Code(each.hazard), f": {each.sentence}") for each in fix.left))
    told = ", ".join(f"{each.hazard} in {each.version}" for each in fix.left)
    return Fold((*summary, f"; still blocking: {told}"), (still, measured, *modules))


def accepted_told(report: ReviewReport) -> Section | None:
    """Return the findings that a version accepts, with their reasons; None where none is."""
    rows = tuple(
        (
            (Code(each.version),),
            (Code(each.hazard),),
            (each.sentence,),
            (each.accepted,),
        )
        for each in report.findings
        if each.accepted is not None
    )
    if not rows:
        return None
    head = ("Version", "Hazard", "What happens", "Reason")
    return Section(title=("Accepted",), blocks=(Grid("Accepted findings", head, rows),))
