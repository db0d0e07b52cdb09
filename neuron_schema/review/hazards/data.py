"""Hazards of rows: statements that change them, and that fail on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from neuron_schema.catalog.model import Kind, ObjectName
from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards.facts import changes_few, is_new, place, ran
from neuron_schema.review.hazards.model import Hazard, example, source
from neuron_schema.review.hazards.wording import finding, listed, reasons, refusal, sized

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog.model import Constraint, Relation
    from neuron_schema.proof.cycle import Failure
    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.hazards.facts import Place, Ran
    from neuron_schema.review.measures import Written

_ALONG: Final = ("cascade", "set null", "set default")
_ROWS_MISSING: Final = ("23503", "P0001", "P0002", "P0003", "P0004")
"""What is refused for want of rows, or by whoever raised an exception."""
_DO_WITHOUT: Final = (
    "Let it do nothing where the rows that it needs are not there, as in a new database: INSERT "
    "... SELECT ... WHERE EXISTS (...)"
)

_ERRORS: Final = "https://www.postgresql.org/docs/current/errcodes-appendix.html"


def _emptied(case: Case) -> Iterator[Finding]:
    for each in ran(case):
        for table in each.measure.truncated:
            yield finding(
                case,
                "truncate",
                Severity.CAUTION,
                table,
                f"All rows of {sized(case, table)} are gone, under ACCESS EXCLUSIVE until the "
                "version is committed; no `down` brings them back",
                statement=each.number,
                reasons=reasons(case, each, table),
            )


def _written(case: Case) -> Iterator[Finding]:
    """Yield the tables of which a statement changes as many rows as match.

    That none of the rows here matches says nothing of those elsewhere, so it is the server's plan
    that counts; and what it proves to be few is no finding, though some rows here match.
    """
    for each in ran(case):
        if each.statement.concurrent:
            continue
        written = {one.table: one for one in each.measure.written if one.updated or one.deleted}
        sought = [one.table for one in each.measure.sought]
        for table in sorted({*written, *sought}, key=lambda name: name.sort_key):
            if changes_few(each.measure, table):
                continue
            yield _of_rows(case, each, table, written.get(table))
        deleted = [one.table for one in each.measure.sought if one.deletes]
        for table, what in _along(case, deleted).items():
            if table not in {*written, *sought}:
                yield _with_others(case, each, table, what)


def _along(case: Case, tables: list[ObjectName]) -> dict[ObjectName, str]:
    """Return what foreign keys do to other tables once a row of some is deleted, and which."""
    found: dict[ObjectName, str] = {}
    left = [place(table) for table in tables]
    while left:
        at = left.pop()
        for relation, key in _pointing_at(case, at):
            table = ObjectName(kind=Kind.TABLE, schema=relation.schema, name=relation.name)
            if table in found or table in tables or is_new(case, table):
                continue
            goes = key.references is not None and key.references.on_delete == "cascade"
            found[table] = "deletes" if goes else "updates"
            if goes:
                left.append(place(table))
    return found


def _pointing_at(case: Case, at: Place) -> Iterator[tuple[Relation, Constraint]]:
    """Yield the foreign keys that do something when a row that they point at is deleted."""
    for relation in case.before.tables:
        for key in relation.constraints:
            to = key.references
            if to is None or (to.schema, to.table) != at or not key.triggered:
                continue
            # A partition has its parent's.
            if to.on_delete in _ALONG and relation.partition_bound is None:
                yield relation, key


def _with_others(case: Case, each: Ran, table: ObjectName, what: str) -> Finding:
    return finding(
        case,
        "bulk-dml",
        Severity.CAUTION,
        table,
        f"Statement {each.number} {what} all rows of {sized(case, table)} whose foreign key points "
        "at those that it deletes, in one transaction: others who change the same rows wait for "
        "its end, and the old values are gone",
        statement=each.number,
        reasons=reasons(case, each, table),
    )


def _of_rows(case: Case, each: Ran, table: ObjectName, written: Written | None) -> Finding:
    sought = [one for one in each.measure.sought if one.table == table]
    updated, deleted = (written.updated, written.deleted) if written is not None else (0, 0)
    what = [
        text
        for so, text in (
            (updated or any(one.updates for one in sought), "updates"),
            (deleted or any(one.deletes for one in sought), "deletes"),
        )
        if so
    ]
    if written is not None:
        measured = f"of a few hostile rows it updated {updated} and deleted {deleted}"
        rows = "rows"
    else:
        measured = "of a few hostile rows it changed none: elsewhere it is as many as match"
        rows = "as many rows as match"
    return finding(
        case,
        "bulk-dml",
        Severity.CAUTION,
        table,
        f"Statement {each.number} {listed(what)} {rows} of {sized(case, table)} in one "
        "transaction: others who change the same rows wait for its end, the old values are "
        "gone, and the dead rows stay until a vacuum",
        statement=each.number,
        reasons=(measured, *reasons(case, each, table)),
    )


def _on_rows(case: Case) -> Iterator[Finding]:
    told = False
    for each in ran(case):
        failed = each.measure.failed
        if failed is not None and failed.rows_only:
            told = True
            yield finding(
                case,
                "data-dependent-failure",
                Severity.BLOCKING,
                None,
                f"Statement {each.number} fails on rows that the schema lets in: {failed.message}",
                statement=each.number,
                reasons=(
                    f"on empty tables it does not fail, on a few hostile rows PostgreSQL refused "
                    f"with {failed.sqlstate}: {failed.message}",
                ),
            )
    failure = failure_of(case, "up")
    if failure is not None and failure.rows_only and not told and _measured_well(case):
        yield finding(
            case,
            "data-dependent-failure",
            Severity.BLOCKING,
            None,
            f"The version fails on rows that the schema lets in: {failure.message}",
            reasons=("on empty tables it does not fail",),
        )


def _measured_well(case: Case) -> bool:
    return not any(each.measure.failed for each in ran(case))


def _always(case: Case) -> Iterator[Finding]:
    for each in ran(case):
        failed = each.measure.failed
        if failed is not None and not failed.rows_only:
            missing = failed.sqlstate in _ROWS_MISSING
            where = "on empty tables, and on a few rows" if missing else "whatever is in the tables"
            yield finding(
                case,
                "statement-fails",
                Severity.BLOCKING,
                None,
                f"Statement {each.number} fails{' ' if missing else ', '}{where}: "
                f"{refusal(failed)}",
                statement=each.number,
                reasons=(f"PostgreSQL refused with {failed.sqlstate}: {refusal(failed)}",),
                remedy=_DO_WITHOUT if missing else "",
            )
            return
    failure = failure_of(case, "up")
    if failure is not None and not failure.rows_only and _measured_well(case):
        yield finding(
            case,
            "statement-fails",
            Severity.BLOCKING,
            None,
            f"The version fails, whatever is in the tables: {failure.message}",
        )


def _enum(case: Case) -> Iterator[Finding]:
    for each in ran(case):
        failed = each.measure.failed
        if failed is not None and failed.sqlstate == "55P04":
            yield finding(
                case,
                "enum-value-same-tx",
                Severity.BLOCKING,
                None,
                f"Statement {each.number} fails: it uses a value of an enum that the same "
                f"transaction added ({failed.message})",
                statement=each.number,
                reasons=(f"PostgreSQL refused with {failed.sqlstate}: {failed.message}",),
            )


def failure_of(case: Case, phase: str) -> Failure | None:
    """Return how a part of the proof failed, or None."""
    return next((each for each in case.proof.failures if each.phase == phase), None)


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

HAZARDS: Final = (
    Hazard(
        id="truncate",
        title="A table is emptied",
        condition="TRUNCATE on an existing table.",
        effect="All rows are gone for good, and nobody reads or writes the table until the version "
        "is committed.",
        remedy="Make sure that nobody needs the rows; keep it in a version of its own",
        page="https://www.postgresql.org/docs/current/sql-truncate.html",
        bad=example(
            source(
                "Begin with no items",
                """
