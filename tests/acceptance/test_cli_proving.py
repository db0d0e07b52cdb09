"""``verify``, ``drift`` and ``diff`` as a user meets them."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.conftest import libpq
from tests.reference_sql import VERSIONS, reference_down_as_specified, reference_up
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg
    from sqlalchemy.engine import URL

    from tests.acceptance.command import Command


@pytest.fixture
def shadow(server: URL) -> list[str]:
    """Return the option that puts throw-away databases on the test's server."""
    return ["--shadow-url", libpq(server)]


def cells(line: str) -> list[str]:
    """Return the cells of a line of a table."""
    return re.split(r" {2,}", line)


def test_verify_shows_a_table_and_what_is_lost(
    offline: Command, versions: Path, shadow: list[str]
) -> None:
    """Without any database of the project's; all versions, or those that are named."""
    shown = offline("verify", *shadow).out
    table, _, details = shown.partition("\n\n")
    assert [cells(line) for line in table.splitlines()] == [
        ["version", "name", "up", "down", "up again", "result"],
        *([f"00{n}", name, "ok", "ok", "ok", "proven"] for n, name in enumerate("abc", 1)),
    ]
    assert "001_a\n  lost by down: public.a, dropped with its rows\n" in details
    some = offline.quick("verify", "2:3", *shadow, "--json").json
    assert [each["version"] for each in some["versions"]] == ["002", "003"]
    assert some["changes"] == []
    assert some["shadow"]["embedded"] is False
    assert "error[NS203]" in offline.quick("verify", "7", *shadow, code=2).err


@pytest.mark.extension("uuid-ossp")
@pytest.mark.extension("vector")
def test_verify_catches_the_down_of_the_specifications_003(
    offline: Command, tmp_path: Path, shadow: list[str]
) -> None:
    """And no other of its versions; exit 5."""
    for version in VERSIONS:
        write_version(
            tmp_path / "versions",
            f"{version}_reference",
            up=[reference_up(version)],
            down=[reference_down_as_specified(version)],
        )
    result = offline.quick("verify", *shadow, code=5)
    lines = [cells(line) for line in result.out.splitlines()[1:5]]
    assert [(line[0], line[3], line[5]) for line in lines] == [
        ("001", "ok", "proven"),
        ("002", "ok", "proven"),
        ("003", "fails", "NOT PROVEN"),
        ("004", "ok", "proven"),
    ]
    assert "down fails: 003_reference (down): cannot drop table clusters" in result.out
    assert "error[NS501]: 1 of 4 not proven: 003_reference" in result.err


def test_verify_names_what_a_down_leaves(
    offline: Command, versions: Path, shadow: list[str]
) -> None:
    """In words, and in JSON as the other commands tell of changes."""
    write_version(
        versions,
        "002_b",
        up=["CREATE TABLE b (id int)", "CREATE INDEX left_behind ON a (id)"],
        down=["DROP TABLE b"],
    )
    result = offline.quick("verify", *shadow, code=5)
    assert "differs (1)" in result.out
    assert "after down: index left_behind of public.a added" in result.out
    told = offline.quick("verify", *shadow, "--json", code=5).json
    down = next(each for each in told["changes"] if each["phase"] == "down")
    assert {key: down[key] for key in ("version", "kind", "object", "action", "before")} == {
        "version": "002",
        "kind": "index",
        "object": "public.a.left_behind",
        "action": "added",
        "before": None,
    }
    assert down["after"]["definition"] == "CREATE INDEX left_behind ON public.a USING btree (id)"
    assert told["error"]["code"] == "NS501"
    (wrong,) = [each for each in told["versions"] if not each["proven"]]
    assert [each["phase"] for each in wrong["failures"]] == ["up again"]


