"""Squashed versions: the rows of the history that stand for one. Pure.

A squashed version says in ``replaces`` which versions it was made of, and their checksums. A
database that had applied those keeps its rows, which tell what was run there: nothing is written
to it, and a release from before the squash still finds what it left. Here such rows are taken
together for the squashed version, so that it is applied and none of them is missing.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from neuron_schema.errors import VersionError
from neuron_schema.model import AppliedRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from neuron_schema.model import RowSet, VersionInfo

PARTLY_REMEDY = (
    "check out the release before the squash, run `neuron-schema up` from there, and come back"
)


class Part(NamedTuple):
    """A squashed version of which a database has a part.

    Attributes:
        info: The version.
        sentence: What is so.
        numbers: Its number, and those of all that it replaces.
    """

    info: VersionInfo
    sentence: str
    numbers: frozenset[int]


class Account(NamedTuple):
    """The history as the versions of today see it.

    Attributes:
        rows: Its rows, those that stand for a squashed version as one.
        partly: The squashed versions of which a part is applied.
    """

    rows: tuple[AppliedRow, ...]
    partly: tuple[Part, ...] = ()

    @property
    def torn(self) -> frozenset[int]:
        """The numbers of which nothing is known but that they do not fit together."""
        return frozenset(number for part in self.partly for number in part.numbers)


def ends_with(sets: Sequence[RowSet], own: int) -> bool:
    """Whether what was declared once is that of a module with this number."""
    return all(int(rows[-1][0]) == own for rows in sets)


def replaced_numbers(info: VersionInfo) -> frozenset[int]:
    """Return the numbers of the versions that a squashed one replaces, its own not included."""
    numbers = {int(version) for rows in info.replaces for version, _ in rows}
    return frozenset(numbers - {info.number})


def refuse_replaced(infos: Sequence[VersionInfo]) -> None:
    """Refuse files that a squashed version beside them replaces.

    Raises:
        VersionError: there is one.
    """
    squashed = [info for info in infos if info.replaces]
    for info in squashed:
        numbers = replaced_numbers(info)
        beside = [other for other in infos if other.number in numbers]
        if beside:
            raise VersionError(
                f"{', '.join(other.label for other in beside)}: {info.label} replaces that number",
                where=beside[0].path,
                remedy=f"neuron-schema squash {min(numbers)}:{info.number} finishes a squash that "
                "was interrupted; a new version needs a number of its own",
            )
    for one, other in combinations(squashed, 2):
        if common := replaced_numbers(one) & replaced_numbers(other):
            raise VersionError(
                f"{one.label} and {other.label} both replace version {min(common)}",
                where=other.path,
                remedy="restore one of them from version control",
            )


def account(infos: Sequence[VersionInfo], applied: Sequence[AppliedRow]) -> Account:
    """Return the history as the versions of today see it.

    Args:
        infos: The versions.
        applied: The rows of the history table.
    """
    squashed = [info for info in infos if info.replaces]
    if not squashed:
        return Account(rows=tuple(applied))
    rows = {row.number: row for row in applied}
    partly = []
    for info in squashed:
        there = {number: rows[number] for number in _numbers(info) & rows.keys()}
        own = there.get(info.number)
        if not there or (len(there) == 1 and own is not None and not _is_part(own, info)):
            continue
        if any(_stands(each, there) for each in info.replaces):
            for number in there:
                del rows[number]
            rows[info.number] = _whole(info, there)
        else:
            partly.append(_part(info, there))
    return Account(rows=tuple(row for _, row in sorted(rows.items())), partly=tuple(partly))


def _numbers(info: VersionInfo) -> frozenset[int]:
    return replaced_numbers(info) | {info.number}


def _is_part(own: AppliedRow, info: VersionInfo) -> bool:
    """Whether a row with the squashed version's number is the last of those it replaces."""
    return own.checksum != info.checksum and any(
        rows[-1][1] == own.checksum for rows in info.replaces
    )


def _stands(wanted: RowSet, there: Mapping[int, AppliedRow]) -> bool:
    """Whether rows are those of a set, no more and no less; without a checksum any text fits."""
    checksums = {int(version): checksum for version, checksum in wanted}
    return checksums.keys() == there.keys() and all(
        row.checksum in (None, checksums[number]) for number, row in there.items()
    )


def _whole(info: VersionInfo, there: Mapping[int, AppliedRow]) -> AppliedRow:
    own = there[info.number]
    return AppliedRow(
        version=own.version,
        name=info.name,
        applied_at=own.applied_at,
        checksum=info.checksum,
        covers=tuple(row for number, row in sorted(there.items()) if number != info.number),
    )


def _part(info: VersionInfo, there: Mapping[int, AppliedRow]) -> Part:
    # Told by the set that fits best: a version may have been squashed twice.
    wanted = max(info.replaces, key=lambda rows: len({int(v) for v, _ in rows} & there.keys()))
    names = [version for version, _ in wanted]
    absent = [version for version in names if int(version) not in there]
    other = [
        version
        for version, checksum in wanted
        if int(version) in there and there[int(version)].checksum not in (None, checksum)
    ]
    more = [row.version for row in there.values() if row.number not in map(int, names)]
    facts = [
        f"{what}: {', '.join(versions)}"
        for what, versions in (
            ("not applied", absent),
            ("applied with another text", other),
            ("applied beside", more),
        )
        if versions
    ]
    return Part(
        info=info,
        sentence=f"{info.label} replaces {', '.join(names)}, of which this database has only a part"
        f" ({'; '.join(facts)})",
        numbers=_numbers(info),
    )
