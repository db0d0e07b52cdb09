"""Where in a version module ``up`` and ``down`` are, and each of their elements."""

from __future__ import annotations

import ast
from typing import TypeAlias

# The line of the list, and those of its elements where the source shows them all.
_Places: TypeAlias = tuple[int, list[int] | None]


def place(tree: ast.Module, path: str, name: str, index: int | None = None) -> str:
    """Return ``file:line`` of a list at the top level of a module, or of one of its elements.

    The line of an element is known while the list is written out, assigned once, and only added
    to with ``+=`` and ``.append(...)``; else it is the list's own.
    """
    line, elements = 1, None
    for statement in tree.body:
        line, elements = _after(statement, name, line, elements)
    if index is not None and elements is not None and index < len(elements):
        line = elements[index]
    return f"{path}:{line}"


def _after(statement: ast.stmt, name: str, line: int, elements: list[int] | None) -> _Places:
    """Return the places that hold after a statement."""
    if isinstance(statement, ast.Assign | ast.AnnAssign) and _assigns(statement, name):
        return statement.lineno, _written_out(statement.value)
    if isinstance(statement, ast.AugAssign) and _is(statement.target, name):
        more = _written_out(statement.value)
        return line, None if elements is None or more is None else elements + more
    if isinstance(statement, ast.Expr) and elements is not None:
        call = statement.value
        if isinstance(call, ast.Call) and _is_append(call.func, name):
            return line, [*elements, call.lineno]
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


def _written_out(value: ast.expr | None) -> list[int] | None:
    """Return the lines of the elements of a list, or None where they are not all to be seen."""
    if not isinstance(value, ast.List) or any(isinstance(e, ast.Starred) for e in value.elts):
        return None
    return [element.lineno for element in value.elts]
