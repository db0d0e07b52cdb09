"""Markdown of a review, read again by a renderer of GitHub's dialect: whole, whatever the names."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from neuron_schema.review.findings import SEVERITIES, Severity
from neuron_schema.review.render import MARKER, MOST_CHARACTERS, render
from neuron_schema.review.render.blocks import Code, Grid, Link, Strong, plain_text
from neuron_schema.review.render.gfm import cell, code, fenced, inline, prose
from neuron_schema.review.render.markdown import POINTER
from neuron_schema.review.render.telling import document
from tests.unit import review_reports as reports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

    from neuron_schema.review.render.blocks import Block, Text
    from neuron_schema.review.report import ReviewReport

GFM = MarkdownIt("gfm-like", {"html": True, "linkify": True})
"""Tables, strikethrough and bare addresses; HTML is let through, so that it would be seen."""

ALL = 10_000_000
PIECES = st.sampled_from(
    [
        *reports.HOSTILE.split(" "),
        *("`", "``", "```", "\\", "\\\\", "[", "]", "(", ")", "<b>", "</b>", "*", "_", "~", "#"),
        *("-", "+", "=", ">", "1.", "2)", ":", "@", "&", "!", '"', "'", "->", "\t"),
        "|",
        "\\|",
        "|---|",
        "www.",
        "word",
        "a.b",
        "<!--",
        "-->",
        "{%",
        "\u2028",
        "\u200b",
        "é",
        "\ud800",
    ]
)
TEXT = st.lists(PIECES | st.text(st.characters(), max_size=5), max_size=12).flatmap(
    lambda parts: st.sampled_from(["", " "]).map(lambda between: between.join(parts))
)
"""What means something to Markdown, in any order."""


def tokens(text: str) -> list[Token]:
    """Return what a renderer reads."""
    return GFM.parse(text)


def outline(text: str) -> list[tuple[str, str]]:
    """Return the blocks of a text, without what stands in them."""
    return [(each.type, each.tag) for each in tokens(text) if each.type != "inline"]


def inlines(text: str) -> Iterator[Token]:
    """Yield the pieces of all lines."""
    for each in tokens(text):
        yield from each.children or ()


def read(text: str) -> str:
    """Return what a person reads of a line of Markdown."""
    return "".join(each.content for each in inlines(text))


def normal(text: str) -> str:
    """Return text as it is meant to be read: on one line, what cannot be seen spelled out."""
    from neuron_schema.printable import one_line

    return one_line(" ".join(text.split()))


def words(text: str) -> list[str]:
    """Return the words of a text, without the backticks with which it may mark code itself.

    An arrow is one outside of code, and stays as it was typed within.
    """
    return text.replace("`", "").replace("→", "->").split()


OUR_HTML = re.compile(
    r"<!-- neuron-schema:report -->|</details>"
    r"|<details><summary>(?:&(?:#x27|gt);|[\w ,.:'()%/+=;?`…-])*</summary>"
)


def assert_harmless(markdown: str) -> None:
    """Nothing but plain words stands outside of code, and no HTML but our own."""
    for token in tokens(markdown):
        if token.type == "html_block":
            for line in token.content.strip().splitlines():
                shape = re.sub(r"<code>[^<>]*</code>", "", line)
                assert OUR_HTML.fullmatch(shape), line
        for piece in token.children or ():
            assert piece.type not in {"html_inline", "image", "softbreak", "hardbreak", "s_open"}
            if piece.type == "text":
                assert not re.search(r"[@#`<>|*_~\[\]!$&\"{}]|://|www\.", piece.content)
            if piece.type == "link_open":
                assert str(piece.attrs["href"]).startswith("https://www.postgresql.org/")
                assert piece.info != "auto"


def assert_folds_end(markdown: str) -> None:
    """Each fold that begins ends before the next heading."""
    opened = 0
    for token in tokens(markdown):
        if token.type == "html_block":
            opened += token.content.count("<details>") - token.content.count("</details>")
        assert opened in {0, 1}
        assert not (opened and token.type == "heading_open")
    assert not opened


def test_the_report_is_harmless_and_whole() -> None:
    """The plain one, as well as the one whose every text wants to break out."""
    assert_harmless(render(reports.rich(), "markdown", helps=reports.HELPS))
    assert_harmless(render(reports.hostile(), "markdown", helps=reports.HELPS, max_chars=ALL))


@settings(max_examples=40, deadline=None)
@given(TEXT.filter(lambda text: bool(text.strip())))
def test_no_text_changes_the_outline(text: str) -> None:
    """Headings, lists, tables with their cells, fences and folds are those of any other text."""
    plain = render(reports.with_text("x"), "markdown", max_chars=ALL)
    odd = render(reports.with_text(text), "markdown", max_chars=ALL)
    assert outline(odd) == outline(plain)
    assert_harmless(odd)


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    """In a paragraph and in a table's cell."""
    assert words(read(f"x {prose(text)} x")) == words(f"x {normal(text)} x")
    row = f"| a | b |\n| --- | --- |\n| {cell(prose(text))} | {cell(code(text))} |\n"
    cells = [each.content for each in tokens(row) if each.type == "inline"]
    assert len(cells) == 4
    assert words(read(cells[2])) == words(normal(text))


