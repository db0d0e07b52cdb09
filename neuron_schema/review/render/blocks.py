"""What a report consists of before it has a format: paragraphs, tables, folds.

All text in it is as it came; each format escapes it in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from neuron_schema.catalog import Relation
    from neuron_schema.review.findings import Severity


@dataclass(frozen=True, slots=True)
class Code:
    """A name or a piece of SQL within a text."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """A word that must be seen."""

    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """A page elsewhere; the address is the project's own or PostgreSQL's."""

    text: str
    address: str


Inline: TypeAlias = str | Code | Strong | Link
Text: TypeAlias = tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph.

    Attributes:
        text: Its text.
        label: What it is about, set before it: ``Remedy``; "" for none.
    """

    text: Text
    label: str = ""


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list without an order."""

    items: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Attributes:
        caption: What it shows.
        head: The columns' titles.
        rows: Of as many cells.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Lines of code.

    Attributes:
        language: ``sql`` or ``python``.
        text: The lines.
        label: The name of their file, or "" where what is around says what they are.
    """

    language: str
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """The tables that changed, with their neighbours.

    Attributes:
        mermaid: As Mermaid.
        tables: As values, to be drawn; empty where only the text is known.
        changed: Names of tables ``(schema, name)`` that are new or not as they were.
        columns: Names ``(schema, table, column)`` of columns of older tables that are.
        new: Names of tables that were not there before.
    """

    mermaid: str
    tables: tuple[Relation, ...]
    changed: frozenset[tuple[str, str]]
    columns: frozenset[tuple[str, str, str]]
    new: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Fold:
    """What is shown when it is asked for, where a format can."""

    summary: Text
    blocks: tuple[Block, ...]


Block: TypeAlias = Paragraph | Bullets | Grid | Source | Drawing | Fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part with a heading.

    Attributes:
        title: The heading.
        blocks: What stands below it.
        parts: Sections within it, the most important first.
        noun: What one of the parts is, for ``12 more findings``.
        severity: Of the finding that it tells of.
    """

    title: Text
    blocks: tuple[Block, ...] = ()
    parts: tuple[Section, ...] = ()
    noun: str = ""
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A report for a person.

    Attributes:
        title: The verdict in a few words.
        severity: Of the worst open finding.
        lead: What has to be known first.
        sections: The most important first.
    """

    title: str
    severity: Severity | None
    lead: tuple[Block, ...]
    sections: tuple[Section, ...]


def plain_text(text: Text) -> str:
    """Return a text without its marks."""
    return "".join(each if isinstance(each, str) else each.text for each in text)
