"""Hazards of what stands together in one transaction, and of locks as such."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from neuron_schema.catalog.changes import Action
from neuron_schema.catalog.model import Constraint, Kind, ObjectName, Relation, spelled
from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards.columns import scans
from neuron_schema.review.hazards.facts import (
    Place,
    changes_few,
    differs,
    held_since,
    lock_limit,
    lock_on,
    own_lock,
    place,
    ran,
    same_table,
    stops,
    taken_on,
    validates,
    worked_on,
)
from neuron_schema.review.hazards.model import Hazard, example, source
from neuron_schema.review.hazards.wording import (
    finding,
    listed,
    named,
    numbers,
    reasons,
    sized,
    stop_of,
    stopped,
    table_name,
    waited,
    why,
)
from neuron_schema.review.locks import LockMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.hazards.facts import Ran
    from neuron_schema.review.measures import TableLock

_LOCKS: Final = "https://www.postgresql.org/docs/current/explicit-locking.html"
_TABLE_LOCKS: Final = f"{_LOCKS}#LOCKING-TABLES"
_BRIEF: Final = (
    "takes a moment once it is held, but while it waits for those at work on the table, all others "
    "wait behind it; the runner waits"
)


def grows(each: Ran) -> tuple[ObjectName, ...]:
    """Return the tables on which a statement's work grows with what is in some table.

    That PostgreSQL looks a few rows up in a small table by reading all of it is no such work: it
    counts where the server says so, or where the statement wrote nothing or changed rows; and not
    where it looked for a few rows that it changes.
    """
    measure = each.measure
    inserts_only = bool(measure.written) and not any(
        one.updated or one.deleted for one in measure.written
    )
    few = {place(one.table) for one in measure.sought if changes_few(measure, one.table)}
    said = {
        place(scan.table)
        for scan in measure.scans
        if scan.why or not (inserts_only or place(scan.table) in few)
    }
    heavy = {place(table) for table in measure.rewritten}
    heavy |= {place(one.index) for one in measure.built}
    changed = [
        one.table
        for one in measure.written
        if (one.updated or one.deleted) and place(one.table) not in few
    ]
    worked = [table for table in worked_on(measure) if place(table) in said | heavy]
    return tuple({place(name): name for name in (*changed, *worked)}.values())


def _held(case: Case) -> Iterator[Finding]:
    """Yield the tables that stand still while a later statement works."""
    found: defaultdict[Place, list[tuple[Ran, TableLock]]] = defaultdict(list)
    for each in ran(case):
        tables = grows(each)
        for lock in each.measure.held:
            if not tables or not stops(lock) or _has_its_own(each, lock, tables):
                continue
            found[place(lock.table)].append((each, lock))
    for pairs in found.values():
        each, lock = pairs[0]
        worked = {place(name): name for one, _ in pairs for name in grows(one)}
        told = [one.number for one, _ in pairs]
        verb = "work" if len(told) > 1 else "works"
        what = stopped(lock)
        yield finding(
            case,
            "lock-held-across-statements",
            Severity.BLOCKING,
            lock.table,
            f"{what[0].upper()}{what[1:]} of {sized(case, lock.table)} stop while "
            f"{numbers(told)} {verb} through {listed(table_name(name) for name in worked.values())}"
            f": {lock.mode} is held from statement {held_since(case, lock.table, lock.mode)}",
            statement=each.number,
            reasons=reasons(case, each, lock.table, *worked.values()),
        )


def _has_its_own(each: Ran, lock: TableLock, tables: tuple[ObjectName, ...]) -> bool:
    """Whether the work is on the locked table itself, and would stop it in any case."""
    if not any(same_table(lock.table, name) for name in tables):
        return False
    return not validates(each, lock.table) and stops(own_lock(each, lock.table))


def _opaque(case: Case) -> Iterator[Finding]:
    for each in ran(case):
        for table in grows(each):
            if not stops(taken_on(each.measure, table) or own_lock(each, table)):
                continue
            if _is_looked_up(case, each, table):
                continue
            yield finding(
                case,
                "opaque-ddl",
                Severity.BLOCKING,
                table,
                f"{stop_of(case, each, table)} while the statement works through all its rows"
                f"{why(case, each, table)}; nothing that it leaves in the schema says what for",
                statement=each.number,
                reasons=reasons(case, each, table),
            )


def _is_looked_up(case: Case, each: Ran, table: ObjectName) -> bool:
    """Whether a table is read as the one that a new foreign key points at; add-fk-valid says so."""
    if _pointed_at(case, table) is None or each.measure.built or each.measure.rewritten:
        return False
    return any(
        same_table(scan.table, table) and "foreign key" in scan.why for scan in each.measure.scans
    )


def _several(case: Case) -> Iterator[Finding]:
    if not case.measure.transactional:
        return
    strong: dict[Place, tuple[ObjectName, int]] = {}
    together: list[set[Place]] = []
    for each in ran(case):
        taken = [
            lock
            for lock in each.measure.locks
            if lock.mode.strength >= LockMode.SHARE_ROW_EXCLUSIVE.strength
        ]
        together.append({place(lock.table) for lock in taken})
        for lock in taken:
            strong.setdefault(place(lock.table), (lock.table, each.number))
    if len(strong) < 2 or any(set(strong) <= one for one in together):  # noqa: PLR2004 - several
        return
    told = [f"{table_name(table)} (statement {number})" for table, number in strong.values()]
    yield finding(
        case,
        "multi-table-strong-locks",
        Severity.NOTE,
        None,
        f"One transaction takes strong locks on {listed(told)}, one after the other: whoever uses "
        "them in another order can deadlock with it, and each waits for the other's wait",
        reasons=[
            f"{lock.mode} on {table_name(lock.table)} in statement {each.number}"
            for each in ran(case)
            for lock in each.measure.locks
            if lock.mode.strength >= LockMode.SHARE_ROW_EXCLUSIVE.strength
        ],
    )


def _mergeable(case: Case) -> Iterator[Finding]:
    found: defaultdict[Place, list[tuple[Ran, ObjectName]]] = defaultdict(list)
    for each in ran(case):
        built = {place(one.index) for one in each.measure.built if not one.rebuilt}
        verified = [table for one, table in scans(case) if one.number == each.number]
        for table in (*each.measure.rewritten, *verified):
            if place(table) not in built and not validates(each, table):
                found[place(table)].append((each, table))
    for pairs in found.values():
        if len(pairs) > 1 and case.measure.transactional:
            table = pairs[0][1]
            told = [each.number for each, _ in pairs]
            yield finding(
                case,
                "mergeable-alters",
                Severity.NOTE,
                table,
                f"{numbers(told).capitalize()} each go through all of {sized(case, table)}: one "
                "ALTER TABLE with all of their changes does it once",
                statement=told[0],
                reasons=[text for each, _ in pairs for text in reasons(case, each, table)],
            )


def _collateral(case: Case) -> Iterator[Finding]:
    # That something goes with another, and its lock, is said of what goes.
    known = {place(name) for each in ran(case) for name in each.measure.cascaded}
    for each in ran(case):
        for lock in each.measure.locks:
            if not stops(lock) or place(lock.table) in known or lock.table.kind is Kind.SEQUENCE:
                continue
            because = _pointed_at(case, lock.table)
            if lock.named and because is None:
                continue
            # That it is emptied too, or read row by row, is said with how long it takes.
            emptied = any(same_table(lock.table, one) for one in each.measure.truncated)
            if emptied or _is_looked_up(case, each, lock.table):
                continue
            known.add(place(lock.table))
            strong = lock.mode is LockMode.ACCESS_EXCLUSIVE
            what = stopped(lock)
            yield finding(
                case,
                "collateral-table-lock",
                Severity.CAUTION if strong else Severity.NOTE,
                lock.table,
                f"The version also takes {lock.mode} on {table_name(lock.table)}{because or ''}: "
                f"{what} wait while it waits for those at work on the table, {waited(case, each)}, "
                f"and then {_how_long(case, each)}",
                statement=each.number,
                reasons=reasons(case, each, lock.table),
            )


def _how_long(case: Case, each: Ran) -> str:
    """Return how long a lock is held that a statement takes: to the end, work or not."""
    works = any(grows(one) for one in ran(case) if one.number >= each.number)
    return "until the version is committed, with all its work" if works else "for a moment"


def _pointed_at(case: Case, table: ObjectName) -> str | None:
    """Return why a table is locked that a foreign key points at, or None."""
    for change in case.changes:
        # It stays what it was; a statement that disables triggers locks the table that it names.
        if differs(change, "triggered"):
            continue
        value = change.after or change.before
        keys = [value] if isinstance(value, Constraint) else getattr(value, "foreign_keys", ())
        owner = change.object.parent or change.object.name
        for key in keys:
            points_at = getattr(key, "references", None)
            if points_at is None or (points_at.schema, points_at.table) != place(table):
                continue
            if (change.object.schema, owner) == place(table):
                continue
            verb = "is dropped" if change.action is Action.REMOVED else "points at it"
            return f", as the foreign key {key.name} of {owner} {verb}"
    return None


def _brief(case: Case) -> Iterator[Finding]:
    known: set[Place] = set()
    for each in ran(case):
        for lock in each.measure.locks:
            if lock.mode is not LockMode.ACCESS_EXCLUSIVE or place(lock.table) in known:
                continue
            if lock.table.kind is Kind.SEQUENCE or _gives_up_a_partition(case, lock.table):
                continue
            known.add(place(lock.table))
            strong = [
                one.number
                for one in ran(case)
                if (taken := lock_on(one.measure, lock.table)) and taken.mode is lock.mode
            ]
            yield finding(
                case,
                "brief-exclusive-lock",
                Severity.CAUTION,
                lock.table,
                f"{numbers(strong[:1]).capitalize()} takes ACCESS EXCLUSIVE on "
                f"{named(lock.table)}, which keeps out reads and writes; it {_BRIEF} "
                f"{waited(case, each)}{'' if lock_limit(case, each) == 0 else ', and tries again'}",
                statement=each.number,
                reasons=reasons(case, each, lock.table),
            )


def _gives_up_a_partition(case: Case, table: ObjectName) -> bool:
    """Whether a partition of a table is detached, of which there is a finding of its own."""
    schema, name = place(table)
    text = f"{spelled(schema or '')}.{spelled(name)}"
    return any(
        isinstance(change.before, Relation)
        and isinstance(change.after, Relation)
        and text in change.before.inherits
        and differs(change, "partition_bound")
        for change in case.changes
    )


_TITLE: Final = """
items = Table(
    "items", MetaData(), Column("id", BigInteger, primary_key=True), Column("title", Text)
)