@settings(max_examples=200, deadline=None)
@given(TEXT.filter(lambda text: bool(text.strip())))
def test_a_name_is_one_span_of_code(text: str) -> None:
    """Whatever backticks and pipes it holds."""
    from neuron_schema.printable import one_line

    for markdown in (code(text), f"x {code(text)} y"):
        spans = [each for each in inlines(markdown) if each.type == "code_inline"]
        assert [each.content for each in spans] == [one_line(text)]
    row = f"| a |\n| --- |\n| {cell(code(text))} |\n"
    cells = [each for each in tokens(row) if each.type == "inline"]
    assert [each.content for each in cells[1].children or ()] == [one_line(text)]


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_lines_of_code_stay_within_their_fence(text: str) -> None:
    """And are shown as they are, but for what turns the direction of writing."""
    from neuron_schema.printable import safe

    found = tokens(f"{fenced('sql', text)}\n\nafter\n")
    assert [each.type for each in found][:2] == ["fence", "paragraph_open"]
    assert found[0].content.splitlines() == f"{safe(text)}\n".splitlines()


def test_two_names_that_touch_are_two() -> None:
    """Their backticks would be read as one fence."""
    text = inline((Code("a"), Code("b"), Strong("c"), Link("d", "https://e.example/<x> y")))
    assert [each.content for each in inlines(text) if each.type == "code_inline"] == ["a", "b"]
    assert "https://e.example/xy" in text


def grids(blocks: tuple[Block, ...]) -> Iterator[Grid]:
    """Yield all tables of a document, those in folds as well."""
    for block in blocks:
        if isinstance(block, Grid):
            yield block
        yield from grids(getattr(block, "blocks", ()))


def test_every_cell_of_every_table_is_where_it_belongs() -> None:
    """GFM drops cells that are too many, and fills up what is missing, in silence."""
    report = reports.hostile()
    told = document(report, Severity.BLOCKING, {})
    parts = [*told.sections, *(part for section in told.sections for part in section.parts)]
    expected = list(grids((*told.lead, *(block for part in parts for block in part.blocks))))
    assert len(expected) == 4
    found = tables(render(report, "markdown", max_chars=ALL))
    as_cells = [[[shortened(each) for each in row] for row in grid.rows] for grid in expected]
    in_order = sorted(as_cells, key=str)
    assert sorted(found, key=str) == in_order


def shortened(text: Text) -> str:
    """Return a cell as it is read, as far as it is kept."""
    return "".join(normal(plain_text(text)).replace("→", "->").split()).replace("`", "")[:80]


def tables(markdown: str) -> list[list[list[str]]]:
    """Return the cells of the rows of the tables, as they are read."""
    found: list[list[list[str]]] = []
    in_body = False
    for token in tokens(markdown):
        if token.type == "table_open":
            found.append([])
        elif token.type in {"tbody_open", "tbody_close"}:
            in_body = token.type == "tbody_open"
        elif token.type == "tr_open" and in_body:
            found[-1].append([])
        elif token.type == "inline" and in_body:
            text = "".join(each.content for each in token.children or ())
            found[-1][-1].append("".join(text.replace("→", "->").replace("`", "").split())[:80])
    return found


def test_the_marker_comes_first_and_then_the_verdict() -> None:
    """The marker is how a comment is found again."""
    lines = render(reports.rich(), "markdown").splitlines()
    assert lines[0] == MARKER == "<!-- neuron-schema:report -->"
    assert lines[1] == "## ❌ Schema review: 2 blocking, 1 caution, 1 note, 1 accepted"
    assert render(reports.clean(), "markdown").splitlines()[1] == "## ✅ Schema review: no findings"


def test_sql_and_diagram_stand_in_fences_of_their_language() -> None:
    """So that GitHub and GitLab colour the one and draw the other."""
    found = tokens(render(reports.rich(), "markdown"))
    languages = [each.info for each in found if each.type == "fence"]
    assert languages.count("sql") == 3
    assert languages.count("python") == 2
    assert languages[-1] == "mermaid"


