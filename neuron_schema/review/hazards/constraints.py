"""Hazards of constraints on tables that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from neuron_schema.catalog.changes import Action
from neuron_schema.catalog.model import Domain, Kind, ObjectName, Relation, part_name, spelled
from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards.columns import GENERAL, column_name, scans
from neuron_schema.review.hazards.facts import (
    all_new,
    column_changes,
    constraint_changes,
    constraint_of,
    differs,
    is_rebuilt,
    lock_on,
    ran,
    relation_after,
    same_table,
    stops,
    touched,
    validates,
)
from neuron_schema.review.hazards.model import Hazard, example, source
from neuron_schema.review.hazards.wording import (
    finding,
    listed,
    named,
    reasons,
    stop_of,
    table_name,
    table_of,
    why,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import Change, Constraint
    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.hazards.facts import Ran

_ALTER_TABLE: Final = "https://www.postgresql.org/docs/current/sql-altertable.html"
_NOTES: Final = f"{_ALTER_TABLE}#SQL-ALTERTABLE-NOTES"
_STRICT: Final = (
    "Add CHECK (VALUE IS NOT NULL) to the domain as NOT VALID, which holds for new rows at once, "
    "and validate it in the next version"
)
_USING_INDEX: Final = f"{_ALTER_TABLE}#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX"
_KEYS_OF_PARTS_SINCE: Final = 18
"""Since when a partitioned table takes NOT VALID foreign keys."""
_KEY_OF_PARTS: Final = (
    "Before PostgreSQL 18 a partitioned table takes no NOT VALID foreign key: add it to each "
    "partition as NOT VALID, and validate these in the next version; then add it to the table, "
    "which takes those for its own"
)
_UNIQUE_OF_PARTS: Final = (
    "A partitioned table takes no USING INDEX: build a unique index on each partition "
    "CONCURRENTLY, in versions of their own, and make it that partition's constraint with "
    "AddConstraintUsingIndex; then add the constraint to the table, which takes those for its own"
)


def _checked_now(case: Case, each: Ran, table: ObjectName) -> list[Change]:
    """Return the constraints that a statement put the rows of a table to."""
    own = touched(case, each, table, constraint_changes(case, table))
    return [
        change
        for change in (*own, *_of_domains(case, table))
        if getattr(change.after, "validated", False)
        and (change.action is Action.ADDED or differs(change, "validated"))
    ]


def _of_domains(case: Case, table: ObjectName) -> Iterator[Change]:
    relation = relation_after(case, table)
    types = {column.type for column in relation.columns} if relation is not None else set()
    for change in case.changes:
        name = change.object
        owner = case.after.by_name.get(_domain_name(name))
        is_one = change.kind is Kind.CONSTRAINT and isinstance(owner, Domain)
        if is_one and f"{spelled(name.schema or '')}.{spelled(name.parent or '')}" in types:
            yield change


def _domain_name(part: ObjectName) -> ObjectName:
    return ObjectName(kind=Kind.DOMAIN, schema=part.schema, name=part.parent or "")


def _same_transaction(case: Case) -> Iterator[Finding]:
    for each, table in scans(case):
        if not validates(each, table):
            continue
        for change in _checked_now(case, each, table):
            yield finding(
                case,
                "not-valid-validated-same-tx",
                Severity.BLOCKING,
                change.object,
                f"{stop_of(case, each, table)} while all its rows are read to validate "
                f"{named(change.object)}{why(case, each, table)}; in a version of its own the "
                "validation would let both go on",
                statement=each.number,
                reasons=reasons(case, each, table),
            )


def _added(case: Case, kind: str) -> Iterator[tuple[Ran, ObjectName, Change]]:
    """Yield constraints of a kind that a statement added, and put all rows to."""
    for each, table in scans(case):
        if validates(each, table):
            continue
        for change in _checked_now(case, each, table):
            if getattr(change.after, "type", "") == kind:
                yield each, table, change


def _check(case: Case) -> Iterator[Finding]:
    for each, table, change in _added(case, "check"):
        if all_new(case, table, getattr(change.after, "columns", ())):
            continue
        yield finding(
            case,
            "add-check-valid",
            Severity.BLOCKING,
            table_of(table) if not same_table(table, change.object) else change.object,
            f"{stop_of(case, each, table)} while all its rows are read to verify "
            f"{named(change.object)}{why(case, each, table)}",
            statement=each.number,
            reasons=reasons(case, each, table),
        )


def _foreign_key(case: Case) -> Iterator[Finding]:
    for each, table, change in _added(case, "foreign key"):
        parent = _parent(change)
        both = stop_of(case, each, table)
        other = parent is not None and not same_table(parent, table)
        if parent is not None and other and stops(lock_on(each.measure, parent)):
            both += f", and so do writes of {table_name(parent)},"
        yield finding(
            case,
            "add-fk-valid",
            Severity.BLOCKING,
            change.object,
            f"{both} while each row is looked up for the foreign key "
            f"{named(change.object)}{why(case, each, table)}",
            statement=each.number,
            reasons=reasons(case, each, table, *([parent] if parent is not None else [])),
            remedy=_KEY_OF_PARTS
            if case.major < _KEYS_OF_PARTS_SINCE and _is_partitioned(case, table)
            else "",
        )


def _parent(change: Change) -> ObjectName | None:
    points_at = getattr(change.after, "references", None)
    if points_at is None:
        return None
    return ObjectName(kind=Kind.TABLE, schema=points_at.schema, name=points_at.table)


def _not_null(case: Case) -> Iterator[Finding]:
    for each, table in scans(case):
        if validates(each, table):
            continue
        columns = [
            change.object
            for change in touched(case, each, table, column_changes(case, table))
            if getattr(change.after, "not_null", False)
            and (change.action is Action.ADDED or differs(change, "not_null"))
            and change.object.name not in _new_key(case, table)
        ]
        of_domains = [] if columns else list(_of_strict_domains(case, table))
        columns += of_domains
        if columns:
            yield finding(
                case,
                "set-not-null-scan",
                Severity.BLOCKING,
                columns[0],
                f"{stop_of(case, each, table)} while all its rows are read for a NULL in "
                f"{listed(map(named, columns))}{why(case, each, table)}",
                statement=each.number,
                reasons=reasons(case, each, table),
                remedy=_STRICT if of_domains else "",
            )


def _of_strict_domains(case: Case, table: ObjectName) -> Iterator[ObjectName]:
    """Yield the columns of a table whose domain is set NOT NULL."""
    strict = {
        f"{spelled(change.object.schema or '')}.{spelled(change.object.name)}"
        for change in case.changes
        if change.kind is Kind.DOMAIN
        and differs(change, "not_null")
        and getattr(change.after, "not_null", False)
    }
    relation = relation_after(case, table)
    for column in relation.columns if relation is not None else ():
        if column.type in strict:
            yield column_name(table, column.name)


def _new_key(case: Case, table: ObjectName) -> tuple[str, ...]:
    """Return the columns of a primary key that the version adds."""
    for change in constraint_changes(case, table):
        if change.action is Action.ADDED and getattr(change.after, "type", "") == "primary key":
            return tuple(getattr(change.after, "columns", ()))
    return ()


def _primary_key(case: Case) -> Iterator[Finding]:
    for each, table in scans(case):
        if any(same_table(one.index, table) for one in each.measure.built):
            continue
        for change in _checked_now(case, each, table):
            if getattr(change.after, "type", "") == "primary key":
                yield finding(
                    case,
                    "add-pk-nullable-scan",
                    Severity.BLOCKING,
                    change.object,
                    f"{stop_of(case, each, table)} while all its rows are read for a NULL in the "
                    f"columns of the primary key {named(change.object)}{why(case, each, table)}",
                    statement=each.number,
                    reasons=reasons(case, each, table),
                )


def _built_for(case: Case, *kinds: str) -> Iterator[tuple[Ran, ObjectName, Constraint]]:
    """Yield indexes of constraints that were built over all rows while a table stood still."""
    for each in ran(case):
        for one in each.measure.built:
            constraint = constraint_of(case, one.index)
            if constraint is None or constraint.type not in kinds or is_rebuilt(case, one):
                continue
            if stops(lock_on(each.measure, one.index)):
                yield each, one.index, constraint


def _unique(case: Case) -> Iterator[Finding]:
    for each, index, constraint in _built_for(case, "unique", "primary key"):
        if all_new(case, index, constraint.columns):
            continue
        yield finding(
            case,
            "add-unique-blocking",
            Severity.BLOCKING,
            index,
            f"{stop_of(case, each, index)} while the index of the {constraint.type} constraint "
            f"{index.name} is built over all its rows{why(case, each, index)}",
            statement=each.number,
            reasons=reasons(case, each, index),
            remedy=_UNIQUE_OF_PARTS if _is_partitioned(case, index) else "",
        )


def _is_partitioned(case: Case, name: ObjectName) -> bool:
    relation = relation_after(case, name)
    return relation is not None and relation.partition_key is not None


def _exclusion(case: Case) -> Iterator[Finding]:
    for each, index, _ in _built_for(case, "exclude"):
        yield finding(
            case,
            "add-exclusion",
            Severity.BLOCKING,
            index,
            f"{stop_of(case, each, index)} while the index of the exclusion constraint "
            f"{index.name} is built over all its rows{why(case, each, index)}",
            statement=each.number,
            reasons=reasons(case, each, index),
        )


def _unindexed(case: Case) -> Iterator[Finding]:
    last = case.final or case.after
    for relation in case.after.tables:
        was = case.before.relation(relation.schema, relation.name)
        known = {key.name for key in was.foreign_keys} if was is not None else set()
        final = last.relation(relation.schema, relation.name) or relation
        for key in relation.foreign_keys:
            if key.name in known or _has_index(final, key) or key.references is None:
                continue
            if relation.partition_bound is not None and not key.is_local:
                continue
            columns = listed(spelled(column) for column in key.columns)
            name = part_name(key, relation)
            parent = _named_parent(key)
            yield finding(
                case,
                "fk-unindexed",
                Severity.NOTE,
                name,
                f"No index of {table_name(name)} begins with {columns}: for each row of {parent} "
                f"that is deleted, or whose key changes, PostgreSQL reads all of "
                f"{table_name(name)} for the foreign key {key.name}",
                reasons=(f"after the version no valid index begins with {columns}",),
            )


def _named_parent(key: Constraint) -> str:
    points_at = key.references
    assert points_at is not None  # noqa: S101 - it is a foreign key
    parts = [points_at.schema if points_at.schema != "public" else None, points_at.table]
    return ".".join(spelled(part) for part in parts if part is not None)


def _has_index(relation: Relation, key: Constraint) -> bool:
    """Whether the columns of a foreign key, in any order, are the first ones of an index."""
    wanted = set(key.columns)
    behind = [each.index for each in relation.constraints if each.index is not None]
    return any(
        index.valid
        and " WHERE " not in index.definition
        and index.method in ("btree", "hash")
        and set(index.columns[: len(wanted)]) == wanted
        for index in (*relation.indexes, *behind)
    )


_CHECK: Final = """
items = Table("items", MetaData(), Column("stock", Integer))
check = CheckConstraint("stock >= 0", name="items_stock"{options})
items.append_constraint(check)

