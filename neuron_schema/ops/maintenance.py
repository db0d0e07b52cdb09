"""REINDEX and VACUUM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Index, Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import TableClause

from neuron_schema.errors import VersionError
from neuron_schema.model import OwnCommit
from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import as_table, table_name
from neuron_schema.ops.target import index_name, index_target

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import DDLCompiler, IdentifierPreparer

    from neuron_schema.ops.fragments import TableRef


class Reindex(Operation):
    """``REINDEX {INDEX | TABLE} [CONCURRENTLY] name``.

    https://www.postgresql.org/docs/current/sql-reindex.html

    CONCURRENTLY commits on its own, as does the REINDEX of a partitioned table: it must be the
    only element of its direction. It is simply run again after an interruption, which then leaves
    an invalid index named ``..._ccnew`` or ``..._ccold`` to be dropped by hand.

    Args:
        target: An index, a table (all its indexes), or an index's name.
        schema: The index's schema, where ``target`` is a name; the search path by default.
        concurrently: Let writes go on.

    Raises:
        VersionError: The index has no name or no table.
    """

    def __init__(
        self,
        target: Index | TableClause | str,
        *,
        schema: str | None = None,
        concurrently: bool = False,
    ) -> None:
        self.relation = target if isinstance(target, TableClause) else index_target(target, schema)
        if isinstance(target, TableClause) and schema is not None:
            raise VersionError("a table carries its schema", remedy="leave schema= out")
        self.schema = schema
        self.concurrently = concurrently

    def own_commit(self, preparer: IdentifierPreparer) -> OwnCommit | None:  # noqa: ARG002
        """Return how it is repeated: it is run again."""
        if self.concurrently:
            return OwnCommit(kind="REINDEX CONCURRENTLY")
        table = self.relation.table if isinstance(self.relation, Index) else self.relation
        if isinstance(table, Table) and table.dialect_options["postgresql"]["partition_by"]:
            return OwnCommit(kind="REINDEX of a partitioned table")
        return None


@compiles(Reindex, "postgresql")
def _reindex(op: Reindex, compiler: DDLCompiler, **_: object) -> str:
    concurrently = " CONCURRENTLY" if op.concurrently else ""
    if isinstance(op.relation, TableClause):
        return f"REINDEX TABLE{concurrently} {table_name(compiler.preparer, op.relation)}"
    return f"REINDEX INDEX{concurrently} {index_name(compiler.preparer, op.relation, op.schema)}"


class Vacuum(Operation):
    """``VACUUM [(FULL, ANALYZE)] t``: commits on its own, so it is alone in its direction.

    https://www.postgresql.org/docs/current/sql-vacuum.html

    It is simply run again after an interruption. For ANALYZE alone use ``Sql("ANALYZE t")``.

    Args:
        table: The table.
        full: Rewrite the table, under a lock that lets nobody read it.
        analyze: Also update the planner's statistics.
    """

    def __init__(self, table: TableRef, *, full: bool = False, analyze: bool = False) -> None:
        self.table = as_table(table)
        self.full = full
        self.analyze = analyze

    def own_commit(self, preparer: IdentifierPreparer) -> OwnCommit:  # noqa: ARG002
        """Return how it is repeated: it is run again."""
        return OwnCommit(kind="VACUUM")


@compiles(Vacuum, "postgresql")
def _vacuum(op: Vacuum, compiler: DDLCompiler, **_: object) -> str:
    options = ", ".join(
        word for word, wanted in (("FULL", op.full), ("ANALYZE", op.analyze)) if wanted
    )
    return f"VACUUM {f'({options}) ' if options else ''}{table_name(compiler.preparer, op.table)}"
