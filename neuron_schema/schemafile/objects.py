"""What stands alone and is no relation, in SQL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from neuron_schema.catalog import (
    Composite,
    DefaultPrivileges,
    Domain,
    EnumType,
    EventTrigger,
    Extension,
    Kind,
    Publication,
    RangeType,
    Routine,
    Schema,
    Sequence,
    Statistics,
)
from neuron_schema.quoting import literal
from neuron_schema.schemafile.blocks import comment
from neuron_schema.schemafile.grants import default_privileges, granted
from neuron_schema.schemafile.names import listed, qualified, quoted
from neuron_schema.schemafile.tables import sequence_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from neuron_schema.catalog.model import AnyObject, Column, Constraint

_PUBLIC_COMMENT = "standard public schema"
_AGGREGATE_KEY = re.compile(
    r"(?:^|, )(sfunc|stype|sspace|finalfunc|finalfunc_extra|finalfunc_modify|combinefunc|serialfunc"
    r"|deserialfunc|initcond|msfunc|minvfunc|mstype|msspace|mfinalfunc|mfinalfunc_extra"
    r"|mfinalfunc_modify|minitcond|sortop|parallel|kind|arguments) = "
)
_MODIFY = {"r": "READ_ONLY", "s": "SHAREABLE", "w": "READ_WRITE"}
_PARALLEL = {"s": "SAFE", "r": "RESTRICTED", "u": "UNSAFE"}


def statements(each: AnyObject, usual_comments: Mapping[str, str]) -> Iterator[str]:
    """Yield what makes an object, all that belongs to it included.

    Args:
        each: The object.
        usual_comments: The comments that extensions bring along, by extension.
    """
    if isinstance(each, Extension):
        yield from _extension(each, usual_comments)
        return
    for kind, made in _STATEMENTS.items():
        if isinstance(each, kind):
            yield from made(each)


def _schema(each: Schema) -> Iterator[str]:
    name = quoted(each.name)
    if each.name == "public":
        yield from _public(each)
        return
    # The schema of the history table is there before anything else is.
    yield f"CREATE SCHEMA IF NOT EXISTS {name}"
    usual = ("CREATE", "USAGE")
    yield from granted("SCHEMA", name, each.privileges, owner=each.owner, usual=usual)
    yield from comment("SCHEMA", name, each.comment)


def _public(each: Schema) -> Iterator[str]:
    """Yield what makes the schema public, which is in every database, another one than it is."""
    if each.owner is not None:
        # Its owner is a role of PostgreSQL's own, which the database's owner stands in for.
        grants = [grant for grant in each.privileges or () if grant.grantee != each.owner]
        yield from granted("SCHEMA", "public", grants, owner=None, public=("USAGE",))
    if each.comment is None:
        yield "COMMENT ON SCHEMA public IS NULL"
    elif each.comment != _PUBLIC_COMMENT:
        yield from comment("SCHEMA", "public", each.comment)


def _extension(each: Extension, usual_comments: Mapping[str, str]) -> Iterator[str]:
    if each.name == "plpgsql":  # It is in every database.
        return
    # Where only an administrator may create extensions, they are there already.
    yield f"CREATE EXTENSION IF NOT EXISTS {quoted(each.name)} WITH SCHEMA {quoted(each.target)}"
    if usual_comments.get(each.name, each.comment) != each.comment:
        yield from comment("EXTENSION", quoted(each.name), each.comment or "")


def _type(each: EnumType | Composite | RangeType) -> Iterator[str]:
    name = qualified(each.schema, each.name)
    if isinstance(each, EnumType):
        labels = ",\n    ".join(literal(label).strip() for label in each.labels)
        yield f"CREATE TYPE {name} AS ENUM (" + (f"\n    {labels}\n)" if labels else ")")
    elif isinstance(each, Composite):
        columns = ",\n    ".join(map(_attribute, each.columns))
        yield f"CREATE TYPE {name} AS (" + (f"\n    {columns}\n)" if columns else ")")
    else:
        yield f"CREATE TYPE {name} AS RANGE (\n    {_range(each)}\n)"
    yield from granted("TYPE", name, each.privileges, owner=each.owner, usual=("USAGE",))
    yield from comment("TYPE", name, each.comment)
    if isinstance(each, Composite):
        for column in each.columns:
            yield from comment("COLUMN", f"{name}.{quoted(column.name)}", column.comment)


def _attribute(column: Column) -> str:
    collation = f" COLLATE {column.collation}" if column.collation is not None else ""
    return f"{quoted(column.name)} {column.type}{collation}"


def _range(each: RangeType) -> str:
    options = {
        "SUBTYPE": each.subtype,
        "SUBTYPE_OPCLASS": each.opclass,
        "COLLATION": each.collation,
        "CANONICAL": each.canonical,
        "SUBTYPE_DIFF": each.difference,
        "MULTIRANGE_TYPE_NAME": each.multirange,
    }
    return ",\n    ".join(f"{key} = {value}" for key, value in options.items() if value is not None)


def _domain(each: Domain) -> Iterator[str]:
    name = qualified(each.schema, each.name)
    text = f"CREATE DOMAIN {name} AS {each.type}"
    text += f" COLLATE {each.collation}" if each.collation is not None else ""
    text += f" DEFAULT {each.default}" if each.default is not None else ""
    if each.not_null and not any(one.type == "not null" for one in each.constraints):
        text += " NOT NULL"
    inline = [one for one in each.constraints if one.validated]
    yield text + "".join(f"\n    {_named(one)}" for one in inline)
    for one in each.constraints:
        if not one.validated:
            yield f"ALTER DOMAIN {name} ADD {_named(one)}"
    yield from granted("TYPE", name, each.privileges, owner=each.owner, usual=("USAGE",))
    yield from comment("DOMAIN", name, each.comment)
    for one in each.constraints:
        yield from comment("CONSTRAINT", f"{quoted(one.name)} ON DOMAIN {name}", one.comment)


def _named(constraint: Constraint) -> str:
    return f"CONSTRAINT {quoted(constraint.name)} {constraint.definition}"


def _sequence(each: Sequence) -> Iterator[str]:
    name = qualified(each.schema, each.name)
    unlogged = "UNLOGGED " if each.persistence == "unlogged" else ""
    kind = "" if each.type == "bigint" else f" AS {each.type}"
    options = " ".join(sequence_options(each, each.type))
    yield f"CREATE {unlogged}SEQUENCE {name}{kind}" + (f" {options}" if options else "")
    usual = ("SELECT", "UPDATE", "USAGE")
    yield from granted("SEQUENCE", name, each.privileges, owner=each.owner, usual=usual)
    yield from comment("SEQUENCE", name, each.comment)


def _routine(each: Routine) -> Iterator[str]:
    what = str(each.kind).upper()
    name = f"{qualified(each.schema, each.name)}({each.arguments})"
    if each.kind is Kind.AGGREGATE:
        yield _aggregate(each)
    else:
        yield each.definition.rstrip("\n")
    for extension in each.extensions:
        yield f"ALTER {what} {name} DEPENDS ON EXTENSION {quoted(extension)}"
    kind = "PROCEDURE" if each.kind is Kind.PROCEDURE else "FUNCTION"
    yield from granted(kind, name, each.privileges, owner=each.owner, usual=("EXECUTE",))
    yield from comment(what, name, each.comment)


def _aggregate(each: Routine) -> str:
    """Return CREATE AGGREGATE of the properties that stand in ``definition``."""
    found = list(_AGGREGATE_KEY.finditer(each.definition))
    ends = [match.start() for match in found[1:]] + [len(each.definition)]
    given = {
        match[1]: each.definition[match.end() : end] for match, end in zip(found, ends, strict=True)
    }
    arguments, kind = given.pop("arguments", ""), given.pop("kind", "n")
    lines = [_property(key, value) for key, value in given.items()]
    lines += ["HYPOTHETICAL"] if kind == "h" else []
    body = ",\n    ".join(lines)
    return (
        f"CREATE AGGREGATE {qualified(each.schema, each.name)}({arguments or '*'}) (\n    {body}\n)"
    )


def _property(key: str, value: str) -> str:
    word = key.upper()
    if key.endswith("_extra"):
        return word
    if key.endswith("_modify"):
        return f"{word} = {_MODIFY[value]}"
    if key == "parallel":
        return f"{word} = {_PARALLEL[value]}"
    if key == "sortop":
        return f"{word} = OPERATOR({value.rpartition('(')[0]})"
    if key.endswith("func"):
        return f"{word} = {value.rpartition('(')[0]}"
    return f"{word} = {value}"


def _statistics(each: Statistics) -> Iterator[str]:
    name = qualified(each.schema, each.name)
    yield each.definition
    if each.target is not None:
        yield f"ALTER STATISTICS {name} SET STATISTICS {each.target}"
    yield from comment("STATISTICS", name, each.comment)


def _publication(each: Publication) -> Iterator[str]:
    name = quoted(each.name)
    targets = [f"TABLE {', '.join(each.tables)}"] if each.tables else []
    targets += [f"TABLES IN SCHEMA {listed(each.schemas)}"] if each.schemas else []
    what = " FOR ALL TABLES" if each.all_tables else f" FOR {', '.join(targets)}" if targets else ""
    options = [f"publish = {literal(', '.join(each.publishes))}"]
    options += ["publish_via_partition_root = true"] if each.via_root else []
    options += ["publish_generated_columns = stored"] if each.generated == "stored" else []
    yield f"CREATE PUBLICATION {name}{what}\nWITH ({', '.join(options)})"
    yield from comment("PUBLICATION", name, each.comment)


def _event_trigger(each: EventTrigger) -> Iterator[str]:
    name = quoted(each.name)
    tags = ", ".join(literal(tag) for tag in each.tags)
    when = f"\n    WHEN TAG IN ({tags})" if tags else ""
    yield f"CREATE EVENT TRIGGER {name} ON {each.event}{when}\n    EXECUTE FUNCTION {each.function}"
    words = {"disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}
    if each.enabled in words:
        yield f"ALTER EVENT TRIGGER {name} {words[each.enabled]}"
    yield from comment("EVENT TRIGGER", name, each.comment)


_STATEMENTS: Mapping[type[Any], Callable[[Any], Iterable[str]]] = {
    Schema: _schema,
    EnumType: _type,
    Composite: _type,
    RangeType: _type,
    Domain: _domain,
    Sequence: _sequence,
    Routine: _routine,
    Statistics: _statistics,
    Publication: _publication,
    EventTrigger: _event_trigger,
    DefaultPrivileges: default_privileges,
}
