"""Each statement of a version in a transaction of its own, after those before it are committed.

That shows the locks that a statement itself takes: in the version's transaction they may be held
already. https://www.postgresql.org/docs/current/explicit-locking.html
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import psycopg

from neuron_schema.canonical import leading_words
from neuron_schema.locking import Place as Session
from neuron_schema.locking import SessionSettings, settings_sql
from neuron_schema.proof.ground import unknown_role
from neuron_schema.proof.shadow import connected
from neuron_schema.review.measures import Measure
from neuron_schema.review.tracing.outcome import failed_with
from neuron_schema.review.tracing.watch import StatementWatch
from neuron_schema.review.tracing.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from neuron_schema.review.measures import Failed
    from neuron_schema.review.tracing.outcome import Outcome
    from neuron_schema.review.tracing.stage import Place, Stage

_MOST_RESTARTS: Final = 8


def run_alone(stage: Stage, shipped: Outcome) -> tuple[list[Measure | None], tuple[str, ...]]:
    """Measure each statement alone; None for those that cannot run without the others.

    Args:
        stage: Where.
        shipped: How they went as one transaction, on tables with rows.

    Returns:
        The measures, and what was not measured.

    Raises:
        Unwatched: it could not be looked at.
    """
    with _Alone(stage, shipped) as alone:
        return [alone.next() for _ in stage.migration.up_statements], alone.unmeasured


class _Alone:
    """Goes through a version's statements.

    Args:
        stage: Where.
        shipped: How they went as one transaction.
    """

    def __init__(self, stage: Stage, shipped: Outcome) -> None:
        self._stage = stage
        self._shipped = shipped
        self._texts = [statement.sql for statement in stage.migration.up_statements]
        self._done = 0
        self._rows = True
        self._restarts = 0
        self._given_up = False
        self.unmeasured: tuple[str, ...] = ()
        self._stack = ExitStack()
        self._place: Place | None = None
        self._session: psycopg.Connection[Any] | None = None
        self._watch: StatementWatch | None = None

    def __enter__(self) -> _Alone:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def next(self) -> Measure | None:
        """Measure the next statement."""
        number = self._done
        self._done += 1
        if self._given_up:
            return None
        carried = [sql for sql in self._texts[:number] if _lasts_for_the_transaction(sql)]
        failure = self._tried(carried, self._texts[number])
        if isinstance(failure, Measure):
            return failure
        if number != self._shipped.came_to or self._shipped.at_end:
            # Together with the others it runs.
            self._restart(number + 1)
            return None
        return self._without_rows(number, carried, failure)

    def _without_rows(self, number: int, carried: Sequence[str], failure: Failed) -> Measure | None:
        """Measure on empty tables what fails on rows, alone and with the others."""
        self._rows = False
        self._restart(number)
        if self._given_up:
            return Measure(failed=failure)
        found = self._tried(carried, self._texts[number])
        if isinstance(found, Measure):
            return replace(found, failed=replace(failure, rows_only=True))
        self._given_up = True
        return Measure(failed=failure)

    def _tried(self, carried: Sequence[str], sql: str) -> Measure | Failed:
        assert self._place is not None  # noqa: S101 - it was started
        assert self._session is not None  # noqa: S101
        if self._watch is None:
            self._watch = StatementWatch(self._place.observer, self._session)
        self._watch.renew()
        try:
            with self._transaction():
                for each in carried:
                    self._execute(each)
                self._watch.begin()
                self._execute(sql)
                found = self._watch.end(sql)
        except psycopg.Error as error:
            if self._session.closed:
                raise
            if self._made_role(error):
                return self._tried(carried, sql)
            return failed_with(error)
        return found

    def _restart(self, count: int) -> None:
        """Begin anew where the first statements are committed together."""
        self._restarts += 1
        if self._restarts > _MOST_RESTARTS:
            self._given_up = True
            self.unmeasured = (
                f"too many statements need the others: from number {count + 1} on "
                "none was measured alone",
            )
            return
        self._start()
        try:
            with self._transaction():
                for sql in self._texts[:count]:
                    self._execute(sql)
        except psycopg.Error as error:
            if self._session is not None and self._session.closed:
                raise
            if self._made_role(error):
                self._restart(count)
                return
            self._given_up = True

    def _start(self) -> None:
        self._stack.close()
        self._place = self._stack.enter_context(self._stage.copy(rows=self._rows, last=True))
        self._session = self._stack.enter_context(connected(self._place.address))
        self._place.observer.prepare(self._session)
        self._watch = None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Open a transaction as the runner sets its own, and commit it."""
        assert self._place is not None  # noqa: S101 - it was started
        facts = self._place.look.facts
        path = self._stage.workshop.search_path
        settings = SessionSettings(
            search_path=facts.search_path if path is None else path,
            own=self._stage.migration.settings,
        )
        self._execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        try:
            self._execute(settings_sql(settings, facts, Session.TRANSACTION))
            yield
            self._execute("COMMIT")
        except psycopg.Error:
            if self._session is not None and not self._session.closed:
                self._execute("ROLLBACK")
            raise

    def _made_role(self, error: psycopg.Error) -> bool:
        """Make the role that the server does not know; return whether there was one."""
        assert self._place is not None  # noqa: S101 - it was started
        role = unknown_role(error.sqlstate, str(error))
        if role is None or not self._place.ground.embedded:
            return False
        shadow = self._stage.workshop.shadow
        if role in shadow.roles():
            return False
        shadow.create_role(role)
        return True

    def _execute(self, sql: str) -> None:
        assert self._session is not None  # noqa: S101 - it was started
        self._session.execute(sql.encode())


def _lasts_for_the_transaction(sql: str) -> bool:
    """Whether a statement sets something for the statements after it in its transaction."""
    first = leading_words(sql, 2)
    if first[:1] == ("SET",):
        return first[1:] in (("LOCAL",), ("CONSTRAINTS",))
    return first[:1] == ("SELECT",) and "set_config" in words(sql)
