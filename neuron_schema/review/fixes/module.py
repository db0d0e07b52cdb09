"""A version module as its author wrote it, taken apart."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from neuron_schema.discovery.version_source import Names
from neuron_schema.review.fixes.text import Source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

LISTS: Final = ("up", "down")
DECLARED: Final = frozenset({*LISTS, "settings", "accept"})
"""The names by which a module tells what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element of ``up`` or ``down`` that is written out.

    Attributes:
        node: Its expression.
        start: Where it begins.
        end: Where it ends.
        above: The comments above it.
        beside: The comment behind it, or "".
    """

    node: ast.expr
    start: int
    end: int
    above: tuple[str, ...] = ()
    beside: str = ""


class ModuleText:
    """A module whose lists are written out, element by element.

    Args:
        text: Its text.

    Attributes:
        up: The elements of ``up``.
        down: Those of ``down``; None where it is no list.

    Raises:
        ValueError: it is not of that shape.
    """

    def __init__(self, text: str) -> None:
        try:
            self.source = Source(text)
        except SyntaxError as error:
            raise ValueError(str(error)) from None
        self.names = Names(ast.walk(self.source.tree))
        self._check_lines()
        up = self._elements("up")
        if up is None:
            raise ValueError("`up` is no list that is written out")
        self.up = up
        self.down = self._elements("down")

    def assigned(self, name: str) -> ast.expr | None:
        """Return what a name stands for, where the module says so once and at its top level."""
        found = [
            node
            for node in ast.walk(self.source.tree)
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
        ]
        if len(found) != 1:
            return None
        for statement in self.source.tree.body:
            target, value = _assignment(statement)
            if target == name:
                return value
        return None

    def call(self, node: ast.expr, wanted: Collection[str]) -> ast.Call | None:
        """Return the call of one of the functions or classes that an expression stands for."""
        if isinstance(node, ast.Name):
            value = self.assigned(node.id)
            known = value is not None and not isinstance(value, ast.Name)
            return self.call(value, wanted) if known and value is not None else None
        if not isinstance(node, ast.Call) or any(isinstance(a, ast.Starred) for a in node.args):
            return None
        full = self.names.full_name(node.func) or ""
        return node if full.rpartition(".")[2] in wanted else None

    def argument(self, node: ast.expr, wanted: Collection[str]) -> ast.expr | None:
        """Return the first argument of such a call, or None."""
        call = self.call(node, wanted)
        return call.args[0] if call is not None and call.args else None

    def _check_lines(self) -> None:
        last = 0
        for statement in self.source.tree.body:
            if statement.lineno <= last:
                raise ValueError("a line holds two statements")
            last = statement.end_lineno or statement.lineno

    def _elements(self, name: str) -> tuple[Element, ...] | None:
        value = self.assigned(name)
        uses = sum(
            isinstance(node, ast.Name) and node.id == name for node in ast.walk(self.source.tree)
        )
        if value is None or uses != 1:
            raise ValueError(f"`{name}` is not assigned once")
        if not isinstance(value, ast.List):
            return None
        if any(isinstance(each, ast.Starred) for each in value.elts):
            raise ValueError(f"`{name}` takes elements out of another list")
        return tuple(self._read(value))

    def _read(self, node: ast.List) -> Iterator[Element]:
        """Yield the elements of a list with their comments."""
        spans = [self.source.span(each) for each in node.elts]
        start, end = self.source.span(node)
        above: dict[int, list[str]] = {}
        beside: dict[int, str] = {}
        line_ends = [self.source.text.find("\n", stop) for _, stop in spans]
        for place, text in self.source.tokens(start + 1, end - 1):
            if any(begin <= place < stop for begin, stop in spans):
                continue
            if not text.startswith("#"):
                if text != ",":
                    raise ValueError("an element stands in parentheses")
                continue
            before = [number for number, (_, stop) in enumerate(spans) if stop <= place]
            if before and place < line_ends[before[-1]]:
                beside[before[-1]] = text
            elif len(before) < len(spans):
                above.setdefault(len(before), []).append(text)
            else:
                raise ValueError("a comment stands behind the last element")
        for number, (each, (begin, stop)) in enumerate(zip(node.elts, spans, strict=True)):
            yield Element(
                node=each,
                start=begin,
                end=stop,
                above=tuple(above.get(number, ())),
                beside=beside.get(number, ""),
            )


def _assignment(statement: ast.stmt) -> tuple[str | None, ast.expr | None]:
    """Return name and value of ``name = value``."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target: ast.expr = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    else:
        return None, None
    return (target.id, statement.value) if isinstance(target, ast.Name) else (None, None)
