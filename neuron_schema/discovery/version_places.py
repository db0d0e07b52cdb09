"""Where in a version module ``up`` and ``down`` are, and each of their elements."""

from __future__ import annotations

import ast
from typing import NamedTuple, TypeAlias


class _Shown(NamedTuple):
    """An element as the source shows it, or several of them behind one star."""

    line: int
    several: bool = False


# The line of the list, and its elements where the source shows where they come from.
_Places: TypeAlias = tuple[int, list[_Shown] | None]


def place(
    tree: ast.Module, path: str, name: str, index: int | None = None, count: int | None = None
) -> str:
    """Return ``file:line`` of a list at the top level of a module, or of one of its elements.

    The line of an element is known while the list is written out, assigned once, and only added
    to with ``+=`` and ``.append(...)``; else it is the list's own. What a star stands for has the
    star's line, and what comes after it is counted from the end.

    Args:
        tree: The module.
        path: Its file.
        name: Of the list.
        index: Of the element; None for the list as a whole.
        count: How many elements there are, where that is known.
    """
    line, elements = 1, None
    for statement in tree.body:
        line, elements = _after(statement, name, line, elements)
    if index is not None and elements is not None:
        line = _line_of(elements, index, count) or line
    return f"{path}:{line}"


def _line_of(elements: list[_Shown], index: int, count: int | None) -> int | None:
    """Return the line of an element, or None where stars hide which one it is."""
    stars = [at for at, each in enumerate(elements) if each.several]
    first = stars[0] if stars else len(elements)
    if index < first:
        return elements[index].line
    if count is None or not stars:
        return None
    from_end = count - index
    if from_end < len(elements) - stars[-1]:
        return elements[-from_end].line
    return elements[first].line if len(stars) == 1 else None


def _after(statement: ast.stmt, name: str, line: int, elements: list[_Shown] | None) -> _Places:
    """Return the places that hold after a statement."""
    if isinstance(statement, ast.Assign | ast.AnnAssign) and _assigns(statement, name):
        return statement.lineno, _written_out(statement.value)
    if isinstance(statement, ast.AugAssign) and _is(statement.target, name):
        more = _written_out(statement.value)
        return line, None if elements is None or more is None else elements + more
    if isinstance(statement, ast.Expr) and elements is not None:
        call = statement.value
        if isinstance(call, ast.Call) and _is_append(call.func, name):
            return line, [*elements, _Shown(call.lineno)]
    if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id == name:
                # Something else is done with it: under an `if`, in a loop, by a method.
                return (node.lineno if isinstance(node.ctx, ast.Store) else line), None
    return line, elements


def _assigns(statement: ast.Assign | ast.AnnAssign, name: str) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return any(_is(target, name) for target in targets)


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_append(function: ast.expr, name: str) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr == "append"
        and _is(function.value, name)
    )


def _written_out(value: ast.expr | None) -> list[_Shown] | None:
    """Return the elements of a list, or None where it is not written out."""
    if not isinstance(value, ast.List):
        return None
    found: list[_Shown] = []
    for each in value.elts:
        if not isinstance(each, ast.Starred):
            found.append(_Shown(each.lineno))
            continue
        inner = _written_out(each.value)
        found += [_Shown(each.lineno, several=True)] if inner is None else inner
    return found
