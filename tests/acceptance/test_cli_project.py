"""``init``, ``new`` and ``check`` in a user's own project; help and completion."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.conftest import tables
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from tests.acceptance.command import Command

COMMANDS = {
    "init": ["--embedded", "--json"],
    "new": ["--versions", "--env", "--json", "SLUG"],
    "status": ["--check", "--database-url", "--versions", "--env", "--json"],
    "plan": ["--count", "--allow-out-of-order", "[up|down]", "[TARGET]", "--json"],
    "up": ["--count", "--dry-run", "--allow-out-of-order", "--direct-url", "--no-log", "[TARGET]"],
    "down": ["--count", "--dry-run", "--yes", "--from-history", "[TARGET]", "--json"],
    "reset": ["--dry-run", "--yes", "--versions", "--json"],
    "sql": ["[FROM:TO]", "--versions", "--json"],
    "check": ["--versions", "--env", "--json"],
    "history": ["--sql", "--database-url", "[VERSION]", "--json"],
    "baseline": ["--database-url", "--no-log", "VERSION", "--json"],
    "repair": ["--expect", "--database-url", "--no-log", "VERSION", "--json"],
    "wait": ["--timeout", "--database-url", "--json"],
    "db start": ["--env", "--json"],
    "db stop": ["--force", "--json"],
    "db status": ["--json"],
    "db url": ["--json"],
    "db psql": ["[ARGS]..."],
}


def test_init_new_and_up_lead_from_nothing_to_a_schema(
    cli: Command, connection: psycopg.Connection
) -> None:
    """What is written works as it stands, and the template tells what is to be filled in."""
    assert cli("init").out.splitlines() == [
        "wrote versions/001_first.py",
        "wrote pyproject.toml",
        "next: set DATABASE_URL; neuron-schema up",
    ]
    cli.quick("up")
    assert tables(connection) == ["notes"]
    assert "already" in cli.quick("init", code=2).err

    path = cli.directory / "versions" / "002_add_title.py"
    assert cli("new", "Add title").out == f"{path}\n"
    refused = cli("check", code=2).err
    assert "`up` is empty" in refused
    assert f"at: {path}:" in refused
    source = path.read_text(encoding="utf-8")
    filled = source.replace("# notes =", "notes =").replace("    # ", "    ")
    path.write_text(filled, encoding="utf-8")
    assert cli("check").out == "2 versions valid\n"
    cli.quick("up")
    cli.quick("down", "--yes")
    cli.quick("up")
    columns = connection.execute("SELECT * FROM notes").description or []
    assert [column.name for column in columns] == ["id", "text", "created_at", "title"]


def test_init_leaves_what_is_there(offline: Command) -> None:
    """Its table is appended with the file's own line ends; versions that exist stay alone."""
    file = offline.directory / "pyproject.toml"
    before = b'[project]\r\nname = "mine"  # \xc3\xa4'
    file.write_bytes(before)
    write_version(offline.directory / "versions", "001_mine")
    done = offline.quick("init", "--embedded", "--json").json
    assert done["written"] == [str(file)]
    after = file.read_bytes()
    assert after.startswith(before + b"\r\n\r\n[tool.neuron_schema]\r\n")
    assert tomllib.loads(after.decode())["tool"]["neuron_schema"]["database"] == "embedded"
    assert offline.quick("check").out == "1 version valid\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[project", "is not valid TOML"),
        (b"\xff", "is not valid TOML"),
        (b"tool = {}", "leaves no room"),
        (b"[tool.neuron_schema]", "already"),
    ],
)
def test_init_refuses_a_file_that_it_would_break(
    offline: Command, content: bytes, reason: str
) -> None:
    """Exit 2, and nothing is written."""
    file = offline.directory / "pyproject.toml"
    file.write_bytes(content)
    assert reason in offline.quick("init", code=2).err
    assert file.read_bytes() == content
    assert not (offline.directory / "versions").exists()


def test_settings_without_versions_lead_to_a_first_one(offline: Command) -> None:
    """As a clone has them, since git keeps no empty directory: what is advised works."""
    file = offline.directory / "pyproject.toml"
    file.write_text("[tool.neuron_schema]\n")
    assert "neuron-schema init" in offline.quick("new", "x", code=2).err
    advised = "fix: mkdir versions, then neuron-schema new SLUG writes the first version\n"
    assert advised in offline.quick("init", code=2).err
    (offline.directory / "versions").mkdir()
    assert offline.quick("new", "x").out.endswith("versions/001_x.py\n")
    assert "fix: neuron-schema new SLUG writes the next" in offline.quick("init", code=2).err
    assert 'fix: write database = "embedded"' in offline.quick("init", "--embedded", code=2).err
    file.write_text('[tool.neuron_schema]\nversions = "app.versions"\n')
    assert "mkdir" not in offline.quick("init", code=2).err


