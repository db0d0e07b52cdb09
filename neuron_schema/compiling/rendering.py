"""The one dialect that every statement is rendered by; it needs no connection.

SQLAlchemy's psycopg dialect, with ``paramstyle="named"`` so that ``%`` stays single, and with two
compilers that render values as literals and refuse what SQLAlchemy would drop or alter in silence.
Whatever an operation compiles through SQLAlchemy passes here too.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql.base import PGDDLCompiler
from sqlalchemy.dialects.postgresql.psycopg import (
    PGCompiler_psycopg,
    PGDialect_psycopg,
    PGIdentifierPreparer_psycopg,
)

from neuron_schema.compiling import literals
from neuron_schema.compiling.compile_error import CompileError

#: ``NAMEDATALEN`` less one: https://www.postgresql.org/docs/current/limits.html
MAX_NAME_BYTES = 63

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import BindParameter, Computed, Index
    from sqlalchemy.dialects.postgresql import ExcludeConstraint
    from sqlalchemy.schema import DropColumnComment


class SqlCompiler(PGCompiler_psycopg):
    """Renders values as literals, and refuses those that are not there."""

    def render_literal_value(self, value: Any, type_: literals.AnyType) -> str:
        """Render a value as a literal of its type."""
        if value is None and not type_.should_evaluate_none:
            return "NULL"
        own = literals.render(value, type_, self.dialect)
        if own is not None:
            return own
        base: Any = super()
        return str(base.render_literal_value(value, type_))

    def render_literal_bindparam(self, bindparam: Any, *args: Any, **kw: Any) -> str:
        """Render a parameter's value; SQLAlchemy writes NULL for one that has none."""
        given = bindparam.key in (getattr(self, "_collected_params", None) or {})
        if bindparam.required and not given:
            raise _without_value(bindparam)
        if bindparam.callable is not None:
            raise CompileError(
                f"the value of {bindparam.key!r} is a function: it may answer otherwise tomorrow",
                "pass the value",
            )
        if bindparam.value is None and not given and not bindparam.expanding:
            return self.render_literal_value(None, bindparam.type)
        base: Any = super()
        return str(base.render_literal_bindparam(bindparam, *args, **kw))

    # SQLAlchemy begins these lists anew for each INSERT and UPDATE inside a statement;
    # we keep one, so that none with a Python-side default escapes.
    @property
    def insert_prefetch(self) -> list[Any]:
        """The columns that a Python-side default would have filled at execution."""
        found: list[Any] = self.__dict__.setdefault("_python_side", [])
        return found

    @insert_prefetch.setter
    def insert_prefetch(self, columns: Sequence[Any]) -> None:
        self.insert_prefetch.extend(columns)

    update_prefetch = insert_prefetch


def _without_value(bindparam: BindParameter[Any]) -> CompileError:
    if getattr(bindparam, "_is_crud", False):
        return CompileError(
            f"the statement has no value for {bindparam.key!r}", "give the row: .values(...)"
        )
    return CompileError(
        f"`:{bindparam.key}` in a text is a parameter without a value and would become NULL",
        f"write `\\:{bindparam.key}` in text(), or use Sql(...)",
    )