def test_verify_tells_a_failure_on_rows_from_others(
    offline: Command, versions: Path, shadow: list[str]
) -> None:
    """In the table, in words, and in JSON; a version that cannot go back is said to be such."""
    write_version(
        versions,
        "004_d",
        up=["ALTER TABLE a ADD COLUMN k int NOT NULL"],
        down=["ALTER TABLE a DROP COLUMN k"],
    )
    write_version(versions, "005_e", body='down = irreversible("why not")', down=None)
    result = offline.quick("verify", "4:5", *shadow, code=5)
    lines = [cells(line) for line in result.out.splitlines()[1:3]]
    assert lines == [
        ["004", "d", "fails on rows", "ok", "ok", "NOT PROVEN"],
        ["005", "e", "ok", "irreversible", "-", "proven"],
    ]
    assert 'up fails on rows, not on empty tables: 004_d (up): column "k"' in result.out
    told = offline.quick("verify", "4", *shadow, "--json", code=5).json
    assert told["versions"][0]["failures"][0]["rows_only"] is True


def test_verify_runs_on_an_embedded_server_of_its_own(offline: Command, versions: Path) -> None:
    """Where no other is given; roles that a version names are made there, and extensions are not.

    The error names the flag.
    """
    write_version(
        versions,
        "004_d",
        up=['GRANT SELECT ON a TO reader, "the writer"'],
        down=['REVOKE SELECT ON a FROM reader, "the writer"'],
    )
    assert offline.quick("verify", "--json").json["shadow"] == {"major": 18, "embedded": True}
    write_version(versions, "005_e", up=["CREATE EXTENSION postgis"])
    result = offline.quick("verify", "5", code=7)
    assert "error[NS703]: the server has no extension postgis" in result.err
    assert "--shadow-url" in result.err


def test_verify_of_no_versions_says_so(offline: Command, tmp_path: Path) -> None:
    """Without starting a server."""
    (tmp_path / "versions").mkdir()
    assert offline.quick("verify").out == "no versions\n"


def test_a_shadow_that_cannot_be_had_is_told(offline: Command, versions: Path) -> None:
    """An address that is none, and a server that does not answer."""
    wrong = offline.quick("verify", "--shadow-url", "nonsense", code=2).err
    assert "error[NS202]" in wrong
    assert "at: --shadow-url" in wrong
    gone = offline.quick("verify", "--shadow-url", "postgresql://127.0.0.1:1/x", code=7).err
    assert "error[NS701]" in gone


@pytest.fixture
def live(cli: Command, versions: Path, connection: psycopg.Connection) -> psycopg.Connection:
    """Return a connection to a database to which the project's versions are applied."""
    write_version(
        versions,
        "004_more",
        up=[
            "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "ALTER TABLE a ADD COLUMN name varchar(40)",
        ],
        down=["ALTER TABLE a DROP COLUMN name", "DROP FUNCTION touch()"],
    )
    cli.quick("up")
    return connection


def test_no_drift_after_up(cli: Command, live: psycopg.Connection, shadow: list[str]) -> None:
    """The history table, the log, rows and other owners make no difference."""
    live.execute("INSERT INTO a VALUES (1)")
    live.execute("GRANT SELECT ON a TO PUBLIC")
    result = cli("drift", *shadow)
    assert result.out == "no drift\n"
    assert result.err.startswith("target: ")


def test_drift_names_what_was_done_by_hand_and_nothing_else(
    cli: Command, live: psycopg.Connection, shadow: list[str]
) -> None:
    """A column, an index and a trigger: in words, as SQL, and in JSON; exit 5."""
    live.execute("ALTER TABLE a ALTER name TYPE varchar(80)")
    live.execute("CREATE INDEX by_hand ON b (id)")
    live.execute("CREATE TRIGGER touch BEFORE UPDATE ON c FOR EACH ROW EXECUTE FUNCTION touch()")
    result = cli.quick("drift", *shadow, code=5)
    assert "error[NS502]: 3 differences" in result.err
    assert sorted(line for line in result.out.splitlines() if not line.startswith(" ")) == [
        "column name of public.a changed",
        "index by_hand of public.b added",
        "trigger touch of public.c added",
    ]
    assert "  type: character varying(40) -> character varying(80)\n" in result.out
    assert (
        '    ALTER TABLE "public"."a" ALTER COLUMN "name" TYPE character varying(80);\n'
        in result.out
    )
    assert "    CREATE INDEX by_hand ON public.b USING btree (id);\n" in result.out
    told = cli.quick("drift", *shadow, "--json", code=5).json
    assert sorted((each["kind"], each["action"]) for each in told["changes"]) == [
        ("column", "changed"),
        ("index", "added"),
        ("trigger", "added"),
    ]
    # What is said as SQL is what was done: where it is undone there is no drift any more.
    live.execute("ALTER TABLE a ALTER name TYPE varchar(40)")
    live.execute("DROP INDEX by_hand; DROP TRIGGER touch ON c")
    assert cli.quick("drift", *shadow).out == "no drift\n"


