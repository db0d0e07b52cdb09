"""A PostgreSQL that exists for the length of a ``with`` block and leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from neuron_schema.address import Address
from neuron_schema.embedded.account import Account, server_account
from neuron_schema.embedded.binaries import DEFAULT_MAJOR, find_binaries, reachable_binaries
from neuron_schema.embedded.cluster import STOP_SECONDS, Cluster
from neuron_schema.embedded.configuration import (
    BASE_SETTINGS,
    DEFAULT_PORT,
    SUPERUSER,
    THROW_AWAY_SETTINGS,
    configure,
    fits_socket,
    quote_directory,
)
from neuron_schema.embedded.extensions import FIRST_MAJOR, extension_settings
from neuron_schema.embedded.files import failures_reported, open_file, private_directory, try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PREFIX: Final = "neuron-schema-tmp-"
_ABANDONED_SECONDS: Final = 600.0
_LONGEST_PORT: Final = 65535
_MEMORY: Final = "/dev/shm"  # noqa: S108 - a private folder in it
_ROOM: Final = 4 * 2**30

# The shell waits at a pipe whose other end is ours alone. A line means that we are done; the end
# of the file, that we were killed. Either way it stops the server and removes the directory.
# It gives up its own copy of alive.lock (standard output), so that only the server holds that.
_WATCHED: Final = """
"$@" &
server=$!
exec >&2
read -r _
kill -QUIT "$server"
wait "$server"
rm -rf -- "$0"
"""


@contextmanager
def temporary_server(
    *, major: int = DEFAULT_MAJOR, settings: Mapping[str, str] | None = None
) -> Iterator[Address]:
    """Run a throw-away server for the length of the block.

    It is not durable, and is stopped and removed at the end, also when this process is killed.

    Args:
        major: The major version of PostgreSQL: 18 or 16.
        settings: Further settings. With ``listen_addresses`` the address is one of TCP, on
            ``port`` or a free one, and carries the superuser's password.

    Yields:
        The address of the database ``postgres``, as the superuser ``postgres``.

    Raises:
        EmbeddedMissing: The extra ``embedded`` is not installed.
        EmbeddedFailed: The server did not start.
    """
    found = find_binaries(major)
    account = server_account()
    with failures_reported("the embedded server did not start"):
        binaries = reachable_binaries(found, account)
        base = temporary_base(account, in_memory=(settings or {}).get("fsync") != "on")
        sweep(base, account)
        home = private_directory(base, _PREFIX, account)
    try:
        with failures_reported("the embedded server did not start"):
            cluster = Cluster(home, binaries, account, throw_away=True)
            chosen, params = _prepare(cluster, settings or {})
            configure(cluster.data, chosen, account)
            watcher = cluster.launch(_WATCHED, stdin=subprocess.PIPE)
        try:
            cluster.wait_until_ready()
            yield Address(params=params, embedded=True)
        finally:
            _end(watcher)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _prepare(cluster: Cluster, given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Initialise a cluster; return its settings and the parameters of its address."""
    params = {"dbname": "postgres", "user": SUPERUSER}
    own: dict[str, str] = {}
    if given.get("listen_addresses"):
        own["port"] = given.get("port") or str(_free_port())
        params |= {"host": "127.0.0.1", "password": secrets.token_urlsafe(16)}
    port = own.get("port") or given.get("port") or str(DEFAULT_PORT)
    cluster.initialise(password=params.get("password"))
    own["unix_socket_directories"] = quote_directory(cluster.home)
    if cluster.binaries.major >= FIRST_MAJOR:
        own |= extension_settings(cluster.home, cluster.account)
    settings = {**BASE_SETTINGS, **THROW_AWAY_SETTINGS, **own, **given, "port": port}
    return settings, {"host": str(cluster.home), "port": port, **params}


def temporary_base(account: Account, *, in_memory: bool = False) -> Path:
    """Return a directory for temporary files that ``account`` may use and a socket fits in.

    Args:
        account: The server's.
        in_memory: Prefer a file system in memory with room enough. A database is some 300 files,
            and to make one took 25 ms there and 40 to 500 ms on a disk. Whoever has set
            ``TMPDIR`` has chosen.

    Raises:
        FileNotFoundError: There is none.
    """
    names = [tempfile.gettempdir(), "/tmp", "/var/tmp"]  # noqa: S108 - private folders in it
    if in_memory and not any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")):
        names = [*(name for name in (_MEMORY,) if _has_room(name)), *names]
    for name in names:
        path = Path(name).resolve()
        fits = fits_socket(path / f"{_PREFIX}12345678", _LONGEST_PORT)
        if fits and account.can_reach(path, write=True):
            return path
    msg = f"no directory for temporary files that {account.name} may write"
    raise FileNotFoundError(msg)


def _has_room(directory: str) -> bool:
    """Whether a server and its databases fit into a directory; containers often have 64 MB."""
    try:
        return shutil.disk_usage(directory).free >= _ROOM
    except OSError:
        return False


def sweep(base: Path, account: Account) -> None:
    """Remove what servers left behind whose watcher was killed too.

    Such a directory is old and nobody holds its lock; one that is being made is young.
    """
    for home in base.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            status = home.lstat()
            old = time.time() - status.st_mtime > _ABANDONED_SECONDS
            if not old or status.st_uid != account.uid:
                continue
            descriptor = open_file(home / "alive.lock", os.O_RDWR, account)
            try:
                if try_lock(descriptor, fcntl.LOCK_EX):
                    shutil.rmtree(home, ignore_errors=True)
            finally:
                os.close(descriptor)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _end(watcher: subprocess.Popen[bytes]) -> None:
    """Tell the watcher to end the server, and see to it that it does."""
    try:
        # A line, and not the end of the file alone: forked children may hold the pipe open.
        watcher.communicate(b"\n", timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(watcher.pid, 9)
        watcher.communicate()