class DdlCompiler(PGDDLCompiler):
    """Refuses what would mean different things on different servers, or be dropped in silence."""

    def visit_create_column(self, create: Any, *args: Any, **kw: Any) -> str | None:
        """Render a column with its constraints in the order in which they were made.

        ``Column.constraints`` is a set: SQLAlchemy's own order, and so the checksum of a column
        with two CHECKs, would differ from process to process.
        """
        base: Any = super()
        column = create.element
        made = sorted(column.constraints, key=lambda one: one._creation_order)  # noqa: SLF001
        if len(made) < 2 or column.system:  # noqa: PLR2004 - one has no order
            rendered: str | None = base.visit_create_column(create, *args, **kw)
            return rendered
        text: str = base.get_column_specification(column, *args, **kw)
        return " ".join([text, *(self.process(one) for one in made)])

    def visit_computed_column(self, generated: Computed, **kw: Any) -> str:
        """Render GENERATED ALWAYS AS; STORED or VIRTUAL must be chosen.

        https://docs.sqlalchemy.org/en/21/core/defaults.html#computed-ddl
        """
        if generated.persisted is None:
            raise CompileError(
                f"Computed column {str(generated.column)!r} does not say persisted=: that is"
                " VIRTUAL from PostgreSQL 18 on, and an error before",
                "write Computed(..., persisted=True) for STORED",
            )
        base: Any = super()
        return str(base.visit_computed_column(generated, **kw))

    def visit_create_index(self, create: Any, *args: Any, **kw: Any) -> str:
        """Render CREATE INDEX; SQLAlchemy skips operator classes whose key it does not find."""
        index: Index = create.element
        refuse_lost_ops(
            f"index {index.name!r}: postgresql_ops",
            index.dialect_options["postgresql"]["ops"],
            index.expressions,
        )
        base: Any = super()
        return str(base.visit_create_index(create, *args, **kw))

    def visit_exclude_constraint(self, constraint: ExcludeConstraint, **kw: Any) -> str:
        """Render EXCLUDE; its operator classes are looked up as those of an index."""
        expressions = [parts[0] for parts in getattr(constraint, "_render_exprs", ())]
        refuse_lost_ops(f"constraint {constraint.name!r}: ops", constraint.ops, expressions)
        base: Any = super()
        return str(base.visit_exclude_constraint(constraint, **kw))

    def visit_drop_column_comment(self, drop: DropColumnComment, **_: Any) -> str:
        """Render COMMENT ON COLUMN ... IS NULL with the schema, which SQLAlchemy 2.1 leaves out."""
        name = self.preparer.format_column(drop.element, use_table=True, use_schema=True)
        return f"COMMENT ON COLUMN {name} IS NULL"


def refuse_lost_ops(what: str, ops: Mapping[str, str], expressions: Iterable[Any]) -> None:
    """Refuse operator classes for keys that no expression has.

    The key is an expression's ``key``: a Column's key (not its name in the database), or the name
    given by ``.label()``. Under another one SQLAlchemy drops the operator class in silence.

    Raises:
        CompileError: A key has no expression; says which keys there are.
    """
    if not ops:
        return
    keys = [key for expression in expressions if (key := getattr(expression, "key", None))]
    for key in ops:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            named = ", ".join(map(repr, keys)) or "none; name an expression with .label()"
            raise CompileError(
                f"{what} has the key {key!r}, which no expression has, and would be dropped",
                f"{hint}the keys are Column keys and labels: {named}",
            )


class Preparer(PGIdentifierPreparer_psycopg):
    """Refuses names that PostgreSQL would cut; SQLAlchemy counts characters, not bytes."""

    # Reserved for type or function names, which SQLAlchemy's list leaves out:
    # https://www.postgresql.org/docs/current/sql-keywords-appendix.html
    reserved_words = PGIdentifierPreparer_psycopg.reserved_words | {
        "collation",
        "concurrently",
        "lateral",
        "system_user",
        "tablesample",
    }

    def quote(self, ident: str) -> str:
        """Quote a name where it must be quoted."""
        length = len(ident.encode("utf-8", "replace"))
        if length > MAX_NAME_BYTES:
            raise CompileError(
                f"the name {ident!r} has {length} bytes; PostgreSQL cuts it at {MAX_NAME_BYTES}",
                "choose a shorter one",
            )
        base: Any = super()
        return str(base.quote(ident))


class _Dialect(PGDialect_psycopg):
    """The psycopg dialect with our compilers."""

    statement_compiler = SqlCompiler
    ddl_compiler = DdlCompiler
    preparer = Preparer
    supports_statement_cache = True


def _make_dialect() -> _Dialect:
    dialect = _Dialect(paramstyle="named")  # type: ignore[no-untyped-call]
    dialect.server_version_info = (18, 0)
    return dialect


#: Shared by all: a dialect caches what it learns of types, and making one takes a while.
DIALECT = _make_dialect()
