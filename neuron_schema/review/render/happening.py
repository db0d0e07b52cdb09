"""What statements did beside locking tables: failures, and what goes without being named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.review.render.blocks import Code
from neuron_schema.review.render.wording import joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.review.measures import Measure, StatementMeasure, VersionMeasure
    from neuron_schema.review.render.blocks import Text


def happenings(version: VersionMeasure) -> Iterator[Text]:
    """Yield what statements of a version did that nobody may have meant."""
    for statement in version.statements:
        measure = statement.shipped or statement.alone
        if measure is not None:
            yield from _of(statement, measure)


def _of(statement: StatementMeasure, measure: Measure) -> Iterator[Text]:
    number = statement.number
    if failed := measure.failed:
        code = f" with {failed.sqlstate}" if failed.sqlstate else ""
        rows = " on tables with rows, and not on empty ones" if failed.rows_only else ""
        detail = f" ({failed.detail.rstrip('.')})" if failed.detail else ""
        yield (f"Statement {number} fails{code}{rows}: ", failed.message + detail)
    if measure.cascaded:
        names = joined(f"{each.kind} {each}" for each in measure.cascaded)
        yield (f"Statement {number} drops without naming it: ", Code(names))
