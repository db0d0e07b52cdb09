"""What the command line refuses, warns of and asks before it writes, as a user sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.conftest import applied, tables
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from tests.acceptance.command import Command


def settings(cli: Command, *lines: str) -> None:
    """Write the project's settings."""
    text = "\n".join(["[tool.neuron_schema]", *lines, ""])
    (cli.directory / "pyproject.toml").write_text(text, encoding="utf-8")


# --- a database that is not empty


def test_a_database_with_tables_but_no_history_is_refused(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """Exit 9 with both ways out; in JSON every step is there, not run."""
    connection.execute("CREATE TABLE theirs ()")
    refused = cli("up", code=9).err
    assert "error[NS904]: there is no history table, but there are tables: public.theirs" in refused
    assert "neuron-schema baseline VERSION" in refused
    assert "--allow-non-empty" in refused
    as_json = cli.quick("up", "--json", code=9).json
    assert as_json["error"]["code"] == "NS904"
    assert {step["outcome"] for step in as_json["steps"]} == {"not run"}
    assert applied(connection) == []
    cli.quick("up", "--allow-non-empty")
    assert applied(connection) == ["001", "002", "003"]
    # From here on there is a history.
    cli.quick("reset", "--yes")
    cli.quick("up")


@pytest.mark.parametrize("command", [["plan"], ["up", "--dry-run"]])
def test_a_reading_command_only_warns_of_it(
    cli: Command, versions: Path, connection: psycopg.Connection, command: list[str]
) -> None:
    """Nothing is about to be written; the script is the same, and no warning where all is well."""
    empty = cli.quick(*command)
    assert "warning" not in empty.err
    connection.execute("CREATE TABLE theirs ()")
    warned = cli.quick(*command)
    assert "warning: there is no history table, but there are tables: public.theirs" in warned.err
    assert warned.out == empty.out
    assert "warning" not in cli.quick("plan", "down", "0").err
    assert "warning" not in cli.quick("up", "--dry-run", "--allow-non-empty").err
    cli.quick("up", "--allow-non-empty")
    assert "warning" not in cli.quick(*command).err


def test_the_managed_schemas_are_a_setting(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """A list, also of one environment; another schema's tables do not count."""
    connection.execute("CREATE SCHEMA app CREATE TABLE theirs ()")
    settings(cli, '[tool.neuron_schema.env.prod]\nschemas = ["app", "public"]')
    assert "app.theirs" in cli.quick("up", "--env", "prod", code=9).err
    assert "app.theirs" in cli.quick("plan", "--env", "prod").err
    settings(cli, 'search_path = "app, public"', 'history_schema = "public"')
    assert "app.theirs" in cli.quick("up", code=9).err
    assert "app.theirs" in cli.quick("plan").err
    settings(cli)
    cli.quick("up")
    assert tables(connection) == ["a", "b", "c"]


@pytest.mark.parametrize("value", ['"app"', "[]", "[1]", '[" "]', f'["{"x" * 64}"]'])
def test_what_is_no_list_of_schemas_is_refused(offline: Command, value: str) -> None:
    """Exit 2, with the line."""
    settings(offline, f"schemas = {value}")
    refused = offline.quick("status", code=2).err
    assert "schemas in the settings" in refused
    assert "pyproject.toml:2" in refused


def test_all_problems_are_printed_with_their_remedies(
    cli: Command, connection: psycopg.Connection
) -> None:
    """One error, exit 7, each problem on a line of its own."""
    connection.execute("CREATE TABLE theirs ()")
    write_version(cli.directory / "versions", "001_a", up=["CREATE EXTENSION absent_one"])
    refused = cli.quick("up", code=7).err
    assert "error[NS710]: 2 things keep the run from beginning:\n    NS703: the server" in refused
    assert "\n    NS904: there is no history table" in refused
    assert refused.count("  fix: ") == 3


def test_a_warning_of_the_preflight_is_printed_and_in_the_json(
    cli: Command, connection: psycopg.Connection, versions: Path
) -> None:
    """Here that the role may not look at locks."""
    role = f"blind_{connection.info.dbname}"
    connection.execute(
        f'CREATE ROLE "{role}"; GRANT ALL ON SCHEMA public TO "{role}"; '
        "REVOKE SELECT ON pg_locks FROM PUBLIC".encode()
    )
    try:
        address = cli.environment["DATABASE_URL"]
        mark = "&" if "?" in address else "?"
        blind = f"{address}{mark}options=-c%20role%3D{role}"
        printed = cli.quick("up", "--count", "1", "--database-url", blind)
        assert "warning: old transactions and the disk could not be looked at" in printed.err
        as_json = cli.quick("up", "--json", "--database-url", blind).json
        assert "permission denied" in as_json["warnings"][0]
    finally:
        connection.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"'.encode())


# --- what a rollback loses


@pytest.fixture
def filled(cli: Command, connection: psycopg.Connection) -> Command:
    """Return the command with two versions applied and rows in their tables."""
    versions = cli.directory / "versions"
    write_version(
        versions,
        "001_a",
        up=["CREATE TABLE nodes (id int)", "CREATE TABLE log (id int)"],
        down=[
            "DROP TABLE IF EXISTS nodes, never",
            "TRUNCATE log",
            "DELETE FROM log WHERE id = 1",
            "DROP TABLE log",
        ],
    )
    write_version(
        versions,
        "002_b",
        up=["ALTER TABLE nodes ADD COLUMN embedding text", "CREATE TABLE kept (id int)"],
        down=[
            "ALTER TABLE nodes DROP COLUMN embedding",
            "DELETE FROM kept WHERE id = 1",
            "DO $$ BEGIN END $$",
            "ALTER TABLE kept RENAME TO was_kept",
            "DROP TABLE was_kept",
        ],
    )
    cli.quick("up")
    connection.execute("INSERT INTO nodes SELECT n, 'x' FROM generate_series(1, 30) n")
    connection.execute("INSERT INTO nodes VALUES (31), (32)")
    return cli


def test_down_says_off_a_terminal_what_would_be_lost(
    filled: Command, connection: psycopg.Connection
) -> None:
    """Tables and columns by the names they have now, with the rows; what cannot be told is said."""
    refused = filled("down", code=9).err
    assert "error[NS902]: 002_b would be rolled back" in refused
    for line in (
        "lost: column public.nodes.embedding: 30 rows with a value",
        "lost: table public.kept: 0 rows",
        "lost: perhaps more: what this does is not known: DO $$ BEGIN END $$",
    ):
        assert f"\n    {line}\n" in refused
    assert refused.count("lost: ") == 3
    whole = filled.quick("reset", code=9).err
    assert "lost: table public.nodes: 32 rows" in whole
    assert "embedding" not in whole
    assert "never" not in whole
    assert (
        "lost: table public.nodes: 32 rows"
        in filled.quick("reset", "--json", code=9).json["error"]["message"]
    )


def test_down_says_on_a_terminal_what_is_lost(
    filled: Command, connection: psycopg.Connection
) -> None:
    """Above the question; --yes asks nothing and counts nothing."""
    terminal = filled.terminal("down")
    terminal.expect("Roll back 002_b? [y/N] ")
    terminal.type("n\n")
    shown = terminal.finish(9)
    assert "lost: column public.nodes.embedding: 30 rows with a value" in shown
    assert shown.index("lost: column") < shown.index("Roll back 002_b?")
    assert "lost" not in filled.quick("down", "--yes").err


def test_a_large_table_is_estimated_and_an_unknown_one_counted_up_to_a_limit(
    filled: Command, connection: psycopg.Connection
) -> None:
    """By the catalog's own numbers; a table that nobody may read has none."""
    connection.execute(
        "INSERT INTO nodes SELECT n, CASE WHEN n % 2 = 0 THEN 'x' END "
        "FROM generate_series(1, 250000) n"
    )
    refused = filled.quick("reset", code=9).err
    assert "table public.nodes: more than 100,000 rows" in refused
    connection.execute("ANALYZE nodes")
    assert "table public.nodes: about 250,032 rows" in filled.quick("reset", code=9).err
    column = filled.quick("down", code=9).err
    about = int(
        column.partition("embedding: about ")[2].partition(" rows with")[0].replace(",", "")
    )
    assert 115_000 < about < 135_000


def test_a_table_that_may_not_be_read_is_lost_without_a_number(
    filled: Command, connection: psycopg.Connection
) -> None:
    """Locked, or another role's: the question is asked all the same."""
    with connection.transaction():
        connection.execute("LOCK TABLE nodes")
        refused = filled.quick("reset", code=9).err
    assert "table public.nodes: nobody knows how many rows: it was never analysed" in refused


def test_rows_that_a_rollback_deletes_are_said(
    cli: Command, connection: psycopg.Connection
) -> None:
    """All of them with TRUNCATE, some with DELETE ... WHERE, and those of a schema that goes."""
    write_version(
        cli.directory / "versions",
        "001_a",
        up=[
            "CREATE SCHEMA s",
            "CREATE TABLE s.t (id int)",
            "CREATE TABLE s.u (id int)",
            "CREATE TABLE v (id int)",
            "CREATE TABLE w (id int)",
        ],
        down=["TRUNCATE v", "DELETE FROM w WHERE id = 1", "DROP SCHEMA s CASCADE"],
    )
    cli.quick("up")
    connection.execute("INSERT INTO s.t VALUES (1); INSERT INTO v VALUES (1), (2)")
    refused = cli.quick("down", code=9).err
    for line in (
        "lost: table s.t: 1 row",
        "lost: table s.u: 0 rows",
        "lost: all rows of table public.v: it has 2 rows",
        "lost: some rows of table public.w: it has 0 rows",
    ):
        assert f"\n    {line}\n" in refused


def test_names_are_looked_for_where_the_steps_would(
    cli: Command, connection: psycopg.Connection
) -> None:
    """In the search path of the settings, and not in the session's own."""
    connection.execute("CREATE SCHEMA app; CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    settings(cli, 'search_path = "app"', 'history_schema = "app"')
    write_version(
        cli.directory / "versions", "001_a", up=["CREATE TABLE t (id int)"], down=["DROP TABLE t"]
    )
    cli.quick("up")
    assert "lost: table app.t: 0 rows" in cli.quick("down", code=9).err


def test_a_protected_environment_refuses_whatever_is_asked(
    filled: Command, connection: psycopg.Connection
) -> None:
    """Of the whole project, or of one environment by its option and by its variable."""
    settings(filled, "[tool.neuron_schema.env.prod]", "protected = true")
    for command in (["down"], ["reset"], ["down", "0"]):
        for given in (["--yes"], []):
            refused = filled.quick(*command, *given, "--env", "prod", code=9).err
            assert "error[NS903]" in refused
            assert "lost: " not in refused
    filled.quick("down", "--yes", code=9, env={"NEURON_SCHEMA_ENV": "prod"})
    settings(filled, "protected = true", "[tool.neuron_schema.env.dev]", "protected = false")
    filled.quick("reset", "--yes", code=9)
    assert applied(connection) == ["001", "002"]
    filled.quick("down", "--yes", "--env", "dev")
    assert applied(connection) == ["001"]


# --- what the server says


def test_what_the_server_says_is_shown(cli: Command, connection: psycopg.Connection) -> None:
    """With the version, on stderr; a warning too, and of many the first."""
    write_version(
        cli.directory / "versions",
        "001_a",
        up=[
            "DO $$ BEGIN RAISE NOTICE 'copied % rows', 12 USING DETAIL = 'from a', "
            "HINT = 'look'; RAISE WARNING 'odd'; END $$",
            "DO $$ BEGIN FOR i IN 1..100 LOOP RAISE NOTICE 'row %', i; END LOOP; END $$",
        ],
    )
    told = cli("up")
    assert "001_a: NOTICE: copied 12 rows; from a; look\n" in told.err
    assert "001_a: WARNING: odd\n" in told.err
    assert "001_a: NOTICE: row 18\n" in told.err
    assert "row 19" not in told.err
    assert "001_a: NOTICE: 82 more like these\n" in told.err
    assert told.out.startswith("001_a  applied")
    cli.quick("down", "--yes")
    as_json = cli.quick("up", "--json")
    assert as_json.json["steps"][0]["outcome"] == "applied"
    assert "copied 12 rows" in as_json.err
