"""``squash``: several versions become one, for new databases and for those that have them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.command import Command
from tests.acceptance.conftest import applied, tables
from tests.acceptance.git import committed, git
from tests.conftest import libpq
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    from sqlalchemy.engine import URL

OWN = Path(__file__).parents[2] / "versions"
RELEASES = ("fresh", "old")


@pytest.fixture
def shadow(server: URL) -> list[str]:
    """Return the options that let throw-away databases be made on the tests' server."""
    return ["--shadow-url", libpq(server)]


def names(versions: Path) -> list[str]:
    """Return the version files that are there."""
    return sorted(path.name for path in versions.glob("*.py"))


def statuses(cli: Command) -> list[tuple[str, str]]:
    """Return version and status of all versions."""
    lines = cli.quick("status", "--json").json["migrations"]
    return [(line["version"], line["status"]) for line in lines]


@pytest.fixture
def two(cli: Command, database: URL, admin: psycopg.Connection) -> Iterator[dict[str, Command]]:
    """Yield the command on two databases of one project."""
    urls = {each: database.set(database=f"{database.database}_{each}") for each in RELEASES}
    for url in urls.values():
        admin.execute(f'CREATE DATABASE "{url.database}" TEMPLATE template0'.encode())
    yield {each: Command(cli.directory, {"DATABASE_URL": libpq(url)}) for each, url in urls.items()}
    for url in urls.values():
        admin.execute(f'DROP DATABASE "{url.database}" WITH (FORCE)'.encode())


@pytest.mark.extension("uuid-ossp")
@pytest.mark.extension("vector")
def test_neurons_own_versions_squashed_end_alike_in_an_old_and_a_new_database(
    tmp_path: Path, two: dict[str, Command], shadow: list[str]
) -> None:
    """No difference, the same status, and what comes after it applies to both."""
    versions = tmp_path / "versions"
    shutil.copytree(OWN, versions, ignore=shutil.ignore_patterns("__pycache__"))
    old, fresh = two["old"], two["fresh"]
    old("up")
    done = old("squash", "001:004", "--yes", *shadow)
    assert "the same after down" in done.err
    assert names(versions) == ["004_squashed_001_to_004.py"]
    assert old.quick("check").out == "1 version valid\n"
    old.quick("snapshot", "--check", *shadow)
    assert "004_squashed_001_to_004 is the newest applied" in old("up").out
    fresh("up")
    urls = [two[release].environment["DATABASE_URL"] for release in RELEASES]
    assert old.quick("diff", *urls).out == "no difference\n"
    assert statuses(old) == statuses(fresh) == [("004", "applied")]
    write_version(versions, "005_more", up=["CREATE TABLE more (id int)"], down=["DROP TABLE more"])
    for cli in (old, fresh):
        cli.quick("up")
        assert cli.quick("drift", *shadow).out == "no drift\n"
        assert cli.quick("wait").out == "nothing is pending: 2 versions\n"
        cli.quick("status", "--check")
    assert old.quick("diff", *urls).out == "no difference\n"
    assert "was applied as 001, 002, 003, 004" in old.quick("status").err
    assert "was applied as" not in fresh.quick("status").err
    for cli in (old, fresh):
        cli.quick("down", "0", "--yes")
    assert old.quick("diff", *urls).out == "no difference\n"
    old.quick("up")
    assert statuses(old) == [("004", "applied"), ("005", "applied")]


