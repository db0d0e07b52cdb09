"""What of a database is not as its applied versions make it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from neuron_schema.catalog import Change, Extension, Kind, diff
from neuron_schema.errors import HistoryConflict, NeuronSchemaError, SettingsError
from neuron_schema.model import BACKFILL_ROWS
from neuron_schema.proof.rendering import only_rendered
from neuron_schema.squashed import account

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from neuron_schema.catalog import Snapshot
    from neuron_schema.history import Look
    from neuron_schema.model import AppliedRow, Migration, VersionInfo
    from neuron_schema.proof.ground import Ground, Workshop
    from neuron_schema.settings_values import Ignore

_DUPLICATE_SCHEMA: Final = "42P06"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What tells a database from what its versions make.

    Attributes:
        changes: What was done by hand.
        ignored: What the settings overlook, with the pattern that does.
        order: Columns that stand in another order; no drift.
        unused: Patterns that nothing matches.
        versions: Extensions of another version: name, that of the shadow, that of the database.
    """

    changes: tuple[Change, ...] = ()
    ignored: tuple[tuple[Change, Ignore], ...] = ()
    order: tuple[Change, ...] = ()
    unused: tuple[Ignore, ...] = ()
    versions: tuple[tuple[str, str, str], ...] = ()


def find(
    workshop: Workshop, migrations: Sequence[Migration], live: Snapshot, ignore: Sequence[Ignore]
) -> Drift:
    """Return what tells a database from what its versions build.

    Args:
        workshop: Where the versions are run, on a server of the same major version.
        migrations: The versions that are applied, in order.
        live: What is there.
        ignore: What to overlook.

    Raises:
        SettingsError: a pattern's kind is none.
        NeuronSchemaError: a version fails.
    """
    _check_kinds(ignore)
    with standing(workshop, migrations) as ground:
        built = ground.snapshot()
        changes = diff(_comparable(built), _comparable(live))
        same = only_rendered(ground, changes)
    changes = tuple(change for change in changes if change.object not in same)
    return replace(sorted_out(changes, ignore), versions=tuple(_versions(built, live)))


def sorted_out(found: Sequence[Change], ignore: Sequence[Ignore] = ()) -> Drift:
    """Divide what was found. Pure.

    Owners and privileges are each environment's own. So is the version of an extension, which
    comes with the server.
    """
    changes: list[Change] = []
    ignored: list[tuple[Change, Ignore]] = []
    order: list[Change] = []
    for change in found:
        known = next((each for each in ignore if _matches(each, change)), None)
        if known is not None:
            ignored.append((change, known))
        elif change.order_only:
            order.append(change)
        else:
            changes.append(change)
    used = {id(known) for _, known in ignored}
    return Drift(
        changes=tuple(changes),
        ignored=tuple(ignored),
        order=tuple(order),
        unused=tuple(each for each in ignore if id(each) not in used),
    )


def applied_versions(
    infos: Sequence[VersionInfo], applied: Sequence[AppliedRow]
) -> tuple[list[VersionInfo], list[str]]:
    """Divide what is applied: versions whose files hold, and those that only a record can tell.

    Returns:
        The files' versions, and the others as the history table spells them.
    """
    by_number = {info.number: info for info in infos}
    found: list[VersionInfo] = []
    others: list[str] = []
    known = account(infos, applied)
    for row in known.rows:
        info = by_number.get(row.number)
        whole = row.number not in known.torn
        if info is not None and whole and row.checksum in (None, info.checksum):
            found.append(info)
        else:
            others.append(row.version)
    return found, others


def check_recorded(
    wanted: Iterable[str], recorded: Sequence[Migration], applied: Sequence[AppliedRow]
) -> None:
    """Refuse to guess what applied versions made.

    Args:
        wanted: Versions without a file that holds.
        recorded: Those that the log knows.
        applied: The history.

    Raises:
        HistoryConflict: the log does not know one of them, or in another text.
    """
    checksums = {row.version: row.checksum for row in applied}
    known = {
        one.version
        for one in recorded
        if one.up_statements and checksums.get(one.version) in (None, one.checksum)
    }
    unknown = [version for version in wanted if version not in known]
    if unknown:
        raise HistoryConflict(
            f"{', '.join(unknown)}: applied, but the file is missing or was modified, and the log "
            "holds no record of what was run",
            remedy="restore the files from version control, or neuron-schema repair the checksum",
        )


