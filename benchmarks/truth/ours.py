"""What neuron-schema says: each statement measured on a throw-away server, and judged."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.truth.claims import HAZARDS, claimed
from benchmarks.truth.statements import BASE, BASE_18, SINCE_18
from neuron_schema.catalog import diff
from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.errors import NeuronSchemaError
from neuron_schema.history import HistoryTable
from neuron_schema.proof.ground import Workshop
from neuron_schema.proof.verify import Proof
from neuron_schema.review.case import Case
from neuron_schema.review.hazards import judge
from neuron_schema.review.report import Novelty
from neuron_schema.review.tracer import measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.truth.statements import Example
    from neuron_schema.address import Address
    from neuron_schema.catalog import Snapshot
    from neuron_schema.proof.shadow import Shadow
    from neuron_schema.review.measures import VersionMeasure

_HEAD = """\
from sqlalchemy import Column, Index, MetaData, Table
from sqlalchemy.schema import CreateIndex

from neuron_schema.ops import Sql

"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a tool says of one statement.

    Attributes:
        names: The hazards or rules that it names.
        verdict: ``right``, ``miss`` or ``false alarm``.
        measured: What the statement did, in words; "" where nothing was measured.
    """

    names: tuple[str, ...]
    verdict: str
    measured: str = ""


class Bench:
    """A server with the schema that the statements stand on.

    Args:
        workshop: Where versions are run.
        base: The database that has it.
    """

    def __init__(self, workshop: Workshop, base: Address) -> None:
        self._workshop = workshop
        self._base = base
        with workshop.open(base) as ground:
            self._before = ground.snapshot()

    @property
    def major(self) -> int:
        """The server's major version."""
        return self._before.server_major

    def tell(self, example: Example) -> Told:
        """Measure a statement and judge it."""
        with tempfile.TemporaryDirectory() as directory:
            up = example.python or f"[Sql({example.sql!r})]"
            source = f"{_HEAD}up = {up}\ndown = []\n"
            Path(directory, "002_example.py").write_text(source, encoding="utf-8")
            workshop = replace(self._workshop, directory=Path(directory))
            (migration,) = VersionSet(directory).migrations()
            measured = measure(workshop, self._base, migration)
            after = self._after(workshop, migration)
            case = Case(
                migration=migration,
                novelty=Novelty.NEW,
                measure=measured,
                before=self._before,
                after=after,
                changes=diff(self._before, after),
                proof=Proof(version=migration.version, name=migration.name),
                major=self.major,
            )
            found = sorted({finding.hazard for finding in judge(case)})
        names = tuple(name for name in found if claimed([name], HAZARDS))
        verdict = example.is_right(claimed(names, HAZARDS))
        return Told(names=names, verdict=verdict, measured=_words(measured))

    def _after(self, workshop: Workshop, migration: object) -> Snapshot:
        with workshop.shadow.database(self._base) as address, workshop.open(address) as ground:
            try:
                ground.run([migration])  # type: ignore[list-item]
            except NeuronSchemaError:
                return self._before
            return ground.snapshot()


@contextmanager
def bench(shadow: Shadow) -> Iterator[Bench]:
    """Yield a bench on a shadow's server."""
    with tempfile.TemporaryDirectory() as directory:
        texts = [BASE, *([BASE_18] if shadow.major >= SINCE_18 else [])]
        source = f"{_HEAD}up = [{', '.join(f'Sql({each!r})' for each in texts)}]\ndown = []\n"
        Path(directory, "001_base.py").write_text(source, encoding="utf-8")
        workshop = Workshop(shadow=shadow, directory=Path(directory), history=HistoryTable())
        with workshop.database() as base:
            with workshop.open(base) as ground:
                ground.run(VersionSet(directory).migrations())
            yield Bench(workshop, base)


def _words(measured: VersionMeasure) -> str:
    """Return locks and work of a version, as a cell of a table."""
    locks: dict[str, str] = {}
    work: list[str] = []
    for each in measured.statements:
        run = each.shipped or each.alone
        if run is None:
            continue
        locks |= {lock.table.name: lock.mode.value for lock in reversed(run.under)}
        work += [f"rewrites {table.name}" for table in run.rewritten]
        work += [f"builds an index on {one.index.parent}" for one in run.built if not one.rebuilt]
        # Who writes all rows anew, or builds an index over them, reads them.
        read = {scan.table.name for scan in run.scans}
        read -= {table.name for table in run.rewritten} | {one.index.parent for one in run.built}
        work += [f"reads {name}" for name in sorted(read)]
        work += [f"empties {table.name}" for table in run.truncated]
        work += [f"writes rows of {one.table.name}" for one in run.written]
        work += [f"fails: {run.failed.sqlstate}"] if run.failed is not None else []
    held = [f"{name} {mode}" for name, mode in sorted(locks.items())]
    return "; ".join(dict.fromkeys((*held, *work))) or "no table is locked"
