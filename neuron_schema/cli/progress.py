"""Tell what a run does while it does it: a line per version, and bars on a terminal."""

from __future__ import annotations

import os
import re
import sys
import time
from typing import TYPE_CHECKING

from neuron_schema.cli.output import is_terminal, note, one_line, paint, quote, show, stdout, warn
from neuron_schema.cli.pace import Pace
from neuron_schema.errors import InternalError
from neuron_schema.events import (
    ServerNotice,
    StepEnded,
    StepNoted,
    StepProgress,
    StepStarted,
    StepWaiting,
    Warned,
)
from neuron_schema.model import Outcome, Report, StepReport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from neuron_schema.cli.bars import Bars
    from neuron_schema.events import Event
    from neuron_schema.model import Plan, Step

_AGE = re.compile(r"for \d+ s")
_MS_PER_S = 1000


class Progress:
    """A listener of the runner, and a context manager around the run.

    The bars are there only while a step runs, so that whatever is printed stands above them. Off a
    terminal a step that takes long has a line now and then.

    Args:
        quiet: Print nothing: the result is one JSON object.
        session: Returns what a step's session is set to, where that is to be said.

    Attributes:
        current: The step at work, or None between two.
        done: The steps that ended.
    """

    LINE_EVERY_S = 10.0

    def __init__(
        self, *, quiet: bool = False, session: Callable[[Step], Mapping[str, str]] | None = None
    ) -> None:
        self.current: Step | None = None
        self.done: list[StepReport] = []
        self._quiet = quiet
        self._session = session
        self._unread = False
        self._bars: Bars | None = None
        self._pace = Pace()
        self._line_due = 0.0
        self._said = ""
        self._warned: tuple[str, ...] = ()

    def __call__(self, event: Event) -> None:
        """Tell of an event."""
        match event:
            case StepStarted():
                self.current = event.step
                self._pace, self._line_due = Pace(), time.monotonic() + self.LINE_EVERY_S
                self._tell_session(event.step)
                self._show_bars(event)
            case StepWaiting():
                self._wait(event)
            case StepProgress():
                self._go_on(event)
            case StepNoted():
                if not self._quiet:
                    self._beside(lambda: note(event.text), event.step)
            case StepEnded():
                self.current = None
                self.done.append(event.report)
                self._end(event)
            case Warned():
                self._warned += (event.text,)
                self._beside(lambda: warn(event.text), event.step)
            case ServerNotice():
                self._beside(lambda: quote(f"{event.step.label}: {event.severity}: ", event.text))

    def report(self, plan: Plan, outcome: Outcome = Outcome.FAILED) -> Report:
        """Return what was seen of a run that was broken off.

        Args:
            plan: What was to be run.
            outcome: How the step ended that was at work.
        """
        known = {done.step.version for done in self.done}
        rest = tuple(
            StepReport(step=step, outcome=outcome if step == self.current else Outcome.NOT_RUN)
            for step in plan.steps
            if step.version not in known
        )
        return Report(
            direction=plan.direction,
            steps=(*self.done, *rest),
            warnings=(*plan.warnings, *self._warned),
        )

    def _tell_session(self, step: Step) -> None:
        if self._session is not None:
            pairs = (f"{name} = {value or repr('')}" for name, value in self._session(step).items())
            note(one_line(f"{step.label}: {', '.join(pairs)}"))

    def _show_bars(self, event: StepStarted) -> None:
        if self._quiet or not is_terminal(sys.stderr) or os.environ.get("TERM") == "dumb":
            return
        if self._bars is None:
            from neuron_schema.cli.bars import Bars

            self._bars = Bars(event.total)
        self._bars.begin(event.step.label, event.index, event.total)

    def _go_on(self, event: StepProgress) -> None:
        now = time.monotonic()
        reading = self._pace.see(event.phase, event.done, event.total, event.unit, now=now)
        if self._bars is not None:
            self._bars.progress(reading)
        elif now >= self._line_due and not self._quiet:
            self._line_due = now + self.LINE_EVERY_S
            note(f"{event.step.label}: {one_line(reading.whole())}")

    def _wait(self, event: StepWaiting) -> None:
        # A reason is said once: a blocked run repeats it, with another age, many times a minute.
        sentence = f"{event.step.label}: waiting: {event.reason}"
        key = _AGE.sub("", sentence)
        if self._quiet or key == self._said:
            return
        self._said = key
        self._hide_bars()
        note(one_line(sentence))
        if self._bars is not None:
            self._bars.show()

    def _beside(self, tell: Callable[[], None], at_work: Step | None = None) -> None:
        """Tell something on stderr, above the bar, which stays where a step is at work."""
        self._hide_bars()
        tell()
        if at_work is not None and self._bars is not None:
            self._bars.show()

    def _end(self, event: StepEnded) -> None:
        self._hide_bars()
        if self._quiet or self._unread:
            return
        report = event.report
        colour = "red" if report.outcome is Outcome.FAILED else "green"
        outcome = paint(report.outcome.value, colour, stdout())
        text = f"{one_line(report.step.label)}  {outcome}  {_duration(report.duration_ms)}"
        if report.confirmed:
            text += "  (confirmed after a lost reply)"
        if report.rows is not None:
            text += f"  {report.rows} row{'s' * (report.rows != 1)}"
        if report.note:
            text += f"  ({one_line(report.note)})"
        try:
            show(text)
        except (BrokenPipeError, InternalError):
            # What is asked for is the schema, not the report of it: `up | head -1` goes on.
            self._unread = True
            warn("stdout cannot be written; the run goes on")

    def _hide_bars(self) -> None:
        if self._bars is not None:
            self._bars.hide()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._hide_bars()


def _duration(milliseconds: float) -> str:
    if milliseconds >= _MS_PER_S:
        return f"{milliseconds / _MS_PER_S:.1f} s"
    return f"{milliseconds:.0f} ms"
