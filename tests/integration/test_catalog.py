"""Snapshots of real databases: what is in them, what is not, and how they are read."""

from __future__ import annotations

import gc
import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuron_schema import history, log
from neuron_schema.catalog import (
    Grant,
    Kind,
    References,
    Relation,
    Snapshot,
    diff,
    exchange,
    others,
    reader,
    snapshot,
)
from neuron_schema.errors import CatalogUnread, ServerUnsupported
from neuron_schema.history import HistoryTable
from tests.conftest import libpq
from tests.schema_variants import BASE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import URL

    from neuron_schema.catalog.rows import Fetch

HISTORY = HistoryTable()


@pytest.fixture
def connection(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection to the test's database."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield connection


def take(connection: psycopg.Connection, *schemas: str) -> Snapshot:
    """Return a snapshot, of all schemas unless some are named."""
    return snapshot(connection, history=HISTORY, schemas=schemas or None)


def relation(taken: Snapshot, name: str) -> Relation:
    """Return a relation of the schema public."""
    found = taken.relation("public", name)
    assert found is not None
    return found


def test_a_table_is_told_with_all_its_parts(connection: psycopg.Connection) -> None:
    """Columns in order, keys with what they reference, indexes, triggers, policies, comments."""
    connection.execute(BASE)
    things = relation(take(connection), "things")
    assert [column.name for column in things.columns] == [
        "id", "owner_id", "label", "cost", "state", "size", "doubled", "tags", "body", "at",
    ]  # fmt: skip
    by_name = {column.name: column for column in things.columns}
    assert by_name["id"].default == "nextval('public.things_id_seq'::regclass)"
    assert by_name["cost"].type == "public.price"
    assert by_name["state"].default == "'good'::public.mood"
    assert (by_name["doubled"].generated, by_name["doubled"].default) == ("stored", "(size * 2)")
    assert by_name["size"].comment == "In metres."
    (key,) = things.foreign_keys
    assert key.columns == ("owner_id",)
    assert key.references == References(
        schema="public", table="owners", columns=("id",), on_delete="cascade"
    )
    assert things.primary_key is not None
    assert things.primary_key.index is not None
    assert [index.name for index in things.indexes] == [
        "things_label", "things_lower", "things_recent",
    ]  # fmt: skip
    lower = things.indexes[1]
    assert (lower.columns, lower.unique) == ((None, "owner_id", "size"), True)
    assert lower.opclasses == ("pg_catalog.text_ops", "pg_catalog.int8_ops")
    assert [trigger.name for trigger in things.triggers] == ["stamped"]
    assert [policy.using for policy in things.policies] == ["(size > 1)"]
    assert things.row_security
    assert things.comment == "What is owned."


def test_a_key_whose_own_triggers_are_disabled_is_told(connection: psycopg.Connection) -> None:
    """On either side, as it is checked no more; one that runs everywhere is the usual."""
    connection.execute(
        "CREATE TABLE a (id int PRIMARY KEY); "
        "CREATE TABLE b (id int CONSTRAINT a_b REFERENCES a, u int CONSTRAINT un UNIQUE)"
    )
    for sql, triggered in (
        ("SELECT 1", True),
        ("ALTER TABLE b DISABLE TRIGGER ALL", False),
        ("ALTER TABLE b ENABLE TRIGGER ALL", True),
        ("ALTER TABLE a DISABLE TRIGGER ALL", False),
    ):
        connection.execute(sql.encode())
        constraints = relation(take(connection), "b").constraints
        found = {each.name: each.triggered for each in constraints}
        assert found == {"a_b": triggered, "un": True}


def test_an_identitys_sequence_is_part_of_its_column(connection: psycopg.Connection) -> None:
    """It is no object of its own; a serial's is."""
    connection.execute(BASE)
    taken = take(connection)
    (column, *_) = relation(taken, "owners").columns
    assert column.identity == "always"
    assert column.sequence is not None
    assert column.sequence.name == "owners_id_seq"
    names = {each.name for each in taken.objects if each.kind is Kind.SEQUENCE}
    assert names == {"tickets", "things_id_seq"}


def test_a_partition_holds_nothing_that_is_its_tables(connection: psycopg.Connection) -> None:
    """Its bound and parent are told; copies of keys, checks and triggers are not."""
    connection.execute(BASE)
    connection.execute("ALTER TABLE events ADD CHECK (id > 0)")
    connection.execute("ALTER TABLE events ADD FOREIGN KEY (id) REFERENCES owners (id)")
    connection.execute(
        "CREATE TRIGGER each AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION stamp()"
    )
    taken = take(connection)
    old = relation(taken, "events_old")
    assert relation(taken, "events").partition_key == "RANGE (at)"
    assert old.partition_bound == "FOR VALUES FROM (MINVALUE) TO ('2020-01-01')"
    assert old.inherits == ("public.events",)
    assert [each for each in old.constraints if each.type != "not null"] == []
    assert old.triggers == ()
    assert [index.parent for index in old.indexes] == ["public.events_at"]


def test_privileges_said_and_unsaid_are_the_same_where_they_are_the_default(
    connection: psycopg.Connection,
) -> None:
    """Granting to oneself what one has is no difference; granting to others is."""
    connection.execute("CREATE TABLE t (id int)")
    before = take(connection)
    connection.execute("GRANT SELECT ON t TO CURRENT_USER")
    assert diff(before, take(connection)) == ()
    connection.execute("GRANT SELECT ON t TO PUBLIC")
    after = take(connection)
    user = connection.info.user
    given = relation(after, "t").privileges
    assert given is not None
    assert Grant("", "SELECT", grantable=False, grantor=user) in given
    connection.execute("REVOKE ALL ON t FROM CURRENT_USER, PUBLIC")
    assert relation(take(connection), "t").privileges == ()
    assert diff(before.unowned(), after.unowned()) == ()


@pytest.mark.parametrize("schema", [None, "ours"])
@pytest.mark.parametrize("name", ["neuron_migrations", "Our history"])
def test_our_own_tables_are_no_part_of_a_snapshot(
    connection: psycopg.Connection, name: str, schema: str | None
) -> None:
    """The history table, the log, their indexes and the log's sequence."""
    connection.execute("CREATE SCHEMA ours")
    ours = HistoryTable(name=name, schema=schema)
    before = snapshot(connection, history=ours)
    connection.execute(history.create_sql(ours))
    connection.execute(log.create_sql(ours.qualified_log))
    connection.execute(f"CREATE INDEX mine ON {ours.qualified_log} (run_id)")
    assert diff(before, snapshot(connection, history=ours)) == ()
    assert diff(before, snapshot(connection, history=HistoryTable(name="other"))) != ()


def test_a_table_that_only_bears_the_name_is_part_of_a_snapshot(
    connection: psycopg.Connection,
) -> None:
    """Where the schema of ours is known, a namesake elsewhere is not ours."""
    connection.execute("CREATE SCHEMA ours; CREATE TABLE neuron_migrations (id int)")
    taken = snapshot(connection, history=HistoryTable(schema="ours"))
    assert taken.relation("public", "neuron_migrations") is not None


@pytest.mark.extension("vector")
def test_members_of_an_extension_are_no_part_of_a_snapshot(
    connection: psycopg.Connection,
) -> None:
    """The extension is, with its schema and version; an index by its method is."""
    before = take(connection)
    connection.execute("CREATE EXTENSION vector")
    (change,) = diff(before, take(connection))
    assert str(change) == "extension vector added"
    connection.execute(
        "CREATE TABLE t (e vector(3)); CREATE INDEX i ON t USING hnsw"
        " (e vector_cosine_ops) WITH (m = 8)"
    )
    table = relation(take(connection), "t")
    assert table.columns[0].type == "public.vector(3)"
    (index,) = table.indexes
    assert (index.method, index.opclasses, index.options) == (
        "hnsw", ("public.vector_cosine_ops",), ("m=8",),
    )  # fmt: skip


def test_a_range_types_own_casts_and_functions_are_no_part_of_a_snapshot(
    connection: psycopg.Connection,
) -> None:
    """They come and go with the type."""
    before = take(connection)
    connection.execute("CREATE TYPE span AS RANGE (subtype = float8)")
    (change,) = diff(before, take(connection))
    assert str(change) == "range type public.span added"


def test_an_index_left_invalid_is_told(connection: psycopg.Connection) -> None:
    """Its definition is the same as a valid one's."""
    connection.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY i ON t (id)")
    (index,) = relation(take(connection), "t").indexes
    assert not index.valid


@pytest.mark.parametrize(
    ("catalog", "column", "made", "name"),
    [
        ("pg_proc", "prokind", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
         "proname = 'f'"),
        ("pg_class", "relkind", "CREATE SEQUENCE f", "relname = 'f'"),
        ("pg_type", "typtype", "CREATE TYPE f AS ENUM ()", "typname = 'f'"),
        ("pg_constraint", "contype", "CREATE TABLE t (id int CONSTRAINT f CHECK (id > 0))",
         "conname = 'f'"),
    ],
)  # fmt: skip
def test_a_kind_that_nobody_knows_is_an_error(
    connection: psycopg.Connection, catalog: str, column: str, made: str, name: str
) -> None:
    """A later PostgreSQL may have one; it must not go unseen."""
    connection.execute(made)
    take(connection)
    connection.execute("SET allow_system_table_mods = on")
    connection.execute(f"UPDATE {catalog} SET {column} = '?' WHERE {name}")
    with pytest.raises(CatalogUnread, match=rf"1 of kind '\?' in {catalog}, 0 of them known"):
        take(connection)


def test_a_catalog_that_nobody_reads_is_an_error(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every catalog that the server has is looked into, also one of a later PostgreSQL."""
    known = [each for each in others.presences(180000) if each.catalog != "pg_cast"]
    monkeypatch.setattr(others, "presences", lambda _: known)
    take(connection)
    connection.execute("CREATE TYPE p AS (a int); CREATE CAST (p AS text) WITH INOUT")
    with pytest.raises(CatalogUnread, match="rows of pg_cast"):
        take(connection)


def test_the_number_of_queries_does_not_grow(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty tables take as many round trips and statements as one."""
    sent: list[int] = []

    class Counting(exchange.Exchange):
        def __call__(self, queries: Sequence[str]) -> list[Fetch]:
            sent.append(len(queries))
            return super().__call__(queries)

    monkeypatch.setattr(exchange, "Exchange", Counting)
    connection.execute(BASE)
    take(connection)
    few, sent[:] = list(sent), []
    for number in range(20):
        connection.execute(f"CREATE TABLE t{number} (id serial PRIMARY KEY, n int UNIQUE)")
    take(connection)
    assert sent == few


def test_all_queries_see_one_moment(
    connection: psycopg.Connection, database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another session commits between two of them is not there yet."""
    calls: list[int] = []

    class Disturbed(exchange.Exchange):
        def __call__(self, queries: Sequence[str]) -> list[Fetch]:
            if calls:  # the first round trip is over
                with psycopg.connect(libpq(database), autocommit=True) as other:
                    other.execute("CREATE TABLE IF NOT EXISTS late (id int PRIMARY KEY)")
            calls.append(1)
            return super().__call__(queries)

    before = take(connection)
    with monkeypatch.context() as patch:
        patch.setattr(exchange, "Exchange", Disturbed)
        assert diff(before, take(connection)) == ()
    assert take(connection).relation("public", "late") is not None


def test_the_connection_is_left_as_it_was(database: URL) -> None:
    """No transaction stays open, and no setting stays changed."""
    with psycopg.connect(libpq(database)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        take(connection)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert connection.isolation_level == psycopg.IsolationLevel.SERIALIZABLE
        assert connection.read_only is None
        assert gc.isenabled()
        found = connection.execute("SHOW search_path").fetchone()
        assert found == ('"$user", public',)


def test_a_connection_in_a_transaction_is_refused(connection: psycopg.Connection) -> None:
    """Its isolation could not be chosen any more."""
    with connection.transaction(), pytest.raises(psycopg.ProgrammingError):
        take(connection)
    take(connection)


def test_a_row_factory_and_hostile_settings_do_not_matter(
    connection: psycopg.Connection, database: URL
) -> None:
    """A search path full of namesakes, and every setting that renders text in another way."""
    connection.execute(BASE)
    connection.execute(
        "ALTER TABLE owners ADD x timestamptz DEFAULT '2020-01-02 03:04+00',"
        " ADD y interval DEFAULT '1 day 2 hours', ADD z bytea DEFAULT '\\x00'"
    )
    connection.execute(
        "CREATE SCHEMA evil; CREATE TABLE evil.pg_class (oid int);"
        " CREATE FUNCTION evil.format_type(oid, int) RETURNS text LANGUAGE sql"
        " AS $$ SELECT 'evil' $$"
    )
    calm = take(connection)
    with psycopg.connect(
        libpq(database), autocommit=True, row_factory=psycopg.rows.dict_row
    ) as other:
        for setting in (
            "search_path = evil, public, pg_catalog", "quote_all_identifiers = on",
            "DateStyle = 'SQL, DMY'", "IntervalStyle = 'iso_8601'", "TimeZone = 'Asia/Tokyo'",
            "bytea_output = 'escape'", "client_encoding = 'LATIN1'",
        ):  # fmt: skip
            other.execute(f"SET {setting}")
        assert snapshot(other, history=HISTORY) == calm


def test_a_role_without_privileges_reads_the_same(
    connection: psycopg.Connection, database: URL, admin: psycopg.Connection
) -> None:
    """Of servers, mappings and subscriptions, too, whose secrets are no part of it."""
    connection.execute(BASE)
    connection.execute(
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER r FOREIGN DATA WRAPPER w;"
        " CREATE USER MAPPING FOR PUBLIC SERVER r OPTIONS (password 'secret')"
    )
    connection.execute(
        "CREATE SUBSCRIPTION sub CONNECTION 'password=secret' PUBLICATION p"
        " WITH (connect = false, slot_name = NONE)"
    )
    connection.execute("CREATE SCHEMA closed; CREATE TABLE closed.t (id int DEFAULT 7)")
    mine = take(connection)
    admin.execute(f"CREATE ROLE reader_{database.database} LOGIN PASSWORD 'x'")
    try:
        connection.execute(f"SET ROLE reader_{database.database}")
        assert take(connection) == mine
        assert "secret" not in json.dumps(mine.plain())
    finally:
        connection.execute("RESET ROLE; ALTER SUBSCRIPTION sub DISABLE; DROP SUBSCRIPTION sub")
        admin.execute(f"DROP ROLE reader_{database.database}")


@pytest.mark.parametrize("catalog", ["pg_class", "pg_attrdef", "pg_policy"])
def test_a_query_that_fails_is_told_as_it_failed(
    connection: psycopg.Connection, admin: psycopg.Connection, database: URL, catalog: str
) -> None:
    """Not as one of those behind it, which the server then skips; the connection stays usable."""
    role = f"closed_{database.database}"
    connection.execute(f"REVOKE SELECT ON pg_catalog.{catalog} FROM PUBLIC")
    admin.execute(f"CREATE ROLE {role}")
    try:
        connection.execute(f"SET ROLE {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=catalog):
            take(connection)
        assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        connection.execute("RESET ROLE")
        admin.execute(f"DROP ROLE {role}")


def test_only_the_schemas_that_are_named_are_read(connection: psycopg.Connection) -> None:
    """What a foreign key references elsewhere is named all the same; an absent schema is absent."""
    connection.execute(
        "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.t (id int PRIMARY KEY, code text);"
        " CREATE TABLE b.t (id int REFERENCES a.t (id)); CREATE TYPE a.x AS ENUM ()"
    )
    taken = take(connection, "b", "absent")
    assert [str(each.name) for each in taken.objects] == ["b", "plpgsql", "t"]
    (key,) = taken.tables[0].foreign_keys
    assert key.references == References(schema="a", table="t", columns=("id",))
    assert key.definition == "FOREIGN KEY (id) REFERENCES a.t(id)"
    assert {each.name for each in take(connection, "absent").objects} == {"plpgsql"}


def test_temporary_tables_are_no_part_of_a_snapshot(connection: psycopg.Connection) -> None:
    """They are of a session, not of the database."""
    before = take(connection)
    connection.execute("CREATE TEMPORARY TABLE t (id serial PRIMARY KEY)")
    assert diff(before, take(connection)) == ()


def test_a_server_that_is_too_old_is_named(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instead of an error about a column that it does not have."""
    monkeypatch.setattr(reader, "OLDEST", 990000)
    with pytest.raises(ServerUnsupported, match="the server is PostgreSQL"):
        take(connection)


def test_a_snapshot_is_plain_json(connection: psycopg.Connection) -> None:
    """Everything in it, and the major of the server."""
    connection.execute(BASE)
    taken = take(connection)
    told = json.loads(json.dumps(taken.plain()))
    assert told["server_major"] == connection.info.server_version // 10000
    assert len(told["objects"]) == len(taken.objects)
    assert {each["kind"] for each in told["objects"]} > {"table", "view", "enum type", "domain"}


_types = st.sampled_from(("int", "bigint", "text", "varchar(9)", "numeric(8,2)", "jsonb", "int[]"))
_columns = st.dictionaries(
    st.sampled_from(("a", "b", "c")),
    st.tuples(_types, st.sampled_from(("", " NOT NULL", " UNIQUE", " DEFAULT NULL"))),
    min_size=1,
)
_schemas = st.dictionaries(
    st.sampled_from(("t", "u")), st.tuples(_columns, st.booleans()), max_size=2
)


@settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(first=_schemas, second=_schemas)
def test_random_schemas_differ_exactly_when_their_snapshots_do(
    connection: psycopg.Connection, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """Made twice from one text they are equal, whatever OIDs they got; else a change says why."""
    taken = []
    for described in (first, first, second):
        connection.execute("CREATE SCHEMA made; SET search_path = made")
        for table, (columns, unlogged) in described.items():
            words = ", ".join(f"{name} {''.join(said)}" for name, said in columns.items()
                              if "jsonb UNIQUE" not in said)  # fmt: skip
            connection.execute(f"CREATE {'UNLOGGED ' * unlogged}TABLE {table} ({words})")
        connection.execute("RESET search_path")
        taken.append(take(connection, "made"))
        connection.execute("DROP SCHEMA made CASCADE")
    one, again, other = taken
    assert one == again
    assert diff(one, again) == ()
    assert (diff(one, other) == ()) is (one == other)
