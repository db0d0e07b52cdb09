"""Decide what a run does. Pure: values in, values out, no database and no files.

``statuses`` compares versions with the history; ``select_up`` and ``select_down`` say which
versions a target means and refuse what must not run; ``make_plan`` puts their SQL into a ``Plan``.
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
from neuron_schema.squashed import PARTLY_REMEDY, account, replaced_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from neuron_schema.model import AppliedRow
    from neuron_schema.squashed import Account

_MAX_DIGITS = 10
_SHORTEST_CHECKSUM = 12


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


def statuses(
    infos: Sequence[VersionInfo], applied: Sequence[AppliedRow]
) -> tuple[MigrationStatus, ...]:
    """Return how every version stands, in the order of their numbers."""
    known = account(infos, applied)
    rows = {row.number: row for row in known.rows}
    newest_file = max((info.number for info in infos), default=0)
    lines = {
        info.number: _status_of(info, rows.get(info.number), torn=info.number in known.torn)
        for info in infos
    }
    for number, row in rows.items():
        if number not in lines:
            lines[number] = MigrationStatus(
                version=row.version,
                name=row.name,
                applied_at=row.applied_at,
                status=Status.AHEAD if number > newest_file else Status.MISSING,
                checksum=row.checksum,
            )
    return tuple(line for _, line in sorted(lines.items()))


def _status_of(info: VersionInfo, row: AppliedRow | None, *, torn: bool) -> MigrationStatus:
    if row is None:
        status = Status.PENDING
    elif _changed(info, row, torn=torn):
        status = Status.MODIFIED if torn or not _is_another(info, row) else Status.TAKEN
    else:
        status = Status.APPLIED
    return MigrationStatus(
        version=info.version,
        name=info.name,
        applied_at=row.applied_at if row else None,
        status=status,
        description=info.description,
        checksum=row.checksum if row else info.checksum,
        renamed_from=row.name if row and row.name != info.name else None,
        covers=tuple(each.version for each in row.covers) if row else (),
    )


def conflicts(
    infos: Sequence[VersionInfo],
    applied: Sequence[AppliedRow],
    *,
    allow_out_of_order: bool = False,
    up_to: int | None = None,
) -> HistoryConflict | None:
    """Return what forbids going up, as one error that names every version concerned, or None.

    Args:
        allow_out_of_order: Let pending versions older than the newest applied one pass.
        up_to: Leave pending versions above this number out of account.
    """
    return _conflicts(
        statuses(infos, applied), infos, applied, allow_out_of_order=allow_out_of_order, up_to=up_to
    )


def _conflicts(
    all_statuses: Sequence[MigrationStatus],
    infos: Sequence[VersionInfo],
    applied: Sequence[AppliedRow],
    *,
    allow_out_of_order: bool,
    up_to: int | None,
) -> HistoryConflict | None:
    lines: list[str] = []
    fixes: list[str] = []
    known = account(infos, applied)
    newest = max((row.number for row in known.rows), default=0)
    whole = [line for line in all_statuses if int(line.version) not in known.torn]
    modified = [line for line in whole if line.status is Status.MODIFIED]
    taken = [line for line in whole if line.status is Status.TAKEN]
    missing = [line for line in whole if line.status is Status.MISSING]
    late = [
        line
        for line in whole
        if line.status is Status.PENDING
        and int(line.version) < newest
        and (up_to is None or int(line.version) <= up_to)
    ]
    checksums = {info.number: info.checksum for info in infos} if modified else {}
    for line in modified:
        recorded, now = line.checksum or "", checksums[int(line.version)]
        lines.append(
            f"{_label(line)} was modified after it was applied "
            f"(recorded checksum {recorded[:12]}, now {now[:12]})"
        )
    lines.extend(
        f"{_label(line)} is missing: it is applied, but there is no file" for line in missing
    )
    if modified or missing:
        fixes.append("restore the files from version control, and put changes into a new version")
    fixes.extend(f"or accept the present text: {_repair(line)}" for line in modified)
    if taken:
        lines.extend(_taken(line.version, line.name, line.renamed_from) for line in taken)
        fixes.append(_taken_remedy(int(taken[0].version), known.rows))
    if late and not allow_out_of_order:
        lines.extend(
            f"{_label(line)} is out of order: it is pending, but {newest} is applied already"
            for line in late
        )
        fixes.append("give it the next number, or run with --allow-out-of-order")
    if known.partly:
        lines.extend(part.sentence for part in known.partly)
        fixes.append(PARTLY_REMEDY)
    if not lines:
        return None
    return HistoryConflict("; ".join(lines), remedy="; ".join(fixes))


def _taken(version: str, name: str, other: str | None) -> str:
    return (
        f"{version}_{name} is not applied: its number is taken by another version that is, "
        f"{version}_{other}"
    )


def _taken_remedy(number: int, rows: Sequence[AppliedRow]) -> str:
    """Return the way out of the lowest number that another version has taken."""
    return (
        f"neuron-schema down {before(number, rows)} --from-history rolls that one back by what the "
        "log recorded of it, and neuron-schema up goes on; if it is the same version, renamed and "
        "changed, give the file its name or its text back"
    )


def before(number: int, rows: Sequence[AppliedRow]) -> str:
    """Return the target of ``down`` that rolls a version back, and those that came after it.

    Args:
        number: The version's.
        rows: The history.
    """
    older = [row for row in rows if row.number < number]
    return max(older, key=lambda row: row.number).version if older else "0"


def _repair(line: MigrationStatus) -> str:
    recorded = (line.checksum or "")[:_SHORTEST_CHECKSUM]
    return f"neuron-schema repair {line.version} --expect {recorded}"


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
    _check_target(to, count)
    limit = find_version(infos, to).number if to is not None else None
    lines = statuses(infos, applied)
    conflict = _conflicts(lines, infos, applied, allow_out_of_order=allow_out_of_order, up_to=limit)
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
        row for row in rows if _changed(files.get(row.number), row, torn=row.number in known.torn)
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
    _check_target(to, count)
    rows = sorted(applied, key=lambda row: row.number, reverse=True)
    if to is not None:
        keep = target_number(to)
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


def _changed(info: VersionInfo | None, row: AppliedRow, *, torn: bool) -> bool:
    """Whether a version's file is not the one that was applied.

    Args:
        info: The file's version, or None where there is no file.
        row: The row under its number.
        torn: The row is one of a part of a squashed version, whose file holds more than it.
    """
    return info is None or torn or (row.checksum is not None and row.checksum != info.checksum)


def _is_another(info: VersionInfo, row: AppliedRow) -> bool:
    """Whether what was applied under a file's number is another version: by name and by text."""
    return row.name != info.name and row.checksum not in (None, info.checksum)


