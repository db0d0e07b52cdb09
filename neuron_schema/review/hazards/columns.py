"""Hazards of adding a column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from neuron_schema.catalog.model import Kind, ObjectName
from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards.facts import (
    added,
    all_new,
    column_changes,
    constraint_changes,
    constraint_of,
    domain_of,
    lock_on,
    place,
    ran,
    stops,
    touched,
)
from neuron_schema.review.hazards.model import Hazard, example, source
from neuron_schema.review.hazards.wording import (
    finding,
    listed,
    named,
    reasons,
    stop_of,
    why,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import Column
    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.hazards.facts import Ran

GENERAL: Final = frozenset(
    {
        "brief-exclusive-lock",
        "collateral-table-lock",
        "data-dependent-failure",
        "lock-held-across-statements",
        "opaque-ddl",
    }
)
"""What a hazard of work under a lock says with names, and these without."""

_ALTER_TABLE: Final = "https://www.postgresql.org/docs/current/sql-altertable.html"
_NOTES: Final = f"{_ALTER_TABLE}#SQL-ALTERTABLE-NOTES"
_STEADY: Final = frozenset({"now()", "CURRENT_TIMESTAMP", "CURRENT_DATE", "LOCALTIMESTAMP"})


def column_name(table: ObjectName, column: str) -> ObjectName:
    """Return the name of a column of a table."""
    schema, own = place(table)
    return ObjectName(kind=Kind.COLUMN, schema=schema, parent=own, name=column)


def rewrites(case: Case) -> Iterator[tuple[Ran, ObjectName]]:
    """Yield the statements that wrote a table anew while nobody could use it, with the table."""
    for each in ran(case):
        for table in each.measure.rewritten:
            if stops(lock_on(each.measure, table)):
                yield each, table


def scans(case: Case) -> Iterator[tuple[Ran, ObjectName]]:
    """Yield the statements that read a table whole while it could not be used, with the table.

    Without those that wrote it anew: that is told of already.
    """
    for each in ran(case):
        anew = {place(table) for table in each.measure.rewritten}
        for table in dict.fromkeys(scan.table for scan in each.measure.scans):
            if place(table) not in anew and stops(lock_on(each.measure, table)):
                yield each, table


def cause(case: Case, column: Column) -> str | None:
    """Return the hazard for which a new column makes PostgreSQL write its table anew, or None."""
    if column.identity is not None or (column.default or "").startswith("nextval("):
        return "add-column-serial"
    if column.generated is not None:
        return "add-column-generated-stored" if column.generated == "stored" else None
    domain = domain_of(case, column.type)
    if domain is not None and (domain.constraints or domain.not_null):
        return "add-column-constrained-domain"
    default = _default(case, column)
    return "add-column-volatile-default" if default else None


def _default(case: Case, column: Column) -> str:
    domain = domain_of(case, column.type)
    return column.default or (domain.default if domain is not None else None) or ""


def _responsible(case: Case, columns: list[Column], hazard: str) -> list[Column]:
    """Return those of a statement's new columns that are why it wrote the table anew."""
    found = [column for column in columns if cause(case, column) == hazard]
    if hazard != "add-column-volatile-default":
        return found
    # One of the defaults is another for each row, as was measured: those that look like it, or
    # all of them where none does and nothing else explains it.
    likely = [column for column in found if _looks_computed(_default(case, column))]
    others = {cause(case, column) for column in columns} - {None, hazard}
    return likely or ([] if others else found)


def _looks_computed(default: str) -> bool:
    """Whether a default may be another one for each row; a constant and now() are not."""
    return "(" in default and default not in _STEADY


def _rewritten_for(case: Case, hazard: str, because: str) -> Iterator[Finding]:
    for each, table in rewrites(case):
        new = added(touched(case, each, table, column_changes(case, table)))
        columns = _responsible(case, new, hazard)
        if columns:
            names = [column_name(table, column.name) for column in columns]
            told = listed(map(named, names))
            yield finding(
                case,
                hazard,
                Severity.BLOCKING,
                names[0],
                f"{stop_of(case, each, table)} while every row is written anew, its indexes built "
                f"again: {told} {because}{_held(case, each, table)}",
                statement=each.number,
                reasons=reasons(case, each, table),
            )


def _held(case: Case, each: Ran, table: ObjectName) -> str:
    return why(case, each, table).replace(":", ";", 1)


