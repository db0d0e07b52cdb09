"""Which tables nobody can update from now on, as they are published without an identity. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from neuron_schema.catalog.model import Publication, name_of, spelled
from neuron_schema.review.hazards.facts import is_new
from neuron_schema.review.hazards.wording import listed, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import ObjectName, Snapshot
    from neuron_schema.catalog.model import Relation
    from neuron_schema.review.case import Case

_IDENTITY_FIRST: Final = (
    "Give the table a primary key or a replica identity first: ALTER TABLE ... REPLICA IDENTITY "
    "USING INDEX, or FULL"
)


def refused(case: Case) -> Iterator[tuple[ObjectName, str, str]]:
    """Yield the tables whose rows can be updated or deleted no more: a sentence, and a remedy.

    https://www.postgresql.org/docs/current/logical-replication-publication.html
    """
    for table in case.after.tables:
        name = name_of(table)
        was = case.before.relation(table.schema, table.name)
        if was is None or is_new(case, name):
            continue
        lost = _refuses(case.after, table) - _refuses(case.before, was)
        if lost:
            yield (
                name,
                f"{named(name)} is published, and no primary key or replica identity says which "
                f"row is meant: PostgreSQL refuses each {listed(sorted(lost))} of it from now on",
                _IDENTITY_FIRST,
            )


def _refuses(schema: Snapshot, table: Relation) -> frozenset[str]:
    """Return of UPDATE and DELETE those that PostgreSQL refuses of a table, as it is published."""
    if table.partition_key is not None or _is_identified(table):
        return frozenset()
    text = f"{spelled(table.schema)}.{spelled(table.name)}"
    return frozenset(
        what.upper()
        for each in schema.objects
        if isinstance(each, Publication)
        and (
            each.all_tables
            or spelled(table.schema) in each.schemas
            or any(one == text or one.startswith(f"{text} ") for one in each.tables)
        )
        for what in each.publishes
        if what in ("update", "delete")
    )


def _is_identified(table: Relation) -> bool:
    if table.replica_identity == "default":
        return table.primary_key is not None
    return table.replica_identity != "nothing"
