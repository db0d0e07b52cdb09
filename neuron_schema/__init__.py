"""Schema as code for PostgreSQL: versions in SQLAlchemy Core, reviewed as SQL, run safely.

The names below are the public API. They are imported when they are first used, so that a command
that has nothing to do does not pay for SQLAlchemy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuron_schema.errors import (
        ConnectionFailed,
        HistoryConflict,
        IrreversibleVersion,
        LockNotObtained,
        NeuronSchemaError,
        Refused,
        ServerUnavailable,
        StatementFailed,
        TargetError,
        UsageError,
        VersionError,
    )
    from neuron_schema.model import (
        Direction,
        Event,
        Migration,
        MigrationStatus,
        Outcome,
        Plan,
        Report,
        Status,
        Step,
        StepReport,
    )
    from neuron_schema.runner import MigrationRunner

__all__ = [
    "ConnectionFailed",
    "Direction",
    "Event",
    "HistoryConflict",
    "IrreversibleVersion",
    "LockNotObtained",
    "Migration",
    "MigrationRunner",
    "MigrationStatus",
    "NeuronSchemaError",
    "Outcome",
    "Plan",
    "Refused",
    "Report",
    "ServerUnavailable",
    "StatementFailed",
    "Status",
    "Step",
    "StepReport",
    "TargetError",
    "UsageError",
    "VersionError",
    "__version__",
]

_VALUES = {
    "Direction",
    "Event",
    "Migration",
    "MigrationStatus",
    "Outcome",
    "Plan",
    "Report",
    "Status",
    "Step",
    "StepReport",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("neuron-schema")
    if name == "MigrationRunner":
        return import_module("neuron_schema.runner").MigrationRunner
    if name in __all__:
        module = "neuron_schema.model" if name in _VALUES else "neuron_schema.errors"
        return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
