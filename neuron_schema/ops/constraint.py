"""Constraints: VALIDATE, NOT NULL by name, and an existing index made into one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Index
from sqlalchemy.ext.compiler import compiles

from neuron_schema.errors import VersionError
from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import as_table, checked_name, column_name, quoted
from neuron_schema.ops.target import alter_table, column_target, constraint_name, constraint_target

if TYPE_CHECKING:
    from sqlalchemy import Constraint
    from sqlalchemy.sql.compiler import DDLCompiler
    from sqlalchemy.sql.expression import ColumnClause

    from neuron_schema.ops.fragments import TableRef


class ValidateConstraint(Operation):
    """``ALTER TABLE t VALIDATE CONSTRAINT c``: check the rows of a NOT VALID constraint.

    https://www.postgresql.org/docs/current/sql-altertable.html

    Put it into a version after the one that added the constraint: only then is the strong lock of
    ADD CONSTRAINT gone while the rows are read.

    Args:
        constraint: A named constraint of a table, or its name.
        table: The table, where ``constraint`` is a name.

    Raises:
        VersionError: The constraint has no name, or its table is not known.
    """

    def __init__(self, constraint: Constraint | str, *, table: TableRef | None = None) -> None:
        self.table, self.constraint = constraint_target(constraint, table)


@compiles(ValidateConstraint, "postgresql")
def _validate_constraint(op: ValidateConstraint, compiler: DDLCompiler, **_: object) -> str:
    name = constraint_name(compiler.preparer, op.constraint)
    return f"{alter_table(compiler, op.table)} VALIDATE CONSTRAINT {name}"


class AddNotNull(Operation):
    """``ALTER TABLE t ADD [CONSTRAINT n] NOT NULL c [NO INHERIT] [NOT VALID]``; PostgreSQL 18.

    https://www.postgresql.org/docs/current/sql-altertable.html

    Up to PostgreSQL 17, add ``CheckConstraint("c IS NOT NULL", postgresql_not_valid=True)``,
    validate it, set NOT NULL with AlterColumn and drop the check.

    Args:
        column: A column of a table, or a column's name.
        name: The constraint's name; PostgreSQL makes one by default.
        table: The table, where ``column`` is a name.
        not_valid: Hold for new rows at once and for the rest after ``ValidateConstraint``.
        no_inherit: Do not hold for child tables.

    Raises:
        VersionError: The column's table is not known, or a name is longer than 63 bytes.
    """

    def __init__(
        self,
        column: ColumnClause[Any] | str,
        name: str | None = None,
        *,
        table: TableRef | None = None,
        not_valid: bool = False,
        no_inherit: bool = False,
    ) -> None:
        self.table, self.column = column_target(column, table)
        self.name = None if name is None else checked_name(name, "constraint name")
        self.not_valid = not_valid
        self.no_inherit = no_inherit


@compiles(AddNotNull, "postgresql")
def _add_not_null(op: AddNotNull, compiler: DDLCompiler, **_: object) -> str:
    text = alter_table(compiler, op.table) + " ADD "
    if op.name is not None:
        text += f"CONSTRAINT {quoted(compiler.preparer, op.name)} "
    text += f"NOT NULL {column_name(compiler.preparer, op.column)}"
    return text + (" NO INHERIT" if op.no_inherit else "") + (" NOT VALID" if op.not_valid else "")


class AddConstraintUsingIndex(Operation):
    """``ALTER TABLE t ADD CONSTRAINT n {UNIQUE | PRIMARY KEY} USING INDEX i``.

    https://www.postgresql.org/docs/current/sql-altertable.html

    The index is renamed to the constraint's name and belongs to the constraint from then on.

    Args:
        table: The table.
        name: The constraint's name; None for the index's.
        index: A unique index of that table, or its name (it is in the table's schema).
        primary_key: PRIMARY KEY in place of UNIQUE; sets NOT NULL where it is missing.
        deferrable: DEFERRABLE.
        initially_deferred: DEFERRABLE INITIALLY DEFERRED.

    Raises:
        VersionError: The index is not unique or not of this table, or has no name.
    """

    def __init__(
        self,
        table: TableRef,
        name: str | None,
        index: Index | str,
        *,
        primary_key: bool = False,
        deferrable: bool = False,
        initially_deferred: bool = False,
    ) -> None:
        self.table = as_table(table)
        self.name = None if name is None else checked_name(name, "constraint name")
        self.index = index
        self.primary_key = primary_key
        self.deferrable = deferrable or initially_deferred
        self.initially_deferred = initially_deferred
        self._check_index()

    def _check_index(self) -> None:
        if isinstance(self.index, str):
            checked_name(self.index, "index name")
        elif not isinstance(self.index, Index) or not self.index.name or not self.index.unique:
            raise VersionError(
                f"{self.index!r} is no unique index with a name",
                remedy="pass Index(name, column, unique=True), or the name of a unique index",
            )
        elif self.index.table is not None and (
            (self.index.table.schema, self.index.table.name) != (self.table.schema, self.table.name)
        ):
            raise VersionError(
                f"index {self.index.name} is of table {self.index.table}, not of {self.table}",
                remedy="pass the table that the index is of",
            )


@compiles(AddConstraintUsingIndex, "postgresql")
def _add_constraint_using_index(
    op: AddConstraintUsingIndex, compiler: DDLCompiler, **_: object
) -> str:
    text = alter_table(compiler, op.table) + " ADD "
    if op.name is not None:
        text += f"CONSTRAINT {quoted(compiler.preparer, op.name)} "
    text += "PRIMARY KEY" if op.primary_key else "UNIQUE"
    text += " USING INDEX "
    name = op.index if isinstance(op.index, str) else str(op.index.name)
    text += quoted(compiler.preparer, name, "index name")
    if op.deferrable:
        text += " DEFERRABLE"
    return text + (" INITIALLY DEFERRED" if op.initially_deferred else "")
