"""The commands that compare schemas on a throw-away server: ``verify``, ``drift``, ``diff``."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from neuron_schema.cli.invocation import Invocation
from neuron_schema.cli.options import (
    Database,
    Environment,
    Json,
    Shadow,
    Versions,
    complete_version,
)
from neuron_schema.cli.output import (
    columns,
    is_terminal,
    note,
    paint,
    safe,
    say,
    show,
    stdout,
    warn,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from neuron_schema.address import Address
    from neuron_schema.catalog import Change, Snapshot
    from neuron_schema.history import HistoryTable, Look
    from neuron_schema.model import Migration
    from neuron_schema.proof.drift import Drift
    from neuron_schema.proof.shadow import Shadow as ShadowServer
    from neuron_schema.proof.sides import Side
    from neuron_schema.proof.verify import Proof


def verify(
    wanted: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(
            metavar="[VERSION...]",
            help="Versions or ranges such as 003:005; all by default.",
            autocompletion=complete_version,
        ),
    ] = None,
    *,
    shadow_url: Shadow = None,
    versions: Versions = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Prove on a throw-away server that each down undoes its up."""
    with Invocation("verify", as_json=as_json, versions=versions, environment=env) as call:
        from neuron_schema.errors import VersionUnproven
        from neuron_schema.proof.verify import chosen
        from neuron_schema.proof.verify import verify as prove

        infos = chosen(call.versions.infos(), wanted or ())
        proofs: list[Proof] = []
        if infos:
            last = infos[-1].number
            migrations = call.migrations([i for i in call.versions.infos() if i.number <= last])
            with open_server(call, shadow_url) as shadow:
                proofs += prove(
                    call.workshop(shadow), migrations, {info.number for info in infos}, _told
                )
        call.put(
            versions=[_proof_object(proof) for proof in proofs],
            changes=[
                {"version": proof.version, "phase": phase, **change.plain()}
                for proof in proofs
                for phase, change in _changes(proof)
            ],
        )
        if not as_json:
            _show_proofs(proofs)
        unproven = [proof.label for proof in proofs if not proof.proven]
        if unproven:
            raise VersionUnproven(
                f"{len(unproven)} of {len(proofs)} not proven: {', '.join(unproven)}",
                remedy="correct what is said above of them, while they are applied nowhere; "
                "what is applied already is put right by a new version",
            )


@contextlib.contextmanager
def open_server(
    call: Invocation, given: str | None, major: int | None = None
) -> Iterator[ShadowServer]:
    """Yield a throw-away server, of a major version where that matters."""
    from neuron_schema.errors import AddressError
    from neuron_schema.proof.shadow import FLAG, open_shadow
    from neuron_schema.url import parse

    try:
        address = parse(given) if given is not None else None
    except AddressError as error:
        raise AddressError(error.message, remedy=error.remedy, where=FLAG) from None
    with open_shadow(address, major=major) as shadow:
        call.put(shadow={"major": shadow.major, "embedded": shadow.embedded})
        note(f"shadow: PostgreSQL {shadow.major}, {shadow.address.target}")
        yield shadow


def _told(migration: Migration) -> None:
    """Say which version is at work, where somebody waits for it."""
    if is_terminal(sys.stderr):
        note(f"proving {migration.label}")


def _changes(proof: Proof) -> Iterator[tuple[str, Change]]:
    for phase, changes in (("down", proof.residue), ("up again", proof.divergence)):
        for change in changes:
            yield phase, change
    for change in (*proof.order, *proof.validated):
        yield "down", change


def _proof_object(proof: Proof) -> dict[str, Any]:
    return {
        "version": proof.version,
        "name": proof.name,
        "proven": proof.proven,
        "irreversible": proof.irreversible,
        "failures": [
            {"phase": each.phase.value, "message": each.message, "rows_only": each.rows_only}
            for each in proof.failures
        ],
        "losses": [
            {"direction": each.direction.value, "object": each.object, "what": each.what}
            for each in proof.losses
        ],
        "unseeded": [{"table": each.table, "why": each.why} for each in proof.unseeded],
        "without": list(proof.without),
    }


