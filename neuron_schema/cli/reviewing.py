"""``review``: what a branch's versions do to a database in use, measured."""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from neuron_schema.cli.invocation import Invocation, working_directory
from neuron_schema.cli.options import Environment, Json, Shadow, Versions, complete_version
from neuron_schema.cli.output import (
    colourful,
    is_terminal,
    note,
    one_line,
    say,
    show,
    show_script,
    stdout,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from neuron_schema.model import Migration
    from neuron_schema.review.changed import Changed
    from neuron_schema.review.findings import Severity
    from neuron_schema.review.render import Help
    from neuron_schema.review.report import ReviewReport
    from neuron_schema.review.stats import Stats


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

    @property
    def severity(self) -> Severity | None:
        """The least severity that does; None for none."""
        from neuron_schema.review.findings import Severity

        return None if self is FailOn.NEVER else Severity(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """In which format a report goes where.

    Attributes:
        path: The file; None for stdout.
    """

    format: Format
    path: Path | None = None


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
    also: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--also", metavar="FORMAT=FILE", help="Write it in another format as well."),
    ] = None,
    stats: Annotated[
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
    """Measure what a branch does to a database in use."""
    chosen = format_ or (Format.JSON if as_json else Format.TERMINAL)
    is_json = as_json or chosen is Format.JSON
    with Invocation("review", as_json=is_json, versions=versions, environment=env) as call:
        if is_json and chosen is not Format.JSON:
            raise _twice("--json", f"--format {chosen.value}")
        if base is not None and from_ is not None:
            raise _twice("--base", "--from")
        path = None if output is None else working_directory() / output
        writings = [Writing(format=chosen, path=path), *map(_writing, also or ())]
        _refuse_one_file_for_two(writings)
        sizes = _sizes(stats)
        changed = _changed(call, base, from_)
        report = _reviewed(call, changed, sizes, shadow_url)
        _put_out(call, report, writings, fail_on.severity)
        _refuse_findings(report, fail_on.severity)


def _twice(first: str, second: str) -> Exception:
    from neuron_schema.errors import UsageError

    return UsageError(f"{first} and {second} contradict each other", remedy="leave one of them out")


def _writing(text: str) -> Writing:
    """Return what a value of ``--also`` says.

    Raises:
        UsageError: it says nothing.
    """
    from neuron_schema.errors import UsageError

    name, _, file = text.partition("=")
    if name not in set(Format) or not file:
        raise UsageError(
            f"--also {text}: that is no format and file",
            remedy=f"--also FORMAT=FILE, where FORMAT is one of {', '.join(Format)}",
        )
    return Writing(format=Format(name), path=working_directory() / file)


def _refuse_one_file_for_two(writings: Sequence[Writing]) -> None:
    """Refuse to write one report over another.

    Raises:
        UsageError: two formats have the same file.
    """
    from neuron_schema.errors import UsageError

    paths = [each.path for each in writings if each.path is not None]
    for path in paths:
        if paths.count(path) > 1:
            raise UsageError(
                f"{path} would be written more than once",
                remedy="give each format a file of its own",
            )


def _sizes(file: str | None) -> Stats | None:
    from neuron_schema.review.stats_file import load

    return None if file is None else load(working_directory() / file)


def _changed(call: Invocation, base: str | None, from_: str | None) -> Changed:
    """Return which versions are under review, and say with what they are compared.

    Raises:
        UsageError: git cannot tell.
        TargetError: there is no such version.
    """
    from neuron_schema.review import changed

    found = (
        changed.since(call.versions, base)
        if from_ is None
        else changed.after(call.versions.infos(), from_)
    )
    count = len(found.versions)
    told = "1 version" if count == 1 else f"{count or 'no'} versions"
    note(one_line(f"compared with {found.compared_with}: {told} under review"))
    return found


def _reviewed(
    call: Invocation, changed: Changed, sizes: Stats | None, shadow_url: str | None
) -> ReviewReport:
    """Return the report. Without a version under review no server is started for it."""
    from neuron_schema.cli.proving import open_server
    from neuron_schema.proof.shadow import MAJORS
    from neuron_schema.review.reviewing import nothing, review
    from neuron_schema.review.subject import Subject

    infos = call.versions.infos()
    last = max(changed.versions, default=0)
    subject = Subject(
        migrations=call.migrations([info for info in infos if info.number <= last]),
        numbers=frozenset(info.number for info in infos),
        changed=changed,
        root=_root(call),
        stats=sizes,
    )
    if not changed.versions:
        return nothing(subject)
    # As the real server is, where the embedded one can be.
    major = sizes.server_major if sizes and sizes.server_major in MAJORS else None
    with open_server(call, shadow_url, major if shadow_url is None else None) as shadow:
        return review(call.workshop(shadow, schemas=call.settings.schemas), subject, _told)


def _root(call: Invocation) -> Path:
    """Return what reviewers count paths from: the work tree, else where the settings are."""
    directory = call.versions.directory
    places = (each for each in directory.parents if (each / ".git").exists())
    return next(places, call.settings.root)


def _told(migration: Migration) -> None:
    """Say which version is at work, where somebody waits for it."""
    if is_terminal(sys.stderr):
        note(f"reviewing {migration.label}")


def _put_out(
    call: Invocation, report: ReviewReport, writings: Sequence[Writing], fail_on: Severity | None
) -> None:
    """Write the report to where it is wanted; the first one is the result."""
    from neuron_schema.cli.writing import write_whole
    from neuron_schema.review.render.wording import tally

    texts = [_rendered(report, each, fail_on) for each in writings]
    files = [(each.path, text) for each, text in zip(writings, texts, strict=True) if each.path]
    for path, text in files:
        write_whole(path, text)
    if files:
        call.put(written=[str(path) for path, _ in files])
    if writings[0].path is None:
        _show(call, writings[0].format, texts[0])
    else:
        call.put(summary=tally(report))
        if not call.as_json:
            say(one_line(f"{tally(report)}: {writings[0].path}"))


def _show(call: Invocation, format_: Format, text: str) -> None:
    import json

    if format_ is Format.JSON:
        call.put(**json.loads(text))
    elif format_ is Format.TERMINAL:
        show(text.rstrip("\n"))
    elif text:
        show_script(text.rstrip("\n"))


def _rendered(report: ReviewReport, writing: Writing, fail_on: Severity | None) -> str:
    from importlib.metadata import version

    from neuron_schema.review.render import render

    return render(
        report,
        writing.format.value,
        fail_on=fail_on,
        color=writing.path is None and colourful(stdout()),
        helps=_helps(),
        version=version("neuron-schema"),
    )


def _helps() -> dict[str, Help]:
    """Return what is known of every hazard, for the formats that show it."""
    from neuron_schema.review.hazards import HAZARDS
    from neuron_schema.review.render import Help

    return {
        each.id: Help(
            title=each.title,
            text=f"{each.condition} {each.effect} Instead: {each.remedy}.",
            uri=each.page,
        )
        for each in HAZARDS.values()
    }


def _refuse_findings(report: ReviewReport, fail_on: Severity | None) -> None:
    """Refuse what is as bad as somebody said.

    Raises:
        FindingsOpen: with how many findings there are, and in which versions.
    """
    from neuron_schema.errors import FindingsOpen

    found = () if fail_on is None else report.at_least(fail_on)
    if not found:
        return
    versions = {each.version for each in found}
    labels = [each.label for each in report.versions if each.version in versions]
    count = "1 finding" if len(found) == 1 else f"{len(found)} findings"
    worse = "" if fail_on == "blocking" else " or worse"
    raise FindingsOpen(
        f"{count}, {fail_on}{worse}, in {', '.join(labels)}",
        remedy="do what the report advises, or accept it in the version, with a reason: "
        f'accept = {{"{found[0].hazard}": "..."}}',
    )
