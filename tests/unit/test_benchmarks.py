"""What the benchmarks count, and what they make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import backfill, report, workload
from benchmarks.bounds import Bound, Verdict
from benchmarks.proxy import Link
from benchmarks.results import Metric, Results, Series
from benchmarks.tools import Operation, Tool

if TYPE_CHECKING:
    from pathlib import Path

AUTHENTICATION = b"R\x00\x00\x00\x08\x00\x00\x00\x0a"
READY = b"Z\x00\x00\x00\x05I"
OURS = Series(Tool.NEURON, Operation.UP, 100, Metric.WALL)
THEIRS = OURS._replace(tool=Tool.ALEMBIC)


def connected() -> Link:
    """Return a link on which a session has begun, after TLS was declined and a password given."""
    link = Link()
    link.sent(b"TLS?")
    link.received(b"N")
    link.sent(b"startup")
    link.received(AUTHENTICATION)
    link.sent(b"password")
    # Cut in the middle of a message, as a network may do.
    link.received(AUTHENTICATION + READY[:3])
    link.received(READY[3:])
    return link


def measured(ours: list[float], theirs: list[float]) -> Results:
    """Return results of two series."""
    results = Results(about={"Python": "3.11"})
    for value in ours:
        results.add(OURS, value)
    for value in theirs:
        results.add(THEIRS, value)
    return results


def test_connecting_is_one_round_trip_whatever_the_password_takes() -> None:
    """TLS and password are the same for every tool, and not counted."""
    assert connected().trips == 1


def test_a_round_trip_is_sent_answered_however_it_is_cut() -> None:
    """A pipeline in three parts and an answer in two are one; what nobody answers is none."""
    link = connected()
    for part in (b"BEGIN", b"INSERT", b"COMMIT"):
        link.sent(part)
    link.received(b"answer, part one")
    link.received(b"part two")
    assert link.trips == 2
    link.sent(b"terminate")
    assert link.trips == 2


def test_results_survive_json() -> None:
    """What --json wrote is what --results reads."""
    results = measured([1.0, 2.0], [2.0, 4.0])
    assert Results.from_json(results.to_json()) == results


def test_a_ratio_is_taken_round_by_round() -> None:
    """A slow minute falls on both of a pair and does not count."""
    assert measured([1.0, 10.0, 1.5], [2.0, 20.0, 3.0]).ratio(OURS, THEIRS) == 0.5


@pytest.mark.parametrize(
    ("limit", "rounds", "verdict"),
    [
        (0.5, 2, Verdict.MET),
        (0.4, 2, Verdict.MISSED),
        (0.5, 3, Verdict.TOO_FEW),
    ],
)
def test_a_bound_is_judged_when_there_are_rounds_enough(
    limit: float, rounds: int, verdict: Verdict
) -> None:
    """At the limit is met; one lucky round says nothing."""
    bound = Bound("wall", OURS, limit, THEIRS, rounds)
    assert bound.verdict(measured([1.0, 1.0], [2.0, 2.0])) is verdict


def test_a_bound_without_values_is_not_met() -> None:
    """What was not measured is said to be so."""
    assert Bound("wall", OURS, 1.0).verdict(Results()) is Verdict.UNKNOWN


def test_the_report_has_a_row_per_bound_and_per_thing_measured() -> None:
    """Also what was not measured has a row."""
    results = measured([1.0], [2.0])
    assert "| `up`, 100 versions: wall, s | 1.00 | - | 2.00 | - | - |" in report.medians(results)
    assert "not measured" in report.verdicts(results)
    assert report.about(results) == "Python 3.11."


def test_every_tool_is_given_the_same_sql(tmp_path: Path) -> None:
    """Alembic and psql get the text that the version modules compile to."""
    migrations = workload.write_versions(tmp_path / "neuron", 3)
    workload.write_alembic(tmp_path / "alembic", migrations)
    workload.write_script(tmp_path / "up.sql", migrations)
    script = (tmp_path / "up.sql").read_text(encoding="utf-8")
    for migration in migrations:
        revision = tmp_path / "alembic" / "migrations" / "versions"
        text = (revision / f"{migration.version}_items.py").read_text(encoding="utf-8")
        assert len(migration.up_statements) == 4
        assert migration.up in text
        assert migration.up in script


def test_a_backfill_s_report_has_a_row_for_each_way() -> None:
    """Seconds, rows in a second, and how many rows were written once."""
    results = [
        backfill.Result("one UPDATE", 2.0, 1000, longest_ms=2000.0),
        backfill.Result("Backfill, killed 5 times", 4.0, 999, 7, 210.4, 5),
    ]
    lines = backfill.report(results, 1000).splitlines()
    assert lines[2] == "| one UPDATE | 2.0 | 500 | 1 | 2,000 | 1,000 |"
    assert lines[3] == "| Backfill, killed 5 times | 4.0 | 250 | 7 | 210 | 999 |"
