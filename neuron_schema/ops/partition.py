"""Partitions: CREATE TABLE ... PARTITION OF, ATTACH and DETACH."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.ext.compiler import compiles

from neuron_schema.errors import VersionError
from neuron_schema.model import OwnCommit
from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import as_table, checked_text, quote_literal, table_name, verbatim
from neuron_schema.ops.target import alter_table

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import DDLCompiler, IdentifierPreparer

    from neuron_schema.ops.fragments import TableRef


def _checked_bounds(for_values: str) -> str:
    text = checked_text(for_values, "for_values=").strip()
    if text.upper().startswith("FOR"):
        raise VersionError(
            f"for_values= begins with FOR: {for_values!r}",
            remedy="pass what follows FOR VALUES: FROM (...) TO (...), IN (...), WITH (...), "
            "or DEFAULT",
        )
    return text


def _bounds(for_values: str, compiler: DDLCompiler) -> str:
    if for_values.upper() == "DEFAULT":
        return "DEFAULT"
    return f"FOR VALUES {verbatim(compiler, for_values)}"


class CreatePartition(Operation):
    """``CREATE TABLE [IF NOT EXISTS] p PARTITION OF t {FOR VALUES ... | DEFAULT}``.

    https://www.postgresql.org/docs/current/sql-createtable.html

    Args:
        partition: The new table.
        parent: The partitioned table.
        for_values: What follows FOR VALUES, as text: ``"FROM ('2024-01-01') TO ('2025-01-01')"``,
            ``"IN ('a')"``, ``"WITH (MODULUS 4, REMAINDER 0)"``; or ``"DEFAULT"``.
        partition_by: What follows PARTITION BY, for a partition with partitions of its own.
        if_not_exists: Do nothing when there is a relation of that name.

    Raises:
        VersionError: The bounds are blank or begin with FOR.
    """

    def __init__(
        self,
        partition: TableRef,
        parent: TableRef,
        for_values: str,
        *,
        partition_by: str | None = None,
        if_not_exists: bool = False,
    ) -> None:
        self.partition = as_table(partition)
        self.parent = as_table(parent)
        self.for_values = _checked_bounds(for_values)
        self.partition_by = partition_by
        self.if_not_exists = if_not_exists


@compiles(CreatePartition, "postgresql")
def _create_partition(op: CreatePartition, compiler: DDLCompiler, **_: object) -> str:
    word = "CREATE TABLE IF NOT EXISTS" if op.if_not_exists else "CREATE TABLE"
    name = table_name(compiler.preparer, op.partition)
    parent = table_name(compiler.preparer, op.parent)
    text = f"{word} {name} PARTITION OF {parent} {_bounds(op.for_values, compiler)}"
    if op.partition_by is not None:
        text += (
            f" PARTITION BY {verbatim(compiler, checked_text(op.partition_by, 'partition_by='))}"
        )
    return text


class AttachPartition(Operation):
    """``ALTER TABLE t ATTACH PARTITION p {FOR VALUES ... | DEFAULT}``.

    https://www.postgresql.org/docs/current/sql-altertable.html

    A CHECK on ``partition`` that implies the bounds spares PostgreSQL the reading of its rows.

    Args:
        parent: The partitioned table.
        partition: The table that becomes a partition.
        for_values: The bounds, as for ``CreatePartition``.

    Raises:
        VersionError: The bounds are blank or begin with FOR.
    """

    def __init__(self, parent: TableRef, partition: TableRef, for_values: str) -> None:
        self.parent = as_table(parent)
        self.partition = as_table(partition)
        self.for_values = _checked_bounds(for_values)


@compiles(AttachPartition, "postgresql")
def _attach_partition(op: AttachPartition, compiler: DDLCompiler, **_: object) -> str:
    name = table_name(compiler.preparer, op.partition)
    head = f"{alter_table(compiler, op.parent)} ATTACH PARTITION {name}"
    return f"{head} {_bounds(op.for_values, compiler)}"


class DetachPartition(Operation):
    """``ALTER TABLE t DETACH PARTITION p [CONCURRENTLY]``; the table and its rows stay.

    https://www.postgresql.org/docs/current/sql-altertable.html

    CONCURRENTLY lets reads and writes of the parent go on. It commits on its own, so it must be
    the only element of its direction, and it is refused where the parent has a default partition.
    An interrupted one is finished with FINALIZE.

    Args:
        parent: The partitioned table.
        partition: The partition.
        concurrently: Do not lock the parent.
    """

    def __init__(
        self, parent: TableRef, partition: TableRef, *, concurrently: bool = False
    ) -> None:
        self.parent = as_table(parent)
        self.partition = as_table(partition)
        self.concurrently = concurrently

    def own_commit(self, preparer: IdentifierPreparer) -> OwnCommit | None:
        """Return how an interrupted DETACH PARTITION CONCURRENTLY is finished."""
        if not self.concurrently:
            return None
        parent = table_name(preparer, self.parent)
        partition = table_name(preparer, self.partition)
        return OwnCommit(
            kind="ALTER TABLE DETACH PARTITION CONCURRENTLY",
            probe=_PROBE.format(parent=quote_literal(parent), partition=quote_literal(partition)),
            repair=(f"ALTER TABLE {parent} DETACH PARTITION {partition} FINALIZE",),
        )


# Where one of the tables does not exist the answer is "absent", so that PostgreSQL itself says
# which. A partition of another table is "different"; a table that is no partition is "done".
_PROBE = """\
SELECT CASE
    WHEN t.parent IS NULL OR t.partition IS NULL THEN 'absent'
    WHEN i.inhrelid IS NULL THEN 'done'
    WHEN i.inhparent <> t.parent THEN 'different'
    WHEN i.inhdetachpending THEN 'invalid'
    ELSE 'absent'
END::pg_catalog.text
FROM (SELECT pg_catalog.to_regclass({parent})::pg_catalog.oid AS parent,
             pg_catalog.to_regclass({partition})::pg_catalog.oid AS partition) AS t
LEFT JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = t.partition
ORDER BY i.inhparent = t.parent DESC
LIMIT 1"""


@compiles(DetachPartition, "postgresql")
def _detach_partition(op: DetachPartition, compiler: DDLCompiler, **_: object) -> str:
    name = table_name(compiler.preparer, op.partition)
    end = " CONCURRENTLY" if op.concurrently else ""
    return f"{alter_table(compiler, op.parent)} DETACH PARTITION {name}{end}"
