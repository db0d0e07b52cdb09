"""Remedies, run: what they lock is measured beside what their originals lock."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from neuron_schema.catalog import diff
from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.history import HistoryTable
from neuron_schema.proof.ground import Workshop
from neuron_schema.proof.shadow import open_shadow
from neuron_schema.proof.verify import Proof
from neuron_schema.review.case import Case
from neuron_schema.review.findings import Finding, FixModule, Severity
from neuron_schema.review.fixes import REMEDIED, Proposal, propose, try_all, try_out, trying
from neuron_schema.review.hazards import HAZARDS, judge
from neuron_schema.review.locks import Access, LockMode
from neuron_schema.review.report import Novelty
from neuron_schema.review.tracer import measure
from tests.conftest import from_engine_url
from tests.hazard_examples import Bench
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import URL

    from neuron_schema.address import Address
    from neuron_schema.review.findings import Fix
    from neuron_schema.review.measures import VersionMeasure

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
class Stand:
    """A version under review, and a database that stands before it."""

    workshop: Workshop
    address: Address
    case: Case

    def propose(self, hazard: str, statement: int | None) -> Proposal | None:
        """Return what is proposed against a finding of it."""
        finding = Finding(
            hazard=hazard,
            severity=Severity.BLOCKING,
            version="002",
            statement=statement,
            object=None,
            sentence="",
        )
        return propose(self.case, finding, taken=(1, 2))

    def fix(self, hazard: str, statement: int | None) -> Fix | None:
        """Return the remedy of a finding of it, tried out."""
        proposal = self.propose(hazard, statement)
        return None if proposal is None else self.try_out(proposal)

    def try_out(self, proposal: Proposal) -> Fix | None:
        """Try a remedy out."""
        return try_out(self.workshop, self.address, self.case, proposal)


def modes(fix: Fix | None, table: str) -> list[LockMode | None]:
    """Return the strongest lock on a table in each version of a remedy."""
    assert fix is not None
    return [mode(each, table) for each in fix.measures]


def mode(measured: VersionMeasure, table: str) -> LockMode | None:
    """Return the strongest lock on a table in one version."""
    found = [
        lock.mode
        for each in measured.statements
        for run in [each.shipped or each.alone]
        for lock in (run.under if run is not None else ())
        if lock.table.name == table
    ]
    return max(found, key=lambda mode: mode.strength, default=None)


@pytest.fixture(scope="module")
def workshop(server: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Yield where versions are run."""
    directory = tmp_path_factory.mktemp("versions")
    with open_shadow(from_engine_url(server)) as shadow:
        yield Workshop(shadow=shadow, directory=directory, history=HistoryTable())


@contextmanager
def standing(
    workshop: Workshop, directory: Path, *, base: str = BASE, undo: str = UNDO
) -> Iterator[Stand]:
    """Yield ``002`` of a directory, measured, and a database with ``001`` in it."""
    if not (directory / "001_base.py").exists():
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
        yield Stand(workshop=own, address=address, case=case)


AE, SUE = LockMode.ACCESS_EXCLUSIVE, LockMode.SHARE_UPDATE_EXCLUSIVE
SRE, S = LockMode.SHARE_ROW_EXCLUSIVE, LockMode.SHARE
RE = LockMode.ROW_EXCLUSIVE
ADD_B = "ALTER TABLE t ADD CONSTRAINT t_b_sign CHECK (b > 0 OR b <= 0)"
ADD_P = "ALTER TABLE t ADD CONSTRAINT t_p FOREIGN KEY (p_id) REFERENCES p"

# By hazard: the statement that has it, up, down, and the strongest lock on t in each version of its
# remedy.
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
    "bulk-dml": (
        2,
        ["ALTER TABLE t ADD COLUMN c text", "UPDATE t SET c = lower(s)"],
        ["SELECT 1", "ALTER TABLE t DROP COLUMN c"],
        [AE, RE],
    ),
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
    with standing(workshop, tmp_path) as stand:
        fix = stand.fix(hazard, statement)
    assert modes(fix, "t") == expected


