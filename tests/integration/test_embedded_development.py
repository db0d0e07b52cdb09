"""The project's development server starts when needed and goes with its last user."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from neuron_schema.embedded import DevelopmentServer
from neuron_schema.embedded.binaries import STATE_DIRECTORY
from neuron_schema.errors import EmbeddedFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.address import Address

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands a server to another user")


def one(address: Address, query: str) -> object:
    """Return the only value of a query."""
    conninfo = psycopg.conninfo.make_conninfo(**address.conninfo())
    with psycopg.connect(conninfo, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def run(address: Address, statement: str) -> None:
    """Run a statement that returns nothing."""
    conninfo = psycopg.conninfo.make_conninfo(**address.conninfo())
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture
def project() -> Iterator[Path]:
    """Yield a project directory that every user can enter; its server is stopped afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="project ", dir="/tmp")).resolve()
    directory.chmod(0o755)
    yield directory
    for home in directory.rglob(".neuron_schema"):
        DevelopmentServer(home.parent).stop(force=True)
    shutil.rmtree(directory)


def test_it_starts_for_its_first_user_and_stops_with_its_last(project: Path) -> None:
    """Users may be nested; the server is there as long as one of them."""
    server = DevelopmentServer(project)
    assert not server.status().running
    with server.in_use() as outer:
        with DevelopmentServer(project).in_use() as inner:
            assert inner == outer
        assert server.status().running
        assert server.status().used
        assert one(outer, "SELECT current_database()") == "neuron"
    assert not server.status().running
    assert not server.status().used


def test_looking_at_a_server_that_never_ran_creates_nothing(project: Path) -> None:
    """A status, and a stop, leave a project as it was."""
    server = DevelopmentServer(project)
    assert server.status().data_directory == project / ".neuron_schema" / "data"
    assert server.stop()
    assert list(project.iterdir()) == []


def test_the_data_outlive_the_server_and_are_durable(project: Path) -> None:
    """What was committed is there at the next start; Git does not see it."""
    server = DevelopmentServer(project)
    with server.in_use() as address:
        run(address, "CREATE TABLE kept AS SELECT 42 AS answer")
        assert one(address, "SELECT current_setting('fsync')") == "on"
    with server.in_use() as address:
        assert one(address, "SELECT answer FROM kept") == 42
    assert (project / ".neuron_schema" / ".gitignore").read_text() == "*\n"


def test_a_kept_server_runs_until_it_is_stopped(project: Path) -> None:
    """Its users come and go, and it stays."""
    server = DevelopmentServer(project)
    server.start(keep=True)
    with server.in_use():
        pass
    status = server.status()
    assert (status.running, status.kept, status.used) == (True, True, False)
    assert status.pid is not None
    assert status.major == 18
    assert status.address is not None
    assert one(status.address, "SELECT 1") == 1
    assert server.stop()
    assert not server.status().running
    assert not server.status().kept


def test_a_stop_leaves_a_used_server_to_its_last_user(project: Path) -> None:
    """Without force nobody's work is cut off."""
    server = DevelopmentServer(project)
    server.start(keep=True)
    with server.in_use() as address:
        assert not server.stop()
        assert one(address, "SELECT 1") == 1
    assert not server.status().running


def test_a_stop_by_force_ends_a_used_server(project: Path) -> None:
    """And the user that it was taken from leaves without an error."""
    server = DevelopmentServer(project)
    with server.in_use():
        assert server.stop(force=True)
        assert not server.status().running


def test_a_killed_server_is_started_again(project: Path) -> None:
    """Its pid file does not deceive the next user, and what was committed is there."""
    server = DevelopmentServer(project)
    address = server.start(keep=True)
    run(address, "CREATE TABLE kept AS SELECT 42 AS answer")
    pid = server.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while server.status().pid == pid:
        time.sleep(0.01)
    with server.in_use() as address:
        assert one(address, "SELECT answer FROM kept") == 42


def test_the_number_of_a_killed_server_may_be_another_process_s(project: Path) -> None:
    """A pid file that names a living process, but no server, does not hinder a start."""
    with DevelopmentServer(project).in_use():
        data = DevelopmentServer(project).status().data_directory
        text = (data / "postmaster.pid").read_text()
    stale = text.split("\n")
    stale[0] = str(os.getpid())
    (data / "postmaster.pid").write_text("\n".join(stale))
    assert not DevelopmentServer(project).status().running
    with DevelopmentServer(project).in_use() as address:
        assert one(address, "SELECT 1") == 1


def test_an_interrupted_first_start_leaves_nothing_in_the_way(project: Path) -> None:
    """A half made data directory has another name, and is made anew."""
    server = DevelopmentServer(project)
    with server.in_use():
        pass
    home = project / ".neuron_schema"
    (home / "data").rename(home / "data.unfinished")
    (home / "data.unfinished" / "PG_VERSION").unlink()
    with server.in_use() as address:
        assert one(address, "SELECT 1") == 1
    assert not list(home.glob("data.unfinished*"))


