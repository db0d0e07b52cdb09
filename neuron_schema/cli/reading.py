"""The commands that write to no database: ``status``, ``plan``, ``sql``, ``check``, ``wait``."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuron_schema.cli.invocation import Invocation
from neuron_schema.cli.modified import show_modified
from neuron_schema.cli.options import (
    Count,
    Database,
    Environment,
    FromHistory,
    Json,
    OutOfOrder,
    Target,
    Versions,
    complete_direction,
)
from neuron_schema.cli.output import (
    columns,
    error_object,
    note,
    plan_steps,
    print_error,
    say,
    show,
    show_script,
    warn,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from neuron_schema.address import Address
    from neuron_schema.discovery.version_set import VersionFile
    from neuron_schema.errors import VersionError
    from neuron_schema.history import Look
    from neuron_schema.model import Migration, MigrationStatus


def status(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 3 when versions are pending, 4 on a conflict.")
    ] = False,
    database_url: Database = None,
    versions: Versions = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Show which versions are applied."""
    with Invocation(
        "status", as_json=as_json, database_url=database_url, versions=versions, environment=env
    ) as call:
        from neuron_schema import standing
        from neuron_schema.model import Status
        from neuron_schema.squashed import account

        with call.database() as address:
            look, found = call.look_around(address)
            show_modified(call, address, look)
        infos = call.versions.infos()
        lines = standing.statuses(infos, look.applied)
        for line in lines:
            if line.status is Status.TAKEN:
                warn(
                    f"{line.version}_{line.name}: another version was applied under this number, "
                    f"{line.renamed_from}"
                )
            elif line.renamed_from is not None:
                warn(f"{line.version}_{line.name} was applied under the name {line.renamed_from}")
            if line.covers:
                parts = ", ".join((*line.covers, line.version))
                note(f"{line.version}_{line.name} was applied as {parts}, before the squash")
        for part in account(infos, look.applied).partly:
            warn(part.sentence)
        for one in found:
            warn(f"{one.kind}: {one.name} of {one.table}; to clear it away: {one.remedy}")
        call.put(
            migrations=[_status_object(line) for line in lines],
            leftovers=[dataclasses.asdict(one) for one in found],
        )
        if not as_json:
            _show_status(lines)
        if check:
            _raise_unless_current(call, look)


