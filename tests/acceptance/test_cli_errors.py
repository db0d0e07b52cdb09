"""Every kind of failure: its exit status, its text and its JSON, and never a password."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING
from unittest import mock

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.embedded import temporary_server
from neuron_schema.errors import NeuronSchemaError
from neuron_schema.history import HistoryTable
from neuron_schema.locking import run_lock_key
from neuron_schema.runner import MigrationRunner
from tests.acceptance.command import CANARY
from tests.acceptance.conftest import applied, tables
from tests.conftest import from_engine_url, libpq
from tests.gate import Gate, gated_table
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import URL

    from tests.acceptance.command import Command

NOWHERE = f"postgresql://somebody:{CANARY}@127.0.0.1:1"


def settings(cli: Command, *lines: str) -> None:
    """Write the project's settings."""
    text = "\n".join(["[tool.neuron_schema]", *lines, ""])
    (cli.directory / "pyproject.toml").write_text(text, encoding="utf-8")


def test_what_a_version_imports_is_found_as_python_finds_it(
    offline: Command, tmp_path: Path
) -> None:
    """Not beside the settings: a service would not find it there either; the error says how."""
    (tmp_path / "helper_beside.py").write_text('COLUMN = "id int"\n')
    up = '[Sql(f"CREATE TABLE a ({COLUMN})")]'
    imports = "from helper_beside import COLUMN"
    write_version(tmp_path / "versions", "001_a", imports=imports, up=up)
    refused = offline("check", code=2).err
    assert "No module named 'helper_beside'" in refused
    assert "fix: install the package that has helper_beside, or name its directory" in refused
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    assert offline("check", env={"PYTHONPATH": path}).out == "1 version valid\n"


def test_without_an_address_every_place_to_put_one_is_named(offline: Command) -> None:
    """Exit 2, in text and in JSON; nothing is fallen back to."""
    result = offline("status", code=2)
    for place in (
        "--database-url",
        "NEURON_SCHEMA_DATABASE_URL",
        "DATABASE_URL",
        "[tool.neuron_schema]",
        "PGHOST",
    ):
        assert place in result.err
    assert result.out == ""
    assert offline.quick("up", "--json", code=2).json["error"]["code"] == "NS202"


def test_the_nearest_address_wins(offline: Command) -> None:
    """The option, then our variable, then DATABASE_URL, the settings, and libpq's variables."""

    def target(*arguments: str, **env: str) -> object:
        return offline.quick("status", "--json", *arguments, code=7, env=env).json["target"]

    def database(name: str) -> dict[str, object]:
        shown = {"host": "127.0.0.1", "port": 1, "user": "somebody", "embedded": False}
        return {**shown, "database": name}

    libpq_only = {"PGHOST": "127.0.0.1", "PGPORT": "1", "PGUSER": "somebody", "PGDATABASE": "pg"}
    assert target(**libpq_only) == database("pg")
    settings(offline, f'database = "{NOWHERE}/file"', "[tool.neuron_schema.env.x]", "role = 'r'")
    assert target(**libpq_only) == database("file")
    common = {"DATABASE_URL": f"{NOWHERE}/common"}
    assert target(**common) == database("common")
    ours = {**common, "NEURON_SCHEMA_DATABASE_URL": f"{NOWHERE}/ours"}
    assert target(**ours) == database("ours")
    assert target("--database-url", f"{NOWHERE}/option", **ours) == database("option")
    assert target("--env", "x", **common) == database("common")


