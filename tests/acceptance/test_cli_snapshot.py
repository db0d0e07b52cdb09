"""``snapshot``: the schema as a file, the list of versions, and databases that start from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from neuron_schema.catalog import diff
from neuron_schema.catalog import snapshot as read_schema
from neuron_schema.history import HistoryTable
from tests.acceptance.conftest import applied, tables
from tests.acceptance.git import committed, git
from tests.conftest import libpq
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import URL

    from tests.acceptance.command import Command

_MIXED = """
CREATE TABLE kinds (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE, up int
  REFERENCES kinds, made timestamptz DEFAULT now(), key uuid DEFAULT gen_random_uuid(),
  who name DEFAULT current_user, doubled int GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE a_child (kind int REFERENCES kinds, note text, data bytea, flag boolean, n numeric);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$;
CREATE VIEW named AS SELECT name FROM kinds;
CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM kinds
"""
_ROWS = r"""
INSERT INTO kinds (name, made) VALUES ('it''s', now()), (E'a\nb\\c', '2020-01-01 12:00+00');
INSERT INTO kinds (name, up) VALUES ('child', 1);
INSERT INTO a_child VALUES (1, '-- not a comment;', '\x00ff', true, 1.50), (NULL, '', NULL, NULL,
  'NaN');
CREATE TRIGGER no BEFORE INSERT ON kinds FOR EACH ROW EXECUTE FUNCTION refuse();
REFRESH MATERIALIZED VIEW kept
"""


@pytest.fixture
def shadow(server: URL) -> list[str]:
    """Return the options that let throw-away databases be made on the tests' server."""
    return ["--shadow-url", libpq(server)]


@pytest.fixture
def with_rows(tmp_path: Path) -> Path:
    """Return versions that insert rows of many kinds."""
    directory = tmp_path / "versions"
    write_version(directory, "001_kinds", up=[_MIXED])
    write_version(directory, "002_rows", up=[_ROWS])
    return directory


@pytest.fixture
def second(server: URL, admin: psycopg.Connection, database: URL) -> Iterator[URL]:
    """Yield another empty database."""
    name = f"{database.database}_second"
    admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    yield server.set(database=name)
    admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def connect(url: URL) -> psycopg.Connection:
    """Return an autocommit connection."""
    return psycopg.connect(libpq(url), autocommit=True)


def rows_of(connection: psycopg.Connection, table: str) -> list[tuple[str, ...]]:
    """Return a table's rows in an order of their own."""
    return sorted(connection.execute(f"SELECT t::text FROM {table} t".encode()).fetchall())


def test_snapshot_writes_the_schema_and_the_list(
    offline: Command, versions: Path, shadow: list[str]
) -> None:
    """Both are there afterwards, say what they should, and are the same when written again."""
    offline("snapshot", *shadow)
    schema = (versions / "schema.sql").read_text()
    assert "-- table public.c\nCREATE TABLE public.c (\n    id integer\n);\n" in schema
    listed = (versions / "checksums.txt").read_text().splitlines()
    assert [line.split("  ")[1] for line in listed[1:]] == ["schema.sql", "001_a", "002_b", "003_c"]
    offline.quick("snapshot", *shadow)
    assert (versions / "schema.sql").read_text() == schema
    assert offline.quick("snapshot", "--check", *shadow).out == (
        "schema.sql and checksums.txt are up to date\n"
    )


def test_check_of_a_snapshot_names_what_differs(
    offline: Command, versions: Path, shadow: list[str]
) -> None:
    """It exits 5, in words and as JSON, and writes nothing."""
    assert "there is no schema.sql" in offline.quick("snapshot", "--check", *shadow, code=5).err
    assert not (versions / "schema.sql").exists()
    offline.quick("snapshot", *shadow)
    before = (versions / "schema.sql").read_bytes()
    write_version(versions, "004_d", up=["ALTER TABLE a ADD x int; CREATE TABLE d (id int)"])
    result = offline.quick("snapshot", "--check", *shadow, code=5)
    assert "table public.a changed" in result.err
    assert "table public.d added" in result.err
    assert "table public.b" not in result.err
    assert (versions / "schema.sql").read_bytes() == before
    changes = offline.quick("snapshot", "--check", *shadow, "--json", code=5).json["changes"]
    assert ("table public.d", "added") in [(one["object"], one["action"]) for one in changes]


def test_line_ends_that_git_changed_are_no_difference(
    offline: Command, versions: Path, shadow: list[str]
) -> None:
    """A checkout on another system must pass the same checks."""
    offline.quick("snapshot", *shadow)
    for name in ("schema.sql", "checksums.txt"):
        path = versions / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    offline.quick("snapshot", "--check", *shadow)
    offline.quick("check")


def test_check_compares_with_the_list(offline: Command, versions: Path, shadow: list[str]) -> None:
    """What was modified, added or lost since ends with 4; without a list nothing is compared."""
    offline.quick("check")
    offline.quick("snapshot", *shadow)
    assert offline.quick("check").out == "3 versions valid\n"
    write_version(versions, "002_b", up=["CREATE TABLE b (id bigint)"], down=["DROP TABLE b"])
    write_version(versions, "004_d", up=["CREATE TABLE d (id int)"])
    (versions / "003_c.py").unlink()
    told = offline.quick("check", code=4).err
    assert "002_b was modified since" in told
    assert "004_d is not listed" in told
    assert "003_c is listed, but there is no such file" in told


def test_check_notices_a_schema_file_that_was_edited(
    offline: Command, versions: Path, shadow: list[str]
) -> None:
    """Nobody would review it as what it is: something that databases start from."""
    offline.quick("snapshot", *shadow)
    path = versions / "schema.sql"
    path.write_text(path.read_text().replace("integer", "bigint"))
    assert "schema.sql is not the file" in offline.quick("check", code=4).err


@pytest.mark.parametrize("theirs", ["005_theirs", "006_theirs"])
def test_two_branches_with_a_new_version_conflict(
    offline: Command, versions: Path, shadow: list[str], theirs: str
) -> None:
    """Git stops, and so does ``check`` on what it leaves, with the way out."""
    root = versions.parent
    offline.quick("snapshot", *shadow)
    git(root, "init", "-q")
    committed(root, "base")
    for branch, name in (("ours", "005_ours"), ("theirs", theirs)):
        git(root, "checkout", "-q", "-b", branch, "main")
        write_version(versions, name, up=[f"CREATE TABLE {branch} (id int)"])
        offline.quick("snapshot", *shadow)
        committed(root, branch)
    git(root, "merge", "ours", check=False)
    assert "UU versions/checksums.txt" in git(root, "status", "--porcelain")
    if theirs == "006_theirs":
        result = offline.quick("check", code=4)
        assert "a merge left a conflict" in result.err
        assert "neuron-schema rebase" in result.err


def test_a_database_that_starts_from_the_file_is_the_same(
    cli: Command, with_rows: Path, database: URL, second: URL, shadow: list[str]
) -> None:
    """In its catalog, its rows, where its sequences stand, its history and what is logged."""
    cli("snapshot", *shadow)
    cli.quick("up")
    other = {"DATABASE_URL": libpq(second)}
    result = cli("up", "--from-snapshot", env=other)
    assert result.out.startswith("loaded: schema.sql, 001_kinds to 002_rows, in ")
    with connect(database) as one, connect(second) as two:
        history = HistoryTable()
        assert diff(read_schema(one, history=history), read_schema(two, history=history)) == ()
        assert applied(two) == applied(one) == ["001", "002"]
        same = "(SELECT id, name, up, doubled, who FROM kinds)"
        assert rows_of(two, same) == rows_of(one, same)
        value = "(SELECT last_value, is_called FROM kinds_id_seq)"
        for table in ("a_child", "named", "kept", value):
            assert rows_of(two, table) == rows_of(one, table), table
        columns = "version, name, direction, checksum, up, down"
        logged = f"(SELECT {columns} FROM neuron_migration_log)"
        assert rows_of(two, logged) == rows_of(one, logged)
        ((made, key),) = two.execute(
            "SELECT made > now() - interval '1 day', key FROM kinds WHERE name = 'child'"
        ).fetchall()
        assert made
        assert (key,) not in one.execute("SELECT key FROM kinds").fetchall()
        given = "SELECT made FROM kinds WHERE name <> 'it''s' ORDER BY made LIMIT 1"
        assert two.execute(given).fetchall() == one.execute(given).fetchall()
    cli.quick("status", "--check", env=other)


def test_what_is_newer_than_the_file_runs_after_it(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """One command brings a new database to the newest version."""
    cli.quick("snapshot", *shadow)
    write_version(versions, "004_d", up=["CREATE TABLE d (id int)"])
    result = cli.quick("up", "--from-snapshot", "--json").json
    assert result["from_snapshot"]["versions"] == ["001", "002", "003"]
    assert [step["version"] for step in result["steps"]] == ["004"]
    assert tables(connection) == ["a", "b", "c", "d"]
    assert applied(connection) == ["001", "002", "003", "004"]


def test_a_version_from_the_file_can_be_rolled_back(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """Also by the ``down`` that was recorded, when its file is gone."""
    cli.quick("snapshot", *shadow)
    cli.quick("up", "--from-snapshot")
    (versions / "003_c.py").unlink()
    cli.quick("down", "--yes", "--from-history")
    cli.quick("down", "--yes")
    assert tables(connection) == ["a"]


@pytest.mark.parametrize(
    ("there", "named"),
    [
        ("CREATE TABLE mine (id int)", "table mine"),
        ("CREATE VIEW mine AS SELECT 1 AS x", "view mine"),
        ("CREATE SEQUENCE mine", "sequence mine"),
        ("CREATE TYPE mine AS ENUM ('a')", "type mine"),
        ("CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", "function mine()"),
        ("CREATE SCHEMA mine", "schema mine"),
    ],
)
def test_a_database_that_is_not_empty_is_left_alone(  # noqa: PLR0917
    cli: Command,
    versions: Path,
    connection: psycopg.Connection,
    shadow: list[str],
    there: str,
    named: str,
) -> None:
    """Exit 9, with what is in it."""
    cli.quick("snapshot", *shadow)
    connection.execute(there.encode())
    assert named in cli.quick("up", "--from-snapshot", code=9).err
    assert applied(connection) == []


def test_a_database_with_a_history_is_left_alone(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """Exit 9; one whose history was rolled back to nothing may start anew."""
    cli.quick("snapshot", *shadow)
    cli.quick("up", "1")
    assert "001_a is applied" in cli.quick("up", "--from-snapshot", code=9).err
    cli.quick("reset", "--yes")
    cli.quick("up", "--from-snapshot")
    assert tables(connection) == ["a", "b", "c"]


def test_a_file_of_other_versions_is_refused(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """Modified, gone, or inserted before its newest one: exit 9 with the versions."""
    assert "schema.sql cannot be read" in cli.quick("up", "--from-snapshot", code=9).err
    cli.quick("snapshot", *shadow)
    saved = (versions / "002_b.py").read_text()
    write_version(versions, "002_b", up=["CREATE TABLE b (id bigint)"])
    assert "002_b is in it and was modified" in cli.quick("up", "--from-snapshot", code=9).err
    (versions / "002_b.py").write_text(saved)
    late = write_version(versions, "0021_late", up=["SELECT 1"])
    late.rename(versions / "0_x.py.bak")
    (versions / "schema.sql").write_text((versions / "schema.sql").read_text() + "\n-- mine\n")
    assert "is not the file that checksums.txt" in cli.quick("up", "--from-snapshot", code=9).err
    assert applied(connection) == []


def test_a_target_older_than_the_file_is_refused(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """The file is the newest schema; --dry-run and --count do not go with it either."""
    cli.quick("snapshot", *shadow)
    assert "newer than 2" in cli.quick("up", "2", "--from-snapshot", code=2).err
    cli.quick("up", "--from-snapshot", "--dry-run", code=2)
    cli.quick("up", "--from-snapshot", "--count", "1", code=2)
    assert applied(connection) == []
    cli.quick("up", "3", "--from-snapshot")


@pytest.mark.parametrize(
    ("up", "named"),
    [
        (
            "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 1001)",
            "versions insert more than 1000 rows into public.t",
        ),
        (
            "CREATE TABLE t (at timestamptz); INSERT INTO t VALUES (clock_timestamp())",
            "values that versions insert into public.t.at are others on every run",
        ),
        ("SELECT lo_create(0)", "versions make large objects"),
        ("CREATE TEXT SEARCH CONFIGURATION w (COPY = simple)", "text search configuration"),
        ("CREATE ROLE test_snapshot_role", "004_d makes or alters roles"),
    ],
)
def test_what_a_file_cannot_hold_is_noted_and_refused(  # noqa: PLR0917
    cli: Command,
    versions: Path,
    connection: psycopg.Connection,
    shadow: list[str],
    up: str,
    named: str,
) -> None:
    """The file is for the reader of a pull request then, and no database starts from it."""
    write_version(versions, "004_d", up=[up])
    assert named in cli.quick("snapshot", *shadow).err
    assert named in (versions / "schema.sql").read_text()
    assert named in cli.quick("up", "--from-snapshot", code=9).err
    assert applied(connection) == []


def test_a_thousand_rows_are_written_down(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """In the order of the key, as numbers."""
    write_version(
        versions,
        "004_d",
        up=["CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t SELECT generate_series(1, 1000)"],
    )
    cli.quick("snapshot", *shadow)
    assert "    (9),\n    (10),\n    (11),\n" in (versions / "schema.sql").read_text()
    cli.quick("up", "--from-snapshot")
    assert connection.execute("SELECT sum(id) FROM t").fetchall() == [(500500,)]


def test_another_current_schema_is_refused(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """The versions would have made their tables there, and the file says public."""
    cli.quick("snapshot", *shadow)
    connection.execute("CREATE SCHEMA tenant")
    connection.execute(
        f'ALTER DATABASE "{connection.info.dbname}" SET search_path = tenant'.encode()
    )
    connection.execute("DROP SCHEMA public")
    result = cli.quick("up", "--from-snapshot", code=9)
    assert "names without a schema are in public" in result.err


def test_the_search_path_of_the_settings_counts(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """It is what steps are set to, whatever the session has."""
    cli.quick("snapshot", *shadow)
    connection.execute("CREATE SCHEMA tenant")
    (cli.directory / "pyproject.toml").write_text(
        '[tool.neuron_schema]\nsearch_path = "tenant"\nhistory_schema = "tenant"\n'
    )
    refused = cli.quick("up", "--from-snapshot", code=9).err
    assert "names without a schema are in public in schema.sql; here they would be in tenant" in (
        refused
    )
    cli.quick("snapshot", *shadow)
    cli.quick("up", "--from-snapshot")
    found = connection.execute(
        "SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname IN ('public', 'tenant')"
    ).fetchall()
    assert found == [("tenant",)]


def test_a_failing_file_leaves_nothing_behind(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """It is one transaction, history included."""
    write_version(versions, "004_d", up=["CREATE TABLE d (id int CHECK (id < 5))"])
    cli.quick("snapshot", *shadow)
    connection.execute("CREATE EXTENSION IF NOT EXISTS plpgsql")
    connection.execute(
        "CREATE FUNCTION pg_temp.f() RETURNS event_trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE 'not here'; END$$"
    )
    connection.execute(
        "CREATE EVENT TRIGGER stop ON ddl_command_end WHEN TAG IN ('CREATE TABLE') "
        "EXECUTE FUNCTION pg_temp.f()"
    )
    assert "not here" in cli.quick("up", "--from-snapshot", code=1).err
    assert applied(connection) == []
    assert tables(connection) == []


def test_a_failed_start_is_in_the_log(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """And does not keep the next one from beginning; what the server says is shown."""
    cli.quick("snapshot", *shadow)
    connection.execute(
        "CREATE FUNCTION pg_temp.f() RETURNS event_trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE NOTICE 'seen'; IF to_regclass('public.b') IS NOT NULL THEN "
        "RAISE 'not here'; END IF; END$$"
    )
    connection.execute("CREATE EVENT TRIGGER stop ON ddl_command_end EXECUTE FUNCTION pg_temp.f()")
    failed = cli.quick("up", "--from-snapshot", code=1).err
    assert "not here" in failed
    assert "schema.sql: NOTICE: seen" in failed
    connection.execute("DROP EVENT TRIGGER stop")
    told = connection.execute("SELECT outcome, message FROM neuron_migration_log").fetchall()
    assert [outcome for outcome, _ in told] == ["failed"]
    assert "not here" in told[0][1]
    cli.quick("up", "--from-snapshot")
    assert applied(connection) == ["001", "002", "003"]


def test_what_is_in_the_way_of_a_start_is_told_before_it(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """As for any `up`: the right to create, with the line that gives it."""
    cli.quick("snapshot", *shadow)
    role = f"starter_{connection.info.dbname}"
    connection.execute(f"CREATE ROLE {role}".encode())
    try:
        (cli.directory / "pyproject.toml").write_text(f'[tool.neuron_schema]\nrole = "{role}"\n')
        refused = cli.quick("up", "--from-snapshot", code=7).err
        assert f"role {role} may not create in schema public" in refused
        assert f'GRANT USAGE, CREATE ON SCHEMA "public" TO "{role}"' in refused
    finally:
        connection.execute(f"DROP ROLE {role}".encode())


def test_of_many_that_start_at_once_one_loads(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """The others see that it is done; all end well."""
    cli.quick("snapshot", *shadow)
    runs = [cli.start("up", "--from-snapshot", "--json") for _ in range(4)]
    outs = [process.communicate(timeout=120) for process in runs]
    codes = [process.returncode for process in runs]
    # One that looks when the first is through is told that there is a history.
    assert set(codes) <= {0, 9}, outs
    assert codes.count(0) >= 1
    assert sum('"outcome": "loaded"' in out for out, _ in outs) == 1
    assert applied(connection) == ["001", "002", "003"]
