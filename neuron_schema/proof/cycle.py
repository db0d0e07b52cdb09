"""One version, up, down and up again, on one database."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from neuron_schema.catalog import diff
from neuron_schema.errors import (
    ConnectionFailed,
    ExtensionMissing,
    NeuronSchemaError,
    PrivilegeMissing,
)
from neuron_schema.model import Direction
from neuron_schema.proof import rows
from neuron_schema.proof.seed import seed, used
from neuron_schema.proof.whereabouts import state, whereabouts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from neuron_schema.catalog import Change
    from neuron_schema.model import Migration
    from neuron_schema.proof.ground import Ground
    from neuron_schema.proof.rows import Loss
    from neuron_schema.proof.seed import Unseeded
    from neuron_schema.proof.whereabouts import State


class Phase(enum.StrEnum):
    """A part of the proof of a version."""

    UP = "up"
    DOWN = "down"
    AGAIN = "up again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A version's list that raises.

    Attributes:
        message: What is so, with the statement.
        where: The version's file.
        rows_only: It raises where there are rows, and not on empty tables.
    """

    phase: Phase
    message: str
    where: str | None = None
    rows_only: bool = False

    def __str__(self) -> str:
        return self.message + (
            " (on tables with rows; on empty ones it does not fail)" if self.rows_only else ""
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """What one way through a version has shown.

    Attributes:
        failure: What raised; what would have come after it was not tried.
        residue: What tells the schema after ``down`` from the one before ``up``.
        divergence: What tells the schema after the second ``up`` from the one after the first.
        losses: Data that did not survive.
        unseeded: Tables that had no rows.
    """

    failure: Failure | None = None
    residue: tuple[Change, ...] = ()
    divergence: tuple[Change, ...] = ()
    losses: tuple[Loss, ...] = ()
    unseeded: tuple[Unseeded, ...] = ()


def go_round(
    ground: Ground,
    migration: Migration,
    *,
    with_rows: bool,
    unused: Collection[tuple[str, str]] = (),
) -> Cycle:
    """Run a version up, down and up again, and compare what is there each time.

    Args:
        ground: A database that stands before the version; it is used up.
        migration: The version.
        with_rows: Put rows into the tables first.
        unused: Schema and name of the tables that get theirs after the first ``up`` only.

    Raises:
        ExtensionMissing: the server lacks one that the version needs.
        ConnectionFailed: the server is gone.
    """
    before = ground.snapshot()
    first = used(before, unused)
    cycle = Cycle(unseeded=seed(ground.connection, before, only=first) if with_rows else ())
    kept = rows.contents(ground.connection, before) if with_rows else {}
    then = state(ground.connection, before)
    failure = tried(ground, [migration], Phase.UP)
    if failure is not None:
        return replace(cycle, failure=failure)
    after = ground.snapshot()
    if with_rows:
        now = rows.contents(ground.connection, after)
        where = whereabouts(then, state(ground.connection, after))
        cycle = replace(cycle, losses=tuple(rows.missing(kept, now, Direction.UP, where)))
        new = {(each.schema, each.name) for each in after.tables}
        new -= first
        cycle = replace(
            cycle, unseeded=(*cycle.unseeded, *seed(ground.connection, after, only=new))
        )
    if migration.irreversible is not None:
        return cycle
    applied = state(ground.connection, after)
    failure = tried(ground, [migration], Phase.DOWN)
    if failure is not None:
        return replace(cycle, failure=failure)
    back = ground.snapshot()
    cycle = replace(cycle, residue=diff(before, back))
    if with_rows:
        last = state(ground.connection, back)
        lost = _lost_by_down(
            rows.contents(ground.connection, back), cycle, kept, (then, applied, last)
        )
        cycle = replace(cycle, losses=(*cycle.losses, *lost))
    failure = tried(ground, [migration], Phase.AGAIN)
    if failure is not None:
        return replace(cycle, failure=failure)
    return replace(cycle, divergence=diff(after, ground.snapshot()))


def tried(ground: Ground, migrations: Sequence[Migration], phase: Phase) -> Failure | None:
    """Run one list of versions; return how it failed, or None.

    Raises:
        ExtensionMissing, ConnectionFailed: it is not the version that is at fault.
        PrivilegeMissing: nor is it where a server was given, on which we are no superuser.
    """
    direction = Direction.DOWN if phase is Phase.DOWN else Direction.UP
    try:
        ground.run(migrations, direction)
    except (ExtensionMissing, ConnectionFailed):
        raise
    except NeuronSchemaError as error:
        if isinstance(error, PrivilegeMissing) and not ground.embedded:
            raise
        return Failure(phase=phase, message=error.message, where=error.where)
    return None


def _lost_by_down(
    now: dict[str, rows.Content],
    cycle: Cycle,
    kept: dict[str, rows.Content],
    states: tuple[State, State, State],
) -> list[Loss]:
    """Return what the rows before lost by ``down``, and what it drops of later ones."""
    then, applied, back = states
    known = {loss.object for loss in cycle.losses}
    told = [
        *rows.missing(kept, now, Direction.DOWN, whereabouts(then, back)),
        *rows.altered(kept, now, Direction.DOWN),
        *rows.dropped(applied.schema, back.schema, whereabouts(applied, back)),
    ]
    # What was gone after up already is up's.
    return [
        loss
        for loss in dict.fromkeys(told)
        if loss.object not in known and loss.object.rpartition(".")[0] not in known
    ]
