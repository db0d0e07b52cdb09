"""The tracer: what it must not be deceived by, and what it leaves behind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest

from neuron_schema.catalog import Kind, ObjectName
from neuron_schema.errors import ExtensionMissing, PrivilegeMissing
from neuron_schema.history import HistoryTable
from neuron_schema.proof.shadow import open_shadow
from neuron_schema.review.locks import Access, LockMode
from neuron_schema.review.measures import Failed
from tests.conftest import from_engine_url, libpq
from tests.measuring import alone, measured, measured_last, shipped
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import URL

    from neuron_schema.proof.shadow import Shadow
    from neuron_schema.review.measures import Measure, TableLock

T = "CREATE TABLE t (id integer PRIMARY KEY, a text, b integer)"


@pytest.fixture(scope="module")
def shadow(server: URL) -> Iterator[Shadow]:
    """Yield a shadow on the test's server."""
    with open_shadow(from_engine_url(server)) as shadow:
        yield shadow


def modes(locks: tuple[TableLock, ...]) -> dict[str, str]:
    """Return the mode by table, without the schema that all of them are in."""
    return {str(lock.table).removeprefix("public."): lock.mode.value for lock in locks}


def scans(found: Measure) -> dict[str, int]:
    """Return by table how often it was read whole."""
    return {str(each.table).removeprefix("public."): each.times for each in found.scans}


# --- two passes


def test_what_is_held_is_told_from_what_a_statement_takes(shadow: Shadow, tmp_path: Path) -> None:
    """An index that is built after an ALTER is built under its ACCESS EXCLUSIVE."""
    found = measured(
        shadow, tmp_path, T, ["ALTER TABLE t ADD COLUMN e integer", "CREATE INDEX i ON t (e)"]
    )
    assert found.transactional
    assert modes(shipped(found, 2).locks) == {}
    assert modes(shipped(found, 2).held) == {"t": "ACCESS EXCLUSIVE"}
    (under,) = shipped(found, 2).under
    assert under.blocks == (Access.READS, Access.WRITES, Access.DDL)
    assert modes(alone(found, 2).under) == {"t": "SHARE"}
    assert alone(found, 2).under[0].blocks == (Access.WRITES, Access.DDL)
    assert alone(found, 2).held == ()


def test_a_stronger_lock_on_a_table_that_is_held_is_told(shadow: Shadow, tmp_path: Path) -> None:
    """The weaker one stays among those that are held."""
    found = shipped(measured(shadow, tmp_path, T, ["CREATE INDEX i ON t (a)", "DROP INDEX i"]), 2)
    assert modes(found.held) == {"t": "SHARE"}
    assert modes(found.locks) == {"t": "ACCESS EXCLUSIVE"}


def test_one_statement_is_alone(shadow: Shadow, tmp_path: Path) -> None:
    """It was measured in a transaction of its own already."""
    (only,) = measured(shadow, tmp_path, T, "ALTER TABLE t ADD COLUMN e integer").statements
    assert only.alone == only.shipped


def test_what_needs_its_transaction_has_no_measure_alone(shadow: Shadow, tmp_path: Path) -> None:
    """Those after it are measured on what all of them have made."""
    up = [
        "CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT id FROM t",
        "UPDATE t SET b = 1 WHERE id IN (SELECT id FROM kept)",
        "CREATE INDEX i ON t (b)",
    ]
    found = measured(shadow, tmp_path, T, up)
    assert [each.alone is None for each in found.statements] == [False, True, False]
    assert modes(alone(found, 3).locks) == {"t": "SHARE"}
    assert shipped(found, 2).written[0].updated > 0


def test_what_is_set_for_the_transaction_goes_along(shadow: Shadow, tmp_path: Path) -> None:
    """SET LOCAL before a statement that is measured alone still decides what that means."""
    setup = [T, "CREATE SCHEMA other", "CREATE TABLE other.t (id integer PRIMARY KEY)"]
    up = ["SET LOCAL search_path = other", "ALTER TABLE t ADD COLUMN e integer"]
    found = measured(shadow, tmp_path, setup, up)
    assert modes(alone(found, 2).locks) == {"other.t": "ACCESS EXCLUSIVE"}
    assert alone(found, 2).locks == shipped(found, 2).locks


def test_an_enum_value_cannot_be_used_in_its_transaction(shadow: Shadow, tmp_path: Path) -> None:
    """It fails as it is shipped, with rows and without; alone it does not."""
    setup = ["CREATE TYPE mood AS ENUM ('sad')", "CREATE TABLE m (id integer, mood mood)"]
    up = [
        "ALTER TYPE mood ADD VALUE 'glad'",
        "INSERT INTO m VALUES (1, 'glad')",
        "ALTER TABLE m ADD COLUMN e integer",
    ]
    found = measured(shadow, tmp_path, setup, up)
    failed = shipped(found, 2).failed
    assert failed is not None
    assert (failed.sqlstate, failed.rows_only) == ("55P04", False)
    assert found.statements[2].shipped is None
    assert alone(found, 2).failed is None
    assert alone(found, 2).written[0].inserted == 1
    assert modes(alone(found, 3).locks) == {"m": "ACCESS EXCLUSIVE"}


# --- what is new is not told of


