"""A version run by the real runner, and watched statement by statement.

Where somebody listens to its engine, the runner lets SQLAlchemy execute what it sends; so a
listener is all that it takes. Before and after each of the author's statements the connection is
brought to rest, and looked at.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import event

from neuron_schema.review.measures import Failed
from neuron_schema.review.tracing.watch import StatementWatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from neuron_schema.model import Migration
    from neuron_schema.review.measures import Measure
    from neuron_schema.review.tracing.watch import Observer


class RunnerWatch:
    """Listens to the runner's engine while it runs one version.

    Args:
        migration: The version.
        observer: The other session.
    """

    def __init__(self, migration: Migration, observer: Observer) -> None:
        self._texts = [statement.sql for statement in migration.up_statements]
        self._observer = observer
        self._watch: StatementWatch | None = None
        self._under_way = False
        self.measures: list[Measure] = []
        self.failed: Failed | None = None
        self.error: psycopg.Error | None = None

    @contextmanager
    def listening(self, engine: Engine) -> Iterator[None]:
        """Watch what is executed within the block."""
        event.listen(engine, "connect", self._observer.prepare)
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "after_cursor_execute", self._after)
        try:
            yield
        finally:
            event.remove(engine, "before_cursor_execute", self._before)
            event.remove(engine, "after_cursor_execute", self._after)

    def _before(self, connection: Connection, _cursor: Any, sql: str, *_rest: Any) -> None:
        raw = _driver(connection)
        if sql.startswith("BEGIN"):
            # An attempt: what an earlier one did was rolled back.
            self.measures, self.failed, self._watch = [], None, None
        elif self.failed is None and len(self.measures) < len(self._texts):
            self._under_way = sql == self._texts[len(self.measures)]
            if self._under_way:
                _at_rest(raw)
                with self._kept():
                    if self._watch is None:
                        self._watch = StatementWatch(self._observer, raw)
                    self._watch.begin()

    def _after(self, connection: Connection, _cursor: Any, sql: str, *_rest: Any) -> None:
        if not self._under_way or self._watch is None:
            return
        self._under_way = False
        try:
            _at_rest(_driver(connection))
        except psycopg.Error as error:
            self.failed = failed(error)
            raise
        with self._kept():
            self.measures.append(self._watch.end(sql))

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Keep an error of our own queries: the runner takes it for the version's."""
        try:
            yield
        except psycopg.Error as error:
            self.error = error
            raise


def failed(error: psycopg.Error) -> Failed:
    """Return how PostgreSQL refused a statement."""
    text = " ".join(str(error.diag.message_primary or error).split())
    return Failed(sqlstate=error.sqlstate or "", message=text)


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
