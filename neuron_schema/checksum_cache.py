"""Checksums remembered between commands, so that unchanged files need not be imported.

A checksum follows from a file's bytes and from the code that compiles it. Both are in the key:
sha256 over the bytes, and a fingerprint of Python, SQLAlchemy, psycopg, pgvector and this package's own
source. Only modules that ``version_module.cacheable`` vouches for are remembered. What cannot be
read or written is treated as absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_FORMAT = 1
_PACKAGES = ("sqlalchemy", "psycopg", "pgvector")
# The files of this package that have no part in compiling a version.
_NO_PART = ("cli", "embedded", "versions", "__pycache__")


def fingerprint() -> str | None:
    """Return what identifies the code that compiles versions, or None where it is unknown."""
    from importlib import metadata

    digest = hashlib.sha256(f"{_FORMAT} {sys.implementation.name} {sys.version}".encode())
    for package in _PACKAGES:
        try:
            digest.update(f" {package}={metadata.version(package)}".encode())
        except metadata.PackageNotFoundError:
            return None
    root = Path(__file__).parent
    try:
        for path in sorted(root.rglob("*.py")):
            if path.relative_to(root).parts[0] not in _NO_PART:
                digest.update(path.read_bytes())
    except OSError:
        return None
    return digest.hexdigest()


class ChecksumCache:
    """Checksums and descriptions by the digest of a file's bytes.

    Args:
        file: Where they are kept between processes.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._fingerprint = fingerprint()
        self._entries: dict[str, tuple[str, str]] = self._read()
        self._changed = False

    def get(self, digest: str) -> tuple[str, str] | None:
        """Return checksum and description of the file with this sha256, or None."""
        return self._entries.get(digest)

    def put(self, digest: str, checksum: str, description: str) -> None:
        """Remember a checksum and a description."""
        if self._entries.get(digest) != (checksum, description):
            self._entries[digest] = (checksum, description)
            self._changed = True

    def save(self, keep: Iterable[str]) -> None:
        """Write the entries of the digests given; do nothing where that is not possible."""
        if not self._changed or self._fingerprint is None:
            return
        entries = {digest: self._entries[digest] for digest in keep if digest in self._entries}
        text = json.dumps({"fingerprint": self._fingerprint, "entries": entries})
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Another process may read at any time: it sees the old file or the new one.
            handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=self._file.name)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    stream.write(text)
                Path(name).replace(self._file)
            except OSError:
                Path(name).unlink(missing_ok=True)
        self._changed = False

    def _read(self) -> dict[str, tuple[str, str]]:
        try:
            stored = json.loads(self._file.read_bytes())
            if self._fingerprint is None or stored["fingerprint"] != self._fingerprint:
                return {}
            return {
                str(digest): (str(checksum), str(description))
                for digest, (checksum, description) in stored["entries"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}
