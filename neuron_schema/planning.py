"""Decide what a run does. Pure: values in, values out, no database and no files.

``select_up`` and ``select_down`` say which versions a target means and refuse what must not run;
``make_plan`` puts their SQL into a ``Plan``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from neuron_schema.errors import HistoryConflict, IrreversibleVersion, TargetError
from neuron_schema.model import (
    Direction,
    Migration,
    MigrationStatus,
    Plan,
    Purpose,
    Status,
    Step,
    VersionInfo,
)
from neuron_schema.squashed import PARTLY_REMEDY, account
from neuron_schema.standing import (
    SHORTEST_CHECKSUM,
    conflicts,
    conflicts_among,
    is_another,
    is_changed,
    label,
    statuses,
    taken_remedy,
    taken_sentence,
)
from neuron_schema.targets import check_name, check_target, find_version, target_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from neuron_schema.model import AppliedRow
    from neuron_schema.squashed import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The versions that a run takes, in the order in which they run.

    Attributes:
        infos: A ``Migration`` among them brings its own SQL, as the log recorded it.
    """

    direction: Direction
    infos: tuple[VersionInfo, ...]
    warnings: tuple[str, ...] = ()
    purpose: Purpose = Purpose.RUN

    @property
    def files(self) -> tuple[VersionInfo, ...]:
        """Those whose SQL is yet to be read from a file."""
        return tuple(info for info in self.infos if not isinstance(info, Migration))


def select_up(
    infos: Sequence[VersionInfo],
    applied: Sequence[AppliedRow],
    *,
    to: str | None = None,
    count: int | None = None,
    allow_out_of_order: bool = False,
) -> Selection:
    """Return the pending versions that a target means.

    Args:
        to: Up to and including this version; None for all.
        count: At most so many; None for all.
        allow_out_of_order: Let versions older than the newest applied one pass.

    Raises:
        TargetError: no such version; both ``to`` and ``count``; ``count`` below 1.
        HistoryConflict: an applied version was modified or is missing, or a pending one is out
            of order.
    """
    check_target(to, count)
    limit = find_version(infos, to).number if to is not None else None
    lines = statuses(infos, applied)
    conflict = conflicts_among(
        lines, infos, applied, allow_out_of_order=allow_out_of_order, up_to=limit
    )
    if conflict:
        raise conflict
    done = {row.number for row in account(infos, applied).rows}
    pending = [
        info
        for info in infos
        if info.number not in done and (limit is None or info.number <= limit)
    ]
    return Selection(
        direction=Direction.UP,
        infos=tuple(pending[:count]),
        warnings=_warnings(lines),
    )


def select_down(
    infos: Sequence[VersionInfo],
    applied: Sequence[AppliedRow],
    *,
    to: str | None = None,
    count: int | None = None,
    recorded: Sequence[Migration] | None = None,
) -> Selection:
    """Return the applied versions that a target rolls back, newest first.

    Args:
        to: Keep this version and what is older; "0" keeps nothing.
        count: So many; without ``to`` and ``count`` one.
        recorded: Versions as the log recorded them, to stand in where the file is gone or was
            modified; None refuses to roll such a version back.

    Raises:
        TargetError: ``to`` is not applied; both ``to`` and ``count``; ``count`` below 1.
        HistoryConflict: a version to roll back has no file or a modified one.
    """
    known = account(infos, applied)
    rows = _rows_down(known.rows, to=to, count=count)
    files = {info.number: info for info in infos}
    changed = [
        row for row in rows if is_changed(files.get(row.number), row, torn=row.number in known.torn)
    ]
    if changed and recorded is None:
        raise _changed_files(changed, files, known)
    stand_ins = {one.number: one for one in recorded or ()}
    unknown = [row for row in changed if not _recorded(stand_ins.get(row.number), row)]
    if unknown:
        raise HistoryConflict(
            f"the log does not tell what {_labels(unknown)} was applied with",
            remedy="restore the file from version control",
        )
    chosen = [stand_ins[row.number] if row in changed else files[row.number] for row in rows]
    return Selection(
        direction=Direction.DOWN,
        infos=tuple(_as_recorded(one, row) for one, row in zip(chosen, rows, strict=True)),
        warnings=tuple(
            f"{row.version}_{row.name} is rolled back by the `down` that was recorded with it"
            for row in changed
        ),
    )


