"""New columns, without what makes adding them read or write every row."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from neuron_schema.catalog import Action, Constraint
from neuron_schema.catalog import Column as CatalogColumn
from neuron_schema.catalog.model import spelled
from neuron_schema.review.fixes.arranging import Remedy, Stage
from neuron_schema.review.fixes.backfills import backfill
from neuron_schema.review.fixes.constraints import unique_stages, validation
from neuron_schema.review.fixes.naming import as_sql, is_one_action, operation
from neuron_schema.review.fixes.not_null import held_at_once
from neuron_schema.review.fixes.text import call_without, string
from neuron_schema.review.fixes.writing import verbatim
from neuron_schema.sqltext.actions import Kind, ObjectRef, Verb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from neuron_schema.catalog import Relation
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.fixes.original import Item, Original
    from neuron_schema.review.fixes.text import Edit


def volatile_default(original: Original, finding: Finding) -> Iterator[Remedy]:
    """Yield how a column gets its default for new rows, and its values batch by batch."""
    for item, table, column in _added(original):
        if item.number != finding.statement or _constraints(original, table, column.name):
            continue
        if column.default is None or column.generated or "nextval(" in column.default:
            continue
        if any(column.name in each.columns for each in table.constraints):
            continue
        ref = _ref(item)
        rows = backfill(ref, table, {column.name: column.default}, _is_null(column.name))
        if rows is None:
            continue
        bare = replace(column, default=None, not_null=False)
        edits = _author_edits(original, item, column.name, _of_default)
        first = item.piece if edits else verbatim(_definition(ref, bare))
        default = f"ALTER COLUMN {spelled(column.name)} SET DEFAULT {column.default}"
        now = (first, verbatim(f"ALTER TABLE {as_sql(ref)} {default}"))
        stages = [rows]
        if column.not_null:
            stages += _not_null(ref, column.name, original.case.major)
        yield Remedy(
            number=item.number,
            now=now,
            stages=tuple(stages),
            names=frozenset({column.name}),
            edits=edits or (),
        )


def inline_check(original: Original, finding: Finding) -> Iterator[Remedy]:
    """Yield how a column's CHECK is added NOT VALID beside it."""
    yield from _apart(original, finding, "check", _of_check)


def inline_unique(original: Original, finding: Finding) -> Iterator[Remedy]:
    """Yield how a column's UNIQUE gets an index that is built before it."""
    yield from _apart(original, finding, "unique", _of_unique)


def _apart(
    original: Original, finding: Finding, kind: str, leaves_out: Callable[[ast.AST, str], bool]
) -> Iterator[Remedy]:
    for item, table, column in _added(original):
        found = _constraints(original, table, column.name)
        if item.number != finding.statement or not found:
            continue
        if any(each.type != kind for each in found) or column.identity or column.generated:
            continue
        ref = _ref(item)
        edits = _author_edits(original, item, column.name, leaves_out)
        first = item.piece if edits else verbatim(_definition(ref, column))
        added = [
            f"ALTER TABLE {as_sql(ref)} ADD CONSTRAINT {spelled(each.name)} {each.definition}"
            " NOT VALID"
            for each in found
        ]
        stages: list[Stage] = []
        for each, sql in zip(found, added, strict=True):
            if kind == "check":
                stages.append(validation(ref, each.name, sql))
            else:
                stages += unique_stages(ref, table, each)
        yield Remedy(
            number=item.number,
            now=(first, *(map(verbatim, added) if kind == "check" else ())),
            stages=tuple(stages),
            names=frozenset(each.name for each in found),
            edits=edits or (),
        )


def _added(original: Original) -> Iterator[tuple[Item, Relation, CatalogColumn]]:
    """Yield the statements that add one column to a table that was there, and nothing else."""
    for item in original.up:
        ref = _column(item)
        if ref is None or not is_one_action(item) or "if not exists" in item.words:
            continue
        table = original.table(ref.table)
        after = None if table is None else original.case.after.relation(table.schema, table.name)
        if table is None or after is None:
            continue
        for column in after.columns:
            if column.name == ref.name:
                yield item, table, column


