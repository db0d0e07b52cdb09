"""The server under the tools: a throw-away one, durable as PostgreSQL is by default."""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from benchmarks.workload import Shape
from neuron_schema.embedded import temporary_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.address import Address

# A throw-away server skips what makes data durable; the tools are to be seen on a normal one.
_DURABLE = {
    "listen_addresses": "127.0.0.1",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
}
_SHAPE = """
SELECT count(*) FILTER (WHERE c.relkind = 'r'), count(*) FILTER (WHERE c.relkind = 'i'),
  coalesce(sum(c.relnatts) FILTER (WHERE c.relkind = 'r'), 0)
FROM pg_catalog.pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relname LIKE 'items\\_%'
"""


class Server:
    """Hands out empty databases and looks into them.

    Args:
        address: The maintenance database, as a role that may create databases.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._numbers = itertools.count(1)

    @property
    def host(self) -> str:
        """The host that it listens on."""
        return self._address.params["host"]

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""
        return int(self._address.params["port"])

    def create(self) -> str:
        """Create an empty database and return its name."""
        name = f"bench_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def drop(self, *names: str) -> None:
        """Drop databases."""
        for name in names:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def settle(self) -> None:
        """Write out what is left of former work, so that it is not counted as the next one's."""
        self._run("CHECKPOINT")
        os.sync()

    def url(self, name: str, *, port: int | None = None) -> str:
        """Return a database's address as a URL that all of the tools read.

        Args:
            name: The database's name.
            port: Another port than the server's own: the proxy's.
        """
        given = self._address.params
        port = port or self.port
        return f"//{given['user']}:{given['password']}@{self.host}:{port}/{name}"

    def shape(self, name: str) -> Shape:
        """Return what the migrations made in a database."""
        params = {**self._address.conninfo(), "dbname": name}
        with psycopg.connect(**params) as connection:
            row = connection.execute(_SHAPE).fetchone()
        assert row is not None
        return Shape(tables=int(row[0]), indexes=int(row[1]), columns=int(row[2]))

    def version(self) -> str:
        """Return the server's version."""
        with psycopg.connect(**self._address.conninfo()) as connection:
            return str(connection.info.parameter_status("server_version"))

    def _run(self, sql: str) -> None:
        with psycopg.connect(**self._address.conninfo(), autocommit=True) as connection:
            connection.execute(sql.encode())


@contextmanager
def durable_server() -> Iterator[Server]:
    """Run a server for the length of the block, on TCP, with fsync and the like on."""
    with temporary_server(settings=_DURABLE) as address:
        yield Server(address)