def test_drift_is_looked_for_in_what_is_applied(
    cli: Command, live: psycopg.Connection, shadow: list[str]
) -> None:
    """A pending version makes none; one that was rolled back by hand does."""
    cli.quick("down", "2", "--yes")
    assert cli.quick("drift", *shadow).out == "no drift\n"
    live.execute("DROP TABLE b")
    assert "table public.b removed" in cli.quick("drift", *shadow, code=5).out


def test_ignored_drift_is_shown_with_its_reason(
    cli: Command, live: psycopg.Connection, shadow: list[str], tmp_path: Path
) -> None:
    """A pattern of names, perhaps for one kind; one that nothing matches is told."""
    live.execute("CREATE TABLE tmp_1 (); CREATE INDEX tmp_i ON a (id)")
    (tmp_path / "pyproject.toml").write_text(
        "[tool.neuron_schema]\nignore = [\n"
        '  {object = "public.tmp_*", kind = "table", reason = "made by the nightly job"},\n'
        '  {object = "gone.*", reason = "long ago"},\n]\n'
    )
    result = cli.quick("drift", *shadow, code=5)
    assert "1 difference" in result.err
    assert "table public.tmp_1" not in result.out
    assert "ignored (made by the nightly job): table public.tmp_1 added" in result.err
    assert "nothing matches 'gone.*'" in result.err
    live.execute("DROP INDEX tmp_i")
    told = cli.quick("drift", *shadow, "--json").json
    assert told["changes"] == []
    assert [each["reason"] for each in told["ignored"]] == ["made by the nightly job"]
    (tmp_path / "pyproject.toml").write_text(
        '[tool.neuron_schema]\nignore = [{object = "x", reason = "y", kind = "tabel"}]\n'
    )
    assert "error[NS201]" in cli.quick("drift", *shadow, code=2).err


def test_a_read_only_role_sees_drift(
    cli: Command, live: psycopg.Connection, shadow: list[str], database: URL
) -> None:
    """It may read the history table, and nothing else of the schema."""
    live.execute(
        "DROP INDEX IF EXISTS none; CREATE SCHEMA inner_one; CREATE VIEW inner_one.v AS "
        "SELECT id FROM a"
    )
    live.execute("CREATE ROLE drift_reader LOGIN PASSWORD 'c4n4ry-p4ssw0rd'")
    try:
        live.execute("GRANT SELECT ON neuron_migrations TO drift_reader")
        url = libpq(database.set(username="drift_reader", password="c4n4ry-p4ssw0rd"))
        result = cli.quick("drift", *shadow, "--database-url", url, code=5)
        assert "schema inner_one added" in result.out
        assert "view inner_one.v added" in result.out
        assert "2 differences" in result.err
    finally:
        live.execute("DROP OWNED BY drift_reader; DROP ROLE drift_reader")


def test_drift_of_modified_and_missing_versions_goes_by_what_was_run(
    cli: Command, live: psycopg.Connection, shadow: list[str], versions: Path
) -> None:
    """As the log recorded it; without a record nothing is guessed: exit 4."""
    write_version(versions, "002_b", up=["CREATE TABLE other (id int)"])
    (versions / "003_c.py").unlink()
    assert cli.quick("drift", *shadow).out == "no drift\n"
    live.execute("DROP TABLE neuron_migration_log")
    refused = cli.quick("drift", *shadow, code=4).err
    assert "error[NS400]: 002, 003: applied, but the file is missing or was modified" in refused


