"""Hazards of the way back, and of versions that were edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from neuron_schema.catalog.model import spelled
from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards.data import failure_of
from neuron_schema.review.hazards.model import Hazard, example, source
from neuron_schema.review.hazards.wording import finding, listed
from neuron_schema.review.report import Novelty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding

_MODIFYING: Final = "https://www.postgresql.org/docs/current/ddl-alter.html"
_NAMES: Final = 5
_NEWER: Final = (
    "Go back only as long as nobody misses what was written since; later, mend what is wrong with "
    "another version"
)


def _edited(case: Case) -> Iterator[Finding]:
    if case.novelty is Novelty.EDITED:
        yield finding(
            case,
            "edited-applied-version",
            Severity.CAUTION,
            None,
            f"Version {case.migration.version} was there before and is edited: where it is "
            "applied, `up` refuses with exit code 4, and what is new in it never gets there",
            reasons=("its checksum is not what it was",),
        )


def _irreversible(case: Case) -> Iterator[Finding]:
    if case.migration.irreversible is not None:
        yield finding(
            case,
            "irreversible",
            Severity.NOTE,
            None,
            f"Version {case.migration.version} cannot be rolled back: "
            f"{case.migration.irreversible}",
            reasons=("it declares `down = irreversible(...)`",),
        )


def _not_restoring(case: Case) -> Iterator[Finding]:
    failure = failure_of(case, "down") or failure_of(case, "up again")
    if failure is not None:
        rows = " where the tables have rows" if failure.rows_only else ""
        yield _caution(case, f"{failure.phase} fails{rows}: {failure.message}", ())
        return
    residue = case.proof.residue
    changes = residue or case.proof.divergence
    if changes:
        # A change in words is a line, and one for each property.
        told = [" ".join(str(change).split()) for change in changes]
        more = f" and {len(told) - _NAMES} more" if len(told) > _NAMES else ""
        phase = "after down" if residue else "after up again"
        against = "before up" if residue else "after the first up"
        yield _caution(
            case,
            f"the schema {phase} is not the one {against}: {'; '.join(told[:_NAMES])}{more}",
            tuple(told),
        )


def _caution(case: Case, what: str, reasons: tuple[str, ...]) -> Finding:
    return finding(
        case,
        "down-not-restoring",
        Severity.CAUTION,
        None,
        f"`down` of version {case.migration.version} does not restore what was there: {what}",
        reasons=reasons,
    )


def _loses(case: Case) -> Iterator[Finding]:
    known = _names_before(case)
    down = [loss for loss in case.proof.losses if loss.direction == "down"]
    old = [loss for loss in down if loss.object in known]
    new = [loss for loss in down if loss.object not in known]
    reasons = [f"{loss.object}: {loss.what}" for loss in down]
    if old:
        told = listed(f"{_short(loss.object)} ({loss.what})" for loss in old)
        yield finding(
            case,
            "down-loses-data",
            Severity.CAUTION,
            None,
            f"Up and down again lose data that were there before: {told}",
            reasons=reasons,
        )
    elif new:
        told = listed(_short(loss.object) for loss in new)
        yield finding(
            case,
            "down-loses-data",
            Severity.NOTE,
            None,
            "`down` drops what the version adds, with all that is written to it until then: "
            f"{told}",
            reasons=reasons,
            remedy=_NEWER,
        )


def _short(name: str) -> str:
    return name.removeprefix("public.")


def _names_before(case: Case) -> frozenset[str]:
    """Return the tables and columns that were there, spelled as a loss spells them."""
    names: set[str] = set()
    for table in case.before.tables:
        whole = f"{spelled(table.schema)}.{spelled(table.name)}"
        names |= {whole, *(f"{whole}.{spelled(column.name)}" for column in table.columns)}
    return frozenset(names)


_ADD: Final = """
items = Table("items", MetaData(), Column("title", Text))

up = [AddColumn(items.c.title)]
down = {down}
"""


def _title(down: str) -> str:
    return source("Items have titles", _ADD.format(down=down))


_DROP: Final = "[DropColumn(items.c.title)]"

HAZARDS: Final = (
    Hazard(
        id="edited-applied-version",
        title="A version that was there before is edited",
        condition="The SQL of a version that is there in the compared state is another one now.",
        effect="Where it is applied already, `up` refuses it as modified (exit 4), and nothing of "
        "the edit ever runs there; elsewhere another schema is built.",
        remedy="Undo the edit and put the change into a new version; where the version is applied "
        "nowhere, accept the hazard and say so",
        page="https://www.postgresql.org/docs/current/sql-commands.html",
        bad=example(_title(_DROP), edited=True),
        good=example(_title(_DROP)),
        check=_edited,
    ),
    Hazard(
        id="irreversible",
        title="A version that cannot be rolled back",
        condition="The version declares `down = irreversible(...)`.",
        effect="`down` refuses to go past it (exit 9): the way out of a bad release is another "
        "version.",
        remedy="Write a `down` where there is one; else make sure that the previous release runs "
        "on the schema after the version",
        page=_MODIFYING,
        bad=example(_title('irreversible("nobody would want it back")')),
        good=example(_title(_DROP)),
        check=_irreversible,
    ),
    Hazard(
        id="down-loses-data",
        title="A way back on which data are lost",
        condition="After up and down, on a few rows, values that were there before are gone or "
        "are other ones (caution); or `down` drops tables and columns that the version adds "
        "(note).",
        effect="A rollback restores the schema and not the data.",
        remedy="Keep old values that are overwritten until no rollback is to be expected, in a "
        "column or table beside; or declare the version irreversible, so that nobody relies on "
        "`down`",
        page=_MODIFYING,
        bad=example(
            source(
                "Every sku in capitals",
                """
up = [Sql("UPDATE items SET sku = 'none'")]
down = [Sql("UPDATE items SET sku = NULL")]
""",
            ),
            also=("bulk-dml",),
        ),
        good=example(
            source(
                "Find items by name",
                """
items = Table("items", MetaData(), Column("name", Text))
index = Index("idx_items_name", items.c.name, postgresql_concurrently=True)

up = [CreateIndex(index)]
down = [DropIndex(index)]
""",
            )
        ),
        check=_loses,
    ),
    Hazard(
        id="down-not-restoring",
        title="A way back that does not lead back",
        condition="`down` fails, or the schema after it is not the one before `up`, or a second "
        "`up` makes another schema than the first.",
        effect="A rollback leaves something behind or takes too much away, and the next `up` meets "
        "what it does not expect.",
        remedy="Let `down` undo each element of `up`, in the opposite order; `neuron-schema "
        "verify` proves it",
        page=_MODIFYING,
        bad=example(_title("[]")),
        good=example(_title(_DROP)),
        check=_not_restoring,
    ),
)
