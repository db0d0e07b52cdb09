"""The files around the code: compose file, licence, tox and the scripts of CI."""

from __future__ import annotations

import configparser
import hashlib
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def compose() -> dict[str, Any]:
    """Return the compose file, parsed."""
    yaml = pytest.importorskip("yaml")
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8")))


def project() -> dict[str, Any]:
    """Return the [project] table."""
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def test_compose_has_a_database_with_pgvector_and_a_healthcheck() -> None:
    """`db` tells when it can be used, over TCP as others use it."""
    db = compose()["services"]["db"]
    assert db["image"] == "pgvector/pgvector:pg17"
    assert db["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]
    assert "--host=127.0.0.1" in db["healthcheck"]["test"]


def test_compose_migrates_once_the_database_is_healthy_and_ends() -> None:
    """`migrate` waits for the healthcheck, cannot write to the checkout and is not restarted."""
    migrate = compose()["services"]["migrate"]
    assert migrate["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert migrate["command"] == ["neuron-schema", "up"]
    assert migrate["volumes"] == [".:/checkout:ro"]
    assert migrate["restart"] == "no"


def test_compose_connects_to_the_database_that_it_starts() -> None:
    """Name, role and password of `migrate` are those that `db` is made with."""
    services = compose()["services"]
    made, used = services["db"]["environment"], services["migrate"]["environment"]
    assert used["PGHOST"] == "db"
    for theirs, ours in (("DB", "DATABASE"), ("USER", "USER"), ("PASSWORD", "PASSWORD")):
        assert made[f"POSTGRES_{theirs}"] == used[f"PG{ours}"]


def test_compose_entrypoint_runs_what_it_is_given(tmp_path: Path) -> None:
    """The script installs the checkout, then becomes the command, arguments intact."""
    entrypoint = compose()["services"]["migrate"]["entrypoint"]
    pip = tmp_path / "pip"
    pip.write_text('#!/bin/sh\necho "pip $*"\n', encoding="utf-8")
    pip.chmod(0o755)
    ran = subprocess.run(
        # Compose turns $$ into $ before the shell sees it.
        [*(part.replace("$$", "$") for part in entrypoint), "echo", "two words", "up"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    installed, command = ran.stdout.splitlines()
    assert installed.startswith("pip install ")
    assert installed.endswith("/checkout[binary]")
    assert command == "two words up"


def test_the_licence_is_the_one_that_the_metadata_names() -> None:
    """LICENSE is the Apache License 2.0, word for word."""
    assert project()["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    # Of the words alone: copies differ in blank lines and indentation.
    digest = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()
    assert digest == "0ffddef9e48f8a09aed5caf2d44f7ba1c1be2d9b8e0a6f693b1635b2d5566645"


def test_tox_has_an_environment_for_every_python_that_the_metadata_names() -> None:
    """The classifiers promise no Python that tox does not try."""
    classifiers = re.findall(r"Python :: 3\.(\d+)", "\n".join(project()["classifiers"]))
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    assert f"py{{{','.join('3' + minor for minor in classifiers)}}}" in tox["tox"]["env_list"]
    assert project()["requires-python"] == f">=3.{classifiers[0]}"


@pytest.mark.parametrize("name", ["run", "postgres17"])
def test_scripts_of_ci_are_valid_bash_and_stop_at_errors(name: str) -> None:
    """What only CI runs is at least parsed here."""
    script = ROOT / ".ci" / name
    if not script.exists():
        pytest.skip("a source distribution has no .ci")
    assert "set -euo pipefail" in script.read_text(encoding="utf-8").splitlines()
    subprocess.run(["bash", "-n", script], check=True)
    assert script.stat().st_mode & 0o111
