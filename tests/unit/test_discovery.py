"""Version files: where they are, how they are named, in which order they come."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from neuron_schema.discovery.version_set import VersionSet, foreign_imports, read, split_file_name
from neuron_schema.errors import VersionError
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a directory that modules are imported from, and forget those afterwards."""
    folder = tmp_path / "importable"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """Yield a directory of our own, with no more rights than any user has."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() != 0:
            yield folder
            return
        folder.chmod(0o777)
        os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(0)


def labels(directory: Path) -> list[str]:
    """Return the versions of a directory, as their files are named."""
    return [f"{file.version}_{file.name}" for file in VersionSet(directory).files]


def refused(directory: str | Path) -> VersionError:
    """Return the error that a place of versions raises."""
    with pytest.raises(VersionError) as caught:
        VersionSet(directory)
    error = caught.value
    assert error.exit_code == 2
    assert error.remedy
    return error


# --- names and order ----------------------------------------------------------------------------


def test_versions_are_ordered_by_number(tmp_path: Path) -> None:
    """Leading zeros and the order of names in the directory do not matter."""
    for label in ("10_ten", "9_nine", "0002_two", "001_one", "2147483648_late"):
        write_version(tmp_path, label)
    assert labels(tmp_path) == ["001_one", "0002_two", "9_nine", "10_ten", "2147483648_late"]


def test_an_empty_directory_has_no_versions(tmp_path: Path) -> None:
    """Nothing to list, nothing to load."""
    versions = VersionSet(tmp_path)
    assert (versions.files, versions.infos(), versions.migrations()) == ((), (), ())


@pytest.mark.parametrize(
    "name",
    [
        "__init__.py",
        "schema.sql",
        "checksums.txt",
        "README.md",
        ".hidden.py",
        ".001_a.py.swp",
        "001_a.py~",
        "001_a.py.bak",
        "001_a.py.orig",
        "#001_a.py#",
        "data.csv",
    ],
)
def test_what_is_no_version_may_lie_beside_them(tmp_path: Path, name: str) -> None:
    """The package's own file, notes, hidden files and what editors leave behind are ignored."""
    write_version(tmp_path, "001_a")
    (tmp_path / name).write_text("not even Python", encoding="utf-8")
    assert labels(tmp_path) == ["001_a"]


def test_directories_of_other_names_are_ignored(tmp_path: Path) -> None:
    """Only what is named like a version counts."""
    write_version(tmp_path, "001_a")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "notes").mkdir()
    assert labels(tmp_path) == ["001_a"]


@pytest.mark.parametrize(
    "name",
    [
        "helpers.py",
        "001.py",
        "001_.py",
        "001-a.py",
        "_001_a.py",
        "a_001.py",
        "v001_a.py",
        "001_a.PY",
        "001_a.sql",
        "001_a.pyc",
        "001_a",
        "001_a.py.txt",
        "001_a\nb.py",
        "001 a.py",
    ],
)
def test_what_looks_like_a_version_must_be_named_like_one(tmp_path: Path, name: str) -> None:
    """A typing error in a file name must not lose the file in silence."""
    (tmp_path / name).write_text("", encoding="utf-8")
    error = refused(tmp_path)
    assert "looks like a version but is not named like one" in error.message
    assert error.where == str(tmp_path / name)
    assert repr(name) in error.message


def test_a_directory_named_like_a_version_is_refused(tmp_path: Path) -> None:
    """It was meant to be something."""
    (tmp_path / "001_a.py").mkdir()
    error = refused(tmp_path)
    assert error.message == "'001_a.py' is no file"
    assert error.where == str(tmp_path / "001_a.py")


def test_two_files_with_one_number_are_refused(tmp_path: Path) -> None:
    """By number, not by spelling; both are named."""
    write_version(tmp_path, "2_a")
    write_version(tmp_path, "002_b")
    error = refused(tmp_path)
    assert error.message == "two files have the number 2: 002_b.py and 2_a.py"
    assert error.where == str(tmp_path / "2_a.py")


def test_a_version_has_at_most_ten_digits(tmp_path: Path) -> None:
    """The history column holds no more: a 14-digit timestamp is refused before it fails there."""
    write_version(tmp_path, "1234567890_a")
    assert labels(tmp_path) == ["1234567890_a"]
    write_version(tmp_path, "20261122210000_b")
    error = refused(tmp_path)
    assert "20261122210000 has 14 digits; the history table holds 10" in error.message
    assert error.where == str(tmp_path / "20261122210000_b.py")


def test_leading_zeros_count_towards_the_ten(tmp_path: Path) -> None:
    """The version is stored as it is spelled."""
    write_version(tmp_path, "00000000001_a")
    assert "has 11 digits" in refused(tmp_path).message


@pytest.mark.parametrize("version", ["0", "000", "0000000000"])
def test_a_version_is_at_least_one(tmp_path: Path, version: str) -> None:
    """0 is the target that means none."""
    write_version(tmp_path, f"{version}_a")
    assert refused(tmp_path).message == f"version {version} is below 1"