@pytest.mark.parametrize("most", [MOST_CHARACTERS, 30_000, 10_000, 5_000, 3_000])
@pytest.mark.parametrize("name", ["huge", "hostile", "rich"])
def test_it_is_never_longer_than_it_may_be(name: str, most: int) -> None:
    """In letters and in bytes; folds and fences are closed, tables whole, the verdict there."""
    report = getattr(reports, name)()
    text = render(report, "markdown", max_chars=most, helps=reports.HELPS)
    assert len(text.encode()) <= most
    assert text.startswith(f"{MARKER}\n## ")
    assert_harmless(text)
    assert_folds_end(text)
    assert all(each.map and each.markup for each in tokens(text) if each.type == "fence")
    for grid in tables(text):
        assert grid
        assert {len(row) for row in grid} == {len(grid[0])}
    if len(render(report, "markdown", max_chars=ALL).encode()) > most:
        assert POINTER in text


@pytest.mark.parametrize("most", [0, 60, 200, 500, 1_000])
def test_the_verdict_is_there_however_little_room_there_is(most: int) -> None:
    """It is never a failure, and never much more than the verdict."""
    text = render(reports.huge(), "markdown", max_chars=most)
    assert "Schema review: 1" in text
    assert len(text) < max(most, 200)
    assert_harmless(text)


def test_worse_findings_are_kept_and_the_others_counted() -> None:
    """Those that are told of and those that are counted are all that there are."""
    report = reports.huge(findings=400)
    text = render(report, "markdown")
    told = re.findall(r"^#### \S+ (blocking|caution|note):", text, re.MULTILINE)
    more = re.search(r"^([\d,]+) more findings: see the summary of the job", text, re.MULTILINE)
    assert more
    assert len(told) + int(more[1].replace(",", "")) == len(report.open_findings)
    assert told == sorted(told, key=lambda word: SEVERITIES.index(Severity(word)))
    assert told[0] == "blocking"


def test_of_a_long_table_the_first_rows_are_kept() -> None:
    """And the others counted."""
    report = reports.huge(findings=1, versions=2_000)
    text = render(report, "markdown")
    grid = tables(text)[0]
    more = re.search(r"^([\d,]+) more rows: see the summary", text, re.MULTILINE)
    assert more
    assert len(grid) + int(more[1].replace(",", "")) == 2_000


def test_of_a_long_list_the_first_lines_are_kept() -> None:
    """And the others counted: what was not measured has to be said."""
    text = render(replace(reports.rich(), unmeasured=reports.huge().unmeasured), "markdown")
    assert "- Thing 0.\n" in text
    assert re.search(r"^[\d,]+ more lines: see the summary", text, re.MULTILINE)


def test_a_section_without_room_is_named() -> None:
    """Rather than missing in silence."""
    text = render(reports.rich(), "markdown", max_chars=3_000)
    last = text.strip().splitlines()[-1]
    assert last.startswith("Left out here for its length: ")
    assert last.endswith(f": {POINTER}.")


def test_of_a_long_text_the_beginning_is_kept() -> None:
    """A message of a server has no bound."""
    report = reports.with_text("word " * 10_000)
    text = render(report, "markdown")
    assert len(text) < MOST_CHARACTERS
    assert "word…" in text
    assert "more letters: see the summary" in render(report, "markdown", max_chars=ALL)


def test_a_comment_swallows_no_semicolon() -> None:
    """The SQL that is shown can be run as it stands."""
    from neuron_schema.canonical import split

    found = tokens(render(reports.rich(), "markdown"))
    downs = next(each.content for each in found if "goes with the column" in each.content)
    assert len(split(downs)) == 2


def any_report(text: str) -> Any:
    """Return the hostile report of a text; shown by hypothesis when something fails."""
    return reports.with_text(text)


@settings(max_examples=20, deadline=None)
@given(TEXT, st.integers(0, 20_000))
def test_it_is_cut_anywhere_without_breaking(text: str, most: int) -> None:
    """Every bound gives whole Markdown."""
    report: ReviewReport = any_report(text)
    found = render(report, "markdown", max_chars=most)
    assert len(found.encode()) <= max(most, 200)
    assert_folds_end(found)
    assert_harmless(found)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("write `lock_timeout`, now", "write `lock_timeout`, now"),
        ("run; `neuron-schema verify` proves it", "run; `neuron-schema verify` proves it"),
        ("declares `down = irreversible(...)`", "declares `down = irreversible(...)`"),
        ("`neuron-schema verify` runs it", "`neuron-schema verify` runs it"),
        ("x`neuron-schema verify`y", "`` x`neuron-schema verify`y ``"),
    ],
)
def test_what_a_sentence_marks_as_code_is_code_without_its_marks(text: str, shown: str) -> None:
    """Commands too, which have blanks."""
    assert prose(text) == shown
