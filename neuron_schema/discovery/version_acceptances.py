"""What a version accepts: ``accept = {"create-index-blocking": "empty until the launch"}``.

For the review of a version alone: it alters neither what the version makes nor how it runs, and is
not in the checksum. Whether there is such a hazard, and whether the version has it, the review
says.
"""

from __future__ import annotations

from collections.abc import Mapping

from neuron_schema.compiling.compile_error import CompileError

_EXAMPLE = 'accept = {"create-index-blocking": "the table is empty until launch"}'


def checked(declared: object) -> tuple[tuple[str, str], ...]:
    """Return the hazards that a module accepts, each with the reason.

    Args:
        declared: The value of ``accept``.

    Raises:
        CompileError: it is no dict; a hazard is no word; a reason is missing.
    """
    if not isinstance(declared, Mapping):
        raise CompileError(
            f"`accept` is not a dict but a {type(declared).__name__}", f"write {_EXAMPLE}"
        )
    return tuple((_hazard(hazard), _reason(hazard, declared[hazard])) for hazard in declared)


def _hazard(hazard: object) -> str:
    if not isinstance(hazard, str) or not hazard.strip():
        raise CompileError(
            f"{hazard!r} is no hazard", "write its id; `neuron-schema explain` lists them"
        )
    return hazard


def _reason(hazard: object, reason: object) -> str:
    if not isinstance(reason, str):
        raise CompileError(
            f"the reason for {hazard!r} is not a str but a {type(reason).__name__}",
            f"write {_EXAMPLE}",
        )
    if not reason.strip():
        raise CompileError(f"{hazard!r} is accepted without a reason", f"write {_EXAMPLE}")
    return " ".join(reason.split())
