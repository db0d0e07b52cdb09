"""What the tests of backfills share: a table that counts its writes, and versions for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.runs import scalar
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

ITEMS = """
CREATE SCHEMA ledger CREATE TABLE touched (id text, seen timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION ledger.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO ledger.touched (id) VALUES (NEW.id::text); RETURN NULL; END $$;
CREATE TABLE items (id {type} PRIMARY KEY, a text, b text, n int);
CREATE TRIGGER touch AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION ledger.touch();
"""
IMPORTS = """
import time
from sqlalchemy import Column, Integer, MetaData, String, Table, Text, Uuid, func
from neuron_schema.ops import Backfill, BackfillRows
"""
BODY = """
items = Table("items", MetaData(), Column("id", {type}, primary_key=True), Column("a", Text),
              Column("b", Text), Column("n", Integer))
{more}
"""
#: Every row once, by a condition that the change makes false.
LOWER = '[Backfill(items, {"b": func.lower(items.c.a)}, where=items.c.b.is_(None), batch_size=100)]'


def create_items(connection: psycopg.Connection, rows: int = 0, type_: str = "bigint") -> None:
    """Create the table with a trigger that tells ``ledger.touched`` of every write of a row."""
    connection.execute(ITEMS.format(type=type_).encode())
    if rows:
        key = "i" if type_ != "uuid" else "gen_random_uuid()"
        source = f"SELECT {key}, 'A' || i FROM generate_series(1, {rows}) i"
        connection.execute(f"INSERT INTO items (id, a) {source}".encode())


def write_backfill(
    directory: Path,
    up: str,
    *,
    down: str = "[]",
    label: str = "001_fill",
    more: str = "",
    type_: str = "Integer",
    settings: str = "",
) -> Path:
    """Write a version with the elements given as Python source; ``items`` is the table.

    Args:
        more: Lines before them, such as a function.
    """
    body = BODY.format(type=type_, more=more) + (f"\nsettings = {settings}\n" if settings else "")
    write_version(directory, label, up=up, down=down, imports=IMPORTS, body=body)
    return directory


def touches(connection: psycopg.Connection) -> tuple[int, int]:
    """Return how many rows were written, and how often the one that was written most."""
    counts = connection.execute("SELECT count(*) FROM ledger.touched GROUP BY id").fetchall()
    return len(counts), max((count for (count,) in counts), default=0)


def batches(connection: psycopg.Connection) -> int:
    """Return how many batches the log tells of."""
    found: int = scalar(
        connection, "SELECT count(*) FROM neuron_migration_log WHERE outcome = 'batch'"
    )
    return found


def attempts(connection: psycopg.Connection, direction: str = "up") -> set[int]:
    """Return the attempts that the log tells of."""
    rows = connection.execute(
        "SELECT DISTINCT attempt FROM neuron_migration_log "
        "WHERE outcome = 'batch' AND direction = %s",
        (direction,),
    )
    return {attempt for (attempt,) in rows}
