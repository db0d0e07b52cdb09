"""Proves every version: up, down and up again, each on the schema that the earlier ones built."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from neuron_schema.errors import TargetError
from neuron_schema.proof.cycle import Cycle, Failure, Phase, go_round
from neuron_schema.proof.trunk import trunk_of
from neuron_schema.targets import find_version

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from neuron_schema.catalog import Change
    from neuron_schema.model import Migration, VersionInfo
    from neuron_schema.proof.ground import Workshop
    from neuron_schema.proof.rows import Loss
    from neuron_schema.proof.seed import Unseeded
    from neuron_schema.proof.trunk import Trunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was found of one version.

    Attributes:
        irreversible: Why it has no way down, or None.
        failures: The lists that raise.
        residue: What tells the schema after ``down`` from the one before.
        divergence: What tells the schema after the second ``up`` from the one after the first.
        order: Where it is only the order of columns that differs; no finding.
        validated: Constraints that ``down`` leaves validated; no finding, as they hold all the
            same for new rows, and that the old ones fit takes nothing from anybody.
        losses: Data that do not survive; no finding.
        unseeded: Tables that had no rows; no finding.
        without: Earlier versions that are not there, because their ``up`` raises.
    """

    version: str
    name: str
    irreversible: str | None = None
    failures: tuple[Failure, ...] = ()
    residue: tuple[Change, ...] = ()
    divergence: tuple[Change, ...] = ()
    order: tuple[Change, ...] = ()
    validated: tuple[Change, ...] = ()
    losses: tuple[Loss, ...] = ()
    unseeded: tuple[Unseeded, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Version and name as the file name joins them."""
        return f"{self.version}_{self.name}"

    @property
    def proven(self) -> bool:
        """Whether there is no finding."""
        return not (self.failures or self.residue or self.divergence)

    def failure(self, phase: Phase) -> Failure | None:
        """Return how a part of the proof failed, or None."""
        return next((each for each in self.failures if each.phase is phase), None)


def chosen(infos: Sequence[VersionInfo], words: Sequence[str]) -> list[VersionInfo]:
    """Return the versions that words name: ``003``, or ``003:005`` with both ends; all for none.

    Raises:
        TargetError: there is no such version, or a range runs backwards.
    """
    if not words:
        return list(infos)
    wanted: set[int] = set()
    for word in words:
        first, colon, last = word.partition(":")
        start = find_version(infos, first).number
        end = find_version(infos, last).number if colon else start
        if end < start:
            raise TargetError(f"{word} runs backwards", remedy=f"write {last}:{first}")
        wanted |= (
            set(range(start, end + 1))
            if end - start < len(infos)
            else {info.number for info in infos if start <= info.number <= end}
        )
    return [info for info in infos if info.number in wanted]


def verify(
    workshop: Workshop,
    migrations: Sequence[Migration],
    wanted: Collection[int],
    listener: Callable[[Migration], None] | None = None,
) -> Iterator[Proof]:
    """Prove versions one after the other.

    Args:
        workshop: Where they are run.
        migrations: All versions up to the last one wanted, in order.
        wanted: The numbers of those to be proven.
        listener: Told of each version that is wanted, before it runs.

    Yields:
        A proof of each version wanted, and of any other whose ``up`` raises.

    Raises:
        ExtensionMissing: the server lacks one that a version needs.
        ServerUnavailable: the server cannot be used.
    """
    with workshop.roles_put_back(migrations), trunk_of(workshop, migrations) as trunk:
        yield from _proofs(workshop, trunk, migrations, wanted, listener)


def _proofs(
    workshop: Workshop,
    trunk: Trunk,
    migrations: Sequence[Migration],
    wanted: Collection[int],
    listener: Callable[[Migration], None] | None,
) -> Iterator[Proof]:
    for is_wanted, run in itertools.groupby(migrations, lambda each: each.number in wanted):
        group = list(run)
        if not is_wanted and trunk.grow_by_all(group):
            continue
        for migration in group:
            proof = None
            if is_wanted:
                if listener is not None:
                    listener(migration)
                proof = prove(workshop, trunk, migration)
            failure = trunk.grow(migration)
            if proof is None and failure is not None:
                proof = replace(_proof(migration, trunk), failures=(failure,))
            if proof is not None:
                yield proof
            if failure is not None:
                trunk.leave_out(migration)


def prove(
    workshop: Workshop,
    trunk: Trunk,
    migration: Migration,
    unused: Collection[tuple[str, str]] = (),
) -> Proof:
    """Prove a version with rows in the tables, and where that fails also without.

    Args:
        workshop: Where it is run.
        trunk: The schema that the earlier versions built; it stays as it is.
        migration: The version.
        unused: Schema and name of the tables that get their rows after it only.

    Raises:
        ExtensionMissing: the server lacks one that the version needs.
        ServerUnavailable: the server cannot be used.
    """
    full = _cycle(workshop, trunk, migration, with_rows=True, unused=unused)
    if full.failure is None:
        return _told(_proof(migration, trunk), full, ())
    empty = _cycle(workshop, trunk, migration, with_rows=False)
    if empty.failure is not None and empty.failure.phase is full.failure.phase:
        return _told(_proof(migration, trunk), full, (full.failure,))
    first = replace(full.failure, rows_only=True)
    failures = (first, *([empty.failure] if empty.failure else []))
    # Without rows it came further.
    further = replace(empty, losses=full.losses, unseeded=full.unseeded)
    return _told(_proof(migration, trunk), further, failures)


def _cycle(
    workshop: Workshop,
    trunk: Trunk,
    migration: Migration,
    *,
    with_rows: bool,
    unused: Collection[tuple[str, str]] = (),
) -> Cycle:
    with (
        workshop.roles_put_back([migration]),
        workshop.shadow.database(trunk.address) as address,
        workshop.open(address) as ground,
    ):
        return go_round(ground, migration, with_rows=with_rows, unused=unused)


def _proof(migration: Migration, trunk: Trunk) -> Proof:
    return Proof(
        version=migration.version,
        name=migration.name,
        irreversible=migration.irreversible,
        without=trunk.without,
    )


def _told(proof: Proof, cycle: Cycle, failures: tuple[Failure, ...]) -> Proof:
    both = (*cycle.residue, *cycle.divergence)
    return replace(
        proof,
        failures=failures,
        residue=tuple(
            each for each in cycle.residue if not (each.order_only or each.validated_only)
        ),
        divergence=tuple(each for each in cycle.divergence if not each.order_only),
        order=tuple(each for each in both if each.order_only),
        validated=tuple(each for each in cycle.residue if each.validated_only),
        losses=cycle.losses,
        unseeded=cycle.unseeded,
    )
