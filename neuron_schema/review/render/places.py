"""Where a finding stands: its file and its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.report import ReviewedVersion, ReviewReport


def version_of(report: ReviewReport, finding: Finding) -> ReviewedVersion | None:
    """Return the version that a finding is of, or None where it is not under review."""
    return next((each for each in report.versions if each.version == finding.version), None)


def path_of(report: ReviewReport, finding: Finding) -> str:
    """Return the file of a finding's version, or ""."""
    version = version_of(report, finding)
    return "" if version is None else version.path


def line_of(report: ReviewReport, finding: Finding) -> int:
    """Return the line of a finding's statement; 1 for a version as a whole."""
    version = version_of(report, finding)
    number = finding.statement
    if version is None or number is None or not 0 < number <= len(version.lines):
        return 1
    return version.lines[number - 1]
