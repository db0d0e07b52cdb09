"""What is told of a run and reported at its end, without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.events import StepNoted, StepStarted, Warned
from neuron_schema.execution.course import Course
from neuron_schema.model import Direction, Plan, Step

if TYPE_CHECKING:
    from neuron_schema.events import Event

STEP = Step(
    version="001",
    name="a",
    description="",
    direction=Direction.UP,
    checksum="0" * 64,
    statements=(),
    path="001_a.py",
)


def test_every_warning_is_in_the_report_and_told_with_its_step() -> None:
    """Of the plan, between two steps, and of the one at work; a note is no warning."""
    told: list[Event] = []
    plan = Plan(direction=Direction.UP, steps=(STEP,), warnings=("first",))
    course = Course(plan, [told.append])
    course.warn("second")
    course.started(STEP)
    course.note("beside")
    course.warn("third")
    assert told == [
        Warned(text="second"),
        StepStarted(step=STEP, index=0, total=1),
        StepNoted(step=STEP, text="beside"),
        Warned(text="third", step=STEP),
    ]
    assert course.report().warnings == ("first", "second", "third")


def test_what_a_step_finds_again_when_it_is_tried_again_is_told_once() -> None:
    """As after a lost connection."""
    told: list[Event] = []
    course = Course(Plan(direction=Direction.UP, steps=(STEP,)), [told.append])
    course.warn("odd")
    course.warn("odd")
    assert (len(told), course.report().warnings) == (1, ("odd",))
