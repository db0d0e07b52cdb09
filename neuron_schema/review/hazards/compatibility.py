"""Hazards for the previous release, which runs on while a version is applied; lost objects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from neuron_schema.catalog.changes import Action
from neuron_schema.catalog.model import Column, EnumType, Kind, Relation, Routine, Sequence, spelled
from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards.access import kept_out
from neuron_schema.review.hazards.facts import (
    differs,
    is_new,
    is_renamed,
    new_name,
    ran,
    relation_after,
    statement_of,
    taken,
)
from neuron_schema.review.hazards.model import Hazard, example, source
from neuron_schema.review.hazards.publishing import refused
from neuron_schema.review.hazards.wording import (
    finding,
    listed,
    named,
    reasons,
    sized,
    table_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import Change, ObjectName
    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding

_MODIFYING: Final = "https://www.postgresql.org/docs/current/ddl-alter.html"
_BRIEF: Final = frozenset({"brief-exclusive-lock"})
_VIEWS: Final = (Kind.VIEW, Kind.MATERIALIZED_VIEW)
_TYPES: Final = (Kind.ENUM, Kind.COMPOSITE, Kind.RANGE, Kind.DOMAIN)


def _told(case: Case, hazard: str, name: ObjectName, sentence: str, *extra: str) -> Finding:
    """Return a caution of something in a table, with the lock that it takes."""
    each = statement_of(case, name)
    found = reasons(case, each, table_of(name)) if each is not None else ()
    return finding(
        case,
        hazard,
        Severity.CAUTION,
        name,
        sentence,
        statement=each.number if each is not None else None,
        reasons=(*extra, *found),
    )


def _removed(case: Case, kind: Kind, *, renamed: bool) -> Iterator[Change]:
    """Yield what of a kind is not there any more under its name."""
    for change in case.changes:
        gone = change.kind is kind and change.action is Action.REMOVED
        if gone and is_renamed(case, change) is renamed and not is_new(case, change.object):
            yield change


def _columns(case: Case) -> Iterator[Finding]:
    for change in _removed(case, Kind.COLUMN, renamed=False):
        relation = relation_after(case, change.object)
        if relation is None or relation.kind is not Kind.TABLE:
            continue
        stored = isinstance(change.before, Column) and change.before.generated is None
        yield _told(
            case,
            "drop-column",
            change.object,
            f"{named(change.object)} is dropped: "
            + ("its values are gone for good, and " if stored else "")
            + "the previous release breaks where it reads or writes it",
            *_losses(case, change.object),
        )


def _tables(case: Case) -> Iterator[Finding]:
    for change in _removed(case, Kind.TABLE, renamed=False):
        yield _told(
            case,
            "drop-table",
            change.object,
            f"The table {sized(case, change.object)} is dropped: its rows are gone for good, and "
            "the previous release breaks where it uses it",
            *_losses(case, change.object),
        )


def _losses(case: Case, name: ObjectName) -> list[str]:
    return [
        f"of a few rows: {loss.object} {loss.what}"
        for loss in case.proof.losses
        if loss.direction == "up" and loss.object == str(name)
    ]


def _renamed_columns(case: Case) -> Iterator[Finding]:
    for change in _removed(case, Kind.COLUMN, renamed=True):
        new = new_name(case, change)
        yield _told(
            case,
            "rename-column",
            change.object,
            f"{named(change.object)} is renamed{f' to {new.name}' if new else ''}: the previous "
            "release breaks where it reads or writes it under the old name",
        )


def _renamed_tables(case: Case) -> Iterator[Finding]:
    for change in _removed(case, Kind.TABLE, renamed=True):
        if _is_stood_in_for(case, change):
            continue
        new = new_name(case, change)
        yield _told(
            case,
            "rename-table",
            change.object,
            f"The table {named(change.object)} is renamed{f' to {named(new)}' if new else ''}: the "
            "previous release breaks where it uses it under the old name",
        )
    yield from _swapped(case)


def _is_stood_in_for(case: Case, change: Change) -> bool:
    """Whether a view has a table's old name, all its columns, and whoever might use the table."""
    table, view = change.before, relation_after(case, change.object)
    if not isinstance(table, Relation) or view is None or view.kind is not Kind.VIEW:
        return False
    there = {(column.name, column.type) for column in view.columns}
    # What a version gives is in the schemas; `changes` leave it out.
    was = case.before.relation(table.schema, table.name) or table
    columns = {(column.name, column.type) for column in table.columns}
    return columns <= there and not taken(change.object, was, view)


