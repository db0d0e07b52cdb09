"""NOT NULL on a column of rows that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from neuron_schema.catalog.model import spelled
from neuron_schema.review.fixes.arranging import Remedy, Stage
from neuron_schema.review.fixes.constraints import VALIDATING
from neuron_schema.review.fixes.naming import (
    LONGEST_NAME,
    altering,
    as_sql,
    drop_constraint,
    name_at,
    operation,
)
from neuron_schema.review.fixes.text import string
from neuron_schema.review.fixes.writing import Piece, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.review.findings import Finding
    from neuron_schema.review.fixes.original import Item, Original
    from neuron_schema.sqltext.actions import ObjectRef

_BY_NAME: Final = 18
"""The major from which on NOT NULL is a constraint that may be NOT VALID."""


def set_not_null(original: Original, _: Finding) -> Iterator[Remedy]:
    """Yield how each SET NOT NULL reads the rows under a lock that lets others write."""
    for item in original.up:
        found = _altered(item, "set")
        if found is None or original.table(found[0]) is None:
            continue
        table, column = found
        name = _name(table, column)
        if len(name.encode()) > LONGEST_NAME:
            continue
        now, stage = held_at_once(table, column, original.case.major)
        if original.case.major >= _BY_NAME:
            yield Remedy(number=item.number, now=now, stages=(stage,))
            continue
        undoing = next((e for e in original.down if _altered(e, "drop") == found), None)
        gone = (drop_constraint(table, name),)
        yield Remedy(
            number=item.number,
            now=now,
            stages=(stage,),
            down={} if undoing is None else {undoing.number: gone},
            more_down=gone if undoing is None else (),
        )


def held_at_once(table: ObjectRef, column: str, major: int) -> tuple[tuple[Piece, ...], Stage]:
    """Return what holds NOT NULL for new rows at once, and the version that reads the others."""
    name = _name(table, column)
    drops = operation("AlterColumn", string(column), table=table, end="nullable=True")
    validate = operation("ValidateConstraint", string(name), table=table)
    if major >= _BY_NAME:
        added = operation(
            "AddNotNull", string(column), string(name), table=table, end="not_valid=True"
        )
        return (added,), _stage(table, column, (validate,), (drops, added))
    check = f"CHECK ({spelled(column)} IS NOT NULL) NOT VALID"
    added = verbatim(f"ALTER TABLE {as_sql(table)} ADD CONSTRAINT {spelled(name)} {check}")
    sets = operation("AlterColumn", string(column), table=table, end="nullable=False")
    up = (validate, sets, drop_constraint(table, name))
    return (added,), _stage(table, column, up, (added, drops))


def _stage(table: ObjectRef, column: str, up: tuple[Piece, ...], down: tuple[Piece, ...]) -> Stage:
    return Stage(
        slug=f"validate_{table.name}_{column}_not_null",
        says=f"Check that no row of {table.name} has NULL in {column} while others write.",
        up=up,
        down=down,
        apart=True,
        family=VALIDATING,
    )


def _name(table: ObjectRef, column: str) -> str:
    """Return the name that PostgreSQL gives the constraint."""
    return f"{table.name}_{column}_not_null"


def _altered(item: Item, verb: str) -> tuple[ObjectRef, str] | None:
    """Return the column of which a statement sets or drops NOT NULL, and does nothing else."""
    found = altering(item)
    if found is None or not found[0].take("alter"):
        return None
    cursor, table = found
    cursor.take("column")
    column = name_at(cursor)
    if column is None or not cursor.take(verb, "not", "null") or cursor:
        return None
    return table, column
