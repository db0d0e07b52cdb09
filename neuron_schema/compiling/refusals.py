"""What may not stand in a version, and what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.sql import Composable
from sqlalchemy import Column, Constraint, Index, MetaData, Sequence, Table, TextClause
from sqlalchemy.schema import (
    ExecutableDDLElement,
    SetColumnComment,
    SetConstraintComment,
    SetTableComment,
)
from sqlalchemy.sql.expression import ClauseElement, SelectBase, UpdateBase
from sqlalchemy.types import TypeEngine

from neuron_schema.canonical import (
    canonical,
    commits_on_its_own,
    copies_stream,
    ends_transaction,
    leading_words,
)
from neuron_schema.compiling.compile_error import CompileError
from neuron_schema.ops.sql import Irreversible

if TYPE_CHECKING:
    from collections.abc import Mapping

# The first that fits; a Table is also a ClauseElement.
_KINDS: tuple[tuple[type[Any] | tuple[type[Any], ...], str, str], ...] = (
    ((str, Composable), "a bare {kind} is no construct", "wrap it in Sql(...)"),
    (bytes, "bytes are no construct", "decode them and use Sql(...)"),
    (Table, "a Table is no statement", "use CreateTable(table) or DropTable(table)"),
    (Column, "a Column is no statement", "use AddColumn(column) or DropColumn(column)"),
    (Index, "an Index is no statement", "use CreateIndex(index) or DropIndex(index)"),
    (Constraint, "a {kind} is no statement", "use AddConstraint(...) or DropConstraint(...)"),
    (Sequence, "a Sequence is no statement", "use CreateSequence(...) or DropSequence(...)"),
    (MetaData, "a MetaData is no statement", "list a CreateTable(table) for each table"),
    (TypeEngine, "a type is no statement", "use CreateEnumType(type) or CreateDomainType(type)"),
    (
        TextClause,
        "text() takes `:name` for parameters",
        "use Sql(...), which takes SQL as it stands",
    ),
    (SelectBase, "a query changes nothing", "use Sql(...) if it is run for what its functions do"),
    (ClauseElement, "an expression ({kind}) is no statement", "use Sql(...)"),
    (
        (tuple, list, set, frozenset),
        "a {kind} stands where one construct is wanted: is there a stray comma or bracket?",
        "list its items themselves, or write *{kind}",
    ),
    (dict, "a dict is no construct", "list the constructs themselves"),
    (
        Irreversible,
        "irreversible(...) stands inside a list",
        'write it alone: down = irreversible("why")',
    ),
    (type(None), "None is no construct", "does a function that builds it lack its return?"),
)


_RUN = frozenset({"create", "drop", "create_all", "drop_all"})
"""What SQLAlchemy's own things have to make and drop themselves with."""


def refuse_element(element: object) -> CompileError:
    """Return the error for an element that is no statement, with what to write instead."""
    if isinstance(element, type):
        return _class(element)
    kind = type(element).__name__
    for kinds, reason, remedy in _KINDS:
        if isinstance(element, kinds):
            return CompileError(reason.format(kind=kind), remedy.format(kind=kind))
    if hasattr(type(element), "__table__"):
        return CompileError(
            f"a row object ({kind}) is no statement", f"use insert({kind}.__table__).values(...)"
        )
    if callable(element):
        name = getattr(element, "__name__", kind)
        owner = getattr(element, "__self__", None)
        if name in _RUN and isinstance(owner, MetaData | Table | Index | Sequence | TypeEngine):
            return CompileError(f"{name} wants a connection, and is no construct", _instead(owner))
        return CompileError(f"{name} is a function, not a construct", f"call it: {name}()")
    return CompileError(
        f"{kind} is no construct: {element!r:.80}",
        "use SQLAlchemy DDL, an operation of neuron_schema.ops, insert/update/delete, or Sql(...)",
    )


def _instead(owner: object) -> str:
    """Return what to write in place of something that makes a thing of SQLAlchemy's itself."""
    if isinstance(owner, MetaData):
        return "list a CreateTable(table) for each table of sorted_tables, or a DropTable(table)"
    remedy = next(remedy for kinds, _, remedy in _KINDS if isinstance(owner, kinds))
    return remedy.format(kind=type(owner).__name__)


def _class(element: type[Any]) -> CompileError:
    name = element.__name__
    if hasattr(element, "__table__"):
        return CompileError(f"{name} is a mapped class", f"use CreateTable({name}.__table__)")
    if issubclass(element, ExecutableDDLElement | UpdateBase):
        return CompileError(f"{name} is a class, not a construct", f"call it: {name}(...)")
    return CompileError(f"{name} is a class, not a construct", "list constructs, made by calling")


def refuse_no_comment(element: ExecutableDDLElement) -> None:
    """Refuse to set the comment of what has none, which would take away the one that is there.

    Raises:
        CompileError: the element does that.
    """
    kinds = SetTableComment | SetColumnComment | SetConstraintComment
    if isinstance(element, kinds) and element.element.comment is None:
        kind = type(element).__name__
        raise CompileError(
            f"{kind} of {str(element.element)!r}, which has no comment=, "
            "would take its comment away",
            f"give it comment=, or use {kind.replace('Set', 'Drop')}",
        )


_INSTEAD: Mapping[str, str] = {
    "CREATE INDEX CONCURRENTLY": "use CreateIndex(Index(..., postgresql_concurrently=True))",
    "DROP INDEX CONCURRENTLY": "use DropIndex(Index(..., postgresql_concurrently=True))",
    "VACUUM": "use neuron_schema.ops.Vacuum",
    "REINDEX": "use neuron_schema.ops.Reindex",
    "ALTER TABLE": "use neuron_schema.ops.DetachPartition",
    "CLUSTER": "name the table: CLUSTER table USING index runs inside a transaction",
    "DISCARD": "leave it out; every version starts with the session's own settings",
}


def refuse_statement(sql: str) -> None:
    """Refuse verbatim SQL that cannot run inside the transaction of a version.

    Raises:
        CompileError: It ends the transaction, cannot run inside one, or wants a stream of data.
    """
    if ends_transaction(sql):
        raise CompileError(
            f"{_first(sql)!r} begins, ends or divides the transaction: a version's row could be"
            " kept with half of its change",
            "leave it out: each version runs in one transaction of its own",
        )
    if (kind := commits_on_its_own(sql)) is not None:
        remedy = next((text for start, text in _INSTEAD.items() if kind.startswith(start)), None)
        raise CompileError(
            f"{kind} cannot run inside a transaction",
            remedy or "run it by hand: a version cannot hold it",
        )
    if leading_words(sql, 2) == ("RESET", "ALL"):
        raise CompileError(
            "RESET ALL takes back what the run itself has set for this transaction",
            "reset the one setting that is meant: RESET work_mem",
        )
    if leading_words(sql, 4)[-2:] == ("SESSION", "AUTHORIZATION") or (
        leading_words(sql, 3)[-2:] == ("SESSION", "AUTHORIZATION")
    ):
        raise CompileError(
            "another session authorization would write the history and the log, and stays",
            "run it as another role: SET LOCAL ROLE name, or `role` in [tool.neuron_schema]",
        )
    if copies_stream(sql):
        raise CompileError(
            "COPY from or to the client wants a stream of data, which a version has not",
            "use insert(table).values([...]), or COPY from a file of the server",
        )


def _first(sql: str) -> str:
    return canonical(sql)[:60]