def _volatile(case: Case) -> Iterator[Finding]:
    return _rewritten_for(
        case, "add-column-volatile-default", "has a default that is computed for each row"
    )


def _serial(case: Case) -> Iterator[Finding]:
    return _rewritten_for(case, "add-column-serial", "takes a number from a sequence for each row")


def _stored(case: Case) -> Iterator[Finding]:
    return _rewritten_for(
        case, "add-column-generated-stored", "is generated and stored in each row"
    )


def _domain(case: Case) -> Iterator[Finding]:
    return _rewritten_for(
        case, "add-column-constrained-domain", "is of a domain whose constraint each row is put to"
    )


def _required(case: Case) -> Iterator[Finding]:
    for each in ran(case):
        failed = each.measure.failed
        if failed is None or failed.sqlstate != "23502":
            continue
        for change in case.changes:
            column = change.after
            if (
                change.kind is Kind.COLUMN
                and added([change])
                and getattr(column, "not_null", False)
                and getattr(column, "default", None) is None
                and f'"{change.object.name}"' in failed.message
            ):
                yield finding(
                    case,
                    "add-column-required",
                    Severity.BLOCKING,
                    change.object,
                    f"The version fails where the table has rows: {named(change.object)} is new, "
                    "must not be NULL and has no default; and the previous release, which does not "
                    "know it, can insert no row",
                    statement=each.number,
                    reasons=reasons(case, each, change.object),
                )


def _inline_check(case: Case) -> Iterator[Finding]:
    for each, table in scans(case):
        for change in touched(case, each, table, constraint_changes(case, table)):
            check = change.after
            if getattr(check, "type", "") != "check" or not getattr(check, "validated", False):
                continue
            if change.before is None and all_new(case, table, getattr(check, "columns", ())):
                yield finding(
                    case,
                    "add-column-inline-check",
                    Severity.BLOCKING,
                    change.object,
                    f"{stop_of(case, each, table)} while all its rows are read to verify "
                    f"{named(change.object)} of a column that is new{_held(case, each, table)}",
                    statement=each.number,
                    reasons=reasons(case, each, table),
                )


def _inline_unique(case: Case) -> Iterator[Finding]:
    for each in ran(case):
        for one in each.measure.built:
            constraint = constraint_of(case, one.index)
            if (
                constraint is not None
                and constraint.type in ("unique", "primary key")
                and all_new(case, one.index, constraint.columns)
                and stops(lock_on(each.measure, one.index))
            ):
                yield finding(
                    case,
                    "add-column-inline-unique",
                    Severity.BLOCKING,
                    one.index,
                    f"{stop_of(case, each, one.index)} while the index of {one.index.name} is "
                    f"built over all its rows{why(case, each, one.index)}",
                    statement=each.number,
                    reasons=reasons(case, each, one.index),
                )


_PLAIN: Final = """
items = Table(
    "items",
    MetaData(),
    Column({column}),
)

up = [AddColumn(items.c.{name})]
down = [DropColumn(items.c.{name})]
"""


def _adds(summary: str, name: str, rest: str) -> str:
    return source(summary, _PLAIN.format(column=f'"{name}", {rest}', name=name))


_BACKFILL: Final = """
items = Table(
    "items",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("price", Numeric(10, 2)),
    Column("stock", Integer),
    Column("{name}", {type}),
)

values = {{items.c.{name}: {value}}}

up = [Backfill(items, values, where={where})]
down = []
"""


def _fills(summary: str, name: str, type_: str, value: str, where: str = "") -> str:
    unset = f"items.c.{name}.is_(None)"
    body = _BACKFILL.format(name=name, type=type_, value=value, where=where or unset)
    return source(summary, body)


_BATCHES: Final = (
    "Add the column without it, which takes a moment, and set the default in the same version, for "
    "new rows; fill the old rows with a Backfill in the next one; then SET NOT NULL if need be"
)

