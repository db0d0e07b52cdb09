"""Rows that are there, written batch by batch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from neuron_schema.canonical import canonical, tokens
from neuron_schema.catalog.model import spelled
from neuron_schema.ops.backfill import is_bare_word
from neuron_schema.review.fixes.arranging import Remedy, Stage
from neuron_schema.review.fixes.naming import as_python, cursor_of, name_at
from neuron_schema.review.fixes.text import WIDTH, string
from neuron_schema.review.fixes.writing import Piece
from neuron_schema.sqltext.sql_cursor import Cursor, NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from neuron_schema.catalog import Relation
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.fixes.original import Item, Original
    from neuron_schema.sqltext.actions import ObjectRef

_CONSTANT: Final = re.compile(r"(?:'(?:[^']|'')*'|-?[0-9]+(?:\.[0-9]+)?|true|false)")
_WORDS: Final = frozenset({"select", "from", "returning", "default", "current", "with", "row"})
"""What makes an UPDATE more than each row by itself."""


def all_rows(original: Original, finding: Finding) -> Iterator[Remedy]:
    """Yield how an UPDATE of all rows is divided into batches."""
    for item in original.up:
        if item.number != finding.statement:
            continue
        found = _update(item)
        table = None if found is None else original.table(found[0])
        if found is None or table is None:
            continue
        ref, values, where = found
        stage = backfill(ref, table, values, where)
        if stage is not None:
            yield Remedy(number=item.number, stages=(stage,), waits=True, how="Backfill")


def backfill(
    ref: ObjectRef, table: Relation, values: Mapping[str, str], where: str | None
) -> Stage | None:
    """Return the version that writes values, or None where its rows cannot be walked through.

    Args:
        ref: The table, as statements name it.
        table: The table, as the catalog describes it.
        values: What columns are set to, SQL.
        where: The rows; what is written must make it false. None for all.
    """
    key = _key(table)
    if not key or set(key) & set(values) or table.partition_key is not None:
        return None
    text, imports = as_python(ref)
    words = [value for value in values.values() if is_bare_word(value)]
    set_ = ", ".join(
        f"{string(name)}: " + (f"text({string(value)})" if value in words else string(value))
        for name, value in values.items()
    )
    imports = (*imports, *([("sqlalchemy", "text")] if words else []))
    given = [text, f"{{{set_}}}"]
    given += [f"where={string(where)}"] if where is not None else []
    given.append(f"key=[{', '.join(map(string, key))}]")
    call = f"Backfill({', '.join(given)})"
    if len(call) + 8 > WIDTH:
        call = "Backfill(\n" + "".join(f"        {each},\n" for each in given) + "    )"
    return Stage(
        slug=f"backfill_{table.name}_{'_'.join(values)}",
        says=f"Give the rows of {table.name} their {' and '.join(values)}, batch by batch.",
        up=(Piece(text=call, imports=(("neuron_schema.ops", "Backfill"), *imports)),),
        alone=True,
        apart=True,
    )


def _key(table: Relation) -> tuple[str, ...]:
    """Return the columns of a unique index, none of them nullable."""
    if table.primary_key is not None:
        return table.primary_key.columns
    filled = {each.name for each in table.columns if each.not_null}
    for each in table.constraints:
        if each.type == "unique" and not each.deferrable and set(each.columns) <= filled:
            return each.columns
    return ()


def _update(item: Item) -> tuple[ObjectRef, dict[str, str], str | None] | None:
    """Return table, values and condition of an UPDATE that looks at each row by itself."""
    cursor = cursor_of(item)
    if not cursor.take("update") or _WORDS & set(item.words.split()):
        return None
    try:
        table = cursor.relation()
    except NotUnderstood:
        return None
    return _changes(table, item) if cursor.take("set") else None


def _changes(table: ObjectRef, item: Item) -> tuple[ObjectRef, dict[str, str], str | None] | None:
    head, *conditions = _divided(item.sql, _after_set(item.sql), "where")
    values: dict[str, str] = {}
    for begin, end in _divided(item.sql, head, ","):
        name, sign, value = _assignment(item.sql, begin, end)
        if name is None or sign != "=" or name in values or not value:
            return None
        values[name] = value
    if not conditions:
        return table, values, None
    where = canonical(item.sql[slice(*conditions[0])])
    # Rows are looked for until none is left, so that each must be changed for good.
    for name, text in values.items():
        if where == f"{spelled(name)} is null" and _CONSTANT.fullmatch(text):
            return table, values, f"{spelled(name)} IS NULL"
    return None


def _after_set(sql: str) -> tuple[int, int]:
    start = next(token.end for token in tokens(sql) if token.text == "set")
    return start, max(token.end for token in tokens(sql) if token.text != ";")


def _divided(sql: str, part: tuple[int, int], mark: str) -> list[tuple[int, int]]:
    """Divide a part of a statement at a word or sign outside of parentheses."""
    found: list[tuple[int, int]] = []
    start, depth = part[0], 0
    for token in tokens(sql):
        if not part[0] <= token.start < part[1]:
            continue
        depth += (token.text in "([") - (token.text in ")]")
        if token.text == mark and depth == 0:
            found.append((start, token.start))
            start = token.end
    return [*found, (start, part[1])]


def _assignment(sql: str, begin: int, end: int) -> tuple[str | None, str, str]:
    """Return column, sign and value of one part of SET."""
    cursor = Cursor([token for token in tokens(sql) if begin <= token.start < end])
    sign = cursor.next(1)
    start = [token.end for token in tokens(sql) if begin <= token.start < end][1:2]
    return name_at(cursor), sign, sql[start[0] if start else end : end].strip()