def _swapped(case: Case) -> Iterator[Finding]:
    """Yield the tables that have another name while another table has theirs."""
    pairs = dict.fromkeys(pair for each in ran(case) for pair in each.measure.renamed)
    for old, new in pairs:
        there = old in case.before.by_name and old in case.after.by_name
        if old.kind is Kind.TABLE and there and not is_new(case, old):
            yield _told(
                case,
                "rename-table",
                old,
                f"The table {named(old)} is renamed to {named(new)}, and another table has its "
                "name now: the previous release reads and writes that one",
            )


def _breaks(case: Case) -> Iterator[Finding]:
    found = [(change.object, *each) for change in case.changes for each in _sentences(case, change)]
    for name, sentence, remedy in (*found, *kept_out(case), *refused(case)):
        told = _told(case, "breaks-previous-release", name, sentence)
        yield replace(told, remedy=remedy)


def _sentences(case: Case, change: Change) -> Iterator[tuple[str, str]]:
    """Yield what the previous release misses, with what to do instead."""
    before, after, name = change.before, change.after, named(change.object)
    if isinstance(before, EnumType) and isinstance(after, EnumType):
        gone = [label for label in before.labels if label not in after.labels]
        if gone:
            yield (
                f"The enum type {name} does not have {listed(map(repr, gone))} any more: the "
                "previous release breaks where it reads or writes that",
                _EXPAND,
            )
    elif isinstance(after, Column):
        yield from _requirements(case, change, after)
    elif change.action is Action.REMOVED and not is_renamed(case, change):
        if change.kind in _VIEWS or _is_used_by_name(before):
            yield (
                f"The {change.kind} {name} is dropped: the previous release breaks where it uses "
                "it",
                _UNUSED_FIRST,
            )
        elif change.kind is Kind.COLUMN and _of_view(case, change.object):
            yield (
                f"{name} is not there any more: the previous release breaks where it reads it",
                _UNUSED_FIRST,
            )
    elif change.action is Action.REMOVED and (change.kind in _VIEWS or _is_used_by_name(before)):
        yield (
            f"The {change.kind} {name} is renamed: the previous release breaks where it uses it",
            _BOTH_NAMES,
        )


def _requirements(case: Case, change: Change, column: Column) -> Iterator[tuple[str, str]]:
    """Yield what a column asks for that the previous release does not know of."""
    if column.identity == "always" and _may_be_given(change.before):
        yield (
            f"{named(change.object)} is GENERATED ALWAYS from now on: the previous release breaks "
            "where it writes a value into it",
            "Make it GENERATED BY DEFAULT; ALWAYS when no release writes values of its own",
        )
    if column.default is not None or column.identity is not None or column.generated is not None:
        return
    if not column.not_null or is_new(case, change.object) or _of_view(case, change.object):
        return
    name = named(change.object)
    if change.action is Action.ADDED:
        # A new name of an old column asks for nothing new.
        if change.rename is None:
            yield (
                f"{name} is new, must not be NULL and has no default: the previous release, which "
                "does not know it, can insert no row",
                "Give it a default, which a later version may drop once every release writes it",
            )
    elif differs(change, "not_null"):
        # Where a constraint said so before, the previous release knows it.
        if _was_held(case, change.object):
            return
        yield (
            f"{name} must not be NULL any more and has no default: the previous release breaks "
            "where it leaves it out or writes NULL",
            "First a release that always writes it, then the version that forbids NULL; a default "
            "helps a release that leaves it out",
        )
    elif differs(change, "default") or differs(change, "identity"):
        yield (
            f"{name} must not be NULL and has no default any more: the previous release breaks "
            "where it leaves it out",
            "First a release that always writes it, then the version that drops the default",
        )


def _may_be_given(column: object) -> bool:
    """Whether a column is there before the version, and takes what is written into it."""
    return isinstance(column, Column) and column.identity != "always" and column.generated is None


def _was_held(case: Case, column: ObjectName) -> bool:
    """Whether a constraint kept NULL out of a column before, of new rows at least."""
    table = case.before.relation(column.schema or "", column.parent or "")
    wanted = f"CHECK (({spelled(column.name)} IS NOT NULL))"
    return table is not None and any(
        each.type == "not null" or each.definition.startswith(wanted)
        for each in table.constraints
        if each.columns == (column.name,) and each.enforced
    )


def _is_used_by_name(value: object) -> bool:
    """Whether a release calls something by its name; a trigger or a column has it by itself."""
    if isinstance(value, Routine):
        return value.result not in ("trigger", "event_trigger")
    if isinstance(value, Sequence):
        return value.owned_by is None
    return getattr(value, "kind", None) in _TYPES


