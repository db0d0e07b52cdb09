"""Backfills through the runner: what is written, how often, and from where it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from neuron_schema.model import Event, StepProgress
from neuron_schema.runner import MigrationRunner
from tests.backfills import batches, create_items, touches, write_backfill
from tests.conftest import libpq
from tests.runs import applied, leftovers, scalar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield connection


def test_every_row_is_written_once(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """In several batches, each with its row in the log, and the report tells how many."""
    create_items(observer, 1000)
    up = (
        '[Backfill(items, {"b": func.lower(items.c.a)}, where=items.c.b.is_(None), batch_size=100)]'
    )
    events: list[Event] = []
    report = MigrationRunner(engine, write_backfill(tmp_path, up), listeners=[events.append]).up()
    assert scalar(observer, "SELECT count(*) FROM items WHERE b = lower(a)") == 1000
    assert touches(observer) == (1000, 1)
    assert report.steps[0].rows == 1000
    assert batches(observer) > 2
    assert applied(observer) == ["001"]
    assert leftovers(observer) == []
    progress = [event for event in events if isinstance(event, StepProgress)]
    assert progress[-1].done == 1000
    assert {one.unit for one in progress} == {"rows"}


def test_rows_are_computed_by_a_function(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Outside of the database."""
    create_items(observer, 1000)
    more = 'def lower(rows):\n    return [{"b": row["a"].lower()} for row in rows]\n'
    up = '[BackfillRows(items, lower, ["a"], where=items.c.b.is_(None))]'
    report = MigrationRunner(engine, write_backfill(tmp_path, up, more=more)).up()
    assert scalar(observer, "SELECT count(*) FROM items WHERE b = lower(a)") == 1000
    assert touches(observer) == (1000, 1)
    assert report.steps[0].rows == 1000
    assert batches(observer) == 11
