"""Measures what a version's statements do: runs them on copies of its schema, with hostile rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.errors import NeuronSchemaError
from neuron_schema.proof.seed import seed
from neuron_schema.review.measures import Measure, StatementMeasure, VersionMeasure
from neuron_schema.review.tracing.shipped import RunnerWatch
from neuron_schema.review.tracing.watch import Observer

if TYPE_CHECKING:
    from neuron_schema.model import Migration
    from neuron_schema.proof.ground import Workshop
    from neuron_schema.url import Address


def measure(workshop: Workshop, base: Address, migration: Migration) -> VersionMeasure:
    """Run a version's ``up`` on copies of a database, and measure what its statements do.

    Args:
        workshop: Where and how.
        base: A database of the workshop's shadow that stands before the version, without rows but
            the versions' own, and to which nobody is connected; left as it is.
        migration: The version.

    Raises:
        ExtensionMissing: the server lacks one that the version needs.
        ServerUnavailable: the server cannot be used.
    """
    with workshop.roles_put_back([migration]), workshop.shadow.database(base) as clone:
        with workshop.open(clone) as ground:
            seed(ground.connection, ground.snapshot())
            ground.connection.execute("VACUUM")
            observer = Observer(ground.connection, workshop.history)
            watch = RunnerWatch(migration, observer)
            try:
                with watch.listening(ground.engine):
                    ground.run([migration])
            except NeuronSchemaError:
                if watch.error is not None:
                    raise watch.error from None
    shipped: list[Measure | None] = list(watch.measures)
    if watch.failed is not None:
        shipped.append(Measure(failed=watch.failed))
    statements = tuple(
        StatementMeasure(
            number=number,
            sql=statement.sql,
            shipped=shipped[number - 1] if number <= len(shipped) else None,
            concurrent=statement.own_commit is not None,
        )
        for number, statement in enumerate(migration.up_statements, 1)
    )
    return VersionMeasure(
        version=migration.version,
        transactional=not any(each.concurrent for each in statements),
        statements=statements,
    )
