"""The runner: what a service calls, and the command line too.

What may run is decided in ``planning``; ``execution`` runs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from neuron_schema import planning, standing

# Its listeners must be there before a service's threads connect.
from neuron_schema.discovery import loading as _loading  # noqa: F401
from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.errors import SettingsError, UsageError
from neuron_schema.execution import records
from neuron_schema.execution.engines import check_engine
from neuron_schema.execution.execution import Execution, Means
from neuron_schema.execution.reading import read_through
from neuron_schema.history import HistoryTable, Look
from neuron_schema.locking import SessionSettings
from neuron_schema.model import (
    Direction,
    LogEntry,
    Migration,
    MigrationStatus,
    Plan,
    Report,
    Status,
)
from neuron_schema.script import step_sql
from neuron_schema.settings_values import accepted

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sqlalchemy import Engine

    from neuron_schema.events import Listener
    from neuron_schema.history import Fetch

T = TypeVar("T")


class MigrationRunner:
    """Apply versions to an engine's database, and roll them back.

    It may be used from several threads and processes at once: every version runs once. It reads the
    versions' checksums once; make another runner when files have changed.

    A time is given in seconds, or as in the settings: "500ms", "5s", "10min", "1h".

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
        SettingsError: an argument is none that the setting of its name could be.
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
        lock_timeout: float | str = 1.0,
        statement_timeout: float | str = 0.0,
        idle_in_transaction_session_timeout: float | str = 600.0,
        transaction_timeout: float | str = 0.0,
        operation_timeout: float | str = 0.0,
        wait_lock: float | str = 600.0,
        deadline: float | str = 900.0,
        allow_out_of_order: bool = False,
        log: bool = True,
        allow_non_empty: bool = False,
        schemas: Sequence[str] | None = None,
        direct_engine: Engine | None = None,
        listeners: Sequence[Listener] = (),
        cache_directory: Path | None = None,
    ) -> None:
        given = _checked(
            history_table=history_table,
            history_schema=history_schema,
            search_path=search_path,
            wait_lock=wait_lock,
            deadline=deadline,
            allow_out_of_order=allow_out_of_order,
            log=log,
            allow_non_empty=allow_non_empty,
            schemas=schemas,
        )
        session = _checked(
            role=role,
            lock_timeout=lock_timeout,
            statement_timeout=statement_timeout,
            idle_in_transaction_session_timeout=idle_in_transaction_session_timeout,
            transaction_timeout=transaction_timeout,
            operation_timeout=operation_timeout,
        )
        self._versions = VersionSet(versions, cache_directory=cache_directory)
        self._means = Means(
            engine=check_engine(engine),
            direct=check_engine(direct_engine) if direct_engine is not None else None,
            versions=self._versions,
            table=HistoryTable(name=given["history_table"], schema=given["history_schema"]),
            session=SessionSettings(search_path="", **session),
            search_path=given["search_path"],
            schemas=given["schemas"] or (),
            wait_lock_s=given["wait_lock"],
            deadline_s=given["deadline"],
            allow_out_of_order=given["allow_out_of_order"],
            allow_non_empty=given["allow_non_empty"],
            log=given["log"],
            listeners=_callables(listeners),
        )

    def get_status(self) -> list[MigrationStatus]:
        """Return how every version stands, ordered by number. Writes nothing.

        Raises:
            VersionError: a version module is invalid.
            HistoryConflict: what has the history table's name is none, or it is in another schema.
            ServerUnavailable: the server cannot be reached or is too old, or the role may not
                read the history table.
            LockNotObtained: another session locks the history table for longer than this
                session's ``lock_timeout``.
            StatementFailed: the history table cannot be read for another reason.
            SettingsError: the session has no current schema, and ``history_schema`` is None.
        """
        return list(standing.statuses(self._versions.infos(), self._means.look().applied))

    def get_pending(self) -> list[Migration]:
        """Return the versions that are not applied, with their SQL. Writes nothing.

        Raises:
            NeuronSchemaError: what ``get_status`` raises.
        """
        return self._with_status(Status.PENDING)

    def get_applied(self) -> list[Migration]:
        """Return the applied versions that have a file, with their SQL. Writes nothing.

        Raises:
            NeuronSchemaError: what ``get_status`` raises.
        """
        return self._with_status(Status.APPLIED, Status.MODIFIED)

    def get_history(self) -> list[LogEntry]:
        """Return what was run, oldest first. Writes nothing.

        Raises:
            NeuronSchemaError: what ``get_status`` raises, for the log too; but no VersionError.
        """
        look = self._means.look()
        logged = self._read_log(look, lambda fetch: records.entries(fetch, look.table))
        return records.with_unlogged(logged, look.applied)

    def up(self, to: str | None = None, *, count: int | None = None) -> Report:
        """Apply pending versions, each in a transaction of its own.

        Args:
            to: Up to and including this version; None for all.
            count: At most so many.

        Raises:
            TargetError: no such version, or ``to`` and ``count`` together; ``count`` below 1.
            HistoryConflict: an applied version was modified or is missing, or a pending one is
                out of order. Nothing was run.
            StatementFailed: PostgreSQL refused a statement. That version is still pending, the
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
            TargetError: ``to`` is not applied, or ``to`` and ``count`` together; ``count`` below 1.
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
        look = self._means.look()
        selection = planning.select_baseline(self._versions.infos(), look.applied, version)
        return self.run(self._made(selection, look), look)

    def repair(self, version: str, *, expected: str) -> Report:
        """Accept a version's present text as the one that was applied.

        Args:
            version: An applied version whose file was modified or renamed, not both.
            expected: The recorded checksum, or its first 12 digits or more.

        Raises:
            TargetError: no such version, or it is not applied.
            HistoryConflict: another checksum is recorded, or another version.
            NeuronSchemaError: what ``up`` raises while it runs.
        """
        look = self._means.look()
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

        Args:
            direction: "up" or "down".
            to: As for either.
            count: As for either.
            from_history: As for ``down``.

        Raises:
            UsageError: no such direction, or ``from_history`` with "up".
            NeuronSchemaError: what ``up`` or ``down`` raises before it runs anything.
        """
        wanted = _direction(direction)
        if wanted is Direction.UP and from_history:
            raise UsageError("from_history goes with down alone", remedy="leave it out")
        look = self._means.look()
        if wanted is Direction.UP:
            selection = planning.select_up(
                self._versions.infos(),
                look.applied,
                to=to,
                count=count,
                allow_out_of_order=self._means.allow_out_of_order,
            )
        else:
            recorded = self._recorded(look) if from_history else None
            selection = planning.select_down(
                self._versions.infos(), look.applied, to=to, count=count, recorded=recorded
            )
        return self._made(selection, look), look

    def dry_run(
        self,
        direction: Direction | str = Direction.UP,
        *,
        to: str | None = None,
        count: int | None = None,
        from_history: bool = False,
    ) -> list[str]:
        """Return the SQL that ``up`` or ``down`` would run now, in order. Writes nothing.

        Args:
            direction: "up" or "down".
            to: As for either.
            count: As for either.
            from_history: As for ``down``.

        Raises:
            NeuronSchemaError: what ``plan`` raises.
        """
        plan, look = self.plan(direction, to=to, count=count, from_history=from_history)
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
        return Execution(self._means).run(plan, look)

    def _made(self, selection: planning.Selection, look: Look) -> Plan:
        migrations = self._versions.migrations(selection.files)
        return planning.make_plan(selection, migrations, look.applied)

    def _recorded(self, look: Look) -> tuple[Migration, ...]:
        """Return, as the log recorded them, the applied versions whose files are not the same."""
        wanted = standing.without_their_files(self._versions.infos(), look.applied)
        return tuple(
            self._read_log(look, lambda fetch: records.recorded(fetch, look.table, wanted))
        )

    def _read_log(self, look: Look, ask: Callable[[Fetch], Sequence[T]]) -> Sequence[T]:
        if not look.log_exists:
            return ()
        name = look.table.qualified_log
        return read_through(self._means.engine, lambda fetch, _pid: ask(fetch), name)

    def _with_status(self, *wanted: Status) -> list[Migration]:
        infos = self._versions.infos()
        numbers = {
            int(line.version)
            for line in standing.statuses(infos, self._means.look().applied)
            if line.status in wanted
        }
        return list(self._versions.migrations([one for one in infos if one.number in numbers]))


def _direction(direction: Direction | str) -> Direction:
    try:
        return Direction(direction)
    except ValueError:
        words = " or ".join(repr(one.value) for one in Direction)
        raise UsageError(f"{direction!r} is no direction", remedy=f"give {words}") from None


_MAY_BE_NONE = ("history_schema", "search_path", "role", "schemas")


def _checked(**arguments: Any) -> dict[str, Any]:
    """Return arguments as the settings hold them.

    Raises:
        SettingsError: one is of the wrong kind.
    """
    return {
        name: value if _absent(name, value) else accepted(name, value)
        for name, value in arguments.items()
    }


def _absent(name: str, value: Any) -> bool:
    """Whether an argument stands for the default; no schemas are the same as none given."""
    return name in _MAY_BE_NONE and value in (None, (), [])


def _callables(listeners: Any) -> tuple[Listener, ...]:
    """Return what is called with every event.

    Raises:
        SettingsError: it is no list of functions.
    """
    if not isinstance(listeners, Iterable) or not all(map(callable, found := tuple(listeners))):
        raise SettingsError(
            "listeners: must be a list of functions", remedy="write listeners=[function]"
        )
    return found
