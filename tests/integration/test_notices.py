"""What the server says while a step runs reaches whoever listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import create_engine

from neuron_schema import notices
from neuron_schema.errors import StatementFailed
from neuron_schema.events import ServerNotice, StepEnded
from neuron_schema.notices import Notices
from neuron_schema.runner import MigrationRunner
from tests.conftest import libpq
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

    from neuron_schema.events import Event


def said(events: list[Event]) -> list[tuple[str, str, str]]:
    """Return version, severity and text of what was noticed."""
    found = [event for event in events if isinstance(event, ServerNotice)]
    return [(event.step.version, event.severity, event.text) for event in found]


def raising(text: str, level: str = "NOTICE") -> str:
    """Return a statement that says something."""
    return f"DO $$ BEGIN RAISE {level} '{text}'; END $$"


def test_a_step_tells_what_the_server_said_before_it_ends(engine: Engine, tmp_path: Path) -> None:
    """In order, with severity, detail and hint; each step its own."""
    write_version(tmp_path, "001_a", up=[raising("one"), raising("two", "WARNING")])
    write_version(
        tmp_path,
        "002_b",
        up=["DO $$ BEGIN RAISE NOTICE 'm' USING DETAIL = 'd', HINT = 'h'; END $$"],
    )
    events: list[Event] = []
    MigrationRunner(engine, tmp_path, listeners=[events.append]).up()
    assert said(events) == [
        ("001", "NOTICE", "one"),
        ("001", "WARNING", "two"),
        ("002", "NOTICE", "m; d; h"),
    ]
    kinds = [type(event) for event in events]
    assert kinds.index(StepEnded) > kinds.index(ServerNotice)


def test_a_step_that_fails_tells_it_too(engine: Engine, tmp_path: Path) -> None:
    """It may say why."""
    write_version(tmp_path, "001_a", up=[raising("nearly"), "SELECT 1/0"])
    events: list[Event] = []
    with pytest.raises(StatementFailed):
        MigrationRunner(engine, tmp_path, listeners=[events.append]).up()
    assert said(events) == [("001", "NOTICE", "nearly")]


def test_of_several_attempts_the_last_one_tells(
    engine: Engine, database: URL, tmp_path: Path
) -> None:
    """What the others said was rolled back with them."""
    events: list[Event] = []
    with psycopg.connect(libpq(database), autocommit=True) as holder:
        holder.execute("CREATE SCHEMA app CREATE TABLE t ()")
        holder.execute("BEGIN; LOCK app.t")

        def listen(event: Event) -> None:
            events.append(event)
            if type(event).__name__ == "StepWaiting":
                holder.execute("ROLLBACK")

        write_version(tmp_path, "001_a", up=[raising("once"), "ALTER TABLE app.t ADD x int"])
        MigrationRunner(engine, tmp_path, listeners=[listen], lock_timeout=0.05).up()
    assert said(events) == [("001", "NOTICE", "once")]


def test_an_operation_that_commits_on_its_own_tells_it(
    engine: Engine, database: URL, tmp_path: Path
) -> None:
    """On the connection that it runs on."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA app CREATE TABLE t (x int); INSERT INTO app.t VALUES (7); "
            "CREATE FUNCTION app.f(x int) RETURNS int IMMUTABLE LANGUAGE plpgsql "
            "AS $$ BEGIN RAISE NOTICE 'indexing %', x; RETURN x; END $$"
        )
    write_version(
        tmp_path,
        "001_a",
        imports="from sqlalchemy import Column, Index, Integer, MetaData, Table, func\n"
        "from sqlalchemy.schema import CreateIndex",
        body='t = Table("t", MetaData(), Column("x", Integer), schema="app")\n'
        'index = Index("i", func.app.f(t.c.x), postgresql_concurrently=True)',
        up="[CreateIndex(index)]",
    )
    events: list[Event] = []
    MigrationRunner(engine, tmp_path, listeners=[events.append]).up()
    assert ("001", "NOTICE", "indexing 7") in said(events)


def test_many_and_long_notices_are_cut(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop may raise one for each row."""
    monkeypatch.setattr(notices, "MOST", 2)
    monkeypatch.setattr(notices, "LONGEST", 10)
    loop = "DO $$ BEGIN FOR i IN 1..5 LOOP RAISE NOTICE '%', repeat('x', 11); END LOOP; END $$"
    write_version(tmp_path, "001_a", up=[loop])
    events: list[Event] = []
    MigrationRunner(engine, tmp_path, listeners=[events.append]).up()
    assert [text for _, _, text in said(events)] == ["xxxxxxx..."] * 2 + ["3 more like these"]


def test_a_connection_goes_back_to_its_pool_without_our_listener(
    engine: Engine, database: URL, tmp_path: Path
) -> None:
    """A service's own sessions tell us nothing afterwards."""
    pooled = create_engine(database)
    write_version(tmp_path, "001_a", up=[raising("ours")])
    events: list[Event] = []
    MigrationRunner(pooled, tmp_path, listeners=[events.append]).up()
    with pooled.connect() as connection:
        connection.exec_driver_sql(raising("theirs"))
        raw: Any = connection.connection.driver_connection
        # SQLAlchemy has one of its own, which logs.
        assert not [
            one
            for one in raw._notice_handlers
            if isinstance(getattr(one, "__self__", None), Notices)
        ]
    pooled.dispose()
    assert [text for _, _, text in said(events)] == ["ours"]
