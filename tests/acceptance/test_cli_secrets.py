"""No password is shown, wherever it was given and whatever goes wrong.

``Command`` looks for the password in every output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

import psycopg
import pytest

from neuron_schema.embedded import temporary_server
from tests.acceptance.command import CANARY
from tests.conftest import from_engine_url, libpq
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.acceptance.command import Command

Place = "Callable[[Command, Mapping[str, str]], dict[str, str]]"


@pytest.fixture(scope="module")
def account() -> Iterator[dict[str, str]]:
    """Yield where to log in over TCP with a password that nothing may print."""
    with temporary_server(settings={"listen_addresses": "127.0.0.1"}) as server:
        url = server.sqlalchemy_url()
        with psycopg.connect(libpq(url), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE canary LOGIN SUPERUSER PASSWORD '{CANARY}'".encode())
        port = from_engine_url(url).params.get("port", "5432")
        yield {"host": "127.0.0.1", "port": port, "user": "canary", "dbname": "postgres"}


def as_url(account: Mapping[str, str], secret: str = f":{CANARY}") -> str:
    """Return the account as a URL."""
    where = f"{account['host']}:{account['port']}/{account['dbname']}"
    return f"postgresql://{account['user']}{secret}@{where}"


def as_pairs(account: Mapping[str, str]) -> str:
    """Return the account in libpq's own spelling."""
    return " ".join(f"{key}={value}" for key, value in account.items())


def in_url(_cli: Command, account: Mapping[str, str]) -> dict[str, str]:
    """Put the password into the address."""
    return {"DATABASE_URL": as_url(account)}


def in_pairs(_cli: Command, account: Mapping[str, str]) -> dict[str, str]:
    """Put the password into libpq's pairs."""
    return {"NEURON_SCHEMA_DATABASE_URL": f"{as_pairs(account)} password='{CANARY}'"}


def in_query(_cli: Command, account: Mapping[str, str]) -> dict[str, str]:
    """Put the password behind the question mark."""
    return {"DATABASE_URL": f"{as_url(account, '')}?password={CANARY}"}


def in_variable(_cli: Command, account: Mapping[str, str]) -> dict[str, str]:
    """Put the password into libpq's variable."""
    return {"DATABASE_URL": as_url(account, ""), "PGPASSWORD": CANARY}


def in_passfile(cli: Command, account: Mapping[str, str]) -> dict[str, str]:
    """Put the password into a file of passwords."""
    file = cli.directory / "pgpass"
    file.write_text(f"*:*:*:*:{CANARY}\n")
    file.chmod(0o600)
    return {"DATABASE_URL": as_url(account, ""), "PGPASSFILE": str(file)}


def in_service(cli: Command, account: Mapping[str, str]) -> dict[str, str]:
    """Put the whole account into a file of services."""
    lines = [f"{key}={value}" for key, value in account.items()]
    file = cli.directory / "services"
    file.write_text("\n".join(["[mine]", *lines, f"password={CANARY}", ""]))
    return {"PGSERVICEFILE": str(file), "PGSERVICE": "mine"}


def in_settings(cli: Command, account: Mapping[str, str]) -> dict[str, str]:
    """Put the address into the project's settings."""
    (cli.directory / "pyproject.toml").write_text(
        f'[tool.neuron_schema]\ndatabase = "{as_url(account)}"\ndeadline = 0\n'
        f'direct_url = "{as_url(account)}"\n'
    )
    return {}


def in_direct_url(_cli: Command, account: Mapping[str, str]) -> dict[str, str]:
    """Put it into the address past a pooler too."""
    return {"DATABASE_URL": as_url(account), "NEURON_SCHEMA_DIRECT_URL": as_url(account)}


PLACES = [
    in_url,
    in_pairs,
    in_query,
    in_variable,
    in_passfile,
    in_service,
    in_settings,
    in_direct_url,
]


