"""A backfill beside a standby: it goes no faster than that can follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.backfill_pace import LARGEST_LAG_BYTES
from neuron_schema.events import Event, StepProgress, StepWaiting
from neuron_schema.runner import MigrationRunner
from tests.backfills import create_items, touches, write_backfill
from tests.conftest import libpq
from tests.runs import scalar, wait_for
from tests.standby import primary_and_standby

if TYPE_CHECKING:
    from pathlib import Path

BEHIND = (
    "SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)), 0)::float8 "
    "FROM pg_stat_replication WHERE state = 'streaming'"
)


@pytest.mark.parametrize("gives_up", [False, True], ids=["catches up", "stays behind"])
def test_a_standby_that_is_far_behind_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, gives_up: bool
) -> None:
    """Between two batches, for a while: it may be broken, and then the backfill goes on."""
    reasons: list[str] = []
    if gives_up:
        monkeypatch.setattr("neuron_schema.execution.backfill._LONGEST_LAG_WAIT_S", 0.1)
    with (
        primary_and_standby() as (primary, standby),
        psycopg.connect(libpq(primary), autocommit=True) as observer,
        psycopg.connect(libpq(standby), autocommit=True) as replica,
    ):
        create_items(observer, 40)
        wait_for(lambda: scalar(replica, "SELECT to_regclass('items') IS NOT NULL"))
        fall_behind = False

        def listen(event: Event) -> None:
            nonlocal fall_behind
            if isinstance(event, StepProgress) and not fall_behind:
                fall_behind = True
                replica.execute("SELECT pg_wal_replay_pause()")
                for _ in range(6):
                    observer.execute("SELECT pg_logical_emit_message(false, 'x', 'x')")
                    observer.execute("SELECT pg_switch_wal()")
                wait_for(lambda: scalar(observer, BEHIND) > LARGEST_LAG_BYTES)
            if isinstance(event, StepWaiting):
                reasons.append(event.reason)
                if not gives_up:
                    replica.execute("SELECT pg_wal_replay_resume()")

        engine = create_engine(primary, poolclass=NullPool)
        up = '[Backfill(items, {"b": "lower(a)"}, batch_size=10)]'
        MigrationRunner(
            engine, write_backfill(tmp_path, up), listeners=[listen], allow_non_empty=True
        ).up()
        assert touches(observer) == (40, 1)
        assert set(reasons) == {"a standby is far behind: neuron-schema"}
        replica.execute("SELECT pg_wal_replay_resume()")
        wait_for(lambda: scalar(replica, "SELECT count(b) FROM items") == 40)