up = [AddConstraint(check){more}]
down = [DropConstraint(check)]
"""
_VALIDATE: Final = """
items = Table("items", MetaData(), Column("{column}", Integer))

up = [ValidateConstraint("{name}", table=items)]
down = []
"""


def _checks(options: str = "", more: str = "") -> str:
    return source("No stock below zero", _CHECK.format(options=options, more=more))


def _validated(name: str, column: str = "stock") -> str:
    return source(f"What {name} says of all rows", _VALIDATE.format(name=name, column=column))


_KEY: Final = """
metadata = MetaData()
shops = Table("shops", metadata, Column("id", BigInteger, primary_key=True))
items = Table("items", metadata, Column("shop_id", BigInteger))
key = ForeignKeyConstraint({arguments})
items.append_constraint(key)

up = [AddConstraint(key)]
down = [DropConstraint(key)]
"""
_NOT_VALID: Final = ", postgresql_not_valid=True"
_LATER: Final = """
    [items.c.shop_id], [shops.c.id], name="items_shop", postgresql_not_valid=True
"""
_ALSO: Final = ("collateral-table-lock",)

HAZARDS: Final = (
    Hazard(
        id="set-not-null-scan",
        title="SET NOT NULL that reads all rows",
        condition="A column of an existing table is set NOT NULL, and no valid CHECK says that it "
        "is not NULL.",
        effect="All rows are read under ACCESS EXCLUSIVE: nobody reads or writes the table until "
        "that is done; a single NULL makes the version fail.",
        remedy="On PostgreSQL 18 add the constraint with AddNotNull(..., not_valid=True) and "
        "validate it in the next version; before 18 add CHECK (column IS NOT NULL) as NOT VALID, "
        "validate it in the next version, and SET NOT NULL in the one after",
        page=f"{_ALTER_TABLE}#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL",
        bad=example(
            source(
                "Every item has a stock",
                """
