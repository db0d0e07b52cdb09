"""Hazards of whole tables: rewritten by a command, partitions, materialized views, triggers."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from neuron_schema.catalog.changes import Action
from neuron_schema.catalog.model import Kind, ObjectName, Relation, spelled
from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards.columns import GENERAL, rewrites, scans
from neuron_schema.review.hazards.facts import (
    column_changes,
    differs,
    lock_on,
    place,
    ran,
    relation_after,
    relation_before,
    same_table,
    statement_of,
    stops,
    touched,
)
from neuron_schema.review.hazards.model import Hazard, example, source
from neuron_schema.review.hazards.types import explains_rewrite, is_computed
from neuron_schema.review.hazards.wording import (
    finding,
    listed,
    named,
    reasons,
    stop_of,
    table_name,
    table_of,
    waited,
    why,
)
from neuron_schema.review.locks import LockMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import Change
    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.hazards.facts import Place, Ran

_OFF: Final = ("disabled", "replica")
_NEW_TABLE: Final = (
    "Make a new table beside it that is as this one should be, move the rows over in batches, and "
    "rename the two; or do it while the table is small"
)
_NOT_AS_REPLICA: Final = (
    "Leave session_replication_role as it is; where one trigger is in the way, disable that one, "
    "and enable it again in the same version"
)
_NOT_WITHIN: Final = (
    "First give the default partition a CHECK that no row of it is within the new bounds, as NOT "
    "VALID, and validate it, each in a version of its own; drop it once the new partition is there"
)
_PARTITIONS: Final = "https://www.postgresql.org/docs/current/ddl-partitioning.html"


def _command(case: Case) -> Iterator[Finding]:
    for each, table in rewrites(case):
        relation = relation_after(case, table)
        if relation is not None and relation.kind is Kind.MATERIALIZED_VIEW:
            continue
        changes = touched(case, each, table, column_changes(case, table))
        if any(map(explains_rewrite, changes)) or is_computed(case, each, table):
            continue
        yield finding(
            case,
            "whole-table-rewrite-command",
            Severity.BLOCKING,
            table,
            f"{stop_of(case, each, table)} while all of it is written anew, its indexes built "
            f"again{why(case, each, table)}{_becomes_unlogged(case, table)}",
            statement=each.number,
            reasons=reasons(case, each, table),
            remedy=_NEW_TABLE if _is_stored_otherwise(case, table) else "",
        )


def _becomes_unlogged(case: Case, table: ObjectName) -> str:
    """Return what else becomes of a table that is not logged any more."""
    was, is_ = relation_before(case, table), relation_after(case, table)
    if was is None or is_ is None or not was.persistence != is_.persistence == "unlogged":
        return ""
    return "; it is unlogged from now on: a crash of the server empties it, and no replica has it"


def _is_stored_otherwise(case: Case, table: ObjectName) -> bool:
    """Whether what a table is is not what it was, so that no tool that rewrites it helps."""
    was, is_ = relation_before(case, table), relation_after(case, table)
    if was is None or is_ is None:
        return False
    return (was.persistence, was.access_method) != (is_.persistence, is_.access_method)


def _refreshed(case: Case) -> Iterator[Finding]:
    for each, table in rewrites(case):
        relation = relation_after(case, table)
        if relation is not None and relation.kind is Kind.MATERIALIZED_VIEW:
            yield finding(
                case,
                "matview-refresh",
                Severity.BLOCKING,
                table,
                f"{stop_of(case, each, table)} while the materialized view is computed anew"
                f"{why(case, each, table)}",
                statement=each.number,
                reasons=reasons(case, each, table),
            )


def _bound(case: Case, *, added: bool) -> list[ObjectName]:
    """Return existing tables that became partitions, or are none any more."""
    return [
        change.object
        for change in case.changes
        if isinstance(change.before, Relation)
        and isinstance(change.after, Relation)
        and differs(change, "partition_bound")
        and (change.after.partition_bound is not None) is added
    ]


def _attached(case: Case) -> Iterator[Finding]:
    became = _bound(case, added=True)
    new = any(
        change.action is Action.ADDED and getattr(change.after, "partition_bound", None)
        for change in case.changes
    )
    for each, table in scans(case):
        attached = any(same_table(table, other) for other in became)
        if not attached and not (_has_default(case, table) and (became or new)):
            continue
        read = (
            "all its rows are read to verify that they are within the bounds"
            if attached
            else "all rows of the default partition are read to verify that none of them belongs "
            "into the new one"
        )
        yield finding(
            case,
            "partition-attach-scan",
            Severity.BLOCKING,
            table,
            f"{stop_of(case, each, table)} while {read}{why(case, each, table)}",
            statement=each.number,
            reasons=reasons(case, each, table),
            remedy="" if attached else _NOT_WITHIN,
        )


def _has_default(case: Case, table: ObjectName) -> bool:
    """Whether a table is a default partition, or is one's parent."""
    defaults = [each for each in case.after.tables if each.partition_bound == "DEFAULT"]
    schema, name = place(table)
    text = f"{spelled(schema or '')}.{spelled(name)}"
    return any((each.schema, each.name) == (schema, name) for each in defaults) or any(
        text in each.inherits for each in defaults
    )


