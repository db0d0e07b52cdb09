"""Indexes: built, dropped and built anew without keeping others out."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from neuron_schema.canonical import tokens
from neuron_schema.review.fixes.arranging import Remedy, Stage
from neuron_schema.review.fixes.text import WIDTH, call_with, call_without, string
from neuron_schema.review.fixes.writing import Piece
from neuron_schema.sqltext.actions import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import Index, Relation, Snapshot
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.fixes.original import Item, Original
    from neuron_schema.review.fixes.text import Edit

_CONCURRENTLY: Final = "postgresql_concurrently=True"
_CREATING: Final = "CREATE INDEX CONCURRENTLY"
_DROPPING: Final = "DROP INDEX CONCURRENTLY"
_CREATE: Final = (("sqlalchemy.schema", "CreateIndex"),)
_DROP: Final = (("sqlalchemy.schema", "DropIndex"),)


def create_index(original: Original, finding: Finding) -> Iterator[Remedy]:
    """Yield how each index of a table that was there is built CONCURRENTLY, alone."""
    for item in original.up:
        ref = item.made(Kind.INDEX)
        if ref is None or "concurrently" in item.words.split()[:4]:
            if item.number == finding.statement:
                return
            continue
        table = original.table(ref.table)
        made = None if table is None else _index(original.case.after, table.schema, ref.name)
        # CONCURRENTLY is refused on a partitioned table.
        if table is not None and made is not None and table.partition_key is None:
            yield _created(original, item, table, made)


def drop_index(original: Original, finding: Finding) -> Iterator[Remedy]:
    """Yield how each index is dropped CONCURRENTLY, alone."""
    for item in original.up:
        ref = item.dropped(Kind.INDEX)
        if ref is None or "cascade" in item.words.split():
            if item.number == finding.statement:
                return
            continue
        owners = [
            (each, index)
            for each in original.case.before.relations
            for index in each.indexes
            if index.name == ref.name and ref.schema in (None, each.schema)
        ]
        if len(owners) == 1 and owners[0][0].partition_key is None:
            yield _dropped(original, item, *owners[0])


def _created(original: Original, item: Item, table: Relation, made: Index) -> Remedy:
    edits = _author_edits(original, item, "CreateIndex")
    undoing = original.undoing(Kind.INDEX, made.name)
    down = {} if undoing is None else {undoing.number: ()}
    says = f"Build the index {made.name} of {table.name} while others write."
    names = frozenset({made.name, table.name} if made.unique else {made.name})
    if edits is None:
        stage = written_anew(table, made, says, drops=False)
        return Remedy(number=item.number, stages=(stage,), names=names, down=down, how=_CREATING)
    more = _author_edits(original, undoing, "DropIndex") if undoing is not None else None
    last = undoing.piece if undoing is not None and more is not None else None
    last = last or _drop_of(original, item)
    stage = Stage(slug=made.name, says=says, up=(item.piece,), down=(last,), alone=True)
    both = (*edits, *(more or ()))
    return Remedy(
        number=item.number, stages=(stage,), names=names, edits=both, down=down, how=_CREATING
    )


def _dropped(original: Original, item: Item, table: Relation, gone: Index) -> Remedy:
    edits = _author_edits(original, item, "DropIndex")
    again = next((each for each in original.down if _makes(each, gone.name)), None)
    more = _author_edits(original, again, "CreateIndex") if again is not None else ()
    down = {} if again is None else {again.number: ()}
    says = f"Drop the index {gone.name} of {table.name} while others read and write."
    names = frozenset({gone.name})
    if edits is None or more is None:
        stage = written_anew(table, gone, says, drops=True)
        return Remedy(number=item.number, stages=(stage,), names=names, down=down, how=_DROPPING)
    stage = Stage(
        slug=f"drop_{gone.name}",
        says=says,
        up=(item.piece,),
        down=(again.piece,) if again is not None else (),
        alone=True,
    )
    return Remedy(
        number=item.number,
        stages=(stage,),
        names=names,
        edits=(*edits, *more),
        down=down,
        how=_DROPPING,
    )


def _makes(item: Item, name: str) -> bool:
    ref = item.made(Kind.INDEX)
    return ref is not None and ref.name == name


def _author_edits(original: Original, item: Item | None, construct: str) -> tuple[Edit, ...] | None:
    """Return what makes an author's CreateIndex or DropIndex concurrent; None where it cannot."""
    if item is None or item.element is None:
        return None
    module = original.module
    outer = module.call(item.element.node, {construct})
    index = module.argument(item.element.node, {construct})
    call = None if index is None else module.call(index, {"Index"})
    if outer is None or call is None or any(each.arg is None for each in call.keywords):
        return None
    edits: list[Edit] = []
    words = {each.arg: each for each in call.keywords}
    if "postgresql_concurrently" in words:
        return None
    edits.append(call_with(module.source, call, _CONCURRENTLY))
    refused = {"if_not_exists"} if construct == "CreateIndex" else set()
    edits += [
        call_without(module.source, outer, each) for each in outer.keywords if each.arg in refused
    ]
    return tuple(edits)


