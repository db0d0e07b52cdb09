"""A schema written as SQL: what loads from it is the same schema."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema import MigrationRunner
from neuron_schema.catalog import Kind, Other, Snapshot, diff, snapshot
from neuron_schema.errors import SchemaNotRendered
from neuron_schema.history import HistoryTable
from neuron_schema.model import ended
from neuron_schema.schemafile.render import Rendered, render
from tests.conftest import libpq
from tests.integration.test_catalog_dumps import make_variants
from tests.schemafile_schemas import ROLES, SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import URL

    Make = Callable[[], psycopg.Connection]

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def _roles(admin: psycopg.Connection) -> Iterator[None]:
    """Make the roles that the schemas name, for as long as this module's tests run."""
    for role in ROLES:
        admin.execute(f"CREATE ROLE {role}".encode())
    yield
    for role in ROLES:
        admin.execute(f"DROP ROLE {role}".encode())


@pytest.fixture
def make(server: URL, admin: psycopg.Connection, _roles: None) -> Iterator[Make]:
    """Return what makes an empty database and connects to it."""
    made: list[tuple[str, psycopg.Connection]] = []

    def create() -> psycopg.Connection:
        name = f"test_render_{next(_numbers)}"
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        connection = psycopg.connect(libpq(server.set(database=name)), autocommit=True)
        made.append((name, connection))
        return connection

    yield create
    for name, connection in made:
        connection.close()
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def read(connection: psycopg.Connection) -> Snapshot:
    """Return a database's schema."""
    return snapshot(connection, history=HistoryTable())


def rendered(connection: psycopg.Connection) -> Rendered:
    """Return a database's schema as SQL."""
    usual = connection.execute("SELECT name, comment FROM pg_available_extensions").fetchall()
    return render(read(connection), usual_comments=dict(usual))


def load(connection: psycopg.Connection, sql: Rendered) -> None:
    """Run what makes a schema, in one transaction as the file does."""
    texts = [ended(each) for block in (*sql.blocks, *sql.late) for each in block.statements]
    settings = "SET LOCAL search_path = ''; SET LOCAL check_function_bodies = off;"
    connection.execute("\n".join(["BEGIN;", settings, *texts, "COMMIT"]).encode())


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_loaded_is_the_schema(make: Make, name: str) -> None:
    """It is equal, written again it is the same text, and nothing of it was left out."""
    if name == "vectors":
        pytest.importorskip("pgvector")
    source, copy = make(), make()
    try:
        source.execute(SCHEMAS[name].encode())
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.SyntaxError):
        pytest.skip("the server is too old for this schema")
    sql = rendered(source)
    load(copy, sql)
    assert diff(read(source), read(copy)) == ()
    assert rendered(copy) == sql
    assert not sql.left_out


def disordered(source: psycopg.Connection, copy: psycopg.Connection) -> set[str]:
    """Return the tables whose columns came out in another order."""
    return {str(change.object) for change in diff(read(source), read(copy)) if change.order_only}


@pytest.mark.timeout(300)
def test_two_hundred_variants_load(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """The corpus that snapshots are held against pg_dump with, all of it in one database."""
    source, copy = make(), make()
    made = make_variants(source)
    sql = rendered(source)
    load(copy, sql)
    left = {
        str(change)
        for change in diff(read(source).unowned(), read(copy).unowned())
        if change.kind is not Kind.OTHER and not change.order_only
    }
    assert left == set()
    # What is not the same is said to be left out, and nothing else is.
    orders = {"the order of the columns of " + name for name in disordered(source, copy)}
    assert {each for each in sql.left_out if each not in orders} == {
        f"{each.type} {each.name}" for each in read(source).objects if isinstance(each, Other)
    }
    assert orders <= set(sql.left_out)
    assert len(made) > 150
    with capsys.disabled():
        print(f"\n{len(made)} schemas are the same after they were written down and loaded")  # noqa: T201


@pytest.mark.extension("uuid-ossp")
@pytest.mark.extension("vector")
def test_neurons_schema_loads(make: Make, server: URL) -> None:
    """It is the one that our own versions make."""
    source, copy = make(), make()
    engine = create_engine(server.set(database=source.info.dbname), poolclass=NullPool)
    MigrationRunner(engine, "neuron_schema.versions").up()
    load(copy, rendered(source))
    assert read(copy) == read(source)
    titles = [block.title for block in rendered(source).blocks]
    assert titles.index("table public.clusters") < titles.index("table public.nodes")


def test_one_more_table_adds_one_block(make: Make) -> None:
    """So that a pull request shows what it does and nothing else."""
    source = make()
    source.execute("CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE d (b int REFERENCES b)")
    before = rendered(source).blocks
    source.execute("CREATE TABLE c (id int, b int REFERENCES b)")
    after = rendered(source).blocks
    assert [block for block in after if block in before] == list(before)
    assert [block.title for block in after if block not in before] == ["table public.c"]


def test_a_table_comes_after_those_that_it_refers_to(make: Make) -> None:
    """Its foreign keys stand in it, unless tables refer to each other in a circle."""
    source = make()
    source.execute("CREATE TABLE z (id int PRIMARY KEY); CREATE TABLE a (z int REFERENCES z)")
    z, a = rendered(source).blocks
    assert (z.title, a.title) == ("table public.z", "table public.a")
    assert "FOREIGN KEY (z) REFERENCES public.z(id)" in a.statements[0]


def test_what_cannot_be_written_is_named(make: Make) -> None:
    """A file without it must not pass for the whole schema."""
    source = make()
    source.execute("CREATE TEXT SEARCH CONFIGURATION words (COPY = simple)")
    (left_out,) = rendered(source).left_out
    assert left_out.startswith("text search configuration")
    assert "words" in left_out


def test_a_circle_is_refused_with_the_names(make: Make) -> None:
    """PostgreSQL lets it come about in steps, but not at once."""
    source = make()
    source.execute("""
        CREATE TABLE t (id int); CREATE VIEW v AS SELECT id FROM t;
        CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM v; END;
        CREATE OR REPLACE VIEW v AS SELECT id FROM t WHERE f() >= 0""")
    with pytest.raises(SchemaNotRendered, match=r"view public\.v, function public\.f\(\)|f\(\), v"):
        rendered(source)


def test_rows_come_before_what_would_act_on_them(make: Make) -> None:
    """Triggers, rules and policies of a table with rows are written after these."""
    source = make()
    source.execute(SCHEMAS["triggers and rules"].encode())
    sql = render(read(source), filled={"public.t"})
    late = [each for block in sql.late for each in block.statements]
    early = [each for block in sql.blocks for each in block.statements]
    assert any(each.startswith("CREATE TRIGGER one") for each in late)
    assert any(each.startswith("CREATE RULE quiet") for each in late)
    assert not any(" ON public.t " in each for each in early if "TRIGGER" in each)


def test_every_kind_of_object_is_either_written_or_named(make: Make) -> None:
    """The corpus has all kinds that can be written."""
    seen = set()
    for sql in SCHEMAS.values():
        connection = make()
        try:
            connection.execute(sql.encode())
        except (psycopg.errors.FeatureNotSupported, psycopg.errors.SyntaxError):
            continue
        seen |= {each.kind for each in read(connection).objects}
    parts = {Kind.COLUMN, Kind.COLUMN_ORDER, Kind.CONSTRAINT, Kind.INDEX, Kind.RULE, Kind.TRIGGER}
    unwritten = {Kind.FOREIGN_TABLE, Kind.OTHER}
    assert seen >= set(Kind) - parts - unwritten - {Kind.POLICY}
