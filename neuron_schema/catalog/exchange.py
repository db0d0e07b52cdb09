"""Sends queries without waiting, and fetches the rows of each when they are needed.

psycopg's own pipeline waits for all answers when it is asked for one; then the server would do
nothing while answers are made use of, and this process nothing while the server works.
https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import Pipeline, generators
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus
from psycopg.rows import tuple_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psycopg.pq.abc import PGresult

    from neuron_schema.catalog.rows import Batch, Fetch, Row


@contextmanager
def pipelined(connection: psycopg.Connection[Any]) -> Iterator[Batch]:
    """Yield what sends queries of one statement each, in a transaction that is open.

    Where libpq has no pipeline (before 14) they are run as they are sent.
    """
    if not Pipeline.is_supported():
        yield partial(_one_by_one, connection)
        return
    exchange = Exchange(connection)
    connection.pgconn.enter_pipeline_mode()
    try:
        yield exchange
    finally:
        exchange.end()


def _one_by_one(connection: psycopg.Connection[Any], queries: Sequence[str]) -> list[Fetch]:
    return [
        connection.cursor(row_factory=tuple_row).execute(query.encode(), prepare=False).fetchall
        for query in queries
    ]


class Exchange:
    """Queries on their way and answers that have come.

    Args:
        connection: In a transaction; psycopg's own methods are not to be used meanwhile.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._libpq = connection.pgconn
        self._waiting: deque[int] = deque()
        self._answers: dict[int, PGresult] = {}
        self._sent = 0

    def __call__(self, queries: Sequence[str]) -> list[Fetch]:
        """Send queries, and return what waits for the rows of each."""
        fetches: list[Fetch] = []
        for query in queries:
            self._libpq.send_query_params(query.encode(), None)
            self._waiting.append(self._sent)
            fetches.append(partial(self._rows, self._sent))
            self._sent += 1
        self._libpq.send_flush_request()
        self._connection.wait(generators.send(self._libpq))
        return fetches

    def _rows(self, number: int) -> list[Row]:
        while number not in self._answers:
            self._receive()
        answer = self._answers.pop(number)
        transformer = Transformer(self._connection)
        transformer.set_pgresult(answer)
        return transformer.load_rows(0, answer.ntuples, tuple)

    def _receive(self) -> None:
        """Wait for the next answer.

        Raises:
            psycopg.Error: It is an error, the first that there was.
        """
        (answer,) = self._connection.wait(generators.fetch_many(self._libpq))
        number = self._waiting.popleft()
        if answer.status != ExecStatus.TUPLES_OK:
            raise psycopg.errors.error_from_result(answer)
        self._answers[number] = answer

    def end(self) -> None:
        """Take the answers that nobody fetched, and leave the pipeline."""
        if self._libpq.status != psycopg.pq.ConnStatus.OK:
            return
        self._libpq.pipeline_sync()
        self._connection.wait(generators.send(self._libpq))
        status = None
        while status != ExecStatus.PIPELINE_SYNC:
            for answer in self._connection.wait(generators.fetch_many(self._libpq)):
                status = answer.status
        self._libpq.exit_pipeline_mode()
