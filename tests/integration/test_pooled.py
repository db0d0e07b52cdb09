"""A session that is shared with other clients ends when a step leaves it set otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event

from neuron_schema.execution.transaction import Script, run_transaction

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

_SETTINGS = "SELECT set_config('lock_timeout', '300ms', true)"


def pid(engine: Engine) -> Any:
    """Return the process of the session that is in the pool."""
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()


@pytest.fixture(params=["watched", "unwatched"])
def pool(request: pytest.FixtureRequest, database: URL) -> Any:
    """Yield an engine with a pool of one; where it is watched, SQLAlchemy sends the statements."""
    engine = create_engine(database, pool_size=1, max_overflow=0)
    if request.param == "watched":
        event.listen(engine, "before_cursor_execute", lambda *_: None)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "SET work_mem = '9MB'",
        "SET app.tenant = '7'",
        "SET ROLE pg_monitor",
        "SELECT set_config('work_mem', '9MB', false)",
        "CREATE TEMPORARY TABLE t (x int)",
        "LISTEN c",
    ],
)
def test_a_shared_session_that_is_left_changed_is_ended(pool: Engine, statement: str) -> None:
    """What the step did is committed all the same."""
    before = pid(pool)
    # CREATE first: the other role may not.
    script = Script(settings=_SETTINGS, statements=("CREATE TABLE a ()", statement))
    run_transaction(pool, script, shared=True)
    assert pid(pool) != before
    with pool.connect() as connection:
        assert connection.exec_driver_sql("SELECT to_regclass('a')::text").scalar() == "a"


def test_no_answer_to_a_commit_is_lost_with_the_session(pool: Engine) -> None:
    """However the server's end and the client's last packet fall together."""
    script = Script(settings=_SETTINGS, statements=("SET work_mem = '9MB'",))
    for _ in range(50):
        run_transaction(pool, script, shared=True)


def test_a_shared_session_that_is_as_it_was_goes_on(pool: Engine) -> None:
    """What is set for the transaction alone is no change."""
    before = pid(pool)
    statements = ("SET LOCAL work_mem = '9MB'", "CREATE TABLE a ()", "SELECT 1")
    run_transaction(pool, Script(settings=_SETTINGS, statements=statements), shared=True)
    assert pid(pool) == before
    with pool.connect() as connection:
        assert connection.exec_driver_sql("SHOW work_mem").scalar() == "4MB"
