"""The pages of hazards: those in the repository are those of the registry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from neuron_schema.review.hazards import GROUPS, HAZARDS
from neuron_schema.review.hazards.pages import files, text, write

DOCS = Path(__file__).parents[2] / "docs" / "hazards"


def test_the_committed_pages_are_the_registrys() -> None:
    """Written by `python -m neuron_schema.review.hazards.pages docs/hazards`."""
    committed = {path.name: path.read_text(encoding="utf-8") for path in DOCS.iterdir()}
    assert committed == dict(files())


def test_a_page_of_a_hazard_that_is_no_more_goes(tmp_path: Path) -> None:
    """And what is no page stays."""
    for name in ("gone.md", "truncate.md", "picture.png"):
        (tmp_path / name).write_text("old", encoding="utf-8")
    write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*files(), "picture.png"}
    assert (tmp_path / "truncate.md").read_text(encoding="utf-8") == files()["truncate.md"]


def test_the_index_lists_every_hazard_once() -> None:
    """With a link to its page, under the heading of its group."""
    index = files()["README.md"]
    linked = re.findall(r"\| \[`([a-z-]+)`\]\(([a-z-]+)\.md\) \|", index)
    assert [one for one, _ in linked] == [other for _, other in linked] == list(HAZARDS)
    assert re.findall(r"^## (.*)$", index, re.M) == list(GROUPS)


@pytest.mark.parametrize("hazard", HAZARDS)
def test_a_page_says_all_that_is_known(hazard: str) -> None:
    """Condition, effect, remedy, both examples and the tables that they are on."""
    known = HAZARDS[hazard]
    for page in (text(known), files()[f"{hazard}.md"]):
        flat = " ".join(page.split())
        for said in (known.title, known.condition, known.effect, known.remedy, known.page):
            assert " ".join(said.split()) in flat
        for example in (known.bad, known.good):
            for module in (example.base, *example.modules):
                assert " ".join(module.split()) in flat
