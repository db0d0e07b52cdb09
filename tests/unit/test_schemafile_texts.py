"""``checksums.txt`` and ``schema.sql`` as texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuron_schema.discovery.version_set import VersionFile
from neuron_schema.errors import ChecksumsDiffer, SnapshotUnusable
from neuron_schema.model import Migration, OwnCommit, Statement, VersionInfo
from neuron_schema.schemafile import checksums
from neuron_schema.schemafile.building import obstacles
from neuron_schema.schemafile.compare import differences
from neuron_schema.schemafile.names import quoted, settings
from neuron_schema.schemafile.renumber import renames
from neuron_schema.schemafile.text import parse


def info(label: str, checksum: str = "a" * 64) -> VersionInfo:
    """Return a version."""
    version, _, name = label.partition("_")
    return VersionInfo(version=version, name=name, description="", checksum=checksum, path="")


def test_checksums_are_read_as_they_were_written() -> None:
    """Names with blanks and foreign letters too."""
    infos = [info("001_a"), info("0002_with blank", "b" * 64), info("3_größe")]
    listed = checksums.checksums_of(infos, "text")
    assert checksums.parse(listed.text, "f") == listed
    assert checksums.differences(listed, infos) == []


@pytest.mark.parametrize("line", ["<<<<<<< HEAD", "=======", ">>>>>>> theirs", "||||||| base"])
def test_what_a_merge_left_is_told_as_that(line: str) -> None:
    """With the line that it is on."""
    with pytest.raises(ChecksumsDiffer, match="a merge left a conflict") as caught:
        checksums.parse(f"# x\n{line}\n", "checksums.txt")
    assert caught.value.where == "checksums.txt:2"
    with pytest.raises(ChecksumsDiffer, match="no checksum and name: nonsense"):
        checksums.parse("nonsense", "checksums.txt")


def test_only_names_that_need_quotes_get_them() -> None:
    """Words that PostgreSQL takes for its own somewhere, capitals, and what is no word."""
    plain = ["a", "a_1", "name", "type", "value", "_x"]
    assert [quoted(name) for name in plain] == plain
    for name in ("select", "user", "timestamp", "A", "1a", "a-b", "a$", "ü", ""):
        assert quoted(name) == f'"{name}"'
    assert quoted('a"b') == '"a""b"'


def test_options_keep_what_they_say() -> None:
    """Numbers stand bare; anything else is quoted, equal signs in it and all."""
    options = ["fillfactor=70", "check_option=local", "publish=a=b", "x=-0.5"]
    assert settings(options) == (
        "(fillfactor = 70, check_option = 'local', publish = 'a=b', x = -0.5)"
    )


def test_a_file_of_another_kind_is_refused() -> None:
    """An empty one, or somebody's own."""
    for text in ("", "CREATE TABLE t (id int);", "-- server: my own\n"):
        with pytest.raises(SnapshotUnusable):
            parse(text, "schema.sql")


def test_differences_name_blocks() -> None:
    """What is above the first is the head; an order alone is told as such."""
    before = "head\n\n-- table a\nA\n\n-- table b\nB\n"
    after = "other\n\n-- table b\nB2\n\n-- table c\nC\n"
    told = [(one.object, one.action) for one in differences(before, after)]
    assert told == [
        ("head", "changed"),
        ("table b", "changed"),
        ("table c", "added"),
        ("table a", "removed"),
    ]
    assert differences(before, before) == ()
    turned = "head\n\n-- table b\nB\n\n-- table a\nA\n"
    assert [one.object for one in differences(before, turned)] != []


def file(label: str) -> VersionFile:
    """Return a version's file."""
    version, _, name = label.partition("_")
    return VersionFile(version=version, name=name, path=Path(f"{label}.py"))


@pytest.mark.parametrize(
    ("local", "others", "expected"),
    [
        (["005_a"], ["004_x"], []),
        (["004_a"], ["004_x"], ["005_a"]),
        (["004_a", "005_b"], ["004_x", "005_y", "006_z"], ["007_a", "008_b"]),
        (["005_b", "005_a"], [], ["001_a", "002_b"]),
        (["9_a"], ["99_x"], ["100_a"]),
        (["2_a"], ["0010_x"], ["0011_a"]),
        (["005_a"], [], []),
    ],
)
def test_numbers_go_on_after_those_of_the_other_branch(
    local: list[str], others: list[str], expected: list[str]
) -> None:
    """In the order that they had, as wide as the widest; right ones stay."""
    found = renames([file(one) for one in local], [file(one) for one in others], ())
    assert [one.path.stem for one in found] == expected


def test_a_backfill_is_an_obstacle() -> None:
    """What it does depends on the rows that are there, of which a new database has none."""
    fill = Statement(sql="SELECT 1", own_commit=OwnCommit(kind="BACKFILL ROWS"))
    migration = Migration(
        version="003",
        name="fill",
        description="",
        checksum="",
        path="",
        up_statements=(fill,),
        down_statements=(),
    )
    assert list(obstacles((migration,))) == ["003_fill changes rows by a Backfill"]
