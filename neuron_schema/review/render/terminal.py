"""A report as plain aligned text; in colours where they are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from neuron_schema.printable import columns, one_line, safe
from neuron_schema.review.findings import Severity
from neuron_schema.review.render.blocks import (
    Bullets,
    Code,
    Drawing,
    Fold,
    Grid,
    Link,
    Paragraph,
    Strong,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from neuron_schema.review.render.blocks import Block, Document, Section, Text

WIDEST = 100
"""Letters; a wider table is shown as a list, which a narrow terminal does not tear apart."""

_COLOURS: Final = {
    Severity.BLOCKING: "31;1",
    Severity.CAUTION: "33;1",
    Severity.NOTE: "36",
    None: "32;1",
}
_BOLD: Final = "1"
_DIM: Final = "2"


def terminal(document: Document, *, color: bool) -> str:
    """Return a document as text.

    Args:
        document: What is told.
        color: Whether a terminal shows it that has colours.
    """
    pen = _Pen(color=color)
    lines = [pen.paint(one_line(document.title), _COLOURS[document.severity])]
    lines += pen.blocks(document.lead)
    for section in document.sections:
        if not any(isinstance(block, Drawing) for block in section.blocks):
            lines += pen.section(section, 0)
    return "\n".join(lines) + "\n"


class _Pen:
    """Writes blocks as lines.

    Args:
        color: Whether colours are wanted.
    """

    def __init__(self, *, color: bool) -> None:
        self._color = color

    def paint(self, text: str, colour: str) -> str:
        """Return text that is escaped already in a colour."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self._color and text else text

    def section(self, section: Section, depth: int) -> Iterator[str]:
        """Yield a section with all that is in it."""
        colour = _BOLD if section.severity is None else _COLOURS[section.severity]
        yield ""
        yield "  " * depth + self.paint(_title(section.title), colour)
        for line in self.blocks(section.blocks):
            yield f"{'  ' * (depth + 1)}{line}".rstrip()
        for part in section.parts:
            yield from self.section(part, depth + 1)

    def blocks(self, blocks: Sequence[Block]) -> Iterator[str]:
        """Yield blocks, one below the other."""
        for block in blocks:
            yield from self.block(block)

    def block(self, block: Block) -> Iterator[str]:
        """Yield one block."""
        match block:
            case Paragraph():
                label = self.paint(f"{block.label}:", _DIM) + " " if block.label else ""
                yield from _hung(label, "  ", self.text(block.text))
            case Bullets():
                for item in block.items:
                    yield from _hung("- ", "  ", self.text(item))
            case Grid():
                yield from self.grid(block)
            case Fold():
                yield self.text(block.summary)
                for line in self.blocks(block.blocks):
                    yield f"  {line}"
            case Drawing():
                pass  # nobody reads its text
            case _:
                if block.label:
                    yield self.paint(one_line(block.label), _DIM)
                yield from (f"  {line}" for line in safe(block.text.rstrip("\n")).split("\n"))

    def text(self, text: Text) -> str:
        """Return a text, escaped, its line ends kept."""
        return "".join(self._inline(each) for each in text)

    def _inline(self, each: str | Code | Strong | Link) -> str:
        match each:
            case str():
                return safe(each)
            case Strong():
                return self.paint(one_line(each.text), _BOLD)
            case Link():
                return one_line(f"{each.text} <{each.address}>")
            case Code():
                return one_line(each.text)

    def grid(self, grid: Grid) -> Iterator[str]:
        """Yield a table, or a list where the table would be wide."""
        rows = [[one_line(_plain(cell)) for cell in row] for row in grid.rows]
        lines = columns([grid.head, *rows])
        if max(map(len, lines)) <= WIDEST:
            yield self.paint(lines[0], _BOLD)
            yield from lines[1:]
            return
        width = max(map(len, grid.head[2:]), default=0)
        for row in rows:
            yield f"{row[0]}, {_lower(grid.head[1])} {row[1]}"
            for head, cell in zip(grid.head[2:], row[2:], strict=True):
                yield f"  {self.paint(_lower(head).ljust(width), _DIM)}  {cell}"


def _plain(text: Text) -> str:
    return "".join(each if isinstance(each, str) else each.text for each in text)


def _title(text: Text) -> str:
    return one_line(_plain(text))


def _lower(head: str) -> str:
    return head[:1].lower() + head[1:]


def _hung(head: str, indent: str, text: str) -> Iterator[str]:
    """Yield lines of which the further ones are set off."""
    first, *rest = text.split("\n")
    yield f"{head}{first}"
    yield from (f"{indent}{line}" for line in rest)
