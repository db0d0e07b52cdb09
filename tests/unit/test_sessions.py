"""What is said of other sessions, without a database."""

from __future__ import annotations

from neuron_schema.sessions import Session, describe_session, ending


def test_a_session_is_described_in_a_line() -> None:
    """Who blocks, since when and with what: a query of several lines becomes one."""
    session = describe_session((7, "u", "psql", "10.0.0.1", "active", 3.4, "SELECT\n  1"))
    assert session == Session(
        7, "pid 7 (u, psql, from 10.0.0.1, active), in its transaction for 3 s: SELECT 1"
    )
    unseen = describe_session((8, None, None, None, None, None, None))
    assert unseen.text == "pid 8"
    assert ending([session, unseen]) == "SELECT pg_terminate_backend(7), pg_terminate_backend(8)"