def test_drift_runs_recorded_operations_as_they_were_run(
    cli: Command, connection: psycopg.Connection, versions: Path, shadow: list[str]
) -> None:
    """What commits on its own does on the shadow too; rows that a lost function wrote are none."""
    operations = {
        "004_index": "[CreateIndex(index)]",
        "005_vacuum": "[Vacuum(a)]",
        "006_fill": '[Backfill(a, {"n": "0"}, where=a.c.n.is_(None))]',
        "007_rows": '[BackfillRows(a, lambda rows: [{"n": 1} for _ in rows], ["id"])]',
        "008_not_null": '[Sql("ALTER TABLE a ALTER n SET NOT NULL")]',
        "009_drop": "[DropIndex(index)]",
    }
    write_version(versions, "001_a", up=["CREATE TABLE a (id int PRIMARY KEY, n int)"])
    for label, up in operations.items():
        write_version(versions, label, imports=_IMPORTS, body=_TABLE, up=up)
    cli.quick("up")
    kept = {path: path.read_text() for path in versions.glob("00[4-9]*.py")}
    for path in kept:
        path.unlink()
    assert cli.quick("drift", *shadow).out == "no drift\n"
    for path, text in kept.items():
        path.write_text(text + "down = [Sql('SELECT 1')]\n")
    assert cli.quick("drift", *shadow).out == "no drift\n"
    # They were really run.
    connection.execute("CREATE INDEX i ON a (n)")
    assert "index i of public.a added" in cli.quick("drift", *shadow, code=5).out


_IMPORTS = """
from sqlalchemy import Column, Index, Integer, MetaData, Table
from sqlalchemy.schema import CreateIndex, DropIndex
from neuron_schema.ops import Backfill, BackfillRows, Vacuum
"""
_TABLE = """
a = Table("a", MetaData(), Column("id", Integer, primary_key=True), Column("n", Integer))
index = Index("i", a.c.n, postgresql_concurrently=True)
"""


def test_a_version_that_fails_on_the_shadow_is_not_said_to_be_pending(
    cli: Command, connection: psycopg.Connection, versions: Path, shadow: list[str]
) -> None:
    """It is applied, and the database is as it was; what PostgreSQL advises is told too."""
    connection.execute("CREATE VIEW by_hand AS SELECT 1 AS x")
    write_version(versions, "004_view", up=["CREATE TABLE v AS SELECT abs(x) AS x FROM by_hand"])
    cli.quick("up", "--allow-non-empty")
    refused = cli.quick("drift", *shadow, code=1).err
    assert 'error[NS101]: 004_view (up): relation "by_hand" does not exist' in refused
    assert "this was on the throw-away server, and no other database was touched" in refused
    assert "pending" not in refused
    write_version(versions, "004_view", up=["SELECT no_such(1)"])
    told = cli.quick("diff", "@0", "@4", *shadow, code=1).err
    assert "No function matches the given name" in told
    assert "(this was on the throw-away server" in told


def test_drift_knows_the_schema_that_the_search_path_names(
    cli: Command, connection: psycopg.Connection, versions: Path, shadow: list[str], tmp_path: Path
) -> None:
    """It was there before the first version; or a version makes it, and it was not."""
    connection.execute("CREATE SCHEMA app")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.neuron_schema]\nsearch_path = "app, public"\nhistory_schema = "app"\n'
    )
    cli.quick("up")
    assert cli.quick("drift", *shadow).out == "no drift\n"
    connection.execute("DROP SCHEMA app CASCADE")
    (tmp_path / "pyproject.toml").write_text('[tool.neuron_schema]\nsearch_path = "app, public"\n')
    write_version(versions, "001_a", up=["CREATE SCHEMA app"], down=["DROP SCHEMA app"])
    (tmp_path / "pyproject.toml").write_text(
        '[tool.neuron_schema]\nsearch_path = "app, public"\nhistory_schema = "public"\n'
    )
    cli.quick("up")
    assert cli.quick("drift", *shadow).out == "no drift\n"


