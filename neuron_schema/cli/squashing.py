"""``squash``: one version in place of several, proven to do the same."""

# ruff: noqa: TC001 - Typer reads annotations at run time
from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from neuron_schema.cli.invocation import Invocation
from neuron_schema.cli.options import Environment, Json, Shadow, Versions, Yes
from neuron_schema.cli.output import ask, is_terminal, note, one_line, say, show_script, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.model import Migration
    from neuron_schema.proof.ground import Workshop
    from neuron_schema.schemafile.squash import Draft
    from neuron_schema.schemafile.squash_proof import Proof


def squash(
    span: Annotated[
        str, typer.Argument(metavar="A:B", help="The first and the last version, both included.")
    ],
    *,
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--name", metavar="SLUG", help="What the file is called after its number."),
    ] = None,
    plain_indexes: Annotated[
        bool,
        typer.Option(
            "--plain-indexes", help="Let CONCURRENTLY go, and VACUUM and REINDEX be left out."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the module and the proof, and write nothing.")
    ] = False,
    yes: Yes = False,
    shadow_url: Shadow = None,
    versions: Versions = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Put one version in place of those from A to B."""
    with Invocation("squash", as_json=as_json, versions=versions, environment=env) as call:
        from neuron_schema.schemafile.squash import compose, parts_of, span_of
        from neuron_schema.schemafile.squash_files import begun
        from neuron_schema.squashed import refuse_replaced
        from neuron_schema.targets import target_number

        first, last = span_of(span)
        migrations = call.versions.migrations()
        interrupted = begun(migrations, target_number(first), target_number(last))
        if interrupted is not None:
            wanted = _checked_name(name) or interrupted.name
            left = _Left(squashed=interrupted, name=wanted, migrations=migrations)
            _finish(call, left, shadow_url, yes=yes, dry_run=dry_run)
            return
        refuse_replaced(migrations)
        parts = parts_of(migrations, first, last)
        draft = compose(parts, _checked_name(name), plain=plain_indexes)
        _squash(call, draft, migrations, shadow_url, yes=yes, dry_run=dry_run)


def _squash(
    call: Invocation,
    draft: Draft,
    migrations: Sequence[Migration],
    shadow_url: str | None,
    *,
    yes: bool,
    dry_run: bool,
) -> None:
    from neuron_schema.cli.proving import open_server
    from neuron_schema.schemafile.squash_files import refuse_changed, refuse_uncommitted
    from neuron_schema.schemafile.squash_proof import prove
    from neuron_schema.schemafile.squash_source import load, source_of

    old = [Path(one.path) for one in draft.parts]
    contents = {path: path.read_bytes() for path in old}
    new = call.versions.directory / f"{draft.version}_{draft.name}.py"
    source = source_of(draft)
    squashed = load(draft, source, str(new))
    call.put(
        version=squashed.version,
        name=squashed.name,
        path=str(new),
        replaced=[path.name for path in old],
        source=source,
        notes=list(draft.notes),
        written=[],
    )
    for sentence in draft.notes:
        warn(sentence)
    question = f"Replace {_counted(len(old))} by {new.name}?"
    if not dry_run:
        refuse_uncommitted(old)
        would = f"{_counted(len(old))} would be replaced by {new.name}"
        _refuse_unasked(call, would, yes=yes)
    before = [one for one in migrations if one.number < draft.parts[0].number]
    later = [one for one in migrations if one.number > draft.parts[-1].number]
    with open_server(call, shadow_url) as shadow:
        workshop = call.workshop(shadow)
        _tell(call, prove(workshop, before, draft.parts, squashed, later))
        texts = {new: source, **_snapshot_files(call, workshop, [*before, squashed, *later])}
    if dry_run:
        if not call.as_json:
            show_script(source.rstrip("\n"))
        return
    _confirm(question, yes=yes)
    refuse_changed(contents)
    _write(call, old, new, texts)


def _checked_name(name: str | None) -> str | None:
    """Return what a file can be called.

    Raises:
        VersionError: it cannot.
    """
    from neuron_schema.discovery.version_set import split_file_name

    return None if name is None else split_file_name(Path(f"001_{name}.py"))[1]


def _refuse_unasked(call: Invocation, would: str, *, yes: bool) -> None:
    """Refuse at once where nobody can be asked later.

    Args:
        call: The command.
        would: What it would do.
        yes: Whether it was told to.

    Raises:
        ConfirmationNeeded: without --yes.
    """
    from neuron_schema.errors import ConfirmationNeeded

    if not yes and (call.as_json or not (is_terminal(sys.stdin) and is_terminal(sys.stderr))):
        raise ConfirmationNeeded(
            would, remedy="give the same command --yes (--dry-run prints the module)"
        )


def _confirm(question: str, *, yes: bool) -> None:
    from neuron_schema.errors import ConfirmationNeeded

    if not yes and not ask(one_line(question)):
        raise ConfirmationNeeded("nothing was written", remedy="answer y to go on")


def _tell(call: Invocation, proof: Proof) -> None:
    """Say what the proof found.

    Raises:
        SquashUnproven: the squashed version does not do the same.
    """
    call.put(
        proof={"proven": not proof.mismatches, "compared": proof.compared, "notes": proof.notes},
        changes=[
            {"version": None, "stage": each.stage, **each.change.plain()}
            for each in proof.mismatches
            if each.change is not None
        ],
        differences=[str(each) for each in proof.mismatches],
    )
    for sentence in proof.notes:
        note(f"note: {sentence}")
    proof.check()
    for sentence in proof.compared:
        note(f"the same {sentence}")


def _snapshot_files(
    call: Invocation, workshop: Workshop, migrations: Sequence[Migration]
) -> dict[Path, str]:
    """Return what schema.sql and checksums.txt are to be, where one of them is there."""
    from neuron_schema.cli.schemafile import wanted_texts
    from neuron_schema.schemafile import checksums

    directory = call.versions.directory
    if not any((directory / each).exists() for each in (checksums.SCHEMA_FILE, checksums.FILE)):
        return {}
    return wanted_texts(directory, workshop, migrations)


def _write(call: Invocation, old: Sequence[Path], new: Path, texts: dict[Path, str]) -> None:
    from neuron_schema.schemafile.squash_files import exchange

    exchange(old, new, texts)
    call.put(written=[str(path) for path in texts])
    if call.as_json:
        return
    for path in texts:
        say(f"wrote {path}")
    gone = [path.name for path in old if path != new]
    say(f"removed {', '.join(gone)}")
    first, last = old[0].name.partition("_")[0], old[-1].name.partition("_")[0]
    note(
        f"a database that has applied all of {first} to {last} has applied {new.stem}: nothing is "
        "run or written there. One that has applied only some of them is refused: bring it up to "
        f"{last} from the release before this"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """A squash that was interrupted when its module was written, or that was done before.

    Attributes:
        squashed: The version, under the name that its file has now.
        name: The name that it is to have.
        migrations: All versions that are there.
    """

    squashed: Migration
    name: str
    migrations: Sequence[Migration]


def _finish(
    call: Invocation, left: _Left, shadow_url: str | None, *, yes: bool, dry_run: bool
) -> None:
    """Do what is left to do: the old files go, and those beside the versions follow."""
    from neuron_schema.cli.proving import open_server
    from neuron_schema.schemafile.squash_files import exchange, left_behind

    squashed = left.squashed
    path = Path(squashed.path)
    new = path.with_name(f"{squashed.version}_{left.name}.py")
    gone = left_behind(squashed, left.migrations)
    rest = [Path(one.path) for one in gone]
    names = [each.name for each in rest]
    call.put(version=squashed.version, name=left.name, path=str(new), replaced=names, written=[])
    note(
        f"{path.name} was squashed before" + (f"; still there: {', '.join(names)}" if names else "")
    )
    if dry_run:
        return
    question = f"Remove {_counted(len(rest))} that {path.name} replaces?"
    if rest:
        would = f"{_counted(len(rest))} that {path.name} replaces would be removed"
        _refuse_unasked(call, would, yes=yes)
    kept = [
        replace(one, name=left.name) if one is squashed else one
        for one in left.migrations
        if one not in gone
    ]
    with open_server(call, shadow_url) as shadow:
        texts = _snapshot_files(call, call.workshop(shadow), kept)
    if rest:
        _confirm(question, yes=yes)
    source = path.read_bytes().decode("utf-8", "surrogateescape")
    texts = {new: source, **texts}
    exchange([*rest, path], new, texts)
    call.put(written=[str(each) for each in texts])
    if not call.as_json:
        say(f"removed {', '.join(names)}" if names else "nothing to remove")
        for each in texts:
            say(f"wrote {each}")


def _counted(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
