"""Hazards of how long a version waits for its locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards.facts import lock_timeouts, ran, set_limit, stops
from neuron_schema.review.hazards.model import Hazard, example, source
from neuron_schema.review.hazards.wording import duration, finding, listed, reasons, table_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.hazards.facts import Ran
    from neuron_schema.review.measures import TableLock

_USUAL_MS: Final = 1000
"""As long as the runner waits by default: whoever sets that, or less, holds nobody up longer."""


def _set(case: Case) -> Iterator[Finding]:
    """Yield what makes a version wait longer than the runner would.

    A limit in ``settings`` is the author's to give; that there is none is told wherever it is
    said, as others wait behind the version for just as long.
    """
    limits = lock_timeouts(case)
    changes = [number for number, each in limits.items() if each.after != each.before]
    if limits and set_limit(case) == 0:
        strong = list(_strong(case, 1, changes))
        yield _finding(case, None, "`settings` sets lock_timeout to 0", 0, strong)
    for number in changes:
        limit = limits[number].after
        if 0 < limit <= _USUAL_MS:
            continue
        if limits[number].reset:
            to = "back to the server's own, which is no limit unless somebody gave it one"
        else:
            to = f"to {duration(limit) if limit else 0}"
        said = f"Statement {number} sets lock_timeout {to}"
        strong = list(_strong(case, number, [each for each in changes if each > number]))
        yield _finding(case, number, said, limit, strong)


def _strong(case: Case, first: int, changes: list[int]) -> Iterator[tuple[Ran, TableLock]]:
    """Yield the locks that stop others, from a statement on to the one that sets it anew."""
    last = changes[0] if changes else len(case.measure.statements)
    for each in ran(case):
        if first <= each.number <= last:
            yield from ((each, lock) for lock in each.measure.locks if stops(lock))


def _finding(
    case: Case, number: int | None, said: str, limit: int, strong: list[tuple[Ran, TableLock]]
) -> Finding:
    long = f"up to {duration(limit)} at each attempt" if limit else "without a limit"
    told = [
        f"statement {each.number} waits {long} for {lock.mode} on {table_name(lock.table)}"
        for each, lock in strong
    ]
    end = (
        f"{listed(told)}, and all others who use it wait behind it for as long"
        if told
        else f"what comes after it waits for locks {long}"
    )
    severity = Severity.BLOCKING if strong and not limit else Severity.CAUTION
    return finding(
        case,
        "lock-timeout-raised",
        severity if strong or not limit else Severity.NOTE,
        None,
        f"{said}: {end}",
        statement=number,
        reasons=dict.fromkeys(
            text for each, lock in strong for text in reasons(case, each, lock.table)
        ),
    )


_ITEMS: Final = """
items = Table("items", MetaData(), Column("title", Text))
"""
_DOWN: Final = "down = [DropColumn(items.c.title)]"

HAZARDS: Final = (
    Hazard(
        id="lock-timeout-raised",
        title="A version that waits long for its locks",
        condition="A statement makes lock_timeout longer than a second, or 0, which is no limit; "
        "or `settings` says 0.",
        effect="Whoever comes to a table while a strong lock on it is waited for waits too. The "
        "runner waits briefly and tries again, so that one long transaction of somebody else does "
        "not stop everybody; a version that takes the limit away gives that up, and `up` may hang "
        "with all others behind it.",
        remedy="Leave lock_timeout to the runner; where one version has to wait longer, give it a "
        "limit in `settings`",
        page="https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT",
        bad=example(
            source(
                "Items have titles",
                f"""{_ITEMS}
up = [Sql("SET LOCAL lock_timeout = 0"), AddColumn(items.c.title)]
{_DOWN}
""",
            )
        ),
        good=example(
            source(
                "Items have titles",
                f"""{_ITEMS}
settings = {{"lock_timeout": "5s"}}
up = [AddColumn(items.c.title)]
{_DOWN}
""",
            )
        ),
        check=_set,
    ),
)