def test_what_postgresql_prints_otherwise_after_a_dump_is_no_drift(
    cli: Command, connection: psycopg.Connection, versions: Path, shadow: list[str]
) -> None:
    """Texts that were printed and read again, of every kind that holds an expression."""
    among = "x IN ('a', 'b')"
    write_version(
        versions,
        "001_a",
        up=[
            "CREATE TABLE a (id int, x varchar(9), y boolean DEFAULT "
            "('a'::varchar(3) IN ('a'::varchar(2), 'b')))",
            f"ALTER TABLE a ADD CONSTRAINT few CHECK ({among})",
            f"CREATE INDEX part ON a (id) WHERE {among}",
            f"CREATE VIEW v AS SELECT id FROM a WHERE {among}",
            "CREATE VIEW above AS SELECT id FROM v",
            f"CREATE POLICY p ON a USING ({among})",
        ],
        down=["DROP TABLE a CASCADE"],
    )
    cli.quick("up")

    def text(sql: str) -> str:
        (found,) = connection.execute(sql.encode()).fetchall()
        return str(found[0])

    before = text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'few'")
    restored = [
        f"ALTER TABLE a DROP CONSTRAINT few, ADD CONSTRAINT few {before}",
        "DROP INDEX part; "
        + text("SELECT pg_get_indexdef(oid) FROM pg_class WHERE relname = 'part'"),
        "CREATE OR REPLACE VIEW v AS " + text("SELECT pg_get_viewdef('v'::regclass)"),
        "ALTER TABLE a ALTER y SET DEFAULT "
        + text("SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'a'::regclass"),
        "DROP POLICY p ON a; CREATE POLICY p ON a USING ("
        + text("SELECT pg_get_expr(polqual, polrelid) FROM pg_policy")
        + ")",
    ]
    for sql in restored:
        connection.execute(sql.encode())
    after = text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'few'")
    assert after != before
    assert cli.quick("drift", *shadow).out == "no drift\n"
    connection.execute("ALTER TABLE a DROP CONSTRAINT few, ADD CHECK (x IN ('a', 'c'))")
    connection.execute("ALTER TABLE a RENAME CONSTRAINT a_x_check TO few")
    result = cli.quick("drift", *shadow, code=5)
    assert "constraint few of public.a changed" in result.out
    assert "1 difference" in result.err


def test_drift_is_kept_to_the_schemas_of_the_settings(
    cli: Command, live: psycopg.Connection, shadow: list[str], tmp_path: Path
) -> None:
    """What stands in others is somebody else's."""
    live.execute("CREATE SCHEMA theirs; CREATE TABLE theirs.t ()")
    assert "2 differences" in cli.quick("drift", *shadow, code=5).err
    (tmp_path / "pyproject.toml").write_text('[tool.neuron_schema]\nschemas = ["public"]\n')
    assert cli.quick("drift", *shadow).out == "no drift\n"


def test_a_server_of_another_major_is_told_of_the_flag(
    cli: Command, live: psycopg.Connection
) -> None:
    """The embedded server comes in two majors; where neither fits, exit 7."""
    major = live.info.server_version // 10000
    if major in (16, 18):
        assert cli.quick("drift", "--json").json["shadow"] == {"major": major, "embedded": True}
    else:
        assert "--shadow-url" in cli.quick("drift", code=7).err


def test_diff_of_two_versions(offline: Command, versions: Path, shadow: list[str]) -> None:
    """In words and as SQL; exit 5 where they differ, 0 where they do not."""
    result = offline.quick("diff", "@1", "@003", *shadow, code=5)
    assert "table public.b added\n" in result.out
    assert "table public.c added\n" in result.out
    assert "public.a" not in result.out
    assert "error[NS500]: 2 differences between @1 and @003" in result.err
    assert offline.quick("diff", "@2", "@02", *shadow).out == "no difference\n"
    told = offline.quick("diff", "@1", "@0", *shadow, "--json", code=5).json
    assert [(each["object"], each["action"]) for each in told["changes"]] == [
        ("public.a", "removed")
    ]
    assert told["changes"][0]["sql"] == ['DROP TABLE "public"."a"']


def test_diff_of_a_database_and_a_version(
    cli: Command, live: psycopg.Connection, shadow: list[str], address: URL
) -> None:
    """The history table is part of neither."""
    assert cli.quick("diff", libpq(address), "@4", *shadow).out == "no difference\n"
    live.execute("ALTER TABLE a DROP COLUMN name")
    shown = cli.quick("diff", libpq(address), "@4", *shadow, code=5).out
    assert shown.startswith("column name of public.a added\n")


