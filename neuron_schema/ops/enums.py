"""ADD VALUE and RENAME VALUE of an enumerated type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.ext.compiler import compiles

from neuron_schema.errors import VersionError
from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import enum_name, literal

if TYPE_CHECKING:
    from sqlalchemy import Enum
    from sqlalchemy.sql.compiler import DDLCompiler


class AddEnumValue(Operation):
    """``ALTER TYPE e ADD VALUE [IF NOT EXISTS] 'v' [BEFORE 'w' | AFTER 'w']``.

    https://www.postgresql.org/docs/current/sql-altertype.html

    It runs inside a transaction, but the new value cannot be *used* before that commits: put the
    first use of it into a later version. PostgreSQL cannot remove a value.

    Args:
        enum: A named ``Enum`` (its values are not looked at), or the type's name.
        value: The new value.
        before: An existing value that it goes before.
        after: An existing value that it goes after; the end is the default.
        if_not_exists: Do nothing when the value is there.
        schema: The type's schema, where ``enum`` is a name; the search path by default.

    Raises:
        VersionError: Both ``before`` and ``after``, or the type is not known.
    """

    def __init__(
        self,
        enum: Enum | str,
        value: str,
        *,
        before: str | None = None,
        after: str | None = None,
        if_not_exists: bool = False,
        schema: str | None = None,
    ) -> None:
        if before is not None and after is not None:
            raise VersionError("before= and after= contradict", remedy="pass one of them")
        self.enum = enum
        self.value = value
        self.before = before
        self.after = after
        self.if_not_exists = if_not_exists
        self.schema = schema


@compiles(AddEnumValue, "postgresql")
def _add_enum_value(op: AddEnumValue, compiler: DDLCompiler, **_: object) -> str:
    text = f"ALTER TYPE {enum_name(compiler.preparer, op.enum, op.schema)} ADD VALUE "
    if op.if_not_exists:
        text += "IF NOT EXISTS "
    text += literal(compiler, op.value)
    if op.before is not None:
        text += " BEFORE " + literal(compiler, op.before)
    if op.after is not None:
        text += " AFTER " + literal(compiler, op.after)
    return text


class RenameEnumValue(Operation):
    """``ALTER TYPE e RENAME VALUE 'v' TO 'w'``: every row that holds it follows.

    https://www.postgresql.org/docs/current/sql-altertype.html

    Args:
        enum: A named ``Enum`` (its values are not looked at), or the type's name.
        value: The existing value.
        new_value: What it is called from now on.
        schema: The type's schema, where ``enum`` is a name; the search path by default.

    Raises:
        VersionError: The type is not known.
    """

    def __init__(
        self, enum: Enum | str, value: str, new_value: str, *, schema: str | None = None
    ) -> None:
        self.enum = enum
        self.value = value
        self.new_value = new_value
        self.schema = schema


@compiles(RenameEnumValue, "postgresql")
def _rename_enum_value(op: RenameEnumValue, compiler: DDLCompiler, **_: object) -> str:
    name = enum_name(compiler.preparer, op.enum, op.schema)
    old, new = literal(compiler, op.value), literal(compiler, op.new_value)
    return f"ALTER TYPE {name} RENAME VALUE {old} TO {new}"
