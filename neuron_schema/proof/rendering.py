"""Differences that are PostgreSQL's way of printing alone.

What is printed and read again may be printed otherwise: ``x IN ('a')`` on a varchar becomes another
text in a database that was restored from a dump. So texts that differ are both given to PostgreSQL
once more, and what it makes of them is compared.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import psycopg

from neuron_schema.catalog import Action, Kind, diff
from neuron_schema.proof.statements import again

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.catalog import Change, ObjectName
    from neuron_schema.proof.ground import Ground

_TEXTS: Final = {
    Kind.COLUMN: {"default"},
    Kind.CONSTRAINT: {"definition"},
    Kind.INDEX: {"definition"},
    Kind.TRIGGER: {"definition"},
    Kind.RULE: {"definition"},
    Kind.POLICY: {"using", "check"},
    Kind.VIEW: {"definition"},
    Kind.MATERIALIZED_VIEW: {"definition"},
}


def only_rendered(ground: Ground, changes: Sequence[Change]) -> frozenset[ObjectName]:
    """Return the objects whose two texts mean the same to PostgreSQL.

    Args:
        ground: A database that stands at the side before; it is used up.
        changes: What tells the two sides apart.
    """
    doubtful = [change for change in changes if _is_text(change)]
    if not doubtful:
        return frozenset()
    read_again = [each for each in doubtful if _given(ground, _reversed(each))]
    before = ground.snapshot()
    read_again = [each for each in read_again if _given(ground, each)]
    differing = {change.object for change in diff(before, ground.snapshot())}
    return frozenset(each.object for each in read_again) - differing


def _is_text(change: Change) -> bool:
    """Whether both sides have it, and differ in a text that PostgreSQL printed alone."""
    known = _TEXTS.get(change.kind)
    return (
        known is not None
        and change.action is Action.CHANGED
        and {each.attribute for each in change.differences} <= known
    )


def _reversed(change: Change) -> Change:
    return replace(change, before=change.after, after=change.before)


def _given(ground: Ground, change: Change) -> bool:
    """Let PostgreSQL read the text after a change; return whether it takes it."""
    statements = again(change)
    if not statements:
        return False
    try:
        # In one message, which is one transaction.
        ground.connection.execute(";\n".join(statements).encode())
    except psycopg.Error:
        if ground.connection.closed:
            raise
        return False
    return True
