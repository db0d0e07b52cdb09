"""What the operations refuse, and what they leave as it is."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Sequence,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    column,
    table,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.exc import UnsupportedCompilationError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import AddConstraint

from neuron_schema import ops
from neuron_schema.compiling.compiler import CompileError, compile_element
from neuron_schema.errors import VersionError
from neuron_schema.ops.function import dollar_quoted

if TYPE_CHECKING:
    from collections.abc import Callable

DIALECT = PGDialect_psycopg(paramstyle="named")  # type: ignore[no-untyped-call]
TOO_LONG = "é" * 32


def sql(op: ops.Operation) -> str:
    """Return an operation's SQL."""
    return str(op.compile(dialect=DIALECT))


def of_table(*items: Any) -> Column[Any]:
    """Return column ``c`` of a new table ``t`` that is made of these items."""
    found: Column[Any] = Table("t", MetaData(), *items).c.c
    return found


def users() -> Table:
    """Return a table of its own for each test."""
    return Table("users", MetaData(), Column("id", Integer), Column("name", Text))


def test_verbatim_sql_is_kept_to_the_letter() -> None:
    """Neither blanks at the ends nor percent signs nor colons are touched."""
    given = "\n  SELECT ':x', '%s', 1 % 2;\r\n"
    assert ops.Sql(given).text == given
    assert sql(ops.Sql(given)) == given


@pytest.mark.parametrize("given", ["", "  \n\t", "SELECT '\x00'"])
def test_verbatim_sql_that_cannot_be_sent_is_refused(given: str) -> None:
    """Blank text and NUL bytes are errors where they are written."""
    with pytest.raises(ValueError, match=r"blank|NUL"):
        ops.Sql(given)


def test_verbatim_sql_is_a_str() -> None:
    """A ``text()`` would have bound ``:x`` already."""
    with pytest.raises(TypeError, match="str"):
        ops.Sql(column("x"))  # type: ignore[arg-type]


def test_irreversible_keeps_its_reason() -> None:
    """The reason is what whoever rolls back is told."""
    assert ops.irreversible("rows are gone").reason == "rows are gone"
    assert ops.irreversible("a") == ops.Irreversible("a")


@pytest.mark.parametrize("reason", ["", " \n"])
def test_irreversible_wants_a_reason(reason: str) -> None:
    """A blank reason helps nobody."""
    with pytest.raises(ValueError, match="reason"):
        ops.irreversible(reason)


def test_irreversible_wants_text() -> None:
    """A forgotten reason is an error at once."""
    with pytest.raises(TypeError, match="str"):
        ops.irreversible(None)  # type: ignore[arg-type]


LOST: dict[str, Callable[[], Column[Any]]] = {
    "system=True": lambda: of_table(Column("c", Integer, system=True)),
    "Sequence": lambda: of_table(Column("c", Integer, Sequence("s"))),
    "persisted": lambda: of_table(Column("c", Integer, Computed("1"))),
    "composite": lambda: of_table(
        Column("c", Integer, primary_key=True), Column("d", Integer, primary_key=True)
    ),
    "of a table": lambda: Column("c", Integer),
}


@pytest.mark.parametrize("what", LOST)
def test_add_column_refuses_what_it_would_lose(what: str) -> None:
    """What ALTER TABLE ADD COLUMN cannot say is an error that says what to do."""
    with pytest.raises(VersionError, match=what) as caught:
        ops.AddColumn(LOST[what]())
    assert caught.value.remedy


NOT_INLINE: dict[str, Callable[[], Any]] = {
    "not_valid of a CHECK": lambda: CheckConstraint("c > 1", postgresql_not_valid=True),
    "not_valid of a FOREIGN KEY": lambda: ForeignKey("t.d", postgresql_not_valid=True),
}


@pytest.mark.parametrize("what", NOT_INLINE)
def test_add_column_refuses_constraints_that_no_column_can_have(what: str) -> None:
    """NOT VALID is for ADD CONSTRAINT alone; PostgreSQL would call it a syntax error."""
    op = ops.AddColumn(of_table(Column("c", Integer, NOT_INLINE[what]()), Column("d", Integer)))
    with pytest.raises(VersionError, match="not_valid"):
        sql(op)


