"""A report as JSON: every measurement, by the schema in ``docs/review.schema.json``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from neuron_schema.review.findings import SEVERITIES
from neuron_schema.review.render.identity import identities
from neuron_schema.review.render.unmeasured import unmeasured

if TYPE_CHECKING:
    from neuron_schema.catalog import ObjectName
    from neuron_schema.proof.verify import Proof
    from neuron_schema.review.findings import Finding, Fix, Severity
    from neuron_schema.review.measures import Measure, TableLock, VersionMeasure
    from neuron_schema.review.report import ReviewedVersion, ReviewReport
    from neuron_schema.review.stats import Stats

SCHEMA_VERSION = 1

Object: TypeAlias = dict[str, Any]


def render_json(report: ReviewReport, fail_on: Severity | None) -> str:
    """Return a report as one JSON object."""
    return json.dumps(as_object(report, fail_on), indent=2) + "\n"


def as_object(report: ReviewReport, fail_on: Severity | None) -> Object:
    """Return a report as what ``json.dumps`` takes."""
    names = identities(report.findings)
    found = [_finding(*each) for each in zip(report.findings, names, strict=True)]
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": {
            "worst": report.worst,
            "fail_on": fail_on or "never",
            "fails": fail_on is not None and bool(report.at_least(fail_on)),
            "counts": {str(severity): report.count(severity) for severity in SEVERITIES},
            "accepted": len(report.findings) - len(report.open_findings),
        },
        "compared_with": report.compared_with,
        "versions_before": report.before,
        "server": {
            "version": report.server.server,
            "embedded": report.server.embedded,
            "extensions": dict(report.server.extensions),
        },
        "versions": [_version(version) for version in report.versions],
        "findings": found,
        "unmeasured": list(unmeasured(report)),
        "stats": _stats(report.stats),
        "diagram": report.diagram,
    }


def _version(version: ReviewedVersion) -> Object:
    return {
        "version": version.version,
        "name": version.name,
        "description": version.description,
        "novelty": version.novelty,
        "path": version.path,
        "lines": list(version.lines),
        "up": list(version.up),
        "down": None if version.down is None else list(version.down),
        "irreversible": version.irreversible,
        **_measured(version.measure),
        "changes": [{**each.plain(), "words": str(each)} for each in version.changes],
        "proof": _proof(version.proof),
    }


def _measured(version: VersionMeasure) -> Object:
    return {
        "transactional": version.transactional,
        "statements": [
            {
                "number": each.number,
                "sql": each.sql,
                "concurrent": each.concurrent,
                "shipped": None if each.shipped is None else _measure(each.shipped),
                "alone": None if each.alone is None else _measure(each.alone),
            }
            for each in version.statements
        ],
    }


def _measure(measure: Measure) -> Object:
    failed = measure.failed
    return {
        "locks": [_lock(each) for each in measure.locks],
        "held": [_lock(each) for each in measure.held],
        "rewritten": [str(each) for each in measure.rewritten],
        "built": [
            {"index": _name(each.index), "method": each.method, "rebuilt": each.rebuilt}
            for each in measure.built
        ],
        "scans": [
            {"table": str(each.table), "times": each.times, "why": each.why}
            for each in measure.scans
        ],
        "written": [
            {
                "table": str(each.table),
                "inserted": each.inserted,
                "updated": each.updated,
                "deleted": each.deleted,
            }
            for each in measure.written
        ],
        "cascaded": [_name(each) for each in measure.cascaded],
        "truncated": [str(each) for each in measure.truncated],
        "touched": None if measure.touched is None else [_name(each) for each in measure.touched],
        "renamed": [
            {"before": _name(before), "after": _name(after)} for before, after in measure.renamed
        ],
        "said": list(measure.said),
        "failed": failed
        and {
            "sqlstate": failed.sqlstate,
            "message": failed.message,
            "rows_only": failed.rows_only,
            "detail": failed.detail,
        },
    }


def _lock(lock: TableLock) -> Object:
    return {
        "table": str(lock.table),
        "mode": lock.mode,
        "blocks": list(lock.blocks),
        "proven": lock.proven,
        "named": lock.named,
    }


def _name(name: ObjectName) -> Object:
    return {"kind": name.kind, "name": str(name)}


def _finding(finding: Finding, identity: str) -> Object:
    return {
        "id": identity,
        "hazard": finding.hazard,
        "severity": finding.severity,
        "version": finding.version,
        "statement": finding.statement,
        "object": finding.object and _name(finding.object),
        "sentence": finding.sentence,
        "reasons": list(finding.reasons),
        "remedy": finding.remedy,
        "fix": finding.fix and _fix(finding.fix),
        "accepted": finding.accepted,
    }


def _fix(fix: Fix) -> Object:
    return {
        "summary": fix.summary,
        "modules": [{"file_name": each.file_name, "source": each.source} for each in fix.modules],
        "measures": [{"version": each.version, **_measured(each)} for each in fix.measures],
        "left": [
            {
                "hazard": each.hazard,
                "version": each.version,
                "statement": each.statement,
                "sentence": each.sentence,
            }
            for each in fix.left
        ],
    }


def _proof(proof: Proof) -> Object:
    return {
        "proven": proof.proven,
        "failures": [
            {"phase": each.phase, "message": each.message, "rows_only": each.rows_only}
            for each in proof.failures
        ],
        "residue": [each.plain() for each in proof.residue],
        "divergence": [each.plain() for each in proof.divergence],
        "order": [each.plain() for each in proof.order],
        "validated": [each.plain() for each in proof.validated],
        "losses": [
            {"direction": each.direction, "object": each.object, "what": each.what}
            for each in proof.losses
        ],
        "unseeded": [{"table": each.table, "why": each.why} for each in proof.unseeded],
        "without": list(proof.without),
    }


def _stats(stats: Stats | None) -> Object | None:
    if stats is None:
        return None
    return {
        "taken_on": stats.taken_on,
        "server_major": stats.server_major,
        "tables": {
            name: {"rows": each.rows, "bytes": each.bytes}
            for name, each in sorted(stats.tables.items())
        },
    }
