"""Throw-away databases: on an embedded server of their own, or on one that is given.

A database is known by its name, by the comment on it, and by an advisory lock that its run holds
as long as it lives. Where the lock is gone the run is dead, and the next one drops what it left.
"""

from __future__ import annotations

import itertools
import secrets
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import psycopg

from neuron_schema.errors import (
    ConnectionFailed,
    DirectAddressNeeded,
    PrivilegeMissing,
    ServerUnavailable,
    ServerUnsupported,
)
from neuron_schema.execution.failures import connection_error
from neuron_schema.history import OLDEST_SERVER
from neuron_schema.quoting import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from neuron_schema.address import Address

FLAG: Final = "--shadow-url"
MAJORS: Final = (18, 16)
"""The majors that the embedded server comes in, the usual one first."""

_PREFIX: Final = "neuron_schema_shadow_"
_MARK: Final = "neuron-schema: thrown away when its run ends, or by the next run"
_SESSION: Final = {
    "application_name": "neuron_schema",
    "client_encoding": "utf8",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
_LEAVING_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.002


class Shadow:
    """A server that throw-away databases are made on.

    Args:
        address: Of the server's maintenance database, as a role that may create databases.
        connection: Idle and in autocommit, to that database.
    """

    def __init__(self, address: Address, connection: psycopg.Connection[Any]) -> None:
        self.address = address
        self._connection = connection
        self._token = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._names: set[str] = set()

    @property
    def embedded(self) -> bool:
        """Whether the server is the embedded one, which is ours to do with as we like."""
        return self.address.embedded

    @property
    def major(self) -> int:
        """The server's major version."""
        return self._connection.info.server_version // 10000

    def create(self, template: Address | None = None) -> Address:
        """Make a database, and return its address.

        Args:
            template: A database of this shadow to be copied, to which nobody is connected; None
                for an empty one.

        Raises:
            ServerUnavailable: the server does not make it.
        """
        name = f"{_PREFIX}{self._token}_{next(self._numbers)}"
        source = "template0" if template is None else str(template.params["dbname"])
        if template is not None:
            self._wait_until_left(source)
        self._names.add(name)
        try:
            # Both are on their way before the first is answered: who is killed in between leaves
            # no database without its mark.
            with self._connection.pipeline() as pipeline:
                self._run(f"CREATE DATABASE {identifier(name)} TEMPLATE {identifier(source)}")
                pipeline.sync()
                self._run(f"COMMENT ON DATABASE {identifier(name)} IS {literal(_MARK)}")
        except psycopg.Error as error:
            raise _refused(error, "a shadow database cannot be created") from None
        return replace(self.address, params={**self.address.params, "dbname": name})

    def drop(self, database: Address) -> None:
        """Drop a database of this shadow, whoever is connected to it."""
        name = str(database.params["dbname"])
        self._drop(name)
        self._names.discard(name)

    @contextmanager
    def database(self, template: Address | None = None) -> Iterator[Address]:
        """Make a database for the length of the block, as ``create`` does."""
        made = self.create(template)
        try:
            yield made
        finally:
            self.drop(made)

    def create_role(self, name: str) -> None:
        """Make a role that may not log in. Roles are the whole server's: only on the embedded one.

        Raises:
            ServerUnavailable: the server refuses.
        """
        assert self.embedded  # noqa: S101 - what callers ask first
        try:
            self._run(f"CREATE ROLE {identifier(name)}")
        except psycopg.errors.DuplicateObject:
            pass
        except psycopg.Error as error:
            raise _refused(error, f"the role {name} cannot be created") from None

    def roles(self) -> frozenset[str]:
        """Return the names of the server's roles."""
        rows = self._run("SELECT rolname::text FROM pg_catalog.pg_roles").fetchall()
        return frozenset(row[0] for row in rows)

    def drop_roles(self, names: Iterable[str]) -> None:
        """Drop roles to which nothing belongs any more; what cannot be dropped stays."""
        for name in names:
            with suppress(psycopg.Error):
                self._run(f"DROP ROLE IF EXISTS {identifier(name)}")

    def begin(self) -> None:
        """Hold the lock that says that this run lives, and drop what dead runs left behind.

        Raises:
            PrivilegeMissing: the role may not create databases.
            DirectAddressNeeded: a pooler is in between.
            ServerUnsupported: the server is too old.
        """
        if self._connection.info.server_version < OLDEST_SERVER:
            raise ServerUnsupported(
                f"the shadow's server is PostgreSQL {self.major}",
                remedy=f"give one of PostgreSQL 14 or newer with {FLAG}",
            )
        rows = self._run("SELECT pg_catalog.pg_backend_pid()").fetchall()
        if rows[0][0] != self._connection.info.backend_pid:
            # The lock would be some other client's in a moment.
            raise DirectAddressNeeded(
                f"the shadow {self.address.target} is behind a pooler",
                remedy=f"give the server's own address with {FLAG}",
            )
        # Nothing happens here while a version is proven; that must not end the session.
        self._run("SET idle_session_timeout = 0")
        self._run(f"SELECT pg_catalog.pg_advisory_lock({_key(self._token)})")
        rows = self._run(
            "SELECT rolname, rolcreatedb OR rolsuper FROM pg_catalog.pg_roles "
            "WHERE rolname = current_user"
        ).fetchall()
        if not rows[0][1]:
            raise PrivilegeMissing(
                f"the role {rows[0][0]} may not create shadow databases on {self.address.target}",
                remedy=f"ALTER ROLE {identifier(rows[0][0])} CREATEDB, or give another server "
                f"with {FLAG}",
            )
        for (name,) in self._run(_DEAD_SQL).fetchall():
            # It may be another role's, or be gone by now.
            with suppress(psycopg.Error):
                self._drop(name)

    def end(self) -> None:
        """Drop all that is left of this run; what cannot be dropped is the next one's to drop."""
        for name in tuple(self._names):
            with suppress(psycopg.Error):
                self._drop(name)

    def _wait_until_left(self, name: str) -> None:
        """Wait for the last session in a database to end, which PostgreSQL polls for slowly."""
        ends = time.monotonic() + _LEAVING_SECONDS
        asked = f"SELECT 1 FROM pg_catalog.pg_stat_activity WHERE datname = {literal(name)} LIMIT 1"
        while self._run(asked).fetchone() is not None and time.monotonic() < ends:
            time.sleep(_POLL_SECONDS)

    def _drop(self, name: str) -> None:
        self._run(f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)")

    def _run(self, sql: str) -> psycopg.Cursor[Any]:
        return self._connection.execute(sql.encode())


# A database that is seen here was made after its run had taken its lock, so that the order in
# which the two catalogs are read makes no difference.
_DEAD_SQL: Final = f"""
SELECT d.datname FROM pg_catalog.pg_database d
WHERE d.datname ~ '^{_PREFIX}[0-9a-f]{{16}}_[0-9]+$'
  AND pg_catalog.shobj_description(d.oid, 'pg_database') = {literal(_MARK)}
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_locks l
    WHERE l.locktype = 'advisory' AND l.objsubid = 1
      AND pg_catalog.lpad(pg_catalog.to_hex(l.classid::bigint), 8, '0')
        || pg_catalog.lpad(pg_catalog.to_hex(l.objid::bigint), 8, '0')
        = pg_catalog.substr(d.datname, {len(_PREFIX) + 1}, 16))
"""


@contextmanager
def open_shadow(given: Address | None = None, *, major: int | None = None) -> Iterator[Shadow]:
    """Yield a shadow for the length of the block.

    Args:
        given: A server to make the databases on; None for an embedded one.
        major: Its major version, where it matters: PostgreSQL prints one and the same thing in
            another way from major to major.

    Raises:
        ServerUnsupported: the server is of another major version, or too old.
        EmbeddedMissing, EmbeddedFailed: the embedded server cannot be had.
        ConnectionFailed: the server that was given does not answer.
        PrivilegeMissing: the role may not create databases.
    """
    with ExitStack() as stack:
        address = given
        if address is None:
            from neuron_schema.embedded import temporary_server

            address = stack.enter_context(temporary_server(major=_embedded(major)))
        shadow = Shadow(address, stack.enter_context(_connected(address)))
        stack.callback(shadow.end)
        try:
            shadow.begin()
        except psycopg.Error as error:
            raise _refused(error, "the shadow's server cannot be used") from None
        if major is not None and shadow.major != major:
            raise ServerUnsupported(
                f"the database is on PostgreSQL {major}, the shadow on {shadow.major}",
                remedy=f"give a server of PostgreSQL {major} with {FLAG}",
            )
        yield shadow


def _embedded(major: int | None) -> int:
    """Return the embedded server's major version.

    Raises:
        ServerUnsupported: it does not come in the one that is wanted.
    """
    if major is not None and major not in MAJORS:
        raise ServerUnsupported(
            f"the database is on PostgreSQL {major}, and the embedded server comes in "
            f"{' and '.join(map(str, MAJORS))}",
            remedy=f"give a server of PostgreSQL {major}, and a role that may create databases "
            f"there, with {FLAG}",
        )
    return MAJORS[0] if major is None else major


@contextmanager
def connected(address: Address) -> Iterator[psycopg.Connection[Any]]:
    """Yield an autocommit connection to a database.

    Raises:
        ConnectionFailed: the server does not answer, or is gone within the block.
    """
    with _connected(address) as connection:
        try:
            yield connection
        except psycopg.OperationalError as error:
            if not connection.closed:
                raise
            raise ConnectionFailed(
                f"the connection was lost: {' '.join(str(error).split())}",
                remedy="run again; nothing was changed",
            ) from None


@contextmanager
def _connected(address: Address) -> Iterator[psycopg.Connection[Any]]:
    conninfo: dict[str, Any] = {**_SESSION, **address.conninfo()}
    try:
        connection = psycopg.connect(**conninfo, autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise connection_error(error) or _refused(error, "cannot connect") from None
    try:
        yield connection
    finally:
        connection.close()


def _key(token: str) -> int:
    """Return a token as the key of an advisory lock: 64 bits with a sign."""
    return int.from_bytes(bytes.fromhex(token), "big", signed=True)


def _refused(error: psycopg.Error, what: str) -> ServerUnavailable:
    """Return our error for what a shadow's server does not do."""
    gone = connection_error(error)
    if gone is not None:
        return gone
    reason = " ".join(str(error.diag.message_primary or error).split())
    kind = (
        PrivilegeMissing
        if isinstance(error, psycopg.errors.InsufficientPrivilege)
        else ServerUnavailable
    )
    return kind(f"{what}: {reason}", remedy=f"give another server with {FLAG}")
