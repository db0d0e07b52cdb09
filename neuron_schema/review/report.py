"""The report of a review: one value that every renderer prints."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuron_schema.review.findings import SEVERITIES, Severity

if TYPE_CHECKING:
    from neuron_schema.catalog import Change, Relation
    from neuron_schema.proof.verify import Proof
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.measures import VersionMeasure
    from neuron_schema.review.stats import Stats


class Novelty(enum.StrEnum):
    """Why a version is under review."""

    NEW = "new"
    EDITED = "edited"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedVersion:
    """One version under review.

    Attributes:
        path: Its file, relative to the project, with forward slashes.
        lines: For each statement of ``up`` the line it stands in, from 1.
        up: The statements of ``up``, without closing semicolons.
        down: Those of ``down``; None where it cannot be rolled back.
        irreversible: Why it cannot be, or None.
        changes: What tells the schema after it from the one before.
        proof: What ``verify`` found of it.
        findings: The worst first.
    """

    version: str
    name: str
    description: str
    novelty: Novelty
    path: str
    lines: tuple[int, ...]
    up: tuple[str, ...]
    down: tuple[str, ...] | None
    irreversible: str | None
    measure: VersionMeasure
    changes: tuple[Change, ...]
    proof: Proof
    findings: tuple[Finding, ...] = ()

    @property
    def label(self) -> str:
        """Version and name as the file name joins them."""
        return f"{self.version}_{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerVersions:
    """What it was measured on.

    Attributes:
        server: ``18.4``.
        extensions: Names and versions of those that the schema uses, sorted.
        embedded: Whether it is the embedded server.
    """

    server: str
    extensions: tuple[tuple[str, str], ...] = ()
    embedded: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewReport:
    """All that a review has to say; nothing in it depends on the time or the machine.

    Attributes:
        compared_with: What the versions are new or edited since: ``origin/main (1a2b3c4)``, or
            ``versions after 003``.
        versions: Those under review, in order.
        before: How many versions the schema was built from before the first of them.
        diagram: The tables that changed and their neighbours, as Mermaid; "" for none.
        tables: The same tables, as the last version leaves them, to be drawn.
        unmeasured: Sentences about what could not be measured.
        stats: The sizes of the real tables, or None.
    """

    compared_with: str
    versions: tuple[ReviewedVersion, ...]
    before: int
    server: ServerVersions
    diagram: str = ""
    tables: tuple[Relation, ...] = ()
    unmeasured: tuple[str, ...] = ()
    stats: Stats | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, the worst first, those that are accepted included."""
        found = (finding for version in self.versions for finding in version.findings)
        return tuple(sorted(found, key=lambda each: each.severity.rank))

    @property
    def open_findings(self) -> tuple[Finding, ...]:
        """Those that nobody accepted."""
        return tuple(each for each in self.findings if each.accepted is None)

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst open finding, or None."""
        return self.open_findings[0].severity if self.open_findings else None

    def count(self, severity: Severity) -> int:
        """Return how many open findings are of a severity."""
        return sum(each.severity is severity for each in self.open_findings)

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the open findings that are of a severity or worse."""
        worst = SEVERITIES[: severity.rank + 1]
        return tuple(each for each in self.open_findings if each.severity in worst)
