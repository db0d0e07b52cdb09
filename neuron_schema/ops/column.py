"""ADD COLUMN and DROP COLUMN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Sequence,
    Table,
    UniqueConstraint,
)
from sqlalchemy.exc import NoReferenceError
from sqlalchemy.ext.compiler import compiles

from neuron_schema.errors import VersionError
from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import checked_name, column_name, table_name
from neuron_schema.ops.target import alter_table, column_target

if TYPE_CHECKING:
    from sqlalchemy import Constraint
    from sqlalchemy.sql.compiler import DDLCompiler
    from sqlalchemy.sql.expression import ColumnClause

    from neuron_schema.ops.fragments import TableRef


class AddColumn(Operation):
    """``ALTER TABLE t ADD COLUMN [IF NOT EXISTS] c type ...``.

    https://www.postgresql.org/docs/current/sql-altertable.html

    The column is written as in SQLAlchemy's CREATE TABLE: DEFAULT, IDENTITY, GENERATED, NOT NULL,
    then its PRIMARY KEY, UNIQUE, CHECK and REFERENCES inline. A REFERENCES needs the other table
    (a stub will do) in the same MetaData. A named Enum must exist: ``CreateEnumType`` before.

    Args:
        column: A column of a table; the table is taken from it.
        if_not_exists: Do nothing when there is a column of that name, whatever it looks like.

    Raises:
        VersionError: The column belongs to no table, or carries what ADD COLUMN cannot say (a part
            of a composite key, NOT VALID, a Sequence). A comment and ``index=True`` want
            ``SetColumnComment`` and ``CreateIndex`` beside it.
    """

    def __init__(self, column: Column[Any], *, if_not_exists: bool = False) -> None:
        if not isinstance(column, Column) or not isinstance(column.table, Table):
            raise VersionError(
                f"AddColumn takes a column of a table, not {column!r}",
                remedy='declare it in a Table and pass that: AddColumn(users.c["age"])',
            )
        checked_name(column.name, "column name")
        _refuse_what_would_be_lost(column)
        self.column = column
        self.table = column.table
        self.if_not_exists = if_not_exists


def _refuse_what_would_be_lost(column: Column[Any]) -> None:
    problem, remedy = "", ""
    if column.system:
        problem, remedy = "system=True", "PostgreSQL has its system columns; leave the element out"
    elif isinstance(column.default, Sequence) and column.server_default is None:
        problem = "a Sequence that is no server default"
        remedy = "add CreateSequence(seq) before it and server_default=seq.next_value()"
    elif column.computed is not None and column.computed.persisted is None:
        problem = "Computed without persisted=, which differs between PostgreSQL 17 and 18"
        remedy = "say Computed(..., persisted=True) for STORED"
    elif column.primary_key and len(column.table.primary_key) > 1:
        problem = "a part of a composite primary key"
        remedy = "leave primary_key= out and add AddConstraint(PrimaryKeyConstraint(...)) after it"
    if problem:
        raise VersionError(
            f"column {column} has {problem}: ADD COLUMN cannot say that", remedy=remedy
        )


@compiles(AddColumn, "postgresql")
def _add_column(op: AddColumn, compiler: DDLCompiler, **_: object) -> str:
    parts = [compiler.get_column_specification(op.column)]
    try:
        parts += [_inline(item, compiler) for item in _constraints(op.column, compiler)]
    except NoReferenceError as error:
        raise VersionError(
            f"column {op.column} references what is not declared: {error}",
            remedy="declare the other table, with that column, in the same MetaData",
        ) from error
    word = "ADD COLUMN IF NOT EXISTS" if op.if_not_exists else "ADD COLUMN"
    return f"{alter_table(compiler, op.table)} {word} {' '.join(parts)}"


def _constraints(column: Column[Any], compiler: DDLCompiler) -> list[Constraint]:
    """Return the constraints of this column alone: the key, then the rest as they were written.

    Sorted, because ``Column.constraints`` is a set, whose order differs between processes.
    """
    found: set[Constraint] = set(column.constraints)
    for item in column.table.constraints:
        if list(getattr(item, "columns", ())) == [column] and _belongs_to_column(item):
            found.add(item)
    ordered = sorted(found, key=lambda item: item._creation_order)  # noqa: SLF001
    if column.primary_key:
        ordered.insert(0, column.table.primary_key)
    # The rule of CREATE TABLE, which leaves out what an AddConstraint was made for.
    return [item for item in ordered if item._should_create_for_compiler(compiler)]  # noqa: SLF001


def _belongs_to_column(item: Constraint) -> bool:
    """Tell ``ForeignKey(...)``, ``unique=True`` and a type's CHECK from the table's constraints."""
    if isinstance(item, UniqueConstraint):
        return item._column_flag  # noqa: SLF001
    # A ForeignKeyConstraint over one column cannot be told from a ForeignKey, and says the same.
    return isinstance(item, ForeignKeyConstraint) or item._type_bound  # noqa: SLF001


def _inline(item: Constraint, compiler: DDLCompiler) -> str:
    """Return a constraint of one column in the grammar of a column constraint."""
    options = item.dialect_options["postgresql"]
    for option in ("not_valid", "include"):
        if options.get(option):
            raise VersionError(
                f"ADD COLUMN cannot add a constraint with postgresql_{option}",
                remedy="take it off the column and add AddConstraint(constraint) after AddColumn",
            )
    if item.name is not None:
        checked_name(str(item.name), "constraint name")
    if isinstance(item, CheckConstraint):
        return compiler.process(item)
    text = compiler.define_constraint_preamble(item)
    if isinstance(item, ForeignKeyConstraint):
        remote = item.elements[0].column
        text += f"REFERENCES {table_name(compiler.preparer, remote.table)} "
        text += f"({column_name(compiler.preparer, remote)})"
        text += compiler.define_constraint_match(item) + compiler.define_constraint_cascades(item)
    elif isinstance(item, UniqueConstraint):
        text += f"UNIQUE {compiler.define_unique_constraint_distinct(item)}".rstrip()
    else:
        text += "PRIMARY KEY"
    return text + compiler.define_constraint_deferrability(item)


class DropColumn(Operation):
    """``ALTER TABLE t DROP COLUMN [IF EXISTS] c [CASCADE]``.

    https://www.postgresql.org/docs/current/sql-altertable.html

    Args:
        column: A column of a table, or a column's name.
        table: The table, where ``column`` is a name.
        if_exists: Do nothing when there is no such column.
        cascade: Also drop what depends on it, views for instance.

    Raises:
        VersionError: The column's table is not known, or said twice.
    """

    def __init__(
        self,
        column: ColumnClause[Any] | str,
        *,
        table: TableRef | None = None,
        if_exists: bool = False,
        cascade: bool = False,
    ) -> None:
        self.table, self.column = column_target(column, table)
        self.if_exists = if_exists
        self.cascade = cascade


@compiles(DropColumn, "postgresql")
def _drop_column(op: DropColumn, compiler: DDLCompiler, **_: object) -> str:
    word = "DROP COLUMN IF EXISTS" if op.if_exists else "DROP COLUMN"
    name = column_name(compiler.preparer, op.column)
    end = " CASCADE" if op.cascade else ""
    return f"{alter_table(compiler, op.table)} {word} {name}{end}"
