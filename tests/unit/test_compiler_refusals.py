"""What the compiler refuses, and what it tells to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from psycopg.sql import SQL
from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PickleType,
    Sequence,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import (
    DDL,
    AddConstraint,
    CreateIndex,
    CreateTable,
)

from neuron_schema.compiling.compiler import CompileError, compile_element
from neuron_schema.errors import VersionError
from neuron_schema.model import Statement
from neuron_schema.ops import AddColumn, Sql, irreversible
from tests.constructs import table

if TYPE_CHECKING:
    from collections.abc import Callable


class Base(DeclarativeBase):
    """The base of a mapped class."""


class User(Base):
    """A mapped class, as services have them."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)


t = table(Column("id", Integer, primary_key=True), Column("name", Text))
ix = Index("ix_name", t.c.name)


@pytest.mark.parametrize(
    ("element", "reason", "remedy"),
    [
        ("CREATE TABLE t ()", "a bare str", "wrap it in Sql(...)"),
        (SQL("SELECT 1"), "a bare SQL", "wrap it in Sql(...)"),
        (b"SELECT 1", "bytes", "Sql(...)"),
        (t, "a Table", "CreateTable(table)"),
        (t.c.id, "a Column", "AddColumn"),
        (ix, "an Index", "CreateIndex(index)"),
        (UniqueConstraint(t.c.id), "a UniqueConstraint", "AddConstraint"),
        (Sequence("s"), "a Sequence", "CreateSequence"),
        (MetaData(), "a MetaData", "CreateTable"),
        (pg.ENUM("a", name="e"), "a type", "CreateEnumType"),
        (text("SELECT 1"), "text()", "Sql(...)"),
        (select(t), "a query", "Sql(...)"),
        (func.now(), "an expression", "Sql(...)"),
        ((CreateTable(t),), "stray comma", "list its items"),
        ([CreateTable(t)], "stray comma", "list its items"),
        ({}, "a dict", "list the constructs"),
        (None, "None", "return"),
        (irreversible("x"), "inside a list", "down = irreversible"),
        (CreateTable, "CreateTable is a class", "call it"),
        (Sql, "Sql is a class", "call it"),
        (Integer, "Integer is a class", "list constructs"),
        (User, "a mapped class", "CreateTable(User.__table__)"),
        (User(id=1), "a row object", "insert(User.__table__)"),
        (lambda: CreateTable(t), "<lambda> is a function", "call it"),
        (t.metadata.create_all, "create_all wants a connection", "CreateTable(table) for each"),
        (t.metadata.drop_all, "drop_all wants a connection", "a DropTable(table)"),
        (t.create, "create wants a connection", "use CreateTable(table) or DropTable(table)"),
        (ix.drop, "drop wants a connection", "use CreateIndex(index) or DropIndex(index)"),
        (Sequence("s").create, "create wants a connection", "use CreateSequence(...)"),
        (pg.ENUM("a", name="e").create, "create wants a connection", "use CreateEnumType(type)"),
        (t.to_metadata, "to_metadata is a function", "call it"),
        (insert, "insert is a function", "call it"),
        (5, "int is no construct: 5", "Sql(...)"),
    ],
)
def test_what_is_no_statement_is_refused_with_what_to_write(
    element: object, reason: str, remedy: str
) -> None:
    """Every likely mistake names itself and its mending."""
    with pytest.raises(CompileError) as caught:
        compile_element(element)
    assert reason in caught.value.reason
    assert remedy in (caught.value.remedy or "")
    assert str(caught.value) == f"{caught.value.reason}; {caught.value.remedy}"


