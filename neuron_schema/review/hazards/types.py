"""Hazards of types: one that is altered, and one that is better not chosen."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from neuron_schema.catalog.changes import Action
from neuron_schema.catalog.model import Column, Kind, ObjectName, Relation, part_name, spelled
from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards.columns import GENERAL, rewrites
from neuron_schema.review.hazards.facts import (
    column_changes,
    differs,
    lock_on,
    place,
    ran,
    relation_before,
    same_table,
    statement_of,
    stops,
    touched,
)
from neuron_schema.review.hazards.model import Hazard, example, source
from neuron_schema.review.hazards.wording import (
    finding,
    listed,
    named,
    reasons,
    refusal,
    stop_of,
    table_name,
    table_of,
    why,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import Change
    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.hazards.facts import Ran

_DEFAULT: Final = "the default collation"
_REWRITING: Final = "rewriting table "
_STORED: Final = ("persistence", "access_method")
_OTHER_VALUES: Final = (
    "Write the new values with a Backfill, into a new column beside the old one where the previous "
    "release must not read them; drop the old one in a later version"
)
_OTHER_EXPRESSION: Final = (
    "Add a plain column beside it that the application or a trigger fills, fill old rows with a "
    "Backfill, read the new one, and drop the generated one in a later version"
)
_VECTORS: Final = re.compile(r"(?:.*\.)?(vector|halfvec|sparsevec)(?:\((\d+)\))?")


def vector_of(type_: str) -> tuple[str, int | None] | None:
    """Return which vector type a column's is, and its dimensions; None for any other type."""
    found = _VECTORS.fullmatch(type_)
    return (found[1], int(found[2]) if found[2] else None) if found else None


def retyped(case: Case, table: ObjectName) -> list[Change]:
    """Return the columns of a table that became another type or collation."""
    return [
        change
        for change in column_changes(case, table)
        if differs(change, "type") or differs(change, "collation")
    ]


def is_vector(change: Change) -> bool:
    """Whether a column was a vector and is one."""
    sides = (change.before, change.after)
    return all(isinstance(side, Column) and vector_of(side.type) for side in sides)


def type_change(change: Change) -> str:
    """Return ``items.stock from integer to bigint``, or the same of collations, or of both."""
    told = [
        f"from {before} to {after}"
        for before, after in (_sides(change, "type", ""), _sides(change, "collation", _DEFAULT))
        if before != after
    ]
    return f"{named(change.object)} {' and '.join(told)}"


def _sides(change: Change, attribute: str, usual: str) -> list[str]:
    """Return what a property was and is, for people."""
    found = [getattr(side, attribute, None) or usual for side in (change.before, change.after)]
    names = [each.removeprefix("public.").removeprefix("pg_catalog.") for each in found]
    return [f"the collation {each}" if usual and each != usual else each for each in names]


def explains_rewrite(change: Change) -> bool:
    """Whether a column's change may be why a table was rewritten; it has a hazard of its own."""
    return change.action is Action.ADDED or differs(change, "type") or differs(change, "collation")


def is_computed(case: Case, each: Ran, table: ObjectName) -> bool:
    """Whether a statement wrote values anew of a column that has the type that it had.

    It was ALTER TABLE, as the server says, and nothing in the schema after the version is other
    than before that would take it: no column, no way in which the table is stored.
    """
    relation = next(
        (
            one
            for one in case.changes
            if same_table(one.object, table) and isinstance(one.after, Relation)
        ),
        None,
    )
    if relation is not None and any(differs(relation, one) for one in _STORED):
        return False
    changes = touched(case, each, table, column_changes(case, table))
    was = relation_before(case, table)
    known = {column.name for column in was.columns} if was is not None else set()
    new = {name for name in each.measure.touched or () if name.name not in known}
    return (
        any(text.startswith(_REWRITING) for text in each.measure.said)
        and not any(map(explains_rewrite, changes))
        and not any(name.kind is Kind.COLUMN and same_table(name, table) for name in new)
    )


def _worked(case: Case) -> Iterator[tuple[Ran, ObjectName]]:
    """Yield statements that wrote a table anew, or built an index of it anew."""
    yield from rewrites(case)
    for each in ran(case):
        anew = {place(table) for table in each.measure.rewritten}
        tables = {
            place(one.index): table_of(one.index) for one in each.measure.built if one.rebuilt
        }
        for where, table in tables.items():
            if where not in anew and stops(lock_on(each.measure, table)):
                yield each, table


def _rewrite(case: Case) -> Iterator[Finding]:
    for each, table in _worked(case):
        changes = [
            change
            for change in touched(case, each, table, retyped(case, table))
            if not is_vector(change)
        ]
        if changes:
            anew = table in each.measure.rewritten
            yield finding(
                case,
                "alter-type-rewrite",
                Severity.BLOCKING,
                changes[0].object,
                f"{stop_of(case, each, table)} while "
                + ("every row is written anew and its indexes" if anew else "its indexes")
                + f" are built again: {listed(map(type_change, changes))}"
                + why(case, each, table).replace(":", ";", 1),
                statement=each.number,
                reasons=reasons(case, each, table),
            )


