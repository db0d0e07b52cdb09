"""Statements in versions of their own, and operations that have a way with less locking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from neuron_schema.review.fixes.arranging import Remedy, Stage
from neuron_schema.review.fixes.naming import cursor_of, operation
from neuron_schema.review.fixes.text import call_with, string
from neuron_schema.sqltext.sql_cursor import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.review.findings import Finding
    from neuron_schema.review.fixes.original import Item, Original

_HOW: Final = "REINDEX CONCURRENTLY"


def split(original: Original, finding: Finding) -> Iterator[Remedy]:
    """Yield how a statement and those after it get a version of their own."""
    item = original.item(finding.statement)
    before = None if item is None else original.item(item.number - 1)
    if item is not None and before is not None:
        # It stays as it is; what comes after it waits for a version of its own.
        yield Remedy(number=before.number, now=(before.piece,), waits=True)


def reindex(original: Original, finding: Finding) -> Iterator[Remedy]:
    """Yield how an index, or all of a table's, is built anew CONCURRENTLY."""
    for item in original.up:
        if item.number != finding.statement or not item.words.startswith("reindex "):
            continue
        stage, remedy = _reindexed(item), None
        module = original.module
        call = None if item.element is None else module.call(item.element.node, {"Reindex"})
        if call is not None and all(each.arg != "concurrently" for each in call.keywords):
            edits = (call_with(module.source, call, "concurrently=True"),)
            stage = _stage("reindex", "Build it anew while others read and write.", item)
            remedy = Remedy(number=item.number, stages=(stage,), edits=edits, how=_HOW)
        elif stage is not None:
            remedy = Remedy(number=item.number, stages=(stage,), how=_HOW)
        if remedy is not None:
            yield remedy


def _reindexed(item: Item) -> Stage | None:
    """Return the version that does what a REINDEX in verbatim SQL does."""
    cursor = cursor_of(item).after()
    kind = cursor.next()
    if kind not in ("index", "table"):
        return None
    try:
        ref = cursor.after().relation()
    except NotUnderstood:
        return None
    given = [string(ref.name)] if kind == "index" else [f"table({string(ref.name)})"]
    imports: tuple[tuple[str, str], ...] = ()
    if kind == "table":
        imports = (("sqlalchemy", "table"),)
        schema = "" if ref.schema is None else f", schema={string(ref.schema)}"
        given = [f"table({string(ref.name)}{schema})"]
    elif ref.schema is not None:
        given.append(f"schema={string(ref.schema)}")
    piece = operation("Reindex", *given, end="concurrently=True")
    return Stage(
        slug=f"reindex_{ref.name}",
        says=f"Build {ref.name} anew while others read and write.",
        up=(piece,),
        alone=True,
        apart=True,
        imports=imports,
    )


def _stage(slug: str, says: str, item: Item) -> Stage:
    return Stage(slug=slug, says=says, up=(item.piece,), alone=True)
