"""A table in SQL: its columns, what may stand in CREATE TABLE, and what comes after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.catalog import Kind
from neuron_schema.schemafile.blocks import comment
from neuron_schema.schemafile.grants import granted, granted_columns
from neuron_schema.schemafile.names import qualified, quoted, settings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from neuron_schema.catalog import (
        Column,
        Constraint,
        Index,
        Policy,
        Relation,
        Rule,
        Trigger,
    )
    from neuron_schema.catalog import (
        Sequence as SequenceObject,
    )

_ENABLED = {
    "disabled": "DISABLE",
    "replica": "ENABLE REPLICA",
    "always": "ENABLE ALWAYS",
}
_MAINTAIN_SINCE = 17


def full_name(relation: Relation) -> str:
    """Return a relation's name as SQL spells it."""
    return qualified(relation.schema, relation.name)


def create_table(
    relation: Relation,
    parents: Sequence[Relation],
    constraints: Sequence[Constraint],
    *,
    defaults: Collection[str],
    taken: Collection[str] = (),
) -> str:
    """Return CREATE TABLE.

    Args:
        relation: The table.
        parents: Those that it inherits from; none for a partition, which is attached afterwards.
        constraints: Those of its constraints that can stand in it.
        defaults: The columns whose default can stand in it.
        taken: Names of constraints in its schema, of which PostgreSQL gives none a second time.
    """
    lines = [
        _column(each, relation, parents, defaults) + _not_null(each, relation, parents, taken)
        for each in relation.columns
    ]
    if relation.of_type is not None:
        lines = [
            _with_options(line, each.name)
            for line, each in zip(lines, relation.columns, strict=True)
        ]
    lines += [f"CONSTRAINT {quoted(each.name)} {definition(each)}" for each in constraints]
    shown = [line for line in lines if line]
    unlogged = "UNLOGGED " if relation.persistence == "unlogged" else ""
    text = f"CREATE {unlogged}TABLE {full_name(relation)}"
    if relation.of_type is not None:
        text += f" OF {relation.of_type}"
    if shown or relation.of_type is None:
        text += " (\n    " + ",\n    ".join(shown) + "\n)" if shown else " ()"
    if parents:
        text += f"\nINHERITS ({', '.join(map(full_name, parents))})"
    if relation.partition_key is not None:
        text += f"\nPARTITION BY {relation.partition_key}"
    return text + _storage(relation)


def _storage(relation: Relation) -> str:
    text = ""
    if relation.access_method not in (None, "heap"):
        text += f"\nUSING {quoted(relation.access_method or '')}"
    options = [*relation.options, *(f"toast.{each}" for each in relation.toast_options)]
    if options:
        text += f"\nWITH {settings(options)}"
    if relation.tablespace is not None:
        text += f"\nTABLESPACE {quoted(relation.tablespace)}"
    return text


def _column(
    column: Column, relation: Relation, parents: Sequence[Relation], defaults: Collection[str]
) -> str:
    """Return a column's line without NOT NULL; "" for one that is inherited as it is."""
    if parents and not column.is_local:
        return ""
    text = quoted(column.name)
    if relation.of_type is None:
        text += f" {column.type}"
        if column.compression is not None:
            text += f" COMPRESSION {column.compression}"
        if column.collation is not None:
            text += f" COLLATE {column.collation}"
    text += _value(column, relation, defaults)
    return text


def _not_null(
    column: Column, relation: Relation, parents: Sequence[Relation], taken: Collection[str]
) -> str:
    if not column.not_null or _named_not_null(column, relation):
        return ""
    if parents and not column.is_local:
        return ""
    usual = f"{relation.name}_{column.name}_not_null"
    return f" CONSTRAINT {quoted(usual)} NOT NULL" if usual in taken else " NOT NULL"


def _with_options(line: str, name: str) -> str:
    """Return a column's line for a table of a type; "" where it says no more than its name."""
    rest = line.removeprefix(quoted(name))
    return f"{quoted(name)} WITH OPTIONS{rest}" if rest else ""