def test_add_column_names_the_table_that_a_reference_lacks() -> None:
    """The referenced table has to be declared beside it."""
    with pytest.raises(VersionError, match="gone") as caught:
        sql(ops.AddColumn(of_table(Column("c", Integer, ForeignKey("gone.id")))))
    assert "MetaData" in (caught.value.remedy or "")


def test_add_column_takes_only_the_column_s_own_constraints() -> None:
    """What was written beside the column, or over several columns, is an AddConstraint."""
    added = of_table(
        Column("c", Integer),
        Column("d", Integer),
        UniqueConstraint("c", name="beside"),
        UniqueConstraint("c", "d"),
        CheckConstraint("c > d"),
        ForeignKeyConstraint(["c", "d"], ["t.d", "t.c"]),
    )
    assert sql(ops.AddColumn(added)) == "ALTER TABLE t ADD COLUMN c INTEGER"


def test_add_column_leaves_out_what_an_add_constraint_was_made_for() -> None:
    """As CREATE TABLE does: the constraint is added once."""
    added = of_table(Column("c", Integer, unique=True))
    for item in added.table.constraints:
        if isinstance(item, UniqueConstraint):
            AddConstraint(item)
    assert sql(ops.AddColumn(added)) == "ALTER TABLE t ADD COLUMN c INTEGER"


def test_add_column_follows_a_naming_convention() -> None:
    """A name that the MetaData makes is written out."""
    metadata = MetaData(naming_convention={"uq": "uq_%(table_name)s_%(column_0_name)s"})
    added = Table("t", metadata, Column("c", Integer, unique=True))
    assert sql(ops.AddColumn(added.c.c)) == (
        "ALTER TABLE t ADD COLUMN c INTEGER CONSTRAINT uq_t_c UNIQUE"
    )


def test_mapped_classes_are_taken_as_their_tables() -> None:
    """An attribute of a mapped class is its column, the class its table."""

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    assert sql(ops.RenameColumn(User.name, "n")) == "ALTER TABLE users RENAME COLUMN name TO n"  # type: ignore[arg-type]
    assert sql(ops.Vacuum(User)) == "VACUUM users"  # type: ignore[arg-type]
    policy = ops.CreatePolicy(User, "p", using=User.name == "a")  # type: ignore[arg-type]
    assert sql(policy).endswith("USING (name = 'a')")


def unnamed() -> UniqueConstraint:
    """Return a constraint without a name."""
    return UniqueConstraint(users().c.id)


