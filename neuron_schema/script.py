"""A plan as a script that psql runs as it stands. Pure text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.history import create_sql, record_sql
from neuron_schema.model import Direction
from neuron_schema.quoting import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.history import HistoryTable
    from neuron_schema.locking import SessionSettings
    from neuron_schema.model import Plan, Step


def psql_script(
    plan: Plan,
    table: HistoryTable,
    *,
    exists: bool = False,
    settings: SessionSettings | None = None,
) -> str:
    """Return what psql runs to do the same as the runner.

    Args:
        table: The history table.
        exists: Whether it is known to be there.
        settings: What each transaction is set to; None leaves the session's own.
    """
    parts = [r"\set ON_ERROR_STOP on"]
    for index, step in enumerate(plan.steps):
        create = plan.direction is Direction.UP and not exists and index == 0
        parts.append("\n".join(_step(step, table, settings, create=create)))
    return "\n\n".join(parts) + "\n"


def step_sql(step: Step, table: HistoryTable, *, create: bool = False) -> tuple[str, ...]:
    """Return the SQL of a step in the order in which it takes effect, history row included."""
    statements = tuple(statement.sql for statement in step.statements)
    history = (*((create_sql(table),) if create else ()), record_sql(table, step))
    return (*history, *statements) if step.transactional else (*statements, *history)


def _step(
    step: Step, table: HistoryTable, settings: SessionSettings | None, *, create: bool
) -> Iterator[str]:
    yield from _heading(step)
    if step.transactional:
        yield "BEGIN;"
        yield from _set_local(settings)
        for sql in step_sql(step, table, create=create):
            yield sql + ";"
        yield "COMMIT;"
        return
    # Its own transaction ends with it, and only then may the history tell of it.
    if settings is not None:
        yield f"SET search_path = {_search_path(settings)};"
        yield "SET lock_timeout = 0;"
        if settings.role is not None:
            yield f"SET ROLE {identifier(settings.role)};"
    for statement in step.statements:
        yield statement.sql + ";"
    yield "BEGIN;"
    if create:
        yield create_sql(table) + ";"
    yield record_sql(table, step) + ";"
    yield "COMMIT;"


def _heading(step: Step) -> Iterator[str]:
    # A name is a file's: it must not be able to end the comment.
    title = f"{step.version}_{step.name}"
    yield "-- " + "".join(c if c.isprintable() else "?" for c in title) + (
        " (down)" if step.direction is Direction.DOWN else ""
    )
    for statement in step.statements:
        if statement.own_commit:
            yield f"-- {statement.own_commit.kind} commits on its own: it runs outside a transaction"


def _set_local(settings: SessionSettings | None) -> Iterator[str]:
    if settings is None:
        return
    yield f"SET LOCAL search_path = {_search_path(settings)};"
    yield f"SET LOCAL lock_timeout = '{round(settings.lock_timeout * 1000)}ms';"
    yield "SET LOCAL standard_conforming_strings = on;"
    if settings.role is not None:
        yield f"SET LOCAL ROLE {identifier(settings.role)};"


def _search_path(settings: SessionSettings) -> str:
    # Not as one quoted string: SET would take that for the name of a single schema.
    return settings.search_path or literal("")
