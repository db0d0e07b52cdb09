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
    Paragraph,
    Section,
    Source,
    Strong,
)
from neuron_schema.review.render.changing import (
    change_words,
    changed_columns,
    changed_tables,
    new_tables,
)
from neuron_schema.review.render.happening import happenings
from neuron_schema.review.render.lock_table import lock_grid
from neuron_schema.review.render.locked import lock_rows
from neuron_schema.review.render.proving import proof_details, proof_word
from neuron_schema.review.render.telling_findings import accepted_told, findings_told
from neuron_schema.review.render.unmeasured import unmeasured
from neuron_schema.review.render.wording import counted, ended, gate, of_severity, tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from neuron_schema.review.findings import Severity
    from neuron_schema.review.render.blocks import Text
    from neuron_schema.review.render.helping import Help
    from neuron_schema.review.report import ReviewedVersion, ReviewReport
    from neuron_schema.review.stats import Stats

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
        findings_told(report, helps),
        accepted_told(report),
        _locks(report),
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
            f", on the schema of {counted(report.before, 'earlier version')}."
            if report.before
            else ", on an empty schema.",
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
    # Each database has plpgsql.
    told = [f"{name} {version}" for name, version in server.extensions if name != "plpgsql"]
    for place, extension in enumerate(told):
        yield ", " if place else ", with "
        yield Code(extension)
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
    words = [of_severity(count, severity) for severity, count in counts if count]
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
        (Code(version.label), row)
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
        report.diagram,
        report.tables,
        changed_tables(changes),
        changed_columns(changes),
        new_tables(changes),
    )
    return Section(title=("Changed tables and their neighbours",), blocks=(drawing,))
