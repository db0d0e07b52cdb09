"""What a user sees: plain aligned text off a terminal, a little colour on one."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from neuron_schema.errors import NeuronSchemaError
    from neuron_schema.model import Plan, Report

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


def safe(text: str) -> str:
    """Return text without what a terminal would obey; line ends stay.

    Names and messages come from databases and files. CWE-150.
    """
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def colourful(stream: TextIO) -> bool:
    """Whether a stream is a terminal that wants colour (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: TextIO) -> str:
    """Return text in a colour where the stream shows colours."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if colourful(stream) else text


def say(text: str) -> None:
    """Print a line of the result to stdout, at once."""
    _write(sys.stdout, safe(text))


def show(text: str) -> None:
    """Print text of our own to stdout, colours included."""
    _write(sys.stdout, text)


def note(text: str) -> None:
    """Print a line beside the result to stderr."""
    _write(sys.stderr, safe(text))


def warn(text: str) -> None:
    """Print a warning to stderr."""
    _write(sys.stderr, paint("warning: ", "yellow", sys.stderr) + safe(text))


def print_error(error: NeuronSchemaError) -> None:
    """Print an error to stderr: its code, what is so, where, and what mends it."""
    head = paint(f"error[{error.code}]", "red", sys.stderr)
    lines = [f"{head}: {safe(error.message)}"]
    if error.where:
        lines.append(f"  at: {safe(error.where)}")
    if error.remedy:
        lines.append(f"  fix: {safe(error.remedy)}")
    _write(sys.stderr, "\n".join(lines))


def error_object(error: NeuronSchemaError) -> dict[str, Any]:
    """Return an error as ``--json`` shows it."""
    return {
        "code": error.code,
        "message": error.message,
        "where": error.where,
        "remedy": error.remedy,
    }


def print_json(result: dict[str, Any]) -> None:
    """Print the one object that ``--json`` promises."""
    _write(sys.stdout, json.dumps(result))


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as aligned lines; nothing is ever cut."""
    cleaned = [[safe(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cleaned) for i in range(len(cleaned[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cleaned
    ]


def plan_steps(plan: Plan) -> list[dict[str, Any]]:
    """Return a plan's steps as ``--json`` shows them."""
    return [
        {
            "version": step.version,
            "name": step.name,
            "transactional": step.transactional,
            "statements": [statement.sql for statement in step.statements],
            "checksum": step.checksum,
            "outcome": "planned",
            "duration_ms": None,
        }
        for step in plan.steps
    ]


def report_steps(report: Report) -> list[dict[str, Any]]:
    """Return a run's steps as ``--json`` shows them."""
    return [
        {
            "version": done.step.version,
            "name": done.step.name,
            "transactional": done.step.transactional,
            "statements": [statement.sql for statement in done.step.statements],
            "checksum": done.step.checksum,
            "outcome": done.outcome.value,
            "duration_ms": round(done.duration_ms, 1),
        }
        for done in report.steps
    ]


def labels(items: Iterable[str]) -> str:
    """Return names as a list in a sentence."""
    return ", ".join(items)


def _write(stream: TextIO, text: str) -> None:
    try:
        print(text, file=stream, flush=True)
    except UnicodeEncodeError:
        # A terminal in another encoding than the database still shows what it can.
        encoding = stream.encoding or "ascii"
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
