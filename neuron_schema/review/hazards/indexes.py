"""Hazards of indexes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from neuron_schema.catalog.changes import Action
from neuron_schema.catalog.model import Constraint, Index, Kind, ObjectName, Relation, part_name
from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards.columns import GENERAL
from neuron_schema.review.hazards.facts import (
    column_changes,
    constraint_changes,
    constraint_of,
    differs,
    is_rebuilt,
    lock_on,
    place,
    ran,
    relation_after,
    stops,
)
from neuron_schema.review.hazards.model import Hazard, example, source
from neuron_schema.review.hazards.wording import (
    finding,
    named,
    reasons,
    stop_of,
    table_name,
    table_of,
    waited,
    why,
)
from neuron_schema.review.locks import Access, LockMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import Change
    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.hazards.facts import Ran
    from neuron_schema.review.measures import IndexBuild

VECTOR_METHODS: Final = frozenset({"hnsw", "ivfflat"})
_CREATE: Final = "https://www.postgresql.org/docs/current/sql-createindex.html"


def builds(case: Case, *, rebuilt: bool) -> Iterator[tuple[Ran, IndexBuild]]:
    """Yield the indexes that were built while their table stood still, those of a rewrite apart."""
    for each in ran(case):
        anew = {place(table) for table in each.measure.rewritten}
        for one in each.measure.built:
            if is_rebuilt(case, one) is not rebuilt or place(one.index) in anew:
                continue
            if stops(lock_on(each.measure, one.index)):
                yield each, one


def _created(case: Case) -> Iterator[Finding]:
    for each, one in builds(case, rebuilt=False):
        if one.method in VECTOR_METHODS or constraint_of(case, one.index) is not None:
            continue
        yield finding(
            case,
            "create-index-blocking",
            Severity.BLOCKING,
            one.index,
            f"{stop_of(case, each, one.index)} while the index {named(one.index)} is built over "
            f"all its rows{why(case, each, one.index)}",
            statement=each.number,
            reasons=reasons(case, each, one.index),
            remedy=remedy_where_partitioned(case, one.index),
        )


def remedy_where_partitioned(case: Case, index: ObjectName) -> str:
    """Return what to do on a partitioned table, which refuses CONCURRENTLY; "" for any other."""
    relation = relation_after(case, index)
    if relation is None or relation.partition_key is None:
        return ""
    table = table_name(index)
    return (
        f"A partitioned table takes no CONCURRENTLY: make the index ON ONLY {table}, which is "
        "short; build one on each partition CONCURRENTLY, in versions of their own; then attach "
        "these with ALTER INDEX ... ATTACH PARTITION"
    )


def _reindexed(case: Case) -> Iterator[Finding]:
    for each, one in builds(case, rebuilt=True):
        changes = column_changes(case, table_of(one.index))
        if any(differs(each, "type") or differs(each, "collation") for each in changes):
            continue
        yield finding(
            case,
            "reindex-blocking",
            Severity.BLOCKING,
            one.index,
            f"{_stop_of_all(case, each, one.index)} while the index {named(one.index)} is built "
            f"anew{why(case, each, one.index)}",
            statement=each.number,
            reasons=reasons(case, each, one.index),
        )


def _stop_of_all(case: Case, each: Ran, index: ObjectName) -> str:
    """Return what stops; where only the manual tells it, it tells of the table alone."""
    lock = lock_on(each.measure, index)
    known = lock is not None and Access.READS in lock.blocks
    return stop_of(case, each, index) + ("" if known else ", and reads that would use it,")


def _dropped(case: Case) -> Iterator[Finding]:
    for change in case.changes:
        if change.kind is not Kind.INDEX or change.action is not Action.REMOVED or change.rename:
            continue
        unnamed = {name for each in ran(case) for name in each.measure.cascaded}
        if change.object in unnamed or _became_constraint(case, change):
            continue
        # It went with its table, or materialized view, which was made again.
        if any(_is_of(change.object, name) for each in ran(case) for name in _touched(each)):
            continue
        for each in ran(case):
            lock = lock_on(each.measure, change.object)
            if (
                lock is not None
                and lock.mode is LockMode.ACCESS_EXCLUSIVE
                and not each.statement.concurrent
            ):
                yield finding(
                    case,
                    "drop-index-blocking",
                    Severity.CAUTION,
                    change.object,
                    f"The index {named(change.object)} is dropped under ACCESS EXCLUSIVE on "
                    f"{table_name(change.object)}: reads and writes wait while it waits for those "
                    f"at work, {waited(case, each)}, and then for a moment",
                    statement=each.number,
                    reasons=reasons(case, each, table_of(change.object)),
                )
                break


def _touched(each: Ran) -> tuple[ObjectName, ...]:
    return each.measure.touched or ()


def _is_of(index: ObjectName, name: ObjectName) -> bool:
    """Whether a name is that of the relation that an index belongs to."""
    return name.parent is None and place(name) == place(index)


def _became_constraint(case: Case, change: Change) -> bool:
    """Whether an index is no object of its own any more, as a constraint uses it."""
    was = change.before
    behind = (
        each.after.index
        for each in constraint_changes(case, change.object)
        if each.action is Action.ADDED and isinstance(each.after, Constraint)
    )
    built = {one.index.name for each in ran(case) for one in each.measure.built}
    return isinstance(was, Index) and any(
        index is not None and index.columns == was.columns and index.name not in built
        for index in behind
    )


def _invalid(case: Case) -> Iterator[Finding]:
    for relation in case.after.relations:
        was = case.before.relation(relation.schema, relation.name)
        known = {each.name for each in was.indexes if not each.valid} if was is not None else set()
        known |= _valid_in_the_end(case, relation)
        for index in relation.indexes:
            if not index.valid and index.name not in known:
                name = part_name(index, relation)
                yield finding(
                    case,
                    "invalid-index",
                    Severity.NOTE,
                    name,
                    f"The version leaves the index {named(name)} of {table_name(name)} invalid: "
                    + (
                        "no query uses it, while each write keeps it up"
                        if relation.partition_key is None
                        else "it becomes valid once each partition has an index that is attached"
                    ),
                    reasons=("after the version pg_index.indisvalid is false",),
                )


def _valid_in_the_end(case: Case, relation: Relation) -> set[str]:
    """Return the indexes of a table that a later version under review makes valid."""
    last = case.final.relation(relation.schema, relation.name) if case.final is not None else None
    return {each.name for each in last.indexes if each.valid} if last is not None else set()


@dataclass(frozen=True, slots=True)
class _Tree:
    """What is compared of an index.

    Attributes:
        keys: With operator class, collation and direction, as PostgreSQL prints them.
        rest: INCLUDE, WHERE and so on.
        behind: Whether a constraint needs it.
    """

    index: Index
    method: str
    keys: tuple[str, ...]
    rest: str
    behind: bool

    @property
    def needed(self) -> bool:
        """Whether it does something beside being read."""
        return self.behind or self.index.unique


def _trees(relation: Relation) -> list[_Tree]:
    own = [(each, False) for each in relation.indexes]
    own += [(each.index, True) for each in relation.constraints if each.index is not None]
    # A partition's follow those of its parent, which is told of.
    own = [(index, behind) for index, behind in own if index.valid and index.parent is None]
    return [tree for index, behind in own for tree in [_tree(index, behind)] if tree]


_USING: Final = re.compile(r" USING (\S+) \(")


def _tree(index: Index, behind: bool) -> _Tree | None:  # noqa: FBT001 - a fact about it
    """Read what ``pg_get_indexdef`` says of the keys: ``... USING btree (a, lower(b) DESC) ...``.

    None where the text has another shape.
    """
    found = _USING.search(index.definition)
    if found is None:
        return None
    text = index.definition[found.end() :]
    keys, depth, quoted, start = [], 0, "", 0
    for at, letter in enumerate(text):
        if quoted:
            quoted = "" if letter == quoted else quoted
        elif letter in "\"'":
            quoted = letter
        elif letter == "(":
            depth += 1
        elif letter == ")" and depth:
            depth -= 1
        elif letter in ",)" and not depth:
            keys.append(text[start:at].strip())
            start = at + 1
            if letter == ")":
                return _Tree(index, index.method, tuple(keys), text[start:].strip(), behind)
    return None


def _pairs(case: Case) -> Iterator[tuple[ObjectName, ObjectName, bool]]:
    """Yield an index that another one makes needless, the other, and whether they are equal.

    One of them is made by the version.
    """
    for relation in case.after.tables:
        was = case.before.relation(relation.schema, relation.name)
        known = {each.index.name for each in _trees(was)} if was is not None else set()
        trees = _trees(relation)
        for one in trees:
            for other in trees:
                if one is other or {one.index.name, other.index.name} <= known:
                    continue
                if _needless(one, other, known):
                    equal = one.keys == other.keys
                    yield part_name(one.index, relation), part_name(other.index, relation), equal
                    break


def _needless(one: _Tree, other: _Tree, known: set[str]) -> bool:
    """Whether all that one index does is done by the other too."""
    if one.method != other.method or one.rest != other.rest or one.behind:
        return False
    if one.keys == other.keys:
        if one.needed != other.needed:
            return other.needed
        # Of two that are alike the newer one, or the later by name, need not be.
        age = (one.index.name not in known, one.index.name)
        return age > (other.index.name not in known, other.index.name)
    if one.needed or one.method != "btree":
        return False
    return one.keys == other.keys[: len(one.keys)]


def _duplicates(case: Case) -> Iterator[Finding]:
    for one, other, equal in _pairs(case):
        if equal:
            yield finding(
                case,
                "duplicate-index",
                Severity.NOTE,
                one,
                f"The index {named(one)} of {table_name(one)} does what {named(other)} does: each "
                "write keeps both up, and one would be enough",
                reasons=(f"both have the same method, keys and condition as {named(other)}",),
            )


def _redundant(case: Case) -> Iterator[Finding]:
    for one, other, equal in _pairs(case):
        if not equal:
            yield finding(
                case,
                "redundant-index",
                Severity.NOTE,
                one,
                f"The keys of the index {named(one)} of {table_name(one)} are the first ones of "
                f"{named(other)}, which answers the same queries; each write keeps both up",
                reasons=(f"{named(other)} begins with all keys of {named(one)}",),
            )


_INDEX: Final = """
items = Table("items", MetaData(), Column("{column}", Text))
index = Index("idx_items_{column}", items.c.{column}{options})

