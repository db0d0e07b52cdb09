"""Run a command and say what it took."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SPAWN = Path(__file__).with_name("spawn.py")
_LAST_LINES = 15


class CommandError(Exception):
    """A measured command ended with another status than 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one run of a command took.

    Attributes:
        wall_s: Seconds from fork to exit.
        cpu_s: Seconds of CPU, user and system, of the command and its children.
        peak_mib: The largest resident set of the command, or of one of its children.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float


def run(command: Sequence[str], *, directory: Path, environment: Mapping[str, str]) -> Sample:
    """Run a command to its end.

    Args:
        command: The program, by its path, and its arguments.
        directory: Where it runs.
        environment: The whole of its environment.

    Raises:
        CommandError: it did not end with status 0.
    """
    output = directory / "output.txt"
    result = subprocess.run(
        [sys.executable, "-I", "-S", str(_SPAWN), str(output), *command],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        cwd=directory,
        env=environment,
    )
    wall, cpu, peak, code = result.stdout.split()
    if code != "0":
        lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
        raise CommandError(
            f"{' '.join(command)} ended with {code}:\n" + "\n".join(lines[-_LAST_LINES:])
        )
    return Sample(wall_s=float(wall), cpu_s=float(cpu), peak_mib=int(peak) / 1024)
