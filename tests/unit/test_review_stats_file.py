"""The file of table sizes: what is written is read, and what is wrong in it is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from neuron_schema.errors import UsageError
from neuron_schema.review.stats import Stats, TableStats
from neuron_schema.review.stats_file import load, written

if TYPE_CHECKING:
    from pathlib import Path

STATS = Stats(
    taken_on="2026-11-22",
    tables={
        "public.b": TableStats(rows=1, bytes=8192),
        'public."A"': TableStats(rows=12_000_000, bytes=9_000_000_000),
    },
    server_major=16,
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Sorted by name, so that the file changes only where a size did."""
    file = tmp_path / "stats.json"
    file.write_text(written(STATS))
    assert load(file) == STATS
    assert list(json.loads(written(STATS))["tables"]) == ['public."A"', "public.b"]


def test_a_server_that_is_not_told_is_none(tmp_path: Path) -> None:
    """The sizes are what matters; somebody may write them by hand."""
    file = tmp_path / "stats.json"
    file.write_text('{"schema_version": 1, "taken_on": "2026-11-22", "tables": {}}')
    assert load(file) == Stats(taken_on="2026-11-22", tables={})


TABLE: dict[str, Any] = {"rows": 1, "bytes": 1}
HEAD: dict[str, Any] = {"schema_version": 1, "taken_on": "2026-11-22"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[]", "holds no JSON object"),
        ("{", "is no JSON"),
        ("{}", "schema_version is null, not 1"),
        (json.dumps({**HEAD, "schema_version": 2, "tables": {}}), "schema_version is 2, not 1"),
        (json.dumps(HEAD), "`tables` is no JSON object"),
        (json.dumps({"schema_version": 1, "tables": {}}), "`taken_on` is no text"),
        (json.dumps({**HEAD, "tables": {}, "server_major": "16"}), "`server_major` is no number"),
        (
            json.dumps({**HEAD, "tables": {"public.t": 5}}),
            "the table public.t has no whole numbers",
        ),
        (json.dumps({**HEAD, "tables": {"t": {**TABLE, "rows": -1}}}), "the table t has no whole"),
        (
            json.dumps({**HEAD, "tables": {"t": {**TABLE, "bytes": 1.5}}}),
            "the table t has no whole",
        ),
        (
            json.dumps({**HEAD, "tables": {"t": {**TABLE, "rows": True}}}),
            "the table t has no whole",
        ),
        (json.dumps({**HEAD, "tables": {"t": {"rows": 1}}}), "the table t has no whole"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, content: str, reason: str) -> None:
    """With the file, and with the command that writes a right one."""
    file = tmp_path / "stats.json"
    file.write_text(content)
    with pytest.raises(UsageError) as caught:
        load(file)
    assert reason in caught.value.message
    assert caught.value.where == str(file)
    assert "neuron-schema stats" in str(caught.value.remedy)


def test_a_file_that_is_not_there_or_is_no_text_is_an_error(tmp_path: Path) -> None:
    """It is no traceback."""
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "none.json")
    file = tmp_path / "stats.json"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is no JSON"):
        load(file)
