"""What the proof of a squash compares, and what it lets pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.errors import NeuronSchemaError, SquashUnproven
from neuron_schema.history import HistoryTable
from neuron_schema.proof.ground import Workshop
from neuron_schema.proof.shadow import open_shadow
from neuron_schema.schemafile.squash import compose, parts_of
from neuron_schema.schemafile.squash_proof import prove
from neuron_schema.schemafile.squash_source import load, source_of
from tests.conftest import from_engine_url
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import URL

    from neuron_schema.proof.shadow import Shadow
    from neuron_schema.schemafile.squash_proof import Proof


@pytest.fixture(scope="module")
def shadow(server: URL) -> Iterator[Shadow]:
    """Yield a shadow on the tests' server."""
    with open_shadow(from_engine_url(server)) as shadow:
        yield shadow


def proof(shadow: Shadow, directory: Path, first: str, last: str) -> Proof:
    """Squash versions and prove the result."""
    versions = VersionSet(directory)
    migrations = versions.migrations()
    parts = parts_of(migrations, first, last)
    draft = compose(parts, plain=True)
    squashed = load(draft, source_of(draft), "x.py")
    workshop = Workshop(shadow=shadow, directory=versions.directory, history=HistoryTable())
    before = [one for one in migrations if one.number < parts[0].number]
    later = [one for one in migrations if one.number > parts[-1].number]
    return prove(workshop, before, parts, squashed, later)


def told(found: Proof) -> list[str]:
    """Return the first lines of what is not the same."""
    return [str(each).partition("\n")[0] for each in found.mismatches]


def write(directory: Path, *ups: str, downs: tuple[str, ...] = ()) -> None:
    """Write versions of one statement each, after a table ``t (id serial, a int)``."""
    write_version(
        directory,
        "001_t",
        up=["CREATE TABLE t (id serial PRIMARY KEY, a int)"],
        down=["DROP TABLE t"],
    )
    for number, up in enumerate(ups, 2):
        down = downs[number - 2 : number - 1]
        write_version(directory, f"{number:03}_v", up=[up], down=down)


def test_rows_that_versions_alter_are_compared(shadow: Shadow, tmp_path: Path) -> None:
    """With rows in the table before, and without; at every stage."""
    write(
        tmp_path,
        "ALTER TABLE t ADD b int",
        "UPDATE t SET b = COALESCE(a, 0) / 2",
        "INSERT INTO t (b) VALUES (7)",
        "ALTER TABLE t ALTER b TYPE bigint",
        downs=("ALTER TABLE t DROP b",),
    )
    found = proof(shadow, tmp_path, "2", "4")
    assert found.mismatches == ()
    assert found.compared == (
        "after up, on empty tables: schema and rows",
        "at the newest version, on empty tables: schema and rows",
        "after down, on empty tables: schema and rows",
        "after up, with rows in every table before: schema and rows",
        "at the newest version, with rows in every table before: schema and rows",
        "after down, with rows in every table before: schema and rows",
    )
    assert found.notes == ()


TRANSACTIONS = "SELECT count(DISTINCT xmin::text) FROM t"
"""What is one thing in one transaction, and another in several."""


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (f"INSERT INTO n {TRANSACTIONS}", "after up: public.n.x: its values are others"),
        (
            f"INSERT INTO n SELECT generate_series(1, ({TRANSACTIONS}))",
            "after up: public.n: 1 rows instead of 2",
        ),
        (
            f"INSERT INTO n SELECT 1 WHERE 2 = ({TRANSACTIONS})",
            "after up: public.n: 0 rows instead of 1",
        ),
        (
            f"SELECT setval('t_id_seq', 100 + ({TRANSACTIONS}))",
            "after up: sequence public.t_id_seq does not stand at 102",
        ),
        (
            f"DO $$BEGIN IF 1 = ({TRANSACTIONS}) THEN ALTER TABLE n ADD y int; END IF; END$$",
            "after up: column y of public.n added",
        ),
        (
            f"UPDATE t SET a = CASE WHEN ({TRANSACTIONS}) = 2 THEN id ELSE 3 - id END",
            "after up: public.t: its values stand in other rows",
        ),
        (f"SELECT 1 / (({TRANSACTIONS}) - 1)", "after up: the squashed version fails: "),
    ],
)
def test_what_one_transaction_does_otherwise_is_named(
    shadow: Shadow, tmp_path: Path, last: str, expected: str
) -> None:
    """Values, rows, which of them belong together, sequences, columns, and what fails."""
    write(
        tmp_path,
        "CREATE TABLE n (x int)",
        "INSERT INTO t (a) VALUES (1)",
        "INSERT INTO t (a) VALUES (2)",
        last,
    )
    found = told(proof(shadow, tmp_path, "2", "5"))
    assert any(each.startswith(expected) for each in found), found


