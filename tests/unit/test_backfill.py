"""Backfills without a database: what is refused, what is in a checksum, and how fast they go."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text, bindparam, literal, select, text
from sqlalchemy import table as light_table

from neuron_schema import log, ops
from neuron_schema.backfill_log import Position, advanced, counted, known, resumed
from neuron_schema.backfill_pace import (
    LARGEST_BATCH,
    LARGEST_LAG_BYTES,
    LONGEST_LAG_S,
    TARGET_S,
    lagging,
    next_size,
)
from neuron_schema.compiling.compiler import CompileError, check_step, compile_element
from neuron_schema.errors import VersionError
from neuron_schema.model import Direction, Statement, Step
from tests.constructs import sums

items = Table(
    "items",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("a", Text),
    Column("b", Text),
    Column("n", Integer),
)
other = Table("other", MetaData(), Column("id", Integer), Column("n", Text))


def lower(rows: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    """Return values for rows."""
    return [{"b": row["a"].lower()} for row in rows]


def sql(op: ops.Operation) -> str:
    """Return an operation's statement on one line."""
    return " ".join(compile_element(op)[0].sql.split())


@given(st.integers(1, LARGEST_BATCH), st.floats(0, 1e6))
def test_a_batch_is_at_most_doubled_and_at_least_halved(size: int, seconds: float) -> None:
    """And stays between one row and the most; slow ones shrink, quick ones grow."""
    following = next_size(size, seconds)
    assert 1 <= following <= LARGEST_BATCH
    assert size / 2 - 1 <= following <= size * 2
    if seconds > TARGET_S:
        assert following <= size
    else:
        assert following >= size


@given(st.floats(1e-5, 1.0), st.integers(1, LARGEST_BATCH))
def test_batches_come_to_take_as_long_as_they_are_to(per_row: float, size: int) -> None:
    """Whatever the cost of a row and the first size, after a few batches."""
    for _ in range(40):
        size = next_size(size, size * per_row)
    wanted = min(LARGEST_BATCH, max(1.0, TARGET_S / per_row))
    assert wanted / 2 - 1 <= size <= wanted * 2 + 1


@pytest.mark.parametrize(
    ("standbys", "behind"),
    [
        ([], ()),
        ([("a", None, None)], ()),
        ([("a", 0.5, 1000.0)], ()),
        ([("a", LONGEST_LAG_S, float(LARGEST_LAG_BYTES))], ()),
        ([("a", LONGEST_LAG_S + 1, None)], ("a",)),
        ([("a", None, LARGEST_LAG_BYTES + 1.0), ("b", 0.0, 0.0)], ("a",)),
        ([("", 60.0, 0.0)], ("a standby",)),
    ],
)
def test_a_standby_that_is_far_behind_is_named(
    standbys: list[tuple[Any, ...]], behind: tuple[str, ...]
) -> None:
    """By time or by bytes; what a role may not see is no reason to wait."""
    assert lagging(standbys) == behind


def test_the_statement_is_the_one_update_it_amounts_to() -> None:
    """Values inline, a subquery correlated with the table's row, texts as they stand."""
    subquery = select(other.c.n).where(other.c.id == items.c.id).scalar_subquery()
    op = ops.Backfill(items, {"b": subquery, items.c.n: 5}, where=items.c.b.is_(None))
    assert sql(op) == (
        "UPDATE items SET b = (SELECT other.n FROM other WHERE other.id = items.id), "
        "n = 5 WHERE items.b IS NULL"
    )
    op = ops.Backfill("items", {"b": "a || ':x%'"}, key=["id"], where="b LIKE '%:y'")
    assert sql(op) == "UPDATE items SET b = a || ':x%' WHERE b LIKE '%:y'"
    op = ops.Backfill(items, {"a": "b -- c", "b": None}, where="a = '' -- d")
    assert compile_element(op)[0].sql == (
        "UPDATE items\n   SET a = b -- c\n,\n       b = NULL\n WHERE a = '' -- d"
    )


def test_a_word_is_a_text_or_a_column_as_it_is_said() -> None:
    """A number, a constant, an expression and a quoted name are no bare words."""
    for value, text_ in (
        (literal("a"), "'a'"),
        (text("a"), "a"),
        (items.c.a, "items.a"),
        ("1", "1"),
        ("-2.5", "-2.5"),
        ("'a'", "'a'"),
        ('"a"', '"a"'),
        ("a.b", "a.b"),
        ("lower(a)", "lower(a)"),
        ("NULL", "NULL"),
        ("true", "true"),
        ("current_timestamp", "current_timestamp"),
    ):
        assert sql(ops.Backfill(items, {"b": value})) == f"UPDATE items SET b = {text_}"


