"""Names and messages from a database reach neither a terminal's controls nor a line of ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from tests.conftest import libpq
from tests.support import write_version

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

    from tests.acceptance.command import Command, Result

#: Clear the screen, set the title, a hyperlink, another direction, a line that looks like ours.
HOSTILE = "\x1b[2J\x1b]0;x\x07\x1b]8;;http://e\x1b\\\u202e\u2066\x9b1m\u2028\nwarning: forged"
COLOUR = re.compile(r"\x1b\[\d*m")


def name(prefix: str) -> str:
    """Return a hostile name of at most 63 bytes, as a quoted identifier."""
    return f'"{prefix}{HOSTILE}"'


def harmless(*texts: str) -> str:
    """Check that texts hold nothing that a terminal obeys and no forged line; return them."""
    text = "".join(texts)
    odd = {c for c in text if not c.isprintable() and c not in "\n\t"}
    assert not odd, text
    assert "\nwarning: forged" not in text
    assert "forged" in text
    return text


def shown(result: Result) -> str:
    """Return what a command printed, checked."""
    return harmless("\n", result.out, "\n", result.err)


def test_hostile_names_fit_into_a_name() -> None:
    """Else PostgreSQL would cut what the tests look for."""
    assert len(f"x{HOSTILE}".encode()) <= 63


def test_names_of_tables_are_escaped_where_they_are_told_of(
    cli: Command, connection: psycopg.Connection
) -> None:
    """In the refusal of a database that is not empty, in the warning of a plan, in JSON."""
    write_version(cli.directory / "versions", "001_a")
    connection.execute(sql.SQL(f"CREATE TABLE {name('t')} ()"))
    assert "\\x1b[2J" in shown(cli.quick("up", code=9))
    plan = cli.quick("plan")
    harmless("\n", plan.err)
    message = cli.quick("up", "--json", code=9).json["error"]["message"]
    assert HOSTILE in message
    assert "\x1b" not in cli.quick("up", "--json", code=9).out


def test_names_of_what_is_lost_are_escaped(cli: Command, connection: psycopg.Connection) -> None:
    """Off a terminal and in the question on one."""
    write_version(
        cli.directory / "versions",
        "001_a",
        up=[f"CREATE TABLE {name('t')} ({name('c')} int)", "CREATE TABLE u (i int)"],
        down=[f"ALTER TABLE {name('t')} DROP COLUMN {name('c')}", "DROP TABLE u"],
    )
    cli.quick("up")
    shown(cli.quick("down", code=9))
    terminal = cli.terminal("down", env={"NO_COLOR": "1"})
    terminal.expect("[y/N] ")
    terminal.type("n\n")
    harmless(terminal.finish(9))


@pytest.mark.parametrize(
    "statement",
    [
        f"DO $x$ BEGIN RAISE EXCEPTION USING MESSAGE = $y${HOSTILE}$y$; END $x$",
        f"DO $x$ BEGIN RAISE EXCEPTION USING MESSAGE = 'm', DETAIL = $y${HOSTILE}$y$; END $x$",
        f"DO $x$ BEGIN RAISE EXCEPTION USING MESSAGE = 'm', HINT = $y${HOSTILE}$y$; END $x$",
        f"CREATE TABLE t (i int CONSTRAINT {name('c')} CHECK (i > 0)); INSERT INTO t VALUES (0)",
        f"SELECT 1 FROM {name('t')}",
        f"SELECT {name('c')}",
        f"SELECT 1\n/* {HOSTILE} */ FROM {name('t')}",
        f"DROP TYPE {name('t')}",
    ],
)
def test_errors_of_the_server_are_escaped(cli: Command, statement: str) -> None:
    """Their message, detail and hint, the names in them, and the statement itself."""
    up = repr([statement]).replace("['", "[Sql('").replace('["', '[Sql("')
    up = up.replace("']", "')]").replace('"]', '")]')
    write_version(cli.directory / "versions", "001_a", up=up)
    printed = shown(cli.quick("up", code=1))
    assert "error[NS101]" in printed
    text = cli.quick("up", "--json", code=1).out
    assert text.isascii()
    assert "\x1b" not in text


def test_what_the_server_says_is_escaped(cli: Command) -> None:
    """A NOTICE and a WARNING may hold anything; in JSON mode too, and on a terminal."""
    said = "".join(
        f"RAISE {level} USING MESSAGE = $y${HOSTILE}$y$, DETAIL = $y${HOSTILE}$y$; "
        for level in ("NOTICE", "WARNING", "INFO")
    )
    write_version(
        cli.directory / "versions", "001_a", up=[f"DO $x$ BEGIN {said} END $x$"], down=["SELECT 1"]
    )
    for arguments in (["up"], ["up", "--json"]):
        printed = cli.quick(*arguments)
        assert printed.err.count("\\x1b[2J") == 6
        harmless("\n", printed.err)
        cli.quick("down", "--yes")
    onscreen = cli.terminal("up", env={"TERM": "dumb"}).finish()
    harmless(COLOUR.sub("", onscreen))


def test_what_the_history_table_holds_is_escaped(
    cli: Command, connection: psycopg.Connection
) -> None:
    """A row is anybody's who may write it: its name, and its version."""
    write_version(cli.directory / "versions", "001_a")
    cli.quick("up")
    connection.execute("UPDATE neuron_migrations SET name = %s", (HOSTILE,))
    shown(cli.quick("status"))
    shown(cli.quick("up"))
    connection.execute("INSERT INTO neuron_migrations VALUES ('9', %s)", (HOSTILE,))
    shown(cli.quick("status"))
    shown(cli.quick("down", code=4))
    connection.execute(
        "UPDATE neuron_migrations SET version = %s WHERE version = '9'", ("\x1b[2J",)
    )
    refused = cli.quick("status", code=4).err
    assert "\\x1b[2J" in refused
    assert "\x1b" not in refused


