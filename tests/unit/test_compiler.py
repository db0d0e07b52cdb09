"""Compiling elements, steps and checksums, without a database."""

from __future__ import annotations

import difflib
import functools
import os
import timeit
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Index,
    Integer,
    Text,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import (
    CreateIndex,
    CreateTable,
    DropIndex,
)

from neuron_schema.canonical import canonical
from neuron_schema.compiling.compiler import CompileError, check_step, compile_element
from neuron_schema.model import OwnCommit, Statement
from tests.constructs import CASES, compile_all, sums, table

GOLDEN = Path(__file__).parent.parent / "golden" / "constructs.sql"


class Base(DeclarativeBase):
    """The base of a mapped class."""


class User(Base):
    """A mapped class, as services have them."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)


t = table(Column("id", Integer, primary_key=True), Column("name", Text))
ix = Index("ix_name", t.c.name)


def test_texts_are_the_golden_ones() -> None:
    """What applied versions were recorded with is what every supported SQLAlchemy renders."""
    made = "".join(
        f"-- {name}\n" + "".join(canonical(s.sql) + ";\n" for s in compile_all(*builder())) + "\n"
        for name, builder in CASES.items()
    )
    if os.environ.get("NEURON_SCHEMA_UPDATE_GOLDEN"):
        GOLDEN.write_text(made, encoding="utf-8")
    kept = GOLDEN.read_text(encoding="utf-8")
    assert "\n".join(difflib.unified_diff(kept.split("\n"), made.split("\n"), lineterm="")) == ""


defaulted = table(
    Column("id", Integer, primary_key=True),
    Column("scalar", Integer, default=5),
    Column("called", Integer, default=lambda: 1),
    Column("clause", Integer, default=func.length("x")),
    Column("touched", Integer, onupdate=lambda: 2),
)


@pytest.mark.parametrize(
    ("element", "names"),
    [
        (insert(defaulted).values(id=1), "t.called, t.scalar"),
        (insert(defaulted).values([{"id": 1}, {"id": 2}]), "t.called, t.scalar"),
        (insert(defaulted).values(scalar=1), "t.called"),
        (insert(defaulted).from_select(["id"], select(t.c.id)), "t.called, t.scalar"),
        (update(defaulted).values(scalar=1), "t.touched"),
        (
            insert(t).from_select(
                ["id"],
                select(insert(defaulted).values(id=1).returning(defaulted.c.id).cte("c").c.id),
            ),
            "t.called, t.scalar",
        ),
        (pg.insert(defaulted).values(id=1).on_conflict_do_nothing(), "t.called, t.scalar"),
    ],
)
def test_a_python_side_default_is_refused(element: object, names: str) -> None:
    """SQLAlchemy would render NULL, for rows given and for rows selected."""
    with pytest.raises(CompileError, match=f"leaves {names} to a Python-side default"):
        compile_element(element)


def test_given_values_and_sql_defaults_need_no_python() -> None:
    """Where every Python-side default is overridden, the statement is whole."""
    row = insert(defaulted).values(scalar=1, called=None)
    assert [s.sql for s in compile_element(row)] == [
        "INSERT INTO t (scalar, called, clause) VALUES (1, NULL, length('x'))"
    ]


def test_insert_does_not_return_what_nobody_reads() -> None:
    """SQLAlchemy's RETURNING for the primary key is left out; one that is asked for stays."""
    plain, asked = insert(t).values(name="x"), insert(t).values(name="x").returning(t.c.id)
    assert compile_element(plain)[0].sql == "INSERT INTO t (name) VALUES ('x')"
    assert compile_element(asked)[0].sql.endswith("RETURNING t.id")


def concurrently(**options: Any) -> CreateIndex:
    """Return a CREATE INDEX CONCURRENTLY."""
    return CreateIndex(
        Index("i", table(Column("a", Text)).c.a, postgresql_concurrently=True), **options
    )


def test_an_operation_that_commits_on_its_own_stands_alone() -> None:
    """Never a mixture: half of it would stay after a failure."""
    compile_all(concurrently())
    assert compile_element(concurrently())[0].own_commit is not None
    assert compile_element(DropIndex(concurrently().element))[0].own_commit is not None
    with pytest.raises(CompileError) as caught:
        compile_all(CreateTable(t), concurrently())
    assert "CREATE INDEX CONCURRENTLY commits on its own" in caught.value.reason
    assert "1 other statement:" in caught.value.reason
    assert "version of its own" in (caught.value.remedy or "")
    alone = Statement(sql="x", own_commit=OwnCommit(kind="VACUUM"))
    with pytest.raises(CompileError, match="2 other statements:"):
        check_step([Statement(sql="a"), alone, Statement(sql="b")])


def test_if_not_exists_may_not_hide_an_invalid_index() -> None:
    """IF NOT EXISTS with CONCURRENTLY takes the leftover of an interrupted build."""
    with pytest.raises(CompileError, match="IF NOT EXISTS takes the invalid index"):
        compile_element(concurrently(if_not_exists=True))
    compile_element(CreateIndex(ix, if_not_exists=True))


def test_constructs_can_be_compiled_again() -> None:
    """Compiling leaves no mark on what it is given."""
    for builder in CASES.values():
        elements = builder()
        assert sums(*elements) == sums(*elements)


def test_a_table_and_two_indexes_take_about_half_a_millisecond() -> None:
    """One dialect is shared, and the checks cost little; ten times that is allowed here."""
    wide = table(*(Column(f"c{n}", Text) for n in range(8)))
    elements = [CreateTable(wide), *(CreateIndex(Index(f"i{n}", wide.c[n])) for n in range(2))]
    compile_all(*elements)
    run = functools.partial(compile_all, *elements)
    assert min(timeit.repeat(run, number=10, repeat=5)) / 10 < 0.005
