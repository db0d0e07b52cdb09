"""A version run by the real runner, and watched statement by statement.

Where somebody listens to its engine, the runner lets SQLAlchemy execute what it sends; so a
listener is all that it takes. Before and after each of the author's statements the connection is
brought to rest and looked at.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import event

from neuron_schema.errors import (
    ConnectionFailed,
    ExtensionMissing,
    NeuronSchemaError,
    PrivilegeMissing,
)
from neuron_schema.review.tracing.outcome import Outcome, failed_with, failure_of
from neuron_schema.review.tracing.watch import StatementWatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from neuron_schema.model import Migration
    from neuron_schema.review.measures import Failed, Measure
    from neuron_schema.review.tracing.stage import Place
    from neuron_schema.review.tracing.watch import Observer


def run_shipped(place: Place, migration: Migration) -> Outcome:
    """Let the runner run a version that is one transaction.

    Raises:
        ExtensionMissing, ConnectionFailed: it is not the version that is at fault.
        PrivilegeMissing: nor is it where a server was given, on which we are no superuser.
        Unwatched: it could not be looked at.
    """
    watch = _RunnerWatch(migration, place.observer)
    try:
        with watch.listening(place.ground.engine):
            place.ground.run([migration])
    except NeuronSchemaError as error:
        check_fault(error, embedded=place.ground.embedded)
        failed = watch.failed or failure_of(error)
        at_end = len(watch.measures) == len(migration.up_statements)
        return Outcome(measures=tuple(watch.measures), failed=failed, at_end=at_end)
    return Outcome(measures=tuple(watch.measures))


def check_fault(error: NeuronSchemaError, *, embedded: bool) -> None:
    """Raise an error of the runner's for which the version is not to blame."""
    if isinstance(error, ExtensionMissing | ConnectionFailed):
        raise error
    if isinstance(error, PrivilegeMissing) and not embedded:
        raise error


class _RunnerWatch:
    """Listens to the runner's engine while it runs one version.

    Args:
        migration: The version.
        observer: The other session.
    """

    def __init__(self, migration: Migration, observer: Observer) -> None:
        self._texts = [statement.sql for statement in migration.up_statements]
        self._observer = observer
        self._watch: StatementWatch | None = None
        self._session: psycopg.Connection[Any] | None = None
        self._under_way: str | None = None
        self.measures: list[Measure] = []
        self.failed: Failed | None = None

    @contextmanager
    def listening(self, engine: Engine) -> Iterator[None]:
        """Watch what is executed within the block."""
        listeners = (
            ("connect", self._observer.prepare),
            ("before_cursor_execute", self._before),
        )
        # A connection that was made before has not been set.
        engine.dispose()
        for name, listener in listeners:
            event.listen(engine, name, listener)
        try:
            yield
        finally:
            for name, listener in listeners:
                event.remove(engine, name, listener)

    def _before(self, connection: Connection, _cursor: Any, sql: str, *_rest: Any) -> None:
        """Look between two statements of the runner's: there is always one after the author's."""
        if sql.startswith("BEGIN "):
            # An attempt: what an earlier one did was rolled back.
            self.measures, self.failed = [], None
            self._watch = self._under_way = None
            return
        raw = _driver(connection)
        # Where an attempt failed before we looked, the next to be heard is another session's.
        if self._under_way is not None and raw is self._session:
            self._end(raw, self._under_way)
        done = len(self.measures)
        self._under_way = sql if sql in self._texts[done : done + 1] else None
        if self._under_way is not None:
            self._begin(raw)

    def _begin(self, raw: psycopg.Connection[Any]) -> None:
        _at_rest(raw)
        self._session = raw
        if self._watch is None:
            self._watch = StatementWatch(self._observer, raw)
        self._watch.begin()

    def _end(self, raw: psycopg.Connection[Any], sql: str) -> None:
        assert self._watch is not None  # noqa: S101 - it began
        self._under_way = None
        try:
            _at_rest(raw)
        except psycopg.Error as error:
            self.failed = failed_with(error)
            raise
        self.measures.append(self._watch.end(sql))


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)  # noqa: S101 - the runner takes no other
    return raw


def _at_rest(raw: psycopg.Connection[Any]) -> None:
    """Wait until all that was sent is executed.

    Raises:
        psycopg.Error: a statement of it failed.
    """
    if psycopg.Pipeline.is_supported():
        with raw.pipeline():
            pass
