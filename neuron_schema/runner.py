"""The runner: a ``Plan`` becomes ``engine.begin()`` blocks, and listeners are told.

What may run is decided in ``planning``; how one step runs stands in ``steps``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from neuron_schema import log, planning, records
from neuron_schema.connections import (
    ask_apart,
    check_engine,
    look_through,
    read_through,
    server_identity,
)
from neuron_schema.discovery import VersionSet
from neuron_schema.errors import (
    ConnectionFailed,
    DirectAddressNeeded,
    HistoryConflict,
    LogNeeded,
    NeuronSchemaError,
    SettingsError,
)
from neuron_schema.history import HistoryTable, Look, premise_body, succession_body
from neuron_schema.locking import Deadline, SessionSettings
from neuron_schema.model import (
    AppliedRow,
    Direction,
    Event,
    LogEntry,
    Migration,
    MigrationStatus,
    Noticed,
    Outcome,
    Plan,
    PlanMade,
    Purpose,
    Report,
    Status,
    Step,
    StepEnded,
    StepNoted,
    StepProgress,
    StepReport,
    StepStarted,
    StepWaiting,
    Warned,
)
from neuron_schema.notices import Notices
from neuron_schema.script import step_sql
from neuron_schema.sessions import in_words
from neuron_schema.steps import (
    HistoryMoved,
    StepContext,
    run_step,
    step_watch,
    write_aside,
)

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from sqlalchemy import Engine

    from neuron_schema.history import Fetch
    from neuron_schema.preflight_sql import Run as PreflightRun
    from neuron_schema.sessions import Session
    from neuron_schema.stat_progress import Measure
    from neuron_schema.watching import StepWatch


Listener: TypeAlias = Callable[[Event], None]
T = TypeVar("T")

_PREFLIGHT_S = 30.0


class MigrationRunner:
    """Apply versions to an engine's database, and roll them back.

    It may be used from several threads and processes at once: every version runs once. It reads the
    versions' checksums once; make another runner when files have changed.

    Args:
        engine: A synchronous engine on psycopg 3, with any pool and isolation level.
        versions: A directory, or the name of an importable package.
        history_table: Name of the history table.
        history_schema: Its schema; None for the session's current schema.
        search_path: Set in every step; None for what the session has at connect.
        role: ``SET LOCAL ROLE`` in every step.
        lock_timeout: Seconds a statement waits for a lock in one attempt, of which there are 20;
            less in the first two.
        statement_timeout: Seconds a statement may take; 0 for no limit.
        idle_in_transaction_session_timeout: Seconds after which the server ends a step whose
            runner is silent; 0 for no limit.
        transaction_timeout: Seconds a step may take (PostgreSQL 17); 0 for no limit.
        operation_timeout: Seconds an operation that commits on its own (CREATE INDEX CONCURRENTLY)
            may take, its waiting for other sessions included; 0 for no limit. Then it is ended,
            and what it left behind is dropped.
        wait_lock: Seconds after which waiting for another run's end is given up.
        deadline: Seconds after which waiting for other locks and for the server is given up.
        allow_out_of_order: Let pending versions older than the newest applied one run.
        log: Write what is run into the log beside the history table.
        allow_non_empty: Let the first version run where tables are that no version made.
        schemas: The schemas whose tables are versions' work; None for the one in which an
            unqualified name is made.
        direct_engine: An engine past a pooler, for operations that commit on their own.
        listeners: Called with every event of a run, one at a time and in order, none of a step's
            after its ``StepEnded``. A step at work is told of (``StepProgress``, and
            ``StepWaiting`` for whom it waits) from a second thread; all else from the thread that
            runs. What a listener raises ends the run: at once, or from the second thread when the
            step at work has ended; until then nothing more is told of it.
        cache_directory: Where checksums of unchanged files are remembered; None for nowhere.

    Raises:
        DriverUnsupported: the engine is not a synchronous one on psycopg 3.
        VersionError: there is no such directory or package, or a file in it is misnamed.
    """

    def __init__(
        self,
        engine: Engine,
        versions: str | os.PathLike[str] = "versions",
        *,
        history_table: str = "neuron_migrations",
        history_schema: str | None = None,
        search_path: str | None = None,
        role: str | None = None,
        lock_timeout: float = 1.0,
        statement_timeout: float = 0.0,
        idle_in_transaction_session_timeout: float = 600.0,
        transaction_timeout: float = 0.0,
        operation_timeout: float = 0.0,
        wait_lock: float = 600.0,
        deadline: float = 900.0,
        allow_out_of_order: bool = False,
        log: bool = True,
        allow_non_empty: bool = False,
        schemas: Sequence[str] | None = None,
        direct_engine: Engine | None = None,
        listeners: Sequence[Listener] = (),
        cache_directory: Path | None = None,
    ) -> None:
        self._engine = check_engine(engine)
        self._direct = check_engine(direct_engine) if direct_engine is not None else None
        self._versions = VersionSet(versions, cache_directory=cache_directory)
        self._table = HistoryTable(name=history_table, schema=history_schema)
        self._search_path = search_path
        self._session = SessionSettings(
            search_path="",
            role=role,
            lock_timeout=lock_timeout,
            statement_timeout=statement_timeout,
            idle_in_transaction_session_timeout=idle_in_transaction_session_timeout,
            transaction_timeout=transaction_timeout,
            operation_timeout=operation_timeout,
        )
        self._wait_lock = wait_lock
        self._deadline = deadline
        self._allow_out_of_order = allow_out_of_order
        self._log = log
        self._allow_non_empty = allow_non_empty
        self._schemas = tuple(schemas or ())
        self._listeners = tuple(listeners)

    def get_status(self) -> list[MigrationStatus]:
        """Return how every version stands, ordered by number. Writes nothing.

        Raises:
            VersionError: a version module is invalid.
            ConnectionFailed: the server does not answer.
        """
        return list(planning.statuses(self._versions.infos(), self._look().applied))

    def get_pending(self) -> list[Migration]:
        """Return the versions that are not applied, with their SQL. Writes nothing."""
        return self._with_status(Status.PENDING)

    def get_applied(self) -> list[Migration]:
        """Return the applied versions that have a file, with their SQL. Writes nothing."""
        return self._with_status(Status.APPLIED, Status.MODIFIED)

    def get_history(self) -> list[LogEntry]:
        """Return what was run, oldest first. Writes nothing.

        Raises:
            ConnectionFailed: the server does not answer.
        """
        look = self._look()
        logged = self._read_log(look, lambda fetch: records.entries(fetch, look.table))
        return records.with_unlogged(logged, look.applied)

    def up(self, to: str | None = None, *, count: int | None = None) -> Report:
        """Apply pending versions, each in a transaction of its own.

        Args:
            to: Up to and including this version; None for all.
            count: At most so many.

        Raises:
            TargetError: no such version, or ``to`` and ``count`` together.
            HistoryConflict: an applied version was modified or is missing, or a pending one is
                out of order. Nothing was run.
            StatementFailed: PostgreSQL refused a statement. That version was rolled back, the
                ones before it stay applied; the error's ``report`` tells.
            LockNotObtained: a lock was not granted until the deadline.
            OperationTimeout: an operation that commits on its own was not done within
                ``operation_timeout``.
            ServerUnavailable: the server cannot be reached or used.
            NonEmptyDatabase: there are tables, but no history table. Nothing was run.
        """
        return self.run(*self.plan(Direction.UP, to=to, count=count))

    def down(
        self, to: str | None = None, *, count: int | None = None, from_history: bool = False
    ) -> Report:
        """Roll applied versions back, newest first.

        Args:
            to: Keep this version and what is older; "0" keeps nothing.
            count: So many; without ``to`` and ``count`` one.
            from_history: Where a file is gone or was modified, run the ``down`` that was recorded
                in the log when the version was applied.

        Raises:
            TargetError: ``to`` is not applied.
            IrreversibleVersion: one of them cannot be rolled back. Nothing was run.
            HistoryConflict: one of them has no file, or a modified one. Nothing was run.
            StatementFailed, LockNotObtained, ServerUnavailable: as for ``up``.
        """
        return self.run(*self.plan(Direction.DOWN, to=to, count=count, from_history=from_history))

    def reset(self, *, from_history: bool = False) -> Report:
        """Roll all applied versions back; the history table stays, empty.

        Args:
            from_history: As for ``down``.

        Raises:
            NeuronSchemaError: what ``down`` raises.
        """
        return self.down(to="0", from_history=from_history)

    def baseline(self, version: str) -> Report:
        """Mark the pending versions up to one as applied, without running them.

        For a database whose objects were made by other means.

        Raises:
            TargetError: no such version.
            HistoryConflict: an applied version was modified or is missing.
            ObjectsMissing: what they make is not there.
            NeuronSchemaError: what ``up`` raises while it runs.
        """
        look = self._look()
        selection = planning.select_baseline(self._versions.infos(), look.applied, version)
        return self.run(self._made(selection, look), look)

    def repair(self, version: str, *, expected: str) -> Report:
        """Accept a version's present text as the one that was applied.

        Args:
            version: An applied version whose file was modified or renamed.
            expected: The recorded checksum, or its first 12 digits or more.

        Raises:
            TargetError: no such version, or it is not applied.
            HistoryConflict: another checksum is recorded.
            NeuronSchemaError: what ``up`` raises while it runs.
        """
        look = self._look()
        infos = self._versions.infos()
        selection = planning.select_repair(infos, look.applied, version, expected)
        return self.run(self._made(selection, look), look)

    def plan(
        self,
        direction: Direction | str = Direction.UP,
        *,
        to: str | None = None,
        count: int | None = None,
        from_history: bool = False,
    ) -> tuple[Plan, Look]:
        """Return what ``up`` or ``down`` would do now, and the look it is based on.

        Writes nothing.

        Raises:
            NeuronSchemaError: what ``up`` or ``down`` raises before it runs anything.
        """
        look = self._look()
        if Direction(direction) is Direction.UP:
            selection = planning.select_up(
                self._versions.infos(),
                look.applied,
                to=to,
                count=count,
                allow_out_of_order=self._allow_out_of_order,
            )
        else:
            recorded = self._recorded(look) if from_history else None
            selection = planning.select_down(
                self._versions.infos(), look.applied, to=to, count=count, recorded=recorded
            )
        return self._made(selection, look), look

    def dry_run(self, direction: Direction | str = Direction.UP) -> list[str]:
        """Return the SQL that ``up()`` or ``down()`` would run now, in order. Writes nothing.

        Raises:
            NeuronSchemaError: what ``up`` or ``down`` raises before it runs anything.
        """
        plan, look = self.plan(direction)
        return [
            sql
            for index, step in enumerate(plan.steps)
            for sql in step_sql(step, look.table, create=not look.exists and index == 0)
        ]

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
        run = _Run(plan, self._listeners)
        author = log.author(look.facts.application) if self._log else None
        unchecked = True
        try:
            with step_watch(self._session.lock_timeout, run if self._listeners else None) as watch:
                while True:
                    run.announce()
                    history = _History(look)
                    try:
                        self._check_log(run.plan)
                        self._check_direct(run.plan, look)
                        if unchecked and run.plan.steps:
                            self._preflight(run, look)
                            unchecked = False
                        for step in run.plan.steps:
                            self._step(run, step, history, watch, author)
                            history.done.append(step)
                    except HistoryMoved as moved:
                        look = self._go_on(run, moved, history)
                    else:
                        return run.report()
        except NeuronSchemaError as error:
            self._log_failure(run, error, look, author)
            raise run.failed(error) from error.__cause__

    def session_settings(self, look: Look) -> SessionSettings:
        """Return what the session of every step is set to."""
        path = look.facts.search_path if self._search_path is None else self._search_path
        return replace(self._session, search_path=path)

    def _made(self, selection: planning.Selection, look: Look) -> Plan:
        migrations = self._versions.migrations(selection.files)
        return planning.make_plan(selection, migrations, look.applied)

    def _recorded(self, look: Look) -> tuple[Migration, ...]:
        """Return, as the log recorded them, the applied versions whose files are not the same."""
        wanted = planning.without_their_files(self._versions.infos(), look.applied)
        return tuple(
            self._read_log(look, lambda fetch: records.recorded(fetch, look.table, wanted))
        )

    def _read_log(self, look: Look, ask: Callable[[Fetch], Sequence[T]]) -> Sequence[T]:
        if not look.log_exists:
            return ()
        name = look.table.qualified_log
        return read_through(self._engine, lambda fetch, _pid: ask(fetch), name)

    def _with_status(self, *wanted: Status) -> list[Migration]:
        infos = self._versions.infos()
        numbers = {
            int(line.version)
            for line in planning.statuses(infos, self._look().applied)
            if line.status in wanted
        }
        return list(self._versions.migrations([one for one in infos if one.number in numbers]))

    def _look(self) -> Look:
        return look_through(self._engine, self._table)

    def _step(
        self,
        run: _Run,
        step: Step,
        history: _History,
        watch: StepWatch,
        author: log.Author | None,
    ) -> None:
        run.started(step)
        look = history.look
        there = bool(history.done)
        notices = Notices()
        context = StepContext(
            engine=self._engine,
            direct=self._direct or self._engine,
            look=replace(look, exists=look.exists or there, log_exists=look.log_exists or there),
            premise=history.premise(),
            watch=watch,
            settings=self.session_settings(look).of(step),
            author=author,
            wait_lock_s=self._wait_lock,
            deadline_s=self._deadline,
            waiting=run.waiting,
            notices=notices,
            progress=run.progress,
            note=run.note,
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
        self, run: _Run, error: NeuronSchemaError, look: Look, author: log.Author | None
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
        settings = replace(self.session_settings(look), lock_timeout=1.0, statement_timeout=5.0)
        write_aside(self._engine, look, settings, (log.create_sql(look.table.qualified_log), sql))

    def _go_on(self, run: _Run, moved: HistoryMoved, history: _History) -> Look:
        """Look again, and let the run go on from what is there now.

        Raises:
            HistoryConflict: what is left may no longer run.
            NeuronSchemaError: the history did not move, and the step failed.
        """
        look = self._look_again()
        run.settle(look, confirmed=moved.unsure)
        if _rows(look) == _rows(history.expected()):
            raise moved.otherwise or _unexplained(look)
        run.replan(look)
        if run.plan.direction is Direction.UP and run.plan.steps:
            conflict = planning.conflicts(
                self._versions.infos(),
                look.applied,
                allow_out_of_order=self._allow_out_of_order,
                up_to=max(int(step.version) for step in run.plan.steps),
            )
            if conflict:
                raise conflict
        return look

    def _preflight(self, run: _Run, look: Look) -> None:
        """Ask what is in the run's way, before its first write.

        Raises:
            NeuronSchemaError: what is in its way, all of it.
        """
        # It reads every statement, for which whoever has nothing to do need not pay.
        from neuron_schema.baseline import check_objects
        from neuron_schema.preflight import look_ahead

        facts, todo = look.facts, self._preflight_run(run.plan, look)
        found = self._patiently(
            lambda: look_ahead(
                self._ask_catalog,
                todo,
                facts,
                allow_non_empty=self._allow_non_empty or run.plan.purpose is not Purpose.RUN,
                read_only=bool(self._engine.get_execution_options().get("postgresql_readonly")),
            )
        )
        for sentence in found.warnings:
            run.warn(sentence)
        found.check()
        if run.plan.purpose is Purpose.BASELINE:
            for sentence in check_objects(self._ask_catalog, run.plan, todo.path(facts)):
                run.warn(sentence)

    def _ask_catalog(self, sql: str) -> list[Any]:
        return ask_apart(self._engine, sql, timeout_s=_PREFLIGHT_S)

    def _preflight_run(self, plan: Plan, look: Look) -> PreflightRun:
        from neuron_schema.objects import needs
        from neuron_schema.preflight_sql import Run

        return Run(
            up=plan.direction is Direction.UP,
            table=look.table,
            given_schema=self._table.schema is not None,
            role=self._session.role,
            search_path=self.session_settings(look).search_path,
            schemas=self._schemas,
            needs=needs(statement for step in plan.steps for statement in step.runs),
            log=self._log,
        )

    def _look_again(self) -> Look:
        """Look, and wait for the server where it has just gone."""
        return self._patiently(self._look)

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask the server, and wait for it where it does not answer."""
        deadline = Deadline(self._deadline)
        while True:
            try:
                return ask()
            except ConnectionFailed:
                delay = deadline.delay()
                if delay is None:
                    raise
                time.sleep(delay)

    def _check_log(self, plan: Plan) -> None:
        """Refuse, before anything runs, what cannot do without the log."""
        fills = [step.label for step in plan.steps if step.backfill is not None]
        if fills and not self._log:
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
        if self._direct is not None:
            if server_identity(self._direct) != server_identity(self._engine):
                raise SettingsError(
                    "the direct address names another database than the one to be migrated",
                    remedy="let --direct-url (direct_engine=) differ in host and port alone",
                )
            facts = look_through(self._direct, self._table).facts
        if facts.through_pooler:
            raise DirectAddressNeeded(
                f"{', '.join(step.label for step in alone)}: an operation that commits on its own "
                "cannot run through a pooler in transaction mode",
                remedy="give the server's own address with --direct-url (direct_engine=)",
            )


