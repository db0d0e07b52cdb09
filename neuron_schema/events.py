"""What a run tells its listeners while it is at work, all frozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from neuron_schema.model import Plan, Step, StepReport


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMade:
    """The plan is known; also sent anew when another run changed the history."""

    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """A step begins."""

    step: Step
    index: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWaiting:
    """A step waits: it could not run yet and will be tried again, or others block it at work.

    Attributes:
        reason: A sentence, with the blocking session where it is known.
        delay_s: Seconds until the next attempt; 0 where it goes on as soon as it is let.
    """

    step: Step
    reason: str
    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgress:
    """A step that takes long is so far.

    Attributes:
        phase: What is done now, such as ``building index: loading tuples``.
        done: How much of it is done; None where nothing is counted. It falls back where a phase
            begins anew, for the next index or pass.
        total: How much there is to do; None where that is not known.
        unit: What is counted: ``blocks``, ``tuples``, ``rows``, ``lockers``, ``indexes``,
            ``bytes``; "" where nothing is.
    """

    step: Step
    phase: str
    done: int | None = None
    total: int | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepNoted:
    """Something about a step that its user should know while it runs."""

    step: Step
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    """A step ended, well or not."""

    report: StepReport
    index: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something is odd, and the run goes on; also in the report's ``warnings``.

    Attributes:
        step: The step at work; None between two.
    """

    text: str
    step: Step | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerNotice:
    """The server said something while a step ran (``RAISE NOTICE``), told when it has ended.

    Attributes:
        severity: ``NOTICE`` or ``WARNING``, in the server's language.
        text: Its message; it may hold anything.
    """

    step: Step
    severity: str
    text: str


Event: TypeAlias = (
    PlanMade
    | StepStarted
    | StepWaiting
    | StepProgress
    | StepNoted
    | StepEnded
    | Warned
    | ServerNotice
)

Listener: TypeAlias = Callable[[Event], None]
"""What is called with every event of a run."""