up = [CreateIndex(index)]
down = [DropIndex(index)]
"""
_CONCURRENTLY: Final = ", postgresql_concurrently=True"


def _indexed(column: str = "name", options: str = "") -> str:
    return source(f"Find items by {column}", _INDEX.format(column=column, options=options))


_BOTH: Final = """
items = Table("items", MetaData(), Column("shop_id", BigInteger), Column("name", Text))
index = Index("{name}", {keys}, postgresql_concurrently=True)

up = [CreateIndex(index)]
down = [DropIndex(index)]
"""


def _two(name: str, keys: str) -> str:
    return source("Find items of a shop", _BOTH.format(name=name, keys=keys))


HAZARDS: Final = (
    Hazard(
        id="create-index-blocking",
        title="An index built while nobody can write",
        condition="CREATE INDEX on an existing table without CONCURRENTLY.",
        effect="Writes wait until the index is built over all rows. Where an earlier statement of "
        "the version holds ACCESS EXCLUSIVE on the table, reads wait as well.",
        remedy="Build it CONCURRENTLY (Index(..., postgresql_concurrently=True)) in a version of "
        "its own",
        page=f"{_CREATE}#SQL-CREATEINDEX-CONCURRENTLY",
        bad=example(_indexed()),
        good=example(_indexed(options=_CONCURRENTLY)),
        check=_created,
        covers=GENERAL,
    ),
    Hazard(
        id="reindex-blocking",
        title="An index rebuilt while nobody can write",
        condition="REINDEX without CONCURRENTLY.",
        effect="Writes of the table wait until the index is built anew, and so do reads that would "
        "use it.",
        remedy="Reindex(..., concurrently=True) in a version of its own",
        page="https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY",
        bad=example(
            source(
                "Build the index of shops anew",
                """
