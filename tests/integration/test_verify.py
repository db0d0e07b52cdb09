"""Up, down, and up again: what proves a version and what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.errors import ConnectionFailed, ExtensionMissing, PrivilegeMissing, TargetError
from neuron_schema.history import HistoryTable
from neuron_schema.proof.cycle import Phase
from neuron_schema.proof.ground import Workshop
from neuron_schema.proof.shadow import open_shadow
from neuron_schema.proof.verify import chosen, verify
from tests.conftest import from_engine_url
from tests.reference_sql import VERSIONS, reference_down_as_specified, reference_up
from tests.runs import CONCURRENTLY
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import psycopg
    from sqlalchemy.engine import URL

    from neuron_schema.proof.shadow import Shadow
    from neuron_schema.proof.verify import Proof


@pytest.fixture
def shadow(server: URL) -> Iterator[Shadow]:
    """Yield a shadow on the test's server."""
    with open_shadow(from_engine_url(server)) as shadow:
        yield shadow


def proofs(
    shadow: Shadow, directory: Path, *words: str, history: HistoryTable | None = None
) -> dict[str, Proof]:
    """Prove the versions of a directory; return what was found by version."""
    versions = VersionSet(directory)
    wanted = {info.number for info in chosen(versions.infos(), words)}
    last = max(wanted)
    workshop = Workshop(
        shadow=shadow, directory=versions.directory, history=history or HistoryTable()
    )
    migrations = [each for each in versions.migrations() if each.number <= last]
    return {each.version: each for each in verify(workshop, migrations, wanted)}


def one(shadow: Shadow, directory: Path, up: Sequence[str], down: Sequence[str]) -> Proof:
    """Prove a second version on ``t (a text, b integer NOT NULL)`` and a partitioned ``p``."""
    write_version(
        directory,
        "001_t",
        up=[
            "CREATE TABLE t (a text, b integer NOT NULL)",
            "CREATE TABLE p (b integer NOT NULL) PARTITION BY RANGE (b)",
            "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100)",
        ],
        down=["DROP TABLE t, p"],
    )
    write_version(directory, "002_x", up=up, down=down)
    return proofs(shadow, directory, "2")["002"]


def told(changes: Sequence[object]) -> list[str]:
    """Return the first lines of changes in words."""
    return [str(change).partition("\n")[0] for change in changes]


@pytest.mark.extension("uuid-ossp")
@pytest.mark.extension("vector")
def test_neurons_own_versions_are_proven(shadow: Shadow) -> None:
    """With rows in every table, and with all that their downs drop named."""
    found = proofs(shadow, VersionSet("neuron_schema.versions").directory)
    assert list(found) == ["001", "002", "003", "004"]
    assert all(proof.proven and not proof.unseeded for proof in found.values())
    assert [str(loss) for loss in found["003"].losses] == [
        "down: public.cluster_memberships: dropped with its rows",
        "down: public.clusters: dropped with its rows",
        "down: public.nodes.cluster_id: dropped with its values",
        "down: public.nodes.cluster_similarity: dropped with its values",
    ]


@pytest.mark.extension("uuid-ossp")
@pytest.mark.extension("vector")
def test_the_down_of_the_specifications_003_is_caught(shadow: Shadow, tmp_path: Path) -> None:
    """It drops a table that a foreign key still points at; the versions around it are proven."""
    for version in VERSIONS:
        write_version(
            tmp_path,
            f"{version}_reference",
            up=[reference_up(version)],
            down=[reference_down_as_specified(version)],
        )
    found = proofs(shadow, tmp_path)
    assert [version for version, proof in found.items() if not proof.proven] == ["003"]
    (failure,) = found["003"].failures
    assert failure.phase is Phase.DOWN
    assert not failure.rows_only
    assert "cannot drop table clusters because other objects depend on it" in failure.message


