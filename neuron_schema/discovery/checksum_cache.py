"""Checksums remembered between commands, so that unchanged files need not be imported.

A checksum follows from a file's bytes and from the code that compiles it. Both are in the key:
sha256 over the bytes, and a fingerprint of Python, SQLAlchemy, psycopg, pgvector and this package's
own source. Only modules that ``cacheable`` vouches for are remembered. What cannot be read, was
altered, or cannot be written is treated as absent.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from neuron_schema.model import RowSet

_FORMAT = 3
_PACKAGES = ("pgvector", "psycopg", "sqlalchemy")
_METADATA = re.compile(rf"({'|'.join(_PACKAGES)})[-_].*\.(dist|egg)-info", re.IGNORECASE)
# The parts of this package that have none in compiling a version.
_NO_PART = frozenset(
    {
        "autogenerate",
        "catalog",
        "cli",
        "embedded",
        "execution",
        "preflight",
        "proof",
        "review",
        "schemafile",
        "versions",
        "__pycache__",
    }
)


def fingerprint() -> str | None:
    """Return what identifies the code that compiles versions, or None where it is unknown."""
    digest = hashlib.sha256(f"{_FORMAT} {sys.implementation.name} {sys.version}".encode())
    root = Path(__file__).parents[1]
    try:
        for name in _installed():
            digest.update(f"{name}\0".encode("utf-8", "surrogateescape"))
        for path in sorted(root.rglob("*.py")):
            part = path.relative_to(root)
            if part.parts[0] not in _NO_PART:
                source = path.read_bytes()
                digest.update(f"{part} {len(source)}\0".encode("utf-8", "surrogateescape"))
                digest.update(source)
    except (OSError, LookupError):
        return None
    return digest.hexdigest()


@functools.cache
def first_fingerprint() -> str | None:
    """Return the fingerprint as this process first saw it: it goes on with the code it has."""
    return fingerprint()


def _installed() -> list[str]:
    """Return names of the metadata of the libraries that have a part, versions in them.

    ``importlib.metadata`` would tell the same, and takes 25 ms to be imported.

    Raises:
        LookupError: a library has none beside it.
        OSError: a directory cannot be read.
    """
    from importlib.util import find_spec

    specs = [find_spec(package) for package in _PACKAGES]
    places = {Path(spec.origin).parents[1] for spec in specs if spec and spec.origin}
    entries = [entry.name for place in places for entry in place.iterdir()]
    names = [name for name in entries if _METADATA.fullmatch(name)]
    for package in _PACKAGES:
        if not any(name.lower().startswith(f"{package}-") for name in names):
            raise LookupError(package)
    return sorted(names)


class Known(NamedTuple):
    """What is remembered of a file: see ``VersionInfo``."""

    checksum: str
    description: str
    replaces: tuple[RowSet, ...] = ()


class ChecksumCache:
    """Checksums, descriptions and what squashed versions replace, by the digest of a file's bytes.

    Args:
        file: Where they are kept between processes.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._fingerprint = first_fingerprint()
        self._entries: dict[str, Known] = self._read()
        self._changed = False

    def get(self, digest: str) -> Known | None:
        """Return what is known of the file with this sha256, or None."""
        return self._entries.get(digest)

    def put(self, digest: str, known: Known) -> None:
        """Remember what is known of a file."""
        if self._entries.get(digest) != known:
            self._entries[digest] = known
            self._changed = True

    def save(self, keep: Iterable[str]) -> None:
        """Write the entries of the digests given; do nothing where that is not possible."""
        if not self._changed or self._fingerprint is None:
            return
        if fingerprint() != self._fingerprint:
            # The code was changed under this process, and which of it compiled is not known.
            return
        entries = {digest: self._entries[digest] for digest in keep if digest in self._entries}
        text = json.dumps({"seal": _seal(self._fingerprint, entries), "entries": entries})
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Another process may read at any time: it sees the old file or the new one.
            handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=self._file.name)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    stream.write(text)
                Path(name).replace(self._file)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        self._changed = False

    def _read(self) -> dict[str, Known]:
        if self._fingerprint is None:
            return {}
        try:
            stored = json.loads(self._file.read_bytes())
            entries = {
                str(digest): Known(str(checksum), str(description), _row_sets(replaces))
                for digest, (checksum, description, replaces) in stored["entries"].items()
            }
            sealed = stored["seal"] == _seal(self._fingerprint, entries)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}
        return entries if sealed else {}


def _row_sets(stored: list[list[list[str]]]) -> tuple[RowSet, ...]:
    return tuple(
        tuple((str(version), str(checksum)) for version, checksum in each) for each in stored
    )


def _seal(fingerprint: str, entries: Mapping[str, Known]) -> str:
    """Return a digest that no other code's entries have, nor these after a change."""
    text = json.dumps([fingerprint, entries], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
