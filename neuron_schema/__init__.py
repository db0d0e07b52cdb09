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
    from neuron_schema.events import (
        Event,
        Listener,
        PlanMade,
        ServerNotice,
        StepEnded,
        StepNoted,
        StepProgress,
        StepStarted,
        StepWaiting,
        Warned,
    )
    from neuron_schema.history import Look
    from neuron_schema.model import (
        Direction,
        LogEntry,
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
    "Listener",
    "LockNotObtained",
    "LogEntry",
    "Look",
    "Migration",
    "MigrationRunner",
    "MigrationStatus",
    "NeuronSchemaError",
    "Outcome",
    "Plan",
    "PlanMade",
    "Refused",
    "Report",
    "ServerNotice",
    "ServerUnavailable",
    "StatementFailed",
    "Status",
    "Step",
    "StepEnded",
    "StepNoted",
    "StepProgress",
    "StepReport",
    "StepStarted",
    "StepWaiting",
    "TargetError",
    "UsageError",
    "VersionError",
    "Warned",
    "__version__",
]

_ERRORS = (
    "ConnectionFailed",
    "HistoryConflict",
    "IrreversibleVersion",
    "LockNotObtained",
    "NeuronSchemaError",
    "Refused",
    "ServerUnavailable",
    "StatementFailed",
    "TargetError",
    "UsageError",
    "VersionError",
)
_EVENTS = (
    "Event",
    "Listener",
    "PlanMade",
    "ServerNotice",
    "StepEnded",
    "StepNoted",
    "StepProgress",
    "StepStarted",
    "StepWaiting",
    "Warned",
)
_PLACES = {
    "Look": "neuron_schema.history",
    "MigrationRunner": "neuron_schema.runner",
    **dict.fromkeys(_ERRORS, "neuron_schema.errors"),
    **dict.fromkeys(_EVENTS, "neuron_schema.events"),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("neuron-schema")
    if name in __all__:
        return getattr(import_module(_PLACES.get(name, "neuron_schema.model")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
