"""A report as GitHub Flavored Markdown, for a comment or the summary of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from neuron_schema.review.findings import Severity
from neuron_schema.review.render.blocks import Bullets, Code, Drawing, Fold, Grid, Paragraph
from neuron_schema.review.render.gfm import cell, fenced, in_html, inline, prose
from neuron_schema.review.render.wording import clipped, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from neuron_schema.review.render.blocks import Block, Document, Inline, Section, Text

MARKS: Final = {
    Severity.BLOCKING: "❌",
    Severity.CAUTION: "\N{WARNING SIGN}\ufe0f",
    Severity.NOTE: "\N{INFORMATION SOURCE}\ufe0f",
    None: "✅",
}
POINTER: Final = "see the summary of the job or the full report"

_MOST_SOURCE: Final = 6_000
_MOST_CELL: Final = 300
_MOST_TEXT: Final = 2_000
_POINTER_BYTES: Final = 200
_MISSING_BYTES: Final = 400
_LIST_SHARE: Final = 0.3


def markdown(document: Document, *, marker: str, most: int) -> str:
    """Return a document as Markdown of at most so many bytes of UTF-8.

    What comes first is kept; where something is left out, a sentence says how much.

    Args:
        document: What is told.
        marker: The first line, which no reader sees.
        most: How many bytes; the verdict itself is always there.
    """
    page = _Page(most)
    page.put(f"{marker}\n## {MARKS[document.severity]} {prose(document.title)}\n")
    # Each section may have to say that something of it is left out.
    page.reserve(_MISSING_BYTES + _POINTER_BYTES * len(document.sections))
    for block in document.lead:
        page.put_block(block)
    for section in document.sections:
        page.release(_POINTER_BYTES)
        page.put_section(section)
    page.release(_MISSING_BYTES)
    page.close()
    return page.text


class _Page:
    """Markdown that grows up to a bound.

    Args:
        most: How many bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._parts: list[str] = []
        self._missing: list[str] = []

    @property
    def text(self) -> str:
        """What there is so far."""
        return "\n".join(self._parts)

    def reserve(self, count: int) -> None:
        """Keep bytes for later."""
        self._left -= count

    def release(self, count: int) -> None:
        """Use bytes that were kept."""
        self._left += count

    def put(self, text: str) -> None:
        """Put text that has to be there."""
        self._left -= _bytes(text) + 1
        self._parts.append(text)

    def try_(self, text: str) -> bool:
        """Put text where there is room for it; return whether there was."""
        fits = _bytes(text) + 1 <= self._left
        if fits:
            self.put(text)
        return fits

    def put_block(self, block: Block) -> bool:
        """Put a block; of a table or a list as much as there is room for."""
        match block:
            case Grid():
                rows = map(_row, block.rows)
                return self._put_lines(_grid_head(block) + "\n", rows, len(block.rows), "row")
            case Bullets():
                return self._put_lines("", _block(block), len(block.items), "line")
        return self.try_("\n".join(_block(block)) + "\n")

    def _put_lines(self, head: str, lines: Iterable[str], total: int, noun: str) -> bool:
        """Put lines up to a share of the whole, and say how many are left out.

        Args:
            head: What stands before the first.
            lines: Made one by one: of a thousand there may be room for ten.
            total: How many there are.
            noun: What one of them is called.
        """
        room = min(self._left, self._most * _LIST_SHARE) - _POINTER_BYTES - _bytes(head)
        kept = []
        for line in lines:
            room -= _bytes(line) + 1
            if room < 0:
                break
            kept.append(line)
        if not kept:
            return False
        missing = total - len(kept)
        more = f"\n{_more(missing, noun)}\n" if missing else ""
        return self.try_(head + "\n".join([*kept, more]))

    def put_section(self, section: Section) -> None:
        """Put a section, or as many of its parts as there is room for."""
        head = f"### {inline(section.title)}\n"
        if section.parts:
            self._put_parts(head, section)
            return
        before = len(self._parts)
        if not self.try_(head):
            self._missing.append(inline(section.title))
        elif not all(self.put_block(each) for each in section.blocks):
            self._take_back(before)
            self._missing.append(inline(section.title))

    def _take_back(self, count: int) -> None:
        while len(self._parts) > count:
            self._left += _bytes(self._parts.pop()) + 1

    def _put_parts(self, head: str, section: Section) -> None:
        for place, part in enumerate(section.parts):
            start = f"{head}\n" if place == 0 else ""
            self.reserve(_POINTER_BYTES)
            done = any(
                self.try_(start + "\n".join(_part(part, brief=brief))) for brief in (False, True)
            )
            self.release(_POINTER_BYTES)
            if not done:
                if place == 0:
                    self._missing.append(inline(section.title))
                else:
                    self.try_(_more(len(section.parts) - place, section.noun) + "\n")
                return

    def close(self) -> None:
        """Say which sections there was no room for."""
        if self._missing:
            self.try_(f"Left out here for its length: {', '.join(self._missing)}: {POINTER}.\n")


def _more(count: int, noun: str) -> str:
    return f"{counted(count, f'more {noun}')}: {POINTER}."


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _part(section: Section, *, brief: bool) -> Iterator[str]:
    """Yield a section within a section.

    Args:
        section: The section.
        brief: Leave out what is folded.
    """
    mark = "" if section.severity is None else f"{MARKS[section.severity]} "
    yield f"#### {mark}{inline(section.title)}\n"
    for block in section.blocks:
        if not (brief and isinstance(block, Fold)):
            yield from _block(block)
            yield ""
    if brief:
        yield f"Its details are left out here: {POINTER}.\n"


def _block(block: Block) -> Iterator[str]:
    match block:
        case Paragraph():
            label = f"**{prose(block.label)}:** " if block.label else ""
            yield label + _cut(block.text, _MOST_TEXT)
        case Bullets():
            yield from (f"- {_cut(item, _MOST_TEXT)}" for item in block.items)
        case Grid():
            yield _grid_head(block)
            yield from map(_row, block.rows)
        case Fold():
            yield f"<details><summary>{in_html(block.summary)}</summary>\n"
            yield from _blocks(block.blocks)
            yield "\n</details>"
        case Drawing():
            yield fenced("mermaid", block.mermaid.rstrip("\n"))
        case _:
            if block.label:
                yield f"{inline((Code(block.label),))}\n"
            yield fenced(block.language, _cut_lines(block.text.rstrip("\n")))


def _blocks(blocks: Sequence[Block]) -> Iterator[str]:
    for place, block in enumerate(blocks):
        if place:
            yield ""
        yield from _block(block)


def _grid_head(grid: Grid) -> str:
    return f"| {' | '.join(grid.head)} |\n|{' --- |' * len(grid.head)}"


def _row(row: Iterable[Text]) -> str:
    cells = (cell(_cut(each, _MOST_CELL)) for each in row)
    return f"| {' | '.join(cells)} |"


def _cut(text: Text, most: int) -> str:
    """Return a text as Markdown; of its letters at most so many."""
    left = most
    kept: list[Inline] = []
    for each in text:
        letters = each if isinstance(each, str) else each.text
        shown = clipped(letters, left) if left > 1 else ""
        left -= len(letters)
        if shown == letters:
            kept.append(each)
        elif shown:
            kept.append(shown if isinstance(each, str) else Code(shown))
    return inline(tuple(kept))


def _cut_lines(text: str) -> str:
    """Return code; of its letters at most so many."""
    if len(text) <= _MOST_SOURCE:
        return text
    missing = len(text) - _MOST_SOURCE
    return f"{text[:_MOST_SOURCE]}\n\n... {counted(missing, 'more letter')}: {POINTER}"
