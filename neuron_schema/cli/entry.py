"""From arguments to an exit status, whatever happens on the way."""

from __future__ import annotations

import functools
import logging
import signal
from typing import TYPE_CHECKING, Any

import typer
import typer.main

from neuron_schema.cli.app import app
from neuron_schema.cli.ending import (
    BROKEN_PIPE,
    Terminated,
    interrupt_code,
    ours,
    report_early,
)
from neuron_schema.cli.output import note
from neuron_schema.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit status; no exception leaves it.

    A command reports its own errors (``Invocation``); here are those that come before one runs.
    """
    # psycopg warns of connections that it drops, which is what a failed step does.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    signal.signal(signal.SIGTERM, _terminate)
    try:
        result = _command()(list(arguments), prog_name="neuron-schema", standalone_mode=False)
    except SystemExit as ended:
        # Typer's own way to end a shell's completion.
        return ended.code if isinstance(ended.code, int) else 0
    except BrokenPipeError:
        return BROKEN_PIPE
    except (KeyboardInterrupt, typer.Abort) as error:
        # The option parser turns the one into the other.
        cause = error if isinstance(error, KeyboardInterrupt) else error.__cause__
        code = interrupt_code(cause)
        return report_early(Interrupted("interrupted", exit_code=code), arguments)
    except Exception as error:  # noqa: BLE001 - a traceback must not reach a user
        found = _usage_error(error) or ours(error)
        assert found is not None  # noqa: S101 - there is an exception
        return report_early(found, arguments)
    return result if isinstance(result, int) else 0


@functools.cache
def _command() -> Callable[..., Any]:
    """Return the command with all its own; an application makes them anew at each call."""
    return typer.main.get_command(app)


def _terminate(_signum: int, _frame: FrameType | None) -> None:
    # Once: what undoes the run must not be undone by a second signal half-way.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


def _usage_error(error: Exception) -> UsageError | None:
    """Return our error for one of the option parser's, or None for another exception.

    Typer keeps its parser's classes to itself, so that they are told by name.
    """
    if not any(base.__name__ == "ClickException" for base in type(error).__mro__):
        return None
    # Its own rendering names the option and suggests a near one.
    message = str(getattr(error, "format_message", error.__str__)())
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "neuron-schema"
    if type(error).__name__ == "NoArgsIsHelpError":
        note(message)
        return UsageError("a command is missing", remedy="neuron-schema --help lists them")
    if type(error).__name__ == "NoSuchOption" and path == "neuron-schema":
        return UsageError(
            message.rstrip("."), remedy="options come after the command: neuron-schema --help"
        )
    return UsageError(message.rstrip("."), remedy=f"{path} --help")
