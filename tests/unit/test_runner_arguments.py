"""What a runner takes as its arguments, and what it refuses before it connects."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

from neuron_schema.errors import SettingsError, UsageError
from neuron_schema.runner import MigrationRunner
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

TIMES = (
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
    "operation_timeout",
    "wait_lock",
    "deadline",
)


def runner(versions: Path, **arguments: Any) -> MigrationRunner:
    """Return a runner on a server that nobody connects to."""
    write_version(versions, "001_a")
    return MigrationRunner(create_engine("postgresql+psycopg://nowhere"), versions, **arguments)


@pytest.mark.parametrize("value", ["soon", None, math.inf, math.nan, -1, True])
@pytest.mark.parametrize("name", TIMES)
def test_a_time_that_is_none_is_refused_by_its_name(
    name: str, value: object, tmp_path: Path
) -> None:
    """PostgreSQL would refuse it in the middle of a run, or Python would wait for ever."""
    with pytest.raises(SettingsError, match=f"^NS201: {name}: .* is no duration") as caught:
        runner(tmp_path, **{name: value})
    assert "500ms" in str(caught.value.remedy)


@pytest.mark.parametrize("value", [1e9, 0.0001])
def test_a_timeout_that_postgresql_cannot_count_is_refused(value: float, tmp_path: Path) -> None:
    """It counts whole milliseconds in 31 bits."""
    with pytest.raises(SettingsError, match="lock_timeout: PostgreSQL counts it"):
        runner(tmp_path, lock_timeout=value)


@pytest.mark.parametrize("name", TIMES)
def test_a_time_may_be_written_as_in_the_settings(name: str, tmp_path: Path) -> None:
    """What works in the file works here."""
    means = runner(tmp_path, **{name: "1500ms"})._means
    held = {
        "wait_lock": means.wait_lock_s,
        "deadline": means.deadline_s,
    }
    assert held.get(name, getattr(means.session, name, None)) == 1.5


@pytest.mark.parametrize("value", ["public", "", {"public"}, 5, ["public", ""], [None]])
def test_schemas_that_are_no_list_of_names_are_refused(value: object, tmp_path: Path) -> None:
    """The letters of one name would be schemas that are not there, and so hold no table."""
    with pytest.raises(SettingsError, match=r"^NS201: schemas: "):
        runner(tmp_path, schemas=value)


@pytest.mark.parametrize("value", [None, (), []])
def test_no_schemas_stand_for_the_default(value: Any, tmp_path: Path) -> None:
    """An empty list is what the settings hold where there are none."""
    assert runner(tmp_path, schemas=value)._means.schemas == ()
    assert runner(tmp_path, schemas=["a", "b"])._means.schemas == ("a", "b")


@pytest.mark.parametrize("name", ["history_table", "history_schema", "role", "search_path"])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    """An empty one is a variable that got lost on the way."""
    for value in ("", " ", 5, "a\0"):
        with pytest.raises(SettingsError, match=f"^NS201: {name}: must be a string"):
            runner(tmp_path, **{name: value})
    with pytest.raises(SettingsError, match=f"^NS201: {name}: .* holds what is no char"):
        runner(tmp_path, **{name: "a\udcff"})
    if name != "search_path":
        with pytest.raises(SettingsError, match=f"{name}: is longer than 63 bytes"):
            runner(tmp_path, **{name: "a" * 64})


@pytest.mark.parametrize("name", ["allow_out_of_order", "allow_non_empty", "log"])
def test_a_switch_is_true_or_false(name: str, tmp_path: Path) -> None:
    """The text "false" would switch a guard off."""
    for value in ("false", None, 0):
        with pytest.raises(SettingsError, match=f"^NS201: {name}: must be true or false"):
            runner(tmp_path, **{name: value})


@pytest.mark.parametrize("value", [print, None, "print", [print, None]])
def test_listeners_are_a_list_of_functions(value: object, tmp_path: Path) -> None:
    """One function alone is not taken for many, and none of them fails in the middle of a run."""
    with pytest.raises(SettingsError, match=r"^NS201: listeners: must be a list of functions"):
        runner(tmp_path, listeners=value)
    assert runner(tmp_path, listeners=iter([print]))._means.listeners == (print,)


@pytest.mark.parametrize("direction", ["sideways", "UP", None, 1])
def test_a_direction_that_is_none_is_refused(direction: Any, tmp_path: Path) -> None:
    """Before anything is looked at."""
    with pytest.raises(UsageError, match="is no direction") as caught:
        runner(tmp_path).dry_run(direction)
    assert (caught.value.exit_code, caught.value.remedy) == (2, "give 'up' or 'down'")


def test_only_a_rollback_is_from_the_history(tmp_path: Path) -> None:
    """It is not taken and then ignored."""
    with pytest.raises(UsageError, match="from_history goes with down alone"):
        runner(tmp_path).dry_run("up", from_history=True)