def test_new_tables_are_silent(shadow: Shadow, tmp_path: Path) -> None:
    """Nobody else can wait for what the version makes itself."""
    up = [
        "CREATE TABLE n (id integer PRIMARY KEY, a text)",
        "CREATE INDEX n_a ON n (a)",
        "INSERT INTO n VALUES (1, 'x')",
        "ALTER TABLE n ADD COLUMN c uuid DEFAULT gen_random_uuid()",
        "ALTER TABLE n ADD CHECK (a <> '')",
        "DROP INDEX n_a",
        "ALTER TABLE n DROP COLUMN a",
    ]
    for statement in measured(shadow, tmp_path, T, up).statements:
        for found in (statement.shipped, statement.alone):
            assert found is not None
            silent = replace(found, wal_bytes=0, touched=None, filled=(), lock_timeout=None)
            assert silent == type(found)(), statement.sql


def test_a_dropped_table_has_its_name(shadow: Shadow, tmp_path: Path) -> None:
    """After the DROP nobody could say which one it was."""
    (lock,) = shipped(measured(shadow, tmp_path, T, "DROP TABLE t")).locks
    assert lock.table == ObjectName(kind=Kind.TABLE, name="t", schema="public")


def test_a_renamed_table_keeps_its_name(shadow: Shadow, tmp_path: Path) -> None:
    """Others know it by the one that it had before the version; statements by either."""
    up = ["ALTER TABLE t RENAME TO u", "CREATE INDEX i ON u (a)"]
    found = measured(shadow, tmp_path, T, up)
    for measure in (shipped(found, 2), alone(found, 2)):
        (under,) = measure.under
        assert (str(under.table), under.named, under.proven) == ("public.t", True, True)
        assert str(measure.built[0].index) == "public.t.i"


def test_a_renamed_schema_has_its_new_name_in_what_it_holds(shadow: Shadow, tmp_path: Path) -> None:
    """To rename it locks none of its tables, whose parts are read again all the same."""
    setup = ["CREATE SCHEMA s", "CREATE TABLE s.t (id integer, a integer)"]
    up = ["ALTER SCHEMA s RENAME TO z", "ALTER TABLE z.t ALTER COLUMN a SET NOT NULL"]
    found = measured(shadow, tmp_path, setup, up)
    column = ObjectName(kind=Kind.COLUMN, name="a", schema="z", parent="t")
    assert alone(found, 2).touched == shipped(found, 2).touched == (column,)


def test_looking_takes_no_lock(shadow: Shadow, tmp_path: Path) -> None:
    """What is asked in the session that is measured locks catalogs, which are not told of."""
    found = shipped(measured(shadow, tmp_path, T, "SELECT 1"))
    assert (found.locks, found.scans, found.said) == ((), (), ())


@pytest.mark.parametrize("schema", [None, "ledger"])
def test_our_own_tables_are_not_told_of(shadow: Shadow, tmp_path: Path, schema: str | None) -> None:
    """The history table is there before the second version, and is written in it."""
    write_version(tmp_path, "001_t", up=[T])
    write_version(tmp_path, "002_x", up=["INSERT INTO t VALUES (1000, 'x', 1)"])
    history = HistoryTable(name="applied", schema=schema)
    found = shipped(measured_last(shadow, tmp_path, history))
    assert modes(found.locks) == {"t": "ROW EXCLUSIVE"}
    assert [str(each.table) for each in found.written] == ["public.t"]


def test_a_table_named_as_the_history_elsewhere_is_told_of(shadow: Shadow, tmp_path: Path) -> None:
    """Ours is known by its schema too."""
    setup = [T, "CREATE SCHEMA app", "CREATE TABLE app.neuron_migrations (id integer)"]
    up = "ALTER TABLE app.neuron_migrations ADD COLUMN b integer"
    found = shipped(measured(shadow, tmp_path, setup, up))
    assert modes(found.locks) == {"app.neuron_migrations": "ACCESS EXCLUSIVE"}


# --- tables that nobody named


def test_a_table_that_a_statement_does_not_name_is_marked(shadow: Shadow, tmp_path: Path) -> None:
    """DROP CONSTRAINT locks the table that the foreign key points at, too."""
    setup = [T, "CREATE TABLE c (id integer, t_id integer CONSTRAINT fk REFERENCES t)"]
    up = ["ALTER TABLE c DROP CONSTRAINT fk", 'ALTER TABLE "c" ADD FOREIGN KEY (id) REFERENCES T']
    found = measured(shadow, tmp_path, setup, up)
    named = {str(each.table): each.named for each in shipped(found, 1).locks}
    assert named == {"public.c": True, "public.t": False}
    named = {str(each.table): each.named for each in alone(found, 2).locks}
    assert named == {"public.c": True, "public.t": True}


def test_a_table_is_named_by_its_index(shadow: Shadow, tmp_path: Path) -> None:
    """DROP INDEX says whose it is by saying which."""
    setup = [T, "CREATE INDEX i ON t (a)"]
    (lock,) = shipped(measured(shadow, tmp_path, setup, "DROP INDEX i")).locks
    assert (str(lock.table), lock.named) == ("public.t", True)


def test_what_a_block_does_is_measured(shadow: Shadow, tmp_path: Path) -> None:
    """DO hides from readers of SQL text what it executes; names in its strings are found."""
    up = """DO $$ BEGIN
      EXECUTE 'ALTER TABLE t ADD COLUMN e uuid DEFAULT gen_random_uuid()';
      EXECUTE format('TRUNCATE %I', 'other');
    END $$"""
    setup = [T, "CREATE TABLE other (id integer)", "CREATE TABLE untouched (id integer)"]
    found = shipped(measured(shadow, tmp_path, setup, up))
    assert modes(found.locks) == {"t": "ACCESS EXCLUSIVE", "other": "ACCESS EXCLUSIVE"}
    assert all(lock.named for lock in found.locks)
    assert [str(each) for each in found.rewritten] == ["public.t"]
    assert [str(each) for each in found.truncated] == ["public.other"]


