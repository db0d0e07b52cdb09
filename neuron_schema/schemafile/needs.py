"""What has to be there before an object, and before a part that can be added to it later."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from neuron_schema.catalog import (
    Constraint,
    Index,
    ObjectName,
    Relation,
    Rule,
    Sequence,
    Snapshot,
    Trigger,
)
from neuron_schema.catalog.model import name_of, part_name
from neuron_schema.schemafile.names import qualified
from neuron_schema.schemafile.tables import full_name

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Needs:
    """What objects and their parts need.

    Attributes:
        objects: Of each object, the ones without which it cannot be made at all.
        parts: Of each part that can be added later, the objects that it needs.
    """

    objects: dict[ObjectName, set[ObjectName]] = field(default_factory=dict)
    parts: dict[ObjectName, set[ObjectName]] = field(default_factory=dict)

    def of_part(self, name: ObjectName) -> set[ObjectName]:
        """Return what a part needs."""
        return self.parts.get(name, set())


def needs_of(snapshot: Snapshot) -> Needs:
    """Return what everything in a snapshot needs."""
    found = Needs()
    for dependency in snapshot.dependencies:
        dependent, needed = dependency.dependent, dependency.needs
        if _is_owned_by(snapshot, dependent, needed):
            continue
        each = snapshot.by_name.get(dependent)
        if isinstance(each, Relation):
            _share(each, needed, found)
        else:
            found.objects.setdefault(dependent, set()).add(needed)
    tables = {full_name(each): name_of(each) for each in snapshot.tables}
    for relation in snapshot.relations:
        parents = {tables[parent] for parent in relation.inherits if parent in tables}
        found.objects.setdefault(name_of(relation), set()).update(parents)
    return found


def _share(relation: Relation, needed: ObjectName, found: Needs) -> None:
    """Find out what of a relation needs an object: all of it, or parts that can come later.

    Texts name it with its schema, as they were made with an empty ``search_path``.
    """
    name = qualified(needed.schema, needed.name)
    sharing = [part for part, text in _later_parts(relation) if name in text]
    for part in sharing:
        found.parts.setdefault(part, set()).add(needed)
    if not sharing or any(name in text for text in _core(relation)):
        found.objects.setdefault(name_of(relation), set()).add(needed)


def _later_parts(relation: Relation) -> Iterator[tuple[ObjectName, str]]:
    """Yield the parts of a relation that can be added to it later, and their texts."""
    for column in relation.columns:
        if column.default is not None and column.generated is None:
            yield part_name(column, relation), column.default
    several: list[Constraint | Index | Trigger | Rule] = [*relation.constraints, *relation.indexes]
    for part in (*several, *relation.triggers, *relation.rules):
        yield part_name(part, relation), part.definition
    for policy in relation.policies:
        yield part_name(policy, relation), f"{policy.using} {policy.check}"


def _core(relation: Relation) -> Iterator[str]:
    """Yield the texts of what a relation cannot be made without."""
    for column in relation.columns:
        # A view's columns follow from its query.
        if relation.definition is None:
            yield column.type
        if column.generated is not None:
            yield column.default or ""
    yield from (relation.definition or "", relation.partition_key or "", relation.of_type or "")


def owned_sequences(snapshot: Snapshot) -> dict[ObjectName, list[Sequence]]:
    """Return the sequences that each relation's columns own."""
    by_column = {
        f"{full_name(relation)}.{qualified(None, column.name)}": name_of(relation)
        for relation in snapshot.relations
        for column in relation.columns
    }
    found: dict[ObjectName, list[Sequence]] = {}
    for each in snapshot.objects:
        if isinstance(each, Sequence) and each.owned_by in by_column:
            found.setdefault(by_column[each.owned_by], []).append(each)
    return found


def _is_owned_by(snapshot: Snapshot, dependent: ObjectName, needed: ObjectName) -> bool:
    each = snapshot.by_name.get(dependent)
    owner = qualified(needed.schema, needed.name)
    return (
        isinstance(each, Sequence)
        and each.owned_by is not None
        and each.owned_by.startswith(f"{owner}.")
    )


def inline(constraint: Constraint) -> bool:
    """Whether a constraint can stand in CREATE TABLE, as far as it alone tells."""
    return constraint.type != "trigger" and constraint.validated and constraint.enforced
