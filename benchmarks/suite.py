"""Run the tools in turns and record what each run took."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import measure
from benchmarks.bounds import FEW, MANY, SOME
from benchmarks.proxy import proxied
from benchmarks.results import Metric, Results, Series
from benchmarks.tools import Operation, Projects, Tool, command
from benchmarks.workload import shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.measure import Sample
    from benchmarks.proxy import Proxy
    from benchmarks.server import Server

ROUND_TRIP_S = 0.020
"""How far the server is made to seem for round trips."""

_PAIR = (Tool.NEURON, Tool.ALEMBIC)
_MOVERS = (Tool.NEURON, Tool.ALEMBIC, Tool.PSQL)
_ALL = (*_MOVERS, Tool.NEURON_SQL, Tool.ALEMBIC_OPERATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """How often each thing is measured.

    Attributes:
        quick: ``--help``, and commands that find nothing to do.
        up: ``up`` of 1,000.
        far: Everything with a server 20 ms away.
    """

    quick: int
    up: int
    far: int


FULL = Rounds(quick=7, up=6, far=2)
SHORT = Rounds(quick=3, up=1, far=1)


class WrongSchemaError(Exception):
    """A tool did not make the schema that it was to make."""


class Suite:
    """One run of everything.

    Args:
        server: Where databases come from.
        projects: Where the tools' projects are to lie.
        rounds: How often each thing is measured.
    """

    def __init__(self, server: Server, projects: Projects, rounds: Rounds) -> None:
        self.results = Results()
        self._server = server
        self._projects = projects
        self._rounds = rounds

    def run(self) -> Results:
        """Measure everything."""
        for count in (FEW, SOME, MANY):
            self._say(f"projects of {count}")
            self._projects.write(count)
        self._cold()
        self._warm_up()
        self._help()
        self._far()
        for count, rounds in ((FEW, 1), (SOME, self._rounds.far), (MANY, self._rounds.up)):
            databases = self._up(count, rounds)
            self._looks(count, databases)
            self._server.drop(*databases.values())
        return self.results

    def _cold(self) -> None:
        """Run ``up`` as on a fresh checkout: nothing compiled, no checksum known."""
        self._say("up of 1,000 with nothing cached")
        for tool in _PAIR:
            database = self._server.create()
            sample = self._run(tool, Operation.UP, MANY, database)
            self._server.drop(database)
            self.results.add(Series(tool, Operation.UP, MANY, Metric.COLD_CPU), sample.cpu_s)

    def _warm_up(self) -> None:
        """Let each tool read its project once: byte code, checksums, the file system's cache."""
        self._say("warming up")
        database = self._server.create()
        for tool in (Tool.NEURON, Tool.NEURON_SQL, Tool.ALEMBIC, Tool.ALEMBIC_OPERATIONS):
            for count in (FEW, SOME, MANY):
                self._run(tool, Operation.STATUS, count, database)
        self._server.drop(database)

    def _help(self) -> None:
        self._say("--help")
        for tool in self._turns(_PAIR, self._rounds.quick):
            sample = self._run(tool, Operation.HELP, FEW, "postgres")
            self._record(Series(tool, Operation.HELP, 0, Metric.CPU), sample)

    def _up(self, count: int, rounds: int) -> dict[Tool, str]:
        """Apply everything to an empty database, and return the last round's databases."""
        databases: dict[Tool, str] = {}
        done: list[str] = []
        for tool in self._turns(_ALL if count == MANY else _MOVERS, rounds):
            self._say(f"up of {count} with {tool}")
            if tool in databases:
                # Dropped at the end: removing thousands of files would slow down what comes next.
                done.append(databases[tool])
            databases[tool] = self._server.create()
            self._server.settle()
            sample = self._run(tool, Operation.UP, count, databases[tool])
            self._check(tool, databases[tool], count)
            self._record(Series(tool, Operation.UP, count, Metric.CPU), sample)
        self._server.drop(*done)
        return databases

    def _looks(self, count: int, databases: dict[Tool, str]) -> None:
        """Run what finds nothing to do."""
        self._server.settle()
        for operation in (Operation.NO_OP, Operation.STATUS):
            self._say(f"{operation}, {count} versions")
            for tool in self._turns(_PAIR, self._rounds.quick):
                sample = self._run(tool, operation, count, databases[tool])
                self._record(Series(tool, operation, count, Metric.CPU), sample)
        for tool in _PAIR:
            self._check(tool, databases[tool], count)

    def _far(self) -> None:
        """Count round trips, and see what it takes when each takes a while."""
        with proxied(self._server.host, self._server.port, round_trip_s=ROUND_TRIP_S) as proxy:
            for tool in self._turns(_ALL, self._rounds.far):
                self._say(f"round trips of {tool}")
                self._far_round(proxy, tool)

    def _far_round(self, proxy: Proxy, tool: Tool) -> None:
        trips: dict[int, int] = {}
        for count in (FEW, SOME):
            database = self._server.create()
            self._server.settle()
            sample = self._run_far(proxy, tool, Operation.UP, count, database)
            trips[count] = proxy.trips
            self._check(tool, database, count)
            self.results.add(Series(tool, Operation.UP, count, Metric.FAR_WALL), sample.wall_s)
            if count == SOME and tool in _PAIR:
                for operation in (Operation.NO_OP, Operation.STATUS):
                    sample = self._run_far(proxy, tool, operation, count, database)
                    self.results.add(Series(tool, operation, count, Metric.TRIPS), proxy.trips)
                    key = Series(tool, operation, count, Metric.FAR_WALL)
                    self.results.add(key, sample.wall_s)
            self._server.drop(database)
        slope = (trips[SOME] - trips[FEW]) / (SOME - FEW)
        self.results.add(Series(tool, Operation.UP, SOME, Metric.TRIPS_PER_VERSION), slope)

    def _run_far(
        self, proxy: Proxy, tool: Tool, operation: Operation, count: int, database: str
    ) -> Sample:
        proxy.reset()
        return self._run(tool, operation, count, database, port=proxy.port)

    def _run(
        self,
        tool: Tool,
        operation: Operation,
        count: int,
        database: str,
        *,
        port: int | None = None,
    ) -> Sample:
        address = self._server.url(database, port=port)
        return measure.run(
            command(tool, operation, address),
            directory=self._projects.directory(tool, count),
            environment=self._projects.environment(address),
        )

    def _record(self, series: Series, sample: Sample) -> None:
        """Record a sample under the metrics that it holds."""
        self.results.add(series._replace(metric=Metric.CPU), sample.cpu_s)
        self.results.add(series._replace(metric=Metric.WALL), sample.wall_s)
        self.results.add(series._replace(metric=Metric.PEAK), sample.peak_mib)

    def _check(self, tool: Tool, database: str, count: int) -> None:
        found, wanted = self._server.shape(database), shape(count)
        if found != wanted:
            raise WrongSchemaError(f"{tool} made {found} of {count} migrations, not {wanted}")

    def _turns(self, tools: Sequence[Tool], rounds: int) -> Iterator[Tool]:
        """Yield the tools round by round, in one order and in the other by turns."""
        for number in range(rounds):
            yield from tools if number % 2 == 0 else reversed(tools)

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)
