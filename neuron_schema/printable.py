"""Text that came from elsewhere, made fit to be seen. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def safe(text: str) -> str:
    """Return text without what a terminal would obey; line ends stay.

    Names and messages come from databases and files. CWE-150. What turns the direction of
    writing is escaped as well (CVE-2021-42574).
    """
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text  # as nearly every text; letter by letter a long report takes seconds
    return "".join(c if c.isprintable() or c in "\n\t" else _escaped(c) for c in text)


def one_line(text: str) -> str:
    """Return text as ``safe`` does, and on one line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as aligned lines; nothing is ever cut."""
    cleaned = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cleaned) for i in range(len(cleaned[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cleaned
    ]


def _escaped(character: str) -> str:
    code = ord(character)
    if code > 0xFFFF:  # noqa: PLR2004 - Python's own three spellings
        return f"\\U{code:08x}"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004