def test_squashing_writes_nothing_to_a_database_that_has_the_versions(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """So the release from before it still finds its history, and goes on."""
    before = cli.directory / "before"
    shutil.copytree(versions, before)
    cli.quick("up")
    rows = connection.execute("SELECT * FROM neuron_migrations ORDER BY 1").fetchall()
    cli.quick("squash", "2:3", "--yes", *shadow)
    write_version(versions, "004_d", up=["CREATE TABLE d (id int)"], down=["DROP TABLE d"])
    assert "003_squashed_002_to_003 was applied as 002, 003" in cli.quick("status").err
    cli.quick("up")
    assert connection.execute("SELECT * FROM neuron_migrations ORDER BY 1").fetchall()[:3] == rows
    assert statuses(cli) == [("001", "applied"), ("003", "applied"), ("004", "applied")]
    told = cli.quick("up", "--versions", str(before))
    assert "the database is ahead of this code" in told.err


def test_a_database_with_a_part_is_refused_and_comes_back_from_the_old_release(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """Exit 4, with the names and the remedy, which is one that helps."""
    before = cli.directory / "before"
    shutil.copytree(versions, before)
    cli.quick("up", "2")
    cli.quick("squash", "1:3", "--yes", *shadow)
    for command, code in ((["status"], 0), (["down", "--yes"], 4)):
        told = cli.quick(*command, code=code).err
        assert "003_squashed_001_to_003 replaces 001, 002, 003" in told
    for command in (["up"], ["status", "--check"], ["plan"], ["wait", "--timeout", "0"]):
        err = cli.quick(*command, code=4).err
        assert "003_squashed_001_to_003 replaces 001, 002, 003" in err
        assert "(not applied: 003)" in err
        assert "run `neuron-schema up` from there" in err
    assert tables(connection) == ["a", "b"]
    cli.quick("up", "--versions", str(before))
    cli.quick("up")
    assert statuses(cli) == [("003", "applied")]


def test_a_squashed_version_that_was_altered_runs_nowhere(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """A database with its parts has no row with its checksum; its own text tells: exit 2."""
    cli.quick("up")
    cli.quick("squash", "1:3", "--yes", *shadow)
    module = versions / "003_squashed_001_to_003.py"
    text = module.read_text()
    module.write_text(text.replace('Sql("DROP TABLE c")', 'Sql("SELECT 1")'))
    for command in (["check"], ["up"], ["down", "--yes"], ["status"], ["squash", "1:3"]):
        err = cli.quick(*command, code=2).err
        assert "the SQL is not the one that was shown to do" in err
        assert 'write proven = "' in err
    assert tables(connection) == ["a", "b", "c"]
    module.write_text(text.replace('Sql("DROP TABLE c")', 'Sql("DROP  TABLE c -- as before")'))
    cli.quick("status", "--check")


def test_rolling_back_a_squashed_version_deletes_all_its_rows(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """In one transaction, as the printed script does; the log tells of every one of them."""
    cli.quick("up")
    cli.quick("squash", "2:3", "--yes", *shadow)
    script = cli.quick("down", "--dry-run").out
    assert "WHERE version IN ('002', '003')" in script
    connection.execute("BEGIN")
    for text in (
        script.replace("\\set ON_ERROR_STOP on", "").split("COMMIT;")[0].split("BEGIN;")[1:]
    ):
        connection.execute(text.encode())
    assert applied(connection) == ["001"]
    connection.execute("ROLLBACK")
    assert applied(connection) == ["001", "002", "003"]
    cli.quick("down", "--yes")
    assert applied(connection) == ["001"]
    assert tables(connection) == ["a"]
    ended = [
        (entry["version"], entry["name"])
        for entry in cli.quick("history", "--json").json["entries"]
        if entry["outcome"] == "rolled back"
    ]
    assert ended == [("002", "b"), ("003", "squashed_002_to_003")]
    cli.quick("up")
    assert applied(connection) == ["001", "003"]
    assert tables(connection) == ["a", "b", "c"]
    cli.quick("down", "--yes")
    assert applied(connection) == ["001"]


def test_the_files_beside_the_versions_are_renewed(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """And a new database starts from them."""
    cli.quick("snapshot", *shadow)
    cli.quick("squash", "1:2", "--name", "ground", "--yes", *shadow)
    assert names(versions) == ["002_ground.py", "003_c.py"]
    cli.quick("check")
    cli.quick("snapshot", "--check", *shadow)
    cli.quick("up", "--from-snapshot")
    assert applied(connection) == ["002", "003"]
    assert statuses(cli) == [("002", "applied"), ("003", "applied")]
    assert cli.quick("verify", *shadow).out.count("proven") == 2
    assert not list(versions.glob(".*.tmp"))


def test_a_dry_run_prints_the_module_and_writes_nothing(
    cli: Command, versions: Path, shadow: list[str]
) -> None:
    """What is printed is the module itself, which may be sent into a file."""
    module = cli.quick("squash", "1:3", "--dry-run", *shadow)
    assert "the same after up, on empty tables: schema and rows" in module.err
    assert names(versions) == ["001_a.py", "002_b.py", "003_c.py"]
    printed = cli.quick("squash", "1:3", "--dry-run", "--json", *shadow).json
    assert printed["source"] == module.out
    assert printed["proof"]["proven"] is True
    assert printed["written"] == []
    cli.quick("squash", "1:3", "--yes", *shadow)
    assert (versions / "003_squashed_001_to_003.py").read_text() == module.out


def test_the_module_reads_as_its_author_would_have_written_it(
    cli: Command, versions: Path, shadow: list[str]
) -> None:
    """Each statement below the name of the version that it came from; ups in order, downs back."""
    out = cli.quick("squash", "2:3", "--dry-run", *shadow).out
    assert out.endswith(
        "up = [\n    # 002_b\n"
        '    Sql("CREATE TABLE b (id int)"),\n'
        "    # 003_c\n"
        '    Sql("CREATE TABLE c (id int)"),\n'
        "]\n\ndown = [\n    # 003_c\n"
        '    Sql("DROP TABLE c"),\n'
        "    # 002_b\n"
        '    Sql("DROP TABLE b"),\n]\n'
    )
    assert "002_b: Table b.\n003_c: Table c.\n" in out


@pytest.mark.parametrize(
    ("span", "told"),
    [
        ("3:1", "3:1 runs backwards"),
        ("2:2", "2:2 holds 002_b alone"),
        ("1:9", "there is no version 9"),
        ("1", "'1' is no span"),
        ("a:b", "'a' is no version"),
        ("0:2", "there is no version 0"),
        pytest.param(f"1:{'0' * 5000}9", "there is no version", id="many zeros"),
    ],
)
def test_what_is_no_span_of_versions_is_refused(
    cli: Command, versions: Path, span: str, told: str
) -> None:
    """Exit 2, before anything is started."""
    assert told in cli.quick("squash", span, "--yes", code=2).err


def test_a_name_that_no_file_can_have_is_refused(cli: Command, versions: Path) -> None:
    """As for any other version."""
    cli.quick("squash", "1:2", "--name", "a\nb", "--yes", code=2)
    assert names(versions) == ["001_a.py", "002_b.py", "003_c.py"]


def test_nobody_is_squashed_unasked(cli: Command, versions: Path, shadow: list[str]) -> None:
    """Off a terminal --yes is wanted; on one a no leaves everything as it is."""
    err = cli.quick("squash", "1:3", *shadow, code=9).err
    assert "]: 3 files would be replaced by 003_squashed_001_to_003.py\n" in err
    assert "fix: give the same command --yes (--dry-run prints the module)\n" in err
    terminal = cli.terminal("squash", "1:3", *shadow)
    terminal.expect("Replace 3 files by 003_squashed_001_to_003.py? [y/N]")
    terminal.type("n\n")
    terminal.finish(9)
    assert names(versions) == ["001_a.py", "002_b.py", "003_c.py"]
    terminal = cli.terminal("squash", "1:3", *shadow)
    terminal.expect("[y/N]")
    terminal.type("y\n")
    terminal.finish()
    assert names(versions) == ["003_squashed_001_to_003.py"]


def test_a_file_that_is_edited_at_the_prompt_is_not_removed(
    cli: Command, versions: Path, shadow: list[str]
) -> None:
    """What was proven and what would go are then two things."""
    terminal = cli.terminal("squash", "1:3", *shadow)
    terminal.expect("[y/N]")
    with (versions / "002_b.py").open("a") as file:
        file.write("# more\n")
    terminal.type("y\n")
    assert "002_b.py: changed since the squash was begun" in terminal.finish(9)
    assert names(versions) == ["001_a.py", "002_b.py", "003_c.py"]


def test_files_that_git_has_not_are_not_removed(
    cli: Command, versions: Path, shadow: list[str]
) -> None:
    """Changed or new ones; those that are committed go."""
    root = versions.parent
    git(root, "init", "-q")
    committed(root, "base")
    with (versions / "002_b.py").open("a") as file:
        file.write("# more\n")
    write_version(versions, "004_d")
    err = cli.quick("squash", "1:4", "--yes", *shadow, code=9).err
    assert "002_b.py, 004_d.py: not committed" in err
    cli.quick("squash", "1:4", "--dry-run", *shadow)
    committed(root, "more")
    cli.quick("squash", "1:4", "--yes", *shadow)
    assert names(versions) == ["004_squashed_001_to_004.py"]


@pytest.mark.parametrize("broken", ["no git", "no repository that git reads"])
def test_where_git_cannot_tell_nothing_is_removed(
    cli: Command, versions: Path, shadow: list[str], broken: str
) -> None:
    """Without the program, or in a repository that it refuses, as it does one of another user."""
    root = versions.parent
    git(root, "init", "-q")
    before = names(versions)
    env = {"PATH": "/nonexistent"}
    if broken != "no git":
        (root / ".git" / "config").write_text("[core]\n\trepositoryformatversion = 99\n")
        env = {}
    result = cli.quick("squash", "1:3", "--yes", *shadow, code=9, env=env)
    assert "are committed is not known: " in result.err
    assert names(versions) == before


def test_a_file_that_git_ignores_is_not_removed(
    cli: Command, versions: Path, shadow: list[str]
) -> None:
    """It is nowhere else; in a directory that is ignored as a whole git has no part."""
    root = versions.parent
    git(root, "init", "-q")
    (root / ".gitignore").write_text("002_*\n")
    committed(root, "base")
    err = cli.quick("squash", "1:3", "--yes", *shadow, code=9).err
    assert "002_b.py: not committed" in err
    git(root, "rm", "-q", "--cached", "-r", "versions")
    (root / ".gitignore").write_text("/versions/\n")
    git(root, "commit", "-q", "-m", "without them")
    cli.quick("squash", "1:3", "--yes", *shadow)
    assert names(versions) == ["003_squashed_001_to_003.py"]


def test_what_one_transaction_does_not_do_is_not_written(
    cli: Command, versions: Path, shadow: list[str]
) -> None:
    """A new label of an enum cannot be used in the transaction that adds it: exit 5."""
    write_version(versions, "004_e", up=["CREATE TYPE e AS ENUM ('x')", "CREATE TABLE t (e e)"])
    write_version(versions, "005_f", up=["ALTER TYPE e ADD VALUE 'y'"])
    write_version(versions, "006_g", up=["INSERT INTO t VALUES ('y')"])
    before = names(versions)
    err = cli.quick("squash", "5:6", "--yes", *shadow, code=5).err
    assert "unsafe use of new value" in err
    assert "nothing was written" in err
    assert names(versions) == before
    cli.quick("squash", "4:6", "--yes", *shadow)


def test_a_difference_is_named(cli: Command, versions: Path, shadow: list[str]) -> None:
    """A version may look at what is so when it begins; exit 5, in JSON too."""
    write_version(versions, "004_d", up=["CREATE TABLE d (id int)"])
    write_version(
        versions,
        "005_e",
        up=[
            "DO $$ BEGIN IF (SELECT xmin::text::bigint FROM pg_class WHERE relname = 'd') "
            "<> pg_current_xact_id()::text::bigint THEN ALTER TABLE d ADD z int; END IF; END $$"
        ],
    )
    printed = cli.quick("squash", "4:5", "--yes", "--json", *shadow, code=5).json
    (change, *_) = printed["changes"]
    assert (change["object"], change["action"]) == ("public.d.z", "removed")
    assert "column z of public.d removed" in printed["error"]["message"]
    assert printed["proof"]["proven"] is False
    assert names(versions)[-1] == "005_e.py"


def test_rebase_leaves_a_squashed_version_its_number(
    cli: Command, versions: Path, shadow: list[str]
) -> None:
    """It is the one that databases know; what came after it on this branch is renumbered."""
    root = versions.parent
    git(root, "init", "-q")
    committed(root, "base")
    git(root, "checkout", "-q", "-b", "mine")
    cli.quick("squash", "1:3", "--yes", *shadow)
    write_version(versions, "004_mine", up=["CREATE TABLE mine (id int)"])
    committed(root, "mine")
    git(root, "checkout", "-q", "main")
    write_version(versions, "004_theirs", up=["CREATE TABLE theirs (id int)"])
    committed(root, "theirs")
    git(root, "checkout", "-q", "mine")
    assert cli.quick("rebase", "--offline").out == "004_mine.py -> 005_mine.py\n"


def test_rebase_tells_of_a_squashed_version_with_anothers_number(
    cli: Command, versions: Path, shadow: list[str]
) -> None:
    """A version of this branch alone is in it, and the other branch has used its number."""
    root = versions.parent
    git(root, "init", "-q")
    committed(root, "base")
    git(root, "checkout", "-q", "-b", "mine")
    write_version(versions, "004_mine", up=["CREATE TABLE mine (id int)"])
    committed(root, "mine")
    cli.quick("squash", "3:4", "--yes", *shadow)
    committed(root, "squashed")
    git(root, "checkout", "-q", "main")
    write_version(versions, "004_theirs", up=["CREATE TABLE theirs (id int)"])
    committed(root, "theirs")
    git(root, "checkout", "-q", "mine")
    git(root, "merge", "-q", "main")
    err = cli.quick("rebase", "--offline", code=2).err
    assert "004_squashed_003_to_004.py and 004_theirs.py have one number" in err


INDEX = {
    "imports": "from sqlalchemy import Column, Index, Integer, MetaData, Table\n"
    "from sqlalchemy.schema import CreateIndex, DropIndex",
    "body": 'a = Table("a", MetaData(), Column("id", Integer))\n'
    'index = Index("i", a.c.id, postgresql_concurrently=True)',
    "up": "[CreateIndex(index)]",
    "down": "[DropIndex(index)]",
}


def test_what_commits_on_its_own_is_squashed_only_when_asked(
    cli: Command, versions: Path, shadow: list[str]
) -> None:
    """Exit 9 without the option; with it the output tells what changes."""
    write_version(versions, "004_i", **INDEX)
    err = cli.quick("squash", "1:4", "--yes", *shadow, code=9).err
    assert "004_i (CREATE INDEX CONCURRENTLY)" in err
    assert "--plain-indexes" in err
    assert len(names(versions)) == 4
    done = cli.quick("squash", "1:4", "--plain-indexes", "--yes", *shadow)
    assert "CREATE INDEX CONCURRENTLY becomes CREATE INDEX i, with its lock" in done.err
    assert 'Sql("CREATE INDEX i ON a (id)")' in (versions / names(versions)[0]).read_text()


def test_a_backfill_is_refused(cli: Command, versions: Path, shadow: list[str]) -> None:
    """Exit 9, with its name; nothing is written."""
    write_version(
        versions,
        "004_fill",
        imports="from sqlalchemy import Column, Integer, MetaData, Table\n"
        "from neuron_schema.ops import Backfill",
        body='a = Table("a", MetaData(), Column("id", Integer, primary_key=True), '
        'Column("x", Integer))',
        up="[Backfill(a, {a.c.x: 1})]",
    )
    printed = cli.quick("squash", "3:4", "--plain-indexes", "--yes", "--json", *shadow, code=9).json
    assert printed["error"]["code"] == "NS912"
    assert "004_fill: a backfill" in printed["error"]["message"]
    assert len(names(versions)) == 4


def test_a_squash_of_a_squash_knows_all_that_came_before(
    cli: Command, versions: Path, two: dict[str, Command], shadow: list[str]
) -> None:
    """A database with the versions one by one, and one with the first squash, have the second."""
    two["old"].quick("up")
    cli.quick("squash", "1:2", "--name", "first", "--yes", *shadow)
    two["fresh"].quick("up")
    cli.quick("squash", "2:3", "--name", "second", "--yes", *shadow)
    assert names(versions) == ["003_second.py"]
    for each in two.values():
        each.quick("status", "--check")
        assert "nothing to apply: 003_second" in each.quick("up").out
    assert "was applied as 001, 002, 003" in two["old"].quick("status").err
    assert "was applied as 002, 003" in two["fresh"].quick("status").err
    for each in two.values():
        each.quick("down", "--yes")
        assert statuses(each) == [("003", "pending")]


# --- killed in the middle ------------------------------------------------------------------------

KILLED = """
import os, sys
from neuron_schema.cli.entry import run
left = int(sys.argv[1])
def hook(event, arguments):
    global left
    if event in ("os.rename", "os.remove") and any(
        "{versions}" in str(each) for each in arguments
    ):
        left -= 1
        if left < 0:
            os._exit(9)
sys.addaudithook(hook)
sys.exit(run(["squash", "1:3", "--yes", *sys.argv[2:]]))
"""


@pytest.mark.parametrize("done", range(7))
def test_a_squash_that_was_killed_is_refused_and_finished(
    cli: Command, versions: Path, shadow: list[str], done: int
) -> None:
    """After each change of a name: either all is as it was, or no command runs and squash goes on.

    A directory in which an old file stands beside the one that holds it would run it twice.
    """
    cli.quick("snapshot", *shadow)
    before = names(versions)
    script = KILLED.replace("{versions}", str(versions))
    killed = subprocess.run(
        [sys.executable, "-c", script, str(done), *shadow],
        **cli._options(None),
        check=False,
        capture_output=True,
    )
    if killed.returncode == 0:
        assert done > 5
    else:
        assert killed.returncode == 9, killed.stderr
        if names(versions) == before and "replaces" not in (versions / "003_c.py").read_text():
            cli.quick("check")
        elif len(names(versions)) > 1:
            assert "replaces that number" in cli.quick("check", code=2).err
            assert "squash 1:3 finishes" in cli.quick("up", code=2).err
            cli.quick("squash", "1:3", code=9)
        cli.quick("squash", "1:3", "--name", "squashed_001_to_003", "--yes", *shadow)
    assert names(versions) == ["003_squashed_001_to_003.py"]
    assert not list(versions.glob(".*.tmp"))
    cli.quick("check")
    cli.quick("snapshot", "--check", *shadow)
    assert "nothing to remove" in cli.quick("squash", "1:3", *shadow).out
