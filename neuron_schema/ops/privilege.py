"""GRANT and REVOKE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from sqlalchemy.ext.compiler import compiles

from neuron_schema.errors import VersionError
from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import (
    as_table,
    checked_name,
    checked_word,
    column_name,
    enum_name,
    qualified,
    quoted,
    table_name,
    verbatim,
)
from neuron_schema.ops.function import CreateFunction, CreateProcedure, arguments
from neuron_schema.ops.role import checked_roles, role_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Enum
    from sqlalchemy import Sequence as SequenceObject
    from sqlalchemy.sql.compiler import DDLCompiler
    from sqlalchemy.sql.expression import ColumnClause

    from neuron_schema.ops.fragments import TableRef

_PRIVILEGES = (
    *("ALL", "ALL PRIVILEGES", "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES"),
    *("TRIGGER", "MAINTAIN", "USAGE", "CREATE", "CONNECT", "TEMPORARY", "TEMP", "EXECUTE"),
)


class On(TypedDict, total=False):
    """On what: exactly one of these.

    ``function`` takes a ``CreateFunction`` or ``CreateProcedure``, or text as
    ``name(argument types)`` that is taken as it stands.
    """

    table: TableRef
    sequence: SequenceObject | str
    schema: str
    type_: Enum | str
    function: CreateFunction | CreateProcedure | str
    database: str
    all_tables_in: str
    all_sequences_in: str
    all_functions_in: str


class _Privileges(Operation):
    """What GRANT and REVOKE share."""

    def __init__(
        self,
        privileges: str | Sequence[str],
        roles: str | Sequence[str],
        columns: Sequence[ColumnClause[Any] | str],
        on: On,
    ) -> None:
        given = (privileges,) if isinstance(privileges, str) else tuple(privileges)
        if not given:
            raise VersionError("no privilege is named", remedy='name one, for instance "SELECT"')
        self.privileges = tuple(checked_word(item, _PRIVILEGES, "a privilege") for item in given)
        self.roles = checked_roles(roles)
        self.columns = tuple(columns)
        kinds = [kind for kind in On.__annotations__ if on.get(kind) is not None]
        if len(kinds) != 1 or len(on) != 1:
            raise VersionError(
                f"a privilege is on one thing, not on {', '.join(sorted(on)) or 'none'}",
                remedy=f"pass one of {', '.join(f'{kind}=' for kind in On.__annotations__)}",
            )
        self.kind = kinds[0]
        self.on = on
        if self.columns and self.kind != "table":
            raise VersionError("columns= goes with table=", remedy="leave columns= out")


def _privileges(op: _Privileges, compiler: DDLCompiler) -> str:
    columns = ", ".join(column_name(compiler.preparer, column) for column in op.columns)
    each = f" ({columns})" if columns else ""
    return ", ".join(privilege + each for privilege in op.privileges)


def _object(op: _Privileges, compiler: DDLCompiler) -> str:
    value: Any = dict(op.on)[op.kind]
    preparer = compiler.preparer
    match op.kind:
        case "table":
            text = f"TABLE {table_name(preparer, as_table(value))}"
        case "sequence":
            text = f"SEQUENCE {_sequence(value, compiler)}"
        case "type_":
            text = f"TYPE {enum_name(preparer, value, None)}"
        case "function":
            text = _function(value, compiler)
        case "schema" | "database":
            text = f"{op.kind.upper()} {quoted(preparer, value, f'{op.kind} name')}"
        case _:
            words = op.kind.removesuffix("_in").replace("_", " ").upper()
            text = f"{words} IN SCHEMA {quoted(preparer, value, 'schema name')}"
    return text


def _sequence(sequence: SequenceObject | str, compiler: DDLCompiler) -> str:
    if isinstance(sequence, str):
        return quoted(compiler.preparer, sequence, "sequence name")
    checked_name(sequence.name, "sequence name")
    return compiler.preparer.format_sequence(sequence)


def _function(function: CreateFunction | CreateProcedure | str, compiler: DDLCompiler) -> str:
    if isinstance(function, str):
        return f"FUNCTION {verbatim(compiler, function)}"
    name = qualified(compiler.preparer, function.name, function.schema, "function name")
    return f"{function.word} {name}({arguments(function.args, compiler)})"


class Grant(_Privileges):
    """``GRANT privileges ON object TO roles [WITH GRANT OPTION]``.

    https://www.postgresql.org/docs/current/sql-grant.html

    ``Grant(["SELECT", "INSERT"], table=nodes, to="app")``,
    ``Grant("USAGE", schema="app", to="PUBLIC")``, ``Grant("SELECT", all_tables_in="app", to="r")``.

    Args:
        privileges: One or more privileges; ``ALL`` for all that there are.
        to: Role names, or PUBLIC, CURRENT_USER, CURRENT_ROLE, SESSION_USER in capitals.
        columns: Columns of the table, or their names; the whole table by default.
        with_grant_option: They may grant it on.
        **on: Exactly one of ``table``, ``sequence``, ``schema``, ``type_``, ``function``,
            ``database``, ``all_tables_in``, ``all_sequences_in``, ``all_functions_in``.

    Raises:
        VersionError: No or several objects, an unknown privilege, or no role.
    """

    def __init__(
        self,
        privileges: str | Sequence[str],
        *,
        to: str | Sequence[str],
        columns: Sequence[ColumnClause[Any] | str] = (),
        with_grant_option: bool = False,
        **on: Unpack[On],
    ) -> None:
        super().__init__(privileges, to, columns, on)
        self.with_grant_option = with_grant_option


@compiles(Grant, "postgresql")
def _grant(op: Grant, compiler: DDLCompiler, **_: object) -> str:
    roles = role_list(compiler.preparer, op.roles)
    text = f"GRANT {_privileges(op, compiler)} ON {_object(op, compiler)} TO {roles}"
    return text + (" WITH GRANT OPTION" if op.with_grant_option else "")


class Revoke(_Privileges):
    """``REVOKE [GRANT OPTION FOR] privileges ON object FROM roles [CASCADE]``.

    https://www.postgresql.org/docs/current/sql-revoke.html

    Args:
        privileges: One or more privileges; ``ALL`` for all that there are.
        from_: Role names, or PUBLIC, CURRENT_USER, CURRENT_ROLE, SESSION_USER in capitals.
        columns: Columns of the table, or their names; the whole table by default.
        grant_option_for: Take only the right to grant it on.
        cascade: Also take it from those they granted it to.
        **on: As for ``Grant``.

    Raises:
        VersionError: No or several objects, an unknown privilege, or no role.
    """

    def __init__(
        self,
        privileges: str | Sequence[str],
        *,
        from_: str | Sequence[str],
        columns: Sequence[ColumnClause[Any] | str] = (),
        grant_option_for: bool = False,
        cascade: bool = False,
        **on: Unpack[On],
    ) -> None:
        super().__init__(privileges, from_, columns, on)
        self.grant_option_for = grant_option_for
        self.cascade = cascade


@compiles(Revoke, "postgresql")
def _revoke(op: Revoke, compiler: DDLCompiler, **_: object) -> str:
    word = "REVOKE GRANT OPTION FOR" if op.grant_option_for else "REVOKE"
    roles = role_list(compiler.preparer, op.roles)
    text = f"{word} {_privileges(op, compiler)} ON {_object(op, compiler)} FROM {roles}"
    return text + (" CASCADE" if op.cascade else "")
