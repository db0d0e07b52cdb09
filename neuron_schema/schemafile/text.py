"""``schema.sql``: what stands in it, and how it is read again. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuron_schema.canonical import leading_words, split
from neuron_schema.errors import SnapshotUnusable
from neuron_schema.model import ended
from neuron_schema.schemafile.render import render
from neuron_schema.schemafile.rows import refresh_blocks, row_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from neuron_schema.catalog import Snapshot
    from neuron_schema.schemafile.blocks import Block
    from neuron_schema.schemafile.rows import Contents

_TITLE = "-- The schema after {version}. Written by `neuron-schema snapshot`: do not edit."
_FACTS = ("server", "current schema", "cannot start from this", "not in this file")
_FACT = re.compile(rf"-- ({'|'.join(_FACTS)}): (.*)")

# As the texts were made; and nothing is looked up where a stranger could have put it.
_OPENING = """\
BEGIN;

SET LOCAL search_path = '';
SET LOCAL check_function_bodies = off;
SET LOCAL standard_conforming_strings = on;
SET LOCAL "IntervalStyle" = postgres;
SET LOCAL xmloption = content;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFile:
    """What ``schema.sql`` tells of itself, and its statements.

    Attributes:
        server: The major version of the server that told the schema.
        schema: Where names without a schema were made.
        obstacles: Why a database cannot start from the file, as sentences.
        left_out: What is part of the schema and not in the file.
        statements: All but BEGIN and COMMIT.
    """

    server: int
    schema: str | None
    obstacles: tuple[str, ...]
    left_out: tuple[str, ...]
    statements: tuple[str, ...]


def written(
    snapshot: Snapshot,
    contents: Contents,
    *,
    version: str,
    schema: str | None,
    search_path: str,
    obstacles: Sequence[str] = (),
) -> str:
    """Return the text of ``schema.sql``.

    Args:
        snapshot: The schema after the newest version.
        contents: What is in the database beside it, the same on every run.
        version: The newest version with its name; "" for none.
        schema: Where names without a schema were made; None for nowhere.
        search_path: What functions that rows need are to look names up in.
        obstacles: Why a database cannot start from the file, beside what ``contents`` tells.

    Raises:
        SchemaNotRendered: objects need each other in a circle.
    """
    rendered = render(snapshot, filled=contents.filled, usual_comments=contents.comments)
    order = {
        block.title.removeprefix("table "): number for number, block in enumerate(rendered.blocks)
    }
    rows = row_blocks(contents, order)
    facts = [("server", f"PostgreSQL {snapshot.server_major}")]
    facts += [("current schema", schema)] if schema is not None else []
    facts += [(_FACTS[2], _one_line(each)) for each in (*obstacles, *contents.obstacles)]
    facts += [(_FACTS[3], _one_line(each)) for each in rendered.left_out]
    head = [_TITLE.format(version=_one_line(version) or "no version")]
    head += [f"-- {key}: {_one_line(value)}" for key, value in facts]
    parts = ["\n".join(head) + "\n", _OPENING, *_shown(rendered.blocks)]
    if rows:
        parts.append(f"SET LOCAL search_path = {search_path};\n")
        parts += _shown(rows)
        parts.append("SET LOCAL search_path = '';\n")
    parts += _shown(refresh_blocks(snapshot, contents))
    parts += [*_shown(rendered.late), "COMMIT;\n"]
    return "\n".join(parts)


def _shown(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        lines = "\n".join(ended(sql) for sql in block.statements)
        yield f"-- {_one_line(block.title)}\n{lines}\n"


def _one_line(text: str) -> str:
    """Return text that cannot end the comment that it stands in."""
    return " ".join(text.split())


def parse(text: str, where: str) -> SchemaFile:
    """Return what a file tells.

    Raises:
        SnapshotUnusable: it is none that ``neuron-schema snapshot`` wrote.
    """
    facts: dict[str, list[str]] = {key: [] for key in _FACTS}
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        match = _FACT.fullmatch(line)
        if match is not None:
            facts[match[1]].append(match[2])
    server = (facts["server"] or [""])[0].removeprefix("PostgreSQL ")
    if not server.isdigit():
        raise SnapshotUnusable(
            "this is no file that `neuron-schema snapshot` wrote",
            where=where,
            remedy="neuron-schema snapshot",
        )
    statements = tuple(sql for sql in split(text) if _word(sql) not in ("BEGIN", "COMMIT"))
    return SchemaFile(
        server=int(server),
        schema=next(iter(facts["current schema"]), None),
        obstacles=tuple(facts[_FACTS[2]]),
        left_out=tuple(facts[_FACTS[3]]),
        statements=statements,
    )


def _word(sql: str) -> str:
    words = leading_words(sql, 1)
    return words[0] if words else ""