@pytest.mark.parametrize(
    ("up", "down", "said"),
    [
        (
            "CREATE TYPE mood AS ENUM ('x'); ALTER TABLE t ADD COLUMN m mood",
            "ALTER TABLE t DROP COLUMN m",
            "enum type public.mood added",
        ),
        ("ALTER TABLE t ALTER b DROP NOT NULL", "SELECT 1", "column b of public.t changed"),
        ("CREATE INDEX i ON t (a)", "SELECT 1", "index i of public.t added"),
        ("ALTER TABLE t ADD COLUMN c int", "DROP TABLE t", "table public.t removed"),
        ("GRANT SELECT ON t TO PUBLIC", "SELECT 1", "table public.t changed"),
        ("COMMENT ON TABLE t IS 'x'", "SELECT 1", "table public.t changed"),
    ],
)
def test_what_a_down_leaves_is_named(
    shadow: Shadow, tmp_path: Path, up: str, down: str, said: str
) -> None:
    """Whatever kind it is of, privileges and comments included."""
    proof = one(shadow, tmp_path, [up], [down])
    assert not proof.proven
    assert told(proof.residue) == [said]


CHECKED = "ALTER TABLE t ADD CONSTRAINT c CHECK (b < 1000000) NOT VALID"


@pytest.mark.parametrize(
    ("down", "proven"),
    [
        ([], True),
        (["ALTER TABLE t DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (b < 7) NOT VALID"], False),
        (["ALTER TABLE t DROP CONSTRAINT c", CHECKED], True),
        (["ALTER TABLE t DROP CONSTRAINT c"], False),
    ],
)
def test_that_old_rows_fit_needs_no_undoing(
    shadow: Shadow, tmp_path: Path, down: list[str], *, proven: bool
) -> None:
    """A constraint that stays validated is told of; one that is another or gone is a finding."""
    table = "CREATE TABLE t (b integer)"
    write_version(tmp_path, "001_t", up=[table, CHECKED], down=["DROP TABLE t"])
    validate = "ALTER TABLE t VALIDATE CONSTRAINT c"
    write_version(tmp_path, "002_x", up=[validate], down=down)
    proof = proofs(shadow, tmp_path, "2")["002"]
    assert proof.proven is proven
    changed = [] if down else ["constraint c of public.t changed"]
    assert told(proof.validated) == changed


def test_an_up_that_does_something_else_the_second_time_is_found(
    shadow: Shadow, tmp_path: Path
) -> None:
    """Though the down left the schema as it was."""
    up = (
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM t WHERE a = 'been here') THEN "
        "CREATE TABLE once (); END IF; END $$"
    )
    down = "DROP TABLE IF EXISTS once; UPDATE t SET a = 'been here'"
    proof = one(shadow, tmp_path, [up], [down])
    assert not proof.residue
    assert told(proof.divergence) == ["table public.once removed"]


def test_an_up_that_raises_the_second_time_is_found(shadow: Shadow, tmp_path: Path) -> None:
    """What it inserted the first time is still there."""
    proof = one(
        shadow,
        tmp_path,
        ["CREATE TABLE IF NOT EXISTS u (id integer PRIMARY KEY); INSERT INTO u VALUES (1)"],
        [],
    )
    failure = proof.failure(Phase.AGAIN)
    assert failure is not None
    assert "duplicate key" in failure.message
    assert told(proof.residue) == ["table public.u added"]


@pytest.mark.parametrize(
    "up",
    [
        "ALTER TABLE t ADD COLUMN k integer NOT NULL",
        "ALTER TABLE t ADD UNIQUE (a)",
        "ALTER TABLE t ALTER a TYPE integer USING a::integer",
        "ALTER TABLE t ALTER a SET NOT NULL",
        "ALTER TABLE t ALTER a TYPE varchar(255)",
        "ALTER TABLE t ALTER b TYPE smallint",
        "ALTER TABLE t ADD CHECK (b < 1000)",
    ],
)
def test_an_up_that_fails_on_rows_alone_is_told_as_such(
    shadow: Shadow, tmp_path: Path, up: str
) -> None:
    """Empty tables would have let it pass."""
    proof = one(shadow, tmp_path, [up], [])
    (failure,) = [each for each in proof.failures if each.phase is Phase.UP]
    assert failure.rows_only
    assert not proof.proven


