"""The commands that change a database: ``up``, ``down``, ``reset``."""

# ruff: noqa: TC001 - Typer reads annotations at run time
from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from neuron_schema.cli.ending import interrupt_code
from neuron_schema.cli.invocation import Invocation
from neuron_schema.cli.options import (
    Count,
    Database,
    Direct,
    DryRun,
    Environment,
    FromHistory,
    FromSnapshot,
    Json,
    LockTimeout,
    NoLog,
    NonEmpty,
    OutOfOrder,
    Target,
    Verbose,
    Versions,
    WaitLock,
    Yes,
)
from neuron_schema.cli.output import ask, is_terminal, note, one_line, report_steps, say
from neuron_schema.cli.reading import print_plan
from neuron_schema.errors import Interrupted

if TYPE_CHECKING:
    from neuron_schema.address import Address
    from neuron_schema.cli.progress import Progress
    from neuron_schema.history import Look
    from neuron_schema.model import Outcome, Plan, Report


def up(
    target: Target = None,
    *,
    count: Count = None,
    allow_out_of_order: OutOfOrder = False,
    allow_non_empty: NonEmpty = False,
    from_snapshot: FromSnapshot = False,
    dry_run: DryRun = False,
    database_url: Database = None,
    direct_url: Direct = None,
    versions: Versions = None,
    env: Environment = None,
    wait_lock: WaitLock = None,
    lock_timeout: LockTimeout = None,
    no_log: NoLog = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Apply pending versions, each in a transaction of its own."""
    from neuron_schema.model import Direction

    with (
        Invocation(
            "up",
            as_json=as_json,
            database_url=database_url,
            direct_url=direct_url,
            versions=versions,
            environment=env,
            wait_lock=wait_lock,
            lock_timeout=lock_timeout,
            no_log=no_log,
        ) as call,
        call.database(notices=True) as address,
    ):
        warn_of_tables = dry_run and not allow_non_empty
        look = call.look_for_tables(address) if warn_of_tables else call.look(address)
        if from_snapshot:
            look = _started(call, address, look, target, alone=not dry_run and count is None)
        wanted: dict[str, Any] = {
            "to": target,
            "count": count,
            "allow_out_of_order": allow_out_of_order,
        }
        if dry_run:
            print_plan(call, address, look, Direction.UP, **wanted)
            return
        plan = call.plan(address, look, Direction.UP, **wanted)
        call.note_stand_ins(statement for step in plan.steps for statement in step.runs)
        run_plan(
            call,
            address,
            plan,
            look,
            verbose=verbose,
            allow_non_empty=allow_non_empty,
            allow_out_of_order=allow_out_of_order,
        )


def _started(
    call: Invocation, address: Address, look: Look, target: str | None, *, alone: bool
) -> Look:
    """Let an empty database start from ``schema.sql``; return the look afterwards.

    Raises:
        UsageError: an option does not go with that.
    """
    from neuron_schema.cli.schemafile import start_from_snapshot
    from neuron_schema.errors import UsageError

    if not alone:
        raise UsageError(
            "--from-snapshot goes with neither --dry-run nor --count",
            remedy="schema.sql shows what would be run",
        )
    return start_from_snapshot(call, address, look, target)


def down(
    target: Target = None,
    *,
    count: Count = None,
    from_history: FromHistory = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    database_url: Database = None,
    direct_url: Direct = None,
    versions: Versions = None,
    env: Environment = None,
    wait_lock: WaitLock = None,
    lock_timeout: LockTimeout = None,
    no_log: NoLog = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Roll versions back, newest first: down to TARGET, or one."""
    call = Invocation(
        "down",
        as_json=as_json,
        database_url=database_url,
        direct_url=direct_url,
        versions=versions,
        environment=env,
        wait_lock=wait_lock,
        lock_timeout=lock_timeout,
        no_log=no_log,
    )
    wanted: dict[str, Any] = {"to": target, "count": count, "from_history": from_history}
    _roll_back(call, wanted, dry_run=dry_run, yes=yes, verbose=verbose)


def reset(
    *,
    from_history: FromHistory = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    database_url: Database = None,
    direct_url: Direct = None,
    versions: Versions = None,
    env: Environment = None,
    wait_lock: WaitLock = None,
    lock_timeout: LockTimeout = None,
    no_log: NoLog = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Roll all versions back; the history table stays, empty."""
    call = Invocation(
        "reset",
        as_json=as_json,
        database_url=database_url,
        direct_url=direct_url,
        versions=versions,
        environment=env,
        wait_lock=wait_lock,
        lock_timeout=lock_timeout,
        no_log=no_log,
    )
    wanted: dict[str, Any] = {"to": "0", "count": None, "from_history": from_history}
    _roll_back(call, wanted, dry_run=dry_run, yes=yes, verbose=verbose)


def _roll_back(
    call: Invocation, wanted: dict[str, Any], *, dry_run: bool, yes: bool, verbose: bool
) -> None:
    from neuron_schema.model import Direction

    with call, call.database() as address:
        look = call.look(address)
        if dry_run:
            print_plan(call, address, look, Direction.DOWN, **wanted)
            return
        plan = call.plan(address, look, Direction.DOWN, **wanted)
        if plan.steps:
            _confirm(call, address, plan, look, yes=yes)
        run_plan(call, address, plan, look, verbose=verbose)


def _confirm(call: Invocation, address: Address, plan: Plan, look: Look, *, yes: bool) -> None:
    """Ask before rolling back, and say what is lost.

    Raises:
        ProtectedDatabase: the settings forbid it, whatever the answer.
        ConfirmationNeeded: no, or nobody to ask.
    """
    from neuron_schema.errors import ConfirmationNeeded, ProtectedDatabase

    names = ", ".join(step.label for step in plan.steps)
    if call.settings.protected:
        raise ProtectedDatabase(
            f"this database is protected; {names} would be rolled back",
            where=str(call.settings.file) if call.settings.file else None,
            remedy="set protected = false in [tool.neuron_schema] if that is really meant",
        )
    if yes:
        return
    lost = _losses(call, address, plan, look)
    if call.as_json or not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise ConfirmationNeeded(
            "\n".join([f"{names} would be rolled back", *(f"lost: {one}" for one in lost)]),
            remedy=f"neuron-schema {call.command} --yes (--dry-run prints the SQL)",
        )
    for sentence in lost:
        note(one_line(f"lost: {sentence}"))
    if not ask(one_line(f"Roll back {names}?")):
        raise ConfirmationNeeded("nothing was rolled back", remedy="answer y to go on")


def _losses(call: Invocation, address: Address, plan: Plan, look: Look) -> tuple[str, ...]:
    """Return what a rollback loses; that it cannot be told is no reason not to ask."""
    import psycopg

    from neuron_schema.cli.connecting import bounded
    from neuron_schema.errors import ConnectionFailed
    from neuron_schema.preflight.losses import LIMIT_S, sentences
    from neuron_schema.preflight.preflight_sql import schemas_of_path
    from neuron_schema.sqltext.objects import dropped

    losses = dropped(statement for step in plan.steps for statement in step.runs)
    settings = call.session_settings(look)
    path = schemas_of_path(settings.search_path, settings.role or look.facts.user)
    try:
        with bounded(address, patience_s=call.settings.deadline, limit_s=LIMIT_S) as fetch:
            return sentences(fetch, losses, path)
    except (psycopg.Error, ConnectionFailed) as error:
        return (f"nobody knows what: {' '.join(str(error).split())}",)


def run_plan(
    call: Invocation,
    address: Address,
    plan: Plan,
    look: Look,
    *,
    verbose: bool = False,
    allow_non_empty: bool = False,
    allow_out_of_order: bool = False,
) -> None:
    """Run a plan, and report its steps however it ends."""
    from neuron_schema.errors import NeuronSchemaError

    if not plan.steps:
        call.put(direction=plan.direction.value, steps=[])
        if not call.as_json:
            say(one_line(_nothing_to_do(call, plan, look)))
        return
    from neuron_schema.cli.progress import Progress

    session = functools.partial(call.session_values, look) if verbose else None
    progress = Progress(quiet=call.as_json, session=session)
    try:
        with (
            progress,
            call.runner(
                address,
                progress,
                allow_non_empty=allow_non_empty,
                allow_out_of_order=allow_out_of_order,
            ) as runner,
        ):
            report = runner.run(plan, look)
    except NeuronSchemaError as error:
        if error.report is not None:
            _put(call, error.report)
        raise
    except KeyboardInterrupt as interrupt:
        outcome, text = _interrupted(call, address, progress)
        _put(call, progress.report(plan, outcome))
        raise Interrupted(
            text,
            exit_code=interrupt_code(interrupt),
            remedy="neuron-schema status tells what is applied",
        ) from None
    _put(call, report)


def _put(call: Invocation, report: Report) -> None:
    """Add a run's steps to the JSON object, if there is to be one: it holds all their SQL."""
    if call.as_json:
        call.put(
            direction=report.direction.value,
            steps=report_steps(report),
            warnings=list(report.warnings),
        )


def _nothing_to_do(call: Invocation, plan: Plan, look: Look) -> str:
    from neuron_schema.model import Direction, Purpose
    from neuron_schema.squashed import account

    if plan.purpose is not Purpose.RUN:
        return "nothing to " + ("mark as applied" if plan.purpose is Purpose.BASELINE else "repair")
    if plan.direction is Direction.DOWN:
        return "nothing to roll back"
    rows = account(call.versions.infos(), look.applied).rows
    newest = rows[-1] if rows else None
    return "nothing to apply" + (
        f": {newest.version}_{newest.name} is the newest applied version" if newest else ""
    )


def _interrupted(call: Invocation, address: Address, progress: Progress) -> tuple[Outcome, str]:
    """Return how an interrupted run's step ended, as the database itself tells it."""
    from neuron_schema.errors import NeuronSchemaError
    from neuron_schema.execution.course import is_done
    from neuron_schema.model import Direction, Outcome

    step = progress.current
    if step is None:
        place = "between two versions" if progress.done else "before anything was run"
        return Outcome.FAILED, f"interrupted {place}"
    try:
        rows = call.look(address, patience_s=5.0).applied
    except NeuronSchemaError:
        text = f"interrupted in {step.label}; the server does not say how it ended"
        return Outcome.FAILED, text
    up = step.direction is Direction.UP
    if is_done(step, rows):
        return step.outcome, f"interrupted; {step.label} was committed just before"
    if not step.transactional:
        text = f"interrupted in {step.label}, which commits on its own; the next run completes it"
        return Outcome.FAILED, text
    undone = ("was rolled back" if step.runs else "is as it was") if up else "stays applied"
    return Outcome.FAILED, f"interrupted in {step.label} ({step.direction.value}); it {undone}"
