"""One command at work: its settings, its database, its result and its exit status."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuron_schema.cli.output import error_object, note, print_error, print_json, warn
from neuron_schema.errors import ConnectionFailed, InternalError, Interrupted, NeuronSchemaError
from neuron_schema.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from neuron_schema.discovery import VersionSet
    from neuron_schema.history import HistoryTable, Look
    from neuron_schema.locking import SessionSettings
    from neuron_schema.model import Direction, Plan
    from neuron_schema.runner import Listener, MigrationRunner
    from neuron_schema.url import Address

_BROKEN_PIPE = 141
_SESSION = {
    "application_name": "neuron_schema",
    # A host that vanished is noticed in half a minute, not in two hours.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "connect_timeout": "10",
}


class Invocation:
    """What a command does between its options and its exit status.

    As a context manager it reports the error that ends the command, and with ``--json`` prints
    the one object that is the result, on failure too.

    Args:
        command: Its name.
        as_json: Print one JSON object and nothing else to stdout.
        options: ``environment``, ``database_url``, ``direct_url``, ``versions`` as given.
    """

    def __init__(self, command: str, *, as_json: bool = False, **options: str | None) -> None:
        self.command = command
        self.as_json = as_json
        self.exit_code = 0
        self._options = options
        self._settings: Settings | None = None
        self._versions: VersionSet | None = None
        self._target: dict[str, Any] | None = None
        self._payload: dict[str, Any] = {}

    @property
    def settings(self) -> Settings:
        """The settings that hold here.

        Raises:
            SettingsError: one of them is wrong.
        """
        if self._settings is None:
            self._settings = load(
                directory=Path.cwd(), environ=os.environ, **self._options
            )
        return self._settings

    @property
    def versions(self) -> VersionSet:
        """The versions that the settings name.

        Raises:
            VersionError: there are none, or a file is misnamed.
        """
        if self._versions is None:
            from neuron_schema.discovery import VersionSet

            self._versions = VersionSet(
                self.settings.versions, cache_directory=cache_directory(os.environ)
            )
        return self._versions

    @property
    def table(self) -> HistoryTable:
        """The history table that the settings name."""
        from neuron_schema.history import HistoryTable

        return HistoryTable(
            name=self.settings.history_table, schema=self.settings.history_schema
        )

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
            self._announce(address)
            yield address
            return
        from neuron_schema.embedded import DevelopmentServer

        server = DevelopmentServer(self.settings.root)
        with server.in_use() as address:
            self._announce(address)
            if notices:
                for sentence in server.notices:
                    note(f"note: {sentence}")
            yield address

    def look(self, address: Address, *, patience_s: float | None = None) -> Look:
        """Look at the database through a plain psycopg connection.

        SQLAlchemy's first connection takes ten round trips, and importing it longer than all
        the rest of a command that has nothing to do.

        Args:
            patience_s: Seconds to wait for a server that is starting up; the settings' deadline
                when None.

        Raises:
            ConnectionFailed: the server does not answer.
            PrivilegeMissing: the role may not read the history table.
        """
        import psycopg

        from neuron_schema import history
        from neuron_schema.errors import PrivilegeMissing

        with self._connect(address, patience_s) as connection:
            try:
                return history.look(
                    lambda sql: connection.execute(sql.encode()).fetchall(),
                    self.table,
                    backend_pid=connection.info.backend_pid,
                )
            except psycopg.errors.InsufficientPrivilege as error:
                raise PrivilegeMissing(
                    f"the history table cannot be read: {error.diag.message_primary}",
                    remedy=f"GRANT SELECT ON {self.table.qualified} TO the role",
                ) from None
            except psycopg.OperationalError as error:
                raise ConnectionFailed(
                    f"the connection was lost: {' '.join(str(error).split())}",
                    remedy="run again; nothing was changed",
                ) from None

    def _connect(self, address: Address, patience_s: float | None) -> Any:
        import psycopg

        from neuron_schema.failures import connection_error
        from neuron_schema.locking import Deadline

        deadline = Deadline(self.settings.deadline if patience_s is None else patience_s)
        conninfo = {**_SESSION, **address.conninfo()}
        while True:
            try:
                return psycopg.connect(**conninfo, autocommit=True, prepare_threshold=None)
            except psycopg.Error as error:
                failure = connection_error(error) or ConnectionFailed(
                    f"cannot connect: {' '.join(str(error).split())}",
                    remedy="check the address",
                )
                # A connection's failure has no SQLSTATE; libpq can tell a server that is
                # starting up or shutting down (57P03) from one that is not there.
                delay = deadline.delay() if _starting_up(conninfo) else None
                if delay is None:
                    raise failure from None
                time.sleep(delay)

    def plan(
        self,
        look: Look,
        direction: Direction,
        *,
        to: str | None,
        count: int | None,
        allow_out_of_order: bool = False,
    ) -> Plan:
        """Return what a run would do, with the SQL of just the versions it takes.

        Raises:
            NeuronSchemaError: what ``planning`` and ``discovery`` raise.
        """
        from neuron_schema import planning
        from neuron_schema.model import Direction

        infos = self.versions.infos()
        if direction is Direction.UP:
            selection = planning.select_up(
                infos, look.applied, to=to, count=count, allow_out_of_order=allow_out_of_order
            )
        else:
            selection = planning.select_down(infos, look.applied, to=to, count=count)
        migrations = self.versions.migrations(selection.infos) if selection.infos else ()
        plan = planning.make_plan(selection, migrations, look.applied)
        for sentence in plan.warnings:
            warn(sentence)
        self.put(warnings=list(plan.warnings))
        return plan

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
        )

    @contextlib.contextmanager
    def runner(self, address: Address, *listeners: Listener) -> Iterator[MigrationRunner]:
        """Yield a runner on an engine of its own, which is disposed of afterwards."""
        from neuron_schema.runner import MigrationRunner

        settings = self.settings
        direct = settings.direct_address()
        with contextlib.ExitStack() as stack:
            engines = [
                stack.enter_context(_engine(one)) if one is not None else None
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
                deadline=settings.deadline,
                direct_engine=engines[1],
                listeners=listeners,
            )

    def _announce(self, address: Address) -> None:
        target = address.target
        self._target = {
            "host": target.host,
            "port": target.port,
            "database": target.database,
            "user": target.user,
            "embedded": target.embedded,
        }
        note(f"target: {target}")

    def __enter__(self) -> Invocation:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        from typer import Exit

        if isinstance(exc, Exit):
            return
        if isinstance(exc, BrokenPipeError):
            _silence_stdout()
            raise Exit(_BROKEN_PIPE) from None
        error = _ours(exc)
        if error is not None:
            self.exit_code = error.exit_code
            if not self.as_json:
                print_error(error)
        if self.as_json:
            print_json(self._result(error))
        if self.exit_code:
            raise Exit(self.exit_code) from None

    def _result(self, error: NeuronSchemaError | None) -> dict[str, Any]:
        result = {**_head(self.command, self.exit_code), "target": self._target, **self._payload}
        if error is not None:
            result["error"] = error_object(error)
        return result


def report_early(error: NeuronSchemaError, arguments: Sequence[str]) -> int:
    """Report an error that came before any command was at work; return its exit status."""
    if "--json" in arguments:
        command = next((word for word in arguments if not word.startswith("-")), "")
        head = _head(command, error.exit_code)
        print_json({**head, "target": None, "error": error_object(error)})
    else:
        print_error(error)
    return error.exit_code


def _head(command: str, exit_code: int) -> dict[str, Any]:
    return {"schema_version": 1, "command": command, "exit_code": exit_code}


def _ours(exc: BaseException | None) -> NeuronSchemaError | None:
    """Return any exception as an error of ours: a traceback must not reach a user."""
    if exc is None or isinstance(exc, NeuronSchemaError):
        return exc
    if isinstance(exc, KeyboardInterrupt):
        return Interrupted("interrupted", exit_code=interrupt_code(exc))
    place = exc.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else None
    return InternalError(
        f"internal error: {type(exc).__name__}: {exc}",
        where=where,
        remedy="please report this, with the command and the place above",
    )


class Terminated(KeyboardInterrupt):
    """SIGTERM, so that what undoes a Ctrl-C undoes it as well."""


def interrupt_code(interrupt: KeyboardInterrupt) -> int:
    """Return the exit status for a signal: 128 and its number."""
    return 143 if isinstance(interrupt, Terminated) else 130


def _silence_stdout() -> None:
    """Keep Python from complaining again at exit that nobody reads."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def cache_directory(environ: Mapping[str, str]) -> Path | None:
    """Return where checksums are remembered: ``$XDG_CACHE_HOME``, else ``~/.cache``."""
    base = environ.get("XDG_CACHE_HOME")
    if base and Path(base).is_absolute():
        return Path(base) / "neuron-schema"
    try:
        return Path.home() / ".cache" / "neuron-schema"
    except RuntimeError:
        return None


def _starting_up(conninfo: dict[str, Any]) -> bool:
    """Whether libpq says that a server is there but takes no connections yet or any more.

    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PQPINGPARAMS
    """
    from psycopg import conninfo as libpq
    from psycopg import pq

    answer: int = pq.PGconn.ping(libpq.make_conninfo("", **conninfo).encode())
    return answer == pq.Ping.REJECT


@contextlib.contextmanager
def _engine(address: Address) -> Iterator[Any]:
    from sqlalchemy import create_engine

    # The HSTORE look-up alone costs three round trips on the first connection.
    engine = create_engine(
        address.sqlalchemy_url(),
        pool_size=1,
        use_native_hstore=False,
        connect_args={**_SESSION, "prepare_threshold": None},
    )
    try:
        yield engine
    finally:
        engine.dispose()