def test_init_needs_room_for_its_directory(offline: Command) -> None:
    """A file in the way is an error, and no settings are written."""
    (offline.directory / "versions").touch()
    assert "error[NS200]" in offline.quick("init", code=2).err
    assert not (offline.directory / "pyproject.toml").exists()


def test_new_takes_the_next_number(offline: Command) -> None:
    """At least three digits, as many as the others have, and never more than fit."""
    versions = offline.directory / "versions"
    assert "neuron-schema init" in offline.quick("new", "x", code=2).err
    write_version(versions, "1_a")
    for label, following in (("", "002_x"), ("009_a", "010_x"), ("00099_a", "00100_x")):
        if label:
            write_version(versions, label)
        assert offline.quick("new", "x", "--json").json["path"] == str(versions / f"{following}.py")
    write_version(versions, "9999999999_a")
    assert "no number after 9999999999" in offline.quick("new", "x", code=2).err


@pytest.mark.parametrize(
    "slug", ["", " ", "../evil", "a/b", "a.py", "\u00e4", "_a", "a\nb;", "a'b", "x" * 201, "\udcff"]
)
def test_new_refuses_names_that_are_none(offline: Command, slug: str) -> None:
    """Exit 2, and nothing is written anywhere."""
    versions = offline.directory / "versions"
    versions.mkdir()
    assert "is no name for a version" in offline.quick("new", slug, code=2).err
    assert list(versions.iterdir()) == []


def test_check_reports_everything_at_once(offline: Command) -> None:
    """All invalid versions, and a warning for each import of the application's code."""
    versions = offline.directory / "versions"
    app = offline.directory / "app.py"
    app.write_text("x = 1\n", encoding="utf-8")
    first = write_version(versions, "001_a", imports="import colorsys\nimport yaml")
    second = write_version(versions, "002_b", up="[]")
    third = write_version(versions, "003_c", up="nonsense")
    result = offline.quick("check", code=2)
    assert f"warning: {first}:2: imports yaml" in result.err
    assert "colorsys" not in result.err
    assert result.err.index(str(second)) < result.err.index(str(third))
    as_json = offline.quick("check", "--json", code=2).json
    assert [error["where"].split(":")[0] for error in as_json["errors"]] == [
        str(second),
        str(third),
    ]
    assert [one["version"] for one in as_json["migrations"]] == ["001"]
    assert len(as_json["warnings"]) == 1


def test_help_names_every_command_and_option(offline: Command) -> None:
    """And the exit statuses; nothing is cut."""
    top = offline("--help").out
    for word in ("Exit status:", "  4    history conflict", "130", "143", "--show-completion"):
        assert word in top
    assert "..." not in top.replace("[ARGS]...", "")
    for command, words in COMMANDS.items():
        assert f"\n  {command.split()[0]} " in top
        shown = offline.quick(*command.split(), "-h").out
        assert [word for word in words if word not in shown] == [], command
    bare = offline.quick(code=2)
    assert bare.err.startswith("Usage: neuron-schema")
    assert bare.out == ""


def test_usage_errors_are_json_too(offline: Command) -> None:
    """One object with the command, though no command ran."""
    for arguments, command in (
        (["up", "--bogus"], "up"),
        (["up", "1", "2"], "up"),
        (["up", "--count", "x"], "up"),
        (["bogus"], "bogus"),
        (["db", "bogus"], "db bogus"),
        (["new"], "new"),
    ):
        printed = offline.quick(*arguments, "--json", code=2).json
        assert printed["command"] == command
        assert printed["target"] is None
        assert printed["error"]["code"] == "NS200"
    near = offline.quick("up", "--dry-rum", "--json", code=2).json["error"]
    assert "--dry-run" in near["message"]
    misplaced = offline.quick("--json", "up", code=2).json["error"]
    assert "after the command" in misplaced["remedy"]


def test_python_runs_the_module(offline: Command) -> None:
    """``python -m neuron_schema`` is the command."""
    done = subprocess.run(
        [sys.executable, "-m", "neuron_schema", "--version"],
        env=offline.environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("neuron-schema 0.")


def test_shells_complete_commands_and_versions(offline: Command, versions: Path) -> None:
    """The scripts of three shells, told by the shell's name; targets from the files."""
    for shell, word in (("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete --co")):
        # Whatever /bin/sh is, a shell is known by the name of its process.
        named = shutil.copy(shutil.which("bash") or "/bin/sh", offline.directory / shell)
        script = f'"{named}" -c \'"$0" --show-completion; true\' "$0"'
        assert word in offline.shell(script).out

    def complete(line: str) -> list[str]:
        env = {
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
            "_NEURON_SCHEMA_COMPLETE": "complete_bash",
        }
        return offline.quick(env=env).out.split()

    assert complete("neuron-schema re") == ["reset", "repair", "rebase", "review"]
    assert complete("neuron-schema up ") == ["001", "002", "003"]
    assert complete("neuron-schema plan d") == ["down"]
    assert complete("neuron-schema plan down 003") == ["003"]
    assert complete("neuron-schema up --versions nowhere ") == []