def test_a_down_that_fails_on_rows_alone_is_told_as_such(shadow: Shadow, tmp_path: Path) -> None:
    """The rest of the proof is made on empty tables."""
    proof = one(
        shadow,
        tmp_path,
        [
            "ALTER TABLE t ALTER b TYPE bigint; ALTER TABLE t ALTER a TYPE varchar; "
            "CREATE TABLE u (x text)"
        ],
        [
            "ALTER TABLE t ALTER b TYPE integer; ALTER TABLE t ALTER a TYPE text; "
            "ALTER TABLE u ALTER x TYPE date USING x::date; DROP TABLE u"
        ],
    )
    (failure,) = proof.failures
    assert (failure.phase, failure.rows_only) == (Phase.DOWN, True)
    assert "invalid input syntax for type date" in failure.message
    assert not proof.residue


def test_an_up_that_always_fails_is_found_and_later_versions_are_proven(
    shadow: Shadow, tmp_path: Path
) -> None:
    """On a schema without it; and what a later one says of that is not hidden."""
    write_version(tmp_path, "001_a", up=["CREATE TABLE a (id int)"], down=["DROP TABLE a"])
    write_version(tmp_path, "002_b", up=["CREATE TABLE b (id int)", "SELECT 1/0"], down=[])
    write_version(tmp_path, "003_c", up=["CREATE TABLE c (id int)"], down=["DROP TABLE c"])
    write_version(tmp_path, "004_d", up=["ALTER TABLE b ADD x int"], down=["SELECT 1"])
    found = proofs(shadow, tmp_path)
    assert [found[version].proven for version in found] == [True, False, True, False]
    (failure,) = found["002"].failures
    assert (failure.phase, failure.rows_only) == (Phase.UP, False)
    assert "division by zero" in failure.message
    assert found["003"].without == ("002_b",)
    assert found["004"].failures[0].message.startswith("004_d (up): relation")


def test_a_failing_version_that_was_not_asked_for_is_named_too(
    shadow: Shadow, tmp_path: Path
) -> None:
    """What was asked for stands on it."""
    write_version(tmp_path, "001_a", up=["CREATE TABLE a (id int)"], down=["DROP TABLE a"])
    write_version(tmp_path, "002_b", up=["SELECT 1/0"])
    write_version(tmp_path, "003_c", up=["CREATE TABLE c (id int)"], down=["DROP TABLE c"])
    found = proofs(shadow, tmp_path, "003")
    assert {version: proof.proven for version, proof in found.items()} == {
        "002": False,
        "003": True,
    }


def test_an_irreversible_version_is_checked_up_only(shadow: Shadow, tmp_path: Path) -> None:
    """Its reason is told, and so is an up that raises."""
    write_version(
        tmp_path,
        "001_a",
        up=["CREATE TABLE a (id int)"],
        body='down = irreversible("sold")',
        down=None,
    )
    write_version(
        tmp_path, "002_b", up=["SELECT 1/0"], body='down = irreversible("gone")', down=None
    )
    found = proofs(shadow, tmp_path)
    assert (found["001"].proven, found["001"].irreversible) == (True, "sold")
    assert not found["002"].proven


ATTACH = "ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (100)"


