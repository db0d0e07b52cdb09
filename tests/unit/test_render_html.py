"""The page of a review: well made, nothing from elsewhere, and no name becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations, pairwise
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuron_schema.catalog import Column, Constraint, Kind, References, Relation
from neuron_schema.printable import one_line
from neuron_schema.review.render import render
from neuron_schema.review.render.blocks import Drawing
from neuron_schema.review.render.drawing import MOST_COLUMNS, MOST_TABLES, left_out, svg
from neuron_schema.review.render.highlight import pieces
from neuron_schema.review.render.style import STYLE
from tests.unit import review_reports as reports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.review.report import ReviewReport

TEXT = st.text(st.characters(), max_size=40) | st.sampled_from(reports.HOSTILE.split(" "))
VOID = frozenset({"meta", "rect", "circle", "path"})


class Reader(HTMLParser):
    """Reads a page: its tags in order, and its text.

    Attributes:
        tags: Names with their attributes.
        text: All text.
        depth: What is open.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.depth: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take up an element."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.depth.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """See that what ends is what began last."""
        if tag not in VOID:
            assert self.depth.pop() == tag

    def handle_data(self, data: str) -> None:
        """Take up text."""
        self.text += data


def read(page: str) -> Reader:
    """Return what a browser reads of a page."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.depth == []
    return reader


def shape(page: str) -> list[tuple[str, frozenset[str]]]:
    """Return the elements without those that colour code, and the names of their attributes."""
    return [(tag, frozenset(attrs)) for tag, attrs in read(page).tags if tag != "span"]


@settings(max_examples=60, deadline=None)
@given(TEXT.filter(lambda text: bool(text.strip())))
def test_no_text_makes_an_element(text: str) -> None:
    """Elements and attributes are those that any other text gets."""
    assert shape(render(reports.with_text(text), "html")) == shape(
        render(reports.with_text("x"), "html")
    )


def test_a_hostile_text_is_seen_as_it_is() -> None:
    """And not run, followed or hidden."""
    page = read(render(reports.hostile(), "html"))
    assert one_line(reports.HOSTILE).replace("`c`", "c") in page.text.replace("`c`", "c")
    assert "\u202e" not in page.text


ALLOWED = {
    "a": {"href", "class"},
    "article": {"class"},
    "circle": {"class", "cx", "cy", "r"},
    "div": {"class", "role", "aria-label", "tabindex"},
    "g": {"class"},
    "h2": {"id"},
    "html": {"lang"},
    "main": {"class", "id", "tabindex"},
    "meta": {"charset", "name", "content", "http-equiv"},
    "nav": {"aria-label"},
    "p": {"class"},
    "path": {"class", "d"},
    "rect": {"class", "x", "y", "width", "height", "rx"},
    "section": {"aria-labelledby"},
    "span": {"class"},
    "svg": {"role", "aria-label", "width", "height", "viewbox"},
    "text": {"class", "x", "y"},
    "th": {"scope"},
}
PLAIN = {
    *("body", "caption", "code", "details", "figcaption", "figure", "footer", "h1", "h3", "head"),
    *("header", "li", "pre", "strong", "style", "summary", "table", "tbody", "td", "thead"),
    *("title", "tr", "ul"),
}


@pytest.mark.parametrize("report", [reports.rich(), reports.hostile()], ids=["rich", "hostile"])
def test_nothing_is_run_or_fetched(report: ReviewReport) -> None:
    """No script, no handler, no resource; links go to parts of the page, and to known pages."""
    page = render(report, "html", helps=reports.HELPS)
    for tag, attributes in read(page).tags:
        assert tag in ALLOWED or tag in PLAIN
        assert set(attributes) <= ALLOWED.get(tag, set())
        if tag == "a":
            assert re.match(r"#[a-z-]+$|https://www\.postgresql\.org/", attributes["href"] or "")
    assert "content=\"default-src 'none'; style-src 'unsafe-inline';" in page
    assert not re.search(r"url\(|@import|expression", STYLE)


def test_a_page_of_help_is_linked_only_where_it_is_one() -> None:
    """An address that runs something is none."""
    helps = {"create-index-blocking": replace(reports.HELPS["create-index-blocking"], uri="x:y")}
    assert 'href="x:y"' not in render(reports.rich(), "html", helps=helps)


