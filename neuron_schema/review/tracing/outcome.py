"""How one way of running a version's statements ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg

from neuron_schema.execution.failures import AttemptFailed
from neuron_schema.review.measures import Failed

if TYPE_CHECKING:
    from neuron_schema.errors import NeuronSchemaError
    from neuron_schema.review.measures import Measure


_OF_ROWS: Final = ("22", "23")
"""Classes of errors whose details tell of values.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""


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
    code = error.sqlstate or ""
    detail = "" if code.startswith(_OF_ROWS) else error.diag.message_detail or ""
    return Failed(
        sqlstate=code,
        message=_one_line(str(error.diag.message_primary or error)),
        detail=_one_line(detail),
    )


def failure_of(error: NeuronSchemaError) -> Failed:
    """Return what PostgreSQL said, in what the runner made of it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AttemptFailed):
            return failed_with(cause.error)
        if isinstance(cause, psycopg.Error):
            return failed_with(cause)
        cause = cause.__cause__ or cause.__context__
    return Failed(sqlstate=error.sqlstate or "", message=_one_line(error.message))


def _one_line(text: str) -> str:
    return " ".join(text.split())
