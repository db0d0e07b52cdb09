"""What a service may log of us holds no password: exceptions, values, log records."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuron_schema.errors import AddressError, ConnectionFailed, NeuronSchemaError
from neuron_schema.runner import MigrationRunner
from neuron_schema.settings import Settings, load
from neuron_schema.url import parse
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

CANARY = "c4n4ry-p4ssw0rd"


def texts_of(error: BaseException) -> Iterator[str]:
    """Yield everything that a log may show of an exception and of those behind it."""
    seen: BaseException | None = error
    yield repr(vars(error))
    yield "".join(traceback.format_exception(error))
    while seen is not None:
        yield str(seen)
        yield repr(seen)
        seen = seen.__cause__ or seen.__context__


@pytest.mark.parametrize(
    ("change", "up"),
    [
        ({"host": "127.0.0.1", "port": 1}, "SELECT 1"),
        ({"database": "absent"}, "SELECT 1"),
        ({}, "SELECT 1/0"),
        ({}, "CREATE EXTENSION absent_one"),
        ({}, "SELECT pg_terminate_backend(pg_backend_pid())"),
    ],
)
def test_no_exception_of_a_run_holds_the_password(
    database: URL,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, Any],
    up: str,
) -> None:
    """Nor the one behind it, nor what SQLAlchemy and psycopg log, nor the runner's own repr."""
    url = database.difference_update_query(["host", "port"]) if change.get("host") else database
    engine = create_engine(url.set(password=CANARY, **change), poolclass=NullPool)
    write_version(tmp_path, "001_a", up=[up])
    runner = MigrationRunner(engine, tmp_path, deadline=0)
    with caplog.at_level(logging.DEBUG), pytest.raises(NeuronSchemaError) as caught:
        runner.up()
    for text in (*texts_of(caught.value), caplog.text, repr(runner), repr(engine)):
        assert CANARY not in text


def test_no_value_shows_the_password_it_holds(tmp_path: Path) -> None:
    """Settings and addresses may stand in a log or in a traceback's locals."""
    address = f"postgresql://u:{CANARY}@h/d?sslpassword={CANARY}"
    settings = load(
        directory=tmp_path, environ={"DATABASE_URL": address}, direct_url=f"{address}&x=1"
    )
    assert settings.database == address
    for value in (settings, Settings(root=Path(), database=address), parse(address)):
        assert CANARY not in repr(value)
        assert CANARY not in str(value)
    assert CANARY not in str(parse(address).target)
    with pytest.raises(AddressError) as caught:
        settings.direct_address()
    assert all(CANARY not in text for text in texts_of(caught.value))


def test_a_connection_that_is_refused_says_what_and_not_with_which_password(
    database: URL, tmp_path: Path
) -> None:
    """The user's name and the server's words are kept."""
    engine = create_engine(
        database.set(username="nobody_known", password=CANARY), poolclass=NullPool
    )
    write_version(tmp_path, "001_a")
    with pytest.raises(ConnectionFailed) as caught:
        MigrationRunner(engine, tmp_path).get_status()
    assert "nobody_known" in caught.value.message
    assert all(CANARY not in text for text in texts_of(caught.value))