class _Run:
    """What has been done of a run so far."""

    def __init__(self, plan: Plan, listeners: Sequence[Listener]) -> None:
        self.plan = plan
        # What another run did instead still counts as a step of this one.
        self._total = len(plan.steps)
        self._listeners = listeners
        self._done: list[StepReport] = []
        self._current: Step | None = None
        self._began = 0.0
        self._warnings: tuple[str, ...] = ()

    def warn(self, sentence: str) -> None:
        self._warnings += (sentence,)
        self._tell(Warned(sentence=sentence))

    def announce(self) -> None:
        self._tell(PlanMade(plan=self.plan))

    def started(self, step: Step) -> None:
        self._current, self._began = step, time.monotonic()
        self._tell(StepStarted(step=step, index=len(self._done), total=self._total))

    def waiting(self, reason: str, delay_s: float) -> None:
        if self._current is not None:
            self._tell(StepWaiting(step=self._current, reason=reason, delay_s=delay_s))

    def blocked(self, sessions: tuple[Session, ...]) -> None:
        """Tell that the step at work waits for others."""
        self.waiting(f"blocked by {in_words(sessions)}", 0.0)

    def progressed(self, measure: Measure) -> None:
        """Tell how far the step at work is."""
        self.progress(measure.phase, measure.done, measure.total, measure.unit)

    def noticed(self, severity: str, text: str) -> None:
        if self._current is not None:
            self._tell(Noticed(step=self._current, severity=severity, text=text))

    def progress(self, phase: str, done: int | None, total: int | None, unit: str) -> None:
        if self._current is not None:
            step = self._current
            self._tell(StepProgress(step=step, phase=phase, done=done, total=total, unit=unit))

    def note(self, text: str, *, warning: bool = False) -> None:
        if self._current is not None:
            self._tell(StepNoted(step=self._current, text=text, warning=warning))

    def ended(
        self,
        outcome: Outcome,
        *,
        confirmed: bool = False,
        rows: int | None = None,
        note: str = "",
    ) -> None:
        if self._current is None:
            return
        report = StepReport(
            step=self._current,
            outcome=outcome,
            duration_ms=(time.monotonic() - self._began) * 1000,
            confirmed=confirmed,
            rows=rows,
            note=note,
        )
        index, total = len(self._done), self._total
        self._done.append(report)
        self._current = None
        self._tell(StepEnded(report=report, index=index, total=total))

    def settle(self, look: Look, *, confirmed: bool) -> None:
        """End the step at hand when the history shows that it is done."""
        if self._current is None or not _is_done(self._current, look.applied):
            return
        own = self._current.outcome
        self.ended(own if confirmed else Outcome.ALREADY, confirmed=confirmed)

    def replan(self, look: Look) -> None:
        """Keep what is still to be done of the versions first chosen.

        Raises:
            HistoryConflict: another run went the other way, below what is left.
        """
        steps = tuple(step for step in self.plan.steps if step.version not in self._ended())
        for step in steps:
            if _is_done(step, look.applied):
                self.started(step)
                self.ended(Outcome.ALREADY)
        steps = tuple(step for step in steps if not _is_done(step, look.applied))
        self._check_undisturbed(steps, look)
        self.plan = replace(self.plan, steps=steps, applied=look.applied)

    def _check_undisturbed(self, steps: Sequence[Step], look: Look) -> None:
        """Refuse to go on where what is left stood on rows that are no longer as they were."""
        if not steps:
            return
        left = {int(step.version) for step in steps}
        now = {row.number: row.version for row in look.applied}
        if self.plan.direction is Direction.UP:
            below = {row.number: row.version for row in self.plan.applied}
            below |= {int(version): version for version in self._ended()}
            moved = [below[number] for number in sorted(below) if number not in now]
            what = "rolled back"
        else:
            moved = [now[number] for number in sorted(now) if number > min(left)]
            moved = [version for version in moved if int(version) not in left]
            what = "applied"
        if moved:
            raise HistoryConflict(
                f"{', '.join(moved)} was {what} by another run meanwhile",
                remedy="look at `neuron-schema status` and run again",
            )

    @property
    def current(self) -> tuple[Step, float] | None:
        """The step at work and the milliseconds since it began, or None between two."""
        if self._current is None:
            return None
        return self._current, (time.monotonic() - self._began) * 1000

    def failed(self, error: NeuronSchemaError) -> NeuronSchemaError:
        """Return the error with the report of the run on it."""
        if error.report is None:
            self.ended(Outcome.FAILED)
            error.report = self.report()
        return error

    def report(self) -> Report:
        done = self._ended()
        rest = tuple(
            StepReport(step=step, outcome=Outcome.NOT_RUN)
            for step in self.plan.steps
            if step.version not in done
        )
        return Report(
            direction=self.plan.direction,
            steps=(*self._done, *rest),
            warnings=(*self.plan.warnings, *self._warnings),
        )

    def _ended(self) -> set[str]:
        return {report.step.version for report in self._done}

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)


