"""What squawk says: https://squawkhq.com, by its own executable."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.truth.claims import SQUAWK, claimed
from benchmarks.truth.ours import Told

if TYPE_CHECKING:
    from benchmarks.truth.statements import Example

PG_VERSION: Final = "18.0"


class SquawkMissingError(Exception):
    """There is no squawk to be run."""


def find(given: str | None) -> str:
    """Return the executable.

    Raises:
        SquawkMissingError: there is none.
    """
    found = given or shutil.which("squawk")
    if found is None:
        raise SquawkMissingError("squawk is not installed: pip install squawk-cli")
    return found


def version(executable: str) -> str:
    """Return what squawk calls itself."""
    done = subprocess.run([executable, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def tell(executable: str, example: Example) -> Told:
    """Ask squawk about one statement, as it stands in a migration.

    A runner that opens a transaction is assumed, but for CONCURRENTLY, and no configuration.
    """
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "migration.sql")
        file.write_text(f"{example.sql};\n", encoding="utf-8")
        command = [executable, "--pg-version", PG_VERSION, "--reporter", "json"]
        if example.python is None:
            command.append("--assume-in-transaction")
        done = subprocess.run(
            [*command, str(file)], capture_output=True, text=True, check=False, cwd=directory
        )
        found = json.loads(done.stdout)
    rules = sorted({each["rule_name"] for each in found})
    names = tuple(rule for rule in rules if SQUAWK[rule])
    return Told(names=names, verdict=example.is_right(claimed(rules, SQUAWK)))
