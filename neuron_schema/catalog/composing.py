"""The plain majority of index and constraint definitions, as PostgreSQL words them. Pure.

``pg_get_indexdef`` takes 50 microseconds in a fresh session, so that a thousand tables would take
most of a second. What has the plain form below is worded here; all else is asked of the server.
Tests hold every definition against the server's own.
https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/ruleutils.c
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

ACTIONS = {
    "a": "no action",
    "r": "restrict",
    "c": "cascade",
    "n": "set null",
    "d": "set default",
}
"""https://www.postgresql.org/docs/current/catalog-pg-constraint.html"""

_BARE = re.compile(r"[a-z_][a-z0-9_]*")
_ORDERS = {"0": "", "1": " DESC NULLS LAST", "2": " NULLS FIRST", "3": " DESC"}


def quoted(names: Iterable[str], keywords: Collection[str]) -> frozenset[str]:
    """Return those of the names that PostgreSQL prints in quotes.

    Args:
        names: Any.
        keywords: All that are not free to be names.
    """
    return frozenset(name for name in names if not _BARE.fullmatch(name) or name in keywords)


def index_definition(
    name: str, table: tuple[str, str], columns: Sequence[str | None], orders: str, *, unique: bool
) -> str:
    """Word a btree index on columns alone, all of them in their type's order and collation.

    Args:
        name: The index.
        table: Schema and name.
        columns: The key columns; there are no others.
        orders: ``indoption``: a number for each.
        unique: Whether it is.
    """
    keys = ", ".join(
        f"{column}{_ORDERS[order]}" for column, order in zip(columns, orders.split(), strict=True)
    )
    create = "CREATE UNIQUE INDEX" if unique else "CREATE INDEX"
    return f"{create} {name} ON {table[0]}.{table[1]} USING btree ({keys})"


def key_definition(contype: str, columns: Sequence[str | None]) -> str:
    """Word a primary key or UNIQUE without INCLUDE, NULLS NOT DISTINCT and DEFERRABLE."""
    return f"{'PRIMARY KEY' if contype == 'p' else 'UNIQUE'} ({', '.join(map(str, columns))})"


def foreign_key_definition(
    columns: Sequence[str | None],
    table: tuple[str, str],
    referenced: Sequence[str | None],
    *,
    on_update: str,
    on_delete: str,
) -> str:
    """Word a foreign key that matches simply, and is valid, enforced and not deferrable."""
    actions = "".join(
        f" {word} {ACTIONS[letter].upper()}"
        for word, letter in (("ON UPDATE", on_update), ("ON DELETE", on_delete))
        if letter != "a"
    )
    return (
        f"FOREIGN KEY ({', '.join(map(str, columns))})"
        f" REFERENCES {table[0]}.{table[1]}({', '.join(map(str, referenced))}){actions}"
    )
