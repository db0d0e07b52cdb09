"""The commands that change a database: ``up``, ``down``, ``reset``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from neuron_schema.cli.invocation import Invocation, interrupt_code
from neuron_schema.cli.options import (
    Count,
    Database,
    Direct,
    DryRun,
    Environment,
    Json,
    OutOfOrder,
    Target,
    Versions,
    Yes,
)
from neuron_schema.cli.output import labels, note, report_steps, say
from neuron_schema.cli.reading import print_plan

if TYPE_CHECKING:
    from neuron_schema.history import Look
    from neuron_schema.model import Plan
    from neuron_schema.url import Address


def up(
    target: Target = None,
    *,
    count: Count = None,
    allow_out_of_order: OutOfOrder = False,
    dry_run: DryRun = False,
    database_url: Database = None,
    direct_url: Direct = None,
    versions: Versions = None,
    env: Environment = None,
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
        ) as call,
        call.database(notices=True) as address,
    ):
        look = call.look(address)
        wanted = {"to": target, "count": count, "allow_out_of_order": allow_out_of_order}
        if dry_run:
            print_plan(call, look, Direction.UP, **wanted)
            return
        _run(call, address, call.plan(look, Direction.UP, **wanted), look)


def down(
    target: Target = None,
    *,
    count: Count = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    database_url: Database = None,
    direct_url: Direct = None,
    versions: Versions = None,
    env: Environment = None,
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
    )
    _roll_back(call, to=target, count=count, dry_run=dry_run, yes=yes)


def reset(
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    database_url: Database = None,
    direct_url: Direct = None,
    versions: Versions = None,
    env: Environment = None,
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
    )
    _roll_back(call, to="0", count=None, dry_run=dry_run, yes=yes)


def _roll_back(
    call: Invocation, *, to: str | None, count: int | None, dry_run: bool, yes: bool
) -> None:
    from neuron_schema.model import Direction

    with call, call.database() as address:
        look = call.look(address)
        if dry_run:
            print_plan(call, look, Direction.DOWN, to=to, count=count)
            return
        plan = call.plan(look, Direction.DOWN, to=to, count=count)
        if plan.steps:
            _confirm(call, plan, yes=yes)
        _run(call, address, plan, look)


def _confirm(call: Invocation, plan: Plan, *, yes: bool) -> None:
    """Ask before rolling back.

    Raises:
        ProtectedDatabase: the settings forbid it, whatever the answer.
        ConfirmationNeeded: no, or nobody to ask.
    """
    from neuron_schema.errors import ConfirmationNeeded, ProtectedDatabase

    names = labels(step.label for step in plan.steps)
    if call.settings.protected:
        raise ProtectedDatabase(
            f"this database is protected; {names} would be rolled back",
            where=str(call.settings.file) if call.settings.file else None,
            remedy="set protected = false in [tool.neuron_schema] if that is really meant",
        )
    if yes:
        return
    if call.as_json or not sys.stdin.isatty():
        raise ConfirmationNeeded(
            f"{names} would be rolled back", remedy=f"neuron-schema {call.command} --yes"
        )
    note(f"Roll back {names}? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfirmationNeeded("nothing was rolled back", remedy="answer y to go on")


def _run(call: Invocation, address: Address, plan: Plan, look: Look) -> None:
    """Run a plan, and report its steps however it ends."""
    from neuron_schema.errors import NeuronSchemaError

    if not plan.steps:
        call.put(direction=plan.direction.value, steps=[])
        if not call.as_json:
            say(_nothing_to_do(plan, look))
        return
    from neuron_schema.cli.progress import Progress

    progress = Progress(quiet=call.as_json)
    try:
        with progress, call.runner(address, progress) as runner:
            report = runner.run(plan, look)
    except NeuronSchemaError as error:
        if error.report is not None:
            call.put(direction=plan.direction.value, steps=report_steps(error.report))
        raise
    except KeyboardInterrupt as interrupt:
        call.put(direction=plan.direction.value, steps=report_steps(progress.report(plan)))
        raise _interrupted(call, address, progress, interrupt) from None
    call.put(direction=plan.direction.value, steps=report_steps(report))


def _nothing_to_do(plan: Plan, look: Look) -> str:
    from neuron_schema.model import Direction

    if plan.direction is Direction.DOWN:
        return "nothing to roll back"
    newest = look.applied[-1] if look.applied else None
    return "nothing to apply" + (
        f": {newest.version}_{newest.name} is the newest applied version" if newest else ""
    )


def _interrupted(call: Invocation, address: Address, progress: Any, interrupt: Any) -> Any:
    """Say what an interrupted run left, as the database itself tells it."""
    from neuron_schema.errors import Interrupted, NeuronSchemaError

    code = interrupt_code(interrupt)
    step = progress.current
    if step is None:
        return Interrupted("interrupted between two versions", exit_code=code)
    try:
        rows = {row.number for row in call.look(address, patience_s=5.0).applied}
    except NeuronSchemaError:
        rows = None
    if not step.transactional:
        text = f"interrupted in {step.label}, which commits on its own; the next run completes it"
    elif rows is None:
        text = f"interrupted in {step.label}; the server does not say how it ended"
    elif (int(step.version) in rows) is (step.direction.value == "up"):
        text = f"interrupted; {step.label} was committed just before"
    else:
        text = f"interrupted; {step.label} was rolled back"
    return Interrupted(text, exit_code=code, remedy="neuron-schema status tells what is applied")