def _column(item: Item) -> ObjectRef | None:
    """Return the column that a statement adds."""
    for each in item.actions:
        if each.verb is Verb.CREATE and each.ref is not None and each.ref.kind is Kind.COLUMN:
            return each.ref if item.words.startswith("alter table ") else None
    return None


def _ref(item: Item) -> ObjectRef:
    column = _column(item)
    assert column is not None  # noqa: S101 - what `_added` yields has one
    return column.table


def _constraints(original: Original, table: Relation, column: str) -> list[Constraint]:
    """Return the constraints that came to a table with a column of its own."""
    named = {
        each.name
        for item in original.up
        for each in [item.made(Kind.CONSTRAINT)]
        if each is not None
    }
    return [
        change.after
        for change in original.case.changes
        if isinstance(change.after, Constraint)
        and change.action is Action.ADDED
        and (change.object.schema, change.object.parent) == (table.schema, table.name)
        and change.after.columns == (column,)
        and change.after.type != "not null"
        and change.object.name not in named
    ]


def _definition(table: ObjectRef, column: CatalogColumn) -> str:
    """Return the statement that adds a column as the catalog describes it."""
    words = [spelled(column.name), column.type]
    words += [f"COLLATE {column.collation}"] if column.collation is not None else []
    words += [f"DEFAULT {column.default}"] if column.default is not None else []
    words += ["NOT NULL"] if column.not_null else []
    return f"ALTER TABLE {as_sql(table)} ADD COLUMN {' '.join(words)}"


def _is_null(column: str) -> str:
    return f"{spelled(column)} IS NULL"


def _not_null(table: ObjectRef, column: str, major: int) -> tuple[Stage, Stage]:
    """Return the versions that make a column NOT NULL once it has values."""
    now, checked = held_at_once(table, column, major)
    undone = operation("AlterColumn", string(column), table=table, end="nullable=True")
    name = f"{table.name}_{column}_not_null"
    drop = f"ALTER TABLE {as_sql(table)} DROP CONSTRAINT {spelled(name)}"
    first = Stage(
        slug=f"{table.name}_{column}_not_null",
        says=f"Let no new row of {table.name} have NULL in {column}.",
        up=now,
        down=(undone if checked.up[1:] == () else verbatim(drop),),
        apart=True,
    )
    return first, checked


def _author_edits(
    original: Original, item: Item, column: str, leaves_out: Callable[[ast.AST, str], bool]
) -> tuple[Edit, ...] | None:
    """Return what takes arguments out of the author's Column; None where it is not found."""
    module = original.module
    node = None if item.element is None else item.element.node
    given = None if node is None else module.argument(node, {"AddColumn"})
    holder = given.value if isinstance(given, ast.Attribute | ast.Subscript) else None
    owner = holder.value if isinstance(holder, ast.Attribute) and holder.attr == "c" else None
    table = module.call(owner, {"Table"}) if isinstance(owner, ast.Name) else None
    for each in table.args if table is not None else ():
        call = module.call(each, {"Column"}) if isinstance(each, ast.Call) else None
        if call is None or not call.args or not _says(call.args[0], column):
            continue
        parts: list[ast.expr | ast.keyword] = [*call.args[1:], *call.keywords]
        gone = [part for part in parts if leaves_out(part, column)]
        edits = tuple(call_without(module.source, call, part) for part in gone)
        return edits or None
    return None


def _says(node: ast.expr, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text


def _of_default(node: ast.AST, _: str) -> bool:
    return isinstance(node, ast.keyword) and node.arg in ("server_default", "nullable")


def _of_unique(node: ast.AST, _: str) -> bool:
    return isinstance(node, ast.keyword) and node.arg == "unique"


def _of_check(node: ast.AST, _: str) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    name = node.func.id if isinstance(node.func, ast.Name) else name
    return name == "CheckConstraint"
