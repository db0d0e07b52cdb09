"""Proves that a squashed version does what the versions do that it is to replace.

Both are run on copies of one database, with and without rows in it: up, on to the newest version,
and down. What is compared is the schema, the rows, and what no schema holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from neuron_schema.catalog import diff
from neuron_schema.errors import SquashUnproven
from neuron_schema.proof import rows
from neuron_schema.proof.cycle import Failure, Phase, tried
from neuron_schema.proof.seed import seed
from neuron_schema.schemafile.rows import Contents
from neuron_schema.schemafile.rows import read as read_contents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from neuron_schema.address import Address
    from neuron_schema.catalog import Change, Snapshot
    from neuron_schema.model import Migration
    from neuron_schema.proof.ground import Ground, Workshop
    from neuron_schema.proof.rows import Content
    from neuron_schema.proof.seed import Unseeded

_SHOWN = 20
_UP, _HEAD, _DOWN = "after up", "at the newest version", "after down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """Something that is not the same.

    Attributes:
        stage: When.
        with_rows: Whether there were rows in the tables before.
        what: In words.
        change: What tells the two schemas apart, where it is that.
    """

    stage: str
    with_rows: bool
    what: str
    change: Change | None = None

    def __str__(self) -> str:
        return f"{self.stage}{', with rows' if self.with_rows else ''}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was found.

    Attributes:
        mismatches: Empty where the squashed version does the same.
        compared: What was compared, as sentences.
        notes: What could not be compared, and why.
    """

    mismatches: tuple[Mismatch, ...] = ()
    compared: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse a squashed version that does something else.

        Raises:
            SquashUnproven: it does.
        """
        if not self.mismatches:
            return
        told = [str(each) for each in self.mismatches[:_SHOWN]]
        more = len(self.mismatches) - len(told)
        lines = ["one version would not do what these do:", *told]
        raise SquashUnproven(
            "\n".join([*lines, *([f"and {more} more"] if more else [])]),
            remedy="choose another span: one that ends before the version that this is about, for "
            "instance; nothing was written",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What a database consists of at one moment."""

    schema: Snapshot
    rows: Mapping[str, Content]
    beside: Contents


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """Versions to be run, after which is looked."""

    name: str
    migrations: tuple[Migration, ...]
    phase: Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """What was seen on the way through stages.

    Attributes:
        failure: What raised, with the name of its stage; what came after it was not tried.
    """

    states: dict[str, _State] = field(default_factory=dict)
    failure: tuple[str, Failure] | None = None


def prove(
    workshop: Workshop,
    before: Sequence[Migration],
    parts: Sequence[Migration],
    squashed: Migration,
    later: Sequence[Migration],
) -> Proof:
    """Compare what versions do with what the one does that is made of them.

    Args:
        workshop: Where they are run.
        before: The versions in front of them.
        parts: The versions.
        squashed: The one.
        later: The versions behind them.

    Raises:
        SquashUnproven: one of the versions themselves fails on an empty database.
        NeuronSchemaError: one in front of them fails, or the server cannot be used.
    """
    every = [*before, *parts, *later]
    trial = _Trial(workshop, tuple(parts), squashed, tuple(later))
    with workshop.roles_put_back(every), workshop.database() as base:
        with workshop.open(base) as ground:
            if before:
                ground.run(before)
            has_tables = bool(ground.snapshot().tables)
        found = trial.compare(base, with_rows=False)
        if not has_tables:
            return found
        with workshop.shadow.database(base) as seeded:
            with workshop.open(seeded) as ground:
                unseeded = seed(ground.connection, ground.snapshot())
            filled = trial.compare(seeded, with_rows=True)
    return Proof(
        mismatches=(*found.mismatches, *filled.mismatches),
        compared=(*found.compared, *filled.compared),
        notes=tuple(dict.fromkeys((*found.notes, *filled.notes, *map(_unseeded, unseeded)))),
    )


def _unseeded(each: Unseeded) -> str:
    return f"without rows: {each}"


