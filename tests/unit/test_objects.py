"""Which objects statements make, lose and lock, as their text tells."""

from __future__ import annotations

import pytest

from neuron_schema.model import Statement
from neuron_schema.sqltext.actions import Kind, ObjectRef
from neuron_schema.sqltext.objects import dropped, needs, net_objects


def statements(*texts: str) -> tuple[Statement, ...]:
    """Return SQL texts as statements."""
    return tuple(Statement(sql=text) for text in texts)


def net(*texts: str) -> list[str]:
    """Return what is to be there, in words; all of it must be understood."""
    found = net_objects(statements(*texts))
    assert found.not_understood == ()
    return [str(ref) for ref in found.refs]


def touched(*texts: str) -> list[str]:
    """Return what is locked, in words."""
    return [str(ref) for ref in needs(statements(*texts)).touched]


@pytest.mark.parametrize(
    ("sql", "made"),
    [
        ("create table T (A int)", ["table t", "column t.a"]),
        ('CREATE TABLE "T" ("a b" int, "c""d" text)', ["table T", "column T.a b", 'column T.c"d']),
        ("CREATE TABLE s.t (a int)", ["table s.t", "column s.t.a"]),
        ('CREATE TABLE "S"."t" ()', ["table S.t"]),
        ("CREATE TABLE db.s.t ()", ["table s.t"]),
        ("CREATE TABLE IF NOT EXISTS t ()", ["table t"]),
        ("CREATE /* table x */ TABLE -- y\n t ()", ["table t"]),
        ("CREATE UNLOGGED TABLE t ()", ["table t"]),
        ("CREATE TABLE " + "x" * 70 + " ()", ["table " + "x" * 63]),
        ("CREATE TABLE " + "é" * 40 + " ()", ["table " + "é" * 31]),
        (
            "CREATE TABLE t (a int CONSTRAINT p CHECK (a IN (1, 2)) REFERENCES u (b), "
            "b numeric(10, 2) CONSTRAINT q NOT NULL DEFAULT 3, exclude int, "
            "CONSTRAINT r UNIQUE (a, b), CHECK (a > 0), PRIMARY KEY (a), "
            "EXCLUDE USING gist (a WITH =), LIKE v INCLUDING ALL)",
            [
                "table t",
                "column t.a",
                "constraint p of t",
                "column t.b",
                "column t.exclude",
                "constraint r of t",
            ],
        ),
        ("CREATE TABLE p PARTITION OF q FOR VALUES IN (1)", ["table p"]),
        ("CREATE TABLE t AS SELECT 1 AS a, f(2)", ["table t"]),
        ("CREATE FOREIGN TABLE f (a int) SERVER s", ["table f", "column f.a"]),
        ("CREATE UNIQUE INDEX CONCURRENTLY i ON ONLY s.t USING gin (a)", ["index s.i"]),
        ('CREATE INDEX IF NOT EXISTS "I" ON t (lower(a))', ["index I"]),
        ("CREATE INDEX ON t (a)", []),
        ("CREATE OR REPLACE VIEW s.v (a) AS SELECT 1", ["view s.v"]),
        ("CREATE MATERIALIZED VIEW IF NOT EXISTS v AS SELECT 1", ["view v"]),
        ("CREATE TYPE s.mood AS ENUM ('a', 'b')", ["type s.mood"]),
        ("CREATE DOMAIN d AS int CHECK (VALUE > 0)", ["type d"]),
        ("CREATE SEQUENCE IF NOT EXISTS q", ["sequence q"]),
        ("CREATE SCHEMA IF NOT EXISTS s", ["schema s"]),
        ("CREATE SCHEMA AUTHORIZATION joe", ["schema joe"]),
        ("CREATE SCHEMA s AUTHORIZATION joe", ["schema s"]),
        ('CREATE EXTENSION IF NOT EXISTS "uuid-ossp" SCHEMA x', ["extension uuid-ossp"]),
        (
            "CREATE OR REPLACE FUNCTION s.f(a int DEFAULT 1) RETURNS int LANGUAGE sql "
            "AS 'CREATE TABLE x ()'",
            ["function s.f"],
        ),
        ("CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC DELETE FROM t; END", ["function p"]),
        (
            "CREATE TRIGGER g BEFORE INSERT OR UPDATE OF a ON s.t EXECUTE FUNCTION f()",
            ["trigger g of s.t"],
        ),
        (
            "CREATE CONSTRAINT TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()",
            ["trigger g of t"],
        ),
        (
            "ALTER TABLE IF EXISTS ONLY s.t ADD COLUMN IF NOT EXISTS a int, ADD b text, "
            "ADD CONSTRAINT c CHECK (a IN (1, 2)) NOT VALID, ADD PRIMARY KEY (a), "
            "ALTER COLUMN d SET DEFAULT f(1, 2), OWNER TO joe",
            ["column s.t.a", "column s.t.b", "constraint c of s.t"],
        ),
        ("GRANT SELECT ON t TO joe", []),
        ("INSERT INTO t VALUES ('CREATE TABLE x ()')", []),
        ("CREATE TEMP TABLE t (a int)", []),
        ("CREATE TABLE pg_temp.t (a int)", []),
    ],
)
def test_a_statement_makes_what_its_text_names(sql: str, made: list[str]) -> None:
    """Quoted, qualified, cut to 63 bytes; whatever stands in strings, bodies and comments."""
    assert net(sql) == made


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        (["CREATE TABLE a ()", "CREATE TABLE b ()", "DROP TABLE IF EXISTS a, b CASCADE"], []),
        (["CREATE TABLE a (x int)", "CREATE INDEX i ON a (x)", "DROP TABLE a"], []),
        (["CREATE TABLE a ()", "CREATE INDEX i ON a (f(1))", "DROP INDEX i"], ["table a"]),
        (
            ["CREATE TABLE a (x int, y int)", "CREATE INDEX i ON a (y)", "ALTER TABLE a DROP y"],
            ["table a", "column a.x"],
        ),
        (
            ["CREATE TABLE a (x int, CONSTRAINT c CHECK (x > 0))", "ALTER TABLE a DROP COLUMN x"],
            ["table a"],
        ),
        (
            ["CREATE TABLE a (x int)", "ALTER TABLE a RENAME COLUMN x TO y"],
            ["table a", "column a.y"],
        ),
        (
            [
                "CREATE TABLE a (x int)",
                "CREATE INDEX i ON a (x)",
                "ALTER TABLE a RENAME x TO y",
                "ALTER TABLE a DROP y",
            ],
            ["table a"],
        ),
        (
            ["CREATE TABLE a (x int)", "ALTER TABLE a RENAME TO b", "CREATE INDEX i ON b (x)"],
            ["table b", "column b.x", "index i"],
        ),
        (
            ["CREATE TABLE a (x int)", "CREATE INDEX i ON a (x)", "ALTER TABLE a SET SCHEMA s"],
            ["table s.a", "column s.a.x", "index s.i"],
        ),
        (
            ["CREATE SCHEMA s", "CREATE TABLE s.a (x int)", "ALTER SCHEMA s RENAME TO t"],
            ["schema t", "table t.a", "column t.a.x"],
        ),
        (["CREATE SCHEMA s", "CREATE TABLE s.a (x int)", "DROP SCHEMA s CASCADE"], []),
        (["CREATE VIEW v AS SELECT 1", "ALTER VIEW v RENAME TO w"], ["view w"]),
        (["CREATE INDEX i ON a (x)", "ALTER INDEX i RENAME TO j"], ["index j"]),
        (
            [
                "CREATE UNIQUE INDEX i ON a (x)",
                "ALTER TABLE a ADD CONSTRAINT k UNIQUE USING INDEX i",
            ],
            ["index k", "constraint k of a"],
        ),
        (["CREATE TYPE m AS ENUM ()", "ALTER TYPE m RENAME TO n"], ["type n"]),
        (["CREATE FUNCTION f(int) RETURNS int", "DROP FUNCTION f(integer)"], []),
        (
            [
                "CREATE TRIGGER g BEFORE INSERT ON a EXECUTE FUNCTION f()",
                "ALTER TRIGGER g ON a RENAME TO h",
            ],
            ["trigger h of a"],
        ),
        (
            [
                "CREATE TRIGGER g BEFORE INSERT ON a EXECUTE FUNCTION f()",
                "CREATE FUNCTION f() RETURNS trigger",
                "DROP FUNCTION f() CASCADE",
            ],
            [],
        ),
        (
            ["CREATE TABLE a (x int)", "CREATE VIEW v AS SELECT x FROM a", "DROP TABLE a CASCADE"],
            [],
        ),
        (
            [
                "ALTER TABLE t ADD CONSTRAINT c CHECK (x > 0)",
                "ALTER TABLE t RENAME CONSTRAINT c TO d",
            ],
            ["constraint d of t"],
        ),
        (["CREATE SEQUENCE q OWNED BY a.x", "CREATE TABLE a (x int)", "DROP TABLE a"], []),
        (
            [
                "CREATE SEQUENCE q",
                "CREATE TABLE a (x int)",
                "ALTER SEQUENCE q OWNED BY a.x",
                "DROP TABLE a",
            ],
            [],
        ),
        (["CREATE EXTENSION vector", "DROP EXTENSION vector"], []),
        (["CREATE TEMP TABLE t (x int)", "CREATE INDEX i ON t (x)", "DROP TABLE t"], []),
        (["CREATE TEMP TABLE t (x int)", "CREATE INDEX i ON t (x)"], []),
        (
            ["CREATE TABLE a ()", "DROP TABLE a", "CREATE TABLE a (y int)"],
            ["table a", "column a.y"],
        ),
        (["DROP TABLE IF EXISTS other"], []),
    ],
)
def test_what_is_there_follows_from_all_statements(texts: list[str], left: list[str]) -> None:
    """Less what is dropped, with what hangs on it, and under last names."""
    assert net(*texts) == left


