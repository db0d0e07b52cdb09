"""Backfills: every row of a table changed, a batch at a time, each in its own transaction."""

from __future__ import annotations

import difflib
import inspect
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Column, Select, Table, literal, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.expression import ColumnClause

from neuron_schema.errors import VersionError
from neuron_schema.model import BACKFILL_ROWS, BackfillSpec, OwnCommit, RowFunction
from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import (
    as_table,
    checked_name,
    checked_text,
    column_name,
    table_name,
)
from neuron_schema.ops.fragments import (
    literal as text_literal,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import DDLCompiler, IdentifierPreparer
    from sqlalchemy.sql.expression import TableClause

    from neuron_schema.ops.fragments import Fragment, TableRef

#: A column, or its name in the database.
ColumnRef: TypeAlias = "ColumnClause[Any] | str"
#: Takes rows as dicts by column name; returns for each a dict of new values, or None to leave it.
RowsFunction: TypeAlias = "Callable[[list[dict[str, Any]]], Sequence[Mapping[str, Any] | None]]"

LARGEST_BATCH = 100_000
_BARE_WORD = re.compile(r"\s*[^\W\d][\w$]*\s*")
_CONSTANTS = frozenset({"true", "false", "null", "current_timestamp", "current_date"})


class Backfill(Operation):
    """``UPDATE t SET ... WHERE ...``, in batches along a key, each in a transaction of its own.

    https://www.postgresql.org/docs/current/sql-update.html

    So no lock is held long, dead rows can be cleared away meanwhile, and what is done stays done:
    a run that is killed goes on where it stopped. Every row is written once. It commits on its
    own, so it is alone in its direction.

    With ``where`` the table is gone through again until no row matches, so that rows which are
    inserted meanwhile are changed too; the change must make the condition false (``where="email
    IS DISTINCT FROM lower(email)"``). It may not look at the same table through a subquery. Without
    it there is one pass, and the report says about how many rows were inserted while it ran.

    What is in the checksum is the one UPDATE; how it is divided is not. While it runs, dates,
    intervals and floats that are turned into text have PostgreSQL's standard formats
    (``DateStyle`` ISO and so on).

    Args:
        table: The table.
        set_: Columns and what they are set to: an SQLAlchemy expression, a value, or SQL text. A
            string to be stored is ``literal("x")``; one bare word, which might be either, is
            refused.
        where: Which rows; an expression or SQL text. All rows by default.
        batch_size: Rows of the first batch, 1 to 100,000; later ones are made larger or smaller so
            that each takes about 200 ms.
        pause: Seconds between two batches.
        key: The columns of a unique index, none of them nullable, along which it walks. By default
            the table's primary key.

    Raises:
        VersionError: The key is not known; a column is none of the table's, or belongs to the
            key; nothing is set, or a bare word; a number is out of its range.
    """

    def __init__(
        self,
        table: TableRef,
        set_: Mapping[Any, Any],
        *,
        where: Fragment | None = None,
        batch_size: int = 1000,
        pause: float = 0,
        key: Iterable[ColumnRef] | None = None,
    ) -> None:
        self.table = as_table(table)
        self.key = _key(self.table, key)
        if not isinstance(set_, Mapping) or not set_:
            raise VersionError(
                f"Backfill of {self.table.name!r} sets nothing",
                remedy='write set_={"column": expression}',
            )
        self.set_ = {_column(self.table, column): value for column, value in set_.items()}
        for name, value in self.set_.items():
            _refuse_bare_word(name, value)
        _refuse_key(self.table, self.key, self.set_)
        self.where = where
        self.batch_size = _checked_size(batch_size)
        self.pause_s = _checked_pause(pause)

    def own_commit(self, preparer: IdentifierPreparer) -> OwnCommit:
        """Return what is done to each row."""
        dialect = preparer.dialect
        set_ = tuple(
            (column_name(preparer, name), _expression(self.table, _value(self, name), dialect))
            for name in self.set_
        )
        spec = BackfillSpec(
            table=table_name(preparer, self.table),
            key=tuple(column_name(preparer, name) for name in self.key),
            set_=set_,
            where=_where(self.table, self.where, dialect),
            batch_size=self.batch_size,
            pause_s=self.pause_s,
        )
        return OwnCommit(kind="BACKFILL", backfill=spec)


@compiles(Backfill, "postgresql")
def _backfill(op: Backfill, compiler: DDLCompiler, **_: object) -> str:
    spec = op.own_commit(compiler.preparer).backfill
    assert spec is not None  # noqa: S101 - it has just been made
    changes = ",\n       ".join(f"{name} = {value}" for name, value in spec.set_)
    where = f"\n WHERE {spec.where}" if spec.where is not None else ""
    return f"UPDATE {spec.table}\n   SET {changes}{where}"


class BackfillRows(Operation):
    """Values that Python computes from rows, written in batches: embeddings, for instance.

    A batch is read, ``function`` is called with its rows outside of any transaction, and what it
    returns is written to those rows whose ``columns`` are still as they were read; the others are
    read and computed again. What is done stays done, and a run that is killed goes on where it
    stopped. One row is written once, but the function may be called twice for it. It commits on its
    own, so it is alone in its direction. What it reads and writes it with, batch by batch:
    https://www.postgresql.org/docs/current/sql-update.html

    ``where`` is as for ``Backfill``: passes are repeated until no row matches, or until a whole
    pass leaves all rows as they are.

    The checksum covers table, columns, ``where`` and ``revision``, not the function: that may call
    what changes elsewhere. Give another revision when it shall count as another change.

    Args:
        table: A ``Table`` with its columns: their types write the values.
        function: Takes a list of dicts, with key and columns by their names in the database;
            returns a list of the same length, for each row a dict of new values by column or None,
            which leaves the row. All dicts of one list have the same columns.
        columns: What the function reads.
        revision: What this state of the function is called.
        where: Which rows; all by default.
        batch_size: The most rows that the function is given at once, 1 to 100,000.
        pause: Seconds between two batches.
        key: As for ``Backfill``.

    Raises:
        VersionError: The table's columns or its key are not known; a column is none of them; the
            function is none; a number is out of its range.
    """

    def __init__(
        self,
        table: TableRef,
        function: RowsFunction,
        columns: Iterable[ColumnRef],
        *,
        revision: str = "1",
        where: Fragment | None = None,
        batch_size: int = 100,
        pause: float = 0,
        key: Iterable[ColumnRef] | None = None,
    ) -> None:
        self.table = as_table(table)
        if not len(self.table.columns):
            raise VersionError(
                f"the columns of {self.table.name!r} are not known, nor their types",
                remedy="pass a Table that has the columns which are read and written",
            )
        if not callable(function) or inspect.iscoroutinefunction(function):
            raise VersionError(
                f"{function!r} is no function that takes rows and returns them",
                remedy="pass a function; one with `async def` can be called with asyncio.run",
            )
        self.function = function
        self.key = _key(self.table, key)
        self.columns = tuple(_column(self.table, column) for column in _several(columns))
        self.revision = checked_text(revision, "revision=")
        self.where = where
        self.batch_size = _checked_size(batch_size)
        self.pause_s = _checked_pause(pause)

    def own_commit(self, preparer: IdentifierPreparer) -> OwnCommit:
        """Return what is read of each row, and what computes its new values."""
        rows = RowFunction(
            function=self.function,
            name=str(getattr(self.function, "__name__", type(self.function).__name__)),
            columns=tuple(column_name(preparer, name) for name in self.columns),
            types={column.name: column.type for column in self.table.columns},
            revision=self.revision,
            source=_source(self.function),
        )
        spec = BackfillSpec(
            table=table_name(preparer, self.table),
            key=tuple(column_name(preparer, name) for name in self.key),
            where=_where(self.table, self.where, preparer.dialect),
            batch_size=self.batch_size,
            pause_s=self.pause_s,
            rows=rows,
        )
        return OwnCommit(kind=BACKFILL_ROWS, backfill=spec)


@compiles(BackfillRows, "postgresql")
def _backfill_rows(op: BackfillRows, compiler: DDLCompiler, **_: object) -> str:
    spec = op.own_commit(compiler.preparer).backfill
    assert spec is not None  # noqa: S101 - it has just been made
    assert spec.rows is not None  # noqa: S101 - as above
    what = f"BackfillRows of {spec.table}, reading {', '.join(spec.rows.columns) or 'the key'}"
    if spec.where is not None:
        what += f", where {spec.where}"
    what += f", revision {spec.rows.revision}: is run by neuron-schema, not by psql"
    # A format and an argument: a % in the text is no placeholder.
    body = f"BEGIN RAISE EXCEPTION USING MESSAGE = {text_literal(compiler, what)}; END"
    return f"DO {text_literal(compiler, body)}"


def _several(columns: object) -> list[Any]:
    if isinstance(columns, str | ColumnClause) or not isinstance(columns, Iterable):
        raise VersionError(
            f"{columns!r} is no list of columns", remedy='write a list, such as ["title"]'
        )
    return list(columns)


def _key(table: TableClause, key: Iterable[ColumnRef] | None) -> tuple[str, ...]:
    """Return the names of the columns along which it is walked."""
    columns = (
        [one.name for one in table.primary_key.columns]
        if key is None and isinstance(table, Table)
        else []
        if key is None
        else _several(key)
    )
    if not columns:
        raise VersionError(
            f"the key of {table.name!r} is not known: it has no primary key here",
            remedy="mark its columns with primary_key=True, or name those of a unique index, none "
            'of them nullable: key=["id"]',
        )
    return tuple(_column(table, column) for column in columns)


def _column(table: TableClause, column: Any) -> str:
    """Return a column's name in the database, if it is one of the table's."""
    if hasattr(column, "__clause_element__"):
        column = column.__clause_element__()
    if isinstance(column, ColumnClause):
        owner: Any = column.table
        if owner is not None and getattr(owner, "name", None) != table.name:
            raise VersionError(
                f"column {column.name!r} belongs to {owner!s}, not to {table.name!r}",
                remedy=f"pass a column of {table.name!r}",
            )
        column = column.name
    name = checked_name(column, "column name")
    known = [one.name for one in table.columns]
    if known and name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        raise VersionError(
            f"{table.name!r} has no column {name!r}",
            remedy=(f"did you mean {near[0]!r}? " if near else "")
            + f"the columns are {', '.join(known)}",
        )
    return name


def _refuse_key(table: TableClause, key: tuple[str, ...], changed: Iterable[str]) -> None:
    both = [name for name in key if name in changed]
    if both:
        raise VersionError(
            f"{', '.join(both)} of {table.name!r} cannot be set: it is walked along",
            remedy="name another unique index's columns with key=, or use an UPDATE",
        )


def is_bare_word(text: str) -> bool:
    """Whether SQL text is one word that may name a column, and may be meant as a text."""
    return _BARE_WORD.fullmatch(text) is not None and text.strip().lower() not in _CONSTANTS


def _refuse_bare_word(column: str, value: object) -> None:
    """Refuse what Core's ``values()`` takes for a text, and ``Backfill`` would for a column."""
    if isinstance(value, str) and is_bare_word(value):
        word = value.strip()
        raise VersionError(
            f"{column!r} is set to {value!r}, which may be a text or a column",
            remedy=f"write literal({word!r}) for the text, text({word!r}) for the column or another"
            " word of SQL, both of sqlalchemy",
        )


def _checked_size(size: object) -> int:
    if isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= LARGEST_BATCH:
        return size
    raise VersionError(
        f"batch_size cannot be {size!r}", remedy=f"give 1 to {LARGEST_BATCH}, a number of rows"
    )


def _checked_pause(pause: object) -> float:
    if isinstance(pause, int | float) and not isinstance(pause, bool) and 0 <= pause < math.inf:
        return float(pause)
    raise VersionError(f"pause cannot be {pause!r}", remedy="give seconds, 0 or more")


def _value(op: Backfill, name: str) -> Any:
    """Return what a column is set to as an expression or as text."""
    value = op.set_[name]
    if isinstance(value, str | ClauseElement) or hasattr(value, "__clause_element__"):
        return value
    known = op.table.columns
    type_ = next((one.type for one in known if isinstance(one, Column) and one.name == name), None)
    return literal(value, type_)


def _where(table: TableClause, where: Any, dialect: Dialect) -> str | None:
    return None if where is None else _expression(table, where, dialect)


def _expression(table: TableClause, value: Any, dialect: Dialect) -> str:
    """Return an expression about one row of a table, values inline, columns with their table.

    SQLAlchemy renders it as the condition of a query of that table, so that a subquery is
    correlated with it.

    Raises:
        VersionError: It is no expression, or wants another table beside this one.
    """
    if hasattr(value, "__clause_element__"):
        value = value.__clause_element__()
    if isinstance(value, str):
        value = literal_column(checked_text(value, "an expression"))
    if not isinstance(value, ClauseElement):
        raise VersionError(
            f"{value!r} is no SQL expression",
            remedy="pass an SQLAlchemy expression or SQL text as a str",
        )
    marker = "neuron_schema_row"
    condition: Any = value
    query: Select[Any] = select(literal_column(marker)).select_from(table).where(condition)
    compiled = query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    name = table_name(dialect.identifier_preparer, table)
    head, where, text = str(compiled).partition("WHERE ")
    if not where or head.split() != f"SELECT {marker} FROM {name}".split():
        raise VersionError(
            f"an expression for the rows of {table.name!r} uses another table beside it",
            remedy="put the other table into a subquery: select(...).scalar_subquery()",
        )
    # What follows it must not be in its comment.
    return f"{text}\n" if "--" in text.rpartition("\n")[2] else text


def _source(function: Any) -> str | None:
    """Return a function's text as its file has it, or None where there is none."""
    try:
        return textwrap.dedent(inspect.getsource(function)).rstrip()
    except (OSError, TypeError, SyntaxError):
        return None