class _Trial:
    """Both sides, run on copies of a database.

    Args:
        workshop: Where they are run.
        parts: The versions.
        squashed: The one.
        later: The versions behind them.
    """

    def __init__(
        self,
        workshop: Workshop,
        parts: tuple[Migration, ...],
        squashed: Migration,
        later: tuple[Migration, ...],
    ) -> None:
        self._workshop = workshop
        self._parts = parts
        self._squashed = squashed
        self._later = later

    def compare(self, template: Address, *, with_rows: bool) -> Proof:
        """Compare both sides on copies of one database.

        Raises:
            SquashUnproven: one of the versions fails on an empty database.
        """
        proof = Proof()
        for stages in self._routes():
            once = again = self._run(template, self._old(stages))
            if _has_values(once):
                # Again, to see which of them are others on every run.
                again = self._run(template, self._old(stages))
            notes = self._judged(once, with_rows=with_rows)
            new = self._run(template, stages)
            found = list(_differences(once, again, new, with_rows=with_rows))
            stage, failure = new.failure or ("", None)
            if failure is not None and stage in once.states:
                found.append(Mismatch(stage=stage, with_rows=with_rows, what=_raised(failure)))
            proof = Proof(
                mismatches=(*proof.mismatches, *found),
                compared=(*proof.compared, *_compared(once, new, with_rows=with_rows)),
                notes=(*proof.notes, *notes, *_varying(once, again)),
            )
        return replace(
            proof,
            mismatches=tuple(dict.fromkeys(proof.mismatches)),
            compared=tuple(dict.fromkeys(proof.compared)),
        )

    def _routes(self) -> Iterator[tuple[_Stage, ...]]:
        one = (self._squashed,)
        up = _Stage(name=_UP, migrations=one, phase=Phase.UP)
        if self._later:
            yield up, _Stage(name=_HEAD, migrations=self._later, phase=Phase.UP)
        if self._squashed.irreversible is None:
            yield up, _Stage(name=_DOWN, migrations=one, phase=Phase.DOWN)
        elif not self._later:
            yield (up,)

    def _old(self, stages: Sequence[_Stage]) -> tuple[_Stage, ...]:
        """Return the same with the versions themselves."""
        return tuple(
            replace(
                stage,
                migrations=self._parts if stage.phase is Phase.UP else self._parts[::-1],
            )
            if stage.migrations == (self._squashed,)
            else stage
            for stage in stages
        )

    def _run(self, template: Address, stages: Sequence[_Stage]) -> _Way:
        every = [each for stage in stages for each in stage.migrations]
        way = _Way()
        with (
            self._workshop.roles_put_back(every),
            self._workshop.shadow.database(template) as address,
            self._workshop.open(address) as ground,
        ):
            for stage in stages:
                failure = tried(ground, stage.migrations, stage.phase)
                if failure is not None:
                    return replace(way, failure=(stage.name, failure))
                way.states[stage.name] = _state(ground)
        return way

    def _judged(self, once: _Way, *, with_rows: bool) -> list[str]:
        """Return what is to be known where the versions themselves fail.

        Raises:
            SquashUnproven: they do so on an empty database, on the way up.
        """
        if once.failure is None:
            return []
        stage, failure = once.failure
        if stage == _UP and not with_rows:
            raise SquashUnproven(
                f"a version fails by itself: {failure.message}",
                where=failure.where,
                remedy="`neuron-schema verify` tells more",
            )
        rows_there = " on tables with rows" if with_rows else ""
        return [f"not compared {stage}{rows_there}: a version itself fails: {failure.message}"]


def _state(ground: Ground) -> _State:
    schema = ground.snapshot()
    return _State(
        schema=schema,
        rows=rows.contents(ground.connection, schema),
        beside=read_contents(ground.connection, schema),
    )


def _has_values(way: _Way) -> bool:
    """Whether there is anything but a schema."""
    return any(
        state.beside.sequences or any(each.rows for each in state.rows.values())
        for state in way.states.values()
    )


def _raised(failure: Failure) -> str:
    return f"the squashed version fails: {failure.message}"


def _differences(once: _Way, again: _Way, new: _Way, *, with_rows: bool) -> Iterator[Mismatch]:
    for name, state in once.states.items():
        now, second = new.states.get(name), again.states.get(name)
        if now is None or second is None:
            continue
        for change in diff(state.schema, now.schema):
            yield Mismatch(stage=name, with_rows=with_rows, what=str(change), change=change)
        told = [*_in_rows(state.rows, second.rows, now.rows), *_beside(state, second, now)]
        for what in told:
            yield Mismatch(stage=name, with_rows=with_rows, what=what)


def _in_rows(
    once: Mapping[str, Content], again: Mapping[str, Content], new: Mapping[str, Content]
) -> Iterator[str]:
    """Yield what tells rows apart; tables that are on one side only the schemas tell of."""
    for table, old in once.items():
        second, now = again.get(table), new.get(table)
        if second is None or now is None:
            continue
        if old.rows != now.rows:
            yield f"{table}: {now.rows} rows instead of {old.rows}"
            continue
        others = [
            column
            for column, digest in old.digests.items()
            if second.digests.get(column) == digest != now.digests.get(column, digest)
        ]
        for column in others:
            yield f"{table}.{column}: its values are others"
        if not others and second.digest == old.digest != now.digest:
            yield f"{table}: its values stand in other rows"


def _varying(once: _Way, again: _Way) -> Iterator[str]:
    """Yield what is another on every run of the versions themselves."""
    for name, state in once.states.items():
        second = again.states.get(name)
        for table, old in state.rows.items():
            then = second.rows.get(table) if second is not None else None
            for column, digest in old.digests.items():
                if then is not None and then.digests.get(column) != digest:
                    yield f"{table}.{column} was not compared: its values are others on every run"


def _beside(once: _State, again: _State, new: _State) -> Iterator[str]:
    """Yield what else tells two databases apart: sequences, unread views, parameters."""
    second = set(again.beside.sequences)
    stable = {each for each in once.beside.sequences if each in second}
    now = {name: (value, called) for name, value, called in new.beside.sequences}
    for name, value, called in sorted(stable):
        if now.get(name) != (value, called):
            yield f"sequence {name} does not stand at {value}"
    known = {name for name, _, _ in (*once.beside.sequences, *again.beside.sequences)}
    for name in sorted(now.keys() - known):
        yield f"sequence {name} stands at {now[name][0]}"
    for view in sorted(once.beside.unpopulated ^ new.beside.unpopulated):
        yield f"materialized view {view} can be read on one side only"
    for sentence in sorted(set(once.beside.obstacles) ^ set(new.beside.obstacles)):
        yield f"on one side only: {sentence}"


def _compared(once: _Way, new: _Way, *, with_rows: bool) -> Iterator[str]:
    where = "with rows in every table before" if with_rows else "on empty tables"
    for name in once.states:
        if name in new.states:
            yield f"{name}, {where}: schema and rows"
