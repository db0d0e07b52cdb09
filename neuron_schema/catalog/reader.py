"""Reads the catalog of a database. Nothing else reads it whole."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from psycopg import IsolationLevel

from neuron_schema.catalog import census
from neuron_schema.catalog.answers import ask
from neuron_schema.catalog.assembly import Assembly
from neuron_schema.catalog.exchange import pipelined
from neuron_schema.catalog.model import Snapshot
from neuron_schema.catalog.objects import Objects, place_of
from neuron_schema.catalog.rows import first
from neuron_schema.catalog.scope import find_scope
from neuron_schema.errors import ServerUnsupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

    from neuron_schema.catalog.rows import Batch
    from neuron_schema.history import HistoryTable


OLDEST: Final = 140000
"""The oldest ``server_version_num`` that is read."""


def snapshot(
    connection: psycopg.Connection[Any],
    *,
    history: HistoryTable,
    schemas: Sequence[str] | None = None,
) -> Snapshot:
    """Read what a database's schema consists of, in one transaction that only reads.

    It takes five round trips whatever there is, needs no privilege, and takes no lock that DDL
    waits for. ``pg_get_viewdef`` and its like see what is committed while they run: meanwhile no
    other session should change the schema.

    Args:
        connection: Idle, not in a transaction; left as it was.
        history: The history table: it and the log beside it are no part of the snapshot. Without
            a schema, tables of these names are left out wherever they are.
        schemas: Only what is in these schemas, and what is in none; None for all schemas but
            PostgreSQL's own. A schema that is not there is simply not in the snapshot.

    Raises:
        CatalogUnread: The database holds something that no part of this code reads.
        ServerUnsupported: The server is older than PostgreSQL 14.
        psycopg.Error: The connection is in a transaction, or broke.
    """
    version = connection.info.server_version
    if version < OLDEST:
        raise ServerUnsupported(
            f"the server is PostgreSQL {version // 10000}", remedy="use PostgreSQL 14 or newer"
        )
    with _uncollected(), _reading(connection) as batch:
        rows = first(batch, find_scope(batch, version, history, schemas))
        objects = Objects(rows, Assembly(rows, ask(batch, rows)))
        census.compare(rows["counts"], objects.read)
        dependencies = objects.dependencies()
    return Snapshot(
        objects=tuple(sorted(objects.found, key=place_of)),
        server_major=version // 10000,
        dependencies=dependencies,
    )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python from looking for garbage.

    Of the hundred thousand values that come to be hardly one goes, and looking for those that do
    takes a sixth of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@contextmanager
def _reading(connection: psycopg.Connection[Any]) -> Iterator[Batch]:
    """Open a transaction in which all queries see one state."""
    before = connection.isolation_level, connection.read_only
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        connection.read_only = True
        with connection.transaction(), pipelined(connection) as batch:
            yield batch
    finally:
        if not connection.closed:
            connection.isolation_level, connection.read_only = before
