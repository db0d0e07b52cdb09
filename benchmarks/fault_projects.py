"""The same six changes for both tools, one of which PostgreSQL commits on its own.

Two tables, 100 rows into one of them, 10 rows into the other and an index on it CONCURRENTLY, and
a column more. Alembic puts rows and index into one revision with an ``autocommit_block``, as its
documentation shows; a version of neuron-schema holds an operation that commits on its own alone.
https://alembic.sqlalchemy.org/en/latest/api/runtime.html#alembic.runtime.migration.MigrationContext.autocommit_block
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import workload

if TYPE_CHECKING:
    from pathlib import Path

ROWS = "INSERT INTO t1 SELECT g FROM generate_series(1, 100) g"
FEW_ROWS = "INSERT INTO t2 SELECT g FROM generate_series(1, 10) g"

RIGHT = (
    "SELECT (SELECT count(*) FROM t1) = 100 AND (SELECT count(*) FROM t2) = 10 "
    "AND (SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('t2_v')) "
    "AND EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = 't1'::regclass AND attname = 'w')"
)
"""Whether a database is as one undisturbed run leaves it."""

_HEAD = """\
from sqlalchemy import Column, Index, Integer, MetaData, Table
from sqlalchemy.schema import CreateIndex, CreateTable

from neuron_schema.ops import AddColumn, Sql

t1 = Table("t1", MetaData(), Column("v", Integer))
t2 = Table("t2", MetaData(), Column("v", Integer))
altered = Table("t1", MetaData(), Column("w", Integer))
index = Index("t2_v", t2.c.v, postgresql_concurrently=True)

"""
_VERSIONS = {
    "001_t1": "CreateTable(t1)",
    "002_t2": "CreateTable(t2)",
    "003_rows": f"Sql({ROWS!r})",
    "004_few_rows": f"Sql({FEW_ROWS!r})",
    "005_index": "CreateIndex(index)",
    "006_column": "AddColumn(altered.c.w)",
}

_REVISION = """\
import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = {previous!r}


def upgrade() -> None:
{body}
"""
_REVISIONS = (
    '    op.create_table("t1", sa.Column("v", sa.Integer))',
    '    op.create_table("t2", sa.Column("v", sa.Integer))',
    f"    op.execute({ROWS!r})",
    "    with op.get_context().autocommit_block():\n"
    f"        op.execute({FEW_ROWS!r})\n"
    '        op.create_index("t2_v", "t2", ["v"], postgresql_concurrently=True)',
    '    op.add_column("t1", sa.Column("w", sa.Integer))',
)


def write_neuron(directory: Path) -> None:
    """Write the project of neuron-schema."""
    versions = directory / "versions"
    versions.mkdir(parents=True)
    (directory / "pyproject.toml").write_text(workload.SETTINGS, encoding="utf-8")
    for label, element in _VERSIONS.items():
        text = f"{_HEAD}up = [{element}]\ndown = []\n"
        (versions / f"{label}.py").write_text(text, encoding="utf-8")


def write_alembic(directory: Path) -> None:
    """Write Alembic's project, with a transaction for each revision."""
    revisions = directory / "migrations" / "versions"
    revisions.mkdir(parents=True)
    (directory / "alembic.ini").write_text(workload.ALEMBIC_INI, encoding="utf-8")
    (directory / "migrations" / "env.py").write_text(workload.ALEMBIC_ENV, encoding="utf-8")
    for number, body in enumerate(_REVISIONS, 1):
        previous = f"{number - 1:03}" if number > 1 else None
        text = _REVISION.format(number=f"{number:03}", previous=previous, body=body)
        (revisions / f"{number:03}_v.py").write_text(text, encoding="utf-8")
