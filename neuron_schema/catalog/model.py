"""What a schema consists of, as frozen values: names, never OIDs.

Equal values stand for equal schemas. Types, expressions and definitions are PostgreSQL's own text,
made with an empty ``search_path``, so that every name in them that is not PostgreSQL's carries
its schema. A relation holds its parts (columns, constraints, indexes, triggers, rules, policies);
columns stand in their order in the table, all other parts are sorted by name.

``owner`` and ``privileges`` differ between environments: ``Snapshot.unowned`` leaves them out.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

_BARE = re.compile(r"[a-z_][a-z0-9_$]*")


class Kind(enum.StrEnum):
    """What an object is, in SQL's words; the order is the one in which objects can be created."""

    SCHEMA = "schema"
    EXTENSION = "extension"
    OTHER = "other"
    ENUM = "enum type"
    COMPOSITE = "composite type"
    RANGE = "range type"
    DOMAIN = "domain"
    SEQUENCE = "sequence"
    FUNCTION = "function"
    PROCEDURE = "procedure"
    AGGREGATE = "aggregate"
    TABLE = "table"
    FOREIGN_TABLE = "foreign table"
    COLUMN = "column"
    COLUMN_ORDER = "column order"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized view"
    CONSTRAINT = "constraint"
    INDEX = "index"
    STATISTICS = "statistics"
    RULE = "rule"
    TRIGGER = "trigger"
    POLICY = "policy"
    PUBLICATION = "publication"
    EVENT_TRIGGER = "event trigger"
    DEFAULT_PRIVILEGES = "default privileges"


PART_KINDS = frozenset(
    (Kind.COLUMN, Kind.CONSTRAINT, Kind.INDEX, Kind.TRIGGER, Kind.RULE, Kind.POLICY)
)
"""What belongs to a relation, domain or composite type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectName:
    """What names one object in a database.

    Attributes:
        kind: What it is.
        name: Its own name.
        schema: Its schema, or its parent's; None for what stands in no schema.
        parent: The relation or domain that it is a part of.
        arguments: A routine's, as PostgreSQL prints them to identify it.
    """

    kind: Kind
    name: str
    schema: str | None = None
    parent: str | None = None
    arguments: str | None = None

    def __str__(self) -> str:
        parts = (self.schema, self.parent, self.name)
        written = ".".join(spelled(part) for part in parts if part is not None)
        return written if self.arguments is None else f"{written}({self.arguments})"

    @property
    def sort_key(self) -> tuple[str, ...]:
        """Orders names by schema, relation and name."""
        return (
            self.schema or "",
            self.parent or "",
            self.name,
            self.arguments or "",
            self.kind.value,
        )


def spelled(name: str) -> str:
    """Return a name as SQL spells it, quoted only where it is no plain lower-case word."""
    return name if _BARE.fullmatch(name) else '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One privilege of one role.

    Attributes:
        grantee: The role; "" is PUBLIC.
        privilege: In SQL's words: ``SELECT``.
        grantable: Whether the role may hand it on.
        grantor: Who gave it.
    """

    grantee: str
    privilege: str
    grantable: bool
    grantor: str


