"""Byte code of version modules: kept beside them, and never that of another text."""

from __future__ import annotations

import os
import py_compile
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from neuron_schema.discovery import bytecode, version_module
from neuron_schema.errors import VersionError
from tests.support import write_version


@pytest.fixture(autouse=True)
def _writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def up(path: Path) -> str:
    """Load a version module and return the SQL of its ``up``."""
    return version_module.load(path.read_bytes(), str(path), version="001", name="a").up


def kept(path: Path) -> Path:
    """Return where a module's byte code is kept."""
    return Path(cache_from_source(str(path)))


def test_byte_code_is_kept_and_used(tmp_path: Path) -> None:
    """The second process need not compile the text."""
    path = write_version(tmp_path, "001_a", up=["SELECT 1"])
    assert bytecode.read(path.read_bytes(), str(path)) is None
    assert up(path) == "SELECT 1;"
    code = bytecode.read(path.read_bytes(), str(path))
    assert code is not None
    assert code.co_filename == str(path)
    assert up(path) == "SELECT 1;"
    assert [file.name for file in kept(path).parent.iterdir()] == [kept(path).name]
    assert kept(path).stat().st_mode & 0o777 == path.stat().st_mode & 0o666


def test_a_changed_file_of_the_same_age_and_size_is_compiled(tmp_path: Path) -> None:
    """What Python itself goes by, time and size, is not enough for what changes a database."""
    path = write_version(tmp_path, "001_a", up=["SELECT 1"])
    up(path)
    before = path.stat()
    write_version(tmp_path, "001_a", up=["SELECT 2"])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert up(path) == "SELECT 2;"


def test_byte_code_named_by_a_time_is_not_used(tmp_path: Path) -> None:
    """Such a file may be there when something else imported the module."""
    path = write_version(tmp_path, "001_a", up=["SELECT 1"])
    before = path.stat()
    py_compile.compile(str(path), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    write_version(tmp_path, "001_a", up=["SELECT 2"])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert up(path) == "SELECT 2;"


@pytest.mark.parametrize("kept_bytes", [16, 17, 40, -1], ids=str)
def test_byte_code_that_was_cut_short_is_not_used(tmp_path: Path, kept_bytes: int) -> None:
    """A full disk leaves half a file."""
    path = write_version(tmp_path, "001_a", up=["SELECT 1"])
    up(path)
    kept(path).write_bytes(kept(path).read_bytes()[:kept_bytes])
    assert up(path) == "SELECT 1;"


def test_errors_name_the_file_where_it_is_now(tmp_path: Path) -> None:
    """A directory that was moved takes its byte code along, with the old path in it."""
    path = write_version(tmp_path / "old", "001_a", body="x = 1 / len(__file__[:0])")
    with pytest.raises(VersionError):
        up(path)
    moved = (tmp_path / "old").rename(tmp_path / "new") / path.name
    with pytest.raises(VersionError) as caught:
        up(moved)
    assert caught.value.where == f"{moved}:2"


def test_where_nothing_can_be_written_nothing_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python told not to write, and a place that cannot be written to."""
    path = write_version(tmp_path, "001_a", up=["SELECT 1"])
    with monkeypatch.context() as told:
        told.setattr(sys, "dont_write_bytecode", True)
        assert up(path) == "SELECT 1;"
    assert not kept(path).parent.exists()
    kept(path).parent.write_text("in the way")
    assert up(path) == "SELECT 1;"
    assert kept(path).parent.read_text() == "in the way"