up = [Sql("TRUNCATE items")]
down = []
""",
            )
        ),
        good=example(
            source(
                "A table that begins with no items",
                """
items_new = Table("items_new", MetaData(), Column("id", BigInteger), Column("name", Text))

up = [CreateTable(items_new)]
down = [DropTable(items_new)]
""",
            )
        ),
        check=_emptied,
        covers=frozenset({"brief-exclusive-lock", "opaque-ddl"}),
    ),
    Hazard(
        id="bulk-dml",
        title="Many rows changed in one transaction",
        condition="UPDATE, DELETE, MERGE or ON CONFLICT DO UPDATE changes rows of an existing "
        "table, or would if any matched, and is no Backfill. What changes a thousand rows at most "
        "is none: those of a unique key's values, of a range of its whole numbers, or listed by "
        "VALUES.",
        effect="All changed rows stay locked until the version is committed, so that others who "
        "change them wait; as many dead rows are left; the write-ahead log and the replicas get "
        "all of it at once; what the rows were is gone.",
        remedy="For UPDATE, Backfill(...) in a version of its own, which does it in short batches. "
        "DELETE has no such operation: let a job outside of the versions delete in short batches, "
        "or drop a whole partition; where few rows match, accept the hazard and say how many",
        page="https://www.postgresql.org/docs/current/sql-update.html",
        bad=example(
            source(
                "Names without blanks around them",
                """