def plan(
    direction: Annotated[
        str,
        typer.Argument(metavar="[up|down]", help="Direction.", autocompletion=complete_direction),
    ] = "up",
    target: Target = None,
    *,
    count: Count = None,
    allow_out_of_order: OutOfOrder = False,
    from_history: FromHistory = False,
    database_url: Database = None,
    versions: Versions = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Print the SQL that up or down would run now, as a psql script."""
    with Invocation(
        "plan", as_json=as_json, database_url=database_url, versions=versions, environment=env
    ) as call:
        from neuron_schema.errors import UsageError
        from neuron_schema.model import Direction

        if direction not in ("up", "down"):
            raise UsageError(
                f"{direction!r} is neither up nor down",
                remedy="neuron-schema plan [up|down] [TARGET]",
            )
        if from_history and direction == Direction.UP.value:
            raise UsageError(
                "--from-history is for the way down: what goes up comes from the files",
                remedy="neuron-schema plan down --from-history",
            )
        with call.database() as address:
            up = direction == Direction.UP.value
            print_plan(
                call,
                address,
                call.look_for_tables(address) if up else call.look(address),
                Direction(direction),
                to=target,
                count=count,
                allow_out_of_order=allow_out_of_order,
                from_history=from_history,
            )


def print_plan(
    call: Invocation, address: Address, look: Look, direction: Any, **target: Any
) -> None:
    """Print a plan as a psql script, or put it into the JSON object."""
    from neuron_schema.model import Direction
    from neuron_schema.script import psql_script

    made = call.plan(address, look, direction, **target)
    estimates = call.estimates(address, made, look)
    call.put(direction=made.direction.value, steps=plan_steps(made, estimates))
    if not call.as_json:
        text = psql_script(
            made,
            look.table,
            exists=look.exists,
            settings=call.session_settings(look),
            estimates=estimates,
        )
        show_script(text.rstrip("\n"))
        if not made.steps:
            note("nothing to " + ("apply" if made.direction is Direction.UP else "roll back"))


def sql(
    span: Annotated[
        str,
        typer.Argument(metavar="[FROM:TO]", help="From one version to another; 0 is empty."),
    ] = "",
    *,
    versions: Versions = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Print the SQL between two versions, without a database."""
    with Invocation("sql", as_json=as_json, versions=versions, environment=env) as call:
        from neuron_schema import planning
        from neuron_schema.errors import TargetError
        from neuron_schema.script import psql_script

        infos = call.versions.infos()
        start, colon, end = span.partition(":")
        if span and not colon:
            raise TargetError(f"{span!r} is no span", remedy="write FROM:TO, such as 0:3 or 3:2")
        newest = infos[-1].version if infos else "0"
        selection = planning.select_range(infos, start or "0", end or newest)
        made = planning.make_plan(selection, call.versions.migrations(selection.infos), ())
        call.put(direction=made.direction.value, steps=plan_steps(made))
        if not as_json:
            show_script(psql_script(made, call.table).rstrip("\n"))


def check(*, versions: Versions = None, env: Environment = None, as_json: Json = False) -> None:
    """Compile every version afresh, without a database."""
    with Invocation("check", as_json=as_json, versions=versions, environment=env) as call:
        valid, wrong, warnings = _compiled_afresh(call.versions.files)
        for sentence in warnings:
            warn(sentence)
        call.put(
            warnings=warnings,
            errors=[error_object(error) for error in wrong],
            migrations=[
                {"version": one.version, "name": one.name, "checksum": one.checksum}
                for one in valid
            ],
        )
        if wrong:
            # All of them at once: who corrects one wants to know of the next.
            for error in () if as_json else wrong[:-1]:
                print_error(error)
            raise wrong[-1]
        from neuron_schema.cli.schemafile import check_listed
        from neuron_schema.squashed import refuse_replaced

        refuse_replaced(valid)
        check_listed(call.versions.directory, valid)
        if not as_json:
            say(f"{_versions_counted(len(valid))} valid")


def _compiled_afresh(
    files: Iterable[VersionFile],
) -> tuple[list[Migration], list[VersionError], list[str]]:
    """Return the versions that are valid, what is wrong with the others, and warnings."""
    from neuron_schema.discovery import version_module, version_source
    from neuron_schema.discovery.cacheable import is_cacheable
    from neuron_schema.discovery.loading import loading
    from neuron_schema.discovery.version_set import read
    from neuron_schema.errors import VersionError

    valid: list[Migration] = []
    wrong: list[VersionError] = []
    warnings: list[str] = []
    with loading():
        for file in files:
            path = str(file.path)
            try:
                source = read(file.path)
                tree = version_source.parse(version_source.decode(source, path), path)
                warnings += [
                    f"{path}:{line}: imports {module}: a version must not change meaning when "
                    "the application's code does"
                    for module, line in version_source.foreign_imports(tree)
                ]
                valid.append(
                    version_module.load_tree(
                        tree,
                        source,
                        path,
                        version=file.version,
                        name=file.name,
                        steady=is_cacheable(tree),
                    )
                )
            except VersionError as error:
                wrong.append(error)
    return valid, wrong, warnings


def _versions_counted(count: int) -> str:
    return "1 version" if count == 1 else f"{count} versions"


def wait(
    *,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait.")] = 60.0,
    database_url: Database = None,
    versions: Versions = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Wait until every version is applied; exit 3 when time is up."""
    with Invocation(
        "wait", as_json=as_json, database_url=database_url, versions=versions, environment=env
    ) as call:
        infos = call.versions.infos()
        with call.database() as address:
            # The order matters: with "nan" there would be no end.
            _wait_until_current(call, address, time.monotonic() + max(0.0, timeout))
        if not as_json:
            say(f"nothing is pending: {_versions_counted(len(infos))}")


def _wait_until_current(call: Invocation, address: Any, ends: float) -> None:
    from neuron_schema.errors import ConnectionFailed, VersionsPending

    while True:
        try:
            left = max(0.0, ends - time.monotonic())
            _raise_unless_current(call, call.look(address, patience_s=left))
        except (ConnectionFailed, VersionsPending):
            left = ends - time.monotonic()
            if left <= 0:
                raise
            time.sleep(min(0.5, left))
        else:
            return


def _raise_unless_current(call: Invocation, look: Look) -> None:
    """Raise what keeps the database from being current: a conflict goes before pending."""
    from neuron_schema import standing
    from neuron_schema.errors import VersionsPending
    from neuron_schema.model import Status

    infos = call.versions.infos()
    conflict = standing.conflicts(infos, look.applied)
    if conflict:
        raise conflict
    pending = [
        f"{line.version}_{line.name}"
        for line in standing.statuses(infos, look.applied)
        if line.status is Status.PENDING
    ]
    if pending:
        raise VersionsPending(
            f"{len(pending)} pending: {', '.join(pending[:10])}"
            + (", ..." if len(pending) > 10 else ""),  # noqa: PLR2004 - a line's worth
            remedy="neuron-schema up",
        )


def _status_object(line: MigrationStatus) -> dict[str, Any]:
    return {
        "version": line.version,
        "name": line.name,
        "description": line.description,
        "status": line.status.value,
        "applied_at": line.applied_at.isoformat() if line.applied_at else None,
        "checksum": line.checksum,
        **({"applied_as": [*line.covers, line.version]} if line.covers else {}),
    }


def _show_status(lines: tuple[MigrationStatus, ...]) -> None:
    from neuron_schema.cli.output import paint, stdout
    from neuron_schema.model import Status

    if not lines:
        say("no versions")
        return
    rows = [("version", "name", "status", "applied at", "description")]
    rows += [
        (
            line.version,
            line.name,
            line.status.value,
            f"{line.applied_at:%Y-%m-%d %H:%M:%S %Z}" if line.applied_at else "-",
            line.description,
        )
        for line in lines
    ]
    colours = {Status.APPLIED: "green", Status.PENDING: "yellow"}
    texts = columns(rows)
    show(paint(texts[0], "bold", stdout()))
    for line, text in zip(lines, texts[1:], strict=True):
        show(paint(text, colours.get(line.status, "red"), stdout()))