up = [{up}]
down = [{down}]
"""
_ADD: Final = "AddColumn(items.c.title)"
_UPDATE: Final = 'Sql("UPDATE items SET title = name")'
_TWO: Final = source(
    "Items and shops have titles",
    """
metadata = MetaData()
shops = Table("shops", metadata, Column("title", Text))
items = Table("items", metadata, Column("title", Text))

up = [AddColumn(shops.c.title), AddColumn(items.c.title)]
down = [DropColumn(items.c.title), DropColumn(shops.c.title)]
""",
)


def _titled(summary: str, table: str) -> str:
    return source(
        summary,
        f"""
{table} = Table("{table}", MetaData(), Column("title", Text))

up = [AddColumn({table}.c.title)]
down = [DropColumn({table}.c.title)]
""",
    )


def _column(name: str, type_: str) -> str:
    return f'Sql("ALTER TABLE items ADD CONSTRAINT items_{name} CHECK ({name} {type_})")'


HAZARDS: Final = (
    Hazard(
        id="lock-held-across-statements",
        title="A lock held while a later statement works",
        condition="A statement takes a lock that keeps others from reading or writing a table, and "
        "a later one of the same version reads, builds, writes or updates many rows.",
        effect="PostgreSQL keeps every lock until the transaction ends: what would be a moment "
        "lasts as long as the later statement.",
        remedy="Split the version: first what is short, and what works through rows in a version "
        "of its own; or put the statement with the strong lock last",
        page=_TABLE_LOCKS,
        bad=example(
            source(
                "A title for every item",
                _TITLE.format(up=f"{_ADD}, {_UPDATE}", down="DropColumn(items.c.title)"),
            ),
            also=("bulk-dml",),
        ),
        good=example(
            _titled("Items have titles", "items"),
            source(
                "A title for every item",
                _TITLE.format(
                    up='Backfill(items, {items.c.title: text("name")}, where="title IS NULL")',
                    down="",
                ),
            ),
        ),
        check=_held,
        covers=frozenset({"brief-exclusive-lock", "collateral-table-lock"}),
    ),
    Hazard(
        id="opaque-ddl",
        title="Work under a strong lock that the schema does not explain",
        condition="A statement keeps others from reading or writing an existing table while it "
        "works through its rows, and no change of the schema says what for: a DO block, a "
        "function, LOCK TABLE.",
        effect="The table stands still for work that grows with it.",
        remedy="Write the changes as constructs, each in a version where its lock is short; change "
        "rows with a Backfill",
        page="https://www.postgresql.org/docs/current/sql-lock.html",
        bad=example(
            source(
                "Count the items while nobody writes",
                """