@pytest.mark.parametrize(
    ("up", "down", "losses"),
    [
        (
            "ALTER TABLE t DROP COLUMN a",
            "ALTER TABLE t ADD COLUMN a text",
            ["up: public.t.a: dropped with 2 values"],
        ),
        (
            "DROP TABLE t",
            "CREATE TABLE t (a text, b integer NOT NULL)",
            ["up: public.t: dropped with 3 rows"],
        ),
        ("DELETE FROM t WHERE a IS NULL", "SELECT 1", ["up: public.t: 1 of 3 rows gone"]),
        ("SELECT 1", "TRUNCATE t", ["down: public.t: 3 of 3 rows gone"]),
        (
            "UPDATE t SET b = 0",
            "SELECT 1",
            ["down: public.t.b: its values are not those of before (3 values)"],
        ),
        (
            "CREATE TABLE u (x text)",
            "DROP TABLE u",
            ["down: public.u: dropped with its rows"],
        ),
        ("ALTER TABLE t ALTER b TYPE bigint", "ALTER TABLE t ALTER b TYPE integer", []),
        ("ALTER TABLE t RENAME a TO x", "ALTER TABLE t RENAME x TO a", []),
        ("ALTER TABLE t RENAME TO u", "ALTER TABLE u RENAME TO t", []),
        ("ALTER TABLE p DETACH PARTITION p1", ATTACH, []),
        (
            "ALTER TABLE t DROP a; ALTER TABLE t RENAME b TO a",
            "ALTER TABLE t RENAME a TO b; ALTER TABLE t ADD a text",
            ["up: public.t.a: dropped with 2 values"],
        ),
        (
            "DROP TABLE t; ALTER TABLE p RENAME TO t",
            "ALTER TABLE t RENAME TO p; CREATE TABLE t (a text, b integer NOT NULL)",
            ["up: public.t: dropped with 3 rows"],
        ),
        (
            "CREATE TABLE q PARTITION OF p FOR VALUES FROM (500) TO (501)",
            "ALTER TABLE p DETACH PARTITION q; DROP TABLE q",
            [],
        ),
    ],
)
def test_data_that_do_not_survive_are_named_and_are_no_finding(
    shadow: Shadow, tmp_path: Path, up: str, down: str, losses: list[str]
) -> None:
    """Columns, tables, rows and values, and which of the two lists does away with them."""
    proof = one(shadow, tmp_path, up.split("; "), down.split("; "))
    assert proof.proven
    assert [str(loss) for loss in proof.losses] == losses


def test_rows_of_a_table_that_becomes_a_partition_are_not_gone(
    shadow: Shadow, tmp_path: Path
) -> None:
    """Its rows are the other table's then, and its own again afterwards."""
    write_version(
        tmp_path,
        "001_p",
        up=[
            "CREATE TABLE p (a integer) PARTITION BY RANGE (a)",
            "CREATE TABLE q (a integer NOT NULL CHECK (a BETWEEN 0 AND 9))",
        ],
        down=["DROP TABLE p, q"],
    )
    attach = "ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM (0) TO (10)"
    write_version(tmp_path, "002_q", up=[attach], down=["ALTER TABLE p DETACH PARTITION q"])
    proof = proofs(shadow, tmp_path, "2")["002"]
    assert not proof.failures
    assert proof.losses == ()


def test_values_that_come_back_in_other_rows_are_named(shadow: Shadow, tmp_path: Path) -> None:
    """Each column holds what it held, but the rows do not."""
    proof = one(
        shadow,
        tmp_path,
        ["SELECT 1"],
        [
            "UPDATE t SET b = (SELECT b FROM t WHERE a IS NULL) "
            "WHERE ctid = (SELECT min(ctid) FROM t WHERE a IS NOT NULL)",
            "UPDATE t SET b = 2147483647 WHERE a IS NULL",
        ],
    )
    assert [str(loss) for loss in proof.losses] == [
        "down: public.t: its values stand in other rows than before"
    ]


def test_another_order_of_columns_is_told_apart(shadow: Shadow, tmp_path: Path) -> None:
    """A column that is dropped and added again stands last; nothing can be done about that."""
    proof = one(
        shadow, tmp_path, ["ALTER TABLE t DROP COLUMN a"], ["ALTER TABLE t ADD COLUMN a text"]
    )
    assert proof.proven
    assert [change.object.name for change in proof.order] != []


