"""``rebase``: a branch's versions after those of the branch that it is merged into."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.conftest import applied, tables
from tests.acceptance.git import committed, git
from tests.conftest import libpq
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg
    from sqlalchemy.engine import URL

    from tests.acceptance.command import Command


@pytest.fixture
def shadow(server: URL) -> list[str]:
    """Return the options that let throw-away databases be made on the tests' server."""
    return ["--shadow-url", libpq(server)]


def names(versions: Path) -> list[str]:
    """Return the version files that are there."""
    return sorted(path.name for path in versions.glob("*.py"))


@pytest.fixture
def branches(versions: Path) -> Path:
    """Return versions in a work tree on ``mine``, with 004 and 005; main has another 004."""
    root = versions.parent
    git(root, "init", "-q")
    committed(root, "base")
    git(root, "checkout", "-q", "-b", "mine")
    write_version(versions, "004_mine", up=["CREATE TABLE mine (id int)"], down=["DROP TABLE mine"])
    write_version(
        versions, "005_more", up=["ALTER TABLE mine ADD x int"], down=["ALTER TABLE mine DROP x"]
    )
    committed(root, "mine")
    git(root, "checkout", "-q", "main")
    write_version(versions, "004_theirs", up=["CREATE TABLE theirs (id int)"])
    committed(root, "theirs")
    git(root, "checkout", "-q", "mine")
    return versions


def test_versions_of_a_branch_go_after_those_of_main(cli: Command, branches: Path) -> None:
    """Also before main is merged; their order stays, and a second time nothing is done."""
    told = cli("rebase").out
    assert told == "004_mine.py -> 005_mine.py\n005_more.py -> 006_more.py\n"
    assert names(branches) == [
        "001_a.py",
        "002_b.py",
        "003_c.py",
        "005_mine.py",
        "006_more.py",
    ]
    assert "nothing to renumber" in cli.quick("rebase", "main").out


def test_a_merge_with_a_conflict_is_put_right(
    cli: Command, versions: Path, connection: psycopg.Connection, shadow: list[str]
) -> None:
    """The files are renumbered and both snapshot files are written anew, without marks."""
    root = versions.parent
    cli.quick("snapshot", *shadow)
    git(root, "init", "-q")
    committed(root, "base")
    for branch in ("theirs", "mine"):
        git(root, "checkout", "-q", "-b", branch, "main")
        write_version(versions, f"004_{branch}", up=[f"CREATE TABLE {branch} (id int)"])
        cli.quick("snapshot", *shadow)
        committed(root, branch)
    git(root, "merge", "theirs", check=False)
    assert "two files have the number 4" in cli.quick("check", code=2).err
    cli.quick("rebase", "theirs", *shadow)
    assert names(versions)[-2:] == ["004_theirs.py", "005_mine.py"]
    assert cli.quick("check").out == "5 versions valid\n"
    assert "<<<<<<<" not in (versions / "schema.sql").read_text()
    cli.quick("snapshot", "--check", *shadow)
    cli.quick("up", "--from-snapshot")
    assert applied(connection) == ["001", "002", "003", "004", "005"]


def test_what_the_database_has_is_not_renumbered(
    cli: Command, branches: Path, connection: psycopg.Connection
) -> None:
    """It would be missing and pending at once; exit 4, and no file has another name."""
    cli.quick("up")
    before = names(branches)
    assert "004_mine, 005_more is applied" in cli.quick("rebase", code=4).err
    assert names(branches) == before
    cli.quick("down", "3", "--yes")
    cli.quick("rebase")
    cli.quick("up")
    assert applied(connection) == ["001", "002", "003", "005", "006"]


def followed(cli: Command, told: str, code: int) -> None:
    """Run the commands of a remedy in their order, the last one with an exit status."""
    commands = re.findall(r"neuron-schema ([a-z]+(?: (?:theirs|\d+|--[a-z-]+))*)", told)
    for command in commands[:-1]:
        cli.quick(*command.split(), *(["--yes"] if command.startswith("down") else []))
    assert commands[-1] == "up"
    cli.quick("up", code=code)


@pytest.mark.parametrize("merged", [True, False])
def test_the_way_out_for_what_is_applied_works_as_it_is_told(
    cli: Command, branches: Path, connection: psycopg.Connection, *, merged: bool
) -> None:
    """Also in the middle of a merge, when two files have one number and no version is loaded."""
    root = branches.parent
    cli.quick("up")
    git(root, "branch", "theirs", "main")
    if merged:
        git(root, "merge", "-q", "theirs")
        assert "two files have the number 4" in cli.quick("down", "--yes", code=2).err
    refused = cli.quick("rebase", "theirs", code=4).err
    assert ("--from-history" in refused) is merged
    followed(cli, refused.partition("fix: ")[2], 0)
    assert applied(connection) == ["001", "002", "003", *(["004"] if merged else []), "005", "006"]
    assert tables(connection) == ["a", "b", "c", "mine", *(["theirs"] if merged else [])]
    cli.quick("status", "--check")


