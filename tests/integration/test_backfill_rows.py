"""Backfills whose values a function computes, through the runner."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import Column, Date, DateTime, Enum, Integer, MetaData, Table

from neuron_schema.compiling.compiler import compile_element
from neuron_schema.errors import OperationUnfinished, StatementFailed
from neuron_schema.events import Event, Warned
from neuron_schema.model import Direction, Plan
from neuron_schema.ops import BackfillRows
from neuron_schema.runner import MigrationRunner
from tests.backfills import attempts, batches, create_items, touches, write_backfill
from tests.conftest import libpq
from tests.constructs import VALUES, values_table
from tests.runs import applied, leftovers, scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

Rows = list[dict[str, Any]]
LEFT = "SELECT count(*) FROM items WHERE b IS DISTINCT FROM lower(a)"


@pytest.fixture
def observer(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield connection


class Run:
    """Runs a backfill whose function is a test's own, which no version module could hold.

    Args:
        engine: Where to.
        directory: For the version that the function is put into.
        listeners: Told of what happens.
    """

    def __init__(self, engine: Engine, directory: Path) -> None:
        self._engine = engine
        self._directory = directory
        self.warnings: list[Warned] = []

    def __call__(
        self, function: Callable[[Rows], Any], table: Table | None = None, **options: Any
    ) -> Any:
        """Run it; return the step's report."""
        table = table if table is not None else ITEMS
        columns = options.pop("columns", ["a"])
        write_backfill(self._directory, '[Backfill(items, {"b": None})]')
        runner = MigrationRunner(
            self._engine, self._directory, listeners=[self._listen], allow_non_empty=True
        )
        plan, look = runner.plan(Direction.UP)
        (step,) = plan.steps
        statements = compile_element(BackfillRows(table, function, columns, **options))
        return runner.run(_with(plan, step, statements), look).steps[0]

    def _listen(self, event: Event) -> None:
        if isinstance(event, Warned):
            self.warnings.append(event)


def _with(plan: Plan, step: Any, statements: Any) -> Plan:
    from dataclasses import replace

    from neuron_schema.compiling.compiler import checksum

    step = replace(step, statements=statements, checksum=checksum(statements, ()))
    return replace(plan, steps=(step,))


ITEMS = Table(
    "items",
    MetaData(),
    Column("id", Integer, primary_key=True),
    *(Column(name, VALUES["text"][0]) for name in "ab"),
    Column("n", Integer),
    Column("absent", Integer),
)


@pytest.fixture
def run(engine: Engine, tmp_path: Path) -> Run:
    """Return what runs a function."""
    return Run(engine, tmp_path)


def lower(rows: Rows) -> Rows:
    """Compute what every row is to have."""
    return [{"b": row["a"].lower()} for row in rows]


def test_rows_are_computed_by_a_version_s_function(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """A batch at a time, with key and columns by their names; each row is written once."""
    create_items(observer, 1000)
    more = (
        'def lower(rows):\n    return [{"b": row["a"].lower(), "n": row["id"]} for row in rows]\n'
    )
    up = '[BackfillRows(items, lower, ["a"], where=items.c.b.is_(None))]'
    report = MigrationRunner(
        engine, write_backfill(tmp_path, up, more=more), allow_non_empty=True
    ).up()
    assert scalar(observer, LEFT) == 0
    assert scalar(observer, "SELECT bool_and(n = id) FROM items") is True
    assert touches(observer) == (1000, 1)
    assert report.steps[0].rows == 1000
    assert report.steps[0].note == ""
    assert batches(observer) == 11
    assert applied(observer) == ["001"]
    assert leftovers(observer) == []
    kept = scalar(observer, "SELECT progress->>'source' FROM neuron_migration_log WHERE n = 1")
    assert kept == more.strip()


def test_the_function_is_given_no_more_than_it_asked_for(
    observer: psycopg.Connection, run: Run
) -> None:
    """At most batch_size rows, however quickly they are written."""
    create_items(observer, 45)
    sizes: list[int] = []

    def function(rows: Rows) -> Rows:
        sizes.append(len(rows))
        return lower(rows)

    run(function, batch_size=10)
    assert sizes == [10, 10, 10, 10, 5]
    assert touches(observer) == (45, 1)


def test_the_function_is_called_outside_of_any_transaction(
    observer: psycopg.Connection, run: Run
) -> None:
    """So that it may take as long as it likes: no snapshot and no row is held."""
    create_items(observer, 5)
    states: list[Any] = []

    def function(rows: Rows) -> Rows:
        found = observer.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
            "pid <> pg_backend_pid() AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)"
        )
        states.append(found.fetchone())
        return lower(rows)

    run(function)
    assert states == [(0,)]