up = [Reindex("idx_items_shop")]
down = []
""",
            )
        ),
        good=example(
            source(
                "Build the index of shops anew",
                """
up = [Reindex("idx_items_shop", concurrently=True)]
down = []
""",
            )
        ),
        check=_reindexed,
        covers=GENERAL,
    ),
    Hazard(
        id="drop-index-blocking",
        title="An index dropped while nobody can read",
        condition="DROP INDEX on an existing table without CONCURRENTLY.",
        effect="ACCESS EXCLUSIVE on the table: a moment's work, but while it waits for those at "
        "work on the table, all others wait behind it, at most lock_timeout.",
        remedy="Drop it CONCURRENTLY (Index(..., postgresql_concurrently=True)) in a version of "
        "its own",
        page="https://www.postgresql.org/docs/current/sql-dropindex.html",
        bad=example(
            source(
                "Items are not sought by shop any more",
                """
items = Table("items", MetaData(), Column("shop_id", BigInteger))
index = Index("idx_items_shop", items.c.shop_id)

up = [DropIndex(index)]
down = [CreateIndex(index)]
""",
            )
        ),
        good=example(
            source(
                "Items are not sought by shop any more",
                """
items = Table("items", MetaData(), Column("shop_id", BigInteger))
index = Index("idx_items_shop", items.c.shop_id, postgresql_concurrently=True)

