"""Copies of the schema before a version, with hostile rows and without, to run the version on."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuron_schema.connections import look_through
from neuron_schema.proof.rows import qualified
from neuron_schema.proof.seed import seed
from neuron_schema.review.tracing.watch import Observer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from neuron_schema.history import Look
    from neuron_schema.model import Migration
    from neuron_schema.proof.ground import Ground, Workshop
    from neuron_schema.proof.seed import Unseeded
    from neuron_schema.url import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One copy, to be used up.

    Attributes:
        address: Of the copy.
        ground: Runs versions on it.
        observer: Watches whoever works on it.
        look: What the runner sees when it begins.
    """

    address: Address
    ground: Ground
    observer: Observer
    look: Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where one version is measured.

    Attributes:
        empty: The database before it, without rows but the versions' own.
        filled: The same with hostile rows.
        unseeded: The tables that stayed empty.
    """

    workshop: Workshop
    migration: Migration
    empty: Address
    filled: Address
    unseeded: tuple[Unseeded, ...]

    @contextmanager
    def copy(
        self, *, rows: bool = True, settings: Mapping[str, str] | None = None
    ) -> Iterator[Place]:
        """Yield a copy for the length of the block.

        Args:
            rows: With hostile rows.
            settings: What the sessions that are watched are set to beside the usual.
        """
        template = self.filled if rows else self.empty
        with (
            self.workshop.roles_put_back([self.migration]),
            self.workshop.shadow.database(template) as address,
            self.workshop.open(address) as ground,
        ):
            look = look_through(ground.engine, self.workshop.history)
            observer = Observer(ground.connection, look.table, settings)
            yield Place(address=address, ground=ground, observer=observer, look=look)


@contextmanager
def staged(workshop: Workshop, base: Address, migration: Migration) -> Iterator[Stage]:
    """Yield the stage for a version, for the length of the block.

    Args:
        base: A database that stands before the version, to which nobody is connected.
    """
    with workshop.shadow.database(base) as filled:
        with workshop.open(filled) as ground:
            schema = ground.snapshot()
            unseeded = seed(ground.connection, schema)
            names = [qualified(each) for each in schema.tables if each.partition_key is None]
            if names:
                # The versions of rows that seeding left behind would be read as rows are.
                ground.connection.execute(f"VACUUM {', '.join(names)}".encode())
        yield Stage(
            workshop=workshop, migration=migration, empty=base, filled=filled, unseeded=unseeded
        )
