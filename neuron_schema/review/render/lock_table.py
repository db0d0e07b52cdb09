"""Locks as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.review.render.blocks import Code, Grid, Strong
from neuron_schema.review.render.wording import short

if TYPE_CHECKING:
    from collections.abc import Iterable

    from neuron_schema.review.render.blocks import Inline, Text
    from neuron_schema.review.render.locked import LockRow

_HEAD = ("Statement", "Table", "Lock", "Blocks", "Work while locked")
_SIZE = "Real size"


def lock_grid(
    caption: str, rows: Iterable[tuple[Inline, LockRow]], *, sized: bool, of: str = "Version"
) -> Grid:
    """Return locks as a table.

    Args:
        caption: What it shows.
        rows: Each with what its first column shows.
        sized: Whether real sizes are known.
        of: The title of the first column.
    """
    head = (of, *_HEAD, _SIZE) if sized else (of, *_HEAD)
    return Grid(caption, head, tuple(_lock_cells(label, row, sized=sized) for label, row in rows))


def _lock_cells(label: Inline, row: LockRow, *, sized: bool) -> tuple[Text, ...]:
    cells: list[Text] = [
        (label,),
        (f"{row.number}: ", Code(short(row.sql, 60))),
        (Code(str(row.table)), *(() if row.named else (" (the statement does not name it)",))),
        (row.lock,),
        (Strong(row.blocked),) if row.stops else (row.blocked,),
        (row.meanwhile,),
    ]
    return (*cells, (row.sized or "not known",)) if sized else tuple(cells)
