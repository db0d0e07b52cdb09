"""A remedy as version modules that nobody has run yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuron_schema.review.findings import FixModule


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Version modules that might be used instead of one.

    Attributes:
        hazard: What they are to be rid of.
        statement: The number of the statement that has it; None for the version as a whole.
        summary: What is done, in a few words: ``split into 005 and 006``.
        modules: In order.
    """

    hazard: str
    statement: int | None
    summary: str
    modules: tuple[FixModule, ...]
