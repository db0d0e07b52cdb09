"""REINDEX and VACUUM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Index, Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import TableClause

from neuron_schema.errors import VersionError
from neuron_schema.model import OwnCommit
from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import as_table, quote_literal, table_name
from neuron_schema.ops.target import index_name, index_target

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import DDLCompiler, IdentifierPreparer

    from neuron_schema.ops.fragments import TableRef


class Reindex(Operation):
    """``REINDEX {INDEX | TABLE} [CONCURRENTLY] name``.

    https://www.postgresql.org/docs/current/sql-reindex.html

    CONCURRENTLY commits on its own, as does the REINDEX of a partitioned table: it must be the
    only element of its direction. It is simply run again after an interruption. The invalid copies
    that an interruption leaves, named ``..._ccnew`` or ``..._ccold`` after their index, are dropped
    first, whoever left them. Copies of a TOAST table's index can only be dropped by a role with
    USAGE on the schema ``pg_toast`` (a superuser); for any other role they stay.

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

    def own_commit(self, preparer: IdentifierPreparer) -> OwnCommit | None:
        """Return how it is repeated: it is run again, without what was left behind."""
        if self.concurrently:
            cleanup = _COPIES.format(relation=quote_literal(self.name(preparer)))
            return OwnCommit(kind="REINDEX CONCURRENTLY", cleanup=cleanup)
        table = self.relation.table if isinstance(self.relation, Index) else self.relation
        if isinstance(table, Table) and table.dialect_options["postgresql"]["partition_by"]:
            return OwnCommit(kind="REINDEX of a partitioned table")
        return None

    def name(self, preparer: IdentifierPreparer) -> str:
        """Return what is rebuilt, as SQL."""
        if isinstance(self.relation, TableClause):
            return table_name(preparer, self.relation)
        return index_name(preparer, self.relation, self.schema)


# A copy is invalid, on the table of an index that is rebuilt, and has that index's name with an
# ending, cut where the whole would be too long:
# https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY
_COPIES = """\
WITH target AS (SELECT pg_catalog.to_regclass({relation})::pg_catalog.oid AS oid),
relations AS (
    SELECT oid FROM target
    UNION SELECT p.relid FROM target, LATERAL pg_catalog.pg_partition_tree(target.oid) AS p
),
tables AS (
    SELECT oid FROM relations
    UNION SELECT c.reltoastrelid
    FROM relations AS r JOIN pg_catalog.pg_class AS c ON c.oid = r.oid
),
rebuilt AS (
    SELECT i.indexrelid, i.indrelid, c.relname::pg_catalog.text AS name
    FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indexrelid IN (SELECT oid FROM relations) OR i.indrelid IN (SELECT oid FROM tables)
),
copies AS (
    SELECT i.indexrelid, i.indrelid, c.relnamespace, c.relname,
        pg_catalog.regexp_replace(c.relname::pg_catalog.text, '_cc(new|old)[0-9]*$', '') AS name
    FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    WHERE NOT i.indisvalid AND c.relkind = 'i' AND c.relname ~ '_cc(new|old)[0-9]*$'
)
SELECT pg_catalog.format('DROP INDEX CONCURRENTLY IF EXISTS %I.%I', n.nspname, k.relname)
FROM copies AS k JOIN pg_catalog.pg_namespace AS n ON n.oid = k.relnamespace
WHERE pg_catalog.has_schema_privilege(n.oid, 'USAGE')
    AND EXISTS (
        SELECT FROM rebuilt AS b
        WHERE b.indrelid = k.indrelid AND b.indexrelid <> k.indexrelid AND (b.name = k.name
            OR pg_catalog.octet_length(k.relname::pg_catalog.text) >= 60
            AND pg_catalog.starts_with(b.name, k.name))
    )
ORDER BY 1"""


@compiles(Reindex, "postgresql")
def _reindex(op: Reindex, compiler: DDLCompiler, **_: object) -> str:
    concurrently = " CONCURRENTLY" if op.concurrently else ""
    kind = "TABLE" if isinstance(op.relation, TableClause) else "INDEX"
    return f"REINDEX {kind}{concurrently} {op.name(compiler.preparer)}"


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
