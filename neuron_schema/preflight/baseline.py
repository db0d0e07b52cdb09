"""Whether a database has what versions make that are to be marked as applied.

A version that is marked but not there would be missed by everything that comes after it, and
nobody would know why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.errors import ObjectsMissing
from neuron_schema.sqltext.lookup import absent_sql, array
from neuron_schema.sqltext.objects import net_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from neuron_schema.model import Plan

_NAMED = 20


def check_objects(
    ask: Callable[[str], Sequence[Any]], plan: Plan, path: Sequence[str]
) -> tuple[str, ...]:
    """Check that what the versions of a plan make is there.

    Args:
        ask: Runs one query, with nothing but ``pg_catalog`` in the search path.
        plan: The versions that are to be marked.
        path: The schemas in which unqualified names are looked for.

    Returns:
        Sentences about statements whose text does not tell what they make.

    Raises:
        ObjectsMissing: not all of it is there.
    """
    made = net_objects(statement for step in plan.steps for statement in step.statements)
    rows = ask(absent_sql(made.refs, path=array(("pg_catalog", *path)))) if made.refs else ()
    missing = [str(made.refs[number]) for (number,) in rows]
    if missing:
        more = f", and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise ObjectsMissing(
            f"not there: {', '.join(missing[:_NAMED])}{more}",
            where=plan.steps[-1].path,
            remedy="mark only the versions whose objects are there, and let `neuron-schema up` "
            "apply the others",
        )
    return tuple(f"what this made was not looked for: {text}" for text in made.not_understood)
