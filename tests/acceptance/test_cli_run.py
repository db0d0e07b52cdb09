"""``up``, ``down``, ``reset``, ``status``, ``plan`` and ``sql``, as a user runs them."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from neuron_schema.embedded.binaries import find_binaries
from tests.acceptance.conftest import applied, tables
from tests.conftest import libpq
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg
    from sqlalchemy.engine import URL

    from tests.acceptance.command import Command


def test_up_prints_a_line_per_version_and_names_the_target_first(
    cli: Command, versions: Path, connection: psycopg.Connection, database: URL
) -> None:
    """The result is on stdout with durations; stderr begins with the target, password masked."""
    result = cli("up")
    lines = result.out.splitlines()
    assert [re.sub(r"\d+(\.\d)? m?s$", "T", line) for line in lines] == [
        "001_a  applied  T",
        "002_b  applied  T",
        "003_c  applied  T",
    ]
    [target] = result.err.splitlines()
    assert target.startswith("target: ")
    assert target.endswith(f"/{database.database}")
    assert tables(connection) == ["a", "b", "c"]

    again = cli("up")
    assert again.out == "nothing to apply: 003_c is the newest applied version\n"
    assert again.err == result.err
    assert cli("plan").err.splitlines() == [target, "nothing to apply"]


def test_targets_and_counts_mean_what_the_design_says(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """By number, with or without zeros; what is there already is no error."""
    cli.quick("up", "2")
    assert applied(connection) == ["001", "002"]
    cli.quick("up", "002")
    cli.quick("up", "--json", "1")
    assert applied(connection) == ["001", "002"]
    cli.quick("up", "--count", "1")
    assert applied(connection) == ["001", "002", "003"]
    cli.quick("down", "--yes", "001")
    assert applied(connection) == ["001"]
    cli.quick("up", "--count", "7")
    cli.quick("down", "--count", "2", "-y")
    assert applied(connection) == ["001"]
    cli.quick("down", "--yes")
    assert applied(connection) == []
    assert cli.quick("down", "--yes").out == "nothing to roll back\n"
    cli.quick("up")
    cli.quick("down", "0", "--yes")
    assert applied(connection) == tables(connection) == []
    cli.quick("up", "--versions", "versions", "--count=2")
    assert [step["version"] for step in cli.quick("reset", "--json", "--yes").json["steps"]] == [
        "002",
        "001",
    ]
    assert applied(connection) == tables(connection) == []


def test_wrong_targets_are_usage_errors_and_change_nothing(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """Exit 2, with the versions that there are."""
    cli.quick("up", "1")
    assert "versions: 001, 002, 003" in cli.quick("up", "9", code=2).err
    assert "a target and --count together" in cli.quick("up", "2", "--count", "1", code=2).err
    assert "--count 0 is below 1" in cli.quick("down", "--count", "0", code=2).err
    assert "version 2 is not applied" in cli.quick("down", "2", "--yes", code=2).err
    assert "'two' is no version" in cli.quick("up", "two", code=2).err
    assert "neither up nor down" in cli.quick("plan", "sideways", code=2).err
    assert "'2' is no span" in cli.quick("sql", "2", code=2).err
    assert applied(connection) == ["001"]


def test_dry_run_equals_plan_and_writes_nothing(
    cli: Command, versions: Path, connection: psycopg.Connection, database: URL
) -> None:
    """On a session that may only read, both print the same script and the same JSON."""
    connection.execute(
        f'ALTER DATABASE "{database.database}" SET default_transaction_read_only = on'
    )
    plan = cli("plan")
    assert plan.out.startswith("\\set ON_ERROR_STOP on\n")
    assert "-- 003_c" in plan.out
    assert cli.quick("up", "--dry-run").out == plan.out
    assert "CREATE TABLE b" not in cli.quick("plan", "up", "1").out
    as_json = cli.quick("plan", "--json").json
    assert {**as_json, "command": "up"} == cli.quick("up", "--dry-run", "--json").json
    assert [step["outcome"] for step in as_json["steps"]] == ["planned"] * 3
    assert as_json["steps"][0]["statements"] == ["CREATE TABLE a (id int)"]
    assert cli.quick("status", "--json").json["migrations"][0]["status"] == "pending"
    refused = cli.quick("up", "--json", code=7).json
    assert refused["error"]["code"] == "NS709"
    assert [step["outcome"] for step in refused["steps"]] == ["not run"] * 3
    assert tables(connection) == []


def test_psql_runs_what_plan_and_sql_print(
    cli: Command, versions: Path, connection: psycopg.Connection, database: URL
) -> None:
    """The scripts do the same as the runner, history rows included."""

    def psql(script: str) -> None:
        subprocess.run(
            [find_binaries(18).path("psql"), "-X", "--quiet", libpq(database)],
            input=script,
            check=True,
            text=True,
            capture_output=True,
        )

    psql(cli.quick("plan").out)
    assert cli.quick("status", "--check").out.count("applied") == 4
    plan = cli.quick("plan", "down", "1").out
    assert cli.quick("down", "--dry-run", "1").out == plan
    psql(plan)
    assert applied(connection) == ["001"]
    psql(cli.quick("sql", "1:2").out + cli.quick("sql", "2:0").out)
    assert tables(connection) == []
    assert "-- 003_c" not in cli.quick("sql", ":2").out
    downs = re.findall(r"-- (\d+)_\w+ \(down\)", cli.quick("sql", "3:1").out)
    assert downs == ["003", "002"]
    assert [one["version"] for one in cli.quick("sql", "--json").json["steps"]] == [
        "001",
        "002",
        "003",
    ]


def test_status_tells_how_every_version_stands(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """A table that is not cut at 80 columns, JSON with the keys of the design, exit 3 on demand."""
    description = "Table c, " + "and a long story about it " * 6 + "with an end."
    write_version(versions, "003_c", up=["CREATE TABLE c ()"], docstring=description)
    cli.quick("up", "2")
    status = cli.quick("status")
    assert status.out.splitlines()[-1].endswith(description)
    assert [line.split()[2] for line in status.out.splitlines()[1:]] == [
        "applied",
        "applied",
        "pending",
    ]
    assert "\x1b" not in status.out + status.err
    checked = cli.quick("status", "--check", "--json", code=3).json
    assert checked["error"]["code"] == "NS301"
    assert checked["target"].keys() == {"host", "port", "database", "user", "embedded"}
    assert list(checked["migrations"][2]) == [
        "version",
        "name",
        "description",
        "status",
        "applied_at",
        "checksum",
    ]
    assert checked["migrations"][2]["applied_at"] is None
    assert len(checked["migrations"][0]["checksum"]) == 64


def test_a_failed_version_is_rolled_back_and_the_rest_is_not_run(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """Exit 1; the error has a code, what, where and a fix; the versions before it stay."""
    write_version(versions, "002_b", up=["CREATE TABLE b ()", "SELECT 1/0"])
    result = cli("up", code=1)
    assert [line.split()[:2] for line in result.out.splitlines()] == [
        ["001_a", "applied"],
        ["002_b", "failed"],
    ]
    _, error, where, fix = result.err.splitlines()
    assert error.startswith("error[NS101]: 002_b (up): division by zero (SQLSTATE 22012)")
    assert where == f"  at: {versions / '002_b.py'}"
    assert fix.startswith("  fix: ")
    assert tables(connection) == ["a"]

    as_json = cli.quick("up", "--json", code=1).json
    assert [step["outcome"] for step in as_json["steps"]] == ["failed", "not run"]
    assert as_json["error"].keys() == {"code", "message", "where", "remedy"}
    assert as_json["steps"][0].keys() == {
        "version",
        "name",
        "transactional",
        "statements",
        "checksum",
        "outcome",
        "duration_ms",
        "rows",
        "note",
    }


def test_two_ups_at_once_apply_every_version_once(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """On an empty database both end well, and each step is one's work and told by the other."""
    processes = [cli.start("up", "--json") for _ in range(2)]
    outcomes = [
        {step["version"]: step["outcome"] for step in cli.finish(process).json["steps"]}
        for process in processes
    ]
    assert applied(connection) == ["001", "002", "003"]
    for version in applied(connection):
        # The second may have come when a version was there already: then it has no step for it.
        told = [outcome[version] for outcome in outcomes if version in outcome]
        assert told.count("applied") == 1
        assert set(told) <= {"applied", "done by another run"}
