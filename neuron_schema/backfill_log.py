"""What the log remembers of a backfill: where it is, and from where it goes on. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from neuron_schema.log import BATCH
from neuron_schema.quoting import literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from neuron_schema.model import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far an attempt has come.

    Attributes:
        attempt: Its number, from 1.
        n: How many batches it has written.
        sweep: Which pass through the table it is in, from 1.
        after: The key, as texts, up to which the pass has come; None at its beginning and its end.
        ended: The pass has come to the end of the table.
        again: The keys of rows that changed while their values were computed.
        total: How many rows it has written.
        swept: How many of them in this pass.
        left: How many rows its function left as they were, in this pass.
        inserted: What the server had counted of rows inserted when it began; None for unknown.
    """

    attempt: int
    n: int = 0
    sweep: int = 1
    after: tuple[str, ...] | None = None
    ended: bool = False
    again: tuple[tuple[str, ...], ...] = ()
    total: int = 0
    swept: int = 0
    left: int = 0
    inserted: int | None = None

    def next_sweep(self) -> Position:
        """Return the beginning of another pass."""
        return replace(self, sweep=self.sweep + 1, after=None, ended=False, swept=0, left=0)


def position_sql(log: str, step: Step) -> str:
    """Return a query of at most one row: the last batch of a step that the log tells of.

    Attempt, n, checksum, progress, and whether that attempt is over: the version was applied,
    rolled back or otherwise decided on afterwards.

    Args:
        log: The log's quoted name.
        step: The backfill.
    """
    version = f"l.version = {literal(step.version)}"
    return f"""\
SELECT l.attempt, l.n, l.checksum, l.progress::pg_catalog.text,
       EXISTS (SELECT FROM {log} f WHERE f.version = l.version AND f.id > l.id
                  AND f.outcome NOT IN ('{BATCH}', 'failed'))
  FROM {log} l
 WHERE {version} AND l.direction = {literal(step.direction.value)} AND l.outcome = '{BATCH}'
 ORDER BY l.attempt DESC, l.n DESC LIMIT 1"""


def source_sql(log: str, step: Step) -> str:
    """Return a query of at most one row: revision and text of the function last used."""
    return f"""\
SELECT l.progress ->> 'revision', l.progress ->> 'source' FROM {log} l
 WHERE l.version = {literal(step.version)} AND l.direction = {literal(step.direction.value)}
   AND l.outcome = '{BATCH}' AND l.progress ->> 'source' IS NOT NULL
 ORDER BY l.id DESC LIMIT 1"""


def resumed(rows: Sequence[Sequence[Any]], step: Step, same: Mapping[str, object]) -> Position:
    """Return where a step begins, or goes on.

    Args:
        rows: What ``position_sql`` answered.
        step: The backfill.
        same: What must be as it was for an attempt to go on.
    """
    if not rows:
        return Position(attempt=1)
    attempt, n, checksum, text, over = rows[0]
    told = json.loads(text)
    if over or checksum != step.checksum or any(told.get(key) != same[key] for key in same):
        return Position(attempt=attempt + 1)
    return advanced(Position(attempt=attempt, n=n - 1), told)


def written_otherwise(rows: Sequence[Sequence[Any]], step: Step, same: Mapping[str, object]) -> int:
    """Return how many batches an attempt wrote that is open, of the same columns, by another text.

    Args:
        rows: What ``position_sql`` answered.
        step: The backfill.
        same: As for ``resumed``.
    """
    if not rows:
        return 0
    _, n, checksum, text, over = rows[0]
    told = json.loads(text)
    if over or checksum == step.checksum or any(told.get(key) != same[key] for key in same):
        return 0
    return int(n)


def known(position: Position) -> dict[str, object]:
    """Return what a batch tells of itself before it is written; the rest is counted by it."""
    return {
        "pass": position.sweep,
        "after": position.after,
        "ended": position.ended,
        "left": position.left,
        "inserted": position.inserted,
    }


def counted(position: Position, rows: str) -> dict[str, str]:
    """Return what a batch counts, as SQL.

    Args:
        position: Where the batch begins.
        rows: An SQL expression: how many rows it wrote.
    """
    return {
        "rows": rows,
        "pass_rows": f"{position.swept} + {rows}",
        "total": f"{position.total} + {rows}",
    }


def advanced(position: Position, told: Mapping[str, Any]) -> Position:
    """Return the position after a batch, as its row in the log tells it."""
    after = told["after"]
    return replace(
        position,
        n=position.n + 1,
        sweep=told["pass"],
        after=None if after is None else tuple(after),
        ended=told["ended"],
        again=tuple(map(tuple, told.get("again", ()))),
        total=told["total"],
        swept=told["pass_rows"],
        left=told["left"],
        inserted=told["inserted"],
    )