@pytest.mark.parametrize(
    "sql",
    [
        "DO $$ BEGIN CREATE TABLE x (); END $$",
        "CALL p()",
        "SELECT make_tables()",
        "SELECT 1 INTO x",
        "SELECT * INTO x FROM t",
        "WITH a AS (SELECT 1) SELECT * INTO x FROM a",
        "CREATE SCHEMA s CREATE TABLE t ()",
        "CREATE POLICY p ON t USING (true)",
        "CREATE ROLE joe",
        "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
        'CREATE TABLE U&"\\0061" ()',
        "DROP OWNED BY joe",
        "SET search_path = a",
        "SET ROLE joe",
        "ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b",
        "PREPARE a AS SELECT 1",
        "CREATE TABLE t (a int",
        "FROB THE TABLE",
    ],
)
def test_what_the_text_does_not_tell_is_said_and_not_guessed(sql: str) -> None:
    """The statement's beginning is listed, and no object of it."""
    found = net_objects(statements(sql))
    assert found.refs == ()
    assert found.not_understood == (sql,)


def test_a_name_that_may_be_another_objects_is_not_vouched_for() -> None:
    """Whether `a` is `s.a` the search path decides, and nobody here knows it."""
    found = net_objects(statements("CREATE TABLE s.a ()", "CREATE TABLE b ()", "DROP TABLE a"))
    assert [str(ref) for ref in found.refs] == ["table b"]
    assert found.not_understood == ("DROP TABLE a",)


