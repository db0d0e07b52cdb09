"""What a module declares as ``replaces``, which makes it a squashed version. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from neuron_schema.compiling.compile_error import CompileError

if TYPE_CHECKING:
    from neuron_schema.model import RowSet

_VERSION = re.compile(r"[0-9]{1,10}")
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_SHAPE = 'write replaces = {"002": "<checksum>", "003": "<checksum>"}, as `squash` does'
_LEAST = 2


def checked(declared: object, own: int) -> tuple[RowSet, ...]:
    """Return what a module declares as ``replaces``: one dict, or a list of alternatives.

    Args:
        declared: Its value.
        own: The module's number.

    Raises:
        CompileError: it is neither; a key is no version or a value no checksum; it does not end
            with the module's own number.
    """
    sets = declared if isinstance(declared, list) else [declared]
    if not sets:
        raise CompileError("it is empty", _SHAPE)
    return tuple(_checked_set(each, own) for each in sets)


def _checked_set(declared: object, own: int) -> RowSet:
    if not isinstance(declared, Mapping):
        raise CompileError("it is neither a dict nor a list of dicts", _SHAPE)
    pairs: dict[int, tuple[str, str]] = {}
    for version, checksum in declared.items():
        if not isinstance(version, str) or not _VERSION.fullmatch(version) or int(version) < 1:
            raise CompileError(f"{version!r} is no version", _SHAPE)
        if not isinstance(checksum, str) or not _CHECKSUM.fullmatch(checksum):
            raise CompileError(f"{version}: {checksum!r} is no checksum of 64 digits", _SHAPE)
        if int(version) in pairs:
            raise CompileError(f"{version} stands there twice", "keep one of them")
        pairs[int(version)] = (version, checksum)
    if len(pairs) < _LEAST or max(pairs) != own:
        # With less it would only let an altered text pass for the applied one.
        raise CompileError(
            f"it names {', '.join(version for version, _ in pairs.values()) or 'nothing'}",
            f"a squashed version replaces at least two, of which the last has its number, {own}",
        )
    return tuple(pair for _, pair in sorted(pairs.items()))


def check_proven(declared: object, checksum: str) -> None:
    """Refuse a squashed version whose text is not the one that was shown to do the same.

    A database that has applied what it replaces has no row with its checksum: there nothing else
    would tell that it was altered since, and its `down` would run.

    Args:
        declared: The value of ``proven``; None where it is not declared.
        checksum: The module's.

    Raises:
        CompileError: it is another one.
    """
    if declared not in (None, checksum):
        raise CompileError(
            "the SQL is not the one that was shown to do what the replaced versions did",
            "restore the file from version control, and put changes into a new version; or, where "
            f'no database has any of it, write proven = "{checksum}"',
        )


def declares(source: bytes) -> bool:
    """Whether a module's text declares ``replaces``: its number is one that databases know."""
    import ast  # not needed by those who only look at the history

    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Dict | ast.List)
        and any(isinstance(each, ast.Name) and each.id == "replaces" for each in node.targets)
        for node in tree.body
    )