def test_what_commits_on_its_own_is_run_by_the_real_runner(shadow: Shadow, tmp_path: Path) -> None:
    """CONCURRENTLY in both directions; and one that leaves an invalid index behind is found."""
    write_version(
        tmp_path,
        "001_ledger",
        up=["CREATE SCHEMA ledger", "CREATE TABLE ledger.entries (version text)"],
        down=["DROP SCHEMA ledger CASCADE"],
    )
    write_version(tmp_path, "002_index", **CONCURRENTLY)
    unique = {
        **CONCURRENTLY,
        "body": CONCURRENTLY["body"]
        .replace("postgresql_concurrently", "unique=True, postgresql_concurrently")
        .replace('"i"', '"u"'),
    }
    write_version(tmp_path, "003_unique", **unique)
    found = proofs(shadow, tmp_path)
    assert found["002"].proven
    failure = found["003"].failure(Phase.UP)
    assert failure is not None
    assert failure.rows_only


def test_a_connection_that_is_lost_is_no_finding(
    shadow: Shadow, tmp_path: Path, admin: psycopg.Connection
) -> None:
    """Exit 7; no version is told to be at fault for it."""
    write_version(
        tmp_path,
        "001_a",
        up=[
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ],
        down=[],
    )
    with pytest.raises(ConnectionFailed, match="connection was lost"):
        proofs(shadow, tmp_path)


def test_a_virtual_column_that_fails_when_it_is_read_is_left_unread(
    shadow: Shadow, tmp_path: Path
) -> None:
    """The rows are there; what is generated follows from them."""
    if shadow.major < 18:
        pytest.skip("PostgreSQL 18 brought them")
    proof = one(
        shadow,
        tmp_path,
        ["ALTER TABLE t ADD COLUMN d integer GENERATED ALWAYS AS (b * 2) VIRTUAL"],
        ["ALTER TABLE t DROP COLUMN d"],
    )
    assert proof.proven
    assert not proof.losses


def test_tables_that_could_not_be_seeded_are_named(shadow: Shadow, tmp_path: Path) -> None:
    """For what is said of the version holds for empty ones only."""
    write_version(
        tmp_path,
        "001_a",
        up=["CREATE TABLE a (id int CHECK (id < 0 AND id > 0) NOT NULL)"],
        down=["DROP TABLE a"],
    )
    write_version(tmp_path, "002_b", up=["SELECT 1"])
    (left,) = proofs(shadow, tmp_path, "2")["002"].unseeded
    assert str(left) == "public.a has no rows: no value fits its constraints"


def test_an_extension_that_the_server_lacks_ends_the_proof(shadow: Shadow, tmp_path: Path) -> None:
    """No version is at fault; the error names the extension and the flag."""
    write_version(tmp_path, "001_a", up=["CREATE EXTENSION no_such_thing"], down=[])
    with pytest.raises(ExtensionMissing, match="no_such_thing") as caught:
        proofs(shadow, tmp_path)
    assert "--shadow-url" in str(caught.value)


def test_a_history_in_a_schema_of_its_own_is_no_part_of_it(shadow: Shadow, tmp_path: Path) -> None:
    """The schema is there before the first version, as on the database that is meant."""
    write_version(tmp_path, "001_a", up=["CREATE TABLE a (id int)"], down=["DROP TABLE a"])
    table = HistoryTable(name="steps", schema="Ops 1")
    assert proofs(shadow, tmp_path, history=table)["001"].proven


def test_no_database_is_left(shadow: Shadow, tmp_path: Path) -> None:
    """While the shadow is still there: clones go when their version is proven."""
    write_version(tmp_path, "001_a", up=["CREATE TABLE a (id int)"], down=["DROP TABLE a"])
    write_version(tmp_path, "002_b", up=["CREATE TABLE b (id int)"], down=["SELECT 1/0"])
    proofs(shadow, tmp_path)
    assert not shadow._names


