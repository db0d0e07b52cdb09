"""How one way of running a version's statements ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from neuron_schema.execution.failures import AttemptFailed
from neuron_schema.review.measures import Failed

if TYPE_CHECKING:
    from neuron_schema.errors import NeuronSchemaError
    from neuron_schema.review.measures import Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was measured of the statements, in order, until one failed.

    Attributes:
        measures: Of those that went well.
        failed: How the one after them failed, or None.
        at_end: They all went well, and COMMIT, or what the runner does before it, failed.
    """

    measures: tuple[Measure, ...]
    failed: Failed | None = None
    at_end: bool = False

    @property
    def came_to(self) -> int:
        """The place, from 0, of the statement that failed, or the number of statements."""
        return len(self.measures)


def failed_with(error: psycopg.Error) -> Failed:
    """Return how PostgreSQL refused a statement."""
    text = " ".join(str(error.diag.message_primary or error).split())
    return Failed(sqlstate=error.sqlstate or "", message=text)


def failure_of(error: NeuronSchemaError) -> Failed:
    """Return what PostgreSQL said, in what the runner made of it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AttemptFailed):
            return failed_with(cause.error)
        if isinstance(cause, psycopg.Error):
            return failed_with(cause)
        cause = cause.__cause__ or cause.__context__
    return Failed(sqlstate=error.sqlstate or "", message=" ".join(error.message.split()))
