"""``rebase``: give this branch's versions the numbers after those of another branch."""

# ruff: noqa: TC001 - Typer reads annotations at run time
from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from neuron_schema.cli.invocation import Invocation
from neuron_schema.cli.options import Database, Environment, Json, Shadow, Versions
from neuron_schema.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.discovery.version_set import VersionFile
    from neuron_schema.history import Look


def rebase(
    branch: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="[BRANCH]", help="Where to merge into; else the main branch."),
    ] = None,
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not ask the database what is applied.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the new names and rename nothing.")
    ] = False,
    database_url: Database = None,
    shadow_url: Shadow = None,
    versions: Versions = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Renumber this branch's versions after those of BRANCH."""
    with Invocation(
        "rebase", as_json=as_json, database_url=database_url, versions=versions, environment=env
    ) as call:
        from neuron_schema.cli.schemafile import wanted_files, write_files
        from neuron_schema.discovery.replaces import declares
        from neuron_schema.discovery.version_set import locate, read, versions_in
        from neuron_schema.schemafile import checksums, renumber

        directory = locate(call.settings.versions)
        local, base = renumber.local_versions(directory, branch)
        squashed = tuple(file for file in local if declares(read(file.path)))
        local = tuple(file for file in local if file not in squashed)
        others = tuple(file for file in versions_in(directory) if file not in local)
        _refuse_shared(squashed, others)
        chosen = renumber.renames(local, others, renumber.numbers_of(directory, base))
        if chosen and not offline:
            _refuse_applied(call, [each.file for each in chosen], (*local, *others), branch)
        call.put(
            branch=base,
            renamed=[{"before": one.file.path.name, "after": one.path.name} for one in chosen],
        )
        if not as_json:
            for one in chosen:
                say(f"{one.file.path.name} -> {one.path.name}")
            if not chosen:
                say(f"nothing to renumber: every version here comes after those of {base}")
        if dry_run:
            return
        renumber.rename(chosen)
        names = (checksums.SCHEMA_FILE, checksums.FILE)
        if any((directory / name).exists() for name in names):
            write_files(call, wanted_files(call, shadow_url))


def _refuse_shared(squashed: Sequence[VersionFile], others: Sequence[VersionFile]) -> None:
    """Refuse to leave a squashed version the number that a version of the other branch has.

    Raises:
        VersionError: with both files.
    """
    from neuron_schema.errors import VersionError

    for one in squashed:
        twin = next((file for file in others if file.number == one.number and file != one), None)
        if twin is not None:
            raise VersionError(
                f"{one.path.name} and {twin.path.name} have one number, and a squashed version "
                "keeps the one of the last version that it replaces",
                where=str(one.path),
                remedy="restore the versions that were squashed, run `neuron-schema rebase`, and "
                "squash them anew",
            )


def _refuse_applied(
    call: Invocation,
    files: Sequence[VersionFile],
    there: Sequence[VersionFile],
    branch: str | None,
) -> None:
    """Refuse to renumber what the database has under its present number.

    Args:
        call: The command.
        files: Those that would get another number.
        there: All version files.
        branch: As it was given.

    Raises:
        HistoryConflict: with the versions.
        NeuronSchemaError: the database cannot be asked.
    """
    from neuron_schema.discovery import version_module
    from neuron_schema.discovery.loading import loading
    from neuron_schema.discovery.version_set import read
    from neuron_schema.errors import HistoryConflict

    with call.database() as address:
        look = call.look(address)
    rows = {row.number: row for row in look.applied}
    concerned = [file for file in files if file.number in rows]
    applied = {}
    with loading():
        for file in concerned:
            migration = version_module.load(
                read(file.path), str(file.path), version=file.version, name=file.name
            )
            row = rows[file.number]
            if row.checksum in (None, migration.checksum) or row.name == file.name:
                applied[file.number] = migration.label
    if applied:
        raise HistoryConflict(
            f"{', '.join(applied.values())} is applied in this database under its present number",
            remedy=_way_out(look, min(applied), there, branch),
        )


def _way_out(look: Look, number: int, there: Sequence[VersionFile], branch: str | None) -> str:
    """Return what lets versions be renumbered that are applied, from the lowest number on."""
    from neuron_schema.standing import before

    rebase = "neuron-schema rebase" + (f" {branch}" if branch else "")
    down = f"neuron-schema down {before(number, look.applied)}"
    if len({file.number for file in there}) == len(there):
        return f"{down}, then {rebase}, then neuron-schema up"
    if look.log_exists:
        # As long as two files have one number no version is loaded.
        return (
            f"{rebase} --offline, then {down} --from-history, which runs what the log recorded, "
            "then neuron-schema up"
        )
    return (
        f"{down} on the branch as it was before the merge (git merge --abort, or git checkout), "
        f"then merge, {rebase}, and neuron-schema up"
    )
