"""Streams that are closed, full, not read or of another encoding; texts that steer a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.command import PROGRAM
from tests.acceptance.conftest import applied
from tests.backfills import create_items, write_backfill
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from tests.acceptance.command import Command

MODULES = """
import sys
from neuron_schema.cli import main
sys.argv[0] = "neuron-schema"
try:
    main()
finally:
    heavy = {"sqlalchemy", "rich", "pgvector"}
    print("imported:", *sorted(heavy & sys.modules.keys()))
"""


def test_a_reader_that_leaves_is_no_error(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """``plan | head -1`` is silent; ``up`` goes on, since what is asked for is the schema."""
    long = "SELECT '" + "x" * 300_000 + "'"
    write_version(versions, "003_c", up=[long])
    piped = cli.shell('"$0" plan | head -1')
    assert piped.out == "\\set ON_ERROR_STOP on\n"
    assert len(piped.err.splitlines()) == 1

    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [str(PROGRAM), "up"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cli.directory,
        env=cli.environment,
    )
    os.close(writer)
    err = cli.finish(process).err
    assert err.splitlines()[1:] == ["warning: stdout cannot be written; the run goes on"]
    assert applied(connection) == ["001", "002", "003"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_result_that_cannot_be_written_is_an_error(cli: Command, versions: Path) -> None:
    """A full disk must not look like an empty plan."""
    result = cli.shell('"$0" plan > /dev/full', code=1)
    assert "stdout cannot be written: No space left on device" in result.err
    assert "No space left" in cli.shell('"$0" status --json > /dev/full', code=1).err


def test_closed_streams_do_no_harm(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """A daemon may have none of the three."""
    cli.shell('exec "$0" up <&- >&- 2>&-')
    assert applied(connection) == ["001", "002", "003"]
    assert "error[NS902]" in cli.shell('exec "$0" reset <&-', code=9).err
    assert cli.shell('exec "$0" status 2>&-').out.count("applied") == 4
    cli.shell('exec "$0" down <&- >&- 2>&-', code=9)


def test_other_encodings_lose_nothing(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """A name that the terminal's encoding lacks is escaped; a script is always UTF-8."""
    write_version(
        versions,
        "004_gr\u00f6\u00dfe",
        up=['CREATE TABLE "gr\u00f6\u00dfe" (id int)'],
        docstring="Gr\u00f6\u00dfe \u2713.",
    )
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    assert 'CREATE TABLE "gr\u00f6\u00dfe"' in cli("plan", env=ascii_only).out
    assert "004_gr\\xf6\\xdfe  applied" in cli("up", env=ascii_only).out
    assert "Gr\\xf6\\xdfe \\u2713." in cli("status", env=ascii_only).out
    assert cli.quick("status", "--json").json["migrations"][3]["name"] == "gr\u00f6\u00dfe"


def test_what_a_version_prints_does_not_reach_stdout(
    cli: Command, tmp_path: Path, connection: psycopg.Connection
) -> None:
    """A script for psql and the one JSON object stay whole; the text is on stderr."""
    create_items(connection, 3)
    more = """
print("at import")
def fill(rows):
    print("a batch of", len(rows))
    return [{"b": "x"} for _ in rows]
"""
    up = '[BackfillRows(items, fill, ["a"], revision="1", where=items.c.b.is_(None))]'
    write_backfill(tmp_path / "versions", up, label="001_fill", more=more)
    script = cli("sql")
    assert script.out.startswith("\\set ON_ERROR_STOP on\n")
    assert "at import" not in script.out
    assert "at import\n" in script.err
    assert cli("check", "--json").json["errors"] == []
    done = cli("up", "--allow-non-empty", "--json")
    assert done.json["steps"][0]["rows"] == 3
    assert "a batch of 3\n" in done.err


def test_nothing_that_is_printed_steers_a_terminal(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """Escapes in a description, a name in the history, and a server's message are shown as text."""
    write_version(
        versions,
        "002_b",
        up=["DO $$ BEGIN RAISE EXCEPTION E'\\x1b[2Jgone\\nerror[NS000]: forged'; END $$"],
        docstring="\x1b[31mRed \u202eder",
    )
    error = cli.quick("up", code=1).err
    assert "\\x1b[2Jgone error[NS000]: forged" in error
    connection.execute("INSERT INTO neuron_migrations VALUES ('009', E'x\\x1b[1m\\n001  forged')")
    status = cli.quick("status")
    assert "\\x1b[31mRed \\u202eder" in status.out
    assert "x\\x1b[1m\\x0a001  forged" in status.out
    connection.execute("DELETE FROM neuron_migrations WHERE version = '009'")
    write_version(versions, "002_b", up=["SELECT '\x1b[5m'"])
    shown = cli.terminal("plan", env={"NO_COLOR": "1"}).finish()
    assert "SELECT '\\x1b[5m'" in shown
    assert "SELECT '\x1b[5m'" in cli.quick("plan").out
    everything = error + status.out + shown
    assert not {"\x1b", "\u202e"} & set(everything)


def test_a_command_with_nothing_to_do_imports_no_sqlalchemy(cli: Command, versions: Path) -> None:
    """With checksums remembered, ``up`` and ``status`` need neither SQLAlchemy nor rich."""
    cli.quick("up")
    for command in ("up", "status"):
        printed = subprocess.run(
            [sys.executable, "-c", MODULES, command],
            cwd=cli.directory,
            env=cli.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert printed.splitlines()[-1] == "imported:", printed