def _drop_of(original: Original, item: Item) -> Piece:
    """Return what drops the index that an author's element makes."""
    module = original.module
    assert item.element is not None  # noqa: S101 - what the caller asked first
    index = module.argument(item.element.node, {"CreateIndex"})
    assert index is not None  # noqa: S101 - as above
    if isinstance(index, ast.Name):
        return Piece(text=f"DropIndex({index.id})", imports=_DROP)
    call = module.call(index, {"Index"})
    assert call is not None  # noqa: S101 - as above
    first = ", ".join(module.source.of(each) for each in call.args[:2])
    return Piece(text=f"DropIndex(Index({first}, {_CONCURRENTLY}))", imports=_DROP)


def _index(schema: Snapshot, namespace: str, name: str) -> Index | None:
    for each in schema.relations:
        if each.schema == namespace:
            for index in each.indexes:
                if index.name == name:
                    return index
    return None


def written_anew(
    table: Relation, index: Index, says: str, *, drops: bool, slug: str | None = None
) -> Stage:
    """Return a version of its own for an index, by what the catalog says of it.

    Args:
        table: Its table.
        index: The index, before its version or after.
        says: The version's docstring.
        drops: Whether the version drops it, or makes it.
        slug: The version's name.
    """
    definitions, imports = definition_of(table, index)
    make = Piece(text="CreateIndex(index)", imports=_CREATE)
    drop = Piece(text="DropIndex(index)", imports=_DROP)
    return Stage(
        slug=slug or (f"drop_{index.name}" if drops else index.name),
        says=says,
        up=(drop if drops else make,),
        down=(make if drops else drop,),
        alone=True,
        apart=True,
        definitions=definitions,
        imports=imports,
    )


def definition_of(
    table: Relation, index: Index, *, concurrently: bool = True
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return Python statements that declare ``index`` on its table, and what they import."""
    keys, rest = _keys(index.definition)
    arguments = [string(index.name), f"text({string(keys)})"]
    if index.unique:
        arguments.append("unique=True")
    arguments.append(f"postgresql_using={string(index.method)}")
    include, rest = _clause(rest, "INCLUDE")
    if include is not None:
        included = ", ".join(map(string, _include_names(include)))
        arguments.append(f"postgresql_include=[{included}]")
    if "NULLS NOT DISTINCT" in rest:
        arguments.append("postgresql_nulls_not_distinct=True")
    if index.options:
        items = (each.partition("=") for each in index.options)
        pairs = ", ".join(f"{string(name)}: {string(value)}" for name, _, value in items)
        arguments.append(f"postgresql_with={{{pairs}}}")
    if index.tablespace is not None:
        arguments.append(f"postgresql_tablespace={string(index.tablespace)}")
    _, where, condition = rest.partition(" WHERE ")
    if where:
        arguments.append(f"postgresql_where=text({string(condition)})")
    if concurrently:
        arguments.append(_CONCURRENTLY)
    columns = [f"Column({string(each)})" for each in _include_names(include or "")]
    schema = [] if table.schema == "public" else [f"schema={string(table.schema)}"]
    text = "index = Index(\n" + "".join(f"    {each},\n" for each in arguments) + ")\n"
    inside = [string(table.name), "MetaData()", *columns, "index", *schema]
    line = f"table = Table({', '.join(inside)})"
    if len(line) > WIDTH:
        line = "table = Table(\n" + "".join(f"    {each},\n" for each in inside) + ")"
    text += line
    names = ["Index", "MetaData", "Table", "text", *(["Column"] if columns else [])]
    return text, tuple(("sqlalchemy", name) for name in names)


def _include_names(include: str) -> list[str]:
    return [_bare(each) for each in _split(include) if each]


def _keys(definition: str) -> tuple[str, str]:
    """Return the keys of an index's definition, and what comes after them."""
    using = definition.index(" USING ")
    opening = definition.index("(", using)
    return _group(definition, opening)


def _clause(text: str, word: str) -> tuple[str | None, str]:
    start = text.lstrip()
    if not start.startswith(f"{word} ("):
        return None, text
    return _group(start, len(word) + 1)


def _group(text: str, opening: int) -> tuple[str, str]:
    """Return what stands in the parentheses at a position, and what comes after them."""
    depth = 0
    for token in tokens(text):
        if token.start < opening:
            continue
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            return text[opening + 1 : token.start], text[token.start + 1 :]
    raise ValueError(text)


def _split(text: str) -> list[str]:
    return [each.strip() for each in text.split(",")]


def _bare(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
