"""GitLab's code quality report.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from neuron_schema.printable import one_line
from neuron_schema.review.findings import Severity
from neuron_schema.review.render.identity import identities
from neuron_schema.review.render.places import line_of, path_of

if TYPE_CHECKING:
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.report import ReviewReport

SEVERITY_WORDS: Final = {
    Severity.BLOCKING: "blocker",
    Severity.CAUTION: "major",
    Severity.NOTE: "info",
}


def code_quality(report: ReviewReport) -> str:
    """Return the open findings as GitLab's JSON."""
    found = zip(report.findings, identities(report.findings), strict=True)
    issues = [_issue(report, each, name) for each, name in found if each.accepted is None]
    return json.dumps(issues, indent=2) + "\n"


def _issue(report: ReviewReport, finding: Finding, identity: str) -> dict[str, Any]:
    return {
        "description": one_line(" ".join(_told(finding).split())),
        "check_name": finding.hazard,
        "fingerprint": identity,
        "severity": SEVERITY_WORDS[finding.severity],
        "location": {
            "path": path_of(report, finding),
            "lines": {"begin": line_of(report, finding)},
        },
    }


def _told(finding: Finding) -> str:
    """Return sentence and remedy: GitLab shows them as one line without marks."""
    if not finding.remedy:
        return finding.sentence
    end = "" if finding.sentence.rstrip().endswith((".", "!", "?")) else "."
    return f"{finding.sentence.rstrip()}{end} Remedy: {finding.remedy}"
