"""The rows of a snapshot's queries, fetched as they are needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from neuron_schema.catalog import census, more_queries, others, queries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from neuron_schema.catalog.others import Presence
    from neuron_schema.catalog.queries import Scope

Row: TypeAlias = tuple[Any, ...]
Fetch: TypeAlias = "Callable[[], list[Row]]"
"""Waits for the answer to one query."""
Batch: TypeAlias = "Callable[[Sequence[str]], list[Fetch]]"
"""Sends queries, and waits for nothing."""

_FIRST: Mapping[str, Callable[[Scope], str]] = {
    "columns": queries.columns,
    "relations": queries.relations,
    "constraints": queries.constraints,
    "indexes": queries.indexes,
    "opclasses": queries.opclasses,
    "keywords": lambda _: (
        "SELECT k.word FROM pg_catalog.pg_get_keywords() k WHERE k.catcode <> 'U'"
    ),
    "populated": census.population_query,
    "not_nulls": queries.not_nulls,
}
"""What plain definitions are made of."""

_NEXT: Mapping[str, Callable[[Scope], str]] = {
    "index_texts": queries.index_texts,
    "constraint_texts": queries.constraint_texts,
    "counts": census.count_query,
    "types": queries.types,
    "dependencies": more_queries.dependencies,
    "inheritance": queries.inheritance,
    "comments": more_queries.comments,
    "sequences": queries.sequences,
    "special_columns": queries.special_columns,
    "defaults": queries.defaults,
}
"""What the server answers while plain definitions are made.

It works on until no more answers fit between it and this process, so the long ones come last.
"""

_SECOND: Mapping[str, Callable[[Scope], str]] = {
    "schemas": queries.schemas,
    "extensions": queries.extensions,
    "routines": more_queries.routines,
    "triggers": more_queries.triggers,
    "rules": more_queries.rules,
    "policies": more_queries.policies,
    "statistics": more_queries.statistics,
    "event_triggers": more_queries.event_triggers,
    "publications": more_queries.publications,
    "default_privileges": more_queries.default_privileges,
    "user_mappings": lambda _: others.USER_MAPPINGS,
    "labels": lambda _: others.LABELS,
}
"""What the server answers while parts are put together here."""


@dataclass(slots=True)
class Rows:
    """What the catalog holds, by the name of the query.

    Attributes:
        scope: What is read.
    """

    scope: Scope
    _fetches: dict[str, Fetch] = field(default_factory=dict)
    _fetched: dict[str, list[Row]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> list[Row]:
        if name not in self._fetched:
            self._fetched[name] = self._fetches.pop(name)()
        return self._fetched[name]

    def send(self, batch: Batch, texts: Mapping[str, str]) -> None:
        """Send queries whose rows are then known by their names."""
        self._fetches.update(zip(texts, batch(list(texts.values())), strict=True))

    def presences(self) -> tuple[Presence, ...]:
        """Return how to read those of the rarer catalogs in which there is something.

        Raises:
            CatalogUnread: A catalog that nobody knows holds something.
        """
        populated = {row[0] for row in self["populated"]}
        census.refuse_strangers(populated, self.scope)
        return tuple(
            each
            for each in others.presences(self.scope.version)
            if each.catalog in populated or each.catalog == "pg_type"
        )


def first(batch: Batch, scope: Scope) -> Rows:
    """Ask all that the second questions depend on."""
    rows = Rows(scope)
    for group in (_FIRST, _NEXT):
        rows.send(batch, {name: make(scope) for name, make in group.items()})
    return rows


def second(scope: Scope) -> dict[str, str]:
    """Return the questions that depend on nothing and can wait."""
    return {name: make(scope) for name, make in _SECOND.items()}