def _rows_down(
    applied: Sequence[AppliedRow], *, to: str | None, count: int | None
) -> list[AppliedRow]:
    check_target(to, count)
    rows = sorted(applied, key=lambda row: row.number, reverse=True)
    if to is not None:
        keep = target_number(to)
        for row in rows:
            if row.number == keep:
                check_name(to, row.version, row.name)
        if keep and keep not in {row.number for row in rows}:
            whole = [row for row in rows if keep in {part.number for part in row.covers}]
            raise TargetError(
                f"version {to} is not applied"
                + "".join(f" by itself: {_labels([row])} holds it" for row in whole),
                remedy="applied: "
                + (", ".join(row.version for row in reversed(rows)) or "none")
                + "; 0 rolls back all of them",
            )
        return [row for row in rows if row.number > keep]
    return rows[: 1 if count is None else count]


def _recorded(migration: Migration | None, row: AppliedRow) -> bool:
    """Whether the log tells of the very text that was applied."""
    return migration is not None and (row.checksum is None or row.checksum == migration.checksum)


def _changed_files(
    rows: Sequence[AppliedRow], files: Mapping[int, VersionInfo], known: Account
) -> HistoryConflict:
    gone = [row for row in rows if row.number not in files]
    modified = [row for row in rows if row.number in files and row.number not in known.torn]
    taken = [row for row in modified if is_another(files[row.number], row)]
    modified = [row for row in modified if row not in taken]
    numbers = {row.number for row in rows}
    sentences = [f"no file to roll back {_labels(gone)}"] if gone else []
    if modified:
        sentences.append(
            f"{_labels(modified)} was modified after it was applied: its present `down` "
            "need not undo what was done"
        )
    sentences.extend(
        f"no file to roll back {_labels([row])}: {files[row.number].label} has its number"
        for row in sorted(taken, key=lambda row: row.number)
    )
    sentences.extend(part.sentence for part in known.partly if part.numbers & numbers)
    return HistoryConflict(
        "; ".join(sentences),
        remedy="run this from the code that applied it, or restore the file; --from-history runs "
        "the `down` that was recorded when it was applied",
    )


def _labels(rows: Sequence[AppliedRow]) -> str:
    ordered = sorted(rows, key=lambda row: row.number)
    return ", ".join(f"{row.version}_{row.name}" for row in ordered)


def select_baseline(
    infos: Sequence[VersionInfo], applied: Sequence[AppliedRow], version: str
) -> Selection:
    """Return the pending versions up to one, to be marked as applied without running them.

    Raises:
        TargetError: no such version.
        HistoryConflict: an applied version was modified or is missing.
    """
    limit = find_version(infos, version).number
    conflict = conflicts(infos, applied, allow_out_of_order=True)
    if conflict:
        raise conflict
    done = {row.number for row in account(infos, applied).rows}
    pending = [info for info in infos if info.number not in done and info.number <= limit]
    return Selection(direction=Direction.UP, infos=tuple(pending), purpose=Purpose.BASELINE)


def select_repair(
    infos: Sequence[VersionInfo], applied: Sequence[AppliedRow], version: str, expected: object
) -> Selection:
    """Return a version whose present text is to be accepted; nothing when it already is.

    Args:
        version: Which.
        expected: The recorded checksum, or its first 12 digits or more, as a proof that the one
            who repairs knows what is replaced.

    Raises:
        TargetError: no such version, or it is not applied; ``expected`` is no text.
        HistoryConflict: another checksum is recorded, or another version.
    """
    info = find_version(infos, version)
    if not isinstance(expected, str):
        raise TargetError(
            f"expected: {expected!r} is no checksum",
            remedy=f"give the recorded one as text, {SHORTEST_CHECKSUM} digits of it or more",
        )
    known = account(infos, applied)
    if info.number in known.torn:
        raise HistoryConflict(
            "; ".join(part.sentence for part in known.partly), remedy=PARTLY_REMEDY
        )
    row = next((row for row in known.rows if row.number == info.number), None)
    if row is None:
        raise TargetError(f"{info.label} is not applied", remedy="neuron-schema up applies it")
    if is_another(info, row):
        raise HistoryConflict(
            taken_sentence(info.version, info.name, row.name),
            remedy=taken_remedy(info.number, known.rows, infos),
        )
    if row.checksum == info.checksum and row.name == info.name:
        return Selection(direction=Direction.UP, infos=(), purpose=Purpose.REPAIR)
    recorded = row.checksum or ""
    if len(expected) < SHORTEST_CHECKSUM or not recorded.startswith(expected.lower()):
        raise HistoryConflict(
            f"the recorded checksum of {info.label} is {recorded or 'empty'}, not {expected}",
            remedy="look at what was changed, then neuron-schema repair "
            f"{info.version} --expect {recorded[:SHORTEST_CHECKSUM]}",
        )
    return Selection(
        direction=Direction.UP, infos=(_as_recorded(info, row),), purpose=Purpose.REPAIR
    )


