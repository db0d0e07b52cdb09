"""The pages about reviews: what they show is what is printed, and what they name is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from neuron_schema.cli.reviewing import FailOn, Format
from tests.acceptance.git import committed, git
from tests.actions import ROOT, action

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.command import Command

DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
# What differs from one repository and release to the next.
_PASSING = re.compile(r"\([0-9a-f]{7}\)|PostgreSQL 18\.\d+|vector 0\.\d+\.\d+")


def blocks(page: str, language: str) -> list[str]:
    """Return a page's blocks of code in a language."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [found[2] for found in _BLOCK.finditer(text) if found[1] == language]


@pytest.mark.extension("vector")
def test_the_example_prints_what_the_page_shows(offline: Command, tmp_path: Path) -> None:
    """Each line in its order; what a line of three dots stands for is left out."""
    modules = [text for text in blocks("review.md", "python") if text.startswith("# versions/")]
    (tmp_path / "versions").mkdir()
    git(tmp_path, "init", "-q")
    for text in modules:
        head, _, source = text.partition("\n")
        (tmp_path / head.removeprefix("# ")).write_text(source)
        if text is modules[0]:
            committed(tmp_path, "base")
            git(tmp_path, "checkout", "-q", "-b", "embeddings")
    (tmp_path / "stats.json").write_text(blocks("review.md", "json")[0])
    command, *shown = blocks("review.md", "console")[0].splitlines()
    assert command == "$ neuron-schema review --stats stats.json"
    printed = iter(offline("review", "--stats", "stats.json", code=8).out.splitlines())
    for line in shown:
        if line == "…":
            continue
        wanted = _PASSING.sub("", line)
        assert any(_PASSING.sub("", other) == wanted for other in printed), line


def test_the_pages_name_every_format_and_severity() -> None:
    """And no other page is linked to than one that is there."""
    text = (DOCS / "review.md").read_text(encoding="utf-8")
    for word in (*Format, *FailOn):
        assert f"`{word}`" in text
    for page in ("review.md", "github-action.md", "gitlab.md", "pre-commit.md"):
        links = re.findall(r"\]\((?!https?:)([^)#]+)\)", (DOCS / page).read_text(encoding="utf-8"))
        assert links
        assert [link for link in links if not (DOCS / link).exists()] == []


def test_the_page_of_the_action_lists_its_inputs_and_outputs() -> None:
    """All of them, and no others."""
    text = (DOCS / "github-action.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([a-z-]+)` \|", text, re.M)
    assert named == list(action()["inputs"])
    assert all(f"`{name}`" in text for name in action()["outputs"])
