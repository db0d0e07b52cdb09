"""Runs the steps of ``action.yml`` in a shell, as far as that goes without GitHub.

Steps that use other actions are left out. Of expressions those are known that our action has.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[1]
_EXPRESSION = re.compile(r"\$\{\{ *([\w.-]+) *\}\}")
_CONDITION = re.compile(r"([\w.-]+) (==|!=) '([^']*)'")
_SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
"""How GitHub runs ``shell: bash``."""


@dataclass(slots=True)
class Workflow:
    """One run of the action.

    Args:
        workspace: Where the repository is checked out.
        temporary: A directory of the run's own.
        inputs: Those that were given.
        event: What ``github.event`` holds, by path: ``pull_request.number``.
        environment: Further variables.
    """

    workspace: Path
    temporary: Path
    inputs: Mapping[str, str] = field(default_factory=dict)
    event: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    shown: str = ""
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """What the steps wrote for the summary of the job."""
        return (self.temporary / "summary.md").read_text(encoding="utf-8")

    def run(self, *, without: tuple[str, ...] = ("Install",)) -> int:
        """Run the steps; return the exit status of the one that failed, or 0."""
        self.temporary.mkdir(exist_ok=True)
        (self.temporary / "summary.md").touch()
        for step in action()["runs"]["steps"]:
            if "uses" in step or step["name"] in without or not self._wanted(step):
                continue
            code = self._run(step)
            if code:
                return code
        return 0

    def _wanted(self, step: Mapping[str, Any]) -> bool:
        if "if" not in step:
            return True
        found = _CONDITION.fullmatch(step["if"])
        assert found, step["if"]
        name, operator, value = found.groups()
        return (self._value(name) == value) is (operator == "==")

    def _run(self, step: Mapping[str, Any]) -> int:
        # What stands in a script as an expression could be code of somebody else's.
        assert "${{" not in step["run"]
        output = self.temporary / "output.txt"
        output.write_text("")
        done = subprocess.run(
            [*_SHELL, step["run"]],
            cwd=self.workspace / self._filled(step.get("working-directory", ".")),
            env={
                **os.environ,
                "GITHUB_ACTIONS": "true",
                "GITHUB_BASE_REF": "",
                "GITHUB_REPOSITORY": "owner/project",
                "RUNNER_TEMP": str(self.temporary),
                **self.environment,
                "GITHUB_OUTPUT": str(output),
                "GITHUB_STEP_SUMMARY": str(self.temporary / "summary.md"),
                **{key: self._filled(value) for key, value in step.get("env", {}).items()},
            },
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=170,
        )
        self.shown += done.stdout
        if "id" in step:
            lines = output.read_text().splitlines()
            self.outputs[step["id"]] = dict(line.split("=", 1) for line in lines)
        return done.returncode

    def _filled(self, text: str) -> str:
        return _EXPRESSION.sub(lambda found: self._value(found[1]), text)

    def _value(self, name: str) -> str:
        kind, _, rest = name.partition(".")
        if kind == "inputs":
            default = action()["inputs"][rest]["default"]
            return self.inputs.get(rest, self._filled(default))
        if kind == "steps":
            step, _, output = rest.partition(".outputs.")
            return self.outputs[step][output]
        if rest.startswith("event."):
            return self.event.get(rest.removeprefix("event."), "")
        return {"action_path": str(ROOT), "token": "t0k3n"}[rest]


def action() -> dict[str, Any]:
    """Return ``action.yml``, parsed."""
    yaml = pytest.importorskip("yaml")
    return dict(yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8")))
