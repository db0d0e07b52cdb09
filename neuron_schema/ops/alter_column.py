"""ALTER COLUMN: type, nullability, default and identity, in one ALTER TABLE."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sqlalchemy.ext.compiler import compiles

from neuron_schema.errors import VersionError
from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import checked_text, column_name, fragment, literal, type_name
from neuron_schema.ops.target import alter_table, column_target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Identity
    from sqlalchemy.sql.compiler import DDLCompiler
    from sqlalchemy.sql.expression import ClauseElement, ColumnClause

    from neuron_schema.ops.fragments import Fragment, TableRef, TypeRef


class _Unchanged(enum.Enum):
    """The mark of what stays as it is, where None means DROP."""

    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Literal[_Unchanged.UNCHANGED] = _Unchanged.UNCHANGED
_Unset: TypeAlias = Literal[_Unchanged.UNCHANGED]


class AlterColumn(Operation):
    """``ALTER TABLE t ALTER COLUMN c TYPE ... USING ..., ALTER COLUMN c SET NOT NULL, ...``.

    https://www.postgresql.org/docs/current/sql-altertable.html

    All that is asked for goes into one ALTER TABLE: one lock, one pass over the rows. A type and
    a default together drop the old default first, which may not fit the new type. What is not
    mentioned stays as it is; the column's own type, default and nullability are not looked at.

    Args:
        column: A column of a table, or a column's name.
        table: The table, where ``column`` is a name.
        type_: The new type; ``Integer`` is INTEGER here, never SERIAL.
        using: How the old value becomes the new one: an expression or SQL text.
        nullable: True drops NOT NULL, False sets it.
        server_default: The new default, as in ``Column(server_default=)``: a str is a value, an
            expression (``text("now()")``, ``func.now()``) is one. None drops the default.
        identity: ``Identity(...)`` makes it an identity column, None makes it none any more.

    Raises:
        VersionError: Nothing is asked for, what is asked for contradicts itself, or the column's
            table is not known.
    """

    def __init__(
        self,
        column: ColumnClause[Any] | str,
        *,
        table: TableRef | None = None,
        type_: TypeRef | None = None,
        using: Fragment | None = None,
        nullable: bool | None = None,
        server_default: ClauseElement | str | _Unset | None = UNCHANGED,
        identity: Identity | _Unset | None = UNCHANGED,
    ) -> None:
        self.table, self.column = column_target(column, table)
        self.type_ = type_
        self.using = using
        self.nullable = nullable
        self.server_default = server_default
        self.identity = identity
        self._check()

    def _check(self) -> None:
        unchanged = self.server_default is UNCHANGED and self.identity is UNCHANGED
        if self.type_ is None and self.nullable is None and unchanged:
            raise VersionError(
                "AlterColumn is not told what to alter",
                remedy="pass type_=, nullable=, server_default= or identity=",
            )
        if self.using is not None and self.type_ is None:
            raise VersionError("using= goes with a new type", remedy="pass type_= too")
        if isinstance(self.type_, str):
            checked_text(self.type_, "type_=")
        if getattr(self.type_, "create_constraint", False):
            raise VersionError(
                "a type with create_constraint=True brings a CHECK, which ALTER COLUMN cannot add",
                remedy="take create_constraint off and add AddConstraint(CheckConstraint(...))",
            )


@compiles(AlterColumn, "postgresql")
def _alter_column(op: AlterColumn, compiler: DDLCompiler, **_: object) -> str:
    name = column_name(compiler.preparer, op.column)
    actions = ", ".join(f"ALTER COLUMN {name} {action}" for action in _actions(op, compiler))
    return f"{alter_table(compiler, op.table)} {actions}"


def _actions(op: AlterColumn, compiler: DDLCompiler) -> Iterator[str]:
    default = op.server_default
    if default is None or (op.type_ is not None and default is not UNCHANGED):
        yield "DROP DEFAULT"
    if op.identity is None:
        yield "DROP IDENTITY"
    if op.type_ is not None:
        using = "" if op.using is None else f" USING {fragment(compiler, op.using)}"
        yield f"TYPE {type_name(compiler, op.type_)}{using}"
    if default is not None and not isinstance(default, _Unchanged):
        yield f"SET DEFAULT {_default(default, compiler)}"
    if op.nullable is not None:
        yield "DROP NOT NULL" if op.nullable else "SET NOT NULL"
    if op.identity is not None and not isinstance(op.identity, _Unchanged):
        yield f"ADD {compiler.process(op.identity)}"


def _default(default: ClauseElement | str, compiler: DDLCompiler) -> str:
    if isinstance(default, str):
        return literal(compiler, default)
    return fragment(compiler, default)
