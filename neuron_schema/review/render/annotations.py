"""Annotations on GitHub: a workflow command for each finding.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from neuron_schema.printable import safe
from neuron_schema.review.findings import SEVERITIES, Severity
from neuron_schema.review.render.places import line_of, path_of
from neuron_schema.review.render.wording import clipped, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.review.findings import Finding
    from neuron_schema.review.report import ReviewReport

LEVELS: Final = {
    Severity.BLOCKING: "error",
    Severity.CAUTION: "warning",
    Severity.NOTE: "notice",
}
MOST = 9
"""Of each level; GitHub shows ten of a step, and the last tells of the others."""

_LONGEST = 4_000


def workflow_commands(report: ReviewReport) -> str:
    """Return a line for each open finding, up to nine of each level; "" for none."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: ReviewReport) -> Iterator[str]:
    for severity in SEVERITIES:
        found = [each for each in report.open_findings if each.severity is severity]
        for finding in found[:MOST]:
            yield _line(report, finding)
        if more := found[MOST:]:
            told = f"{counted(len(more), 'more finding')}: see the summary of the job"
            yield f"::{LEVELS[severity]} title={severity}::{_data(told)}"


def _line(report: ReviewReport, finding: Finding) -> str:
    place = {
        "file": path_of(report, finding),
        "line": str(line_of(report, finding)),
        "title": f"{finding.severity}: {finding.hazard}",
    }
    properties = ",".join(f"{key}={_property(value)}" for key, value in place.items() if value)
    message = finding.sentence + (f"\nRemedy: {finding.remedy}" if finding.remedy else "")
    return f"::{LEVELS[finding.severity]} {properties}::{_data(clipped(message, _LONGEST))}"


def _data(text: str) -> str:
    """Escape a message as GitHub's toolkit does."""
    return safe(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape a property as GitHub's toolkit does."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
