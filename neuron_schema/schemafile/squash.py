"""Several versions as one: what it runs, what it declares, and what cannot be in it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from neuron_schema.errors import SquashRefused, TargetError
from neuron_schema.targets import find_version, target_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from neuron_schema.model import Migration, RowSet, Statement

_INDEX = re.compile(r"((?:CREATE(?: UNIQUE)?|DROP) INDEX) CONCURRENTLY ")
_DETACH = " CONCURRENTLY"
_FEWEST = 2
_MOST_SETS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A statement of the version to be.

    Attributes:
        sql: Its text.
        origin: The version that it came from.
    """

    sql: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The version to be, before it is written.

    Attributes:
        parts: The versions that it is made of, in order.
        name: What comes after the number in its file name.
        irreversible: Why it cannot be rolled back, or None.
        replaces: The rows of the history that stand for it.
        notes: Sentences about what is not as it was.
    """

    parts: tuple[Migration, ...]
    name: str
    up: tuple[Item, ...]
    down: tuple[Item, ...]
    irreversible: str | None
    settings: tuple[tuple[str, str], ...]
    replaces: tuple[RowSet, ...]
    notes: tuple[str, ...]

    @property
    def version(self) -> str:
        """Its number: the last one's, so that what comes after it stays after it."""
        return self.parts[-1].version


def span_of(word: str) -> tuple[str, str]:
    """Return both ends of ``A:B``.

    Raises:
        TargetError: it is no span, or one that runs backwards.
    """
    first, colon, last = word.partition(":")
    if not colon:
        raise TargetError(f"{word!r} is no span", remedy="write A:B, such as 002:005")
    if target_number(first) > target_number(last):
        raise TargetError(f"{word} runs backwards", remedy=f"write {last}:{first}")
    return first, last


def parts_of(migrations: Sequence[Migration], first: str, last: str) -> tuple[Migration, ...]:
    """Return the versions from one to another, both included.

    Raises:
        TargetError: one of them is not there, or they are fewer than two.
    """
    start, end = (find_version(migrations, word).number for word in (first, last))
    parts = tuple(each for each in migrations if start <= each.number <= end)
    if len(parts) < _FEWEST:
        raise TargetError(
            f"{first}:{last} holds {parts[0].label} alone",
            remedy="name two versions or more; both ends are included",
        )
    return parts


def compose(parts: Sequence[Migration], name: str | None = None, *, plain: bool = False) -> Draft:
    """Return versions as one.

    Args:
        parts: The versions, in order.
        name: What comes after the number in its file name; None for one made of theirs.
        plain: Let operations that commit on their own become ordinary ones.

    Raises:
        SquashRefused: they cannot become one.
    """
    _refuse_backfills(parts)
    if not plain:
        _refuse_own_commits(parts)
    notes: list[str] = []
    reasons = [f"{one.label}: {one.irreversible}" for one in parts if one.irreversible is not None]
    up = tuple(item for one in parts for item in _items(one, one.up_statements, notes))
    down: tuple[Item, ...] = ()
    if not reasons:
        down = tuple(
            item for one in reversed(parts) for item in _items(one, one.down_statements, notes)
        )
    if not up:
        raise SquashRefused(
            f"nothing of {_labels(parts)} would be left", remedy="delete files by hand instead"
        )
    return Draft(
        parts=tuple(parts),
        name=name or f"squashed_{parts[0].version}_to_{parts[-1].version}",
        up=up,
        down=down,
        irreversible="; ".join(reasons) or None,
        settings=_settings(parts, notes),
        replaces=_replaces(parts),
        notes=tuple(dict.fromkeys(notes)),
    )


def _labels(parts: Sequence[Migration]) -> str:
    return ", ".join(one.label for one in parts)


def _own_commits(one: Migration) -> Iterator[str]:
    for statement in (*one.up_statements, *one.down_statements):
        if statement.own_commit is not None:
            yield statement.own_commit.kind


def _refuse_backfills(parts: Sequence[Migration]) -> None:
    found = [one for one in parts if any(kind.startswith("BACKFILL") for kind in _own_commits(one))]
    if found:
        raise SquashRefused(
            f"{_labels(found)}: a backfill goes through a table in batches, each with its own "
            "transaction, and cannot be a part of another version",
            where=found[0].path,
            remedy="squash the versions before it and those after it by themselves",
        )


def _refuse_own_commits(parts: Sequence[Migration]) -> None:
    found = [f"{one.label} ({kind})" for one in parts for kind in dict.fromkeys(_own_commits(one))]
    if found:
        raise SquashRefused(
            f"{', '.join(found)}: what commits on its own cannot share a version",
            remedy="--plain-indexes lets an ordinary operation do the same in the version's one "
            "transaction: right for new databases; one that stands before this version and has "
            "rows would be locked meanwhile",
        )


def _items(one: Migration, statements: Sequence[Statement], notes: list[str]) -> Iterator[Item]:
    for statement in statements:
        sql = statement.sql
        if statement.own_commit is not None:
            kind = statement.own_commit.kind
            plain = _plain(statement.sql, kind)
            if plain is None:
                notes.append(f"{one.label}: {kind} is left out: it changes no schema and no row")
                continue
            sql = plain
            notes.append(
                f"{one.label}: {kind} becomes {' '.join(plain.split()[:3])}, with its lock"
            )
        yield Item(sql=sql, origin=one.label)


def _plain(sql: str, kind: str) -> str | None:
    """Return what does the same inside of a transaction; None where nothing is to be done.

    Raises:
        SquashRefused: nobody knows what does.
    """
    if kind in ("CREATE INDEX CONCURRENTLY", "DROP INDEX CONCURRENTLY"):
        return _INDEX.sub(r"\1 ", sql, count=1)
    if kind == "ALTER TABLE DETACH PARTITION CONCURRENTLY" and sql.endswith(_DETACH):
        return sql.removesuffix(_DETACH)
    if kind == "VACUUM" or kind.startswith("REINDEX"):
        return None
    raise SquashRefused(
        f"{kind} cannot be a part of another version", remedy="leave its version out of the range"
    )


def _settings(parts: Sequence[Migration], notes: list[str]) -> tuple[tuple[str, str], ...]:
    """Return the settings of all versions.

    Raises:
        SquashRefused: two of them differ.
    """
    found: dict[str, tuple[str, str]] = {}
    for one in parts:
        for name, value in one.settings:
            other, before = found.setdefault(name, (one.label, value))
            if before != value:
                raise SquashRefused(
                    f"{other} sets {name} to {before}, and {one.label} to {value}",
                    where=one.path,
                    remedy="settings are in no checksum: let both versions have the same one",
                )
    for name, (label, value) in found.items():
        notes.append(f"{name} = {value}, which {label} sets, now holds for all of them")
    return tuple((name, value) for name, (_, value) in found.items())


def _replaces(parts: Sequence[Migration]) -> tuple[RowSet, ...]:
    """Return all the ways in which a database may have applied versions, each by its rows.

    Raises:
        SquashRefused: there are too many to be written down.
    """
    ways = [(((one.version, one.checksum),), *one.replaces) for one in parts]
    found = [tuple(row for rows in way for row in rows) for way in product(*ways)]
    if len(found) > _MOST_SETS:
        raise SquashRefused(
            f"{_labels(parts)} can have been applied in {len(found)} ways: too many of them are "
            "squashed versions themselves",
            remedy="take those out of the range, or remove `replaces` from those whose parts no "
            "database has any more",
        )
    return tuple(found)