def select_range(infos: Sequence[VersionInfo], start: str, end: str) -> Selection:
    """Return what leads from ``start`` applied to ``end`` applied; "0" means nothing applied.

    Raises:
        TargetError: no such version.
    """
    first, last = (
        0 if target_number(target) == 0 else find_version(infos, target).number
        for target in (start, end)
    )
    if first <= last:
        chosen = [info for info in infos if first < info.number <= last]
        return Selection(direction=Direction.UP, infos=tuple(chosen))
    chosen = [info for info in reversed(infos) if last < info.number <= first]
    return Selection(direction=Direction.DOWN, infos=tuple(chosen))


def make_plan(
    selection: Selection, migrations: Iterable[Migration], applied: Sequence[AppliedRow]
) -> Plan:
    """Return the plan that runs a selection.

    Args:
        selection: What ``select_up`` or ``select_down`` returned.
        migrations: At least the ``files`` of the selection, with their SQL.
        applied: The history that the selection was made for.

    Raises:
        IrreversibleVersion: a version to roll back declares itself irreversible.
    """
    by_number = {migration.number: migration for migration in migrations}
    chosen = [
        (info, info if isinstance(info, Migration) else by_number[info.number])
        for info in selection.infos
    ]
    if selection.direction is Direction.DOWN:
        _refuse_irreversible([migration for _, migration in chosen])
    rows = {row.number: row for row in account(selection.infos, applied).rows}
    steps = tuple(
        _step(info, migration, selection, rows.get(info.number)) for info, migration in chosen
    )
    return Plan(
        direction=selection.direction,
        steps=steps,
        applied=tuple(applied),
        warnings=selection.warnings,
        purpose=selection.purpose,
    )


def _step(
    info: VersionInfo, migration: Migration, selection: Selection, row: AppliedRow | None
) -> Step:
    """Return one direction of a version, under the digits that the history has or will have."""
    direction = selection.direction
    up, down = migration.up_statements, migration.down_statements
    return Step(
        version=info.version,
        name=migration.name,
        description=migration.description,
        direction=direction,
        checksum=migration.checksum,
        statements=up if direction is Direction.UP else down,
        opposite=down if direction is Direction.UP else up,
        irreversible=migration.irreversible,
        path=migration.path,
        settings=migration.settings,
        purpose=selection.purpose,
        expected=row.checksum if row and selection.purpose is Purpose.REPAIR else None,
        covers=row.covers if row else (),
    )


def _refuse_irreversible(migrations: Sequence[Migration]) -> None:
    final = [migration for migration in migrations if migration.irreversible is not None]
    if final:
        raise IrreversibleVersion(
            "; ".join(f"{one.label} is irreversible: {one.irreversible}" for one in final),
            where=final[0].path,
            remedy="stop above it, with its number as the target, or go forward with a new version",
        )


def _warnings(lines: Sequence[MigrationStatus]) -> tuple[str, ...]:
    sentences: list[str] = []
    for line in lines:
        if line.status is Status.AHEAD:
            sentences.append(f"the database is ahead of this code: {label(line)} is applied")
        elif line.renamed_from is not None:
            sentences.append(f"{label(line)} was applied under the name {line.renamed_from}")
    return tuple(sentences)


def _as_recorded(info: VersionInfo, row: AppliedRow) -> VersionInfo:
    """Return the version spelled as the history spells it: that row is to be deleted."""
    if info.version == row.version or isinstance(info, Migration):
        return info
    return replace(info, version=row.version)
