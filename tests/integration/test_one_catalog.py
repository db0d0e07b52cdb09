"""One history gives one catalog, whatever library and server it is run by.

The catalogs are kept in ``tests/golden/catalog-*.json``. The suite runs with the oldest and the
newest SQLAlchemy and on every server major at hand (``.ci/run``), and each of these runs holds
what it builds against the same files. ``NEURON_SCHEMA_WRITE_GOLDEN=1`` writes them anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from neuron_schema import MigrationRunner
from neuron_schema.catalog import snapshot
from neuron_schema.history import HistoryTable
from tests.conftest import libpq

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

_TESTS = Path(__file__).parent.parent


def catalog(database: URL) -> list[Any]:
    """Return the objects of a database's schema, without what is the server's own."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        objects = snapshot(connection, history=HistoryTable()).unowned().plain()["objects"]
    for each in objects:
        if each["kind"] == "extension":
            # Each server brings its own.
            each.pop("version")
            each.pop("comment", None)
    return list(objects)


def check(name: str, found: list[Any]) -> None:
    """Hold a catalog against the one that is kept."""
    path = _TESTS / "golden" / f"catalog-{name}.json"
    text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if os.environ.get("NEURON_SCHEMA_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.extension("uuid-ossp")
@pytest.mark.extension("vector")
def test_neurons_history_gives_one_catalog(engine: Engine, database: URL) -> None:
    """All four versions."""
    MigrationRunner(engine, "neuron_schema.versions").up()
    check("neuron", catalog(database))


def test_a_history_of_everything_gives_one_catalog(engine: Engine, database: URL) -> None:
    """Columns with all that they can have, types, routines, triggers, policies, partitions."""
    runner = MigrationRunner(engine, _TESTS / "one_catalog")
    runner.up()
    check("everything", catalog(database))
    runner.down(to="0")
    runner.up()
    check("everything", catalog(database))
