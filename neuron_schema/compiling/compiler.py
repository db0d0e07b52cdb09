"""Constructs to SQL text, and SQL text to a checksum. Needs no connection.

One element of a version becomes one ``Statement`` (verbatim ``Sql`` several), rendered by the one
dialect of ``rendering``. What cannot run inside a version, would mean other things elsewhere, or
would lose a part in silence is refused with ``CompileError``.

Checksums (formula 1, for ever): SHA-256, as 64 hexadecimal digits, over the UTF-8 text that holds
for each statement of ``up`` ``"up "``, its canonical text and a NUL, then for each statement of
``down`` ``"down "``, its canonical text and a NUL. Canonical text holds no NUL, so no two versions
have one text.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sqlalchemy import Delete, Insert, Update
from sqlalchemy.exc import NoReferenceError, SQLAlchemyError
from sqlalchemy.schema import DDL, CreateIndex, CreateTable, DropIndex, ExecutableDDLElement

from neuron_schema.canonical import SqlTextError, canonical, split
from neuron_schema.compiling.compile_error import CompileError
from neuron_schema.compiling.construct_checks import (
    AccompaniedStatement,
    check_companions,
    companions,
    companions_of_column,
)
from neuron_schema.compiling.own_commit import own_commit_of_create, own_commit_of_drop
from neuron_schema.compiling.refusals import refuse_element, refuse_no_comment, refuse_statement
from neuron_schema.compiling.rendering import DIALECT, SqlCompiler
from neuron_schema.errors import VersionError
from neuron_schema.model import Statement
from neuron_schema.ops.base import Operation
from neuron_schema.ops.column import AddColumn
from neuron_schema.ops.sql import Sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.compiling.construct_checks import Companion
    from neuron_schema.model import OwnCommit

__all__ = ["CompileError", "check_step", "checksum", "compile_element"]


def compile_element(element: object) -> tuple[Statement, ...]:
    """Compile one element of ``up`` or ``down``.

    Args:
        element: SQLAlchemy's executable DDL, an operation of ``neuron_schema.ops``, a Core
            INSERT, UPDATE or DELETE, or ``Sql``.

    Raises:
        CompileError: It is something else, or cannot run in a version as it was meant.
    """
    if isinstance(element, Sql):
        return _verbatim(element.text)
    if isinstance(element, type) or not isinstance(
        element, ExecutableDDLElement | Insert | Update | Delete
    ):
        raise refuse_element(element)
    try:
        if isinstance(element, DDL):
            return _verbatim(_faithful(element))
        if isinstance(element, ExecutableDDLElement):
            return (_ddl(element),)
        return (_dml(element),)
    except VersionError as error:
        raise CompileError(error.message, error.remedy) from error
    except NoReferenceError as error:
        raise CompileError(
            f"{_kind(element)}: {error}",
            'declare the other table in the same MetaData; Table("other", metadata,'
            ' Column("id", Uuid)) is enough',
        ) from error
    except (SQLAlchemyError, AttributeError, KeyError, TypeError, IndexError) as error:
        raise CompileError(
            f"{_kind(element)} cannot be compiled: {error}",
            "correct the construct, or use Sql(...)",
        ) from error


def check_step(statements: Sequence[Statement]) -> None:
    """Check the statements of one direction as the step that they make.

    Raises:
        CompileError: One that PostgreSQL commits on its own has company, or a CREATE TABLE lacks
            a companion without which a part of its Table would be lost.
    """
    alone = [statement.own_commit for statement in statements if statement.own_commit]
    others = len(statements) - 1
    if alone and others:
        kind = alone[0].kind
        raise CompileError(
            f"{kind} commits on its own, so it cannot share a version with {others} other"
            f" statement{'s' * (others > 1)}: half of it would stay after a failure",
            f"put {kind} into a version of its own, in a file with the next number, and what comes"
            " after it into a third",
        )
    check_companions(tuple(statements))


def checksum(up: Sequence[Statement], down: Sequence[Statement]) -> str:
    """Return the checksum of a version, as 64 hexadecimal digits; the module says over what.

    Raises:
        CompileError: A statement has no tokens by PostgreSQL's rules.
    """
    digest = hashlib.sha256()
    for direction, statements in (("up", up), ("down", down)):
        for statement in statements:
            digest.update(f"{direction} {_canonical(statement.sql)}\0".encode())
    return digest.hexdigest()


def _canonical(sql: str) -> str:
    try:
        return canonical(sql)
    except SqlTextError as error:
        raise _unlexable(sql, error) from error


def _verbatim(text: str) -> tuple[Statement, ...]:
    try:
        parts = split(text)
    except SqlTextError as error:
        raise _unlexable(text, error) from error
    if not parts:
        raise CompileError("the SQL holds nothing but comments", "leave the element out")
    for part in parts:
        refuse_statement(part)
    return tuple(Statement(sql=part) for part in parts)


def _unlexable(text: str, error: SqlTextError) -> CompileError:
    before = text[: error.position]
    line = before.count("\n") + 1
    column = error.position - before.rfind("\n")
    if text[error.position : error.position + 1] == "\\":
        remedy = "a line that begins with a backslash is a command of psql; write the SQL instead"
    else:
        remedy = "correct the SQL: PostgreSQL would refuse it too"
    shown = text[error.position : error.position + 30].partition("\n")[0]
    return CompileError(
        f"the SQL cannot be read: {error.reason}, at line {line}, column {column}: {shown!r}",
        remedy,
    )


def _faithful(ddl: DDL) -> str:
    """Return the text of a ``DDL`` that SQLAlchemy's ``%`` formatting leaves as it is."""
    if "%" in ddl.statement or ddl.context:
        raise CompileError(
            "DDL() formats the % in its text with Python's rules",
            "use Sql(...), which alters nothing",
        )
    _refuse_condition(ddl)
    return str(ddl.statement)


