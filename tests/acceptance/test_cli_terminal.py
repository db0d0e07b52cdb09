"""On a terminal: colours, the bar, the question, and the keys that interrupt."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import psycopg

from neuron_schema.cli.progress import Progress
from tests.acceptance.command import PROGRAM, eventually
from tests.acceptance.conftest import applied, nobody_sleeps, tables, wait_for_sleep
from tests.conftest import libpq
from tests.gate import Gate, gated_table
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from sqlalchemy.engine import URL

    from neuron_schema.events import StepProgress
    from tests.acceptance.command import Command

COLOUR = re.compile(r"\x1b\[[\d;]*m")
BUILDING = "SELECT 1 FROM pg_stat_progress_create_index WHERE datname = current_database()"


def sleeping(directory: Path, label: str) -> None:
    """Write a version that makes a table and then sleeps for longer than a test."""
    write_version(
        directory,
        label,
        up=["CREATE TABLE half ()", "SELECT pg_sleep(100)", "CREATE TABLE done ()"],
    )


def test_up_shows_a_bar_and_colours_on_a_terminal(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """The bar goes, the lines stay; with NO_COLOR there is no colour; a file gets the lines."""
    write_version(versions, "002_b", up=["SELECT pg_sleep(0.3)"])
    shown = cli.terminal("up").finish()
    assert "001_a  \x1b[32mapplied\x1b[0m" in shown
    assert "\u2501" in shown
    assert "1/3" in shown
    assert "\x1b[32m001      a     applied" in cli.terminal("status").finish()
    cli.quick("reset", "--yes")
    script = f"{PROGRAM} up --count 1 > out"
    assert "\u2501" in cli.terminal_of(["/bin/sh", "-c", script]).finish()
    assert (cli.directory / "out").read_text().startswith("001_a  applied  ")
    bare = cli.terminal("up", env={"NO_COLOR": "1"}).finish()
    assert not COLOUR.search(bare)
    assert "003_c  applied  " in bare


def test_a_build_has_a_bar_of_its_own_on_a_terminal(
    cli: Command, connection: psycopg.Connection, database: URL
) -> None:
    """Phase, percentage and rate, below the bar of the versions; both go in the end."""
    gated_table(connection)
    sql = "CREATE INDEX slow ON gated (gate(n))"
    write_version(cli.directory / "versions", "001_slow", up=[sql])
    with Gate(libpq(database)) as gate:
        terminal = cli.terminal("up", "--allow-non-empty")
        terminal.expect("building index: scanning table")
        terminal.expect("%, 0.0 blocks/s")
        gate.open()
        shown = terminal.finish()
    plain = COLOUR.sub("", shown)
    assert re.search(r"001_slow .*0/1 .*\n.*building index: scanning table .* \d\d%", plain)
    assert "001_slow  \x1b[32mapplied" in shown


def test_a_build_has_a_line_now_and_then_off_a_terminal(
    cli: Command, connection: psycopg.Connection, database: URL
) -> None:
    """On stderr, where a log of a deployment has it; stdout has the result alone."""
    gated_table(connection)
    sql = "CREATE INDEX slow ON gated (gate(n))"
    write_version(cli.directory / "versions", "001_slow", up=[sql])
    with Gate(libpq(database)) as gate:
        process = cli.start("up", "--allow-non-empty")
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(2)]
        gate.open()
        ended = cli.finish(process)
    assert re.fullmatch(
        r"001_slow: building index: scanning table, \d\d% of \d+ blocks, 0\.0 blocks/s\n", lines[1]
    )
    assert ended.out.startswith("001_slow  applied")
    assert ended.err == ""


def test_a_build_says_nothing_beside_its_object(
    cli: Command, connection: psycopg.Connection, database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --json the outcome is all that is wanted."""
    monkeypatch.setattr(Progress, "LINE_EVERY_S", 0.0)
    gated_table(connection)
    write_version(
        cli.directory / "versions", "001_slow", up=["CREATE INDEX slow ON gated (gate(n))"]
    )
    heard = []
    go_on = Progress._go_on

    def spied(self: Progress, event: StepProgress) -> None:
        go_on(self, event)
        heard.append(event)
        gate.open()

    monkeypatch.setattr(Progress, "_go_on", spied)
    with Gate(libpq(database)) as gate:
        ended = cli.quick("up", "--allow-non-empty", "--json")
    assert heard
    assert ended.err.splitlines() == [f"target: {ended.err.partition(': ')[2].strip()}"]


