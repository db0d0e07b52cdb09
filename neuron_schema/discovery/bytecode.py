"""Byte code of version modules, kept where Python keeps that of every module: ``__pycache__``.

The files are of the kind that names its source by a hash of the bytes, not by a time of day, so
that one cannot stand for a file that was changed. https://peps.python.org/pep-0552/
"""

from __future__ import annotations

import contextlib
import marshal
import os
import sys
import tempfile
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path
from types import CodeType

# "Named by a hash", and "to be checked against the source".
_FLAGS = (0b11).to_bytes(4, "little")


def read(source: bytes, path: str) -> CodeType | None:
    """Return the byte code of a file with these bytes at this path, or None."""
    try:
        data = Path(cache_from_source(path)).read_bytes()
        head = _head(source)
        code = marshal.loads(data[len(head) :]) if data.startswith(head) else None  # noqa: S302
    except (OSError, NotImplementedError, EOFError, ValueError, TypeError):
        return None
    # A directory may have been moved, and errors are placed by this path.
    return code if isinstance(code, CodeType) and code.co_filename == path else None


def write(code: CodeType, source: bytes, path: str) -> None:
    """Keep byte code for the next time, unless Python is told not to; do nothing on failure."""
    if sys.dont_write_bytecode:
        return
    with contextlib.suppress(OSError, NotImplementedError, ValueError):
        file = Path(cache_from_source(path))
        file.parent.mkdir(exist_ok=True, parents=sys.pycache_prefix is not None)
        # Another process may read at any time: it sees the old file or the new one.
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(_head(source) + marshal.dumps(code))
            Path(name).chmod(Path(path).stat().st_mode & 0o666)
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _head(source: bytes) -> bytes:
    return MAGIC_NUMBER + _FLAGS + source_hash(source)
