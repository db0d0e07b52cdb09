"""RENAME of tables, columns, indexes and constraints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.compiler import compiles

from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import as_table, checked_name, column_name, quoted
from neuron_schema.ops.target import (
    alter_table,
    column_target,
    constraint_name,
    constraint_target,
    index_name,
    index_target,
)

if TYPE_CHECKING:
    from sqlalchemy import Constraint, Index
    from sqlalchemy.sql.compiler import DDLCompiler
    from sqlalchemy.sql.expression import ColumnClause

    from neuron_schema.ops.fragments import TableRef


class RenameTable(Operation):
    """``ALTER TABLE t RENAME TO new_name``; the schema stays.

    https://www.postgresql.org/docs/current/sql-altertable.html

    Its indexes, constraints and sequences keep their names.

    Args:
        table: The table under its old name.
        new_name: The new name, without a schema.

    Raises:
        VersionError: A name is empty or longer than 63 bytes.
    """

    def __init__(self, table: TableRef, new_name: str) -> None:
        self.table = as_table(table)
        self.new_name = checked_name(new_name, "table name")


@compiles(RenameTable, "postgresql")
def _rename_table(op: RenameTable, compiler: DDLCompiler, **_: object) -> str:
    return f"{alter_table(compiler, op.table)} RENAME TO {quoted(compiler.preparer, op.new_name)}"


class RenameColumn(Operation):
    """``ALTER TABLE t RENAME COLUMN c TO new_name``.

    https://www.postgresql.org/docs/current/sql-altertable.html

    Args:
        column: A column of a table under its old name, or that name.
        new_name: The new name.
        table: The table, where ``column`` is a name.

    Raises:
        VersionError: A name is empty or longer than 63 bytes, or the table is not known.
    """

    def __init__(
        self, column: ColumnClause[Any] | str, new_name: str, *, table: TableRef | None = None
    ) -> None:
        self.table, self.column = column_target(column, table)
        self.new_name = checked_name(new_name, "column name")


@compiles(RenameColumn, "postgresql")
def _rename_column(op: RenameColumn, compiler: DDLCompiler, **_: object) -> str:
    name = column_name(compiler.preparer, op.column)
    new_name = quoted(compiler.preparer, op.new_name)
    return f"{alter_table(compiler, op.table)} RENAME COLUMN {name} TO {new_name}"


class RenameConstraint(Operation):
    """``ALTER TABLE t RENAME CONSTRAINT c TO new_name``.

    https://www.postgresql.org/docs/current/sql-altertable.html

    Args:
        constraint: A named constraint of a table under its old name, or that name.
        new_name: The new name.
        table: The table, where ``constraint`` is a name.

    Raises:
        VersionError: A name is missing, empty or longer than 63 bytes, or the table is not known.
    """

    def __init__(
        self, constraint: Constraint | str, new_name: str, *, table: TableRef | None = None
    ) -> None:
        self.table, self.constraint = constraint_target(constraint, table)
        self.new_name = checked_name(new_name, "constraint name")


@compiles(RenameConstraint, "postgresql")
def _rename_constraint(op: RenameConstraint, compiler: DDLCompiler, **_: object) -> str:
    name = constraint_name(compiler.preparer, op.constraint)
    new_name = quoted(compiler.preparer, op.new_name)
    return f"{alter_table(compiler, op.table)} RENAME CONSTRAINT {name} TO {new_name}"


class RenameIndex(Operation):
    """``ALTER INDEX i RENAME TO new_name``; the schema stays.

    https://www.postgresql.org/docs/current/sql-alterindex.html

    An index behind a constraint takes the constraint's name along with it.

    Args:
        index: An index of a table under its old name, or that name.
        new_name: The new name, without a schema.
        schema: The index's schema, where ``index`` is a name; the search path by default.

    Raises:
        VersionError: A name is missing, empty or longer than 63 bytes.
    """

    def __init__(self, index: Index | str, new_name: str, *, schema: str | None = None) -> None:
        self.index = index_target(index, schema)
        self.schema = schema
        self.new_name = checked_name(new_name, "index name")


@compiles(RenameIndex, "postgresql")
def _rename_index(op: RenameIndex, compiler: DDLCompiler, **_: object) -> str:
    name = index_name(compiler.preparer, op.index, op.schema)
    return f"ALTER INDEX {name} RENAME TO {quoted(compiler.preparer, op.new_name)}"