@pytest.mark.extension("vector")
def test_values_of_every_type_are_written_as_they_are_given(
    observer: psycopg.Connection, run: Run
) -> None:
    """Vectors, documents, arrays, ranges, times: by the types of the table's columns."""
    observer.execute("CREATE EXTENSION vector")
    source = values_table()
    table = Table(
        "vals",
        MetaData(),
        Column("id", Integer, primary_key=True),
        *(Column(column.name, column.type) for column in source.columns),
    )
    from sqlalchemy.schema import CreateTable

    observer.execute(compile_element(CreateTable(table))[0].sql.replace("SERIAL", "INT").encode())
    observer.execute("INSERT INTO vals (id) VALUES (1), (2), (3)")
    given = {f"c{n}": value for n, (_, value, _) in enumerate(VALUES.values())}
    empty = dict.fromkeys(given)
    run(lambda rows: [empty if row["id"] == 2 else given for row in rows], table, columns=[])
    observer.execute("SET TimeZone = 'UTC'")
    for number, (name, (_, value, printed)) in enumerate(VALUES.items()):
        rows = observer.execute(f"SELECT c{number}::text FROM vals ORDER BY id".encode()).fetchall()
        shown = ["<null>" if text is None else text for (text,) in rows]
        assert (name, shown[0], shown[2]) == (name, printed, printed), value
        assert shown[1] in ("<null>", "null", '{"v": null}')


def test_what_is_read_arrives_as_sqlalchemy_reads_it(
    observer: psycopg.Connection, run: Run
) -> None:
    """Enumerations, documents, numbers and times as Python has them."""
    import datetime as dt
    import decimal
    import enum
    import uuid

    from sqlalchemy import ARRAY, JSON, DateTime, Enum, Numeric, Text, Uuid

    class Mood(enum.Enum):
        happy = 1

    observer.execute("CREATE TYPE mood AS ENUM ('happy')")
    observer.execute(
        "CREATE TABLE t (id uuid PRIMARY KEY, m mood, j json, d timestamptz, n numeric, "
        "x text[], b text)"
    )
    key = uuid.UUID(int=7)
    observer.execute(
        "INSERT INTO t VALUES (%s, 'happy', '{\"a\": [1]}', '2024-01-02 03:04+00', 1.50, "
        "'{a,NULL}', NULL)",
        (key,),
    )
    table = Table(
        "t",
        MetaData(),
        Column("id", Uuid, primary_key=True),
        Column("m", Enum(Mood, name="mood")),
        Column("j", JSON),
        Column("d", DateTime(timezone=True)),
        Column("n", Numeric),
        Column("x", ARRAY(Text)),
        Column("b", Text),
    )
    seen: list[Rows] = []

    def function(rows: Rows) -> Rows:
        seen.append(rows)
        return [{"b": "x", "m": row["m"], "j": row["j"], "d": row["d"]} for row in rows]

    run(function, table, columns=list("mjdnx"))
    assert seen == [
        [
            {
                "id": key,
                "m": Mood.happy,
                "j": {"a": [1]},
                "d": dt.datetime(2024, 1, 2, 3, 4, tzinfo=dt.UTC),
                "n": decimal.Decimal("1.50"),
                "x": ["a", None],
            }
        ]
    ]
    assert scalar(observer, "SELECT m::text || (j->>'a') || b FROM t") == "happy[1]x"


def test_a_key_of_floats_is_met_exactly(
    database: URL, observer: psycopg.Connection, run: Run
) -> None:
    """Whatever the number of digits that the database shows."""
    observer.execute(f'ALTER DATABASE "{database.database}" SET extra_float_digits = 0'.encode())
    create_items(observer, 20, "float8")
    observer.execute("UPDATE items SET id = id / 7.0")
    run(lower)
    assert scalar(observer, LEFT) == 0


def test_rows_of_one_key_are_of_one_batch(observer: psycopg.Connection, run: Run) -> None:
    """Of a table that others inherit from, the key is unique in each of them alone."""
    create_items(observer, 6)
    observer.execute("CREATE TABLE more () INHERITS (items)")
    observer.execute("INSERT INTO more (id, a) SELECT id, 'B' || id FROM ONLY items")
    assert run(lower, batch_size=3).rows == 12
    assert scalar(observer, LEFT) == 0