def test_a_version_is_in_ascii_digits(tmp_path: Path) -> None:
    """Digits of other scripts are numbers to Python and names to people."""
    write_version(tmp_path, "\u0660\u0660\u0661_a")
    assert "not in ASCII digits" in refused(tmp_path).message


def test_a_name_has_at_most_255_characters() -> None:
    """The history column holds no more; few file systems do."""
    assert split_file_name(Path(f"001_{'n' * 255}.py")) == ("001", "n" * 255)
    with pytest.raises(VersionError, match="the name has 256 characters") as caught:
        split_file_name(Path(f"001_{'n' * 256}.py"))
    assert (caught.value.exit_code, caught.value.remedy) == (2, "shorten the file name")
    assert caught.value.where is not None


def test_a_name_that_is_not_utf8_is_refused() -> None:
    """It could not be written into the history."""
    with pytest.raises(VersionError, match="is not utf-8"):
        split_file_name(Path(os.fsdecode(b"001_\xff.py")))


@pytest.mark.parametrize(
    "name", ["ünïcode", "with space", "it's", '"quoted"', "$neuron_schema$", "a.b", "a_b", "日本"]
)
def test_a_name_may_hold_any_printable_character(tmp_path: Path, name: str) -> None:
    """Only version and name are read from it."""
    write_version(tmp_path, f"001_{name}")
    (info,) = VersionSet(tmp_path).infos()
    assert (info.version, info.name, info.label) == ("001", name, f"001_{name}")


# --- places -------------------------------------------------------------------------------------


def test_a_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The error names it and the command that makes one."""
    error = refused(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in error.message
    assert "neuron-schema init" in (error.remedy or "")


@pytest.mark.parametrize("place", ["", "no.such.package", "x" * 5000, "nul\0byte", "not a name"])
def test_what_can_be_no_place_is_an_error(place: str) -> None:
    """Whatever the operating system says to it."""
    assert "there is no directory or package" in refused(place).message


def test_a_file_is_no_place(tmp_path: Path) -> None:
    """A version is given as a part of its directory."""
    refused(write_version(tmp_path, "001_a"))


def test_a_directory_may_be_a_link(tmp_path: Path) -> None:
    """It is looked through once, so that messages show the files that are edited."""
    write_version(tmp_path / "real", "001_a")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    versions = VersionSet(tmp_path / "link")
    assert versions.directory == (tmp_path / "real").resolve()
    assert len(versions.migrations()) == 1


def test_a_version_may_be_a_link(tmp_path: Path) -> None:
    """The name of the link counts."""
    target = write_version(tmp_path / "real", "007_other")
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "001_a.py").symlink_to(target)
    (info,) = VersionSet(tmp_path / "versions").infos()
    assert info.label == "001_a"


def test_a_broken_link_is_refused(tmp_path: Path) -> None:
    """It is no version that may be left out in silence."""
    (tmp_path / "001_a.py").symlink_to(tmp_path / "gone")
    assert refused(tmp_path).remedy == "mend the link"


def test_a_directory_that_may_not_be_read_is_an_error(unprivileged: Path) -> None:
    """It is not taken for an empty one."""
    closed = unprivileged / "versions"
    closed.mkdir(mode=0o300)
    with pytest.raises(VersionError, match="cannot be read") as caught:
        VersionSet(closed)
    assert (caught.value.where, caught.value.exit_code) == (str(closed.resolve()), 2)
    assert caught.value.remedy
    closed.chmod(0o700)


def test_a_place_below_a_closed_directory_is_an_error(unprivileged: Path) -> None:
    """Not even whether it is there can be told."""
    closed = unprivileged / "closed"
    closed.mkdir(mode=0)
    assert "there is no directory" in refused(closed / "versions").message
    closed.chmod(0o700)


def test_a_file_that_may_not_be_read_is_an_error(unprivileged: Path) -> None:
    """With its path."""
    path = write_version(unprivileged, "001_a")
    path.chmod(0)
    with pytest.raises(VersionError, match="the file cannot be read: Permission denied") as caught:
        VersionSet(unprivileged).infos()
    assert caught.value.where == str(path.resolve())
    assert caught.value.remedy


def test_a_file_that_vanished_is_an_error(tmp_path: Path) -> None:
    """Between the listing and the reading anything may happen."""
    path = write_version(tmp_path, "001_a")
    versions = VersionSet(tmp_path)
    path.unlink()
    with pytest.raises(VersionError, match="No such file") as caught:
        versions.infos()
    assert caught.value.where == str(path)


def test_a_file_of_more_than_64_mib_is_refused(tmp_path: Path) -> None:
    """Python would need minutes and gigabytes for it."""
    path = tmp_path / "001_a.py"
    with path.open("wb") as stream:
        stream.truncate(64 * 2**20 + 1)
    with pytest.raises(VersionError, match="67108865 bytes") as caught:
        read(path)
    assert caught.value.remedy


# --- packages -----------------------------------------------------------------------------------


def test_a_package_is_found_by_its_dotted_name(package: Path) -> None:
    """Wherever Python finds it."""
    write_version(package / "shop" / "migrations", "001_a")
    (package / "shop" / "__init__.py").touch()
    (package / "shop" / "migrations" / "__init__.py").touch()
    assert VersionSet("shop.migrations").directory == (package / "shop" / "migrations").resolve()


def test_a_package_needs_no_init(package: Path) -> None:
    """A namespace package will do, of one word as well."""
    write_version(package / "shopversions", "001_a")
    assert len(VersionSet("shopversions").files) == 1


def test_the_neuron_versions_are_found_as_a_package() -> None:
    """From a checkout, an editable install and a wheel alike."""
    assert [file.version for file in VersionSet("neuron_schema.versions").files] == [
        "001",
        "002",
        "003",
        "004",
    ]


def test_a_directory_goes_before_a_package_of_its_name(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies before one's eyes is meant."""
    write_version(package / "shopversions", "001_package")
    write_version(tmp_path / "here" / "shopversions", "001_directory")
    monkeypatch.chdir(tmp_path / "here")
    assert [file.name for file in VersionSet("shopversions").files] == ["directory"]


