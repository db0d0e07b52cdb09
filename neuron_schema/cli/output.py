"""What a user sees: plain aligned text off a terminal, a little colour on one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

from neuron_schema.errors import InternalError
from neuron_schema.printable import columns as columns  # noqa: PLC0414 - told on
from neuron_schema.printable import one_line as one_line  # noqa: PLC0414 - told on
from neuron_schema.printable import safe as safe  # noqa: PLC0414 - told on

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from neuron_schema.errors import NeuronSchemaError
    from neuron_schema.model import Plan, Report, Step

# A path in between may have taken one of the slashes.
_PASSWORD = re.compile(r"(:/{1,2}[^\s/:@]*:)\S*(?=@)|(?<=\bpassword=)(?:'[^']*'|[^\s&]+)", re.I)
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


# Holds stdout while sys.stdout is not it.
_kept: list[TextIO | None] = []


def stdout() -> TextIO | None:
    """Return where the result goes."""
    return _kept[-1] if _kept else sys.stdout


@contextlib.contextmanager
def only_results() -> Iterator[None]:
    """Keep stdout for the result: what the code of a version prints meanwhile goes to stderr."""
    _kept.append(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _kept.pop()


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is there (it may have been closed by the caller) and is a terminal."""
    return stream is not None and not stream.closed and stream.isatty()


def colourful(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that wants colour (https://no-color.org)."""
    return (
        is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def paint(text: str, colour: str, stream: TextIO | None) -> str:
    """Return text in a colour where the stream shows colours; "" is none."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if colour and colourful(stream) else text


def say(text: str) -> None:
    """Print a line of the result to stdout, at once."""
    _result(safe(text))


def show(text: str) -> None:
    """Print text of our own to stdout, colours included."""
    _result(text)


def show_script(text: str) -> None:
    """Print SQL to stdout: as it is for psql, without what a terminal would obey on one."""
    if is_terminal(stdout()):
        _result(safe(text))
    elif stdout() is not None:
        # A locale that lacks a letter must not change a script.
        _result((text + "\n").encode("utf-8", "surrogateescape"))


def note(text: str) -> None:
    """Print a line beside the result to stderr."""
    _aside(safe(text))


def note_text(text: str) -> None:
    """Print text of our own to stderr, colours included."""
    _aside(text)


def quote(head: str, text: str) -> None:
    """Print what somebody else said to stderr; its further lines are set off from ours."""
    _aside(one_line(head) + _indented(text))


def ask(question: str) -> bool:
    """Ask on the terminal; everything but yes is no, the end of the input too."""
    sys.stderr.write(f"{safe(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def warn(text: str) -> None:
    """Print a warning to stderr."""
    _aside(paint("warning: ", "yellow", sys.stderr) + _indented(text))


def print_error(error: NeuronSchemaError) -> None:
    """Print an error to stderr: its code, what is so, where, and what mends it."""
    head = paint(f"error[{error.code}]", "red", sys.stderr)
    lines = [f"{head}: {_indented(error.message)}"]
    if error.where:
        lines.append(f"  at: {one_line(error.where)}")
    if error.remedy:
        lines.append(f"  fix: {_indented(error.remedy)}")
    _aside(masked("\n".join(lines)))


def masked(text: str) -> str:
    """Return text without the password of an address that was given in a wrong place."""
    return _PASSWORD.sub(r"\1***", text)


def _indented(text: str) -> str:
    """Return text that stays within its paragraph: a server's message may have many lines."""
    return safe(text).replace("\n", "\n    ")


def error_object(error: NeuronSchemaError) -> dict[str, Any]:
    """Return an error as ``--json`` shows it."""
    return {
        "code": error.code,
        "message": masked(error.message),
        "where": masked(error.where) if error.where else None,
        "remedy": masked(error.remedy) if error.remedy else None,
    }


def print_json(result: dict[str, Any]) -> None:
    """Print the one object that ``--json`` promises."""
    _result(json.dumps(result))


def plan_steps(
    plan: Plan, estimates: Mapping[str, int | None] | None = None
) -> list[dict[str, Any]]:
    """Return a plan's steps as ``--json`` shows them.

    Args:
        plan: The plan.
        estimates: About how many rows the tables of its backfills have, by version.
    """
    return [
        {
            "version": step.version,
            "name": step.name,
            "transactional": step.transactional,
            "statements": [statement.sql for statement in step.runs],
            "checksum": step.checksum,
            "outcome": "planned",
            "duration_ms": None,
            **_backfill(step, (estimates or {}).get(step.version)),
        }
        for step in plan.steps
    ]


def _backfill(step: Step, rows: int | None) -> dict[str, Any]:
    """Return what is to be known of a backfill beside its statement; {} of any other step."""
    spec = step.backfill
    if spec is None:
        return {}
    function = spec.rows and {
        "name": spec.rows.name,
        "columns": list(spec.rows.columns),
        "revision": spec.rows.revision,
        "source": spec.rows.source,
    }
    return {
        "backfill": {
            "table": spec.table,
            "key": list(spec.key),
            "set": dict(spec.set_),
            "where": spec.where,
            "batch_size": spec.batch_size,
            "pause": spec.pause_s,
            "function": function,
            "estimated_rows": rows,
        }
    }


def report_steps(report: Report) -> list[dict[str, Any]]:
    """Return a run's steps as ``--json`` shows them."""
    return [
        {
            "version": done.step.version,
            "name": done.step.name,
            "transactional": done.step.transactional,
            "statements": [statement.sql for statement in done.step.runs],
            "checksum": done.step.checksum,
            "outcome": done.outcome.value,
            "duration_ms": round(done.duration_ms, 1),
            "rows": done.rows,
            "note": done.note,
        }
        for done in report.steps
    ]


def silence_stdout() -> None:
    """Write nothing more to stdout, and keep Python from complaining of it at exit."""
    stream = stdout()
    with contextlib.suppress(OSError, ValueError):
        if stream is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _result(text: str | bytes) -> None:
    """Write to stdout, where nothing may be lost in silence.

    Raises:
        BrokenPipeError: nobody reads it any more.
        InternalError: it cannot be written.
    """
    try:
        _write(stdout(), text)
    except BrokenPipeError:
        silence_stdout()
        raise
    except OSError as error:
        silence_stdout()
        raise InternalError(
            f"stdout cannot be written: {error.strerror}", remedy="send the output elsewhere"
        ) from None


def _aside(text: str) -> None:
    """Write to stderr, whose loss must not stop a run."""
    with contextlib.suppress(OSError, ValueError):
        _write(sys.stderr, text)


def _write(stream: TextIO | None, text: str | bytes) -> None:
    if stream is None:
        return
    if isinstance(text, bytes):
        stream.flush()
        stream.buffer.write(text)
        stream.buffer.flush()
        return
    try:
        print(text, file=stream, flush=True)
    except UnicodeEncodeError:
        # A terminal in another encoding than the database still shows what it can.
        encoding = stream.encoding or "ascii"
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
