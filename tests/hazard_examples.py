"""Reviews the examples of hazards for the tests, each on a schema of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from neuron_schema.catalog import diff
from neuron_schema.discovery import VersionSet
from neuron_schema.history import HistoryTable
from neuron_schema.proof.ground import Workshop
from neuron_schema.proof.trunk import trunk_of
from neuron_schema.proof.verify import prove
from neuron_schema.review.case import Case
from neuron_schema.review.hazards import judge
from neuron_schema.review.report import Novelty
from neuron_schema.review.stats import Stats, TableStats
from neuron_schema.review.tracer import measure

if TYPE_CHECKING:
    from pathlib import Path

    from neuron_schema.model import Migration
    from neuron_schema.proof.shadow import Shadow
    from neuron_schema.proof.trunk import Trunk
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.hazards import Example

FIRST_REVIEWED = 2


def reviewed(shadow: Shadow, directory: Path, example: Example) -> list[Finding]:
    """Return what is found in the modules under review of an example."""
    directory.mkdir(parents=True, exist_ok=True)
    for number, source in enumerate((example.base, *example.modules), 1):
        (directory / f"{number:03d}_example.py").write_text(source, encoding="utf-8")
    found = example_cases(shadow, directory, example)
    return [finding for case in found for finding in judge(case)]


def example_cases(shadow: Shadow, directory: Path, example: Example) -> list[Case]:
    """Return the cases of an example's modules."""
    sizes = {name: TableStats(rows=rows, bytes=bytes_) for name, rows, bytes_ in example.sizes}
    stats = Stats(taken_on="2026-01-01", tables=sizes) if sizes else None
    novelty = Novelty.EDITED if example.edited else Novelty.NEW
    found = cases(shadow, directory, since=FIRST_REVIEWED)
    return [replace(case, stats=stats, novelty=novelty) for case in found]


def cases(shadow: Shadow, directory: Path, *, since: int = 1) -> list[Case]:
    """Measure and prove the versions of a directory from one on."""
    versions = VersionSet(directory)
    migrations = versions.migrations()
    workshop = Workshop(shadow=shadow, directory=versions.directory, history=HistoryTable())
    with workshop.roles_put_back(migrations), trunk_of(workshop, migrations) as trunk:
        early = [each for each in migrations if each.number < since]
        assert not early or trunk.grow_by_all(early)
        found = [_case(workshop, trunk, each) for each in migrations if each.number >= since]
    final = found[-1].after
    return [*(replace(case, final=final) for case in found[:-1]), found[-1]]


def _case(workshop: Workshop, trunk: Trunk, migration: Migration) -> Case:
    with workshop.open(trunk.address) as ground:
        before = ground.snapshot()
    measured = measure(workshop, trunk.address, migration)
    proof = prove(workshop, trunk, migration)
    trunk.grow(migration)
    with workshop.open(trunk.address) as ground:
        after = ground.snapshot()
    return Case(
        migration=migration,
        novelty=Novelty.NEW,
        measure=measured,
        before=before,
        after=after,
        changes=diff(before.unowned(), after.unowned()),
        proof=proof,
        major=workshop.shadow.major,
    )
