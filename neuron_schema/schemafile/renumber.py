"""Which versions are of this branch alone, and the numbers that they get after those of another."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuron_schema.discovery.version_set import MAX_VERSION_DIGITS, VersionFile, versions_in
from neuron_schema.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

_BASES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
_LEAST_WIDTH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """A version that gets another number.

    Attributes:
        file: As it is.
        version: The number that it gets, in digits.
    """

    file: VersionFile
    version: str

    @property
    def path(self) -> Path:
        """The file's new path."""
        return self.file.path.with_name(f"{self.version}_{self.file.name}.py")


def local_versions(directory: Path, base: str | None) -> tuple[tuple[VersionFile, ...], str]:
    """Return the versions that another branch has not, and that branch.

    Versions that it once had and has no more are not this branch's either.

    Args:
        directory: Where the versions are, in a work tree of git.
        base: The branch; None for the repository's main one.

    Raises:
        UsageError: there is no git, no repository or no such branch.
        VersionError: a file is misnamed.
    """
    _git(directory, "rev-parse", "--is-inside-work-tree")
    chosen = base if base is not None else _main(directory)
    _refuse_unknown(directory, chosen)
    theirs = _names(directory, chosen)
    common = _git(directory, "merge-base", "HEAD", chosen, may_fail=True)
    known = theirs | (_names(directory, common) if common else set())
    files = versions_in(directory)
    return tuple(file for file in files if file.path.name not in known), chosen


def renames(
    local: Sequence[VersionFile], others: Sequence[VersionFile], theirs: Collection[int]
) -> tuple[Rename, ...]:
    """Return what gets another number: none where all local ones come after all others.

    Args:
        local: This branch's versions.
        others: The other versions that are there.
        theirs: The numbers that the other branch has.

    Raises:
        UsageError: there are not enough numbers.
    """
    newest = max((*theirs, *(file.number for file in others)), default=0)
    numbers = [file.number for file in local]
    if len(set(numbers)) == len(numbers) and all(number > newest for number in numbers):
        return ()
    widths = [len(file.version) for file in (*local, *others)]
    width = max(_LEAST_WIDTH, *widths)
    found = [
        Rename(file=file, version=f"{newest + place:0{width}d}")
        for place, file in enumerate(sorted(local, key=lambda one: (one.number, one.name)), 1)
    ]
    if any(len(each.version) > MAX_VERSION_DIGITS for each in found):
        raise UsageError(
            f"there is no number after {newest}",
            remedy=f"the history table holds numbers of {MAX_VERSION_DIGITS} digits",
        )
    return tuple(each for each in found if each.path != each.file.path)


def rename(chosen: Sequence[Rename]) -> None:
    """Rename files, of which one may get the name that another one has yet.

    Raises:
        UsageError: a file cannot be renamed; what was renamed is put back.
    """
    done: list[tuple[Path, Path]] = []
    aside = [
        (each.file.path, each.file.path.with_name(f".{each.file.path.name}.tmp")) for each in chosen
    ]
    final = [(way, each.path) for (_, way), each in zip(aside, chosen, strict=True)]
    try:
        for before, after in (*aside, *final):
            if after.exists():
                raise FileExistsError(17, "it is there already", str(after))
            before.rename(after)
            done.append((before, after))
    except OSError as error:
        for before, after in reversed(done):
            after.rename(before)
        raise UsageError(
            f"{error.filename} cannot be renamed: {error.strerror}", where=str(error.filename)
        ) from None


def numbers_of(directory: Path, branch: str) -> set[int]:
    """Return the numbers that a branch's versions have."""
    digits = (name.partition("_")[0] for name in _names(directory, branch))
    return {int(text) for text in digits if text.isascii() and text.isdigit()}


def _names(directory: Path, commit: str) -> set[str]:
    listed = _git(
        directory, "ls-tree", "-z", "--name-only", "--full-tree", f"{commit}:./", may_fail=True
    )
    return {name for name in listed.split("\0") if name.endswith(".py")}


def _main(directory: Path) -> str:
    for name in _BASES:
        if _git(directory, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", may_fail=True):
            return name
    raise UsageError(
        f"there is no branch {', '.join(_BASES[1:])}",
        where=str(directory),
        remedy="neuron-schema rebase BRANCH, the one that this work is to be merged into",
    )


def _git(directory: Path, *arguments: str, may_fail: bool = False) -> str:
    """Run git and return what it printed, "" where it may fail and did.

    Raises:
        UsageError: there is no git, or it failed.
    """
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            ["git", *arguments],  # noqa: S607 - the user's own
            cwd=directory,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise UsageError("git is not installed", remedy="install git") from None
    if done.returncode == 0:
        return done.stdout.decode(errors="surrogateescape").removesuffix("\n")
    if may_fail:
        return ""
    reason = " ".join(done.stderr.decode(errors="replace").split())
    raise UsageError(f"git {arguments[0]}: {reason}", where=str(directory))


def _refuse_unknown(directory: Path, branch: str) -> None:
    # A name that looks like an option must not be one.
    known = not branch.startswith("-") and _git(
        directory, "rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}", may_fail=True
    )
    if not known:
        raise UsageError(
            f"git knows no branch {branch}", where=str(directory), remedy="git fetch, or git branch"
        )
