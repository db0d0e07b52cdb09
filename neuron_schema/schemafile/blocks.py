"""What a schema file consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuron_schema.quoting import literal

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One object with all that belongs to it.

    Attributes:
        title: What it is, in words: ``table public.nodes``.
        statements: Its SQL, without semicolons.
    """

    title: str
    statements: tuple[str, ...]


def comment(what: str, name: str, text: str | None) -> Iterator[str]:
    """Yield the COMMENT of an object, where it has one."""
    if text is not None:
        yield f"COMMENT ON {what} {name} IS {literal(text).strip()}"
