"""Versions on a shadow's databases, run by the real runner."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from neuron_schema import planning
from neuron_schema.catalog import snapshot
from neuron_schema.errors import (
    ExtensionMissing,
    NeuronSchemaError,
    PrivilegeMissing,
    StatementFailed,
)
from neuron_schema.execution.reading import look_through
from neuron_schema.model import Direction
from neuron_schema.proof.shadow import FLAG, connected
from neuron_schema.quoting import identifier
from neuron_schema.runner import MigrationRunner

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import psycopg
    from sqlalchemy import Engine

    from neuron_schema.address import Address
    from neuron_schema.catalog import Snapshot
    from neuron_schema.history import HistoryTable
    from neuron_schema.model import Migration
    from neuron_schema.proof.shadow import Shadow

_UNKNOWN_ROLE: Final = re.compile(r'role "([^"]+)" does not exist')
_UNDEFINED_OBJECT: Final = "42704"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Where and how versions are run.

    Attributes:
        shadow: The server.
        directory: Where the versions are.
        history: The history table.
        search_path: What every step is to see; None for the server's own.
        schemas: Those that a snapshot is of; None for all.
        beforehand: Schemas that are there before the first version.
    """

    shadow: Shadow
    directory: Path
    history: HistoryTable
    search_path: str | None = None
    schemas: tuple[str, ...] | None = None
    beforehand: tuple[str, ...] = ()

    def empty(self) -> Address:
        """Make a database for the first version, and return its address."""
        return self.prepared(self.shadow.create())

    @contextmanager
    def database(self) -> Iterator[Address]:
        """Make a database for the first version, for the length of the block."""
        with self.shadow.database() as address:
            yield self.prepared(address)

    def prepared(self, address: Address) -> Address:
        """Make the schemas that are to be there beforehand."""
        wanted = [*self.beforehand, *([self.history.schema] if self.history.schema else [])]
        if wanted:
            with connected(address) as connection:
                for name in dict.fromkeys(wanted):
                    sql = f"CREATE SCHEMA IF NOT EXISTS {identifier(name)}"
                    connection.execute(sql.encode())
        return address

    @contextmanager
    def roles_put_back(self, migrations: Sequence[Migration]) -> Iterator[None]:
        """Drop, at the end of the block, the roles that versions made in it.

        Roles are the whole server's: a version that makes one could run in one database only. The
        databases in which they own something have to be gone by then.
        """
        before = self.shadow.roles()
        try:
            yield
        finally:
            self.drop_roles_since(before, migrations)

    def drop_roles_since(self, before: frozenset[str], migrations: Sequence[Migration]) -> None:
        """Drop the roles that versions made and that were not there before."""
        new = self.shadow.roles() - before
        if new and not self.shadow.embedded:
            # On somebody's own server others may make roles at the same time.
            texts = [one.up + one.down for one in migrations]
            new = frozenset(name for name in new if any(name in text for text in texts))
        self.shadow.drop_roles(sorted(new))

    @contextmanager
    def open(self, address: Address) -> Iterator[Ground]:
        """Yield a database to work on; nobody is connected to it afterwards."""
        with connected(address) as connection, _engine(address) as engine:
            yield Ground(self, connection, engine)


class Ground:
    """One database that versions are run on.

    Args:
        workshop: Where and how.
        connection: To the database, in autocommit.
        engine: On the same database.
    """

    def __init__(
        self, workshop: Workshop, connection: psycopg.Connection[Any], engine: Engine
    ) -> None:
        self._workshop = workshop
        self.connection = connection
        self.engine = engine
        self._runner = MigrationRunner(
            engine,
            workshop.directory,
            history_table=workshop.history.name,
            history_schema=workshop.history.schema,
            search_path=workshop.search_path,
            allow_non_empty=True,
        )
        # It is idle while the runner is at work.
        connection.execute("SET idle_session_timeout = 0")
        if workshop.search_path is not None:
            connection.execute(
                "SELECT pg_catalog.set_config('search_path', %s, false)", (workshop.search_path,)
            )

    def run(self, migrations: Sequence[Migration], direction: Direction = Direction.UP) -> None:
        """Run versions in the order given.

        Roles that they name are made on the embedded server, which has none but its superuser.

        Raises:
            ExtensionMissing: the server lacks one; the remedy names the flag.
            NeuronSchemaError: what ``MigrationRunner.run`` raises.
        """
        made: set[str] = set()
        while True:
            try:
                self._run(migrations, direction)
            except NeuronSchemaError as error:
                role = unknown_role(error.sqlstate, error.message) if self.embedded else None
                if role is None or role in made:
                    raise _on_shadow(error) from error.__cause__
                made.add(role)
                self._workshop.shadow.create_role(role)
            else:
                return

    @property
    def embedded(self) -> bool:
        """Whether the server is the embedded one, where we are its superuser."""
        return self._workshop.shadow.embedded

    def snapshot(self) -> Snapshot:
        """Return the schema of the database."""
        workshop = self._workshop
        return snapshot(self.connection, history=workshop.history, schemas=workshop.schemas)

    def _run(self, migrations: Sequence[Migration], direction: Direction) -> None:
        look = look_through(self.engine, self._workshop.history)
        there = {row.number for row in look.applied}
        up = direction is Direction.UP
        wanted = tuple(one for one in migrations if (one.number in there) is not up)
        selection = planning.Selection(direction=direction, infos=wanted)
        self._runner.run(planning.make_plan(selection, (), look.applied), look)


def unknown_role(sqlstate: str | None, message: str) -> str | None:
    """Return the role that PostgreSQL does not know, where that is what it says."""
    if sqlstate != _UNDEFINED_OBJECT:
        return None
    found = _UNKNOWN_ROLE.search(message)
    return found[1] if found else None


def _on_shadow(error: NeuronSchemaError) -> NeuronSchemaError:
    """Return an error that says what to do about a failure on a shadow, or about what one lacks."""
    if isinstance(error, StatementFailed):
        advice = (
            "this was on the throw-away server, and no other database was touched; there a version "
            "finds only what the versions before it make, and rows that they write"
        )
        error.remedy = f"{error.hint} ({advice})" if error.hint else advice
    if isinstance(error, PrivilegeMissing):
        error.remedy = f"give a role with {FLAG} that may do that on a throw-away server"
    if not isinstance(error, ExtensionMissing):
        return error
    return ExtensionMissing(
        error.message,
        where=error.where,
        remedy=f"give a server that has the extension, and a role that may create databases "
        f"there, with {FLAG}; the embedded server has vector and uuid-ossp only",
    )


@contextmanager
def _engine(address: Address) -> Iterator[Engine]:
    from sqlalchemy import create_engine

    engine = create_engine(
        address.sqlalchemy_url(), pool_size=1, max_overflow=2, use_native_hstore=False
    )
    try:
        yield engine
    finally:
        engine.dispose()
