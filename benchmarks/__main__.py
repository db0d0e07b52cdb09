"""``python -m benchmarks``: measure neuron-schema against Alembic and psql in one run.

It starts a PostgreSQL of its own, gives every tool the same SQL, and prints Markdown. The exit
status is 1 when a bound is missed. Times of a busy machine are worth little: compare ratios.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import report
from benchmarks.bounds import BOUNDS, Verdict
from benchmarks.results import Results
from benchmarks.server import durable_server
from benchmarks.suite import FULL, SHORT, Suite
from benchmarks.tools import Projects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.server import Server


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure or read results, print them, and return the exit status."""
    given = _parser().parse_args(arguments)
    results = _stored(given.results) if given.results else _measured(quick=given.quick)
    if given.json:
        given.json.write_text(results.to_json() + "\n", encoding="utf-8")
    print(report.verdicts(results))
    if not given.markdown:
        print(f"\n{report.medians(results)}")
    print(f"\n{report.about(results)}")
    missed = [bound for bound in BOUNDS if bound.verdict(results) is Verdict.MISSED]
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure neuron-schema against Alembic and psql on the same SQL.",
    )
    parser.add_argument("--quick", action="store_true", help="few rounds; about two minutes")
    parser.add_argument("--markdown", action="store_true", help="print the bounds only, for README")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value to FILE")
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="measure nothing: read what --json wrote"
    )
    return parser


def _stored(file: Path) -> Results:
    return Results.from_json(file.read_text(encoding="utf-8"))


def _measured(*, quick: bool) -> Results:
    with (
        tempfile.TemporaryDirectory(prefix="neuron-schema-bench-") as root,
        durable_server() as server,
    ):
        suite = Suite(server, Projects(Path(root)), SHORT if quick else FULL)
        results = suite.run()
        results.about = _about(server)
    return results


def _about(server: Server) -> dict[str, str]:
    packages = ("neuron-schema", "alembic", "sqlalchemy", "psycopg")
    return {
        **{name: version(name) for name in packages},
        "PostgreSQL": server.version(),
        "Python": platform.python_version(),
        "CPUs": str(os.cpu_count()),
    }


if __name__ == "__main__":
    sys.exit(main())
