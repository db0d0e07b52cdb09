"""How much of the fault suite runs: a bounded part with every other test, or the whole."""

from __future__ import annotations

import os

WHOLE = os.environ.get("NEURON_SCHEMA_TEST_FAULTS") == "whole"
"""Whether every point is tried and the crowds are large, which takes half an hour."""


def chosen(points: list[int], *, bounded: int) -> list[int]:
    """Return the points to be tried: all, or about so many of them, spread evenly.

    The spread is the same in every run.
    """
    if WHOLE or len(points) <= bounded:
        return points
    return [points[index * len(points) // bounded] for index in range(bounded)]
