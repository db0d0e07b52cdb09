"""The project's development server: started when needed, stopped by its last user.

Who starts or stops it holds ``start.lock`` alone; who uses it holds ``users.lock`` together with
the other users, and the kernel takes that back from whoever is killed. The file ``kept`` says
that the server goes on without users.
"""

from __future__ import annotations

import fcntl
import functools
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from neuron_schema.embedded.binaries import DEFAULT_MAJOR, find_binaries
from neuron_schema.embedded.extensions import FIRST_MAJOR, STAND_IN, STAND_IN_NOTICE
from neuron_schema.embedded.files import (
    exclusively,
    failures_reported,
    open_file,
    try_lock,
    write_file,
)
from neuron_schema.embedded.lifecycle import address_of, ensure_running, major_of, stop_server
from neuron_schema.embedded.place import Place, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from neuron_schema.address import Address
    from neuron_schema.embedded.cluster import Cluster

_TURN_SECONDS: Final = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """How a development server stands.

    Attributes:
        running: Whether any process of it lives.
        kept: Whether it goes on without users until it is stopped.
        used: Whether a process uses it right now.
        pid: The postmaster's process id, None while it is not ready.
        data_directory: Where its data are, or would be.
        major: The major version of PostgreSQL that made the data, None before the first start.
        address: Its address, None while it is not ready.
    """

    running: bool
    kept: bool
    used: bool
    pid: int | None
    data_directory: Path
    major: int | None
    address: Address | None


class DevelopmentServer:
    """The PostgreSQL of one project, with its data in ``.neuron_schema/`` there.

    Nothing happens before a method is called. Every method raises ``EmbeddedMissing`` where the
    extra ``embedded`` is not installed, and ``EmbeddedFailed`` when something goes wrong.

    Args:
        root: The project's directory.
        major: The major version of PostgreSQL: 18 or 16.
    """

    def __init__(self, root: Path, *, major: int = DEFAULT_MAJOR) -> None:
        self._root = root
        self._major = major

    @functools.cached_property
    def _place(self) -> Place:
        with failures_reported("the embedded server has no place to be"):
            return place_of(self._root, self._major)

    @property
    def notices(self) -> tuple[str, ...]:
        """What a user should know of this server, one sentence each."""
        return self._place.notices

    @property
    def stand_ins(self) -> dict[str, str]:
        """The extensions that are not PostgreSQL's own here, each with what is to be known of it.

        It is for those who create one.
        """
        return {STAND_IN: STAND_IN_NOTICE} if self._major >= FIRST_MAJOR else {}

    def psql(self) -> Path:
        """Return the path of the psql that belongs to the server."""
        return find_binaries(self._major).path("psql")

    def start(self, *, keep: bool) -> Address:
        """Start the server if it is not running.

        Args:
            keep: Whether it is marked to run until ``stop``; else the next user to leave stops it.

        Returns:
            The address of the database ``neuron``.
        """
        with self._turn() as cluster:
            address = ensure_running(cluster)
            if keep:
                write_file(_mark(cluster), b"until: neuron-schema db stop\n", cluster.account)
            return address

    def stop(self, *, force: bool = False) -> bool:
        """Stop the server, or leave that to the last process that uses it.

        Args:
            force: Stop it even though a process uses it.

        Returns:
            Whether it stands still now.
        """
        if self._existing() is None:
            return True
        with self._turn() as cluster:
            _mark(cluster).unlink(missing_ok=True)
            if force or not _is_used(cluster):
                stop_server(cluster)
            return not cluster.is_alive()

    def status(self) -> ServerStatus:
        """Look how the server stands; nothing is started."""
        cluster = self._existing()
        if cluster is None:
            return _status(self._place.home / "data", None)
        with self._turn() as cluster:
            return _status(cluster.data, cluster)

    @contextmanager
    def in_use(self) -> Iterator[Address]:
        """Use the server for the length of the block; it is started and stopped as needed.

        Yields:
            The address of the database ``neuron``, as the superuser ``postgres``.
        """
        with self._turn() as cluster:
            users = open_file(cluster.home / "users.lock", os.O_RDWR, cluster.account)
            try:
                fcntl.flock(users, fcntl.LOCK_SH)
                address = ensure_running(cluster)
            except BaseException:
                os.close(users)
                raise
        try:
            yield address
        finally:
            # Unlocked and not just closed: a forked child may hold the descriptor open.
            fcntl.flock(users, fcntl.LOCK_UN)
            os.close(users)
            with self._turn() as cluster:
                if not _mark(cluster).exists() and not _is_used(cluster):
                    stop_server(cluster)

    def _existing(self) -> Cluster | None:
        with failures_reported("the embedded server cannot be looked at"):
            return self._place.existing()

    @contextmanager
    def _turn(self) -> Iterator[Cluster]:
        """Have the server to ourselves, for starting and stopping it."""
        with failures_reported("the embedded server cannot be used"):
            cluster = self._place.cluster()
            lock = cluster.home / "start.lock"
            with exclusively(lock, cluster.account, seconds=_TURN_SECONDS):
                yield cluster


def _mark(cluster: Cluster) -> Path:
    return cluster.home / "kept"


def _is_used(cluster: Cluster) -> bool:
    """Say whether any process holds ``users.lock``; the caller has the turn."""
    descriptor = open_file(cluster.home / "users.lock", os.O_RDWR, cluster.account)
    try:
        return not try_lock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def _status(data: Path, cluster: Cluster | None) -> ServerStatus:
    alive = cluster is not None and cluster.is_alive()
    running = cluster.running() if cluster and alive else None
    return ServerStatus(
        running=alive,
        kept=cluster is not None and _mark(cluster).exists(),
        used=cluster is not None and _is_used(cluster),
        pid=running.pid if running else None,
        data_directory=data,
        major=major_of(data),
        address=address_of(running) if running else None,
    )
