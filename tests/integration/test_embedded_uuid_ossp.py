"""The stand-in for uuid-ossp gives the UUIDs that the standard says."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuron_schema.embedded import temporary_server

if TYPE_CHECKING:
    from collections.abc import Iterator

# PostgreSQL's text holds any character but NUL; surrogates are no characters.
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=300)

# The properties that the module of contrib declares, from its uuid-ossp--1.1.sql.
PROPERTIES = {
    "uuid_nil": ("i", True, "s", ""),
    "uuid_ns_dns": ("i", True, "s", ""),
    "uuid_ns_url": ("i", True, "s", ""),
    "uuid_ns_oid": ("i", True, "s", ""),
    "uuid_ns_x500": ("i", True, "s", ""),
    "uuid_generate_v3": ("i", True, "s", "namespace uuid, name text"),
    "uuid_generate_v4": ("v", True, "s", ""),
    "uuid_generate_v5": ("i", True, "s", "namespace uuid, name text"),
}


@pytest.fixture(scope="module")
def connection() -> Iterator[psycopg.Connection]:
    """Yield a connection to a server of our own that has the extension, in a schema apart."""
    with (
        temporary_server() as address,
        psycopg.connect(**address.conninfo(), autocommit=True) as connection,
    ):
        connection.execute('CREATE SCHEMA apart; CREATE EXTENSION "uuid-ossp" SCHEMA apart')
        connection.execute("SET search_path = apart")
        yield connection


@settings(database=None, deadline=None, max_examples=150)
@given(namespace=st.uuids(), name=NAMES)
def test_names_give_the_uuids_that_python_gives(
    connection: psycopg.Connection, namespace: uuid.UUID, name: str
) -> None:
    """Versions 3 and 5 agree with uuid3 and uuid5 for any namespace and any text."""
    query = "SELECT uuid_generate_v3(%(ns)s, %(name)s), uuid_generate_v5(%(ns)s, %(name)s)"
    row = connection.execute(query, {"ns": namespace, "name": name}).fetchone()
    assert row == (uuid.uuid3(namespace, name), uuid.uuid5(namespace, name))


def test_every_length_of_padding_gives_the_uuid_that_python_gives(
    connection: psycopg.Connection,
) -> None:
    """SHA-1 pads to 64 bytes: all lengths up to three blocks, and one of 10,000 bytes."""
    for length in (*range(200), 10_000):
        name = "x" * length
        query = "SELECT uuid_generate_v5(uuid_ns_dns(), %s)"
        row = connection.execute(query, (name,)).fetchone()
        assert row == (uuid.uuid5(uuid.NAMESPACE_DNS, name),), length


def test_the_namespaces_and_nil_are_the_standard_ones(connection: psycopg.Connection) -> None:
    """They are the constants of RFC 9562."""
    query = "SELECT uuid_nil(), uuid_ns_dns(), uuid_ns_url(), uuid_ns_oid(), uuid_ns_x500()"
    assert connection.execute(query).fetchone() == (
        uuid.UUID(int=0),
        uuid.NAMESPACE_DNS,
        uuid.NAMESPACE_URL,
        uuid.NAMESPACE_OID,
        uuid.NAMESPACE_X500,
    )


def test_random_uuids_are_of_version_4_and_differ(connection: psycopg.Connection) -> None:
    """Every call, and every row, gives another one."""
    rows = connection.execute("SELECT uuid_generate_v4() FROM generate_series(1, 100)").fetchall()
    values = {row[0] for row in rows}
    assert len(values) == 100
    assert {value.version for value in values} == {4}


def test_the_functions_have_the_properties_of_contrib(connection: psycopg.Connection) -> None:
    """Volatility, strictness, parallel safety and arguments are those of the real module."""
    rows = connection.execute(
        "SELECT proname, provolatile::text, proisstrict, proparallel::text,"
        " pg_get_function_arguments(p.oid) FROM pg_proc p"
        " JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'"
        " JOIN pg_extension e ON e.oid = d.refobjid WHERE extname = 'uuid-ossp'"
    ).fetchall()
    assert {name: tuple(rest) for name, *rest in rows} == PROPERTIES


def test_a_column_default_and_an_index_may_use_it(connection: psycopg.Connection) -> None:
    """Immutable functions may be indexed, and version 4 serves as a default."""
    connection.execute(
        "CREATE TABLE t (id uuid DEFAULT uuid_generate_v4(), name text);"
        "CREATE INDEX ON t (uuid_generate_v5(uuid_ns_url(), name));"
        "INSERT INTO t (name) VALUES ('one'), (NULL)"
    )
    found = connection.execute("SELECT count(DISTINCT id) FROM t").fetchone()
    assert found == (2,)


def test_the_owner_of_a_database_may_create_it_and_it_can_be_moved(
    connection: psycopg.Connection,
) -> None:
    """It is trusted and relocatable, like the real one, and says what it is."""
    row = connection.execute(
        "SELECT trusted, relocatable, comment FROM pg_available_extension_versions"
        " WHERE name = 'uuid-ossp' AND version = '1.1'"
    ).fetchone()
    assert row is not None
    assert row[:2] == (True, True)
    assert "stand-in" in row[2]


def test_the_extensions_of_the_wheel_stay_available(connection: psycopg.Connection) -> None:
    """Our directory is added to the server's own and does not replace it."""
    rows = connection.execute("SELECT name FROM pg_available_extensions").fetchall()
    assert {"vector", "uuid-ossp", "plpgsql"} <= {row[0] for row in rows}
