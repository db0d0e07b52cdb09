"""Python source as text: where its nodes stand, and text put in their place."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WIDTH: Final = 88
"""Formatters lay lines out anew that are longer, and leave what fits."""


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Text that stands in place of another.

    Attributes:
        start: The position of the first character that goes.
        end: The position after the last one.
        text: What comes instead.
    """

    start: int
    end: int
    text: str


class Source:
    """The text of a module, and where the nodes of its syntax tree are in it.

    Args:
        text: The text; its lines end as on Unix.

    Raises:
        SyntaxError: it is no Python.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self.lines = text.splitlines(keepends=True) or [""]
        self._starts = [0, *accumulate(map(len, self.lines))]

    def position(self, line: int, column: int) -> int:
        """Return where a place of the syntax tree is; its columns count bytes."""
        if line > len(self.lines):
            return len(self.text)
        text = self.lines[line - 1]
        if not text.isascii():
            column = len(text.encode()[:column].decode())
        return self._starts[line - 1] + column

    def span(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        """Return where a node begins and ends."""
        assert node.end_lineno is not None  # noqa: S101 - the parser sets them
        assert node.end_col_offset is not None  # noqa: S101 - as above
        return (
            self.position(node.lineno, node.col_offset),
            self.position(node.end_lineno, node.end_col_offset),
        )

    def of(self, node: ast.expr | ast.stmt | ast.keyword) -> str:
        """Return the text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_of(self, position: int) -> str:
        """Return the line that a position is in."""
        start = self.text.rfind("\n", 0, position) + 1
        end = self.text.find("\n", position)
        return self.text[start : end if end >= 0 else len(self.text)]

    def tokens(self, start: int, end: int) -> Iterator[tuple[int, str]]:
        """Yield position and text of what stands between two positions: names, signs, comments."""
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            place = self._starts[token.start[0] - 1] + token.start[1]
            if start <= place < end and token.string.strip():
                yield place, token.string

    def edited(self, start: int, end: int, edits: Iterable[Edit]) -> str:
        """Return a part of the text after those edits that fall into it."""
        found = ""
        for edit in sorted(set(edits)):
            if start <= edit.start and edit.end <= end:
                found += self.text[start : edit.start] + edit.text
                start = edit.end
        return found + self.text[start:end]


def call_with(source: Source, call: ast.Call, keyword: str) -> Edit:
    """Return the edit that gives a call one more keyword argument, ``name=value``."""
    arguments: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    begin, end = source.span(call)
    _, last = source.span(arguments[-1])
    trailing = next((place for place, text in source.tokens(last, end) if text == ","), None)
    if trailing is not None and "\n" in source.text[begin:end]:
        first = source.span(arguments[-1])[0]
        line = source.line_of(first)
        indent = line[: len(line) - len(line.lstrip())]
        place = source.text.find("\n", trailing)
        return Edit(place, place, f"\n{indent}{keyword},")
    line = source.line_of(last)
    if "\n" in source.text[begin:end] or len(line) + len(keyword) + 2 <= WIDTH:
        return Edit(last, last, f", {keyword}")
    indent = line[: len(line) - len(line.lstrip())]
    inner = "".join(f"\n{indent}    {source.of(each)}," for each in arguments)
    opening = source.text.index("(", source.span(call.func)[1])
    return Edit(opening, end, f"({inner}\n{indent}    {keyword},\n{indent})")


def call_without(source: Source, call: ast.Call, argument: ast.expr | ast.keyword) -> Edit:
    """Return the edit that takes an argument, not the first one, out of a call."""
    arguments: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    start, end = source.span(argument)
    before = max(stop for _, stop in map(source.span, arguments) if stop <= start)
    return Edit(before, end, "")


def string(text: str) -> str:
    """Return text as a Python string, quoted as formatters do."""
    if "\n" in text and not text.endswith('"') and '"""' not in text and "\\" not in text:
        return f'"""{text}"""'
    if '"' in text and "'" not in text and text.isprintable():
        return "'" + text.replace("\\", "\\\\") + "'"
    if not text.isprintable():
        return repr(text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
