"""The GitHub action: its steps in a shell, on a checkout as GitHub makes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.command import PROGRAM
from tests.acceptance.git import committed, git
from tests.actions import Workflow, action
from tests.conftest import libpq
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import URL

_GH = """#!{python}
import json, os, pathlib, sys
folder = pathlib.Path({folder!r})
arguments = sys.argv[1:]
with (folder / "calls.jsonl").open("a") as calls:
    print(json.dumps([os.environ["GH_TOKEN"], *arguments]), file=calls)
if (folder / "forbidden").exists():
    print("gh: Resource not accessible by integration (HTTP 403)", file=sys.stderr)
    sys.exit(1)
kept = folder / "comment.md"
if "--method" not in arguments:
    print("77" if kept.exists() else "")
else:
    body = next(a for a in arguments if a.startswith("body=@"))
    kept.write_bytes(pathlib.Path(body[6:]).read_bytes())
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a pull request's merge commit, checked out with one commit, detached."""
    origin = tmp_path / "origin"
    versions = origin / "versions"
    write_version(versions, "001_t", up=["CREATE TABLE t (a int)"], down=["DROP TABLE t"])
    git(origin, "init", "-q")
    committed(origin, "base")
    git(origin, "checkout", "-q", "-b", "feature")
    write_version(
        versions,
        "002_index",
        up=["ALTER TABLE t ADD b int", "CREATE INDEX t_b ON t (b)"],
        down=["ALTER TABLE t DROP b"],
    )
    committed(origin, "feature")
    git(origin, "checkout", "-q", "main")
    (origin / "versions" / "notes.txt").write_text("main went on")
    committed(origin, "main")
    git(origin, "checkout", "-q", "--detach")
    git(origin, "merge", "-q", "--no-edit", "feature")
    git(origin, "update-ref", "refs/pull/7/merge", "HEAD")
    git(origin, "checkout", "-q", "main")
    place = tmp_path / "checkout"
    place.mkdir()
    git(place, "init", "-q")
    git(place, "remote", "add", "origin", f"file://{origin}")
    git(
        place,
        "fetch",
        "-q",
        "--depth",
        "1",
        "origin",
        "+refs/pull/7/merge:refs/remotes/pull/7/merge",
    )
    git(place, "checkout", "-q", "--force", "refs/remotes/pull/7/merge")
    return place


@pytest.fixture
def workflow(checkout: Path, tmp_path: Path, server: URL) -> Workflow:
    """Return a run of the action for the pull request, with the command installed."""
    temporary = tmp_path / "runner"
    program = temporary / "neuron-schema" / "bin" / "neuron-schema"
    program.parent.mkdir(parents=True)
    program.symlink_to(PROGRAM)
    return Workflow(
        workspace=checkout,
        temporary=temporary,
        inputs={"shadow-url": libpq(server)},
        event={"pull_request.number": "7"},
        environment={"GITHUB_BASE_REF": "main"},
    )


@pytest.fixture
def host(workflow: Workflow, tmp_path: Path) -> Path:
    """Put a stand-in for GitHub's own client into PATH; return what it keeps."""
    folder = tmp_path / "host"
    folder.mkdir()
    client = folder / "gh"
    client.write_text(_GH.format(python=sys.executable, folder=str(folder)))
    client.chmod(0o755)
    workflow.environment = {
        **workflow.environment,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
    }
    workflow.inputs = {**workflow.inputs, "comment": "true"}
    return folder


def calls(host: Path) -> list[list[str]]:
    """Return what the client was called with."""
    return [json.loads(line) for line in (host / "calls.jsonl").read_text().splitlines()]


