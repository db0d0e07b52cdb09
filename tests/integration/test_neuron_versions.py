"""The Neuron schema's versions against the specification's SQL, on a real server."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, insert, select
from sqlalchemy.pool import NullPool

from neuron_schema import tables
from tests.fingerprint import fingerprint
from tests.neuron_rows import fill, rows_of_001
from tests.neuron_versions import migrate
from tests.reference_sql import (
    VERSIONS,
    reference_down,
    reference_down_as_specified,
    reference_up,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

pytestmark = [pytest.mark.extension("uuid-ossp"), pytest.mark.extension("vector")]

STATES = ("000", *VERSIONS)
EXTENSIONS = 'CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION vector;'


@pytest.fixture(scope="module")
def reference_catalogs(server: URL, admin: psycopg.Connection) -> Iterator[dict[str, object]]:
    """Yield the catalog that the specification's SQL makes, by the version reached."""
    # The marks above are looked at per test, which is too late for a fixture of the module.
    available = admin.execute("SELECT name FROM pg_available_extensions").fetchall()
    if not {("uuid-ossp",), ("vector",)} <= set(available):
        pytest.skip("the server has no extension uuid-ossp or vector")
    name = f"reference_{random.SystemRandom().getrandbits(48):x}"
    admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    engine = create_engine(server.set(database=name), poolclass=NullPool)
    try:
        catalogs: dict[str, object] = {"000": catalog(engine)}
        for version in VERSIONS:
            execute(engine, reference_up(version))
            catalogs[version] = catalog(engine)
        yield catalogs
    finally:
        engine.dispose()
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def execute(engine: Engine, sql: str) -> None:
    """Run verbatim SQL in one transaction."""
    with engine.connect().execution_options(no_parameters=True) as connection:
        connection.exec_driver_sql(sql)
        connection.commit()


def catalog(engine: Engine) -> object:
    """Return the fingerprint of a database."""
    with engine.connect() as connection:
        return fingerprint(connection)


def test_every_version_makes_a_catalog_of_its_own(reference_catalogs: dict[str, object]) -> None:
    """The comparisons below can fail: no two versions have the same fingerprint."""
    assert len(set(reference_catalogs.values())) == len(STATES)


def test_each_step_up_makes_the_specified_catalog(
    engine: Engine, reference_catalogs: dict[str, object]
) -> None:
    """After each version the catalog equals the one that the specification's SQL makes."""
    for version in VERSIONS:
        migrate(engine, version)
        assert catalog(engine) == reference_catalogs[version], version


def test_each_step_down_restores_what_was_before(
    engine: Engine, reference_catalogs: dict[str, object]
) -> None:
    """Rolled back one by one, each version leaves the catalog that it found."""
    migrate(engine, "004")
    for version in reversed(STATES[:-1]):
        migrate(engine, version)
        assert catalog(engine) == reference_catalogs[version], version


def test_the_specified_rollbacks_lead_to_the_same_catalogs(
    engine: Engine, reference_catalogs: dict[str, object]
) -> None:
    """The specification's rollbacks, 003 put in order, undo our versions step by step."""
    migrate(engine, "004")
    for version, before in zip(reversed(VERSIONS), reversed(STATES[:-1]), strict=True):
        execute(engine, reference_down(version))
        assert catalog(engine) == reference_catalogs[before], version


def test_the_specified_rollback_of_clusters_is_refused_by_postgresql(engine: Engine) -> None:
    """003 departs from the specification, whose order of drops PostgreSQL refuses."""
    migrate(engine, "003")
    with pytest.raises(Exception, match="other objects depend on it") as refused:
        execute(engine, reference_down_as_specified("003"))
    assert isinstance(refused.value.__cause__, psycopg.errors.DependentObjectsStillExist)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_with_rows_in_every_table_rolls_back_to_nothing(
    engine: Engine, reference_catalogs: dict[str, object], version: str
) -> None:
    """Rows hinder no rollback, and those of earlier versions stay as they are."""
    migrate(engine, version)
    with engine.begin() as connection:
        fill(connection, version)
        kept = rows_of_001(connection)
    for reached in reversed(STATES[: STATES.index(version)]):
        migrate(engine, reached)
        assert catalog(engine) == reference_catalogs[reached], reached
        if reached != "000":
            with engine.connect() as connection:
                assert rows_of_001(connection) == kept, reached


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_a_version_can_be_applied_again_over_rows(
    engine: Engine, reference_catalogs: dict[str, object], version: str
) -> None:
    """Down and up again over a filled schema gives the same catalog."""
    migrate(engine, version)
    with engine.begin() as connection:
        fill(connection, version)
        kept = rows_of_001(connection)
    migrate(engine, STATES[STATES.index(version) - 1])
    migrate(engine, version)
    assert catalog(engine) == reference_catalogs[version]
    with engine.connect() as connection:
        assert rows_of_001(connection) == kept


def test_the_tables_module_equals_the_newest_version(
    engine: Engine, reference_catalogs: dict[str, object]
) -> None:
    """``tables.metadata.create_all`` makes the catalog that the versions make."""
    execute(engine, EXTENSIONS)
    tables.metadata.create_all(engine)
    assert catalog(engine) == reference_catalogs[VERSIONS[-1]]


def test_nodes_are_found_by_cosine_distance_through_the_index(engine: Engine) -> None:
    """A service stores embeddings and finds the nearest through ``idx_nodes_embedding``.

    The planner is free to choose; below some 800 rows it rightly reads the whole table.
    """
    migrate(engine, "004")
    numbers = random.Random(1)
    vectors = [[numbers.gauss(0, 1) for _ in range(1536)] for _ in range(1200)]
    nodes = tables.nodes
    with engine.begin() as connection:
        connection.execute(
            insert(nodes),
            [
                {"slug": f"node-{i}", "label": f"Node {i}", "embedding": vector}
                for i, vector in enumerate(vectors)
            ],
        )
    execute(engine, "ANALYZE nodes")

    wanted = [value + numbers.gauss(0, 0.1) for value in vectors[123]]
    distance = nodes.c.embedding.cosine_distance(wanted)
    query = select(nodes.c.slug, distance.label("distance")).order_by(distance).limit(3)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
        sql = query.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True})
        explain = connection.execution_options(no_parameters=True).exec_driver_sql(f"EXPLAIN {sql}")
        plan = "\n".join(explain.scalars())

    assert [rows[0].slug, len(rows)] == ["node-123", 3]
    assert rows[0].distance < 0.1 < rows[1].distance
    assert "Index Scan using idx_nodes_embedding" in plan
