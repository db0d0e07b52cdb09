"""Throw-away databases on a server that is given, and on the embedded one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from neuron_schema.address import Address
from neuron_schema.errors import PrivilegeMissing, ServerUnsupported
from neuron_schema.proof.shadow import connected, open_shadow
from tests.conftest import from_engine_url
from tests.runs import scalar, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    from sqlalchemy.engine import URL

_HOLD = """
import sys, time
from neuron_schema.proof.shadow import open_shadow
from neuron_schema.url import Address
with open_shadow(Address(params=eval(sys.argv[1]))) as shadow:
    print(shadow.create().params["dbname"], flush=True)
    time.sleep(600)
"""


@pytest.fixture
def given(server: URL) -> Address:
    """Return the address of the test's server, as somebody would give it."""
    return from_engine_url(server)


def exists(admin: psycopg.Connection, name: str) -> bool:
    """Whether there is a database of that name."""
    found = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
    return found.fetchone() is not None


def name_of(address: Address) -> str:
    """Return the database that an address names."""
    return address.params["dbname"]


@pytest.fixture
def elsewhere(given: Address) -> Iterator[subprocess.Popen[str]]:
    """Yield another process that holds a shadow with one database, and prints its name."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, repr(dict(given.params))],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        yield process
        process.kill()


def test_every_database_is_dropped_at_the_end(given: Address, admin: psycopg.Connection) -> None:
    """Also one that nobody dropped, and one with a session in it."""
    with open_shadow(given) as shadow:
        first, second = shadow.create(), shadow.create()
        assert name_of(first) != name_of(second)
        with connected(second), shadow.database() as third:
            assert all(exists(admin, name_of(each)) for each in (first, second, third))
    assert not any(exists(admin, name_of(each)) for each in (first, second, third))


def test_a_database_is_dropped_when_its_block_fails(
    given: Address, admin: psycopg.Connection
) -> None:
    """What is raised in the block comes out as it is."""
    made: list[Address] = []

    def fail() -> None:
        with open_shadow(given) as shadow, shadow.database() as address:
            made.append(address)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not exists(admin, name_of(made[0]))


def test_a_database_is_made_from_a_template(given: Address) -> None:
    """It holds what that held when the last session had left it."""
    with open_shadow(given) as shadow:
        template = shadow.create()
        with connected(template) as connection:
            connection.execute("CREATE TABLE t AS SELECT 42 AS n")
        with connected(shadow.create(template)) as connection:
            assert scalar(connection, "SELECT n FROM t") == 42


def test_what_a_killed_run_left_is_dropped_by_the_next(
    given: Address, admin: psycopg.Connection, elsewhere: subprocess.Popen[str]
) -> None:
    """As soon as the server knows that it is dead, and no sooner."""
    assert elsewhere.stdout is not None
    name = elsewhere.stdout.readline().strip()
    with open_shadow(given):
        assert exists(admin, name), "its run lives"
    elsewhere.send_signal(signal.SIGKILL)
    elsewhere.wait()
    # Its session holds the lock until the server notices.
    wait_for(
        lambda: (
            scalar(
                admin,
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())",
            )
            == 0
        )
    )
    with open_shadow(given):
        assert not exists(admin, name)


@pytest.mark.parametrize("comment", ["NULL", "'mine'"])
def test_a_database_without_our_mark_is_left_alone(
    given: Address, admin: psycopg.Connection, comment: str
) -> None:
    """Even where its name is one of ours and no run holds its lock."""
    name = f"neuron_schema_shadow_{os.getpid():016x}_1"
    admin.execute(f"CREATE DATABASE {name}".encode())
    try:
        admin.execute(f"COMMENT ON DATABASE {name} IS {comment}".encode())
        with open_shadow(given):
            assert exists(admin, name)
    finally:
        admin.execute(f"DROP DATABASE {name}".encode())


def test_a_marked_database_of_a_dead_run_is_dropped(
    given: Address, admin: psycopg.Connection
) -> None:
    """The counterpart: the mark and the name, and nobody who holds the lock."""
    with open_shadow(given) as shadow:
        mark = scalar(
            admin,
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database "
            f"WHERE datname = '{name_of(shadow.create())}'",
        )
    name = f"neuron_schema_shadow_{os.getpid():016x}_1"
    admin.execute(f"CREATE DATABASE {name}".encode())
    admin.execute(f"COMMENT ON DATABASE {name} IS '{mark}'".encode())
    with open_shadow(given):
        assert not exists(admin, name)


def test_a_role_that_may_not_create_databases_is_told_of_the_flag(
    given: Address, admin: psycopg.Connection
) -> None:
    """Before anything is run."""
    admin.execute("CREATE ROLE poor_shadow LOGIN PASSWORD 'poor'")
    try:
        params = {**given.params, "user": "poor_shadow", "password": "poor"}
        with (
            pytest.raises(PrivilegeMissing, match="poor_shadow") as caught,
            open_shadow(Address(params=params)),
        ):
            pass
    finally:
        admin.execute("DROP ROLE poor_shadow")
    assert "--shadow-url" in str(caught.value)
    assert caught.value.exit_code == 7


def test_a_server_of_another_major_is_refused(given: Address, admin: psycopg.Connection) -> None:
    """PostgreSQL prints one and the same thing otherwise there."""
    with (
        pytest.raises(ServerUnsupported, match=r"PostgreSQL 13, the shadow on") as caught,
        open_shadow(given, major=13),
    ):
        pass
    assert "--shadow-url" in str(caught.value)
    assert caught.value.exit_code == 7


def test_a_major_that_the_embedded_server_does_not_come_in_is_refused() -> None:
    """The message names those that it has."""
    with (
        pytest.raises(ServerUnsupported, match="comes in 18 and 16") as caught,
        open_shadow(major=17),
    ):
        pass
    assert "--shadow-url" in str(caught.value)


def test_only_the_embedded_server_goes_without_fsync(
    given: Address, admin: psycopg.Connection
) -> None:
    """A given server's settings are its owner's."""
    before = scalar(admin, "SHOW fsync")
    with open_shadow(given) as shadow, connected(shadow.create()) as connection:
        assert scalar(connection, "SHOW fsync") == before
        assert scalar(connection, "SHOW synchronous_commit") == scalar(
            admin, "SHOW synchronous_commit"
        )
    with open_shadow(major=18) as shadow, connected(shadow.create()) as connection:
        assert scalar(connection, "SHOW fsync") == "off"
