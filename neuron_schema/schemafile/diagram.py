"""An entity-relationship diagram of a schema: as text for Mermaid, and for Graphviz. Pure."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from neuron_schema.catalog import Column, Constraint, Relation, Snapshot

MOST_COLUMNS = 150
"""Columns in all; of a larger schema only the keys are shown."""

MOST_CHARACTERS = 50_000
MOST_EDGES = 500
"""What Mermaid draws at most, and GitHub lets nobody raise.
https://mermaid.js.org/config/schema-docs/config.html"""

# Mermaid has one word for a type and one for a column.
_SHORT = (
    (re.compile(r"(time(?:stamp)?)(\(\d\))? with time zone"), r"\1tz\2"),
    (re.compile(r"(time(?:stamp)?)(\(\d\))? without time zone"), r"\1\2"),
    (re.compile("double precision"), "float8"),
    (re.compile("character varying"), "varchar"),
    (re.compile("bit varying"), "varbit"),
)
_NO_WORD = re.compile(r"\W", re.ASCII)
_TYPE = re.compile(r"[a-zA-Z]\w*(\(\d+(,\d+)?\))?(\[\])*", re.ASCII)
# A column of one of these names would be read as what it marks.
_MARKS = frozenset({"pk", "fk", "uk"})
# A table of one of these would be read as an instruction.
_INSTRUCTIONS = frozenset(
    """
accdescr acctitle bt class classdef click direction end erdiagram graph href lr many more one only
optionally or rl style subgraph tb td title to u zero
""".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """What is drawn.

    Attributes:
        tables: The tables, partitions left out.
        keys_only: Whether columns that are in no key are left out.
    """

    tables: tuple[Relation, ...]
    keys_only: bool


def diagram(snapshot: Snapshot, *, keys_only: bool | None = None) -> Diagram:
    """Return what is drawn of a schema.

    Args:
        snapshot: The schema.
        keys_only: Leave out columns that are in no key; None for a large schema only.
    """
    tables = tuple(table for table in snapshot.tables if table.partition_bound is None)
    if keys_only is None:
        keys_only = sum(len(table.columns) for table in tables) > MOST_COLUMNS
    return Diagram(tables=tables, keys_only=keys_only)


def mermaid(drawn: Diagram) -> str:
    """Return the diagram as Mermaid text."""
    names = _words(drawn.tables)
    lines = ["erDiagram"]
    for table in drawn.tables:
        name = names[table.schema, table.name]
        shown = _label(table)
        head = f'    {name}["{_escaped(shown)}"]' if shown != name else f"    {name}"
        body = [f"        {line}" for line in _columns(_shown(table, drawn))]
        lines += [f"{head} {{", *body, "    }"] if body else [head]
    for table in drawn.tables:
        lines += [f"    {_relationship(table, key, names)}" for key in _drawable(table, names)]
    return "\n".join(lines) + "\n"


def _label(table: Relation) -> str:
    return table.name if table.schema == "public" else f"{table.schema}.{table.name}"


def _words(tables: Iterable[Relation]) -> dict[tuple[str, str], str]:
    """Return a word for each table that Mermaid takes for a name, each once."""
    found: dict[tuple[str, str], str] = {}
    used: set[str] = set()
    for table in tables:
        word = _word(_label(table), "t")
        word = _unused(f"t_{word}" if word.lower() in _INSTRUCTIONS else word, used)
        used.add(word)
        found[table.schema, table.name] = word
    return found


def _word(name: str, before: str) -> str:
    word = _NO_WORD.sub("_", name)
    return word if word[:1].isalpha() else f"{before}_{word}"


def _unused(word: str, used: set[str]) -> str:
    number, free = 1, word
    while free in used:
        number += 1
        free = f"{word}_{number}"
    return free


def _columns(columns: Iterable[tuple[Column, Sequence[str]]]) -> Iterator[str]:
    used: set[str] = set()
    for column, marks in columns:
        word = _word(column.name, "c")
        word = _unused(f"{word}_" if word.lower() in _MARKS else word, used)
        used.add(word)
        parts = [_type_word(column.type), word]
        if marks:
            parts.append(",".join(marks))
        notes = [column.name] if word != column.name else []
        if notes:
            parts.append(f'"{_escaped(" ".join(notes))}"')
        yield " ".join(parts)


def short_type(kind: str) -> str:
    """Return a type by PostgreSQL's shorter names: ``timestamptz``, ``varchar(40)``."""
    for long, short in _SHORT:
        kind = long.sub(short, kind)
    return kind


def _type_word(kind: str) -> str:
    """Return a type as one word that Mermaid takes for one."""
    text = short_type(kind.replace('"', ""))
    base, bracket, rest = text.partition("(")
    text = base.rpartition(".")[2] + bracket + rest
    return text if _TYPE.fullmatch(text) else _word(text, "t")


def _shown(table: Relation, drawn: Diagram) -> Iterator[tuple[Column, Sequence[str]]]:
    """Yield the columns that are drawn, and how each is marked."""
    key = table.primary_key
    marked = {
        "PK": set(key.columns if key is not None else ()),
        "FK": {name for each in table.foreign_keys for name in each.columns},
        "UK": {
            name
            for each in table.constraints
            if each.type == "unique" and len(each.columns) == 1
            for name in each.columns
        },
    }
    for column in table.columns:
        marks = [mark for mark, names in marked.items() if column.name in names]
        if marks or not drawn.keys_only:
            yield column, marks


def _drawable(table: Relation, names: dict[tuple[str, str], str]) -> Iterator[Constraint]:
    for key in table.foreign_keys:
        if key.references and (key.references.schema, key.references.table) in names:
            yield key


def _relationship(table: Relation, key: Constraint, names: dict[tuple[str, str], str]) -> str:
    """Return a foreign key: one or none of what it refers to, for any number or one of these."""
    references = key.references
    assert references is not None  # noqa: S101 - _drawable saw to it
    one = "||" if _required(table, key) else "|o"
    many = "o|" if _unique(table, key) else "o{"
    target = names[references.schema, references.table]
    own = names[table.schema, table.name]
    return f'{target} {one}--{many} {own} : "{_escaped(", ".join(key.columns))}"'


def _required(table: Relation, key: Constraint) -> bool:
    return all(column.not_null for column in table.columns if column.name in key.columns)


def _unique(table: Relation, key: Constraint) -> bool:
    """Whether no two rows refer to the same one."""
    keys = (each for each in table.constraints if each.type in ("primary key", "unique"))
    return any(set(each.columns) <= set(key.columns) for each in keys)


def _escaped(text: str) -> str:
    """Return text that may stand between Mermaid's quotes."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return (
        shown.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
    )


def too_large(text: str, drawn: Diagram) -> str | None:
    """Return why Mermaid would not draw a text, or None."""
    edges = sum(len(table.foreign_keys) for table in drawn.tables)
    if len(text) > MOST_CHARACTERS:
        return f"the text has {len(text)} characters; Mermaid draws {MOST_CHARACTERS}"
    return (
        f"there are {edges} foreign keys; Mermaid draws {MOST_EDGES}"
        if edges > MOST_EDGES
        else None
    )


def dot(drawn: Diagram) -> str:
    """Return the diagram as text for Graphviz."""
    lines = [
        "digraph schema {",
        "    graph [rankdir=LR, nodesep=0.4, ranksep=1.2, bgcolor=white];",
        '    node [shape=plain, fontname="Helvetica", fontsize=10];',
        '    edge [fontname="Helvetica", fontsize=8, color="#57606a", arrowsize=0.7];',
    ]
    lines += [f"    {_node(each)} [label=<{_html_table(each, drawn)}>];" for each in drawn.tables]
    known = {(table.schema, table.name) for table in drawn.tables}
    for table in drawn.tables:
        for key in table.foreign_keys:
            reference = key.references
            if reference is None or (reference.schema, reference.table) not in known:
                continue
            target = _quote(f"{reference.schema}.{reference.table}")
            style = "" if _required(table, key) else ", style=dashed"
            label = _quote(", ".join(key.columns))
            lines.append(f"    {_node(table)} -> {target} [label={label}{style}];")
    return "\n".join([*lines, "}"]) + "\n"


def _node(table: Relation) -> str:
    return _quote(f"{table.schema}.{table.name}")


def _quote(text: str) -> str:
    shown = "".join(c if c.isprintable() else " " for c in text)
    return '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _html_table(table: Relation, drawn: Diagram) -> str:
    head = _text(_label(table))
    rows = [
        f'<tr><td bgcolor="#0969da" colspan="3"><font color="white"><b>{head}</b></font></td></tr>'
    ]
    for column, words in _shown(table, drawn):
        marks = " ".join(words)
        name = _text(column.name)
        name = f"<b>{name}</b>" if "PK" in marks else name
        kind = _text(column.type.removeprefix("public.") + ("" if column.not_null else " ?"))
        rows.append(
            f'<tr><td align="left">{name}</td><td align="left">{kind}</td>'
            f'<td align="left">{marks}</td></tr>'
        )
    attributes = 'border="1" color="#57606a" cellborder="0" cellspacing="0" cellpadding="3"'
    return f"<table {attributes}>{''.join(rows)}</table>"


def _text(text: str) -> str:
    shown = "".join(c if c.isprintable() else " " for c in text)
    return html.escape(shown) or " "
