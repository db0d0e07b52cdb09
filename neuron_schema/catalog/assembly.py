"""Joins the rows of a catalog into a snapshot's values. Pure: rows in, values out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from neuron_schema.catalog.composing import ACTIONS
from neuron_schema.catalog.model import (
    Column,
    Constraint,
    Grant,
    Index,
    Kind,
    Policy,
    References,
    Relation,
    Rule,
    Sequence,
    Trigger,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from neuron_schema.catalog.answers import Answers
    from neuron_schema.catalog.model import Grants
    from neuron_schema.catalog.rows import Row, Rows

RELATION_KINDS = {
    "r": Kind.TABLE,
    "p": Kind.TABLE,
    "f": Kind.FOREIGN_TABLE,
    "v": Kind.VIEW,
    "m": Kind.MATERIALIZED_VIEW,
}
ENABLED = {"O": "origin", "D": "disabled", "R": "replica", "A": "always"}
PERSISTENCE = {"p": "permanent", "u": "unlogged"}
_REPLICA = {"d": "default", "n": "nothing", "f": "full", "i": "index"}
_STORAGE = {"p": "plain", "e": "external", "x": "extended", "m": "main"}
_COMPRESSION = {"p": "pglz", "l": "lz4"}
_IDENTITY = {"a": "always", "d": "by default"}
_GENERATED = {"s": "stored", "v": "virtual"}
_CONSTRAINTS = {
    "c": "check",
    "f": "foreign key",
    "n": "not null",
    "p": "primary key",
    "u": "unique",
    "x": "exclude",
}
_COMMANDS = {"*": "all", "r": "select", "a": "insert", "w": "update", "d": "delete"}
_ORDINARY: Row = (None,) * 9


def grants(exploded: Any) -> Grants:
    """Return privileges: None where they are the default, said or not."""
    if exploded is None:
        return None
    given, usual = (tuple(sorted(Grant(*each) for each in side or ())) for side in exploded)
    return None if given == usual else given


def options(texts: Iterable[str] | None) -> tuple[str, ...]:
    """Return options sorted, as their order says nothing."""
    return tuple(sorted(texts)) if texts else ()


@dataclass(slots=True)
class Parts:
    """Everything that hangs on a relation or domain, by its OID."""

    columns: defaultdict[int, list[Column]] = field(default_factory=lambda: defaultdict(list))
    constraints: defaultdict[int, list[Constraint]] = field(
        default_factory=lambda: defaultdict(list)
    )
    indexes: defaultdict[int, list[Index]] = field(default_factory=lambda: defaultdict(list))
    triggers: defaultdict[int, list[Trigger]] = field(default_factory=lambda: defaultdict(list))
    rules: defaultdict[int, list[Rule]] = field(default_factory=lambda: defaultdict(list))
    policies: defaultdict[int, list[Policy]] = field(default_factory=lambda: defaultdict(list))


@dataclass(slots=True)
class Assembly:
    """Puts parts together.

    Args:
        rows: What the catalog holds.
        answers: What the server was asked after that.
    """

    rows: Rows
    answers: Answers
    parts: Parts = field(default_factory=Parts)
    comments: defaultdict[str, dict[tuple[int, int], str]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def __post_init__(self) -> None:
        for catalog, oid, number, text in self.rows["comments"]:
            self.comments[catalog][oid, number] = text
        self._add_indexes_and_constraints()
        self._add_columns()
        self._add_triggers()
        self._add_policies()

    def comment(self, catalog: str, oid: int, number: int = 0) -> str | None:
        """Return the comment on an object, or on a column of it."""
        said = self.comments.get(catalog)
        return said.get((oid, number)) if said else None

    def relation(self, row: Row) -> Relation:
        """Return one relation with its parts."""
        oid = row[0]
        parts = self.parts
        return Relation(
            schema=self.rows.scope.schemas[row[1]],
            name=row[2],
            kind=RELATION_KINDS[row[3]],
            owner=row[4],
            privileges=grants(row[5]),
            comment=self.comment("pg_class", oid),
            persistence=PERSISTENCE[row[6]],
            access_method=row[7],
            tablespace=row[8],
            options=options(row[9]),
            toast_options=options(row[10]),
            row_security=row[11],
            force_row_security=row[12],
            replica_identity=_REPLICA[row[13]],
            of_type=row[14],
            partition_key=row[15],
            partition_bound=row[16],
            inherits=self.answers.parents.get(oid, ()),
            definition=row[17],
            server=row[18],
            foreign_options=options(row[19]),
            columns=tuple(parts.columns.get(oid, ())),
            constraints=_by_name(parts.constraints.get(oid)),
            indexes=_by_name(parts.indexes.get(oid)),
            triggers=_by_name(parts.triggers.get(oid)),
            rules=_by_name(parts.rules.get(oid)),
            policies=_by_name(parts.policies.get(oid)),
        )

    def sequence(self, row: Row) -> Sequence:
        """Return one sequence."""
        return Sequence(
            schema=self.rows.scope.schemas[row[1]],
            name=row[2],
            owner=row[3],
            privileges=grants(row[4]),
            comment=self.comment("pg_class", row[0]),
            type=row[5],
            start=row[6],
            increment=row[7],
            minimum=row[8],
            maximum=row[9],
            cache=row[10],
            cycle=row[11],
            persistence=PERSISTENCE[row[12]],
            owned_by=row[16],
        )

    def _add_columns(self) -> None:
        special = {(row[0], row[1]): row[2:] for row in self.rows["special_columns"]}
        defaults = {(row[1], row[2]): row[3] for row in self.rows["defaults"]}
        identities = {
            (row[13], row[14]): self.sequence(row)
            for row in self.rows["sequences"]
            if row[15] == "i"
        }
        comments = self.comments["pg_class"]
        more = {*special, *defaults, *comments}
        # Columns of one name, type and so on are one value: `note text` is in many a table.
        known: dict[Row, Column] = {}
        for relation, by_number in self.answers.columns.items():
            columns = self.parts.columns[relation]
            for number in sorted(by_number):
                row = by_number[number][2:]
                place = (relation, number)
                if place in more:
                    row += (special.get(place), defaults.get(place), comments.get(place))
                if place in special:
                    column = self._column(row, identities.get(place))
                else:
                    found = known.get(row)
                    column = found or known.setdefault(row, self._column(row))
                columns.append(column)

    def _column(self, row: Row, sequence: Sequence | None = None) -> Column:
        name, type_oid, modifier, not_null, collation, storage, *more = row
        special, default, comment = more or (None, None, None)
        formatted, usual_collation, usual_storage = self.answers.types[type_oid, modifier]
        identity, generated, compression, target, texts, foreign, local, parents, acl = (
            special or _ORDINARY
        )
        return Column(
            name=name,
            type=formatted,
            not_null=not_null,
            default=default,
            generated=_GENERATED.get(generated),
            identity=_IDENTITY.get(identity),
            sequence=sequence,
            collation=self.answers.collations[collation]
            if collation not in (0, usual_collation)
            else None,
            storage=_STORAGE[storage] if storage != usual_storage else None,
            compression=_COMPRESSION.get(compression),
            statistics=target,
            options=options(texts),
            foreign_options=options(foreign),
            is_local=local is not False,
            parents=parents or 0,
            # Nothing is granted on a column by default, and what was is sometimes left empty.
            privileges=grants(acl) or None,
            comment=comment,
        )

    def _add_indexes_and_constraints(self) -> None:
        targets: defaultdict[int, list[str]] = defaultdict(list)
        for row in self.rows["special_columns"]:
            if row[5] is not None:
                targets[row[0]].append(f"{row[1]}={row[5]}")
        classes: dict[str, tuple[str, ...]] = {}
        for row in self.rows["indexes"]:
            if row[14] not in classes:
                classes[row[14]] = tuple(self.answers.opclasses[int(o)] for o in row[14].split())
        indexes = {
            row[0]: self._index(row, classes[row[14]], targets.get(row[0]))
            for row in self.rows["indexes"]
        }
        for row in self.answers.constraints:
            backed = indexes.pop(row[11], None) if row[4] in "pux" else None
            owner = row[1] or row[2]
            self.parts.constraints[owner].append(self._constraint(row, backed))
        for row in self.rows["indexes"]:
            if row[0] in indexes:
                self.parts.indexes[row[1]].append(indexes[row[0]])

    def _index(self, row: Row, opclasses: tuple[str, ...], targets: list[str] | None) -> Index:
        answers = self.answers
        oid = row[0]
        parent = answers.parents.get(oid)
        return Index(
            name=row[2],
            comment=self.comment("pg_class", oid),
            definition=answers.index_definitions[oid],
            method=row[4],
            unique=row[7],
            columns=answers.key_columns[oid],
            opclasses=opclasses,
            options=options(row[5]),
            valid=row[9],
            clustered=row[8],
            replica_identity=row[10],
            statistics=options(targets),
            tablespace=row[6],
            parent=parent[0] if parent else None,
        )

    def _constraint(self, row: Row, backed: Index | None) -> Constraint:
        answers = self.answers
        references = None
        names = answers.constraint_columns.get(row[0])
        if names is None:
            names = answers.columns_of(row[1], row[12] or ())
        if row[4] == "f":
            schema, table = answers.relations[row[13]]
            references = References(
                schema=schema,
                table=table,
                columns=tuple(map(str, answers.columns_of(row[13], row[14]))),
                on_update=ACTIONS[row[15]],
                on_delete=ACTIONS[row[16]],
            )
        return Constraint(
            name=row[3],
            comment=self.comment("pg_constraint", row[0]),
            type=_CONSTRAINTS[row[4]],
            definition=answers.constraint_definitions[row[0]],
            # None is an expression of an EXCLUDE constraint.
            columns=tuple([name for name in names if name is not None]),
            references=references,
            deferrable=row[5],
            deferred=row[6],
            validated=row[7],
            enforced=row[8],
            triggered=row[19],
            no_inherit=row[9] and row[4] in "cn",
            is_local=row[10],
            index=backed,
        )

    def _add_triggers(self) -> None:
        for oid, relation, name, enabled, definition in self.rows["triggers"]:
            self.parts.triggers[relation].append(
                Trigger(
                    name=name,
                    comment=self.comment("pg_trigger", oid),
                    definition=definition,
                    enabled=ENABLED[enabled],
                )
            )
        for oid, relation, name, enabled, definition in self.rows["rules"]:
            if definition is not None:
                self.parts.rules[relation].append(
                    Rule(
                        name=name,
                        comment=self.comment("pg_rewrite", oid),
                        definition=definition,
                        enabled=ENABLED[enabled],
                    )
                )

    def _add_policies(self) -> None:
        for oid, relation, name, command, permissive, roles, using, check in self.rows["policies"]:
            self.parts.policies[relation].append(
                Policy(
                    name=name,
                    comment=self.comment("pg_policy", oid),
                    command=_COMMANDS[command],
                    permissive=permissive,
                    roles=tuple(sorted(roles)),
                    using=using,
                    check=check,
                )
            )


def _by_name(parts: list[Any] | None) -> tuple[Any, ...]:
    if not parts:
        return ()
    return (parts[0],) if len(parts) == 1 else tuple(sorted(parts, key=_name))


def _name(part: Any) -> str:
    name: str = part.name
    return name
