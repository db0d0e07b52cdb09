"""What the tracer measures of one statement after the other, each on the same small schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from neuron_schema.history import HistoryTable
from neuron_schema.proof.ground import Workshop
from neuron_schema.proof.shadow import open_shadow
from neuron_schema.review.locks import Access
from tests.conftest import from_engine_url
from tests.measuring import loaded, shipped
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import URL

    from neuron_schema.address import Address
    from neuron_schema.proof.shadow import Shadow
    from neuron_schema.review.measures import Measure

SETUP = [
    "CREATE TABLE parent (id integer PRIMARY KEY, k integer)",
    """CREATE TABLE t (id integer PRIMARY KEY, a varchar(50), n numeric(10, 2), j json,
         ts timestamp, k integer, p integer, q integer CONSTRAINT q_fk REFERENCES parent,
         full_one integer CONSTRAINT full_ck CHECK (full_one IS NOT NULL),
         late integer)""",
    "ALTER TABLE t ADD CONSTRAINT late_ck CHECK (late IS NOT NULL) NOT VALID",
    "ALTER TABLE t ADD CONSTRAINT late_fk FOREIGN KEY (p) REFERENCES parent NOT VALID",
    "CREATE INDEX t_a ON t (a)",
    "CREATE INDEX t_k ON t (k)",
    "CREATE UNIQUE INDEX t_two ON t (id, k)",
    "CREATE TABLE child (id integer PRIMARY KEY, t_id integer CONSTRAINT t_fk REFERENCES t)",
    "CREATE VIEW seen AS SELECT id, p FROM t",
    "CREATE MATERIALIZED VIEW kept AS SELECT id FROM parent",
    "CREATE UNIQUE INDEX kept_id ON kept (id)",
    "CREATE TABLE parts (id integer, d integer) PARTITION BY RANGE (id)",
    "CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO (0)",
    "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100)",
    "CREATE TABLE loose (id integer NOT NULL CHECK (id / 400 > 0), d integer)",
    """CREATE TABLE checked (id integer, d integer,
         CHECK (id IS NOT NULL AND id >= 300 AND id < 400))""",
    "CREATE TYPE mood AS ENUM ('sad')",
    "CREATE DOMAIN small AS integer CHECK (VALUE < 10)",
    """CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql
       AS $$ BEGIN RETURN NEW; END $$""",
]
LETTERS = {"R": Access.READS, "W": Access.WRITES, "V": Access.DDL}


@dataclass(frozen=True)
class Case:
    """A statement, and what is to be measured of it.

    Attributes:
        locks: The locks on tables that keep others from something: mode and who has to wait.
        rewritten: Tables that are written anew.
        built: Indexes that are built; those built anew with a ``+``.
        scans: Tables that are read whole, and how often.
        cascaded: What else vanishes.
        since: The first major version that knows the statement.
    """

    sql: str
    locks: dict[str, str] = field(default_factory=dict)
    rewritten: tuple[str, ...] = ()
    built: tuple[str, ...] = ()
    scans: dict[str, int] = field(default_factory=dict)
    written: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    cascaded: tuple[str, ...] = ()
    truncated: tuple[str, ...] = ()
    since: int = 14


AE, SRE, S, SUE = (
    "ACCESS EXCLUSIVE RWV",
    "SHARE ROW EXCLUSIVE WV",
    "SHARE WV",
    "SHARE UPDATE EXCLUSIVE V",
)
T = {"t": AE}
ALL_INDEXES = ("t_a+", "t_k+", "t_pkey+", "t_two+")


def rewrite(sql: str) -> Case:
    """Return a case of a statement that writes ``t`` anew, with all of its indexes."""
    return Case(sql, T, rewritten=("t",), built=ALL_INDEXES, scans={"t": 5})


CASES = [
    Case("ALTER TABLE t ADD COLUMN x integer", T),
    Case("ALTER TABLE t ADD COLUMN x integer NOT NULL DEFAULT 7", T),
    Case("ALTER TABLE t ADD COLUMN x timestamptz NOT NULL DEFAULT now()", T),
    rewrite("ALTER TABLE t ADD COLUMN x timestamptz DEFAULT clock_timestamp()"),
    rewrite("ALTER TABLE t ADD COLUMN x uuid DEFAULT gen_random_uuid()"),
    rewrite("ALTER TABLE t ADD COLUMN x serial"),
    rewrite("ALTER TABLE t ADD COLUMN x integer GENERATED ALWAYS AS (id / 2) STORED"),
    Case("ALTER TABLE t ADD COLUMN x integer GENERATED ALWAYS AS (id / 2) VIRTUAL", T, since=18),
    Case("ALTER TABLE t ADD COLUMN x integer CHECK (x > 0)", T, scans={"t": 1}),
    rewrite("ALTER TABLE t ADD COLUMN x small"),
    Case("ALTER TABLE t ADD COLUMN x integer REFERENCES parent", {**T, "parent": SRE}),
    Case("ALTER TABLE t ADD COLUMN x integer UNIQUE", T, built=("t_x_key",), scans={"t": 1}),
    Case(
        "ALTER TABLE t DROP COLUMN p CASCADE",
        {**T, "seen": AE, "parent": AE},
        cascaded=("seen", "t.late_fk"),
    ),
    Case("ALTER TABLE t DROP COLUMN a", T, cascaded=("t.t_a",)),
    Case(
        "DROP TABLE t CASCADE",
        {**T, "child": AE, "parent": AE, "seen": AE},
        cascaded=("child.t_fk", "seen"),
    ),
    Case("DROP TABLE child", {"child": AE, "t": AE}),
    Case("ALTER TABLE t ALTER COLUMN a TYPE varchar(100)", T),
    Case("ALTER TABLE t ALTER COLUMN a TYPE text", T),
    Case("ALTER TABLE t ALTER COLUMN n TYPE numeric(12, 2)", T),
    rewrite("ALTER TABLE t ALTER COLUMN n TYPE numeric(12, 4)"),
    rewrite("ALTER TABLE t ALTER COLUMN j TYPE jsonb"),
    rewrite("ALTER TABLE t ALTER COLUMN k TYPE bigint"),
    Case("ALTER TABLE t ALTER COLUMN ts TYPE timestamptz", T),
    Case("ALTER TABLE child ALTER COLUMN id SET NOT NULL", {"child": AE}),
    Case("ALTER TABLE parent ALTER COLUMN id SET NOT NULL", {"parent": AE}),
    Case("ALTER TABLE t ALTER COLUMN full_one SET NOT NULL", T),
    Case("ALTER TABLE t ALTER COLUMN late SET NOT NULL", T, scans={"t": 1}),
    Case("ALTER TABLE t ADD CONSTRAINT c CHECK (id IS NOT NULL)", T, scans={"t": 1}),
    Case("ALTER TABLE t ADD CONSTRAINT c CHECK (id IS NOT NULL) NOT VALID", T),
    Case("ALTER TABLE t VALIDATE CONSTRAINT late_ck", {"t": SUE}, scans={"t": 1}),
    Case(
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (q) REFERENCES parent",
        {"t": SRE, "parent": SRE},
        scans={"t": 1, "parent": 1},
    ),
    Case(
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (q) REFERENCES parent NOT VALID",
        {"t": SRE, "parent": SRE},
    ),
    Case("ALTER TABLE t VALIDATE CONSTRAINT late_fk", {"t": SUE}, scans={"t": 1, "parent": 1}),
    Case("ALTER TABLE t DROP CONSTRAINT q_fk", {**T, "parent": AE}),
    Case("ALTER TABLE t ADD CONSTRAINT l NOT NULL full_one NOT VALID", T, since=18),
    Case("CREATE INDEX i ON t (p)", {"t": S}, built=("i",), scans={"t": 1}),
    Case("CREATE UNIQUE INDEX i ON t (p, id)", {"t": S}, built=("i",), scans={"t": 1}),
    Case("ALTER TABLE t ADD CONSTRAINT u UNIQUE (id, p)", T, built=("u",), scans={"t": 1}),
    Case("ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX t_two", T),
    Case(
        "ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING btree (id WITH =)",
        T,
        built=("x",),
        scans={"t": 2},
    ),
    Case("DROP INDEX t_k", T),
    Case("REINDEX INDEX t_k", {"t": "SHARE RWV"}, built=("t_k+",), scans={"t": 1}),
    Case("CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION noted()", {"t": SRE}),
    Case(
        "ALTER TABLE parts ATTACH PARTITION loose FOR VALUES FROM (400) TO (MAXVALUE)",
        {"loose": AE, "parts": SUE},
        scans={"loose": 1},
    ),
    Case(
        "ALTER TABLE parts ATTACH PARTITION checked FOR VALUES FROM (300) TO (400)",
        {"checked": AE, "parts": SUE},
    ),
    Case("ALTER TABLE parts DETACH PARTITION parts_1", {"parts": AE, "parts_1": AE}),
    Case(
        "REFRESH MATERIALIZED VIEW kept",
        {"kept": AE},
        rewritten=("kept",),
        built=("kept_id+",),
        scans={"kept": 1, "parent": 1},
    ),
    Case("ALTER TABLE t ALTER COLUMN a SET STATISTICS 10", {"t": SUE}),
    Case("ALTER TABLE t SET (fillfactor = 90)", {"t": SUE}),
    Case("COMMENT ON TABLE t IS 'x'", {"t": SUE}),
    Case("ALTER TABLE t ALTER COLUMN a SET STORAGE EXTERNAL", T),
    Case("ALTER TABLE t ALTER COLUMN k SET DEFAULT 3", T),
    Case("ALTER TABLE t ENABLE ROW LEVEL SECURITY", T),
    Case("UPDATE t SET k = 1", scans={"t": 1}, written={"t": (0, 3, 0)}),
    Case("DELETE FROM child", scans={"child": 1}, written={"child": (0, 0, 3)}),
    Case("INSERT INTO loose VALUES (400, 2), (401, 4)", written={"loose": (2, 0, 0)}),
    Case("CREATE TABLE fresh (id integer REFERENCES t)", {"t": SRE}),
    Case("CREATE TABLE fresh (id integer PRIMARY KEY)"),
    Case("ALTER TYPE mood ADD VALUE 'glad'"),
    Case("TRUNCATE loose", {"loose": AE}, truncated=("loose",)),
    Case("ALTER TABLE loose SET UNLOGGED", {"loose": AE}, rewritten=("loose",), scans={"loose": 1}),
    rewrite("CLUSTER t USING t_k"),
    Case("ALTER TABLE t RENAME COLUMN a TO b", T),
    Case("ALTER TABLE t RENAME TO u", T),
]


@pytest.fixture(scope="module")
def shadow(server: URL) -> Iterator[Shadow]:
    """Yield a shadow on the test's server."""
    with open_shadow(from_engine_url(server)) as shadow:
        yield shadow


