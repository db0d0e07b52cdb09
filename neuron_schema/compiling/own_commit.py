"""How CREATE and DROP INDEX CONCURRENTLY are made safe to repeat.

PostgreSQL commits them on its own, in several transactions, so a version that was interrupted
finds the index absent, invalid or done. A probe tells which, before and after the statement:
https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY

What the probe compares, and what it cannot, is said in ``index_facts``; ``index_sample`` compares
the rest where an index is there before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.compiling.compile_error import CompileError
from neuron_schema.compiling.index_facts import index_facts, options_of
from neuron_schema.compiling.index_sample import sample
from neuron_schema.compiling.literals import quote
from neuron_schema.compiling.rendering import DIALECT
from neuron_schema.model import OwnCommit

if TYPE_CHECKING:
    from sqlalchemy import Index, Table
    from sqlalchemy.schema import CreateIndex, DropIndex


def own_commit_of_create(create: CreateIndex, sql: str) -> OwnCommit | None:
    """Return probe and repair of a CREATE INDEX CONCURRENTLY, None for an ordinary one.

    Args:
        create: The construct.
        sql: What it was compiled to.

    Raises:
        CompileError: It says IF NOT EXISTS, which takes an invalid index for the one wanted.
    """
    index = create.element
    if not options_of(index)["concurrently"]:
        return None
    if create.if_not_exists:
        raise CompileError(
            f"index {index.name!r}: IF NOT EXISTS takes the invalid index that an interrupted"
            " CREATE INDEX CONCURRENTLY leaves for the one that is wanted",
            "leave if_not_exists out: it is looked for, repaired and checked anyway",
        )
    preparer = DIALECT.identifier_preparer
    return OwnCommit(
        kind="CREATE INDEX CONCURRENTLY",
        probe=_probe_of_create(index),
        repair=(f"DROP INDEX CONCURRENTLY IF EXISTS {_name(index)}",),
        sample=sample(
            sql,
            index=preparer.format_index(index),
            table=preparer.format_table(_table(index)),
            bare_index=_bare_name(index),
        ),
    )


def own_commit_of_drop(drop: DropIndex) -> OwnCommit | None:
    """Return the probe of a DROP INDEX CONCURRENTLY, None for an ordinary one.

    What an interrupted drop leaves is dropped by the same statement again, so nothing is repaired.
    """
    index = drop.element
    if not options_of(index)["concurrently"]:
        return None
    return OwnCommit(kind="DROP INDEX CONCURRENTLY", probe=_probe_of_drop(index))


def _name(index: Index) -> str:
    """Return the index's name as DROP INDEX wants it: with its table's schema, if it has one."""
    preparer = DIALECT.identifier_preparer
    name = preparer.format_index(index)
    schema = None if index.table is None else index.table.schema
    return f"{preparer.quote_schema(schema)}.{name}" if schema else name


def _table(index: Index) -> Table:
    if index.table is None:
        raise CompileError(f"index {index.name!r} belongs to no table", "give it columns of one")
    return index.table


def _table_oid(index: Index) -> str:
    """Return SQL for the table that the statement means, as the search path finds it."""
    name = DIALECT.identifier_preparer.format_table(_table(index))
    return f"pg_catalog.to_regclass({quote(name)})"


def _bare_name(index: Index) -> str:
    """Return the name that the catalog holds."""
    name = DIALECT.identifier_preparer.format_index(index)
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _probe_of_drop(index: Index) -> str:
    elsewhere = (
        ""
        if index.table is None
        else f"\n         WHEN i.indrelid <> {_table_oid(index)} THEN 'different'"
    )
    return f"""\
SELECT CASE
         WHEN n.oid IS NULL THEN 'done'
         WHEN i.indexrelid IS NULL THEN 'different'{elsewhere}
         ELSE 'absent'
       END
  FROM (SELECT pg_catalog.to_regclass({quote(_name(index))})::pg_catalog.oid AS oid) n
  LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = n.oid"""


def _probe_of_create(index: Index) -> str:
    facts = "\n          AND ".join(index_facts(index))
    # The repair names the index as the search path finds it, so that must be this one.
    return f"""\
SELECT CASE
         WHEN c.oid IS NULL THEN 'absent'
         WHEN i.indexrelid IS NULL OR i.indrelid <> t.oid THEN 'different'
         WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k
                       WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x')) THEN 'different'
         WHEN NOT (i.indisvalid AND i.indisready)
         THEN CASE WHEN c.oid = pg_catalog.to_regclass({quote(_name(index))})
                   THEN 'invalid' ELSE 'different' END
         WHEN {facts}
         THEN 'done'
         ELSE 'different'
       END
  FROM (SELECT 1) one
  LEFT JOIN pg_catalog.pg_class t ON t.oid = {_table_oid(index)}
  LEFT JOIN pg_catalog.pg_class c
    ON c.relnamespace = t.relnamespace AND c.relname = {quote(_bare_name(index))}
  LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
  LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam"""
