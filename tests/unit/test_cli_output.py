"""What the command line prints: escaped, aligned, and each wait once."""

from __future__ import annotations

from typing import Any, cast

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

from neuron_schema.address import Address
from neuron_schema.cli.database import link
from neuron_schema.cli.output import colourful, columns, is_terminal, one_line, safe
from neuron_schema.cli.progress import Progress
from neuron_schema.events import StepEnded, StepNoted, StepStarted, StepWaiting, Warned
from neuron_schema.model import Direction, Outcome, Plan, Statement, Step, StepReport
from neuron_schema.url import parse


def step(version: str) -> Step:
    """Return a step of one statement."""
    return Step(
        version=version,
        name="x",
        description="",
        direction=Direction.UP,
        checksum="0" * 64,
        statements=(Statement(sql="SELECT 1"),),
        path=f"{version}_x.py",
    )


def test_what_a_terminal_obeys_is_escaped() -> None:
    """Controls, overrides of direction and lone surrogates; letters of any script stay."""
    assert safe("a\x1b[1m\r\x9b\u202e\udcff\U000e0001") == (
        "a\\x1b[1m\\x0d\\x9b\\u202e\\udcff\\U000e0001"
    )
    assert safe("\u00e4\u4e2d\n\tb") == "\u00e4\u4e2d\n\tb"
    assert one_line("a\n\tb") == "a\\x0a\\x09b"


def test_columns_are_aligned_and_never_cut() -> None:
    """A cell keeps to its line, and the last column ends without blanks."""
    long = "y" * 200
    assert columns([("a", "b"), ("long\n", long), ("c", "")]) == [
        "a         b",
        f"long\\x0a  {long}",
        "c",
    ]


def test_a_stream_that_is_not_there_is_no_terminal() -> None:
    """A caller may have closed it."""
    assert not is_terminal(None)
    assert not colourful(None)


def test_a_reason_to_wait_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Another age is no other reason; another session is."""
    progress = Progress()
    progress(StepStarted(step=step("001"), index=0, total=1))
    for reason in ("pid 1, for 2 s", "pid 1, for 3 s", "pid 2, for 3 s"):
        progress(StepWaiting(step=step("001"), reason=reason, delay_s=0.1))
    assert capsys.readouterr().err.splitlines() == [
        "001_x: waiting: pid 1, for 2 s",
        "001_x: waiting: pid 2, for 3 s",
    ]


class Bars:
    """Stands where the bars are, and tells whether they are shown."""

    def __init__(self) -> None:
        self.shown = True

    def show(self) -> None:
        """Show them."""
        self.shown = True

    def hide(self) -> None:
        """Take them away."""
        self.shown = False


@pytest.mark.parametrize("quiet", [False, True])
def test_a_warning_is_told_and_kept_whether_a_step_is_at_work_or_not(
    capsys: pytest.CaptureFixture[str], *, quiet: bool
) -> None:
    """A note is for who looks on; after either the bar of a step goes on."""
    progress = Progress(quiet=quiet)
    bars = Bars()
    progress._bars = cast("Any", bars)
    for event in (Warned(text="odd", step=step("001")), StepNoted(step=step("001"), text="so")):
        progress(event)
        assert bars.shown
    progress(Warned(text="odd too"))
    assert not bars.shown
    said = ["warning: odd", *([] if quiet else ["so"]), "warning: odd too"]
    assert capsys.readouterr().err.splitlines() == said
    plan = Plan(direction=Direction.UP, steps=(), warnings=("at first",))
    assert progress.report(plan).warnings == ("at first", "odd", "odd too")


def test_a_run_that_is_broken_off_reports_every_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Done, at work, and not reached."""
    steps = tuple(step(version) for version in ("001", "002", "003"))
    progress = Progress()
    progress(StepStarted(step=steps[0], index=0, total=3))
    done = StepReport(step=steps[0], outcome=Outcome.APPLIED, duration_ms=1234, confirmed=True)
    progress(StepEnded(report=done, index=0, total=3))
    progress(StepStarted(step=steps[1], index=1, total=3))
    report = progress.report(Plan(direction=Direction.UP, steps=steps))
    assert [each.outcome for each in report.steps] == [
        Outcome.APPLIED,
        Outcome.FAILED,
        Outcome.NOT_RUN,
    ]
    printed = capsys.readouterr().out
    assert printed == "001_x  applied  1.2 s  (confirmed after a lost reply)\n"


def test_a_link_is_read_alike_by_libpq_and_sqlalchemy() -> None:
    """A blank in the path of the socket, a "+" in a name."""
    address = Address({"host": "/tmp/my app+1", "user": "a+b", "dbname": "c"})
    url = link(address)
    wanted = {"host": "/tmp/my app+1", "user": "a+b", "dbname": "c"}
    assert conninfo_to_dict(url) == wanted
    assert make_url(url).query["host"] == "/tmp/my app+1"
    assert parse(url).conninfo().items() >= wanted.items()
