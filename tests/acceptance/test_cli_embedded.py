"""The project's embedded server through the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from neuron_schema.embedded import DevelopmentServer
from tests.acceptance.command import Command
from tests.acceptance.conftest import wait_for_sleep
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Command]:
    """Yield the command in a directory with a blank in its name; its server is stopped."""
    directory = tmp_path / "my project"
    directory.mkdir()
    yield Command(directory, {})
    DevelopmentServer(directory).stop(force=True)


def test_init_embedded_and_up_need_no_server(project: Command) -> None:
    """From an empty directory to a schema and back, the server started and stopped each time."""
    project.quick("init", "--embedded")
    up = project("up")
    assert up.out.startswith("001_first  applied")
    assert up.err.startswith("target: embedded postgres@")
    assert project.quick("db", "status").out.startswith("not running\n")
    assert project.quick("up", "--json").json["target"]["embedded"] is True
    assert "error[NS707]" in project.quick("db", "url", code=7).err
    refused = project.quick("db", "url", "--json", code=7).json
    assert refused["error"]["remedy"] == "neuron-schema db start"


def test_the_stand_in_is_told_of_where_a_version_creates_it(project: Command) -> None:
    """Before it runs, also from a snapshot, and in no other project or run."""
    versions = project.directory / "versions"
    project.quick("init", "--embedded")
    write_version(
        versions, "001_first", up=["CREATE EXTENSION vector"], down=["DROP EXTENSION vector"]
    )
    assert "stand-in" not in project.quick("up").err
    write_version(
        versions,
        "002_uuids",
        up=['CREATE EXTENSION "uuid-ossp"'],
        down=['DROP EXTENSION "uuid-ossp"'],
    )
    assert "note: uuid-ossp on the embedded server is neuron-schema's" in project.quick("up").err
    assert "stand-in" not in project.quick("up").err
    project.quick("snapshot")
    project.quick("reset", "--yes")
    assert project.quick("up", "--from-snapshot").err.count("stand-in") == 1


def test_db_start_keeps_it_running_until_db_stop(project: Command) -> None:
    """Psql takes its own options, with and without --; its exit status is ours."""
    started = project("db", "start", "--json").json
    assert started["running"] is True
    assert project.quick("db", "status", "--json").json["kept"] is True
    url = project.quick("db", "url").out.strip()
    assert url == started["url"]
    psycopg.connect(url).close()
    write_version(project.directory / "versions", "001_a", up=["CREATE TABLE a ()"])
    assert project.quick("up", "--database-url", url).out.startswith("001_a  applied")
    assert project("db", "psql", "-XAt", "-c", "SELECT 42").out == "42\n"
    psql = project("db", "psql", "--", "-X", "--csv", "-c", "TABLE neuron_migrations")
    assert psql.out.splitlines()[1].startswith("001,a,")
    assert "syntax error" in project("db", "psql", "-c", "bogus", code=1).err
    project.quick("db", "status")
    assert project.quick("db", "stop").out == "stopped\n"
    assert project.quick("db", "stop").out == "not running\n"
    assert project.quick("db", "stop", "--json").json["running"] is False


def test_ctrl_c_in_psql_ends_the_query_and_not_psql(project: Command) -> None:
    """It is psql's key."""
    terminal = project.terminal("db", "psql", "-X", "-P", "pager=off")
    terminal.expect("neuron=#")
    terminal.type("SELECT pg_sleep(100);\n")
    address = DevelopmentServer(project.directory).status().address
    assert address is not None
    with psycopg.connect(**address.conninfo(), autocommit=True) as connection:
        wait_for_sleep(connection)
    terminal.type("\x03")
    terminal.expect("canceling statement due to user request")
    terminal.type("SELECT 'go' || 'es on';\n")
    terminal.expect("goes on")
    terminal.type("\\q\n")
    terminal.finish()
