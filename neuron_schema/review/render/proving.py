"""What the proof of a version has shown, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.review.render.blocks import Code
from neuron_schema.review.render.changing import change_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.review.render.blocks import Text
    from neuron_schema.review.report import ReviewedVersion


def proof_word(version: ReviewedVersion) -> str:
    """Return in a few words whether ``down`` undoes ``up``."""
    proof = version.proof
    if not proof.proven:
        return "not proven"
    if version.irreversible is not None:
        return "irreversible"
    if proof.losses:
        return "proven, data are lost"
    return "proven"


def proof_details(version: ReviewedVersion) -> tuple[Text, ...]:
    """Return what was found, a text each."""
    return tuple(_details(version))


def _details(version: ReviewedVersion) -> Iterator[Text]:
    proof = version.proof
    if version.irreversible is not None:
        yield ("irreversible: ", version.irreversible)
    for failure in proof.failures:
        rows = " on tables with rows, and not on empty ones" if failure.rows_only else ""
        yield (Code(str(failure.phase)), f" fails{rows}: ", failure.message)
    for change in proof.residue:
        yield ("after ", Code("down"), " it is not as before: ", change_words(change))
    for change in proof.divergence:
        yield ("after ", Code("up"), " again it is not as after the first: ", change_words(change))
    for change in proof.order:
        yield ("only the order differs: ", change_words(change))
    for change in proof.validated:
        yield (Code("down"), " leaves what holds all the same: ", change_words(change))
    for loss in proof.losses:
        yield (Code(str(loss.direction)), " loses data of ", Code(loss.object), ": ", loss.what)
