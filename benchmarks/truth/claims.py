"""What a tool claims of a statement, by the rule or hazard that it names."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Claim(enum.StrEnum):
    """What may be said of a statement. What is not in here is advice on style, or a caution."""

    LONG = "long"
    """Work that grows with a table, while others wait for it or in one transaction."""

    FAILS = "fails"
    """It is refused: always, or where there are rows."""

    TAKES_AWAY = "takes away"
    """Rows, or what the running release asks for, are gone."""

    ANOTHER = "another table"
    """A table is locked against writes that the statement is not about."""


LONG, FAILS, TAKES_AWAY, ANOTHER = Claim
NOTHING: Final[frozenset[Claim]] = frozenset()

HAZARDS: Final[Mapping[str, frozenset[Claim]]] = {
    **dict.fromkeys(
        (
            "add-check-valid",
            "add-column-constrained-domain",
            "add-column-generated-stored",
            "add-column-inline-check",
            "add-column-inline-unique",
            "add-column-serial",
            "add-column-volatile-default",
            "add-exclusion",
            "add-fk-valid",
            "add-pk-nullable-scan",
            "add-unique-blocking",
            "alter-type-rewrite",
            "bulk-dml",
            "create-index-blocking",
            "lock-held-across-statements",
            "matview-refresh",
            "not-valid-validated-same-tx",
            "partition-attach-scan",
            "reindex-blocking",
            "set-not-null-scan",
            "vector-index-blocking",
            "vector-type-change",
            "whole-table-rewrite-command",
        ),
        frozenset({LONG}),
    ),
    **dict.fromkeys(
        (
            "add-column-required",
            "alter-type-blocked",
            "data-dependent-failure",
            "enum-value-same-tx",
            "invalid-index",
            "statement-fails",
            "vector-change-dim",
            "vector-index-dims",
            "vector-index-no-dims",
        ),
        frozenset({FAILS}),
    ),
    **dict.fromkeys(
        ("breaks-previous-release", "cascaded-drop", "drop-column", "drop-table", "truncate"),
        frozenset({TAKES_AWAY}),
    ),
    "collateral-table-lock": frozenset({ANOTHER}),
}
"""Ours. A hazard that is not listed claims none of it: a short lock, a trait of the schema."""

SQUAWK: Final[Mapping[str, frozenset[Claim]]] = {
    # "may require a table rewrite", "blocks reads and writes while ..."
    "adding-field-with-default": frozenset({LONG}),
    "adding-not-nullable-field": frozenset({LONG}),
    "adding-serial-primary-key-field": frozenset({LONG}),
    "changing-column-type": frozenset({LONG}),
    "constraint-missing-not-valid": frozenset({LONG}),
    "disallowed-unique-constraint": frozenset({LONG}),
    "prefer-repack": frozenset({LONG}),
    "require-concurrent-index-creation": frozenset({LONG}),
    "require-concurrent-reindex": frozenset({LONG}),
    # "requires a table scan and a `SHARE ROW EXCLUSIVE` lock on both tables"
    "adding-foreign-key-constraint": frozenset({LONG, ANOTHER}),
    # "cannot be added to a table with rows"
    "adding-required-field": frozenset({FAILS}),
    "ban-concurrent-index-creation-in-transaction": frozenset({FAILS}),
    "ban-drop-column": frozenset({TAKES_AWAY}),
    "ban-drop-database": frozenset({TAKES_AWAY}),
    "ban-drop-table": frozenset({TAKES_AWAY}),
    "ban-truncate-cascade": frozenset({TAKES_AWAY}),
    # Short locks, previous releases, style: true, or a matter of taste, and never a false alarm.
    **dict.fromkeys(
        (
            "ban-alter-domain-with-add-constraint",
            "ban-char-field",
            "ban-create-domain-with-constraint",
            "ban-drop-constraint",
            "ban-drop-not-null",
            "ban-drop-trigger",
            "ban-uncommitted-transaction",
            "identifier-too-long",
            "prefer-bigint-over-int",
            "prefer-bigint-over-smallint",
            "prefer-identity",
            "prefer-robust-stmts",
            "prefer-text-field",
            "prefer-timestamptz",
            "renaming-column",
            "renaming-table",
            "require-concurrent-index-deletion",
            "require-concurrent-partition-detach",
            "require-enum-value-ordering",
            "require-lock-timeout",
            "require-statement-timeout",
            "require-table-schema",
            "require-timeout-settings",
            "transaction-nesting",
        ),
        NOTHING,
    ),
}
"""squawk's, by the words of its messages and of its pages. A rule that is missing is an error."""


def claimed(names: Iterable[str], known: Mapping[str, frozenset[Claim]]) -> frozenset[Claim]:
    """Return what hazards or rules claim together.

    Raises:
        KeyError: what one of squawk's rules claims is not known.
    """
    return frozenset().union(
        *(known.get(name, NOTHING) if known is HAZARDS else known[name] for name in names)
    )
