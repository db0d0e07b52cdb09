"""CREATE and DROP of functions and procedures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnClause

from neuron_schema.errors import VersionError
from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import (
    checked_name,
    checked_text,
    checked_word,
    column_name,
    literal,
    qualified,
    quoted,
    type_name,
    verbatim,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy.sql.compiler import DDLCompiler

    from neuron_schema.ops.fragments import TypeRef

#: The argument list as text, or its parts: ``column("a", Integer)`` or text each.
Arguments: TypeAlias = "str | Sequence[ColumnClause[Any] | str]"

_VOLATILITIES = ("IMMUTABLE", "STABLE", "VOLATILE")
_PARALLEL = ("SAFE", "RESTRICTED", "UNSAFE")


class _Routine(Operation):
    """What functions and procedures share."""

    word = ""

    def __init__(
        self,
        name: str,
        *,
        args: Arguments,
        language: str,
        body: str,
        schema: str | None,
        or_replace: bool,
        security_definer: bool,
        set_: Mapping[str, str | Sequence[str]] | None,
    ) -> None:
        self.name = checked_name(name, "function name")
        self.schema = None if schema is None else checked_name(schema, "schema name")
        self.args = args
        self.language = checked_name(language, "language name")
        self.body = checked_text(body, "the body of a function")
        self.or_replace = or_replace
        self.security_definer = security_definer
        self.set_ = dict(set_ or {})
        if isinstance(path := self.set_.get("search_path"), str) and "," in path:
            raise VersionError(
                f"search_path = {path!r} would be one schema with a comma in its name",
                remedy='pass a tuple: set_={"search_path": ("pg_catalog", "public")}',
            )

    def clauses(self, compiler: DDLCompiler) -> Iterator[str]:
        """Yield the clauses between the head and the body."""
        yield f"LANGUAGE {quoted(compiler.preparer, self.language)}"
        if self.security_definer:
            yield "SECURITY DEFINER"
        for name, value in self.set_.items():
            values = (value,) if isinstance(value, str) else value
            # A dot parts an extension's prefix from its parameter.
            key = ".".join(quoted(compiler.preparer, part) for part in name.split("."))
            yield f"SET {key} = {', '.join(literal(compiler, item) for item in values)}"


def _routine(op: _Routine, compiler: DDLCompiler, returns: str = "") -> str:
    name = qualified(compiler.preparer, op.name, op.schema, "function name")
    create = "CREATE OR REPLACE" if op.or_replace else "CREATE"
    head = f"{create} {op.word} {name}({arguments(op.args, compiler)}){returns}"
    body = verbatim(compiler, dollar_quoted(op.body))
    return "\n".join((head, *op.clauses(compiler), f"AS {body}"))


def arguments(args: Arguments, compiler: DDLCompiler) -> str:
    """Return an argument list as SQL, without its parentheses."""
    if isinstance(args, str):
        return verbatim(compiler, args)
    return ", ".join(_argument(arg, compiler) for arg in args)


def _argument(arg: ColumnClause[Any] | str, compiler: DDLCompiler) -> str:
    if isinstance(arg, ColumnClause):
        return f"{column_name(compiler.preparer, arg)} {type_name(compiler, arg.type)}"
    return verbatim(compiler, checked_text(arg, "an argument of a function"))


def dollar_quoted(body: str) -> str:
    """Return a body between dollar quotes whose tag does not occur in it."""
    number = 0
    tag = "$$"
    # Searched with the closing tag, for a body that ends in "$" would open it too early.
    while (body + tag).index(tag) != len(body):
        number += 1
        tag = f"$body{number}$"
    return f"{tag}{body}{tag}"


class CreateFunction(_Routine):
    """``CREATE [OR REPLACE] FUNCTION name(args) RETURNS type LANGUAGE l ... AS $$ body $$``.

    https://www.postgresql.org/docs/current/sql-createfunction.html

    The body goes between dollar quotes, whatever it holds. For a body in SQL-standard style
    (``RETURN`` or ``BEGIN ATOMIC``) use ``Sql``.

    Args:
        name: The function's name.
        args: The argument list: text, or a sequence of ``column("a", Integer)`` and text.
        returns: A type of SQLAlchemy, or text: ``"trigger"``, ``"SETOF users"``,
            ``"TABLE (a integer)"``; None where OUT arguments say it.
        language: ``plpgsql``, ``sql`` or another installed language.
        body: The body, as it stands.
        schema: The function's schema; the first of the search path by default.
        or_replace: Replace a function of the same name and argument types.
        volatility: IMMUTABLE, STABLE or VOLATILE (the server's default).
        strict: Return NULL without a call when an argument is NULL.
        security_definer: Run with the owner's rights; set ``search_path`` then.
        leakproof: LEAKPROOF; for superusers.
        parallel: SAFE, RESTRICTED or UNSAFE (the server's default).
        cost: The planner's estimate, in units of ``cpu_operator_cost``.
        rows: The planner's estimate of the rows of a set.
        set_: Parameters that hold during a call; a list-valued one takes a tuple:
            ``{"search_path": ("pg_catalog", "public")}``.

    Raises:
        VersionError: A word is not PostgreSQL's, a name is too long, or the body is blank.
    """

    word = "FUNCTION"

    def __init__(
        self,
        name: str,
        args: Arguments = (),
        *,
        returns: TypeRef | None,
        language: str,
        body: str,
        schema: str | None = None,
        or_replace: bool = False,
        volatility: str | None = None,
        strict: bool = False,
        security_definer: bool = False,
        leakproof: bool = False,
        parallel: str | None = None,
        cost: float | None = None,
        rows: float | None = None,
        set_: Mapping[str, str | Sequence[str]] | None = None,
    ) -> None:
        super().__init__(
            name,
            args=args,
            language=language,
            body=body,
            schema=schema,
            or_replace=or_replace,
            security_definer=security_definer,
            set_=set_,
        )
        self.returns = returns
        self.volatility = volatility and checked_word(volatility, _VOLATILITIES, "volatility")
        self.strict = strict
        self.leakproof = leakproof
        self.parallel = parallel and checked_word(parallel, _PARALLEL, "parallel")
        self.cost = cost
        self.rows = rows

    def clauses(self, compiler: DDLCompiler) -> Iterator[str]:
        """Yield the clauses between the head and the body."""
        yield from super().clauses(compiler)
        if self.volatility:
            yield self.volatility
        if self.strict:
            yield "STRICT"
        if self.leakproof:
            yield "LEAKPROOF"
        if self.parallel:
            yield f"PARALLEL {self.parallel}"
        if self.cost is not None:
            yield f"COST {self.cost:g}"
        if self.rows is not None:
            yield f"ROWS {self.rows:g}"


@compiles(CreateFunction, "postgresql")
def _create_function(op: CreateFunction, compiler: DDLCompiler, **_: object) -> str:
    returns = "" if op.returns is None else f" RETURNS {type_name(compiler, op.returns)}"
    return _routine(op, compiler, returns)


class CreateProcedure(_Routine):
    """``CREATE [OR REPLACE] PROCEDURE name(args) LANGUAGE l ... AS $$ body $$``.

    https://www.postgresql.org/docs/current/sql-createprocedure.html

    Args:
        name: The procedure's name.
        args: The argument list: text, or a sequence of ``column("a", Integer)`` and text.
        language: ``plpgsql``, ``sql`` or another installed language.
        body: The body, as it stands.
        schema: The procedure's schema; the first of the search path by default.
        or_replace: Replace a procedure of the same name and argument types.
        security_definer: Run with the owner's rights; set ``search_path`` then.
        set_: Parameters that hold during a call, as for ``CreateFunction``.

    Raises:
        VersionError: A name is too long, or the body is blank.
    """

    word = "PROCEDURE"

    def __init__(
        self,
        name: str,
        args: Arguments = (),
        *,
        language: str,
        body: str,
        schema: str | None = None,
        or_replace: bool = False,
        security_definer: bool = False,
        set_: Mapping[str, str | Sequence[str]] | None = None,
    ) -> None:
        super().__init__(
            name,
            args=args,
            language=language,
            body=body,
            schema=schema,
            or_replace=or_replace,
            security_definer=security_definer,
            set_=set_,
        )


@compiles(CreateProcedure, "postgresql")
def _create_procedure(op: CreateProcedure, compiler: DDLCompiler, **_: object) -> str:
    return _routine(op, compiler)


class DropFunction(Operation):
    """``DROP FUNCTION [IF EXISTS] name[(args)] [CASCADE]``.

    https://www.postgresql.org/docs/current/sql-dropfunction.html

    Args:
        name: The function's name.
        args: Its argument types; None where the name alone says which one is meant.
        schema: The function's schema; the search path by default.
        if_exists: Do nothing when there is no such function.
        cascade: Also drop what depends on it, triggers for instance.

    Raises:
        VersionError: A name is empty or longer than 63 bytes.
    """

    word = "FUNCTION"

    def __init__(
        self,
        name: str,
        args: Arguments | None = None,
        *,
        schema: str | None = None,
        if_exists: bool = False,
        cascade: bool = False,
    ) -> None:
        self.name = checked_name(name, "function name")
        self.args = args
        self.schema = None if schema is None else checked_name(schema, "schema name")
        self.if_exists = if_exists
        self.cascade = cascade


class DropProcedure(DropFunction):
    """``DROP PROCEDURE [IF EXISTS] name[(args)] [CASCADE]``; arguments as for ``DropFunction``.

    https://www.postgresql.org/docs/current/sql-dropprocedure.html
    """

    word = "PROCEDURE"


@compiles(DropFunction, "postgresql")
@compiles(DropProcedure, "postgresql")
def _drop_function(op: DropFunction, compiler: DDLCompiler, **_: object) -> str:
    text = f"DROP {op.word} IF EXISTS " if op.if_exists else f"DROP {op.word} "
    text += qualified(compiler.preparer, op.name, op.schema, "function name")
    if op.args is not None:
        text += f"({arguments(op.args, compiler)})"
    return text + (" CASCADE" if op.cascade else "")