def _detached(case: Case) -> Iterator[Finding]:
    for table in _bound(case, added=False):
        for each in ran(case):
            lock = lock_on(each.measure, table)
            if (
                lock is None
                or lock.mode is not LockMode.ACCESS_EXCLUSIVE
                or each.statement.concurrent
            ):
                continue
            others = [one.table for one in each.measure.under if one.mode is lock.mode]
            yield finding(
                case,
                "partition-detach-blocking",
                Severity.CAUTION,
                table,
                f"The partition {named(table)} is detached under ACCESS EXCLUSIVE on "
                f"{listed(map(named, others))}: reads and writes wait while it waits for those at "
                f"work, {waited(case, each)}, and then for a moment",
                statement=each.number,
                reasons=reasons(case, each, *others),
            )
            break


def _triggers(case: Case) -> Iterator[Finding]:
    for change in case.changes:
        if change.kind is not Kind.TRIGGER or change.action is Action.REMOVED or _is_off(change):
            continue
        found = _first_that_stops(case, change.object)
        if found is None:
            continue
        lock = lock_on(found.measure, change.object)
        assert lock is not None  # noqa: S101 - it stops others
        yield finding(
            case,
            "create-trigger",
            Severity.NOTE,
            change.object,
            f"The trigger {named(change.object)} is "
            f"{'made' if change.action is Action.ADDED else 'changed'} under {lock.mode} on "
            f"{table_name(change.object)}: writes wait while it waits for those at work, "
            f"{waited(case, found)}, and then for a moment; from then on each write runs it",
            statement=found.number,
            reasons=reasons(case, found, table_of(change.object)),
        )


def _is_off(change: Change) -> bool:
    """Whether a trigger, or those that check a constraint, ran for everybody and do no more."""
    was, is_ = getattr(change.before, "enabled", ""), getattr(change.after, "enabled", "")
    if change.kind is Kind.CONSTRAINT:
        return differs(change, "triggered") and not getattr(change.after, "triggered", True)
    return change.kind is Kind.TRIGGER and is_ in _OFF and was not in ("", *_OFF)


def _disabled(case: Case) -> Iterator[Finding]:
    yield from _unchecked(case)
    found: dict[Place, list[Change]] = defaultdict(list)
    for change in case.changes:
        if _is_off(change):
            found[place(change.object)].append(change)
    for changes in found.values():
        name = changes[0].object
        each = _by(case, changes)
        own = ", those of PostgreSQL itself included"
        told = listed(f"the {one.kind} {named(one.object)}" for one in changes)
        yield finding(
            case,
            "disabled-triggers",
            Severity.CAUTION,
            table_of(name),
            "After the version triggers are disabled"
            f"{own if any(one.kind is Kind.CONSTRAINT for one in changes) else ''}: {told} of "
            f"{table_name(name)} {'is' if len(changes) == 1 else 'are'} not kept up or checked for "
            "all that is written any more, and nothing looks at those rows later",
            statement=each.number if each is not None else None,
            reasons=[" ".join(str(one).split()) for one in changes],
        )