HAZARDS: Final = (
    Hazard(
        id="add-column-volatile-default",
        title="A new column with a default that is computed for each row",
        condition="A column is added to an existing table with a volatile default, such as "
        "gen_random_uuid(), clock_timestamp() or random(). Constants and now() are computed once "
        "and need no rewrite.",
        effect="PostgreSQL writes the whole table and all its indexes anew under ACCESS EXCLUSIVE: "
        "nobody reads or writes it until that is done.",
        remedy=_BATCHES,
        page=_NOTES,
        bad=example(
            _adds(
                "A token for every item",
                "token",
                "UUID, server_default=func.gen_random_uuid()",
            )
        ),
        good=example(
            source(
                "A token for every item to come",
                """
items = Table("items", MetaData(), Column("token", UUID))

up = [
    AddColumn(items.c.token),
    AlterColumn(items.c.token, server_default=func.gen_random_uuid()),
]
down = [DropColumn(items.c.token)]
""",
            ),
            _fills("A token for every item there is", "token", "UUID", "func.gen_random_uuid()"),
        ),
        check=_volatile,
        covers=GENERAL,
    ),
    Hazard(
        id="add-column-serial",
        title="A new column that is numbered",
        condition="A serial or identity column is added to an existing table.",
        effect="Each row takes a number, so PostgreSQL writes the whole table and all its indexes "
        "anew under ACCESS EXCLUSIVE: nobody reads or writes it until that is done.",
        remedy="Add a plain bigint column and a sequence, set the default to nextval() for new "
        "rows, and fill the old rows with a Backfill in the next version",
        page=_NOTES,
        bad=example(
            _adds("A number for every item", "number", "BigInteger, Identity()"),
        ),
        good=example(
            source(
                "A number for every item to come",
                """
items = Table("items", MetaData(), Column("number", BigInteger))

up = [
    AddColumn(items.c.number),
    Sql("CREATE SEQUENCE items_number"),
    AlterColumn(items.c.number, server_default=text("nextval('items_number')")),
]
down = [DropColumn(items.c.number), Sql("DROP SEQUENCE items_number")]
""",
            ),
            _fills(
                "A number for every item there is",
                "number",
                "BigInteger",
                'func.nextval("items_number")',
            ),
        ),
        check=_serial,
        covers=GENERAL,
    ),
    Hazard(
        id="add-column-generated-stored",
        title="A new column that is generated and stored",
        condition="A column GENERATED ALWAYS AS (...) STORED is added to an existing table. A "
        "virtual one (PostgreSQL 18) needs no rewrite.",
        effect="PostgreSQL writes the whole table and all its indexes anew under ACCESS EXCLUSIVE: "
        "nobody reads or writes it until that is done.",
        remedy="Make it VIRTUAL on PostgreSQL 18 or newer (Computed(..., persisted=False)); else "
        "add a plain column that the application or a trigger fills, and a Backfill for old rows",
        page="https://www.postgresql.org/docs/current/ddl-generated-columns.html",
        bad=example(
            _adds(
                "What an item's stock is worth",
                "worth",
                'Numeric, Computed("price * stock", persisted=True)',
            )
        ),
        good=example(
            _adds("What an item's stock is worth", "worth", "Numeric"),
            _fills(
                "What each item's stock is worth now",
                "worth",
                "Numeric",
                "items.c.price * items.c.stock",
                where='"worth IS DISTINCT FROM price * stock"',
            ),
        ),
        check=_stored,
        covers=GENERAL,
    ),
    Hazard(
        id="add-column-constrained-domain",
        title="A new column of a domain with constraints",
        condition="A column is added to an existing table, of a domain that has a CHECK or is NOT "
        "NULL, though the column may be empty.",
        effect="PostgreSQL writes the whole table and all its indexes anew under ACCESS EXCLUSIVE "
        "to put every row to the constraint: nobody reads or writes it until that is done.",
        remedy="Give the column the domain's base type and the table a CHECK that is NOT VALID; "
        "validate it in the next version",
        page="https://www.postgresql.org/docs/current/sql-createdomain.html#SQL-CREATEDOMAIN-NOTES",
        bad=example(
            source(
                "A weight for every item",
                """
up = [
    Sql("CREATE DOMAIN weight AS integer CHECK (VALUE > 0)"),
    Sql("ALTER TABLE items ADD COLUMN weight weight"),
]
down = [Sql("ALTER TABLE items DROP COLUMN weight"), Sql("DROP DOMAIN weight")]
""",
            )
        ),
        good=example(
            source(
                "A weight for every item",
                """
items = Table("items", MetaData(), Column("weight", Integer))
positive = CheckConstraint("weight > 0", name="items_weight", postgresql_not_valid=True)
items.append_constraint(positive)

up = [AddColumn(items.c.weight), AddConstraint(positive)]
down = [DropColumn(items.c.weight)]
""",
            ),
            source(
                "Every item's weight is positive",
                """
items = Table("items", MetaData(), Column("weight", Integer))

up = [ValidateConstraint("items_weight", table=items)]
down = []
""",
            ),
        ),
        check=_domain,
        covers=GENERAL,
    ),
    Hazard(
        id="add-column-required",
        title="A new column that must not be NULL, without a default",
        condition="A column is added to an existing table as NOT NULL, and nothing says what it "
        "is in the rows that are there.",
        effect="The version fails as soon as the table has a row. Where it has none, the previous "
        "release, which does not know the column, can insert no row any more.",
        remedy="Give it a default, which for a constant costs nothing; or add it without NOT "
        "NULL, fill it with a Backfill, and set NOT NULL in a later version",
        page=f"{_ALTER_TABLE}#SQL-ALTERTABLE-DESC-ADD-COLUMN",
        bad=example(_adds("Every item has a kind", "kind", "Text, nullable=False")),
        good=example(
            _adds("Every item has a kind", "kind", 'Text, nullable=False, server_default="plain"')
        ),
        check=_required,
        covers=GENERAL | {"breaks-previous-release", "set-not-null-scan"},
    ),
    Hazard(
        id="add-column-inline-check",
        title="A new column with a CHECK",
        condition="A column is added to an existing table together with a CHECK on it.",
        effect="All rows are read under ACCESS EXCLUSIVE, though the column is the same in all of "
        "them: nobody reads or writes the table until that is done.",
        remedy="Add the column, and the CHECK as NOT VALID; validate it in the next version, which "
        "lets reads and writes go on",
        page=_NOTES,
        bad=example(
            source(
                "A weight for every item",
                """
up = [Sql("ALTER TABLE items ADD COLUMN weight integer CHECK (weight > 0)")]
down = [Sql("ALTER TABLE items DROP COLUMN weight")]
""",
            )
        ),
        good=example(
            source(
                "A weight for every item",
                """
items = Table("items", MetaData(), Column("weight", Integer))
positive = CheckConstraint("weight > 0", name="items_weight", postgresql_not_valid=True)
items.append_constraint(positive)

up = [AddColumn(items.c.weight), AddConstraint(positive)]
down = [DropColumn(items.c.weight)]
""",
            ),
            source(
                "Every item's weight is positive",
                """
items = Table("items", MetaData(), Column("weight", Integer))

up = [ValidateConstraint("items_weight", table=items)]
down = []
""",
            ),
        ),
        check=_inline_check,
        covers=GENERAL,
    ),
    Hazard(
        id="add-column-inline-unique",
        title="A new column that is unique",
        condition="A column is added to an existing table together with UNIQUE or PRIMARY KEY.",
        effect="The index is built over all rows under ACCESS EXCLUSIVE: nobody reads or writes "
        "the table until that is done.",
        remedy="Add the column; build a unique index CONCURRENTLY in the next version; make it the "
        "constraint with AddConstraintUsingIndex in the one after",
        page=f"{_ALTER_TABLE}#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
        bad=example(
            source(
                "A code for every item",
                """
up = [Sql("ALTER TABLE items ADD COLUMN code text CONSTRAINT items_code UNIQUE")]
down = [Sql("ALTER TABLE items DROP COLUMN code")]
""",
            )
        ),
        good=example(
            _adds("A region for every item", "region", "Text"),
            source(
                "Region and id together, for keys that point at both",
                """
items = Table("items", MetaData(), Column("id", BigInteger), Column("region", Text))
index = Index(
    "items_region_id", items.c.region, items.c.id, unique=True, postgresql_concurrently=True
)

up = [CreateIndex(index)]
down = [DropIndex(index)]
""",
            ),
            source(
                "Region and id are unique",
                """
items = Table("items", MetaData(), Column("id", BigInteger), Column("region", Text))

up = [AddConstraintUsingIndex(items, "items_region_id", "items_region_id")]
down = [
    Sql("ALTER TABLE items DROP CONSTRAINT items_region_id"),
    Sql("CREATE UNIQUE INDEX items_region_id ON items (region, id)"),
]
""",
            ),
        ),
        check=_inline_unique,
        covers=GENERAL,
    ),
)
