"""All that is known of one version under review, for hazards to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuron_schema.catalog import Change, Snapshot
    from neuron_schema.model import Migration
    from neuron_schema.proof.verify import Proof
    from neuron_schema.review.measures import VersionMeasure
    from neuron_schema.review.report import Novelty
    from neuron_schema.review.stats import Stats


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One version under review, measured and proven.

    Attributes:
        before: The schema that the earlier versions built.
        after: The schema after the version's ``up``.
        changes: What tells them apart.
        stats: The sizes of the real tables, or None.
        major: The server's major version.
        final: The schema after the last version under review; None where this is the last. What a
            later version cures (an index for a foreign key) is no hazard.
        formerly: The schema after the version as it was before it was edited, on the same earlier
            ones; None where it is new, or was none that runs.
        unused: Schema and name of tables that earlier versions under review make, and that nobody
            uses yet.
    """

    migration: Migration
    novelty: Novelty
    measure: VersionMeasure
    before: Snapshot
    after: Snapshot
    changes: tuple[Change, ...]
    proof: Proof
    major: int
    stats: Stats | None = None
    final: Snapshot | None = None
    formerly: Snapshot | None = None
    unused: frozenset[tuple[str, str]] = frozenset()
