"""What a version sets for its own run: ``settings = {"maintenance_work_mem": "2GB"}``.

Only what alters how a version runs, never what it makes: so the settings are not in the checksum,
and one that proved too small may be raised in a version that is applied elsewhere already. What
alters the meaning of SQL (``search_path``, ``role``, ``standard_conforming_strings``) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from neuron_schema.compiling.compile_error import CompileError
from neuron_schema.settings import suggest
from neuron_schema.settings_values import SESSION_LIMITS, timeout

_MEMORY = ("maintenance_work_mem", "temp_buffers", "work_mem")
_NUMBERS = (
    "effective_io_concurrency",
    "maintenance_io_concurrency",
    "max_parallel_maintenance_workers",
    "max_parallel_workers_per_gather",
    "vacuum_cost_limit",
)
_DELAYS = ("vacuum_cost_delay",)
KNOWN = tuple(sorted((*SESSION_LIMITS, *_MEMORY, *_NUMBERS, *_DELAYS)))

_SIZE = re.compile(r"[1-9][0-9]*(kB|MB|GB|TB)")


def checked(declared: object, *, alone: bool) -> tuple[tuple[str, str], ...]:
    """Return the settings that a module declares, as PostgreSQL reads them.

    Args:
        declared: The value of ``settings``.
        alone: The version holds an operation that commits on its own, which runs without limits.

    Raises:
        CompileError: it is no dict; a name is not known or has no place here; a value is none.
    """
    if not isinstance(declared, Mapping):
        raise CompileError(
            f"`settings` is not a dict but a {type(declared).__name__}",
            'write settings = {"maintenance_work_mem": "2GB"}',
        )
    return tuple((_name(name, alone=alone), _value(name, declared[name])) for name in declared)


def _name(name: object, *, alone: bool) -> str:
    if not isinstance(name, str) or name not in KNOWN:
        raise CompileError(
            f"{name!r} cannot be set by a version",
            suggest(str(name), KNOWN) or f"what can be: {', '.join(KNOWN)}",
        )
    if alone and name in SESSION_LIMITS:
        raise CompileError(
            f"{name} has no place beside an operation that commits on its own: a limit there "
            "would leave it half-done",
            "leave it out; `operation_timeout` in [tool.neuron_schema] bounds the whole",
        )
    return name


def _value(name: str, value: object) -> str:
    if name in SESSION_LIMITS or name in _DELAYS:
        return _duration(name, value)
    if name in _MEMORY:
        if isinstance(value, str) and _SIZE.fullmatch(value):
            return value
        raise CompileError(f"{name}: {value!r} is no size", 'write "64MB", "2GB"')
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    raise CompileError(f"{name}: {value!r} is no number", "write a whole number, without quotes")


def _duration(name: str, value: object) -> str:
    try:
        return f"{round(timeout(value) * 1000)}ms"
    except ValueError as error:
        raise CompileError(
            f"{name}: {error}", 'write seconds such as 5, or "500ms", or 0 for no limit'
        ) from None
