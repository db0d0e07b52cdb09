"""What statements may leave in their session, or do to rows, told by their text."""

from __future__ import annotations

import pytest

from neuron_schema.execution.session_state import can_change_session, can_write_rows


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE a (x int)",
        "-- a comment\nCREATE INDEX i ON a (x)",
        "ALTER TABLE a ADD COLUMN y int",
        "COMMENT ON TABLE a IS 'x'",
        "GRANT SELECT ON a TO PUBLIC",
    ],
)
def test_what_makes_and_alters_does_nothing_to_session_or_rows(sql: str) -> None:
    """So that nothing has to be looked at afterwards."""
    assert not can_change_session([sql])
    assert not can_write_rows([sql])


@pytest.mark.parametrize("sql", ["DROP TABLE a", "DROP SCHEMA s CASCADE"])
def test_what_drops_may_take_rows_along(sql: str) -> None:
    """Also those of the history."""
    assert not can_change_session(["CREATE TABLE b ()", sql])
    assert can_write_rows(["CREATE TABLE b ()", sql])


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM a",
        "SELECT f()",
        "DO $$ BEGIN PERFORM f(); END $$",
        "CREATE TABLE b AS SELECT f()",
        "CREATE TEMP TABLE b ()",
        "ALTER TABLE a ADD COLUMN y int DEFAULT f()",
        "SET ROLE x",
        "",
    ],
)
def test_what_may_call_a_function_may_do_either(sql: str) -> None:
    """What it does is not in the text."""
    assert can_change_session([sql])
    assert can_write_rows([sql])
