"""CREATE and DROP TRIGGER."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.compiler import compiles

from neuron_schema.errors import VersionError
from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import (
    as_table,
    checked_name,
    checked_word,
    column_name,
    fragment,
    literal,
    qualified,
    quoted,
    table_name,
)
from neuron_schema.ops.function import CreateFunction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.sql.compiler import DDLCompiler
    from sqlalchemy.sql.expression import ColumnClause

    from neuron_schema.ops.fragments import Fragment, TableRef

_TIMINGS = ("BEFORE", "AFTER", "INSTEAD OF")
_EVENTS = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")


class CreateTrigger(Operation):
    """``CREATE [OR REPLACE] [CONSTRAINT] TRIGGER n {BEFORE | AFTER | ...} event ON t ...``.

    https://www.postgresql.org/docs/current/sql-createtrigger.html

    Args:
        table: The table or view.
        name: The trigger's name.
        timing: BEFORE, AFTER or INSTEAD OF.
        events: One or more of INSERT, UPDATE, DELETE, TRUNCATE.
        function: A ``CreateFunction``, or a function's name.
        function_schema: The function's schema, where ``function`` is a name.
        function_args: Strings that the function finds in ``TG_ARGV``.
        update_of: Columns or their names: UPDATE becomes UPDATE OF these.
        for_each: ROW or STATEMENT.
        when: The condition, mostly as text: ``"OLD.x IS DISTINCT FROM NEW.x"``.
        old_table: REFERENCING OLD TABLE AS this name.
        new_table: REFERENCING NEW TABLE AS this name.
        or_replace: Replace a trigger of that name on that table.
        constraint: A constraint trigger, which may be deferrable.
        deferrable: DEFERRABLE; for a constraint trigger.
        initially_deferred: DEFERRABLE INITIALLY DEFERRED; for a constraint trigger.

    Raises:
        VersionError: A word is not PostgreSQL's, or arguments contradict each other.
    """

    def __init__(
        self,
        table: TableRef,
        name: str,
        *,
        timing: str,
        events: str | Sequence[str],
        function: CreateFunction | str,
        function_schema: str | None = None,
        function_args: Sequence[str] = (),
        update_of: Sequence[ColumnClause[Any] | str] = (),
        for_each: str = "ROW",
        when: Fragment | None = None,
        old_table: str | None = None,
        new_table: str | None = None,
        or_replace: bool = False,
        constraint: bool = False,
        deferrable: bool = False,
        initially_deferred: bool = False,
    ) -> None:
        self.table = as_table(table)
        self.name = checked_name(name, "trigger name")
        self.timing = checked_word(timing, _TIMINGS, "the timing of a trigger")
        given = (events,) if isinstance(events, str) else tuple(events)
        self.events = tuple(checked_word(event, _EVENTS, "a trigger's event") for event in given)
        self.function = function
        self.function_schema = function_schema
        self.function_args = tuple(function_args)
        self.update_of = tuple(update_of)
        self.for_each = checked_word(for_each, ("ROW", "STATEMENT"), "FOR EACH of a trigger")
        self.when = when
        self.old_table = old_table
        self.new_table = new_table
        self.or_replace = or_replace
        self.constraint = constraint
        self.deferrable = deferrable or initially_deferred
        self.initially_deferred = initially_deferred
        self._check()

    def _check(self) -> None:
        problem = ""
        if not self.events:
            problem = "has no event"
        elif self.update_of and "UPDATE" not in self.events:
            problem = "has update_of= without the event UPDATE"
        elif self.deferrable and not self.constraint:
            problem = "is deferrable without constraint=True"
        elif self.function_schema is not None and not isinstance(self.function, str):
            problem = "has function_schema= besides a function that carries its schema"
        if problem:
            raise VersionError(
                f"trigger {self.name} {problem}", remedy="see the arguments of CreateTrigger"
            )


@compiles(CreateTrigger, "postgresql")
def _create_trigger(op: CreateTrigger, compiler: DDLCompiler, **_: object) -> str:
    return " ".join(_parts(op, compiler))


def _parts(op: CreateTrigger, compiler: DDLCompiler) -> Iterator[str]:
    yield "CREATE OR REPLACE" if op.or_replace else "CREATE"
    yield "CONSTRAINT TRIGGER" if op.constraint else "TRIGGER"
    yield quoted(compiler.preparer, op.name)
    yield op.timing
    yield " OR ".join(_event(event, op, compiler) for event in op.events)
    yield f"ON {table_name(compiler.preparer, op.table)}"
    if op.deferrable:
        yield "DEFERRABLE INITIALLY DEFERRED" if op.initially_deferred else "DEFERRABLE"
    if op.old_table is not None or op.new_table is not None:
        yield "REFERENCING"
    if op.old_table is not None:
        yield f"OLD TABLE AS {quoted(compiler.preparer, op.old_table)}"
    if op.new_table is not None:
        yield f"NEW TABLE AS {quoted(compiler.preparer, op.new_table)}"
    yield f"FOR EACH {op.for_each}"
    if op.when is not None:
        yield f"WHEN ({fragment(compiler, op.when, with_table=True)})"
    yield f"EXECUTE FUNCTION {_call(op, compiler)}"


def _event(event: str, op: CreateTrigger, compiler: DDLCompiler) -> str:
    if event != "UPDATE" or not op.update_of:
        return event
    return "UPDATE OF " + ", ".join(column_name(compiler.preparer, c) for c in op.update_of)


def _call(op: CreateTrigger, compiler: DDLCompiler) -> str:
    if isinstance(op.function, CreateFunction):
        name, schema = op.function.name, op.function.schema
    else:
        name, schema = op.function, op.function_schema
    text = qualified(compiler.preparer, name, schema, "function name")
    return f"{text}({', '.join(literal(compiler, arg) for arg in op.function_args)})"


class DropTrigger(Operation):
    """``DROP TRIGGER [IF EXISTS] n ON t [CASCADE]``.

    https://www.postgresql.org/docs/current/sql-droptrigger.html

    Args:
        table: The table or view.
        name: The trigger's name.
        if_exists: Do nothing when there is no such trigger.
        cascade: Also drop what depends on it.

    Raises:
        VersionError: A name is empty or longer than 63 bytes.
    """

    def __init__(
        self, table: TableRef, name: str, *, if_exists: bool = False, cascade: bool = False
    ) -> None:
        self.table = as_table(table)
        self.name = checked_name(name, "trigger name")
        self.if_exists = if_exists
        self.cascade = cascade


@compiles(DropTrigger, "postgresql")
def _drop_trigger(op: DropTrigger, compiler: DDLCompiler, **_: object) -> str:
    word = "DROP TRIGGER IF EXISTS" if op.if_exists else "DROP TRIGGER"
    name = quoted(compiler.preparer, op.name)
    end = " CASCADE" if op.cascade else ""
    return f"{word} {name} ON {table_name(compiler.preparer, op.table)}{end}"
