"""The table of the documentation, as Markdown."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.truth.ours import Told
    from benchmarks.truth.statements import Example

VERDICTS: Final = ("right", "false alarm", "miss")
_HEAD: Final = """\
# What statements do, and what is said of them

Made by `python -m benchmarks.truth`; not edited by hand. Each statement was run on a throw-away
PostgreSQL, on tables with a few rows; *measured* is what it locked and did there. What a tool has
to say follows from that:

- **long**: work that grows with a table while others wait for it, or in one transaction;
- **fails**: it is refused, always or where there are rows;
- **takes away**: rows, or what the running release asks for, are gone;
- **another table**: one is locked against writes that the statement is not about;
- **nothing**: at most a short lock. A tool that speaks of one is right too: only who claims one of
  the four raises a false alarm.

squawk reads the text alone: it cannot know a CHECK that was there before, or the time zone. It was
run with `--pg-version {pg_version} --assume-in-transaction` and without any configuration. Which of
its rules claims what is said in `benchmarks/truth/claims.py`, and what has to be said of each
statement, and why, in `benchmarks/truth/statements.py`.
"""


def page(
    examples: Sequence[Example],
    ours: Mapping[str, Told],
    theirs: Mapping[str, Told],
    about: tuple[str, str, str],
) -> str:
    """Return the page.

    Args:
        examples: The statements.
        ours: What neuron-schema says, by the statement's name.
        theirs: What squawk says.
        about: The server's version, squawk's, and the version that squawk was told of.
    """
    server, squawk, pg_version = about
    lines = [
        _HEAD.format(pg_version=pg_version),
        f"Measured on PostgreSQL {server}; {squawk}.",
        "",
        "| | right | false alarm | miss |",
        "|---|---:|---:|---:|",
        total("neuron-schema", list(ours.values())),
        total("squawk", list(theirs.values())),
        "",
        "| statement | measured | has to be said | neuron-schema | squawk |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"{row(example, ours[example.name])} {_cell(theirs[example.name])} |"
        for example in examples
    ]
    return "\n".join(lines) + "\n"


def total(name: str, told: Sequence[Told]) -> str:
    """Return the row of one tool's figures."""
    counts = Counter(each.verdict for each in told)
    return f"| {name} | " + " | ".join(str(counts[verdict]) for verdict in VERDICTS) + " |"


def row(example: Example, ours: Told) -> str:
    """Return a statement's row up to and with our verdict."""
    sql = example.sql.replace("|", "\\|")
    cells = [
        f"{example.name}<br>`{sql}`",
        ours.measured,
        f"{example.must or 'nothing'}: {example.why}",
        _cell(ours),
    ]
    return f"| {' | '.join(cells)} |"


def _cell(told: Told) -> str:
    names = ", ".join(f"`{name}`" for name in told.names)
    verdict = told.verdict if told.verdict == "right" else f"**{told.verdict}**"
    return f"{verdict}: {names}" if names else verdict