# --- files, scans, rows


def test_truncate_is_no_rewrite_whoever_it_reaches(shadow: Shadow, tmp_path: Path) -> None:
    """TRUNCATE changes the file too, its CASCADE that of tables that it does not name."""
    setup = [T, "CREATE TABLE c (id integer PRIMARY KEY, t_id integer REFERENCES t)"]
    found = shipped(measured(shadow, tmp_path, setup, "TRUNCATE t CASCADE"))
    assert [str(each) for each in found.truncated] == ["public.c", "public.t"]
    assert (found.rewritten, found.built, found.scans) == ((), (), ())
    assert {str(each.table): each.named for each in found.locks}["public.c"] is False


def test_a_rewrite_tells_nothing_of_toast(shadow: Shadow, tmp_path: Path) -> None:
    """Its TOAST table and that one's index are the table; their names hold numbers."""
    found = shipped(measured(shadow, tmp_path, T, "ALTER TABLE t ALTER a TYPE bytea USING NULL"))
    assert modes(found.locks) == {"t": "ACCESS EXCLUSIVE"}
    assert found.said == (
        'rewriting table "t"',
        'building index "t_pkey" on table "t" serially',
    )


def test_the_counts_of_earlier_transactions_are_not_a_statements(
    shadow: Shadow, tmp_path: Path
) -> None:
    """PostgreSQL's counts of a transaction go on in the next one until they are flushed."""
    up = ["UPDATE t SET b = 1", "UPDATE t SET b = 2", "DELETE FROM t"]
    found = measured(shadow, tmp_path, T, up)
    for number, counts in ((1, (0, 3, 0)), (2, (0, 3, 0)), (3, (0, 0, 3))):
        for measure in (shipped(found, number), alone(found, number)):
            assert scans(measure) == {"t": 1}
            (written,) = measure.written
            assert (written.inserted, written.updated, written.deleted) == counts


def test_the_validation_of_a_foreign_key_is_a_scan_of_both(shadow: Shadow, tmp_path: Path) -> None:
    """It is a query, and the planner may read an index: the server's words tell of it."""
    setup = [T, "CREATE TABLE c (id integer PRIMARY KEY, t_id integer)"]
    setup += ["ALTER TABLE c ADD CONSTRAINT fk FOREIGN KEY (t_id) REFERENCES t NOT VALID"]
    found = shipped(measured(shadow, tmp_path, setup, "ALTER TABLE c VALIDATE CONSTRAINT fk"))
    assert scans(found) == {"c": 1, "t": 1}
    words = 'validating foreign key constraint "fk"'
    assert found.said == (words,)
    assert {each.why for each in found.scans} == {words}


def test_a_partition_is_read_once_for_its_parents_foreign_key(
    shadow: Shadow, tmp_path: Path
) -> None:
    """Its share of the key has the name of it, and is no second one."""
    setup = [
        T,
        "CREATE TABLE p (id integer) PARTITION BY LIST (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)",
        "CREATE TABLE p2 PARTITION OF p DEFAULT",
    ]
    key = "ALTER TABLE p ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES t"
    found = shipped(measured(shadow, tmp_path, setup, key))
    times = {str(each.table): each.times for each in found.scans}
    assert (times["public.p1"], times["public.p2"]) == (1, 1)


def test_a_foreign_key_of_the_same_name_elsewhere_is_not_validated(
    shadow: Shadow, tmp_path: Path
) -> None:
    """The server's words name the constraint alone."""
    setup = [T]
    for name in ("c", "d"):
        setup += [f"CREATE TABLE {name} (id integer PRIMARY KEY, t_id integer)"]
        setup += [f"ALTER TABLE {name} ADD CONSTRAINT fk FOREIGN KEY (t_id) REFERENCES t NOT VALID"]
    up = ["ALTER TABLE c VALIDATE CONSTRAINT fk", "ALTER TABLE d VALIDATE CONSTRAINT fk"]
    found = measured(shadow, tmp_path, setup, up)
    assert scans(shipped(found, 1)) == scans(alone(found, 1)) == {"c": 1, "t": 1}
    assert scans(shipped(found, 2)) == scans(alone(found, 2)) == {"d": 1, "t": 1}


def test_a_version_cannot_silence_the_server(shadow: Shadow, tmp_path: Path) -> None:
    """Files that pg_dump wrote begin with such a line."""
    up = ["SET client_min_messages = warning", "ALTER TABLE t ADD CHECK (id = id)"]
    found = measured(shadow, tmp_path, T, up)
    assert shipped(found, 2).said == alone(found, 2).said == ('verifying table "t"',)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_parallel_maintenance_workers", "0"),
        ("max_parallel_workers_per_gather", "0"),
        ("jit", "off"),
        ("TimeZone", "UTC"),
    ],
)
def test_a_session_that_is_measured_is_set(
    shadow: Shadow, tmp_path: Path, setting: str, value: str
) -> None:
    """Workers of a parallel scan would not be counted, and a time zone decides rewrites."""
    up = f"DO $$ BEGIN RAISE EXCEPTION '%', current_setting('{setting}'); END $$"
    found = measured(shadow, tmp_path, T, up)
    assert shipped(found).failed == Failed(sqlstate="P0001", message=value)


