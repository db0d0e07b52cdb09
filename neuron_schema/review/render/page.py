"""A report as a page of HTML that needs nothing else: no script, nothing from elsewhere."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Final

from neuron_schema.printable import one_line, safe
from neuron_schema.review.render.blocks import (
    Bullets,
    Code,
    Drawing,
    Fold,
    Grid,
    Link,
    Paragraph,
    Strong,
    plain_text,
)
from neuron_schema.review.render.drawing import left_out, svg
from neuron_schema.review.render.highlight import pieces
from neuron_schema.review.render.style import STYLE
from neuron_schema.review.render.wording import MARKED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from neuron_schema.review.findings import Severity
    from neuron_schema.review.render.blocks import Block, Document, Inline, Section, Source, Text

# Nothing may be fetched, whatever a name has smuggled in.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
_LEGEND: Final = (
    "Outlined: tables that changed; shaded: columns that changed. "
    "A dot: the table that refers to the other. A question mark: may be NULL."
)
# Words that a sentence has marked as code itself.
_MARKED: Final = re.compile(rf"(?<![^ (]){MARKED}", re.ASCII)
_NO_WORD: Final = re.compile(r"[^a-z0-9]+")


def page(document: Document) -> str:
    """Return a document as a page."""
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{_escaped(document.title)}</title>",
        f"<style>\n{STYLE}</style>",
        "</head>",
        "<body>",
        '<a class="skip" href="#content">Skip to the findings</a>',
        *_header(document),
        '<main class="wrap" id="content" tabindex="-1">',
        *(line for section in document.sections for line in _section(section)),
        "</main>",
        '<footer><div class="wrap">Written by neuron-schema.</div></footer>',
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def _header(document: Document) -> Iterator[str]:
    words, _, counts = document.title.partition(": ")
    yield '<header><div class="wrap">'
    yield f'<h1>{_escaped(words)} <span class="badge {_style(document.severity)}">'
    yield f"{_escaped(counts)}</span></h1>"
    first, *rest = document.lead
    assert isinstance(first, Paragraph)  # noqa: S101 - the verdict is a sentence
    yield f'<p class="gate">{_text(first.text)}</p>'
    yield from _blocks([each for each in rest if isinstance(each, Paragraph)])
    yield '<nav aria-label="Sections"><ul>'
    for section in document.sections:
        yield f'<li><a href="#{_anchor(section)}">{_text(section.title)}</a></li>'
    yield "</ul></nav>"
    yield from _blocks([each for each in rest if not isinstance(each, Paragraph)])
    yield "</div></header>"


def _style(severity: Severity | None) -> str:
    return "good" if severity is None else str(severity)


def _anchor(section: Section) -> str:
    return _NO_WORD.sub("-", plain_text(section.title).lower()).strip("-")


def _section(section: Section) -> Iterator[str]:
    anchor = _anchor(section)
    yield f'<section aria-labelledby="{anchor}">'
    yield f'<h2 id="{anchor}">{_text(section.title)}</h2>'
    yield from _blocks(section.blocks)
    for part in section.parts:
        yield from _part(part)
    yield "</section>"


def _part(section: Section) -> Iterator[str]:
    severity = section.severity
    yield f'<article class="part{f" part-{severity}" if severity else ""}">'
    title = section.title
    if severity is not None:
        _, *title_rest = title
        badge = f'<span class="badge {severity}">{severity}</span> '
        yield f"<h3>{badge}{_text(tuple(title_rest))}</h3>"
    else:
        yield f"<h3>{_text(title)}</h3>"
    yield from _blocks(section.blocks)
    yield "</article>"


def _blocks(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        yield from _block(block)


def _block(block: Block) -> Iterator[str]:
    match block:
        case Paragraph():
            label = f'<span class="label">{_escaped(block.label)}:</span> ' if block.label else ""
            yield f"<p>{label}{_text(block.text)}</p>"
        case Bullets():
            yield "<ul>"
            yield from (f"<li>{_text(item)}</li>" for item in block.items)
            yield "</ul>"
        case Grid():
            yield from _grid(block)
        case Fold():
            yield f"<details><summary>{_text(block.summary)}</summary>"
            yield from _blocks(block.blocks)
            yield "</details>"
        case Drawing():
            yield from _drawing(block)
        case _:
            yield from _source(block)


def _grid(grid: Grid) -> Iterator[str]:
    yield from _scroll(grid.caption)
    yield f"<table><caption>{_escaped(grid.caption)}</caption>"
    heads = "".join(f'<th scope="col">{_escaped(each)}</th>' for each in grid.head)
    yield f"<thead><tr>{heads}</tr></thead><tbody>"
    for first, *rest in grid.rows:
        cells = "".join(f"<td>{_text(each)}</td>" for each in rest)
        yield f'<tr><th scope="row">{_text(first)}</th>{cells}</tr>'
    yield "</tbody></table></div>"


def _scroll(label: str) -> Iterator[str]:
    """Yield the beginning of a box that scrolls on its own, by keyboard as well."""
    yield f'<div class="scroll" role="group" aria-label="{_escaped(label)}" tabindex="0">'


def _source(source: Source) -> Iterator[str]:
    if source.label:
        yield f"<p><code>{_escaped(source.label)}</code></p>"
    yield from _scroll(source.label or "SQL")
    text = source.text.rstrip("\n")
    marked = "".join(_marked(style, piece) for style, piece in pieces(source.language, text))
    yield f"<pre><code>{marked}</code></pre></div>"


def _marked(style: str, piece: str) -> str:
    shown = html.escape(safe(piece))
    return f'<span class="{style}">{shown}</span>' if style and shown else shown


def _drawing(drawing: Drawing) -> Iterator[str]:
    picture = svg(drawing)
    yield "<figure>"
    yield from _scroll("Diagram")
    yield picture or f"<pre><code>{html.escape(safe(drawing.mermaid))}</code></pre>"
    yield "</div>"
    if picture:
        yield f"<figcaption>{f'{_LEGEND} {left_out(drawing)}'.strip()}</figcaption>"
    yield "</figure>"


def _text(text: Text) -> str:
    return "".join(_inline(each) for each in text)


def _inline(each: Inline) -> str:
    match each:
        case str():
            return _MARKED.sub(_mono, _escaped(each))
        case Strong():
            return f"<strong>{_escaped(each.text)}</strong>"
        case Code():
            return f"<code>{_escaped(each.text)}</code>"
        case Link():
            if not each.address.startswith("https://"):
                return _escaped(each.text)
            return f'<a href="{html.escape(each.address)}">{_escaped(each.text)}</a>'


def _mono(found: re.Match[str]) -> str:
    return f'<span class="mono">{found[0].strip("`")}</span>'


def _escaped(text: str) -> str:
    """Return text that is neither markup nor turns the direction of what stands around it."""
    return html.escape(one_line(text))
