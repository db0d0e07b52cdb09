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
    from collections.abc import Mapping

    from neuron_schema.review.findings import Finding, Fix
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
    labels = {version.version: version for version in report.versions}
    parts = (_finding(each, labels.get(each.version), helps, report.stats) for each in found)
    return Section(title=title, parts=tuple(parts), noun="finding")


def _finding(
    finding: Finding,
    version: ReviewedVersion | None,
    helps: Mapping[str, Help],
    stats: Stats | None,
) -> Section:
    known = helps.get(finding.hazard)
    blocks: list[Block] = [Paragraph((finding.sentence,))]
    if finding.reasons:
        blocks.append(Bullets(tuple((reason,) for reason in finding.reasons)))
    if finding.remedy:
        blocks.append(Paragraph((finding.remedy,), label="Remedy"))
    if finding.fix is not None:
        blocks.append(_fix(finding.fix, version, stats))
    more: Text = (Code(f"neuron-schema explain {finding.hazard}"),)
    if known is not None and known.uri:
        more = (Link(known.title or finding.hazard, known.uri), ", or ", *more)
    blocks.append(Paragraph(more, label="More"))
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
    measured = (
        lock_grid("Locks of the fix beside those of the version", rows, sized=False, of="Module")
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
