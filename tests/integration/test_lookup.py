"""Objects told from SQL, looked for in a real catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from neuron_schema.compiling.compiler import compile_element
from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.sqltext.actions import Kind, ObjectRef
from neuron_schema.sqltext.lookup import absent
from neuron_schema.sqltext.objects import net_objects
from tests.conftest import libpq
from tests.constructs import CASES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

    from neuron_schema.history import Fetch

KINDS_MADE = """
CREATE TABLE t (a int, CONSTRAINT c CHECK (a > 0));
CREATE INDEX i ON t (a);
CREATE VIEW v AS SELECT 1;
CREATE MATERIALIZED VIEW m AS SELECT 1;
CREATE SEQUENCE q;
CREATE TYPE mood AS ENUM ('a');
CREATE DOMAIN d AS int;
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION g();
CREATE SCHEMA s;
CREATE TABLE s.hidden (a int)
"""
REFS = (
    ObjectRef(Kind.TABLE, None, "t"),
    ObjectRef(Kind.TABLE, "public", "t"),
    ObjectRef(Kind.TABLE, "s", "hidden"),
    ObjectRef(Kind.COLUMN, None, "a", "t"),
    ObjectRef(Kind.COLUMN, "s", "a", "hidden"),
    ObjectRef(Kind.CONSTRAINT, None, "c", "t"),
    ObjectRef(Kind.INDEX, None, "i", "t"),
    ObjectRef(Kind.INDEX, "public", "i"),
    ObjectRef(Kind.VIEW, None, "v"),
    ObjectRef(Kind.VIEW, None, "m"),
    ObjectRef(Kind.SEQUENCE, None, "q"),
    ObjectRef(Kind.TYPE, None, "mood"),
    ObjectRef(Kind.TYPE, "public", "d"),
    ObjectRef(Kind.FUNCTION, None, "f"),
    ObjectRef(Kind.TRIGGER, None, "g", "t"),
    ObjectRef(Kind.SCHEMA, None, "s"),
    ObjectRef(Kind.EXTENSION, None, "plpgsql"),
)
NOT_THERE = (
    ObjectRef(Kind.TABLE, None, "hidden"),
    ObjectRef(Kind.TABLE, "nowhere", "t"),
    ObjectRef(Kind.TABLE, None, "v"),
    ObjectRef(Kind.VIEW, None, "t"),
    ObjectRef(Kind.COLUMN, None, "b", "t"),
    ObjectRef(Kind.COLUMN, None, "a", "nothing"),
    ObjectRef(Kind.CONSTRAINT, None, "c", "v"),
    ObjectRef(Kind.INDEX, None, "i", "v"),
    ObjectRef(Kind.INDEX, None, "t"),
    ObjectRef(Kind.SEQUENCE, None, "t"),
    ObjectRef(Kind.TYPE, None, "t"),
    ObjectRef(Kind.FUNCTION, None, "F"),
    ObjectRef(Kind.TRIGGER, None, "h", "t"),
    ObjectRef(Kind.SCHEMA, None, "S"),
    ObjectRef(Kind.EXTENSION, None, "it's"),
)


@pytest.fixture
def connection(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield connection


def fetcher(connection: psycopg.Connection) -> Fetch:
    """Return what runs a query on a connection."""
    return lambda sql: connection.execute(sql.encode()).fetchall()


@pytest.mark.extension("vector")
@pytest.mark.parametrize("name", CASES)
def test_what_constructs_leave_is_found_afterwards_and_not_before(
    name: str, connection: psycopg.Connection
) -> None:
    """PostgreSQL makes exactly what the text was read to make, for every construct there is."""
    made: Any = [statement for one in CASES[name]() for statement in compile_element(one)]
    found = net_objects(made)
    assert found.refs
    assert absent(fetcher(connection), found.refs) == found.refs
    for statement in made:
        connection.execute(statement.sql.encode())
    assert absent(fetcher(connection), found.refs) == ()


@pytest.mark.extension("vector")
@pytest.mark.extension("uuid-ossp")
def test_the_objects_of_the_neuron_versions_are_found(connection: psycopg.Connection) -> None:
    """Ninety and more of them, all understood; after the way down nothing is expected."""
    versions = VersionSet("neuron_schema.versions")
    migrations = versions.migrations(versions.infos())
    up = [statement for one in migrations for statement in one.up_statements]
    down = [statement for one in reversed(migrations) for statement in one.down_statements]
    found = net_objects(up)
    assert len(found.refs) > 90
    assert found.not_understood == ()
    for statement in up:
        connection.execute(statement.sql.encode())
    assert absent(fetcher(connection), found.refs) == ()
    connection.execute("ALTER TABLE nodes DROP COLUMN embedding")
    assert [str(ref) for ref in absent(fetcher(connection), found.refs)] == [
        "column nodes.embedding",
        "index idx_nodes_embedding",
    ]
    assert net_objects([*up, *down]).refs == ()


def test_every_kind_is_looked_for_under_its_own_name(connection: psycopg.Connection) -> None:
    """Of the wrong kind, on another table, in another schema it is absent."""
    assert set(Kind) == {ref.kind for ref in REFS} == {ref.kind for ref in NOT_THERE}
    for sql in KINDS_MADE.split(";\n"):
        connection.execute(sql.encode())
    assert absent(fetcher(connection), REFS) == ()
    assert absent(fetcher(connection), NOT_THERE) == NOT_THERE
    assert absent(fetcher(connection), ()) == ()


def test_a_name_without_schema_is_what_the_search_path_makes_of_it(
    connection: psycopg.Connection,
) -> None:
    """The first schema that has the name counts, whatever the others have."""
    connection.execute("CREATE SCHEMA s; CREATE TABLE s.t (a int); CREATE TABLE t (b int)")
    a, b = (ObjectRef(Kind.COLUMN, None, name, "t") for name in "ab")
    assert absent(fetcher(connection), (a, b)) == (a,)
    connection.execute("SET search_path = s, public")
    assert absent(fetcher(connection), (a, b)) == (b,)
    path = "ARRAY['nowhere', 'public', 's']::pg_catalog.name[]"
    assert absent(fetcher(connection), (a, b), path=path) == (a,)


def test_an_invalid_index_is_not_there(connection: psycopg.Connection) -> None:
    """It serves no query."""
    connection.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)")
    index = ObjectRef(Kind.INDEX, None, "i", "t")
    assert absent(fetcher(connection), (index,)) == (index,)


def test_a_role_without_rights_may_look(connection: psycopg.Connection) -> None:
    """Schemas that it may not use are looked into all the same: the catalogs are for all."""
    role = f"nobody_{connection.info.dbname}"
    connection.execute("CREATE SCHEMA s; CREATE TABLE s.t (a int)")
    connection.execute(f'CREATE ROLE "{role}"; SET ROLE "{role}"'.encode())
    try:
        refs = (ObjectRef(Kind.TABLE, "s", "t"), ObjectRef(Kind.TABLE, "s", "u"))
        assert absent(fetcher(connection), refs) == refs[1:]
    finally:
        connection.execute(f'RESET ROLE; DROP ROLE "{role}"'.encode())
