"""Changes in SQL: what is said does what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from neuron_schema.catalog import diff, snapshot
from neuron_schema.history import HistoryTable
from neuron_schema.proof.statements import sql_of
from tests.conftest import libpq

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

    from neuron_schema.catalog import Snapshot

_BASE = """
CREATE SCHEMA "Odd one";
CREATE TYPE "Odd one".mood AS ENUM ('sad', 'glad');
CREATE TABLE "Odd one".t (id integer PRIMARY KEY, "the name" varchar(10) DEFAULT 'x', n integer,
  CONSTRAINT small CHECK (n < 10));
CREATE TABLE u (id integer);
CREATE INDEX u_id ON u (id);
CREATE VIEW v AS SELECT id FROM u;
CREATE FUNCTION f(a integer DEFAULT 1) RETURNS integer LANGUAGE sql AS 'SELECT a';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON u FOR EACH ROW EXECUTE FUNCTION touch();
CREATE POLICY mine ON u FOR SELECT USING (id > 1);
CREATE RULE quiet AS ON DELETE TO u DO INSTEAD NOTHING;
CREATE SEQUENCE s;
CREATE DOMAIN share AS integer CONSTRAINT over CHECK (VALUE > 0);
"""

CHANGES = [
    'ALTER TABLE "Odd one".t ADD COLUMN c timestamptz(3) NOT NULL DEFAULT now()',
    "ALTER TABLE u ADD COLUMN c bigint GENERATED ALWAYS AS (id * 2) STORED",
    'ALTER TABLE u ADD COLUMN c text COLLATE "C"',
    'ALTER TABLE "Odd one".t DROP COLUMN "the name"',
    'ALTER TABLE "Odd one".t ALTER "the name" TYPE text',
    'ALTER TABLE "Odd one".t ALTER "the name" SET NOT NULL',
    'ALTER TABLE "Odd one".t ALTER "the name" DROP DEFAULT',
    "ALTER TABLE \"Odd one\".t ALTER \"the name\" SET DEFAULT 'it''s'",
    'ALTER TABLE "Odd one".t DROP CONSTRAINT small',
    'ALTER TABLE "Odd one".t ADD CONSTRAINT more UNIQUE (n)',
    'ALTER TABLE u ADD FOREIGN KEY (id) REFERENCES "Odd one".t NOT VALID',
    'ALTER TABLE "Odd one".t DROP CONSTRAINT small, ADD CONSTRAINT small CHECK (n < 11)',
    "CREATE UNIQUE INDEX fresh ON u ((id + 1)) WHERE id > 3",
    "DROP INDEX u_id",
    "DROP INDEX u_id; CREATE INDEX u_id ON u (id DESC)",
    "DROP TRIGGER touch ON u",
    "ALTER TABLE u DISABLE TRIGGER touch",
    "CREATE TRIGGER second AFTER INSERT ON u FOR EACH STATEMENT EXECUTE FUNCTION touch()",
    "CREATE TRIGGER second AFTER INSERT ON u FOR EACH STATEMENT EXECUTE FUNCTION touch(); "
    "ALTER TABLE u ENABLE ALWAYS TRIGGER second",
    "DROP POLICY mine ON u",
    "CREATE POLICY theirs ON u AS RESTRICTIVE FOR ALL TO PUBLIC USING (true) WITH CHECK (id > 0)",
    "ALTER TABLE u ENABLE ROW LEVEL SECURITY",
    "DROP POLICY mine ON u; CREATE POLICY mine ON u FOR SELECT USING (id > 2)",
    "ALTER DOMAIN share ADD CONSTRAINT whole CHECK (VALUE <> 7)",
    "ALTER DOMAIN share DROP CONSTRAINT over",
    "DROP RULE quiet ON u",
    "CREATE RULE other AS ON INSERT TO u DO ALSO NOTIFY x",
    "DROP VIEW v",
    "CREATE OR REPLACE VIEW v AS SELECT id FROM u WHERE id > 5",
    "CREATE VIEW w AS SELECT 1 AS one",
    "CREATE MATERIALIZED VIEW m AS SELECT 1 AS one",
    "CREATE OR REPLACE FUNCTION f(a integer DEFAULT 1) RETURNS integer LANGUAGE sql "
    "AS 'SELECT a + 1'",
    "DROP FUNCTION f(integer)",
    "CREATE PROCEDURE p(IN a text) LANGUAGE sql AS 'SELECT a'",
    "CREATE TABLE w (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text NOT NULL UNIQUE)",
    'DROP TABLE "Odd one".t',
    "CREATE SCHEMA more",
    "CREATE TYPE kind AS ENUM ('a', 'it''s')",
    "ALTER TYPE \"Odd one\".mood ADD VALUE 'mad' BEFORE 'sad'",
    "ALTER TYPE \"Odd one\".mood ADD VALUE 'mad' BEFORE 'glad'; "
    "ALTER TYPE \"Odd one\".mood ADD VALUE 'bad' BEFORE 'glad'",
    "DROP SEQUENCE s",
    "COMMENT ON TABLE u IS 'it''s'",
    'COMMENT ON COLUMN "Odd one".t."the name" IS \'x\'',
    "COMMENT ON CONSTRAINT small ON \"Odd one\".t IS 'x'",
    "COMMENT ON TRIGGER touch ON u IS 'x'",
    "COMMENT ON FUNCTION f(integer) IS 'x'",
]


@pytest.fixture
def connection(database: URL) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection to an empty database."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        yield connection


def base(connection: psycopg.Connection) -> Snapshot:
    """Bring a database to where all changes start, and return its schema."""
    connection.execute(
        'DROP SCHEMA IF EXISTS "Odd one", more, public CASCADE; CREATE SCHEMA public'
    )
    connection.execute(_BASE.encode())
    return read(connection)


def read(connection: psycopg.Connection) -> Snapshot:
    """Return the schema of a database."""
    return snapshot(connection, history=HistoryTable())


def test_what_is_said_as_sql_does_what_was_done(connection: psycopg.Connection) -> None:
    """For every change here: run on the schema before, it gives the schema after."""
    silent, wrong = [], []
    for change in CHANGES:
        before = base(connection)
        connection.execute(change.encode())
        after = read(connection)
        statements = [sql for each in diff(before, after) for sql in sql_of(each)]
        assert base(connection) == before
        for sql in statements:
            connection.execute(sql.encode())
        left = diff(after, read(connection))
        if not statements:
            silent.append(change)
        elif left:
            wrong.append((change, statements, [str(each) for each in left]))
    assert not wrong
    assert not silent


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TYPE \"Odd one\".mood RENAME VALUE 'sad' TO 'blue'",
        "CREATE TABLE w (id integer) PARTITION BY LIST (id)",
        "ALTER TABLE u SET (fillfactor = 70)",
        "ALTER TABLE u REPLICA IDENTITY FULL",
    ],
)
def test_nothing_is_said_of_what_takes_more(connection: psycopg.Connection, change: str) -> None:
    """Rather than half of it."""
    before = base(connection)
    connection.execute(change.encode())
    changes = diff(before, read(connection))
    assert changes
    assert not [sql for each in changes for sql in sql_of(each)]