def test_a_row_that_changed_meanwhile_is_computed_again(
    observer: psycopg.Connection, run: Run
) -> None:
    """What was computed from what it had is not written, and what it has now is what counts."""
    create_items(observer, 30)
    calls: list[list[int]] = []

    def function(rows: Rows) -> Rows:
        calls.append([row["id"] for row in rows])
        if len(calls) == 2:
            observer.execute("UPDATE items SET a = 'CHANGED' WHERE id IN (12, 17)")
            observer.execute("UPDATE items SET n = 5 WHERE id = 13")
        return lower(rows)

    report = run(function, batch_size=10)
    assert calls[1:3] == [list(range(11, 21)), [12, 17]]
    assert scalar(observer, LEFT) == 0
    written = observer.execute("SELECT id FROM ledger.touched GROUP BY id HAVING count(*) > 1")
    assert sorted(int(one) for (one,) in written) == [12, 13, 17]
    assert report.rows == 30


def test_a_change_that_is_no_other_value_is_none(observer: psycopg.Connection, run: Run) -> None:
    """What the function does not read may change, and NULL is the same as NULL."""
    create_items(observer, 3)
    observer.execute("UPDATE items SET a = NULL WHERE id = 2; TRUNCATE ledger.touched")
    calls = 0

    def function(rows: Rows) -> Rows:
        nonlocal calls
        calls += 1
        observer.execute("UPDATE items SET n = 1")
        return [{"b": str(row["a"])} for row in rows]

    run(function)
    assert calls == 1
    assert scalar(observer, "SELECT b FROM items WHERE id = 2") == "None"


def test_a_document_that_changed_in_its_spelling_is_computed_again(
    observer: psycopg.Connection, run: Run
) -> None:
    """The type json has no equality to ask for, nor have all types of extensions."""
    from sqlalchemy import JSON, Text

    observer.execute("CREATE TABLE t (id int PRIMARY KEY, j json, b text)")
    observer.execute("INSERT INTO t VALUES (1, '{\"a\": 1}')")
    table = Table(
        "t",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("j", JSON),
        Column("b", Text),
    )
    calls = 0

    def function(rows: Rows) -> Rows:
        nonlocal calls
        calls += 1
        if calls == 1:
            observer.execute("UPDATE t SET j = '{\"a\":  1}'")
        return [{"b": str(calls)} for _ in rows]

    run(function, table, columns=["j"])
    assert scalar(observer, "SELECT b FROM t") == "2"


def test_rows_that_went_or_no_longer_match_are_left_out(
    observer: psycopg.Connection, run: Run
) -> None:
    """Deleted, or changed by somebody else as they were to be: not written, not computed again."""
    create_items(observer, 10)
    calls = 0

    def function(rows: Rows) -> Rows:
        nonlocal calls
        calls += 1
        if calls == 1:
            observer.execute("DELETE FROM items WHERE id = 3")
            observer.execute("UPDATE items SET b = 'theirs' WHERE id = 5")
        return lower(rows)

    report = run(function, where="b IS NULL")
    assert report.rows == 8
    assert calls == 1
    assert scalar(observer, "SELECT b FROM items WHERE id = 5") == "theirs"
    assert touches(observer) == (9, 1)


def test_rows_that_are_left_as_they_are_end_it(observer: psycopg.Connection, run: Run) -> None:
    """They match for ever; when a pass leaves all of them, it is done and says so."""
    create_items(observer, 25)

    def function(rows: Rows) -> list[dict[str, Any] | None]:
        return [None if row["id"] % 5 == 0 else {"b": row["a"].lower()} for row in rows]

    report = run(function, where="b IS NULL", batch_size=4)
    assert report.rows == 20
    assert report.note == "5 rows were left as they were"
    assert touches(observer) == (20, 1)


def test_rows_inserted_while_it_comes_to_its_end_are_computed_too(
    observer: psycopg.Connection, run: Run
) -> None:
    """Behind those that are left as they are, while the last pass goes on."""
    create_items(observer, 10)
    calls = 0

    def function(rows: Rows) -> list[dict[str, Any] | None]:
        nonlocal calls
        calls += 1
        if calls == 3:
            observer.execute("INSERT INTO items VALUES (0, 'NEW')")
        return [None if row["id"] > 5 else {"b": row["a"].lower()} for row in rows]

    report = run(function, where="b IS NULL", batch_size=5)
    assert report.rows == 6
    assert scalar(observer, "SELECT b FROM items WHERE id = 0") == "new"
    assert touches(observer) == (6, 1)


