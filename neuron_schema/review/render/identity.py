"""By what a finding is known again in the next run, wherever its lines have gone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.review.findings import Finding


def identities(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return 64 hex digits for each finding: of its hazard and of the object that it concerns.

    Neither lines nor the numbers of statements count, so that an edit above leaves them alone. Of
    a finding without an object its version counts. Where several are alike, their order does.
    """
    seen: dict[tuple[str, ...], int] = {}
    found = []
    for finding in findings:
        key = _key(finding)
        seen[key] = seen.get(key, 0) + 1
        text = "\0".join((*key, str(seen[key])))
        found.append(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())
    return tuple(found)


def _key(finding: Finding) -> tuple[str, ...]:
    if finding.object is None:
        return finding.hazard, "version", finding.version
    return finding.hazard, *finding.object.sort_key