def test_a_start_interrupted_before_its_database_existed_is_made_good(project: Path) -> None:
    """The database is created by whoever comes next."""
    server = DevelopmentServer(project)
    with server.in_use() as address:
        params = {**address.params, "dbname": "postgres"}
        conninfo = psycopg.conninfo.make_conninfo(**params)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("DROP DATABASE neuron")
    (project / ".neuron_schema" / "database.created").unlink()
    with server.in_use() as address:
        assert one(address, "SELECT current_database()") == "neuron"


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        'it\'s "quoted"',
        "100%s",
        "größe-数据",
        "$HOME;`id`",
        "a,b",
        "a:b",
        "back\\slash",
        "-D",
    ],
)
def test_any_name_of_a_project_will_do(project: Path, name: str) -> None:
    """Quotes, per cent signs and characters of any script reach the server unharmed."""
    root = project / name
    root.mkdir()
    with DevelopmentServer(root).in_use() as address:
        run(address, 'CREATE EXTENSION "uuid-ossp"')
        engine_url = address.sqlalchemy_url()
        assert engine_url.database == "neuron"
        assert DevelopmentServer(root).status().running
    assert (root / ".neuron_schema" / "data" / "PG_VERSION").exists()


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(project: Path) -> None:
    """The socket is elsewhere, for nobody else, and goes with the server."""
    root = project / ("x" * 150)
    root.mkdir()
    with DevelopmentServer(root).in_use() as address:
        directory = Path(address.params["host"])
        assert not directory.is_relative_to(root)
        assert directory.stat().st_mode & 0o077 == 0
        assert one(address, "SELECT 1") == 1
    assert not directory.exists()


def test_data_of_another_major_are_refused_and_left_alone(project: Path) -> None:
    """The error says whose they are and where."""
    with DevelopmentServer(project, major=16).in_use():
        pass
    with pytest.raises(EmbeddedFailed, match="made by PostgreSQL 16, not 18") as caught:
        DevelopmentServer(project).start(keep=False)
    assert str(project) in str(caught.value)
    assert caught.value.remedy is not None
    with DevelopmentServer(project, major=16).in_use() as address:
        assert one(address, "SELECT 1") == 1


def test_damaged_data_are_reported_with_the_log_and_left_alone(project: Path) -> None:
    """PostgreSQL's own words are in the error, the directory to look at too."""
    with DevelopmentServer(project).in_use():
        pass
    control = project / ".neuron_schema" / "data" / "global" / "pg_control"
    control.write_bytes(b"damaged")
    with pytest.raises(EmbeddedFailed, match="did not start") as caught:
        DevelopmentServer(project).start(keep=False)
    assert "pg_control" in str(caught.value)
    assert control.read_bytes() == b"damaged"


def test_a_start_that_failed_does_not_hinder_the_next(project: Path) -> None:
    """Locks are given back on the way out."""
    with DevelopmentServer(project).in_use():
        pass
    automatic = project / ".neuron_schema" / "data" / "postgresql.auto.conf"
    automatic.write_text("shared_buffers = nonsense\n")
    for _ in range(2):
        with (
            pytest.raises(EmbeddedFailed, match="shared_buffers"),
            DevelopmentServer(project).in_use(),
        ):
            pytest.fail("it started")
    automatic.write_text("")
    with DevelopmentServer(project).in_use() as address:
        assert one(address, "SELECT 1") == 1


def test_its_psql_connects(project: Path) -> None:
    """The wheel's own client reads the address from the environment."""
    server = DevelopmentServer(project)
    with server.in_use() as address:
        output = subprocess.run(
            [server.psql(), "-XAtc", "SELECT current_database()"],
            env=address.environment(),
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    assert output == "neuron\n"


def test_it_says_that_uuid_ossp_is_a_stand_in(project: Path) -> None:
    """Whoever creates it is told what is not PostgreSQL's own; an older server has none."""
    assert "stand-in" in DevelopmentServer(project).stand_ins["uuid-ossp"]
    assert DevelopmentServer(project, major=16).stand_ins == {}


def test_a_project_that_does_not_exist_is_an_error_of_its_own(project: Path) -> None:
    """No traceback of the operating system's."""
    with pytest.raises(EmbeddedFailed, match="No such file"):
        DevelopmentServer(project / "absent").status()


@as_root
def test_root_runs_it_as_an_ordinary_user_and_keeps_others_out(project: Path) -> None:
    """Files, processes and socket belong to one account that is not root."""
    with DevelopmentServer(project).in_use():
        home = project / ".neuron_schema"
        pid = DevelopmentServer(project).status().pid
        assert home.stat().st_uid == Path(f"/proc/{pid}").stat().st_uid != 0
        assert home.stat().st_mode & 0o077 == 0
        assert {path.stat().st_uid for path in home.rglob("*")} == {home.stat().st_uid}
    assert project.stat().st_uid == 0


@as_root
def test_a_project_that_the_account_cannot_enter_has_its_data_elsewhere(project: Path) -> None:
    """No permission is opened; where the data are is said."""
    project.chmod(0o700)
    server = DevelopmentServer(project)
    try:
        with server.in_use() as address:
            assert one(address, "SELECT 1") == 1
        home = server.status().data_directory.parent
        assert home.parent == STATE_DIRECTORY
        assert any(str(home) in notice for notice in server.notices)
        assert project.stat().st_mode & 0o777 == 0o700
        assert list(project.iterdir()) == []
        project.chmod(0o755)
        assert DevelopmentServer(project).status().data_directory.parent == home
    finally:
        shutil.rmtree(server.status().data_directory.parent)


@as_root
def test_root_runs_an_ordinary_user_s_project_as_that_user(project: Path) -> None:
    """After sudo the files are not root's, so the user goes on with them."""
    os.chown(project, 65534, 65534)
    project.chmod(0o700)
    with DevelopmentServer(project).in_use() as address:
        assert one(address, "SELECT 1") == 1
    assert (project / ".neuron_schema").stat().st_uid == 65534


@as_root
def test_a_directory_laid_out_by_somebody_else_is_refused(project: Path) -> None:
    """Root does not write where another user decides what lies there."""
    home = project / ".neuron_schema"
    home.mkdir()
    os.chown(home, 65534, 65534)
    with pytest.raises(EmbeddedFailed, match="belongs to user id 65534"):
        DevelopmentServer(project).start(keep=False)
    home.rmdir()