def _retyped(case: Case) -> Iterator[Finding]:
    yield from _rewrite(case)
    yield from _computed(case)


def _computed(case: Case) -> Iterator[Finding]:
    for each, table in rewrites(case):
        if is_computed(case, each, table):
            yield finding(
                case,
                "alter-type-rewrite",
                Severity.BLOCKING,
                table,
                f"{stop_of(case, each, table)} while every row is written anew and its indexes are "
                "built again: ALTER TABLE computes the values of a column that has the same type "
                "as before, as TYPE ... USING does, and the old values are gone"
                + why(case, each, table).replace(":", ";", 1),
                statement=each.number,
                reasons=reasons(case, each, table),
                remedy=_OTHER_EXPRESSION if _is_generated(case, each, table) else _OTHER_VALUES,
            )


def _is_generated(case: Case, each: Ran, table: ObjectName) -> bool:
    """Whether the values are those of a generated column, which takes no others."""
    return any(
        getattr(change.after, "generated", None) is not None
        for change in touched(case, each, table, column_changes(case, table))
    )


def _blocked(case: Case) -> Iterator[Finding]:
    for each in ran(case):
        failed = each.measure.failed
        if failed is None or failed.sqlstate != "0A000" or "type of a column" not in failed.message:
            continue
        yield finding(
            case,
            "alter-type-blocked",
            Severity.BLOCKING,
            None,
            f"Statement {each.number} fails: {refusal(failed)}",
            statement=each.number,
            reasons=(f"PostgreSQL refused with {failed.sqlstate}: {refusal(failed)}",),
        )


_ADVICE: Final = (
    (
        re.compile(r"timestamp(\(\d\))? without time zone"),
        "it says what a clock showed and not when that was",
        "timestamp with time zone, DateTime(timezone=True)",
    ),
    (
        re.compile(r"timestamp\(0\) with time zone"),
        "it rounds, so that a time can be in the future",
        "timestamp with time zone, and date_trunc() to show it",
    ),
    (
        re.compile(r"time(\(\d\))? with time zone"),
        "an offset means nothing without a date",
        "timestamp with time zone",
    ),
    (
        re.compile(r"character\(\d+\)"),
        "it is filled up with blanks that some operators see and others do not",
        "text, or varchar(n) where there is a true limit",
    ),
    (
        re.compile(r"money"),
        "what it means depends on lc_monetary, and it knows no currency",
        "numeric, and a column for the currency",
    ),
    (
        re.compile(r"json"),
        "it is parsed anew by each query, has no equality and no index",
        "jsonb, but where the text must stay as it came",
    ),
)


def _discouraged(case: Case) -> Iterator[Finding]:
    for relation, columns in _new_columns(case):
        by_advice: defaultdict[tuple[str, str, str], list[Column]] = defaultdict(list)
        for column in columns:
            found = _advice(case, relation, column)
            if found is not None:
                by_advice[found].append(column)
        for (type_, because, instead), ones in by_advice.items():
            names = [part_name(column, relation) for column in ones]
            each = statement_of(case, names[0])
            verb = "is" if len(names) == 1 else "are"
            yield finding(
                case,
                "discouraged-type",
                Severity.NOTE,
                names[0],
                f"{listed(map(named, names))} {verb} {type_}: {because}",
                statement=each.number if each is not None else None,
                reasons=(f"the catalog says {type_} of {table_name(names[0])}",),
                remedy=f"Use {instead}",
            )


def _new_columns(case: Case) -> Iterator[tuple[Relation, list[Column]]]:
    """Yield tables with the columns that the version makes."""
    found: dict[tuple[str | None, str], list[Column]] = defaultdict(list)
    for change in case.changes:
        if change.action is not Action.ADDED or change.rename is not None:
            continue
        after = change.after
        if isinstance(after, Relation) and after.partition_bound is None:
            found[place(change.object)] += after.columns
        elif isinstance(after, Column):
            found[place(change.object)].append(after)
    for (schema, name), columns in found.items():
        relation = case.after.relation(schema or "", name)
        was = case.formerly.relation(schema or "", name) if case.formerly is not None else None
        # Of an edited version, what the edit did not touch was chosen long ago.
        chosen = [each for each in columns if was is None or each not in was.columns]
        if relation is not None and relation.kind is Kind.TABLE and chosen:
            yield relation, chosen


