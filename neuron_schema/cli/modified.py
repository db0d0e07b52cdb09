"""What was altered in a version since it was applied: its SQL then and now."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING

from neuron_schema.cli.output import note_text, one_line, paint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.address import Address
    from neuron_schema.cli.invocation import Invocation
    from neuron_schema.history import Look
    from neuron_schema.model import Migration

_COLOURS = {"-": "red", "+": "green", "@": "dim"}


def show_modified(call: Invocation, address: Address, look: Look) -> None:
    """Print how the modified versions differ from what the log recorded of them.

    With ``--json`` it is ``diffs`` in the object. Where the log tells nothing of a version, or
    another text than the applied one, nothing is shown of it.
    """
    from neuron_schema import standing
    from neuron_schema.errors import PrivilegeMissing
    from neuron_schema.model import Status

    infos = call.versions.infos()
    modified = {
        int(line.version): line
        for line in standing.statuses(infos, look.applied)
        if line.status is Status.MODIFIED
    }
    if not modified or not look.log_exists:
        return
    try:
        known = call.recorded(address, look, [line.version for line in modified.values()])
    except PrivilegeMissing:
        # Who may read the history need not be let read the log.
        return
    then = {one.number: one for one in known if one.checksum == modified[one.number].checksum}
    now = call.versions.migrations([info for info in infos if info.number in then])
    texts = {one.version: list(_difference(then[one.number], one)) for one in now}
    call.put(diffs=[{"version": each, "diff": "\n".join(text)} for each, text in texts.items()])
    if not call.as_json:
        for text in texts.values():
            for line in text:
                shown = one_line(line.expandtabs())
                note_text(paint(shown, _COLOURS.get(line[:1], ""), sys.stderr))


def _difference(then: Migration, now: Migration) -> Iterator[str]:
    lines = difflib.unified_diff(
        list(_lines(then)),
        list(_lines(now)),
        f"{now.label} as it was applied",
        f"{now.label} now",
        lineterm="",
    )
    return (line.rstrip("\n") for line in lines)


def _lines(migration: Migration) -> Iterator[str]:
    yield "-- up"
    yield from migration.up.splitlines()
    yield "-- down"
    if migration.irreversible is not None:
        yield f"-- irreversible: {migration.irreversible}"
    yield from migration.down.splitlines()
