"""A connection cut at every message of a run, before the server got it and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine

from neuron_schema.errors import ConnectionFailed, NeuronSchemaError
from neuron_schema.model import Direction, Report
from neuron_schema.runner import MigrationRunner
from tests.faults.invariants import CANARY, Golden, Witness, cache_of
from tests.faults.size import WHOLE, chosen
from tests.proxy import Proxy

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

    from tests.faults.counts import Counts

_SHARES = 8 if WHOLE else 2
_BOUNDED = 4


def attempt(url: URL, golden: Golden, direction: Direction) -> Report | NeuronSchemaError:
    """Run all versions on an engine with a pool of one; return what came of it."""
    engine = create_engine(
        url.set(password=CANARY), pool_size=1, max_overflow=0, use_native_hstore=False
    )
    runner = MigrationRunner(
        engine, golden.directory, deadline=60, cache_directory=cache_of(golden)
    )
    try:
        return runner.up() if direction is Direction.UP else runner.reset()
    except NeuronSchemaError as error:
        return error
    finally:
        engine.dispose()


def messages(witness: Witness) -> tuple[list[bytes], list[bytes]]:
    """Return the kinds of the messages that an undisturbed up and down send."""
    sent = []
    for direction in (Direction.UP, Direction.DOWN):
        with Proxy(witness.database) as proxy:
            result = attempt(proxy.url, witness.golden, direction)
            assert isinstance(result, Report)
            sent.append(proxy.kinds)
    witness.forget()
    return sent[0], sent[1]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("share", range(_SHARES))
@pytest.mark.parametrize("deliver", [False, True], ids=["before", "after"])
def test_a_run_cut_at_any_message_ends_right_with_one_plain_run(
    witness: Witness, counts: Counts, share: int, *, deliver: bool
) -> None:
    """Up and down over versions of every kind: the run itself or a plain one completes it."""
    lost_commits = 0
    last = max(map(len, messages(witness)))
    points = chosen(list(range(1 + share, last + 1, _SHARES)), bounded=_BOUNDED)
    for point in points:
        for direction in (Direction.UP, Direction.DOWN):
            with Proxy(witness.database, cut_at=point, deliver=deliver) as proxy:
                result = attempt(proxy.url, witness.golden, direction)
                reached = proxy.cut
            rows = witness.check_fault(direction, result)
            if isinstance(result, NeuronSchemaError):
                # Only the first look gives up at once: there is nothing to lose yet.
                assert isinstance(result, ConnectionFailed), result
                assert result.report is None, result
            else:
                assert rows == (list(witness.golden.versions) if direction is Direction.UP else [])
                lost_commits += sum(step.confirmed for step in result.steps)
            witness.check_recovery(direction)
            witness.observer.execute("TRUNCATE ledger.entries")
            counts.add("cut points recovered", int(reached))
        witness.forget()
    counts.add("lost COMMIT replies confirmed from the history row", lost_commits)


@pytest.mark.timeout(900)
def test_a_run_whose_commit_goes_unanswered_says_what_became_of_it(
    witness: Witness, counts: Counts
) -> None:
    """The last message of a step is lost on the way back: the history row tells the outcome."""
    up, _ = messages(witness)
    ends = [number for number, kind in enumerate(up, 1) if kind == b"S"]
    confirmed = 0
    for point in chosen(ends, bounded=5):
        with Proxy(witness.database, cut_at=point, deliver=True) as proxy:
            result = attempt(proxy.url, witness.golden, Direction.UP)
        witness.check_fault(Direction.UP, result)
        if isinstance(result, Report):
            confirmed += sum(step.confirmed for step in result.steps)
        witness.check_recovery(Direction.UP)
        witness.observer.execute("TRUNCATE ledger.entries")
        witness.check_recovery(Direction.DOWN)
        witness.forget()
    assert confirmed > 0
    counts.add("lost COMMIT replies confirmed from the history row", confirmed)
