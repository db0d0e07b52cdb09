"""Every spelling of an address leads to the server, through psycopg, SQLAlchemy and PG*."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from neuron_schema.address import Address
from neuron_schema.url import parse
from tests.conftest import from_engine_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

QUERY = "SELECT current_user, current_database()"


def answers(address: Address) -> list[tuple[str, str]]:
    """Return user and database as seen through psycopg and through SQLAlchemy."""
    with psycopg.connect(**address.conninfo()) as connection:
        direct = connection.execute(QUERY).fetchone()
    engine = create_engine(address.sqlalchemy_url(), poolclass=NullPool)
    with engine.connect() as connected:
        row = connected.execute(text(QUERY)).one()
    engine.dispose()
    assert direct is not None
    return [(direct[0], direct[1]), (row[0], row[1])]


def place(address: Address) -> tuple[str, str]:
    """Return host and port of the server, as one URL writes them."""
    host = address.params.get("host", "")
    return host.replace("/", "%2F"), address.params.get("port", "5432")


@pytest.fixture(scope="module")
def role(admin: psycopg.Connection) -> Iterator[tuple[str, str]]:
    """Yield a role whose name and password need escapes everywhere."""
    name, password = f"u@{os.getpid()} 'x\\y", "p@s/w#o%r:d?&=+ 'é\\"
    identifier = sql.Identifier(name)
    admin.execute(
        sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(identifier, sql.Literal(password))
    )
    yield name, password
    admin.execute(sql.SQL("DROP ROLE {}").format(identifier))


@pytest.mark.parametrize(
    "spelled",
    [
        "postgres://{login}{host}:{port}/{database}",
        "postgresql://{login}{host}:{port}/{database}",
        "postgresql+asyncpg://{login}{host}:{port}/{database}?ssl=prefer",
        "postgresql+psycopg2://{login}{host}:{port}/{database}?sslmode=prefer",
        "postgresql://{login}/{database}?host={host}&port={port}",
        "postgresql://{login}{host}:1,{host}:{port}/{database}",
        "postgresql://{login}/{database}?host={host}&host={host}&port=1&port={port}",
        "postgresql://{login}{host}:{port}/{database}?application_name=a%20b&options=-cwork_mem%3D1MB",
    ],
)
def test_url_leads_to_the_server(database: URL, spelled: str) -> None:
    """Psycopg and SQLAlchemy reach the same database as the same user."""
    known = from_engine_url(database)
    host, port = place(known)
    user = database.username or ""
    secret = f":{database.password}" if database.password else ""
    address = parse(
        spelled.format(login=f"{user}{secret}@", host=host, port=port, database=database.database)
    )
    assert answers(address) == [(known.target.user, database.database)] * 2


def test_keyword_value_pairs_lead_to_the_server(database: URL) -> None:
    """A conninfo string with quotes does as well."""
    known = from_engine_url(database)
    pairs = (f"{keyword} = '{value}'" for keyword, value in known.params.items())
    assert answers(parse(" ".join(pairs))) == [(known.target.user, database.database)] * 2


def test_characters_that_need_escapes_lead_to_the_server(
    database: URL, role: tuple[str, str]
) -> None:
    """Names and passwords full of punctuation survive every form."""
    user, password = role
    known = from_engine_url(database)
    address = Address({**known.params, "user": user, "password": password})
    assert answers(address) == [(user, database.database)] * 2
    rendered = address.sqlalchemy_url().render_as_string(hide_password=False)
    assert answers(parse(rendered)) == [(user, database.database)] * 2


def test_environment_leads_a_child_to_the_server(
    database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child with nothing but PG* variables reaches the same database."""
    monkeypatch.setenv("PGDATABASE", "never")
    address = from_engine_url(database)
    code = "import psycopg; print(psycopg.connect().info.dbname)"
    child = subprocess.run(
        [sys.executable, "-c", code],
        env=address.child_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout.strip() == database.database


def test_target_is_what_libpq_connects_to(database: URL) -> None:
    """User, database, host and port are those of the connection."""
    address = from_engine_url(database)
    with psycopg.connect(**address.conninfo()) as connection:
        info = connection.info
        target = address.target
        assert (target.user, target.database, target.port) == (info.user, info.dbname, info.port)
        assert target.host in {info.host, None}
