"""What a version may set while it runs, and what it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from neuron_schema.discovery import version_module
from neuron_schema.errors import VersionError
from tests.runs import CONCURRENTLY
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    from neuron_schema.model import Migration


def loaded(directory: Path, settings: str, **rest: str) -> Migration:
    """Load a version with these settings."""
    body = "\n".join(line for line in (rest.pop("body", ""), f"settings = {settings}") if line)
    path = write_version(directory, "001_a", body=body, **rest)
    return version_module.load(path.read_bytes(), str(path), version="001", name="a")


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("{}", ()),
        ("{'maintenance_work_mem': '2GB'}", (("maintenance_work_mem", "2GB"),)),
        ("{'lock_timeout': 5}", (("lock_timeout", "5000ms"),)),
        ("{'lock_timeout': '1.5s'}", (("lock_timeout", "1500ms"),)),
        ("{'statement_timeout': 0}", (("statement_timeout", "0ms"),)),
        (
            "{'work_mem': '64MB', 'max_parallel_maintenance_workers': 7}",
            (("work_mem", "64MB"), ("max_parallel_maintenance_workers", "7")),
        ),
    ],
)
def test_settings_are_read_as_postgresql_reads_them(
    tmp_path: Path, declared: str, expected: tuple[tuple[str, str], ...]
) -> None:
    """Durations in milliseconds, sizes with their unit, numbers as they are."""
    assert loaded(tmp_path, declared).settings == expected


def test_a_table_may_be_called_settings(tmp_path: Path) -> None:
    """Many a schema has one, and a module calls its tables by their names."""
    imports = "from sqlalchemy import MetaData, Table"
    assert loaded(tmp_path, "Table('settings', MetaData())", imports=imports).settings == ()


def test_settings_are_not_in_the_checksum(tmp_path: Path) -> None:
    """They alter how a version runs and not what it makes, so they may be corrected later."""
    without = loaded(tmp_path, "{}")
    with_them = loaded(tmp_path, "{'maintenance_work_mem': '2GB'}")
    assert with_them.checksum == without.checksum


@pytest.mark.parametrize(
    ("declared", "message", "remedy"),
    [
        ("['lock_timeout']", "not a dict but a list", "write settings ="),
        ("{'lock_timeuot': 1}", "'lock_timeuot' cannot be set", "did you mean 'lock_timeout'?"),
        ("{'search_path': 'app'}", "'search_path' cannot be set", "what can be:"),
        ("{'role': 'postgres'}", "'role' cannot be set", "what can be:"),
        ("{1: 2}", "1 cannot be set", "what can be:"),
        ("{'lock_timeout': 'soon'}", "'soon' is no duration", "500ms"),
        ("{'lock_timeout': '0.1ms'}", "whole milliseconds", "0 for no limit"),
        ("{'statement_timeout': '1000h'}", "whole milliseconds", "0 for no limit"),
        ("{'work_mem': 64}", "64 is no size", "64MB"),
        ("{'work_mem': \"1GB'; DROP TABLE x; --\"}", "is no size", "64MB"),
        ("{'vacuum_cost_limit': '5'}", "'5' is no number", "without quotes"),
        ("{'vacuum_cost_limit': True}", "True is no number", "without quotes"),
        ("{'vacuum_cost_limit': -1}", "-1 is no number", "without quotes"),
    ],
)
def test_what_cannot_be_set_is_refused_with_its_line(
    tmp_path: Path, declared: str, message: str, remedy: str
) -> None:
    """At load, before anything runs."""
    with pytest.raises(VersionError, match="`settings`") as caught:
        loaded(tmp_path, declared)
    assert message in caught.value.message
    assert remedy in (caught.value.remedy or "")
    assert caught.value.where == f"{tmp_path / '001_a.py'}:2"


def test_an_operation_that_commits_on_its_own_takes_no_limit(tmp_path: Path) -> None:
    """A timeout inside it would leave it half-done; memory it may have."""
    given = {**CONCURRENTLY}
    found = loaded(tmp_path, "{'maintenance_work_mem': '1GB'}", **given)
    assert found.settings == (("maintenance_work_mem", "1GB"),)
    with pytest.raises(VersionError, match="lock_timeout has no place beside"):
        loaded(tmp_path, "{'lock_timeout': '5s'}", **given)
