"""Start a tool when a file appears: ``together.py DIRECTORY NUMBER neuron|alembic ARGUMENT...``.

Everything is imported by then, so that all that were started begin at the same moment.
"""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Import, say so, wait, and run the tool."""
    directory, number, tool, *arguments = sys.argv[1:]
    run = _alembic() if tool == "alembic" else _neuron()
    Path(directory, f"ready-{number}").touch()
    while not Path(directory, "go").exists():
        time.sleep(0.001)
    sys.exit(run(arguments))


def _alembic() -> Callable[[list[str]], int | None]:
    import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401

    # By name: the linters run where Alembic need not be.
    main: Callable[[list[str]], int | None] = importlib.import_module("alembic.config").main
    return main


def _neuron() -> Callable[[list[str]], int | None]:
    import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401

    import neuron_schema.runner  # noqa: F401
    from neuron_schema.cli.entry import run

    return run


if __name__ == "__main__":
    main()
