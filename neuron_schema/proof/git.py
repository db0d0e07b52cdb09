"""The versions of a git revision, taken out by git itself."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def directory_at(revision: str, directory: Path) -> Iterator[VersionSet]:
    """Yield the versions that a revision has in a directory, in a copy that goes afterwards.

    Args:
        revision: Anything that git takes for a commit or a tree: ``origin/main``.
        directory: Where the versions are in the working tree.

    Raises:
        UsageError: git is not there, the directory is in no repository, or the revision or the
            directory in it is not there.
    """
    inside = _line(_git(directory, "rev-parse", "--show-prefix")).rstrip("/")
    # From a folder below it, git takes the same folder of the archive.
    root = Path(_line(_git(directory, "rev-parse", "--show-toplevel")))
    # A name that begins with a dash would be an option.
    command = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{tree}}")
    try:
        tree = _line(_git(root, *command))
    except UsageError:
        raise UsageError(
            f"git knows no revision {revision!r}",
            where=str(directory),
            remedy="git fetch, or write one that `git rev-parse` knows",
        ) from None
    try:
        archive = _git(root, "archive", "--format=tar", f"{tree}:{inside}" if inside else tree)
    except UsageError:
        raise UsageError(
            f"the revision {revision} has no directory {inside}",
            remedy="write a revision that has the versions",
        ) from None
    with tempfile.TemporaryDirectory(prefix="neuron-schema-git-") as folder:
        place = Path(folder) / (directory.name or "versions")
        place.mkdir()
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            for member in files:
                name = PurePosixPath(member.name)
                content = files.extractfile(member) if len(name.parts) == 1 else None
                if content is not None and name.suffix == ".py":
                    (place / name.name).write_bytes(content.read())
        yield VersionSet(place)


def _line(printed: bytes) -> str:
    """Return a line that git printed; a path in it may be no UTF-8."""
    return os.fsdecode(printed).rstrip("\n")


def _git(directory: Path, *arguments: str) -> bytes:
    """Return what git prints.

    Raises:
        UsageError: git is not there, or fails.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the user's own git, no shell
            ["git", *arguments],  # noqa: S607
            cwd=directory,
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise UsageError(
            f"git cannot be run: {error.strerror}", remedy="install git, or put it into PATH"
        ) from None
    if done.returncode != 0:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise UsageError(
            f"git {arguments[0]} failed: {said or 'it says nothing'}",
            where=str(directory),
            remedy="compare within a git repository that holds the versions",
        )
    return done.stdout