def test_every_hazard_with_modules_is_tried_here() -> None:
    """By the test above, or by one of its own."""
    own = {
        "partition-attach-scan",
        "partition-detach-blocking",
        "set-not-null-scan",
        "vector-index-blocking",
    }
    assert own | CASES.keys() == REMEDIED


NEURON = '''"""Embeddings."""

from pgvector.sqlalchemy import Vector
from sqlalchemy import Column, Index, MetaData, Table
from sqlalchemy.schema import CreateIndex, DropIndex

from neuron_schema.ops import AddColumn, DropColumn

t = Table("t", MetaData(), Column("embedding", Vector(3)))
i = Index(
    "t_embedding",
    t.c.embedding,
    postgresql_using="hnsw",
    postgresql_ops={"embedding": "vector_cosine_ops"},
)

up = [AddColumn(t.c.embedding), CreateIndex(i)]
down = [DropIndex(i), DropColumn(t.c.embedding)]
'''


@pytest.mark.extension("vector")
@pytest.mark.parametrize(
    "hazard", ["vector-index-blocking", "create-index-blocking", "lock-held-across-statements"]
)
def test_an_hnsw_index_beside_its_column_is_built_while_others_write(
    workshop: Workshop, tmp_path: Path, hazard: str
) -> None:
    """The original keeps readers out for the whole build, its remedy keeps nobody out."""
    (tmp_path / "002_embedding.py").write_text(NEURON, encoding="utf-8")
    base = f"CREATE EXTENSION vector; {BASE}"
    with standing(workshop, tmp_path, base=base, undo=f"{UNDO}; DROP EXTENSION vector") as stand:
        fix = stand.fix(hazard, 2)
        built = stand.case.measure.statements[1].shipped
    assert built is not None
    assert [each.index.name for each in built.built] == ["t_embedding"]
    assert mode(stand.case.measure, "t") is AE
    assert modes(fix, "t") == [AE, SUE]
    assert fix is not None
    (first,), (second,) = (each.statements for each in fix.measures)
    assert first.shipped is not None
    assert not first.shipped.built
    run = second.shipped or second.alone
    assert run is not None
    assert [each.index.name for each in run.built] == ["t_embedding"]
    assert not {access for lock in run.locks for access in lock.blocks} & {
        Access.READS,
        Access.WRITES,
    }
    assert fix.summary == "split into 002 and 003"


def test_not_null_is_checked_while_others_write(workshop: Workshop, tmp_path: Path) -> None:
    """As a constraint by its name from 18 on, by way of a CHECK before."""
    write_version(
        tmp_path,
        "002_change",
        up=["ALTER TABLE t ALTER COLUMN s SET NOT NULL"],
        down=["ALTER TABLE t ALTER COLUMN s DROP NOT NULL"],
    )
    with standing(workshop, tmp_path) as stand:
        fix = stand.fix("set-not-null-scan", 1)
    assert fix is not None
    first, second = fix.measures
    assert mode(first, "t") is AE
    scans = [
        [str(scan.table) for scan in run.scans]
        for each in second.statements
        for run in [each.shipped]
        if run is not None
    ]
    assert scans[0] == ["public.t"]
    assert not any(scans[1:])
    shipped = second.statements[0].shipped
    assert shipped is not None
    assert [lock.mode for lock in shipped.under] == [SUE]
    is_new = stand.case.major >= 18
    assert ("AddNotNull" in fix.modules[0].source) is is_new


def test_a_column_that_must_have_a_value_gets_it_before(workshop: Workshop, tmp_path: Path) -> None:
    """Four versions, and the last one reads the rows while others write."""
    write_version(
        tmp_path,
        "002_change",
        up=["ALTER TABLE t ADD COLUMN c uuid DEFAULT gen_random_uuid() NOT NULL"],
        down=["ALTER TABLE t DROP COLUMN c"],
    )
    with standing(workshop, tmp_path) as stand:
        fix = stand.fix("add-column-volatile-default", 1)
    assert fix is not None
    assert fix.summary == "split into 002, 003, 004 and 005"
    assert not any(
        run.rewritten
        for each in fix.measures
        for one in each.statements
        for run in [one.shipped]
        if run is not None
    )


