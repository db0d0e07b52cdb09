"""A ``Plan`` becomes ``engine.begin()`` blocks, and listeners are told.

What may run is decided in ``planning``; how one step runs stands in ``steps``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from neuron_schema import log, standing
from neuron_schema.errors import (
    ConnectionFailed,
    ConnectionsExhausted,
    DirectAddressNeeded,
    HistoryConflict,
    LogNeeded,
    NeuronSchemaError,
    SettingsError,
)
from neuron_schema.execution.course import Course, Expectation, compared
from neuron_schema.execution.reading import ask_apart, look_through, server_identity
from neuron_schema.execution.step_context import StepContext, step_watch
from neuron_schema.execution.steps import HistoryMoved, run_step, write_aside
from neuron_schema.locking import Deadline, SessionSettings
from neuron_schema.model import Direction, Plan, Purpose, Report, Step
from neuron_schema.notices import Notices

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from neuron_schema.discovery.version_set import VersionSet
    from neuron_schema.events import Listener
    from neuron_schema.execution.watching import StepWatch
    from neuron_schema.history import HistoryTable, Look
    from neuron_schema.preflight.preflight_sql import Run as PreflightRun

T = TypeVar("T")

_PREFLIGHT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a runner works with.

    Attributes:
        direct: An engine past a pooler, or None.
        table: The history table as the settings name it.
        session: What steps are set to, but for the search path.
        search_path: Set in every step; None for what the session has at connect.
        schemas: The managed ones; () for the one in which an unqualified name is made.
        wait_lock_s: Seconds to wait for another run's end.
        deadline_s: Seconds to wait for other locks and for the server.
        log: Whether the log is written.
    """

    engine: Engine
    direct: Engine | None
    versions: VersionSet
    table: HistoryTable
    session: SessionSettings
    search_path: str | None
    schemas: tuple[str, ...]
    wait_lock_s: float
    deadline_s: float
    allow_out_of_order: bool
    allow_non_empty: bool
    log: bool
    listeners: tuple[Listener, ...]

    def look(self) -> Look:
        """Look at the database, without writing; where no connection is free, one is waited for.

        Raises:
            ConnectionFailed: the server does not answer, or stays full.
        """
        deadline = Deadline(self.deadline_s)
        while True:
            try:
                return look_through(self.engine, self.table)
            except ConnectionsExhausted:
                delay = deadline.delay()
                if delay is None:
                    raise
                time.sleep(delay)

    def session_settings(self, look: Look) -> SessionSettings:
        """Return what the session of every step is set to."""
        path = look.facts.search_path if self.search_path is None else self.search_path
        return replace(self.session, search_path=path)

    def patiently(self, ask: Callable[[], T]) -> T:
        """Ask the server, and wait for it where it does not answer."""
        deadline = Deadline(self.deadline_s)
        while True:
            try:
                return ask()
            except ConnectionFailed:
                delay = deadline.delay()
                if delay is None:
                    raise
                time.sleep(delay)