@pytest.fixture(scope="module")
def base(shadow: Shadow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Yield a database that the first version has made."""
    directory = tmp_path_factory.mktemp("base")
    write_version(directory, "001_setup", up=SETUP)
    place = workshop(shadow, directory)
    with place.database() as base:
        with place.open(base) as ground:
            ground.run(loaded(directory))
        yield base


def workshop(shadow: Shadow, directory: Path) -> Workshop:
    """Return where a directory's versions are measured."""
    return Workshop(shadow=shadow, directory=directory, history=HistoryTable())


def short(name: object) -> str:
    """Return a name without the schema that all of them are in."""
    return str(name).removeprefix("public.")


def told(found: Measure) -> dict[str, object]:
    """Return what was measured, as a case says it."""
    letters = {access: letter for letter, access in LETTERS.items()}
    locks = {
        short(lock.table): f"{lock.mode} {''.join(letters[each] for each in lock.blocks)}"
        for lock in found.locks
        if lock.blocks
    }
    built = sorted(each.index.name + ("+" if each.rebuilt else "") for each in found.built)
    written = {
        short(each.table): (each.inserted, each.updated, each.deleted) for each in found.written
    }
    return {
        "locks": locks,
        "rewritten": tuple(map(short, found.rewritten)),
        "built": tuple(built),
        "scans": {short(each.table): each.times for each in found.scans},
        "written": written,
        "cascaded": tuple(sorted(map(short, found.cascaded))),
        "truncated": tuple(map(short, found.truncated)),
        "failed": found.failed,
    }


@pytest.mark.parametrize("case", CASES, ids=[case.sql for case in CASES])
def test_a_statement_does_what_is_known_of_it(
    shadow: Shadow, base: Address, tmp_path: Path, case: Case
) -> None:
    """Locks with who has to wait, files, indexes, scans, rows and what vanishes: as measured."""
    if shadow.major < case.since:
        pytest.skip(f"PostgreSQL {case.since} and newer")
    from neuron_schema.review.tracer import measure

    write_version(tmp_path, "001_setup", up=SETUP)
    write_version(tmp_path, "002_x", up=[case.sql])
    found = measure(workshop(shadow, tmp_path), base, loaded(tmp_path)[-1])
    assert told(shipped(found)) == {
        "locks": case.locks,
        "rewritten": case.rewritten,
        "built": case.built,
        "scans": case.scans,
        "written": case.written,
        "cascaded": case.cascaded,
        "truncated": case.truncated,
        "failed": None,
    }
