"""Which line of a version module a statement of ``up`` stands in."""

from __future__ import annotations

import pytest

from neuron_schema.discovery.version_module import lines_of_up
from neuron_schema.errors import VersionError

HEAD = '"""Doc."""\nfrom neuron_schema.ops import Sql\n'


def lines(text: str) -> tuple[int, ...]:
    """Return the lines of a module's statements."""
    return lines_of_up((HEAD + text).encode(), "versions/001_a.py")


def test_each_statement_has_the_line_of_its_element() -> None:
    """One element may hold several statements."""
    text = 'up = [\n    Sql("SELECT 1"),\n    Sql("""SELECT 2;\n    SELECT 3"""),\n'
    assert lines(text + '    Sql("SELECT 4"),\n]\ndown = []\n') == (4, 5, 5, 7)


def test_elements_that_are_not_written_out_have_the_line_of_the_list() -> None:
    """As where a loop makes them."""
    assert lines('up = [Sql(f"SELECT {n}") for n in (1, 2)]\ndown = []\n') == (3, 3)


@pytest.mark.parametrize(
    ("elements", "found"),
    [
        (
            ['Sql("SELECT 1")', '*[Sql(f"SELECT {n}") for n in (1, 2)]', 'Sql("SELECT 4")'],
            (5, 6, 6, 7),
        ),
        (["*MORE", 'Sql("SELECT 4")'], (5, 5, 6)),
        (['Sql("SELECT 4")', "*MORE"], (5, 6, 6)),
        (['Sql("SELECT 0")', "*MORE", "*MORE", 'Sql("SELECT 4")'], (5, 4, 4, 4, 4, 8)),
        (['*[Sql("SELECT 1"),\n    Sql("SELECT 2")]', "*MORE"], (5, 6, 7, 7)),
    ],
)
def test_what_stands_beside_a_star_keeps_its_line(
    elements: list[str], found: tuple[int, ...]
) -> None:
    """What is behind it has the star's, unless there are several and nobody can tell."""
    listed = "".join(f"    {each},\n" for each in elements)
    more = 'MORE = [Sql("SELECT 2"), Sql("SELECT 3")]\n'
    assert lines(f"{more}up = [\n{listed}]\ndown = []\n") == found


def test_an_invalid_module_is_an_error_with_its_place() -> None:
    """It is no traceback."""
    with pytest.raises(VersionError):
        lines("up = [nonsense]\n")
