"""Runs versions one after the other, and measures and proves those under review."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from neuron_schema.catalog import diff
from neuron_schema.errors import ExtensionMissing, PrivilegeMissing
from neuron_schema.proof.cycle import Phase, tried
from neuron_schema.proof.verify import prove
from neuron_schema.review.case import Case
from neuron_schema.review.newcomers import unused_after
from neuron_schema.review.tracer import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from neuron_schema.catalog import Snapshot
    from neuron_schema.model import Migration
    from neuron_schema.proof.cycle import Failure
    from neuron_schema.proof.ground import Workshop
    from neuron_schema.proof.trunk import Trunk
    from neuron_schema.review.subject import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What running the versions has shown.

    Attributes:
        cases: One for each version under review, in order.
        schema: What all of them have built.
        server: The server's version: ``18.4``.
        failed: Versions that are not under review and raise, and how.
    """

    cases: tuple[Case, ...]
    schema: Snapshot
    server: str
    failed: tuple[tuple[Migration, Failure], ...] = ()


def run(
    workshop: Workshop,
    trunk: Trunk,
    subject: Subject,
    listener: Callable[[Migration], None] | None = None,
) -> Course:
    """Run the versions from the first one under review on.

    Args:
        workshop: Where.
        trunk: The schema that the versions before it built; afterwards that of all of them.
        subject: The versions.
        listener: Told of each version under review, before it runs.

    Raises:
        ExtensionMissing: the server lacks one that a version needs.
        ServerUnavailable: the server cannot be used.
    """
    runner = _Runner(workshop, trunk, subject, listener)
    wanted = subject.changed.versions
    failed: list[tuple[Migration, Failure]] = []
    cases: list[Case] = []
    for is_wanted, group in itertools.groupby(subject.rest, lambda each: each.number in wanted):
        if is_wanted:
            cases += [runner.case(migration) for migration in group]
        else:
            failed += passed_by(trunk, list(group))
            runner.look()
    final = runner.schema
    return Course(
        cases=(*(replace(case, final=final) for case in cases[:-1]), cases[-1]),
        schema=final,
        server=runner.server,
        failed=tuple(failed),
    )


def passed_by(trunk: Trunk, migrations: Sequence[Migration]) -> Iterator[tuple[Migration, Failure]]:
    """Apply versions that nobody asks about; yield those that raise, which are left out."""
    if not migrations or trunk.grow_by_all(migrations):
        return
    for migration in migrations:
        failure = trunk.grow(migration)
        if failure is not None:
            trunk.leave_out(migration)
            yield migration, failure


class _Runner:
    """Runs versions under review.

    Attributes:
        schema: What the versions so far have built.
        server: The server's version.
    """

    def __init__(
        self,
        workshop: Workshop,
        trunk: Trunk,
        subject: Subject,
        listener: Callable[[Migration], None] | None,
    ) -> None:
        self._workshop = workshop
        self._trunk = trunk
        self._subject = subject
        self._listener = listener
        self._unused: frozenset[tuple[str, str]] = frozenset()
        self.look()

    def look(self) -> None:
        """See what is there now."""
        with self._workshop.open(self._trunk.address) as ground:
            number = ground.connection.info.server_version
            self.schema, self.server = ground.snapshot(), f"{number // 10000}.{number % 10000}"

    def case(self, migration: Migration) -> Case:
        """Return what is known of one version, and go on to the next."""
        if self._listener is not None:
            self._listener(migration)
        before, unused, formerly = self.schema, self._unused, self._formerly(migration)
        measured = measure(self._workshop, self._trunk.address, migration, unused)
        proof = prove(self._workshop, self._trunk, migration, unused)
        if self._trunk.grow(migration) is None:
            self.look()
        else:
            self._trunk.leave_out(migration)
        case = Case(
            migration=migration,
            novelty=self._subject.changed.versions[migration.number],
            measure=measured,
            before=before,
            after=self.schema,
            changes=diff(before.unowned(), self.schema.unowned()),
            proof=proof,
            major=self._workshop.shadow.major,
            stats=self._subject.stats,
            formerly=formerly,
            unused=unused,
        )
        self._unused = unused_after(case)
        return case

    def _formerly(self, migration: Migration) -> Snapshot | None:
        """Return the schema that an edited version made before it was edited."""
        then = self._subject.changed.formerly.get(migration.number)
        if then is None:
            return None
        workshop = self._workshop
        with (
            workshop.roles_put_back([then]),
            workshop.shadow.database(self._trunk.address) as address,
            workshop.open(address) as ground,
        ):
            try:
                return None if tried(ground, [then], Phase.UP) else ground.snapshot()
            except (ExtensionMissing, PrivilegeMissing):
                # What it needed the edited one may do without.
                return None
