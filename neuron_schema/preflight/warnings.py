"""What is odd, though a run may go on: a database's encoding, old transactions, the disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuron_schema.sessions import describe_session, ending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.model import ServerFacts

_CLOCKS_AGREE_S = 60


def warnings(facts: ServerFacts, answer: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each."""
    encoding = answer["encoding"]
    if encoding != "UTF8":
        yield (
            f"the encoding of database {facts.database} is {encoding}, not UTF8: it "
            + (
                "checks no text at all"
                if encoding == "SQL_ASCII"
                else "holds only the letters of that encoding"
            )
        )
    for *row, tables in answer["old"] or []:
        session = describe_session(row)
        yield (
            f"an old transaction holds {tables}, which is to be locked: {session.text}; "
            f"to end it: {ending([session])}"
        )
    if answer["disk"] is not None:
        yield from _about_disk(answer["disk"])


def _about_disk(disk: dict[str, Any]) -> Iterator[str]:
    size = int(disk["bytes"] or 0)
    if not size or not disk["directory"] or not _is_here(Path(disk["directory"]), disk["started"]):
        return
    place = disk["tablespace"] or disk["directory"]
    try:
        free = shutil.disk_usage(place).free
    except OSError:
        return
    if free < size:
        yield (
            f"{place} has {_bytes(free)} free, and indexes are to be built on {_bytes(size)} "
            f"of tables ({disk['tables']})"
        )


def _is_here(directory: Path, started: float) -> bool:
    """Whether a server's data is on this machine: a path alone may be another machine's too.

    https://www.postgresql.org/docs/current/storage-file-layout.html
    """
    try:
        lines = (directory / "postmaster.pid").read_text(errors="replace").splitlines()
        return abs(int(lines[2]) - started) < _CLOCKS_AGREE_S
    except (OSError, ValueError, IndexError):
        return False


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1024:  # noqa: PLR2004 - as pg_size_pretty counts
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"