def test_the_order_of_columns_counts(shadow: Shadow, tmp_path: Path) -> None:
    """An INSERT without names would find others."""
    write(
        tmp_path,
        "CREATE TABLE n (x int)",
        "INSERT INTO t (a) VALUES (1)",
        "INSERT INTO t (a) VALUES (2)",
        f"DO $$BEGIN IF 2 = ({TRANSACTIONS}) THEN ALTER TABLE n ADD y int, ADD z int; "
        "ELSE ALTER TABLE n ADD z int, ADD y int; END IF; END$$",
    )
    found = proof(shadow, tmp_path, "2", "5")
    assert all(each.change is not None and each.change.order_only for each in found.mismatches)
    assert found.mismatches


def test_the_newest_version_is_compared_as_well(shadow: Shadow, tmp_path: Path) -> None:
    """A later one may see what the squash has altered, where nothing else does."""
    write(
        tmp_path,
        "INSERT INTO t (a) VALUES (1)",
        "INSERT INTO t (a) VALUES (2)",
        f"CREATE TABLE n AS {TRANSACTIONS}",
    )
    found = told(proof(shadow, tmp_path, "2", "3"))
    assert "at the newest version: public.n.count: its values are others" in found
    assert not any(each.startswith("after up") for each in found)


def test_a_later_version_that_fails_is_named(shadow: Shadow, tmp_path: Path) -> None:
    """It must still apply."""
    write(
        tmp_path,
        "INSERT INTO t (a) VALUES (1)",
        "INSERT INTO t (a) VALUES (2)",
        f"SELECT 1 / (({TRANSACTIONS}) - 1)",
    )
    (first, *_) = told(proof(shadow, tmp_path, "2", "3"))
    assert first.startswith("at the newest version: the squashed version fails")


def test_the_way_down_is_compared(shadow: Shadow, tmp_path: Path) -> None:
    """Schema and rows, as they are after the downs one by one."""
    write(
        tmp_path,
        "CREATE TABLE n (x int)",
        "INSERT INTO t (a) VALUES (1)",
        downs=(
            "DO $$BEGIN IF EXISTS (SELECT FROM t WHERE xmin::text = "
            "(pg_current_xact_id()::text::bigint % 4294967296)::text) "
            "THEN ALTER TABLE t ADD c int; END IF; DROP TABLE n; END$$",
            "UPDATE t SET a = 2",
        ),
    )
    assert "after down: column c of public.t added" in told(proof(shadow, tmp_path, "2", "3"))


def test_a_down_that_leaves_something_leaves_the_same(shadow: Shadow, tmp_path: Path) -> None:
    """It is compared with what the downs one by one leave, not with what was before."""
    write(tmp_path, "CREATE TABLE n ()", "CREATE TABLE m ()", downs=("SELECT 1", "DROP TABLE m"))
    assert proof(shadow, tmp_path, "2", "3").mismatches == ()


def test_values_that_are_others_on_every_run_are_not_compared(
    shadow: Shadow, tmp_path: Path
) -> None:
    """It is said which; what is beside them is compared all the same."""
    write(
        tmp_path,
        "CREATE TABLE n (x int, at timestamptz DEFAULT clock_timestamp(), u uuid)",
        "INSERT INTO n (x, u) VALUES (1, gen_random_uuid())",
    )
    found = proof(shadow, tmp_path, "2", "3")
    assert found.mismatches == ()
    assert {each.partition(" ")[0] for each in found.notes} == {"public.n.at", "public.n.u"}


