"""Measures what a version's statements do: runs them on copies of its schema, with hostile rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from neuron_schema.review.measures import Measure, StatementMeasure, VersionMeasure
from neuron_schema.review.tracing.alone import run_alone
from neuron_schema.review.tracing.parked import run_parked
from neuron_schema.review.tracing.shipped import run_shipped
from neuron_schema.review.tracing.stage import Stage
from neuron_schema.review.tracing.watch import Unwatched, watching
from neuron_schema.review.tracing.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.address import Address
    from neuron_schema.model import Migration
    from neuron_schema.proof.ground import Workshop
    from neuron_schema.review.tracing.outcome import Outcome

_UNCOUNTED: Final = (
    "the server counts no scans and no rows (track_counts is off): of both only what its messages "
    "tell is known"
)
_ANOTHER_TIME_ZONE: Final = "Europe/Paris"
_RETYPES: Final = frozenset({"alter", "type"})
_ZONED: Final = frozenset({"timestamptz", "timetz", "zone"})


def measure(
    workshop: Workshop,
    base: Address,
    migration: Migration,
    unused: frozenset[tuple[str, str]] = frozenset(),
) -> VersionMeasure:
    """Run a version's ``up`` on copies of a database, and measure what its statements do.

    Args:
        workshop: Where and how.
        base: A database of the workshop's shadow that stands before the version, without rows but
            the versions' own, and to which nobody is connected; left as it is.
        migration: The version.
        unused: Schema and name of tables that are there and that nobody uses yet, as earlier
            versions under review make them; of them nothing is told.

    Raises:
        ExtensionMissing: the server lacks one that the version needs.
        PrivilegeMissing: the role on a server that was given may not do what the version does.
        ServerUnavailable: the server cannot be used.
    """
    try:
        with watching(), Stage(workshop, base, migration, unused) as stage:
            return _Measuring(stage).measure()
    except Unwatched as unwatched:
        return _unwatched(migration, str(unwatched))


def _unwatched(migration: Migration, reason: str) -> VersionMeasure:
    """Return that nothing is known of a version."""
    statements = tuple(
        StatementMeasure(
            number=number,
            sql=statement.sql,
            shipped=None,
            concurrent=statement.own_commit is not None,
        )
        for number, statement in enumerate(migration.up_statements, 1)
    )
    return VersionMeasure(
        version=migration.version,
        transactional=not any(each.concurrent for each in statements),
        statements=statements,
        unmeasured=(f"nothing of it was measured: {reason}",),
    )


class _Measuring:
    """Measures one version.

    Args:
        stage: Where.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._migration = stage.migration
        self._concurrent = any(each.own_commit for each in stage.migration.up_statements)
        self._unmeasured = [] if stage.counts else [_UNCOUNTED]

    def measure(self) -> VersionMeasure:
        """Return what was measured."""
        texts = [words(each.sql) for each in self._migration.up_statements]
        zoned = not self._concurrent and any(text >= _RETYPES and text & _ZONED for text in texts)
        full = self._run(rows=True, last=len(texts) == 1 and not zoned)
        shipped = self._completed(full)
        if zoned:
            self._unmeasured += self._zone_dependent(full)
        alone: list[Measure | None]
        if len(texts) == 1:
            # It is alone.
            alone = list(shipped)
        else:
            alone, notes = run_alone(self._stage, full)
            self._unmeasured += notes
        statements = tuple(
            StatementMeasure(
                number=number,
                sql=statement.sql,
                shipped=shipped[number - 1],
                alone=alone[number - 1],
                concurrent=statement.own_commit is not None,
            )
            for number, statement in enumerate(self._migration.up_statements, 1)
        )
        return VersionMeasure(
            version=self._migration.version,
            transactional=not self._concurrent,
            statements=statements,
            unmeasured=(*self._unseeded(statements), *self._unmeasured),
        )

    def _run(
        self, *, rows: bool, last: bool = False, settings: dict[str, str] | None = None
    ) -> Outcome:
        if self._concurrent:
            outcome, notes = run_parked(self._stage, rows=rows)
            self._unmeasured += [note for note in notes if note not in self._unmeasured]
            return outcome
        with self._stage.copy(rows=rows, last=last, settings=settings) as place:
            return run_shipped(place, self._migration)

    def _completed(self, full: Outcome) -> list[Measure | None]:
        """Return a measure for each statement; from empty tables where rows are in the way."""
        count = len(self._migration.up_statements)
        if full.failed is None:
            return list(full.measures)
        place = full.came_to
        empty = self._run(rows=False)
        further = empty.came_to > place or (full.at_end and empty.failed is None)
        if not further:
            found = _ended(full)
        else:
            failed = replace(full.failed, rows_only=True)
            found = _ended(empty)
            at = count - 1 if full.at_end else place
            found[:at] = full.measures[:at]
            found[at] = replace(found[at], failed=failed)
            later = ", and so are those after it: whether they fail on rows is not known"
            self._unmeasured.append(
                f"statement {at + 1} fails where there are rows, so its locks and its work are "
                f"measured on empty tables{later if at + 1 < count else ''}"
            )
        return [*found, *([None] * (count - len(found)))]

    def _zone_dependent(self, full: Outcome) -> Iterator[str]:
        """Yield what a session's time zone decides: it says what a time without one means."""
        other = self._run(rows=True, settings={"TimeZone": _ANOTHER_TIME_ZONE})
        for number, (here, there) in enumerate(zip(full.measures, other.measures, strict=False), 1):
            tables = [str(each) for each in there.rewritten if each not in here.rewritten]
            if tables:
                yield (
                    f"statement {number} is measured with the time zone UTC; with another "
                    f"({_ANOTHER_TIME_ZONE}) it writes {', '.join(tables)} anew"
                )

    def _unseeded(self, statements: tuple[StatementMeasure, ...]) -> Iterator[str]:
        """Yield the tables that it locks and that could not be given rows."""
        locked = {
            str(lock.table)
            for statement in statements
            for measure in (statement.shipped, statement.alone)
            if measure is not None
            for lock in measure.under
        }
        for each in self._stage.unseeded:
            if each.table in locked:
                yield f"{each}; what fails on its rows is not seen"


def _ended(outcome: Outcome) -> list[Measure]:
    """Return the measures of an outcome, its failure on the statement that failed."""
    if outcome.failed is None:
        return list(outcome.measures)
    if outcome.at_end:
        *most, last = outcome.measures
        return [*most, replace(last, failed=outcome.failed)]
    return [*outcome.measures, Measure(failed=outcome.failed)]
