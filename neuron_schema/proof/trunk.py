"""The schema that versions build one after the other, for each next one to be tried on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from neuron_schema.proof.cycle import Failure, Phase, tried

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from neuron_schema.address import Address
    from neuron_schema.model import Migration
    from neuron_schema.proof.ground import Workshop


@contextmanager
def trunk_of(workshop: Workshop, migrations: Sequence[Migration]) -> Iterator[Trunk]:
    """Yield an empty schema for versions to grow; its database is dropped afterwards.

    Args:
        workshop: Where it is built.
        migrations: All versions that may come.
    """
    trunk = Trunk(workshop, migrations)
    try:
        yield trunk
    finally:
        workshop.shadow.drop(trunk.address)


class Trunk:
    """The schema that the versions so far have built, without any rows but theirs.

    Args:
        workshop: Where it is built.
        migrations: All versions that may come.
        roles: Those that the server had before the first version; None for those that it has.
        there: The versions that are there already.
        without: Those that were left out, by their labels.
        address: The database that has them; None for a new one.

    Attributes:
        address: Of its database, to which nobody is connected: it can be copied.
        without: The versions that were left out, by their labels.
    """

    def __init__(
        self,
        workshop: Workshop,
        migrations: Sequence[Migration],
        *,
        roles: frozenset[str] | None = None,
        there: Sequence[Migration] = (),
        without: tuple[str, ...] = (),
        address: Address | None = None,
    ) -> None:
        self._workshop = workshop
        self._migrations = migrations
        self._roles = workshop.shadow.roles() if roles is None else roles
        self._there = [*there]
        self.without = without
        self.address = workshop.empty() if address is None else address

    @contextmanager
    def fork(self) -> Iterator[Trunk]:
        """Yield another trunk that stands where this one does; it is dropped afterwards."""
        made = Trunk(
            self._workshop,
            self._migrations,
            roles=self._roles,
            there=self._there,
            without=self.without,
            address=self._workshop.shadow.create(self.address),
        )
        try:
            yield made
        finally:
            self._workshop.shadow.drop(made.address)

    def grow(self, migration: Migration) -> Failure | None:
        """Apply a version; where it raises, the schema is as it was before."""
        with self._workshop.open(self.address) as ground:
            failure = tried(ground, [migration], Phase.UP)
        if failure is None:
            self._there.append(migration)
        else:
            self._rebuild()
        return failure

    def grow_by_all(self, migrations: Sequence[Migration]) -> bool:
        """Apply versions in one run; where one raises, the schema is as it was before them."""
        with self._workshop.open(self.address) as ground:
            failure = tried(ground, migrations, Phase.UP)
        if failure is None:
            self._there += migrations
        else:
            self._rebuild()
        return failure is None

    def _rebuild(self) -> None:
        """Start anew: what commits on its own may have left something behind."""
        self._workshop.shadow.drop(self.address)
        self._workshop.drop_roles_since(self._roles, self._migrations)
        self.address = self._workshop.empty()
        with self._workshop.open(self.address) as ground:
            ground.run(self._there)

    def leave_out(self, migration: Migration) -> None:
        """Remember a version that later ones will have to do without."""
        self.without = (*self.without, migration.label)