def test_a_version_that_fails_on_rows_is_compared_without(shadow: Shadow, tmp_path: Path) -> None:
    """Nobody could have applied it there; on empty tables it is a version like any other."""
    write(tmp_path, "ALTER TABLE t ADD b int NOT NULL", "CREATE TABLE n ()")
    found = proof(shadow, tmp_path, "2", "3")
    assert found.mismatches == ()
    assert any("on tables with rows: a version itself fails" in each for each in found.notes)
    assert found.compared[0] == "after up, on empty tables: schema and rows"


def test_a_version_that_fails_by_itself_ends_the_proof(shadow: Shadow, tmp_path: Path) -> None:
    """There is nothing to compare with."""
    write(tmp_path, "SELECT 1/0", "CREATE TABLE n ()")
    with pytest.raises(SquashUnproven, match="a version fails by itself"):
        proof(shadow, tmp_path, "2", "3")


def test_a_down_that_fails_by_itself_is_said(shadow: Shadow, tmp_path: Path) -> None:
    """It fails as one, too: that is no difference."""
    write(tmp_path, "CREATE TABLE n ()", "CREATE TABLE m ()", downs=("SELECT 1/0", "SELECT 1"))
    found = proof(shadow, tmp_path, "2", "3")
    assert found.mismatches == ()
    assert any(each.startswith("not compared after down") for each in found.notes)


def test_what_cannot_be_rolled_back_is_compared_upwards(shadow: Shadow, tmp_path: Path) -> None:
    """And on to the newest version."""
    write(tmp_path, "CREATE TABLE n ()", "CREATE TABLE m ()", "CREATE TABLE o ()")
    write_version(tmp_path, "003_v", up=["DROP TABLE n"], down='irreversible("gone")')
    found = proof(shadow, tmp_path, "2", "3")
    assert found.mismatches == ()
    assert [each.partition(",")[0] for each in found.compared[:2]] == [
        "after up",
        "at the newest version",
    ]
    found = proof(shadow, tmp_path, "2", "4")
    assert found.mismatches == ()
    assert all(each.startswith("after up") for each in found.compared)


def test_roles_that_versions_make_are_made_by_both_sides(shadow: Shadow, tmp_path: Path) -> None:
    """They are the whole server's, and are gone afterwards."""
    role = f"squashed {tmp_path.name}"
    write(
        tmp_path,
        f'CREATE ROLE "{role}"',
        f'GRANT SELECT ON t TO "{role}"',
        downs=(f'DROP ROLE "{role}"', f'REVOKE SELECT ON t FROM "{role}"'),
    )
    assert proof(shadow, tmp_path, "2", "3").mismatches == ()
    assert role not in shadow.roles()


def test_an_index_that_was_built_concurrently_is_the_same_one(
    shadow: Shadow, tmp_path: Path
) -> None:
    """The catalog cannot tell how it was built."""
    write_version(tmp_path, "001_t", up=["CREATE TABLE t (a int)"], down=["DROP TABLE t"])
    write_version(
        tmp_path,
        "002_i",
        imports="from sqlalchemy import Column, Index, Integer, MetaData, Table\n"
        "from sqlalchemy.schema import CreateIndex, DropIndex",
        body='t = Table("t", MetaData(), Column("a", Integer))\n'
        'index = Index("i", t.c.a, postgresql_concurrently=True)',
        up="[CreateIndex(index)]",
        down="[DropIndex(index)]",
    )
    write_version(
        tmp_path,
        "003_v",
        imports="from neuron_schema.ops import Vacuum",
        body="from sqlalchemy import MetaData, Table\nt = Table('t', MetaData())",
        up="[Vacuum(t)]",
    )
    assert proof(shadow, tmp_path, "1", "3").mismatches == ()


def test_a_version_before_that_fails_is_no_finding(shadow: Shadow, tmp_path: Path) -> None:
    """It is raised as it is."""
    write_version(tmp_path, "001_a", up=["SELECT 1/0"])
    write_version(tmp_path, "002_b")
    write_version(tmp_path, "003_c")
    with pytest.raises(NeuronSchemaError, match="division by zero"):
        proof(shadow, tmp_path, "2", "3")