def test_a_partition_is_read_before_it_is_attached(workshop: Workshop, tmp_path: Path) -> None:
    """Under a lock that lets others write; when it is attached nothing is read."""
    write_version(
        tmp_path,
        "002_change",
        up=["ALTER TABLE m ATTACH PARTITION m2 FOR VALUES FROM ('2025-01-01') TO (MAXVALUE)"],
        down=["ALTER TABLE m DETACH PARTITION m2"],
    )
    with standing(workshop, tmp_path) as stand:
        fix = stand.fix("partition-attach-scan", 1)
    assert fix is not None
    assert modes(fix, "m") == [None, SUE]
    validate, attach, _ = (each.shipped for each in fix.measures[1].statements)
    assert validate is not None
    assert [str(scan.table) for scan in validate.scans] == ["public.m2"]
    assert [lock.mode for lock in validate.under] == [SUE]
    assert attach is not None
    assert not attach.scans


def test_a_partition_is_detached_while_others_work(workshop: Workshop, tmp_path: Path) -> None:
    """And what PostgreSQL leaves on it is gone afterwards."""
    write_version(
        tmp_path,
        "002_change",
        up=["ALTER TABLE m DETACH PARTITION m1"],
        down=["ALTER TABLE m ATTACH PARTITION m1 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')"],
    )
    with standing(workshop, tmp_path) as stand:
        fix = stand.fix("partition-detach-blocking", 1)
    assert mode(stand.case.measure, "m") is AE
    assert modes(fix, "m") == [SUE, None]


@pytest.mark.parametrize(
    "hazard",
    [
        pytest.param(id_, marks=pytest.mark.extension("vector") if "vector" in id_ else (), id=id_)
        for id_ in sorted(REMEDIED)
    ],
)
def test_every_bad_example_has_a_remedy_that_is_rid_of_the_hazard(
    workshop: Workshop, tmp_path: Path, hazard: str
) -> None:
    """Written from the example's own module, proven, and judged as the original was."""
    bad = HAZARDS[hazard].bad
    (tmp_path / "001_base.py").write_text(bad.base, encoding="utf-8")
    (tmp_path / "002_example.py").write_text(bad.modules[0], encoding="utf-8")
    with standing(workshop, tmp_path) as stand:
        found = next(each for each in judge(stand.case) if each.hazard == hazard)
        fix = stand.fix(hazard, found.statement)
    assert fix is not None
    cases = Bench(workshop.shadow, tmp_path).cases(bad.base, *(one.source for one in fix.modules))
    judged = [each for case in cases for each in judge(case)]
    assert hazard not in {each.hazard for each in judged}
    assert not [
        each.sentence
        for each in judged
        if each.severity is Severity.BLOCKING and each.hazard != "data-dependent-failure"
    ]


GOOD = (
    'up = [Sql("ALTER TABLE t ADD CONSTRAINT c CHECK (id > 0 OR id <= 0) NOT VALID")]\n',
    'down = [Sql("ALTER TABLE t DROP CONSTRAINT c")]\n',
    'up = [Sql("ALTER TABLE t VALIDATE CONSTRAINT c")]\n',
    'down = [Sql("ALTER TABLE t DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (id > 0 OR id <= 0)'
    ' NOT VALID")]\n',
)


def changed(**parts: str) -> tuple[FixModule, ...]:
    """Return two versions that cure a CHECK, or with other lists in them do not."""
    names = ("up_1", "down_1", "up_2", "down_2")
    texts = [parts.get(name, text) for name, text in zip(names, GOOD, strict=True)]
    head = "from neuron_schema.ops import Sql\n"
    return (
        FixModule(file_name="002_a.py", source=head + texts[0] + texts[1]),
        FixModule(file_name="003_b.py", source=head + texts[2] + texts[3]),
    )


