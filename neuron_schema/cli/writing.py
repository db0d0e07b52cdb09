"""Files that a command writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file as a whole or not at all; a device or pipe is written to.

    Raises:
        UsageError: it cannot be written.
    """
    from neuron_schema.errors import UsageError

    data = text.encode("utf-8", "surrogateescape")
    beside = path.with_name(f".{path.name}.tmp")
    try:
        if path.exists() and not path.is_file():
            # Another file in the place of /dev/null would be missed.
            path.write_bytes(data)
            return
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror}", where=str(path)) from None
