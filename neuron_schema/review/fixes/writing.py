"""Version modules, written: the author's own with other lists, or new ones. Pure text."""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from neuron_schema.canonical import canonical
from neuron_schema.review.fixes.pruning import pruned, used_names, with_imports
from neuron_schema.review.fixes.text import WIDTH, Edit, string

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from neuron_schema.review.fixes.module import Element, ModuleText

OPS: Final = "neuron_schema.ops"
EMPTY: Final = '"""."""\n\nup = []\n\ndown = []\n'
_SQL_IMPORT: Final = ((OPS, "Sql"),)
_IRREVERSIBLE_IMPORT: Final = ((OPS, "irreversible"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """An element of a list that is to be written.

    Attributes:
        text: Its Python text, where it is a new one.
        element: The author's element, where it is that.
        imports: What its text needs, as pairs of module and name.
        sql: The statements that it makes, where they are known.
    """

    text: str = ""
    element: Element | None = None
    imports: tuple[tuple[str, str], ...] = ()
    sql: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A module that is to be written.

    Attributes:
        module: What is altered to make it.
        docstring: What it says of itself.
        up: Its elements.
        down: Its elements; None for what ``module`` declares.
        irreversible: Why there is no way back, where ``module`` does not declare it itself.
        edits: What else is altered.
        definitions: Statements in front of ``up``.
        imports: What they need, as pairs of module and name.
        settings: Which names of ``settings`` stay; None for all.
        accept: Which hazards it still accepts; None for all.
    """

    module: ModuleText
    docstring: str
    up: tuple[Piece, ...]
    down: tuple[Piece, ...] | None
    irreversible: str | None = None
    edits: tuple[Edit, ...] = ()
    definitions: str = ""
    imports: tuple[tuple[str, str], ...] = ()
    settings: frozenset[str] | None = None
    accept: frozenset[str] | None = None


def ops(text: str, *names: str, sql: tuple[str, ...] | None = None) -> Piece:
    """Return an element that is made by operations of ``neuron_schema.ops``."""
    return Piece(text=text, imports=tuple((OPS, name) for name in names), sql=sql)


def verbatim(sql: str) -> Piece:
    """Return an element that is SQL as it stands."""
    tidy = inspect.cleandoc(sql)
    text = string(tidy if canonical(tidy) == canonical(sql) else sql)
    if len(text) + 10 > WIDTH and "\n" not in text:
        return Piece(text=f"Sql(\n        {text},\n    )", imports=_SQL_IMPORT, sql=(sql,))
    return Piece(text=f"Sql({text})", imports=_SQL_IMPORT, sql=(sql,))


def written(draft: Draft) -> str:
    """Return the text of a module."""
    source = draft.module.source
    edits = [*draft.edits, _list(draft, "up", draft.up)]
    if draft.down is not None:
        edits.append(_list(draft, "down", draft.down))
    if draft.irreversible is not None:
        edits.append(_declaration(draft.module, draft.irreversible))
    edits += _docstring(draft)
    edits += _declared(draft.module, "settings", draft.settings)
    edits += _declared(draft.module, "accept", draft.accept)
    if draft.definitions:
        place = _start(draft.module, "up")
        edits.append(Edit(place, place, f"{draft.definitions}\n\n"))
    # What an edit inside a list does is in the list's own.
    text = source.edited(0, len(source.text), edits)
    pieces = (*draft.up, *(draft.down or ()))
    imports = [*draft.imports, *(each for piece in pieces for each in piece.imports)]
    imports += _IRREVERSIBLE_IMPORT if draft.irreversible is not None else ()
    return with_imports(pruned(text, used_names(source)), imports)


def elements(draft: Draft, pieces: Sequence[Piece], name: str) -> str:
    """Return the text of a list."""
    found: list[str] = []
    for piece in pieces:
        if piece.element is None:
            found.append(f"    {piece.text},\n")
            continue
        each = piece.element
        text = draft.module.source.edited(each.start, each.end, draft.edits)
        beside = f"  {each.beside}" if each.beside else ""
        found += [f"    {comment}\n" for comment in each.above]
        found.append(f"    {text},{beside}\n")
    if not found:
        return "[]"
    only = found[0].strip().removesuffix(",")
    if len(found) == 1 and "\n" not in only and "#" not in only:
        line = f"{name} = [{only}]"
        if len(line) <= WIDTH:
            return f"[{only}]"
    return "[\n" + "".join(found) + "]"


def _list(draft: Draft, name: str, pieces: Sequence[Piece]) -> Edit:
    value = draft.module.assigned(name)
    assert value is not None  # noqa: S101 - a ModuleText has both
    return Edit(*draft.module.source.span(value), elements(draft, pieces, name))


def _declaration(module: ModuleText, why: str) -> Edit:
    """Return what declares in place of ``down`` that there is no way back."""
    value = module.assigned("down")
    assert value is not None  # noqa: S101 - as above
    call = f"irreversible({string(why)})"
    if len(call) + len("down = ") > WIDTH and "\n" not in call:
        call = f"irreversible(\n    {string(why)}\n)"
    return Edit(*module.source.span(value), call)


def _start(module: ModuleText, name: str) -> int:
    """Return where the statement that assigns a name begins, its comments included."""
    source = module.source
    value = module.assigned(name)
    for statement in source.tree.body:
        if getattr(statement, "value", None) is value:
            line = statement.lineno
            while line > 1 and source.lines[line - 2].startswith("#"):
                line -= 1
            return source.position(line, 0)
    raise AssertionError(name)


def _docstring(draft: Draft) -> list[Edit]:
    source = draft.module.source
    text = draft.docstring.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    text += "\n" if "\n" in text else ""
    text = text[:-1] + '\\"' if text.endswith('"') else text
    quoted = f'"""{text}"""'
    if ast.get_docstring(source.tree, clean=False) is not None:
        return [Edit(*source.span(source.tree.body[0]), quoted)]
    return [Edit(0, 0, f"{quoted}\n\n")]


def _declared(module: ModuleText, name: str, kept: Collection[str] | None) -> list[Edit]:
    """Return what leaves a declaration, a dict that is written out, with some of its keys."""
    value = module.assigned(name)
    if kept is None or not isinstance(value, ast.Dict):
        return []
    source = module.source
    items = [
        f"{source.of(key)}: {source.of(each)}"
        for key, each in zip(value.keys, value.values, strict=True)
        if key is not None and isinstance(key, ast.Constant) and key.value in kept
    ]
    if len(items) == len(value.keys):
        return []
    if not items:
        start = _start(module, name)
        end = source.text.find("\n", source.span(value)[1])
        while end >= 0 and source.text[end : end + 1] == "\n":
            end += 1
        return [Edit(start, end if end >= 0 else len(source.text), "")]
    line = "{" + ", ".join(items) + "}"
    if len(name) + 3 + len(line) > WIDTH or "\n" in line:
        line = "{\n" + "".join(f"    {item},\n" for item in items) + "}"
    return [Edit(*source.span(value), line)]