def _is_done(step: Step, applied: Sequence[AppliedRow]) -> bool:
    row = next((row for row in applied if row.number == int(step.version)), None)
    if step.purpose is Purpose.REPAIR:
        return row is not None and row.checksum == step.checksum
    return (row is not None) is (step.direction is Direction.UP)


class _History:
    """What the history is to be before a run's next step.

    Args:
        look: The look that the plan is based on.
    """

    def __init__(self, look: Look) -> None:
        self.look = look
        self.done: list[Step] = []

    def premise(self) -> str:
        """Return plpgsql that raises when it is not."""
        if not self.done:
            return premise_body(self.look.table, self.look.applied, exists=self.look.exists)
        last = self.done[-1]
        change = len(self.done) if last.direction is Direction.UP else -len(self.done)
        return succession_body(self.look.table, last, count=len(self.look.applied) + change)

    def expected(self) -> Look:
        """Return the look as it is to be."""
        look = self.look
        for step in self.done:
            look = _after(look, step)
        return look


def _after(look: Look, step: Step) -> Look:
    """Return the look as it is after a step."""
    rows = tuple(row for row in look.applied if row.number != int(step.version))
    if step.direction is Direction.UP:
        rows = (
            *rows,
            AppliedRow(
                version=step.version, name=step.name, applied_at=None, checksum=step.checksum
            ),
        )
    return replace(look, exists=True, applied=rows)


def _rows(look: Look) -> tuple[bool, set[tuple[str, str | None]]]:
    """Return what a step's premise compares."""
    return look.exists, {(row.version, row.checksum) for row in look.applied}


def _unexplained(look: Look) -> HistoryConflict:
    return HistoryConflict(
        f"the history table {look.table.qualified} reads differently inside a step than outside",
        remedy="check that --direct-url names the same database, and that no row security or "
        "other session hides rows of the table",
    )
