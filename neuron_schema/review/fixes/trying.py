"""A remedy, run: what is not proven on a real server is not shown."""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from neuron_schema.catalog import diff
from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.errors import ConnectionFailed, ExtensionMissing, NeuronSchemaError
from neuron_schema.model import Direction
from neuron_schema.proof.rows import contents
from neuron_schema.proof.seed import seed, used
from neuron_schema.proof.verify import Proof
from neuron_schema.review.findings import Fix, Severity
from neuron_schema.review.fixes.relief import relieved
from neuron_schema.review.hazards import judge
from neuron_schema.review.newcomers import unused_after
from neuron_schema.review.tracer import measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from neuron_schema.address import Address
    from neuron_schema.catalog import Change, Snapshot
    from neuron_schema.model import Migration
    from neuron_schema.proof.ground import Ground, Workshop
    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding, FixModule
    from neuron_schema.review.fixes.proposal import Proposal
    from neuron_schema.review.measures import VersionMeasure

_ON_ROWS: Final = "data-dependent-failure"
_Rows: TypeAlias = "dict[tuple[str, str], tuple[int, int, str]]"
"""By table and column: how many rows, how many values, and a digest of these."""


def try_out(workshop: Workshop, base: Address, case: Case, proposal: Proposal) -> Fix | None:
    """Run a remedy; return it with its measures, or None where it is not proven to be one.

    It is one when its versions make the schema that the original makes, and the same of the rows
    that are there; when each of them undoes itself; and when what the finding is about is gone.

    Args:
        workshop: Where versions are run.
        base: A database that stands before the version, to which nobody is connected.
        case: The version.
        proposal: The remedy.

    Raises:
        ExtensionMissing, ConnectionFailed: nothing can be tried.
    """
    return try_all(workshop, base, case, [proposal])[0]


def try_all(
    workshop: Workshop, base: Address, case: Case, proposals: Sequence[Proposal | None]
) -> list[Fix | None]:
    """Run remedies as ``try_out`` does; those of several findings that are one and the same once.

    Args:
        workshop: Where versions are run.
        base: A database that stands before the version, to which nobody is connected.
        case: The version.
        proposals: The remedies; None stays None.

    Raises:
        ExtensionMissing, ConnectionFailed: nothing can be tried.
    """
    known: dict[tuple[FixModule, ...], tuple[Case, ...] | None] = {}
    found: list[Fix | None] = []
    for each in proposals:
        if each is not None and each.modules not in known:
            known[each.modules] = _run(workshop, base, case, each.modules)
        cases = None if each is None else known[each.modules]
        measures = tuple(one.measure for one in cases or ())
        if each is None or cases is None or not relieved(case, each, measures):
            found.append(None)
            continue
        found.append(
            Fix(
                summary=each.summary,
                modules=each.modules,
                measures=measures,
                left=tuple(_left(cases)),
            )
        )
    return found


def _left(cases: Sequence[Case]) -> Iterator[Finding]:
    """Yield what is blocking still; that it fails on rows the original does as well."""
    for case in cases:
        for each in judge(case):
            blocking = each.severity is Severity.BLOCKING and each.accepted is None
            if blocking and each.hazard != _ON_ROWS:
                yield each


def _run(
    workshop: Workshop, base: Address, case: Case, modules: Sequence[FixModule]
) -> tuple[Case, ...] | None:
    """Return what is known of modules, or None where they do not do what the original does."""
    with tempfile.TemporaryDirectory(prefix="neuron_schema_fix_") as directory:
        for module in modules:
            Path(directory, module.file_name).write_text(module.source, encoding="utf-8")
        try:
            migrations = VersionSet(directory).migrations()
            own = replace(workshop, directory=Path(directory))
            with workshop.roles_put_back([case.migration, *migrations]):
                return _tried(own, base, case, migrations)
        except (ExtensionMissing, ConnectionFailed):
            raise
        except NeuronSchemaError:
            return None


def _tried(
    workshop: Workshop, base: Address, case: Case, migrations: Sequence[Migration]
) -> tuple[Case, ...] | None:
    """Run versions one after the other; return what is known of each, or None."""
    same = _same_rows(workshop, base, case, migrations)
    cases = None if same is False else _measured(workshop, base, case, migrations)
    if cases is None:
        return None
    # Where the original fails on rows, the remedy may for the same reason.
    return cases if same or _fails_alike(case, [each.measure for each in cases]) else None