def _value(column: Column, relation: Relation, defaults: Collection[str]) -> str:
    if column.generated is not None:
        return f" GENERATED ALWAYS AS ({column.default}) {column.generated.upper()}"
    if column.identity is not None and relation.partition_bound is None:
        return f" GENERATED {column.identity.upper()} AS IDENTITY{_identity(column, relation)}"
    return f" DEFAULT {column.default}" if column.name in defaults else ""


def _identity(column: Column, relation: Relation) -> str:
    if column.sequence is None:
        return ""
    options = sequence_options(column.sequence, column.type)
    usual = f"{relation.name}_{column.name}_seq"
    if column.sequence.name != usual or column.sequence.schema != relation.schema:
        name = qualified(column.sequence.schema, column.sequence.name)
        options = [f"SEQUENCE NAME {name}", *options]
    return f" ({' '.join(options)})" if options else ""


def sequence_options(sequence: SequenceObject, kind: str) -> list[str]:
    """Return what of a sequence is not as it would be by itself.

    Args:
        sequence: It.
        kind: The type that its limits follow from.
    """
    least, most = _LIMITS.get(kind, _LIMITS["bigint"])
    rising = sequence.increment > 0
    minimum, maximum = (1, most) if rising else (least, -1)
    found = []
    if sequence.increment != 1:
        found.append(f"INCREMENT BY {sequence.increment}")
    if sequence.minimum != minimum:
        found.append(f"MINVALUE {sequence.minimum}")
    if sequence.maximum != maximum:
        found.append(f"MAXVALUE {sequence.maximum}")
    if sequence.start != (sequence.minimum if rising else sequence.maximum):
        found.append(f"START WITH {sequence.start}")
    if sequence.cache != 1:
        found.append(f"CACHE {sequence.cache}")
    if sequence.cycle:
        found.append("CYCLE")
    return found


_LIMITS = {
    "smallint": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}


def _named_not_null(column: Column, relation: Relation) -> bool:
    """Whether a constraint of its own says that a column holds no NULL (PostgreSQL 18)."""
    return any(
        each.type == "not null" and each.columns == (column.name,) for each in relation.constraints
    )


def definition(constraint: Constraint) -> str:
    """Return a constraint's definition with what its index needs said."""
    text, index = constraint.definition, constraint.index
    if index is None or constraint.type not in ("primary key", "unique"):
        return text
    extra = f" WITH {settings(index.options)}" if index.options else ""
    extra += f" USING INDEX TABLESPACE {quoted(index.tablespace)}" if index.tablespace else ""
    head, deferrable, tail = text.partition(" DEFERRABLE")
    return f"{head}{extra}{deferrable}{tail}"


def column_statements(
    relation: Relation, parents: Sequence[Relation], *, defaults: Sequence[Column]
) -> Iterator[str]:
    """Yield what has to be said of columns after the table is there.

    Args:
        relation: The table, view or foreign table.
        parents: Those that it inherits from.
        defaults: Columns whose default is to be set now.
    """
    for column in defaults:
        yield set_default(column, relation)
    if relation.kind is Kind.VIEW:
        return
    head = f"ALTER {_altered(relation)} ALTER COLUMN"
    inherited = {name for parent in parents for name in _required(parent)}
    for column in relation.columns:
        name = quoted(column.name)
        late = parents and not column.is_local and not _named_not_null(column, relation)
        if late and column.not_null and column.name not in inherited:
            yield f"{head} {name} SET NOT NULL"
        if column.storage is not None:
            yield f"{head} {name} SET STORAGE {column.storage.upper()}"
        if column.statistics is not None:
            yield f"{head} {name} SET STATISTICS {column.statistics}"
        if column.options:
            yield f"{head} {name} SET {settings(column.options)}"


def set_default(column: Column, relation: Relation) -> str:
    """Return what gives a column that is there its default."""
    head = f"ALTER {_altered(relation)} ALTER COLUMN {quoted(column.name)}"
    return f"{head} SET DEFAULT {column.default}"


