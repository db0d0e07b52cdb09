"""How a command ends: any exception as an error of ours, and as an exit status."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from neuron_schema.cli.output import error_object, masked, print_error, print_json
from neuron_schema.errors import InternalError, Interrupted, NeuronSchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence

BROKEN_PIPE = 141
"""The exit status that a shell shows for a command that SIGPIPE ended."""


def report_early(error: NeuronSchemaError, arguments: Sequence[str]) -> int:
    """Report an error that came before any command was at work; return its exit status."""
    if _wants_json(arguments):
        result = head(_command(arguments), error.exit_code)
        result |= {"target": None, "error": error_object(error)}
        return printed(result, error.exit_code)
    print_error(error)
    return error.exit_code


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether one of the two ways to ask for JSON is there; nothing has read the options yet."""
    pairs = itertools.pairwise(arguments)
    return "--json" in arguments or "--format=json" in arguments or ("--format", "json") in pairs


def printed(result: dict[str, Any], code: int) -> int:
    """Print the JSON object; return the exit status, which tells when that failed."""
    try:
        print_json(result)
    except BrokenPipeError:
        return code or BROKEN_PIPE
    except InternalError as error:
        print_error(error)
        return code or error.exit_code
    return code


def _command(arguments: Sequence[str]) -> str:
    words = [word for word in arguments if not word.startswith("-")][:2]
    return masked(" ".join(words if words[:1] == ["db"] else words[:1]))


def head(command: str, exit_code: int) -> dict[str, Any]:
    """Return what every JSON object begins with."""
    return {"schema_version": 1, "command": command, "exit_code": exit_code}


def ours(exc: BaseException | None) -> NeuronSchemaError | None:
    """Return any exception as an error of ours: a traceback must not reach a user."""
    if exc is None or isinstance(exc, NeuronSchemaError):
        return exc
    if isinstance(exc, KeyboardInterrupt):
        return Interrupted("interrupted", exit_code=interrupt_code(exc))
    place = exc.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else None
    return InternalError(
        f"internal error: {type(exc).__name__}: {exc}",
        where=where,
        remedy="please report this, with the command and the place above",
    )


class Terminated(KeyboardInterrupt):
    """SIGTERM, so that what undoes a Ctrl-C undoes it as well."""


def interrupt_code(interrupt: BaseException | None) -> int:
    """Return the exit status for a signal: 128 and its number."""
    return 143 if isinstance(interrupt, Terminated) else 130