def _unchecked(case: Case) -> Iterator[Finding]:
    """Yield the tables that a version writes while nothing checks it, where something would."""
    for each in ran(case):
        if not each.measure.unchecked:
            continue
        written = {one.table for one in each.measure.written}
        written |= {one.table for one in each.measure.sought}
        for name in sorted(written, key=lambda one: one.sort_key):
            if not _is_checked(case, name):
                continue
            yield finding(
                case,
                "disabled-triggers",
                Severity.CAUTION,
                name,
                f"Statement {each.number} writes {table_name(name)} while session_replication_role "
                "is replica: no trigger runs for those rows and no foreign key is checked, and "
                "nothing looks at them later",
                statement=each.number,
                reasons=reasons(case, each, name),
                remedy=_NOT_AS_REPLICA,
            )


def _is_checked(case: Case, table: ObjectName) -> bool:
    """Whether a table has triggers, or a foreign key that it is at either end of."""
    relation = relation_before(case, table)
    ends: set[tuple[str, str]] = set()
    for one in case.before.tables:
        for key in one.constraints:
            if key.references is not None:
                ends |= {(one.schema, one.name), (key.references.schema, key.references.table)}
    return (relation is not None and bool(relation.triggers)) or place(table) in ends


def _by(case: Case, changes: list[Change]) -> Ran | None:
    """Return the statement that disabled triggers, of a table or of one that it points at."""
    tables = [table_of(changes[0].object)]
    for one in changes:
        points_at = getattr(one.after, "references", None)
        if points_at is not None:
            name = ObjectName(kind=Kind.TABLE, schema=points_at.schema, name=points_at.table)
            tables.append(name)
    found = (statement_of(case, table) for table in tables)
    return next((each for each in found if each is not None), None)


def _first_that_stops(case: Case, table: ObjectName) -> Ran | None:
    return next((each for each in ran(case) if stops(lock_on(each.measure, table))), None)


_PARTITIONED: Final = source(
    "Readings by year, and an old table of them",
    """
up = [
    Sql("CREATE TABLE readings (sensor bigint, year integer NOT NULL) PARTITION BY RANGE (year)"),
    Sql("CREATE TABLE readings_new PARTITION OF readings FOR VALUES FROM (2020) TO (2099)"),
    Sql("CREATE TABLE readings_old (sensor bigint, year integer NOT NULL)"),
]
down = [Sql("DROP TABLE readings_old"), Sql("DROP TABLE readings")]
""",
)
_ATTACH: Final = source(
    "The old readings become a partition",
    """
readings = Table("readings", MetaData())
readings_old = Table("readings_old", MetaData())

up = [AttachPartition(readings, readings_old, "FROM (1970) TO (2020)")]
down = [DetachPartition(readings, readings_old)]
""",
)


def _detach(options: str, down: str) -> str:
    return source(
        "The readings of these years stand alone",
        f"""
readings = Table("readings", MetaData())
readings_new = Table("readings_new", MetaData())

up = [DetachPartition(readings, readings_new{options})]
down = {down}
""",
    )


_TOTALS: Final = source(
    "Readings, and how many there are",
    """
up = [
    Sql("CREATE TABLE readings (sensor bigint)"),
    Sql(
        "CREATE MATERIALIZED VIEW totals AS "
        "SELECT sensor, count(*) AS n FROM readings GROUP BY sensor"
    ),
    Sql("CREATE UNIQUE INDEX totals_key ON totals (sensor)"),
]
down = [Sql("DROP MATERIALIZED VIEW totals"), Sql("DROP TABLE readings")]
""",
)

