"""Statements and what is to become of them, arranged in versions."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from neuron_schema.discovery.version_set import MAX_VERSION_DIGITS
from neuron_schema.review.findings import FixModule
from neuron_schema.review.fixes.module import ModuleText
from neuron_schema.review.fixes.naming import cursor_of
from neuron_schema.review.fixes.writing import EMPTY, Draft, Piece, written
from neuron_schema.settings_values import SESSION_LIMITS
from neuron_schema.sqltext.actions import Verb

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from neuron_schema.review.fixes.original import Item, Original
    from neuron_schema.review.fixes.text import Edit

_SLUG_LENGTH: Final = 60
_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A version of its own.

    Attributes:
        slug: The name in its file name.
        says: Its docstring.
        up: Its elements.
        down: Those that undo them.
        alone: PostgreSQL commits its one operation on its own.
        apart: It needs nothing of the author's module.
        family: Stages of one family may share a version.
        definitions: Statements in front of ``up``, where it stands apart.
        imports: What these need.
    """

    slug: str
    says: str
    up: tuple[Piece, ...]
    down: tuple[Piece, ...] = ()
    alone: bool = False
    apart: bool = False
    family: str = ""
    definitions: str = ""
    imports: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What becomes of one statement.

    Attributes:
        number: Its number.
        now: What stands in its place.
        stages: What comes in versions after that.
        names: What these make, which later statements may need.
        waits: What comes after the statement comes after its stages, too.
        edits: What is altered in the author's module.
        down: What becomes of statements of ``down``, by their numbers.
        how: What is done, where it stays one version: ``CREATE INDEX CONCURRENTLY``.
        more_down: What comes first in the ``down`` of the version that it was in.
    """

    number: int
    now: tuple[Piece, ...] = ()
    stages: tuple[Stage, ...] = ()
    names: frozenset[str] = frozenset()
    waits: bool = False
    edits: tuple[Edit, ...] = ()
    down: Mapping[int, tuple[Piece, ...]] = field(default_factory=dict)
    how: str = ""
    more_down: tuple[Piece, ...] = ()


@dataclass(slots=True)
class _Part:
    """A version in the making: some of the author's own statements."""

    up: list[Piece] = field(default_factory=list)
    down: list[Piece] = field(default_factory=list)
    numbers: set[int] = field(default_factory=set)


def arranged(
    original: Original, remedies: Sequence[Remedy], hazard: str, taken: Collection[int]
) -> tuple[str, tuple[FixModule, ...]] | None:
    """Return a summary and the modules, or None where the statements do not fit into versions.

    Args:
        original: The version.
        remedies: What becomes of statements of it.
        hazard: What they are to be rid of.
        taken: The numbers of the other versions that there are.
    """
    ways = {each.number: each for each in remedies}
    parts = _parts(original, ways)
    _with_down(original, ways, parts)
    found = [each for each in parts if isinstance(each, Stage) or each.up]
    if any(isinstance(each, _Part) and not each.up and each.down for each in parts):
        return None
    if any(isinstance(each, _Part) and _only_locks(original, each) for each in found):
        return None
    first = original.migration.number
    numbers = [str(first + at).zfill(len(original.migration.version)) for at in range(len(found))]
    if len(numbers[-1]) > MAX_VERSION_DIGITS:
        return None
    edits = tuple(edit for each in remedies for edit in each.edits)
    modules = tuple(
        FixModule(
            file_name=f"{numbers[at]}_{_name(original, each, at)}.py",
            source=written(
                _draft(original, each, edits, hazard, _docstring(original, each, numbers, at))
            ),
        )
        for at, each in enumerate(found)
    )
    if len(numbers) == 1:
        return f"{remedies[0].how} in {numbers[0]}", modules
    return _summary(numbers, taken), modules


def _parts(original: Original, ways: Mapping[int, Remedy]) -> list[_Part | Stage]:
    """Divide the statements of ``up`` into versions, in an order in which they can run."""
    current = _Part()
    parts: list[_Part | Stage] = [current]
    later: list[Stage] = []
    for item in original.up:
        way = ways.get(item.number)
        current.numbers.add(item.number)
        if way is None:
            current.up.append(item.piece)
            continue
        current.up += way.now
        rest = [each for each in original.up if each.number > item.number]
        if rest and (way.waits or any(_mentions(each, way.names) for each in rest)):
            current = _Part()
            parts += [*later, *way.stages, current]
            later = []
        else:
            later += way.stages
    return [*parts, *_merged(later)]


def _mentions(item: Item, names: Collection[str]) -> bool:
    words = set(re.findall(r"[\w$]+", item.words))
    return bool(words & set(names)) or any(f'"{name}"' in item.words for name in names)