def _show_proofs(proofs: Sequence[Proof]) -> None:
    from neuron_schema.proof.cycle import Phase

    if not proofs:
        say("no versions")
        return
    rows: list[tuple[str, ...]] = [("version", "name", "up", "down", "up again", "result")]
    rows += [
        (
            proof.version,
            proof.name,
            *(_cell(proof, phase) for phase in Phase),
            "proven" if proof.proven else "NOT PROVEN",
        )
        for proof in proofs
    ]
    texts = columns(rows)
    show(paint(texts[0], "bold", stdout()))
    for proof, text in zip(proofs, texts[1:], strict=True):
        show(paint(text, "green" if proof.proven else "red", stdout()))
    for proof in proofs:
        _show_details(proof)


def _cell(proof: Proof, phase: Any) -> str:
    """Return what became of one part of a proof, in a word or two."""
    from neuron_schema.proof.cycle import Phase

    found = proof.failure(phase)
    if found is not None:
        return "fails on rows" if found.rows_only else "fails"
    if phase is Phase.UP:
        return "ok"
    if proof.irreversible is not None:
        return "irreversible" if phase is Phase.DOWN else "-"
    if any(not each.rows_only for each in proof.failures):
        before = [each.phase for each in proof.failures if not each.rows_only]
        order = list(Phase)
        if order.index(phase) > min(order.index(each) for each in before):
            return "-"
    changes = proof.residue if phase is Phase.DOWN else proof.divergence
    return f"differs ({len(changes)})" if changes else "ok"


def _show_details(proof: Proof) -> None:
    """Say what was found of a version, and what is good to know."""
    lines = [
        f"{each.phase} fails"
        + (" on rows, not on empty tables" if each.rows_only else "")
        + f": {each.message}"
        for each in proof.failures
    ]
    lines += [f"not there, as its up fails: {label}" for label in proof.without if lines]
    lines += [f"after down: {change}" for change in proof.residue]
    lines += [f"after up again: {change}" for change in proof.divergence]
    lines += [f"order: {change}" for change in proof.order]
    lines += [f"left validated by down: {change}" for change in proof.validated]
    lines += [f"lost by {loss.direction}: {loss.object}, {loss.what}" for loss in proof.losses]
    lines += [f"without rows: {each.table}: {each.why}" for each in proof.unseeded]
    if lines:
        say(f"\n{proof.label}")
        for line in lines:
            say("  " + line.replace("\n", "\n    "))


