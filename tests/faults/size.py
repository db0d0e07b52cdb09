"""How much of the fault suite runs: a bounded part with every other test, or the whole."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE = os.environ.get("NEURON_SCHEMA_TEST_FAULTS") == "whole"
"""Whether every point is tried and the crowds are large, which takes half an hour."""


def chosen(points: list[int], *, bounded: int) -> list[int]:
    """Return the points to be tried: all, or about so many of them, spread evenly.

    The spread is the same in every run.
    """
    if WHOLE or len(points) <= bounded:
        return points
    return [points[index * len(points) // bounded] for index in range(bounded)]


def messages(share: int, *, of: int) -> Iterator[int]:
    """Yield the numbers of the messages to cut at, without end: all, or those of one share.

    Args:
        share: Which of the shares, from 0; the tests that have one each meet every message.
        of: How many shares there are.
    """
    return itertools.count(1) if WHOLE else itertools.count(1 + share, of)
