"""One report, many formats: a value in, text out. Pure.

The same report makes the same bytes, whenever and wherever it is rendered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from neuron_schema.review.findings import Severity
from neuron_schema.review.render.helping import Help

if TYPE_CHECKING:
    from collections.abc import Mapping

    from neuron_schema.review.report import ReviewReport

__all__ = ["FORMATS", "MARKER", "MOST_CHARACTERS", "Help", "render"]

FORMATS: Final = ("terminal", "markdown", "github", "sarif", "gitlab", "json", "html")

MARKER: Final = "<!-- neuron-schema:report -->"
"""The first line of Markdown, by which a comment is found again to be updated."""

MOST_CHARACTERS: Final = 60_000
"""Of Markdown, counted in bytes; GitHub takes a comment of 65,536 characters."""

_NO_HELP: Final[Mapping[str, Help]] = {}


def render(
    report: ReviewReport,
    format: str,  # noqa: A002 - the word that the command has for it
    *,
    fail_on: Severity | None = Severity.BLOCKING,
    max_chars: int = MOST_CHARACTERS,
    color: bool = False,
    helps: Mapping[str, Help] = _NO_HELP,
    version: str = "",
) -> str:
    """Return a report in a format; each ends with a line end, or is empty.

    Args:
        report: What was found.
        format: One of ``FORMATS``.
        fail_on: From which severity on findings fail the review, None for never; it is told of,
            and changes nothing else.
        max_chars: How long Markdown may become.
        color: Whether text for a terminal has colours.
        helps: What is known of hazards, by their ids; SARIF and links show it.
        version: Of neuron-schema itself; SARIF shows it.

    Raises:
        ValueError: there is no such format.
    """
    match format:
        case "github":
            from neuron_schema.review.render.annotations import workflow_commands

            return workflow_commands(report)
        case "sarif":
            from neuron_schema.review.render.sarif import sarif

            return sarif(report, helps, version)
        case "gitlab":
            from neuron_schema.review.render.codequality import code_quality

            return code_quality(report)
        case "json":
            from neuron_schema.review.render.as_json import render_json

            return render_json(report, fail_on)
    return _for_people(report, format, fail_on, helps, max_chars=max_chars, color=color)


def _for_people(
    report: ReviewReport,
    wanted: str,
    fail_on: Severity | None,
    helps: Mapping[str, Help],
    *,
    max_chars: int,
    color: bool,
) -> str:
    from neuron_schema.review.render.telling import document

    told = document(report, fail_on, helps)
    match wanted:
        case "terminal":
            from neuron_schema.review.render.terminal import terminal

            return terminal(told, color=color)
        case "markdown":
            from neuron_schema.review.render.markdown import markdown

            return markdown(told, marker=MARKER, most=max_chars)
        case "html":
            from neuron_schema.review.render.page import page

            return page(told)
    raise ValueError(f"{wanted!r} is no format; there are {', '.join(FORMATS)}")