def drift(
    *,
    database_url: Database = None,
    shadow_url: Shadow = None,
    versions: Versions = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Compare a database with what its applied versions make."""
    with (
        Invocation(
            "drift", as_json=as_json, database_url=database_url, versions=versions, environment=env
        ) as call,
        call.database() as address,
    ):
        from neuron_schema.errors import DriftFound
        from neuron_schema.proof.drift import as_in, find

        look = call.look(address)
        migrations = _applied(call, address, look)
        live = _snapshot_of(call, address, look.table)
        with open_server(call, shadow_url, look.facts.version_num // 10000) as shadow:
            workshop = as_in(call.workshop(shadow, schemas=call.settings.schemas), look, live)
            found = find(workshop, migrations, live, call.settings.ignore)
        call.put(
            changes=[_change_object(change) for change in (*found.changes, *found.order)],
            ignored=[
                {**_change_object(change), "reason": known.reason}
                for change, known in found.ignored
            ],
        )
        _show_drift(call, found)
        if found.changes:
            raise DriftFound(
                f"{_counted(len(found.changes))} that the applied versions do not make",
                remedy="undo them, put them into a new version, or name them with a reason in "
                "`ignore` of [tool.neuron_schema]",
            )


def _applied(call: Invocation, address: Address, look: Look) -> list[Migration]:
    """Return the applied versions with the SQL that was run, in order.

    Raises:
        HistoryConflict: nobody knows what one of them was.
    """
    from neuron_schema.proof.drift import applied_versions, buildable, check_recorded

    infos, others = applied_versions(call.versions.infos(), look.applied)
    recorded = call.recorded(address, look, others)
    check_recorded(others, recorded, look.applied)
    found = [*call.migrations(infos), *buildable(recorded)]
    return sorted(found, key=lambda migration: migration.number)


def _snapshot_of(call: Invocation, address: Address, history: HistoryTable) -> Snapshot:
    """Return the schema of a database."""
    from neuron_schema.catalog import snapshot
    from neuron_schema.proof.shadow import connected

    with connected(address) as connection:
        return snapshot(connection, history=history, schemas=call.settings.schemas or None)


def _change_object(change: Change) -> dict[str, Any]:
    from neuron_schema.proof.statements import sql_of

    return {"version": None, **change.plain(), "sql": list(sql_of(change))}


def _show_drift(call: Invocation, found: Drift) -> None:
    for change, known in found.ignored:
        note(f"ignored ({known.reason}): {str(change).partition(chr(10))[0]}")
    for known in found.unused:
        warn(f"ignore in the settings: nothing matches {known.object!r}")
    for name, built, live in found.versions:
        note(f"note: the extension {name} is {live} here and {built} in the shadow")
    for change in found.order:
        note(f"note: {change}")
    if not call.as_json:
        _show_changes(found.changes)
        if not found.changes:
            say("no drift")


def _show_changes(changes: Sequence[Change]) -> None:
    """Print changes in words, and as SQL where it can be said."""
    from neuron_schema.proof.statements import sql_of

    colours = {"added": "green", "removed": "red", "changed": "yellow"}
    for change in changes:
        first, _, rest = str(change).partition("\n")
        show(paint(safe(first), colours[change.action.value], stdout()))
        if rest:
            say(rest)
        for statement in sql_of(change):
            say("    " + statement.replace("\n", "\n    ") + ";")


def _counted(count: int) -> str:
    return "1 difference" if count == 1 else f"{count} differences"


def diff(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A", help="@VERSION, git:REVISION, a database's address, or py:MODULE:METADATA."
        ),
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    *,
    shadow_url: Shadow = None,
    versions: Versions = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Show what makes schema B differ from schema A."""
    with Invocation("diff", as_json=as_json, versions=versions, environment=env) as call:
        from neuron_schema.catalog import diff as compare
        from neuron_schema.errors import DifferenceFound
        from neuron_schema.proof.sides import parse_side

        sides = [parse_side(text) for text in (first, second)]
        before, after = _both(call, sides, shadow_url)
        changes = compare(before.unowned(), after.unowned())
        call.put(changes=[_change_object(change) for change in changes])
        order = [change for change in changes if change.order_only]
        told = [change for change in changes if not change.order_only]
        for change in order:
            note(f"note: {change}")
        if not as_json:
            _show_changes(told)
            if not told:
                say("no difference")
        if told:
            raise DifferenceFound(f"{_counted(len(told))} between {first} and {second}")


def _both(call: Invocation, sides: Sequence[Side], shadow_url: str | None) -> list[Snapshot]:
    """Return the schemas of both sides; a MetaData's last, as it needs the other's extensions.

    Raises:
        ServerUnsupported: they are on servers of two major versions.
    """
    from neuron_schema.address import Address
    from neuron_schema.errors import ServerUnsupported
    from neuron_schema.proof.sides import OfMetaData, build_side

    found: dict[int, Snapshot] = {}
    for place, side in enumerate(sides):
        if isinstance(side, Address):
            note(f"target: {side.target}")
            found[place] = _snapshot_of(call, side, call.table)
    majors = {each.server_major for each in found.values()}
    if len(majors) > 1:
        raise ServerUnsupported(
            f"the databases are on PostgreSQL {' and '.join(map(str, sorted(majors)))}, which "
            "print one and the same thing in two ways",
            remedy="compare databases on servers of one major version",
        )
    rest = [(place, side) for place, side in enumerate(sides) if not isinstance(side, Address)]
    rest.sort(key=lambda each: isinstance(each[1], OfMetaData))
    if rest:
        with open_server(call, shadow_url, majors.pop() if majors else None) as shadow:
            workshop = call.workshop(shadow, schemas=call.settings.schemas)
            for place, side in rest:
                other = found.get(1 - place)
                found[place] = build_side(
                    side, workshop, call.versions, root=call.settings.root, other=other
                )
    return [found[place] for place in sorted(found)]
