"""pg_dump as an independent witness: it finds two schemas equal exactly when snapshots do.

It needs a pg_dump of the server's major: the embedded server's own, or the one that
``NEURON_SCHEMA_TEST_PG_DUMP`` names.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from neuron_schema.catalog import Schema, Snapshot, diff, snapshot
from neuron_schema.errors import EmbeddedFailed, EmbeddedMissing
from neuron_schema.history import HistoryTable
from tests.conftest import libpq
from tests.fingerprint import fingerprint
from tests.schema_variants import BASE, WIDE, variants

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from sqlalchemy.engine import URL

_ENTRY = re.compile(r"(?m)^-- Name: (.*); Type: (.*); Schema: (.*?); Owner: .*$")
# Before an entry pg_dump says, when it changes, what new tables are to be made of.
_NOISE = re.compile(r"(?m)^(--|SET default_|\\(un)?restrict ).*\n|^\s*\n")


@pytest.fixture
def pg_dump(admin: psycopg.Connection) -> str:
    """Return a pg_dump that fits the server, or skip."""
    if given := os.environ.get("NEURON_SCHEMA_TEST_PG_DUMP"):
        return given
    from neuron_schema.embedded.binaries import find_binaries

    try:
        return str(find_binaries(admin.info.server_version // 10000).path("pg_dump"))
    except (EmbeddedMissing, EmbeddedFailed):
        pytest.skip("no pg_dump for this server")


@pytest.fixture
def dump(pg_dump: str) -> Callable[[URL], str]:
    """Return a function that dumps a database's schema, privileges and owners aside."""

    def run(database: URL) -> str:
        command = [pg_dump, "--schema-only", "--no-owner", "--no-privileges", "--dbname"]
        printed = subprocess.run(
            [*command, libpq(database)], check=False, capture_output=True, timeout=60
        )
        assert printed.returncode == 0, printed.stderr.decode()
        return printed.stdout.decode()

    return run