@pytest.mark.parametrize(
    ("modules", "shown"),
    [
        pytest.param(changed(), True, id="right"),
        pytest.param(changed(up_2='up = [Sql("SELECT 1")]\n'), False, id="another schema"),
        pytest.param(changed(down_2="down = []\n"), False, id="no way back"),
        pytest.param(
            changed(
                up_1=GOOD[0].replace(" NOT VALID", ""),
                up_2='up = [Sql("SELECT 1")]\n',
                down_2="down = []\n",
            ),
            False,
            id="the same lock",
        ),
        pytest.param(
            changed(up_1=GOOD[0].replace('")]', '; UPDATE t SET a = 7")]')), False, id="other rows"
        ),
        pytest.param(changed(up_1="up = [Sql('SELECT 1/0')]\n"), False, id="it fails"),
        pytest.param(changed(up_1="up = []\n"), False, id="no version"),
    ],
)
def test_what_is_not_proven_is_not_shown(
    workshop: Workshop, tmp_path: Path, modules: tuple[FixModule, ...], *, shown: bool
) -> None:
    """Schema, way back, rows and locks: each is looked at."""
    write_version(
        tmp_path,
        "002_change",
        up=["ALTER TABLE t ADD CONSTRAINT c CHECK (id > 0 OR id <= 0)"],
        down=["ALTER TABLE t DROP CONSTRAINT c"],
    )
    proposal = Proposal(hazard="add-check-valid", statement=1, summary="two", modules=modules)
    with standing(workshop, tmp_path) as stand:
        fix = stand.try_out(proposal)
    assert (fix is not None) is shown


def test_one_remedy_of_two_findings_is_run_once(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And shown with both."""
    runs: list[object] = []
    real = trying._run

    def counted(*given: object) -> object:
        runs.append(given)
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(trying, "_run", counted)
    write_version(
        tmp_path,
        "002_change",
        up=["ALTER TABLE t ADD COLUMN c text", "CREATE INDEX t_a ON t (a)"],
        down=["DROP INDEX t_a", "ALTER TABLE t DROP COLUMN c"],
    )
    with standing(workshop, tmp_path) as stand:
        proposals = [
            stand.propose("create-index-blocking", 2),
            None,
            stand.propose("lock-held-across-statements", 2),
        ]
        found = try_all(stand.workshop, stand.address, stand.case, proposals)
    assert [fix is not None for fix in found] == [True, False, True]
    assert len(runs) == 1


def test_the_backfill_of_an_irreversible_version_is_proven_as_one(
    workshop: Workshop, tmp_path: Path
) -> None:
    """What its author declared goes along with the statement."""
    (tmp_path / "002_change.py").write_text(
        "from neuron_schema.ops import Sql, irreversible\n\n"
        'up = [Sql("UPDATE t SET a = 1 WHERE a IS NULL")]\n'
        'down = irreversible("which were NULL is not kept")\n',
        encoding="utf-8",
    )
    with standing(workshop, tmp_path) as stand:
        fix = stand.fix("bulk-dml", 1)
    assert fix is not None
    (module,) = fix.modules
    assert "Backfill(" in module.source
    assert 'down = irreversible("which were NULL is not kept")\n' in module.source


def test_what_is_blocking_still_is_told_with_the_remedy(workshop: Workshop, tmp_path: Path) -> None:
    """The scan is gone, and the UPDATE under the lock of the new column is there as before."""
    write_version(
        tmp_path,
        "002_change",
        up=[
            "ALTER TABLE t ADD COLUMN k integer",
            "UPDATE t SET k = 1",
            "ALTER TABLE t ALTER COLUMN k SET NOT NULL",
        ],
        down=["ALTER TABLE t DROP COLUMN k"],
    )
    with standing(workshop, tmp_path) as stand:
        fix = stand.fix("set-not-null-scan", 3)
    assert fix is not None
    assert [(each.hazard, each.version, each.statement) for each in fix.left] == [
        ("lock-held-across-statements", "002", 2)
    ]


def test_a_table_that_a_remedy_makes_is_used_by_nobody_yet(
    workshop: Workshop, tmp_path: Path
) -> None:
    """An index on it keeps nobody out, though it comes in a later version of the remedy."""
    write_version(
        tmp_path,
        "002_change",
        up=[
            "CREATE TABLE n (a integer)",
            "UPDATE t SET a = 1 WHERE a IS NULL",
            "CREATE INDEX n_a ON n (a)",
        ],
        down=["DROP INDEX n_a", "DROP TABLE n"],
    )
    with standing(workshop, tmp_path) as stand:
        fix = stand.fix("bulk-dml", 2)
    assert fix is not None
    assert len(fix.modules) == 3
    assert fix.left == ()