def _of_view(case: Case, name: ObjectName) -> bool:
    relation = relation_after(case, name)
    return isinstance(relation, Relation) and relation.kind in _VIEWS


def _cascaded(case: Case) -> Iterator[Finding]:
    for each in ran(case):
        gone = [name for name in each.measure.cascaded if not _is_inherited(case, name)]
        if not gone:
            continue
        told = listed(f"the {name.kind} {named(name)}" for name in gone)
        yield finding(
            case,
            "cascaded-drop",
            Severity.CAUTION,
            gone[0],
            f"Statement {each.number} also drops what it does not name: {told}",
            statement=each.number,
            reasons=("they are not there after it, and were before",),
        )


def _is_inherited(case: Case, name: ObjectName) -> bool:
    """Whether a column is a partition's, or another child's, that its parent declares."""
    relation = case.before.relation(name.schema or "", name.parent or "")
    columns = relation.columns if relation is not None and name.kind is Kind.COLUMN else ()
    return any(column.name == name.name and not column.is_local for column in columns)


_NOTE: Final = 'items = Table("items", MetaData(), Column("sku", String(50)))'
_SHOWN: Final = source(
    "Items, and a view of them",
    """
up = [
    Sql("CREATE TABLE items (id bigint PRIMARY KEY, name text, sku text)"),
    Sql("CREATE INDEX idx_items_sku ON items (sku)"),
    Sql("CREATE VIEW shown AS SELECT id, sku FROM items"),
]
down = [Sql("DROP VIEW shown"), Sql("DROP TABLE items")]
""",
)
_STATES: Final = source(
    "Parcels and the states that they are in",
    """
up = [
    Sql("CREATE TYPE state AS ENUM ('packed', 'sent')"),
    Sql("CREATE TABLE parcels (state state)"),
]
down = [Sql("DROP TABLE parcels"), Sql("DROP TYPE state")]
""",
)
_TITLE: Final = source(
    "Items have titles, beside their names",
    """
items = Table("items", MetaData(), Column("title", Text))

up = [AddColumn(items.c.title)]
down = [DropColumn(items.c.title)]
""",
)
_EXPAND: Final = (
    "In steps, each with a release of its own: add the new one beside it, write both, fill the new "
    "one with a Backfill, read the new one, and drop the old one when no release uses it"
)

_UNUSED_FIRST: Final = (
    "First a release that does not use it any more, then the version that drops it"
)
_BOTH_NAMES: Final = (
    "Make it under the new name beside the old one, and drop the old one when no release uses it"
)