@pytest.mark.parametrize(
    ("line", "arguments", "expected"),
    [
        ("", ["--env", "prd"], "did you mean 'prod'?"),
        ("", ["--env", "other"], "(there are: prod)"),
        ('histroy_table = "x"', [], "did you mean 'history_table'?"),
        ("lock_timeout = 'soon'", [], "pyproject.toml:2"),
        ("lock_timeout = ", [], "is not valid TOML"),
    ],
)
def test_wrong_settings_are_named_with_their_place(
    offline: Command, line: str, arguments: list[str], expected: str
) -> None:
    """Exit 2, with what was meant or what there is."""
    settings(offline, line, "[tool.neuron_schema.env.prod]", 'role = "r"')
    assert expected in offline.quick("status", *arguments, code=2).err
    as_json = offline.quick("status", *arguments, "--json", code=2).json
    assert as_json["error"]["code"] == "NS201"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        (f"mysql://u:{CANARY}@h/d", 2),
        (f"bogus://u:{CANARY}@h/d", 2),
        (f"postgresql+bogus://u:{CANARY}@h/d", 2),
        (f"u:{CANARY}@h/d", 2),
        (CANARY, 2),
        (f"postgresql://u:{CANARY}@h:{CANARY}/d", 2),
        (f"postgresql://u:{CANARY}#@h/d", 2),
        (f"postgresql://u:{CANARY}@{CANARY}@h/d", 2),
        (f"postgresql://u:a/{CANARY}@h/d", 2),
        (f"postgresql://u:{CANARY}%zz@h/d", 2),
        (f"postgresql://u:{CANARY}@h/d?{CANARY}=1", 2),
        (f"host=h password={CANARY} {CANARY}=1", 2),
        (f"host=h password='{CANARY}", 2),
        (f"jdbc:postgresql://h/d?password={CANARY}", 2),
        (f"postgresql://u:{CANARY}@127.0.0.1:1/d?sslmode=bogus", 7),
        (f"{NOWHERE}/d", 7),
        (f"postgres://u@127.0.0.1:1/d?password={CANARY}", 7),
        (f"postgresql+asyncpg://u:{CANARY}@127.0.0.1:1/d?ssl=disable", 7),
        (f"host=127.0.0.1 port=1 user=u password={CANARY}", 7),
        (f"postgresql://u:{CANARY}@no-such-host.invalid/d", 7),
    ],
)
def test_no_address_that_fails_shows_its_password(
    offline: Command, address: str, code: int
) -> None:
    """In text, in JSON and from the environment; ``Command`` looks for it in every output."""
    text = offline.quick("up", "--database-url", address, code=code).err
    assert "  fix: " in text
    as_json = offline.quick("status", "--json", code=code, env={"DATABASE_URL": address}).json
    assert as_json["error"]["code"] == ("NS202" if code == 2 else "NS701")
    assert as_json["error"]["remedy"]


def test_an_address_in_a_wrong_place_shows_no_password_either(cli: Command) -> None:
    """As a target, a command, a directory, an environment; ``Command`` looks for it."""
    (cli.directory / "versions").mkdir()
    for wrong in (f"{NOWHERE}/d", f"host=h password={CANARY}", f"host=h password='{CANARY} x'"):
        for arguments in (
            ["up", wrong],
            ["status", wrong],
            [wrong],
            ["status", "--env", wrong],
            ["plan", wrong],
            ["sql", wrong],
            ["new", wrong],
            ["check", "--versions", wrong],
            ["up", "--count", wrong],
        ):
            assert "error[NS2" in cli.quick(*arguments, code=2).err
            assert "error" in cli.quick(*arguments, "--json", code=2).json


def test_a_wrong_password_is_refused_and_not_shown(offline: Command) -> None:
    """Exit 7 from the real server, reached over TCP."""
    with temporary_server(settings={"listen_addresses": "127.0.0.1"}) as server:
        right = server.sqlalchemy_url()
        wrong = libpq(right.set(password=CANARY))
        refused = offline("up", "--database-url", wrong, code=7)
        assert "password authentication failed" in refused.err
        offline.quick("status", "--json", "--database-url", wrong, code=7)
        write_version(offline.directory / "versions", "001_a")
        done = offline.quick("up", "--database-url", libpq(right))
        assert str(right.password) not in done.out + done.err


def test_every_spelling_of_an_address_connects(
    cli: Command, address: URL, connection: psycopg.Connection
) -> None:
    """Schemes, drivers, pairs, several hosts and a socket's directory, through up and down."""
    write_version(cli.directory / "versions", "001_a")
    known = from_engine_url(address).params
    where = f"{known['host'].replace('/', '%2F')}:{known.get('port', '5432')}"
    rest = f"{known['user']}:{known['password']}@"
    database = known["dbname"]
    for spelling in (
        f"postgres://{rest}{where}/{database}",
        f"postgresql+asyncpg://{rest}{where}/{database}?prepared_statement_cache_size=0",
        f"postgresql+psycopg2://{rest}{where}/{database}",
        f"postgresql://{rest}/{database}?host={known['host']}&port={known.get('port', '5432')}",
        f"postgresql://{rest}127.0.0.1:1,{where}/{database}",
        " ".join(f"{key}='{value}'" for key, value in known.items()),
    ):
        cli.quick("up", "--database-url", spelling)
        assert applied(connection) == ["001"]
        cli.quick("down", "--yes", "--database-url", spelling)
        assert applied(connection) == []