def test_a_version_is_set_as_it_sets_itself(shadow: Shadow, tmp_path: Path) -> None:
    """In its own transaction, and in those of its statements alone."""
    raises = "DO $$ BEGIN RAISE EXCEPTION '%', current_setting('work_mem'); END $$"
    up = f'[Sql("SELECT 1"), Sql("{raises}")]'
    found = measured(shadow, tmp_path, T, up, body='settings = {"work_mem": "7MB"}')
    for measure in (shipped(found, 2), alone(found, 2)):
        assert measure.failed == Failed(sqlstate="P0001", message="7MB")


def test_seed_rows_are_vacuumed(shadow: Shadow, tmp_path: Path) -> None:
    """Versions of rows that are gone would be read as rows."""
    up = """DO $$ BEGIN RAISE EXCEPTION '%', (SELECT reltuples FROM pg_class
            WHERE oid = 't'::regclass); END $$"""
    failed = shipped(measured(shadow, tmp_path, T, up)).failed
    assert failed == Failed(sqlstate="P0001", message="3", rows_only=False)


def test_what_a_time_zone_decides_is_said(shadow: Shadow, tmp_path: Path) -> None:
    """A timestamp becomes one with time zone without a rewrite where the session's is UTC."""
    setup = "CREATE TABLE t (id integer PRIMARY KEY, at timestamp)"
    up = ["SELECT 1", "ALTER TABLE t ALTER COLUMN at TYPE timestamp with time zone"]
    found = measured(shadow, tmp_path, setup, up)
    assert shipped(found, 2).rewritten == ()
    assert found.unmeasured == (
        "statement 2 is measured with the time zone UTC; with another (Europe/Paris) it writes "
        "public.t anew",
    )


def test_a_combined_alter_scans_once(shadow: Shadow, tmp_path: Path) -> None:
    """Three checks in three statements are three scans."""
    checks = [f"ADD CHECK (id <> {number} OR id = {number})" for number in range(3)]
    up = [f"ALTER TABLE t {', '.join(checks)}", *(f"ALTER TABLE t {each}" for each in checks)]
    found = measured(shadow, tmp_path, T, up)
    assert [scans(shipped(found, number)) for number in range(1, 5)] == [{"t": 1}] * 4


def test_the_write_ahead_log_is_counted(shadow: Shadow, tmp_path: Path) -> None:
    """A rewrite writes more of it than a new column without one."""
    up = ["ALTER TABLE t ADD COLUMN e integer", "ALTER TABLE t ADD COLUMN f serial"]
    found = measured(shadow, tmp_path, T, up)
    assert 0 < shipped(found, 1).wal_bytes < shipped(found, 2).wal_bytes


# --- the server's own words


def test_the_servers_words_are_those_that_are_known(shadow: Shadow, tmp_path: Path) -> None:
    """They are not documented, so each major version is asked whether it still says them."""
    setup = [
        T,
        "CREATE TABLE c (id integer PRIMARY KEY, t_id integer)",
        "ALTER TABLE t ADD CONSTRAINT full_b CHECK (b IS NOT NULL)",
        "CREATE TABLE parts (id integer, d integer) PARTITION BY RANGE (id)",
        """CREATE TABLE part (id integer, d integer,
             CHECK (id IS NOT NULL AND id >= 0 AND id < 9))""",
    ]
    up = [
        "ALTER TABLE t ADD COLUMN e uuid DEFAULT gen_random_uuid()",
        "ALTER TABLE t ADD CHECK (id = id)",
        "CREATE INDEX i ON t (a)",
        "ALTER TABLE c ADD CONSTRAINT fk FOREIGN KEY (t_id) REFERENCES t",
        "ALTER TABLE t ALTER COLUMN b SET NOT NULL",
        "ALTER TABLE parts ATTACH PARTITION part FOR VALUES FROM (0) TO (9)",
    ]
    found = measured(shadow, tmp_path, setup, up)
    assert [alone(found, number).said for number in range(1, 7)] == [
        ('rewriting table "t"', 'building index "t_pkey" on table "t" serially'),
        ('verifying table "t"',),
        ('building index "i" on table "t" serially',),
        ('validating foreign key constraint "fk"',),
        (
            'existing constraints on column "t.b" are sufficient to prove that it does not '
            "contain nulls",
        ),
        ('partition constraint for table "part" is implied by existing constraints',),
    ]


# --- names


def test_hostile_names_are_told_as_they_are(shadow: Shadow, tmp_path: Path) -> None:
    """Quotes, dots, percent signs and a table that looks like a message."""
    names = ['a"b', "x.y", "100%s", 'i" on table "t', "Täble :x"]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    setup = [f"CREATE TABLE {name} (id integer PRIMARY KEY, v text)" for name in quoted]
    up = [f"CREATE INDEX ON {name} (v)" for name in quoted]
    found = measured(shadow, tmp_path, setup, up)
    for number, name in enumerate(names, 1):
        (lock,) = alone(found, number).locks
        assert (lock.table.name, lock.mode, lock.named) == (name, LockMode.SHARE, True)
        assert lock.proven
        assert [each.table.name for each in alone(found, number).scans] == [name]
        (said,) = alone(found, number).said
        assert f'on table "{name}" serially' in said


def test_equal_names_in_two_schemas_are_kept_apart(shadow: Shadow, tmp_path: Path) -> None:
    """The server's words do not tell the schema; the counts do."""
    setup = [T, "CREATE SCHEMA s", "CREATE TABLE s.t (id integer PRIMARY KEY, a text)"]
    up = ["ALTER TABLE s.t ADD CHECK (id = id)", "ALTER TABLE s.t ADD COLUMN e serial"]
    found = measured(shadow, tmp_path, setup, up)
    for number in (1, 2):
        for measure in (shipped(found, number), alone(found, number)):
            assert {str(each.table) for each in measure.under} == {"s.t"}
            assert {str(each.table) for each in measure.scans} == {"s.t"}
    assert [str(each) for each in shipped(found, 2).rewritten] == ["s.t"]


