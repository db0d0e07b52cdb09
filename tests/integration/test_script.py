"""psql runs the scripts as they stand, with the result that the runner has."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.embedded.binaries import find_binaries
from neuron_schema.history import HistoryTable
from neuron_schema.planning import make_plan, select_range
from neuron_schema.runner import MigrationRunner
from neuron_schema.script import psql_script
from tests.conftest import libpq
from tests.fingerprint import fingerprint
from tests.support import write_version

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

ROWS = "SELECT version, name, checksum FROM neuron_migrations ORDER BY version"
PSQL_FAILED = 3
"""psql's exit status for a script that ON_ERROR_STOP ended."""


def psql(url: URL, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Pipe a script into psql, with nobody's psqlrc but that of ``arguments``."""
    return subprocess.run(
        [
            find_binaries().path("psql"),
            "--no-psqlrc",
            "--quiet",
            *arguments,
            f"--dbname={libpq(url)}",
        ],
        input=script,
        capture_output=True,
        encoding="utf-8",
        # That the history table is there already is a notice.
        env={
            "PATH": os.environ["PATH"],
            "LC_ALL": "C",
            "PGOPTIONS": "-c client_min_messages=warning",
        },
        check=False,
    )


def run(url: URL, script: str) -> None:
    """Run a script that must succeed."""
    ran = psql(url, script)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr


def offline(versions: Path, start: str, end: str) -> str:
    """Return the script from one version to another, made without a database."""
    found = VersionSet(versions)
    selection = select_range(found.infos(), start, end)
    return psql_script(make_plan(selection, found.migrations(selection.infos), ()), HistoryTable())


def online(engine: Engine, versions: Path, direction: str, to: str | None = None) -> str:
    """Return the script of what the runner would do now."""
    runner = MigrationRunner(engine, versions)
    plan, look = runner.plan(direction, to=to)
    settings = runner._means.session_settings(look)
    return psql_script(plan, look.table, exists=look.exists, settings=settings)


def state(engine: Engine) -> tuple[object, list[tuple[object, ...]]]:
    """Return the schema and the history of a database."""
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.exec_driver_sql(ROWS)]
        return fingerprint(connection), rows


def applied(engine: Engine) -> list[str]:
    """Return the versions in the history."""
    with engine.connect() as connection:
        return list(connection.exec_driver_sql(ROWS).scalars())


@pytest.mark.extension("uuid-ossp")
@pytest.mark.extension("vector")
def test_the_neuron_schema_is_the_same_by_psql_and_by_the_runner(
    engine: Engine, database: URL
) -> None:
    """Up and down again, schema and history, from a dry run and from the offline script."""
    versions = Path("neuron_schema.versions")
    directory = VersionSet(str(versions)).directory
    MigrationRunner(engine, directory).up()
    right = state(engine)
    assert len(right[1]) == 4

    run(database, offline(directory, "4", "0"))
    assert applied(engine) == []
    run(database, online(engine, directory, "up"))
    assert state(engine) == right
    run(database, online(engine, directory, "down", to="0"))
    run(database, offline(directory, "0", "4"))
    assert state(engine) == right
    run(database, offline(directory, "4", "2"))
    assert applied(engine) == ["001", "002"]
    MigrationRunner(engine, directory).up()
    assert state(engine) == right


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """Return a directory with every kind of step, and SQL that psql could mistake."""
    write_version(
        tmp_path,
        "001_tables",
        up=[
            "CREATE TABLE items (id int PRIMARY KEY, tags int[], price numeric, note text)",
            "INSERT INTO items VALUES (1, '{1,2,3}', 9.5, 'a\\b :note :''x'' 100% ü; -- no')",
            "CREATE FUNCTION firsts(tags int[], n int) RETURNS int[] LANGUAGE sql\n"
            "BEGIN ATOMIC\n  SELECT tags[1:n]; -- a slice; and a comment\nEND",
            "UPDATE items SET tags = tags[1:cardinality(tags)], note = note::text || ':USER'; "
            "UPDATE items SET price = price /* :USER ; */ + 1 -- :HOST",
            "CREATE RULE watch AS ON DELETE TO items DO ALSO (SELECT 1; SELECT 2)",
            "DO $body$ BEGIN PERFORM ':USER', $x$;$x$; END $body$",
        ],
        down=["DROP TABLE items CASCADE", "DROP FUNCTION firsts"],
        docstring="Tables.",
    )
    write_version(
        tmp_path,
        "002_index",
        imports="import sqlalchemy as sa\nfrom neuron_schema.ops import Vacuum",
        body="items = sa.Table('items', sa.MetaData(), sa.Column('id', sa.Integer),"
        " sa.Column('note', sa.Text))\n"
        "index = sa.Index('items_note', items.c.note, postgresql_concurrently=True)\n",
        up="[sa.schema.CreateIndex(index)]",
        down="[sa.schema.DropIndex(index)]",
    )
    write_version(
        tmp_path,
        '003_it\'s "a" $neuron_schema$ ; :USER ü',
        up=["ALTER TABLE items ADD CHECK (price > 0)"],
        down=["ALTER TABLE items DROP CONSTRAINT items_price_check"],
    )
    return tmp_path


