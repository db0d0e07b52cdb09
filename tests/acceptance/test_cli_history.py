"""``history``, ``repair`` and ``baseline``, and rolling back from what was recorded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.acceptance.conftest import applied, tables
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from tests.acceptance.command import Command


def test_history_tells_what_was_run(cli: Command, versions: Path) -> None:
    """A line per step, oldest first; one version's alone; with the SQL on demand."""
    assert cli.quick("history").out == "nothing was run yet\n"
    cli.quick("up", "2")
    cli.quick("down", "--yes")
    write_version(versions, "002_b", up=["SELECT 1/0"])
    cli.quick("up", code=1)
    lines = cli("history").out.splitlines()
    assert re.split(r" {2,}", lines[0]) == [
        "when",
        "version",
        "direction",
        "outcome",
        "took",
        "by",
        "message",
    ]
    told = [re.split(r" {2,}", line)[1:4] for line in lines[1:]]
    assert told == [
        ["001_a", "up", "applied"],
        ["002_b", "up", "applied"],
        ["002_b", "down", "rolled back"],
        ["002_b", "up", "failed"],
    ]
    assert "division by zero" in lines[-1]
    with_sql = cli.quick("history", "2", "--sql").out
    assert "001_a" not in with_sql
    assert "    CREATE TABLE b (id int);\n" in with_sql
    assert cli.quick("history", "3").out == "version 3 was not run yet\n"
    entries = cli.quick("history", "1", "--json").json["entries"]
    assert [(one["version"], one["outcome"], one["up"]) for one in entries] == [
        ("001", "applied", ["CREATE TABLE a (id int)"])
    ]


def test_what_a_script_applied_has_its_place_in_the_history(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """Without a log, after a version that was rolled back with one: the last word is applied."""
    cli.quick("up", "1")
    write_row = "INSERT INTO neuron_migrations (version, name) VALUES (%s, %s)"
    connection.execute(write_row, ("002", "b"))
    cli.quick("up", "3")
    cli.quick("down", "--yes")
    connection.execute(write_row, ("003", "c"))
    entries = cli.quick("history", "--json").json["entries"]
    assert [(one["version"], one["outcome"], one["run_id"] is None) for one in entries] == [
        ("001", "applied", False),
        ("002", "applied", True),
        ("003", "applied", False),
        ("003", "rolled back", False),
        ("003", "applied", True),
    ]


def test_a_modified_version_shows_what_was_altered(cli: Command, versions: Path) -> None:
    """In ``status``, where ``up`` and ``down`` refuse, and in the object of ``--json``."""
    cli.quick("up")
    write_version(versions, "002_b", up=["CREATE TABLE b (id bigint)"], down=["DROP TABLE b"])
    for arguments, code in ((["status"], 0), (["up"], 4), (["down", "1", "--yes"], 4)):
        shown = cli.quick(*arguments, code=code).err
        assert "--- 002_b as it was applied\n+++ 002_b now\n" in shown
        assert "\n-CREATE TABLE b (id int);\n+CREATE TABLE b (id bigint);\n" in shown
    refused = cli.quick("up", "--json", code=4)
    [diff] = refused.json["diffs"]
    assert diff["version"] == "002"
    assert "+CREATE TABLE b (id bigint);" in diff["diff"]


def test_tabs_in_a_modified_version_are_shown_as_blanks(cli: Command, versions: Path) -> None:
    """SQLAlchemy indents the columns of a table with them."""
    write_version(versions, "002_b", up=["CREATE TABLE b (\n\tid int\n)"])
    cli.quick("up")
    write_version(versions, "002_b", up=["CREATE TABLE b (\n\tid bigint\n)"])
    shown = cli.quick("status").err
    assert re.search(r"^- +id int$", shown, re.MULTILINE)
    assert "x09" not in shown


def test_who_may_not_read_the_log_is_still_told_of_the_conflict(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """Status works for a role that may read the history alone."""
    cli.quick("up")
    write_version(versions, "002_b", up=["SELECT 1"])
    role = f"reader_{connection.info.dbname}"
    connection.execute(
        f'CREATE ROLE "{role}"; GRANT SELECT ON neuron_migrations TO "{role}"'.encode()
    )
    try:
        address = cli.environment["DATABASE_URL"]
        mark = "&" if "?" in address else "?"
        reader = f"{address}{mark}options=-c%20role%3D{role}"
        assert "modified" in cli.quick("status", "--database-url", reader).out
        assert "error[NS400]" in cli.quick("up", "--database-url", reader, code=4).err
    finally:
        connection.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"'.encode())


def test_a_modified_version_is_repaired_as_the_error_says(cli: Command, versions: Path) -> None:
    """With another checksum it is refused; afterwards all is as if it had been applied so."""
    cli.quick("up")
    write_version(versions, "002_b", up=["CREATE TABLE b (id int4)"], down=["DROP TABLE b"])
    refused = cli.quick("up", code=4).err
    command = re.search(r"neuron-schema (repair 002 --expect [0-9a-f]{12})", refused)
    assert command is not None
    assert "error[NS400]" in cli.quick("repair", "2", "--expect", "0" * 12, code=4).err
    assert re.fullmatch(r"002_b  repaired  \d+ ms\n", cli.quick(*command[1].split()).out)
    cli.quick("status", "--check")
    assert cli.quick("repair", "2", "--expect", "").out == "nothing to repair\n"


def test_a_version_without_its_file_is_rolled_back_from_the_history(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """``plan`` shows the recorded SQL first."""
    cli.quick("up")
    (versions / "003_c.py").unlink()
    refused = cli.quick("down", "--yes", code=4).err
    assert "--from-history" in refused
    shown = cli.quick("plan", "down", "--from-history")
    assert "DROP TABLE c;" in shown.out
    assert "--from-history is for the way down" in cli.quick("plan", "--from-history", code=2).err
    assert "warning: 003_c is rolled back by the `down` that was recorded with it" in shown.err
    cli.quick("down", "--from-history", "--yes")
    assert tables(connection) == ["a", "b"]


def test_a_baseline_is_marked_and_not_run(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """A database that was made by other means goes on from there."""
    connection.execute("CREATE TABLE a (id int)")
    refused = cli.quick("baseline", "2", code=9).err
    assert "error[NS906]: not there: table b" in refused
    connection.execute("CREATE TABLE b (id int)")
    lines = cli.quick("baseline", "2").out.splitlines()
    assert [line.split("  ")[:2] for line in lines] == [
        ["001_a", "baselined"],
        ["002_b", "baselined"],
    ]
    assert cli.quick("baseline", "2").out == "nothing to mark as applied\n"
    cli.quick("up")
    assert applied(connection) == ["001", "002", "003"]
    assert tables(connection) == ["a", "b", "c"]


def test_without_the_log_nothing_is_recorded(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """By option or by setting; ``history`` then tells what the history table knows."""
    (cli.directory / "pyproject.toml").write_text("[tool.neuron_schema]\nlog = false\n")
    cli.quick("up", "1")
    (cli.directory / "pyproject.toml").write_text("[tool.neuron_schema]\n")
    cli.quick("up", "2", "--no-log")
    found = connection.execute("SELECT to_regclass('neuron_migration_log')").fetchall()
    assert found == [(None,)]
    assert [one["version"] for one in cli.quick("history", "--json").json["entries"]] == [
        "001",
        "002",
    ]