def test_a_hostile_search_path_changes_nothing(shadow: Shadow, tmp_path: Path) -> None:
    """Our queries find PostgreSQL's own functions, whatever stands before them."""
    setup = [
        "CREATE TABLE evil.t (id integer PRIMARY KEY)",
        "CREATE TABLE evil.pg_class (oid integer)",
        "CREATE FUNCTION evil.pg_blocking_pids(integer) RETURNS integer[] LANGUAGE sql "
        "AS 'SELECT NULL::integer[]'",
    ]
    write_version(tmp_path, "001_setup", up=setup)
    write_version(tmp_path, "002_x", up=["ALTER TABLE t ADD COLUMN e integer", "SELECT 1"])
    history = HistoryTable(schema="public")
    found = measured_last(
        shadow, tmp_path, history, search_path="evil, pg_catalog", beforehand=("evil",)
    )
    assert modes(shipped(found).locks) == {"evil.t": "ACCESS EXCLUSIVE"}
    assert modes(alone(found).locks) == {"evil.t": "ACCESS EXCLUSIVE"}


# --- what vanishes


def test_what_vanishes_with_something_else_is_told(shadow: Shadow, tmp_path: Path) -> None:
    """Columns, constraints, indexes, views, policies, functions; not what is named."""
    setup = [
        T,
        "CREATE TYPE mood AS ENUM ('sad')",
        "CREATE TABLE m (id integer PRIMARY KEY, mood mood, t_id integer REFERENCES t)",
        "CREATE INDEX by_mood ON m (mood, id)",
        "CREATE VIEW moods AS SELECT mood FROM m",
        "CREATE FUNCTION cheer(mood) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA s",
        "CREATE TABLE s.inner_one (id integer PRIMARY KEY)",
        "CREATE POLICY p ON t USING (id > 0)",
    ]
    up = [
        "DROP TYPE mood CASCADE",
        "ALTER TABLE t DROP CONSTRAINT t_pkey CASCADE",
        "DROP SCHEMA s CASCADE",
        "DROP TABLE t",
    ]
    found = measured(shadow, tmp_path, setup, up)
    gone = [
        [(each.kind.value, str(each)) for each in shipped(found, number).cascaded]
        for number in range(1, 5)
    ]
    assert gone == [
        [
            ("function", "public.cheer(mood)"),
            ("view", "public.moods"),
            ("index", "public.m.by_mood"),
            ("column", "public.m.mood"),
        ],
        [("constraint", "public.m.m_t_id_fkey")],
        [("table", "s.inner_one")],
        [],
    ]
    assert [str(each) for each in alone(found, 1).cascaded] == [name for _, name in gone[0]]


def test_an_index_that_is_made_anew_has_not_vanished(shadow: Shadow, tmp_path: Path) -> None:
    """Another type of a column drops its indexes and constraints, and creates them again."""
    setup = [T, "CREATE INDEX i ON t (b)", "ALTER TABLE t ADD CONSTRAINT c CHECK (b IS NOT NULL)"]
    found = shipped(measured(shadow, tmp_path, setup, "ALTER TABLE t ALTER b TYPE bigint"))
    assert found.cascaded == ()
    assert [(each.index.name, each.rebuilt) for each in found.built] == [
        ("i", True),
        ("t_pkey", True),
    ]


def test_a_constraint_that_becomes_a_part_of_the_parents_has_not_vanished(
    shadow: Shadow, tmp_path: Path
) -> None:
    """ATTACH PARTITION keeps the partition's keys; what goes with them is told all the same."""
    setup = [
        "CREATE TABLE one (id integer PRIMARY KEY)",
        """CREATE TABLE p (id integer, o integer REFERENCES one, d date, PRIMARY KEY (id, d))
             PARTITION BY RANGE (d)""",
        """CREATE TABLE p1 (id integer NOT NULL, o integer, d date NOT NULL,
             CONSTRAINT p1_key PRIMARY KEY (id, d), CONSTRAINT p1_one FOREIGN KEY (o)
             REFERENCES one, CONSTRAINT p1_d CHECK (d >= '2027-01-01' AND d < '2028-01-01'))""",
    ]
    attach = "ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')"
    up = [attach, "ALTER TABLE p DETACH PARTITION p1", "ALTER TABLE one DROP COLUMN id CASCADE"]
    found = measured(shadow, tmp_path, setup, up)
    assert [[str(each) for each in shipped(found, n).cascaded] for n in (1, 2, 3)] == [
        [],
        [],
        ["public.one.one_pkey", "public.p.p_o_fkey", "public.p1.p1_one"],
    ]
    # Through the parent it goes as a share of the parent's, which is the one that is told of.
    (tmp_path / "2").mkdir()
    found = measured(shadow, tmp_path / "2", setup, [attach, "DROP TABLE one CASCADE"])
    assert [str(each) for each in shipped(found, 2).cascaded] == ["public.p.p_o_fkey"]


# --- who has to wait


def test_a_view_is_told_by_the_manual(shadow: Shadow, tmp_path: Path) -> None:
    """LOCK would lock what is under it, so nobody tried."""
    setup = [T, "CREATE VIEW v AS SELECT id FROM t"]
    found = shipped(measured(shadow, tmp_path, setup, "DROP VIEW v"))
    (lock,) = [each for each in found.locks if each.blocks]
    assert (lock.table.kind, lock.mode, lock.proven) == (Kind.VIEW, "ACCESS EXCLUSIVE", False)
    assert lock.blocks == (Access.READS, Access.WRITES, Access.DDL)


