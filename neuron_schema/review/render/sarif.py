"""Findings as SARIF 2.1.0.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from neuron_schema.review.findings import Severity
from neuron_schema.review.render.identity import identities
from neuron_schema.review.render.places import line_of, path_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from neuron_schema.review.findings import Finding
    from neuron_schema.review.render.helping import Help
    from neuron_schema.review.report import ReviewReport

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
FINGERPRINT: Final = "neuronSchemaFinding/v1"
LEVELS: Final = {
    Severity.BLOCKING: "error",
    Severity.CAUTION: "warning",
    Severity.NOTE: "note",
}


def sarif(report: ReviewReport, helps: Mapping[str, Help], version: str) -> str:
    """Return the findings as SARIF, those that are accepted as suppressed ones.

    Args:
        report: What was found.
        helps: What is known of hazards, by their ids.
        version: Of neuron-schema itself.
    """
    rules = sorted({each.hazard for each in report.findings})
    driver: dict[str, Any] = {
        "name": "neuron-schema",
        "rules": [_rule(hazard, report, helps.get(hazard)) for hazard in rules],
    }
    if version:
        driver["version"] = version
    named = zip(report.findings, identities(report.findings), strict=True)
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "neuron-schema/review"},
        "results": [_result(report, each, name, rules) for each, name in named],
        "properties": {
            "comparedWith": report.compared_with,
            "server": report.server.server,
            "extensions": dict(report.server.extensions),
        },
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(hazard: str, report: ReviewReport, known: Help | None) -> dict[str, Any]:
    worst = next(each.severity for each in report.findings if each.hazard == hazard)
    title = known.title if known else hazard.replace("-", " ")
    text = known.text if known else f"neuron-schema explain {hazard}"
    rule: dict[str, Any] = {
        "id": hazard,
        "name": "".join(word.capitalize() for word in hazard.split("-")),
        "shortDescription": {"text": _message(title)},
        "fullDescription": {"text": _message(text)},
        "help": {"text": _message(text)},
        "defaultConfiguration": {"level": LEVELS[worst]},
        "properties": {"tags": ["database", "postgresql"]},
    }
    if known and known.uri:
        rule["helpUri"] = known.uri
    return rule


def _result(
    report: ReviewReport, finding: Finding, identity: str, rules: list[str]
) -> dict[str, Any]:
    told = [finding.sentence, *finding.reasons]
    if finding.remedy:
        told.append(f"Remedy: {finding.remedy}")
    result: dict[str, Any] = {
        "ruleId": finding.hazard,
        "ruleIndex": rules.index(finding.hazard),
        "level": LEVELS[finding.severity],
        "message": {"text": _message("\n".join(told))},
        "partialFingerprints": {FINGERPRINT: identity},
        "properties": {
            "severity": finding.severity,
            "version": finding.version,
            "statement": finding.statement,
            "object": finding.object and f"{finding.object.kind} {finding.object}",
        },
    }
    if path := path_of(report, finding):
        result["locations"] = [_location(path, line_of(report, finding))]
    if finding.accepted is not None:
        result["suppressions"] = [
            {
                "kind": "inSource",
                "status": "accepted",
                "justification": _message(finding.accepted),
            }
        ]
    return result


def _location(path: str, line: int) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(path), "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": line},
        }
    }


def _message(text: str) -> str:
    """Return text that is no link (3.11.6) and no placeholder (3.11.5) anywhere."""
    return text.replace("](", "] (").replace("{", "{{").replace("}", "}}")