def test_rows_that_come_in_for_ever_and_are_left_do_not_keep_it_going(
    observer: psycopg.Connection, run: Run
) -> None:
    """After a few passes in which nothing was written it is done."""
    create_items(observer, 5)
    calls = 0

    def function(rows: Rows) -> list[None]:
        nonlocal calls
        calls += 1
        observer.execute("INSERT INTO items (id) VALUES (%s)", (-calls,))
        return [None for _ in rows]

    assert run(function, where="b IS NULL").rows == 0
    assert calls == 3


def test_a_type_that_wraps_its_values_in_a_function_does_so(
    observer: psycopg.Connection, run: Run
) -> None:
    """As in every statement of SQLAlchemy's."""
    from sqlalchemy import Text, func
    from sqlalchemy.types import TypeDecorator

    class Loud(TypeDecorator[str]):
        impl = Text
        cache_ok = True

        def bind_expression(self, bindparam: Any) -> Any:
            return func.upper(bindparam)

    create_items(observer, 2)
    table = Table(
        "items",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("a", Text),
        Column("b", Loud),
    )
    run(lambda rows: [{"b": "it's"} for _ in rows], table)
    assert scalar(observer, "SELECT DISTINCT b FROM items") == "IT'S"


def test_a_row_that_never_comes_to_rest_is_an_error(
    observer: psycopg.Connection, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which names it; what else there is was written."""
    monkeypatch.setattr("neuron_schema.execution.backfill_rows.time.sleep", lambda _: None)
    create_items(observer, 10)

    def function(rows: Rows) -> Rows:
        observer.execute("UPDATE items SET a = a || 'x' WHERE id = 4")
        return lower(rows)

    with pytest.raises(OperationUnfinished, match=r"change each time .* 4"):
        run(function)
    assert scalar(observer, "SELECT count(b) FROM items") == 9
    assert applied(observer) == []


def boom(rows: Rows) -> Rows:
    """Fail as a service does that is down."""
    raise ConnectionError("no embeddings today")


WRONG: dict[str, tuple[Callable[[Rows], Any], str]] = {
    "an exception": (boom, "boom raised ConnectionError: no embeddings today"),
    "nothing": (lambda _: None, "returned a NoneType for 5 rows"),
    "too few": (lambda rows: lower(rows)[1:], "returned 4 rows for 5 rows"),
    "texts": (lambda _: ["x"] * 5, "returned a str for a row"),
    "one text": (lambda _: "abcde", "returned a str for a row"),
    "another column": (lambda _: [{"c": 1}] * 5, "'c', which is no column"),
    "a column that is not there": (lambda _: [{"absent": 1}] * 5, "'absent', which is no column"),
    "the key": (lambda _: [{"id": 1}] * 5, "'id', which belongs to the key"),
    "different columns": (
        lambda rows: [{"b": "x"}, {"b": "x", "n": 1}, *lower(rows)[2:]],
        "returned b for one row and b, n for another",
    ),
    "another type": (lambda _: [{"n": "x"}] * 5, "returned for 'n': 'x' is no integer"),
    "a NUL": (lambda _: [{"b": "\0"}] * 5, "returned for 'b' a NUL byte"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_function_does_wrong_is_said(
    observer: psycopg.Connection, run: Run, name: str
) -> None:
    """With its name and what it returned; nothing of that batch is written."""
    function, reason = WRONG[name]
    create_items(observer, 5)
    with pytest.raises(OperationUnfinished, match=reason):
        run(function)
    assert touches(observer) == (0, 0)
    assert applied(observer) == []


#: By the column's type: how a version declares it, a value, and what there is to say of it.
UNREAD: dict[str, tuple[Any, str, str]] = {
    "timestamptz": (DateTime(timezone=True), "infinity", "timestamp too large"),
    "date": (Date(), "0044-03-15 BC", "date too small"),
    "text": (Enum("one", "two", native_enum=False), "three", "'three' is not among"),
}


@pytest.mark.parametrize("type_", UNREAD)
def test_a_row_that_python_cannot_hold_is_said(
    observer: psycopg.Connection, run: Run, type_: str
) -> None:
    """PostgreSQL has dates that Python has not, and a version may declare a column as it likes."""
    declared, value, reason = UNREAD[type_]
    observer.execute(f"CREATE TABLE odd (id int PRIMARY KEY, a {type_}, b text)".encode())
    observer.execute("INSERT INTO odd VALUES (1, %s, NULL)", (value,))
    odd = Table(
        "odd",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("a", declared),
        Column("b", VALUES["text"][0]),
    )
    with pytest.raises(OperationUnfinished, match=f"cannot be given to lower: .*{reason}"):
        run(lower, odd)
    assert applied(observer) == []


def test_a_value_that_the_column_cannot_hold_is_postgresql_s_to_refuse(
    observer: psycopg.Connection, run: Run
) -> None:
    """It is not cut to what would fit."""
    create_items(observer, 5)
    observer.execute("ALTER TABLE items ALTER b TYPE varchar(3)")
    with pytest.raises(StatementFailed, match="too long"):
        run(lambda rows: [{"b": "four"} for _ in rows])
    assert touches(observer) == (0, 0)


def test_a_condition_that_still_holds_is_an_error(observer: psycopg.Connection, run: Run) -> None:
    """It would be computed for ever, which may cost money."""
    create_items(observer, 5)
    with pytest.raises(OperationUnfinished, match="condition still holds"):
        run(lower, where="a IS NOT NULL")
    assert touches(observer) == (0, 0)


def test_it_goes_on_where_it_failed_with_the_rows_that_changed(
    observer: psycopg.Connection, run: Run
) -> None:
    """A row that was to be computed again is not forgotten, though all behind it are done."""
    create_items(observer, 30)
    calls: list[list[int]] = []

    def function(rows: Rows) -> Rows:
        calls.append([row["id"] for row in rows])
        if len(calls) == 2:
            observer.execute("ALTER TABLE items DISABLE TRIGGER touch")
            observer.execute("UPDATE items SET a = 'CHANGED' WHERE id = 15")
            observer.execute("ALTER TABLE items ENABLE TRIGGER touch")
        if len(calls) == 3:
            raise ConnectionError
        return lower(rows)

    with pytest.raises(OperationUnfinished):
        run(function, batch_size=10)
    report = run(function, batch_size=10)
    assert calls[2:] == [[15], [15], list(range(21, 31)), []][:3]
    assert scalar(observer, LEFT) == 0
    assert touches(observer) == (30, 1)
    assert report.rows == 30
    assert attempts(observer) == {1}


def test_more_rows_than_a_batch_may_change_at_once(observer: psycopg.Connection, run: Run) -> None:
    """They are computed again a batch at a time, also when batches were made smaller."""
    create_items(observer, 12)
    sizes: list[int] = []

    def function(rows: Rows) -> Rows:
        sizes.append(len(rows))
        if len(sizes) == 1:
            observer.execute("ALTER TABLE items DISABLE TRIGGER touch")
            observer.execute("UPDATE items SET a = a || 'X'")
            observer.execute("ALTER TABLE items ENABLE TRIGGER touch")
        if len(sizes) == 2:
            raise ConnectionError
        return lower(rows)

    with pytest.raises(OperationUnfinished):
        run(function, batch_size=12)
    report = run(function, batch_size=5)
    assert sizes == [12, 12, 5, 5, 2]
    assert report.rows == 12
    assert scalar(observer, LEFT) == 0
    assert touches(observer) == (12, 1)


def test_another_text_under_the_same_revision_is_a_warning(
    observer: psycopg.Connection, run: Run
) -> None:
    """While it runs and in the report; under another revision it is what it should be."""
    create_items(observer, 5)

    def other(rows: Rows) -> Rows:
        return lower(rows)

    run(lower)
    assert run.warnings == []
    again(observer)
    report = run(other)
    [warning] = run.warnings
    assert "the text of other is another than before" in warning.text
    assert warning.step == report.step
    assert "under the same revision 1" in report.note
    again(observer)
    run(lower, revision="2")
    assert len(run.warnings) == 1


def again(observer: psycopg.Connection) -> None:
    """Let the version be pending once more, as after a down."""
    observer.execute("DELETE FROM neuron_migrations")


def test_a_down_s_function_is_not_kept_but_told(
    engine: Engine, observer: psycopg.Connection, tmp_path: Path
) -> None:
    """The log of the up tells what the down was, as far as JSON can."""
    create_items(observer, 5)
    more = 'def upper(rows):\n    return [{"b": row["a"]} for row in rows]\n'
    down = '[BackfillRows(items, upper, ["a"])]'
    path = write_backfill(tmp_path, '[Backfill(items, {"b": "lower(a)"})]', down=down, more=more)
    runner = MigrationRunner(engine, path, allow_non_empty=True)
    runner.up()
    record = scalar(
        observer, "SELECT down_operation FROM neuron_migration_log WHERE outcome = 'applied'"
    )
    assert record["backfill"]["rows"]["name"] == "upper"
    assert "function" not in json.dumps(record)
    runner.down()
    assert scalar(observer, "SELECT bool_and(b = a) FROM items") is True
    assert attempts(observer, "down") == {1}
