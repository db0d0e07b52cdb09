"""A throw-away server exists for the length of its block."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from neuron_schema.embedded import temporary, temporary_server
from neuron_schema.embedded.account import server_account
from neuron_schema.embedded.files import is_locked
from neuron_schema.embedded.temporary import sweep, temporary_base
from neuron_schema.errors import EmbeddedFailed

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from neuron_schema.embedded import temporary_server
with temporary_server() as address:
    print(address.params["host"], flush=True)
    time.sleep(600)
"""


def one(params: dict[str, str], query: str) -> object:
    """Return the only value of a query."""
    conninfo = psycopg.conninfo.make_conninfo(**params)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("major", [18, 16])
def test_it_is_an_empty_postgresql_of_the_major_asked_for(major: int) -> None:
    """The database is postgres, the role its superuser, the directory gone afterwards."""
    with temporary_server(major=major) as address:
        params = address.conninfo()
        assert address.embedded
        assert one(params, "SELECT current_setting('server_version_num')::int / 10000") == major
        assert (
            one(params, "SELECT current_user || ' ' || current_database()") == "postgres postgres"
        )
        assert one(params, "SELECT name FROM pg_available_extensions WHERE name = 'vector'")
    assert not Path(params["host"]).exists()


def test_it_is_the_same_on_every_machine() -> None:
    """Encoding, locale and time zone come from us; the speed from what it may lose."""
    wanted = {
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
        "lc_messages": "C",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "listen_addresses": "",
    }
    with temporary_server() as address:
        for name, value in wanted.items():
            assert one(address.conninfo(), f"SELECT current_setting('{name}')") == value
        query = "SELECT datlocprovider::text || datlocale FROM pg_database LIMIT 1"
        assert one(address.conninfo(), query) == "bC.UTF-8"


def test_it_listens_on_tcp_where_asked_to_and_wants_its_password() -> None:
    """The address holds what a client needs; without it nobody gets in."""
    with temporary_server(settings={"listen_addresses": "127.0.0.1"}) as address:
        params = address.conninfo()
        assert params["host"] == "127.0.0.1"
        assert one(params, "SELECT 1") == 1
        with pytest.raises(psycopg.OperationalError, match="password"):
            one({**params, "password": "another"}, "SELECT 1")


def test_further_settings_reach_the_server() -> None:
    """They go before ours."""
    given = {"max_connections": "7", "fsync": "on", "cluster_name": "it's \\ mine"}
    with temporary_server(settings=given) as address:
        for name, value in given.items():
            assert one(address.conninfo(), f"SELECT current_setting('{name}')") == value


def test_two_servers_live_side_by_side() -> None:
    """Each has a directory and a socket of its own."""
    with temporary_server() as first, temporary_server() as second:
        assert first != second
        assert one(second.conninfo(), "SELECT count(*) FROM pg_database") == 3


def test_a_server_that_does_not_start_says_what_its_log_says() -> None:
    """The end of the log is in the error, and nothing is left."""
    with (
        pytest.raises(EmbeddedFailed, match="did not start") as caught,
        temporary_server(settings={"shared_buffers": "nonsense"}),
    ):
        pytest.fail("it started")
    assert 'invalid value for parameter "shared_buffers"' in str(caught.value)
    assert not Path(caught.value.where or "").exists()


def test_the_block_may_raise() -> None:
    """The exception passes through and the server ends all the same."""
    with pytest.raises(ZeroDivisionError), temporary_server() as address:
        _ = 1 / 0
    assert not Path(address.params["host"]).exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_a_process_that_is_killed(number: signal.Signals) -> None:
    """Nothing survives its user, not even kill -9."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as user:
        assert user.stdout is not None
        home = Path(user.stdout.readline().strip())
        assert is_locked(home / "alive.lock")
        user.send_signal(number)
    deadline = time.monotonic() + 60
    while home.exists():
        assert time.monotonic() < deadline, "the server or its directory is still there"
        time.sleep(0.02)


def test_it_ends_though_its_own_server_was_killed() -> None:
    """A postmaster that died before the end of the block is no reason to hang."""
    with temporary_server() as address:
        home = Path(address.params["host"])
        pid = int((home / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, signal.SIGKILL)
    assert not home.exists()


def test_what_nobody_holds_any_more_is_swept(tmp_path: Path) -> None:
    """An old directory without a server goes; a young one and one in use stay."""
    account = server_account()
    names = ("neuron-schema-tmp-old", "neuron-schema-tmp-young", "neuron-schema-socket-x")
    for name in names:
        (tmp_path / name).mkdir()
        account.own(tmp_path / name)
    for name in ("neuron-schema-tmp-old", "neuron-schema-socket-x"):
        os.utime(tmp_path / name, (0, 0))
    sweep(tmp_path, account)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "neuron-schema-socket-x",
        "neuron-schema-tmp-young",
    ]


def test_a_directory_in_use_is_not_swept(tmp_path: Path) -> None:
    """A server that has run for long keeps what it stands on."""
    with temporary_server() as address:
        home = Path(address.params["host"])
        os.utime(home, (0, 0))
        sweep(home.parent, server_account())
        assert one(address.conninfo(), "SELECT 1") == 1
        assert (home / "data").is_dir()


def test_data_that_nobody_will_miss_are_kept_in_memory_where_there_is_room(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not where the user has chosen a place, nor in a container's 64 MB."""
    account = server_account()
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(temporary, "_MEMORY", str(tmp_path))
    monkeypatch.setattr(temporary, "fits_socket", lambda *_: True)
    monkeypatch.setattr(account.__class__, "can_reach", lambda *_, **__: True)
    assert temporary_base(account, in_memory=True) == tmp_path
    assert temporary_base(account) != tmp_path
    monkeypatch.setattr(temporary, "_ROOM", 2**80)
    assert temporary_base(account, in_memory=True) != tmp_path
    monkeypatch.undo()
    monkeypatch.setattr(temporary, "_MEMORY", str(tmp_path / "absent"))
    assert temporary_base(account, in_memory=True).is_dir()
    monkeypatch.setattr(temporary, "_MEMORY", str(tmp_path))
    monkeypatch.setenv("TMPDIR", "/tmp")
    assert temporary_base(account, in_memory=True) != tmp_path
