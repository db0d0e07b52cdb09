"""From arguments to an exit status, whatever happens on the way."""

from __future__ import annotations

import logging
import signal
import sys
from typing import TYPE_CHECKING

import typer

from neuron_schema.cli.app import app
from neuron_schema.cli.invocation import Terminated, report_early
from neuron_schema.errors import Interrupted, NeuronSchemaError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit status; no exception leaves it.

    A command reports its own errors (``Invocation``); here are those that come before one runs.
    """
    # psycopg warns of connections that it drops, which is what a failed step does.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    signal.signal(signal.SIGTERM, _terminate)
    try:
        result = app(list(arguments), prog_name="neuron-schema", standalone_mode=False)
    except NeuronSchemaError as error:
        return report_early(error, arguments)
    except (KeyboardInterrupt, typer.Abort):
        return report_early(Interrupted("interrupted"), arguments)
    except Exception as error:
        usage = _usage_error(error)
        if usage is None:
            raise
        return report_early(usage, arguments)
    return result if isinstance(result, int) else 0


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
    message = getattr(error, "message", "") or str(error)
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "neuron-schema"
    if type(error).__name__ == "NoArgsIsHelpError":
        print(message, file=sys.stderr)  # noqa: T201
        return UsageError("a command is missing", remedy="neuron-schema --help lists them")
    return UsageError(message.rstrip("."), remedy=f"{path} --help")
