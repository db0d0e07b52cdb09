"""Measures statements for the tests of the tracer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.history import HistoryTable
from neuron_schema.proof.ground import Workshop
from neuron_schema.review.tracer import measure
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from neuron_schema.model import Migration
    from neuron_schema.proof.shadow import Shadow
    from neuron_schema.review.measures import Measure, VersionMeasure


def measured(
    shadow: Shadow,
    directory: Path,
    setup: str | Sequence[str],
    up: str | Sequence[str],
    **version: str,
) -> VersionMeasure:
    """Measure a second version on the schema that a first one makes.

    Args:
        shadow: The server.
        directory: Where the versions are written.
        setup: The first version's statements.
        up: The second one's; Python source where ``version`` is given.
        version: What else ``write_version`` takes.
    """
    write_version(directory, "001_setup", up=[setup] if isinstance(setup, str) else setup)
    source = up if version or not isinstance(up, str) else [up]
    write_version(directory, "002_x", up=source, **version)
    return measured_last(shadow, directory)


def measured_last(
    shadow: Shadow,
    directory: Path,
    history: HistoryTable | None = None,
    *,
    search_path: str | None = None,
    beforehand: tuple[str, ...] = (),
) -> VersionMeasure:
    """Measure the last version of a directory."""
    versions = VersionSet(directory)
    *before, last = versions.migrations()
    place = Workshop(
        shadow=shadow,
        directory=versions.directory,
        history=history or HistoryTable(),
        search_path=search_path,
        beforehand=beforehand,
    )
    with place.roles_put_back(before), place.database() as base:
        with place.open(base) as ground:
            ground.run(before)
        return measure(place, base, last)


def loaded(directory: Path) -> list[Migration]:
    """Return the versions of a directory."""
    return list(VersionSet(directory).migrations())


def shipped(measure: VersionMeasure, number: int = 1) -> Measure:
    """Return what a statement did in its version's transaction."""
    found = measure.statements[number - 1].shipped
    assert found is not None
    return found


def alone(measure: VersionMeasure, number: int = 1) -> Measure:
    """Return what a statement did in a transaction of its own."""
    found = measure.statements[number - 1].alone
    assert found is not None
    return found
