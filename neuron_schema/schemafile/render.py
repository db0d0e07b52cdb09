"""A snapshot as SQL that makes it: a block for each object, each after what it needs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from neuron_schema.catalog import (
    Column,
    Constraint,
    Index,
    Kind,
    Other,
    RangeType,
    Relation,
    Rule,
    Trigger,
)
from neuron_schema.catalog.model import name_of, part_name
from neuron_schema.errors import SchemaNotRendered
from neuron_schema.schemafile import objects, tables
from neuron_schema.schemafile.blocks import Block
from neuron_schema.schemafile.names import qualified
from neuron_schema.schemafile.needs import inline, needs_of, owned_sequences

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from neuron_schema.catalog import ObjectName, Snapshot
    from neuron_schema.catalog.model import AnyObject, AnyPart

# Tables first: what they need is written before them wherever it is needed.
_ORDER = (
    Kind.SCHEMA,
    Kind.EXTENSION,
    Kind.ENUM,
    Kind.COMPOSITE,
    Kind.RANGE,
    Kind.DOMAIN,
    Kind.SEQUENCE,
    Kind.TABLE,
    Kind.VIEW,
    Kind.MATERIALIZED_VIEW,
    Kind.FUNCTION,
    Kind.PROCEDURE,
    Kind.AGGREGATE,
    Kind.STATISTICS,
    Kind.PUBLICATION,
)
_CONSTRAINTS = ("primary key", "unique", "exclude", "not null", "check", "foreign key")
# These would meddle with what is made after them.
_LAST = (Kind.EVENT_TRIGGER, Kind.DEFAULT_PRIVILEGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A schema as SQL.

    Attributes:
        blocks: What makes the schema; rows come after these.
        late: What comes after the rows, and would act on them.
        left_out: What this cannot write, in words.
    """

    blocks: tuple[Block, ...]
    late: tuple[Block, ...]
    left_out: tuple[str, ...]


def render(
    snapshot: Snapshot,
    *,
    filled: Collection[str] = (),
    usual_comments: Mapping[str, str] = MappingProxyType({}),
) -> Rendered:
    """Return the SQL that makes a schema out of nothing.

    Args:
        snapshot: The schema.
        filled: Tables as SQL spells them that get rows: their triggers, rules and policies are
            for afterwards.
        usual_comments: The comments that extensions bring along, by extension; another one is
            written down.

    Raises:
        SchemaNotRendered: objects need each other in a circle.
    """
    return _Writer(snapshot, frozenset(filled), usual_comments).written()