@pytest.mark.parametrize("name", ["rich", "empty", "clean", "hostile"])
def test_headings_lead_through_the_page(name: str) -> None:
    """One h1, no level left out; links lead to what is there, and no id is there twice."""
    tags = read(render(getattr(reports, name)(), "html")).tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    targets = [attributes["href"] for tag, attributes in tags if tag == "a"]
    assert {str(each)[1:] for each in targets if str(each).startswith("#")} <= set(ids)
    labels = [attributes["aria-labelledby"] for tag, attributes in tags if tag == "section"]
    assert set(labels) <= set(ids)


def test_tables_can_be_heard() -> None:
    """Each with a caption, titles for columns and rows; what scrolls can be reached by keyboard."""
    page = render(reports.rich(), "html")
    tags = [tag for tag, _ in read(page).tags]
    assert tags.count("table") == tags.count("caption") == 4
    scopes = [attributes.get("scope") for tag, attributes in read(page).tags if tag == "th"]
    assert set(scopes) == {"col", "row"}
    boxes = [each for tag, each in read(page).tags if each.get("class") == "scroll"]
    assert boxes
    assert all(each["tabindex"] == "0" and each["aria-label"] for each in boxes)


def colours() -> Iterator[tuple[str, str, str]]:
    """Yield a scheme, and colours of text and of what is behind it."""
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    for scheme, block in (("light", light), ("dark", dark)):
        found = dict(re.findall(r"--(\w[\w-]*): (#[0-9a-f]{6})", block))
        for name in ("blocking", "caution", "note", "good"):
            yield scheme, found[name], found[f"{name}-back"]
        for name in ("text", "soft", "accent"):
            yield scheme, found[name], found["page"]
            yield scheme, found[name], found["raised"]
            yield scheme, found[name], found["note-back"]
        for name in ("keyword", "string", "number", "quoted", "comment"):
            yield scheme, found[name], found["raised"]


def luminance(colour: str) -> float:
    """Return how light a colour is, as WCAG 2 has it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("scheme", "text", "behind"), list(colours()))
def test_text_can_be_read_in_both_schemes(scheme: str, text: str, behind: str) -> None:
    """A contrast of 4.5 to 1 at least (WCAG 2, AA)."""
    dark, light = sorted((luminance(text), luminance(behind)))
    assert (light + 0.05) / (dark + 0.05) >= 4.5


CODE = st.lists(
    st.sampled_from(
        ["select", '"', "'", "--", "/*", "*/", "$$", "1", "E'x\\'", "\n", "#", "'''", '"""', "f"]
    )
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["sql", "python"]),
    CODE.map(" ".join) | TEXT,
)
def test_colouring_loses_nothing(language: str, text: str) -> None:
    """Whatever it cannot read."""
    assert "".join(piece for _, piece in pieces(language, text)) == text


def test_sql_is_coloured_by_its_tokens() -> None:
    """Words in quotes, strings and comments are no keywords."""
    sql = "SELECT \"select\", 'select', $$select$$, E'\\'' -- select\nFROM t /* x */ WHERE 1"
    styles = {(style, piece.strip()) for style, piece in pieces("sql", sql) if piece.strip()}
    assert {
        ("k", "SELECT"),
        ("q", '"select"'),
        ("s", "'select'"),
        ("s", "$$select$$"),
        ("s", "E'\\''"),
        ("c", "-- select"),
        ("k", "FROM"),
        ("c", "/* x */"),
        ("n", "1"),
        ("", "t"),
    } <= styles


def test_python_is_coloured() -> None:
    """The modules of a fix."""
    styles = set(pieces("python", 'from a import b  # "c"\nx = ["""d"""]'))
    assert {("k", "from"), ("c", '# "c"'), ("s", '"""d"""')} <= styles


def a_table(name: str, *parents: str, columns: int = 1) -> Relation:
    """Return a table that refers to others."""
    return Relation(
        kind=Kind.TABLE,
        schema="public",
        name=name,
        columns=tuple(Column(name=f"c{n}", type="integer") for n in range(columns)),
        constraints=tuple(
            Constraint(
                name=f"fk_{parent}",
                type="foreign key",
                definition="",
                columns=("c0",),
                references=References(schema="public", table=parent, columns=("c0",)),
            )
            for parent in parents
        ),
    )


