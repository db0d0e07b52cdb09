"""Counts, sizes and names, in the words that every format uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from neuron_schema.review.findings import SEVERITIES, Severity
from neuron_schema.review.render.blocks import Code

if TYPE_CHECKING:
    from collections.abc import Iterable

    from neuron_schema.catalog import ObjectName
    from neuron_schema.review.render.blocks import Text
    from neuron_schema.review.report import ReviewReport
    from neuron_schema.review.stats import Stats, TableStats

MARKED: Final = r"`(?:[A-Za-z0-9_.=]+|neuron-schema(?: [a-z-]+)+|down = irreversible\(\.\.\.\))`"
"""What a sentence has marked as code itself, where nothing else could be meant: a pattern."""

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1024
_ROUND: Final = 10


def counted(count: int, noun: str) -> str:
    """Return ``1 row`` or ``1,200 rows``."""
    plural = (
        f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}es" if _hisses(noun) else f"{noun}s"
    )
    return f"{count:,} {noun if count == 1 else plural}"


def _hisses(noun: str) -> bool:
    return noun.endswith(("s", "x", "ch"))


def joined(words: Iterable[str]) -> str:
    """Return ``reads, writes and schema changes``."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def size(table: TableStats) -> str:
    """Return how large a table is, in words."""
    return f"{counted(table.rows, 'row')}, {_bytes(table.bytes)}"


def _bytes(count: int) -> str:
    """Return a number of bytes as ``pg_size_pretty`` counts them."""
    amount, unit = float(count), 0
    while amount >= _STEP and unit < len(_UNITS) - 1:
        amount, unit = amount / _STEP, unit + 1
    shown = f"{amount:.1f}" if unit and amount < _ROUND else f"{amount:,.0f}"
    return f"{shown} {_UNITS[unit]}"


def size_of(stats: Stats | None, table: ObjectName) -> TableStats | None:
    """Return how large a table really is, where that is known."""
    return None if stats is None else stats.tables.get(str(table))


def short(sql: str, most: int = 90) -> str:
    """Return a statement on one line, cut where it is long."""
    return clipped(" ".join(sql.split()), most)


def ended(sql: str) -> str:
    """Return a statement with its semicolon, which no comment swallows."""
    commented = "--" in sql.rpartition("\n")[2]
    return f"{sql}\n;" if commented else f"{sql};"


def clipped(text: str, most: int) -> str:
    """Return a text of at most so many characters; where it is cut, it says so."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def tally(report: ReviewReport) -> str:
    """Return how many findings there are of each severity: ``1 blocking, 2 notes``."""
    counts = [(severity, report.count(severity)) for severity in SEVERITIES]
    words = [of_severity(count, severity) for severity, count in counts if count]
    accepted = len(report.findings) - len(report.open_findings)
    if accepted:
        words.append(f"{accepted:,} accepted")
    return ", ".join(words) or "no findings"


def of_severity(count: int, severity: Severity) -> str:
    """Return ``1 blocking`` or ``2 notes``."""
    return counted(count, "note") if severity is Severity.NOTE else f"{count:,} {severity}"


def gate(report: ReviewReport, fail_on: Severity | None) -> Text:
    """Return whether the review fails, and by which rule."""
    if fail_on is None:
        return ("Findings do not fail this review (", Code("--fail-on never"), ").")
    found = len(report.at_least(fail_on))
    what = f"{fail_on}" if fail_on is SEVERITIES[0] else f"{fail_on} or worse"
    if found:
        verb = "is" if found == 1 else "are"
        said = f"The review fails: {counted(found, 'open finding')} {verb} {what} ("
    else:
        said = f"The review passes: no open finding is {what} ("
    return said, Code(f"--fail-on {fail_on}"), ")."