items = Table("items", MetaData(), Column("stock", Integer))

up = [AlterColumn(items.c.stock, nullable=False)]
down = [AlterColumn(items.c.stock, nullable=True)]
""",
            ),
            also=("breaks-previous-release",),
        ),
        good=example(
            source(
                "Every item that comes has a stock",
                """
items = Table("items", MetaData(), Column("stock", Integer))
filled = CheckConstraint("stock IS NOT NULL", name="items_stock", postgresql_not_valid=True)
items.append_constraint(filled)

up = [AddConstraint(filled)]
down = [DropConstraint(filled)]
""",
            ),
            _validated("items_stock"),
            source(
                "Every item has a stock",
                """
items = Table("items", MetaData(), Column("stock", Integer))

up = [AlterColumn(items.c.stock, nullable=False)]
down = [AlterColumn(items.c.stock, nullable=True)]
""",
            ),
            also=("breaks-previous-release",),
        ),
        check=_not_null,
        covers=GENERAL,
    ),
    Hazard(
        id="add-check-valid",
        title="A CHECK on rows that are there",
        condition="A CHECK is added to an existing table, or to a domain that it uses, without NOT "
        "VALID.",
        effect="All rows are read under ACCESS EXCLUSIVE: nobody reads or writes the table until "
        "that is done; a single row that violates it makes the version fail.",
        remedy="Add it as NOT VALID, which holds for new rows at once, and validate it in the next "
        "version, which lets reads and writes go on",
        page=_NOTES,
        bad=example(_checks()),
        good=example(_checks(_NOT_VALID), _validated("items_stock")),
        check=_check,
        covers=GENERAL,
    ),
    Hazard(
        id="add-fk-valid",
        title="A foreign key on rows that are there",
        condition="A foreign key is added to an existing table without NOT VALID. One that comes "
        "with a new column reads no rows.",
        effect="Each row is looked up while SHARE ROW EXCLUSIVE is held on both tables: nobody "
        "writes either until that is done; a single row without its parent makes the version fail.",
        remedy="Add it as NOT VALID, which holds for new rows at once, and validate it in the next "
        "version, which lets reads and writes go on",
        page=_NOTES,
        bad=example(
            source(
                "Items belong to shops",
                _KEY.format(arguments='[items.c.shop_id], [shops.c.id], name="items_shop"'),
            ),
            also=_ALSO,
        ),
        good=example(
            source("Items belong to shops", _KEY.format(arguments=_LATER)),
            _validated("items_shop", "shop_id"),
            also=_ALSO,
        ),
        check=_foreign_key,
        covers=GENERAL,
    ),
    Hazard(
        id="not-valid-validated-same-tx",
        title="NOT VALID and VALIDATE in one version",
        condition="A constraint is added as NOT VALID and validated by a later statement of the "
        "same version.",
        effect="The validation alone would let everybody go on. In the same transaction the lock "
        "that added the constraint is held until its end, so the table stands still all the same.",
        remedy="Move VALIDATE into a version of its own",
        page=_NOTES,
        bad=example(
            _checks(_NOT_VALID, ', ValidateConstraint("items_stock", table=items)'),
        ),
        good=example(_checks(_NOT_VALID), _validated("items_stock")),
        check=_same_transaction,
        covers=GENERAL,
    ),
    Hazard(
        id="add-unique-blocking",
        title="A unique constraint or primary key that builds its index",
        condition="UNIQUE or PRIMARY KEY is added to an existing table without USING INDEX.",
        effect="The index is built over all rows under ACCESS EXCLUSIVE: nobody reads or writes "
        "the table until that is done; two equal rows make the version fail.",
        remedy="Build a unique index CONCURRENTLY in a version of its own, and make it the "
        "constraint with AddConstraintUsingIndex in the next one",
        page=_USING_INDEX,
        bad=example(
            source(
                "Shop and id together, for keys that point at both",
                """
