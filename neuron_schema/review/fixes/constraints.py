"""Constraints: held at once for new rows, and checked on the others afterwards."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from neuron_schema.catalog import Action, Constraint
from neuron_schema.review.fixes.arranging import Remedy, Stage
from neuron_schema.review.fixes.indexes import definition_of, written_anew
from neuron_schema.review.fixes.naming import (
    altering,
    as_python,
    drop_constraint,
    is_one_action,
    name_at,
    operation,
    with_ending,
)
from neuron_schema.review.fixes.text import call_with, string
from neuron_schema.review.fixes.writing import Piece, verbatim
from neuron_schema.sqltext.actions import Kind, ObjectRef, Verb

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from neuron_schema.catalog import Relation
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.fixes.original import Item, Original

VALIDATING: Final = "validate"
_NOT_VALID: Final = "postgresql_not_valid=True"
_SCHEMA: Final = "sqlalchemy.schema"


def add_constraint(original: Original, _: Finding) -> Iterator[Remedy]:
    """Yield how each CHECK and foreign key of a table that was there is added NOT VALID."""
    for item, ref, _table, constraint in _added(original, ("check", "foreign key")):
        if "not valid" not in item.words and "not enforced" not in item.words:
            yield _in_two(original, item, ref, constraint)


def add_unique(original: Original, _: Finding) -> Iterator[Remedy]:
    """Yield how each UNIQUE of a table that was there gets an index that was built before it."""
    for item, ref, table, constraint in _added(original, ("unique",)):
        if "using index" in item.words or constraint.index is None or table.partition_key:
            continue
        undoing = original.undoing(Kind.CONSTRAINT, constraint.name)
        yield Remedy(
            number=item.number,
            stages=unique_stages(ref, table, constraint),
            names=frozenset({constraint.name, table.name}),
            down={} if undoing is None else {undoing.number: ()},
        )


def validated_too_soon(original: Original, _: Finding) -> Iterator[Remedy]:
    """Yield how each constraint is validated after the version that adds it."""
    for item in original.up:
        found = altering(item)
        if found is None or not found[0].take("validate", "constraint"):
            continue
        cursor, table = found
        name = name_at(cursor) or ""
        maker = next((each for each in original.up if _adds(each, name)), None)
        if maker is not None and is_one_action(maker) and "not valid" in maker.words:
            down = (drop_constraint(table, name), verbatim(maker.sql))
            yield Remedy(
                number=item.number,
                stages=(_validation(table, name, item.piece, down, apart=False),),
            )


def validation(table: ObjectRef, name: str, added: str) -> Stage:
    """Return the version that validates a constraint.

    Args:
        table: Its table, as statements name it.
        name: Its name.
        added: The statement that added it, NOT VALID.
    """
    piece = operation("ValidateConstraint", string(name), table=table)
    down = (drop_constraint(table, name), verbatim(added))
    return _validation(table, name, piece, down, apart=True)


def unique_stages(ref: ObjectRef, table: Relation, constraint: Constraint) -> tuple[Stage, Stage]:
    """Return the versions that build an index and make it a UNIQUE constraint."""
    index = constraint.index
    assert index is not None  # noqa: S101 - a unique constraint has one
    says = f"Build the unique index {index.name} of {table.name} while others write."
    built = written_anew(table, index, says, drops=False)
    definitions, imports = definition_of(table, index, concurrently=False)
    text, more = as_python(ref)
    given = [text, string(constraint.name), string(index.name)]
    given += ["deferrable=True"] if constraint.deferrable else []
    given += ["initially_deferred=True"] if constraint.deferred else []
    attach = Piece(
        text=f"AddConstraintUsingIndex({', '.join(given)})",
        imports=(("neuron_schema.ops", "AddConstraintUsingIndex"), *more),
    )
    again = Piece(text="CreateIndex(index)", imports=((_SCHEMA, "CreateIndex"),))
    attached = Stage(
        slug=f"{constraint.name}_constraint",
        says=f"Make the index {index.name} of {table.name} its unique constraint.",
        up=(attach,),
        down=(drop_constraint(ref, constraint.name), again),
        apart=True,
        definitions=definitions,
        imports=imports,
    )
    return built, attached


def constraint_named(table: Relation | None, name: str) -> Constraint | None:
    """Return a constraint of a table."""
    found = table.constraints if table is not None else ()
    return next((each for each in found if each.name == name), None)


def _validation(
    table: ObjectRef, name: str, piece: Piece, down: tuple[Piece, ...], *, apart: bool
) -> Stage:
    return Stage(
        slug=f"validate_{name}",
        says=f"Check the rows of {table.name} against {name} while others write.",
        up=(piece,),
        down=down,
        apart=apart,
        family=VALIDATING,
    )


def _in_two(original: Original, item: Item, ref: ObjectRef, constraint: Constraint) -> Remedy:
    """Return how a constraint is added NOT VALID, and validated later."""
    names = frozenset({constraint.name})
    module = original.module
    node = None if item.element is None else item.element.node
    argument = None if node is None else module.argument(node, {"AddConstraint"})
    wanted = {"CheckConstraint", "ForeignKeyConstraint"}
    call = None if argument is None else module.call(argument, wanted)
    added = with_ending(item.sql, "NOT VALID")
    if call is None or any(each.arg in (None, "postgresql_not_valid") for each in call.keywords):
        return Remedy(
            number=item.number,
            now=(verbatim(added),),
            stages=(validation(ref, constraint.name, added),),
            names=names,
        )
    edits = (call_with(module.source, call, _NOT_VALID),)
    stage = validation(ref, constraint.name, added)
    if isinstance(argument, ast.Name) and any(each.arg == "name" for each in call.keywords):
        dropped = Piece(
            text=f"DropConstraint({argument.id})", imports=((_SCHEMA, "DropConstraint"),)
        )
        stage = _validation(
            ref,
            constraint.name,
            Piece(
                text=f"ValidateConstraint({argument.id})",
                imports=(("neuron_schema.ops", "ValidateConstraint"),),
            ),
            (dropped, item.piece),
            apart=False,
        )
    return Remedy(number=item.number, now=(item.piece,), stages=(stage,), names=names, edits=edits)


def _added(
    original: Original, types: Collection[str]
) -> Iterator[tuple[Item, ObjectRef, Relation, Constraint]]:
    """Yield the statements that add one constraint to a table that was there, and nothing else."""
    for item in original.up:
        found = altering(item)
        table = None if found is None else original.table(found[1])
        if found is None or table is None or not found[0].take("add"):
            continue
        cursor, ref = found
        after = original.case.after.relation(table.schema, table.name)
        name = name_at(cursor) if cursor.take("constraint") else _unnamed(original, table)
        constraint = None if name is None else constraint_named(after, name)
        if constraint is not None and constraint.type in types and cursor.next() in _WORDS:
            yield item, ref, table, constraint


_WORDS: Final = frozenset({"check", "foreign", "unique"})


def _unnamed(original: Original, table: Relation) -> str | None:
    """Return the one constraint that came to a table and that no statement names."""
    named = {
        action.ref.name
        for item in original.up
        for action in item.actions
        if action.verb is Verb.CREATE and action.ref is not None
    }
    found = [
        change.object.name
        for change in original.case.changes
        if isinstance(change.after, Constraint)
        and change.action is Action.ADDED
        and (change.object.schema, change.object.parent) == (table.schema, table.name)
        and change.object.name not in named
    ]
    return found[0] if len(found) == 1 else None


def _adds(item: Item, name: str) -> bool:
    ref = item.made(Kind.CONSTRAINT)
    return ref is not None and ref.name == name