def test_diff_of_a_git_revision(offline: Command, versions: Path, shadow: list[str]) -> None:
    """What the versions directory held then, by real git."""
    root = versions.parent

    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
            cwd=root,
            check=True,
            capture_output=True,
        )

    assert "error[NS200]" in offline.quick("diff", "git:HEAD", "@3", *shadow, code=2).err
    git("init", "-q", "-b", "main")
    (versions / "003_c.py").rename(root / "003_c.py")
    git("add", "versions")
    git("commit", "-q", "-m", "two versions")
    (root / "003_c.py").rename(versions / "003_c.py")
    shown = offline.quick("diff", "git:main", "@3", *shadow, code=5).out
    assert shown.startswith("table public.c added\n")
    assert offline.quick("diff", "git:HEAD", "@2", *shadow).out == "no difference\n"
    for revision in ("no-such", "--help", "HEAD~7", ""):
        wrong = offline.quick("diff", f"git:{revision}", "@3", *shadow, code=2).err
        assert "error[NS200]" in wrong, revision
    git("rm", "-rq", "--cached", "versions")
    git("commit", "-q", "-m", "none")
    assert (
        "has no directory versions" in offline.quick("diff", "git:HEAD", "@3", *shadow, code=2).err
    )


def test_diff_of_a_metadata(offline: Command, versions: Path, shadow: list[str]) -> None:
    """What create_all makes, with the schemas of the other side."""
    write_version(versions, "004_d", up=["CREATE SCHEMA app", "CREATE TABLE app.d (id int)"])
    (versions.parent / "models_of_ours.py").write_text(
        "from sqlalchemy import Column, Integer, MetaData, Table\n"
        "class Base:\n    metadata = MetaData()\n"
        "for name in 'abc':\n"
        "    Table(name, Base.metadata, Column('id', Integer))\n"
        "Table('d', Base.metadata, Column('id', Integer), schema='app')\n"
        "Table('e', Base.metadata, Column('id', Integer))\n"
    )
    side = "py:models_of_ours:Base.metadata"
    for sides, action in ((("@4", side), "added"), ((side, "@4"), "removed")):
        shown = offline("diff", *sides, *shadow, code=5).out
        assert shown.splitlines()[0] == f"table public.e {action}"
    for wrong in ("py:models_of_ours:Base", "py:models_of_ours:no", "py:no_module:x", "py:x"):
        assert "error[NS200]" in offline("diff", "@4", wrong, *shadow, code=2).err


@pytest.mark.extension("uuid-ossp")
@pytest.mark.extension("vector")
def test_neurons_tables_are_what_its_versions_make(offline: Command, shadow: list[str]) -> None:
    """The MetaData that services import, and the four versions."""
    shown = offline.quick(
        "diff",
        "@004",
        "py:neuron_schema.tables:metadata",
        *shadow,
        "--versions",
        "neuron_schema.versions",
    ).out
    assert shown == "no difference\n"


@pytest.mark.parametrize("side", ["nonsense", "@x", "py:a", "git:", "@99", "mysql://x/y"])
def test_a_side_that_is_none_is_a_usage_error(
    offline: Command, versions: Path, shadow: list[str], side: str
) -> None:
    """Exit 2, with what may be written."""
    told = offline.quick("diff", "@1", side, *shadow, "--json", code=2).json
    assert told["error"]["remedy"]


def test_names_from_a_database_cannot_steer_a_terminal(
    cli: Command, live: psycopg.Connection, shadow: list[str]
) -> None:
    """They are escaped, and JSON is one object still."""
    live.execute('CREATE TABLE "x\x1b[31m\ny" ()')
    result = cli.quick("drift", *shadow, code=5)
    assert "\x1b" not in result.out + result.err
    assert "\\x1b[31m" in result.out
    assert json.loads(cli.quick("drift", *shadow, "--json", code=5).out)["changes"]


@pytest.fixture(autouse=True)
def _no_modules_left() -> Iterator[None]:
    """Forget what ``py:`` imported in this process."""
    import sys

    before = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = before[0]
    for name in set(sys.modules) - before[1]:
        if name.startswith("models_of_ours"):
            del sys.modules[name]