def test_a_function_with_two_signatures_survives_the_drop_of_one() -> None:
    """Arguments are spelled otherwise in DROP than in CREATE."""
    found = net_objects(
        statements(
            "CREATE FUNCTION f(a int) RETURNS int",
            "CREATE FUNCTION f(a text) RETURNS int",
            "DROP FUNCTION f(int)",
        )
    )
    assert [str(ref) for ref in found.refs] == ["function f"]
    assert found.not_understood == ("DROP FUNCTION f(int)",)


@pytest.mark.parametrize(
    ("texts", "lost", "emptied", "thinned"),
    [
        (["DROP TABLE IF EXISTS a, s.b CASCADE"], ["table a", "table s.b"], [], []),
        (["ALTER TABLE a DROP COLUMN IF EXISTS x, DROP y"], ["column a.x", "column a.y"], [], []),
        (["ALTER TABLE a DROP COLUMN x", "DROP TABLE a"], ["table a"], [], []),
        (["ALTER TABLE a DROP CONSTRAINT x", "DROP INDEX i", "DROP VIEW v"], [], [], []),
        (["ALTER TABLE b RENAME TO a", "DROP TABLE a"], ["table b"], [], []),
        (["ALTER TABLE a RENAME y TO x", "ALTER TABLE a DROP x"], ["column a.y"], [], []),
        (["CREATE TABLE a ()", "DROP TABLE a"], [], [], []),
        (["CREATE TABLE a (x int)", "ALTER TABLE a DROP x"], [], [], []),
        (["DROP SCHEMA s CASCADE"], ["schema s"], [], []),
        (["TRUNCATE a, ONLY s.b"], [], ["table a", "table s.b"], []),
        (["DELETE FROM a"], [], ["table a"], []),
        (["DELETE FROM ONLY a WHERE x = (SELECT 1)"], [], [], ["table a"]),
        (["WITH d AS (DELETE FROM a WHERE x RETURNING *) SELECT 1"], [], [], ["table a"]),
        (["UPDATE a SET x = 1", "INSERT INTO a VALUES (1)"], [], [], []),
        (["DELETE FROM a WHERE x", "DELETE FROM a", "DROP TABLE b"], ["table b"], ["table a"], []),
    ],
)
def test_a_rollback_loses_tables_columns_and_rows(
    texts: list[str], lost: list[str], emptied: list[str], thinned: list[str]
) -> None:
    """Under the names that they have before it."""
    found = dropped(statements(*texts))
    assert [str(ref) for ref in found.dropped] == lost
    assert [str(ref) for ref in found.emptied] == emptied
    assert [str(ref) for ref in found.thinned] == thinned
    assert found.not_understood == ()


