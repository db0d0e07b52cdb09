"""Backfills through the runner: what is written, how often, and from where it goes on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.backfill_sql import SESSION_SQL, Walk
from neuron_schema.errors import (
    LockTimeout,
    LogNeeded,
    OperationUnfinished,
    StatementFailed,
    VersionError,
)
from neuron_schema.events import Event, StepNoted, StepProgress, StepWaiting, Warned
from neuron_schema.model import BackfillSpec, Outcome
from neuron_schema.runner import MigrationRunner
from tests.backfills import LOWER, attempts, batches, create_items, touches, write_backfill
from tests.conftest import libpq
from tests.runs import applied, leftovers, scalar, wait_for
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

LEFT = "SELECT count(*) FROM items WHERE b IS DISTINCT FROM lower(a)"
PLAIN = '[Backfill(items, {"b": func.lower(items.c.a)}, batch_size=10)]'


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield connection


def test_every_row_is_written_once(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """In several batches, each with its row in the log, and the report tells how many."""
    create_items(observer, 1000)
    events: list[Event] = []
    report = MigrationRunner(
        engine, write_backfill(tmp_path, LOWER), listeners=[events.append], allow_non_empty=True
    ).up()
    assert scalar(observer, LEFT) == 0
    assert touches(observer) == (1000, 1)
    assert report.steps[0].rows == 1000
    assert report.steps[0].note == ""
    assert batches(observer) > 2
    assert applied(observer) == ["001"]
    assert leftovers(observer) == []
    progress = [event for event in events if isinstance(event, StepProgress)]
    assert progress[-1].done == 1000
    assert {one.unit for one in progress} == {"rows"}
    assert [one.done for one in progress] == sorted(one.done or 0 for one in progress)


def test_the_log_tells_of_every_batch_and_of_the_end(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Numbered without a gap, with how far it came; the step's own row has the sum."""
    create_items(observer, 55)
    MigrationRunner(engine, write_backfill(tmp_path, PLAIN), allow_non_empty=True).up()
    rows = observer.execute(
        "SELECT attempt, n, outcome, kind, (progress->>'rows')::int, (progress->>'total')::int, "
        "progress->'after', up IS NULL FROM neuron_migration_log ORDER BY id"
    ).fetchall()
    *told, last = rows
    assert [row[:4] for row in told] == [
        (1, n, "batch", "BACKFILL") for n in range(1, len(told) + 1)
    ]
    assert sum(row[4] for row in told) == told[-1][5] == 55
    assert told[0][6] == ["10"]
    assert told[-1][6] is None
    assert all(row[7] for row in told)
    assert (last[0], last[1], last[2], last[5], last[7]) == (1, None, "applied", 55, False)


KEYS: dict[str, str] = {
    "bigint": "i",
    "text": "'Key ' || chr(64 + i % 26) || i || '\\ ''\" ü'",
    "uuid": "md5(i::text)::uuid",
    "numeric": "i / 7.0",
    "timestamptz": "'2024-03-31 00:30+01'::timestamptz + i * interval '7 minutes 1 microsecond'",
    "timestamp": "'0044-03-15 BC'::timestamp + i * interval '1 day'",
    "date": "'2024-01-02'::date + i",
    "interval": "i * interval '-1 day 2 hours'",
    "float8": "i / 7.0",
    "float4": "i / 7.0",
    "bytea": "decode(lpad(to_hex(i), 4, '0') || '5c27', 'hex')",
    "boolean_key": "(i % 2 = 0, i)::boolean_key",
    "folded": "'K' || i",
    '"mood""s"': '(enum_range(NULL::"mood""s"))[i]',
    "char(5)": "i::text",
    "int[]": "ARRAY[i % 3, i]",
    "inet": "'10.0.0.0'::inet + i",
}


