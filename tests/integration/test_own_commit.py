"""Probes and repairs of CREATE and DROP INDEX CONCURRENTLY, on a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import Column, Index, Integer, MetaData, Table
from sqlalchemy.schema import CreateIndex, CreateTable, DropIndex

from neuron_schema.compiling.compiler import compile_element
from tests.conftest import libpq
from tests.constructs import index_shapes, indexed_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

    from neuron_schema.model import Statement

SHAPES = [str(index.name) for index in index_shapes(indexed_table())]
# What the catalog does not tell apart: the text of expressions and of WHERE, and what text() says.
EXPRESSIONS = {"s_lower", "s_coalesce", "s_cast", "s_collate_expr"}
ALIKE = [
    {"s_partial", "s_partial_text"},
    EXPRESSIONS | {"s_text_ops", "s_labelled", "s_bool"},
    {"s_unique", "s_nulls_distinct"},
    {"s_desc", "s_text"},
]
# Their texts stand for a column or an expression, in any direction.
OPAQUE = {"s_text", "s_text_two", "s_text_ops"}


@pytest.fixture
def connection(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection to a database with the table of the shapes."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        run(connection, create_table().sql)
        yield connection


def run(connection: psycopg.Connection, sql: str) -> Any:
    """Run verbatim SQL."""
    return connection.execute(sql.encode())


def create_table(schema: str | None = None) -> Statement:
    """Return the CREATE TABLE of the shapes' table."""
    return compile_element(CreateTable(indexed_table(schema)))[0]


def creation(shape: str, name: str | None = None, schema: str | None = None) -> Statement:
    """Return the CREATE INDEX CONCURRENTLY of a shape, under a name of choice."""
    for index in index_shapes(indexed_table(schema), postgresql_concurrently=True):
        if index.name == shape:
            index.name = name or shape  # type: ignore[assignment]
            return compile_element(CreateIndex(index))[0]
    raise KeyError(shape)


def probe(connection: psycopg.Connection, statement: Statement) -> str:
    """Return a probe's answer, given in a transaction that may only read."""
    assert statement.own_commit is not None
    assert statement.own_commit.probe is not None
    run(connection, "SET default_transaction_read_only = on")
    rows = run(connection, statement.own_commit.probe).fetchall()
    run(connection, "RESET default_transaction_read_only")
    assert [len(row) for row in rows] == [1]
    return str(rows[0][0])


def invalidate(connection: psycopg.Connection, name: str) -> None:
    """Leave an index as an interrupted CREATE INDEX CONCURRENTLY does."""
    run(connection, "SET allow_system_table_mods = on")
    connection.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid ="
        " (SELECT oid FROM pg_class WHERE relname = %s)",
        (name,),
    )
    run(connection, "RESET allow_system_table_mods")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("schema", [None, 'Odd "S" %'])
def test_an_index_is_absent_then_done_then_invalid_then_repaired(
    connection: psycopg.Connection, shape: str, schema: str | None
) -> None:
    """The probe follows an index of every shape through its life."""
    if schema:
        run(connection, 'CREATE SCHEMA "Odd ""S"" %"')
        run(connection, create_table(schema).sql)
    statement = creation(shape, schema=schema)
    assert statement.own_commit is not None
    assert probe(connection, statement) == "absent"
    run(connection, statement.sql)
    assert probe(connection, statement) == "done"
    invalidate(connection, shape)
    assert probe(connection, statement) == "invalid"
    for repair in statement.own_commit.repair:
        run(connection, repair)
    assert probe(connection, statement) == "absent"
    run(connection, statement.sql)
    assert probe(connection, statement) == "done"


def test_an_index_of_another_shape_is_told_apart(connection: psycopg.Connection) -> None:
    """Of all pairs of shapes, only those take each other's place that the catalog cannot tell."""
    probes = {shape: creation(shape, "wanted") for shape in SHAPES}
    mistaken = set()
    for there in SHAPES:
        run(connection, creation(there, "wanted").sql)
        for wanted, statement in probes.items():
            answer = probe(connection, statement)
            assert answer in {"done", "different"}
            if wanted == there:
                assert answer == "done", wanted
            elif answer == "done":
                mistaken.add((wanted, there))
        run(connection, "DROP INDEX wanted")
    unexpected = {
        (wanted, there)
        for wanted, there in mistaken
        if wanted not in OPAQUE and not any({wanted, there} <= group for group in ALIKE)
    }
    assert unexpected == set()
    assert len(mistaken) < 5 * len(SHAPES) / 2