Grants: TypeAlias = tuple[Grant, ...] | None
"""Sorted; None is what PostgreSQL gives when nobody says anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What belongs to a relation or a domain."""

    name: str
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """What stands alone, in the database itself."""

    name: str
    owner: str | None = None
    privileges: Grants = None
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaObject(Object):
    """What stands alone, in a schema."""

    schema: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema(Object):
    """A schema."""

    kind: ClassVar[Kind] = Kind.SCHEMA


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension(Object):
    """An extension; its members are part of no snapshot."""

    kind: ClassVar[Kind] = Kind.EXTENSION
    target: str
    """The schema that its members are in. An extension itself stands in none."""
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence(SchemaObject):
    """A sequence, without the value that it stands at.

    Attributes:
        type: ``bigint``, ``integer`` or ``smallint``.
        persistence: ``permanent`` or ``unlogged``.
        owned_by: The column ``schema.table.column`` with which it is dropped, or None.
    """

    kind: ClassVar[Kind] = Kind.SEQUENCE
    type: str
    start: int
    increment: int
    minimum: int
    maximum: int
    cache: int
    cycle: bool
    persistence: str
    owned_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Part):
    """A column of a relation, or an attribute of a composite type.

    Attributes:
        type: By ``format_type``: ``character varying(40)``.
        default: The expression of the default, or of a generated column.
        generated: ``stored``, ``virtual`` or None.
        identity: ``always``, ``by default`` or None.
        sequence: The sequence behind an identity column; it is no object of its own.
        collation: Where it is not the type's own.
        storage: ``plain``, ``external``, ``extended`` or ``main``, where it is not the type's own.
        compression: ``pglz`` or ``lz4``, where it was said.
        statistics: The statistics target, where it was said.
        options: As ``n_distinct=5``, sorted.
        foreign_options: Of a foreign table's column, sorted.
        is_local: Whether the relation declares it itself.
        parents: How many parents it is inherited from.
        privileges: Those given for this column alone.
    """

    kind: ClassVar[Kind] = Kind.COLUMN
    type: str
    not_null: bool = False
    default: str | None = None
    generated: str | None = None
    identity: str | None = None
    sequence: Sequence | None = None
    collation: str | None = None
    storage: str | None = None
    compression: str | None = None
    statistics: int | None = None
    options: tuple[str, ...] = ()
    foreign_options: tuple[str, ...] = ()
    is_local: bool = True
    parents: int = 0
    privileges: Grants = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Index(Part):
    """An index.

    Attributes:
        definition: ``CREATE INDEX ...`` by ``pg_get_indexdef``.
        method: The access method: ``btree``.
        unique: Whether it allows a value once only.
        columns: The columns in order, those of INCLUDE too; None for an expression.
        opclasses: One ``schema.name`` for each key column.
        options: WITH, sorted: ``m=16``.
        valid: False for what an interrupted CREATE INDEX CONCURRENTLY left behind.
        clustered: Whether CLUSTER goes by it.
        replica_identity: Whether it is the table's replica identity.
        statistics: The statistics targets that were said, as ``2=500``: column number and target.
        tablespace: Where it is not the database's.
        parent: The index ``schema.name`` of the partitioned table that it is a partition of.
    """

    kind: ClassVar[Kind] = Kind.INDEX
    definition: str
    method: str
    unique: bool = False
    columns: tuple[str | None, ...] = ()
    opclasses: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    valid: bool = True
    clustered: bool = False
    replica_identity: bool = False
    statistics: tuple[str, ...] = ()
    tablespace: str | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What a foreign key points at.

    Attributes:
        schema: The schema of the table.
        table: The table.
        columns: Its columns, in the order of the key's own.
        on_update: ``no action``, ``restrict``, ``cascade``, ``set null`` or ``set default``.
        on_delete: The same.
    """

    schema: str
    table: str
    columns: tuple[str, ...]
    on_update: str = "no action"
    on_delete: str = "no action"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint(Part):
    """A constraint of a relation or a domain.

    NOT NULL is ``Column.not_null``; it is a constraint here only where PostgreSQL 18 knows more of
    it: a name of its own, NO INHERIT, NOT VALID, a comment.

    Attributes:
        type: ``primary key``, ``unique``, ``foreign key``, ``check``, ``exclude``, ``not null``
            or ``trigger``.
        definition: By ``pg_get_constraintdef``: ``CHECK ((price > 0))``.
        columns: The columns that it is on, in its order.
        references: For a foreign key.
        deferrable: Whether a transaction may put it off.
        deferred: Whether it is put off unless a transaction says otherwise.
        validated: False where rows that were there before are not checked yet.
        enforced: False for NOT ENFORCED of PostgreSQL 18.
        triggered: False where PostgreSQL's own triggers that check it are disabled, one at least:
            ``ALTER TABLE ... DISABLE TRIGGER ALL``.
        no_inherit: Whether it holds for the table alone.
        is_local: Whether the relation declares it itself.
        index: The index behind it; it is no object of its own and bears the same name.
    """

    kind: ClassVar[Kind] = Kind.CONSTRAINT
    type: str
    definition: str
    columns: tuple[str, ...] = ()
    references: References | None = None
    deferrable: bool = False
    deferred: bool = False
    validated: bool = True
    enforced: bool = True
    triggered: bool = True
    no_inherit: bool = False
    is_local: bool = True
    index: Index | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger(Part):
    """A trigger.

    Attributes:
        definition: By ``pg_get_triggerdef``.
        enabled: ``origin`` (the usual one), ``disabled``, ``replica`` or ``always``.
    """

    kind: ClassVar[Kind] = Kind.TRIGGER
    definition: str
    enabled: str = "origin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Part):
    """A rule, other than the one that makes a view.

    Attributes:
        definition: By ``pg_get_ruledef``.
        enabled: As a trigger's.
    """

    kind: ClassVar[Kind] = Kind.RULE
    definition: str
    enabled: str = "origin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(Part):
    """A policy of row-level security.

    Attributes:
        command: ``all``, ``select``, ``insert``, ``update`` or ``delete``.
        permissive: False for AS RESTRICTIVE.
        roles: Sorted; "" is PUBLIC.
        using: The condition on rows that are there.
        check: The condition on rows that come.
    """

    kind: ClassVar[Kind] = Kind.POLICY
    command: str = "all"
    permissive: bool = True
    roles: tuple[str, ...] = ("",)
    using: str | None = None
    check: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation(SchemaObject):
    """A table, foreign table, view or materialised view.

    Attributes:
        kind: One of these four.
        persistence: ``permanent`` or ``unlogged``.
        access_method: Where it has one: ``heap``.
        tablespace: Where it is not the database's.
        options: WITH, sorted: ``fillfactor=70``; of a view ``security_invoker=true``.
        toast_options: Those of its TOAST table, sorted.
        row_security: Whether policies hold.
        force_row_security: Whether they hold for the owner too.
        replica_identity: ``default``, ``nothing``, ``full`` or ``index`` (see ``Index``).
        of_type: The composite type that it is a table of.
        partition_key: ``RANGE (created_at)`` for a partitioned table.
        partition_bound: ``FOR VALUES ...`` or ``DEFAULT`` for a partition.
        inherits: The parents ``schema.name``, in order; of a partition the one.
        definition: A view's query.
        server: A foreign table's server.
        foreign_options: A foreign table's, sorted.
    """

    kind: Kind
    persistence: str = "permanent"
    access_method: str | None = None
    tablespace: str | None = None
    options: tuple[str, ...] = ()
    toast_options: tuple[str, ...] = ()
    row_security: bool = False
    force_row_security: bool = False
    replica_identity: str = "default"
    of_type: str | None = None
    partition_key: str | None = None
    partition_bound: str | None = None
    inherits: tuple[str, ...] = ()
    definition: str | None = None
    server: str | None = None
    foreign_options: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[Rule, ...] = ()
    policies: tuple[Policy, ...] = ()

    @property
    def primary_key(self) -> Constraint | None:
        """The primary key, or None."""
        return next((each for each in self.constraints if each.type == "primary key"), None)

    @property
    def foreign_keys(self) -> tuple[Constraint, ...]:
        """The foreign keys, sorted by name."""
        return tuple(each for each in self.constraints if each.type == "foreign key")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumType(SchemaObject):
    """An enum type with its labels in order."""

    kind: ClassVar[Kind] = Kind.ENUM
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain(SchemaObject):
    """A domain.

    Attributes:
        type: What it restricts, by ``format_type``.
        collation: Where it is not the type's own.
    """

    kind: ClassVar[Kind] = Kind.DOMAIN
    type: str
    not_null: bool = False
    default: str | None = None
    collation: str | None = None
    constraints: tuple[Constraint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Composite(SchemaObject):
    """A composite type made by CREATE TYPE, with its attributes in order."""

    kind: ClassVar[Kind] = Kind.COMPOSITE
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeType(SchemaObject):
    """A range type.

    Attributes:
        opclass: ``schema.name`` of the operator class that orders its values.
        canonical: A function, or None.
        difference: A function, or None.
        multirange: The name of the multirange type that came with it.
    """

    kind: ClassVar[Kind] = Kind.RANGE
    subtype: str
    opclass: str
    multirange: str
    collation: str | None = None
    canonical: str | None = None
    difference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Routine(SchemaObject):
    """A function, procedure or aggregate.

    Attributes:
        kind: One of these three; a window function is a function.
        arguments: By ``pg_get_function_identity_arguments``.
        result: By ``pg_get_function_result``; None for a procedure.
        language: ``sql``, ``plpgsql``, ...
        definition: By ``pg_get_functiondef``; an aggregate's is put together of its properties.
        extensions: Those that ALTER ... DEPENDS ON EXTENSION names, sorted.
    """

    kind: Kind
    arguments: str
    result: str | None
    language: str
    definition: str
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics(SchemaObject):
    """A statistics object.

    Attributes:
        table: The table ``schema.name``.
        definition: By ``pg_get_statisticsobjdef``.
        target: Its statistics target, where it was said.
    """

    kind: ClassVar[Kind] = Kind.STATISTICS
    table: str
    definition: str
    target: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication(Object):
    """A publication.

    Attributes:
        all_tables: Whether every table is in it.
        publishes: ``insert``, ``update``, ``delete``, ``truncate``: those that it publishes.
        via_root: Whether changes of a partition are published as the root's.
        generated: Which generated columns are published: ``none`` or ``stored``.
        tables: ``schema.name``, with columns and row filter where they are said; sorted.
        schemas: Those of which every table is in it, sorted.
    """

    kind: ClassVar[Kind] = Kind.PUBLICATION
    all_tables: bool
    publishes: tuple[str, ...]
    via_root: bool
    generated: str
    tables: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTrigger(Object):
    """An event trigger.

    Attributes:
        function: ``schema.name()``.
        tags: The commands that it fires for, sorted; none for all.
        enabled: As a trigger's.
    """

    kind: ClassVar[Kind] = Kind.EVENT_TRIGGER
    event: str
    function: str
    tags: tuple[str, ...] = ()
    enabled: str = "origin"


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultPrivileges(Object):
    """The privileges that a role's new objects get.

    Attributes:
        name: The role, the schema where there is one, and the kind of object, in one.
        role: Whose objects.
        target: The schema in which they are made; None for any.
        objects: ``tables``, ``sequences``, ``functions``, ``types``, ``schemas``.
    """

    kind: ClassVar[Kind] = Kind.DEFAULT_PRIVILEGES
    role: str
    target: str | None
    objects: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Other(Object):
    """The presence of an object of which only the outlines are held.

    Attributes:
        name: What identifies it, by ``pg_identify_object``.
        type: What it is, in PostgreSQL's words: ``operator class``.
        schema: Its schema, or None.
        details: What its catalog says of it in plain values.
    """

    kind: ClassVar[Kind] = Kind.OTHER
    type: str
    schema: str | None = None
    details: str | None = None


AnyObject: TypeAlias = (
    Schema
    | Extension
    | Other
    | EnumType
    | Composite
    | RangeType
    | Domain
    | Sequence
    | Routine
    | Relation
    | Statistics
    | Publication
    | EventTrigger
    | DefaultPrivileges
)
AnyPart: TypeAlias = Column | Constraint | Index | Trigger | Rule | Policy


@dataclass(frozen=True, slots=True)
class Dependency:
    """One object that cannot be without another one.

    Attributes:
        dependent: The one that needs.
        needs: The one that is needed.
    """

    dependent: ObjectName
    needs: ObjectName


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The schema of a database at one moment. Equal where all objects are equal.

    Attributes:
        objects: Sorted by kind and name.
        server_major: The major version of the server that it was read from. PostgreSQL's text for
            one and the same thing may differ from major to major. No part of equality.
        dependencies: Between objects that stand alone; what a part needs, its whole needs. No
            part of equality: they follow from the objects.
    """

    objects: tuple[AnyObject, ...]
    server_major: int = field(compare=False)
    dependencies: tuple[Dependency, ...] = field(default=(), compare=False, repr=False)

    @cached_property
    def by_name(self) -> dict[ObjectName, AnyObject]:
        """The objects by their names."""
        return {name_of(each): each for each in self.objects}

    @cached_property
    def relations(self) -> tuple[Relation, ...]:
        """Tables, foreign tables, views and materialised views."""
        return tuple(each for each in self.objects if isinstance(each, Relation))

    @cached_property
    def tables(self) -> tuple[Relation, ...]:
        """The tables, partitioned ones and partitions included."""
        return tuple(each for each in self.relations if each.kind is Kind.TABLE)

    def relation(self, schema: str, name: str) -> Relation | None:
        """Return a relation, or None where there is none of that name."""
        for kind in (Kind.TABLE, Kind.VIEW, Kind.MATERIALIZED_VIEW, Kind.FOREIGN_TABLE):
            found = self.by_name.get(ObjectName(kind=kind, schema=schema, name=name))
            if isinstance(found, Relation):
                return found
        return None

    def unowned(self) -> Snapshot:
        """Return the same without owners and privileges."""
        return replace(
            self,
            objects=tuple(
                _unowned(each) for each in self.objects if not isinstance(each, DefaultPrivileges)
            ),
        )

    def plain(self) -> dict[str, Any]:
        """Return what ``json.dumps`` takes."""
        return {
            "server_major": self.server_major,
            "objects": [plain(each) for each in self.objects],
        }


