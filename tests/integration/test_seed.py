"""Hostile rows: what gets into which tables, and which tables are named that take none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from neuron_schema.catalog import snapshot
from neuron_schema.history import HistoryTable
from neuron_schema.proof.seed import ROWS, seed
from tests.conftest import libpq
from tests.runs import scalar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

    from neuron_schema.proof.seed import Unseeded


@pytest.fixture
def connection(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection to an empty database."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield connection


def seeded(connection: psycopg.Connection, sql: str) -> tuple[Unseeded, ...]:
    """Run a script, and seed what it made."""
    connection.execute(sql.encode())
    return seed(connection, snapshot(connection, history=HistoryTable()))


def count(connection: psycopg.Connection, table: str) -> int:
    """Return how many rows a table holds."""
    return int(scalar(connection, f"SELECT count(*) FROM {table}"))


TYPES = [
    *("boolean", "smallint", "integer", "bigint", "real", "double precision", "numeric"),
    *("numeric(10,2)", "numeric(3,0)", "numeric(2,5)", "money", "text", "varchar", "varchar(5)"),
    *("char(3)", "char", '"char"', "name", "date", "time", "timetz", "timestamp", "timestamptz(3)"),
    *("interval", "interval day to second(2)", "uuid", "json", "jsonb", "bytea", "inet", "cidr"),
    *("macaddr", "macaddr8", "bit(3)", "varbit(5)", "bit varying", "point", "line", "lseg", "box"),
    *(
        "path",
        "polygon",
        "circle",
        "tsvector",
        "tsquery",
        "int4range",
        "tstzrange",
        "nummultirange",
    ),
    *("oid", "regclass", "pg_lsn", "text[]", "integer[][]", "jsonb[]", "varchar(4)[]", "jsonpath"),
]


@pytest.mark.parametrize("type_name", TYPES)
def test_every_type_gets_rows(connection: psycopg.Connection, type_name: str) -> None:
    """Two of the same value and one of NULL; where NULL may not be, three that are none."""
    assert not seeded(
        connection, f"CREATE TABLE t (c {type_name}); CREATE TABLE n (c {type_name} NOT NULL)"
    )
    texts = [row[0] for row in connection.execute("SELECT c::text FROM t")]
    assert len(texts) == ROWS
    assert texts.count(None) == 1
    assert len({text for text in texts if text is not None}) == 1
    assert count(connection, "n") == ROWS


def test_numbers_are_as_large_as_their_type_holds(connection: psycopg.Connection) -> None:
    """A narrower type would refuse them."""
    seeded(connection, "CREATE TABLE t (a smallint, b integer, c bigint, d numeric(6,2))")
    row = connection.execute("SELECT max(a), max(b), max(c), max(d)::text FROM t").fetchone()
    assert row == (32767, 2147483647, 9223372036854775807, "9999.99")


def test_text_is_no_number_and_as_long_as_allowed(connection: psycopg.Connection) -> None:
    """A cast to a number fails on it, a shorter type too."""
    seeded(connection, "CREATE TABLE t (a text, b varchar(20))")
    assert scalar(connection, "SELECT max(length(b)) FROM t") == 20
    assert scalar(connection, "SELECT max(length(a)) FROM t") > 255
    for column in "ab":
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            connection.execute(f"SELECT {column}::integer FROM t".encode())


def test_own_types_get_rows(connection: psycopg.Connection) -> None:
    """Enums, domains with checks, composites, ranges; in another schema and under odd names."""
    assert not seeded(
        connection,
        """
        CREATE SCHEMA "Odd one";
        CREATE TYPE "Odd one"."user" AS ENUM ('small', 'it''s');
        CREATE DOMAIN "Odd one".positive AS integer CHECK (VALUE > 0 AND VALUE < 100);
        CREATE DOMAIN email AS text NOT NULL CHECK (VALUE ~ '@');
        CREATE DOMAIN stricter AS "Odd one".positive CHECK (VALUE <> 99);
        CREATE TYPE pair AS (left_one integer, right_one "Odd one"."user");
        CREATE TYPE span AS RANGE (subtype = float8);
        CREATE TABLE t (a "Odd one"."user", b "Odd one".positive NOT NULL, c email, d stricter,
          e pair, f span NOT NULL, g span_multirange, h "Odd one"."user"[], i "Odd one".positive[],
          j pair NOT NULL);
        """,
    )
    assert count(connection, "t") == ROWS


@pytest.mark.extension("vector")
def test_vectors_get_rows(connection: psycopg.Connection) -> None:
    """Of their length, and into an HNSW index."""
    assert not seeded(
        connection,
        """
        CREATE EXTENSION vector;
        CREATE TABLE t (a vector(3), b vector, c halfvec(4) NOT NULL, d sparsevec(5), e bit(7));
        CREATE INDEX ON t USING hnsw (a vector_cosine_ops);
        """,
    )
    assert count(connection, "t") == ROWS


def test_columns_that_fill_themselves_are_left_to_do_so(connection: psycopg.Connection) -> None:
    """Identity of both kinds, serial, and generated columns."""
    assert not seeded(
        connection,
        """
        CREATE TABLE t (a integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          b bigint GENERATED BY DEFAULT AS IDENTITY UNIQUE, c serial, d smallint,
          e integer GENERATED ALWAYS AS (d + 1) STORED);
        CREATE TABLE empty ();
        """,
    )
    assert connection.execute("SELECT a, b, c FROM t ORDER BY a").fetchall() == [
        (number, number, number) for number in range(1, ROWS + 1)
    ]
    assert count(connection, "empty") == ROWS


def test_rows_differ_only_where_a_key_wants_it(connection: psycopg.Connection) -> None:
    """Two rows are the same but for one column of each key: what else is not unique shows."""
    seeded(
        connection,
        "CREATE TABLE t (a integer, b integer, c text NOT NULL, d text NOT NULL UNIQUE, "
        "PRIMARY KEY (a, b))",
    )
    assert count(connection, "t") == ROWS
    same = "SELECT 1 FROM t x JOIN t y ON x.a < y.a OR x.a > y.a WHERE x.b = y.b AND x.c = y.c"
    assert scalar(connection, same) == 1
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("ALTER TABLE t ADD UNIQUE (c)")


@pytest.mark.parametrize(
    "index",
    [
        "CREATE UNIQUE INDEX ON t (lower(a))",
        "CREATE UNIQUE INDEX ON t (a, b) WHERE c > 0",
        "CREATE UNIQUE INDEX ON t (a) NULLS NOT DISTINCT",
        "ALTER TABLE t ADD EXCLUDE USING btree (a WITH =)",
    ],
)
def test_unique_indexes_of_every_shape_let_rows_in(
    connection: psycopg.Connection, index: str
) -> None:
    """On expressions, partial ones, with NULLs as values; and exclusion constraints."""
    if "NULLS NOT" in index and connection.info.server_version < 150000:
        pytest.skip("PostgreSQL 15 brought it")
    assert not seeded(connection, f"CREATE TABLE t (a text, b text NOT NULL, c integer); {index}")
    assert count(connection, "t") == ROWS


@pytest.mark.parametrize(
    "check",
    [
        "a > 10 AND a < 12",
        "a IN (3, 5)",
        "b IN ('draft', 'done')",
        "b = ANY (ARRAY['x', 'y']) AND a >= 0",
        "(a IS NULL) <> (b IS NULL)",
        "a IS NULL",
        "c < d",
        "c BETWEEN '2020-01-01' AND '2020-12-31'",
        "length(b) <= 3",
        "b ~ '^[A-Z][0-9]$'",
        "a * 2 < 100",
        "a + e < 200 AND e > 5",
    ],
)
def test_checks_are_satisfied(connection: psycopg.Connection, check: str) -> None:
    """By the extremes where they may be, else by what the condition names."""
    assert not seeded(
        connection,
        f"CREATE TABLE t (a integer, b text, c date, d date, e integer, CHECK ({check}))",
    )
    assert count(connection, "t") == ROWS


def test_a_check_that_lets_a_single_row_in_is_no_fault(connection: psycopg.Connection) -> None:
    """A table of one row, as settings are kept, has its row."""
    assert not seeded(
        connection, "CREATE TABLE t (id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1), v text)"
    )
    assert count(connection, "t") == 1


def test_foreign_keys_are_followed(connection: psycopg.Connection) -> None:
    """Over several tables, on several columns, two of which share one."""
    assert not seeded(
        connection,
        """
        CREATE TABLE z (id uuid PRIMARY KEY DEFAULT gen_random_uuid());
        CREATE TABLE y (tenant uuid REFERENCES z, id integer, PRIMARY KEY (tenant, id));
        CREATE TABLE x (tenant uuid NOT NULL REFERENCES z, y_id integer NOT NULL, other integer,
          FOREIGN KEY (tenant, y_id) REFERENCES y, FOREIGN KEY (tenant, other) REFERENCES y);
        CREATE TABLE a (z_id uuid REFERENCES z, y_tenant uuid, y_id integer,
          FOREIGN KEY (y_tenant, y_id) REFERENCES y, PRIMARY KEY (z_id, y_tenant, y_id));
        """,
    )
    assert [count(connection, name) for name in "zyxa"] == [ROWS] * 4
    assert scalar(connection, "SELECT count(*) FROM x WHERE other IS NULL") == 1


def test_circles_are_closed_where_a_key_may_be_null(connection: psycopg.Connection) -> None:
    """Between two tables, and from a table to itself, which may even be NOT NULL."""
    assert not seeded(
        connection,
        """
        CREATE TABLE team (id integer PRIMARY KEY, leader integer);
        CREATE TABLE person (id integer PRIMARY KEY, team integer NOT NULL REFERENCES team,
          boss integer REFERENCES person);
        ALTER TABLE team ADD FOREIGN KEY (leader) REFERENCES person;
        CREATE TABLE root (id integer PRIMARY KEY, top integer NOT NULL REFERENCES root);
        CREATE TABLE counted (id serial PRIMARY KEY, top integer NOT NULL REFERENCES counted);
        """,
    )
    for name in ("team", "person", "root", "counted"):
        assert count(connection, name) == ROWS, name
    assert scalar(connection, "SELECT count(leader) FROM team") == ROWS - 1
    assert scalar(connection, "SELECT count(boss) FROM person") == ROWS - 1


def test_what_cannot_have_rows_is_named(connection: psycopg.Connection) -> None:
    """With the reason, and so are the tables whose foreign keys point there."""
    empty = seeded(
        connection,
        """
        CREATE TABLE hen (id integer PRIMARY KEY, egg integer NOT NULL);
        CREATE TABLE egg (id integer PRIMARY KEY, hen integer NOT NULL REFERENCES hen);
        ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg;
        CREATE TABLE never (id integer PRIMARY KEY, CHECK (id < 0 AND id > 0));
        CREATE TABLE child (id integer NOT NULL REFERENCES never);
        CREATE TABLE parted (id integer) PARTITION BY RANGE (id);
        CREATE TABLE watched (id integer);
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
          AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION refuse();
        CREATE TABLE skipped (id integer);
        CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER skip BEFORE INSERT ON skipped FOR EACH ROW EXECUTE FUNCTION skip();
        CREATE TABLE fine (id integer);
        """,
    )
    assert {each.table: each.why for each in empty} == {
        "public.egg": "its foreign keys go in a circle and cannot be NULL: "
        "public.egg -> public.hen -> public.egg",
        "public.hen": "its foreign keys go in a circle and cannot be NULL: "
        "public.hen -> public.egg -> public.hen",
        "public.never": "no value fits its constraints",
        "public.child": "its foreign key child_id_fkey points at never, which has none",
        "public.parted": "it has no partition",
        "public.watched": "not today",
        "public.skipped": "a trigger lets no row in",
    }
    assert count(connection, "fine") == ROWS


@pytest.mark.parametrize(
    "partitions",
    [
        "BY RANGE (k); CREATE TABLE p1 PARTITION OF t FOR VALUES FROM (10) TO (20)",
        "BY LIST (k); CREATE TABLE p1 PARTITION OF t FOR VALUES IN (7)",
        "BY HASH (k); CREATE TABLE p1 PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "BY LIST (k); CREATE TABLE p1 PARTITION OF t DEFAULT",
        "BY RANGE (d); CREATE TABLE p1 PARTITION OF t FOR VALUES FROM ('2024-01-01') "
        "TO ('2025-01-01') PARTITION BY LIST (k); "
        "CREATE TABLE p2 PARTITION OF p1 FOR VALUES IN (5)",
    ],
)
def test_partitioned_tables_get_rows_that_a_partition_takes(
    connection: psycopg.Connection, partitions: str
) -> None:
    """By the bounds of the partitions, those of their partitions too."""
    assert not seeded(
        connection, f"CREATE TABLE t (k integer, d date, v text) PARTITION {partitions}"
    )
    assert count(connection, "t") >= 2


def test_rows_come_beside_those_that_are_there(connection: psycopg.Connection) -> None:
    """A version's own rows stay, and the keys of new ones differ from theirs."""
    assert not seeded(
        connection,
        "CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (2147483647), (0)",
    )
    assert count(connection, "t") == 2 + ROWS


def test_a_hostile_search_path_makes_no_difference(connection: psycopg.Connection) -> None:
    """What stands in it has the names of PostgreSQL's own functions and operators."""
    empty = seeded(
        connection,
        """
        CREATE SCHEMA evil;
        CREATE FUNCTION evil.md5(text) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
        CREATE TABLE evil.pg_class (id integer);
        CREATE TYPE evil.int4 AS ENUM ('x');
        CREATE TABLE t (id integer PRIMARY KEY, v text CHECK (v IN ('a', 'b')));
        SET search_path = evil, public, pg_catalog;
        """,
    )
    assert not empty
    assert count(connection, "public.t") == ROWS
