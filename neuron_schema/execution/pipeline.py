"""Many statements in one round trip, on a connection of an engine.

A libpq pipeline sends all of them before an answer is read; after a statement that fails the
server skips the rest. https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
"""

from __future__ import annotations

import contextlib
import selectors
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import ConnStatus, ExecStatus
from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psycopg.pq.abc import PGconn, PGresult
    from sqlalchemy import Connection

_DONE = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY})
_CANCEL_TIMEOUT_S = 5.0
# Where a signal does not end a wait (Windows), Ctrl-C is seen at the latest after this.
_POLL_S = 0.1


def run_script(
    connection: Connection,
    raw: psycopg.Connection[Any],
    script: Sequence[str],
    answers: list[PGresult],
    *,
    closing: Sequence[str] = (),
) -> None:
    """Run single statements, one after the other.

    Where somebody listens to the engine, SQLAlchemy executes them, so that they are seen; else
    they go to libpq in as few packets as they fit in.

    Args:
        connection: In autocommit.
        raw: The psycopg connection behind it.
        script: The statements, BEGIN and COMMIT among them.
        answers: Takes what libpq answers to each that goes well, also when one fails.
        closing: Statements after those, the last of which may end the session. They are one
            packet, whoever listens: psycopg would still be sending when the session is gone, and
            lose the answers that have come.

    Raises:
        psycopg.Error: a statement failed, or the connection did; or SQLAlchemy's error around
            it. No statement after the one that failed was executed.
    """
    if not psycopg.Pipeline.is_supported():
        _one_by_one(connection, (*script, *closing), answers)
    elif _is_watched(connection):
        _executed(connection, raw, script, answers)
        if closing:
            _exchanged(raw, closing, answers)
    else:
        _exchanged(raw, (*script, *closing), answers)


def run_alone(raw: psycopg.Connection[Any], script: Sequence[str], answers: list[PGresult]) -> None:
    """Run single statements on a connection that nobody listens to.

    Args:
        raw: In autocommit. After a statement that fails it can be used again.
        script: The statements.
        answers: Takes what libpq answers to each that goes well.

    Raises:
        psycopg.Error: a statement failed, or the connection did.
    """
    if psycopg.Pipeline.is_supported():
        try:
            _exchanged(raw, script, answers)
        except psycopg.Error:
            with contextlib.suppress(psycopg.Error):
                raw.pgconn.exit_pipeline_mode()
            raise
        return
    for sql in script:
        answer = raw.execute(sql.encode(raw.info.encoding)).pgresult
        if answer is not None:
            answers.append(answer)


def _is_watched(connection: Connection) -> bool:
    """Whether somebody wants to see statements: a listener of the engine's, or its log."""
    dispatch: Any = connection.dispatch
    return (
        bool(dispatch.before_cursor_execute)
        or bool(dispatch.after_cursor_execute)
        or connection.engine._should_log_info()  # noqa: SLF001 - what echo= comes to
    )


def _one_by_one(connection: Connection, script: Sequence[str], answers: list[PGresult]) -> None:
    cursors = _cursors(connection)
    for sql in script:
        connection.exec_driver_sql(sql)
        answers.append(cursors[-1][1])


def _executed(
    connection: Connection,
    raw: psycopg.Connection[Any],
    script: Sequence[str],
    answers: list[PGresult],
) -> None:
    """Let SQLAlchemy execute the statements in psycopg's pipeline."""
    failure: Exception | None = None
    cursors = _cursors(connection)
    try:
        with raw.pipeline():
            try:
                for sql in script:
                    connection.exec_driver_sql(sql)
            except Exception as error:  # noqa: BLE001 - raised again below
                # Kept, because psycopg logs a warning when it leaves the block with an error.
                failure = error
    except psycopg.Error as error:
        failure = failure or error
    for cursor, result in cursors:
        answer = result or cursor.pgresult
        if answer is None:
            break
        answers.append(answer)
    if failure is not None:
        raise failure


def _cursors(connection: Connection) -> list[tuple[Any, Any]]:
    """Return a list to which each cursor that SQLAlchemy executes on is added.

    With its result where that is there already: when SQLAlchemy closes the cursor it goes.
    """
    cursors: list[tuple[Any, Any]] = []

    def executed(_connection: Any, cursor: Any, *_rest: Any) -> None:
        cursors.append((cursor, cursor.pgresult))

    event.listen(connection, "after_cursor_execute", executed)
    return cursors


def _exchanged(
    raw: psycopg.Connection[Any], script: Sequence[str], answers: list[PGresult]
) -> None:
    """Send the statements through libpq itself, at a quarter of the cost for both sides."""
    libpq, encoding = raw.pgconn, raw.info.encoding
    try:
        libpq.enter_pipeline_mode()
        for sql in script:
            libpq.send_query_params(sql.encode(encoding), None)
        libpq.pipeline_sync()
        _receive(libpq, answers, encoding)
    except BaseException as error:
        if not isinstance(error, Exception):
            # An interrupt. The history is looked at next, so this has to have ended either way.
            with contextlib.suppress(psycopg.Error):
                raw.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
                _receive(libpq, [], encoding)
        raise
    libpq.exit_pipeline_mode()


def _receive(libpq: PGconn, answers: list[PGresult], encoding: str) -> None:
    """Take the answers up to the end of the pipeline.

    Raises:
        psycopg.Error: one of them is an error, or the connection is lost.
    """
    failure: psycopg.Error | None = None
    try:
        for result in _received(libpq):
            if result.status in _DONE:
                answers.append(result)
            elif result.status == ExecStatus.FATAL_ERROR:
                failure = failure or psycopg.errors.error_from_result(result, encoding)
            elif result.status != ExecStatus.PIPELINE_ABORTED:
                raise psycopg.NotSupportedError("COPY from or to the client in a pipeline")
    except psycopg.OperationalError as error:
        # A server that hangs up says why before it does.
        raise failure or error from None
    if failure is not None:
        raise failure


def _received(libpq: PGconn) -> Iterator[PGresult]:
    """Yield what is received, and send what is left to send, until the pipeline ends."""
    with selectors.DefaultSelector() as selector:
        while True:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if libpq.flush() else 0)
            selector.register(libpq.socket, wanted)
            # Without an event it is looked anyhow: libpq may hold what the socket no longer shows.
            selector.select(_POLL_S)
            selector.unregister(libpq.socket)
            libpq.consume_input()
            while not libpq.is_busy():
                result = libpq.get_result()
                if result is not None and result.status == ExecStatus.PIPELINE_SYNC:
                    return
                if result is not None:
                    yield result
                elif libpq.status == ConnStatus.BAD:
                    raise psycopg.OperationalError("the connection is lost")