def test_down_asks_on_a_terminal(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """Only yes goes on; no, the end of the input and Ctrl-C change nothing."""
    cli.quick("up")
    for keys, code in (("n\n", 9), ("\x04", 9), ("\x03", 130)):
        terminal = cli.terminal("reset")
        terminal.expect("Roll back 003_c, 002_b, 001_a? [y/N] ")
        # A signal that comes just before the read is only seen by Python after it.
        time.sleep(0.3)
        terminal.type(keys)
        assert "Traceback" not in terminal.finish(code)
        assert applied(connection) == ["001", "002", "003"]
    terminal = cli.terminal("down", "2")
    terminal.expect("Roll back 003_c? [y/N] ")
    terminal.type("y\n")
    assert "003_c  \x1b[32mrolled back\x1b[0m" in terminal.finish()
    assert tables(connection) == ["a", "b"]


def test_ctrl_c_rolls_the_version_back_and_ends_its_statement(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """Exit 130; what was committed before stays, and a second run goes on from there."""
    sleeping(versions, "002_b")
    terminal = cli.terminal("up")
    terminal.expect("001_a  \x1b[32mapplied\x1b[0m")
    wait_for_sleep(connection)
    terminal.type("\x03")
    shown = terminal.finish(130)
    assert "interrupted in 002_b (up); it was rolled back" in shown
    assert nobody_sleeps(connection)
    assert tables(connection) == ["a"]
    assert applied(connection) == ["001"]
    write_version(versions, "002_b")
    cli.quick("up")


def test_sigterm_rolls_back_and_still_prints_its_object(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """Exit 143 with the outcome of every step, in up and in down."""
    write_version(versions, "003_c", up=["CREATE TABLE c ()"], down=["SELECT pg_sleep(100)"])
    sleeping(versions, "004_d")
    process = cli.start("up", "--json")
    wait_for_sleep(connection)
    process.terminate()
    ended = cli.finish(process, 143).json
    assert [step["outcome"] for step in ended["steps"]] == [*["applied"] * 3, "failed"]
    assert ended["error"]["code"] == "NS130"
    assert nobody_sleeps(connection)
    assert tables(connection) == ["a", "b", "c"]

    process = cli.start("down", "--yes")
    wait_for_sleep(connection)
    process.terminate()
    assert "interrupted in 003_c (down); it stays applied" in cli.finish(process, 143).err
    assert nobody_sleeps(connection)
    assert applied(connection) == ["001", "002", "003"]


def test_an_interrupted_index_build_is_completed_by_the_next_run(
    cli: Command, connection: psycopg.Connection, database: URL
) -> None:
    """CONCURRENTLY commits on its own: the message does not speak of a rollback."""
    versions = cli.directory / "versions"
    write_version(versions, "001_a", up=["CREATE TABLE a (id int)"], down=["DROP TABLE a"])
    source = "from sqlalchemy import Column, Index, Integer, MetaData, Table\n"
    source += "from sqlalchemy.schema import CreateIndex, DropIndex"
    body = 'a = Table("a", MetaData(), Column("id", Integer))\n'
    body += 'ix = Index("ix_a", a.c.id, postgresql_concurrently=True)'
    down = "[DropIndex(ix)]"
    write_version(versions, "002_ix", imports=source, body=body, up="[CreateIndex(ix)]", down=down)
    cli.quick("up", "1")
    with psycopg.connect(libpq(database)) as writer:
        # The build waits for every transaction that wrote to the table.
        writer.execute("INSERT INTO a VALUES (1)")
        process = cli.start("up")
        assert process.stderr is not None
        process.stderr.readline()
        for _ in eventually():
            if connection.execute(BUILDING).fetchall():
                break
        process.terminate()
        assert "002_ix, which commits on its own" in cli.finish(process, 143).err
    cli.quick("up")
    assert applied(connection) == ["001", "002"]
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_a'::regclass"
    assert connection.execute(valid).fetchall() == [(True,)]
