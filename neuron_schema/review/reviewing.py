"""Reviews versions: each is measured and proven on the schema that the earlier ones built."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from neuron_schema.catalog import Extension
from neuron_schema.discovery import version_module
from neuron_schema.discovery.loading import loading
from neuron_schema.discovery.version_set import read
from neuron_schema.proof.trunk import trunk_of
from neuron_schema.review.course import passed_by, run
from neuron_schema.review.mending import judged, mended
from neuron_schema.review.neighbours import draw
from neuron_schema.review.report import ReviewedVersion, ReviewReport, ServerVersions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from neuron_schema.model import Migration
    from neuron_schema.proof.cycle import Failure
    from neuron_schema.proof.ground import Workshop
    from neuron_schema.review.case import Case
    from neuron_schema.review.course import Course
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.subject import Subject


def review(
    workshop: Workshop, subject: Subject, listener: Callable[[Migration], None] | None = None
) -> ReviewReport:
    """Review versions, one after the other.

    Args:
        workshop: Where they are run.
        subject: The versions.
        listener: Told of each version under review, before it runs.

    Raises:
        ExtensionMissing: the server lacks one that a version needs.
        ServerUnavailable: the server cannot be used.
    """
    migrations = subject.migrations
    with workshop.roles_put_back(migrations), ExitStack() as stack:
        with trunk_of(workshop, migrations) as trunk:
            failed = list(passed_by(trunk, subject.earlier))
            roles, fork = workshop.shadow.roles(), stack.enter_context(trunk.fork())
            course = run(workshop, trunk, subject, listener)
        # The fork goes the same way once more, and a role can be made once on a server.
        workshop.drop_roles_since(roles, migrations)
        found = [judged(case, subject.numbers) for case in course.cases]
        findings = mended(workshop, fork, subject.rest, found)
    return _report(workshop, subject, course, findings, [*failed, *course.failed])


def nothing(subject: Subject) -> ReviewReport:
    """Return the report on a subject without a version under review; nothing is run for it."""
    return ReviewReport(
        compared_with=subject.changed.compared_with,
        versions=(),
        before=len(subject.numbers),
        server=ServerVersions(server=""),
        unmeasured=tuple(_deleted(subject)),
        stats=subject.stats,
    )


def _report(
    workshop: Workshop,
    subject: Subject,
    course: Course,
    findings: list[tuple[Finding, ...]],
    failed: list[tuple[Migration, Failure]],
) -> ReviewReport:
    versions = tuple(
        _reviewed(case, each, subject.root)
        for case, each in zip(course.cases, findings, strict=True)
    )
    changes = (change for version in versions for change in version.changes)
    drawing = draw(course.schema, changes)
    extensions = (each for each in course.schema.objects if isinstance(each, Extension))
    return ReviewReport(
        compared_with=subject.changed.compared_with,
        versions=versions,
        before=len(subject.earlier),
        server=ServerVersions(
            server=course.server,
            extensions=tuple(sorted((each.name, each.version) for each in extensions)),
            embedded=workshop.shadow.embedded,
        ),
        diagram=drawing.text,
        tables=drawing.tables,
        unmeasured=(
            *_unmeasured(workshop, subject, failed),
            *([drawing.left_out] if drawing.left_out else []),
        ),
        stats=subject.stats,
    )


def _reviewed(case: Case, findings: tuple[Finding, ...], root: Path) -> ReviewedVersion:
    migration = case.migration
    downs = tuple(each.sql for each in migration.down_statements)
    return ReviewedVersion(
        version=migration.version,
        name=migration.name,
        description=migration.description,
        novelty=case.novelty,
        path=_relative(Path(migration.path), root),
        lines=_lines(migration),
        up=tuple(each.sql for each in migration.up_statements),
        down=None if migration.irreversible is not None else downs,
        irreversible=migration.irreversible,
        measure=case.measure,
        changes=case.changes,
        proof=case.proof,
        findings=findings,
    )


def _lines(migration: Migration) -> tuple[int, ...]:
    with loading():
        return version_module.lines_of_up(read(Path(migration.path)), migration.path)


def _relative(path: Path, root: Path) -> str:
    """Return a path as a reviewer knows it; its name alone where it is elsewhere."""
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return path.name


def _unmeasured(
    workshop: Workshop, subject: Subject, failed: list[tuple[Migration, Failure]]
) -> Iterator[str]:
    """Yield what could not be measured, beside what measures and proofs say themselves."""
    yield from _deleted(subject)
    for migration, failure in failed:
        yield f"{migration.label}, which is not under review, was left out: its up fails. {failure}"
    stats = subject.stats
    if stats is not None and stats.server_major not in (None, workshop.shadow.major):
        yield (
            f"The sizes are those of a PostgreSQL {stats.server_major}; what is measured here is "
            f"PostgreSQL {workshop.shadow.major}."
        )


def _deleted(subject: Subject) -> Iterator[str]:
    for label in subject.changed.deleted:
        yield (
            f"{label} was deleted. Where it is applied `up` refuses, as its file is missing; "
            "that is not measured."
        )