@pytest.mark.parametrize(
    ("sql", "reason", "remedy"),
    [
        ("SELECT 1; COMMIT", "divides the transaction", "leave it out"),
        ("/* c */ begin; SELECT 1", "divides the transaction", "leave it out"),
        ("SAVEPOINT a", "divides the transaction", "leave it out"),
        ("PREPARE TRANSACTION 'x'", "divides the transaction", "leave it out"),
        (
            "CREATE INDEX CONCURRENTLY i ON t (a)",
            "CREATE INDEX CONC",
            "CreateIndex(Index(..., postgresql_concurrently=True))",
        ),
        (
            "DROP INDEX CONCURRENTLY i",
            "DROP INDEX CONC",
            "DropIndex(Index(..., postgresql_concurrently=True))",
        ),
        ("VACUUM t", "VACUUM", "ops.Vacuum"),
        ("REINDEX TABLE CONCURRENTLY t", "REINDEX CONC", "ops.Reindex"),
        (
            "ALTER TABLE p DETACH PARTITION q CONCURRENTLY",
            "DETACH PARTITION",
            "ops.DetachPartition",
        ),
        ("CREATE DATABASE d", "CREATE DATABASE", "by hand"),
        ("ALTER SYSTEM SET x = 1", "ALTER SYSTEM", "by hand"),
        ("CLUSTER", "CLUSTER", "CLUSTER table USING index"),
        ("SET SESSION AUTHORIZATION x", "another session authorization", "SET LOCAL ROLE"),
        ("set local session authorization x", "another session authorization", "SET LOCAL ROLE"),
        ("reset ALL", "RESET ALL takes back", "RESET work_mem"),
        ("COPY t FROM STDIN", "COPY", "insert(table)"),
        ("SELECT 1;\n  SELECT 'open", 'line 2, column 10: "\'open"', "PostgreSQL would refuse"),
        ("SELECT 1;\n\\copy t from 'x'", "line 2, column 1", "command of psql"),
        ("-- nothing\n/* at all */ ;", "nothing but comments", "leave the element out"),
    ],
)
def test_verbatim_sql_that_cannot_be_in_a_version_is_refused(
    sql: str, reason: str, remedy: str
) -> None:
    """The operation to use instead is named where there is one."""
    with pytest.raises(CompileError) as caught:
        compile_element(Sql(sql))
    assert reason in caught.value.reason
    assert remedy in (caught.value.remedy or "")


def test_sql_is_split_and_stays_as_it_is() -> None:
    """Each statement is one, verbatim, without its semicolon."""
    sql = "SELECT '100% :a;' ;\n  -- note\n  SELECT  $$ ; $$;;"
    assert [s.sql for s in compile_element(Sql(sql))] == [
        "SELECT '100% :a;'",
        "-- note\n  SELECT  $$ ; $$",
    ]


def test_ddl_objects_are_taken_only_when_formatting_leaves_them_alone() -> None:
    """DDL() formats ``%``, so one that has it must be Sql."""
    make: Any = DDL
    assert compile_element(make("SELECT ':a'")) == (Statement(sql="SELECT ':a'"),)
    for ddl in (make("SELECT 5 % 3"), make("SELECT '%%'"), make("SELECT 1", context={"a": "b"})):
        with pytest.raises(CompileError, match=r"Sql\(\.\.\.\)"):
            compile_element(ddl)
    with pytest.raises(CompileError, match="divides the transaction"):
        compile_element(make("COMMIT"))


def default(server_default: Any) -> CreateTable:
    """Return a CREATE TABLE with a default."""
    return CreateTable(table(Column("a", Text, server_default=server_default)))


def checked(condition: Any) -> CreateTable:
    """Return a CREATE TABLE with a CHECK."""
    return CreateTable(table(Column("a", Text), CheckConstraint(condition)))


def smuggled(condition: str) -> AddConstraint:
    """Return an ADD CONSTRAINT with a CHECK."""
    constraint = CheckConstraint(condition)
    table(Column("a", Text), constraint)
    return AddConstraint(constraint)


def index(*keys: Any, **options: Any) -> CreateIndex:
    """Return a CREATE INDEX on a table with the columns a and Column("e", key="embedding")."""
    on = table(Column("a", Text), Column("e", Text, key="embedding"))
    return CreateIndex(
        Index("i", *(on.c[key] if isinstance(key, str) else key(on) for key in keys), **options)
    )


