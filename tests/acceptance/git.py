"""Real git, in a repository that a test makes."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def git(directory: Path, *arguments: str, check: bool = True) -> str:
    """Run git and return what it printed."""
    named = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *named, *arguments], cwd=directory, check=check, capture_output=True, text=True
    )
    return done.stdout


def committed(directory: Path, message: str) -> None:
    """Commit the versions."""
    git(directory, "add", "-A", "versions")
    git(directory, "commit", "-qm", message)
