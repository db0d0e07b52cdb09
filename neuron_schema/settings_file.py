"""The ``pyproject.toml`` that holds the settings: found, parsed, and searched for lines."""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from typing import TYPE_CHECKING, Any

from neuron_schema.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

HEADER = ("tool", "neuron_schema")
"""The keys that lead to our table."""

_TOML_LINE = re.compile(r"\(at line (\d+)")


def find(directory: Path) -> tuple[Path | None, dict[str, Any]]:
    """Return the settings file that holds in ``directory`` and its table.

    Raises:
        SettingsError: a ``pyproject.toml`` on the way does not parse.
    """
    for parent in (directory, *directory.parents):
        file = parent / "pyproject.toml"
        text = _read(file)
        # Parsing costs more than looking: most files on the way have no such table.
        if text is None or "neuron_schema" not in text:
            continue
        tool = _parsed(text, file).get("tool")
        if not isinstance(tool, dict) or "neuron_schema" not in tool:
            continue
        table = tool["neuron_schema"]
        if not isinstance(table, dict):
            raise wrong("neuron_schema", "must be a table", file, remedy="[tool.neuron_schema]")
        return file, table
    return None, {}


def _read(file: Path) -> str | None:
    """Return the text of a settings file, or None where there is none."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        # In a directory that may not be searched nobody knows whether there is one.
        if isinstance(error, PermissionError) and not os.path.exists(file):  # noqa: PTH110
            return None
        raise SettingsError(
            f"{file} cannot be read: {error}",
            where=str(file),
            remedy="make it readable, and utf-8; its settings may be the ones that count",
        ) from None


def _parsed(text: str, file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        line = _TOML_LINE.search(str(error))
        raise SettingsError(
            f"{file} is not valid TOML: {error}",
            where=f"{file}:{line[1]}" if line else str(file),
            remedy="correct that line" if line else "correct the file",
        ) from None


def wrong(key: str, why: str, file: Path | None, *below: str, remedy: str | None) -> SettingsError:
    """Return the error for the value of a key in our table, or in one ``below`` it."""
    return SettingsError(
        f"{key} in the settings: {why}", where=line_of(file, key, *below), remedy=remedy
    )


def line_of(file: Path | None, key: str, *below: str) -> str | None:
    """Return ``file:line`` of a key, else of its table's header, else the file."""
    if file is None:
        return None
    wanted = (*HEADER, *below)
    table: tuple[str, ...] = ()
    best = 0
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
        if line.lstrip().startswith("["):
            table = _path_of(line)
            if table in (wanted, (*wanted, key)):
                best = number
        elif table == wanted[: len(table)]:
            path = (*table, *_path_of(line))
            if path[: len(wanted) + 1] == (*wanted, key):
                return f"{file}:{number}"
    return f"{file}:{best}" if best else str(file)


def _path_of(line: str) -> tuple[str, ...]:
    """Return the keys that one line of TOML names, outermost first; () where it names none."""
    for text in (line, line.partition("=")[0] + "= 0"):
        with contextlib.suppress(ValueError):
            return tuple(_keys(tomllib.loads(text)))
    return ()


def _keys(value: Any) -> Iterable[str]:
    while isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _keys(inner)
