"""Copies of the schema before a version, with hostile rows and without, to run the version on."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuron_schema.execution.reading import look_through
from neuron_schema.proof.rows import qualified
from neuron_schema.proof.seed import seed, used
from neuron_schema.review.tracing.watch import Observer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from neuron_schema.address import Address
    from neuron_schema.history import Look
    from neuron_schema.model import Migration
    from neuron_schema.proof.ground import Ground, Workshop
    from neuron_schema.proof.seed import Unseeded


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


class Stage:
    """Where one version is measured.

    Args:
        workshop: Where and how.
        base: The database before the version, without rows but the versions' own, to which nobody
            is connected; left as it is.
        migration: The version.
        unused: Schema and name of the tables that nobody uses yet: they stay without rows.
    """

    def __init__(
        self,
        workshop: Workshop,
        base: Address,
        migration: Migration,
        unused: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:
        self.workshop = workshop
        self.migration = migration
        self.unused = unused
        self._base = base
        self._filled: Address | None = None
        self.unseeded: tuple[Unseeded, ...] = ()
        self.counts = True
        """Whether the server counts scans and rows, which a superuser decides."""

    def __enter__(self) -> Stage:
        self._fill()
        return self

    def __exit__(self, *_: object) -> None:
        if self._filled is not None:
            self.workshop.shadow.drop(self._filled)

    @contextmanager
    def copy(
        self, *, rows: bool = True, last: bool = False, settings: Mapping[str, str] | None = None
    ) -> Iterator[Place]:
        """Yield a copy for the length of the block.

        Args:
            rows: With hostile rows.
            last: Most likely no other one with rows is wanted after it; it costs less then.
            settings: What the sessions that are watched are set to beside the usual.
        """
        with (
            self.workshop.roles_put_back([self.migration]),
            self._database(rows=rows, last=last) as address,
            self.workshop.open(address) as ground,
        ):
            look = look_through(ground.engine, self.workshop.history)
            observer = Observer(ground.connection, look.table, settings, self.unused)
            yield Place(address=address, ground=ground, observer=observer, look=look)

    @contextmanager
    def _database(self, *, rows: bool, last: bool) -> Iterator[Address]:
        if not rows:
            with self.workshop.shadow.database(self._base) as address:
                yield address
            return
        filled = self._filled or self._fill()
        if not last:
            with self.workshop.shadow.database(filled) as address:
                yield address
            return
        try:
            yield filled
        finally:
            self._filled = None
            self.workshop.shadow.drop(filled)

    def _fill(self) -> Address:
        """Make the database that copies with rows are made of."""
        self._filled = self.workshop.shadow.create(self._base)
        with self.workshop.open(self._filled) as ground:
            schema = ground.snapshot()
            self.unseeded = seed(ground.connection, schema, only=used(schema, self.unused))
            names = [qualified(each) for each in schema.tables if each.partition_key is None]
            if names:
                # The versions of rows that seeding left behind would be read as rows are.
                ground.connection.execute(f"VACUUM {', '.join(names)}".encode())
            counts = ground.connection.execute("SHOW track_counts").fetchone()
            self.counts = counts == ("on",)
        return self._filled
