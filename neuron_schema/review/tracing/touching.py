"""Which objects a statement made, altered, dropped or renamed. Pure: values in, values out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.review.tracing.existing import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from neuron_schema.catalog import ObjectName
    from neuron_schema.review.tracing.queries import Catalog, Part, Relation


def touched(before: Catalog, after: Catalog) -> tuple[ObjectName, ...]:
    """Return what is other than before, renamed things under both names.

    Without what a relation holds that is new or gone as a whole.
    """
    found = {*_relations(before, after), *_parts(before, after)}
    return tuple(sorted(found, key=lambda each: each.sort_key))


def renamed(before: Catalog, after: Catalog) -> tuple[tuple[ObjectName, ObjectName], ...]:
    """Return tables and columns that have another name or schema, with both."""
    pairs = {
        (name_of(each, before.relations), name_of(after.relations[oid], after.relations))
        for oid, each in before.relations.items()
        if oid in after.relations and _named(each) != _named(after.relations[oid])
    }
    pairs |= {
        (each.name, after.parts[key].name)
        for key, each in before.parts.items()
        if key in after.parts and _called(each) != _called(after.parts[key])
    }
    return tuple(sorted(pairs, key=lambda pair: (pair[0].sort_key, pair[1].sort_key)))


def _called(part: Part) -> tuple[str | None, str]:
    """Return a part's name, with the schema of what belongs to no relation."""
    return part.name.schema if part.of is None else None, part.name.name


def _named(relation: Relation) -> tuple[str, str]:
    return relation.schema, relation.name


def _relations(before: Catalog, after: Catalog) -> Iterator[ObjectName]:
    for one, other in ((before.relations, after.relations), (after.relations, before.relations)):
        for oid, each in one.items():
            if each.kind == "t" or _is_new_or_gone(each.parent, other):
                continue
            if oid not in other or _named(each) != _named(other[oid]):
                yield name_of(each, one)


def _parts(before: Catalog, after: Catalog) -> Iterator[ObjectName]:
    were, are = _own(before), _own(after)
    sides = ((were, are, after.relations), (are, were, before.relations))
    for one, other, relations in sides:
        for key, each in one.items():
            if _is_new_or_gone(each.of, relations):
                continue
            if key not in other or _state(each) != _state(other[key]):
                yield each.name


def _own(catalog: Catalog) -> dict[tuple[str, int, int], Part]:
    """Return the parts but for a partition's shares of its parent's."""
    return {key: part for key, part in catalog.parts.items() if not part.inherited}


def _state(part: Part) -> tuple[str | None, str, str]:
    return *_called(part), part.state


def _is_new_or_gone(oid: int | None, others: Mapping[int, Relation]) -> bool:
    return oid is not None and oid not in others
