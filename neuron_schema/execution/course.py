"""What has been done of a run so far, and what the history is to be before its next step."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from neuron_schema.errors import HistoryConflict, NeuronSchemaError
from neuron_schema.events import (
    PlanMade,
    ServerNotice,
    StepEnded,
    StepNoted,
    StepProgress,
    StepStarted,
    StepWaiting,
    Warned,
)
from neuron_schema.history import Look, premise_body, succession_body
from neuron_schema.model import (
    AppliedRow,
    Direction,
    Outcome,
    Plan,
    Purpose,
    Report,
    Step,
    StepReport,
)
from neuron_schema.sessions import in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.events import Event, Listener
    from neuron_schema.sessions import Session
    from neuron_schema.stat_progress import Measure


class Course:
    """What has been done of a run so far."""

    def __init__(self, plan: Plan, listeners: Sequence[Listener]) -> None:
        self.plan = plan
        # What another run did instead still counts as a step of this one.
        self._total = len(plan.steps)
        self._listeners = listeners
        self._done: list[StepReport] = []
        self._current: Step | None = None
        self._began = 0.0
        self._warnings: tuple[str, ...] = ()

    def warn(self, text: str) -> None:
        """Tell of something odd that does not keep the run from going on."""
        # A step that is tried again finds the same again.
        if text not in self._warnings:
            self._warnings += (text,)
            self._tell(Warned(text=text, step=self._current))

    def announce(self) -> None:
        """Tell what is to be run."""
        self._tell(PlanMade(plan=self.plan))

    def started(self, step: Step) -> None:
        """Begin a step."""
        self._current, self._began = step, time.monotonic()
        self._tell(StepStarted(step=step, index=len(self._done), total=self._total))

    def waiting(self, reason: str, delay_s: float) -> None:
        """Tell why the step at work waits, and how many seconds."""
        if self._current is not None:
            self._tell(StepWaiting(step=self._current, reason=reason, delay_s=delay_s))

    def blocked(self, sessions: tuple[Session, ...]) -> None:
        """Tell that the step at work waits for others."""
        self.waiting(f"blocked by {in_words(sessions)}", 0.0)

    def progressed(self, measure: Measure) -> None:
        """Tell how far the step at work is."""
        self.progress(measure.phase, measure.done, measure.total, measure.unit)

    def noticed(self, severity: str, text: str) -> None:
        """Tell what the server said."""
        if self._current is not None:
            self._tell(ServerNotice(step=self._current, severity=severity, text=text))

    def progress(self, phase: str, done: int | None, total: int | None, unit: str) -> None:
        """Tell how far the step at work is."""
        if self._current is not None:
            step = self._current
            self._tell(StepProgress(step=step, phase=phase, done=done, total=total, unit=unit))

    def note(self, text: str) -> None:
        """Tell what a user should know of the step at work."""
        if self._current is not None:
            self._tell(StepNoted(step=self._current, text=text))

    def ended(
        self,
        outcome: Outcome,
        *,
        confirmed: bool = False,
        rows: int | None = None,
        note: str = "",
    ) -> None:
        """End the step at work; nothing where there is none.

        Args:
            outcome: How it ended.
            confirmed: The reply to COMMIT was lost, and the history told.
            rows: How many rows a backfill wrote.
            note: What is to be said of it.
        """
        if self._current is None:
            return
        report = StepReport(
            step=self._current,
            outcome=outcome,
            duration_ms=(time.monotonic() - self._began) * 1000,
            confirmed=confirmed,
            rows=rows,
            note=note,
        )
        index, total = len(self._done), self._total
        self._done.append(report)
        self._current = None
        self._tell(StepEnded(report=report, index=index, total=total))

    def settle(self, look: Look, *, confirmed: bool) -> None:
        """End the step at hand when the history shows that it is done."""
        if self._current is None or not is_done(self._current, look.applied):
            return
        own = self._current.outcome
        self.ended(own if confirmed else Outcome.ALREADY, confirmed=confirmed)

    def replan(self, look: Look) -> None:
        """Keep what is still to be done of the versions first chosen.

        Raises:
            HistoryConflict: another run went the other way, below what is left.
        """
        steps = tuple(step for step in self.plan.steps if step.version not in self._ended())
        for step in steps:
            if is_done(step, look.applied):
                self.started(step)
                self.ended(Outcome.ALREADY)
        steps = tuple(step for step in steps if not is_done(step, look.applied))
        self._check_undisturbed(steps, look)
        self.plan = replace(self.plan, steps=steps, applied=look.applied)

    def _check_undisturbed(self, steps: Sequence[Step], look: Look) -> None:
        """Refuse to go on where what is left stood on rows that are no longer as they were."""
        if not steps:
            return
        left = {int(step.version) for step in steps}
        now = {row.number: row.version for row in look.applied}
        if self.plan.direction is Direction.UP:
            below = {row.number: row.version for row in self.plan.applied}
            below |= {int(version): version for version in self._ended()}
            moved = [below[number] for number in sorted(below) if number not in now]
            what = "rolled back"
        else:
            covered = [row for step in steps for row in step.covers]
            left |= {row.number for row in covered}
            moved = [now[number] for number in sorted(now) if number > min(left)]
            moved = [version for version in moved if int(version) not in left]
            what = "applied"
            if not moved:
                whole = [row.version for row in covered]
                whole += [step.version for step in steps if step.covers]
                moved = sorted(version for version in whole if int(version) not in now)
                what = "rolled back"
            if not moved:
                moved, what = self._other_texts(left, look), "applied anew"
        if moved:
            raise HistoryConflict(
                f"{', '.join(moved)} was {what} by another run meanwhile",
                remedy="look at `neuron-schema status` and run again",
            )

    def _other_texts(self, numbers: set[int], look: Look) -> list[str]:
        """Return the rows of numbers that are there with another text than the plan was made for.

        What undoes the one need not undo the other; and a squashed version that ran as one may
        have come back as the versions that it was made of, which are more rows than one.
        """
        then = {row.number: row.checksum for row in self.plan.applied}
        return [
            row.version
            for row in look.applied
            if row.number in numbers and row.checksum != then.get(row.number)
        ]

    @property
    def current(self) -> tuple[Step, float] | None:
        """The step at work and the milliseconds since it began, or None between two."""
        if self._current is None:
            return None
        return self._current, (time.monotonic() - self._began) * 1000

    def failed(self, error: NeuronSchemaError) -> NeuronSchemaError:
        """Return the error with the report of the run on it."""
        if error.report is None:
            self.ended(Outcome.FAILED)
            error.report = self.report()
        return error

    def report(self) -> Report:
        """Return what was done, and what was not run."""
        done = self._ended()
        rest = tuple(
            StepReport(step=step, outcome=Outcome.NOT_RUN)
            for step in self.plan.steps
            if step.version not in done
        )
        return Report(
            direction=self.plan.direction,
            steps=(*self._done, *rest),
            warnings=(*self.plan.warnings, *self._warnings),
        )

    def _ended(self) -> set[str]:
        return {report.step.version for report in self._done}

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)


def is_done(step: Step, applied: Sequence[AppliedRow]) -> bool:
    """Whether the rows of the history are as they are after a step."""
    row = next((row for row in applied if row.number == int(step.version)), None)
    if step.purpose is Purpose.REPAIR:
        return row is not None and (row.checksum, row.name) == (step.checksum, step.name)
    if step.covers:
        # Some of these rows alone mean that another release has rolled a part of it back.
        there = {row.number for row in applied}
        return not there & {int(step.version), *(row.number for row in step.covers)}
    return (row is not None) is (step.direction is Direction.UP)


class Expectation:
    """What the history is to be before a run's next step.

    Args:
        look: The look that the plan is based on.
    """

    def __init__(self, look: Look) -> None:
        self.look = look
        self.done: list[Step] = []
        self._rows = len(look.applied)

    def add(self, step: Step) -> None:
        """Take a step for done."""
        rows = 1 + len(step.covers)
        self._rows += rows if step.direction is Direction.UP else -rows
        self.done.append(step)

    def premise(self) -> str:
        """Return plpgsql that raises when it is not."""
        if not self.done:
            return premise_body(self.look.table, self.look.applied, exists=self.look.exists)
        return succession_body(self.look.table, self.done[-1], count=self._rows)

    def expected(self) -> Look:
        """Return the look as it is to be."""
        look = self.look
        for step in self.done:
            look = _after(look, step)
        return look


def _after(look: Look, step: Step) -> Look:
    """Return the look as it is after a step."""
    gone = {int(step.version), *(row.number for row in step.covers)}
    rows = tuple(row for row in look.applied if row.number not in gone)
    if step.direction is Direction.UP:
        rows = (
            *rows,
            AppliedRow(
                version=step.version, name=step.name, applied_at=None, checksum=step.checksum
            ),
        )
    return replace(look, exists=True, applied=rows)


def compared(look: Look) -> tuple[bool, set[tuple[str, str | None]]]:
    """Return what a step's premise compares."""
    return look.exists, {(row.version, row.checksum) for row in look.applied}