def _merged(stages: Sequence[Stage]) -> list[Stage]:
    """Put stages of one family into one version."""
    found: list[Stage] = []
    for stage in stages:
        last = found[-1] if found else None
        if last is None or not stage.family or last.family != stage.family:
            found.append(stage)
            continue
        found[-1] = replace(
            last,
            says=f"{last.says}\n\n{stage.says}",
            up=(*last.up, *stage.up),
            apart=last.apart and stage.apart,
            down=(*stage.down, *last.down),
            imports=(*last.imports, *stage.imports),
        )
    return found


def _only_locks(original: Original, part: _Part) -> bool:
    """Whether all that a version would do is to lock tables, for nothing that comes after it."""
    locks = {each.sql for each in original.up if cursor_of(each).take("lock")}
    return all(sql in locks for piece in part.up for sql in piece.sql or ("",))


def _with_down(
    original: Original, ways: Mapping[int, Remedy], parts: Sequence[_Part | Stage]
) -> None:
    """Give each statement of ``down`` to the version that it undoes a part of."""
    own = [each for each in parts if isinstance(each, _Part)]
    instead = {number: pieces for way in ways.values() for number, pieces in way.down.items()}
    mirrored = len(original.up) == len(original.down)
    for item in original.down:
        number = _undone_by(original, item)
        if number is None and mirrored:
            number = len(original.up) + 1 - item.number
        part = next((each for each in own if number in each.numbers), own[0])
        part.down += instead.get(item.number, (item.piece,))
    for way in ways.values():
        part = next(each for each in own if way.number in each.numbers)
        part.down[:0] = way.more_down


def _undone_by(original: Original, item: Item) -> int | None:
    """Return the number of the statement that makes what a statement of ``down`` drops."""
    for gone in item.actions:
        for each in original.up:
            made = [one.ref for one in each.actions if one.verb is Verb.CREATE]
            if gone.verb is Verb.DROP and any(
                ref is not None
                and gone.ref is not None
                and (ref.kind, ref.name) == (gone.ref.kind, gone.ref.name)
                for ref in made
            ):
                return each.number
    return None


def _draft(
    original: Original,
    part: _Part | Stage,
    edits: tuple[Edit, ...],
    hazard: str,
    docstring: str,
) -> Draft:
    """Return what is to be written of one version."""
    own, migration = original.module, original.migration
    stage = part if isinstance(part, Stage) else None
    apart = stage is not None and stage.apart
    declared = frozenset(key for key, _ in migration.settings)
    declares = migration.irreversible is not None and (stage is None or not stage.down)
    return Draft(
        module=ModuleText(EMPTY) if apart else own,
        docstring=docstring,
        up=tuple(part.up),
        down=None if declares else tuple(part.down),
        irreversible=migration.irreversible if declares and apart else None,
        edits=() if apart else edits,
        definitions=stage.definitions if stage is not None else "",
        imports=stage.imports if stage is not None else (),
        settings=declared - set(SESSION_LIMITS) if stage is not None and stage.alone else declared,
        accept=frozenset() if stage is not None else _accepted(own) - {hazard},
    )


def _accepted(module: ModuleText) -> frozenset[str]:
    """Return the hazards that a module accepts."""
    value = module.assigned("accept")
    keys = value.keys if isinstance(value, ast.Dict) else []
    return frozenset(str(each.value) for each in keys if isinstance(each, ast.Constant))


def _docstring(original: Original, part: _Part | Stage, numbers: Sequence[str], at: int) -> str:
    own = original.migration.description
    if isinstance(part, Stage) and not (at == 0 and own):
        return part.says
    if at > 0:
        return f"The rest of version {numbers[0]}: {own}" if own else f"The rest of {numbers[0]}."
    later = numbers[1:]
    rest = f"The rest of it comes in {_listed(later)}." if later else ""
    return "\n\n".join(each for each in (own, rest) if each) or "."


def _name(original: Original, part: _Part | Stage, at: int) -> str:
    """Return what a version is called; the first one is called as the original is."""
    name = original.migration.name
    if at == 0:
        return name
    text = part.slug if isinstance(part, Stage) else f"{name}_rest"
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:_SLUG_LENGTH].strip("_") or "rest"


def _listed(numbers: Sequence[str]) -> str:
    return " and ".join(each for each in (", ".join(numbers[:-1]), numbers[-1]) if each)


def _summary(numbers: Sequence[str], taken: Collection[int]) -> str:
    wanted = range(int(numbers[0]) + 1, int(numbers[-1]) + 1)
    hit = min((each for each in taken if each in wanted), default=None)
    text = f"split into {_listed(numbers)}"
    if hit is None:
        return text
    moved = int(numbers[-1]) + 1 - hit
    word = _NUMBERS[moved] if moved < len(_NUMBERS) else str(moved)
    return f"{text}; {str(hit).zfill(len(numbers[0]))} and later move up by {word}"
