"""The hooks, run by pre-commit itself in a repository that uses them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.git import git
from tests.actions import ROOT
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("pre_commit")

_CONFIG = """\
repos:
  - repo: {hooks}
    rev: {revision}
    hooks:
      - id: neuron-schema-check
      - id: neuron-schema-snapshot
      - id: neuron-schema-review
        args: [--base, main]
"""
_SOURCES = (
    *("neuron_schema", "versions", "pyproject.toml"),
    *("README.md", "LICENSE", ".pre-commit-hooks.yaml"),
)


class Project:
    """A repository that uses the hooks."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        self.versions = root / "versions"
        self._home = home

    def hooks(self, *arguments: str, code: int) -> str:
        """Run pre-commit; return what it shows."""
        done = subprocess.run(
            [sys.executable, "-m", "pre_commit", *arguments],
            cwd=self.root,
            env={**self.environment, "PRE_COMMIT_COLOR": "never"},
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=170,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def snapshot(self) -> None:
        """Write schema.sql and checksums.txt, with the command that pre-commit installed."""
        (program,) = self._home.glob("*/*/bin/neuron-schema")
        subprocess.run(
            [program, "snapshot"],
            cwd=self.root,
            env=self.environment,
            check=True,
            capture_output=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the machine, of which none speaks to us."""
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("NEURON_SCHEMA_", "PG", "DATABASE_URL", "PYTHONPATH", "GIT_"))
        }
        return {**kept, "PRE_COMMIT_HOME": str(self._home)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a repository on a branch, whose hooks are those of the sources as they stand."""
    folder = tmp_path_factory.mktemp("hooks")
    hooks, root = folder / "neuron-schema", folder / "project"
    hooks.mkdir()
    for name in _SOURCES:
        # A copy: pre-commit wants a commit, and our own repository stays as it is.
        subprocess.run(["cp", "-r", str(ROOT / name), str(hooks / name)], check=True)
    git(hooks, "init", "-q")
    git(hooks, "add", "-A")
    git(hooks, "commit", "-qm", "hooks")
    made = Project(root, folder / "home")
    write_version(
        made.versions, "001_t", up=["CREATE TABLE t (a int)"], down=["DROP TABLE t"], docstring="T."
    )
    revision = git(hooks, "rev-parse", "HEAD").strip()
    (root / ".pre-commit-config.yaml").write_text(_CONFIG.format(hooks=hooks, revision=revision))
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "base")
    git(root, "checkout", "-q", "-b", "feature")
    return made


@pytest.mark.timeout(300)
def test_the_hooks_pass_and_fail_as_the_commands_do(project: Project) -> None:
    """In environments that pre-commit installs from these sources, in the hooks of git itself."""
    outdated = project.hooks("run", "--all-files", code=1)
    assert "neuron-schema check" in outdated
    assert outdated.count("Passed") == 1
    assert "neuron-schema snapshot --check" in outdated
    assert "exit code: 5" in outdated
    assert "neuron-schema review" not in outdated

    project.snapshot()
    git(project.root, "add", "-A")
    assert project.hooks("run", "--all-files", code=0).count("Passed") == 2

    write_version(
        project.versions,
        "002_index",
        up=["ALTER TABLE t ADD b int", "CREATE INDEX t_b ON t (b)"],
        down=["ALTER TABLE t DROP b"],
    )
    git(project.root, "add", "-A")
    found = project.hooks("run", "--hook-stage", "pre-push", "neuron-schema-review", code=1)
    assert "exit code: 8" in found
    assert "002_index" in found
