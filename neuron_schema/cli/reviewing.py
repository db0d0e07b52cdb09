"""``review``: what the versions of a branch do; ``stats``: how large the real tables are."""

from __future__ import annotations

import enum
import sys
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from neuron_schema.cli.invocation import Invocation, working_directory
from neuron_schema.cli.options import (
    Database,
    Environment,
    Json,
    Shadow,
    Versions,
    complete_version,
)
from neuron_schema.cli.output import colourful, is_terminal, note, say, show, show_script, warn

if TYPE_CHECKING:
    from pathlib import Path

    from neuron_schema.model import Migration
    from neuron_schema.review.changed import Changed
    from neuron_schema.review.findings import Severity
    from neuron_schema.review.report import ReviewReport
    from neuron_schema.review.sizes import Sizes
    from neuron_schema.review.stats import Stats
    from neuron_schema.url import Address

_STATS_SECONDS = 10.0
"""Long enough for very many tables; a look at a database in use is not to wait for long."""


class Format(enum.StrEnum):
    """What a report is written as."""

    TERMINAL = "terminal"
    MARKDOWN = "markdown"
    GITHUB = "github"
    SARIF = "sarif"
    GITLAB = "gitlab"
    JSON = "json"
    HTML = "html"


class FailOn(enum.StrEnum):
    """How bad a finding has to be for the exit status to tell of it."""

    BLOCKING = "blocking"
    CAUTION = "caution"
    NOTE = "note"
    NEVER = "never"


def review(
    *,
    base: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--base", metavar="REF", help="The branch that this is to be merged into."),
    ] = None,
    from_: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--from",
            metavar="VERSION",
            help="Review what comes after a version, without git; 0 for all.",
            autocompletion=complete_version,
        ),
    ] = None,
    format_: Annotated[
        Optional[Format],  # noqa: UP045
        typer.Option("--format", help="What the report is written as."),
    ] = None,
    output: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--output", metavar="FILE", help="Write the report there."),
    ] = None,
    stats_file: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--stats", metavar="FILE", help="The sizes that `stats` wrote."),
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Exit 8 on findings so bad, or worse.")
    ] = FailOn.BLOCKING,
    shadow_url: Shadow = None,
    versions: Versions = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Measure on a throw-away server what a branch's versions do to a database in use."""
    chosen = format_ or (Format.JSON if as_json else Format.TERMINAL)
    as_json = as_json or chosen is Format.JSON
    with Invocation("review", as_json=as_json, versions=versions, environment=env) as call:
        from neuron_schema.errors import UsageError

        if chosen is not Format.JSON and as_json:
            raise UsageError(
                f"--json and --format {chosen.value} are two formats",
                remedy="leave one of them out",
            )
        sizes = None if stats_file is None else _sizes(stats_file)
        changed = _changed(call, base, from_)
        report = _reviewed(call, changed, sizes, shadow_url)
        _put_out(call, report, chosen, None if output is None else working_directory() / output)
        _refuse_findings(report, fail_on)


def _sizes(name: str) -> Stats:
    from neuron_schema.review import stats_file

    return stats_file.load(working_directory() / name)


def _changed(call: Invocation, base: str | None, from_: str | None) -> Changed:
    """Return which versions are under review, and say it.

    Raises:
        UsageError: both ways to tell them were given, or git cannot tell.
        TargetError: there is no such version.
    """
    from neuron_schema.errors import UsageError
    from neuron_schema.review import changed

    if base is not None and from_ is not None:
        raise UsageError(
            "--base and --from are two ways to say which versions are under review",
            remedy="leave one of them out",
        )
    if from_ is not None:
        found = changed.after(call.versions.infos(), from_)
    else:
        found = changed.since(call.versions, base)
    count = len(found.versions)
    told = "1 version" if count == 1 else f"{count} versions"
    note(f"compared with {found.compared_with}: {told} under review")
    return found


