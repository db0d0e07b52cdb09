"""The texts and waits of locking, without a database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neuron_schema.history import HistoryTable
from neuron_schema.locking import (
    Deadline,
    Place,
    SessionSettings,
    operation_lock_key,
    run_lock_key,
    session_values,
    settings_sql,
)
from neuron_schema.model import Direction, ServerFacts, Step

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
        SessionSettings(search_path="", lock_timeout=0.0001), FACTS, Place.TRANSACTION
    )
    assert "'lock_timeout', '1ms'" in sql


def test_an_operation_on_its_own_has_no_lock_timeout() -> None:
    """A timeout inside CREATE INDEX CONCURRENTLY leaves an invalid index."""
    for place in (Place.GUARDIAN, Place.OPERATION):
        values = session_values(SessionSettings(search_path="", lock_timeout=3), FACTS, place)
        limits = {name: value for name, value in values.items() if name.endswith("_timeout")}
        assert set(limits.values()) == {"0"}, limits


def test_the_wait_for_a_lock_grows_up_to_its_limit() -> None:
    """Whoever comes later waits behind the statement that waits: at first a short wait will do."""
    settings = SessionSettings(search_path="")
    waits = [settings.lock_timeout_of(attempt) for attempt in range(4)]
    assert waits == [0.2, 0.5, 1.0, 1.0]
    short = SessionSettings(search_path="", lock_timeout=0.3)
    assert [short.lock_timeout_of(attempt) for attempt in range(3)] == [0.2, 0.3, 0.3]
    endless = SessionSettings(search_path="", lock_timeout=0)
    assert endless.lock_timeout_of(0) == 0


def test_every_limit_is_set_and_none_inherited() -> None:
    """A role or a database may have defaults that would end a run, or let it wait for ever."""
    values = session_values(SessionSettings(search_path="app"), FACTS, Place.TRANSACTION)
    assert values == {
        "search_path": "app",
        "application_name": "neuron_schema",
        "lock_timeout": "200ms",
        "statement_timeout": "0",
        "idle_in_transaction_session_timeout": "600000ms",
        "standard_conforming_strings": "on",
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "transaction_timeout": "0",
        "client_connection_check_interval": "2000ms",
    }


def test_a_versions_own_settings_go_before_the_runs() -> None:
    """Its limits replace the run's, and the rest is added; the guardian needs none of them."""
    step = Step(
        version="001",
        name="a",
        description="",
        direction=Direction.UP,
        checksum="c",
        statements=(),
        path="001_a.py",
        settings=(("lock_timeout", "5000ms"), ("maintenance_work_mem", "2GB")),
    )
    settings = SessionSettings(search_path="").of(step)
    values = session_values(settings, FACTS, Place.TRANSACTION, attempt=2)
    assert (values["lock_timeout"], values["maintenance_work_mem"]) == ("5000ms", "2GB")
    assert "maintenance_work_mem" not in session_values(settings, FACTS, Place.GUARDIAN)


def test_settings_are_those_the_server_knows() -> None:
    """transaction_timeout is new in 17; a Windows server cannot watch for lost clients."""
    old = replace(FACTS, version_num=160000, version="PostgreSQL 16, compiled by Visual C++")
    new_sql, old_sql = (
        settings_sql(SessionSettings(search_path=""), facts, Place.TRANSACTION)
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
