"""The server's own words about its work: messages at level DEBUG1, which it never translates.

They corroborate what the catalogs and statistics tell, and of a foreign key's validation they are
the only sure sign: it is a query, and the planner may read an index.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from neuron_schema.review.tracing.plans import Said

if TYPE_CHECKING:
    from psycopg.errors import Diagnostic

REWRITING: Final = 'rewriting table "{}"'
VERIFYING: Final = 'verifying table "{}"'
BUILDING: Final = 'building index "'
_HOW: Final = re.compile(r"serially|with request for \d+ parallel workers?")
PLAN: Final = "plan:"
VALIDATING: Final = 'validating foreign key constraint "{}"'
PROVEN: Final = 'existing constraints on column "{}.'
_IMPLIED: Final = "is implied by existing constraints"
IMPLIED: Final = (
    f'partition constraint for table "{{}}" {_IMPLIED}',
    f'updated partition constraint for default partition "{{}}" {_IMPLIED}',
)


class Listener:
    """Takes what the server says in the sessions that are watched."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._plans: list[Said] = []

    def hear(self, said: Diagnostic) -> None:
        """Take a message, where it is one of the level that tells of work, or a plan."""
        if said.severity_nonlocalized == "DEBUG" and said.message_primary:
            self._texts.append(said.message_primary)
        elif said.message_primary == PLAN and said.message_detail:
            # What calls something adds that to the message.
            self._plans.append(Said(said.message_detail, nested=bool(said.context)))

    def take(self) -> tuple[str, ...]:
        """Return what was said since it was last taken."""
        texts, self._texts = tuple(self._texts), []
        return texts

    def take_plans(self) -> tuple[Said, ...]:
        """Return the plans that were printed since they were last taken."""
        plans, self._plans = tuple(self._plans), []
        return plans


def table_of(text: str, names: frozenset[str]) -> str | None:
    """Return the table that a message names, if it is one of those."""
    found = [name for name in names if _names(text, name)]
    # A name may hold quotes, and the end of another one.
    return max(found, key=len, default=None)


def _names(text: str, name: str) -> bool:
    if text in (REWRITING.format(name), VERIFYING.format(name)):
        return True
    if text.startswith(PROVEN.format(name)) or text in [each.format(name) for each in IMPLIED]:
        return True
    before, found, after = text.rpartition(f'" on table "{name}" ')
    return bool(found) and before.startswith(BUILDING) and _HOW.fullmatch(after) is not None
