"""What a terminal shows of a run at work: a bar of the versions, and one of the step below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from neuron_schema.cli.output import one_line

if TYPE_CHECKING:
    from neuron_schema.cli.pace import Reading

_STEP_BAR = 20
"""Its width in letters; it gives way where the words need the line."""


class Bars:
    """The two bars, on stderr; whatever is printed while they are hidden stands above them.

    Args:
        total: The number of steps.
    """

    def __init__(self, total: int) -> None:
        self._run = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._step = Progress(
            TextColumn("  {task.description}"),
            BarColumn(_STEP_BAR),
            TextColumn("{task.fields[pace]}"),
        )
        self._versions = self._run.add_task("", total=total)
        self._phase = self._step.add_task("", total=None, visible=False, pace="")
        self._live = Live(
            Group(self._run, self._step),
            console=Console(stderr=True),
            transient=True,
            # It would print what goes to a redirected stdout on the terminal.
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def begin(self, label: str, index: int, total: int) -> None:
        """Show that a step begins."""
        self._run.update(
            self._versions, completed=index, total=total, description=escape(one_line(label))
        )
        self._step.update(self._phase, visible=False)
        self.show()

    def progress(self, reading: Reading) -> None:
        """Show how far the step is."""
        # A bar without a total goes to and fro, which tells that something goes on.
        self._step.update(
            self._phase,
            visible=True,
            description=escape(one_line(reading.phase)),
            completed=reading.done or 0,
            total=reading.total,
            pace=reading.brief(),
        )

    def show(self) -> None:
        """Show the bars."""
        self._live.start(refresh=True)

    def hide(self) -> None:
        """Take the bars away."""
        self._live.stop()