def picture(*tables: Relation, changed: frozenset[tuple[str, str]] = frozenset()) -> ET.Element:
    """Return what is drawn, as XML."""
    return ET.fromstring(svg(Drawing("", tables, changed, frozenset())))


def frames(drawn: ET.Element) -> list[tuple[float, float, float, float]]:
    """Return the edges of the boxes: left, top, right, bottom."""
    found = []
    for each in drawn.iter("rect"):
        if each.get("class") == "frame":
            x, y, width, height = (
                float(each.get(key, "")) for key in ("x", "y", "width", "height")
            )
            found.append((x, y, x + width, y + height))
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.lists(st.integers(0, 9), max_size=3)),
        min_size=1,
        max_size=10,
    )
)
def test_boxes_never_overlap(spec: list[tuple[int, list[int]]]) -> None:
    """Whatever refers to whatever, circles included; all of it is within the picture."""
    tables = [
        a_table(f"t{n}", *(f"t{parent}" for parent in sorted(set(parents))), columns=columns)
        for n, (columns, parents) in enumerate(spec)
    ]
    drawn = picture(*tables)
    boxes = frames(drawn)
    assert len(boxes) == len(tables)
    for first, second in combinations(boxes, 2):
        assert (
            first[2] < second[0]
            or second[2] < first[0]
            or first[3] < second[1]
            or second[3] < first[1]
        )
    width, height = float(drawn.get("width", "")), float(drawn.get("height", ""))
    assert all(box[0] > 0 and box[2] < width for box in boxes)
    assert all(box[1] > 0 and box[3] < height for box in boxes)
    there = {table.name for table in tables}
    lines = [parent for _, parents in spec for parent in set(parents) if f"t{parent}" in there]
    assert len(list(drawn.iter("path"))) == len(lines)


def test_of_many_tables_those_that_changed_are_drawn() -> None:
    """And the page says how many are not."""
    tables = tuple(a_table(f"t{n:02}") for n in range(MOST_TABLES + 5))
    drawing = Drawing("", tables, frozenset({("public", "t44")}), frozenset())
    text = svg(drawing)
    assert ">t44<" in text
    assert ">t39<" not in text
    assert left_out(drawing) == "5 more tables: not drawn."


def test_of_many_columns_those_that_changed_are_drawn() -> None:
    """And the box says how many are not."""
    drawing = Drawing(
        "",
        (a_table("t", columns=MOST_COLUMNS + 6),),
        frozenset({("public", "t")}),
        frozenset({("public", "t", "c29")}),
    )
    text = svg(drawing)
    assert ">c29<" in text
    assert ">6 more columns<" in text
    assert 'class="mark"' in text


def test_a_new_table_is_told_from_one_that_changed() -> None:
    """Of a new one all columns are new, and none is shaded."""
    tables = (a_table("new"), a_table("old"))
    drawing = Drawing(
        "", tables, frozenset({("public", "new")}), frozenset(), frozenset({("public", "new")})
    )
    assert svg(drawing).count(">new<") == 2
    assert 'class="mark"' not in svg(drawing)
    page = render(reports.with_new_table(), "html")
    assert ">new</text>" in page
    assert 'class="mark"' not in page


def test_where_only_the_text_of_a_diagram_is_known_it_is_shown() -> None:
    """A page has no program that draws it."""
    page = render(replace(reports.rich(), tables=()), "html")
    assert "erDiagram" in page
    assert "<svg" not in page
    assert "figcaption>" not in page
    page = render(reports.rich(), "html")
    assert "<svg" in page
    assert "<figcaption>Outlined: tables that changed; shaded: columns that changed." in page


def test_partitions_are_not_drawn() -> None:
    """They are their table's."""
    part = replace(a_table("part"), partition_bound="DEFAULT")
    assert ">part<" not in svg(Drawing("", (a_table("t"), part), frozenset(), frozenset()))
    assert svg(Drawing("", (part,), frozenset(), frozenset())) == ""


def test_words_that_a_sentence_marks_are_set_as_code() -> None:
    """Where nothing else could be meant."""
    page = render(reports.with_text("put `lock_timeout` into `a b` x`y`"), "html")
    assert 'put <span class="mono">lock_timeout</span> into `a b` x`y`' in page
    page = render(reports.with_text("run `neuron-schema verify` now"), "html")
    assert 'run <span class="mono">neuron-schema verify</span> now' in page
