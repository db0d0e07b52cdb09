"""Counts what a catalog holds, to find what no query of a snapshot has read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from neuron_schema.catalog import others
from neuron_schema.catalog.more_queries import underived_trigger
from neuron_schema.catalog.queries import FIRST_USER_OID, derived_constraint
from neuron_schema.errors import CatalogUnread

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from neuron_schema.catalog.queries import Scope

_ALWAYS: Final = frozenset(
    {
        "pg_class",
        "pg_constraint",
        "pg_default_acl",
        "pg_event_trigger",
        "pg_extension",
        "pg_namespace",
        "pg_policy",
        "pg_proc",
        "pg_publication",
        "pg_rewrite",
        "pg_statistic_ext",
        "pg_trigger",
        "pg_type",
    }
)
"""Catalogs that are always read."""

_PARTS: Final = frozenset(
    {
        "pg_amop",
        "pg_amproc",
        "pg_attrdef",
        "pg_enum",
        "pg_largeobject_metadata",
        "pg_publication_namespace",
        "pg_publication_rel",
        "pg_user_mapping",
    }
)
"""Catalogs of parts of what another one holds, of data, or read through a view."""


def population_query(scope: Scope) -> str:
    """Return a query for the catalogs, of all that the server has, in which users' objects are."""
    return "\nUNION ALL ".join(
        f"SELECT '{name}' WHERE EXISTS (SELECT FROM pg_catalog.{name} o"
        f" WHERE o.oid >= {FIRST_USER_OID})"
        for name in sorted(set(scope.catalogs.values()) - _ALWAYS - _PARTS)
    )


def refuse_strangers(populated: Collection[str], scope: Scope) -> None:
    """Refuse users' objects in a catalog that nothing here reads.

    Raises:
        CatalogUnread: There are some.
    """
    known = {presence.catalog for presence in others.presences(scope.version)}
    if strangers := sorted(set(populated) - known):
        raise _unread(f"rows of {', '.join(strangers)}")


def count_query(scope: Scope) -> str:
    """Return a query that counts objects: catalog, letter of the kind, number.

    It says what is left out, where the queries of the snapshot say what is read: a kind that
    neither knows is counted here and missing there.
    """
    return "\nUNION ALL ".join(_counts(scope))


def _counts(scope: Scope) -> Iterator[str]:
    yield _count("pg_class", "relkind", scope.holds("pg_class", "o.oid", "o.relnamespace"),
                 "o.relkind <> 't'")  # fmt: skip
    # Whether NOT NULL is told as a constraint is decided row by row; constraint triggers are
    # triggers.
    yield _count(
        "pg_constraint",
        "contype",
        scope.holds("pg_class", "o.conrelid", "o.connamespace"),
        scope.lets("pg_type", "o.contypid"),
        "o.contype NOT IN ('n', 't')",
        f"NOT {derived_constraint().replace('k.', 'o.')}",
    )
    yield _count(
        "pg_type",
        "typtype",
        scope.holds("pg_type", "o.oid", "o.typnamespace"),
        "o.typtype <> 'm'",
        "(o.typrelid = 0 OR (SELECT c.relkind FROM pg_catalog.pg_class c"
        " WHERE c.oid = o.typrelid) = 'c')",
        others.NO_ARRAY,
    )
    yield _count("pg_proc", "prokind", scope.holds("pg_proc", "o.oid", "o.pronamespace"))
    yield _count(
        "pg_statistic_ext", None, scope.holds("pg_statistic_ext", "o.oid", "o.stxnamespace")
    )
    for catalog, column, *conditions in (
        ("pg_trigger", "tgrelid", underived_trigger("o")),
        ("pg_rewrite", "ev_class"),
        ("pg_policy", "polrelid"),
    ):
        # Everything of relations counts, whichever kind they are of.
        held = scope.holds("pg_class", "c.oid", "c.relnamespace")
        where = f"EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = o.{column} AND {held})"
        yield _count(catalog, None, where, *conditions)


def _count(catalog: str, letter: str | None, *conditions: str) -> str:
    kind = f"o.{letter}::text" if letter else "''"
    group = " GROUP BY 2" if letter else ""
    return (
        f"SELECT '{catalog}', {kind}, pg_catalog.count(*) FROM pg_catalog.{catalog} o"
        f" WHERE {' AND '.join(conditions)}{group}"
    )


def compare(counted: Sequence[Sequence[Any]], read: Mapping[tuple[str, str], int]) -> None:
    """Hold what is there against what was read.

    Args:
        counted: Rows of ``count_query``.
        read: For each catalog and letter, how many objects the snapshot holds.

    Raises:
        CatalogUnread: They differ.
    """
    there = {(catalog, letter): number for catalog, letter, number in counted}
    wrong = [
        f"{number} of kind {letter!r} in {catalog}, {read.get((catalog, letter), 0)} of them known"
        if letter
        else f"{number} in {catalog}, {read.get((catalog, letter), 0)} of them known"
        for (catalog, letter), number in sorted(there.items())
        if number != read.get((catalog, letter), 0)
    ]
    if wrong:
        raise _unread("; ".join(wrong))


def _unread(what: str) -> CatalogUnread:
    return CatalogUnread(
        f"the database holds objects that a snapshot cannot tell of: {what}",
        remedy="if another session changed the schema meanwhile, try again; else report it",
    )
