"""Imports and definitions that a module needs, and those that it needs no more. Pure text."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from neuron_schema.review.fixes.module import DECLARED
from neuron_schema.review.fixes.text import WIDTH, Edit, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def used_names(source: Source) -> frozenset[str]:
    """Return the names that are read anywhere in a module."""
    return frozenset(_read(source.tree))


def pruned(text: str, were_used: frozenset[str]) -> str:
    """Return a module without what nothing in it uses any more.

    Args:
        text: The module.
        were_used: The names that were used before; what nobody used then stays.
    """
    while True:
        source = Source(text)
        edit = next(_unneeded(source, were_used), None)
        if edit is None:
            return text
        text = source.edited(0, len(text), [edit])


def with_imports(text: str, wanted: Iterable[tuple[str, str]]) -> str:
    """Return a module that imports names, pairs of a module and a name in it."""
    for module, name in sorted(set(wanted)):
        source = Source(text)
        text = source.edited(0, len(text), _import(source, module, name))
    return text


def _read(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
            yield each.id


def _unneeded(source: Source, were_used: frozenset[str]) -> Iterator[Edit]:
    """Yield what takes something out that is not needed, a piece at a time."""
    reads = [set(_read(statement)) for statement in source.tree.body]
    for number, statement in enumerate(source.tree.body):
        others = set().union(*(names for at, names in enumerate(reads) if at != number))
        bound = _bound(statement)
        gone = {name for name in bound if name in were_used and name not in others}
        if not gone or gone & DECLARED:
            continue
        if gone == bound:
            yield _removal(source, statement)
        elif isinstance(statement, ast.ImportFrom) and "#" not in source.of(statement):
            left = [each for each in statement.names if (each.asname or each.name) not in gone]
            yield Edit(*source.span(statement), _import_text(statement.module or "", left))


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement binds, and nothing else that it does matters."""
    if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
        return set()
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {each.asname or each.name.partition(".")[0] for each in statement.names}
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        return set()
    names = {each.id for each in targets if isinstance(each, ast.Name)}
    return names if len(targets) == 1 else set()


def _removal(source: Source, statement: ast.stmt) -> Edit:
    """Return what takes a statement out, with the comment right above and the blanks below it."""
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(each.lineno for each in decorators)]) - 1
    while first > 0 and source.lines[first - 1].startswith("#"):
        first -= 1
    last = statement.end_lineno or statement.lineno
    parted = first == 0 or not source.lines[first - 1].strip()
    while parted and last < len(source.lines) and not source.lines[last].strip():
        last += 1
    return Edit(source.position(first + 1, 0), source.position(last + 1, 0), "")


def _import(source: Source, module: str, name: str) -> Iterator[Edit]:
    """Yield what makes a module import a name, if it does not yet."""
    found: list[ast.ImportFrom] = [
        each for each in source.tree.body if isinstance(each, ast.ImportFrom) and not each.level
    ]
    same = [each for each in found if each.module == module]
    if any(alias.name == name and alias.asname is None for each in same for alias in each.names):
        return
    plain = next((each for each in same if "#" not in source.of(each)), None)
    if plain is not None:
        names = [*plain.names, ast.alias(name=name)]
        yield Edit(*source.span(plain), _import_text(module, names))
        return
    text = _import_text(module, [ast.alias(name=name)])
    for each in found:
        if each.module != "__future__" and (each.module or "") > module:
            place = source.span(each)[0]
            yield Edit(place, place, f"{text}\n")
            return
    body = source.tree.body
    imports = [each for each in body if isinstance(each, ast.Import | ast.ImportFrom)]
    if imports:
        place = source.span(imports[-1])[1]
        yield Edit(place, place, f"\n{text}")
    else:
        place = source.span(body[0])[1] if ast.get_docstring(source.tree) is not None else 0
        yield Edit(place, place, f"\n\n{text}" if place else f"{text}\n\n")


def _import_text(module: str, names: Iterable[ast.alias]) -> str:
    """Return an import as import sorters lay it out."""
    ordered = sorted(names, key=lambda each: _order(each.name))
    words = [f"{each.name} as {each.asname}" if each.asname else each.name for each in ordered]
    line = f"from {module} import {', '.join(words)}"
    if len(line) <= WIDTH:
        return line
    return f"from {module} import (\n" + "".join(f"    {word},\n" for word in words) + ")"


def _order(name: str) -> tuple[int, str]:
    """Order names: constants, classes, the rest."""
    if name.isupper() and len(name) > 1:
        return 0, name
    return (1 if name[:1].isupper() else 2), name