up = [DropIndex(index)]
down = [CreateIndex(index)]
""",
            )
        ),
        check=_dropped,
        covers=frozenset({"brief-exclusive-lock"}),
    ),
    Hazard(
        id="invalid-index",
        title="An index that stays invalid",
        condition="After the version an index is there that is not valid: CREATE INDEX ON ONLY a "
        "partitioned table, whose partitions have none yet, or one that was left half-done.",
        effect="No query uses it, and each write keeps it up.",
        remedy="Attach an index of every partition in the same version, or drop it",
        page=f"{_CREATE}#SQL-CREATEINDEX-CONCURRENTLY",
        bad=example(
            source(
                "Find readings by sensor",
                """
up = [Sql("CREATE INDEX idx_readings_sensor ON ONLY readings (sensor)")]
down = [Sql("DROP INDEX idx_readings_sensor")]
""",
            ),
            base=source(
                "Readings of sensors",
                """
up = [
    Sql("CREATE TABLE readings (sensor bigint, year integer) PARTITION BY RANGE (year)"),
    Sql("CREATE TABLE readings_now PARTITION OF readings FOR VALUES FROM (2025) TO (2099)"),
]
down = [Sql("DROP TABLE readings")]
""",
            ),
            also=("drop-index-blocking", "create-index-blocking", "opaque-ddl"),
        ),
        good=example(
            source(
                "Find this year's readings by sensor",
                """
readings = Table("readings_now", MetaData(), Column("sensor", BigInteger))
index = Index("idx_readings_now", readings.c.sensor, postgresql_concurrently=True)

up = [CreateIndex(index)]
down = [DropIndex(index)]
""",
            ),
            source(
                "Find readings by sensor",
                """
up = [
    Sql("CREATE INDEX idx_readings_sensor ON ONLY readings (sensor)"),
    Sql("ALTER INDEX idx_readings_sensor ATTACH PARTITION idx_readings_now"),
]
down = irreversible("the partition's index cannot be detached again")
""",
            ),
            base=source(
                "Readings of sensors",
                """
up = [
    Sql("CREATE TABLE readings (sensor bigint, year integer) PARTITION BY RANGE (year)"),
    Sql("CREATE TABLE readings_now PARTITION OF readings FOR VALUES FROM (2025) TO (2099)"),
]
down = [Sql("DROP TABLE readings")]
""",
            ),
            also=("irreversible", "collateral-table-lock"),
        ),
        check=_invalid,
    ),
    Hazard(
        id="duplicate-index",
        title="Two indexes that do the same",
        condition="An index has the method, the keys and the condition of another one; often of "
        "the one behind a unique constraint.",
        effect="Each write keeps both up, both take memory, and no query is faster.",
        remedy="Leave the index out; or drop the other one, where that is not behind a constraint",
        page="https://www.postgresql.org/docs/current/indexes-unique.html",
        bad=example(
            _two("idx_items_by_shop", "items.c.shop_id"),
        ),
        good=example(_indexed(options=_CONCURRENTLY)),
        check=_duplicates,
    ),
    Hazard(
        id="redundant-index",
        title="An index whose keys another one begins with",
        condition="All keys of a B-tree that is not unique are the first keys of another one.",
        effect="The longer one answers the same queries; each write keeps both up. The shorter is "
        "smaller, and worth it only where the longer one's other keys are wide.",
        remedy="Drop the shorter one, or leave the longer one out",
        page="https://www.postgresql.org/docs/current/indexes-multicolumn.html",
        bad=example(_two("idx_items_shop_name", "items.c.shop_id, items.c.name")),
        good=example(_two("idx_items_name_shop", "items.c.name, items.c.shop_id")),
        check=_redundant,
    ),
)
