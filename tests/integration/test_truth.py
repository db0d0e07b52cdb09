"""What the published table says of us is what is measured."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.truth import claims, ours, table
from benchmarks.truth.statements import EXAMPLES, Example
from neuron_schema.proof.shadow import open_shadow
from neuron_schema.review.hazards import HAZARDS
from tests.conftest import from_engine_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

    from benchmarks.truth.ours import Bench

PAGE = Path(__file__).parents[2] / "docs" / "truth.md"
MAJOR = 18
"""Of the server that the page is measured on."""


@pytest.fixture(scope="module")
def bench(server: URL) -> Iterator[Bench]:
    """Yield the schema that the statements stand on."""
    with open_shadow(from_engine_url(server)) as shadow, ours.bench(shadow) as bench:
        yield bench


@pytest.mark.extension("vector")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_no_verdict_of_ours_is_wrong(bench: Bench, example: Example) -> None:
    """And on the page's own major it is the one that the page tells."""
    if bench.major < example.since:
        pytest.skip(f"PostgreSQL {example.since} has it")
    told = bench.tell(example)
    assert told.verdict == "right", (told.names, told.measured)
    if bench.major == MAJOR:
        assert f"\n{table.row(example, told)} " in PAGE.read_text(encoding="utf-8")


def test_the_totals_of_the_page_are_those_of_its_rows() -> None:
    """Ours and squawk's, and every statement has a row."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| .+<br>`.*` \| .+ \| .+ \| (.+) \| (.+) \|$", text, re.MULTILINE)
    assert len(rows) == len(EXAMPLES)
    for number, name in enumerate(("neuron-schema", "squawk")):
        counts = Counter(
            cells[number].strip("*").partition("*")[0].partition(":")[0] for cells in rows
        )
        figures = " | ".join(str(counts[verdict]) for verdict in table.VERDICTS)
        assert f"| {name} | {figures} |" in text


def test_every_hazard_that_claims_something_is_one() -> None:
    """So that a renamed one is not counted as silence."""
    assert claims.HAZARDS.keys() <= HAZARDS.keys()


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ({claims.LONG}, "right"),
        ({claims.LONG, claims.FAILS}, "right"),
        ({claims.FAILS}, "miss"),
        (set(), "miss"),
        ({claims.LONG, claims.ANOTHER}, "false alarm"),
    ],
)
def test_a_verdict_follows_from_what_is_said(said: set[claims.Claim], verdict: str) -> None:
    """What must be said is there, and nothing that is not so."""
    example = Example(name="", sql="", must=claims.LONG, why="", may=frozenset({claims.FAILS}))
    assert example.is_right(frozenset(said)) == verdict


def test_a_rule_of_squawk_that_is_not_known_is_an_error() -> None:
    """A new rule must not be taken for advice on style."""
    with pytest.raises(KeyError):
        claims.claimed(["a-new-rule"], claims.SQUAWK)