@pytest.mark.parametrize("type_", KEYS)
def test_a_key_of_any_type_is_walked_along(
    database: URL, engine: Engine, observer: psycopg.Connection, tmp_path: Path, type_: str
) -> None:
    """Whatever formats the database prefers, and in the order of the column's collation."""
    moods = ", ".join(f"'m{i * 7 % 41}'" for i in range(1, 41))
    observer.execute(f'CREATE TYPE "mood""s" AS ENUM ({moods})'.encode())
    observer.execute("CREATE TYPE boolean_key AS (a boolean, b int)")
    observer.execute("CREATE DOMAIN folded AS text CHECK (VALUE <> '')")
    for setting in (
        "DateStyle = 'German'",
        "IntervalStyle = 'sql_standard'",
        "TimeZone = 'Europe/Berlin'",
        "extra_float_digits = 0",
    ):
        observer.execute(f'ALTER DATABASE "{database.database}" SET {setting}'.encode())
    create_items(observer, type_=type_)
    source = f"SELECT {KEYS[type_]}, 'A' FROM generate_series(1, 40) i"
    observer.execute(f"INSERT INTO items (id, a) {source}".encode())
    up = PLAIN.replace("batch_size=10", "batch_size=3")
    MigrationRunner(engine, write_backfill(tmp_path, up), allow_non_empty=True).up()
    assert scalar(observer, LEFT) == 0
    assert touches(observer) == (40, 1)
    assert batches(observer) >= 4


@pytest.mark.parametrize(
    ("type_", "key", "setting", "values"),
    [
        ("date", "'2024-01-01'::date + i", "DateStyle", ("SQL, DMY", "SQL, MDY")),
        (
            "interval",
            "i * interval '-1 day -2 hours'",
            "IntervalStyle",
            ("sql_standard", "postgres"),
        ),
    ],
)
def test_a_key_means_the_same_to_the_run_that_goes_on(
    database: URL,
    engine: Engine,
    observer: psycopg.Connection,
    tmp_path: Path,
    *,
    type_: str,
    key: str,
    setting: str,
    values: tuple[str, str],
) -> None:
    """Though the formats that the database prefers were altered meanwhile."""

    def prefer(value: str) -> None:
        sql = f"ALTER DATABASE \"{database.database}\" SET {setting} = '{value}'"
        observer.execute(sql.encode())

    create_items(observer, type_=type_)
    source = f"SELECT {key}, 'A' || row_number() OVER (ORDER BY {key})"
    observer.execute(f"INSERT INTO items (id, a) {source} FROM generate_series(1, 40) i".encode())
    observer.execute("ALTER TABLE items ADD CHECK (b <> 'a7')")
    path = write_backfill(tmp_path, PLAIN.replace("batch_size=10", "batch_size=5"))
    prefer(values[0])
    with pytest.raises(StatementFailed):
        MigrationRunner(engine, path, allow_non_empty=True).up()
    observer.execute("ALTER TABLE items DROP CONSTRAINT items_b_check")
    prefer(values[1])
    MigrationRunner(engine, path, allow_non_empty=True).up()
    assert touches(observer) == (40, 1)
    assert attempts(observer) == {1}


