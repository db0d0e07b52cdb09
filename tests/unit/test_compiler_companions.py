"""What CREATE TABLE leaves out must stand beside it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    Enum,
    ForeignKeyConstraint,
    Integer,
    Sequence,
    Table,
    Text,
)
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.schema import (
    AddConstraint,
    CreateIndex,
    CreateSequence,
    CreateTable,
    SetColumnComment,
    SetConstraintComment,
    SetTableComment,
)

from neuron_schema.compiling.compiler import CompileError
from neuron_schema.ops import AddColumn, Sql
from tests.constructs import compile_all, table


def remembered(*extra: Any, **options: Any) -> tuple[Table, CreateTable]:
    """Return a table and its CREATE TABLE."""
    made = table(*extra, **options)
    return made, CreateTable(made)


def test_comments_must_stand_beside_their_table() -> None:
    """CREATE TABLE sets none, so each needs its own element, or its own SQL."""
    made, create = remembered(
        Column("a", Text, comment="c"),
        CheckConstraint("true", name="ck", comment="k"),
        comment="t's",
        schema="s",
    )
    ck = next(c for c in made.constraints if c.name == "ck")
    beside = [SetTableComment(made), SetColumnComment(made.c.a), SetConstraintComment(ck)]
    compile_all(create, *beside)
    compile_all(create, *beside[1:], Sql("comment on TABLE  s.t is 'other'"))
    for missing, what in zip(
        beside, ("table 's.t'", "column 't.a'", "constraint 'ck'"), strict=True
    ):
        with pytest.raises(CompileError, match=f"does not set the comment of {what}"):
            compile_all(create, *(element for element in beside if element is not missing))


def test_what_add_column_does_not_say_must_stand_beside_it() -> None:
    """As beside CREATE TABLE; what hangs on other columns is none of its business."""
    made, _ = remembered(
        Column("a", Text, comment="c", index=True), Column("b", Text, comment="d", index=True)
    )
    comment = SetColumnComment(made.c.a)
    index = next(CreateIndex(i) for i in made.indexes if i.name == "ix_t_a")
    with pytest.raises(CompileError, match=r"ADD COLUMN does not set the comment of column 't\.a'"):
        compile_all(AddColumn(made.c.a), index)
    with pytest.raises(CompileError, match="ADD COLUMN does not make the index ix_t_a"):
        compile_all(AddColumn(made.c.a), comment)
    compile_all(AddColumn(made.c.a), comment, index)


def test_a_comment_that_is_not_there_is_not_set() -> None:
    """SQLAlchemy would write IS NULL, which takes the comment away."""
    made, _ = remembered(Column("a", Text), CheckConstraint("true", name="ck"))
    ck = next(c for c in made.constraints if c.name == "ck")
    for element in (SetTableComment(made), SetColumnComment(made.c.a), SetConstraintComment(ck)):
        with pytest.raises(CompileError, match="would take its comment away") as caught:
            compile_all(element)
        assert "Drop" in (caught.value.remedy or "")


def test_an_index_flag_needs_its_create_index() -> None:
    """``index=True`` is only seen by create_all."""
    made, create = remembered(
        Column("a", Text, index=True), Column("u", Text, index=True, unique=True)
    )
    with pytest.raises(CompileError, match="does not make the index ix_t_a that index=True"):
        compile_all(create)
    compile_all(create, *(CreateIndex(i) for i in made.indexes))
    compile_all(create, *(CreateIndex(i, if_not_exists=True) for i in made.indexes))


def test_a_named_type_is_made_or_said_to_be_made_elsewhere() -> None:
    """CREATE TABLE makes no type; create_type=False says that an earlier version does."""
    for kind in (
        Enum("a", name="mood"),
        pg.ENUM("a", name="mood"),
        ARRAY(pg.ENUM("a", name="mood")),
    ):
        _, create = remembered(Column("a", kind))
        with pytest.raises(CompileError, match=r"does not make the type 'mood'.*create_type=False"):
            compile_all(create)
        compile_all(pg.CreateEnumType(pg.ENUM("a", name="mood")), create)
        compile_all(Sql("CREATE TYPE mood AS ENUM ('a')"), create)
    _, create = remembered(Column("a", pg.DOMAIN("d", Integer)))
    with pytest.raises(CompileError, match="CreateDomainType"):
        compile_all(create)
    compile_all(remembered(Column("a", pg.ENUM("a", name="mood", create_type=False)))[1])
    compile_all(remembered(Column("a", Enum("a", name="mood", native_enum=False)))[1])


def test_a_sequence_of_a_column_must_be_made() -> None:
    """A Sequence as a Python-side default is neither made nor used by CREATE TABLE."""
    sequence = Sequence("s")
    _, create = remembered(Column("a", Integer, sequence))
    with pytest.raises(CompileError, match="does not make the sequence 's'"):
        compile_all(create)
    compile_all(CreateSequence(sequence), create)
    compile_all(remembered(Column("a", Integer, Sequence("s", optional=True), primary_key=True))[1])


def test_a_constraint_left_out_must_be_added() -> None:
    """``use_alter`` and AddConstraint() take a constraint out of CREATE TABLE."""
    made, create = remembered(Column("id", Integer, primary_key=True), Column("up", Integer))
    key = ForeignKeyConstraint([made.c.up], [made.c.id], name="fk", use_alter=True)
    check = CheckConstraint("up > 0", name="ck")
    made.append_constraint(key)
    made.append_constraint(check)
    with pytest.raises(CompileError, match="leaves out the constraint 'fk', because use_alter"):
        compile_all(create)
    compile_all(create, AddConstraint(key))
    added = AddConstraint(check)
    with pytest.raises(CompileError, match=r"constraint 'ck', because AddConstraint\(\)"):
        compile_all(create, AddConstraint(key))
    compile_all(create, AddConstraint(key), added)