items = Table("items", MetaData(), Column("shop_id", BigInteger), Column("id", BigInteger))
unique = UniqueConstraint("shop_id", "id", name="items_shop_id_id")
items.append_constraint(unique)

up = [AddConstraint(unique)]
down = [DropConstraint(unique)]
""",
            ),
            also=("redundant-index",),
        ),
        good=example(
            source(
                "Shop and id together, for keys that point at both",
                """
items = Table("items", MetaData(), Column("shop_id", BigInteger), Column("id", BigInteger))
index = Index(
    "items_shop_id_id", items.c.shop_id, items.c.id, unique=True, postgresql_concurrently=True
)

up = [CreateIndex(index)]
down = [DropIndex(index)]
""",
            ),
            source(
                "Shop and id are unique",
                """
items = Table("items", MetaData(), Column("shop_id", BigInteger), Column("id", BigInteger))

up = [AddConstraintUsingIndex(items, "items_shop_id_id", "items_shop_id_id")]
down = [
    Sql("ALTER TABLE items DROP CONSTRAINT items_shop_id_id"),
    Sql("CREATE UNIQUE INDEX items_shop_id_id ON items (shop_id, id)"),
]
""",
            ),
            also=("redundant-index",),
        ),
        check=_unique,
        covers=GENERAL | {"set-not-null-scan"},
    ),
    Hazard(
        id="add-pk-nullable-scan",
        title="A primary key over columns that may be NULL",
        condition="A primary key is made of an index (USING INDEX) whose columns are not NOT NULL.",
        effect="PostgreSQL sets them NOT NULL, for which all rows are read under ACCESS EXCLUSIVE: "
        "nobody reads or writes the table until that is done.",
        remedy="First set the columns NOT NULL, behind a CHECK that is validated: see "
        "set-not-null-scan",
        page=_USING_INDEX,
        bad=example(
            source(
                "The log's index becomes its key",
                """
