"""``explain``: what a hazard is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.review.hazards import HAZARDS
from neuron_schema.review.hazards.pages import text

if TYPE_CHECKING:
    from tests.acceptance.command import Command


def test_a_hazards_page_is_printed(offline: Command) -> None:
    """Without settings, versions or a database."""
    done = offline("explain", "create-index-blocking")
    assert done.out == text(HAZARDS["create-index-blocking"]) + "\n"
    assert done.out.startswith("create-index-blocking: An index built while nobody can write\n")
    assert done.err == ""


def test_without_a_name_all_hazards_are_listed(offline: Command) -> None:
    """One in a line, id and title."""
    lines = offline.quick("explain").out.splitlines()
    assert [line.split()[0] for line in lines] == list(HAZARDS)
    assert all(line.endswith(HAZARDS[line.split()[0]].title) for line in lines)


def test_an_unknown_hazard_is_an_error_with_the_nearest_one(offline: Command) -> None:
    """Exit 2; what is like none gets the way to the list."""
    near = offline.quick("explain", "create-idex-blocking", code=2)
    assert "there is no hazard 'create-idex-blocking'" in near.err
    assert "did you mean 'create-index-blocking'?" in near.err
    assert near.out == ""
    far = offline.quick("explain", "xyzzy", code=2)
    assert "neuron-schema explain lists them" in far.err


def test_as_json_a_hazard_is_an_object_with_its_examples(offline: Command) -> None:
    """One or all of them, and an error too."""
    one = offline.quick("explain", "truncate", "--json").json
    assert one["command"] == "explain"
    (hazard,) = one["hazards"]
    assert hazard["id"] == "truncate"
    assert list(hazard["bad"]) == ["001_tables.py", "002_example.py"]
    assert 'Sql("TRUNCATE items")' in hazard["bad"]["002_example.py"]
    assert hazard["page"] == "https://www.postgresql.org/docs/current/sql-truncate.html"
    everything = offline.quick("explain", "--json").json
    assert [each["id"] for each in everything["hazards"]] == list(HAZARDS)
    wrong = offline.quick("explain", "trunkate", "--json", code=2).json
    assert wrong["error"]["remedy"] == "did you mean 'truncate'?"