up = [Sql("DO $$ BEGIN LOCK TABLE items IN SHARE MODE; PERFORM count(*) FROM items; END $$")]
down = []
""",
            )
        ),
        good=example(
            source(
                "Count the items",
                """
up = [Sql("DO $$ BEGIN PERFORM count(*) FROM items; END $$")]
down = []
""",
            )
        ),
        check=_opaque,
        covers=frozenset({"brief-exclusive-lock", "collateral-table-lock"}),
    ),
    Hazard(
        id="multi-table-strong-locks",
        title="Strong locks on several tables in one transaction",
        condition="The statements of one version take SHARE ROW EXCLUSIVE or more on two or more "
        "existing tables.",
        effect="While it waits for the second table it holds the first: both stand still, and a "
        "session that uses them in another order deadlocks with it. Each wait has a lock_timeout "
        "of its own.",
        remedy="One table for each version",
        page=f"{_LOCKS}#LOCKING-DEADLOCKS",
        bad=example(_TWO),
        good=example(_titled("Shops have titles", "shops"), _titled("Items have titles", "items")),
        check=_several,
    ),
    Hazard(
        id="mergeable-alters",
        title="Several statements go through one table one after the other",
        condition="Two or more statements of a version write one table anew, or read all its rows "
        "to verify something.",
        effect="The table stands still for the sum of them.",
        remedy="One ALTER TABLE with all the changes, through Sql(...), goes through the rows "
        "once; better is to keep each of them from reading the rows at all",
        page="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES",
        bad=example(
            source(
                "Stock and price are never below zero",
                f"""