class Execution:
    """Runs plans.

    Args:
        means: What with.
    """

    def __init__(self, means: Means) -> None:
        self._means = means

    def run(self, plan: Plan, look: Look) -> Report:
        """Run a plan, one step after the other.

        When another run changes the history meanwhile, what is left of the plan goes on; nothing
        is run that is not in it.

        Args:
            plan: What ``plan`` returned.
            look: The look it is based on.

        Raises:
            NeuronSchemaError: what ``up`` and ``down`` raise while they run.
        """
        run = Course(plan, self._means.listeners)
        author = log.author(look.facts.application) if self._means.log else None
        unchecked = True
        try:
            with step_watch(
                self._means.session.lock_timeout, run if self._means.listeners else None
            ) as watch:
                while True:
                    run.announce()
                    history = Expectation(look)
                    try:
                        self._check_log(run.plan)
                        self._check_direct(run.plan, look)
                        if unchecked and run.plan.steps:
                            self._preflight(run, look)
                            unchecked = False
                        for step in run.plan.steps:
                            self._step(run, step, history, watch, author)
                            history.add(step)
                    except HistoryMoved as moved:
                        look = self._go_on(run, moved, history)
                    else:
                        return run.report()
        except NeuronSchemaError as error:
            self._log_failure(run, error, look, author)
            raise run.failed(error) from error.__cause__

    def _step(
        self,
        run: Course,
        step: Step,
        history: Expectation,
        watch: StepWatch,
        author: log.Author | None,
    ) -> None:
        run.started(step)
        look = history.look
        there = bool(history.done)
        notices = Notices()
        context = StepContext(
            engine=self._means.engine,
            direct=self._means.direct or self._means.engine,
            look=replace(look, exists=look.exists or there, log_exists=look.log_exists or there),
            premise=history.premise(),
            watch=watch,
            settings=self._means.session_settings(look).of(step),
            author=author,
            wait_lock_s=self._means.wait_lock_s,
            deadline_s=self._means.deadline_s,
            waiting=run.waiting,
            notices=notices,
            progress=run.progress,
            note=run.note,
            warn=run.warn,
        )
        try:
            filled = run_step(step, context)
        finally:
            notices.tell(run.noticed)
        if filled is None:
            run.ended(step.outcome)
        else:
            run.ended(step.outcome, rows=filled.rows, note=filled.note)
        watch.raise_failure()

    def _log_failure(
        self, run: Course, error: NeuronSchemaError, look: Look, author: log.Author | None
    ) -> None:
        """Write a step's failure into the log, if that can be had."""
        failed = run.current
        # Who has not been able to connect until the deadline will not be able to now.
        if failed is None or author is None or isinstance(error, ConnectionFailed):
            return
        step, duration_ms = failed
        sql = log.failure_sql(
            look.table.qualified_log,
            step,
            author,
            duration_ms=duration_ms,
            message=error.message,
            sqlstate=error.sqlstate,
        )
        settings = replace(
            self._means.session_settings(look), lock_timeout=1.0, statement_timeout=5.0
        )
        # A log is proof that an `up` was let in, and to name one that is there wants CREATE too.
        if step.purpose is not Purpose.RUN and not (look.exists or look.log_exists):
            return
        create = () if look.log_exists else (log.create_sql(look.table.qualified_log),)
        write_aside(self._means.engine, look, settings, (*create, sql))

    def _go_on(self, run: Course, moved: HistoryMoved, history: Expectation) -> Look:
        """Look again, and let the run go on from what is there now.

        Raises:
            HistoryConflict: what is left may no longer run.
            NeuronSchemaError: the history did not move, and the step failed.
        """
        look = self._means.patiently(self._means.look)
        run.settle(look, confirmed=moved.unsure)
        if compared(look) == compared(history.expected()):
            raise moved.otherwise or _unexplained(look)
        run.replan(look)
        purpose = run.plan.purpose
        if run.plan.direction is Direction.UP and run.plan.steps and purpose is not Purpose.REPAIR:
            conflict = standing.conflicts(
                self._means.versions.infos(),
                look.applied,
                allow_out_of_order=self._means.allow_out_of_order or purpose is Purpose.BASELINE,
                up_to=max(int(step.version) for step in run.plan.steps),
            )
            if conflict:
                raise conflict
        if run.plan.purpose is Purpose.REPAIR and run.plan.steps:
            (step,) = run.plan.steps
            row = next((one for one in look.applied if one.version == step.version), None)
            if row is None or row.checksum != step.expected:
                raise HistoryConflict(
                    f"{step.label} was changed in the history by another run meanwhile",
                    remedy="look at `neuron-schema status` and run again",
                )
        return look

    def _preflight(self, run: Course, look: Look) -> None:
        """Ask what is in the run's way, before its first write.

        Raises:
            NeuronSchemaError: what is in its way, all of it.
        """
        # It reads every statement, for which whoever has nothing to do need not pay.
        from neuron_schema.preflight.baseline import check_objects
        from neuron_schema.preflight.forgotten import check_log
        from neuron_schema.preflight.preflight import look_ahead

        facts, todo = look.facts, self.preflight_run(run.plan, look)
        found = self._means.patiently(
            lambda: look_ahead(
                self._ask_catalog,
                todo,
                facts,
                allow_non_empty=self._means.allow_non_empty or run.plan.purpose is not Purpose.RUN,
                read_only=bool(
                    self._means.engine.get_execution_options().get("postgresql_readonly")
                ),
            )
        )
        for sentence in found.warnings:
            run.warn(sentence)
        found.check()
        if run.plan.purpose is Purpose.RUN and look.log_exists and not look.exists:
            check_log(self._ask_catalog, look.table)
        if run.plan.purpose is Purpose.BASELINE:
            for sentence in check_objects(self._ask_catalog, run.plan, todo.path(facts)):
                run.warn(sentence)

    def _ask_catalog(self, sql: str) -> list[Any]:
        return ask_apart(self._means.engine, sql, timeout_s=_PREFLIGHT_S)

    def preflight_run(self, plan: Plan, look: Look) -> PreflightRun:
        """Return what a plan's preflight goes by."""
        from neuron_schema.preflight.preflight_sql import Run
        from neuron_schema.sqltext.objects import needs

        return Run(
            up=plan.direction is Direction.UP,
            table=look.table,
            given_schema=self._means.table.schema is not None,
            role=self._means.session.role,
            search_path=self._means.session_settings(look).search_path,
            schemas=self._means.schemas,
            needs=needs(statement for step in plan.steps for statement in step.runs),
            write=_privilege(plan),
            log=self._log_privileges(plan),
        )

    def _log_privileges(self, plan: Plan) -> tuple[str, ...]:
        """Return the rights on the log that a plan wants."""
        if not self._means.log:
            return ()
        # A backfill reads there how far it came.
        fills = any(step.backfill is not None for step in plan.steps)
        return ("SELECT", "INSERT") if fills else ("INSERT",)

    def _check_log(self, plan: Plan) -> None:
        """Refuse, before anything runs, what cannot do without the log."""
        fills = [step.label for step in plan.steps if step.backfill is not None]
        if fills and not self._means.log:
            raise LogNeeded(
                f"{', '.join(fills)}: a backfill remembers in the log how far it came, and the run "
                "was to go on without one",
                remedy="run without --no-log (log=False), as a role that may create a table in the "
                "history table's schema",
            )

    def _check_direct(self, plan: Plan, look: Look) -> None:
        """Refuse, before anything runs, operations that a pooler would break."""
        alone = [step for step in plan.steps if not step.transactional]
        if not alone:
            return
        facts = look.facts
        if self._means.direct is not None:
            if server_identity(self._means.direct) != server_identity(self._means.engine):
                raise SettingsError(
                    "the direct address names another database than the one to be migrated",
                    remedy="let --direct-url (direct_engine=) differ in host and port alone",
                )
            facts = look_through(self._means.direct, self._means.table).facts
        if facts.through_pooler:
            raise DirectAddressNeeded(
                f"{', '.join(step.label for step in alone)}: an operation that commits on its own "
                "cannot run through a pooler in transaction mode",
                remedy="give the server's own address with --direct-url (direct_engine=)",
            )


def _privilege(plan: Plan) -> str:
    """Return the privilege on the history table that a plan's entries want."""
    if plan.purpose is Purpose.REPAIR:
        return "UPDATE"
    return "INSERT" if plan.direction is Direction.UP else "DELETE"


def _unexplained(look: Look) -> HistoryConflict:
    return HistoryConflict(
        f"the history table {look.table.qualified} reads differently inside a step than outside",
        remedy="check that --direct-url names the same database, and that no row security or "
        "other session hides rows of the table",
    )
