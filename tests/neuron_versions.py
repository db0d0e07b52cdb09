"""Brings a test's database to a version of the Neuron schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema import MigrationRunner

if TYPE_CHECKING:
    from sqlalchemy import Engine


def migrate(engine: Engine, to: str) -> None:
    """Apply or roll back versions until the newest applied one is ``to`` ("000": none)."""
    runner = MigrationRunner(engine, versions="neuron_schema.versions")
    applied = {migration.version for migration in runner.get_applied()}
    if to == "000" or to in applied:
        runner.down(to=to)
    else:
        runner.up(to=to)
