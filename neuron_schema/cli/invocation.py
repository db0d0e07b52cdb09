"""One command at work: its settings, its database, its result and its exit status."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from neuron_schema.cli.ending import BROKEN_PIPE, head, ours, printed
from neuron_schema.cli.output import (
    error_object,
    note,
    one_line,
    only_results,
    print_error,
    warn,
)
from neuron_schema.errors import HistoryConflict, NeuronSchemaError, SettingsError
from neuron_schema.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from neuron_schema.address import Address
    from neuron_schema.discovery.version_set import VersionSet
    from neuron_schema.events import Listener
    from neuron_schema.history import Fetch, HistoryTable, Look
    from neuron_schema.leftovers import Leftover
    from neuron_schema.locking import SessionSettings
    from neuron_schema.model import (
        Direction,
        LogEntry,
        Migration,
        Plan,
        Statement,
        Step,
        VersionInfo,
    )
    from neuron_schema.planning import Selection
    from neuron_schema.proof.ground import Workshop
    from neuron_schema.proof.shadow import Shadow
    from neuron_schema.runner import MigrationRunner


T = TypeVar("T")


class Invocation:
    """What a command does between its options and its exit status.

    As a context manager it reports the error that ends the command, and with ``--json`` prints
    the one object that is the result, on failure too.

    Args:
        command: Its name.
        as_json: Print one JSON object and nothing else to stdout.
        options: Those that ``settings.load`` knows, as they were given.
    """

    def __init__(self, command: str, *, as_json: bool = False, **options: Any) -> None:
        self.command = command
        self.as_json = as_json
        self.exit_code = 0
        self._options = options
        self._settings: Settings | None = None
        self._versions: VersionSet | None = None
        self._target: dict[str, Any] | None = None
        self._payload: dict[str, Any] = {}
        self._stand_ins: Mapping[str, str] = {}
        self._open = contextlib.ExitStack()

    @property
    def settings(self) -> Settings:
        """The settings that hold here.

        Raises:
            SettingsError: one of them is wrong.
        """
        if self._settings is None:
            self._settings = load(
                directory=working_directory(), environ=os.environ, **self._options
            )
        return self._settings

    @property
    def versions(self) -> VersionSet:
        """The versions that the settings name.

        Raises:
            VersionError: there are none, or a file is misnamed.
        """
        if self._versions is None:
            from neuron_schema.discovery.version_set import VersionSet

            self._versions = VersionSet(
                self.settings.versions, cache_directory=cache_directory(os.environ)
            )
        return self._versions

    @property
    def table(self) -> HistoryTable:
        """The history table that the settings name."""
        from neuron_schema.history import HistoryTable

        return HistoryTable(name=self.settings.history_table, schema=self.settings.history_schema)

    def put(self, **payload: Any) -> None:
        """Add to the JSON object."""
        self._payload |= payload

    @contextlib.contextmanager
    def database(self, *, notices: bool = False) -> Iterator[Address]:
        """Yield the database's address, with the embedded server running if that is meant.

        Args:
            notices: Say what a user should know of the embedded server.

        Raises:
            AddressError: there is none, or it cannot be read.
            EmbeddedMissing, EmbeddedFailed: the embedded server cannot be had.
        """
        if not self.settings.embedded:
            address = self.settings.address()
            self.announce(address)
            yield address
            return
        from neuron_schema.embedded import DevelopmentServer

        server = DevelopmentServer(self.settings.root)
        with server.in_use() as address:
            self.announce(address)
            if notices:
                for sentence in server.notices:
                    note(f"note: {sentence}")
                self._stand_ins = server.stand_ins
            yield address

    def note_stand_ins(self, statements: Iterable[Statement]) -> None:
        """Say which extensions that are about to be created are stand-ins on this server.

        Args:
            statements: What is about to run.
        """
        if not self._stand_ins:
            return
        from neuron_schema.sqltext.objects import needs

        for name, _ in needs(statements).extensions:
            if name in self._stand_ins:
                note(f"note: {self._stand_ins[name]}")

    def look(self, address: Address, *, patience_s: float | None = None) -> Look:
        """Look at the database, without writing.

        Args:
            patience_s: Seconds to wait for a server that does not answer or is starting up; the
                settings' deadline when None.

        Raises:
            ConnectionFailed: the server does not answer.
            PrivilegeMissing: the role may not read the history table.
        """
        from neuron_schema.cli.connecting import look_at

        patience = self.settings.deadline if patience_s is None else patience_s
        return look_at(address, self.table, patience_s=patience)[0]

    def look_for_tables(self, address: Address) -> Look:
        """Look at the database, and warn of what an ``up`` would refuse: tables, but no history.

        Raises:
            ConnectionFailed, PrivilegeMissing: as for ``look``.
        """
        from neuron_schema.cli.connecting import look_at
        from neuron_schema.preflight.preflight import NON_EMPTY_REMEDY, non_empty
        from neuron_schema.preflight.preflight_sql import managed_sql

        settings = self.settings
        sql = managed_sql(self.table, settings.schemas, settings.search_path)
        look, tables = look_at(address, self.table, patience_s=settings.deadline, beside=sql)
        if tables and not (look.exists or look.log_exists):
            warn(f"{non_empty(tables)}; `up` refuses that: {NON_EMPTY_REMEDY}")
        return look

    def look_around(self, address: Address) -> tuple[Look, tuple[Leftover, ...]]:
        """Look at the database, and for what interrupted operations left behind.

        Raises:
            ConnectionFailed, PrivilegeMissing: as for ``look``.
        """
        from neuron_schema.cli.connecting import look_at
        from neuron_schema.leftovers import leftovers, leftovers_sql

        schemas: Sequence[str] = ()
        if self.settings.search_path is not None:
            from neuron_schema.quoting import names_of_path

            schemas = names_of_path(self.settings.search_path) or ()
        patience, beside = self.settings.deadline, leftovers_sql(schemas)
        look, rows = look_at(address, self.table, patience_s=patience, beside=beside)
        return look, leftovers(rows)

    def log_entries(self, address: Address, look: Look) -> list[LogEntry]:
        """Return the rows of the log, oldest first; none where there is no log."""
        from neuron_schema.execution import records

        if not look.log_exists:
            return []
        return self._ask(address, look, lambda fetch: records.entries(fetch, look.table))

    def recorded(
        self, address: Address, look: Look, versions: Sequence[str]
    ) -> tuple[Migration, ...]:
        """Return applied versions as the log recorded them, those that it knows."""
        from neuron_schema.execution import records

        if not look.log_exists or not versions:
            return ()
        return self._ask(address, look, lambda fetch: records.recorded(fetch, look.table, versions))

    def _ask(self, address: Address, look: Look, ask: Callable[[Fetch], T]) -> T:
        from neuron_schema.cli.connecting import read_at

        name = look.table.qualified_log
        return read_at(address, ask, name, patience_s=self.settings.deadline)

    def plan(
        self,
        address: Address,
        look: Look,
        direction: Direction,
        *,
        to: str | None,
        count: int | None,
        allow_out_of_order: bool = False,
        from_history: bool = False,
    ) -> Plan:
        """Return what a run would do, with the SQL of just the versions it takes.

        Raises:
            NeuronSchemaError: what ``planning`` and ``discovery`` raise.
        """
        from neuron_schema import planning, standing
        from neuron_schema.model import Direction

        infos, recorded = self.versions.infos(), None
        if from_history:
            wanted = standing.without_their_files(infos, look.applied)
            recorded = self.recorded(address, look, wanted)
        try:
            if direction is Direction.UP:
                selection = planning.select_up(
                    infos, look.applied, to=to, count=count, allow_out_of_order=allow_out_of_order
                )
            else:
                selection = planning.select_down(
                    infos, look.applied, to=to, count=count, recorded=recorded
                )
        except HistoryConflict:
            from neuron_schema.cli.modified import show_modified

            show_modified(self, address, look)
            raise
        return self.made(selection, look)

    def made(self, selection: Selection, look: Look) -> Plan:
        """Return the plan that runs a selection, and say its warnings.

        Raises:
            NeuronSchemaError: what ``planning`` and ``discovery`` raise.
        """
        from neuron_schema import planning

        migrations = self.migrations(selection.files) if selection.files else ()
        plan = planning.make_plan(selection, migrations, look.applied)
        for sentence in plan.warnings:
            warn(sentence)
        self.put(warnings=list(plan.warnings))
        return plan

    def migrations(self, infos: Sequence[VersionInfo]) -> tuple[Migration, ...]:
        """Return versions with their SQL."""
        import gc

        from neuron_schema.compiling import compiler  # noqa: F401 - what it imports is here to stay

        # A version makes hundreds of objects that all die together; without this the collector
        # walks SQLAlchemy's thousands again and again while a thousand versions are loaded.
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)
        return self.versions.migrations(infos)

    def estimates(self, address: Address, plan: Plan, look: Look) -> dict[str, int | None]:
        """Return about how many rows the tables of a plan's backfills have, by version.

        Raises:
            ConnectionFailed: the server does not answer.
        """
        tables = {
            step.version: step.backfill.table for step in plan.steps if step.backfill is not None
        }
        if not tables:
            return {}
        from neuron_schema.cli.connecting import rows_of

        path = self.session_settings(look).search_path
        counts = rows_of(address, path, set(tables.values()), patience_s=self.settings.deadline)
        return {version: counts[table] for version, table in tables.items()}

    def workshop(self, shadow: Shadow, *, schemas: Sequence[str] = ()) -> Workshop:
        """Return where and how versions are run on a throw-away server.

        Args:
            shadow: The server.
            schemas: Those that snapshots are of; none for all.
        """
        from neuron_schema.proof.ground import Workshop

        return Workshop(
            shadow=shadow,
            directory=self.versions.directory,
            history=self.table,
            search_path=self.settings.search_path,
            schemas=tuple(schemas) or None,
        )

    def session_settings(self, look: Look) -> SessionSettings:
        """Return what the session of every step is set to."""
        from neuron_schema.locking import SessionSettings

        settings = self.settings
        path = settings.search_path
        return SessionSettings(
            search_path=look.facts.search_path if path is None else path,
            role=settings.role,
            lock_timeout=settings.lock_timeout,
            statement_timeout=settings.statement_timeout,
            idle_in_transaction_session_timeout=settings.idle_in_transaction_session_timeout,
            transaction_timeout=settings.transaction_timeout,
            operation_timeout=settings.operation_timeout,
        )

    def session_values(self, look: Look, step: Step) -> dict[str, str]:
        """Return what a step's session is set to, by the server's names."""
        from neuron_schema.locking import UNRAMPED, Place, session_values

        batches = step.backfill is not None
        place = Place.TRANSACTION if step.transactional or batches else Place.OPERATION
        settings = self.session_settings(look).of(step)
        ramp = [
            session_values(settings, look.facts, place, attempt=attempt)
            for attempt in range(UNRAMPED if batches else 0, UNRAMPED + 1)
        ]
        lock_timeouts = dict.fromkeys(values["lock_timeout"] for values in ramp)
        return {**ramp[0], "lock_timeout": " then ".join(lock_timeouts)}

    @contextlib.contextmanager
    def runner(
        self,
        address: Address,
        *listeners: Listener,
        allow_non_empty: bool = False,
        allow_out_of_order: bool = False,
    ) -> Iterator[MigrationRunner]:
        """Yield a runner on an engine of its own, which is disposed of afterwards."""
        from neuron_schema.cli.connecting import engine_for
        from neuron_schema.runner import MigrationRunner

        settings = self.settings
        direct = settings.direct_address()
        with contextlib.ExitStack() as stack:
            engines = [
                stack.enter_context(engine_for(one)) if one is not None else None
                for one in (address, direct)
            ]
            assert engines[0] is not None  # noqa: S101 - the address is not None
            yield MigrationRunner(
                engines[0],
                settings.versions,
                history_table=settings.history_table,
                history_schema=settings.history_schema,
                search_path=settings.search_path,
                role=settings.role,
                lock_timeout=settings.lock_timeout,
                statement_timeout=settings.statement_timeout,
                idle_in_transaction_session_timeout=settings.idle_in_transaction_session_timeout,
                transaction_timeout=settings.transaction_timeout,
                operation_timeout=settings.operation_timeout,
                wait_lock=settings.wait_lock,
                deadline=settings.deadline,
                log=settings.log,
                allow_non_empty=allow_non_empty,
                allow_out_of_order=allow_out_of_order,
                schemas=settings.schemas,
                direct_engine=engines[1],
                listeners=listeners,
            )

    def announce(self, address: Address) -> None:
        """Name the target on stderr and in the JSON object."""
        target = address.target
        self._target = {
            "host": target.host,
            "port": target.port,
            "database": target.database,
            "user": target.user,
            "embedded": target.embedded,
        }
        note(one_line(f"target: {target}"))

    def __enter__(self) -> Invocation:
        # A version's code may print, as a backfill's function does; a script for psql must be one.
        self._open.enter_context(only_results())
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        from typer import Exit

        self._open.close()
        if isinstance(exc, Exit):
            return
        if isinstance(exc, BrokenPipeError):
            raise Exit(BROKEN_PIPE) from None
        error = ours(exc)
        if error is not None:
            self.exit_code = error.exit_code
            if not self.as_json:
                print_error(error)
        if self.as_json:
            self.exit_code = printed(self._result(error), self.exit_code)
        if self.exit_code:
            raise Exit(self.exit_code) from None

    def _result(self, error: NeuronSchemaError | None) -> dict[str, Any]:
        result = {**head(self.command, self.exit_code), "target": self._target, **self._payload}
        if error is not None:
            result["error"] = error_object(error)
        return result


def working_directory() -> Path:
    """Return where the command was started.

    Raises:
        SettingsError: that directory was removed meanwhile.
    """
    try:
        return Path.cwd()
    except OSError as error:
        raise SettingsError(
            f"the working directory cannot be used: {error.strerror}",
            remedy="change to a directory that exists",
        ) from None


def cache_directory(environ: Mapping[str, str]) -> Path | None:
    """Return where checksums are remembered: ``$XDG_CACHE_HOME``, else ``~/.cache``."""
    base = environ.get("XDG_CACHE_HOME")
    if base and Path(base).is_absolute():
        return Path(base) / "neuron-schema"
    try:
        return Path.home() / ".cache" / "neuron-schema"
    except RuntimeError:
        return None
