r"""A plan as a script that psql runs as it stands. Pure text.

psql reads text of its own outside of quotes: a backslash, which the lexer refuses in a version, and
``:name``, which it leaves alone unless someone set a variable of that name. So SQL goes out
unaltered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.backfill_script import backfill_comments, backfill_lines
from neuron_schema.history import create_sql, record_sql
from neuron_schema.model import Direction, ended
from neuron_schema.quoting import identifier, literal, names_of_path
from neuron_schema.settings_values import SESSION_LIMITS, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from neuron_schema.history import HistoryTable
    from neuron_schema.locking import SessionSettings
    from neuron_schema.model import Plan, Step

# Without transaction_timeout, which a script for PostgreSQL 16 cannot set.
LIMITS = tuple(name for name in SESSION_LIMITS if name != "transaction_timeout")


def psql_script(
    plan: Plan,
    table: HistoryTable,
    *,
    exists: bool = False,
    settings: SessionSettings | None = None,
    estimates: Mapping[str, int | None] | None = None,
) -> str:
    """Return what psql runs to do the same as the runner.

    Args:
        table: The history table.
        exists: Whether it is known to be there.
        settings: What each transaction is set to; None leaves the session's own.
        estimates: About how many rows the tables of backfills have, by their versions; None
            where a database was not asked.
    """
    parts = []
    for index, step in enumerate(plan.steps):
        create = plan.direction is Direction.UP and not exists and index == 0
        parts.append("\n".join(_step(step, table, settings, create=create, estimates=estimates)))
    head = [r"\set ON_ERROR_STOP on"]
    if not all(step.transactional for step in plan.steps):
        # It may be off in a psqlrc, and the operation would find itself in a transaction.
        head.append(r"\set AUTOCOMMIT on")
    if not all(part.isascii() for part in parts):
        head.append(r"\encoding UTF8")
    return "\n\n".join(["\n".join(head), *parts]) + "\n"


def step_sql(step: Step, table: HistoryTable, *, create: bool = False) -> tuple[str, ...]:
    """Return the SQL of a step in the order in which it takes effect, history row included."""
    statements = tuple(statement.sql for statement in step.runs)
    history = (*((create_sql(table),) if create else ()), record_sql(table, step))
    return (*history, *statements) if step.transactional else (*statements, *history)


def _step(
    step: Step,
    table: HistoryTable,
    settings: SessionSettings | None,
    *,
    create: bool,
    estimates: Mapping[str, int | None] | None = None,
) -> Iterator[str]:
    yield from _heading(step)
    if step.transactional:
        yield "BEGIN;"
        yield from _set(step, settings)
        yield from map(ended, step_sql(step, table, create=create))
        yield "COMMIT;"
        return
    # Its own transaction ends with it, and only then may the history tell of it.
    if step.backfill is not None:
        yield from backfill_comments(step, estimates)
    yield from _set(step, settings)
    if step.backfill is not None and step.backfill.rows is None:
        yield from backfill_lines(step.backfill)
    else:
        yield from (ended(statement.sql) for statement in step.statements)
    yield "BEGIN;"
    if create:
        yield ended(create_sql(table))
    yield ended(record_sql(table, step))
    yield "COMMIT;"


def _heading(step: Step) -> Iterator[str]:
    # A name is a file's: it must not be able to end the comment.
    title = "".join(c if c.isprintable() else "?" for c in step.label)
    yield f"-- {title}{' (down)' if step.direction is Direction.DOWN else ''}"
    for statement in step.statements:
        if statement.own_commit:
            yield f"-- {statement.own_commit.kind} commits on its own, outside of a transaction"


def _set(step: Step, settings: SessionSettings | None) -> Iterator[str]:
    """Yield what sets the session as the runner would: for the transaction, if there is one."""
    words = "SET LOCAL" if step.transactional else "SET"
    if settings is not None:
        yield f"{words} search_path = {_search_path(settings.search_path)};"
        limits = dict.fromkeys(LIMITS, 0.0) | {"statement_timeout": settings.operation_timeout}
        if step.transactional:
            limits = {name: getattr(settings, name) for name in LIMITS}
        for name, seconds in limits.items():
            limit = milliseconds(seconds)
            yield f"{words} {name} = {limit if limit == '0' else literal(limit)};"
    for name, value in step.settings:
        yield f"{words} {name} = {literal(value)};"
    if any("\\" in statement.sql for statement in step.statements):
        # Without it a backslash in '...' would begin an escape.
        yield f"{words} standard_conforming_strings = on;"
    if settings is not None and settings.role is not None:
        yield f"{words} ROLE {identifier(settings.role)};"


def _search_path(path: str) -> str:
    """Return the names as SET takes them: one quoted string would be the name of one schema."""
    names = names_of_path(path)
    if names is None:
        # PostgreSQL will refuse it as well, and say why.
        return path.strip()
    return ", ".join(identifier(name) if name else "''" for name in names) or "''"
