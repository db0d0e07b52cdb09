"""What an operation works on, where it may be given as an SQLAlchemy object or by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Constraint, Index
from sqlalchemy.sql.expression import ColumnClause, TableClause

from neuron_schema.errors import VersionError
from neuron_schema.ops.fragments import as_table, checked_name, qualified, table_name

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import DDLCompiler, IdentifierPreparer

    from neuron_schema.ops.fragments import TableRef


def alter_table(compiler: DDLCompiler, table: TableClause) -> str:
    """Return the head of an ALTER TABLE."""
    return "ALTER TABLE " + table_name(compiler.preparer, table)


def _one_table(what: str, own: object, given: TableRef | None) -> TableClause:
    if (own is None) == (given is None):
        raise VersionError(
            f"{what}: its table is {'not known' if given is None else 'said twice'}",
            remedy="pass an object that belongs to a table, or a name and table=",
        )
    return own if isinstance(own, TableClause) else as_table(given)  # type: ignore[arg-type]


def column_target(
    column: ColumnClause[Any] | str, table: TableRef | None
) -> tuple[TableClause, ColumnClause[Any] | str]:
    """Return the table and the column that are meant.

    Raises:
        VersionError: The table is not known, or said twice.
    """
    if isinstance(column, str):
        return _one_table(f"column {column!r}", None, table), checked_name(column, "column name")
    if hasattr(column, "__clause_element__"):
        column = column.__clause_element__()
    if not isinstance(column, ColumnClause):
        raise VersionError(f"{column!r} is no column", remedy="pass a Column, or a name and table=")
    checked_name(column.name, "column name")
    return _one_table(f"column {column.name!r}", column.table, table), column


def constraint_target(
    constraint: Constraint | str, table: TableRef | None
) -> tuple[TableClause, Constraint | str]:
    """Return the table and the constraint that are meant.

    Raises:
        VersionError: The constraint has no name, or its table is not known, or said twice.
    """
    if isinstance(constraint, str):
        found = _one_table(f"constraint {constraint!r}", None, table)
        return found, checked_name(constraint, "constraint name")
    if not isinstance(constraint, Constraint) or constraint.name is None:
        raise VersionError(
            f"{constraint!r} is no constraint with a name",
            remedy="pass a named constraint of a Table, or the name in the database and table=",
        )
    # A CHECK that was passed to a Column has the column for its parent.
    parent = getattr(constraint, "parent", None)
    own = getattr(parent, "table", None) if isinstance(parent, Column) else parent
    return _one_table(f"constraint {constraint.name!r}", own, table), constraint


def constraint_name(preparer: IdentifierPreparer, constraint: Constraint | str) -> str:
    """Return a constraint's name; a naming convention of its MetaData is followed."""
    if isinstance(constraint, str):
        return preparer.quote(checked_name(constraint, "constraint name"))
    found = preparer.format_constraint(constraint)
    if found is None:
        raise VersionError(
            f"{constraint!r} has no name", remedy="pass its name in the database and table="
        )
    _check_rendered(preparer, found, "constraint name")
    return found


def _check_rendered(preparer: IdentifierPreparer, text: str, what: str) -> None:
    """Check a name as it was rendered: a naming convention may have made it."""
    for name in preparer.unformat_identifiers(text):
        checked_name(name, what)


def index_target(index: Index | str, schema: str | None) -> Index | str:
    """Return the index that is meant.

    Raises:
        VersionError: It has no name or no table, or a schema besides that of its table.
    """
    if isinstance(index, str):
        return checked_name(index, "index name")
    if not isinstance(index, Index) or not index.name or index.table is None or schema is not None:
        raise VersionError(
            f"{index!r} does not say which index is meant",
            remedy="pass a named Index of a Table, whose schema it has, or a name and schema=",
        )
    checked_name(str(index.name), "index name")
    return index


def index_name(preparer: IdentifierPreparer, index: Index | str, schema: str | None) -> str:
    """Return an index's name, with its schema if it has one."""
    if isinstance(index, str):
        return qualified(preparer, index, schema, "index name")
    text = preparer.format_index(index)
    _check_rendered(preparer, text, "index name")
    own = preparer.schema_for_object(index.table) if index.table is not None else None
    if own is None:
        return text
    return f"{preparer.quote_schema(checked_name(own, 'schema name'))}.{text}"