def _reviewed(
    call: Invocation, changed: Changed, sizes: Stats | None, shadow_url: str | None
) -> ReviewReport:
    """Return the report; without a version under review no server is started for it."""
    from neuron_schema.cli.proving import open_server
    from neuron_schema.proof.shadow import MAJORS
    from neuron_schema.review.reviewing import nothing, review
    from neuron_schema.review.subject import Subject

    infos = call.versions.infos()
    last = max(changed.versions, default=0)
    subject = Subject(
        migrations=call.migrations([info for info in infos if info.number <= last]),
        changed=changed,
        root=call.settings.root,
        stats=sizes,
    )
    if not changed.versions:
        return nothing(subject, before=len(infos))
    # As the real server is, where the embedded one can be.
    major = sizes.server_major if sizes and sizes.server_major in MAJORS else None
    with open_server(call, shadow_url, None if shadow_url else major) as shadow:
        return review(call.workshop(shadow, schemas=call.settings.schemas), subject, _told)


def _told(migration: Migration) -> None:
    """Say which version is at work, where somebody waits for it."""
    if is_terminal(sys.stderr):
        note(f"reviewing {migration.label}")


def _put_out(call: Invocation, report: ReviewReport, format_: Format, path: Path | None) -> None:
    """Write the report where it is wanted: to a file, or as the result."""
    import json

    from neuron_schema.cli.writing import write_whole
    from neuron_schema.review.render import render, verdict

    text = render(report, format_.value, colour=path is None and colourful(sys.stdout))
    if path is not None:
        write_whole(path, text)
        call.put(verdict=verdict(report), written=str(path))
        if not call.as_json:
            say(verdict(report))
    elif format_ is Format.JSON:
        call.put(**json.loads(text))
    elif format_ is Format.TERMINAL:
        show(text.rstrip("\n"))
    else:
        show_script(text.rstrip("\n"))


def _refuse_findings(report: ReviewReport, fail_on: FailOn) -> None:
    """Refuse what is as bad as somebody said.

    Raises:
        FindingsOpen: with how many findings there are, and in which versions.
    """
    from neuron_schema.errors import FindingsOpen
    from neuron_schema.review.findings import Severity

    if fail_on is FailOn.NEVER:
        return
    limit: Severity = Severity(fail_on.value)
    found = report.at_least(limit)
    if found:
        versions = dict.fromkeys(each.version for each in found)
        labels = [each.label for each in report.versions if each.version in versions]
        count = "1 finding" if len(found) == 1 else f"{len(found)} findings"
        worse = "" if limit is Severity.BLOCKING else " or worse"
        raise FindingsOpen(
            f"{count}, {limit.value}{worse}, in {', '.join(labels)}",
            remedy="do what the report advises, or accept it in the version with a reason: "
            f'accept = {{"{found[0].hazard}": "..."}}',
        )


def stats(
    *,
    output: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--output", metavar="FILE", help="Write the file that `review --stats` reads."
        ),
    ] = None,
    database_url: Database = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Tell how large the tables of a database are: names and numbers, no data."""
    with (
        Invocation("stats", as_json=as_json, database_url=database_url, environment=env) as call,
        call.database() as address,
    ):
        from neuron_schema.cli.writing import write_whole
        from neuron_schema.review import stats_file

        found = _counted(call, address)
        for name in found.uncounted:
            warn(f"left out: nobody has counted the rows of {name} yet (ANALYZE {name})")
        text = stats_file.written(found.stats)
        call.put(**stats_file.plain(found.stats), uncounted=list(found.uncounted))
        if output is not None:
            path = working_directory() / output
            write_whole(path, text)
            call.put(written=str(path))
        if as_json:
            return
        if output is None:
            show_script(text.rstrip("\n"))
        else:
            count = len(found.stats.tables)
            say(f"wrote {output}: {'1 table' if count == 1 else f'{count} tables'}")


def _counted(call: Invocation, address: Address) -> Sizes:
    """Return how large the tables of a database are.

    Raises:
        LockTimeout: somebody holds a table exclusively.
        ConnectionFailed: the server does not answer.
    """
    import datetime as dt

    import psycopg

    from neuron_schema.cli.connecting import bounded
    from neuron_schema.errors import LockTimeout
    from neuron_schema.review import sizes

    day = dt.datetime.now(dt.UTC).date().isoformat()
    settings = call.settings
    with bounded(address, patience_s=settings.deadline, limit_s=_STATS_SECONDS) as fetch:
        try:
            return sizes.read(fetch, call.table, settings.schemas, taken_on=day)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled) as error:
            raise LockTimeout(
                f"the sizes could not be read within {_STATS_SECONDS:.0f} s: "
                f"{error.diag.message_primary}",
                remedy="run again when nobody holds a table exclusively",
            ) from None