def test_a_table_is_told_by_a_session_that_tried(shadow: Shadow, tmp_path: Path) -> None:
    """A partitioned table and its partitions each on their own."""
    setup = [
        "CREATE TABLE p (id integer) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (MINVALUE) TO (MAXVALUE)",
    ]
    found = shipped(measured(shadow, tmp_path, setup, "CREATE INDEX ON p1 (id)"))
    assert modes(found.locks) == {"p1": "SHARE"}
    assert all(lock.proven for lock in found.locks)
    again = shipped(measured(shadow, tmp_path, setup, "LOCK TABLE ONLY p IN EXCLUSIVE MODE"))
    assert modes(again.locks) == {"p": "EXCLUSIVE"}
    assert again.locks[0].blocks == (Access.WRITES, Access.DDL)
    assert again.locks[0].proven


def test_a_locked_index_keeps_queries_from_its_table(shadow: Shadow, tmp_path: Path) -> None:
    """REINDEX locks the table in SHARE, and whoever plans a query looks at the index."""
    setup = [T, "CREATE INDEX i ON t (a)"]
    (lock,) = shipped(measured(shadow, tmp_path, setup, "REINDEX INDEX i")).locks
    assert (lock.mode, lock.proven) == (LockMode.SHARE, True)
    assert lock.blocks == (Access.READS, Access.WRITES, Access.DDL)


def test_a_lock_on_an_index_alone_counts_as_its_tables(shadow: Shadow, tmp_path: Path) -> None:
    """ALTER INDEX locks nothing else."""
    setup = [T, "CREATE INDEX i ON t (a)"]
    found = shipped(measured(shadow, tmp_path, setup, "ALTER INDEX i RENAME TO j"))
    assert modes(found.locks) == {"t": "SHARE UPDATE EXCLUSIVE"}
    assert not found.locks[0].proven


def test_a_lock_that_keeps_planners_from_an_index_is_tried(shadow: Shadow, tmp_path: Path) -> None:
    """Its table is not locked at all, and nobody can plan a query of it."""
    setup = [T, "CREATE INDEX i ON t (a)"]
    up = "ALTER INDEX i SET TABLESPACE pg_default"
    (lock,) = shipped(measured(shadow, tmp_path, setup, up)).locks
    assert (str(lock.table), lock.mode, lock.proven) == ("public.t", "ACCESS EXCLUSIVE", True)
    assert lock.blocks == (Access.READS, Access.WRITES, Access.DDL)


def test_a_columns_sequence_is_its_tables(shadow: Shadow, tmp_path: Path) -> None:
    """It is told of only where it is locked more strongly than its table."""
    setup = "CREATE TABLE t (id serial PRIMARY KEY, a text)"
    up = ["INSERT INTO t (a) VALUES ('x')", "ALTER SEQUENCE t_id_seq CACHE 10"]
    found = measured(shadow, tmp_path, setup, up)
    assert modes(alone(found, 1).locks) == {"t": "ROW EXCLUSIVE"}
    (lock,) = alone(found, 2).locks
    assert (lock.table.kind, str(lock.table)) == (Kind.SEQUENCE, "public.t_id_seq")


# --- failures


@pytest.mark.parametrize(
    ("up", "sqlstate"),
    [
        ("ALTER TABLE t ADD COLUMN k integer NOT NULL", "23502"),
        ("ALTER TABLE t ADD UNIQUE (b)", "23505"),
        ("ALTER TABLE t ALTER a TYPE integer USING a::integer", "22P02"),
        ("ALTER TABLE t ALTER b SET NOT NULL", "23502"),
        ("ALTER TABLE t ADD CHECK (b < 0)", "23514"),
    ],
)
def test_what_fails_on_rows_is_measured_without(
    shadow: Shadow, tmp_path: Path, up: str, sqlstate: str
) -> None:
    """Its locks, and those of the statements after it, are known all the same."""
    found = measured(shadow, tmp_path, T, ["SELECT 1", up, "CREATE INDEX i ON t (a)"])
    failed = shipped(found, 2).failed
    assert failed is not None
    assert (failed.sqlstate, failed.rows_only) == (sqlstate, True)
    assert alone(found, 2).failed == failed
    for measure in (shipped(found, 2), alone(found, 2)):
        assert modes(measure.locks) == {"t": "ACCESS EXCLUSIVE"}
    assert modes(shipped(found, 3).held) == {"t": "ACCESS EXCLUSIVE"}
    assert modes(alone(found, 3).locks) == {"t": "SHARE"}
    assert found.unmeasured == (
        "statement 2 fails where there are rows, so its locks and its work are measured on empty "
        "tables, and so are those after it: whether they fail on rows is not known",
    )


def test_what_always_fails_ends_the_measuring(shadow: Shadow, tmp_path: Path) -> None:
    """What comes after it has no measure as it is shipped, and none alone."""
    up = ["CREATE INDEX i ON t (a)", "ALTER TABLE t DROP COLUMN nowhere", "SELECT 1"]
    found = measured(shadow, tmp_path, T, up)
    assert shipped(found, 1).failed is None
    assert shipped(found, 2).failed == Failed(
        sqlstate="42703", message='column "nowhere" of relation "t" does not exist'
    )
    assert alone(found, 2).failed == shipped(found, 2).failed
    assert (found.statements[2].shipped, found.statements[2].alone) == (None, None)


