"""Files and locks in directories that belong to the server's account.

As root we write into directories that a less privileged account controls, so files are made
under a new name and renamed, and nothing follows a symlink.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from neuron_schema.errors import EmbeddedFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.embedded.account import Account

_POLL_SECONDS: Final = 0.005
_OWNED_WITHIN_S: Final = 0.5


@contextmanager
def failures_reported(doing: str) -> Iterator[None]:
    """Turn an ``OSError`` inside the block into the error that users meet.

    Raises:
        EmbeddedFailed: With what was being done and what the operating system said.
    """
    try:
        yield
    except OSError as error:
        msg = f"{doing}: {error.strerror or error}"
        raise EmbeddedFailed(msg, where=error.filename and os.fsdecode(error.filename)) from error


def make_directory(path: Path, account: Account) -> None:
    """Create a directory that only ``account`` may enter; one that exists must be its own.

    Raises:
        EmbeddedFailed: The directory exists and belongs to somebody else.
    """
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
        account.own(path)
    deadline = time.monotonic() + _OWNED_WITHIN_S
    while (owner := path.stat().st_uid) == os.geteuid() != account.uid:
        # Another process has made it a moment ago, and has not yet handed it over.
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_SECONDS)
    if owner != account.uid:
        msg = f"the directory belongs to user id {owner}, the server would run as {account.name}"
        raise EmbeddedFailed(msg, where=str(path), remedy="run as that user, or remove it")


def private_directory(base: Path, prefix: str, account: Account) -> Path:
    """Create a directory with a random name that only ``account`` (and root) may enter.

    Raises:
        OSError: It cannot be created.
    """
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    account.own(path)
    return path


def write_file(path: Path, content: bytes, account: Account, *, mode: int = 0o600) -> bool:
    """Put ``content`` in a file of ``account``'s, in one step; return whether it changed."""
    with suppress(OSError):
        if path.read_bytes() == content:
            return False
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(descriptor, mode)
        account.own(descriptor)
    Path(name).replace(path)
    return True


def open_file(path: Path, flags: int, account: Account) -> int:
    """Open, and create where absent, a private file of ``account``'s; return the descriptor."""
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(FileExistsError):
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        account.own(descriptor)
        return descriptor
    return os.open(path, flags)


def try_lock(descriptor: int, kind: int) -> bool:
    """Take a flock (``fcntl.LOCK_EX`` or ``LOCK_SH``) if that needs no waiting."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock(descriptor: int, kind: int, *, seconds: float) -> bool:
    """Take a flock, waiting at most so long; return whether it was had."""
    deadline = time.monotonic() + seconds
    while not try_lock(descriptor, kind):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def is_locked(path: Path) -> bool:
    """Say whether any process holds an exclusive lock on a file (which may be absent)."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


@contextmanager
def exclusively(path: Path, account: Account, *, seconds: float) -> Iterator[None]:
    """Hold an exclusive lock on a file for the length of the block.

    Raises:
        EmbeddedFailed: Another process held it until the deadline.
    """
    descriptor = open_file(path, os.O_RDWR, account)
    try:
        if not lock(descriptor, fcntl.LOCK_EX, seconds=seconds):
            msg = f"another process has been starting or stopping the server for {seconds:.0f} s"
            raise EmbeddedFailed(msg, where=str(path), remedy="end that process, then try again")
        yield
    finally:
        os.close(descriptor)
