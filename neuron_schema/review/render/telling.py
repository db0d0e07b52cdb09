"""A report as a document: what is told to a person, in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.review.findings import SEVERITIES
from neuron_schema.review.render.blocks import (
    Block,
    Bullets,
    Code,
    Document,
    Drawing,
    Fold,
    Grid,
    Link,
    Paragraph,
    Section,
    Source,
    Strong,
)
from neuron_schema.review.render.changing import change_words, changed_columns, changed_tables
from neuron_schema.review.render.happening import happenings
from neuron_schema.review.render.locked import lock_rows
from neuron_schema.review.render.proving import proof_details, proof_word
from neuron_schema.review.render.unmeasured import unmeasured
from neuron_schema.review.render.wording import counted, ended, gate, short, tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from neuron_schema.review.findings import Finding, Fix, Severity
    from neuron_schema.review.render.blocks import Text
    from neuron_schema.review.render.helping import Help
    from neuron_schema.review.render.locked import LockRow
    from neuron_schema.review.report import ReviewedVersion, ReviewReport
    from neuron_schema.review.stats import Stats

LOCK_HEAD = ("Version", "Statement", "Table", "Lock", "Blocks", "Work while locked")
SIZE_HEAD = "Real size"

_HOW_KNOWN = (
    "What a lock blocks was tried by a second session; where none could, it is told by "
    "PostgreSQL's manual, and marked so."
)


def document(report: ReviewReport, fail_on: Severity | None, helps: Mapping[str, Help]) -> Document:
    """Return what a person is told of a review.

    Args:
        report: What was found.
        fail_on: From which severity on findings fail the review; None for never.
        helps: What is known of hazards, by their ids.
    """
    sections = (
        _locks(report),
        _findings(report, helps),
        _accepted(report),
        _unmeasured(report),
        _changes(report),
        _drawn(report),
    )
    return Document(
        title=f"Schema review: {tally(report)}",
        severity=report.worst,
        lead=tuple(_lead(report, fail_on)),
        sections=tuple(each for each in sections if each is not None),
    )


def _lead(report: ReviewReport, fail_on: Severity | None) -> Iterator[Block]:
    if not report.versions:
        said = "No version is under review: none is new compared with "
        yield Paragraph((said, Code(report.compared_with), "."))
        return
    yield Paragraph(gate(report, fail_on))
    count = counted(len(report.versions), "version")
    yield Paragraph(
        (
            f"{count} compared with ",
            Code(report.compared_with),
            f", on the schema of {counted(report.before, 'earlier version')}.",
        )
    )
    yield Paragraph((*_server(report), *_sizes(report.stats)))
    yield Grid(
        caption="Verdict by version",
        head=("Version", "State", "Findings", "Tables locked", "Way down"),
        rows=tuple(_verdict(report, version) for version in report.versions),
    )


def _server(report: ReviewReport) -> Iterator[str | Code]:
    server = report.server
    yield "Measured on a throw-away PostgreSQL "
    yield Code(server.server)
    yield " (embedded)" if server.embedded else " (of the address that was given)"
    for name, version in server.extensions:
        yield ", with " if (name, version) == server.extensions[0] else ", "
        yield Code(f"{name} {version}")
    yield ", on tables with a few rows."


def _sizes(stats: Stats | None) -> Iterator[str | Code]:
    if stats is not None:
        yield " Real sizes as of "
        yield Code(stats.taken_on)
        yield f" (PostgreSQL {stats.server_major})." if stats.server_major else "."


def _verdict(report: ReviewReport, version: ReviewedVersion) -> tuple[Text, ...]:
    found = [each for each in version.findings if each.accepted is None]
    counts = (
        (severity, sum(each.severity is severity for each in found)) for severity in SEVERITIES
    )
    words = [f"{count} {severity}" for severity, count in counts if count]
    rows = lock_rows(version.measure, report.stats)
    tables = {row.table for row in rows if row.blocks}
    return (
        (Code(version.label),),
        (str(version.novelty),),
        (Strong(", ".join(words)) if words else "none",),
        (str(len(tables)) if tables else "none",),
        (proof_word(version),),
    )


def _locks(report: ReviewReport) -> Section:
    rows = [
        (version.label, row)
        for version in report.versions
        for row in lock_rows(version.measure, report.stats)
    ]
    title: Text = ("Locks on existing tables",)
    if not rows:
        return Section(
            title=title, blocks=(Paragraph(("No table that was there before is locked.",)),)
        )
    grid = lock_grid("Locks on tables", rows, sized=report.stats is not None)
    return Section(title=title, blocks=(Paragraph((_HOW_KNOWN,)), grid))


def lock_grid(caption: str, rows: Iterable[tuple[str, LockRow]], *, sized: bool) -> Grid:
    """Return locks as a table.

    Args:
        caption: What it shows.
        rows: Each with what its first column shows.
        sized: Whether real sizes are known.
    """
    head = (*LOCK_HEAD, SIZE_HEAD) if sized else LOCK_HEAD
    return Grid(caption, head, tuple(_lock_cells(label, row, sized=sized) for label, row in rows))


def _lock_cells(label: str, row: LockRow, *, sized: bool) -> tuple[Text, ...]:
    cells: list[Text] = [
        (Code(label),),
        (f"{row.number}: ", Code(short(row.sql, 60))),
        (Code(str(row.table)), *(() if row.named else (" (the statement does not name it)",))),
        (row.lock,),
        (Strong(row.blocked),) if row.blocks and row.work else (row.blocked,),
        (row.meanwhile,),
    ]
    return (*cells, (row.sized or "not known",)) if sized else tuple(cells)


def _findings(report: ReviewReport, helps: Mapping[str, Help]) -> Section:
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
            *place(finding, version),
        ),
        blocks=tuple(blocks),
        severity=finding.severity,
    )


def place(finding: Finding, version: ReviewedVersion | None) -> Text:
    """Return where a finding is, in words."""
    label = finding.version if version is None else version.label
    at = "" if finding.statement is None else f", statement {finding.statement}"
    return (Code(label), *((at,) if at else ()))


def _fix(fix: Fix, version: ReviewedVersion | None, stats: Stats | None) -> Fold:
    rows = []
    if version is not None:
        rows += [("as written", row) for row in lock_rows(version.measure, stats)]
    names = {
        measure.version: module.file_name
        for module, measure in zip(fix.modules, fix.measures, strict=False)
    }
    for measure in fix.measures:
        name = names.get(measure.version, measure.version)
        rows += [(name, row) for row in lock_rows(measure, stats)]
    measured = (
        lock_grid("Locks of the fix beside those of the version", rows, sized=False)
        if rows
        else Paragraph(("The fix locks no table that was there before.",))
    )
    modules = (Source("python", each.source, each.file_name) for each in fix.modules)
    return Fold(("Fix, run on the same server: ", fix.summary), (measured, *modules))


def _accepted(report: ReviewReport) -> Section | None:
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


def _unmeasured(report: ReviewReport) -> Section:
    said = unmeasured(report)
    title: Text = ("Not measured",)
    if not said:
        return Section(title=title, blocks=(Paragraph(("Nothing was left out.",)),))
    return Section(title=title, blocks=(Bullets(tuple((each,) for each in said)),))


def _changes(report: ReviewReport) -> Section | None:
    if not report.versions:
        return None
    parts = tuple(_version(version) for version in report.versions)
    return Section(title=("What changes",), parts=parts, noun="version")


def _version(version: ReviewedVersion) -> Section:
    blocks: list[Block] = []
    if version.description:
        blocks.append(Paragraph((version.description,)))
    blocks.append(Paragraph((Code(version.path), f", {version.novelty}"), label="File"))
    if version.changes:
        changes = Bullets(tuple((change_words(change),) for change in version.changes))
        summary: Text = (f"Schema: {counted(len(version.changes), 'change')}",)
        blocks.append(Fold(summary, (changes,)))
    else:
        blocks.append(Paragraph(("nothing changes",), label="Schema"))
    blocks.append(_sql("up", version.up))
    if happened := tuple(happenings(version.measure)):
        blocks.append(Bullets(happened))
    if version.down is not None:
        blocks.append(_sql("down", version.down))
    blocks.append(Paragraph((proof_word(version), "."), label="Way down"))
    if details := proof_details(version):
        blocks.append(Bullets(details))
    return Section(title=(Code(version.label),), blocks=tuple(blocks))


def _sql(direction: str, statements: tuple[str, ...]) -> Block:
    if not statements:
        return Paragraph(("no statement",), label=direction)
    text = "\n\n".join(map(ended, statements))
    count = counted(len(statements), "statement")
    return Fold((Code(direction), f": {count}"), (Source("sql", text, ""),))


def _drawn(report: ReviewReport) -> Section | None:
    if not report.diagram and not report.tables:
        return None
    changes = [change for version in report.versions for change in version.changes]
    drawing = Drawing(
        report.diagram, report.tables, changed_tables(changes), changed_columns(changes)
    )
    return Section(title=("Changed tables and their neighbours",), blocks=(drawing,))