def test_what_depends_on_an_object_is_told_and_no_row_is(shadow: Shadow, tmp_path: Path) -> None:
    """The server's DETAIL names the one as well as the other."""
    setup = [T, "CREATE VIEW v AS SELECT b FROM t"]
    blocked = shipped(measured(shadow, tmp_path, setup, "DROP TABLE t")).failed
    assert blocked is not None
    assert blocked.detail == "view v depends on table t"
    again = "INSERT INTO t SELECT * FROM t WHERE id = (SELECT min(id) FROM t)"
    doubled = shipped(measured(shadow, tmp_path, T, again)).failed
    assert doubled is not None
    assert (doubled.sqlstate, doubled.detail) == ("23505", "")


def test_what_fails_at_commit_is_told_of_the_last_statement(shadow: Shadow, tmp_path: Path) -> None:
    """A deferred constraint is checked there; alone the statement that breaks it cannot run."""
    setup = [T, "CREATE TABLE c (t_id integer REFERENCES t DEFERRABLE INITIALLY DEFERRED)"]
    up = ["INSERT INTO c VALUES (-77)", "ALTER TABLE t ADD COLUMN e integer"]
    found = measured(shadow, tmp_path, setup, up)
    failed = shipped(found, 2).failed
    assert failed is not None
    assert (failed.sqlstate, failed.rows_only) == ("23503", False)
    assert shipped(found, 1).failed is None
    assert modes(shipped(found, 2).locks) == {"t": "ACCESS EXCLUSIVE"}
    assert found.statements[0].alone is None


def test_a_table_without_rows_is_named(shadow: Shadow, tmp_path: Path) -> None:
    """What fails on rows cannot be seen where nothing lets any in."""
    setup = [T, "CREATE TABLE none (id integer CHECK (id < 0 AND id > 0) NOT NULL)"]
    found = measured(shadow, tmp_path, setup, "ALTER TABLE none ADD COLUMN e integer NOT NULL")
    assert shipped(found).failed is None
    (sentence,) = found.unmeasured
    assert sentence.startswith("public.none has no rows: ")
    assert measured(shadow, tmp_path, setup, "ALTER TABLE t ADD COLUMN e integer").unmeasured == ()


def test_an_extension_that_is_missing_is_no_finding(shadow: Shadow, tmp_path: Path) -> None:
    """What cannot be run is not called safe."""
    with pytest.raises(ExtensionMissing):
        measured(shadow, tmp_path, T, "CREATE EXTENSION there_is_no_such_thing")


def test_what_cannot_be_watched_is_said(shadow: Shadow, tmp_path: Path) -> None:
    """A version that keeps everybody from the catalog keeps those who look from it as well."""
    up = ["LOCK TABLE pg_catalog.pg_database IN ACCESS EXCLUSIVE MODE", "SELECT 1"]
    found = measured(shadow, tmp_path, T, up)
    assert [each.shipped for each in found.statements] == [None, None]
    assert found.unmeasured == (
        "nothing of it was measured: canceling statement due to lock timeout",
    )


def test_statements_that_need_one_another_are_given_up(shadow: Shadow, tmp_path: Path) -> None:
    """Each of them costs a copy of the schema."""
    up = ["CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT id FROM t"]
    up += ["DELETE FROM kept"] * 9 + ["CREATE INDEX i ON t (b)"]
    found = measured(shadow, tmp_path, T, up)
    assert modes(shipped(found, 11).locks) == {"t": "SHARE"}
    assert found.statements[10].alone is None
    assert found.unmeasured == (
        "too many statements need the others: from number 11 on none was measured alone",
    )


# --- what is left behind


def test_it_leaves_nothing_behind(
    shadow: Shadow, tmp_path: Path, admin: psycopg.Connection
) -> None:
    """No database, no role, no session; also where a version fails."""
    probe = shadow.create()
    shadow.drop(probe)
    of_shadow = f"datname LIKE '{probe.params['dbname'].rpartition('_')[0]}%'"
    # Others may be at work on the server: only what bears the names of this test is asked for.
    asked = (
        f"SELECT datname FROM pg_database WHERE {of_shadow} "
        "UNION ALL SELECT rolname FROM pg_roles WHERE rolname = 'made_by_it' "
        f"UNION ALL SELECT datname FROM pg_stat_activity WHERE {of_shadow}"
    )
    trunk = shadow.create()
    assert len(admin.execute(asked).fetchall()) == 1
    shadow.drop(trunk)
    up = ["CREATE ROLE made_by_it", "ALTER TABLE t OWNER TO made_by_it", "SELECT 1 / 0"]
    found = measured(shadow, tmp_path, T, up)
    assert shipped(found, 2).failed is None
    assert alone(found, 2).failed is None
    assert alone(found, 3).failed == Failed(sqlstate="22012", message="division by zero")
    assert admin.execute(asked).fetchall() == []


def test_the_same_version_gives_the_same_measure(shadow: Shadow, tmp_path: Path) -> None:
    """But for the bytes of write-ahead log, which hang on where its pages end."""
    setup = [T, "CREATE TABLE c (id integer PRIMARY KEY, t_id integer REFERENCES t)"]
    up = [
        "ALTER TABLE c ADD COLUMN e serial",
        "CREATE INDEX i ON c (e)",
        "ALTER TABLE t ADD UNIQUE (b)",
        "ALTER TABLE c DROP COLUMN t_id",
    ]

    def once() -> list[tuple[object, ...]]:
        found = measured(shadow, tmp_path, setup, up)
        return [
            (
                each.sql,
                each.shipped and replace(each.shipped, wal_bytes=0),
                each.alone and replace(each.alone, wal_bytes=0),
            )
            for each in found.statements
        ]

    assert once() == once()


