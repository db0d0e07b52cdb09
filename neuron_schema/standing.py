"""How versions stand beside the history, and what is at odds between the two. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.errors import HistoryConflict
from neuron_schema.model import MigrationStatus, Status
from neuron_schema.squashed import PARTLY_REMEDY, account

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.model import AppliedRow, VersionInfo

SHORTEST_CHECKSUM = 12
"""So many digits of a checksum tell it from every other one."""


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
    elif is_changed(info, row, torn=torn):
        status = Status.MODIFIED if torn or not is_another(info, row) else Status.TAKEN
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
    return conflicts_among(
        statuses(infos, applied), infos, applied, allow_out_of_order=allow_out_of_order, up_to=up_to
    )


def conflicts_among(
    all_statuses: Sequence[MigrationStatus],
    infos: Sequence[VersionInfo],
    applied: Sequence[AppliedRow],
    *,
    allow_out_of_order: bool,
    up_to: int | None,
) -> HistoryConflict | None:
    """Return what ``conflicts`` does, where all statuses are known already."""
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
            f"{label(line)} was modified after it was applied "
            f"(recorded checksum {recorded[:12]}, now {now[:12]})"
        )
    lines.extend(
        f"{label(line)} is missing: it is applied, but there is no file" for line in missing
    )
    if modified or missing:
        fixes.append("restore the files from version control, and put changes into a new version")
    fixes.extend(f"or accept the present text: {_repair(line)}" for line in modified)
    if taken:
        lines.extend(taken_sentence(line.version, line.name, line.renamed_from) for line in taken)
        fixes.append(taken_remedy(int(taken[0].version), known.rows, infos))
    if late and not allow_out_of_order:
        lines.extend(
            f"{label(line)} is out of order: it is pending, but {newest} is applied already"
            for line in late
        )
        fixes.append("give it the next number, or run with --allow-out-of-order")
    if known.partly:
        lines.extend(part.sentence for part in known.partly)
        fixes.append(PARTLY_REMEDY)
    if not lines:
        return None
    return HistoryConflict("; ".join(lines), remedy="; ".join(fixes))


def without_their_files(
    infos: Sequence[VersionInfo], applied: Sequence[AppliedRow]
) -> tuple[str, ...]:
    """Return the applied versions whose file is gone or was modified."""
    files = {info.number: info for info in infos}
    known = account(infos, applied)
    return tuple(
        row.version
        for row in known.rows
        if is_changed(files.get(row.number), row, torn=row.number in known.torn)
    )


def before(number: int, rows: Sequence[AppliedRow]) -> str:
    """Return the target of ``down`` that rolls a version back, and those that came after it.

    Args:
        number: The version's.
        rows: The history.
    """
    older = [row for row in rows if row.number < number]
    return max(older, key=lambda row: row.number).version if older else "0"


def is_changed(info: VersionInfo | None, row: AppliedRow, *, torn: bool) -> bool:
    """Whether a version's file is not the one that was applied.

    Args:
        info: The file's version, or None where there is no file.
        row: The row under its number.
        torn: The row is one of a part of a squashed version, whose file holds more than it.
    """
    return info is None or torn or (row.checksum is not None and row.checksum != info.checksum)


def is_another(info: VersionInfo, row: AppliedRow) -> bool:
    """Whether what was applied under a file's number is another version: by name and by text."""
    return row.name != info.name and row.checksum not in (None, info.checksum)


def taken_sentence(version: str, name: str, other: str | None) -> str:
    """Return that a version's number is taken, by one of another name."""
    return (
        f"{version}_{name} is not applied: its number is taken by another version that is, "
        f"{version}_{other}"
    )


def taken_remedy(number: int, rows: Sequence[AppliedRow], infos: Sequence[VersionInfo]) -> str:
    """Return the way out of the lowest number that another version has taken.

    Who is told first to roll back a version of the main branch would lose its rows; that is the
    way for one that was renumbered after it had been applied, and comes again.

    Args:
        number: The version's.
        rows: The history.
        infos: All versions.
    """
    other = next(row for row in rows if row.number == number)
    taker = f"{other.version}_{other.name}"
    back = f"neuron-schema down {before(number, rows)} --from-history"
    again = (
        "rolls that one back by what the log recorded of it, and neuron-schema up goes on; if it "
        "is the same version, renamed and changed, give the file its name or its text back"
    )
    if any(info.name == other.name and info.number != number for info in infos):
        return f"{back} {again}"
    return (
        f"neuron-schema rebase gives the versions of this branch the next numbers, if {taker} "
        "is of the branch that this one is to be merged into: merge that afterwards; if this "
        f"database is to lose {taker} and its rows, {back} {again}"
    )


def _repair(line: MigrationStatus) -> str:
    recorded = (line.checksum or "")[:SHORTEST_CHECKSUM]
    return f"neuron-schema repair {line.version} --expect {recorded}"


def label(line: MigrationStatus) -> str:
    """Return what a version is called: ``003_clusters``."""
    return f"{line.version}_{line.name}"
