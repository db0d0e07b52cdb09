"""Remedies, run: what they lock is measured beside what their originals lock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from neuron_schema.catalog import diff
from neuron_schema.discovery import VersionSet
from neuron_schema.history import HistoryTable
from neuron_schema.proof.ground import Workshop
from neuron_schema.proof.shadow import open_shadow
from neuron_schema.proof.verify import Proof
from neuron_schema.review.case import Case
from neuron_schema.review.findings import Finding, FixModule, Severity
from neuron_schema.review.fixes import REMEDIED, Proposal, propose, try_all, try_out
from neuron_schema.review.locks import Access, LockMode
from neuron_schema.review.report import Novelty
from neuron_schema.review.tracer import measure
from neuron_schema.url import from_engine_url
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy.engine import URL

    from neuron_schema.review.findings import Fix
    from neuron_schema.review.measures import VersionMeasure
    from neuron_schema.url import Address

BASE = """
CREATE TABLE p (id bigint PRIMARY KEY);
CREATE TABLE t (id bigint PRIMARY KEY, a integer, b integer, s text, p_id bigint);
CREATE INDEX t_b ON t (b);
CREATE TABLE m (id bigint NOT NULL, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE m1 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE m2 (id bigint NOT NULL, at date NOT NULL)
"""
UNDO = "DROP TABLE t, p, m, m2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A version, what was proposed for it, and what came of that."""

    case: Case
    proposal: Proposal | None
    fix: Fix | None
    again: Callable[[Proposal], Fix | None]

    def mode(self, measured: VersionMeasure, table: str) -> LockMode | None:
        """Return the strongest lock on a table in one version."""
        modes = [
            lock.mode
            for each in measured.statements
            for run in [each.shipped or each.alone]
            for lock in (run.under if run is not None else ())
            if lock.table.name == table
        ]
        return max(modes, key=lambda mode: mode.strength, default=None)

    def modes(self, table: str) -> list[LockMode | None]:
        """Return the strongest lock on a table in each version of the remedy."""
        assert self.fix is not None
        return [self.mode(each, table) for each in self.fix.measures]


@pytest.fixture(scope="module")
def workshop(server: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Yield where versions are run."""
    directory = tmp_path_factory.mktemp("versions")
    with open_shadow(from_engine_url(server)) as shadow:
        yield Workshop(shadow=shadow, directory=directory, history=HistoryTable())


def tried(
    workshop: Workshop,
    directory: Path,
    hazard: str,
    statement: int | None,
    *,
    base: str = BASE,
    undo: str = UNDO,
) -> Tried:
    """Measure ``002``, and try out what is proposed for it."""
    write_version(directory, "001_base", up=[base], down=[undo])
    own = replace(workshop, directory=directory)
    first, second = VersionSet(directory).migrations()
    with own.shadow.database() as address:
        with own.open(address) as ground:
            ground.run([first])
            before = ground.snapshot()
        measured = measure(own, address, second)
        with own.shadow.database(address) as copy, own.open(copy) as ground:
            ground.run([second])
            after = ground.snapshot()
        case = Case(
            migration=second,
            novelty=Novelty.NEW,
            measure=measured,
            before=before,
            after=after,
            changes=diff(before, after),
            proof=Proof(version=second.version, name=second.name),
            major=before.server_major,
        )
        finding = Finding(
            hazard=hazard,
            severity=Severity.BLOCKING,
            version=second.version,
            statement=statement,
            object=None,
            sentence="",
        )
        proposal = propose(case, finding, taken=(1, 2))
        fix = None if proposal is None else try_out(own, address, case, proposal)
        return Tried(case=case, proposal=proposal, fix=fix, again=_again(own, first, case))


def _again(workshop: Workshop, first: object, case: Case) -> Callable[[Proposal], Fix | None]:
    def again(proposal: Proposal) -> Fix | None:
        migrations = VersionSet(workshop.directory).migrations()
        with workshop.shadow.database() as address:
            with workshop.open(address) as ground:
                ground.run(migrations[:1])
            return try_out(workshop, address, case, proposal)

    assert first is not None
    return again


AE, SUE = LockMode.ACCESS_EXCLUSIVE, LockMode.SHARE_UPDATE_EXCLUSIVE
SRE, S = LockMode.SHARE_ROW_EXCLUSIVE, LockMode.SHARE
RE = LockMode.ROW_EXCLUSIVE
ADD_B = "ALTER TABLE t ADD CONSTRAINT t_b_sign CHECK (b > 0 OR b <= 0)"
ADD_P = "ALTER TABLE t ADD CONSTRAINT t_p FOREIGN KEY (p_id) REFERENCES p"

# Hazard, the statement that has it, up, down, the names of the versions that come instead, and the
# strongest lock on t in each of them.
CASES = {
    "create-index-blocking": (1, ["CREATE INDEX t_a ON t (a)"], ["DROP INDEX t_a"], [SUE]),
    "drop-index-blocking": (1, ["DROP INDEX t_b"], ["CREATE INDEX t_b ON t (b)"], [SUE]),
    "reindex-blocking": (1, ["REINDEX INDEX t_b"], [], [SUE]),
    "add-check-valid": (1, [ADD_B], ["ALTER TABLE t DROP CONSTRAINT t_b_sign"], [AE, SUE]),
    "add-fk-valid": (1, [ADD_P], ["ALTER TABLE t DROP CONSTRAINT t_p"], [SRE, SUE]),
    "add-unique-blocking": (
        1,
        ["ALTER TABLE t ADD CONSTRAINT t_id_a UNIQUE (id, a)"],
        ["ALTER TABLE t DROP CONSTRAINT t_id_a"],
        [SUE, AE],
    ),
    "not-valid-validated-same-tx": (
        2,
        [f"{ADD_B} NOT VALID", "ALTER TABLE t VALIDATE CONSTRAINT t_b_sign"],
        ["ALTER TABLE t DROP CONSTRAINT t_b_sign"],
        [AE, SUE],
    ),
    "add-column-inline-check": (
        1,
        ["ALTER TABLE t ADD COLUMN c integer DEFAULT 3 CHECK (c > 0)"],
        ["ALTER TABLE t DROP COLUMN c"],
        [AE, SUE],
    ),
    "add-column-inline-unique": (
        1,
        ["ALTER TABLE t ADD COLUMN c integer UNIQUE"],
        ["ALTER TABLE t DROP COLUMN c"],
        [AE, SUE, AE],
    ),
    "add-column-volatile-default": (
        1,
        ["ALTER TABLE t ADD COLUMN c uuid DEFAULT gen_random_uuid()"],
        ["ALTER TABLE t DROP COLUMN c"],
        [AE, RE],
    ),
    "bulk-dml": (2, ["ALTER TABLE t ADD COLUMN c text", "UPDATE t SET c = lower(s)"], [], [AE, RE]),
    "lock-held-across-statements": (
        2,
        ["ALTER TABLE t ADD COLUMN c text", "DO 'BEGIN PERFORM count(*) FROM t; END'"],
        ["ALTER TABLE t DROP COLUMN c"],
        [AE, LockMode.ACCESS_SHARE],
    ),
}


@pytest.mark.parametrize("hazard", CASES)
def test_a_remedy_locks_less_than_its_original(
    workshop: Workshop, tmp_path: Path, hazard: str
) -> None:
    """By what was measured of each of its versions."""
    statement, up, down, expected = CASES[hazard]
    write_version(tmp_path, "002_change", up=up, down=down, docstring="Change it.")
    found = tried(workshop, tmp_path, hazard, statement)
    assert found.fix is not None
    assert found.modes("t") == expected