def test_roles_that_a_version_names_are_made(tmp_path: Path) -> None:
    """The embedded server has none of them; each way of running the version makes them anew."""
    with open_shadow() as embedded:
        up = ["GRANT SELECT ON t TO somebody", "ALTER TABLE t OWNER TO another"]
        found = measured(embedded, tmp_path, T, up)
        assert all(
            measure is not None and measure.failed is None
            for each in found.statements
            for measure in (each.shipped, each.alone)
        )
        assert not embedded.roles() & {"somebody", "another"}


def test_a_role_that_may_create_databases_is_enough(
    server: URL, admin: psycopg.Connection, tmp_path: Path
) -> None:
    """On a server that is given nobody is asked for a superuser."""
    admin.execute("CREATE ROLE tracer_maker LOGIN CREATEDB PASSWORD 'tracer'")
    try:
        address = server.set(username="tracer_maker", password="tracer")
        with psycopg.connect(libpq(address)) as connection:
            assert connection.info.user == "tracer_maker"
        with open_shadow(from_engine_url(address)) as given:
            setup = [T, "CREATE TABLE c (t_id integer CONSTRAINT fk REFERENCES t)"]
            up = ["ALTER TABLE c DROP CONSTRAINT fk", "ALTER TABLE t ADD COLUMN e serial"]
            found = measured(given, tmp_path, setup, up)
    finally:
        admin.execute("DROP ROLE tracer_maker")
    assert modes(shipped(found).locks) == {"c": "ACCESS EXCLUSIVE", "t": "ACCESS EXCLUSIVE"}
    assert all(lock.proven for lock in shipped(found).locks)
    assert [str(each) for each in alone(found, 2).rewritten] == ["public.t"]
    assert shipped(found, 2).said[0] == 'rewriting table "t"'


def test_a_right_that_a_given_role_lacks_is_no_finding(
    server: URL, admin: psycopg.Connection, tmp_path: Path
) -> None:
    """Another role would be let; the error names the option that gives one."""
    admin.execute("CREATE ROLE tracer_poor LOGIN CREATEDB PASSWORD 'tracer'")
    try:
        address = server.set(username="tracer_poor", password="tracer")
        with (
            open_shadow(from_engine_url(address)) as given,
            pytest.raises(PrivilegeMissing, match="permission denied to create role") as caught,
        ):
            measured(given, tmp_path, T, "CREATE ROLE tracer_other")
    finally:
        admin.execute("DROP ROLE tracer_poor")
    assert "--shadow-url" in str(caught.value.remedy)


def test_a_server_that_counts_nothing_is_said(
    server: URL, admin: psycopg.Connection, tmp_path: Path
) -> None:
    """Only a superuser could turn that on; the server's messages tell of scans all the same."""
    admin.execute("CREATE ROLE tracer_idle LOGIN CREATEDB PASSWORD 'tracer'")
    admin.execute("ALTER ROLE tracer_idle SET track_counts = off")
    try:
        address = server.set(username="tracer_idle", password="tracer")
        with open_shadow(from_engine_url(address)) as given:
            found = measured(given, tmp_path, T, ["ALTER TABLE t ADD CHECK (id = id)", "SELECT 1"])
    finally:
        admin.execute("DROP ROLE tracer_idle")
    assert shipped(found).scans == ()
    assert shipped(found).said == ('verifying table "t"',)
    assert found.unmeasured == (
        "the server counts no scans and no rows (track_counts is off): of both only what its "
        "messages tell is known",
    )


# --- pgvector


@pytest.mark.extension("vector")
def test_an_hnsw_index_after_its_column_is_built_while_nobody_reads(
    shadow: Shadow, tmp_path: Path
) -> None:
    """The column's ACCESS EXCLUSIVE is held for the whole build; alone it is SHARE."""
    up = [
        "ALTER TABLE t ADD COLUMN e vector(3)",
        "CREATE INDEX by_e ON t USING hnsw (e vector_cosine_ops)",
    ]
    found = measured(shadow, tmp_path, [T, "CREATE EXTENSION vector"], up)
    (built,) = shipped(found, 2).built
    assert (built.method, str(built.index), built.rebuilt) == ("hnsw", "public.t.by_e", False)
    assert scans(shipped(found, 2)) == {"t": 1}
    assert shipped(found, 2).under[0].blocks == (Access.READS, Access.WRITES, Access.DDL)
    assert alone(found, 2).under[0].blocks == (Access.WRITES, Access.DDL)


@pytest.mark.extension("vector")
def test_other_dimensions_fail_where_there_are_rows(shadow: Shadow, tmp_path: Path) -> None:
    """And rebuild the index where there are none."""
    setup = [
        "CREATE EXTENSION vector",
        "CREATE TABLE n (id integer PRIMARY KEY, e vector(3) NOT NULL)",
        "CREATE INDEX by_e ON n USING hnsw (e vector_l2_ops)",
    ]
    found = shipped(measured(shadow, tmp_path, setup, "ALTER TABLE n ALTER e TYPE vector(2)"))
    assert found.failed is not None
    assert (found.failed.sqlstate, found.failed.rows_only) == ("22000", True)
    assert ("by_e", "hnsw", True) in [
        (each.index.name, each.method, each.rebuilt) for each in found.built
    ]
