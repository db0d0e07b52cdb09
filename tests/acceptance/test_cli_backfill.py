"""Backfills as a user of the command sees them: planned, run, and told of."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.backfills import LOWER, create_items, touches, write_backfill
from tests.runs import scalar, wait_for
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.command import Command


def test_a_plan_shows_the_rows_and_the_first_batch(
    cli: Command, offline: Command, tmp_path: Path, connection: psycopg.Connection
) -> None:
    """As the server knows them; without one there is no number, and nothing is written."""
    write_backfill(tmp_path / "versions", LOWER)
    assert "-- rows of items: unknown" in cli("plan").out
    create_items(connection, 123)
    assert "-- rows of items: unknown" in cli("plan").out
    connection.execute("ANALYZE items")
    for command in (("plan",), ("up", "--dry-run")):
        text = cli(*command).out
        assert "-- rows of items: about 123" in text
        assert "--    WHERE id <= (SELECT id FROM items WHERE (items.b IS NULL)" in text
    assert "-- rows of" not in offline("sql").out
    assert touches(connection) == (0, 0)
    assert scalar(connection, "SELECT to_regclass('neuron_migration_log')") is None


def test_a_plan_as_json_has_the_statement_and_how_it_is_divided(
    cli: Command, tmp_path: Path, connection: psycopg.Connection
) -> None:
    """The one UPDATE, and beside it what the batches are made of; functions with their text."""
    create_items(connection, 7)
    connection.execute("ANALYZE items")
    write_version(tmp_path / "versions", "001_a", up=["SELECT 1"])
    write_backfill(tmp_path / "versions", LOWER, label="002_fill")
    more = "def same(rows):\n    return [None for _ in rows]\n"
    up = '[BackfillRows(items, same, ["a"], pause=2)]'
    write_backfill(tmp_path / "versions", up, label="003_rows", more=more)
    plain, fill, rows = cli("plan", "--json").json["steps"]
    assert "backfill" not in plain
    assert fill["transactional"] is False
    assert fill["statements"] == ["UPDATE items\n   SET b = lower(items.a)\n WHERE items.b IS NULL"]
    assert fill["backfill"] == {
        "table": "items",
        "key": ["id"],
        "set": {"b": "lower(items.a)"},
        "where": "items.b IS NULL",
        "batch_size": 100,
        "pause": 0.0,
        "function": None,
        "estimated_rows": 7,
    }
    assert rows["backfill"]["function"] == {
        "name": "same",
        "columns": ["a"],
        "revision": "1",
        "source": more.rstrip(),
    }


def test_up_tells_how_many_rows_were_written_and_what_is_to_be_known(
    cli: Command, tmp_path: Path, connection: psycopg.Connection
) -> None:
    """On the version's line, and in the JSON object; a warning when a function was altered."""
    create_items(connection, 30)
    more = "def some(rows):\n    return [{'b': 'x'} if row['id'] > 10 else None for row in rows]\n"
    up = '[BackfillRows(items, some, ["a"], where="b IS NULL")]'
    down = '[Backfill(items, {"b": None})]'
    write_backfill(tmp_path / "versions", up, down=down, more=more)
    first = cli("up", "-v", "--allow-non-empty")
    line = re.sub(r"\d+(\.\d)? m?s", "T", first.out)
    assert line == "001_fill  applied  T  20 rows  (10 rows were left as they were)\n"
    assert "lock_timeout = 2000ms" in first.err
    assert "warning" not in first.err
    (step,) = cli("down", "--yes", "--json").json["steps"]
    assert (step["rows"], step["note"]) == (30, "")
    write_backfill(tmp_path / "versions", up, down=down, more=more + "    # altered\n")
    again = cli("up", "--allow-non-empty")
    assert "warning: 001_fill: the text of some is another than before" in again.err
    assert "under the same revision 1" in again.out


def test_a_warning_of_a_step_is_in_the_json_object(
    cli: Command, tmp_path: Path, connection: psycopg.Connection
) -> None:
    """What it is of is seen only while it runs, and nobody reads the stderr of a pipeline."""
    create_items(connection, 50)
    connection.execute("ALTER TABLE items ADD CHECK (b <> 'a15')")
    values = "a || id"
    for code in (1, 0):
        up = f'[Backfill(items, {{"b": "{values}"}}, where="b IS NULL", batch_size=10)]'
        write_backfill(tmp_path / "versions", up)
        connection.execute("UPDATE items SET a = 'a' WHERE b IS NULL")
        ended = cli("up", "--allow-non-empty", "--json", code=code)
        values = "'ok'"
    [warning] = ended.json["warnings"]
    assert warning.startswith("001_fill: begins anew: the version or its table is another than")
    assert f"warning: {warning}" in ended.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_backfill_is_completed_by_the_next_run(
    cli: Command, tmp_path: Path, connection: psycopg.Connection, number: signal.Signals
) -> None:
    """What is committed stays, what is not is rolled back, and no row is written twice."""
    create_items(connection, 60)
    # Its batches stop at a row that another session has locked.
    connection.execute("BEGIN; SELECT FROM items WHERE id = 45 FOR UPDATE")
    write_backfill(tmp_path / "versions", '[Backfill(items, {"b": "lower(a)"}, batch_size=10)]')
    process = cli.start("up", "--allow-non-empty")
    with psycopg.connect(connection.info.dsn, autocommit=True) as observer:
        wait_for(
            lambda: scalar(
                observer,
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND wait_event_type = 'Lock'",
            )
        )
        process.send_signal(number)
        ended = cli.finish(process, code=128 + number)
        assert "001_fill, which commits on its own; the next run completes it" in ended.err
        connection.execute("ROLLBACK")
        done, most = touches(observer)
    assert 0 < done < 45
    assert most == 1
    assert "60 rows" in cli("up", "--allow-non-empty").out
    assert touches(connection) == (60, 1)


def test_a_step_that_is_no_backfill_tells_of_no_rows(cli: Command, versions: Path) -> None:
    """Its rows are null, and it has nothing to be noted."""
    step = cli("up", "--allow-non-empty", "--json").json["steps"][0]
    assert (step["rows"], step["note"]) == (None, "")
