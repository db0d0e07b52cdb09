"""The page of a hazard, as text and as Markdown, and the directory of all of them.

``python -m neuron_schema.review.hazards.pages docs/hazards`` writes that directory anew.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from neuron_schema.review.hazards.registry import GROUPS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from neuron_schema.review.hazards.model import Example, Hazard

_WIDTH: Final = 100
_INDEX: Final = "README.md"
_HEAD: Final = """\
# Hazards

What `neuron-schema review` looks for. `neuron-schema explain HAZARD` prints one of these pages.
Each is found by what PostgreSQL did on a throw-away server, never by the text of a statement; the
examples of each are run by the tests.

A version accepts a hazard in its module, with the reason:

```python
accept = {"create-index-blocking": "the table is empty until the launch"}
```
"""


def text(hazard: Hazard) -> str:
    """Return a hazard's page for a terminal."""
    parts = [f"{hazard.id}: {hazard.title}"]
    parts += [
        f"{heading}\n" + textwrap.fill(said, _WIDTH, initial_indent="  ", subsequent_indent="  ")
        for heading, said in _paragraphs(hazard)
    ]
    for heading, modules in _examples(hazard):
        parts.append(heading)
        parts += [f"  # {name}\n{textwrap.indent(said, '  ')}" for name, said in modules]
    return "\n\n".join(part.rstrip("\n") for part in (*parts, hazard.page))


def markdown(hazard: Hazard) -> str:
    """Return a hazard's page in Markdown."""
    parts = [f"# `{hazard.id}`", f"{hazard.title}."]
    for heading, said in _paragraphs(hazard):
        parts += [f"## {heading}", textwrap.fill(said, _WIDTH, break_on_hyphens=False)]
    for heading, modules in _examples(hazard):
        parts.append(f"## {heading}")
        for name, said in modules:
            parts.append(f"`{name}`\n\n```python\n{said.rstrip()}\n```")
    owner = "PostgreSQL" if "postgresql.org" in hazard.page else "pgvector"
    parts += [f"[{owner} on it]({hazard.page})", f"[All hazards]({_INDEX})"]
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """Return the list of all hazards in Markdown."""
    parts = [_HEAD.rstrip()]
    for heading, hazards in GROUPS.items():
        rows = [f"| [`{each.id}`]({each.id}.md) | {each.title} |" for each in hazards]
        parts.append("\n".join([f"## {heading}\n", "| hazard | what it is |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def plain(hazard: Hazard) -> dict[str, Any]:
    """Return a hazard as ``json.dumps`` takes it."""
    return {
        "id": hazard.id,
        "title": hazard.title,
        "condition": hazard.condition,
        "effect": hazard.effect,
        "remedy": hazard.remedy,
        "page": hazard.page,
        "bad": _plain(hazard.bad),
        "good": _plain(hazard.good),
    }


def _plain(example: Example) -> dict[str, str]:
    return dict([("001_tables.py", example.base), *_modules(example)])


def files() -> Mapping[str, str]:
    """Return the names and the text of all files of the directory."""
    return {_INDEX: index(), **{f"{each.id}.md": markdown(each) for each in HAZARDS.values()}}


def write(directory: Path) -> None:
    """Write the directory anew: files of hazards that are no more go."""
    directory.mkdir(parents=True, exist_ok=True)
    wanted = files()
    for path in directory.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, said in wanted.items():
        (directory / name).write_text(said, encoding="utf-8", newline="\n")


def _paragraphs(hazard: Hazard) -> Sequence[tuple[str, str]]:
    return (
        ("When", hazard.condition),
        ("What it does", hazard.effect),
        ("Instead", f"{hazard.remedy}."),
    )


def _examples(hazard: Hazard) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield headings, each with the names and the text of modules; the tables are told of last."""
    yield "With the hazard", _modules(hazard.bad)
    yield "Without it", _modules(hazard.good)
    bases = dict.fromkeys((hazard.bad.base, hazard.good.base))
    yield "The tables of the examples", [("001_tables.py", base) for base in bases]


def _modules(example: Example) -> list[tuple[str, str]]:
    """Return the names of an example's modules under review, with their text."""
    return [
        (f"{number:03d}_example.py", source) for number, source in enumerate(example.modules, 2)
    ]


if __name__ == "__main__":
    write(Path(sys.argv[1]))
