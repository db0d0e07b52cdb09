"""What a setting may hold, wherever it is given: in a file, an option, an argument. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from neuron_schema.errors import SettingsError
from neuron_schema.quoting import MAX_IDENTIFIER_BYTES

_TEXT = ("database", "direct_url", "versions", "history_table", "history_schema", "search_path")
SESSION_LIMITS = (
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
)
"""PostgreSQL's own timeouts that the settings and a version may set, in whole milliseconds."""

_LIMITS = (*SESSION_LIMITS, "operation_timeout")
_WAITS = ("wait_lock", "deadline")
_NAMES = ("history_table", "history_schema", "role")
_SWITCHES = ("protected", "log")
_LISTS = ("schemas", "ignore")
RUN_SWITCHES = ("allow_out_of_order", "allow_non_empty")
"""What is asked for of one run alone, and is in no settings."""

KEYS = (*_TEXT, "role", *_LISTS, *_SWITCHES, *_LIMITS, *_WAITS)
_IGNORE_KEYS = ("object", "reason", "kind")
_HOW_TO_WRITE = {
    "schemas": 'write a list of names: schemas = ["public", "app"]',
    "ignore": 'write ignore = [{object = "public.tmp_*", reason = "made by the nightly job"}]',
}

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|h)?")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, None: 1.0}
# PostgreSQL counts timeouts in whole milliseconds, 0 for no limit, in 31 bits.
_SHORTEST_S = 0.001
_LONGEST_S = 2**31 / 1000 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """Differences that are known, and why they may be.

    Attributes:
        object: A pattern of names, with ``*``, ``?`` and ``[...]``: ``public.tmp_*``.
        reason: Why; it is shown with what is ignored.
        kind: Of what kind the objects are, None for any.
    """

    object: str
    reason: str
    kind: str | None = None


def seconds(value: object) -> float:
    """Return a duration in seconds: ``5``, ``"500ms"``, ``"5s"``, ``"10min"``, ``"1h"``.

    Raises:
        ValueError: it is no such duration.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value >= 0 and math.isfinite(value):
            return float(value)
    elif isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is not None:
            return float(match[1]) * _UNIT_SECONDS[match[2]]
    raise ValueError(f"{value!r} is no duration")


def timeout(value: object) -> float:
    """Return a duration that PostgreSQL can count, in seconds; 0 for no limit.

    Raises:
        ValueError: it is none, or none that fits.
    """
    duration = seconds(value)
    if 0 < duration < _SHORTEST_S or duration > _LONGEST_S:
        raise ValueError("PostgreSQL counts it in whole milliseconds, up to 2147483647")
    return duration


def milliseconds(seconds: float) -> str:
    """Return a limit as PostgreSQL counts it; 0 for none."""
    # Rounding a small timeout to 0 would mean none at all.
    return f"{max(1, round(seconds * 1000))}ms" if seconds > 0 else "0"


def accepted(key: str, value: Any, *, name: str | None = None) -> Any:
    """Return what was given otherwise than in a file, as the settings hold it.

    Args:
        key: Of the setting, or one of ``RUN_SWITCHES``.
        value: What was given.
        name: What it is called where it was given; None for the key.

    Raises:
        SettingsError: it is of the wrong kind.
    """
    value, why, remedy = held(key, value)
    if why is not None:
        raise SettingsError(f"{name or key}: {why}", remedy=remedy)
    return value


def held(key: str, value: Any) -> tuple[Any, str | None, str | None]:
    """Return a value as the settings hold it, what is wrong with it, and how to write it.

    What is wrong is None for a value of the right kind.
    """
    why, remedy = None, None
    if key in (*_SWITCHES, *RUN_SWITCHES):
        if not isinstance(value, bool):
            why, remedy = "must be true or false", "write it without quotes"
    elif key in (*_LIMITS, *_WAITS):
        value, why = _duration(key, value)
        remedy = "write seconds such as 5, or '500ms', '5s', '10min', '1h'"
    elif key in _LISTS:
        value, why, remedy = _listed(key, value)
    elif not isinstance(value, str) or not value.strip() or "\0" in value:
        why, remedy = "must be a string that is not empty", "leave the key out for its default"
    elif key in (*_NAMES, "search_path") and not _is_unicode(value):
        why, remedy = f"{value!r} holds what is no character", "write it as text in UTF-8"
    elif key in _NAMES and len(value.encode()) > MAX_IDENTIFIER_BYTES:
        # PostgreSQL would cut it and only notice: two names could become one.
        why, remedy = f"is longer than {MAX_IDENTIFIER_BYTES} bytes", "choose a shorter name"
    return value, why, remedy


def _is_unicode(text: str) -> bool:
    """Whether all of a text can be sent; what Python makes of undecodable bytes cannot."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _duration(key: str, value: Any) -> tuple[Any, str | None]:
    """Return the value of a key that holds a duration, and what is wrong with it."""
    try:
        return (timeout if key in _LIMITS else seconds)(value), None
    except ValueError as error:
        return value, str(error)


def _listed(key: str, value: Any) -> tuple[Any, str | None, str]:
    """Return the value of a key that holds a list, what is wrong with it, and how to write it."""
    try:
        value = _names(value) if key == "schemas" else tuple(map(_ignore, _list(value)))
    except ValueError as error:
        return value, str(error), _HOW_TO_WRITE[key]
    return value, None, ""


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list")  # noqa: TRY004 - caught as such
    return list(value)


def _names(value: Any) -> tuple[str, ...]:
    """Return a list of names.

    Raises:
        ValueError: it is none.
    """
    if not _list(value):
        raise ValueError("must be a list of names")
    for name in value:
        if not isinstance(name, str) or not name.strip() or "\0" in name:
            raise ValueError(f"{name!r} is no name")
        if len(name.encode()) > MAX_IDENTIFIER_BYTES:
            raise ValueError(f"{name!r} is longer than {MAX_IDENTIFIER_BYTES} bytes")
    return tuple(value)


def _ignore(value: Any) -> Ignore:
    """Return one of the differences that are known.

    Raises:
        ValueError: it is not written as it has to be.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is no table")  # noqa: TRY004 - caught as such
    for key in value:
        if key not in _IGNORE_KEYS:
            raise ValueError(f"unknown key {key!r} (known: {', '.join(_IGNORE_KEYS)})")
    for key in ("object", "reason"):
        if key not in value:
            raise ValueError(f"{value!r} has no {key}")
    for key, text in value.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{key} must be a string that is not empty")
    return Ignore(**value)
