"""The schema that versions build one after the other, and another that goes on from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.history import HistoryTable
from neuron_schema.proof.ground import Workshop
from neuron_schema.proof.shadow import open_shadow
from neuron_schema.proof.trunk import trunk_of
from tests.conftest import from_engine_url
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg
    from sqlalchemy.engine import URL

    from neuron_schema.proof.trunk import Trunk


@pytest.fixture
def workshop(server: URL, tmp_path: Path) -> Iterator[Workshop]:
    """Yield a workshop on the test's server, with four versions of which the third raises."""
    for number, name in enumerate("abcd", 1):
        up = f"CREATE TABLE {name} (id int)" if name != "c" else "SELECT 1/0"
        write_version(tmp_path, f"{number:03d}_{name}", up=[up])
    with open_shadow(from_engine_url(server)) as shadow:
        yield Workshop(shadow=shadow, directory=tmp_path, history=HistoryTable())


def tables(workshop: Workshop, trunk: Trunk) -> list[str]:
    """Return the tables that there are."""
    with workshop.open(trunk.address) as ground:
        return [table.name for table in ground.snapshot().tables]


def test_a_fork_goes_on_from_where_its_trunk_stands(workshop: Workshop) -> None:
    """Neither sees what the other does; a failure takes each back to what it had itself."""
    first, second, bad, last = VersionSet(workshop.directory).migrations()
    with trunk_of(workshop, (first, second, bad, last)) as trunk:
        assert trunk.grow(first) is None
        with trunk.fork() as fork:
            assert trunk.grow(second) is None
            assert tables(workshop, fork) == ["a"]
            assert fork.grow(bad) is not None
            assert tables(workshop, fork) == ["a"]
            assert fork.grow(last) is None
            assert tables(workshop, fork) == ["a", "d"]
            assert tables(workshop, trunk) == ["a", "b"]
        assert trunk.grow(bad) is not None
        assert tables(workshop, trunk) == ["a", "b"]


def test_a_fork_outlives_its_trunk_and_leaves_nothing(
    workshop: Workshop, admin: psycopg.Connection
) -> None:
    """What the trunk had to leave out, the fork is without as well."""
    first, second, bad, _ = VersionSet(workshop.directory).migrations()
    trunks = trunk_of(workshop, (first, second, bad))
    trunk = trunks.__enter__()
    trunk.leave_out(bad)
    forks = trunk.fork()
    fork = forks.__enter__()
    trunks.__exit__(None, None, None)
    assert fork.without == ("003_c",)
    assert fork.grow(first) is None
    assert tables(workshop, fork) == ["a"]
    forks.__exit__(None, None, None)
    names = [each.address.params["dbname"] for each in (trunk, fork)]
    rows = admin.execute("SELECT 1 FROM pg_database WHERE datname = ANY (%s)", (names,))
    assert rows.fetchall() == []
