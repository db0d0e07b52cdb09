"""SET STORAGE and SET STATISTICS of a column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.compiler import compiles

from neuron_schema.errors import VersionError
from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import checked_word, column_name
from neuron_schema.ops.target import alter_table, column_target

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import DDLCompiler
    from sqlalchemy.sql.expression import ColumnClause

    from neuron_schema.ops.fragments import TableRef

_STORAGE = ("PLAIN", "EXTERNAL", "EXTENDED", "MAIN", "DEFAULT")
#: ``MAX_STATISTICS_TARGET`` of PostgreSQL, which lowers a larger number with a warning.
_MAX_STATISTICS = 10_000


class SetStorage(Operation):
    """``ALTER TABLE t ALTER COLUMN c SET STORAGE mode``: for values stored from now on.

    https://www.postgresql.org/docs/current/sql-altertable.html

    Args:
        column: A column of a table, or a column's name.
        storage: PLAIN, EXTERNAL, EXTENDED, MAIN or DEFAULT.
        table: The table, where ``column`` is a name.

    Raises:
        VersionError: Another word, or the column's table is not known.
    """

    def __init__(
        self, column: ColumnClause[Any] | str, storage: str, *, table: TableRef | None = None
    ) -> None:
        self.table, self.column = column_target(column, table)
        self.storage = checked_word(storage, _STORAGE, "the storage of a column")


@compiles(SetStorage, "postgresql")
def _set_storage(op: SetStorage, compiler: DDLCompiler, **_: object) -> str:
    name = column_name(compiler.preparer, op.column)
    return f"{alter_table(compiler, op.table)} ALTER COLUMN {name} SET STORAGE {op.storage}"


class SetStatistics(Operation):
    """``ALTER TABLE t ALTER COLUMN c SET STATISTICS n``: how finely ANALYZE looks at a column.

    https://www.postgresql.org/docs/current/sql-altertable.html

    Args:
        column: A column of a table, or a column's name.
        target: 0 to 10000; None for the server's ``default_statistics_target``.
        table: The table, where ``column`` is a name.

    Raises:
        VersionError: Another number, or the column's table is not known.
    """

    def __init__(
        self,
        column: ColumnClause[Any] | str,
        target: int | None,
        *,
        table: TableRef | None = None,
    ) -> None:
        self.table, self.column = column_target(column, table)
        if target is not None and not 0 <= target <= _MAX_STATISTICS:
            raise VersionError(
                f"a statistics target cannot be {target}",
                remedy=f"use 0 to {_MAX_STATISTICS}, or None for the server's default",
            )
        # -1 and not DEFAULT, which PostgreSQL 16 does not know.
        self.statistics = -1 if target is None else int(target)


@compiles(SetStatistics, "postgresql")
def _set_statistics(op: SetStatistics, compiler: DDLCompiler, **_: object) -> str:
    name = column_name(compiler.preparer, op.column)
    return f"{alter_table(compiler, op.table)} ALTER COLUMN {name} SET STATISTICS {op.statistics}"
