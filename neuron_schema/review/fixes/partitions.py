"""Partitions, attached without reading them and detached while others work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from neuron_schema.canonical import SqlTextError, tokens
from neuron_schema.catalog.model import spelled
from neuron_schema.review.fixes.arranging import Remedy, Stage
from neuron_schema.review.fixes.naming import (
    LONGEST_NAME,
    altering,
    as_python,
    as_sql,
    drop_constraint,
    operation,
)
from neuron_schema.review.fixes.text import call_with, string
from neuron_schema.review.fixes.writing import Piece, verbatim
from neuron_schema.sqltext.sql_cursor import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import Relation, Snapshot
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.fixes.original import Item, Original
    from neuron_schema.sqltext.actions import ObjectRef

_KEY: Final = re.compile(r'(RANGE|LIST) \(([a-z_][a-z0-9_$]*|"(?:[^"]|"")+")\)')
_HOW: Final = "DETACH PARTITION CONCURRENTLY"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A partitioned table and a partition, as a statement names them."""

    parent: ObjectRef
    partition: ObjectRef


def attach(original: Original, _: Finding) -> Iterator[Remedy]:
    """Yield how a table's rows are checked before it becomes a partition."""
    for item in original.up:
        pair = _pair(item, "attach")
        check = None if pair is None else _check(original, pair, original.case.after)
        if pair is None or check is None or original.table(pair.partition) is None:
            continue
        name = f"{pair.partition.name}_bounds"
        if len(name.encode()) > LONGEST_NAME:
            continue
        added = verbatim(
            f"ALTER TABLE {as_sql(pair.partition)} ADD CONSTRAINT {spelled(name)}"
            f" CHECK ({check}) NOT VALID"
        )
        gone = drop_constraint(pair.partition, name)
        undoing = next((each for each in original.down if _pair(each, "detach") == pair), None)
        back = _detached(pair) if undoing is None else undoing.piece
        stage = Stage(
            slug=f"attach_{pair.partition.name}",
            says=f"Make {pair.partition.name} a partition of {pair.parent.name}, its rows checked"
            " before.",
            up=(
                operation("ValidateConstraint", string(name), table=pair.partition),
                item.piece,
                gone,
            ),
            down=(back, added),
            apart=item.element is None and (undoing is None or undoing.element is None),
        )
        yield Remedy(
            number=item.number,
            now=(added,),
            stages=(stage,),
            names=frozenset({pair.partition.name}),
            down={} if undoing is None else {undoing.number: (gone,)},
            more_down=(gone,) if undoing is None else (),
        )


def detach(original: Original, _: Finding) -> Iterator[Remedy]:
    """Yield how a partition is detached CONCURRENTLY, and freed of the CHECK that this leaves."""
    for item in original.up:
        pair = _pair(item, "detach")
        if pair is None or "concurrently" in item.words.split():
            continue
        found = _bounds(original, pair, original.case.before)
        check = None if found is None else _condition(*found)
        if found is None or check is None:
            continue
        again = next((each for each in original.down if _pair(each, "attach") == pair), None)
        # As PostgreSQL names the CHECK that it leaves: by table and column.
        name = f"{pair.partition.name}_{found[1]}_check"
        gone = drop_constraint(pair.partition, name)
        stages = (_concurrent(original, item, pair, again, gone), _freed(pair, name, check, gone))
        module = original.module
        call = None if item.element is None else module.call(item.element.node, {"DetachPartition"})
        yield Remedy(
            number=item.number,
            stages=stages,
            names=frozenset({pair.partition.name}),
            edits=() if call is None else (call_with(module.source, call, "concurrently=True"),),
            down={} if again is None else {again.number: ()},
            how=_HOW,
        )


def _concurrent(
    original: Original, item: Item, pair: _Pair, again: Item | None, gone: Piece
) -> Stage:
    call = (
        None
        if item.element is None
        else original.module.call(item.element.node, {"DetachPartition"})
    )
    return Stage(
        slug=f"detach_{pair.partition.name}",
        says=f"Detach {pair.partition.name} from {pair.parent.name} while others work.",
        up=(_detached(pair, concurrently=True) if call is None else item.piece,),
        down=() if again is None else (again.piece, gone),
        alone=True,
        apart=call is None and (again is None or again.element is None),
    )


def _freed(pair: _Pair, name: str, check: str, gone: Piece) -> Stage:
    added = f"ADD CONSTRAINT {spelled(name)} CHECK ({check})"
    return Stage(
        slug=f"free_{pair.partition.name}",
        says=f"Drop the CHECK that PostgreSQL left on {pair.partition.name} as it was detached.",
        up=(gone,),
        down=(verbatim(f"ALTER TABLE {as_sql(pair.partition)} {added}"),),
        apart=True,
    )


def _detached(pair: _Pair, *, concurrently: bool = False) -> Piece:
    (parent, more), (partition, other) = as_python(pair.parent), as_python(pair.partition)
    end = ", concurrently=True" if concurrently else ""
    return Piece(
        text=f"DetachPartition({parent}, {partition}{end})",
        imports=(("neuron_schema.ops", "DetachPartition"), *more, *other),
    )


def _pair(item: Item, verb: str) -> _Pair | None:
    """Return the tables of an ATTACH or DETACH PARTITION."""
    found = altering(item)
    if found is None or not found[0].take(verb, "partition"):
        return None
    try:
        return _Pair(parent=found[1], partition=found[0].relation())
    except NotUnderstood:
        return None


def _check(original: Original, pair: _Pair, schema: Snapshot) -> str | None:
    found = _bounds(original, pair, schema)
    return None if found is None else _condition(*found)


def _bounds(original: Original, pair: _Pair, schema: Snapshot) -> tuple[str, str, str] | None:
    """Return how a table is divided, by which column, and the bounds of a partition of it."""
    parent, partition = original.table(pair.parent), original.table(pair.partition)
    if parent is None or partition is None:
        return None
    divided = _KEY.fullmatch(parent.partition_key or "")
    bound = _relation(schema, partition).partition_bound
    if divided is None or bound is None or bound == "DEFAULT":
        return None
    return divided[1], divided[2].strip('"').replace('""', '"'), bound


def _relation(schema: Snapshot, table: Relation) -> Relation:
    return schema.relation(table.schema, table.name) or table


def _condition(way: str, column: str, bound: str) -> str | None:
    """Return the condition that a partition's bounds put on one column."""
    name = spelled(column)
    try:
        groups = _groups(bound)
    except SqlTextError:
        return None
    if way == "LIST":
        if len(groups) != 1 or re.search(r"\bnull\b", groups[0], re.IGNORECASE):
            return None
        return f"{name} IS NOT NULL AND {name} IN ({groups[0]})"
    if len(groups) != 2:  # noqa: PLR2004 - FROM and TO
        return None
    parts = [f"{name} IS NOT NULL"]
    parts += [f"{name} >= {groups[0]}"] if groups[0] != "MINVALUE" else []
    parts += [f"{name} < {groups[1]}"] if groups[1] != "MAXVALUE" else []
    return " AND ".join(parts)


def _groups(bound: str) -> list[str]:
    """Return what stands in the parentheses of bounds."""
    found: list[str] = []
    start = None
    for token in tokens(bound):
        if token.text == "(" and start is None:
            start = token.end
        elif token.text == ")" and start is not None:
            found.append(bound[start : token.start])
            start = None
    return found
