"""How large the real tables are: numbers only, no data, in a file that may be committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStats:
    """How large a table is.

    Attributes:
        rows: About how many rows, as the server estimates them.
        bytes: Of the table with its indexes and TOAST.
    """

    rows: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """How large the tables of a database were.

    Attributes:
        taken_on: The day, ISO 8601.
        tables: By ``schema.table``, spelled as SQL spells it.
        server_major: The major version of the server that has them, or None.
    """

    taken_on: str
    tables: Mapping[str, TableStats]
    server_major: int | None = None