def test_every_kind_of_step_is_the_same_by_psql_and_by_the_runner(
    engine: Engine, database: URL, versions: Path
) -> None:
    """Transactions, an index built concurrently, and texts and names that psql could mistake."""
    MigrationRunner(engine, versions).up()
    right = state(engine)
    rows = items(engine)
    assert rows == [(1, [1, 2, 3], 10.5, "a\\b :note :'x' 100% ü; -- no:USER")]
    MigrationRunner(engine, versions).reset()
    empty = state(engine)

    for script in (online(engine, versions, "up"), offline(versions, "0", "3")):
        run(database, script)
        assert state(engine) == right
        assert items(engine) == rows
        run(database, online(engine, versions, "down", to="0"))
        assert state(engine) == empty


def items(engine: Engine) -> list[tuple[object, ...]]:
    """Return the rows of the table that the versions make."""
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT id, tags, price::float8, note FROM items")
        return [tuple(row) for row in found]


@pytest.mark.parametrize("reached", ["1", "2", "3"])
def test_a_script_run_twice_fails_without_harm(
    engine: Engine, database: URL, versions: Path, reached: str
) -> None:
    """The first statement that does not fit ends it, whatever step it begins with."""
    last = str(int(reached) - 1)
    up, down = offline(versions, last, reached), offline(versions, reached, last)
    run(database, offline(versions, "0", last))
    for script in (up, down):
        run(database, script)
        after = state(engine)
        again = psql(database, script)
        assert again.returncode == PSQL_FAILED, again.stderr
        assert "ERROR:" in again.stderr
        assert state(engine) == after


def test_a_version_that_fails_leaves_nothing_and_ends_the_script(
    engine: Engine, database: URL, tmp_path: Path
) -> None:
    """What was before it stays, what comes after it does not run."""
    write_version(tmp_path, "001_a", up=["CREATE TABLE a ()"])
    write_version(tmp_path, "002_b", up=["CREATE TABLE b ()", "SELECT 1 / 0"])
    write_version(tmp_path, "003_c", up=["CREATE TABLE c ()"])
    ran = psql(database, offline(tmp_path, "0", "3"))
    assert (ran.returncode, "division by zero" in ran.stderr) == (PSQL_FAILED, True)
    assert applied(engine) == ["001"]
    with engine.connect() as connection:
        tables = connection.exec_driver_sql(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind = 'r' ORDER BY 1"
        )
        assert list(tables.scalars()) == ["a", "neuron_migrations"]


def test_a_psqlrc_that_turns_autocommit_off_does_no_harm(
    engine: Engine, database: URL, versions: Path
) -> None:
    """Else the concurrent index would find itself inside a transaction."""
    ran = psql(database, online(engine, versions, "up"), "--set=AUTOCOMMIT=off")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert applied(engine) == ["001", "002", "003"]


def test_strings_mean_the_same_whatever_the_server_takes_backslashes_for(
    engine: Engine, database: URL, tmp_path: Path
) -> None:
    """A version's SQL is read by the standard's rules."""
    write_version(tmp_path, "001_a", up=["CREATE TABLE a AS SELECT 'a\\' AS x, 'b\\n' AS y"])
    with engine.connect() as connection:
        major = connection.dialect.server_version_info
        assert major is not None
        connection.exec_driver_sql(
            f'ALTER DATABASE "{database.database}" SET standard_conforming_strings = off'
        )
        connection.commit()
    run(database, offline(tmp_path, "0", "1"))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT x, y FROM a").one() == ("a\\", "b\\n")


def test_search_path_and_role_are_those_of_the_settings(
    engine: Engine, database: URL, tmp_path: Path
) -> None:
    """Quoted or not, as the runner takes them."""
    role = f"owner_{database.database}"
    write_version(tmp_path, "001_a", up=["CREATE TABLE a ()"])
    with engine.connect() as connection:
        connection.exec_driver_sql('CREATE SCHEMA "My-Schema"')
        connection.exec_driver_sql(f'CREATE ROLE "{role}"')
        connection.exec_driver_sql(f'GRANT ALL ON SCHEMA "My-Schema" TO "{role}"')
        connection.exec_driver_sql(f'GRANT ALL ON SCHEMA public TO "{role}"')
        connection.commit()
    try:
        runner = MigrationRunner(
            engine, tmp_path, search_path='"My-Schema", public', history_schema="public", role=role
        )
        plan, look = runner.plan()
        script = psql_script(
            plan, look.table, exists=look.exists, settings=runner._means.session_settings(look)
        )
        run(database, script)
        with engine.connect() as connection:
            found = connection.exec_driver_sql(
                "SELECT relnamespace::regnamespace::text, relowner::regrole::text"
                " FROM pg_class WHERE relname = 'a'"
            ).one()
        assert found == ('"My-Schema"', role)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'DROP OWNED BY "{role}" CASCADE')
            connection.exec_driver_sql(f'DROP ROLE "{role}"')
            connection.commit()
