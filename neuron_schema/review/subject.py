"""What a review is of, as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from neuron_schema.model import Migration
    from neuron_schema.review.changed import Changed
    from neuron_schema.review.stats import Stats


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is reviewed.

    Attributes:
        migrations: All versions up to the last one under review, in order.
        changed: which of them are under review.
        root: What paths in the report are relative to.
        stats: The sizes of the real tables, or None.
    """

    migrations: tuple[Migration, ...]
    numbers: frozenset[int]
    changed: Changed
    root: Path
    stats: Stats | None = None

    @property
    def earlier(self) -> tuple[Migration, ...]:
        """The versions before the first one under review."""
        first = min(self.changed.versions, default=0)
        return tuple(each for each in self.migrations if each.number < first)

    @property
    def rest(self) -> tuple[Migration, ...]:
        """The other ones: those under review, and those between them."""
        return self.migrations[len(self.earlier) :]
