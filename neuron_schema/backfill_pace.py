"""How large a backfill's next batch is, and whether standbys keep up with it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TARGET_S = 0.2
"""How long a batch is to take: its locks are held so long, and a kill loses so much work."""

LARGEST_BATCH = 100_000
LONGEST_LAG_S = 10.0
LARGEST_LAG_BYTES = 64 * 2**20


def next_size(size: int, seconds: float) -> int:
    """Return how many rows the next batch is to have: at most twice as many, at least half.

    Args:
        size: How many the last one was to have.
        seconds: How long it took.
    """
    wanted = size * TARGET_S / max(seconds, 1e-6)
    bounded = max(size / 2, min(size * 2, wanted))
    return max(1, min(LARGEST_BATCH, round(bounded)))


def lagging(standbys: Iterable[Sequence[object]]) -> tuple[str, ...]:
    """Return the names of the standbys that are too far behind to be given more.

    Args:
        standbys: For each its name, seconds and bytes that it is behind; None for what the
            server does not say, to this role or at all.
    """
    return tuple(
        str(name or "a standby")
        for name, seconds, size in standbys
        if _above(seconds, LONGEST_LAG_S) or _above(size, LARGEST_LAG_BYTES)
    )


def _above(value: object, limit: float) -> bool:
    return isinstance(value, int | float) and value > limit