def test_a_schema_and_names_that_must_be_quoted_are_kept() -> None:
    """Also in the key and in what the batches are made of."""
    statement = compile_element(
        ops.Backfill(light_table('I "x"', schema="S"), {"V": "1"}, key=["Id"])
    )[0]
    assert statement.own_commit is not None
    spec = statement.own_commit.backfill
    assert spec is not None
    assert (spec.table, spec.key) == ('"S"."I ""x"""', ('"Id"',))
    assert spec.set_ == (('"V"', "1"),)


def test_how_it_is_divided_is_not_in_the_checksum() -> None:
    """What it makes is."""
    one = sums(ops.Backfill(items, {"b": "'a'"}))
    assert one == sums(ops.Backfill(items, {"b": "'a'"}, batch_size=5, pause=2, key=["id"]))
    assert one != sums(ops.Backfill(items, {"b": "'a'"}, where="b IS NULL"))
    assert one != sums(ops.Backfill(items, {"b": "lower(a)"}))


def test_the_function_is_not_in_the_checksum() -> None:
    """But its revision is, with table, columns and condition."""
    one = sums(ops.BackfillRows(items, lower, ["a"]))
    assert one == sums(ops.BackfillRows(items, lambda rows: rows, ["a"], batch_size=5, pause=1))
    assert one != sums(ops.BackfillRows(items, lower, ["a"], revision="2"))
    assert one != sums(ops.BackfillRows(items, lower, ["a", "b"]))
    assert one != sums(ops.BackfillRows(items, lower, ["a"], where="b IS NULL"))
    assert one != sums(ops.BackfillRows(other, lower, ["n"], key=["id"]))


def test_the_function_s_text_is_had_where_there_is_one() -> None:
    """A class or a builtin has none, and runs all the same."""
    cases: tuple[tuple[Any, str | None], ...] = ((lower, 'return [{"b"'), (len, None))
    for function, source in cases:
        own = compile_element(ops.BackfillRows(items, function, ["a"]))[0].own_commit
        assert own is not None
        assert own.backfill is not None
        assert own.backfill.rows is not None
        found = own.backfill.rows.source
        assert found is None if source is None else source in (found or "")


async def coroutine(rows: list[Any]) -> list[Any]:
    """Stand for an asynchronous function."""
    return rows


