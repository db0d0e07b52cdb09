"""What is known of a hazard beside what was found of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Help:
    """A hazard, explained.

    Attributes:
        title: What it is, in a few words.
        text: What it does and what to do instead.
        uri: A page about it, or "".
    """

    title: str
    text: str
    uri: str = ""
