"""psql runs a backfill's script in batches, with the result that the runner has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.history import HistoryTable
from neuron_schema.planning import make_plan, select_range
from neuron_schema.runner import MigrationRunner
from neuron_schema.script import psql_script
from tests.backfills import LOWER, create_items, touches, write_backfill
from tests.conftest import libpq
from tests.integration.test_script import PSQL_FAILED, offline, online, psql, run
from tests.runs import applied, scalar
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

LEFT = "SELECT count(*) FROM items WHERE b IS DISTINCT FROM lower(a)"


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("source", ["online", "offline"])
@pytest.mark.parametrize("where", ["", ", where='b IS NULL AND found IS NULL'"])
def test_psql_changes_every_row_once_in_batches(
    database: URL,
    engine: Engine,
    observer: psycopg.Connection,
    tmp_path: Path,
    *,
    where: str,
    source: str,
) -> None:
    """Each committed by itself, as the transactions of the writes tell."""
    create_items(observer, 95)
    observer.execute("ALTER TABLE items ADD CHECK (current_setting('enable_sort') = 'on')")
    observer.execute("ALTER TABLE ledger.touched ADD tx xid8 DEFAULT pg_current_xact_id()")
    # Names of variables of plpgsql and of ours are names of columns too.
    observer.execute("ALTER TABLE items ADD found text, ADD neuron_schema_rows text")
    up = f'[Backfill(items, {{"b": func.lower(items.c.a)}}, batch_size=10{where})]'
    path = write_backfill(tmp_path, up)
    script = online(engine, path, "up") if source == "online" else offline(path, "0", "1")
    run(database, script)
    assert scalar(observer, LEFT) == 0
    assert touches(observer) == (95, 1)
    assert scalar(observer, "SELECT count(DISTINCT tx) FROM ledger.touched") == 10
    assert applied(observer) == ["001"]


def test_psql_walks_along_a_composite_key_in_a_schema(
    database: URL, engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """With quoted names, values that psql could mistake, a comment in an expression, a pause."""
    observer.execute(
        'CREATE SCHEMA "S $neuron_schema$" CREATE TABLE "T" ("A" int, b text, n text, '
        'PRIMARY KEY ("A", b))'
    )
    observer.execute(
        'INSERT INTO "S $neuron_schema$"."T" SELECT i, chr(97 + j), NULL '
        "FROM generate_series(1, 10) i, generate_series(0, 9) j"
    )
    write_version(
        tmp_path,
        "001_fill",
        imports="from sqlalchemy import *\nfrom neuron_schema.ops import Backfill",
        body='t = Table("T", MetaData(), Column("A", Integer, primary_key=True), '
        'Column("b", Text, primary_key=True), Column("n", Text), schema="S $neuron_schema$")',
        up='[Backfill(t, {"n": "b || \':x \\\\ %\' -- no; more"}, '
        "where=\"n IS DISTINCT FROM b || ':x \\\\ %' -- none\", batch_size=7, pause=0.001)]",
    )
    run(database, online(engine, tmp_path, "up"))
    texts = scalar(
        observer, 'SELECT string_agg(DISTINCT substr(n, 2), \',\') FROM "S $neuron_schema$"."T"'
    )
    assert texts == ":x \\ %"
    MigrationRunner(engine, tmp_path, allow_non_empty=True).down()
    assert MigrationRunner(engine, tmp_path, allow_non_empty=True).up().steps[0].rows == 0


def test_psql_refuses_a_condition_that_still_holds(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """As the runner does; nothing is recorded."""
    create_items(observer, 5)
    path = write_backfill(tmp_path, '[Backfill(items, {"b": items.c.a}, where="a IS NOT NULL")]')
    ran = psql(database, offline(path, "0", "1"))
    assert ran.returncode == PSQL_FAILED
    assert "condition of a backfill still holds" in ran.stderr
    assert touches(observer) == (0, 0)
    assert applied(observer) == []


def test_psql_refuses_rows_that_cannot_be_changed(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """It would go through them for ever."""
    create_items(observer, 5)
    observer.execute(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    )
    observer.execute(
        "CREATE TRIGGER keep BEFORE UPDATE ON items FOR EACH ROW WHEN (OLD.id = 3) "
        "EXECUTE FUNCTION keep()"
    )
    ran = psql(database, offline(write_backfill(tmp_path, LOWER), "0", "1"))
    assert ran.returncode == PSQL_FAILED
    assert "cannot be changed" in ran.stderr
    assert touches(observer) == (4, 1)


def test_psql_tries_a_batch_again_that_a_lock_held_up(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """After two seconds; the row is free by then."""
    import threading

    create_items(observer, 25)
    path = write_backfill(tmp_path, '[Backfill(items, {"b": "lower(a)"}, batch_size=10)]')
    with psycopg.connect(libpq(database)) as holder:
        holder.execute("SELECT FROM items WHERE id = 15 FOR UPDATE")
        timer = threading.Timer(3, holder.rollback)
        timer.start()
        run(database, offline(path, "0", "1"))
        timer.join()
    assert touches(observer) == (25, 1)


def test_psql_cannot_run_a_function_and_says_so(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """With its text beside, so that a reviewer sees what it would do."""
    create_items(observer, 5)
    more = 'def lower(rows):\n    return [{"b": row["a"].lower()} for row in rows]  # 100%\n'
    up = '[BackfillRows(items, lower, ["a"], where="a LIKE \'A%\' AND b IS NULL")]'
    script = offline(write_backfill(tmp_path, up, more=more), "0", "1")
    assert '--       return [{"b": row["a"].lower()} for row in rows]  # 100%' in script
    assert "-- the function lower, revision 1:" in script
    ran = psql(database, script)
    assert ran.returncode == PSQL_FAILED
    assert "is run by neuron-schema" in ran.stderr
    assert "A%" in ran.stderr
    assert applied(observer) == []


def test_a_function_s_text_cannot_leave_its_comment(tmp_path: Path) -> None:
    """Not by any character that psql or a terminal takes for the end of a line."""
    more = "def evil(rows):\n    return rows  # \x0c\x1b[2J\\! date\n"
    path = write_backfill(tmp_path, '[BackfillRows(items, evil, ["a"])]', more=more)
    script = offline(path, "0", "1")
    assert "\x1b" not in script
    assert "\x0c" not in script
    shown = [line for line in script.splitlines() if "date" in line]
    assert shown
    assert all(line.startswith("--") for line in shown)


def test_the_plan_shows_the_first_batch_and_how_many_rows_there_are(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """As comments that are SQL themselves: the first batch does what it says."""
    create_items(observer, 35)
    found = VersionSet(write_backfill(tmp_path, LOWER.replace("=100", "=10")))
    selection = select_range(found.infos(), "0", "1")
    plan = make_plan(selection, found.migrations(selection.infos), ())
    script = psql_script(plan, HistoryTable(), estimates={"001": 35})
    assert "-- rows of items: about 35" in script
    assert "-- rows of items: unknown" in psql_script(plan, HistoryTable(), estimates={"001": None})
    assert "-- rows of" not in psql_script(plan, HistoryTable())
    lines = script.splitlines()
    first = lines.index("-- the first batch:")
    commented = []
    for line in lines[first + 1 :]:
        if not line.startswith("--   "):
            break
        commented.append(line.removeprefix("--   "))
    assert observer.execute("\n".join(commented).encode()).rowcount == 10
    assert scalar(observer, "SELECT max(id) FROM items WHERE b IS NOT NULL") == 10


def test_a_dry_run_is_the_one_update(engine: Engine, tmp_path: Path) -> None:
    """For programs, which want statements and no script."""
    engine = create_engine(engine.url, poolclass=NullPool)
    statements = MigrationRunner(
        engine, write_backfill(tmp_path, LOWER), allow_non_empty=True
    ).dry_run()
    assert statements[0] == "UPDATE items\n   SET b = lower(items.a)\n WHERE items.b IS NULL"