def test_a_lock_that_is_not_granted_is_exit_6(
    cli: Command, connection: psycopg.Connection, database: URL
) -> None:
    """The error names the session in the way; nothing is changed."""
    settings(cli, 'lock_timeout = "100ms"', 'deadline = "500ms"')
    connection.execute("CREATE SCHEMA app CREATE TABLE busy ()")
    write_version(cli.directory / "versions", "001_a", up=["ALTER TABLE app.busy ADD COLUMN a int"])
    with connection.transaction():
        connection.execute("LOCK TABLE app.busy IN ACCESS SHARE MODE")
        result = cli.quick("up", code=6)
        assert "error[NS602]" in result.err
        assert f"pid {connection.info.backend_pid}" in result.err
        assert result.err.count("001_a: waiting: ") == 1
        failed = cli.quick("up", "--json", code=6).json
        assert failed["steps"][0]["outcome"] == "failed"
    cli.quick("up")


def test_how_long_to_wait_can_be_said_on_the_command_line(
    cli: Command, connection: psycopg.Connection
) -> None:
    """For the run lock and for a table's; what is no duration is refused."""
    write_version(cli.directory / "versions", "001_a", up=["CREATE TABLE a ()"])
    key = run_lock_key(HistoryTable(schema="public"))
    connection.execute("SELECT pg_advisory_lock(%s)", (key,))
    result = cli.quick("up", "--wait-lock", "300ms", code=6)
    assert "error[NS601]" in result.err
    assert f"SELECT pg_terminate_backend({connection.info.backend_pid})" in result.err
    connection.execute("SELECT pg_advisory_unlock(%s)", (key,))
    for option in ("--wait-lock", "--lock-timeout"):
        refused = cli.quick("up", option, "soon", code=2)
        assert f"{option}: 'soon' is no duration" in refused.err
    assert applied(connection) == []


