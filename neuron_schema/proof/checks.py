"""Values that satisfy CHECK constraints, found by PostgreSQL itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import psycopg

from neuron_schema.quoting import identifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEFINITION: Final = re.compile(
    r"CHECK (\(.*\))(?: NO INHERIT| NOT VALID| NOT ENFORCED)*", re.DOTALL
)
_COMBINATIONS: Final = 50_000
_FOUND: Final = 12
NULL: Final = "NULL"
_NUMBER: Final = '"the number"'


def solve(
    connection: psycopg.Connection[Any], choices: Mapping[str, list[str]], checks: Sequence[str]
) -> list[dict[str, str]]:
    """Return values by column that satisfy checks, those first that stand first in ``choices``.

    Args:
        connection: In autocommit.
        choices: By column, typed expressions.
        checks: As ``pg_get_constraintdef`` prints them.
    """
    conditions = [match[1] for check in checks if (match := _DEFINITION.fullmatch(check))]
    if not conditions:
        longest = max((len(each) for each in choices.values()), default=0)
        if not all(choices.values()):
            return []
        return [
            {name: each[number % len(each)] for name, each in choices.items()}
            for number in range(min(longest, _FOUND))
        ]
    # An extreme may make the condition itself fail: an overflow.
    tame = {name: _without_extremes(each) for name, each in choices.items()}
    for offered in (choices, tame):
        found = _asked(connection, _cut(offered), conditions)
        if found:
            return found
    return []


def _without_extremes(expressions: list[str]) -> list[str]:
    """Return a column's choices without the two most hostile ones, which stand first."""
    hostile = [each for each in expressions if not each.startswith(NULL)][:2]
    return [each for each in expressions if each not in hostile] or expressions


def _cut(choices: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return so many choices of each column that there are not too many combinations."""
    most = max(2, int(_COMBINATIONS ** (1 / len(choices))))
    return {name: each[:most] for name, each in choices.items()}


def _asked(
    connection: psycopg.Connection[Any], choices: Mapping[str, list[str]], conditions: Sequence[str]
) -> list[dict[str, str]]:
    sides = []
    for place, (name, each) in enumerate(choices.items()):
        rows = ", ".join(f"({number}, {value})" for number, value in enumerate(each))
        sides.append(f"(VALUES {rows}) AS c{place}({_NUMBER}, {identifier(name)})")
    numbers = [f"c{place}.{_NUMBER}" for place in range(len(choices))]
    worst = f"GREATEST({', '.join(numbers)})"
    sql = (
        f"SELECT ARRAY[{', '.join(numbers)}] FROM {' CROSS JOIN '.join(sides)} "
        f"WHERE {' AND '.join(f'{condition} IS NOT FALSE' for condition in conditions)} "
        f"ORDER BY {worst}, {' + '.join(numbers)}, {', '.join(numbers)} LIMIT {_FOUND}"
    )
    try:
        rows_found = connection.execute(sql.encode()).fetchall()
    except psycopg.Error:
        if connection.closed:
            raise
        return []
    return [
        {name: each[number] for (name, each), number in zip(choices.items(), row[0], strict=True)}
        for row in rows_found
    ]