@pytest.mark.parametrize(
    "sql",
    ["DROP TYPE m CASCADE", "DROP EXTENSION vector CASCADE", "TRUNCATE a CASCADE", "CALL p()"],
)
def test_a_loss_that_cannot_be_told_is_said(sql: str) -> None:
    """CASCADE takes what only the database knows."""
    assert dropped(statements(sql)).not_understood == (sql,)


@pytest.mark.parametrize(
    ("texts", "relations"),
    [
        (["ALTER TABLE s.a ADD x int REFERENCES b"], ["table s.a", "table b"]),
        (["ALTER TABLE a ADD FOREIGN KEY (x) REFERENCES s.b (y)"], ["table a", "table s.b"]),
        (["CREATE TABLE a (x int REFERENCES b)"], ["table b"]),
        (["CREATE TABLE a PARTITION OF b DEFAULT"], ["table b"]),
        (["CREATE TABLE a (x int) INHERITS (b, c)"], ["table b", "table c"]),
        (["CREATE TABLE a ()", "ALTER TABLE a ADD x int", "CREATE INDEX i ON a (x)"], []),
        (["CREATE INDEX CONCURRENTLY i ON ONLY a (x)"], ["table a"]),
        (["CREATE TRIGGER g BEFORE INSERT ON a EXECUTE FUNCTION f()"], ["table a"]),
        (["DROP TRIGGER IF EXISTS g ON a"], ["table a"]),
        (["CREATE POLICY p ON a USING (true)", "DROP POLICY p ON b"], ["table a", "table b"]),
        (["DROP INDEX CONCURRENTLY i"], ["index i"]),
        (["DROP TABLE a, b"], ["table a", "table b"]),
        (["ALTER TABLE a ATTACH PARTITION b DEFAULT"], ["table a", "table b"]),
        (["ALTER TABLE a RENAME TO b", "ALTER TABLE b ADD x int"], ["table a"]),
        (["ALTER TABLE a ENABLE ROW LEVEL SECURITY"], ["table a"]),
        (["COMMENT ON COLUMN s.a.x IS 'y'", "COMMENT ON TABLE b IS 'y'"], ["table s.a", "table b"]),
        (
            ["UPDATE ONLY a SET x = 1", "DELETE FROM b", "TRUNCATE c"],
            ["table a", "table b", "table c"],
        ),
        (["MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE"], ["table a"]),
        (
            ["COPY a (x) FROM '/file'", "COPY b TO '/file'", "LOCK TABLE c, d"],
            ["table a", "table c", "table d"],
        ),
        (["WITH x AS (SELECT 1) INSERT INTO a SELECT * FROM x FOR UPDATE"], ["table a"]),
        (["WITH x AS (UPDATE a SET y = 1 RETURNING *) SELECT * FROM x"], ["table a"]),
        (["REFRESH MATERIALIZED VIEW CONCURRENTLY v"], ["view v"]),
        (["REINDEX (VERBOSE) TABLE CONCURRENTLY a", "REINDEX INDEX i"], ["table a", "index i"]),
        (
            ["VACUUM (ANALYZE) a", "VACUUM FULL b", "CLUSTER c USING i"],
            ["table a", "table b", "table c"],
        ),
        (["SELECT 1 FROM a", "GRANT SELECT ON a TO joe", "VACUUM"], []),
    ],
)
def test_relations_that_are_locked_are_told(texts: list[str], relations: list[str]) -> None:
    """But for those that the statements make themselves, under the names they have before."""
    assert touched(*texts) == relations


