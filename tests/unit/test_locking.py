"""The texts and waits of locking, without a database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neuron_schema.history import HistoryTable
from neuron_schema.locking import (
    Deadline,
    SessionSettings,
    describe_session,
    operation_lock_key,
    run_lock_key,
    settings_sql,
)
from neuron_schema.model import ServerFacts

FACTS = ServerFacts(
    version_num=180000,
    version="PostgreSQL 18 on x86_64-pc-linux-gnu",
    database="d",
    user="u",
    current_schema="public",
    search_path="public",
    in_recovery=False,
    through_pooler=False,
)


@pytest.mark.parametrize("name", ["neuron_migrations", "other", 'a"b'])
def test_lock_keys_are_64_bit_and_apart(name: str) -> None:
    """Run and operation have keys of their own, which PostgreSQL's bigint holds."""
    table = HistoryTable(name=name, schema="public")
    keys = {run_lock_key(table), operation_lock_key(table)}
    assert len(keys) == 2
    assert all(-(2**63) <= key < 2**63 for key in keys)
    assert keys.isdisjoint({run_lock_key(replace(table, schema="app"))})


def test_a_tiny_timeout_does_not_become_none() -> None:
    """0 means no limit to PostgreSQL, so a timeout below a millisecond is one millisecond."""
    sql = settings_sql(
        SessionSettings(search_path="", lock_timeout=0.0001), FACTS, transactional=True
    )
    assert "'lock_timeout', '1'" in sql


def test_an_operation_on_its_own_has_no_lock_timeout() -> None:
    """A timeout inside CREATE INDEX CONCURRENTLY leaves an invalid index."""
    sql = settings_sql(SessionSettings(search_path=""), FACTS, transactional=False)
    assert "'lock_timeout', '0'" in sql


def test_settings_are_those_the_server_knows() -> None:
    """transaction_timeout is new in 17; a Windows server cannot watch for lost clients."""
    old = replace(FACTS, version_num=160000, version="PostgreSQL 16, compiled by Visual C++")
    new_sql, old_sql = (
        settings_sql(SessionSettings(search_path=""), facts, transactional=True)
        for facts in (FACTS, old)
    )
    assert "transaction_timeout" in new_sql.replace("idle_in_transaction", "")
    assert "'transaction_timeout'" not in old_sql
    assert "client_connection_check_interval" in new_sql
    assert "client_connection_check_interval" not in old_sql


def test_a_deadline_ends() -> None:
    """After its time there is no further attempt; before it, delays stay below what is left."""
    assert Deadline(0).delay() is None
    deadline = Deadline(60)
    delays = [deadline.delay() for _ in range(20)]
    assert all(delay is not None and 0 < delay <= 2 for delay in delays)


def test_a_session_is_described_in_a_line() -> None:
    """Who blocks, since when and with what: a query of several lines becomes one."""
    text = describe_session((7, "u", "psql", "active", 3.4, "SELECT\n  1"))
    assert text == "pid 7 (u, psql, active), in its transaction for 3 s: SELECT 1"
