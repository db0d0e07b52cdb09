"""The template for GitLab: its job's script in a shell, on a merge request's checkout."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.command import PROGRAM
from tests.acceptance.git import committed, git
from tests.actions import ROOT
from tests.conftest import libpq
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import URL


def job() -> dict[str, Any]:
    """Return the template's only job."""
    yaml = pytest.importorskip("yaml")
    text = (ROOT / "ci" / "gitlab" / "review.gitlab-ci.yml").read_text(encoding="utf-8")
    (found,) = yaml.safe_load(text).values()
    return dict(found)


def test_the_job_fails_on_findings_and_leaves_both_reports(tmp_path: Path, server: URL) -> None:
    """The code quality report counts from the root of the repository, as GitLab wants."""
    write_version(tmp_path / "versions", "001_t", up=["CREATE TABLE t (a int)"])
    git(tmp_path, "init", "-q")
    committed(tmp_path, "base")
    git(tmp_path, "checkout", "-q", "-b", "feature")
    write_version(tmp_path / "versions", "002_i", up=["CREATE INDEX t_a ON t (a)"])
    committed(tmp_path, "feature")
    variables = {
        **{key: str(value) for key, value in job()["variables"].items()},
        "NEURON_SCHEMA_REVIEW": f"--fail-on blocking --shadow-url {libpq(server)}",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": git(tmp_path, "rev-parse", "main").strip(),
        "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["sh", "-ec", "\n".join(job()["script"])],
        cwd=tmp_path,
        env={**os.environ, **variables},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 8, done.stdout + done.stderr
    assert "create-index-blocking" in done.stdout
    quality = json.loads((tmp_path / job()["artifacts"]["reports"]["codequality"]).read_text())
    assert {each["location"]["path"] for each in quality} == {"versions/002_i.py"}
    assert all((tmp_path / path).exists() for path in job()["artifacts"]["paths"])


def test_artifacts_are_kept_when_the_job_fails_and_the_whole_history_is_fetched() -> None:
    """Else a finding would be seen in the log alone, and git could not tell what is new."""
    assert job()["artifacts"]["when"] == "always"
    assert job()["variables"]["GIT_DEPTH"] == "0"
    assert "[binary,embedded]" in job()["variables"]["NEURON_SCHEMA_PACKAGE"]
