"""Any text as GitHub Flavored Markdown that shows it and does nothing else.

https://github.github.com/gfm/. GitHub and GitLab also make links of ``@name``, ``#1``, commit
hashes and addresses, in all text but code. So what is more than plain words stands in code.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Final

from neuron_schema.printable import one_line, safe
from neuron_schema.review.render.blocks import Code, Link, Strong
from neuron_schema.review.render.wording import MARKED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.review.render.blocks import Text

# A quoted name is one piece, whatever it holds; the quote may follow a word and a dot.
_PIECE: Final = re.compile(rf'{MARKED}[.,;:?)]*(?!\S)|(?:[^\s"]*+"[^"]*+")++\S*+|\S+', re.ASCII)
# Words that a sentence has marked as code itself may stay so.
_PLAIN: Final = re.compile(
    rf"\(?(?:[A-Za-z0-9](?:[A-Za-z0-9.,'%/+-]*[A-Za-z0-9%+'])?|{MARKED})[.,;:?)]*"
    r"|[.,;:()]{1,3}",
    re.ASCII,
)
# An address, a commit, an issue: each becomes something of its own. A name with its schema may
# look like an address, and is better seen as code anyway.
_LIVE: Final = re.compile(r"(?i)//|[a-z]\.[a-z]|^\(?www\.|[0-9a-f]{7}|^\(?gh-\d")
_NUMBERED: Final = re.compile(r"\d+[.)]")
_OURS: Final = {"->": "→", "-": "\\-", "=": "\\=", "…": "…"}
_RUNS: Final = re.compile("`+")


def prose(text: str) -> str:
    """Return text on one line in which only plain words stand outside of code."""
    shown = one_line(" ".join(text.split()))
    before = " " if text[:1].isspace() and shown else ""
    after = " " if text[-1:].isspace() and shown else ""
    return before + " ".join(_joined(shown)) + after


def _joined(text: str) -> Iterator[str]:
    """Yield plain words as they are, and all that stands between them as code."""
    odd: list[str] = []
    for place, piece in enumerate(_PIECE.findall(text)):
        # At the beginning it would be a list's.
        if not _is_plain(piece) or (place == 0 and _NUMBERED.fullmatch(piece)):
            odd.append(piece)
            continue
        if odd:
            yield _odd(" ".join(odd))
            odd = []
        yield _OURS.get(piece, piece)
    if odd:
        yield _odd(" ".join(odd))


def _odd(text: str) -> str:
    """Return a piece as code, without the sentence's own signs behind it."""
    bare = text.rstrip(".,;:") or text
    behind = text[len(bare) :]
    if bare.startswith("(") and bare.endswith(")") and _is_balanced(bare[1:-1]):
        return f"({code(bare[1:-1])}){behind}"
    return code(bare) + behind


def _is_balanced(text: str) -> bool:
    """Whether a text has as many closing parentheses as opening ones, and something in them."""
    depth = 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return False
    return depth == 0 and bool(text.strip())


def _is_plain(piece: str) -> bool:
    if piece in _OURS:
        return True
    return bool(_PLAIN.fullmatch(piece)) and not _LIVE.search(piece)


def code(text: str) -> str:
    """Return text as a code span that nothing in it can end."""
    shown = one_line(" ".join(text.split(" "))) or " "
    fence = "`" * (1 + max(map(len, _RUNS.findall(shown)), default=0))
    if fence == "`" and shown.strip() == shown:
        return f"`{shown}`"
    return f"{fence} {shown} {fence}"


def cell(text: str) -> str:
    """Return Markdown as it may stand in a table's cell."""
    return text.replace("|", "\\|")


def inline(text: Text) -> str:
    """Return a text as Markdown, on one line."""
    parts = []
    for each in text:
        match each:
            case str():
                parts.append(prose(each))
            case Code():
                parts.append(code(each.text))
            case Strong():
                parts.append(f"**{prose(each.text)}**")
            case Link():
                parts.append(f"[{prose(each.text)}](<{_address(each.address)}>)")
    return _apart(parts)


def _apart(parts: list[str]) -> str:
    """Join pieces; two spans of code that touch would be read as one."""
    text = ""
    for part in parts:
        touch = text.endswith("`") and part.startswith("`")
        text += f" {part}" if touch else part
    return text.strip()


def _address(address: str) -> str:
    return "".join(c for c in address if c.isprintable() and c not in "<>\\ ")


def fenced(language: str, text: str) -> str:
    """Return lines of code in a fence that nothing in them can end."""
    shown = safe(text)
    fence = "`" * max(3, 1 + max(map(len, _RUNS.findall(shown)), default=0))
    return f"{fence}{language}\n{shown}\n{fence}"


def in_html(text: Text) -> str:
    """Return a text as HTML on one line, for where Markdown is not read."""
    return "".join(_html(each) for each in text)


def _html(each: str | Code | Strong | Link) -> str:
    if isinstance(each, str) and _all_plain(each):
        return html.escape(each)
    shown = one_line(each if isinstance(each, str) else each.text)
    return f"<code>{html.escape(shown)}</code>"


def _all_plain(text: str) -> bool:
    return all(map(_is_plain, _PIECE.findall(one_line(text))))