@pytest.fixture
def connection(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection to the test's database."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield connection


def entries(dump: str) -> dict[str, list[str]]:
    """Return what a dump says of each schema, its name replaced, in an order of no meaning."""
    found: dict[str, list[str]] = {}
    parts = _ENTRY.split(dump)[1:]
    for kind, schema, text in zip(parts[1::4], parts[2::4], parts[3::4], strict=True):
        if schema != "-":
            said = f"{kind}\n{_NOISE.sub('', text)}".replace(schema, "the_schema")
            found.setdefault(schema, []).append(said)
    return {schema: sorted(texts) for schema, texts in found.items()}


def make_variants(connection: psycopg.Connection) -> dict[str, tuple[str, bool]]:
    """Create a schema for the base and for each variant, and return them by schema."""
    major = connection.info.server_version // 10000
    made = {"variant_base": ("SELECT 1", True)}
    for number, variant in enumerate(variants(major), 1):
        made[f"variant_{number:03}"] = variant
    for schema, (sql, _) in made.items():
        connection.execute(f"CREATE SCHEMA {schema}; SET search_path = {schema}; {BASE}")
        for statement in sql.split(";"):
            connection.execute(statement)
    connection.execute("RESET search_path")
    return made


def snapshots(connection: psycopg.Connection, schemas: Collection[str]) -> dict[str, Snapshot]:
    """Return the snapshot of each schema, its name replaced by one that all share."""
    whole = snapshot(connection, history=HistoryTable()).unowned()
    objects: dict[str, list[Any]] = {schema: [] for schema in schemas}
    for each in whole.objects:
        schema = each.name if isinstance(each, Schema) else getattr(each, "schema", None)
        if schema in objects:
            objects[schema].append(renamed(each, schema))
    return {
        schema: Snapshot(objects=tuple(found), server_major=whole.server_major)
        for schema, found in objects.items()
    }


def renamed(value: Any, schema: str) -> Any:
    """Return a value of a snapshot with the name of a schema replaced wherever it is."""
    if isinstance(value, str) and type(value) is str:
        return value.replace(schema, "the_schema")
    if isinstance(value, tuple):
        return tuple(renamed(each, schema) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        named = {each.name: renamed(getattr(value, each.name), schema) for each in fields(value)}
        return type(value)(**named)
    return value


@dataclass(frozen=True)
class Corpus:
    """A database with a schema for the base and for each variant.

    Attributes:
        made: By schema, the SQL that made it of the base, and whether that made it no other.
    """

    database: URL
    connection: psycopg.Connection
    made: dict[str, tuple[str, bool]]


@pytest.fixture(scope="module")
def corpus(server: URL, admin: psycopg.Connection) -> Iterator[Corpus]:
    """Yield a database with all variants."""
    name = f"corpus_{os.getpid()}"
    admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    database = server.set(database=name)
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield Corpus(database, connection, make_variants(connection))
    admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.timeout(300)
def test_snapshots_are_equal_exactly_where_dumps_are(
    corpus: Corpus, dump: Callable[[URL], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each two of some 250 schemas pg_dump says the same if and only if snapshots are equal."""
    made = corpus.made
    dumped = entries(dump(corpus.database))
    taken = snapshots(corpus.connection, made)

    counts = {True: 0, False: 0}
    for left, right in itertools.combinations(made, 2):
        equal = taken[left] == taken[right]
        assert equal == (dumped[left] == dumped[right]), (made[left], made[right])
        counts[equal] += 1
    assert len(made) > 150
    with capsys.disabled():
        print(  # noqa: T201 - the count is to be seen
            f"\n{len(made)} schemas, {sum(counts.values())} pairs: snapshots and pg_dump find"
            f" {counts[True]} equal, {counts[False]} different"
        )


@pytest.mark.timeout(300)
def test_a_difference_to_the_base_is_found_exactly_where_there_is_one(corpus: Corpus) -> None:
    """Every change of a schema is told; what was only said in another way is not."""
    taken = snapshots(corpus.connection, corpus.made)
    for schema, (sql, same) in corpus.made.items():
        assert (taken[schema] == taken["variant_base"]) is same, sql
        assert (diff(taken["variant_base"], taken[schema]) == ()) is same, sql


@pytest.mark.timeout(300)
def test_definitions_are_the_servers_own_words(corpus: Corpus) -> None:
    """Those of plain indexes and keys are not asked for, and all the same to the letter."""
    taken = snapshot(corpus.connection, history=HistoryTable())
    indexes, constraints = {}, {}
    for each in taken.relations:
        for index in each.indexes:
            indexes[each.schema, index.name] = index.definition
        for constraint in each.constraints:
            constraints[each.schema, each.name, constraint.name] = constraint.definition
            if constraint.index is not None:
                indexes[each.schema, constraint.name] = constraint.index.definition
    with corpus.connection.transaction():
        corpus.connection.execute("SET LOCAL search_path = ''")
        for schema, name, definition in corpus.connection.execute(
            "SELECT n.nspname, c.relname, pg_catalog.pg_get_indexdef(c.oid)"
            " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('i', 'I') AND n.nspname LIKE 'variant%'"
        ):
            assert indexes.pop((schema, name)) == definition
        for schema, table, name, definition in corpus.connection.execute(
            "SELECT n.nspname, c.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid)"
            " FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid"
            " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname LIKE 'variant%'"
        ):
            assert constraints.pop((schema, table, name), definition) == definition
    assert (indexes, constraints) == ({}, {})


def whole(dump: str) -> str:
    """Return a dump's entries in an order of no meaning."""
    return "".join(sorted(_NOISE.sub("", entry) for entry in dump.split("-- Name: ")))


@pytest.mark.timeout(300)
def test_snapshots_and_dumps_agree_on_what_stands_in_no_schema(
    connection: psycopg.Connection, database: URL, dump: Callable[[URL], str]
) -> None:
    """Publications, event triggers, servers, casts and such: each change shows in both or none."""
    states = []
    for sql in ("SELECT 1", "SELECT 1", *WIDE):
        for statement in sql.split(";"):
            connection.execute(statement)
        taken = snapshot(connection, history=HistoryTable()).unowned()
        states.append((sql, taken, whole(dump(database)), fingerprint(connection)))
    connection.execute("ALTER SUBSCRIPTION sub SET (slot_name = NONE); DROP SUBSCRIPTION sub")

    for (_, old, old_dump, old_print), (sql, new, new_dump, new_print) in itertools.combinations(
        states, 2
    ):
        assert (old == new) == (old_dump == new_dump), sql
        # The tests' own reader of the catalog knows less, but nothing that a snapshot does not.
        assert old_print == new_print or old != new, sql
    for (_, old, *_), (sql, new, *_) in itertools.pairwise(states):
        assert (old == new) is (sql == "SELECT 1"), sql
