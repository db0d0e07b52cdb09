"""All hazards, by their ids, in the order in which they are listed."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from neuron_schema.review.hazards import (
    acceptance,
    columns,
    compatibility,
    constraints,
    data,
    indexes,
    proofs,
    tables,
    timeouts,
    transactions,
    types,
    validating,
    vectors,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from neuron_schema.review.hazards.model import Hazard

GROUPS: Final = MappingProxyType(
    {
        "Columns": (*columns.HAZARDS, *types.HAZARDS),
        "Constraints": (*constraints.HAZARDS, *validating.HAZARDS),
        "Indexes": indexes.HAZARDS,
        "Vectors": vectors.HAZARDS,
        "Tables, partitions, views and triggers": tables.HAZARDS,
        "Locks and transactions": (*transactions.HAZARDS, *timeouts.HAZARDS),
        "Data": data.HAZARDS,
        "The previous release": compatibility.HAZARDS,
        "The way back": proofs.HAZARDS,
        "Acceptances": acceptance.HAZARDS,
    }
)
"""Hazards that belong together, under a heading."""

HAZARDS: Final[Mapping[str, Hazard]] = MappingProxyType(
    {hazard.id: hazard for group in GROUPS.values() for hazard in group}
)
"""All hazards by id."""
