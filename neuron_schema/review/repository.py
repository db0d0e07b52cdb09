"""The git repository that versions are in, asked by git itself."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from neuron_schema.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

BASES: Final = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
"""What is compared with when nobody says: the first that is there."""

_WITHOUT_GIT: Final = "or name the last version that is not under review: --from VERSION"
_DEEPEN: Final = (
    "git fetch --unshallow (actions/checkout: `fetch-depth: 0`; GitLab: `GIT_DEPTH: 0`)"
)
_LINK: Final = "120000"
_SHA1_DIGITS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A file of a commit: its name, and what git knows its content by."""

    name: str
    digest: str

    def holds(self, content: bytes) -> bool:
        """Whether the file's content is this one."""
        # Repositories of SHA-256 have longer names. It is no secret that is hashed.
        algorithm = "sha1" if len(self.digest) == _SHA1_DIGITS else "sha256"
        found = hashlib.new(algorithm, usedforsecurity=False)
        found.update(b"blob %d\0" % len(content))
        found.update(content)
        return found.hexdigest() == self.digest


class Repository:
    """The git repository that a directory of versions is in.

    Args:
        directory: Where the versions are.

    Raises:
        UsageError: there is no git, or no repository.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        try:
            inside = self._git("rev-parse", "--is-inside-work-tree")
        except _GitError as error:
            raise UsageError(
                f"git cannot tell which versions are new: {error}",
                where=str(directory),
                remedy=f"review within a git repository that holds the versions, {_WITHOUT_GIT}",
            ) from None
        if inside != b"true":
            raise UsageError(
                "the versions are in no work tree of git",
                where=str(directory),
                remedy=f"review a checkout, {_WITHOUT_GIT}",
            )

    def main(self) -> str:
        """Return the branch that work is merged into."""
        for name in BASES:
            if self._commit(name) is not None:
                return name
        raise UsageError(
            f"there is nothing to compare with: no {', '.join(BASES[1:])}",
            where=str(self._directory),
            remedy=f"name the branch that this is to be merged into: --base BRANCH; {_WITHOUT_GIT}",
        )

    def merge_base(self, base: str) -> str:
        """Return the commit where this branch left another."""
        if self._commit("HEAD") is None:
            raise UsageError(
                "the repository has no commit yet",
                where=str(self._directory),
                remedy="review all versions: --from 0",
            )
        if self._commit(base) is None:
            raise UsageError(
                f"git knows no commit {base!r}" + self._shallowly(),
                where=str(self._directory),
                remedy=f"{self._deepen('git fetch')}, {_WITHOUT_GIT}",
            )
        try:
            found = self._git("merge-base", "--end-of-options", "HEAD", base)
        except _GitError:
            raise UsageError(
                f"git knows no commit that HEAD and {base} have in common" + self._shallowly(),
                where=str(self._directory),
                remedy=f"{self._deepen('compare with a branch that this one began at: --base REF')}"
                f", {_WITHOUT_GIT}",
            ) from None
        return found.decode("ascii")

    def files(self, commit: str) -> list[Blob]:
        """Return the Python files that a commit has in the directory; none where it has no such."""
        try:
            listed = self._git("ls-tree", "-z", "--full-tree", f"{commit}:{self._prefix()}")
        except _GitError:
            return []
        entries = (entry.partition("\t") for entry in os.fsdecode(listed).split("\0") if entry)
        found = ((head.split(" "), name) for head, _, name in entries)
        return [
            Blob(name=name, digest=digest)
            for (mode, kind, digest), name in found
            if kind == "blob" and mode != _LINK and name.endswith(".py")
        ]

    def content(self, blob: Blob) -> bytes:
        """Return a file's content as it was."""
        try:
            return self._git("cat-file", "blob", blob.digest, strip=False)
        except _GitError as error:
            raise UsageError(
                f"git does not give out {blob.name}: {error}",
                where=str(self._directory),
                remedy=f"git fetch, {_WITHOUT_GIT}",
            ) from None

    def _prefix(self) -> str:
        return os.fsdecode(self._git("rev-parse", "--show-prefix")).rstrip("/")

    def _commit(self, name: str) -> str | None:
        # A name that begins with a dash would be an option.
        command = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        try:
            return self._git(*command).decode("ascii")
        except _GitError:
            return None

    def _shallow(self) -> bool:
        return self._git("rev-parse", "--is-shallow-repository") == b"true"

    def _shallowly(self) -> str:
        return ": this is a shallow clone, which has not all commits" if self._shallow() else ""

    def _deepen(self, otherwise: str) -> str:
        return _DEEPEN if self._shallow() else otherwise

    def _git(self, *arguments: str, strip: bool = True) -> bytes:
        try:
            done = subprocess.run(  # noqa: S603 - the user's own git, no shell
                ["git", *arguments],  # noqa: S607
                cwd=self._directory,
                check=False,
                capture_output=True,
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            raise _GitError(f"git cannot be run: {error.strerror}") from None
        if done.returncode != 0:
            said = " ".join(done.stderr.decode(errors="replace").split())
            raise _GitError(said or f"git {arguments[0]} fails")
        return done.stdout.rstrip(b"\n") if strip else done.stdout


class _GitError(Exception):
    """Git is not there, or fails; with what it said."""
