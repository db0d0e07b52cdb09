"""Tell what a run does while it does it: a line per version, and a bar on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from neuron_schema.cli.output import note, paint, safe, show
from neuron_schema.model import (
    Outcome,
    Report,
    StepEnded,
    StepReport,
    StepStarted,
    StepWaiting,
)

if TYPE_CHECKING:
    from types import TracebackType

    from neuron_schema.model import Event, Plan, Step


class Progress:
    """A listener of the runner, and a context manager around the run.

    Args:
        quiet: Print nothing: the result is one JSON object.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.current: Step | None = None
        self._quiet = quiet
        self._done: list[StepReport] = []
        self._bar: Any = None
        self._task: Any = None
        self._said = ""

    def __call__(self, event: Event) -> None:
        match event:
            case StepStarted():
                self.current = event.step
                self._show_bar(event)
            case StepWaiting():
                self._wait(event)
            case StepEnded():
                self.current = None
                self._done.append(event.report)
                self._end(event)

    def report(self, plan: Plan) -> Report:
        """Return what was seen of the run so far."""
        known = {done.step.version for done in self._done}
        rest = tuple(
            StepReport(
                step=step, outcome=Outcome.FAILED if step == self.current else Outcome.NOT_RUN
            )
            for step in plan.steps
            if step.version not in known
        )
        return Report(direction=plan.direction, steps=(*self._done, *rest))

    def _show_bar(self, event: StepStarted) -> None:
        if self._quiet or not sys.stderr.isatty():
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", total=event.total)
            self._bar.start()
        from rich.markup import escape

        self._bar.update(
            self._task,
            completed=event.index,
            total=event.total,
            description=escape(safe(event.step.label)),
        )

    def _wait(self, event: StepWaiting) -> None:
        # The reason is said once; a blocked run repeats it twenty times a minute.
        sentence = f"{event.step.label}: waiting: {event.reason}"
        if not self._quiet and sentence != self._said:
            self._said = sentence
            note(sentence)

    def _end(self, event: StepEnded) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=event.index + 1)
        if self._quiet:
            return
        report = event.report
        colour = "red" if report.outcome is Outcome.FAILED else "green"
        outcome = paint(report.outcome.value, colour, sys.stdout)
        text = f"{safe(report.step.label)}  {outcome}  {_duration(report.duration_ms)}"
        if report.confirmed:
            text += "  (confirmed after a lost reply)"
        show(text)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def _duration(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds:.0f} ms"  # noqa: PLR2004
