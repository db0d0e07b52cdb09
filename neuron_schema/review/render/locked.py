"""Which tables a version locks, and what is done meanwhile: a row for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuron_schema.review.locks import Access
from neuron_schema.review.render.wording import counted, joined, size, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import ObjectName
    from neuron_schema.review.locks import LockMode
    from neuron_schema.review.measures import (
        Measure,
        StatementMeasure,
        TableLock,
        VersionMeasure,
        Written,
    )
    from neuron_schema.review.stats import Stats, TableStats


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRow:
    """One table that was there before, and that is locked while one statement runs.

    Attributes:
        number: The statement's place, from 1.
        mode: The lock that it takes itself, or None.
        held: The lock that its transaction holds already, where that is as strong or stronger.
        since: The statement that took this.
        blocks: What others have to wait with.
        proven: Whether a second session tried.
        named: Whether the statement names the table.
        work: What is done with the table meanwhile, in words; empty where only the catalogue is
            written.
        elsewhere: What is done with other tables meanwhile.
        size: How large it really is, where that is known.
    """

    version: str
    number: int
    sql: str
    table: ObjectName
    mode: LockMode | None
    held: LockMode | None
    since: int | None
    blocks: tuple[Access, ...]
    proven: bool
    named: bool
    work: tuple[str, ...]
    elsewhere: tuple[str, ...]
    size: TableStats | None

    @property
    def lock(self) -> str:
        """The lock, and what it was taken under, in words."""
        own = "" if self.mode is None else str(self.mode)
        if self.held is None:
            return own
        since = "" if self.since is None else f" since statement {self.since}"
        under = f"{own}, under " if own and self.mode is not self.held else ""
        return f"{under}{self.held} held{since}"

    @property
    def blocked(self) -> str:
        """What others have to wait with, and how that is known, in words."""
        if not self.blocks:
            return "nothing"
        return joined(self.blocks) + ("" if self.proven else " (by the manual)")

    @property
    def stops(self) -> bool:
        """Whether reads or writes wait while something is done with rows."""
        kept_out = Access.READS in self.blocks or Access.WRITES in self.blocks
        return kept_out and bool(self.work or self.elsewhere)

    @property
    def meanwhile(self) -> str:
        """What is done while it is locked, in words."""
        if self.work:
            return "; ".join(self.work)
        if self.elsewhere:
            return f"none on it, while: {'; '.join(self.elsewhere)}"
        return "none, catalogue only"

    @property
    def sized(self) -> str:
        """How large the table really is, in words; "" where that is not known."""
        return "" if self.size is None else size(self.size)


def lock_rows(version: VersionMeasure, stats: Stats | None = None) -> tuple[LockRow, ...]:
    """Return a row for each table that a version's statements lock, in their order.

    Left out are locks that keep nobody from anything, where no row is read or written under them.
    """
    return tuple(
        row for statement in version.statements for row in _rows(version, statement, stats)
    )


def _rows(
    version: VersionMeasure, statement: StatementMeasure, stats: Stats | None
) -> Iterator[LockRow]:
    measure = statement.shipped or statement.alone
    if measure is None:
        return
    held = {lock.table: lock for lock in measure.held}
    # What is held already hides what the statement would take: alone it shows.
    alone = statement.alone or measure
    own = {lock.table: lock for lock in alone.locks if lock.table in held}
    own |= {lock.table: lock for lock in measure.locks}
    works = {table: work for table in _touched(measure) if (work := tuple(_work(measure, table)))}
    for table in sorted(own.keys() | held.keys(), key=lambda each: each.sort_key):
        taken, kept = own.get(table), _as_strong(held.get(table), own.get(table))
        strongest = kept or taken
        assert strongest is not None  # noqa: S101 - the table is in one of the two
        work = works.get(table, ())
        # Others wait for a lock that is held while something else is done; a lock beside a
        # stronger one, under which nothing is done, makes no difference.
        others = tuple(_elsewhere(works, table)) if kept and not work else ()
        if not (work or (strongest.blocks and (kept is None or others))):
            continue
        yield LockRow(
            version=version.version,
            number=statement.number,
            sql=statement.sql,
            table=table,
            mode=taken.mode if taken else None,
            held=kept.mode if kept else None,
            since=_since(version, statement, kept) if kept else None,
            blocks=strongest.blocks,
            proven=strongest.proven,
            named=taken.named if taken else True,
            work=work,
            elsewhere=others,
            size=size_of(stats, table),
        )


def _as_strong(held: TableLock | None, own: TableLock | None) -> TableLock | None:
    """Return a lock that is held, unless the statement takes a stronger one."""
    weaker = held is not None and own is not None and held.mode.strength < own.mode.strength
    return None if weaker else held


def _since(version: VersionMeasure, statement: StatementMeasure, held: TableLock) -> int | None:
    """Return the statement that took a lock which is held, or None where none of them did."""
    for each in version.statements:
        if each.number >= statement.number or each.shipped is None:
            continue
        if any(lock.table == held.table and lock.mode is held.mode for lock in each.shipped.locks):
            return each.number
    return None


def _touched(measure: Measure) -> set[ObjectName]:
    """Return the tables with which something is done, as far as it says so itself."""
    tables = {lock.table for lock in (*measure.locks, *measure.held)}
    tables |= {*measure.rewritten, *measure.truncated}
    tables |= {scan.table for scan in measure.scans}
    tables |= {written.table for written in measure.written}
    return tables


def _elsewhere(works: dict[ObjectName, tuple[str, ...]], table: ObjectName) -> Iterator[str]:
    for other, work in sorted(works.items(), key=lambda each: each[0].sort_key):
        if other != table:
            yield f"{', '.join(work)} on {other}"


def _work(measure: Measure, table: ObjectName) -> Iterator[str]:
    """Yield what is done with a table, in words."""
    if table in measure.rewritten:
        yield "rewrite of the whole table"
    if table in measure.truncated:
        yield "emptied"
    for index in measure.built:
        if (index.index.schema, index.index.parent) == (table.schema, table.name):
            verb = "rebuild" if index.rebuilt else "build"
            yield f"{verb} of index {index.index.name} ({index.method})"
    for scan in measure.scans:
        if scan.table == table:
            # What else is said of the table says these two.
            told = "" if scan.why.startswith(("building index", "rewriting table")) else scan.why
            yield f"{counted(scan.times, 'full scan')}{f': {told}' if told else ''}"
    for written in measure.written:
        if written.table == table:
            yield f"rows {joined(_written(written))}"


def _written(written: Written) -> Iterator[str]:
    told = (("inserted", written.inserted), ("updated", written.updated))
    for word, count in (*told, ("deleted", written.deleted)):
        if count:
            yield word
    if not (written.inserted or written.updated or written.deleted):
        yield "written"
