"""The relations that were in use before a version, and its locks as locks on their tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from neuron_schema.catalog import Kind, ObjectName
from neuron_schema.review.locks import LockMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from neuron_schema.review.tracing.queries import Catalog, Relation

_KINDS: Final = {
    "r": Kind.TABLE,
    "p": Kind.TABLE,
    "m": Kind.MATERIALIZED_VIEW,
    "v": Kind.VIEW,
    "f": Kind.FOREIGN_TABLE,
    "S": Kind.SEQUENCE,
    "i": Kind.INDEX,
    "I": Kind.INDEX,
}
_PARTS: Final = ("i", "I", "t")


@dataclass(frozen=True, slots=True)
class Held:
    """The strongest lock on a table.

    Attributes:
        inside: It is on an index or on the TOAST table; the table itself is not locked.
        index: An index of the table is locked so that its planner may not even look at it.
    """

    mode: LockMode
    inside: bool = False
    index: bool = False


class Existing:
    """The relations that were there before a version, but for our own and those that nobody uses.

    Args:
        catalog: What was there.
        own: The OIDs of the history table and the log.
        unused: The OIDs of tables that nobody uses yet.
    """

    def __init__(
        self, catalog: Catalog, own: frozenset[int], unused: frozenset[int] = frozenset()
    ) -> None:
        self._history = own
        own |= unused
        self._all = catalog.relations
        self.parts = frozenset(
            key for key, part in catalog.parts.items() if part.of is None or part.of not in own
        )
        self._own = own
        self.relations = {
            oid: each for oid, each in self._all.items() if self._table(oid) not in own
        }

    def __contains__(self, oid: int) -> bool:
        return oid in self.relations

    def is_own(self, oid: int) -> bool:
        """Whether it is the history table or the log."""
        return oid in self._history

    def name(self, oid: int) -> ObjectName:
        """Return a relation's name as it was before the version."""
        return name_of(self.relations[oid], self._all)

    def tables(self) -> Iterator[Relation]:
        """Yield tables and partitions, in the order of their names."""
        found = [each for each in self.relations.values() if each.kind in ("r", "p")]
        yield from sorted(found, key=lambda each: (each.schema, each.name))

    def folded(self, locks: Mapping[int, LockMode]) -> dict[int, Held]:
        """Return the locks on tables, those on their indexes and TOAST tables among them.

        What is locked inside of a table counts where the table itself is not; a sequence that
        belongs to a column, where its table is not locked as strongly.
        """
        own = {oid: mode for oid, mode in locks.items() if oid in self and not self._is_part(oid)}
        found = {oid: Held(mode) for oid, mode in own.items()}
        for oid, mode in locks.items():
            if oid not in self or not self._is_part(oid):
                continue
            table = self._table(oid)
            index = mode is LockMode.ACCESS_EXCLUSIVE and self.relations[oid].kind != "t"
            known = found.get(table)
            if known is None or known.inside:
                stronger = known is None or mode.strength > known.mode.strength
                kept = mode if known is None or stronger else known.mode
                was = known is not None and known.index
                found[table] = Held(kept, inside=True, index=index or was)
            elif index:
                found[table] = Held(known.mode, index=True)
        return {oid: held for oid, held in found.items() if not self._echoes(oid, held, found)}

    def _echoes(self, oid: int, held: Held, found: Mapping[int, Held]) -> bool:
        """Whether a sequence is locked no more strongly than the table that it belongs to."""
        relation = self.relations[oid]
        table = found.get(relation.parent) if relation.parent is not None else None
        if relation.kind != "S" or table is None:
            return False
        return table.mode.strength >= held.mode.strength

    def _is_part(self, oid: int) -> bool:
        return self._all[oid].kind in _PARTS

    def _table(self, oid: int) -> int:
        """Return the table that a relation is a part of; itself where it is none."""
        while oid in self._all:
            each = self._all[oid]
            if each.parent is None or (each.kind not in _PARTS and each.parent not in self._own):
                return oid
            oid = each.parent
        return oid


def name_of(relation: Relation, relations: Mapping[int, Relation]) -> ObjectName:
    """Return what names a relation; an index with its table."""
    parent = relations.get(relation.parent) if relation.parent is not None else None
    return ObjectName(
        kind=_KINDS.get(relation.kind, Kind.TABLE),
        name=relation.name,
        schema=relation.schema,
        parent=parent.name if parent is not None and relation.kind in ("i", "I") else None,
    )