class _Writer:
    """Writes each object after what it needs."""

    def __init__(
        self, snapshot: Snapshot, filled: frozenset[str], usual_comments: Mapping[str, str]
    ) -> None:
        self._snapshot = snapshot
        self._filled = filled
        self._usual_comments = usual_comments
        self._needs = needs_of(snapshot)
        self._owned = owned_sequences(snapshot)
        self._blocks: list[Block] = []
        self._late: list[Block] = []
        self._tables = {tables.full_name(each): each for each in snapshot.tables}
        self._left_out = [_described(each) for each in snapshot.objects if _unknown(each)]
        self._left_out += [
            f"the order of the columns of {name_of(each)}"
            for each in snapshot.tables
            if not tables.in_order(each, tables.parents_of(each, self._tables))
        ]
        self._taken: dict[str, set[str]] = {}
        for each in snapshot.relations:
            names = self._taken.setdefault(each.schema, set())
            names.update(constraint.name for constraint in each.constraints)
        self._done: set[ObjectName] = set()
        self._path: list[ObjectName] = []
        self._pending: list[tuple[AnyPart, Relation]] = []
        self._reach: dict[ObjectName, set[ObjectName]] = {}

    def written(self) -> Rendered:
        by_kind: dict[Kind, list[ObjectName]] = {}
        owned = {name_of(each) for several in self._owned.values() for each in several}
        for each in self._snapshot.objects:
            name = name_of(each)
            if not _unknown(each) and name not in owned:
                by_kind.setdefault(each.kind, []).append(name)
        for kind in _ORDER:
            for name in sorted(by_kind.get(kind, ()), key=lambda one: one.sort_key):
                self._write(name)
        self._flush(everything=True)
        for kind in _LAST:
            for name in by_kind.get(kind, ()):
                each = self._snapshot.by_name[name]
                self._late.append(_block(each, objects.statements(each, self._usual_comments)))
        return Rendered(
            blocks=tuple(each for each in self._blocks if each.statements),
            late=tuple(each for each in self._late if each.statements),
            left_out=tuple(self._left_out),
        )

    def _write(self, name: ObjectName) -> None:
        if name in self._done or name not in self._snapshot.by_name:
            return
        if name in self._path:
            circle = ", ".join(f"{one.kind} {one}" for one in self._path[self._path.index(name) :])
            raise SchemaNotRendered(
                f"these need each other, so that none can be made first: {circle}",
                remedy="let one of them do without the others",
            )
        self._path.append(name)
        each = self._snapshot.by_name[name]
        for needed in _sorted(self._needs.objects.get(name, ())):
            self._write(needed)
        if isinstance(each, Relation):
            self._prepare(each)
            self._path.pop()
            self._relation(each)
        else:
            self._path.pop()
            self._blocks.append(_block(each, objects.statements(each, self._usual_comments)))
            self._done.add(name)
        self._flush()

    def _prepare(self, relation: Relation) -> None:
        """Write what the parts of a table need, as far as that can be before the table."""
        for sequence in self._owned.get(name_of(relation), ()):
            self._write(name_of(sequence))
        for part in _parts(relation):
            for needed in _sorted(self._needs.of_part(part_name(part, relation))):
                if not self._reachable(needed) & set(self._path):
                    self._write(needed)

    def _reachable(self, name: ObjectName) -> set[ObjectName]:
        """Return an object and all that it cannot be made without."""
        known = self._reach.get(name)
        if known is None:
            known = {name}
            self._reach[name] = known
            for needed in self._needs.objects.get(name, ()):
                known |= self._reachable(needed)
        return known

    def _ready(self, part: AnyPart, relation: Relation) -> bool:
        return self._needs.of_part(part_name(part, relation)) <= self._done | {name_of(relation)}

    def _relation(self, relation: Relation) -> None:
        if relation.kind is Kind.TABLE:
            written = [*self._table(relation)]
        else:
            written = [tables.create_view(relation)]
            written += tables.column_statements(relation, (), defaults=_view_defaults(relation))
            written += self._indexes(relation)
            written += self._acting(relation)
            written += tables.table_statements(relation, self._snapshot.server_major)
        self._blocks.append(_block(relation, written))
        self._done.add(name_of(relation))

    def _table(self, relation: Relation) -> Iterator[str]:
        parents = tables.parents_of(relation, self._tables)
        able = [each for each in relation.constraints if _own(each, relation)]
        able += tables.inherited_checks(relation, self._tables)
        able.sort(key=lambda each: _CONSTRAINTS.index(each.type))
        stated = [each for each in able if inline(each) and self._ready(each, relation)]
        self._pending += [(each, relation) for each in able if each not in stated]
        defaults = [each for each in relation.columns if _has_default(each)]
        usable = [each for each in defaults if self._ready(each, relation)]
        self._pending += [(each, relation) for each in defaults if each not in usable]
        inside = [each for each in usable if each.is_local or not parents]
        yield tables.create_table(
            relation,
            parents,
            stated,
            defaults={each.name for each in inside},
            taken=self._taken[relation.schema],
        )
        overridden = [each for each in usable if each not in inside and _differs(each, parents)]
        yield from tables.column_statements(relation, parents, defaults=overridden)
        for sequence in self._owned.get(name_of(relation), ()):
            name = qualified(sequence.schema, sequence.name)
            yield f"ALTER SEQUENCE {name} OWNED BY {sequence.owned_by}"
        for constraint in stated:
            yield from tables.constraint_statements(constraint, relation)
        yield from self._indexes(relation)
        if relation.partition_bound is not None:
            yield tables.attach(relation)
        yield from self._acting(relation)
        yield from tables.table_statements(relation, self._snapshot.server_major)

    def _indexes(self, relation: Relation) -> Iterator[str]:
        for index in relation.indexes:
            if self._ready(index, relation):
                yield from tables.create_index(index, relation)
            else:
                self._pending.append((index, relation))

    def _acting(self, relation: Relation) -> Iterator[str]:
        """Yield what acts on rows; of a table that gets some, keep it for afterwards."""
        copied = tables.inherited_triggers(relation, self._tables)
        own = [each for each in relation.triggers if each.name not in copied]
        parts: list[AnyPart] = [*relation.rules, *own, *relation.policies]
        if tables.full_name(relation) in self._filled:
            written = [sql for part in parts for sql in _part(part, relation)]
            written += tables.row_security(relation)
            self._late.append(_block(relation, written, " (continued)"))
            return
        for part in parts:
            if self._ready(part, relation):
                yield from _part(part, relation)
            else:
                self._pending.append((part, relation))
        for trigger in relation.triggers:
            if trigger.name in copied:
                yield tables.enable_trigger(trigger, relation)
        yield from tables.row_security(relation)

    def _flush(self, *, everything: bool = False) -> None:
        """Write the parts that can be added now."""
        left: list[tuple[AnyPart, Relation]] = []
        for part, relation in self._pending:
            if not everything and not self._ready(part, relation):
                left.append((part, relation))
                continue
            # Foreign keys of tables in a circle let no row in that comes first.
            key = part.kind is Kind.CONSTRAINT and tables.full_name(relation) in self._filled
            blocks = self._late if key else self._blocks
            blocks.append(_block(relation, _part(part, relation), " (continued)"))
        self._pending = left