def _altered(relation: Relation) -> str:
    """Return a relation after ALTER; what is said of a table is not said of its children."""
    if relation.kind is Kind.VIEW:
        return f"VIEW {full_name(relation)}"
    if relation.kind is Kind.MATERIALIZED_VIEW:
        return f"MATERIALIZED VIEW {full_name(relation)}"
    return f"TABLE ONLY {full_name(relation)}"


def _required(relation: Relation) -> set[str]:
    return {column.name for column in relation.columns if column.not_null}


def add_constraint(constraint: Constraint, relation: Relation) -> str:
    """Return what adds a constraint to a table that is there."""
    return (
        f"ALTER TABLE {full_name(relation)} ADD CONSTRAINT {quoted(constraint.name)} "
        f"{definition(constraint)}"
    )


def constraint_statements(constraint: Constraint, relation: Relation) -> Iterator[str]:
    """Yield what has to be said of a constraint that is there."""
    table = full_name(relation)
    yield from comment("CONSTRAINT", f"{quoted(constraint.name)} ON {table}", constraint.comment)
    if constraint.index is not None:
        yield from index_statements(constraint.index, relation)


def index_statements(index: Index, relation: Relation) -> Iterator[str]:
    """Yield what has to be said of an index that is there."""
    name = qualified(relation.schema, index.name)
    table = full_name(relation)
    for each in index.statistics:
        number, _, target = each.partition("=")
        yield f"ALTER INDEX {name} ALTER COLUMN {number} SET STATISTICS {target}"
    if index.clustered:
        yield f"ALTER TABLE {table} CLUSTER ON {quoted(index.name)}"
    if index.replica_identity:
        yield f"ALTER TABLE {table} REPLICA IDENTITY USING INDEX {quoted(index.name)}"
    yield from comment("INDEX", name, index.comment)


def create_index(index: Index, relation: Relation) -> Iterator[str]:
    """Yield an index with all that belongs to it."""
    text = index.definition
    if index.method == "btree" and " USING " not in f"{index.name} {relation.name}":
        text = text.replace(" USING btree (", " (", 1)
    if index.tablespace is not None and " TABLESPACE " not in text:
        head, where, tail = text.partition(" WHERE ")
        text = f"{head} TABLESPACE {quoted(index.tablespace)}{where}{tail}"
    yield text
    yield from index_statements(index, relation)


def table_statements(relation: Relation, major: int) -> Iterator[str]:
    """Yield what has to be said of a relation that is there, privileges and comments included."""
    name = full_name(relation)
    if relation.kind is Kind.TABLE and relation.replica_identity in ("full", "nothing"):
        yield f"ALTER TABLE {name} REPLICA IDENTITY {relation.replica_identity.upper()}"
    usual = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
    usual += ["MAINTAIN"] if major >= _MAINTAIN_SINCE else []
    yield from granted("TABLE", name, relation.privileges, owner=relation.owner, usual=usual)
    pairs = [(column.name, column.privileges) for column in relation.columns]
    yield from granted_columns(name, pairs)
    yield from comment(str(relation.kind).upper(), name, relation.comment)
    for column in relation.columns:
        yield from comment("COLUMN", f"{name}.{quoted(column.name)}", column.comment)


def attach(relation: Relation) -> str:
    """Return what makes a table a partition."""
    parent = relation.inherits[0]
    return f"ALTER TABLE {parent} ATTACH PARTITION {full_name(relation)} {relation.partition_bound}"


def row_security(relation: Relation) -> Iterator[str]:
    """Yield what makes policies hold."""
    name = full_name(relation)
    if relation.row_security:
        yield f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"
    if relation.force_row_security:
        yield f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY"


def create_trigger(trigger: Trigger, relation: Relation) -> Iterator[str]:
    """Yield a trigger with all that belongs to it."""
    yield trigger.definition
    yield from _enabled(trigger, relation, "TRIGGER")
    name = f"{quoted(trigger.name)} ON {full_name(relation)}"
    yield from comment("TRIGGER", name, trigger.comment)


