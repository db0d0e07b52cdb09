"""Whether a remedy is rid of what its finding is about, by what was measured. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeAlias

from neuron_schema.review.locks import Access

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from neuron_schema.catalog import ObjectName
    from neuron_schema.review.case import Case
    from neuron_schema.review.fixes.proposal import Proposal
    from neuron_schema.review.measures import (
        Measure,
        StatementMeasure,
        TableLock,
        VersionMeasure,
    )

Pain: TypeAlias = "tuple[str, tuple[str, ...], Access | None]"
"""What is done to a table, the table, and what others are kept from meanwhile."""

_KEPT_FROM: Final = (Access.READS, Access.WRITES)
_BY_ITSELF: Final = frozenset({"lock-held-across-statements", "not-valid-validated-same-tx"})
"""Hazards of what a statement does under the locks of those before it."""
_WRITING: Final = frozenset({"bulk-dml"})
"""Hazards of how much one transaction writes."""


def relieved(case: Case, proposal: Proposal, measures: Sequence[VersionMeasure]) -> bool:
    """Whether others are kept from less than by the original, by as much as the finding is about.

    Args:
        case: The version.
        proposal: What was run instead of it.
        measures: What was measured of that.
    """
    before = Counter(_all([case.measure], _pains))
    now = Counter(_all(measures, _pains))
    if now - before:
        return False
    own = [each for each in case.measure.statements if each.number == proposal.statement]
    if proposal.hazard in _WRITING:
        return _falls(case, own, measures, _writes)
    pains = Counter(pain for each in own for pain in _pains(each))
    if proposal.hazard in _BY_ITSELF:
        pains -= Counter(pain for each in own for pain in _pains_alone(each))
    if pains:
        return all(now[pain] <= before[pain] - count for pain, count in pains.items())
    return _falls(case, own, measures, _blocks)


def _falls(
    case: Case,
    own: Sequence[StatementMeasure],
    measures: Sequence[VersionMeasure],
    what: _Told,
) -> bool:
    """Whether there is less of what the statement of the finding does.

    Of one thing is enough: a partition that is detached may be locked, when the whole is not.
    """
    before, now = Counter(_all([case.measure], what)), Counter(_all(measures, what))
    told = {pain for each in own for pain in what(each)}
    if not told:
        # It failed on the rows before anything could be measured.
        return any(_failed(each) for each in own)
    return any(now[pain] < before[pain] for pain in told)


def _failed(statement: StatementMeasure) -> bool:
    runs = [each for each in (statement.shipped, statement.alone) if each is not None]
    return any(each.failed is not None for each in runs) or not runs


def _all(measures: Iterable[VersionMeasure], what: _Told) -> Iterator[Pain]:
    for version in measures:
        for statement in version.statements:
            yield from what(statement)


def _pains(statement: StatementMeasure) -> Iterator[Pain]:
    """Yield work that grows with a table while others are kept from that table."""
    run = statement.shipped or statement.alone
    if run is not None:
        yield from _work_under(run, run.under)


def _pains_alone(statement: StatementMeasure) -> Iterator[Pain]:
    if statement.alone is not None:
        yield from _work_under(statement.alone, statement.alone.locks)


def _work_under(run: Measure, locks: Sequence[TableLock]) -> Iterator[Pain]:
    done = [("rewrite", each) for each in run.rewritten]
    done += [("scan", each.table) for each in run.scans]
    done += [("write", each.table) for each in run.written]
    found = {(work, _key(table)) for work, table in done}
    found |= {
        ("build", (each.index.schema or "", each.index.parent))
        for each in run.built
        if each.index.parent is not None
    }
    for work, key in sorted(found):
        for lock in locks:
            if _key(lock.table) == key:
                yield from ((work, key, each) for each in lock.blocks if each in _KEPT_FROM)


def _blocks(statement: StatementMeasure) -> Iterator[Pain]:
    """Yield what others are kept from by the locks that a statement takes itself."""
    run = statement.alone or statement.shipped
    for lock in run.locks if run is not None else ():
        yield from (("lock", _key(lock.table), each) for each in lock.blocks if each in _KEPT_FROM)


def _writes(statement: StatementMeasure) -> Iterator[Pain]:
    """Yield the tables that a statement writes in one transaction."""
    run = statement.shipped or statement.alone
    if run is not None and not statement.concurrent:
        yield from (("write", _key(each.table), None) for each in run.written)


def _key(table: ObjectName) -> tuple[str, str]:
    return table.schema or "", table.name


if TYPE_CHECKING:
    from collections.abc import Callable

    _Told: TypeAlias = Callable[[StatementMeasure], Iterator[Pain]]
