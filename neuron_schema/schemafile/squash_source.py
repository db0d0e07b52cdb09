"""The module of a squashed version, as a person would write it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from neuron_schema.canonical import canonical
from neuron_schema.compiling.compiler import checksum
from neuron_schema.discovery import version_module
from neuron_schema.discovery.loading import loading
from neuron_schema.errors import InternalError
from neuron_schema.model import Statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from neuron_schema.model import Migration, RowSet
    from neuron_schema.schemafile.squash import Draft, Item

_ENDS = re.compile(r"[ \t]+$", re.MULTILINE)


def source_of(draft: Draft) -> str:
    """Return the text of the module."""
    return "\n".join(_lines(draft)) + "\n"


def load(draft: Draft, source: str, path: str) -> Migration:
    """Return the squashed version, loaded as any other.

    Args:
        draft: What was to be written.
        source: What was.
        path: Where it is to be.

    Raises:
        InternalError: it does not read as it was meant.
    """
    with loading():
        found = version_module.load(source.encode(), path, version=draft.version, name=draft.name)
    same = (
        found.checksum == _checksum(draft)
        and found.settings == draft.settings
        and found.replaces == draft.replaces
        and found.irreversible == draft.irreversible
    )
    if not same:
        raise InternalError(
            f"{draft.version}_{draft.name} does not read as it was written",
            remedy="report this, with the versions",
        )
    return found


def _checksum(draft: Draft) -> str:
    up, down = ([Statement(sql=item.sql) for item in items] for items in (draft.up, draft.down))
    return checksum(up, down)


def _lines(draft: Draft) -> Iterator[str]:
    yield from _docstring(draft)
    yield ""
    names = ["Sql"] + (["irreversible"] if draft.irreversible is not None else [])
    yield f"from neuron_schema.ops import {', '.join(names)}"
    yield ""
    yield "# What this was made of, with checksums: who has applied all of it has applied this."
    yield from _replaces(draft.replaces)
    yield ""
    yield "# The checksum of what was shown to do the same: the text below stays as it is."
    yield f'proven = "{_checksum(draft)}"'
    if draft.settings:
        yield ""
        yield "settings = {"
        for name, value in draft.settings:
            yield f'    "{name}": {value if value.isdigit() else _one_line(value)},'
        yield "}"
    yield ""
    yield from _list("up", draft.up)
    yield ""
    if draft.irreversible is not None:
        yield f"down = irreversible({_one_line(draft.irreversible)})"
    else:
        yield from _list("down", draft.down)


def _docstring(draft: Draft) -> Iterator[str]:
    parts = draft.parts
    lines = [f"Versions {parts[0].version} to {parts[-1].version} as one.", ""]
    lines += [f"{one.label}: {one.description}" if one.description else one.label for one in parts]
    yield f'"""{_escaped(chr(10).join(lines))}'
    yield '"""'


def _replaces(sets: Sequence[RowSet]) -> Iterator[str]:
    several = len(sets) > 1
    indent = "    " if several else ""
    yield "replaces = [" if several else "replaces = {"
    for rows in sets:
        if several:
            yield "    {"
        for version, digest in rows:
            yield f'{indent}    "{version}": "{digest}",'
        if several:
            yield "    },"
    yield "]" if several else "}"


def _list(name: str, items: Sequence[Item]) -> Iterator[str]:
    if not items:
        yield f"{name} = []"
        return
    yield f"{name} = ["
    origin = None
    for item in items:
        if item.origin != origin:
            origin = item.origin
            # A file's name must not be able to end the comment.
            yield f"    # {''.join(c if c.isprintable() else '?' for c in origin)}"
        yield f"    Sql({_text(tidy(item.sql))}),"
    yield "]"


def tidy(sql: str) -> str:
    """Return SQL without what only an editor would mend, where PostgreSQL reads the same."""
    neat = _ENDS.sub("", sql.expandtabs(4))
    return neat if canonical(neat) == canonical(sql) else sql


def _text(text: str) -> str:
    """Return SQL as a Python literal that is easy to read."""
    if "\n" in text:
        return f'"""\n{_escaped(text)}\n"""'
    if '"' in text and "'" not in text and "\\" not in text and text.isprintable():
        return f"'{text}'"
    if '"' in text and not text.endswith('"'):
        return f'"""{_escaped(text)}"""'
    return _one_line(text)


def _one_line(text: str) -> str:
    """Return a Python literal on one line."""
    escaped = "".join(map(_letter, text)).replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _escaped(text: str) -> str:
    """Return text as it stands between three double quotes."""
    return "".join(map(_letter, text)).replace('"""', '\\"\\"\\"')


def _letter(letter: str) -> str:
    if letter == "\\":
        return "\\\\"
    if letter in "\n\t" or letter.isprintable():
        return letter
    # A bare \r would be read as the end of a line.
    return letter.encode("unicode_escape").decode()