up = [Sql("UPDATE items SET name = btrim(name)")]
down = []
""",
            )
        ),
        good=example(
            source(
                "Names without blanks around them",
                """
items = Table("items", MetaData(), Column("id", BigInteger, primary_key=True), Column("name", Text))

up = [Backfill(items, {items.c.name: "btrim(name)"}, where="name <> btrim(name)")]
down = []
""",
            )
        ),
        check=_written,
    ),
    Hazard(
        id="data-dependent-failure",
        title="It works on empty tables and fails on rows",
        condition="A statement of the version fails on rows that the schema before it lets in: "
        "equal ones, NULL wherever that may be, extreme values.",
        effect="It passes every test on an empty database, and fails in production.",
        remedy="Ask the real database first whether it has such rows, and mend them in an earlier "
        "version; if it cannot have any, accept the hazard and say why",
        page=_ERRORS,
        bad=example(
            source(
                "No two items of one name",
                """
items = Table("items", MetaData(), Column("name", Text))
index = Index("items_name", items.c.name, unique=True, postgresql_concurrently=True)

up = [CreateIndex(index)]
down = [DropIndex(index)]
""",
            )
        ),
        good=example(
            source(
                "Name and id together",
                """
items = Table("items", MetaData(), Column("id", BigInteger), Column("name", Text))
index = Index("items_name_id", items.c.name, items.c.id, unique=True, postgresql_concurrently=True)

up = [CreateIndex(index)]
down = [DropIndex(index)]
""",
            )
        ),
        check=_on_rows,
    ),
    Hazard(
        id="statement-fails",
        title="It fails everywhere",
        condition="A statement of the version fails on the schema that the earlier versions build, "
        "whatever is in the tables.",
        effect="`up` fails and rolls the version back.",
        remedy="Correct the statement; `neuron-schema verify` runs it",
        page=_ERRORS,
        bad=example(
            source(
                "A price for every thing",
                """
things = Table("things", MetaData(), Column("price", Numeric))

up = [AddColumn(things.c.price)]
down = [DropColumn(things.c.price)]
""",
            )
        ),
        good=example(
            source(
                "A title for every item",
                """
items = Table("items", MetaData(), Column("title", Text))

up = [AddColumn(items.c.title)]
down = [DropColumn(items.c.title)]
""",
            )
        ),
        check=_always,
    ),
    Hazard(
        id="enum-value-same-tx",
        title="A new value of an enum used where it was added",
        condition="A version adds a value to an enum type and uses it.",
        effect="PostgreSQL refuses: the value can be used once the transaction is committed.",
        remedy="Use it in the next version",
        page="https://www.postgresql.org/docs/current/sql-altertype.html",
        bad=example(
            source(
                "Parcels may be lost",
                """
up = [
    Sql("ALTER TYPE state ADD VALUE 'lost'"),
    Sql("ALTER TABLE parcels ALTER COLUMN state SET DEFAULT 'lost'"),
]
down = irreversible("PostgreSQL takes no value out of an enum")
""",
            ),
            base=_STATES,
            also=("irreversible",),
        ),
        good=example(
            source(
                "Parcels may be lost",
                """
up = [Sql("ALTER TYPE state ADD VALUE 'lost'")]
down = irreversible("PostgreSQL takes no value out of an enum")
""",
            ),
            source(
                "Parcels are lost until somebody finds them",
                """
up = [Sql("ALTER TABLE parcels ALTER COLUMN state SET DEFAULT 'lost'")]
down = [Sql("ALTER TABLE parcels ALTER COLUMN state DROP DEFAULT")]
""",
            ),
            base=_STATES,
            also=("irreversible",),
        ),
        check=_enum,
        covers=frozenset({"statement-fails"}),
    ),
)
