"""Reviews the examples of hazards for the tests, each on a schema of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from neuron_schema.catalog import diff
from neuron_schema.discovery import version_module
from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.history import HistoryTable
from neuron_schema.proof.ground import Workshop
from neuron_schema.proof.trunk import Trunk
from neuron_schema.proof.verify import prove
from neuron_schema.review.case import Case
from neuron_schema.review.hazards import judge
from neuron_schema.review.report import Novelty
from neuron_schema.review.stats import Stats, TableStats
from neuron_schema.review.tracer import measure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from neuron_schema.model import Migration
    from neuron_schema.proof.shadow import Shadow
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.hazards import Example


class Bench:
    """Judges version modules on a shadow; tables that were made once are copied from then on.

    Args:
        shadow: The server.
        directory: Where there is room for files.
    """

    def __init__(self, shadow: Shadow, directory: Path) -> None:
        self._workshop = Workshop(shadow=shadow, directory=directory, history=HistoryTable())
        self._trunks: dict[str, Trunk] = {}

    def findings(self, example: Example) -> list[Finding]:
        """Return what is found in the modules under review of an example."""
        return [finding for case in self.example(example) for finding in judge(case)]

    def example(self, example: Example) -> list[Case]:
        """Return the cases of an example's modules."""
        sizes = {name: TableStats(rows=rows, bytes=bytes_) for name, rows, bytes_ in example.sizes}
        stats = Stats(taken_on="2026-01-01", tables=sizes) if sizes else None
        novelty = Novelty.EDITED if example.edited else Novelty.NEW
        found = self.cases(example.base, *example.modules)
        return [replace(case, stats=stats, novelty=novelty) for case in found]

    def cases(self, base: str, *modules: str) -> list[Case]:
        """Return the cases of modules on the schema that another one makes."""
        migrations = [_loaded(source, number) for number, source in enumerate(modules, 2)]
        return self.on(self._trunk(base), migrations)

    def versions(self, directory: Path) -> list[Case]:
        """Return the cases of all versions of a directory."""
        migrations = VersionSet(directory).migrations()
        return self.on(Trunk(self._workshop, migrations), migrations)

    def on(self, trunk: Trunk, migrations: Sequence[Migration]) -> list[Case]:
        """Return the cases of versions on a schema, which stays as it is."""
        with self._workshop.roles_put_back(migrations), trunk.fork() as fork:
            found = [self._case(fork, each) for each in migrations]
        final = found[-1].after
        return [*(replace(case, final=final) for case in found[:-1]), found[-1]]

    def _trunk(self, base: str) -> Trunk:
        if base not in self._trunks:
            trunk = Trunk(self._workshop, ())
            assert trunk.grow(_loaded(base, 1)) is None
            self._trunks[base] = trunk
        return self._trunks[base]

    def _case(self, trunk: Trunk, migration: Migration) -> Case:
        with self._workshop.open(trunk.address) as ground:
            before = ground.snapshot()
        measured = measure(self._workshop, trunk.address, migration)
        proof = prove(self._workshop, trunk, migration)
        trunk.grow(migration)
        with self._workshop.open(trunk.address) as ground:
            after = ground.snapshot()
        return Case(
            migration=migration,
            novelty=Novelty.NEW,
            measure=measured,
            before=before,
            after=after,
            changes=diff(before.unowned(), after.unowned()),
            proof=proof,
            major=self._workshop.shadow.major,
        )


def _loaded(source: str, number: int) -> Migration:
    version = f"{number:03d}"
    path = f"{version}_example.py"
    return version_module.load(source.encode(), path, version=version, name="example")
