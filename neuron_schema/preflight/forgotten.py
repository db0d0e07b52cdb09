"""Whether the log tells of applied versions whose history table is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.errors import HistoryConflict, PrivilegeMissing
from neuron_schema.model import Outcome
from neuron_schema.quoting import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from neuron_schema.history import HistoryTable

_APPLIED = (Outcome.APPLIED, Outcome.BASELINED, Outcome.REPAIRED)


def check_log(ask: Callable[[str], Sequence[Any]], table: HistoryTable) -> None:
    """Check that no version is applied by the log, where there is a log but no history table.

    Applied anew, such versions would fail at best; one that inserts rows would do so twice.

    Args:
        ask: Runs one query, with nothing but ``pg_catalog`` in the search path.
        table: The history table with its schema.

    Raises:
        HistoryConflict: some are.
    """
    try:
        rows = ask(_applied_sql(table))
    except PrivilegeMissing:
        return  # who may only add to the log is not told what is in it
    if not rows:
        return
    labels = [f"{version}_{name}" for version, name in rows]
    raise HistoryConflict(
        f"the history table {table.qualified} is gone, and by the log {', '.join(labels)} "
        f"{'is' if len(labels) == 1 else 'are'} applied",
        remedy=f"neuron-schema baseline {rows[-1][0]} writes the history anew; if what they made "
        f"is gone as well, DROP TABLE {table.qualified_log}",
    )


def _applied_sql(table: HistoryTable) -> str:
    """Return the query; it finds nothing once another run has made the table."""
    applied = ", ".join(literal(each.value) for each in _APPLIED)
    return f"""SELECT s.version, s.name FROM (
  SELECT DISTINCT ON (l.version) l.version, l.name, l.outcome FROM {table.qualified_log} l
  WHERE l.n IS NULL AND l.outcome IN ({applied}, {literal(Outcome.ROLLED_BACK.value)})
  ORDER BY l.version, l.id DESC) s
WHERE s.outcome IN ({applied})
  AND pg_catalog.to_regclass({literal(table.qualified)}) IS NULL
ORDER BY s.version::numeric"""