def _measured(
    workshop: Workshop, base: Address, case: Case, migrations: Sequence[Migration]
) -> tuple[Case, ...] | None:
    """Measure each version on the schema that those before it made.

    Returns:
        None where they do not make the original's schema, or one does not undo itself.
    """
    found: list[Case] = []
    unused = case.unused
    with workshop.shadow.database(base) as address:
        for migration in migrations:
            measured = measure(workshop, address, migration, unused)
            with workshop.open(address) as ground:
                before = ground.snapshot()
                ground.run([migration])
                after = ground.snapshot()
            each = replace(
                case,
                migration=migration,
                measure=measured,
                before=before,
                after=after,
                changes=diff(before.unowned(), after.unowned()),
                proof=Proof(version=migration.version, name=migration.name),
                unused=unused,
            )
            found.append(each)
            unused = unused_after(each)
        with workshop.open(address) as ground:
            if _differences(case.after, ground.snapshot()):
                return None
            stood = [each.before for each in found]
            return tuple(found) if _leads_back(ground, case, migrations, stood) else None


def _fails_alike(case: Case, measures: Sequence[VersionMeasure]) -> bool:
    """Whether nothing fails on rows that does not fail in the original too, for the same reason."""
    known = Counter(_failures([case.measure]))
    return not Counter(_failures(measures)) - known


def _failures(measures: Sequence[VersionMeasure]) -> list[str]:
    """Return the classes of the errors: rows that do not fit are refused with one of them."""
    return [
        run.failed.sqlstate[:2]
        for each in measures
        for statement in each.statements
        for run in [statement.shipped or statement.alone]
        if run is not None and run.failed is not None
    ]


def _leads_back(
    ground: Ground, case: Case, migrations: Sequence[Migration], stood: Sequence[Snapshot]
) -> bool:
    """Whether each ``down`` leads to the schema before its ``up``; none does better than it was."""
    owed = {str(change) for change in (*case.proof.residue, *case.proof.validated)}
    for number in reversed(range(len(migrations))):
        if migrations[number].irreversible is not None:
            return case.migration.irreversible is not None
        ground.run([migrations[number]], Direction.DOWN)
        residue = _differences(stood[number], ground.snapshot())
        if {str(change) for change in residue} - owed:
            return False
    return True


def _differences(wanted: Snapshot, found: Snapshot) -> tuple[Change, ...]:
    return tuple(each for each in diff(wanted, found) if not each.order_only)


def _same_rows(
    workshop: Workshop, base: Address, case: Case, migrations: Sequence[Migration]
) -> bool | None:
    """Whether rows that are there fare as in the original; None where that fails on them."""
    with _seeded(workshop, base, case) as address:
        with workshop.shadow.database(address) as copy, workshop.open(copy) as ground:
            fixed = _rows_after(ground, case, migrations)
        with workshop.open(address) as ground:
            original = _rows_after(ground, case, [case.migration])
    if original is None:
        return None
    if fixed is None or fixed.keys() != original.keys():
        return False
    apart = {place for place, held in original.items() if fixed[place] != held}
    if not apart:
        return True
    # random() and the like give other values each time, in the original too.
    with _seeded(workshop, base, case) as address, workshop.open(address) as ground:
        again = _rows_after(ground, case, [case.migration]) or {}
    return all(
        again.get(place) != original[place] and fixed[place][:2] == original[place][:2]
        for place in apart
    )


@contextmanager
def _seeded(workshop: Workshop, base: Address, case: Case) -> Iterator[Address]:
    """Yield a database that stands before the version, with rows in its tables."""
    with workshop.shadow.database(base) as address:
        with workshop.open(address) as ground:
            seed(ground.connection, case.before, only=used(case.before, case.unused))
        yield address


def _rows_after(ground: Ground, case: Case, migrations: Sequence[Migration]) -> _Rows | None:
    """Return what the tables hold after versions; None where these fail on rows."""
    try:
        for migration in migrations:
            ground.run([migration])
    except (ExtensionMissing, ConnectionFailed):
        raise
    except NeuronSchemaError:
        return None
    return {
        (table, column): (held.rows, held.filled[column], digest)
        for table, held in contents(ground.connection, case.after).items()
        for column, digest in held.digests.items()
    }
