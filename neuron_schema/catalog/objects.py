"""Makes the values of what stands alone, and the dependencies between all. Pure."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from neuron_schema.catalog.assembly import ENABLED, Assembly, grants, options
from neuron_schema.catalog.model import (
    Composite,
    DefaultPrivileges,
    Dependency,
    Domain,
    EnumType,
    EventTrigger,
    Extension,
    Kind,
    ObjectName,
    Other,
    Publication,
    RangeType,
    Routine,
    Schema,
    SchemaObject,
    Statistics,
    name_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog.model import AnyObject
    from neuron_schema.catalog.rows import Row, Rows

_ROUTINES = {
    "f": Kind.FUNCTION,
    "w": Kind.FUNCTION,
    "p": Kind.PROCEDURE,
    "a": Kind.AGGREGATE,
}
_DEFAULTS = {
    "r": "tables",
    "S": "sequences",
    "f": "functions",
    "T": "types",
    "n": "schemas",
    "L": "large objects",
}
_RANK = {kind: rank for rank, kind in enumerate(Kind)}
_PUBLISHES = ("insert", "update", "delete", "truncate")
_PUBLISHED = {"n": "none", "s": "stored"}


@dataclass(slots=True)
class Objects:
    """All objects of a snapshot, their names by OID, and how many were read.

    Args:
        rows: What the catalog holds.
        assembly: The parts.
    """

    rows: Rows
    assembly: Assembly
    found: list[AnyObject] = field(default_factory=list)
    names: dict[tuple[str, int], ObjectName] = field(default_factory=dict)
    read: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for catalog, letter, oid, value in self._all():
            self.found.append(value)
            self.names[catalog, oid] = name_of(value)
            self.read[catalog, letter] += 1
        self._count_parts()

    def _all(self) -> Iterator[tuple[str, str, int, AnyObject]]:
        rows, comment = self.rows, self.assembly.comment
        for oid, name, owner, acl in rows["schemas"]:
            said = comment("pg_namespace", oid)
            schema = Schema(name=name, owner=owner, privileges=grants(acl), comment=said)
            yield "pg_namespace", "", oid, schema
        for oid, name, owner, target, version in rows["extensions"]:
            said = comment("pg_extension", oid)
            extension = Extension(
                name=name, owner=owner, target=target, version=version, comment=said
            )
            yield "pg_extension", "", oid, extension
        for row in rows["relations"]:
            yield "pg_class", row[3], row[0], self.assembly.relation(row)
        for row in rows["sequences"]:
            if row[15] != "i":
                yield "pg_class", "S", row[0], self.assembly.sequence(row)
        for row in rows["types"]:
            yield "pg_type", row[3], row[0], self._type(row)
        for row in rows["routines"]:
            yield "pg_proc", row[3], row[0], self._routine(row)
        for row in rows["statistics"]:
            yield "pg_statistic_ext", "", row[0], self._statistics(row)
        yield from self._wide()
        yield from self._others()

    def _type(self, row: Row) -> AnyObject:
        shared: dict[str, Any] = {
            "schema": self.rows.scope.schemas[row[1]],
            "name": row[2],
            "owner": row[4],
            "privileges": grants(row[5]),
            "comment": self.assembly.comment("pg_type", row[0]),
        }
        parts = self.assembly.parts
        if row[3] == "e":
            return EnumType(labels=tuple(row[7] or ()), **shared)
        if row[3] == "d":
            return Domain(
                type=row[8],
                not_null=row[9],
                default=row[10],
                collation=row[11],
                constraints=tuple(
                    sorted(parts.constraints.get(row[0], ()), key=lambda each: each.name)
                ),
                **shared,
            )
        if row[3] == "c":
            return Composite(columns=tuple(parts.columns.get(row[6], ())), **shared)
        return RangeType(
            subtype=row[12],
            collation=row[13],
            canonical=row[15],
            difference=row[16],
            multirange=row[17],
            opclass=row[14],
            **shared,
        )

    def _routine(self, row: Row) -> Routine:
        return Routine(
            schema=self.rows.scope.schemas[row[1]],
            name=row[2],
            kind=_ROUTINES[row[3]],
            owner=row[4],
            privileges=grants(row[5]),
            comment=self.assembly.comment("pg_proc", row[0]),
            arguments=row[6],
            result=row[7],
            language=row[8],
            definition=row[9],
            extensions=tuple(row[10] or ()),
        )

    def _statistics(self, row: Row) -> Statistics:
        return Statistics(
            schema=self.rows.scope.schemas[row[1]],
            name=row[2],
            owner=row[3],
            table=row[4],
            definition=row[5],
            target=row[6],
            comment=self.assembly.comment("pg_statistic_ext", row[0]),
        )

    def _wide(self) -> Iterator[tuple[str, str, int, AnyObject]]:
        """Yield what stands in no schema."""
        comment = self.assembly.comment
        for oid, name, owner, event, enabled, tags, function in self.rows["event_triggers"]:
            trigger = EventTrigger(
                name=name,
                owner=owner,
                comment=comment("pg_event_trigger", oid),
                event=event,
                function=function,
                tags=options(tags),
                enabled=ENABLED[enabled],
            )
            yield "pg_event_trigger", "", oid, trigger
        for row in self.rows["publications"]:
            publication = Publication(
                name=row[1],
                owner=row[2],
                comment=comment("pg_publication", row[0]),
                all_tables=row[3],
                publishes=tuple(
                    word for word, said in zip(_PUBLISHES, row[4:8], strict=True) if said
                ),
                via_root=row[8],
                generated=_PUBLISHED[row[9]],
                tables=options(row[10]),
                schemas=options(row[11]),
            )
            yield "pg_publication", "", row[0], publication
        for oid, role, namespace, letter, acl in self.rows["default_privileges"]:
            schema = self.rows.scope.schemas.get(namespace)
            place = f" in {schema}" if schema is not None else ""
            name = f"of {role}{place} on {_DEFAULTS[letter]}"
            usual = DefaultPrivileges(
                name=name,
                role=role,
                target=schema,
                objects=_DEFAULTS[letter],
                privileges=grants(acl),
            )
            yield "pg_default_acl", "", oid, usual

    def _others(self) -> Iterator[tuple[str, str, int, AnyObject]]:
        for catalog in self.assembly.answers.presences:
            for oid, kind, identity, namespace, owner, acl, details in self.rows[catalog]:
                other = Other(
                    name=identity,
                    type=kind,
                    schema=self.rows.scope.schemas.get(namespace),
                    owner=owner,
                    privileges=grants(acl),
                    details=details,
                    comment=self.assembly.comment(catalog, oid),
                )
                letter = json.loads(details)[-1] if catalog == "pg_type" else ""
                yield catalog, letter, oid, other
        for catalog, query in (("pg_user_mapping", "user_mappings"), ("pg_seclabel", "labels")):
            for oid, kind, identity, *_, details in self.rows[query]:
                yield catalog, "", oid, Other(name=identity, type=kind, details=details)

    def _count_parts(self) -> None:
        """Count parts of what was read, and give them their names."""
        rows, names, read = self.rows, self.names, self.read
        for row in self.assembly.answers.constraints:
            owner = names.get(("pg_class", row[1])) or names.get(("pg_type", row[2]))
            self._part("pg_constraint", row[4], row[0], owner)
        for row in rows["indexes"]:
            owner = names.get(("pg_class", row[1]))
            self._part("pg_class", row[3], row[0], owner)
        for row in rows["sequences"]:
            if row[15] == "i" and ("pg_class", row[13]) in names:
                read["pg_class", "S"] += 1
        for catalog, query in (
            ("pg_trigger", "triggers"),
            ("pg_rewrite", "rules"),
            ("pg_policy", "policies"),
        ):
            for row in rows[query]:
                self._part(catalog, "", row[0], names.get(("pg_class", row[1])))
        for row in rows["types"]:
            if row[3] == "c":
                read["pg_class", "c"] += 1
                names["pg_class", row[6]] = names["pg_type", row[0]]

    def _part(self, catalog: str, letter: str, oid: int, owner: ObjectName | None) -> None:
        if owner is not None:
            self.read[catalog, letter] += 1
            self.names[catalog, oid] = owner

    def dependencies(self) -> tuple[Dependency, ...]:
        """Return what needs what among the objects that stand alone."""
        catalogs = self.rows.scope.catalogs
        relations = {row[0]: row[1] for row in self.rows["defaults"]}
        edges: set[tuple[ObjectName, ObjectName]] = set()
        for class_oid, oid, needed_class, needed in self.rows["dependencies"]:
            catalog = catalogs.get(class_oid, "")
            if catalog == "pg_attrdef":
                catalog, oid = "pg_class", relations.get(oid, 0)  # noqa: PLW2901 - a default is its table's
            dependent = self.names.get((catalog, oid))
            target = self.names.get((catalogs.get(needed_class, ""), needed))
            if dependent is not None and target is not None and dependent != target:
                edges.add((dependent, target))
        return tuple(
            Dependency(*each)
            for each in sorted(edges, key=lambda edge: (edge[0].sort_key, edge[1].sort_key))
        )


def place_of(value: AnyObject) -> tuple[int, str, str, str]:
    """Return what snapshots sort objects by."""
    schema = value.schema if isinstance(value, SchemaObject) else ""
    rest = ""
    if isinstance(value, Routine):
        rest = value.arguments
    elif isinstance(value, Other):
        rest = value.type
    return (_RANK[value.kind], schema, value.name, rest)
