"""Tables and foreign keys as a picture: SVG that stands in a page, drawn without any program."""

from __future__ import annotations

import html
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from neuron_schema.printable import one_line
from neuron_schema.review.render.wording import clipped, counted
from neuron_schema.schemafile.diagram import short_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from neuron_schema.catalog import Column, Relation
    from neuron_schema.review.render.blocks import Drawing

MOST_TABLES: Final = 40
MOST_COLUMNS: Final = 24
"""Of one table; those that changed and those of keys come first."""

_LETTER: Final = 7.3
_LINE: Final = 20
_PADDING: Final = 10
_GAP_X: Final = 72
_GAP_Y: Final = 28
_MARGIN: Final = 24
_LONGEST: Final = 34


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    type: str
    marks: str
    changed: bool
    column: str


@dataclass(frozen=True, slots=True)
class _Box:
    table: Relation
    title: str
    rows: tuple[_Row, ...]
    more: str
    changed: bool
    new: bool
    x: float
    y: float
    width: float

    @property
    def height(self) -> float:
        return _LINE * (1 + len(self.rows) + bool(self.more)) + _PADDING

    def anchor(self, columns: Sequence[str]) -> float:
        """Return how far down the row of a key's first column is."""
        for place, row in enumerate(self.rows):
            if row.column in columns:
                return self.y + _LINE * (place + 1.5) + _PADDING / 2
        return self.y + _LINE / 2


def svg(drawing: Drawing) -> str:
    """Return the tables of a drawing as an ``svg`` element; "" where there are none.

    Tables that others refer to stand to their left. Colours come from the page's style.
    """
    shown = _chosen(drawing)
    if not shown:
        return ""
    boxes = _placed(shown, drawing)
    width = max(box.x + box.width for box in boxes.values()) + _MARGIN + _GAP_X / 2
    height = max(box.y + box.height for box in boxes.values()) + _MARGIN
    parts = [
        f'<svg role="img" aria-label="{_attribute(_label(shown))}" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">',
        *(line for line, _ in _lines(boxes)),
        *(part for box in boxes.values() for part in _drawn(box)),
        *(dot for _, dot in _lines(boxes)),
        "</svg>",
    ]
    return "\n".join(parts)


def left_out(drawing: Drawing) -> str:
    """Return a sentence about tables that there is no room for, or ""."""
    more = len(_drawable(drawing)) - MOST_TABLES
    return f"{counted(more, 'more table')}: not drawn." if more > 0 else ""


def _drawable(drawing: Drawing) -> list[Relation]:
    return [table for table in drawing.tables if table.partition_bound is None]


def _chosen(drawing: Drawing) -> list[Relation]:
    """Return the tables that are drawn; those that changed go before their neighbours."""
    found = _drawable(drawing)
    found.sort(key=lambda each: (_key(each) not in drawing.changed, *_key(each)))
    return sorted(found[:MOST_TABLES], key=_key)


def _key(table: Relation) -> tuple[str, str]:
    return table.schema, table.name


def _parents(table: Relation) -> Iterator[tuple[str, str]]:
    for key in table.foreign_keys:
        if key.references is not None:
            yield key.references.schema, key.references.table


def _depths(tables: Sequence[Relation]) -> dict[tuple[str, str], int]:
    """Return for each table how many tables are left of it; circles are cut somewhere."""
    known = {_key(table): table for table in tables}
    depths: dict[tuple[str, str], int] = {}

    def depth(name: tuple[str, str], above: frozenset[tuple[str, str]]) -> int:
        if name not in depths:
            further = above | {name}
            found = [
                depth(parent, further) + 1
                for parent in _parents(known[name])
                if parent in known and parent not in further
            ]
            depths[name] = max(found, default=0)
        return depths[name]

    for name in known:
        depth(name, frozenset())
    return depths


def _placed(tables: Sequence[Relation], drawing: Drawing) -> dict[tuple[str, str], _Box]:
    depths = _depths(tables)
    boxes: dict[tuple[str, str], _Box] = {}
    x = float(_MARGIN)
    for rank in sorted(set(depths.values())):
        y = float(_MARGIN)
        widest = 0.0
        for table in tables:
            if depths[_key(table)] == rank:
                box = _box(table, drawing, x, y)
                boxes[_key(table)] = box
                y += box.height + _GAP_Y
                widest = max(widest, box.width)
        x += widest + _GAP_X
    return boxes