def test_a_path_is_never_a_package(package: Path) -> None:
    """Only a text may name one."""
    write_version(package / "shopversions", "001_a")
    refused(Path("shopversions"))


def test_a_module_is_no_package_of_versions(package: Path) -> None:
    """It has no directory."""
    (package / "shopmodule.py").touch()
    assert "there is no directory or package" in refused("shopmodule").message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "raised ZeroDivisionError: division by zero"),
        ("import gone_for_good", "raised ModuleNotFoundError: No module named 'gone_for_good'"),
        ("from os import gone", "raised ImportError: cannot import name 'gone'"),
        ("raise SystemExit(3)", "raised SystemExit: 3"),
        ("def", "raised SyntaxError"),
    ],
)
def test_a_package_that_raises_says_what(package: Path, source: str, message: str) -> None:
    """It is there: saying that it is not would send people looking in the wrong place."""
    write_version(package / "shopversions", "001_a")
    (package / "shopversions" / "__init__.py").write_text(source, encoding="utf-8")
    error = refused("shopversions")
    assert message in error.message
    assert error.where == "shopversions"
    assert error.__cause__ is not None


def test_an_interrupt_while_a_package_is_imported_passes(package: Path) -> None:
    """Ctrl-C is for the whole command."""
    (package / "shopversions").mkdir()
    (package / "shopversions" / "__init__.py").write_text("raise KeyboardInterrupt", "utf-8")
    with pytest.raises(KeyboardInterrupt):
        VersionSet("shopversions")


# --- loading ------------------------------------------------------------------------------------


def test_infos_and_migrations_agree(tmp_path: Path) -> None:
    """A checksum is the same whether the SQL is wanted or not."""
    for number in range(1, 4):
        write_version(tmp_path, f"00{number}_v", up=[f"SELECT {number}"], docstring=f"No. {number}")
    versions = VersionSet(tmp_path)
    assert [
        (info.version, info.name, info.path, info.checksum, info.description)
        for info in versions.infos()
    ] == [(m.version, m.name, m.path, m.checksum, m.description) for m in versions.migrations()]
    assert [info.description for info in versions.infos()] == ["No. 1", "No. 2", "No. 3"]


def test_only_the_versions_asked_for_are_loaded(tmp_path: Path) -> None:
    """A broken version does not hinder the others' SQL, nor do versions of no interest cost."""
    write_version(tmp_path, "001_a")
    infos = VersionSet(tmp_path).infos()
    write_version(tmp_path, "002_broken", up="[")
    versions = VersionSet(tmp_path)
    assert [migration.version for migration in versions.migrations(infos)] == ["001"]
    assert versions.migrations(()) == ()
    with pytest.raises(VersionError, match="does not parse"):
        versions.infos()


def test_migrations_are_read_anew_each_time(tmp_path: Path) -> None:
    """A step about to run is never an old one."""
    write_version(tmp_path, "001_a", up=["SELECT 1"])
    versions = VersionSet(tmp_path)
    assert versions.migrations()[0].up == "SELECT 1;"
    write_version(tmp_path, "001_a", up=["SELECT 2"])
    assert versions.migrations()[0].up == "SELECT 2;"


def test_looking_at_a_directory_imports_nothing_heavy(tmp_path: Path) -> None:
    """To list versions SQLAlchemy is not needed."""
    write_version(tmp_path, "001_a")
    program = (
        "import sys; from neuron_schema.discovery.version_set import VersionSet;"
        f"assert len(VersionSet({str(tmp_path)!r}).files) == 1;"
        "assert not {'sqlalchemy', 'psycopg', 'typer'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_imports_of_the_application_are_named_with_their_lines(tmp_path: Path) -> None:
    """Known libraries and the standard library are none."""
    path = write_version(
        tmp_path,
        "001_a",
        imports="import json, shop.models\nfrom sqlalchemy import text\nfrom helpers import a, b\n"
        "import psycopg.sql, pgvector.sqlalchemy",
    )
    assert list(foreign_imports(VersionSet(tmp_path).files)) == [
        (str(path), 1, "shop.models"),
        (str(path), 3, "helpers"),
    ]
