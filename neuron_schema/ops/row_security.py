"""Row security: its switches on a table, and its policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.ext.compiler import compiles

from neuron_schema.errors import VersionError
from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import (
    as_table,
    checked_name,
    checked_word,
    fragment,
    quoted,
    table_name,
)
from neuron_schema.ops.role import checked_roles, role_list
from neuron_schema.ops.target import alter_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.sql.compiler import DDLCompiler

    from neuron_schema.ops.fragments import Fragment, TableRef

_COMMANDS = ("ALL", "SELECT", "INSERT", "UPDATE", "DELETE")


class EnableRowSecurity(Operation):
    """``ALTER TABLE t ENABLE ROW LEVEL SECURITY``: no policy, no rows, but for the owner.

    https://www.postgresql.org/docs/current/ddl-rowsecurity.html

    Args:
        table: The table.
    """

    action = "ENABLE"

    def __init__(self, table: TableRef) -> None:
        self.table = as_table(table)


class DisableRowSecurity(EnableRowSecurity):
    """``ALTER TABLE t DISABLE ROW LEVEL SECURITY``; the policies stay, without effect.

    https://www.postgresql.org/docs/current/ddl-rowsecurity.html
    """

    action = "DISABLE"


class ForceRowSecurity(EnableRowSecurity):
    """``ALTER TABLE t FORCE ROW LEVEL SECURITY``: the policies hold for the table's owner too.

    https://www.postgresql.org/docs/current/ddl-rowsecurity.html
    """

    action = "FORCE"


class NoForceRowSecurity(EnableRowSecurity):
    """``ALTER TABLE t NO FORCE ROW LEVEL SECURITY``: the owner passes by the policies again.

    https://www.postgresql.org/docs/current/ddl-rowsecurity.html
    """

    action = "NO FORCE"


@compiles(EnableRowSecurity, "postgresql")
@compiles(DisableRowSecurity, "postgresql")
@compiles(ForceRowSecurity, "postgresql")
@compiles(NoForceRowSecurity, "postgresql")
def _row_security(op: EnableRowSecurity, compiler: DDLCompiler, **_: object) -> str:
    return f"{alter_table(compiler, op.table)} {op.action} ROW LEVEL SECURITY"


class CreatePolicy(Operation):
    """``CREATE POLICY n ON t [AS RESTRICTIVE] FOR command TO roles USING (...) WITH CHECK (...)``.

    https://www.postgresql.org/docs/current/sql-createpolicy.html

    Args:
        table: The table.
        name: The policy's name.
        command: ALL, SELECT, INSERT, UPDATE or DELETE.
        roles: Whom it holds for: role names, or PUBLIC, CURRENT_USER, CURRENT_ROLE, SESSION_USER.
        using: Which rows are seen: an expression or SQL text.
        check: Which rows may be written: an expression or SQL text.
        permissive: Rows pass by any permissive policy, and must pass every restrictive one.

    Raises:
        VersionError: Another command, no role, or an expression the command has no use for.
    """

    def __init__(
        self,
        table: TableRef,
        name: str,
        *,
        command: str = "ALL",
        roles: str | Sequence[str] = "PUBLIC",
        using: Fragment | None = None,
        check: Fragment | None = None,
        permissive: bool = True,
    ) -> None:
        self.table = as_table(table)
        self.name = checked_name(name, "policy name")
        self.command = checked_word(command, _COMMANDS, "the command of a policy")
        self.roles = checked_roles(roles)
        self.using = using
        self.check = check
        self.permissive = permissive
        if self.using is not None and self.command == "INSERT":
            raise VersionError(
                f"policy {name} is for INSERT, which sees no rows", remedy="use check= for using="
            )
        if self.check is not None and self.command in {"SELECT", "DELETE"}:
            raise VersionError(
                f"policy {name} is for {self.command}, which writes no rows",
                remedy="use using= for check=",
            )


@compiles(CreatePolicy, "postgresql")
def _create_policy(op: CreatePolicy, compiler: DDLCompiler, **_: object) -> str:
    name, table = quoted(compiler.preparer, op.name), table_name(compiler.preparer, op.table)
    kind = "" if op.permissive else " AS RESTRICTIVE"
    roles = role_list(compiler.preparer, op.roles)
    text = f"CREATE POLICY {name} ON {table}{kind} FOR {op.command} TO {roles}"
    if op.using is not None:
        text += f" USING ({fragment(compiler, op.using)})"
    if op.check is not None:
        text += f" WITH CHECK ({fragment(compiler, op.check)})"
    return text


class DropPolicy(Operation):
    """``DROP POLICY [IF EXISTS] n ON t``.

    https://www.postgresql.org/docs/current/sql-droppolicy.html

    Args:
        table: The table.
        name: The policy's name.
        if_exists: Do nothing when there is no such policy.

    Raises:
        VersionError: A name is empty or longer than 63 bytes.
    """

    def __init__(self, table: TableRef, name: str, *, if_exists: bool = False) -> None:
        self.table = as_table(table)
        self.name = checked_name(name, "policy name")
        self.if_exists = if_exists


@compiles(DropPolicy, "postgresql")
def _drop_policy(op: DropPolicy, compiler: DDLCompiler, **_: object) -> str:
    word = "DROP POLICY IF EXISTS" if op.if_exists else "DROP POLICY"
    table = table_name(compiler.preparer, op.table)
    return f"{word} {quoted(compiler.preparer, op.name)} ON {table}"
