"""``stats``: how large the tables of a database are, for a review to say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from neuron_schema.cli import sizing
from tests.conftest import libpq

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import URL

    from tests.acceptance.command import Command


@pytest.fixture
def tables(connection: psycopg.Connection) -> psycopg.Connection:
    """Make tables of all kinds with rows, and return the connection."""
    for sql in (
        "CREATE TABLE big AS SELECT g AS id, 'secret value' AS t FROM generate_series(1, 500) g",
        "CREATE TABLE parts (id int) PARTITION BY LIST (id)",
        "CREATE TABLE one PARTITION OF parts FOR VALUES IN (1)",
        "CREATE TABLE two PARTITION OF parts FOR VALUES IN (2)",
        "INSERT INTO parts SELECT 1 + g % 2 FROM generate_series(1, 100) g",
        "CREATE MATERIALIZED VIEW seen AS SELECT * FROM big",
        'CREATE SCHEMA "Odd"',
        'CREATE TABLE "Odd"."a b" AS SELECT 1 AS x',
        "CREATE VIEW no_table AS SELECT 1",
        "CREATE TABLE none_yet (id int)",
        "CREATE TEMPORARY TABLE passing (id int)",
        "CREATE TABLE neuron_migrations (version text, name text, applied_at timestamptz, "
        "checksum text)",
        "ANALYZE",
    ):
        connection.execute(sql.encode())
    return connection


@pytest.fixture
def reader(
    database: URL, connection: psycopg.Connection, admin: psycopg.Connection
) -> Iterator[str]:
    """Yield the address of the database for a role that may read no table at all."""
    name = f"reader_{database.database}"
    admin.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'x'".encode())
    yield libpq(database.set(username=name, password="x"))
    admin.execute(f'DROP ROLE "{name}"'.encode())


def sizes(result: Any) -> dict[str, Any]:
    """Return the tables of a file of sizes."""
    tables: dict[str, Any] = result["tables"]
    return tables


def test_rows_and_bytes_of_every_table_are_told(
    cli: Command, tables: psycopg.Connection, reader: str
) -> None:
    """By a role without any privilege; a partitioned table is as large as its partitions."""
    result = cli("stats", "--database-url", reader)
    found = sizes(json.loads(result.out))
    rows = {name: each["rows"] for name, each in found.items()}
    assert rows == {
        '"Odd"."a b"': 1,
        "public.big": 500,
        "public.none_yet": 0,
        "public.one": 50,
        "public.parts": 100,
        "public.seen": 500,
        "public.two": 50,
    }
    (size,) = tables.execute("SELECT pg_total_relation_size('big')").fetchone() or ()
    assert found["public.big"]["bytes"] == size
    both = found["public.one"]["bytes"] + found["public.two"]["bytes"]
    assert found["public.parts"]["bytes"] == both
    assert "secret" not in result.out


def test_tables_that_nobody_counted_are_left_out_and_named(
    cli: Command, tables: psycopg.Connection
) -> None:
    """Also a partitioned one of which a single partition was not counted."""
    tables.execute("CREATE TABLE three PARTITION OF parts FOR VALUES IN (3)")
    tables.execute("INSERT INTO parts VALUES (3)")
    result = cli("stats", "--json")
    assert result.json["uncounted"] == ["public.parts", "public.three"]
    assert {"public.parts", "public.three"}.isdisjoint(sizes(result.json))
    assert "nobody has counted the rows of public.three yet (ANALYZE public.three)" in result.err


def test_the_settings_schemas_are_those_that_are_told(
    cli: Command, tables: psycopg.Connection, tmp_path: Path
) -> None:
    """And no others."""
    (tmp_path / "pyproject.toml").write_text('[tool.neuron_schema]\nschemas = ["Odd"]\n')
    assert list(sizes(json.loads(cli("stats").out))) == ['"Odd"."a b"']


def test_a_hostile_search_path_changes_nothing(
    cli: Command, tables: psycopg.Connection, database: URL
) -> None:
    """Functions and operators are PostgreSQL's own."""
    expected = cli("stats").out
    tables.execute("CREATE FUNCTION pg_total_relation_size(oid) RETURNS bigint RETURN 1")
    tables.execute("CREATE FUNCTION never(oid, oid) RETURNS boolean RETURN false")
    tables.execute("CREATE OPERATOR = (FUNCTION = never, LEFTARG = oid, RIGHTARG = oid)")
    tables.execute(
        f'ALTER DATABASE "{database.database}" SET search_path = public, pg_catalog'.encode()
    )
    assert cli("stats").out == expected


def test_the_file_is_the_same_each_time(
    cli: Command, tables: psycopg.Connection, tmp_path: Path
) -> None:
    """And stdout says one line only."""
    assert cli("stats", "--output", "sizes.json").out == "wrote sizes.json: 7 tables\n"
    first = (tmp_path / "sizes.json").read_bytes()
    cli("stats", "--output", "sizes.json")
    assert (tmp_path / "sizes.json").read_bytes() == first
    assert cli("stats").out.encode() == first


def test_a_table_that_somebody_holds_is_not_waited_for_without_end(
    cli: Command,
    tables: psycopg.Connection,
    database: URL,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It ends with exit 6, and says why."""
    monkeypatch.setattr(sizing, "LIMIT_S", 1.0)
    with psycopg.connect(libpq(database)) as other:
        other.execute("LOCK TABLE big IN ACCESS EXCLUSIVE MODE")
        result = cli.quick("stats", code=6)
    assert "error[NS602]: the sizes could not be read within 1 s" in result.err


def test_a_file_that_cannot_be_written_is_an_error(
    cli: Command, tables: psycopg.Connection
) -> None:
    """Nothing is half-done."""
    assert "cannot be written" in cli("stats", "--output", "no/such/place.json", code=2).err