def _box(table: Relation, drawing: Drawing, x: float, y: float) -> _Box:
    rows = [_row(table, column, drawing) for column in table.columns]
    shown = rows
    if len(rows) > MOST_COLUMNS:
        first = sorted(range(len(rows)), key=lambda n: (not rows[n].changed, not rows[n].marks, n))
        shown = [rows[n] for n in sorted(first[:MOST_COLUMNS])]
    more = f"{counted(len(rows) - len(shown), 'more column')}" if len(shown) < len(rows) else ""
    title = _fitted(table.name if table.schema == "public" else f"{table.schema}.{table.name}")
    widths = [_width(f"{title}   new"), _width(more), *(_width(_written(row)) for row in shown)]
    return _Box(
        table=table,
        title=title,
        rows=tuple(shown),
        more=more,
        changed=_key(table) in drawing.changed,
        new=_key(table) in drawing.new,
        x=x,
        y=y,
        width=max(widths) + 2 * _PADDING,
    )


def _row(table: Relation, column: Column, drawing: Drawing) -> _Row:
    key = table.primary_key
    marks = ["PK"] if key is not None and column.name in key.columns else []
    marks += ["FK"] if any(column.name in each.columns for each in table.foreign_keys) else []
    return _Row(
        name=_fitted(column.name),
        type=_fitted(
            short_type(column.type).removeprefix("public.") + ("" if column.not_null else " ?")
        ),
        marks=" ".join(marks),
        changed=(table.schema, table.name, column.name) in drawing.columns,
        column=column.name,
    )


def _written(row: _Row) -> str:
    return f"{row.name}   {row.type}  {row.marks}"


def _fitted(text: str) -> str:
    return clipped(one_line(text), _LONGEST)


def _width(text: str) -> float:
    """Return how wide a text is about, in a font whose letters are all as wide."""
    return _LETTER * sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _drawn(box: _Box) -> Iterator[str]:
    style = "box changed" if box.changed else "box"
    yield f'<g class="{style}">'
    yield _rectangle("frame", box.x, box.y, box.width, box.height)
    yield _rectangle("head", box.x, box.y, box.width, _LINE + _PADDING / 2)
    yield _word("title", box.x + _PADDING, box.y + _LINE - 4, box.title)
    if box.new:
        yield _word("type", box.x + box.width - _PADDING, box.y + _LINE - 4, "new")
    for place, row in enumerate(box.rows):
        y = box.y + _LINE * (place + 2) + _PADDING / 2 - 5
        if row.changed:
            yield _rectangle("mark", box.x + 1, y - _LINE + 6, box.width - 2, _LINE)
        yield _word("name", box.x + _PADDING, y, row.name)
        yield _word("type", box.x + box.width - _PADDING, y, f"{row.type}  {row.marks}".strip())
    if box.more:
        y = box.y + box.height - _PADDING / 2 - 5
        yield _word("name", box.x + _PADDING, y, box.more)
    yield "</g>"


def _rectangle(style: str, x: float, y: float, width: float, height: float) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{style}" {place} rx="4"/>'


def _word(style: str, x: float, y: float, text: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{html.escape(text)}</text>'


def _lines(boxes: dict[tuple[str, str], _Box]) -> Iterator[tuple[str, str]]:
    """Yield the foreign keys: a line from what is referred to, and its end at what refers to it."""
    for box in boxes.values():
        for key in box.table.foreign_keys:
            to = key.references
            if to is None or (to.schema, to.table) not in boxes:
                continue
            other = boxes[to.schema, to.table]
            yield _line(other, other.anchor(to.columns), box, box.anchor(key.columns))


def _line(parent: _Box, start: float, child: _Box, end: float) -> tuple[str, str]:
    """Return a curve, and the dot at the table that refers to the other."""
    right = parent.x + parent.width
    if child.x > right:
        stop, bend = child.x, (right + child.x) / 2
    else:
        # In one column, or against the usual way: around the right side of both.
        stop = child.x + child.width
        bend = max(right, stop) + _GAP_X / 2
    path = (
        f"M{right:.1f} {start:.1f}C{bend:.1f} {start:.1f} {bend:.1f} {end:.1f} {stop:.1f} {end:.1f}"
    )
    dot = f'<circle class="end" cx="{stop:.1f}" cy="{end:.1f}" r="3.5"/>'
    return f'<path class="line" d="{path}"/>', dot


def _label(tables: Sequence[Relation]) -> str:
    """Return what the picture shows, for those who do not see it."""
    names = ", ".join(f"{each.schema}.{each.name}" for each in tables)
    keys = "; ".join(f"{each.name} refers to {to}" for each in tables for _, to in _parents(each))
    told = f"{counted(len(tables), 'table')}: {names}."
    return clipped(one_line(f"{told} {keys}." if keys else told), 600)


def _attribute(text: str) -> str:
    return html.escape(text, quote=True)