def test_other_sessions_are_escaped_where_they_are_named(
    cli: Command, database: URL, connection: psycopg.Connection
) -> None:
    """Their queries and their users' names, while it is waited and in the error."""
    connection.execute(sql.SQL(f"CREATE SCHEMA app; CREATE TABLE app.{name('t')} ()"))
    role = f"r{HOSTILE}"
    connection.execute(
        sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD 'x'").format(sql.Identifier(role))
    )
    (cli.directory / "pyproject.toml").write_text('[tool.neuron_schema]\ndeadline = "500ms"\n')
    write_version(
        cli.directory / "versions", "001_a", up=[f"ALTER TABLE app.{name('t')} ADD COLUMN a int"]
    )
    try:
        with psycopg.connect(libpq(database), user=role, password="x") as blocker:
            blocker.execute(sql.SQL(f"SELECT '{HOSTILE}' FROM app.{name('t')}"))
            printed = shown(cli.quick("up", "--lock-timeout", "300ms", code=6))
            assert "blocked by pid" in printed
    finally:
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_leftovers_and_planted_objects_are_escaped(
    cli: Command, connection: psycopg.Connection
) -> None:
    """Names of an invalid index, of a trigger, of a schema with a second history table."""
    write_version(cli.directory / "versions", "001_a")
    cli.quick("up")
    connection.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(sql.SQL(f"CREATE UNIQUE INDEX CONCURRENTLY {name('i')} ON t (n)"))
    shown(cli.quick("status"))
    connection.execute(
        sql.SQL(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
            f"CREATE TRIGGER {name('g')} BEFORE INSERT ON neuron_migrations "
            "FOR EACH ROW EXECUTE FUNCTION f()"
        )
    )
    write_version(cli.directory / "versions", "002_b")
    shown(cli.quick("up", code=4))
    connection.execute(
        sql.SQL(
            f"DROP FUNCTION f() CASCADE; CREATE SCHEMA {name('s')}; "
            f"CREATE TABLE {name('s')}.neuron_migrations (LIKE neuron_migrations); "
            f'ALTER ROLE CURRENT_USER IN DATABASE "{connection.info.dbname}" '
            f"SET search_path = public, {name('s')}"
        )
    )
    shown(cli.quick("up", code=4))