def _ddl(element: ExecutableDDLElement) -> Statement:
    _refuse_condition(element)
    refuse_no_comment(element)
    sql = _one(str(element.compile(dialect=DIALECT)), element)
    if beside := _companions(element):
        return AccompaniedStatement(sql=sql, companions=beside)
    return Statement(sql=sql, own_commit=_own_commit(element, sql))


def _companions(element: ExecutableDDLElement) -> tuple[Companion, ...]:
    if isinstance(element, CreateTable):
        return companions(element.element)
    if isinstance(element, AddColumn):
        return companions_of_column(element.column)
    return ()


def _own_commit(element: ExecutableDDLElement, sql: str) -> OwnCommit | None:
    if isinstance(element, Operation):
        return element.own_commit(DIALECT.identifier_preparer)
    if isinstance(element, CreateIndex):
        return own_commit_of_create(element, sql)
    if isinstance(element, DropIndex):
        return own_commit_of_drop(element)
    return None


def _refuse_condition(element: ExecutableDDLElement) -> None:
    if getattr(element, "_ddl_if", None) is not None:
        raise CompileError(
            f"{_kind(element)} has execute_if() or ddl_if(): a version is the same everywhere",
            "leave the condition out",
        )


def _dml(element: Insert | Update | Delete) -> Statement:
    if getattr(element, "_propagate_attrs", {}).get("compile_state_plugin") == "orm":
        raise CompileError(
            f"{_kind(element)} is made for a mapped class", "pass its table: Class.__table__"
        )
    # Else SQLAlchemy adds RETURNING for the primary key.
    statement = element.inline() if isinstance(element, Insert) else element
    compiled = statement.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True})
    assert isinstance(compiled, SqlCompiler)  # noqa: S101 - the dialect's own
    if compiled.binds:
        raise CompileError(
            f"{_kind(element)} has no values for {', '.join(sorted(compiled.binds))}",
            "give them: .values(...)",
        )
    # The later rows of a multi-row INSERT have stand-ins for their columns.
    filled = {getattr(column, "original", column) for column in compiled.insert_prefetch}
    if names := ", ".join(sorted(map(str, filled))):
        raise CompileError(
            f"{_kind(element)} leaves {names} to a Python-side default or onupdate, which runs only"
            " in a program: it would become NULL",
            "give the value in .values(...), or declare server_default=",
        )
    return Statement(sql=_one(str(compiled), element))


def _one(sql: str, element: object) -> str:
    """Return the text of a construct, if it is one statement that can be sent.

    Raises:
        CompileError: A part of it smuggles in a second statement, or has characters that cannot
            be encoded.
    """
    sql = sql.strip()
    if ";" in sql:
        try:
            count = len(split(sql))
        except SqlTextError as error:
            raise _unlexable(sql, error) from error
        if count != 1:
            raise CompileError(
                f"{_kind(element)} compiles to {count} statements", "use Sql(...) for several"
            )
        sql = split(sql)[0]
    if "\0" in sql:
        raise CompileError(f"{_kind(element)} holds a NUL byte, which PostgreSQL cannot read")
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        raise CompileError(f"{_kind(element)} holds a lone surrogate: {error}") from error
    return sql


def _kind(element: object) -> str:
    return type(element).__name__