@pytest.mark.parametrize(
    ("element", "message"),
    [
        (lambda: default(text("'a :b'")), r"`:b` in a text .* would become NULL.*\\:b"),
        (lambda: checked(text("a <> '\"k\":1'")), "`:1` in a text"),
        (lambda: checked("a <> ' :name'"), "`:name` in a text"),
        (lambda: default(literal(b"a\0", Text)), "b'a"),
        (lambda: default("a\0b"), "NUL"),
        (lambda: default("\ud800"), "surrogate"),
        (lambda: default(literal(object())), "object"),
        (lambda: default(literal(1.5, Integer)), "1.5 is no integer"),
        (lambda: default(literal("x", Integer)), "'x' is no integer"),
        (lambda: default(literal({1, 2}, pg.JSONB)), "cannot be JSON"),
        (lambda: default(literal("12", pg.BIT)), "no bit string"),
        (lambda: default(literal("text", LargeBinary)), "is not bytes"),
        (lambda: default(literal(5, pg.INT4RANGE)), "no range"),
        (lambda: default(literal(5, ARRAY(Integer))), "no list"),
        (lambda: default(literal([1], PickleType)), "PickleType"),
        (lambda: default(literal(5, pg.INTERVAL)), "no timedelta"),
        (lambda: CreateTable(table(Column("a", Integer, Computed("1")))), "persisted=True"),
        (lambda: index("embedding", postgresql_ops={"e": "x_ops"}), "key 'e'.*'embedding'"),
        (lambda: index("embedding", postgresql_ops={"embeding": "x"}), "did you mean 'embedding'"),
        (lambda: index("a", "embedding", postgresql_ops={"z": "x"}), "'a', 'embedding'"),
        (
            lambda: index(lambda on: on.c.a.desc(), postgresql_ops={"a": "x"}),
            "none; name an expression",
        ),
        (lambda: index("a", postgresql_include=["q"]), "CreateIndex cannot be compiled: 'q'"),
        (lambda: CreateIndex(Index("free")), "CreateIndex cannot be compiled: Index 'free'"),
        (lambda: CreateIndex(Index("i" * 64, Column("a"))), "associated|bytes|exceeds"),
        (lambda: CreateTable(table(Column("ü" * 40, Text))), "has 80 bytes"),
        (
            lambda: CreateTable(table(Column("a", Integer, ForeignKey("other.id")))),
            r"Table\(\"other\"",
        ),
        (lambda: CreateTable(table(Column("a"))), "CreateTable cannot be compiled"),
        (lambda: AddConstraint(CheckConstraint("1 = 1")), "AddConstraint cannot be compiled"),
        (lambda: smuggled("1=1); DROP TABLE x; --"), "compiles to 2 statements"),
        (lambda: CreateTable(t).execute_if(dialect="postgresql"), "same everywhere"),
        (
            lambda: CreateTable(
                table(Column("a", Text), CheckConstraint("true").ddl_if(dialect="x"))
            ),
            "cannot depend on where",
        ),
        (lambda: insert(t), "Insert has no values for id, name"),
        (lambda: update(t), "Update has no values for id, name"),
        (lambda: insert(t).values(name=bindparam("x")), "has no value|parameter"),
        (lambda: insert(t).values(name=bindparam("x", callable_=str)), "is a function"),
        (lambda: delete(t).where(t.c.id == bindparam("x")), "`:x`"),
        (lambda: insert(User).values(id=1), "mapped class"),
        (lambda: delete(User), "mapped class"),
        (lambda: AddColumn(table(Column("c" * 64, Text)).c[0]), "bytes"),
    ],
)
def test_what_would_be_lost_or_altered_is_refused(
    element: Callable[[], object], message: str
) -> None:
    """Nothing is dropped, cut, turned into NULL or left to the server in silence."""
    # Operations refuse some of it themselves, when they are made.
    with pytest.raises((CompileError, VersionError), match=f"(?s){message}"):
        compile_element(element())
