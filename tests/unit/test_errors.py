"""Errors: their codes, exit statuses and text."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from neuron_schema import errors
from neuron_schema.errors import Interrupted, NeuronSchemaError, StatementFailed, VersionError

ALL = sorted(
    (
        found
        for found in vars(errors).values()
        if inspect.isclass(found) and issubclass(found, NeuronSchemaError)
    ),
    key=lambda found: found.code,
)
EXIT_STATUSES = {0: 1, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9}


def test_every_error_has_a_code_of_its_own() -> None:
    """It can be searched for."""
    assert len({found.code for found in ALL}) == len(ALL)
    assert all(re.fullmatch(r"NS\d{3}", found.code) for found in ALL)


@pytest.mark.parametrize("found", ALL, ids=lambda found: found.__name__)
def test_codes_begin_with_the_exit_status(found: type[NeuronSchemaError]) -> None:
    """NS4xx exits 4; what was interrupted exits as shells do."""
    if found is Interrupted:
        assert Interrupted("stopped").exit_code == 130
        assert Interrupted("stopped", exit_code=143).exit_code == 143
    else:
        assert found("so").exit_code == EXIT_STATUSES[int(found.code[2])]


def test_the_tree_at_the_top_of_the_module_is_the_hierarchy() -> None:
    """Names, codes and depths, in order."""
    drawn = re.findall(r"^    ([│├└─ ]*)(\w+) .*?(NS\d{3})", errors.__doc__ or "", re.MULTILINE)
    assert [(name, code) for _, name, code in drawn] == [
        (found.__name__, found.code)
        for found in vars(errors).values()
        if found in ALL and found is not NeuronSchemaError
    ]
    for indent, name, _ in drawn:
        depth = len(vars(errors)[name].__mro__) - len(NeuronSchemaError.__mro__)
        assert len(indent) == 4 * depth, name


def test_an_error_prints_code_message_place_and_remedy() -> None:
    """Each on a line of its own; what is not known is left out."""
    assert str(VersionError("so", where="a.py:3", remedy="do this")) == (
        "NS210: so\n  at: a.py:3\n  fix: do this"
    )
    assert str(VersionError("so")) == "NS210: so"


def test_an_error_keeps_its_parts() -> None:
    """For ``--json`` and for callers."""
    error = StatementFailed("so", where="w", remedy="r", sqlstate="42P01", statement="SELECT")
    assert (error.message, error.where, error.remedy) == ("so", "w", "r")
    assert (error.sqlstate, error.statement, error.report) == ("42P01", "SELECT", None)


@pytest.mark.parametrize(
    "error",
    [
        VersionError("so", where="a.py:3", remedy="do this"),
        StatementFailed("so", where="w", sqlstate="42P01", statement="SELECT"),
        Interrupted("stopped", exit_code=143),
    ],
)
def test_errors_travel_between_processes(error: NeuronSchemaError) -> None:
    """A pool of workers hands them back whole."""
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert again.exit_code == error.exit_code
