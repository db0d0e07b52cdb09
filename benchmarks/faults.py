"""``python -m benchmarks.faults``: the same faults for neuron-schema and for Alembic.

One connection is cut at the k-th message of its client, before the server gets it or after, and
the tool is run again as it is. And eight are started at the same moment. It starts a PostgreSQL of
its own and prints Markdown.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from benchmarks import fault_projects
from neuron_schema.embedded import temporary_server
from tests.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import URL

_RACERS = 8
_LIMIT_S = 120


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool with its project.

    Attributes:
        name: As the table shows it.
        module: What ``together`` calls it.
        all: The arguments that apply everything.
        first: Those that stop short of what the last deploy brought.
    """

    name: str
    module: str
    directory: Path
    all: tuple[str, ...]
    first: tuple[str, ...]

    def start(
        self, url: URL, arguments: Sequence[str], *, prefix: Sequence[str] = ()
    ) -> subprocess.Popen[str]:
        """Start it on a database."""
        program = Path(sys.executable).parent
        command = "neuron-schema" if self.module == "neuron" else "alembic"
        given = prefix or (str(program / command),)
        return subprocess.Popen(
            [*given, *arguments],
            cwd=self.directory,
            env=_environment(url),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, url: URL, arguments: Sequence[str]) -> tuple[int, str]:
        """Run it; return its exit status and the last line that it printed."""
        return _ended(self.start(url, arguments))


@dataclass(slots=True)
class Tally:
    """How often it went well, and what went wrong otherwise."""

    tried: int = 0
    good: int = 0
    bad: list[str] = field(default_factory=list)

    def add(self, label: str, problem: str | None) -> None:
        """Take one outcome."""
        self.tried += 1
        self.good += problem is None
        if problem is not None:
            self.bad.append(f"{label}: {problem}")

    def __str__(self) -> str:
        return f"{self.good} of {self.tried}"


