"""One file in place of several, so that no moment leaves a directory that runs something twice.

The new module first takes the place of the last of the old files, under its name: from then on the
directory is refused (``squashed.refuse_replaced``) until none of the others is left. Whoever is
killed in between is told so by the next command, and `squash` finishes what was begun.
"""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

from neuron_schema.errors import SquashRefused, UsageError
from neuron_schema.squashed import replaced_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from neuron_schema.model import Migration


def exchange(old: Sequence[Path], new: Path, texts: Mapping[Path, str]) -> None:
    """Write files in place of others: all of it, or nothing.

    Args:
        old: The files of the versions, in order; they go.
        new: The file of the squashed version.
        texts: What is to be in it, and in the files beside it.

    Raises:
        UsageError: a file cannot be written, renamed or removed; all is as it was.
    """
    try:
        kept = {path: path.read_bytes() for path in (*old, *texts) if path.exists()}
        try:
            _exchange(old, new, texts)
        except BaseException:  # also when it was interrupted
            _put_back(kept, {new, *texts})
            raise
    except OSError as error:
        raise UsageError(
            # A disk that is full has no name.
            f"{error.filename or new} cannot be exchanged: {error.strerror}",
            where=str(error.filename or new),
        ) from None


def _exchange(old: Sequence[Path], new: Path, texts: Mapping[Path, str]) -> None:
    if new not in old and new.exists():
        raise FileExistsError(17, "it is there already", str(new))
    for path, text in texts.items():
        _aside(path).write_bytes(text.encode("utf-8", "surrogateescape"))
    _aside(new).replace(old[-1])
    old[-1].rename(new)
    for path in old[:-1]:
        path.unlink()
    for path in texts:
        if path != new:
            _aside(path).replace(path)


def _put_back(kept: Mapping[Path, bytes], made: set[Path]) -> None:
    for path in made:
        with contextlib.suppress(OSError):
            _aside(path).unlink(missing_ok=True)
    for path in made - kept.keys():
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    for path, content in kept.items():
        with contextlib.suppress(OSError):
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def begun(migrations: Sequence[Migration], first: int, last: int) -> Migration | None:
    """Return the squashed version that holds exactly a span, if it was written before.

    Args:
        migrations: All versions, those that it replaces included where they are still there.
        first: The number of the first version of the span.
        last: The number of the last.
    """
    for one in migrations:
        if one.number == last and one.replaces and min(replaced_numbers(one)) == first:
            return one
    return None


def left_behind(squashed: Migration, migrations: Sequence[Migration]) -> tuple[Migration, ...]:
    """Return the versions beside a squashed one that it was made of.

    Raises:
        SquashRefused: one of them is not what it was made of.
    """
    numbers = replaced_numbers(squashed)
    known = {(int(version), checksum) for rows in squashed.replaces for version, checksum in rows}
    found = tuple(one for one in migrations if one.number in numbers)
    others = [one for one in found if (one.number, one.checksum) not in known]
    if others:
        raise SquashRefused(
            f"{', '.join(one.label for one in others)} is not what {squashed.label} was made of",
            where=others[0].path,
            remedy="give it a number of its own, or restore all of them from version control",
        )
    return found


def refuse_uncommitted(paths: Sequence[Path]) -> None:
    """Refuse to remove what nobody could bring back.

    Raises:
        SquashRefused: git has not all of the files as they are, or cannot tell.
    """
    names = uncommitted(paths)
    if names:
        raise SquashRefused(
            f"{', '.join(names)}: not committed as they are, and squash removes them",
            where=str(paths[0].parent),
            remedy="git add and git commit them first",
        )


def refuse_changed(contents: Mapping[Path, bytes]) -> None:
    """Refuse to remove files that are no longer what was proven.

    Args:
        contents: What was in each.

    Raises:
        SquashRefused: one of them was edited or removed since.
    """
    changed = [
        path for path, was in contents.items() if not path.exists() or path.read_bytes() != was
    ]
    if changed:
        raise SquashRefused(
            f"{', '.join(path.name for path in changed)}: changed since the squash was begun",
            where=str(changed[0]),
            remedy="run the command again",
        )


def uncommitted(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return those of some files that git has not as they are; none where there is no repository.

    Args:
        paths: Files of one directory.

    Raises:
        SquashRefused: there is a repository, and git does not read it.
    """
    directory = paths[0].parent
    try:
        done = subprocess.run(  # noqa: S603 - the user's own git, no shell
            [  # noqa: S607
                "git",
                "--literal-pathspecs",
                "status",
                "--porcelain=v1",
                "-z",
                # Nobody could bring back an ignored file either.
                "--ignored=traditional",
                "--",
                *(path.name for path in paths),
            ],
            cwd=directory,
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
    except OSError:
        return _untold(directory, "git cannot be run")
    if done.returncode:
        reason = " ".join(done.stderr.decode(errors="replace").split())
        return _untold(directory, reason.removeprefix("fatal: "))
    return tuple(_names(done.stdout))


def _untold(directory: Path, reason: str) -> tuple[str, ...]:
    """Return no names where there is no repository; git refuses one of another user, too."""
    here = directory.resolve()
    if any((each / ".git").exists() for each in (here, *here.parents)):
        raise SquashRefused(
            f"whether the files that squash removes are committed is not known: {reason}",
            where=str(directory),
            remedy="let git read this repository: `git status` has to work here",
        )
    return ()


def _names(printed: bytes) -> Iterator[str]:
    """Yield the file names that `git status -z` prints, each after two letters and a blank.

    A directory that is ignored as a whole ends with a slash and has none.
    """
    for entry in printed.decode(errors="surrogateescape").split("\0"):
        if name := entry[3:].rpartition("/")[2]:
            yield name