def enable_trigger(trigger: Trigger, relation: Relation) -> str:
    """Return what enables or disables a trigger that a partition has of its parent."""
    word = _ENABLED.get(trigger.enabled, "ENABLE")
    return f"ALTER TABLE {full_name(relation)} {word} TRIGGER {quoted(trigger.name)}"


def inherited_triggers(relation: Relation, tables: Mapping[str, Relation]) -> set[str]:
    """Return the names of the triggers that a partition gets with being attached.

    Args:
        relation: The partition, or another table, which gets none.
        tables: All tables, by their full names.
    """
    if relation.partition_bound is None:
        return set()
    return {
        name
        for parent in _inherited(relation, tables)
        for name in (*_row_triggers(parent), *inherited_triggers(parent, tables))
    }


def _row_triggers(relation: Relation) -> set[str]:
    return {each.name for each in relation.triggers if " FOR EACH ROW " in each.definition}


def create_rule(rule: Rule, relation: Relation) -> Iterator[str]:
    """Yield a rule with all that belongs to it."""
    yield rule.definition.rstrip(";")
    yield from _enabled(rule, relation, "RULE")
    name = f"{quoted(rule.name)} ON {full_name(relation)}"
    yield from comment("RULE", name, rule.comment)


def _enabled(each: Trigger | Rule, relation: Relation, what: str) -> Iterator[str]:
    if each.enabled in _ENABLED:
        word = _ENABLED[each.enabled]
        yield f"ALTER TABLE {full_name(relation)} {word} {what} {quoted(each.name)}"


def create_policy(policy: Policy, relation: Relation) -> Iterator[str]:
    """Yield a policy with all that belongs to it."""
    text = f"CREATE POLICY {quoted(policy.name)} ON {full_name(relation)}"
    text += "" if policy.permissive else " AS RESTRICTIVE"
    text += "" if policy.command == "all" else f" FOR {policy.command.upper()}"
    if policy.roles != ("",):
        text += " TO " + ", ".join(quoted(role) if role else "PUBLIC" for role in policy.roles)
    text += f"\n    USING ({policy.using})" if policy.using is not None else ""
    text += f"\n    WITH CHECK ({policy.check})" if policy.check is not None else ""
    yield text
    name = f"{quoted(policy.name)} ON {full_name(relation)}"
    yield from comment("POLICY", name, policy.comment)


def create_view(relation: Relation) -> str:
    """Return CREATE VIEW or CREATE MATERIALIZED VIEW."""
    materialized = relation.kind is Kind.MATERIALIZED_VIEW
    text = f"CREATE {'MATERIALIZED ' if materialized else ''}VIEW {full_name(relation)}"
    if materialized:
        text += _storage(relation)
    elif relation.options:
        text += f"\nWITH {settings(relation.options)}"
    return f"{text} AS\n{(relation.definition or '').rstrip(';')}"


def parents_of(relation: Relation, tables: Mapping[str, Relation]) -> list[Relation]:
    """Return the tables that a table inherits from; none for a partition.

    Args:
        relation: The table.
        tables: All tables, by their full names.
    """
    return _inherited(relation, tables) if relation.partition_bound is None else []


def inherited_checks(relation: Relation, tables: Mapping[str, Relation]) -> list[Constraint]:
    """Return the checks that a table must have to become a partition of its parents.

    Args:
        relation: The table to be attached, or another one, which must have none.
        tables: All tables, by their full names.
    """
    if relation.partition_bound is None:
        return []
    own = {each.name for each in relation.constraints}
    return [
        check
        for parent in _inherited(relation, tables)
        for check in (*parent.constraints, *inherited_checks(parent, tables))
        if check.type == "check" and not check.no_inherit and check.name not in own
    ]


def _inherited(relation: Relation, tables: Mapping[str, Relation]) -> list[Relation]:
    return [tables[name] for name in relation.inherits if name in tables]


def in_order(relation: Relation, parents: Sequence[Relation]) -> bool:
    """Whether a table's columns are in the order that creating it with its parents gives."""
    inherited = dict.fromkeys(each.name for parent in parents for each in parent.columns)
    names = [each.name for each in relation.columns]
    return names[: len(inherited)] == list(inherited)