up = [
    {_column("stock", ">= 0")},
    {_column("price", ">= 0")},
]
down = [
    Sql("ALTER TABLE items DROP CONSTRAINT items_stock, DROP CONSTRAINT items_price"),
]
""",
            ),
            also=("add-check-valid",),
        ),
        good=example(
            source(
                "Stock and price are never below zero",
                """
items = Table("items", MetaData())
stock = CheckConstraint("stock >= 0", name="items_stock", postgresql_not_valid=True)
price = CheckConstraint("price >= 0", name="items_price", postgresql_not_valid=True)
items.append_constraint(stock)
items.append_constraint(price)

up = [AddConstraint(stock), AddConstraint(price)]
down = [DropConstraint(price), DropConstraint(stock)]
""",
            ),
            source(
                "Stock and price are below zero nowhere",
                """
items = Table("items", MetaData())

up = [
    ValidateConstraint("items_stock", table=items),
    ValidateConstraint("items_price", table=items),
]
down = []
""",
            ),
        ),
        check=_mergeable,
    ),
    Hazard(
        id="collateral-table-lock",
        title="A table is locked that the change is not about",
        condition="A foreign key to a table is made or dropped, or its table is; or a statement "
        "locks a table that it does not name.",
        effect="A new foreign key takes SHARE ROW EXCLUSIVE on the table it points at, so writes "
        "wait; to drop one, or its table, takes ACCESS EXCLUSIVE there, so reads wait as well.",
        remedy="Keep the version free of anything slow, so that the lock is short",
        page=_TABLE_LOCKS,
        bad=example(
            source(
                "What was ordered",
                """
metadata = MetaData()
items = Table("items", metadata, Column("id", BigInteger, primary_key=True))
orders = Table("orders", metadata, Column("item_id", BigInteger, ForeignKey(items.c.id)))

up = [CreateTable(orders), CreateIndex(Index("idx_orders_item", orders.c.item_id))]
down = [DropTable(orders)]
""",
            )
        ),
        good=example(
            source(
                "What was ordered",
                """
orders = Table("orders", MetaData(), Column("item_id", BigInteger))

up = [CreateTable(orders), CreateIndex(Index("idx_orders_item", orders.c.item_id))]
down = [DropTable(orders)]
""",
            )
        ),
        check=_collateral,
        covers=frozenset({"brief-exclusive-lock"}),
        per_table=True,
    ),
    Hazard(
        id="brief-exclusive-lock",
        title="A short ACCESS EXCLUSIVE",
        condition="A statement takes ACCESS EXCLUSIVE on an existing table, as most of ALTER TABLE "
        "does, and no work that grows with the table is done under it.",
        effect="The work is done in a moment. But the lock has to wait for everybody at work on "
        "the table, and everybody who comes later waits behind it: so the runner gives up after "
        "lock_timeout and tries again.",
        remedy="Keep lock_timeout low, and the version free of anything slow",
        page=_TABLE_LOCKS,
        bad=example(_titled("Items have titles", "items")),
        good=example(
            source(
                "Titles of items",
                """
titles = Table("titles", MetaData(), Column("item_id", BigInteger), Column("title", Text))

up = [CreateTable(titles)]
down = [DropTable(titles)]
""",
            )
        ),
        check=_brief,
        per_table=True,
    ),
)
