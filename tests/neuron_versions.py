"""Brings a test's database to a version of the Neuron schema."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

import neuron_schema.versions
from neuron_schema.compiler import compile_element

if TYPE_CHECKING:
    from sqlalchemy import Engine


def migrate(engine: Engine, to: str) -> None:
    """Apply or roll back versions until the newest applied one is ``to`` ("000": none)."""
    modules = {
        name[:3]: importlib.import_module(f"neuron_schema.versions.{name}")
        for _, name, _ in pkgutil.iter_modules(neuron_schema.versions.__path__)
    }
    with engine.begin() as connection:
        verbatim = connection.execution_options(no_parameters=True)
        verbatim.exec_driver_sql("CREATE TABLE IF NOT EXISTS neuron_migrations (version text)")
        applied = set(verbatim.exec_driver_sql("SELECT version FROM neuron_migrations").scalars())
        steps = [("up", v) for v in sorted(modules) if v <= to and v not in applied]
        steps += [("down", v) for v in sorted(modules, reverse=True) if v > to and v in applied]
        for direction, version in steps:
            for element in getattr(modules[version], direction):
                for statement in compile_element(element):
                    verbatim.exec_driver_sql(statement.sql)
            verbatim.exec_driver_sql(
                f"INSERT INTO neuron_migrations VALUES ('{version}')"
                if direction == "up"
                else f"DELETE FROM neuron_migrations WHERE version = '{version}'"
            )