HAZARDS: Final = (
    Hazard(
        id="drop-column",
        title="A column is dropped",
        condition="DROP COLUMN on an existing table.",
        effect="The values are gone for good, whatever `down` says; indexes and constraints on the "
        "column go with it; the previous release, which runs until the new one is out, breaks.",
        remedy="First a release that does not use the column any more, then the version that drops "
        "it",
        page=f"{_MODIFYING}#DDL-ALTER-REMOVING-A-COLUMN",
        bad=example(
            source(
                "Items have no sku",
                f"""
{_NOTE}

up = [DropColumn(items.c.sku)]
down = [AddColumn(items.c.sku)]
""",
            ),
            also=("down-not-restoring",),
        ),
        good=example(
            source(
                "The sku of an item is told to be gone soon",
                """
up = [Sql("COMMENT ON COLUMN items.sku IS 'not used any more; dropped in the next release'")]
down = [Sql("COMMENT ON COLUMN items.sku IS NULL")]
""",
            )
        ),
        check=_columns,
        covers=_BRIEF,
    ),
    Hazard(
        id="drop-table",
        title="A table is dropped",
        condition="DROP TABLE of an existing table.",
        effect="The rows are gone for good, whatever `down` says; the previous release, which runs "
        "until the new one is out, breaks.",
        remedy="First a release that does not use the table any more, then the version that drops "
        "it",
        page="https://www.postgresql.org/docs/current/sql-droptable.html",
        bad=example(
            source(
                "No shops",
                """
shops = Table(
    "shops",
    MetaData(),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
)

up = [DropTable(shops)]
down = [CreateTable(shops)]
""",
            )
        ),
        good=example(
            source(
                "The shops are told to be gone soon",
                """
up = [Sql("COMMENT ON TABLE shops IS 'not used any more; dropped in the next release'")]
down = [Sql("COMMENT ON TABLE shops IS NULL")]
""",
            )
        ),
        check=_tables,
        covers=_BRIEF,
    ),
    Hazard(
        id="rename-column",
        title="A column is renamed",
        condition="RENAME COLUMN on an existing table.",
        effect="The previous release, which runs until the new one is out, breaks with the first "
        "query that uses the old name.",
        remedy=_EXPAND,
        page=f"{_MODIFYING}#DDL-ALTER-RENAMING-COLUMN",
        bad=example(
            source(
                "The sku of an item is its code",
                f"""
{_NOTE}

up = [RenameColumn(items.c.sku, "code")]
down = [RenameColumn("code", "sku", table=items)]
""",
            )
        ),
        good=example(_TITLE),
        check=_renamed_columns,
        covers=_BRIEF,
    ),
    Hazard(
        id="rename-table",
        title="A table is renamed",
        condition="RENAME of an existing table, and no view has its old name, its columns and its "
        "privileges after the version.",
        effect="The previous release, which runs until the new one is out, breaks with the first "
        "query that uses the old name.",
        remedy="Rename it and make a view of the old name in the same version, with the same "
        "privileges, which the previous release can read and write; drop the view when no release "
        "uses it",
        page="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-RENAME",
        bad=example(
            source(
                "Items are goods",
                """
items = Table("items", MetaData())
goods = Table("goods", MetaData())

up = [RenameTable(items, "goods")]
down = [RenameTable(goods, "items")]
""",
            )
        ),
        good=example(
            source(
                "Items are goods, and for the previous release still items",
                """
items = Table("items", MetaData())
goods = Table("goods", MetaData())

up = [RenameTable(items, "goods"), Sql("CREATE VIEW items AS SELECT * FROM goods")]
down = [Sql("DROP VIEW items"), RenameTable(goods, "items")]
""",
            )
        ),
        check=_renamed_tables,
        covers=_BRIEF,
    ),
    Hazard(
        id="breaks-previous-release",
        title="What the previous release relies on is gone",
        condition="A value of an enum, a view, a function, a type or a sequence is dropped or "
        "renamed; a column must not be NULL any more, or loses its default, so that who leaves it "
        "out fails, or is GENERATED ALWAYS; row-level security holds for a table from now on, or "
        "by other policies; a privilege is taken from a role; a published table has no replica "
        "identity.",
        effect="The previous release, which runs until the new one is out, breaks.",
        remedy="First a release that does without it, then the version; or add the new one beside "
        "it, with a default where the previous release leaves it out, and take the old one away "
        "when no release uses it",
        page=_MODIFYING,
        bad=example(
            source(
                "Parcels are on their way",
                """
up = [RenameEnumValue("state", "sent", "on its way")]
down = [RenameEnumValue("state", "on its way", "sent")]
""",
            ),
            base=_STATES,
        ),
        good=example(
            source(
                "Parcels may be on their way",
                """
up = [AddEnumValue("state", "on its way", after="packed")]
down = irreversible("PostgreSQL takes no value out of an enum")
""",
            ),
            base=_STATES,
            also=("irreversible",),
        ),
        check=_breaks,
        covers=_BRIEF,
    ),
    Hazard(
        id="cascaded-drop",
        title="More is dropped than is said",
        condition="A statement drops objects that it does not name: by CASCADE, or indexes and "
        "constraints with their column.",
        effect="What is not in the pull request goes as well: an index whose queries become slow, "
        "a view that somebody reads.",
        remedy="Drop each of them by name, in the same version, so that the reader knows",
        page="https://www.postgresql.org/docs/current/ddl-depend.html",
        bad=example(
            source(
                "Items have no sku",
                """
items = Table("items", MetaData(), Column("sku", Text))

up = [DropColumn(items.c.sku, cascade=True)]
down = irreversible("the values are gone")
""",
            ),
            base=_SHOWN,
            also=("drop-column", "breaks-previous-release", "irreversible"),
        ),
        good=example(
            source(
                "Items have no sku",
                """
items = Table("items", MetaData(), Column("sku", Text))

up = [
    Sql("DROP VIEW shown"),
    DropIndex(Index("idx_items_sku", items.c.sku)),
    DropColumn(items.c.sku),
]
down = irreversible("the values are gone")
""",
            ),
            base=_SHOWN,
            also=(
                "drop-column",
                "drop-index-blocking",
                "breaks-previous-release",
                "irreversible",
                "multi-table-strong-locks",
            ),
        ),
        check=_cascaded,
    ),
)