log = Table("log", MetaData(), Column("id", BigInteger))

up = [AddConstraintUsingIndex(log, "log_key", "log_key", primary_key=True)]
down = irreversible("the index could be had back only by building it")
""",
            ),
            base=source(
                "A log without a key",
                """
log = Table("log", MetaData(), Column("id", BigInteger), Column("line", Text))

up = [CreateTable(log), CreateIndex(Index("log_key", log.c.id, unique=True))]
down = [DropTable(log)]
""",
            ),
            also=("irreversible", "breaks-previous-release"),
        ),
        good=example(
            source(
                "The log's index becomes its key",
                """
log = Table("log", MetaData(), Column("id", BigInteger))

up = [AddConstraintUsingIndex(log, "log_key", "log_key", primary_key=True)]
down = irreversible("the index could be had back only by building it")
""",
            ),
            base=source(
                "A log without a key",
                """
log = Table("log", MetaData(), Column("id", BigInteger, nullable=False), Column("line", Text))

up = [CreateTable(log), CreateIndex(Index("log_key", log.c.id, unique=True))]
down = [DropTable(log)]
""",
            ),
            also=("irreversible",),
        ),
        check=_primary_key,
        covers=GENERAL,
    ),
    Hazard(
        id="add-exclusion",
        title="An exclusion constraint on rows that are there",
        condition="EXCLUDE is added to an existing table.",
        effect="The rows are read and the index is built under ACCESS EXCLUSIVE: nobody reads or "
        "writes the table until that is done. There is no NOT VALID and no USING INDEX for it.",
        remedy="Make a new table with the constraint and move the rows over, or add it while the "
        "table is small",
        page=f"{_ALTER_TABLE}#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT",
        bad=example(
            source(
                "No two bookings at once",
                """
up = [Sql("ALTER TABLE bookings ADD CONSTRAINT bookings_apart EXCLUDE USING gist (during WITH &&)")]
down = [Sql("ALTER TABLE bookings DROP CONSTRAINT bookings_apart")]
""",
            ),
            base=source(
                "Bookings",
                """
bookings = Table("bookings", MetaData(), Column("during", INT4RANGE))

up = [CreateTable(bookings)]
down = [DropTable(bookings)]
""",
            ),
        ),
        good=example(
            source(
                "Bookings, no two at once",
                """
up = [Sql("CREATE TABLE bookings_apart (during int4range, EXCLUDE USING gist (during WITH &&))")]
down = [Sql("DROP TABLE bookings_apart")]
""",
            ),
            base=source(
                "Bookings",
                """
bookings = Table("bookings", MetaData(), Column("during", INT4RANGE))

up = [CreateTable(bookings)]
down = [DropTable(bookings)]
""",
            ),
        ),
        check=_exclusion,
        covers=GENERAL,
    ),
    Hazard(
        id="fk-unindexed",
        title="A foreign key without an index",
        condition="A foreign key is added, and its columns are not the first ones of an index of "
        "their table.",
        effect="Each DELETE of a row of the table that it points at, and each change of its key, "
        "reads the whole table that points there.",
        remedy="Build an index on the foreign key's columns, CONCURRENTLY on a table that is there",
        page="https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK",
        bad=example(
            source(
                "What was ordered",
                """
metadata = MetaData()
items = Table("items", metadata, Column("id", BigInteger, primary_key=True))
orders = Table("orders", metadata, Column("item_id", BigInteger, ForeignKey(items.c.id)))

up = [CreateTable(orders)]
down = [DropTable(orders)]
""",
            ),
            also=_ALSO,
        ),
        good=example(
            source(
                "What was ordered",
                """
metadata = MetaData()
items = Table("items", metadata, Column("id", BigInteger, primary_key=True))
orders = Table("orders", metadata, Column("item_id", BigInteger, ForeignKey(items.c.id)))

up = [CreateTable(orders), CreateIndex(Index("idx_orders_item", orders.c.item_id))]
down = [DropTable(orders)]
""",
            ),
            also=_ALSO,
        ),
        check=_unindexed,
    ),
)
