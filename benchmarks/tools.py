"""The tools that are compared, and the commands that make each do the same thing."""

from __future__ import annotations

import enum
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import workload
from neuron_schema.embedded.binaries import find_binaries

if TYPE_CHECKING:
    from neuron_schema.model import Migration


class Tool(enum.StrEnum):
    """What is run."""

    NEURON = "neuron-schema"
    NEURON_SQL = "neuron-schema with Sql"
    ALEMBIC = "Alembic"
    ALEMBIC_OPERATIONS = "Alembic with op.create_table"
    PSQL = "psql"


class Operation(enum.StrEnum):
    """What it is made to do."""

    HELP = "--help"
    UP = "up"
    NO_OP = "up with nothing to do"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Projects:
    """The tools' projects, one of each tool for a number of migrations.

    Attributes:
        root: A directory of this run's own.
    """

    root: Path

    def write(self, count: int) -> None:
        """Write the projects of so many migrations."""
        migrations = workload.write_versions(self.directory(Tool.NEURON, count), count)
        self._write_peers(migrations, count)

    def _write_peers(self, migrations: tuple[Migration, ...], count: int) -> None:
        workload.write_verbatim(self.directory(Tool.NEURON_SQL, count), migrations)
        workload.write_alembic(self.directory(Tool.ALEMBIC, count), migrations)
        workload.write_alembic(
            self.directory(Tool.ALEMBIC_OPERATIONS, count), migrations, operations=True
        )
        directory = self.directory(Tool.PSQL, count)
        directory.mkdir(parents=True)
        workload.write_script(directory / "up.sql", migrations)

    def directory(self, tool: Tool, count: int) -> Path:
        """Return where a tool's project lies."""
        return self.root / f"{tool.name.lower()}-{count}"

    def environment(self, address: str) -> dict[str, str]:
        """Return the environment of a command.

        Args:
            address: The database as a URL without its scheme.
        """
        # Not PYTHONDONTWRITEBYTECODE, with which imports would be what is measured.
        kept = {
            name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ
        }
        # No TLS: what it takes belongs to libpq, which is the same under all of them.
        return {
            **kept,
            "HOME": str(self.root),
            "PGSSLMODE": "disable",
            "NEURON_SCHEMA_DATABASE_URL": f"postgresql:{address}",
            "ALEMBIC_DATABASE_URL": f"postgresql+psycopg:{address}",
        }


def command(tool: Tool, operation: Operation, address: str) -> list[str]:
    """Return a command, to be run in the tool's project.

    Args:
        tool: Which one.
        operation: What it is to do; psql knows ``up`` alone.
        address: The database as a URL without its scheme.
    """
    if tool is Tool.PSQL:
        psql = str(find_binaries().path("psql"))
        return [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "up.sql", f"postgresql:{address}"]
    # The scripts beside this interpreter, as a user starts them.
    ours = tool in (Tool.NEURON, Tool.NEURON_SQL)
    program, arguments = ("neuron-schema", _NEURON) if ours else ("alembic", _ALEMBIC)
    return [str(Path(sys.executable).parent / program), *arguments[operation]]


_NEURON = {
    Operation.HELP: ("--help",),
    Operation.UP: ("up",),
    Operation.NO_OP: ("up",),
    Operation.STATUS: ("status",),
}
_ALEMBIC = {
    Operation.HELP: ("--help",),
    Operation.UP: ("upgrade", "head"),
    Operation.NO_OP: ("upgrade", "head"),
    Operation.STATUS: ("current",),
}
