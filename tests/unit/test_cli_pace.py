"""Rate, percentage and time left of a step, on a clock of the test's own."""

from __future__ import annotations

import pytest

from neuron_schema.cli.pace import Pace, Reading, duration


def seen(
    pace: Pace, now: float, done: int | None, total: int | None = 1000, phase: str = "scanning"
) -> Reading:
    """Let a pace see blocks at a time."""
    return pace.see(phase, done, total, "blocks", now=now)


def test_a_steady_step_has_a_rate_and_a_time_left() -> None:
    """After a second or more; the first sight alone tells no rate."""
    pace = Pace()
    first = seen(pace, 100.0, 0)
    assert (first.percent, first.rate, first.left_s) == (0, None, None)
    assert seen(pace, 100.5, 50).rate is None
    later = seen(pace, 104.0, 400)
    assert (later.percent, later.rate, later.left_s) == (40, 100.0, 6.0)
    assert later.whole() == "scanning, 40% of 1,000 blocks, 100 blocks/s, 6 s left"
    assert later.brief() == "40%, 100 blocks/s, 6 s left"


def test_the_rate_is_that_of_the_last_while() -> None:
    """A vector index slows down as it grows: its beginning says nothing of its end."""
    pace = Pace()
    for second in range(10):
        seen(pace, second, second * 100, 10_000)
    for second in range(10, 100):
        reading = seen(pace, second, 900 + (second - 9), 10_000)
    assert reading.rate == pytest.approx(1.0)


def test_a_step_that_stands_still_comes_to_no_rate_and_has_no_time_left() -> None:
    """As one that waits for another session."""
    pace = Pace()
    seen(pace, 0, 500)
    for second in range(1, 80):
        reading = seen(pace, second, 500)
    assert (reading.rate, reading.left_s) == (0.0, None)
    assert reading.brief() == "50%, 0.0 blocks/s"


@pytest.mark.parametrize(
    ("done", "phase"),
    [(400, "validating"), (10, "scanning")],
    ids=["the next phase", "the next index"],
)
def test_what_begins_anew_has_a_pace_of_its_own(done: int, phase: str) -> None:
    """The blocks of one phase, or of one index, are not those of the next."""
    pace = Pace()
    seen(pace, 0, 0)
    assert seen(pace, 4, 400).rate == 100.0
    assert seen(pace, 5, done, phase=phase).rate is None
    assert seen(pace, 7, done + 40, phase=phase).rate == 20.0


@pytest.mark.parametrize("total", [None, 0])
def test_without_a_total_there_is_a_count_and_a_rate(total: int | None) -> None:
    """No percentage, no division by nothing."""
    pace = Pace()
    seen(pace, 0, 0, total)
    reading = seen(pace, 2, 3000, total)
    assert (reading.percent, reading.rate, reading.left_s) == (None, 1500.0, None)
    assert reading.whole() == "scanning, 3,000 blocks, 1,500 blocks/s"
    assert reading.brief() == "3,000 blocks, 1,500 blocks/s"


def test_a_phase_that_counts_nothing_is_only_named() -> None:
    """Such as ``initializing``, also after one that counted."""
    pace = Pace()
    seen(pace, 0, 10)
    reading = pace.see("initializing", None, None, "", now=5)
    assert (reading.whole(), reading.brief()) == ("initializing", "")
    assert pace.see("initializing", None, None, "", now=9).rate is None


def test_more_than_there_should_be_is_all_of_it() -> None:
    """A table that grows meanwhile has more blocks than were counted at first."""
    pace = Pace()
    seen(pace, 0, 900)
    reading = seen(pace, 5, 1100)
    assert (reading.percent, reading.left_s) == (100, None)
    assert seen(Pace(), 0, 999).percent == 99


def test_waiting_for_others_has_no_rate() -> None:
    """How long a transaction lasts tells nothing of the next one."""
    pace = Pace()
    pace.see("waiting for old snapshots", 0, 3, "lockers", now=0)
    reading = pace.see("waiting for old snapshots", 2, 3, "lockers", now=10)
    assert reading.whole() == "waiting for old snapshots, 66% of 3 lockers"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.4, "59 s"), (190, "3 min 10 s"), (3600, "1 h 00 min"), (7512, "2 h 05 min")],
)
def test_a_duration_is_said_as_people_say_it(seconds: float, words: str) -> None:
    """With two units at most."""
    assert duration(seconds) == words


def test_bytes_are_counted_in_what_is_readable() -> None:
    """COPY counts them by the hundred million."""
    pace = Pace()
    pace.see("COPY FROM", 0, 10**10, "bytes", now=0)
    reading = pace.see("COPY FROM", 10**9, 10**10, "bytes", now=10)
    assert reading.whole() == "COPY FROM, 10% of 10 GB, 100 MB/s, 1 min 30 s left"