class Databases:
    """Hands out empty databases of a server, and looks into them."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._numbers = itertools.count(1)

    def create(self) -> URL:
        """Create an empty database."""
        name = f"faults_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
        return self._url.set(database=name)

    def drop(self, url: URL) -> None:
        """Drop a database."""
        self._run(f"DROP DATABASE {url.database} WITH (FORCE)")

    def problem(self, url: URL) -> str | None:
        """Return what is wrong with a database after all was applied, or None."""
        with psycopg.connect(_libpq(url)) as connection:
            try:
                row = connection.execute(fault_projects.RIGHT.encode()).fetchone()
            except psycopg.Error as error:
                return f"wrong schema: {error.diag.message_primary}"
            if row is not None and row[0]:
                return None
            rows = connection.execute("SELECT (SELECT count(*) FROM t1), (SELECT count(*) FROM t2)")
            return f"wrong data: rows in t1 and t2 are {rows.fetchone()}, not (100, 10)"

    def _run(self, sql: str) -> None:
        with psycopg.connect(_libpq(self._url), autocommit=True) as connection:
            connection.execute(sql.encode())


def _libpq(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _environment(url: URL) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
    return {
        **kept,
        "NEURON_SCHEMA_DATABASE_URL": _libpq(url),
        "ALEMBIC_DATABASE_URL": url.render_as_string(hide_password=False),
    }


def _ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        _, errors = process.communicate(timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return -1, f"did not end in {_LIMIT_S} s"
    # Alembic's last line is an address; the error's own is the one that names its class.
    lines = [line for line in errors.splitlines() if line.strip()] or [""]
    named = [line for line in lines if "Error" in line or "errors." in line]
    return process.returncode, (named or lines)[-1]


def cut(tool: Tool, databases: Databases, *, deliver: bool, step: int) -> Tally:
    """Cut one connection at every k-th message of a run, and run again plainly."""
    tally = Tally()
    url = databases.create()
    with Proxy(url) as proxy:
        code, said = tool.run(proxy.url, tool.all)
        assert code == 0, said
        assert databases.problem(url) is None
        last = proxy.messages
    databases.drop(url)
    for number in range(1, last + 1, step):
        url = databases.create()
        with Proxy(url, cut_at=number, deliver=deliver) as proxy:
            first, _ = tool.run(proxy.url, tool.all)
        code, said = tool.run(url, tool.all)
        problem = databases.problem(url)
        if problem is None and code != 0:
            problem = f"the second run ends with {code}: {said}"
        elif problem is not None:
            problem += f" (exit statuses {first} and {code})"
        tally.add(f"message {number} of {last}", problem)
        databases.drop(url)
    return tally


def race(tool: Tool, databases: Databases, *, behind: bool, trials: int) -> tuple[Tally, Tally]:
    """Start eight at once; return how many of them succeeded, and how many trials ended right."""
    runs, ends = Tally(), Tally()
    for trial in range(trials):
        url = databases.create()
        if behind:
            code, said = tool.run(url, tool.first)
            assert code == 0, said
        with tempfile.TemporaryDirectory() as meeting:
            started = [
                tool.start(url, tool.all, prefix=_together(meeting, number, tool.module))
                for number in range(_RACERS)
            ]
            while len(list(Path(meeting).glob("ready-*"))) < _RACERS:
                time.sleep(0.01)
            Path(meeting, "go").touch()
            for process in started:
                code, said = _ended(process)
                runs.add(f"trial {trial}", None if code == 0 else said)
        ends.add(f"trial {trial}", databases.problem(url))
        databases.drop(url)
    return runs, ends


def _together(meeting: str, number: int, module: str) -> tuple[str, ...]:
    return (
        *(sys.executable, str(Path(__file__).with_name("together.py"))),
        *(meeting, str(number), module),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Try everything, print a table, and return 1 when neuron-schema failed anywhere."""
    given = _parser().parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="neuron-schema-faults-") as root,
        temporary_server(settings={"listen_addresses": "127.0.0.1"}) as address,
    ):
        databases = Databases(address.sqlalchemy_url())
        tools = _tools(Path(root))
        columns = [_tried(tool, databases, given.step, given.trials) for tool in tools]
    print(_table([tool.name for tool in tools], columns))
    for tool, tallies in zip(tools, columns, strict=True):
        for what, tally in tallies.items():
            for line in tally.bad:
                print(f"- {tool.name}, {what}: {line}")
    return 1 if any(tally.bad for tally in columns[0].values()) else 0


def _tried(tool: Tool, databases: Databases, step: int, trials: int) -> dict[str, Tally]:
    found = {}
    for word, deliver in (("before", False), ("after", True)):
        found[f"a connection cut {word} delivery of message k, then run again: right"] = cut(
            tool, databases, deliver=deliver, step=step
        )
    for what, behind in (("an empty database", False), ("a database one deploy behind", True)):
        runs, ends = race(tool, databases, behind=behind, trials=trials)
        found[f"{_RACERS} at once on {what}: runs with exit status 0"] = runs
        found[f"{_RACERS} at once on {what}: trials that end right"] = ends
    return found


def _tools(root: Path) -> tuple[Tool, Tool]:
    ours = Tool("neuron-schema", "neuron", root / "neuron", ("up",), ("up", "3"))
    theirs = Tool(
        f"Alembic {version('alembic')}",
        "alembic",
        root / "alembic",
        ("upgrade", "head"),
        ("upgrade", "003"),
    )
    fault_projects.write_neuron(ours.directory)
    fault_projects.write_alembic(theirs.directory)
    return ours, theirs


def _table(names: list[str], columns: list[dict[str, Tally]]) -> str:
    lines = [f"| Fault | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for what in columns[0]:
        cells = " | ".join(str(column[what]) for column in columns)
        lines.append(f"| {what[0].upper()}{what[1:]} | {cells} |")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults",
        description="Try the same faults on neuron-schema and on Alembic.",
    )
    parser.add_argument("--step", type=int, default=1, help="cut at every STEP-th message only")
    parser.add_argument("--trials", type=int, default=5, help="how often eight are let loose")
    return parser


if __name__ == "__main__":
    sys.exit(main())
