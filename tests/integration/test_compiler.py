"""What the compiler renders, run by PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from neuron_schema.canonical import canonical
from neuron_schema.compiling.compiler import check_step, compile_element
from tests.conftest import libpq
from tests.constructs import CASES, VALUES, rows
from tests.constructs import values as values_case
from tests.fingerprint import difference, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

    from neuron_schema.model import Statement

pytestmark = pytest.mark.extension("vector")


@pytest.fixture
def connection(database: URL) -> Iterator[psycopg.Connection]:
    """Yield a connection to the test's database."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET IntervalStyle = 'postgres'")
        yield connection


def compiled(name: str) -> tuple[Statement, ...]:
    """Return the statements of a case, checked as a step."""
    statements = tuple(s for element in CASES[name]() for s in compile_element(element))
    check_step(statements)
    return statements


@pytest.mark.parametrize("name", CASES)
def test_canonical_text_builds_the_same_catalog(
    name: str, connection: psycopg.Connection, admin: psycopg.Connection
) -> None:
    """PostgreSQL makes of the canonical text what it makes of the text itself."""
    other_name = f"{connection.info.dbname}_canonical"
    admin.execute(f'CREATE DATABASE "{other_name}" TEMPLATE template0')
    try:
        with psycopg.connect(connection.info.dsn, dbname=other_name, autocommit=True) as other:
            before = fingerprint(connection)
            for statement in compiled(name):
                connection.execute(statement.sql.encode())
                other.execute(canonical(statement.sql).encode())
            made = fingerprint(connection)
            assert made != before
            assert difference(made, fingerprint(other)) == []
            assert contents(connection) == contents(other)
    finally:
        admin.execute(f'DROP DATABASE "{other_name}" WITH (FORCE)')


def contents(connection: psycopg.Connection) -> list[Any]:
    """Return the rows of all user tables, as text."""
    tables = connection.execute(
        "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'r'"
        " AND c.relnamespace >= 2200 AND c.relnamespace::regnamespace::text <> 'information_schema'"
        " ORDER BY 1"
    ).fetchall()
    return [
        (name, connection.execute(f"SELECT x::text FROM {name} x ORDER BY 1".encode()).fetchall())
        for (name,) in tables
    ]


@pytest.mark.parametrize("table", ["vals", "defaults"])
def test_each_value_arrives_as_it_was_given(table: str, connection: psycopg.Connection) -> None:
    """A literal of every type is stored as the value, inserted, updated or as a default."""
    for element in values_case():
        for statement in compile_element(element):
            connection.execute(statement.sql.encode())
    for number, (name, (_, value, printed)) in enumerate(VALUES.items()):
        if table == "defaults" and value is None:
            continue
        row = connection.execute(f"SELECT c{number}::text FROM {table}".encode()).fetchone()
        assert row is not None
        assert (name, "<null>" if row[0] is None else row[0]) == (name, printed)


def test_rows_hold_what_was_written(connection: psycopg.Connection) -> None:
    """INSERT, UPDATE and DELETE do with literals what they do with parameters."""
    for element in rows():
        for statement in compile_element(element):
            connection.execute(statement.sql.encode())
    found = connection.execute("SELECT id, name, n, at IS NULL, doc::text FROM t ORDER BY id")
    assert found.fetchall() == [
        (1, "50% 'a' :b \\ \n%(x)s", None, False, '{"a": [1, null, "ü\'%"]}'),
        (2, "x", 3, False, "null"),
        (3, "y", 2, False, "3"),
        (4, None, 7, False, None),
        (6, "y", 3, False, None),
    ]


def test_texts_are_the_same_in_every_process() -> None:
    """Neither hash seeds nor the order of imports reach a checksum."""
    program = (
        "from tests.constructs import CASES\n"
        "from neuron_schema.compiling.compiler import checksum, compile_element\n"
        "for b in CASES.values():\n"
        "    print(checksum([s for e in b() for s in compile_element(e)], ()))"
    )

    def run(seed: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    assert run("1") == run("2") == run("77")