def test_roles_that_a_version_makes_are_gone_afterwards(
    shadow: Shadow, tmp_path: Path, admin: psycopg.Connection
) -> None:
    """They are the whole server's, so that a second database could not have them made again."""
    role = f"made by {tmp_path.name}"
    write_version(
        tmp_path,
        "001_a",
        up=[f'CREATE ROLE "{role}"', "CREATE TABLE a ()", f'GRANT SELECT ON a TO "{role}"'],
        down=["DROP TABLE a", f'DROP ROLE "{role}"'],
    )
    write_version(
        tmp_path,
        "002_b",
        up=[f'CREATE TABLE b (); GRANT SELECT ON b TO "{role}"'],
        down=["DROP TABLE b"],
    )
    write_version(tmp_path, "003_c", up=["SELECT 1/0"])
    write_version(
        tmp_path,
        "004_d",
        up=[f'REVOKE SELECT ON b FROM "{role}"'],
        down=[f'GRANT SELECT ON b TO "{role}"'],
    )
    found = proofs(shadow, tmp_path)
    assert [proof.proven for proof in found.values()] == [True, True, False, True]
    assert admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None


def test_another_sessions_new_role_stays(
    shadow: Shadow, tmp_path: Path, admin: psycopg.Connection
) -> None:
    """On a server that was given, only what the version itself names is dropped."""
    write_version(tmp_path, "001_a", up=["SELECT 1"])
    admin.execute("DROP ROLE IF EXISTS somebody_elses")
    before = shadow.roles()
    admin.execute("CREATE ROLE somebody_elses")
    try:
        versions = VersionSet(tmp_path)
        workshop = Workshop(shadow=shadow, directory=versions.directory, history=HistoryTable())
        workshop.drop_roles_since(before, versions.migrations())
        assert "somebody_elses" in shadow.roles()
    finally:
        admin.execute("DROP ROLE somebody_elses")


def test_a_privilege_that_the_given_role_lacks_is_no_fault_of_a_version(
    server: URL, tmp_path: Path, admin: psycopg.Connection
) -> None:
    """Exit 7, with the flag."""
    write_version(tmp_path, "001_a", up=["CREATE ROLE never_made"])
    admin.execute("DROP ROLE IF EXISTS shadow_maker")
    admin.execute("CREATE ROLE shadow_maker LOGIN CREATEDB PASSWORD 'maker'")
    try:
        url = server.set(username="shadow_maker", password="maker")
        with (
            open_shadow(from_engine_url(url)) as poor,
            pytest.raises(PrivilegeMissing, match="permission denied to create role") as caught,
        ):
            proofs(poor, tmp_path)
    finally:
        admin.execute("DROP ROLE shadow_maker")
    assert "--shadow-url" in str(caught.value)


def test_a_role_that_may_do_no_more_than_create_databases_is_enough(
    server: URL, tmp_path: Path, admin: psycopg.Connection
) -> None:
    """For versions that make what its owner may make."""
    admin.execute("DROP ROLE IF EXISTS shadow_maker")
    admin.execute("CREATE ROLE shadow_maker LOGIN CREATEDB PASSWORD 'maker'")
    try:
        url = server.set(username="shadow_maker", password="maker")
        with open_shadow(from_engine_url(url)) as poor:
            assert one(poor, tmp_path, ["CREATE INDEX ON t (a)"], ["DROP INDEX t_a_idx"]).proven
    finally:
        admin.execute("DROP ROLE shadow_maker")


def test_versions_are_chosen_by_number_and_by_range(tmp_path: Path) -> None:
    """A range has both its ends; what is not there is refused."""
    for number in range(1, 6):
        write_version(tmp_path, f"{number:03d}_x")
    infos = VersionSet(tmp_path).infos()

    def numbers(*words: str) -> list[int]:
        return [info.number for info in chosen(infos, words)]

    assert numbers() == [1, 2, 3, 4, 5]
    assert numbers("2", "004:005") == [2, 4, 5]
    assert numbers("3", "3:3", "1:3") == [1, 2, 3]
    for word in ("9", "1:9", "4:2", "x", "1:"):
        with pytest.raises(TargetError):
            numbers(word)