REFUSED: dict[str, Callable[[], ops.Operation]] = {
    "a column of no table": lambda: ops.DropColumn(column("c")),
    "a table that is said twice": lambda: ops.DropColumn(users().c.id, table="users"),
    "a name without its table": lambda: ops.DropColumn("id"),
    "no column": lambda: ops.DropColumn(5),  # type: ignore[arg-type]
    "no table": lambda: ops.RenameTable(5, "x"),  # type: ignore[arg-type]
    "no name": lambda: ops.RenameTable("t", None),  # type: ignore[arg-type]
    "an empty name": lambda: ops.RenameTable("t", ""),
    "a name with a NUL": lambda: ops.RenameTable("t", "a\x00"),
    "a name that is too long": lambda: ops.RenameTable("t", TOO_LONG),
    "a column name that is too long": lambda: ops.DropColumn(TOO_LONG, table="t"),
    "an extension name that is too long": lambda: ops.CreateExtension(TOO_LONG),
    "a schema name that is too long": lambda: ops.CreateExtension("x", schema=TOO_LONG),
    "nothing to alter": lambda: ops.AlterColumn(users().c.id),
    "using without a type": lambda: ops.AlterColumn(users().c.id, using="1", nullable=True),
    "a blank type": lambda: ops.AlterColumn(users().c.id, type_=" "),
    "a type with a CHECK": lambda: ops.AlterColumn(
        users().c.id, type_=Boolean(create_constraint=True)
    ),
    "another storage": lambda: ops.SetStorage(users().c.id, "BIG"),
    "too fine statistics": lambda: ops.SetStatistics(users().c.id, 10_001),
    "a constraint without a name": lambda: ops.ValidateConstraint(unnamed()),
    "a constraint of no table": lambda: ops.ValidateConstraint(CheckConstraint("1=1", name="c")),
    "an index of no table": lambda: ops.RenameIndex(Index("i", "c"), "j"),
    "an index with two schemas": lambda: ops.RenameIndex(Index("i", users().c.id), "j", schema="s"),
    "a table with two schemas": lambda: ops.Reindex(users(), schema="s"),
    "an index that is not unique": lambda: ops.AddConstraintUsingIndex(
        "users", "u", Index("i", users().c.id)
    ),
    "an index of another table": lambda: ops.AddConstraintUsingIndex(
        "t", "u", Index("i", users().c.id, unique=True)
    ),
    "before and after": lambda: ops.AddEnumValue("e", "a", before="b", after="c"),
    "another volatility": lambda: ops.CreateFunction(
        "f", returns="int", language="sql", body="SELECT 1", volatility="FIXED"
    ),
    "a blank body": lambda: ops.CreateFunction("f", returns="int", language="sql", body=" "),
    "a search path in one string": lambda: ops.CreateFunction(
        "f", returns="int", language="sql", body="SELECT 1", set_={"search_path": "a, b"}
    ),
    "a trigger without an event": lambda: ops.CreateTrigger(
        "t", "x", timing="AFTER", events=(), function="f"
    ),
    "another timing": lambda: ops.CreateTrigger(
        "t", "x", timing="DURING", events="INSERT", function="f"
    ),
    "another event": lambda: ops.CreateTrigger(
        "t", "x", timing="AFTER", events="SELECT", function="f"
    ),
    "columns without UPDATE": lambda: ops.CreateTrigger(
        "t", "x", timing="AFTER", events="INSERT", function="f", update_of=["a"]
    ),
    "a deferrable trigger": lambda: ops.CreateTrigger(
        "t", "x", timing="AFTER", events="INSERT", function="f", deferrable=True
    ),
    "USING for INSERT": lambda: ops.CreatePolicy("t", "p", command="INSERT", using="true"),
    "CHECK for SELECT": lambda: ops.CreatePolicy("t", "p", command="SELECT", check="true"),
    "no role": lambda: ops.CreatePolicy("t", "p", roles=()),
    "no privilege": lambda: ops.Grant((), table="t", to="r"),
    "another privilege": lambda: ops.Grant("READ", table="t", to="r"),
    "a privilege on nothing": lambda: ops.Grant("SELECT", to="r"),
    "a privilege on two things": lambda: ops.Grant("ALL", table="t", schema="s", to="r"),
    "columns of a schema": lambda: ops.Grant("USAGE", schema="s", to="r", columns=["c"]),
    "blank bounds": lambda: ops.AttachPartition("t", "p", " "),
    "bounds that begin with FOR": lambda: ops.AttachPartition("t", "p", "FOR VALUES IN (1)"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_meant_is_refused_where_it_is_written(what: str) -> None:
    """The error comes from the constructor, so that it names the line, and says what to do."""
    with pytest.raises(VersionError) as caught:
        REFUSED[what]()
    assert caught.value.remedy


REFUSED_LATER: dict[str, Callable[[], ops.Operation]] = {
    "an Enum without a name": lambda: ops.AddEnumValue(Enum("a"), "b"),
    "an Enum with two schemas": lambda: ops.AddEnumValue(Enum("a", name="e"), "b", schema="s"),
    "a blank expression": lambda: ops.CreatePolicy("t", "p", using=" "),
    "no expression": lambda: ops.CreatePolicy("t", "p", using=5),  # type: ignore[arg-type]
    "a NUL in a value": lambda: ops.AddEnumValue("e", "a\x00"),
    "a constraint's name that is too long": lambda: ops.ValidateConstraint(
        UniqueConstraint(users().c.id, name=TOO_LONG)
    ),
    "an index's schema that is too long": lambda: ops.Reindex(
        Index("i", Table("t", MetaData(), Column("c"), schema=TOO_LONG).c.c)
    ),
    "a table name that is too long": lambda: ops.Vacuum(table(TOO_LONG)),
    "a schema that is too long": lambda: ops.Vacuum(table("t", schema=TOO_LONG)),
}


@pytest.mark.parametrize("what", REFUSED_LATER)
def test_what_cannot_be_rendered_is_refused(what: str) -> None:
    """The error comes at the latest when the SQL is made."""
    with pytest.raises(VersionError) as caught:
        sql(REFUSED_LATER[what]())
    assert caught.value.remedy


def test_a_parameter_without_a_value_is_refused() -> None:
    """DDL has no parameters, so a bind that has no value cannot become SQL."""
    with pytest.raises(CompileError, match="x"):
        compile_element(ops.CreatePolicy("t", "p", using=column("c") == bindparam("x")))


def test_a_primary_key_s_type_is_never_serial() -> None:
    """SERIAL is no type: ALTER COLUMN TYPE SERIAL is an error."""
    key = Table("t", MetaData(), Column("id", String, primary_key=True)).c.id
    assert (
        sql(ops.AlterColumn(key, type_=Integer())) == "ALTER TABLE t ALTER COLUMN id TYPE INTEGER"
    )


@pytest.mark.parametrize("body", ["", "$$", "$", "a$body1$ $$ b$", "$body1", "$$ $body1$ $body2"])
def test_a_body_cannot_end_its_dollar_quotes(body: str) -> None:
    """The closing tag is found first where the body ends, whatever the body holds."""
    quoted = dollar_quoted(body)
    tag = quoted[: quoted.index("$", 1) + 1]
    assert quoted.index(tag, len(tag)) == len(tag) + len(body)
    assert quoted == tag + body + tag


@pytest.mark.parametrize(
    ("op", "kind"),
    [
        (ops.Vacuum("t"), "VACUUM"),
        (ops.Backfill("t", {"a": "1"}, key=["id"]), "BACKFILL"),
        (ops.Reindex("i", concurrently=True), "REINDEX CONCURRENTLY"),
        (
            ops.DetachPartition("t", "p", concurrently=True),
            "ALTER TABLE DETACH PARTITION CONCURRENTLY",
        ),
    ],
)
def test_what_commits_on_its_own_says_what_it_is(op: ops.Operation, kind: str) -> None:
    """The runner and its messages call it by SQL's words."""
    found = op.own_commit(DIALECT.identifier_preparer)
    assert found is not None
    assert found.kind == kind


def test_an_operation_prints_as_postgresql_s_sql() -> None:
    """``str(op)`` needs no dialect, and another database's dialect has no such statement."""
    op = ops.RenameTable("a", "b")
    assert str(op) == "ALTER TABLE a RENAME TO b"
    with pytest.raises(UnsupportedCompilationError):
        op.compile(dialect=SQLiteDialect())


def test_the_public_names_are_sorted_and_documented() -> None:
    """``__all__`` is the contract; each class mirrors SQL and links to PostgreSQL's page."""
    assert ops.__all__ == sorted(ops.__all__)
    for name in set(ops.__all__) - {"Irreversible", "Operation", "Sql", "irreversible"}:
        assert "https://www.postgresql.org/docs/current/" in (getattr(ops, name).__doc__ or ""), (
            name
        )


def test_the_package_imports_only_what_is_below_it() -> None:
    """``neuron_schema.ops`` may import model and errors, SQLAlchemy and the standard library."""
    allowed = ("neuron_schema.ops", "neuron_schema.model", "neuron_schema.errors", "sqlalchemy")
    standard = {"__future__", "typing", "enum", "dataclasses", "collections.abc"}
    for file in Path(ops.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                module = node.module or ""
                assert module in standard or module.startswith(allowed), f"{file.name}: {module}"