def test_a_composite_key_in_a_schema_is_walked_along(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Rows are compared as a whole, and names are quoted."""
    observer.execute(
        'CREATE SCHEMA "S x" CREATE TABLE "T" ("A" int, b text, n int DEFAULT 0, '
        'PRIMARY KEY ("A", b))'
    )
    observer.execute(
        'INSERT INTO "S x"."T" SELECT i, chr(97 + j), 0 FROM generate_series(1, 10) i, '
        "generate_series(0, 9) j"
    )
    write_version(
        tmp_path,
        "001_fill",
        imports="from sqlalchemy import *\nfrom neuron_schema.ops import Backfill",
        body='t = Table("T", MetaData(), Column("A", Integer, primary_key=True), '
        'Column("b", Text, primary_key=True), Column("n", Integer), schema="S x")',
        up="[Backfill(t, {t.c.n: t.c.n + 1}, where=t.c.n + 0 <= 0, batch_size=7)]",
        down='[Backfill(t, {"n": t.c.n - 1}, batch_size=7)]',
    )
    runner = MigrationRunner(engine, tmp_path, allow_non_empty=True)
    assert runner.up().steps[0].rows == 100
    assert scalar(observer, 'SELECT min(n) || \'-\' || max(n) FROM "S x"."T"') == "1-1"
    runner.down()
    assert scalar(observer, 'SELECT min(n) || \'-\' || max(n) FROM "S x"."T"') == "0-0"


def test_rows_inserted_anywhere_meanwhile_are_changed_too(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """With random keys they come to lie behind: passes are repeated until no row matches."""
    create_items(observer, 300, "uuid")
    inserted = 0

    def listen(event: Event) -> None:
        nonlocal inserted
        if isinstance(event, StepProgress) and inserted < 60:
            inserted += 10
            observer.execute(
                "INSERT INTO items SELECT gen_random_uuid(), 'N' FROM generate_series(1, 10)"
            )

    up = LOWER.replace("batch_size=100", "batch_size=20")
    runner = MigrationRunner(
        engine, write_backfill(tmp_path, up, type_="Uuid"), listeners=[listen], allow_non_empty=True
    )
    report = runner.up()
    assert inserted == 60
    assert scalar(observer, LEFT) == 0
    assert touches(observer) == (360, 1)
    assert report.steps[0].rows == 360
    passes = scalar(observer, "SELECT max((progress->>'pass')::int) FROM neuron_migration_log")
    assert passes > 1


def test_the_end_of_a_batch_is_found_along_the_key(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A column that is new has no statistics, and the planner would read the table each time."""
    create_items(observer, 20_000, "uuid")
    observer.execute("VACUUM ANALYZE items")
    observer.execute("ALTER TABLE items ADD fresh text")
    spec = BackfillSpec(table="items", key=("id",), where="fresh IS NULL")
    edge = Walk(spec=spec, key_types=("uuid",)).edge_sql((f"{7:032x}",), 1000)

    def plan() -> str:
        return str(observer.execute(f"EXPLAIN {edge}".encode()).fetchall())

    assert "Sort" in plan()
    observer.execute(SESSION_SQL.encode())
    assert "Index Scan using items_pkey" in plan()
    assert "Sort" not in plan()


def test_a_batch_itself_is_planned_as_ever(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """What keeps the search for its end from sorting does not bind the author's expressions."""
    create_items(observer, 5)
    up = """[Backfill(items, {"b": "current_setting('enable_sort')"})]"""
    MigrationRunner(engine, write_backfill(tmp_path, up), allow_non_empty=True).up()
    assert scalar(observer, "SELECT DISTINCT b FROM items") == "on"


def test_without_a_condition_there_is_one_pass(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """And the report says about how many rows were inserted meanwhile."""
    create_items(observer, 50)
    observer.execute("SELECT pg_stat_force_next_flush()")

    def listen(event: Event) -> None:
        if isinstance(event, StepProgress) and event.done == 10:
            observer.execute("INSERT INTO items SELECT -i, 'N' FROM generate_series(1, 7) i")
            observer.execute("SELECT pg_stat_force_next_flush()")

    report = MigrationRunner(
        engine, write_backfill(tmp_path, PLAIN), listeners=[listen], allow_non_empty=True
    ).up()
    assert touches(observer) == (50, 1)
    assert scalar(observer, LEFT) == 7
    assert report.steps[0].rows == 50
    assert report.steps[0].note.startswith("about 7 rows were inserted meanwhile")


def test_rows_inserted_by_the_version_before_are_none_of_those_inserted_meanwhile(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A session that lies idle in the pool would tell of them only when the backfill has begun."""
    create_items(observer)
    rows = "INSERT INTO items (id, a) SELECT i, 'A' FROM generate_series(1, 20) i"
    write_version(tmp_path, "001_rows", up=["SELECT 1"])
    write_version(tmp_path, "002_rows", up=[rows])
    write_backfill(tmp_path, PLAIN, label="003_fill")
    engine = create_engine(database)
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND application_name = ''"
    )

    def listen(event: Event) -> None:
        if isinstance(event, StepProgress):
            engine.dispose()
            wait_for(lambda: scalar(observer, others) == 0)

    report = MigrationRunner(engine, tmp_path, listeners=[listen], allow_non_empty=True).up()
    assert report.steps[2].rows == 20
    assert report.steps[2].note == ""


def test_a_condition_that_still_holds_is_an_error(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """It would never end; nothing is changed, and the error says how to write it."""
    create_items(observer, 50)
    up = '[Backfill(items, {"b": "lower(a)"}, where="a IS NOT NULL")]'
    with pytest.raises(OperationUnfinished, match="condition still holds") as caught:
        MigrationRunner(engine, write_backfill(tmp_path, up), allow_non_empty=True).up()
    assert "IS DISTINCT FROM" in (caught.value.remedy or "")
    assert touches(observer) == (0, 0)
    assert batches(observer) == 0
    assert applied(observer) == []


def test_rows_that_cannot_be_changed_are_an_error(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A trigger that keeps them as they are would keep the run going for ever."""
    create_items(observer, 50)
    observer.execute(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    )
    observer.execute(
        "CREATE TRIGGER keep BEFORE UPDATE ON items FOR EACH ROW WHEN (OLD.id = 7) "
        "EXECUTE FUNCTION keep()"
    )
    with pytest.raises(OperationUnfinished, match="changes nothing"):
        MigrationRunner(engine, write_backfill(tmp_path, LOWER), allow_non_empty=True).up()
    assert touches(observer) == (49, 1)
    assert applied(observer) == []


UNFIT = {
    "no table": ("SELECT 1", "there is no such table"),
    "a view": ("CREATE VIEW items AS SELECT 1 AS id, '' AS a, '' AS b", "that is no table"),
    "no column": ("CREATE TABLE items (idx int, a text, b text)", "there is no column id"),
    "nullable": ("CREATE TABLE items (id int UNIQUE, a text, b text)", "id may be NULL"),
    "not unique": ("CREATE TABLE items (id int NOT NULL, a text, b text)", "no unique index"),
    "not null from now on": (
        "CREATE TABLE items (id int UNIQUE, a text, b text); INSERT INTO items VALUES (NULL); "
        "ALTER TABLE items ADD CONSTRAINT filled NOT NULL id NOT VALID",
        "id may be NULL",
    ),
    "unique for some": (
        "CREATE TABLE items (id int NOT NULL, a text, b text); "
        "CREATE UNIQUE INDEX ON items (id) WHERE id > 5",
        "no unique index",
    ),
    "unique with another": (
        "CREATE TABLE items (id int NOT NULL, a text, b text, UNIQUE (id, a))",
        "those that there are: id, a",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_table_that_cannot_be_walked_through_is_refused(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path, name: str
) -> None:
    """Before anything is run, with what its key lacks."""
    setup, reason = UNFIT[name]
    if "NOT VALID" in setup and observer.info.server_version < 180000:
        pytest.skip("PostgreSQL 18 brought this")
    observer.execute(setup.encode())
    with pytest.raises(OperationUnfinished, match=reason):
        MigrationRunner(engine, write_backfill(tmp_path, PLAIN), allow_non_empty=True).up()
    assert applied(observer) == []


def test_a_partitioned_table_is_filled(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Along the key that its partitions share."""
    observer.execute(
        "CREATE TABLE items (id int PRIMARY KEY, a text, b text, n int) PARTITION BY RANGE (id)"
    )
    for low in (0, 50):
        part = f"items_{low} PARTITION OF items FOR VALUES FROM ({low}) TO ({low + 50})"
        observer.execute(f"CREATE TABLE {part}".encode())
    observer.execute("INSERT INTO items SELECT i, 'A' FROM generate_series(0, 99) i")
    assert (
        MigrationRunner(engine, write_backfill(tmp_path, PLAIN), allow_non_empty=True)
        .up()
        .steps[0]
        .rows
        == 100
    )
    assert scalar(observer, LEFT) == 0


def test_a_locked_row_is_waited_for(
    engine: Engine, database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """The batch is tried again, and no row of it is written twice."""
    create_items(observer, 50)
    reasons: list[str] = []
    with psycopg.connect(libpq(database)) as holder:
        holder.execute("SELECT FROM items WHERE id = 25 FOR UPDATE")

        def listen(event: Event) -> None:
            if isinstance(event, StepWaiting):
                reasons.append(event.reason)
                holder.rollback()

        path = write_backfill(tmp_path, PLAIN, settings='{"lock_timeout": "100ms"}')
        MigrationRunner(engine, path, listeners=[listen], allow_non_empty=True).up()
    assert reasons == ["a batch is tried again: canceling statement due to lock timeout"]
    assert touches(observer) == (50, 1)


def test_a_row_that_stays_locked_is_an_error_that_names_who(
    engine: Engine, database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """What came before it stays done, and the next run goes on from there."""
    create_items(observer, 50)
    path = write_backfill(tmp_path, PLAIN, settings='{"lock_timeout": "500ms"}')
    with psycopg.connect(libpq(database)) as holder:
        holder.execute("SELECT FROM items WHERE id = 45 FOR UPDATE")
        with pytest.raises(LockTimeout) as caught:
            MigrationRunner(engine, path, lock_timeout=0.4, deadline=3, allow_non_empty=True).up()
        assert f"pid {holder.info.backend_pid}" in caught.value.message
        holder.rollback()
    done = touches(observer)[0]
    assert 0 < done < 50
    MigrationRunner(engine, path, allow_non_empty=True).up()
    assert touches(observer) == (50, 1)
    assert attempts(observer) == {1}


def test_a_batch_is_not_tried_for_ever(
    engine: Engine,
    database: URL,
    observer: psycopg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After so many tries it is an error, long before the deadline."""
    monkeypatch.setattr("neuron_schema.execution.backfill.LOCK_ATTEMPTS", 3)
    create_items(observer, 50)
    waits: list[StepWaiting] = []

    def listen(event: Event) -> None:
        if isinstance(event, StepWaiting):
            waits.append(event)

    path = write_backfill(tmp_path, PLAIN, settings='{"lock_timeout": "50ms"}')
    with psycopg.connect(libpq(database)) as holder:
        holder.execute("SELECT FROM items WHERE id = 5 FOR UPDATE")
        with pytest.raises(LockTimeout):
            MigrationRunner(engine, path, listeners=[listen], allow_non_empty=True).up()
    assert len(waits) == 2


def test_text_that_was_taken_for_columns_is_told_how_it_is_written(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A bare word is refused when the file is loaded; of more words PostgreSQL tells."""
    create_items(observer, 5)
    runner = MigrationRunner(
        engine,
        write_backfill(tmp_path, '[Backfill(items, {"b": "not-done"})]'),
        allow_non_empty=True,
    )
    with pytest.raises(StatementFailed) as caught:
        runner.up()
    assert 'a text to be stored is literal("...")' in (caught.value.remedy or "")
    with pytest.raises(VersionError, match="'b' is set to 'a', which may be a text or a column"):
        MigrationRunner(engine, write_backfill(tmp_path, '[Backfill(items, {"b": "a"})]')).up()
    up = '[Backfill(items, {"b": literal("a"), "n": text("id")})]'
    path = write_backfill(tmp_path, up, more="from sqlalchemy import literal, text")
    MigrationRunner(engine, path, allow_non_empty=True).up()
    assert observer.execute("SELECT DISTINCT b, n - id FROM items").fetchall() == [("a", 0)]


def test_it_goes_on_where_it_failed(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A batch that a row does not let pass is rolled back; what is done is not done again."""
    create_items(observer, 200)
    observer.execute("ALTER TABLE items ADD CHECK (b <> 'a150')")
    path = write_backfill(tmp_path, PLAIN)
    with pytest.raises(StatementFailed, match="items_b_check") as caught:
        MigrationRunner(engine, path, allow_non_empty=True).up()
    assert "the batches before it are done" in (caught.value.remedy or "")
    done, before = touches(observer)[0], batches(observer)
    assert 0 < done < 150
    observer.execute("UPDATE items SET a = 'B' WHERE id = 150")
    observer.execute("TRUNCATE ledger.touched")
    notes: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, StepNoted):
            notes.append(event.text)

    report = MigrationRunner(engine, path, listeners=[listen], allow_non_empty=True).up()
    assert touches(observer) == (200 - done, 1)
    assert report.steps[0].rows == 200
    assert attempts(observer) == {1}
    first = scalar(
        observer,
        f"SELECT progress->'after'->>0 FROM neuron_migration_log WHERE n = {before}",
    )
    assert int(first) == done
    assert notes == [f"001_fill: goes on after {done} rows that are written"]


def rows_read(observer: psycopg.Connection) -> int:
    """Return how many rows of the table were read by all sessions so far."""
    # They tell the server when they end.
    others = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    wait_for(lambda: scalar(observer, others) == 0)
    read: int = scalar(
        observer,
        "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables "
        "WHERE relid = 'items'::regclass",
    )
    return read


def test_what_goes_on_does_not_read_what_is_done(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Counted by the server: beginning anew would read nine times as many rows as are left."""
    create_items(observer, 10_000)
    observer.execute("ANALYZE items")
    observer.execute("ALTER TABLE items ADD CHECK (b <> 'a9000')")
    # For a batch that has grown the planner may read this small table whole.
    observer.execute(f'ALTER DATABASE "{database.database}" SET enable_seqscan = off'.encode())
    path = write_backfill(tmp_path, PLAIN.replace("batch_size=10", "batch_size=500"))

    def up() -> None:
        engine = create_engine(database, poolclass=NullPool)
        MigrationRunner(engine, path, allow_non_empty=True).up()

    with pytest.raises(StatementFailed):
        up()
    left = 10_000 - touches(observer)[0]
    assert 1000 <= left < 5000
    observer.execute("ALTER TABLE items DROP CONSTRAINT items_b_check")
    before = rows_read(observer)
    up()
    assert touches(observer) == (10_000, 1)
    # Each row that is left is found once for its batch and once to be written.
    assert left <= rows_read(observer) - before <= 3 * left


def test_another_change_begins_anew_where_its_condition_tells_the_rows(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """What an unfinished attempt did was something else; without a condition it is refused.

    Rows would be written twice, by one text and by the other.
    """
    create_items(observer, 100)
    observer.execute("ALTER TABLE items ADD CHECK (b <> 'a50')")
    with pytest.raises(StatementFailed):
        MigrationRunner(engine, write_backfill(tmp_path, PLAIN), allow_non_empty=True).up()
    before = touches(observer)
    write_backfill(tmp_path, '[Backfill(items, {"b": "upper(a)"})]')
    with pytest.raises(OperationUnfinished, match="written by another text") as caught:
        MigrationRunner(engine, tmp_path, allow_non_empty=True).up()
    assert "where" in (caught.value.remedy or "")
    assert touches(observer) == before
    condition = '[Backfill(items, {"b": "upper(a)"}, where="b IS DISTINCT FROM upper(a)")]'
    write_backfill(tmp_path, condition)
    MigrationRunner(engine, tmp_path, allow_non_empty=True).up()
    assert scalar(observer, "SELECT count(*) FROM items WHERE b = upper(a)") == 100
    assert attempts(observer) == {1, 2}


def test_a_column_that_was_made_anew_is_filled_anew(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """What an interrupted attempt wrote went with the column, and the user is told."""
    create_items(observer, 100)
    observer.execute("ALTER TABLE items ADD CONSTRAINT no CHECK (b <> 'a50')")
    path = write_backfill(tmp_path, PLAIN)
    with pytest.raises(StatementFailed):
        MigrationRunner(engine, path, allow_non_empty=True).up()
    observer.execute("ALTER TABLE items DROP COLUMN b; ALTER TABLE items ADD COLUMN b text")
    events: list[Event] = []
    report = MigrationRunner(engine, path, listeners=[events.append], allow_non_empty=True).up()
    assert scalar(observer, LEFT) == 0
    assert attempts(observer) == {1, 2}
    told = [one.text for one in events if isinstance(one, Warned)]
    assert len(told) == 1
    assert "begins anew" in told[0]
    assert report.warnings == tuple(told)
    [step] = [one.step for one in events if isinstance(one, Warned)]
    assert step is not None
    assert step.version == "001"


def test_a_table_that_was_made_anew_is_begun_anew(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """An unfinished attempt's position is one in another table."""
    create_items(observer, 100)
    observer.execute("ALTER TABLE items ADD CHECK (b <> 'a50')")
    path = write_backfill(tmp_path, PLAIN)
    with pytest.raises(StatementFailed):
        MigrationRunner(engine, path, allow_non_empty=True).up()
    observer.execute("DROP TABLE items; DROP SCHEMA ledger CASCADE")
    create_items(observer, 100)
    MigrationRunner(engine, path, allow_non_empty=True).up()
    assert touches(observer) == (100, 1)


def test_down_and_up_again_begins_anew(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Each direction has attempts of its own, and each time it is another one."""
    create_items(observer, 50)
    down = '[Backfill(items, {"b": None})]'
    runner = MigrationRunner(
        engine, write_backfill(tmp_path, PLAIN, down=down), allow_non_empty=True
    )
    for time in (1, 2):
        runner.up()
        assert scalar(observer, LEFT) == 0
        assert touches(observer) == (50, 2 * time - 1)
        report = runner.down()
        assert report.steps[0].rows == 50
        assert touches(observer) == (50, 2 * time)
        assert scalar(observer, "SELECT count(b) FROM items") == 0
    assert attempts(observer) == {1, 2}
    assert attempts(observer, "down") == {1, 2}


def test_an_attempt_that_was_decided_otherwise_is_over(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Marked as applied by hand and rolled back, it does not go on from where it was."""
    create_items(observer, 50)
    observer.execute("ALTER TABLE items ADD CHECK (b <> 'a40')")
    path = write_backfill(tmp_path, PLAIN)
    with pytest.raises(StatementFailed):
        MigrationRunner(engine, path, allow_non_empty=True).up()
    observer.execute(
        "INSERT INTO neuron_migration_log (run_id, version, name, direction, kind, outcome, "
        "started_at, duration_ms) SELECT gen_random_uuid(), '001', 'fill', direction, 'BACKFILL', "
        "outcome, now(), 0 FROM (VALUES ('up', 'baselined'), ('down', 'rolled back')) "
        "done(direction, outcome)"
    )
    observer.execute("ALTER TABLE items DROP CONSTRAINT items_b_check")
    MigrationRunner(engine, path, allow_non_empty=True).up()
    assert touches(observer) == (50, 2)
    assert attempts(observer) == {1, 2}


def test_two_runs_at_once_write_every_row_once(
    database: URL, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """One does it, the other waits and finds it done."""
    create_items(observer, 2000)
    path = write_backfill(tmp_path, PLAIN)
    outcomes: list[Any] = []

    def run() -> None:
        engine = create_engine(database, poolclass=NullPool)
        report = MigrationRunner(engine, path, allow_non_empty=True).up()
        outcomes.extend(step.outcome for step in report.steps)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert touches(observer) == (2000, 1)
    assert outcomes.count(Outcome.APPLIED) == 1
    assert attempts(observer) == {1}
    assert leftovers(observer) == []


def test_a_batch_that_another_run_wrote_is_not_written_again(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Though the run lock was lost, the log's key is there: this run stops, looks, and goes on."""
    create_items(observer, 100)
    planted = False

    def listen(event: Event) -> None:
        nonlocal planted
        if isinstance(event, StepProgress) and not planted:
            planted = True
            with observer.transaction():
                observer.execute("UPDATE items SET b = lower(a) WHERE id BETWEEN 11 AND 15")
                observer.execute(
                    "INSERT INTO neuron_migration_log (run_id, version, name, direction, kind, "
                    "outcome, started_at, duration_ms, checksum, attempt, n, progress) "
                    "SELECT run_id, version, name, direction, kind, outcome, started_at, "
                    "duration_ms, checksum, attempt, n + 1, (progress::jsonb || "
                    '\'{"after": ["15"], "rows": 5, "pass_rows": 15, "total": 15}\')::json '
                    "FROM neuron_migration_log WHERE n = 1"
                )

    report = MigrationRunner(
        engine, write_backfill(tmp_path, PLAIN), listeners=[listen], allow_non_empty=True
    ).up()
    assert planted
    assert touches(observer) == (100, 1)
    assert report.steps[0].rows == 100


def test_without_the_log_it_is_refused(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Before anything is run, the versions before it included."""
    create_items(observer, 10)
    write_version(tmp_path, "001_a", up=["CREATE TABLE other (x int)"])
    write_backfill(tmp_path, PLAIN, label="002_fill")
    with pytest.raises(LogNeeded, match="002_fill") as caught:
        MigrationRunner(engine, tmp_path, log=False, allow_non_empty=True).up()
    assert caught.value.exit_code == 9
    assert scalar(observer, "SELECT to_regclass('other')") is None
    assert applied(observer) == []


def test_the_table_may_come_from_the_version_before(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """Then neither history nor log is there when the run is planned."""
    write_version(
        tmp_path,
        "001_items",
        up=[
            "CREATE TABLE items (id int PRIMARY KEY, a text, b text)",
            "INSERT INTO items SELECT i, 'A' || i FROM generate_series(1, 30) i",
        ],
    )
    write_backfill(tmp_path, PLAIN, label="002_fill")
    MigrationRunner(engine, tmp_path, allow_non_empty=True).up()
    assert scalar(observer, LEFT) == 0
    assert applied(observer) == ["001", "002"]


def test_an_empty_table_is_filled(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """With nothing, and the version is applied."""
    create_items(observer)
    report = MigrationRunner(engine, write_backfill(tmp_path, LOWER), allow_non_empty=True).up()
    assert report.steps[0].rows == 0
    assert applied(observer) == ["001"]


def test_batches_run_as_every_other_step_does(
    engine: Engine, observer: psycopg.Connection, admin: psycopg.Connection, tmp_path: Path
) -> None:
    """As the role that is set, with the search_path of the settings and the version's own."""
    create_items(observer, 5)
    role = f"filler_{observer.info.dbname}"
    admin.execute(f"CREATE ROLE {role}".encode())
    observer.execute("CREATE SCHEMA apart")
    observer.execute(
        "CREATE FUNCTION apart.facts() RETURNS text LANGUAGE sql AS $$ SELECT concat_ws(' ', "
        "current_user, current_setting('work_mem'), current_setting('statement_timeout'), "
        "current_setting('lock_timeout')) $$"
    )
    observer.execute(
        f"GRANT ALL ON SCHEMA public, apart, ledger TO {role}; GRANT ALL ON items, ledger.touched "
        f"TO {role}".encode()
    )
    path = write_backfill(
        tmp_path, '[Backfill(items, {"b": "facts()"})]', settings='{"work_mem": "7MB"}'
    )
    try:
        MigrationRunner(
            engine,
            path,
            role=role,
            search_path="public, apart",
            statement_timeout=33,
            allow_non_empty=True,
        ).up()
        assert scalar(observer, "SELECT DISTINCT b FROM items") == f"{role} 7MB 33s 2s"
    finally:
        observer.execute(f"DROP OWNED BY {role}".encode())
        admin.execute(f"DROP ROLE {role}".encode())


def test_a_role_that_may_create_nothing_can_run_it(
    engine: Engine, observer: psycopg.Connection, admin: psycopg.Connection, tmp_path: Path
) -> None:
    """Where the log is there already: IF NOT EXISTS would ask for the right all the same."""
    create_items(observer, 5)
    write_version(tmp_path, "001_a", up=["SELECT 1"])
    MigrationRunner(engine, tmp_path, allow_non_empty=True).up()
    role = f"filler_{observer.info.dbname}"
    admin.execute(f"CREATE ROLE {role}".encode())
    observer.execute(
        f"GRANT SELECT, INSERT ON neuron_migrations, neuron_migration_log TO {role}; "
        f"GRANT SELECT, UPDATE ON items TO {role}; GRANT USAGE ON SCHEMA ledger TO {role}; "
        f"GRANT INSERT ON ledger.touched TO {role}".encode()
    )
    write_backfill(tmp_path, LOWER, label="002_fill")
    try:
        MigrationRunner(engine, tmp_path, role=role).up()
        assert touches(observer) == (5, 1)
    finally:
        observer.execute(f"DROP OWNED BY {role}".encode())
        admin.execute(f"DROP ROLE {role}".encode())


def test_the_zone_and_the_meaning_of_the_sql_are_the_database_s(
    database: URL, engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """What a plain UPDATE would make of a time zone, a batch makes too."""
    observer.execute(f"ALTER DATABASE \"{database.database}\" SET TimeZone = 'Asia/Tokyo'".encode())
    create_items(observer, 5)
    up = """[Backfill(items, {"b": "('2024-01-01 20:00+00'::timestamptz)::date::text"})]"""
    MigrationRunner(engine, write_backfill(tmp_path, up), allow_non_empty=True).up()
    assert scalar(observer, "SELECT DISTINCT b FROM items") == "2024-01-02"


def test_a_pause_is_made_between_batches(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the version asks for, and not before the first."""
    create_items(observer, 30)
    pauses: list[float] = []
    monkeypatch.setattr("neuron_schema.execution.backfill.time.sleep", pauses.append)
    up = PLAIN.replace("batch_size=10", "batch_size=10, pause=1.25")
    MigrationRunner(engine, write_backfill(tmp_path, up), allow_non_empty=True).up()
    assert pauses == [1.25] * (batches(observer) - 1)
    assert pauses
