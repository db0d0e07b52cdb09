"""A change in SQL, where that is plainly said. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from neuron_schema.catalog import (
    Action,
    Column,
    Constraint,
    EnumType,
    Extension,
    Index,
    Kind,
    Policy,
    Relation,
    Routine,
    Rule,
    Schema,
    Trigger,
)
from neuron_schema.quoting import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from neuron_schema.catalog import Change, ObjectName

_DROPPED_ALONE: Final = {
    Kind.SCHEMA: "SCHEMA",
    Kind.EXTENSION: "EXTENSION",
    Kind.ENUM: "TYPE",
    Kind.COMPOSITE: "TYPE",
    Kind.RANGE: "TYPE",
    Kind.DOMAIN: "DOMAIN",
    Kind.SEQUENCE: "SEQUENCE",
    Kind.FUNCTION: "FUNCTION",
    Kind.PROCEDURE: "PROCEDURE",
    Kind.AGGREGATE: "AGGREGATE",
    Kind.TABLE: "TABLE",
    Kind.FOREIGN_TABLE: "FOREIGN TABLE",
    Kind.VIEW: "VIEW",
    Kind.MATERIALIZED_VIEW: "MATERIALIZED VIEW",
    Kind.INDEX: "INDEX",
    Kind.STATISTICS: "STATISTICS",
    Kind.PUBLICATION: "PUBLICATION",
    Kind.EVENT_TRIGGER: "EVENT TRIGGER",
}
_DROPPED_ON: Final = {Kind.TRIGGER: "TRIGGER", Kind.RULE: "RULE", Kind.POLICY: "POLICY"}
_ENABLED: Final = {
    "origin": "ENABLE",
    "disabled": "DISABLE",
    "replica": "ENABLE REPLICA",
    "always": "ENABLE ALWAYS",
}


def sql_of(change: Change) -> tuple[str, ...]:
    """Return statements that do what a change did; none where that takes more than a few words."""
    if change.action is Action.REMOVED:
        return _dropped(change.object, change.before)
    value = change.after
    if change.action is Action.ADDED:
        return _created(change.object, value)
    if isinstance(change.before, Index) and isinstance(value, Index):
        return (
            (*_dropped(change.object), *_created(change.object, value))
            if (change.before.definition != value.definition)
            else ()
        )
    return _altered(change)


def again(change: Change) -> tuple[str, ...]:
    """Return statements that make an object anew by its text after a change; none for others."""
    name, value = change.object, change.after
    if isinstance(value, Column):
        return tuple(_default(change, None, value.default))
    if isinstance(value, Relation) and value.kind is Kind.VIEW:
        # What needs the view stays.
        made = _relation(value)
        return () if made is None else (made.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1),)
    if isinstance(value, Constraint) and value.type != "check":
        return ()
    return (*_dropped(name, value), *_created(name, value))


def _dropped(name: ObjectName, value: Any = None) -> tuple[str, ...]:
    if name.kind in _DROPPED_ALONE:
        spelled = _qualified(name.schema, name.name)
        arguments = "" if name.arguments is None else f"({name.arguments})"
        return (f"DROP {_DROPPED_ALONE[name.kind]} {spelled}{arguments}",)
    if name.parent is None:
        return ()
    parent = _qualified(name.schema, name.parent)
    if name.kind in _DROPPED_ON:
        return (f"DROP {_DROPPED_ON[name.kind]} {identifier(name.name)} ON {parent}",)
    if name.kind is Kind.COLUMN:
        return (f"ALTER TABLE {parent} DROP COLUMN {identifier(name.name)}",)
    if name.kind is Kind.CONSTRAINT:
        return (f"ALTER {_owner(value)} {parent} DROP CONSTRAINT {identifier(name.name)}",)
    return ()


def _owner(constraint: Any) -> str:
    """Return what a constraint is a part of: one of a domain speaks of its VALUE."""
    of_domain = (
        isinstance(constraint, Constraint)
        and not constraint.columns
        and re.search(r"\bVALUE\b", constraint.definition) is not None
    )
    return "DOMAIN" if of_domain else "TABLE"


def _created(name: ObjectName, value: Any) -> tuple[str, ...]:
    parent = _qualified(name.schema, name.parent) if name.parent else ""
    found: str | None = None
    if isinstance(value, Index | Trigger | Rule | Routine):
        found = value.definition.rstrip().rstrip(";")
    elif isinstance(value, Column):
        found = f"ALTER TABLE {parent} ADD COLUMN {_column(value)}"
    elif isinstance(value, Constraint):
        added = f"ADD CONSTRAINT {identifier(value.name)} {value.definition}"
        found = f"ALTER {_owner(value)} {parent} {added}"
    elif isinstance(value, Schema):
        found = f"CREATE SCHEMA {identifier(value.name)}"
    elif isinstance(value, Extension):
        found = f"CREATE EXTENSION {identifier(value.name)} WITH SCHEMA {identifier(value.target)}"
    elif isinstance(value, EnumType):
        labels = ", ".join(map(literal, value.labels))
        found = f"CREATE TYPE {_qualified(value.schema, value.name)} AS ENUM ({labels})"
    elif isinstance(value, Policy):
        found = _policy(value, parent)
    elif isinstance(value, Relation):
        found = _relation(value)
    return () if found is None else (found, *_enabled(value, parent))


def _enabled(value: Any, parent: str) -> tuple[str, ...]:
    """Return what sets a new trigger or rule to fire otherwise than usual."""
    if not isinstance(value, Trigger | Rule) or value.enabled == "origin":
        return ()
    word = "TRIGGER" if isinstance(value, Trigger) else "RULE"
    return (f"ALTER TABLE {parent} {_ENABLED[value.enabled]} {word} {identifier(value.name)}",)


def _column(column: Column) -> str:
    parts = [identifier(column.name), column.type]
    if column.collation is not None:
        parts.append(f"COLLATE {column.collation}")
    if column.generated is not None:
        parts.append(f"GENERATED ALWAYS AS ({column.default}) {column.generated.upper()}")
    elif column.identity is not None:
        parts.append(f"GENERATED {column.identity.upper()} AS IDENTITY")
    elif column.default is not None:
        parts.append(f"DEFAULT {column.default}")
    if column.not_null:
        parts.append("NOT NULL")
    return " ".join(parts)


def _policy(policy: Policy, parent: str) -> str:
    roles = ", ".join(identifier(role) if role else "PUBLIC" for role in policy.roles)
    text = f"CREATE POLICY {identifier(policy.name)} ON {parent}"
    text += "" if policy.permissive else " AS RESTRICTIVE"
    text += f" FOR {policy.command.upper()} TO {roles}"
    text += f" USING ({policy.using})" if policy.using is not None else ""
    return text + (f" WITH CHECK ({policy.check})" if policy.check is not None else "")


def _relation(relation: Relation) -> str | None:
    """Return the statement that makes a view, or a table that is nothing but its columns."""
    name = _qualified(relation.schema, relation.name)
    if relation.kind is Kind.TABLE:
        if relation.partition_key or relation.partition_bound or relation.inherits:
            return None
        lines = [_column(column) for column in relation.columns]
        lines += [
            f"CONSTRAINT {identifier(each.name)} {each.definition}"
            for each in relation.constraints
            if each.type not in ("trigger", "not null")
        ]
        rest = (relation.triggers, relation.rules, relation.policies, relation.indexes)
        return None if any(rest) else f"CREATE TABLE {name} (\n  " + ",\n  ".join(lines) + "\n)"
    if relation.definition is None:
        return None
    return f"CREATE {relation.kind.value.upper()} {name} AS\n{relation.definition.rstrip(';')}"


def _altered(change: Change) -> tuple[str, ...]:
    """Return the statements for the properties that differ; none unless all of them can be said."""
    says: dict[str, None] = {}
    for each in change.differences:
        how = _ALTERATIONS.get((change.kind, each.attribute))
        said = how(change, each.before, each.after) if how else []
        if not said:
            return ()
        says |= dict.fromkeys(said)
    return tuple(says)


def _alter_column(change: Change, words: str) -> list[str]:
    table = _qualified(change.object.schema, change.object.parent or "")
    return [f"ALTER TABLE {table} ALTER COLUMN {identifier(change.object.name)} {words}"]


def _default(change: Change, _: Any, after: Any) -> list[str]:
    if getattr(change.after, "generated", None) is not None:
        return _alter_column(change, f"SET EXPRESSION AS ({after})")
    return _alter_column(change, "DROP DEFAULT" if after is None else f"SET DEFAULT {after}")


def _fires(change: Change, _: Any, after: Any) -> list[str]:
    table = _qualified(change.object.schema, change.object.parent or "")
    word = "TRIGGER" if change.kind is Kind.TRIGGER else "RULE"
    return [f"ALTER TABLE {table} {_ENABLED[after]} {word} {identifier(change.object.name)}"]


def _redefined(change: Change, _: Any, __: Any) -> list[str]:
    return [*_dropped(change.object, change.before), *_created(change.object, change.after)]


def _labels(change: Change, before: Any, after: Any) -> list[str]:
    """Return how labels were added; nothing is said of those that are gone or moved."""
    name = _qualified(change.object.schema, change.object.name)
    if [label for label in after if label in before] != list(before):
        return []
    says = []
    for place, label in enumerate(after):
        if label not in before:
            where = (
                f"AFTER {literal(after[place - 1])}" if place else f"BEFORE {literal(before[0])}"
            )
            says.append(f"ALTER TYPE {name} ADD VALUE {literal(label)} {where}")
    return says


def _row_security(change: Change, _: Any, after: Any) -> list[str]:
    table = _qualified(change.object.schema, change.object.name)
    return [f"ALTER TABLE {table} {'ENABLE' if after else 'DISABLE'} ROW LEVEL SECURITY"]


def _comment(change: Change, _: Any, after: Any) -> list[str]:
    name = change.object
    value = "NULL" if after is None else literal(after)
    if name.kind is Kind.COLUMN:
        owner = _qualified(name.schema, name.parent or "")
        return [f"COMMENT ON COLUMN {owner}.{identifier(name.name)} IS {value}"]
    if name.kind in _DROPPED_ALONE:
        spelled = _qualified(name.schema, name.name)
        arguments = "" if name.arguments is None else f"({name.arguments})"
        return [f"COMMENT ON {_DROPPED_ALONE[name.kind]} {spelled}{arguments} IS {value}"]
    if name.parent is None:
        return []
    word = "CONSTRAINT" if name.kind is Kind.CONSTRAINT else _DROPPED_ON.get(name.kind)
    owner = _qualified(name.schema, name.parent)
    return [f"COMMENT ON {word} {identifier(name.name)} ON {owner} IS {value}"] if word else []


_ALTERATIONS: Final[dict[tuple[Kind, str], Callable[[Change, Any, Any], list[str]]]] = {
    (Kind.COLUMN, "type"): lambda change, _, after: _alter_column(change, f"TYPE {after}"),
    (Kind.COLUMN, "not_null"): lambda change, _, after: _alter_column(
        change, f"{'SET' if after else 'DROP'} NOT NULL"
    ),
    (Kind.COLUMN, "default"): _default,
    (Kind.TRIGGER, "definition"): _redefined,
    (Kind.TRIGGER, "enabled"): _fires,
    (Kind.RULE, "definition"): _redefined,
    (Kind.RULE, "enabled"): _fires,
    (Kind.CONSTRAINT, "definition"): _redefined,
    (Kind.POLICY, "using"): _redefined,
    (Kind.POLICY, "check"): _redefined,
    (Kind.FUNCTION, "definition"): lambda change, _, __: list(
        _created(change.object, change.after)
    ),
    (Kind.PROCEDURE, "definition"): lambda change, _, __: list(
        _created(change.object, change.after)
    ),
    (Kind.VIEW, "definition"): _redefined,
    (Kind.ENUM, "labels"): _labels,
    (Kind.TABLE, "row_security"): _row_security,
    **{(kind, "comment"): _comment for kind in Kind},
}


def _qualified(schema: str | None, name: str) -> str:
    prefix = f"{identifier(schema)}." if schema is not None else ""
    return prefix + identifier(name)
