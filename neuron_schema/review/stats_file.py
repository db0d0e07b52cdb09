"""The file of table sizes: written from a database, read by a review."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from neuron_schema.errors import UsageError
from neuron_schema.review.stats import Stats, TableStats

if TYPE_CHECKING:
    from pathlib import Path

_SCHEMA_VERSION: Final = 1
_REMEDY: Final = "let `neuron-schema stats --output FILE` write it"


def written(stats: Stats) -> str:
    """Return what the file holds: the same text for the same sizes."""
    return json.dumps(plain(stats), indent=2, ensure_ascii=False) + "\n"


def plain(stats: Stats) -> dict[str, Any]:
    """Return what ``json.dumps`` takes."""
    return {
        "schema_version": _SCHEMA_VERSION,
        "taken_on": stats.taken_on,
        "server_major": stats.server_major,
        "tables": {
            name: {"rows": each.rows, "bytes": each.bytes}
            for name, each in sorted(stats.tables.items())
        },
    }


def load(path: Path) -> Stats:
    """Read the file.

    Raises:
        UsageError: it cannot be read, or is no such file.
    """
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise _invalid(path, f"it cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise _invalid(path, f"it is no JSON: {error}") from None
    return parse(found, path)


def parse(found: Any, path: Path) -> Stats:
    """Return the sizes that JSON tells of.

    Raises:
        UsageError: it tells of none, or of something else.
    """
    if not isinstance(found, dict):
        raise _invalid(path, "it holds no JSON object")
    if found.get("schema_version") != _SCHEMA_VERSION:
        version = json.dumps(found.get("schema_version"))
        raise _invalid(path, f"its schema_version is {version}, not {_SCHEMA_VERSION}")
    tables, major = found.get("tables"), found.get("server_major")
    if not isinstance(tables, dict):
        raise _invalid(path, "`tables` is no JSON object")
    if not isinstance(found.get("taken_on"), str):
        raise _invalid(path, "`taken_on` is no text")
    if major is not None and not _is_count(major):
        raise _invalid(path, "`server_major` is no number")
    return Stats(
        taken_on=found["taken_on"],
        tables={name: _table(name, each, path) for name, each in tables.items()},
        server_major=major,
    )


def _table(name: str, found: Any, path: Path) -> TableStats:
    rows, size = (found.get(key) if isinstance(found, dict) else None for key in ("rows", "bytes"))
    if not (_is_count(rows) and _is_count(size)):
        raise _invalid(path, f"the table {name} has no whole numbers `rows` and `bytes`")
    return TableStats(rows=rows, bytes=size)


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _invalid(path: Path, reason: str) -> UsageError:
    return UsageError(f"the file of sizes is not usable: {reason}", where=str(path), remedy=_REMEDY)
