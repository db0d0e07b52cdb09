"""The same migrations for each tool: as version modules, as Alembic revisions, as a psql script.

A migration creates a table of eight columns with a primary key, makes two indexes on it, and adds
a column to the table before it. The SQL that Alembic and psql are given is the text that the
version modules compile to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuron_schema.discovery.version_set import VersionSet

if TYPE_CHECKING:
    from pathlib import Path

    from neuron_schema.model import Migration

_VERSION = '''\
"""Items {number}, their indexes, and a note for the items before them."""

from sqlalchemy import Boolean, Column, DateTime, Double, Index, Integer, MetaData
from sqlalchemy import String, Table, Text, Uuid, func, text, true
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

from neuron_schema.ops import AddColumn, DropColumn

metadata = MetaData()

items = Table(
    "items_{number}",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    Column("title", Text, nullable=False),
    Column("kind", String(50), nullable=False, server_default="general"),
    Column("position", Integer),
    Column("weight", Double, server_default=text("0.5")),
    Column("visible", Boolean, nullable=False, server_default=true()),
    Column("created_at", DateTime(timezone=True), server_default=func.now()),
    Column("updated_at", DateTime(timezone=True)),
)
by_kind = Index("items_{number}_by_kind", items.c.kind)
by_time = Index("items_{number}_by_time", items.c.created_at)

before = Table("items_{previous}", MetaData(), Column("note_{number}", String(200)))

up = [
    CreateTable(items),
    CreateIndex(by_kind),
    CreateIndex(by_time),
    AddColumn(before.c.note_{number}),
]

down = [
    DropColumn(before.c.note_{number}),
    DropTable(items),
]
'''
_VERBATIM = '''\
"""Items {number}, their indexes, and a note for the items before them."""

from neuron_schema.ops import Sql

up = [
    Sql("""{up}"""),
]

down = [
    Sql("""{down}"""),
]
'''
SETTINGS = """\
[tool.neuron_schema]
versions = "versions"
"""

_REVISION = '''\
"""Items {number}, their indexes, and a note for the items before them."""

from alembic import op

revision = "{number}"
down_revision = {previous!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""{up}""")


def downgrade() -> None:
    op.execute("""{down}""")
'''

_OPERATIONS = '''\
"""Items {number}, their indexes, and a note for the items before them."""

import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = {previous!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "items_{number}",
        sa.Column("id", sa.Uuid, primary_key=True, server_default=sa.text("gen_random_uuid()")),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("kind", sa.String(50), nullable=False, server_default="general"),
        sa.Column("position", sa.Integer),
        sa.Column("weight", sa.Double, server_default=sa.text("0.5")),
        sa.Column("visible", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True)),
    )
    op.create_index("items_{number}_by_kind", "items_{number}", ["kind"])
    op.create_index("items_{number}_by_time", "items_{number}", ["created_at"])
    op.add_column("items_{altered}", sa.Column("note_{number}", sa.String(200)))


def downgrade() -> None:
    op.drop_column("items_{altered}", "note_{number}")
    op.drop_table("items_{number}")
'''

# What `alembic init` writes, but for the address and a transaction per migration.
ALEMBIC_INI = """\
[alembic]
script_location = %(here)s/migrations
prepend_sys_path = .
path_separator = os

[loggers]
keys = root,sqlalchemy,alembic

[handlers]
keys = console

[formatters]
keys = generic

[logger_root]
level = WARNING
handlers = console
qualname =

[logger_sqlalchemy]
level = WARNING
handlers =
qualname = sqlalchemy.engine

[logger_alembic]
level = INFO
handlers =
qualname = alembic

[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = generic

[formatter_generic]
format = %(levelname)-5.5s [%(name)s] %(message)s
datefmt = %H:%M:%S
"""

ALEMBIC_ENV = """\
import os
from logging.config import fileConfig

from alembic import context
from sqlalchemy import engine_from_config, pool

config = context.config
config.set_main_option("sqlalchemy.url", os.environ["ALEMBIC_DATABASE_URL"])
if config.config_file_name is not None:
    fileConfig(config.config_file_name)
target_metadata = None


def run_migrations_online() -> None:
    connectable = engine_from_config(
        config.get_section(config.config_ini_section, {}),
        prefix="sqlalchemy.",
        poolclass=pool.NullPool,
    )
    with connectable.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=target_metadata,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run_migrations_online()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a database holds, the tools' own tables not counted."""

    tables: int
    indexes: int
    columns: int


def shape(count: int) -> Shape:
    """Return what so many migrations make: per table eight columns, one more, and three indexes."""
    return Shape(tables=count, indexes=3 * count, columns=9 * count)


def write_versions(directory: Path, count: int) -> tuple[Migration, ...]:
    """Write a project of version modules.

    Returns:
        The versions with the SQL that they compile to, for the other tools.
    """
    versions = directory / "versions"
    versions.mkdir(parents=True)
    (directory / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    for index in range(1, count + 1):
        number = _number(index)
        text = _VERSION.format(number=number, previous=_altered(index))
        (versions / f"{number}_items.py").write_text(text, encoding="utf-8")
    return VersionSet(versions).migrations()


def write_verbatim(directory: Path, migrations: tuple[Migration, ...]) -> None:
    """Write a project of version modules that hold their SQL as text."""
    versions = directory / "versions"
    versions.mkdir(parents=True)
    (directory / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    for migration in migrations:
        text = _VERBATIM.format(number=migration.version, up=migration.up, down=migration.down)
        (versions / f"{migration.version}_items.py").write_text(text, encoding="utf-8")


def write_alembic(
    directory: Path, migrations: tuple[Migration, ...], *, operations: bool = False
) -> None:
    """Write an Alembic project.

    Args:
        directory: The project's.
        migrations: The versions that it is to hold.
        operations: Let Alembic make the SQL itself, from ``op.create_table`` and the like; else
            each revision is one ``op.execute``, which costs it less.
    """
    revisions = directory / "migrations" / "versions"
    revisions.mkdir(parents=True)
    (directory / "alembic.ini").write_text(ALEMBIC_INI, encoding="utf-8")
    (directory / "migrations" / "env.py").write_text(ALEMBIC_ENV, encoding="utf-8")
    template = _OPERATIONS if operations else _REVISION
    for index, migration in enumerate(migrations, 1):
        text = template.format(
            number=migration.version,
            previous=_number(index - 1) if index > 1 else None,
            altered=_altered(index),
            up=migration.up,
            down=migration.down,
        )
        (revisions / f"{migration.version}_items.py").write_text(text, encoding="utf-8")


def write_script(file: Path, migrations: tuple[Migration, ...]) -> None:
    """Write the script that psql runs: a transaction per migration, and no history."""
    parts = [f"BEGIN;\n{migration.up}\nCOMMIT;\n" for migration in migrations]
    file.write_text("\n".join(parts), encoding="utf-8")


def _number(index: int) -> str:
    return f"{index:04}"


def _altered(index: int) -> str:
    """Return whose table gets a column; the first migration has only its own."""
    return _number(max(index - 1, 1))