REFUSED: dict[str, tuple[Any, str]] = {
    "no key": (lambda: ops.Backfill("items", {"b": "'a'"}), "the key of 'items' is not known"),
    "no primary key": (lambda: ops.Backfill(other, {"n": "1"}), "the key of 'other'"),
    "a key that is no list": (lambda: ops.Backfill(items, {"b": "'a'"}, key="id"), "no list"),
    "an unknown key": (
        lambda: ops.Backfill(items, {"b": "'a'"}, key=["idd"]),
        "no column 'idd'",
    ),
    "an unknown column": (lambda: ops.Backfill(items, {"bb": "a"}), "no column 'bb'"),
    "another table's column": (lambda: ops.Backfill(items, {other.c.n: "a"}), "belongs to"),
    "the key changed": (lambda: ops.Backfill(items, {"id": "1"}), "id of 'items' cannot be set"),
    "a bare word": (lambda: ops.Backfill(items, {"b": "a"}), r"literal\('a'\) for the text"),
    "a bare word of another table": (
        lambda: ops.Backfill("items", {"b": " Ärchived\n"}, key=["id"]),
        "'b' is set to",
    ),
    "nothing set": (lambda: ops.Backfill(items, {}), "sets nothing"),
    "a list set": (lambda: ops.Backfill(items, ["a"]), "sets nothing"),  # type: ignore[arg-type]
    "batches of none": (lambda: ops.Backfill(items, {"b": "'a'"}, batch_size=0), "batch_size"),
    "batches of True": (
        lambda: ops.Backfill(items, {"b": "'a'"}, batch_size=True),
        "batch_size",
    ),
    "huge batches": (
        lambda: ops.Backfill(items, {"b": "'a'"}, batch_size=100_001),
        "batch_size",
    ),
    "a negative pause": (lambda: ops.Backfill(items, {"b": "'a'"}, pause=-1), "pause"),
    "an endless pause": (lambda: ops.Backfill(items, {"b": "'a'"}, pause=math.nan), "pause"),
    "another table": (lambda: ops.Backfill(items, {"b": other.c.n}), "uses another table"),
    "no expression": (lambda: ops.Backfill(items, {"b": "'a'"}, where=5), "no SQL expression"),  # type: ignore[arg-type]
    "a blank condition": (lambda: ops.Backfill(items, {"b": "'a'"}, where=" "), "an expression"),
    "columns unknown": (lambda: ops.BackfillRows("items", lower, ["a"], key=["id"]), "columns of"),
    "a column as text": (lambda: ops.BackfillRows(items, lower, "a"), "no list of columns"),
    "no function": (lambda: ops.BackfillRows(items, 5, ["a"]), "no function"),  # type: ignore[arg-type]
    "a coroutine": (lambda: ops.BackfillRows(items, coroutine, ["a"]), "no function"),  # type: ignore[arg-type]
    "no revision": (lambda: ops.BackfillRows(items, lower, ["a"], revision=""), "revision="),
    "an unknown column read": (lambda: ops.BackfillRows(items, lower, ["c"]), "no column 'c'"),
    "an empty key": (lambda: ops.Backfill(items, {"b": "'a'"}, key=[]), "the key of"),
    "a value without a literal": (
        lambda: ops.Backfill(items, {"b": bindparam("x", required=True)}),
        "x",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_not_run_is_refused(name: str) -> None:
    """When the version is loaded, with the name of what is wrong."""
    build, reason = REFUSED[name]
    with pytest.raises((VersionError, CompileError), match=reason):
        compile_element(build())


def test_it_is_alone_in_its_direction() -> None:
    """Its batches commit, so nothing may share its version."""
    with pytest.raises(CompileError, match="BACKFILL commits on its own"):
        check_step([*compile_element(ops.Backfill(items, {"b": "'a'"})), Statement(sql="SELECT 1")])


def test_an_operation_comes_back_from_the_log_as_it_was() -> None:
    """But for a function, which no log can keep."""
    own = compile_element(ops.Backfill(items, {"b": "'a'"}, where="b IS NULL"))[0].own_commit
    assert own is not None
    record = json.loads(json.dumps(log.recorded_operation(own)))
    assert log.restored_operation(record) == own
    rows = compile_element(ops.BackfillRows(items, lower, ["a"]))[0].own_commit
    assert rows is not None
    record = json.loads(json.dumps(log.recorded_operation(rows)))
    assert record["backfill"]["rows"]["revision"] == "1"
    assert "def lower" in record["backfill"]["rows"]["source"]
    assert log.restored_operation(record) is None
    plain = compile_element(ops.Vacuum("t"))[0].own_commit
    assert plain is not None
    assert log.restored_operation(json.loads(json.dumps(log.recorded_operation(plain)))) == plain


def step(checksum: str = "c") -> Step:
    """Return a step of a backfill."""
    return Step(
        version="001",
        name="fill",
        description="",
        direction=Direction.UP,
        checksum=checksum,
        statements=compile_element(ops.Backfill(items, {"b": "'a'"})),
        path="",
    )


def test_an_attempt_goes_on_where_its_last_batch_ended() -> None:
    """Unless it is over, or what is done or walked through is another."""
    same: dict[str, object] = {"table": 5, "key": ["id"]}
    at = Position(attempt=2, n=3, total=30, swept=10, sweep=2, inserted=7)
    told = {**known(at), **same, "after": ["9"], **dict.fromkeys(counted(at, "0"), 0)}
    told |= {"total": 40, "pass_rows": 20}
    text = json.dumps(told)
    expected = Position(attempt=2, n=4, sweep=2, after=("9",), total=40, swept=20, inserted=7)
    assert advanced(at, told) == expected
    assert resumed([], step(), same) == Position(attempt=1)
    assert resumed([(2, 4, "c", text, False)], step(), same) == expected
    anew = Position(attempt=3)
    assert resumed([(2, 4, "c", text, True)], step(), same) == anew
    assert resumed([(2, 4, "other", text, False)], step(), same) == anew
    assert resumed([(2, 4, "c", text, False)], step(), same | {"table": 6}) == anew
    assert resumed([(2, 4, "c", text, False)], step(), same | {"key": ["a"]}) == anew