def test_the_command_is_installed_from_the_sources_of_the_action(
    checkout: Path, tmp_path: Path
) -> None:
    """With its server, into an environment that nobody else uses."""
    workflow = Workflow(workspace=checkout, temporary=tmp_path / "runner")
    others = tuple(step["name"] for step in action()["runs"]["steps"] if step["name"] != "Install")
    assert workflow.run(without=others) == 0, workflow.shown
    program = tmp_path / "runner" / "neuron-schema" / "bin" / "neuron-schema"
    environment = {**os.environ, "PYTHONPATH": ""}
    shown = subprocess.run(
        [program, "review", "--from", "1", "--fail-on", "never"],
        cwd=checkout,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert shown.returncode == 0, shown.stderr
    assert "create-index-blocking" in shown.stdout


def test_a_pull_request_gets_a_summary_and_annotations(workflow: Workflow) -> None:
    """Without a token, from a checkout of one commit; a blocking finding fails the job."""
    assert workflow.run() == 8, workflow.shown
    assert workflow.outputs["review"]["exit-code"] == "8"
    assert "::error file=versions/002_index.py,line=" in workflow.shown
    assert workflow.summary.startswith("<!-- neuron-schema:report -->")
    assert "002_index" in workflow.summary
    assert "001_t" not in workflow.shown
    reports = workflow.temporary / "neuron-schema-review"
    assert {"review.md", "review.html", "review.json", "review.sarif"} <= {
        each.name for each in reports.iterdir()
    }


def test_the_job_fails_as_the_input_says(workflow: Workflow) -> None:
    """``fail-on: never`` shows the same and passes."""
    workflow.inputs = {**workflow.inputs, "fail-on": "never"}
    assert workflow.run() == 0, workflow.shown
    assert "::error file=versions/002_index.py,line=" in workflow.shown


def test_a_push_is_compared_with_the_commit_before_it(workflow: Workflow) -> None:
    """And a new branch, which has none before it, with the main branch."""
    git(workflow.workspace, "fetch", "-q", "--unshallow", "origin")
    git(workflow.workspace, "fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*")
    before = git(workflow.workspace, "rev-parse", "origin/feature").strip()
    workflow.environment = {}
    workflow.event = {"before": before}
    assert workflow.run() == 0, workflow.shown
    assert f"compared with {before} ({before[:7]}): no versions under review" in workflow.shown
    workflow.event = {"before": "0" * 40}
    assert workflow.run() == 8, workflow.shown
    assert "compared with origin/main (" in workflow.shown


def test_a_comment_is_written_once_and_then_kept_up_to_date(workflow: Workflow, host: Path) -> None:
    """It is found again by its hidden marker."""
    assert workflow.run() == 8, workflow.shown
    assert workflow.run() == 8, workflow.shown
    methods = [call[call.index("--method") + 1] for call in calls(host) if "--method" in call]
    assert methods == ["POST", "PATCH"]
    assert (host / "comment.md").read_text() in workflow.summary
    assert all(call[0] == "t0k3n" for call in calls(host))
    assert any("issues/comments/77" in word for word in calls(host)[-1])


def test_a_token_that_may_not_comment_changes_nothing_else(workflow: Workflow, host: Path) -> None:
    """As in a pull request from a fork: a hint, and the exit status of the review."""
    (host / "forbidden").touch()
    assert workflow.run() == 8, workflow.shown
    assert "::notice title=neuron-schema review::The comment could not be written" in workflow.shown
    assert "pull-requests: write" in workflow.shown
    assert "002_index" in workflow.summary


def test_nothing_under_review_is_no_comment(workflow: Workflow, host: Path) -> None:
    """But where there is one it is kept up to date."""
    workflow.inputs = {**workflow.inputs, "base": "HEAD"}
    assert workflow.run() == 0, workflow.shown
    assert all("--method" not in call for call in calls(host))
    (host / "comment.md").write_text("old")
    assert workflow.run() == 0, workflow.shown
    assert (host / "comment.md").read_text() in workflow.summary


def test_a_review_that_cannot_be_made_fails_the_job_and_says_why(workflow: Workflow) -> None:
    """In the summary too; and nothing in a name is run by the shell."""
    workflow.inputs = {**workflow.inputs, "base": "$(touch pwned)`touch pwned`"}
    assert workflow.run() == 2, workflow.shown
    assert "There is no report: the command ended with 2" in workflow.shown
    assert "git knows no commit" in workflow.summary
    assert not list(workflow.workspace.rglob("pwned"))


def test_a_summary_that_is_full_already_is_not_lost(workflow: Workflow) -> None:
    """GitHub throws a summary of more than 1024 KiB away as a whole."""
    workflow.temporary.mkdir(exist_ok=True)
    (workflow.temporary / "summary.md").write_text("x" * (900 * 1024))
    assert workflow.run() == 8, workflow.shown
    assert len(workflow.summary) < 901 * 1024
    assert "The report is too large" in workflow.summary
