"""Writes version modules for the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def write_version(
    directory: Path,
    label: str,
    *,
    up: str | Sequence[str] = ("SELECT 1",),
    down: str | Sequence[str] | None = (),
    docstring: str = "",
    imports: str = "",
    body: str = "",
) -> Path:
    """Write ``<label>.py`` into a directory, which is made when it is absent.

    Args:
        directory: Where the versions are.
        label: The file name without its ending, such as ``001_a``.
        up: Verbatim SQL texts, each of which becomes a ``Sql``; or one string, the Python source
            of the list.
        down: The same for ``down``; None leaves it out.
        docstring: The module's docstring; "" for none.
        imports: Lines that go in front of the import of ``Sql`` and ``irreversible``.
        body: Lines in front of ``up``.

    Returns:
        The file's path.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lines = [f"{docstring!r}"] if docstring else []
    lines += [line for line in (imports, "from neuron_schema.ops import Sql, irreversible") if line]
    lines += [body] if body else []
    lines.append(f"up = {_source(up)}")
    if down is not None:
        lines.append(f"down = {_source(down)}")
    path = directory / f"{label}.py"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _source(elements: str | Sequence[str]) -> str:
    if isinstance(elements, str):
        return elements
    return "[" + ", ".join(f"Sql({text!r})" for text in elements) + "]"