def _advice(case: Case, relation: Relation, column: Column) -> tuple[str, str, str] | None:
    type_ = column.type.removesuffix("[]")
    for pattern, because, instead in _ADVICE:
        if pattern.fullmatch(type_):
            return column.type, because, instead
    if _is_serial(case, relation, column):
        return (
            f"{column.type} with a sequence (serial)",
            "the sequence has rights and a default of its own, which a copy of the table keeps",
            "GENERATED ALWAYS AS IDENTITY, Identity(always=True)",
        )
    return None


def _is_serial(case: Case, relation: Relation, column: Column) -> bool:
    if not (column.default or "").startswith("nextval("):
        return False
    owner = ".".join(spelled(part) for part in (relation.schema, relation.name, column.name))
    return any(getattr(each, "owned_by", None) == owner for each in case.after.objects)


_ALTER: Final = """
items = Table("items", MetaData(), Column("{name}", {old}))

up = [AlterColumn(items.c.{name}, type_={new})]
down = [AlterColumn(items.c.{name}, type_={old})]
"""


def _altered(summary: str, name: str, old: str, new: str) -> str:
    return source(summary, _ALTER.format(name=name, old=old, new=new))


_SHOWN: Final = source(
    "Items, and a view of their prices",
    """
up = [
    Sql("CREATE TABLE items (id bigint PRIMARY KEY, price numeric(10, 2))"),
    Sql("CREATE VIEW prices AS SELECT id, price FROM items"),
]
down = [Sql("DROP VIEW prices"), Sql("DROP TABLE items")]
""",
)

HAZARDS: Final = (
    Hazard(
        id="alter-type-rewrite",
        title="A column becomes another type, and the table is written anew",
        condition="ALTER COLUMN TYPE to a type whose values are stored in another way, or could "
        "be other ones: integer to bigint, json to jsonb, a shorter varchar, another scale. A "
        "longer varchar, varchar to text, more digits of the same scale need no rewrite; nor does "
        "timestamp to timestamptz while TimeZone is UTC. Or to the same type with USING, which "
        "computes other values; or with another collation, for which indexes are built again.",
        effect="PostgreSQL writes the whole table and its indexes anew under ACCESS EXCLUSIVE: "
        "nobody reads or writes it until that is done; a value that does not fit makes it fail.",
        remedy="Add a column of the new type, let the application or a trigger write both, fill it "
        "with a Backfill, read the new one, and drop the old one in a later version",
        page="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES",
        bad=example(
            _altered("More stock than two thousand millions", "stock", "Integer", "BigInteger")
        ),
        good=example(_altered("Longer skus", "sku", "String(50)", "String(100)")),
        check=_retyped,
        covers=GENERAL,
    ),
    Hazard(
        id="alter-type-blocked",
        title="A column becomes another type, and a view needs it",
        condition="ALTER COLUMN TYPE of a column that a view, a rule, a generated column or a "
        "policy uses.",
        effect="PostgreSQL refuses: the version fails.",
        remedy="Drop what uses the column and make it again, in the same version",
        page="https://www.postgresql.org/docs/current/ddl-depend.html",
        bad=example(
            _altered("Larger prices", "price", "Numeric(10, 2)", "Numeric(12, 2)"), base=_SHOWN
        ),
        good=example(
            source(
                "Larger prices",
                """
items = Table("items", MetaData(), Column("price", Numeric(10, 2)))
view = Sql("CREATE VIEW prices AS SELECT id, price FROM items")

up = [Sql("DROP VIEW prices"), AlterColumn(items.c.price, type_=Numeric(12, 2)), view]
down = [Sql("DROP VIEW prices"), AlterColumn(items.c.price, type_=Numeric(10, 2)), view]
""",
            ),
            base=_SHOWN,
            also=("multi-table-strong-locks",),
        ),
        check=_blocked,
        covers=frozenset({"statement-fails"}),
    ),
    Hazard(
        id="discouraged-type",
        title="A type that PostgreSQL advises against",
        condition="A new column is timestamp without time zone, timestamp(0), time with time zone, "
        "char(n), money, json or serial. varchar(n) is none of them.",
        effect="It does not do what it seems to: see the page. Now it costs nothing to choose "
        "another one; later all rows have to be written anew.",
        remedy="Choose the type that the page names instead",
        page="https://wiki.postgresql.org/wiki/Don%27t_Do_This",
        bad=example(
            source(
                "When an item was seen",
                """
items = Table("items", MetaData(), Column("seen_at", DateTime))

up = [AddColumn(items.c.seen_at)]
down = [DropColumn(items.c.seen_at)]
""",
            )
        ),
        good=example(
            source(
                "When an item was seen",
                """
items = Table("items", MetaData(), Column("seen_at", DateTime(timezone=True)))

up = [AddColumn(items.c.seen_at)]
down = [DropColumn(items.c.seen_at)]
""",
            )
        ),
        check=_discouraged,
    ),
)
