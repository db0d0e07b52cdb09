"""What SQLAlchemy's CREATE TABLE and our ADD COLUMN leave out, and must therefore stand beside it.

``MetaData.create_all`` runs statements around CREATE TABLE: types and sequences before it,
indexes, comments and ``use_alter`` keys after it. The construct ``CreateTable`` is only the one
statement, so a version that holds nothing else would lose them without a word:
https://docs.sqlalchemy.org/en/21/core/ddl.html#sqlalchemy.schema.CreateTable
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, Enum, ForeignKeyConstraint, Sequence
from sqlalchemy.dialects.postgresql import DOMAIN
from sqlalchemy.types import TypeDecorator

from neuron_schema.canonical import canonical
from neuron_schema.compiling.compile_error import CompileError
from neuron_schema.compiling.rendering import DIALECT
from neuron_schema.model import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Column, Constraint, Index, Table

    from neuron_schema.compiling.literals import AnyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """A statement that must stand in the same list, because the table's own leaves it out.

    Attributes:
        starts: How it begins: any of these canonical texts.
        reason: What would be lost without it.
        remedy: How to add it, or to say that it is not wanted.
    """

    starts: tuple[str, ...]
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AccompaniedStatement(Statement):
    """A statement of which something must stand beside it; ``check_companions`` looks."""

    companions: tuple[Companion, ...]


def check_companions(statements: tuple[Statement, ...]) -> None:
    """Refuse a statement whose companions are not among the statements of its step.

    Raises:
        CompileError: Something would be lost; says what, and what to add.
    """
    wanted = [
        companion
        for statement in statements
        if isinstance(statement, AccompaniedStatement)
        for companion in statement.companions
    ]
    if not wanted:
        return
    texts = [canonical(statement.sql) + " " for statement in statements]
    for companion in wanted:
        starts = tuple(start + " " for start in companion.starts)
        if not any(text.startswith(starts) for text in texts):
            raise CompileError(companion.reason, companion.remedy)


def companions_of_column(column: Column[Any]) -> tuple[Companion, ...]:
    """Return what an ADD COLUMN leaves out of what its column says."""
    flagged = [index for index in column.table.indexes if list(index.columns) == [column]]
    return (*_comment(column, "ADD COLUMN"), *_of_indexes(flagged, column.table, "ADD COLUMN"))


def companions(table: Table) -> tuple[Companion, ...]:
    """Return what a CREATE TABLE leaves out of what its Table says.

    Raises:
        CompileError: The table has a part that is decided at run time (``ddl_if``).
    """
    found = [companion for column in table.columns for companion in _of_column(column)]
    found += _of_indexes(table.indexes, table, "CREATE TABLE")
    for constraint in sorted(table.constraints, key=lambda constraint: str(constraint.name)):
        found += _of_constraint(constraint, table)
    if table.comment is not None:
        found.append(
            Companion(
                starts=(_start(f"COMMENT ON TABLE {_name(table)} IS"),),
                reason=f"CREATE TABLE does not set the comment of table {table.fullname!r}",
                remedy="add SetTableComment(table) after it, or leave comment= out",
            )
        )
    return tuple(found)


def _comment(column: Column[Any], what: str) -> Iterator[Companion]:
    if column.comment is not None:
        name = DIALECT.identifier_preparer.format_column(column, use_table=True, use_schema=True)
        yield Companion(
            starts=(_start(f"COMMENT ON COLUMN {name} IS"),),
            reason=f"{what} does not set the comment of column {str(column)!r}",
            remedy="add SetColumnComment(column) after it, or leave comment= out",
        )


def _of_column(column: Column[Any]) -> Iterator[Companion]:
    yield from _comment(column, "CREATE TABLE")
    if isinstance(column.default, Sequence) and not column.default.optional:
        name = DIALECT.identifier_preparer.format_sequence(column.default)
        yield Companion(
            starts=(
                _start(f"CREATE SEQUENCE {name}"),
                _start(f"CREATE SEQUENCE IF NOT EXISTS {name}"),
            ),
            reason=f"CREATE TABLE does not make the sequence {column.default.name!r}"
            f" of column {str(column)!r}",
            remedy="add CreateSequence(sequence) before it; use Identity(), or"
            " server_default=sequence.next_value(), for a default in the database",
        )
    yield from _of_type(column.type, column)


def _of_type(type_: AnyType, column: Column[Any]) -> Iterator[Companion]:
    """Yield the named type that a column wants made, under arrays and decorators too."""
    while isinstance(type_, ARRAY | TypeDecorator):
        type_ = type_.item_type if isinstance(type_, ARRAY) else type_.impl_instance
    if isinstance(type_, Enum) and not type_.native_enum:
        return
    if not isinstance(type_, Enum | DOMAIN) or not getattr(type_, "create_type", True):
        return
    if not type_.name:
        raise CompileError(f"the type of column {str(column)!r} has no name", 'give it name="..."')
    preparer: Any = DIALECT.identifier_preparer
    name = preparer.format_type(type_)
    made = "CreateEnumType" if isinstance(type_, Enum) else "CreateDomainType"
    kind = "TYPE" if isinstance(type_, Enum) else "DOMAIN"
    yield Companion(
        starts=(_start(f"CREATE {kind} {name} AS"),),
        reason=f"CREATE TABLE does not make the type {type_.name!r} of column {str(column)!r}",
        remedy=f"add {made}(type) before it; if an earlier version makes it, say so with"
        f" postgresql.{'ENUM' if kind == 'TYPE' else 'DOMAIN'}(..., create_type=False)"
        + (", or store it as text with native_enum=False" if kind == "TYPE" else ""),
    )


def _of_indexes(indexes: Iterable[Index], table: Table, what: str) -> Iterator[Companion]:
    """Yield the indexes that came from ``index=True``; those declared by ``Index`` stand alone."""
    flagged = [index for index in indexes if getattr(index, "_column_flag", False)]
    for index in sorted(flagged, key=lambda index: str(index.name)):
        name = DIALECT.identifier_preparer.format_index(index)
        on = f"{name} ON {_name(table)}"
        yield Companion(
            starts=tuple(
                _start(f"CREATE {kind} {option}{on}")
                for kind in ("INDEX", "UNIQUE INDEX")
                for option in ("", "IF NOT EXISTS ")
            ),
            reason=f"{what} does not make the index {name} that index=True asks for",
            remedy=f'leave index=True out, declare Index("{index.name}", ...)'
            " and add CreateIndex(index) after it",
        )


def _of_constraint(constraint: Constraint, table: Table) -> Iterator[Companion]:
    name = str(constraint.name) if constraint.name else type(constraint).__name__
    if getattr(constraint, "_ddl_if", None) is not None:
        raise CompileError(
            f"constraint {name!r} has ddl_if(): a version cannot depend on where it runs",
            "leave ddl_if() out",
        )
    if constraint.comment is not None and constraint.name:
        quoted = DIALECT.identifier_preparer.format_constraint(constraint)
        yield Companion(
            starts=(_start(f"COMMENT ON CONSTRAINT {quoted} ON {_name(table)} IS"),),
            reason=f"CREATE TABLE does not set the comment of constraint {name!r}",
            remedy="add SetConstraintComment(constraint) after it, or leave comment= out",
        )
    later = isinstance(constraint, ForeignKeyConstraint) and constraint.use_alter
    if later or _isolated(constraint):
        quoted = (
            DIALECT.identifier_preparer.format_constraint(constraint) if constraint.name else None
        )
        start = f"ALTER TABLE {_name(table)} ADD" + (f" CONSTRAINT {quoted}" if quoted else "")
        why = "use_alter=True" if later else "AddConstraint() was called for it"
        yield Companion(
            starts=(_start(start),),
            reason=f"CREATE TABLE leaves out the constraint {name!r}, because {why}",
            remedy="add AddConstraint(constraint) after it",
        )


def _isolated(constraint: Constraint) -> bool:
    """Tell whether ``AddConstraint(constraint)`` took it out of CREATE TABLE."""
    rule = getattr(constraint, "_create_rule", None)
    return getattr(rule, "__name__", "") == "_create_rule_disable"


def _name(table: Table) -> str:
    return DIALECT.identifier_preparer.format_table(table)


def _start(sql: str) -> str:
    return canonical(sql)
