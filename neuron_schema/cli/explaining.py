"""``explain``: what a hazard is, what it does, and what to do instead. Needs no database."""

# ruff: noqa: TC001 - Typer reads annotations at run time
from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from neuron_schema.cli.invocation import Invocation
from neuron_schema.cli.options import Json
from neuron_schema.cli.output import columns, note, say

if TYPE_CHECKING:
    from neuron_schema.review.hazards import Hazard


def complete_hazard(incomplete: str) -> list[str]:
    """Return the hazards that begin so, for the shell's completion."""
    from neuron_schema.review.hazards import HAZARDS

    return [each for each in HAZARDS if each.startswith(incomplete)]


def explain(
    hazard: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="[HAZARD]", help="A hazard.", autocompletion=complete_hazard),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Explain a hazard that review finds; without one, list them all."""
    with Invocation("explain", as_json=as_json) as call:
        from neuron_schema.review.hazards import HAZARDS
        from neuron_schema.review.hazards.pages import plain, text

        if hazard is not None:
            found = _found(hazard)
            call.put(hazards=[plain(found)])
            if not as_json:
                say(text(found))
            return
        call.put(hazards=[plain(each) for each in HAZARDS.values()])
        if not as_json:
            for line in columns([(each.id, each.title) for each in HAZARDS.values()]):
                say(line)
            note("neuron-schema explain HAZARD tells of one")


def _found(word: str) -> Hazard:
    """Return a hazard by its id.

    Raises:
        UsageError: there is none of that id.
    """
    from neuron_schema.errors import UsageError
    from neuron_schema.review.hazards import HAZARDS
    from neuron_schema.settings import suggest

    found = HAZARDS.get(word)
    if found is None:
        raise UsageError(
            f"there is no hazard {word!r}",
            remedy=suggest(word, HAZARDS) or "neuron-schema explain lists them",
        )
    return found