def buildable(recorded: Iterable[Migration]) -> list[Migration]:
    """Return recorded versions without those that a function of a lost file is a part of.

    They write rows alone, which are no part of a schema.
    """
    return [
        one
        for one in recorded
        if not any(
            each.own_commit is not None and each.own_commit.kind == BACKFILL_ROWS
            for each in one.up_statements
        )
    ]


def build(workshop: Workshop, migrations: Sequence[Migration]) -> Snapshot:
    """Return the schema that versions build, in the order given.

    Raises:
        NeuronSchemaError: one of them fails.
    """
    with standing(workshop, migrations) as ground:
        return ground.snapshot()


@contextmanager
def standing(workshop: Workshop, migrations: Sequence[Migration]) -> Iterator[Ground]:
    """Yield a database on which versions have been run.

    Raises:
        NeuronSchemaError: one of them fails.
    """
    with workshop.roles_put_back(migrations), ExitStack() as stack:
        try:
            ground = _run(stack, workshop, migrations)
        except NeuronSchemaError as error:
            # A schema that was there beforehand on one database is made by a version elsewhere.
            if error.sqlstate != _DUPLICATE_SCHEMA or not workshop.beforehand:
                raise
            ground = _run(stack, replace(workshop, beforehand=()), migrations)
        yield ground


def _run(stack: ExitStack, workshop: Workshop, migrations: Sequence[Migration]) -> Ground:
    with ExitStack() as attempt:
        address = attempt.enter_context(workshop.database())
        ground = attempt.enter_context(workshop.open(address))
        if migrations:
            ground.run(migrations)
        stack.enter_context(attempt.pop_all())
        return ground


def as_in(workshop: Workshop, look: Look, live: Snapshot) -> Workshop:
    """Return a workshop in which versions find what they found in a database.

    That is the history table in its schema, the search path, and those of its schemas that exist.

    Args:
        workshop: As the settings have it.
        look: At the database.
        live: Its schema.
    """
    path = look.facts.search_path if workshop.search_path is None else workshop.search_path
    path = path.replace('"$user"', f'"{look.facts.user}"')
    names = [part.strip().strip('"') for part in path.split(",")]
    there = {each.name for each in live.objects if each.kind is Kind.SCHEMA}
    return replace(
        workshop,
        history=look.table,
        search_path=path,
        beforehand=tuple(name for name in names if name in there and name != "public"),
    )


def _check_kinds(ignore: Sequence[Ignore]) -> None:
    known = [kind.value for kind in Kind]
    for each in ignore:
        if each.kind is not None and each.kind not in known:
            raise SettingsError(
                f"ignore in the settings: {each.kind!r} is no kind of object",
                remedy=f"kinds: {', '.join(known)}",
            )


def _matches(ignore: Ignore, change: Change) -> bool:
    right_kind = ignore.kind is None or ignore.kind == change.kind.value
    return right_kind and fnmatchcase(str(change.object), ignore.object)


def _comparable(schema: Snapshot) -> Snapshot:
    """Return a schema without what is each environment's own.

    Owners and privileges are, and the version of an extension, which comes with the server.
    """
    plain = schema.unowned()
    return replace(
        plain,
        objects=tuple(
            replace(each, version="", comment=None) if isinstance(each, Extension) else each
            for each in plain.objects
        ),
    )


def _versions(built: Snapshot, live: Snapshot) -> Iterable[tuple[str, str, str]]:
    here = {each.name: each.version for each in built.objects if isinstance(each, Extension)}
    for each in live.objects:
        if isinstance(each, Extension) and here.get(each.name, each.version) != each.version:
            yield each.name, here[each.name], each.version