def test_without_a_log_the_way_out_is_the_branch_before_the_merge(
    cli: Command, branches: Path
) -> None:
    """Nothing is recorded that could roll it back."""
    cli.quick("up", "--no-log")
    git(branches.parent, "merge", "-q", "main")
    refused = cli.quick("rebase", code=4).err
    assert "down 003 on the branch as it was before the merge" in refused
    assert "--from-history" not in refused


def test_a_version_that_was_edited_after_it_was_applied_is_not_renumbered(
    cli: Command, branches: Path
) -> None:
    """It is there under its name, whatever its text is now."""
    cli.quick("up")
    write_version(branches, "004_mine", up=["CREATE TABLE mine (id bigint)"])
    assert "004_mine, 005_more is applied" in cli.quick("rebase", code=4).err


def test_a_number_that_another_version_has_taken_is_no_modified_version(
    cli: Command, branches: Path, connection: psycopg.Connection
) -> None:
    """It is not to be repaired, which would say that what never ran is applied; the way out is."""
    cli.quick("up")
    recorded = connection.execute("SELECT checksum FROM neuron_migrations WHERE version = '004'")
    ((checksum,),) = recorded.fetchall()
    git(branches.parent, "merge", "-q", "main")
    cli.quick("rebase", "--offline")
    sentence = "004_theirs is not applied: its number is taken by another version that is, 004_mine"
    for command in (["up"], ["wait"], ["status", "--check"], ["repair", "4", "--expect", checksum]):
        refused = cli.quick(*command, code=4).err
        assert sentence in refused
        assert "modified" not in refused
        assert "repair" not in refused
    shown = cli.quick("status")
    assert "004      theirs  taken" in shown.out
    assert "warning: 004_theirs: another version was applied under this number, mine" in shown.err
    told = cli.quick("down", "3", "--yes", code=4).err
    assert "no file to roll back 004_mine: 004_theirs has its number" in told
    assert applied(connection) == ["001", "002", "003", "004", "005"]
    remedy = cli.quick("up", code=4).err.partition("fix: ")[2]
    followed(cli, remedy.partition("; ")[0], 0)
    assert tables(connection) == ["a", "b", "c", "mine", "theirs"]
    cli.quick("status", "--check")


def test_a_number_that_main_has_taken_costs_main_no_row(
    cli: Command, branches: Path, connection: psycopg.Connection
) -> None:
    """On a database that has main's: what is advised first renumbers this branch's versions."""
    root = branches.parent
    git(root, "checkout", "-q", "main")
    cli.quick("up")
    connection.execute("INSERT INTO theirs VALUES (1)")
    git(root, "checkout", "-q", "mine")
    remedy = cli.quick("up", code=4).err.partition("fix: ")[2]
    assert remedy.startswith("neuron-schema rebase gives")
    assert "if this database is to lose 004_theirs and its rows, neuron-schema down 003" in remedy
    cli.quick("rebase")
    committed(root, "renumbered")
    git(root, "merge", "-q", "main")
    cli.quick("up")
    assert applied(connection) == ["001", "002", "003", "004", "005", "006"]
    assert connection.execute("SELECT id FROM theirs").fetchall() == [(1,)]


def test_a_dry_run_renames_nothing(cli: Command, branches: Path) -> None:
    """It prints what would be done; so does JSON."""
    before = names(branches)
    printed = cli.quick("rebase", "--dry-run", "--json").json
    assert printed["branch"] == "main"
    assert printed["renamed"][0] == {"before": "004_mine.py", "after": "005_mine.py"}
    assert names(branches) == before


def test_offline_asks_no_database(offline: Command, branches: Path) -> None:
    """Without the option it must be asked, and there is none."""
    assert "no database address" in offline.quick("rebase", code=2).err
    offline.quick("rebase", "--offline")
    assert "005_mine.py" in names(branches)


def test_what_main_has_deleted_is_not_taken_for_new(cli: Command, branches: Path) -> None:
    """It is known from the commit that both branches come from."""
    root = branches.parent
    git(root, "checkout", "-q", "main")
    (branches / "003_c.py").unlink()
    committed(root, "gone")
    git(root, "checkout", "-q", "mine")
    cli.quick("rebase")
    assert "003_c.py" in names(branches)


@pytest.mark.parametrize("branch", ["nowhere", "--output=x"])
def test_an_unknown_branch_is_refused(cli: Command, branches: Path, branch: str) -> None:
    """With its name; what looks like an option of git is none."""
    arguments = ["rebase", "--", branch] if branch.startswith("-") else ["rebase", branch]
    assert f"git knows no branch {branch}" in cli.quick(*arguments, code=2).err
    assert not (branches / "x").exists()


def test_without_a_repository_nothing_is_done(cli: Command, versions: Path) -> None:
    """Git's own words tell why."""
    assert "not a git repository" in cli.quick("rebase", code=2).err