def test_a_free_connection_is_waited_for(
    cli: Command, admin: psycopg.Connection, database: URL
) -> None:
    """A full server is full for moments; when it stays so the deadline ends the command."""
    role = f"{database.database}_single"
    admin.execute(f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{CANARY}' CONNECTION LIMIT 1".encode())
    address = libpq(database.set(username=role, password=CANARY))
    (cli.directory / "versions").mkdir()
    try:
        with psycopg.connect(address):
            settings(cli, 'deadline = "300ms"')
            failed = cli.quick("status", "--database-url", address, code=7)
            assert "too many connections for role" in failed.err
            settings(cli, 'deadline = "60s"')
            waiting = cli.start("status", "--database-url", address)
            time.sleep(1)
            assert waiting.poll() is None
        cli.finish(waiting)
    finally:
        admin.execute(f'DROP ROLE "{role}"'.encode())


def test_verbose_tells_what_a_session_is_set_to(cli: Command) -> None:
    """All limits with their units, the version's own included; on stderr."""
    settings(cli, 'lock_timeout = "4s"')
    body = 'settings = {"maintenance_work_mem": "70MB"}'
    write_version(cli.directory / "versions", "001_a", up=["SELECT 1"], body=body)
    told = cli.quick("up", "-v").err
    assert "lock_timeout = 200ms then 500ms then 4000ms" in told
    for pair in (
        "statement_timeout = 0",
        "idle_in_transaction_session_timeout = 600000ms",
        "maintenance_work_mem = 70MB",
    ):
        assert pair in told
    assert (
        "lock_timeout = 200ms then 300ms"
        in cli.quick("down", "--yes", "--verbose", "--lock-timeout", "300ms").err
    )


def test_an_operation_is_ended_when_the_settings_say_so(
    cli: Command, connection: psycopg.Connection, database: URL
) -> None:
    """What ends it is named, shown by -v, and nothing is left behind."""
    gated_table(connection)
    write_version(
        cli.directory / "versions",
        "001_slow",
        up="[CreateIndex(slow)]",
        imports="from sqlalchemy import Column, Index, Integer, MetaData, Table, func\n"
        "from sqlalchemy.schema import CreateIndex",
        body='gated = Table("gated", MetaData(), Column("n", Integer))\n'
        'slow = Index("slow", func.gate(gated.c.n), postgresql_concurrently=True)',
    )
    settings(cli, 'operation_timeout = "800ms"')
    with Gate(libpq(database)):
        told = cli.quick("up", "-v", "--allow-non-empty", code=1).err
    assert "statement_timeout = 800ms" in told
    assert "error[NS105]: 001_slow: CREATE INDEX CONCURRENTLY was not done within 0.8 s" in told
    assert cli.quick("status", "--json").json["leftovers"] == []
    settings(cli, 'operation_timeout = "0.1ms"')
    assert "whole milliseconds" in cli.quick("up", code=2).err


def test_status_names_what_an_interrupted_build_left_behind(
    cli: Command, connection: psycopg.Connection
) -> None:
    """In words with the SQL that clears it away, and in JSON."""
    (cli.directory / "versions").mkdir()
    connection.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY i ON t (n)")
    told = cli.quick("status").err
    remedy = "DROP INDEX CONCURRENTLY public.i"
    assert f"warning: invalid index: public.i of t; to clear it away: {remedy}" in told
    assert cli.quick("status", "--json").json["leftovers"] == [
        {"kind": "invalid index", "name": "public.i", "table": "t", "remedy": remedy}
    ]
    connection.execute(remedy)
    assert cli.quick("status", "--json").json["leftovers"] == []


def test_status_looks_where_the_steps_look(cli: Command, connection: psycopg.Connection) -> None:
    """The setting ``search_path`` says in which schemas the versions work."""
    (cli.directory / "versions").mkdir()
    connection.execute(
        "CREATE SCHEMA app CREATE TABLE t (n int); INSERT INTO app.t VALUES (1), (1)"
    )
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY i ON app.t (n)")
    assert cli.quick("status").err.count("invalid index") == 0
    settings(cli, "search_path = '\"$user\", App'")
    assert "invalid index: app.i of t" in cli.quick("status").err


def test_what_the_server_lacks_is_exit_7(
    cli: Command, connection: psycopg.Connection, address: URL
) -> None:
    """A privilege to read the history, an extension's files."""
    write_version(cli.directory / "versions", "001_a", up=['CREATE EXTENSION "no such"'])
    assert "error[NS703]" in cli.quick("up", code=7).err
    write_version(cli.directory / "versions", "001_a")
    cli.quick("up")
    role = f"reader_{connection.info.dbname}"
    connection.execute(f'CREATE ROLE "{role}"')
    try:
        limited = libpq(address.update_query_dict({"options": f"-c role={role}"}))
        refused = cli.quick("status", "--database-url", limited, code=7).err
        assert 'error[NS702]: "neuron_migrations" cannot be read: permission denied' in refused
        assert 'fix: GRANT SELECT ON "neuron_migrations"' in refused
        connection.execute(f'GRANT SELECT ON neuron_migrations TO "{role}"')
        cli.quick("status", "--check", "--database-url", limited)
    finally:
        connection.execute(f'DROP OWNED BY "{role}"')
        connection.execute(f'DROP ROLE "{role}"')


@pytest.mark.parametrize(
    ("limit", "code", "exit_code", "remedy"),
    [
        ("lock_timeout", "NS602", 6, "run again when the session that locks it is done"),
        ("statement_timeout", "NS101", 1, "run again; if it is too slow, raise statement_timeout"),
    ],
)
def test_a_history_that_cannot_be_read_in_time_is_no_lost_connection(
    cli: Command,
    connection: psycopg.Connection,
    address: URL,
    *,
    limit: str,
    code: str,
    exit_code: int,
    remedy: str,
) -> None:
    """The command says what the library says."""
    versions = cli.directory / "versions"
    write_version(versions, "001_a")
    cli.quick("up")
    limited = address.update_query_dict({"options": f"-c {limit}=300ms"})
    engine = create_engine(limited, poolclass=NullPool)
    for table, command in (
        ("neuron_migrations", "status"),
        ("neuron_migrations", "up"),
        ("neuron_migration_log", "history"),
    ):
        with connection.transaction():
            connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
            refused = cli.quick(command, "--database-url", libpq(limited), code=exit_code).err
            with pytest.raises(NeuronSchemaError) as caught:
                MigrationRunner(engine, versions).get_history()
        assert f"error[{code}]: " in refused
        assert f'{table}" cannot be read: canceling statement due to ' in refused
        assert f"fix: {remedy}" in refused
        assert (caught.value.code, caught.value.exit_code) == (code, exit_code)
        assert str(caught.value.remedy) in refused


def test_a_catalog_that_cannot_be_read_in_time_is_no_lost_connection(
    cli: Command, connection: psycopg.Connection, address: URL
) -> None:
    """What is asked of it besides the history."""
    connection.execute("CREATE TABLE busy (x int); CREATE VIEW v AS SELECT x FROM busy")
    limited = libpq(address.update_query_dict({"options": "-c lock_timeout=300ms"}))
    with connection.transaction():
        connection.execute("LOCK TABLE busy IN ACCESS EXCLUSIVE MODE")
        refused = cli.quick("show", "erd", "--live", "--database-url", limited, code=6).err
    assert "error[NS602]: the catalog cannot be read: canceling statement due to lock" in refused


def test_guards_refuse_with_exit_9(cli: Command, connection: psycopg.Connection) -> None:
    """Irreversible, unconfirmed off a terminal, protected even with --yes; dry runs are free."""
    versions = cli.directory / "versions"
    write_version(versions, "001_a", up=["CREATE TABLE a ()"], down=["DROP TABLE a"])
    cli.quick("up")
    assert "error[NS902]: 001_a would be rolled back" in cli.quick("down", code=9).err
    assert cli.quick("reset", "--json", code=9).json["error"]["code"] == "NS902"
    settings(cli, "[tool.neuron_schema.env.prod]", "protected = true")
    for arguments in (["down"], ["reset"]):
        error = cli.quick(*arguments, "--yes", "--env", "prod", code=9).err
        assert "error[NS903]" in error
        assert cli.quick(*arguments, "--dry-run", "--env", "prod").out.endswith("COMMIT;\n")
    write_version(versions, "002_b", up=["CREATE TABLE b ()"], down='irreversible("it is gone")')
    cli.quick("up")
    final = cli.quick("down", "--yes", "--count", "2", code=9).err
    assert "error[NS901]: 002_b is irreversible: it is gone" in final
    assert tables(connection) == ["a", "b"]


def test_an_invalid_version_is_exit_2_with_its_line(cli: Command) -> None:
    """The same in every command that reads it, and one JSON object."""
    path = write_version(cli.directory / "versions", "001_a", up='[\n  Sql("SELECT 1"),\n  "x",\n]')
    for command in ("up", "status", "check", "plan", "sql", "wait"):
        assert f"at: {path}:4" in cli.quick(command, code=2).err, command
        assert cli.quick(command, "--json", code=2).json["error"]["where"] == f"{path}:4"
    cli.quick("up", "--versions", "nowhere", code=2)


def test_a_defect_of_ours_is_reported_without_a_traceback(cli: Command) -> None:
    """Exit 1 with the place, in text and in JSON."""
    write_version(cli.directory / "versions", "001_a")
    with mock.patch("neuron_schema.standing.statuses", side_effect=RuntimeError("odd")):
        text = cli.quick("status", code=1).err
        assert "error[NS199]: internal error: RuntimeError: odd" in text
        assert cli.quick("status", "--json", code=1).json["error"]["code"] == "NS199"
    with mock.patch("neuron_schema.cli.entry._command", side_effect=RuntimeError("odd")):
        assert "error[NS199]" in cli.quick("status", code=1).err
        assert cli.quick("db", "status", "--json", code=1).json["command"] == "db status"


def test_a_directory_that_is_gone_is_an_error_and_no_crash(offline: Command) -> None:
    """A shell may stand in a directory that somebody removed."""
    gone = offline.directory / "gone"
    gone.mkdir()
    script = f'cd "{gone}" && rmdir "{gone}" && exec "$0" status --json'
    assert offline.shell(script, code=2).json["error"]["code"] == "NS201"
