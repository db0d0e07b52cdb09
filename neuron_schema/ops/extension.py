"""CREATE and DROP EXTENSION."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.ext.compiler import compiles

from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import checked_name, literal, quoted

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import DDLCompiler


class CreateExtension(Operation):
    """``CREATE EXTENSION [IF NOT EXISTS] name [SCHEMA s] [VERSION v] [CASCADE]``.

    https://www.postgresql.org/docs/current/sql-createextension.html

    Args:
        name: The extension's name, for instance ``vector`` or ``uuid-ossp``.
        schema: Where its objects go; the server decides by default.
        version: The version to install; the extension's default one by default.
        cascade: Also install the extensions it needs.
        if_not_exists: Do nothing when it is installed, whatever its version and schema.

    Raises:
        VersionError: A name is empty or longer than 63 bytes.
    """

    def __init__(
        self,
        name: str,
        *,
        schema: str | None = None,
        version: str | None = None,
        cascade: bool = False,
        if_not_exists: bool = False,
    ) -> None:
        self.name = checked_name(name, "extension name")
        self.schema = None if schema is None else checked_name(schema, "schema name")
        self.version = version
        self.cascade = cascade
        self.if_not_exists = if_not_exists


@compiles(CreateExtension, "postgresql")
def _create_extension(op: CreateExtension, compiler: DDLCompiler, **_: object) -> str:
    text = "CREATE EXTENSION "
    if op.if_not_exists:
        text += "IF NOT EXISTS "
    text += quoted(compiler.preparer, op.name)
    if op.schema is not None:
        text += " SCHEMA " + compiler.preparer.quote_schema(op.schema)
    if op.version is not None:
        text += " VERSION " + literal(compiler, op.version)
    return text + (" CASCADE" if op.cascade else "")


class DropExtension(Operation):
    """``DROP EXTENSION [IF EXISTS] name [CASCADE]``.

    https://www.postgresql.org/docs/current/sql-dropextension.html

    Args:
        name: The extension's name.
        if_exists: Do nothing when it is not installed.
        cascade: Also drop what depends on it, columns of its types included.

    Raises:
        VersionError: The name is empty or longer than 63 bytes.
    """

    def __init__(self, name: str, *, if_exists: bool = False, cascade: bool = False) -> None:
        self.name = checked_name(name, "extension name")
        self.if_exists = if_exists
        self.cascade = cascade


@compiles(DropExtension, "postgresql")
def _drop_extension(op: DropExtension, compiler: DDLCompiler, **_: object) -> str:
    text = "DROP EXTENSION "
    if op.if_exists:
        text += "IF EXISTS "
    return text + quoted(compiler.preparer, op.name) + (" CASCADE" if op.cascade else "")