_PARTS: Final = source(
    "Shops and the parts that they have",
    """
up = [
    Sql("CREATE TABLE shops (id bigint PRIMARY KEY)"),
    Sql("CREATE TABLE parts (shop_id bigint REFERENCES shops)"),
    Sql("CREATE INDEX parts_shop ON parts (shop_id)"),
]
down = [Sql("DROP TABLE parts"), Sql("DROP TABLE shops")]
""",
)

HAZARDS: Final = (
    Hazard(
        id="whole-table-rewrite-command",
        title="A command that writes a whole table anew",
        condition="VACUUM FULL, CLUSTER, SET UNLOGGED, SET LOGGED, SET TABLESPACE or SET ACCESS "
        "METHOD on an existing table.",
        effect="The table and all its indexes, HNSW included, are written anew under ACCESS "
        "EXCLUSIVE: nobody reads or writes it until that is done.",
        remedy="Leave it to a tool that works beside the traffic (pg_repack), or let a plain "
        "VACUUM do",
        page="https://www.postgresql.org/docs/current/sql-vacuum.html",
        bad=example(
            source(
                "Items take less room",
                """
items = Table("items", MetaData())

up = [Vacuum(items, full=True)]
down = []
""",
            )
        ),
        good=example(
            source(
                "Room for new items where old ones were",
                """
items = Table("items", MetaData())

up = [Vacuum(items)]
down = []
""",
            )
        ),
        check=_command,
        covers=GENERAL,
    ),
    Hazard(
        id="matview-refresh",
        title="A materialized view refreshed while nobody can read it",
        condition="REFRESH MATERIALIZED VIEW without CONCURRENTLY.",
        effect="ACCESS EXCLUSIVE on the view for as long as its query takes: nobody reads it.",
        remedy="REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index; better outside "
        "of versions, by a schedule",
        page="https://www.postgresql.org/docs/current/sql-refreshmaterializedview.html",
        bad=example(
            source(
                "The totals of today",
                """
up = [Sql("REFRESH MATERIALIZED VIEW totals")]
down = []
""",
            ),
            base=_TOTALS,
        ),
        good=example(
            source(
                "The totals of today",
                """
up = [Sql("REFRESH MATERIALIZED VIEW CONCURRENTLY totals")]
down = []
""",
            ),
            base=_TOTALS,
        ),
        check=_refreshed,
        covers=GENERAL,
    ),
    Hazard(
        id="partition-attach-scan",
        title="A partition attached or made, for which all rows are read",
        condition="A table is attached as a partition, and no valid CHECK of it says that its rows "
        "are within the bounds; or a partition is added beside a default one.",
        effect="All rows of the table (or of the default partition) are read under ACCESS "
        "EXCLUSIVE: nobody reads or writes it until that is done.",
        remedy="First give the table a CHECK of the same bounds as NOT VALID and validate it, each "
        "in a version of its own; drop it once the partition is attached",
        page=f"{_PARTITIONS}#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE",
        bad=example(_ATTACH, base=_PARTITIONED, also=("data-dependent-failure",)),
        good=example(
            source(
                "The old readings are old",
                """
readings_old = Table("readings_old", MetaData(), Column("year", Integer))
old = CheckConstraint(
    "year >= 1970 AND year < 2020", name="readings_old_year", postgresql_not_valid=True
)
readings_old.append_constraint(old)

up = [AddConstraint(old)]
down = [DropConstraint(old)]
""",
            ),
            source(
                "All old readings are old",
                """
readings_old = Table("readings_old", MetaData())

up = [ValidateConstraint("readings_old_year", table=readings_old)]
down = []
""",
            ),
            _ATTACH,
            base=_PARTITIONED,
        ),
        check=_attached,
        covers=GENERAL,
    ),
    Hazard(
        id="partition-detach-blocking",
        title="A partition detached while nobody can read",
        condition="DETACH PARTITION without CONCURRENTLY.",
        effect="ACCESS EXCLUSIVE on the partition and on the whole partitioned table: a moment's "
        "work, but while it waits for those at work, all others wait behind it, at most "
        "lock_timeout.",
        remedy="DetachPartition(..., concurrently=True) in a version of its own; it leaves a CHECK "
        "of the bounds on the partition, which `down` drops once it is attached again",
        page="https://www.postgresql.org/docs/current/sql-altertable.html"
        "#SQL-ALTERTABLE-DETACH-PARTITION",
        bad=example(
            _detach(
                "",
                '[AttachPartition(readings, readings_new, "FROM (2020) TO (2099)")]',
            ),
            base=_PARTITIONED,
        ),
        good=example(
            _detach(
                ", concurrently=True",
                """[
    AttachPartition(readings, readings_new, "FROM (2020) TO (2099)"),
    Sql("ALTER TABLE readings_new DROP CONSTRAINT readings_new_year_check"),
]""",
            ),
            base=_PARTITIONED,
        ),
        check=_detached,
        covers=frozenset({"brief-exclusive-lock", "collateral-table-lock"}),
    ),
    Hazard(
        id="create-trigger",
        title="A trigger on a table that is there",
        condition="A trigger is made, or replaced, on an existing table.",
        effect="SHARE ROW EXCLUSIVE for a moment: writes wait while it waits for those at work. "
        "From then on each write runs the trigger.",
        remedy="Keep it in a version with nothing slow beside it, so that the lock is short",
        page="https://www.postgresql.org/docs/current/sql-createtrigger.html",
        bad=example(
            source(
                "Names of items are trimmed",
                """
items = Table("items", MetaData())
trim = CreateFunction(
    "trim_name",
    returns="trigger",
    language="plpgsql",
    body="BEGIN NEW.name := btrim(NEW.name); RETURN NEW; END",
)

up = [trim, CreateTrigger(items, "trim_name", timing="BEFORE", events="INSERT", function=trim)]
down = [DropTrigger(items, "trim_name"), DropFunction("trim_name")]
""",
            )
        ),
        good=example(
            source(
                "Names of new parts are trimmed",
                """
parts = Table("parts", MetaData(), Column("name", Text))
trim = CreateFunction(
    "trim_name",
    returns="trigger",
    language="plpgsql",
    body="BEGIN NEW.name := btrim(NEW.name); RETURN NEW; END",
)

up = [
    CreateTable(parts),
    trim,
    CreateTrigger(parts, "trim_name", timing="BEFORE", events="INSERT", function=trim),
]
down = [DropTable(parts), DropFunction("trim_name")]
""",
            )
        ),
        check=_triggers,
        covers=frozenset({"collateral-table-lock"}),
    ),
    Hazard(
        id="disabled-triggers",
        title="Triggers are left disabled",
        condition="After the version a trigger of an existing table does not run that ran before, "
        "or PostgreSQL's own that check a foreign key do not: DISABLE TRIGGER, DISABLE TRIGGER "
        "ALL, ENABLE REPLICA TRIGGER. Or the version writes an existing table that has any while "
        "session_replication_role is replica.",
        effect="Rows come in that a foreign key forbids, and nobody sees it later: a constraint "
        "that was validated once is not looked at again. What the trigger kept up is not kept up.",
        remedy="Enable them again in the same version, after the statements that they are in the "
        "way of; a trigger or foreign key that nobody needs is dropped",
        page="https://www.postgresql.org/docs/current/sql-altertable.html"
        "#SQL-ALTERTABLE-DESC-DISABLE-ENABLE-TRIGGER",
        bad=example(
            source(
                "Parts of no shop",
                """
up = [Sql("ALTER TABLE parts DISABLE TRIGGER ALL")]
down = [Sql("ALTER TABLE parts ENABLE TRIGGER ALL")]
""",
            ),
            base=_PARTS,
        ),
        good=example(
            source(
                "Parts of no shop yet",
                """
up = [
    Sql("ALTER TABLE parts DISABLE TRIGGER ALL"),
    Sql("INSERT INTO parts VALUES (0)"),
    Sql("ALTER TABLE parts ENABLE TRIGGER ALL"),
]
down = [Sql("DELETE FROM parts WHERE shop_id = 0")]
""",
            ),
            base=_PARTS,
        ),
        check=_disabled,
    ),
)