def _recorded(migration: Migration | None, row: AppliedRow) -> bool:
    """Whether the log tells of the very text that was applied."""
    return migration is not None and (row.checksum is None or row.checksum == migration.checksum)


def _changed_files(
    rows: Sequence[AppliedRow], files: Mapping[int, VersionInfo], known: Account
) -> HistoryConflict:
    gone = [row for row in rows if row.number not in files]
    modified = [row for row in rows if row.number in files and row.number not in known.torn]
    taken = [row for row in modified if _is_another(files[row.number], row)]
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


def without_their_files(
    infos: Sequence[VersionInfo], applied: Sequence[AppliedRow]
) -> tuple[str, ...]:
    """Return the applied versions whose file is gone or was modified."""
    files = {info.number: info for info in infos}
    known = account(infos, applied)
    return tuple(
        row.version
        for row in known.rows
        if _changed(files.get(row.number), row, torn=row.number in known.torn)
    )


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
            remedy=f"give the recorded one as text, {_SHORTEST_CHECKSUM} digits of it or more",
        )
    known = account(infos, applied)
    if info.number in known.torn:
        raise HistoryConflict(
            "; ".join(part.sentence for part in known.partly), remedy=PARTLY_REMEDY
        )
    row = next((row for row in known.rows if row.number == info.number), None)
    if row is None:
        raise TargetError(f"{info.label} is not applied", remedy="neuron-schema up applies it")
    if _is_another(info, row):
        raise HistoryConflict(
            _taken(info.version, info.name, row.name),
            remedy=_taken_remedy(info.number, known.rows),
        )
    if row.checksum == info.checksum and row.name == info.name:
        return Selection(direction=Direction.UP, infos=(), purpose=Purpose.REPAIR)
    recorded = row.checksum or ""
    if len(expected) < _SHORTEST_CHECKSUM or not recorded.startswith(expected.lower()):
        raise HistoryConflict(
            f"the recorded checksum of {info.label} is {recorded or 'empty'}, not {expected}",
            remedy="look at what was changed, then neuron-schema repair "
            f"{info.version} --expect {recorded[:_SHORTEST_CHECKSUM]}",
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


def find_version(infos: Sequence[VersionInfo], target: str) -> VersionInfo:
    """Return the version that a target names; "2" means "002".

    Raises:
        TargetError: there is none.
    """
    number = target_number(target)
    for info in infos:
        if info.number == number:
            return info
    whole = [info.label for info in infos if number in replaced_numbers(info)]
    raise TargetError(
        f"there is no version {target}"
        + "".join(f" any more: {label} holds it" for label in whole),
        remedy=f"versions: {', '.join(info.version for info in infos) or 'none'}",
    )


def target_number(target: object) -> int:
    """Return a target as a number; 0 means before the first version.

    Raises:
        TargetError: it is no text, or not in digits.
    """
    if not isinstance(target, str):
        raise TargetError(
            f"{target!r} is no version", remedy='a target is text: a number such as "3" or "003"'
        )
    if not (target.isascii() and target.isdigit()):
        raise TargetError(
            f"{target!r} is no version", remedy="a target is a number, such as 3 or 003"
        )
    significant = target.lstrip("0")
    if len(significant) > _MAX_DIGITS:
        raise TargetError(
            f"there is no version {target[:40]}",
            remedy=f"a version has at most {_MAX_DIGITS} digits",
        )
    return int(significant or "0")


def _refuse_irreversible(migrations: Sequence[Migration]) -> None:
    final = [migration for migration in migrations if migration.irreversible is not None]
    if final:
        raise IrreversibleVersion(
            "; ".join(f"{one.label} is irreversible: {one.irreversible}" for one in final),
            where=final[0].path,
            remedy="stop above it, with its number as the target, or go forward with a new version",
        )


def _check_target(to: str | None, count: object) -> None:
    if to is not None and count is not None:
        raise TargetError("a target and --count together", remedy="give one of them")
    if count is None:
        return
    if not isinstance(count, int) or isinstance(count, bool):
        raise TargetError(f"count: {count!r} is no whole number", remedy="give 1 or more")
    if count < 1:
        raise TargetError(f"--count {count} is below 1", remedy="give 1 or more")


def _warnings(lines: Sequence[MigrationStatus]) -> tuple[str, ...]:
    sentences: list[str] = []
    for line in lines:
        if line.status is Status.AHEAD:
            sentences.append(f"the database is ahead of this code: {_label(line)} is applied")
        elif line.renamed_from is not None:
            sentences.append(f"{_label(line)} was applied under the name {line.renamed_from}")
    return tuple(sentences)


def _as_recorded(info: VersionInfo, row: AppliedRow) -> VersionInfo:
    """Return the version spelled as the history spells it: that row is to be deleted."""
    if info.version == row.version or isinstance(info, Migration):
        return info
    return replace(info, version=row.version)


def _label(line: MigrationStatus) -> str:
    return f"{line.version}_{line.name}"