def _unknown(each: AnyObject) -> bool:
    """Whether an object cannot be written."""
    if isinstance(each, RangeType):
        return each.canonical is not None
    return isinstance(each, Other) or each.kind is Kind.FOREIGN_TABLE


def _described(each: AnyObject) -> str:
    return f"{each.type} {each.name}" if isinstance(each, Other) else f"{each.kind} {name_of(each)}"


def _sorted(names: Iterable[ObjectName]) -> list[ObjectName]:
    return sorted(names, key=lambda one: one.sort_key)


def _block(each: AnyObject, statements: Iterable[str], more: str = "") -> Block:
    name = name_of(each)
    return Block(title=f"{name.kind} {name}{more}", statements=tuple(statements))


def _parts(relation: Relation) -> list[AnyPart]:
    parts: list[AnyPart] = [*relation.columns, *relation.constraints, *relation.indexes]
    return [*parts, *relation.triggers, *relation.rules, *relation.policies]


def _own(constraint: Constraint, relation: Relation) -> bool:
    """Whether a table says a constraint itself; a partition says all but foreign keys again."""
    if constraint.type == "trigger":
        return False
    if relation.partition_bound is not None and constraint.type != "foreign key":
        return True
    return constraint.is_local


def _has_default(column: Column) -> bool:
    return column.default is not None and column.generated is None


def _differs(column: Column, parents: Iterable[Relation]) -> bool:
    """Whether a column's default is another one than that of the column that it comes from."""
    inherited = {
        one.default for parent in parents for one in parent.columns if one.name == column.name
    }
    return inherited != {column.default}


def _view_defaults(relation: Relation) -> list[Column]:
    return [each for each in relation.columns if _has_default(each)]


def _part(part: AnyPart, relation: Relation) -> Iterator[str]:
    """Yield a part that is added to a relation that is there."""
    if isinstance(part, Constraint):
        yield tables.add_constraint(part, relation)
        yield from tables.constraint_statements(part, relation)
    elif isinstance(part, Column):
        yield tables.set_default(part, relation)
    elif isinstance(part, Index):
        yield from tables.create_index(part, relation)
    elif isinstance(part, Trigger):
        yield from tables.create_trigger(part, relation)
    elif isinstance(part, Rule):
        yield from tables.create_rule(part, relation)
    else:
        yield from tables.create_policy(part, relation)