@pytest.fixture(autouse=True)
def _impatient(offline: Command) -> None:
    """Let nothing be waited for."""
    (offline.directory / "pyproject.toml").write_text("[tool.neuron_schema]\ndeadline = 0\n")
    (offline.directory / "versions").mkdir()


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_wherever_the_password_is_it_is_used_and_not_shown(
    offline: Command, account: dict[str, str], place: Callable[..., dict[str, str]]
) -> None:
    """Every command, well and failing, in text, in JSON and with --verbose."""
    env = place(offline, account)
    versions = offline.directory / "versions"
    write_version(versions, "001_a", up=["CREATE TABLE a ()"], down=["DROP TABLE a"])
    try:
        for arguments in (
            ["status"],
            ["plan"],
            ["up", "-v"],
            ["up"],
            ["wait"],
            ["down", "--yes", "-v"],
            ["up", "--json"],
            ["reset", "--dry-run"],
        ):
            offline.quick(*arguments, env=env)
        offline.quick("down", code=9, env=env)
        offline.quick("down", "--json", code=9, env=env)
        write_version(versions, "002_b", up=["SELECT 1/0"])
        for arguments in (["up"], ["up", "--json"], ["up", "-v"]):
            offline.quick(*arguments, code=1, env=env)
        write_version(versions, "002_b", up=["CREATE EXTENSION absent_one"])
        offline.quick("up", code=7, env=env)
        with mock.patch("neuron_schema.standing.statuses", side_effect=RuntimeError("odd")):
            offline.quick("status", code=1, env=env)
    finally:
        (versions / "002_b.py").unlink(missing_ok=True)
        offline.quick("reset", "--yes", env=env)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.parametrize(
    "wrong",
    [{"user": "nobody"}, {"dbname": "absent"}, {"port": "1"}, {"host": "no-such-host.invalid"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_connection_that_fails_does_not_show_it_either(
    offline: Command,
    account: dict[str, str],
    place: Callable[..., dict[str, str]],
    wrong: dict[str, str],
) -> None:
    """A refused role (its password is wrong too), an absent database, port and host."""
    env = place(offline, account | wrong)
    write_version(offline.directory / "versions", "001_a")
    assert "error[NS701]" in offline.quick("up", code=7, env=env).err
    assert offline.quick("status", "--json", code=7, env=env).json["error"]["code"] == "NS701"


def test_a_direct_address_that_fails_does_not_show_it(
    offline: Command, account: dict[str, str]
) -> None:
    """It is used for operations that commit on their own alone."""
    write_version(
        offline.directory / "versions",
        "001_a",
        imports=(
            "from sqlalchemy import Column, Index, Integer, MetaData, Table\n"
            "from sqlalchemy.schema import CreateIndex"
        ),
        body=(
            't = Table("pg_am", MetaData(), Column("oid", Integer))\n'
            'i = Index("i", t.c.oid, postgresql_concurrently=True)'
        ),
        up="[CreateIndex(i)]",
    )
    env = {"DATABASE_URL": as_url(account)}
    for direct in (
        as_url(account | {"port": "1"}),
        as_url(account, f":wrong{CANARY}"),
        as_url(account | {"dbname": "template1"}),
        f"postgresql://u:{CANARY}@[h/d",
    ):
        for given in ([], ["--json"]):
            status = 2 if "template1" in direct or "[" in direct else 7
            offline.quick("up", "--direct-url", direct, *given, code=status, env=env)


@pytest.mark.parametrize(
    "text",
    [
        "[tool.neuron_schema]\ndatabase = 'postgresql://u:{}@h/d",
        "[tool.neuron_schema]\ndatabse = 'postgresql://u:{}@h/d'\n",
        "[tool.neuron_schema]\ndatabase = ['postgresql://u:{}@h/d']\n",
        "[tool.neuron_schema]\ndatabase = 'postgresql://u:{}@h:port/d'\n",
        "[tool.neuron_schema]\nversions = 'postgresql://u:{}@h/d'\n",
        "[tool.neuron_schema]\nrole = 5 # postgresql://u:{}@h/d\n",
        "[tool.neuron_schema]\nschemas = ['postgresql://u:{}@h/d', 1]\n",
        "[tool.neuron_schema]\nenv = 'postgresql://u:{}@h/d'\n",
        "[tool.neuron_schema.env.'postgresql://u:{}@h/d']\nx = 1\n",
    ],
)
def test_settings_that_are_wrong_do_not_show_it(offline: Command, text: str) -> None:
    """Whichever key it is in, of whichever kind."""
    (offline.directory / "pyproject.toml").write_text(text.format(CANARY))
    offline.quick("status", code=2)
    offline.quick("up", "--json", code=2)


def test_an_internal_error_does_not_show_it(offline: Command, account: dict[str, str]) -> None:
    """Whatever an exception's text holds that looks like an address."""
    env = {"DATABASE_URL": as_url(account)}
    write_version(offline.directory / "versions", "001_a")
    for text in (
        as_url(account),
        f"{as_pairs(account)} password={CANARY}",
        f"password='{CANARY} x'",
    ):
        for place in ("neuron_schema.standing.statuses", "neuron_schema.cli.entry._command"):
            with mock.patch(place, side_effect=RuntimeError(f"odd: {text}: odd")):
                assert "error[NS199]" in offline.quick("status", code=1, env=env).err
                offline.quick("status", "--json", code=1, env=env)
        with mock.patch(
            "neuron_schema.execution.execution.run_step", side_effect=RuntimeError(text)
        ):
            offline.quick("up", code=1, env=env)