def test_needs_are_told() -> None:
    """Schemas, extensions with their versions, methods of indexes, tables that are built on."""
    found = needs(
        statements(
            "CREATE SCHEMA made",
            "CREATE TABLE made.a ()",
            "CREATE TABLE app.b (x vector)",
            "CREATE TYPE mood AS ENUM ()",
            "CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA x VERSION '0.7.0'",
            'CREATE EXTENSION "uuid-ossp"',
            "ALTER EXTENSION hstore UPDATE TO '1.8'",
            "CREATE INDEX i ON nodes USING hnsw (x)",
            "CREATE INDEX j ON app.b (x)",
            "ALTER TABLE edges ADD UNIQUE (x)",
            "CREATE TEMP TABLE elsewhere ()",
        )
    )
    assert found.schemas == ("app", None)
    assert found.made_schemas == {"made"}
    assert found.extensions == (("vector", "0.7.0"), ("uuid-ossp", None))
    assert found.updated == (("hstore", "1.8"),)
    assert found.methods == {"hnsw", "btree"}
    assert [str(ref) for ref in found.built_on] == ["table nodes", "table edges"]


def test_a_reference_says_what_it_is() -> None:
    """It is read in errors."""
    assert str(ObjectRef(Kind.COLUMN, "s", "c", "t")) == "column s.t.c"
    assert ObjectRef(Kind.COLUMN, "s", "c", "t").table == ObjectRef(Kind.TABLE, "s", "t")
    assert str(ObjectRef(Kind.INDEX, None, "i", "t")) == "index i"


def test_many_rows_are_not_read() -> None:
    """The end of an INSERT may be anything: it tells nothing of objects."""
    rows = ", ".join(["(1)"] * 100)
    assert touched(f"INSERT INTO s.t (a) VALUES {rows} 'not closed") == ["table s.t"]
