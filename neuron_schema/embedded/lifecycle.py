"""How a development server is started and stopped, by a caller who has it to himself."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from neuron_schema.address import Address
from neuron_schema.embedded.configuration import (
    BASE_SETTINGS,
    DEFAULT_PORT,
    SUPERUSER,
    configure,
    fits_socket,
    quote_directory,
)
from neuron_schema.embedded.extensions import FIRST_MAJOR, extension_settings
from neuron_schema.embedded.files import private_directory, write_file
from neuron_schema.errors import EmbeddedFailed

if TYPE_CHECKING:
    from neuron_schema.embedded.cluster import Cluster, Running

DATABASE: Final = "neuron"

_SOCKET_PREFIX: Final = "neuron-schema-socket-"
_LONGEST_LOG: Final = 5_000_000


def ensure_running(cluster: Cluster) -> Address:
    """Start the server if need be, and create its database on the first start.

    Returns:
        The address of the database ``neuron``.

    Raises:
        EmbeddedFailed: It did not start, or the data are of another major version.
        OSError: A file cannot be written.
    """
    running = cluster.settled() or _start(cluster)
    address = address_of(running)
    created = cluster.home / "database.created"
    if not created.exists():
        _create_database(cluster, running)
        write_file(created, b"", cluster.account)
    return address


def stop_server(cluster: Cluster) -> None:
    """Stop the server if any process of it lives.

    Raises:
        EmbeddedFailed: It does not stop, or is not ours to stop.
        OSError: A file cannot be removed.
    """
    if cluster.is_alive():
        cluster.shut_down()
    _remove_socket_directory(cluster)


def address_of(running: Running, database: str = DATABASE) -> Address:
    """Return the address of a database of a running server, as the superuser."""
    where = {"host": running.socket_directory, "port": str(running.port)}
    return Address(params={**where, "dbname": database, "user": SUPERUSER}, embedded=True)


def major_of(data: Path) -> int | None:
    """Return the major version of PostgreSQL that made a data directory, None if none did."""
    try:
        return int((data / "PG_VERSION").read_text())
    except (OSError, ValueError):
        return None


def _start(cluster: Cluster) -> Running:
    if not cluster.data.exists():
        (cluster.home / "database.created").unlink(missing_ok=True)
        cluster.initialise()
    _check_major(cluster)
    directory = _socket_directory(cluster)
    settings = {**BASE_SETTINGS, "unix_socket_directories": quote_directory(directory)}
    if cluster.binaries.major >= FIRST_MAJOR:
        settings |= extension_settings(directory, cluster.account)
    configure(cluster.data, settings, cluster.account)
    _shorten_log(cluster.log)
    cluster.launch().wait()
    return cluster.wait_until_ready()


def _check_major(cluster: Cluster) -> None:
    """Refuse data of another major version; they are the user's, so they are left as they are."""
    made_by = major_of(cluster.data)
    if made_by == cluster.binaries.major:
        return
    msg = f"the data are not those of a PostgreSQL {cluster.binaries.major}"
    if made_by is not None:
        msg = f"the data were made by PostgreSQL {made_by}, not {cluster.binaries.major}"
    remedy = f"move the directory {cluster.home} away, or remove it if its data may go"
    raise EmbeddedFailed(msg, where=str(cluster.data), remedy=remedy)


def _create_database(cluster: Cluster, running: Running) -> None:
    import psycopg

    conninfo = psycopg.conninfo.make_conninfo(**address_of(running, "postgres").conninfo())
    try:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            known = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(known, (DATABASE,)).fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.Error as error:
        raise cluster.failure(f"the database {DATABASE} was not created: {error}") from error


def _socket_directory(cluster: Cluster) -> Path:
    """Return where the socket goes: beside the data, else a short private directory.

    Its name is random, for a name to be guessed is a name to be taken by others; users read it
    from ``postmaster.pid``, and ``socket`` remembers it for its removal.
    """
    _remove_socket_directory(cluster)
    if fits_socket(cluster.home, DEFAULT_PORT):
        return cluster.home
    directory = private_directory(Path("/tmp"), _SOCKET_PREFIX, cluster.account)  # noqa: S108
    write_file(cluster.home / "socket", os.fsencode(directory), cluster.account)
    return directory


def _remove_socket_directory(cluster: Cluster) -> None:
    note = cluster.home / "socket"
    try:
        directory = Path(os.fsdecode(note.read_bytes()))
    except FileNotFoundError:
        return
    # The note is the account's to write: what it says is not taken on trust.
    ours = directory.parent == Path("/tmp") and directory.name.startswith(_SOCKET_PREFIX)  # noqa: S108
    if ours and directory.is_dir() and directory.lstat().st_uid == cluster.account.uid:
        shutil.rmtree(directory, ignore_errors=True)
    note.unlink(missing_ok=True)


def _shorten_log(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LONGEST_LOG:
        log.replace(log.with_name("log.old"))