def name_of(each: AnyObject) -> ObjectName:
    """Return the name of an object that stands alone."""
    if isinstance(each, Other):
        return ObjectName(kind=each.kind, schema=None, name=each.name, parent=each.type)
    return ObjectName(
        kind=each.kind,
        schema=each.schema if isinstance(each, SchemaObject) else None,
        name=each.name,
        arguments=each.arguments if isinstance(each, Routine) else None,
    )


def part_name(part: AnyPart, owner: Relation | Domain | Composite) -> ObjectName:
    """Return the name of a part of ``owner``."""
    return ObjectName(kind=part.kind, schema=owner.schema, parent=owner.name, name=part.name)


def plain(value: Any) -> Any:
    """Return a value of this module as dicts, lists, strings, numbers, true, false and None.

    What has its default is left out of an object.
    """
    if is_dataclass(value) and not isinstance(value, type):
        kind = getattr(value, "kind", None)
        told = {} if kind is None else {"kind": str(kind)}
        for each in fields(value):
            content = getattr(value, each.name)
            if content != each.default:
                told[each.name] = plain(content)
        return told
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, enum.Enum) else value


def _unowned(each: AnyObject) -> AnyObject:
    if isinstance(each, Relation):
        columns = tuple(_without_grants(column) for column in each.columns)
        return replace(each, owner=None, privileges=None, columns=columns)
    return replace(each, owner=None, privileges=None)


def _without_grants(column: Column) -> Column:
    if column.sequence is not None:
        sequence = replace(column.sequence, owner=None, privileges=None)
        return replace(column, privileges=None, sequence=sequence)
    return replace(column, privileges=None) if column.privileges is not None else column
