"""The hazard of a validation: the rows that it looks for are those of the real table alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from neuron_schema.catalog.changes import Action
from neuron_schema.catalog.model import Constraint, Domain, Kind, ObjectName, spelled
from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards.facts import differs, is_new, relation_after, statement_of
from neuron_schema.review.hazards.model import Hazard, example, source
from neuron_schema.review.hazards.wording import finding, named, reasons, sized, table_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import Change
    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding


def _validated(case: Case) -> Iterator[Finding]:
    """Yield the constraints of which a version makes sure that old rows keep them.

    The rows that it is measured on were made with the constraint there, so that none of them
    breaks it: whether an older row does, only the real table can tell.
    """
    for change in case.changes:
        constraint = _now_valid(case, change)
        if constraint is None or is_new(case, change.object):
            continue
        each = statement_of(case, _altered(change.object, constraint))
        if each is not None and each.measure.failed is not None:
            continue
        table = table_of(change.object)
        query = _breaking(change.object, constraint)
        is_domain = isinstance(case.after.by_name.get(_domain(change.object)), Domain)
        yield finding(
            case,
            "validation-unproven",
            Severity.NOTE,
            change.object,
            f"The validation of {constraint.name} fails if an older row of "
            f"{named(table) if is_domain else sized(case, table)} breaks it: such rows may be "
            "there, as NOT VALID let them stay",
            statement=each.number if each is not None else None,
            reasons=(
                "the rows that it was measured on were made with the constraint there",
                *(reasons(case, each, table) if each is not None else ()),
            ),
            remedy="" if query is None or is_domain else f"Ask the real database first: {query}",
        )


def _now_valid(case: Case, change: Change) -> Constraint | None:
    """Return a constraint that was there and holds for all rows from now on, or None."""
    before, after = change.before, change.after
    if not isinstance(before, Constraint) or before.validated or not before.enforced:
        return None
    if isinstance(after, Constraint):
        return after if after.validated and differs(change, "validated") else None
    # A NOT NULL that nothing more is known of is the column's.
    if before.type != "not null" or change.action is not Action.REMOVED:
        return None
    relation = relation_after(case, change.object)
    columns = relation.columns if relation is not None else ()
    holds = any(column.name in before.columns and column.not_null for column in columns)
    return before if holds else None


def _altered(name: ObjectName, constraint: Constraint) -> ObjectName:
    """Return the name of what a statement alters with a constraint: NOT NULL is a column's."""
    if constraint.type != "not null":
        return name
    return replace(name, kind=Kind.COLUMN, name=constraint.columns[0])


def _domain(name: ObjectName) -> ObjectName:
    return ObjectName(kind=Kind.DOMAIN, schema=name.schema, name=name.parent or "")


def _breaking(name: ObjectName, constraint: Constraint) -> str | None:
    """Return a query for the rows that break a constraint."""
    table = f"{spelled(name.schema or '')}.{spelled(name.parent or '')}"
    columns = [spelled(column) for column in constraint.columns]
    if constraint.type == "not null":
        return f"SELECT count(*) FROM {table} WHERE {columns[0]} IS NULL"
    if constraint.type == "check":
        text = constraint.definition.removeprefix("CHECK ").removesuffix(" NO INHERIT")
        return f"SELECT count(*) FROM {table} WHERE NOT {text}"
    target = constraint.references
    if target is None:
        return None
    there = f"{spelled(target.schema)}.{spelled(target.table)}"
    filled = " AND ".join(f"a.{column} IS NOT NULL" for column in columns)
    same = " AND ".join(
        f"b.{spelled(other)} = a.{column}"
        for column, other in zip(columns, target.columns, strict=True)
    )
    return (
        f"SELECT count(*) FROM {table} a WHERE {filled} AND NOT EXISTS "
        f"(SELECT FROM {there} b WHERE {same})"
    )


_BASE: Final = source(
    "Items, whose stock is not looked at yet",
    """
items = Table("items", MetaData(), Column("id", BigInteger), Column("stock", Integer))

up = [
    CreateTable(items),
    Sql("ALTER TABLE items ADD CONSTRAINT items_stock CHECK (stock >= 0) NOT VALID"),
]
down = [DropTable(items)]
""",
)

HAZARDS: Final = (
    Hazard(
        id="validation-unproven",
        title="A validation that older rows may fail",
        condition="A constraint that is NOT VALID is validated, on a table that is in use.",
        effect="It fails where a row that was there before the constraint breaks it. No rows of a "
        "throw-away server can tell: they are made with the constraint there.",
        remedy="Ask the real database first for rows that break it, and mend them with a Backfill "
        "in an earlier version",
        page="https://www.postgresql.org/docs/current/sql-altertable.html"
        "#SQL-ALTERTABLE-DESC-VALIDATE-CONSTRAINT",
        bad=example(
            source(
                "Stock is below zero nowhere",
                """
items = Table("items", MetaData())

up = [ValidateConstraint("items_stock", table=items)]
down = []
""",
            ),
            base=_BASE,
        ),
        good=example(
            source(
                "Stock is above zero where it is not zero",
                """
up = [
    Sql("ALTER TABLE items ADD CONSTRAINT items_some CHECK (stock <> 0) NOT VALID"),
]
down = [Sql("ALTER TABLE items DROP CONSTRAINT items_some")]
""",
            ),
            base=_BASE,
        ),
        check=_validated,
    ),
)