def test_a_real_failure_leaves_what_the_probe_calls_invalid(connection: psycopg.Connection) -> None:
    """A unique index that meets duplicates fails, is found invalid, and is built after repair."""
    run(connection, "INSERT INTO shapes (id) VALUES (1), (1)")
    statement = creation("s_unique")
    assert statement.own_commit is not None
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(connection, statement.sql)
    assert probe(connection, statement) == "invalid"
    run(connection, "DELETE FROM shapes")
    for repair in statement.own_commit.repair:
        run(connection, repair)
    run(connection, statement.sql)
    assert probe(connection, statement) == "done"


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE s_plain ()",
        "CREATE VIEW s_plain AS SELECT 1",
        "CREATE SEQUENCE s_plain",
        "CREATE TABLE o (alpha text); CREATE INDEX s_plain ON o (alpha)",
        "ALTER TABLE shapes ADD CONSTRAINT s_plain UNIQUE (a)",
    ],
)
def test_another_object_of_the_name_is_different(connection: psycopg.Connection, sql: str) -> None:
    """What is no index, of another table, or owned by a constraint is never taken or dropped."""
    run(connection, sql)
    assert probe(connection, creation("s_plain")) == "different"


def test_without_its_table_an_index_is_absent(connection: psycopg.Connection) -> None:
    """The statement itself will say that the table is missing."""
    run(connection, "DROP TABLE shapes")
    assert probe(connection, creation("s_plain")) == "absent"


def test_an_invalid_index_hidden_by_a_namesake_is_not_repaired(
    connection: psycopg.Connection,
) -> None:
    """A DROP by name would hit the namesake that stands earlier in the search path."""
    run(connection, creation("s_plain").sql)
    invalidate(connection, "s_plain")
    run(connection, "CREATE SCHEMA first; CREATE TABLE first.o (x int)")
    run(connection, "CREATE INDEX s_plain ON first.o (x)")
    run(connection, "SET search_path = first, public")
    assert probe(connection, creation("s_plain")) == "different"
    run(connection, "SET search_path = public")
    assert probe(connection, creation("s_plain")) == "invalid"


def test_an_index_is_looked_for_where_its_table_is(connection: psycopg.Connection) -> None:
    """A namesake in another schema does not count, whatever the search path says."""
    run(connection, "CREATE SCHEMA first; CREATE TABLE first.o (x int)")
    run(connection, "CREATE INDEX s_plain ON first.o (x)")
    run(connection, "SET search_path = first, public")
    statement = creation("s_plain")
    assert probe(connection, statement) == "absent"
    run(connection, statement.sql)
    assert probe(connection, statement) == "done"


def dropping(schema: str | None = None) -> Statement:
    """Return a DROP INDEX CONCURRENTLY of the plain shape."""
    t = Table("shapes", MetaData(), Column("a", Integer), schema=schema)
    index = Index("s_plain", t.c.a, postgresql_concurrently=True)
    return compile_element(DropIndex(index))[0]


def test_a_drop_is_run_while_there_is_an_index_and_done_after(
    connection: psycopg.Connection,
) -> None:
    """Valid or left half dropped, an index is dropped by the same statement."""
    statement = dropping()
    assert statement.sql == "DROP INDEX CONCURRENTLY s_plain"
    assert probe(connection, statement) == "done"
    for broken in (False, True):
        run(connection, creation("s_plain").sql)
        if broken:
            invalidate(connection, "s_plain")
        assert probe(connection, statement) == "absent"
        run(connection, statement.sql)
        assert probe(connection, statement) == "done"


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE s_plain ()", "CREATE TABLE o (x int); CREATE INDEX s_plain ON o (x)"]
)
def test_a_drop_spares_another_object_of_the_name(connection: psycopg.Connection, sql: str) -> None:
    """What is no index of the table is different."""
    run(connection, sql)
    assert probe(connection, dropping()) == "different"
    assert probe(connection, dropping("missing")) == "done"
