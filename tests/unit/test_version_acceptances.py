"""What a version accepts, and what it may not call so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from neuron_schema.discovery import version_module
from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.errors import VersionError
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    from neuron_schema.model import Migration


def loaded(directory: Path, accept: str, imports: str = "") -> Migration:
    """Load a version that accepts this."""
    path = write_version(directory, "001_a", body=f"accept = {accept}", imports=imports)
    return version_module.load(path.read_bytes(), str(path), version="001", name="a")


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("{}", ()),
        (
            "{'create-index-blocking': 'the table is empty until launch', 'truncate': 'a cache'}",
            (("create-index-blocking", "the table is empty until launch"), ("truncate", "a cache")),
        ),
        ("{'truncate': '''a\\n  cache '''}", (("truncate", "a cache"),)),
        ("{'no-such-hazard': 'a typo'}", (("no-such-hazard", "a typo"),)),
    ],
)
def test_acceptances_are_hazards_with_reasons(
    tmp_path: Path, declared: str, expected: tuple[tuple[str, str], ...]
) -> None:
    """In their order, each reason on one line; whether there is such a hazard the review says."""
    assert loaded(tmp_path, declared).accept == expected


def test_a_table_may_be_called_accept(tmp_path: Path) -> None:
    """A module calls its tables by their names."""
    imports = "from sqlalchemy import MetaData, Table"
    assert loaded(tmp_path, "Table('accept', MetaData())", imports).accept == ()


def test_acceptances_are_not_in_the_checksum(tmp_path: Path) -> None:
    """They may be given, or taken back, when the version is applied elsewhere already."""
    without = loaded(tmp_path, "{}")
    assert loaded(tmp_path, "{'truncate': 'a cache'}").checksum == without.checksum


def test_a_remembered_checksum_hides_no_acceptance(tmp_path: Path) -> None:
    """The cache holds checksums alone; what is accepted comes from the file each time."""
    directory, cache = tmp_path / "versions", tmp_path / "cache"
    write_version(directory, "001_a", body="accept = {'truncate': 'a cache'}")
    for _ in range(2):
        versions = VersionSet(directory, cache_directory=cache)
        (info,) = versions.infos()
        (migration,) = versions.migrations([info])
        assert migration.accept == (("truncate", "a cache"),)
        assert migration.checksum == info.checksum
    assert list(cache.rglob("*")), "nothing was remembered"


@pytest.mark.parametrize(
    ("declared", "message", "remedy"),
    [
        ("['truncate']", "`accept` is not a dict but a list", "write accept = {"),
        ("'truncate'", "`accept` is not a dict but a str", "write accept = {"),
        ("None", "`accept` is not a dict but a NoneType", "write accept = {"),
        ("{1: 'x'}", "1 is no hazard", "neuron-schema explain"),
        ("{' ': 'x'}", "' ' is no hazard", "neuron-schema explain"),
        ("{'truncate': ''}", "'truncate' is accepted without a reason", "write accept = {"),
        ("{'truncate': '  '}", "'truncate' is accepted without a reason", "write accept = {"),
        ("{'truncate': True}", "is not a str but a bool", "write accept = {"),
        ("{'truncate': None}", "is not a str but a NoneType", "write accept = {"),
    ],
)
def test_an_acceptance_without_a_reason_is_refused_with_its_line(
    tmp_path: Path, declared: str, message: str, remedy: str
) -> None:
    """At load, before anything runs."""
    with pytest.raises(VersionError, match="`accept`") as caught:
        loaded(tmp_path, declared)
    assert message in caught.value.message
    assert remedy in (caught.value.remedy or "")
    assert caught.value.where == f"{tmp_path / '001_a.py'}:2"
