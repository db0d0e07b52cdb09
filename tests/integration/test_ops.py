"""Every operation: the SQL it becomes, and what that SQL does to a real PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.errors import ActiveSqlTransaction
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Enum,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    Sequence,
    String,
    Table,
    Text,
    UniqueConstraint,
    column,
    func,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError

from neuron_schema import ops
from neuron_schema.compiling.compiler import compile_element

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

DIALECT = PGDialect_psycopg(paramstyle="named")  # type: ignore[no-untyped-call]

#: Names with all that quoting can get wrong, and 63 bytes of UTF-8.
HOSTILE = "Ta\"b'le %s %% :x é;--"
HOSTILE_SQL = '"' + HOSTILE.replace('"', '""') + '"'
HOSTILE_LITERAL = "'" + HOSTILE.replace("'", "''") + "'"
LONGEST = "é" * 31 + "x"

MD = MetaData()
USERS = Table(
    "users",
    MD,
    Column("id", Integer, primary_key=True),
    Column("name", Text, CheckConstraint("name <> ''", name="users_name_filled")),
    Column("age", Integer),
    Column("email", Text),
    CheckConstraint("age > 0", name="users_age_positive", postgresql_not_valid=True),
)
ORDER = Table("order", MD, Column("select", Integer), Column(HOSTILE, Text), schema="Sch%ema")
WEIRD = Table(HOSTILE, MD, Column(HOSTILE, Text), Column("n", Integer))
EVENTS = Table("events", MD, Column("day", Integer), postgresql_partition_by="RANGE (day)")

SETUP_USERS = """
CREATE TABLE users (id serial PRIMARY KEY, name text, age integer, email text);
INSERT INTO users (name, age, email) VALUES ('a', 1, 'a@x'), ('b', 2, 'b@x');
"""
SETUP_ORDER = f"""
CREATE SCHEMA "Sch%ema"; CREATE TABLE "Sch%ema"."order" ("select" integer, {HOSTILE_SQL} text);
"""
SETUP_WEIRD = f"CREATE TABLE {HOSTILE_SQL} ({HOSTILE_SQL} text, n integer);"
SETUP_EVENTS = "CREATE TABLE events (day integer) PARTITION BY RANGE (day);"
SETUP_PART = SETUP_EVENTS + "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (1) TO (2);"

COLUMN_OF = """
SELECT pg_catalog.format_type(atttypid, atttypmod), attnotnull,
       pg_catalog.pg_get_expr(d.adbin, d.adrelid)
  FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum
 WHERE attrelid = '{table}'::regclass AND attname = {name} AND NOT attisdropped
"""
CONSTRAINTS_OF = """
SELECT string_agg(conname || ' ' || pg_get_constraintdef(oid), '; ' ORDER BY conname COLLATE "C")
  FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype <> 'n' {more}
"""
COLUMNS_OF_USERS = """
SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
 WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped
"""


def column_of(table_: str, name: str) -> str:
    """Return a query for type, NOT NULL and default of a column."""
    return COLUMN_OF.format(
        table=table_.replace("'", "''"), name="'" + name.replace("'", "''") + "'"
    )


def constraints_of(table_: str, more: str = "") -> str:
    """Return a query for the names and definitions of a table's constraints."""
    return CONSTRAINTS_OF.format(table=table_.replace("'", "''"), more=more)


@dataclass(frozen=True)
class Case:
    """An operation, its SQL, and what the catalog says after it.

    Attributes:
        expected: The one row that ``check`` returns.
        since: The first major version of PostgreSQL that has this.
    """

    op: ops.Operation
    sql: str
    setup: str
    check: str
    expected: tuple[Any, ...]
    since: int = 0


def new(name: str, *items: Any, **options: Any) -> Column[Any]:
    """Return a new column of users, beside a stub of the tables it refers to."""
    metadata = MetaData()
    Table("users", metadata, found := Column(name, *items, **options))
    Table("team", metadata, Column("id", Integer))
    return found


SETUP_TEAM = SETUP_USERS + "CREATE TABLE team (id integer PRIMARY KEY);"

COLUMNS = [
    Case(
        ops.AddColumn(new("bio", Text)),
        "ALTER TABLE users ADD COLUMN bio TEXT",
        SETUP_USERS,
        column_of("users", "bio"),
        ("text", False, None),
    ),
    Case(
        ops.AddColumn(new("name", Text), if_not_exists=True),
        "ALTER TABLE users ADD COLUMN IF NOT EXISTS name TEXT",
        SETUP_USERS,
        COLUMNS_OF_USERS,
        ("id name age email",),
    ),
    Case(
        ops.AddColumn(new("rate", Numeric(5, 2), server_default=text("1.5"), nullable=False)),
        "ALTER TABLE users ADD COLUMN rate NUMERIC(5, 2) DEFAULT 1.5 NOT NULL",
        SETUP_USERS,
        column_of("users", "rate"),
        ("numeric(5,2)", True, "1.5"),
    ),
    Case(
        ops.AddColumn(new("note", String(20), server_default="100%s it's :x \\n")),
        "ALTER TABLE users ADD COLUMN note VARCHAR(20) DEFAULT '100%s it''s :x \\n'",
        SETUP_USERS,
        "SELECT DISTINCT note FROM users",
        ("100%s it's :x \\n",),
    ),
    Case(
        ops.AddColumn(new("at", DateTime(timezone=True), server_default=func.now())),
        "ALTER TABLE users ADD COLUMN at TIMESTAMP WITH TIME ZONE DEFAULT now()",
        SETUP_USERS,
        column_of("users", "at"),
        ("timestamp with time zone", False, "now()"),
    ),
    Case(
        ops.AddColumn(new("seq", BigInteger, Identity(always=True, start=10))),
        "ALTER TABLE users ADD COLUMN seq BIGINT GENERATED ALWAYS AS IDENTITY (START WITH 10)",
        SETUP_USERS,
        "SELECT min(seq), max(seq) FROM users",
        (10, 11),
    ),
    Case(
        ops.AddColumn(new("twice", Integer, Computed("age * 2 % 7", persisted=True))),
        "ALTER TABLE users ADD COLUMN twice INTEGER GENERATED ALWAYS AS (age * 2 % 7) STORED",
        SETUP_USERS,
        "SELECT sum(twice) FROM users",
        (6,),
    ),
    Case(
        ops.AddColumn(
            new("team_id", ForeignKey("team.id", ondelete="SET NULL", onupdate="CASCADE"))
        ),
        "ALTER TABLE users ADD COLUMN team_id INTEGER REFERENCES team (id) "
        "ON DELETE SET NULL ON UPDATE CASCADE",
        SETUP_TEAM,
        constraints_of("users", "AND contype = 'f'"),
        (
            "users_team_id_fkey FOREIGN KEY (team_id) REFERENCES team(id) "
            "ON UPDATE CASCADE ON DELETE SET NULL",
        ),
    ),
    Case(
        ops.AddColumn(
            new(
                "team_id",
                ForeignKey("team.id", name="In Team", deferrable=True, initially="DEFERRED"),
            )
        ),
        'ALTER TABLE users ADD COLUMN team_id INTEGER CONSTRAINT "In Team" REFERENCES team (id) '
        "DEFERRABLE INITIALLY DEFERRED",
        SETUP_TEAM,
        constraints_of("users", "AND contype = 'f'"),
        ("In Team FOREIGN KEY (team_id) REFERENCES team(id) DEFERRABLE INITIALLY DEFERRED",),
    ),
    Case(
        ops.AddColumn(
            new(
                "n",
                Integer,
                CheckConstraint("n > 1"),
                CheckConstraint("n % 5 < 4", name="a_later_one"),
                unique=True,
            )
        ),
        "ALTER TABLE users ADD COLUMN n INTEGER CHECK (n > 1) "
        "CONSTRAINT a_later_one CHECK (n % 5 < 4) UNIQUE",
        SETUP_USERS,
        constraints_of("users"),
        (
            "a_later_one CHECK (((n % 5) < 4)); users_n_check CHECK ((n > 1)); "
            "users_n_key UNIQUE (n); users_pkey PRIMARY KEY (id)",
        ),
    ),
    Case(
        ops.AddColumn(new("flag", Boolean(create_constraint=True, name="flag_is_bool"))),
        "ALTER TABLE users ADD COLUMN flag BOOLEAN",
        SETUP_USERS,
        column_of("users", "flag"),
        ("boolean", False, None),
    ),
    Case(
        ops.AddColumn(
            new("mood", Enum("sad", "ok", native_enum=False, create_constraint=True, name="m"))
        ),
        "ALTER TABLE users ADD COLUMN mood VARCHAR(3) CONSTRAINT m CHECK (mood IN ('sad', 'ok'))",
        SETUP_USERS,
        constraints_of("users", "AND contype = 'c'"),
        (
            "m CHECK (((mood)::text = ANY ((ARRAY['sad'::character varying, "
            "'ok'::character varying])::text[])))",
        ),
    ),
    Case(
        ops.AddColumn(new("id", Integer, primary_key=True)),
        "ALTER TABLE users ADD COLUMN id SERIAL NOT NULL PRIMARY KEY",
        "CREATE TABLE users (name text);",
        column_of("users", "id"),
        ("integer", True, "nextval('users_id_seq'::regclass)"),
    ),
    Case(
        ops.AddColumn(
            Table(HOSTILE, MetaData(), Column(LONGEST, Text), schema="Sch%ema").c[LONGEST]
        ),
        f'ALTER TABLE "Sch%ema".{HOSTILE_SQL} ADD COLUMN "{LONGEST}" TEXT',
        f'CREATE SCHEMA "Sch%ema"; CREATE TABLE "Sch%ema".{HOSTILE_SQL} ();',
        column_of(f'"Sch%ema".{HOSTILE_SQL}', LONGEST),
        ("text", False, None),
    ),
    Case(
        ops.DropColumn(USERS.c.age),
        "ALTER TABLE users DROP COLUMN age",
        SETUP_USERS,
        COLUMNS_OF_USERS,
        ("id name email",),
    ),
    Case(
        ops.DropColumn("name", table="users", if_exists=True, cascade=True),
        "ALTER TABLE users DROP COLUMN IF EXISTS name CASCADE",
        SETUP_USERS + "CREATE VIEW v AS SELECT name FROM users;",
        "SELECT to_regclass('v') IS NULL",
        (True,),
    ),
    Case(
        ops.DropColumn(ORDER.c[HOSTILE]),
        f'ALTER TABLE "Sch%ema"."order" DROP COLUMN {HOSTILE_SQL}',
        SETUP_ORDER,
        "SELECT count(*) FROM pg_attribute WHERE attrelid = '\"Sch%ema\".order'::regclass "
        "AND attnum > 0 AND NOT attisdropped",
        (1,),
    ),
]

ALTERED = [
    Case(
        ops.AlterColumn(USERS.c.id, type_=Integer),
        "ALTER TABLE users ALTER COLUMN id TYPE INTEGER",
        "CREATE TABLE users (id bigint);",
        column_of("users", "id"),
        ("integer", False, None),
    ),
    Case(
        ops.AlterColumn(
            USERS.c.age,
            type_=Text,
            using=USERS.c.age + 1,
            nullable=False,
            server_default="none",
        ),
        "ALTER TABLE users ALTER COLUMN age DROP DEFAULT, "
        "ALTER COLUMN age TYPE TEXT USING age + 1, ALTER COLUMN age SET DEFAULT 'none', "
        "ALTER COLUMN age SET NOT NULL",
        SETUP_USERS,
        column_of("users", "age"),
        ("text", True, "'none'::text"),
    ),
    Case(
        # The old default cannot be cast: without DROP DEFAULT this fails.
        ops.AlterColumn(
            "c", table="t", type_="integer", using="length(c) % 3", server_default=text("7")
        ),
        "ALTER TABLE t ALTER COLUMN c DROP DEFAULT, "
        "ALTER COLUMN c TYPE integer USING length(c) % 3, ALTER COLUMN c SET DEFAULT 7",
        "CREATE TABLE t (c text DEFAULT 'x'); INSERT INTO t VALUES ('four');",
        "SELECT c, column_default FROM t, information_schema.columns "
        "WHERE table_name = 't' AND column_name = 'c'",
        (1, "7"),
    ),
    Case(
        ops.AlterColumn(USERS.c.age, server_default=None, nullable=True),
        "ALTER TABLE users ALTER COLUMN age DROP DEFAULT, ALTER COLUMN age DROP NOT NULL",
        "CREATE TABLE users (age integer NOT NULL DEFAULT 5);",
        column_of("users", "age"),
        ("integer", False, None),
    ),
    Case(
        ops.AlterColumn(USERS.c.name, server_default="it's 5% :x"),
        "ALTER TABLE users ALTER COLUMN name SET DEFAULT 'it''s 5% :x'",
        SETUP_USERS,
        column_of("users", "name"),
        ("text", False, "'it''s 5% :x'::text"),
    ),
    Case(
        ops.AlterColumn(USERS.c.age, identity=Identity(always=True), nullable=False),
        "ALTER TABLE users ALTER COLUMN age SET NOT NULL, "
        "ALTER COLUMN age ADD GENERATED ALWAYS AS IDENTITY",
        SETUP_USERS,
        "SELECT attidentity::text FROM pg_attribute "
        "WHERE attrelid = 'users'::regclass AND attname = 'age'",
        ("a",),
    ),
    Case(
        ops.AlterColumn(USERS.c.age, identity=None),
        "ALTER TABLE users ALTER COLUMN age DROP IDENTITY",
        "CREATE TABLE users (age integer GENERATED ALWAYS AS IDENTITY);",
        "SELECT attidentity::text FROM pg_attribute "
        "WHERE attrelid = 'users'::regclass AND attname = 'age'",
        ("",),
    ),
    Case(
        ops.AlterColumn(WEIRD.c[HOSTILE], type_=String(9, collation="C"), using=WEIRD.c.n % 5),
        f"ALTER TABLE {HOSTILE_SQL} ALTER COLUMN {HOSTILE_SQL} "
        'TYPE VARCHAR(9) COLLATE "C" USING n % 5',
        SETUP_WEIRD + f"INSERT INTO {HOSTILE_SQL} VALUES ('x', 7);",
        f"SELECT {HOSTILE_SQL} FROM {HOSTILE_SQL}",
        ("2",),
    ),
    Case(
        ops.SetStorage(USERS.c.name, "external"),
        "ALTER TABLE users ALTER COLUMN name SET STORAGE EXTERNAL",
        SETUP_USERS,
        "SELECT attstorage::text FROM pg_attribute "
        "WHERE attrelid = 'users'::regclass AND attname = 'name'",
        ("e",),
    ),
    Case(
        ops.SetStorage(HOSTILE, "MAIN", table=table("order", schema="Sch%ema")),
        f'ALTER TABLE "Sch%ema"."order" ALTER COLUMN {HOSTILE_SQL} SET STORAGE MAIN',
        SETUP_ORDER,
        f"SELECT attstorage::text FROM pg_attribute WHERE attname = {HOSTILE_LITERAL}",
        ("m",),
    ),
    Case(
        ops.SetStatistics(USERS.c.name, 500),
        "ALTER TABLE users ALTER COLUMN name SET STATISTICS 500",
        SETUP_USERS,
        "SELECT attstattarget::integer FROM pg_attribute "
        "WHERE attrelid = 'users'::regclass AND attname = 'name'",
        (500,),
    ),
    Case(
        ops.SetStatistics("name", None, table="users"),
        "ALTER TABLE users ALTER COLUMN name SET STATISTICS -1",
        SETUP_USERS + "ALTER TABLE users ALTER COLUMN name SET STATISTICS 5;",
        "SELECT coalesce(attstattarget::integer, -1) FROM pg_attribute "
        "WHERE attrelid = 'users'::regclass AND attname = 'name'",
        (-1,),
    ),
]

RENAMED = [
    Case(
        ops.RenameTable(USERS, "people"),
        "ALTER TABLE users RENAME TO people",
        SETUP_USERS,
        "SELECT count(*) FROM people",
        (2,),
    ),
    Case(
        ops.RenameTable(ORDER, HOSTILE),
        f'ALTER TABLE "Sch%ema"."order" RENAME TO {HOSTILE_SQL}',
        SETUP_ORDER,
        f'SELECT count(*) FROM "Sch%ema".{HOSTILE_SQL}',
        (0,),
    ),
    Case(
        ops.RenameColumn(USERS.c.name, HOSTILE),
        f"ALTER TABLE users RENAME COLUMN name TO {HOSTILE_SQL}",
        SETUP_USERS,
        f"SELECT min({HOSTILE_SQL}) FROM users",
        ("a",),
    ),
    Case(
        ops.RenameColumn(HOSTILE, "user", table=HOSTILE),
        f'ALTER TABLE {HOSTILE_SQL} RENAME COLUMN {HOSTILE_SQL} TO "user"',
        SETUP_WEIRD,
        f'SELECT count("user") FROM {HOSTILE_SQL}',
        (0,),
    ),
    Case(
        ops.RenameConstraint(UniqueConstraint(USERS.c.age, name="old"), "New"),
        'ALTER TABLE users RENAME CONSTRAINT "old" TO "New"',
        SETUP_USERS + "ALTER TABLE users ADD CONSTRAINT old UNIQUE (age);",
        constraints_of("users", "AND contype = 'u'"),
        ("New UNIQUE (age)",),
    ),
    Case(
        ops.RenameConstraint(HOSTILE, "c", table=ORDER),
        f'ALTER TABLE "Sch%ema"."order" RENAME CONSTRAINT {HOSTILE_SQL} TO c',
        SETUP_ORDER
        + f'ALTER TABLE "Sch%ema"."order" ADD CONSTRAINT {HOSTILE_SQL} CHECK ("select" > 1);',
        constraints_of('"Sch%ema"."order"'),
        ('c CHECK (("select" > 1))',),
    ),
    Case(
        ops.RenameIndex(Index("i", ORDER.c.select), HOSTILE),
        f'ALTER INDEX "Sch%ema".i RENAME TO {HOSTILE_SQL}',
        SETUP_ORDER + 'CREATE INDEX i ON "Sch%ema"."order" ("select");',
        f"SELECT count(*) FROM pg_class WHERE relname = {HOSTILE_LITERAL}",
        (1,),
    ),
    Case(
        ops.RenameIndex(HOSTILE, "i", schema="Sch%ema"),
        f'ALTER INDEX "Sch%ema".{HOSTILE_SQL} RENAME TO i',
        SETUP_ORDER + f'CREATE INDEX {HOSTILE_SQL} ON "Sch%ema"."order" ("select");',
        "SELECT '\"Sch%ema\".i'::regclass IS NOT NULL",
        (True,),
    ),
]

CONSTRAINTS = [
    Case(
        ops.ValidateConstraint(
            next(c for c in USERS.constraints if c.name == "users_age_positive")
        ),
        "ALTER TABLE users VALIDATE CONSTRAINT users_age_positive",
        SETUP_USERS
        + "ALTER TABLE users ADD CONSTRAINT users_age_positive CHECK (age > 0) NOT VALID;",
        "SELECT convalidated FROM pg_constraint WHERE conname = 'users_age_positive'",
        (True,),
    ),
    Case(
        ops.ValidateConstraint(next(iter(USERS.c.name.constraints))),
        "ALTER TABLE users VALIDATE CONSTRAINT users_name_filled",
        SETUP_USERS
        + "ALTER TABLE users ADD CONSTRAINT users_name_filled CHECK (name <> '') NOT VALID;",
        "SELECT convalidated FROM pg_constraint WHERE conname = 'users_name_filled'",
        (True,),
    ),
    Case(
        ops.ValidateConstraint(HOSTILE, table=ORDER),
        f'ALTER TABLE "Sch%ema"."order" VALIDATE CONSTRAINT {HOSTILE_SQL}',
        SETUP_ORDER
        + f'ALTER TABLE "Sch%ema"."order" ADD CONSTRAINT {HOSTILE_SQL} '
        + 'CHECK ("select" > 1) NOT VALID;',
        f"SELECT convalidated FROM pg_constraint WHERE conname = {HOSTILE_LITERAL}",
        (True,),
    ),
    Case(
        ops.AddNotNull(USERS.c.name, "Name_filled", not_valid=True),
        'ALTER TABLE users ADD CONSTRAINT "Name_filled" NOT NULL name NOT VALID',
        SETUP_USERS,
        "SELECT contype::text, convalidated FROM pg_constraint WHERE conname = 'Name_filled'",
        ("n", False),
        since=18,
    ),
    Case(
        ops.AddNotNull("name", table="users", no_inherit=True),
        "ALTER TABLE users ADD NOT NULL name NO INHERIT",
        SETUP_USERS,
        "SELECT convalidated, connoinherit FROM pg_constraint "
        "WHERE conname = 'users_name_not_null'",
        (True, True),
        since=18,
    ),
    Case(
        ops.AddConstraintUsingIndex(USERS, "u", Index("i_age", USERS.c.age, unique=True)),
        "ALTER TABLE users ADD CONSTRAINT u UNIQUE USING INDEX i_age",
        SETUP_USERS + "CREATE UNIQUE INDEX i_age ON users (age);",
        constraints_of("users", "AND contype = 'u'"),
        ("u UNIQUE (age)",),
    ),
    Case(
        ops.AddConstraintUsingIndex(ORDER, HOSTILE, "I%", primary_key=True),
        f'ALTER TABLE "Sch%ema"."order" ADD CONSTRAINT {HOSTILE_SQL} PRIMARY KEY USING INDEX "I%"',
        SETUP_ORDER + 'CREATE UNIQUE INDEX "I%" ON "Sch%ema"."order" ("select");',
        constraints_of('"Sch%ema"."order"'),
        (f'{HOSTILE} PRIMARY KEY ("select")',),
    ),
    Case(
        ops.AddConstraintUsingIndex("users", None, "i_age", initially_deferred=True),
        "ALTER TABLE users ADD UNIQUE USING INDEX i_age DEFERRABLE INITIALLY DEFERRED",
        SETUP_USERS + "CREATE UNIQUE INDEX i_age ON users (age);",
        constraints_of("users", "AND contype = 'u'"),
        ("i_age UNIQUE (age) DEFERRABLE INITIALLY DEFERRED",),
    ),
]

SETUP_MOOD = "CREATE TYPE mood AS ENUM ('sad', 'glad');"
LABELS = "SELECT array_agg(enumlabel::text ORDER BY enumsortorder) FROM pg_enum"

TYPES = [
    Case(
        ops.CreateExtension("plpgsql", if_not_exists=True),
        "CREATE EXTENSION IF NOT EXISTS plpgsql",
        "",
        "SELECT count(*) FROM pg_extension WHERE extname = 'plpgsql'",
        (1,),
    ),
    Case(
        ops.CreateExtension("plpgsql", schema="pg_catalog", version="1.0", cascade=True),
        "CREATE EXTENSION plpgsql SCHEMA pg_catalog VERSION '1.0' CASCADE",
        "DROP EXTENSION plpgsql;",
        "SELECT extversion FROM pg_extension WHERE extname = 'plpgsql'",
        ("1.0",),
    ),
    Case(
        ops.DropExtension("plpgsql"),
        "DROP EXTENSION plpgsql",
        "",
        "SELECT count(*) FROM pg_extension WHERE extname = 'plpgsql'",
        (0,),
    ),
    Case(
        ops.DropExtension("uuid-ossp%", if_exists=True, cascade=True),
        'DROP EXTENSION IF EXISTS "uuid-ossp%" CASCADE',
        "",
        "SELECT count(*) FROM pg_extension WHERE extname = 'plpgsql'",
        (1,),
    ),
    Case(
        ops.AddEnumValue(Enum("sad", "glad", name="mood"), "it's 50% :x"),
        "ALTER TYPE mood ADD VALUE 'it''s 50% :x'",
        SETUP_MOOD,
        LABELS,
        (["sad", "glad", "it's 50% :x"],),
    ),
    Case(
        ops.AddEnumValue(ENUM("sad", name="Mood%", schema="Sch%ema"), "ok", before="glad"),
        "ALTER TYPE \"Sch%ema\".\"Mood%\" ADD VALUE 'ok' BEFORE 'glad'",
        'CREATE SCHEMA "Sch%ema"; CREATE TYPE "Sch%ema"."Mood%" AS ENUM (\'sad\', \'glad\');',
        LABELS,
        (["sad", "ok", "glad"],),
    ),
    Case(
        ops.AddEnumValue("mood", "glad", after="sad", if_not_exists=True, schema="public"),
        "ALTER TYPE public.mood ADD VALUE IF NOT EXISTS 'glad' AFTER 'sad'",
        SETUP_MOOD,
        LABELS,
        (["sad", "glad"],),
    ),
    Case(
        ops.RenameEnumValue(Enum("sad", name="mood"), "sad", "so'sad\\"),
        "ALTER TYPE mood RENAME VALUE 'sad' TO 'so''sad\\'",
        SETUP_MOOD,
        LABELS,
        (["so'sad\\", "glad"],),
    ),
    Case(
        ops.RenameEnumValue(HOSTILE, "a", "b"),
        f"ALTER TYPE {HOSTILE_SQL} RENAME VALUE 'a' TO 'b'",
        f"CREATE TYPE {HOSTILE_SQL} AS ENUM ('a');",
        LABELS,
        (["b"],),
    ),
]

TOUCH = ops.CreateFunction(
    "touch",
    returns="trigger",
    language="plpgsql",
    body="BEGIN NEW.name := format('%s-%s', NEW.name, TG_ARGV[0]); RETURN NEW; END",
)
NOTHING = ops.CreateFunction(
    "nothing", returns="trigger", language="plpgsql", body="BEGIN RETURN NULL; END"
)
SETUP_TOUCH = SETUP_USERS + str(TOUCH.compile(dialect=DIALECT)) + ";"
SETUP_NOTHING = SETUP_USERS + str(NOTHING.compile(dialect=DIALECT)) + ";"
TRIGGER = "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"

ROUTINES = [
    Case(
        TOUCH,
        "CREATE FUNCTION touch() RETURNS trigger\nLANGUAGE plpgsql\nAS $$BEGIN NEW.name := "
        "format('%s-%s', NEW.name, TG_ARGV[0]); RETURN NEW; END$$",
        "",
        "SELECT prosrc FROM pg_proc WHERE proname = 'touch'",
        ("BEGIN NEW.name := format('%s-%s', NEW.name, TG_ARGV[0]); RETURN NEW; END",),
    ),
    Case(
        ops.CreateFunction(
            HOSTILE,
            [column("a b", Integer), "VARIADIC c text[] DEFAULT '{:x%}'"],
            schema="Sch%ema",
            returns=Text,
            language="sql",
            body="SELECT '$$ :x %' || '$body1$'; --$",
            or_replace=True,
            volatility="immutable",
            strict=True,
            security_definer=True,
            parallel="safe",
            cost=12.5,
            set_={"search_path": ("pg_catalog", "Sch%ema"), "work_mem": "1MB", "my.own": ""},
        ),
        f'CREATE OR REPLACE FUNCTION "Sch%ema".{HOSTILE_SQL}'
        "(\"a b\" INTEGER, VARIADIC c text[] DEFAULT '{:x%}') RETURNS TEXT\n"
        "LANGUAGE sql\nSECURITY DEFINER\nSET search_path = 'pg_catalog', 'Sch%ema'\n"
        "SET work_mem = '1MB'\nSET my.own = ''\nIMMUTABLE\nSTRICT\nPARALLEL SAFE\nCOST 12.5\n"
        "AS $body2$SELECT '$$ :x %' || '$body1$'; --$$body2$",
        'CREATE SCHEMA "Sch%ema";',
        f'SELECT "Sch%ema".{HOSTILE_SQL}(1), proconfig, provolatile::text, proisstrict, prosecdef, '
        "proparallel::text, procost FROM pg_proc "
        f"WHERE proname = {HOSTILE_LITERAL}",
        (
            "$$ :x %$body1$",
            ['search_path=pg_catalog, "Sch%ema"', "work_mem=1MB", "my.own="],
            "i",
            True,
            True,
            "s",
            12.5,
        ),
    ),
    Case(
        ops.CreateFunction(
            "pairs",
            "OUT a integer, OUT b integer",
            returns=None,
            language="sql",
            body="SELECT 1, 2",
            volatility="STABLE",
            leakproof=True,
        ),
        "CREATE FUNCTION pairs(OUT a integer, OUT b integer)\nLANGUAGE sql\nSTABLE\nLEAKPROOF\n"
        "AS $$SELECT 1, 2$$",
        "",
        "SELECT a, b FROM pairs()",
        (1, 2),
    ),
    Case(
        ops.CreateFunction(
            "three", returns="SETOF integer", language="sql", body="VALUES (1), (2), (3)", rows=3
        ),
        "CREATE FUNCTION three() RETURNS SETOF integer\nLANGUAGE sql\nROWS 3\n"
        "AS $$VALUES (1), (2), (3)$$",
        "",
        "SELECT prorows FROM pg_proc WHERE proname = 'three'",
        (3.0,),
    ),
    Case(
        ops.CreateProcedure(
            "Pro%c",
            [column("n", Integer)],
            schema="public",
            language="plpgsql",
            body="\nBEGIN\n  NULL;\nEND\n",
            or_replace=True,
            security_definer=True,
            set_={"search_path": ""},
        ),
        'CREATE OR REPLACE PROCEDURE public."Pro%c"(n INTEGER)\nLANGUAGE plpgsql\n'
        "SECURITY DEFINER\nSET search_path = ''\nAS $$\nBEGIN\n  NULL;\nEND\n$$",
        "",
        "SELECT prokind::text, proconfig FROM pg_proc WHERE proname = 'Pro%c'",
        ("p", ['search_path=""']),
    ),
    Case(
        ops.DropFunction("touch", cascade=True),
        "DROP FUNCTION touch CASCADE",
        SETUP_TOUCH
        + "CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION touch();",
        "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal",
        (0,),
    ),
    Case(
        ops.DropFunction(HOSTILE, [column("a", Integer), "text"], schema="Sch%ema", if_exists=True),
        f'DROP FUNCTION IF EXISTS "Sch%ema".{HOSTILE_SQL}(a INTEGER, text)',
        f'CREATE SCHEMA "Sch%ema"; CREATE FUNCTION "Sch%ema".{HOSTILE_SQL}(integer, text) '
        "RETURNS int LANGUAGE sql AS 'SELECT 1';",
        f"SELECT count(*) FROM pg_proc WHERE proname = {HOSTILE_LITERAL}",
        (0,),
    ),
    Case(
        ops.DropProcedure("p", ()),
        "DROP PROCEDURE p()",
        "CREATE PROCEDURE p() LANGUAGE sql AS ''; CREATE PROCEDURE p(int) LANGUAGE sql AS '';",
        "SELECT count(*) FROM pg_proc WHERE proname = 'p'",
        (1,),
    ),
    Case(
        ops.CreateTrigger(
            USERS,
            "touch_it",
            timing="before",
            events=("INSERT", "update"),
            update_of=(USERS.c.age, "name"),
            function=TOUCH,
            function_args=("it's %",),
            when="NEW.age % 2 = 1",
            or_replace=True,
        ),
        "CREATE OR REPLACE TRIGGER touch_it BEFORE INSERT OR UPDATE OF age, name ON users "
        "FOR EACH ROW WHEN (NEW.age % 2 = 1) EXECUTE FUNCTION touch('it''s %')",
        SETUP_TOUCH,
        TRIGGER,
        (
            "CREATE TRIGGER touch_it BEFORE INSERT OR UPDATE OF age, name ON public.users "
            "FOR EACH ROW WHEN (((new.age % 2) = 1)) EXECUTE FUNCTION touch('it''s %')",
        ),
    ),
    Case(
        ops.CreateTrigger(
            "users",
            HOSTILE,
            timing="AFTER",
            events="UPDATE",
            function="nothing",
            function_schema="public",
            for_each="STATEMENT",
            old_table="Old%",
            new_table="fresh",
        ),
        f"CREATE TRIGGER {HOSTILE_SQL} AFTER UPDATE ON users REFERENCING "
        'OLD TABLE AS "Old%" NEW TABLE AS fresh FOR EACH STATEMENT '
        "EXECUTE FUNCTION public.nothing()",
        SETUP_NOTHING,
        "SELECT tgname::text, tgoldtable::text, tgnewtable::text FROM pg_trigger",
        (HOSTILE, "Old%", "fresh"),
    ),
    Case(
        ops.CreateTrigger(
            USERS,
            "later",
            timing="AFTER",
            events="DELETE",
            function=NOTHING,
            constraint=True,
            initially_deferred=True,
            when=table("old", column("age")).c.age > 5,
        ),
        "CREATE CONSTRAINT TRIGGER later AFTER DELETE ON users DEFERRABLE INITIALLY DEFERRED "
        'FOR EACH ROW WHEN ("old".age > 5) EXECUTE FUNCTION nothing()',
        SETUP_NOTHING,
        "SELECT tgdeferrable, tginitdeferred FROM pg_trigger",
        (True, True),
    ),
    Case(
        ops.CreateTrigger("v", "into", timing="INSTEAD OF", events=["INSERT"], function=NOTHING),
        'CREATE TRIGGER "into" INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION nothing()',
        SETUP_NOTHING + "CREATE VIEW v AS SELECT * FROM users;",
        "SELECT tgname::text FROM pg_trigger",
        ("into",),
    ),
    Case(
        ops.DropTrigger(USERS, HOSTILE, cascade=True),
        f"DROP TRIGGER {HOSTILE_SQL} ON users CASCADE",
        SETUP_NOTHING + f"CREATE TRIGGER {HOSTILE_SQL} AFTER DELETE ON users "
        "FOR EACH ROW EXECUTE FUNCTION nothing();",
        "SELECT count(*) FROM pg_trigger",
        (0,),
    ),
    Case(
        ops.DropTrigger(ORDER, "t", if_exists=True),
        'DROP TRIGGER IF EXISTS t ON "Sch%ema"."order"',
        SETUP_ORDER,
        "SELECT count(*) FROM pg_trigger",
        (0,),
    ),
]

SECURITY_OF = """
SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = '{}'::regclass
"""
POLICY = """
SELECT polpermissive, polcmd::text, polroles::regrole[]::text,
       pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) FROM pg_policy
"""

SECURITY = [
    Case(
        ops.EnableRowSecurity(USERS),
        "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
        SETUP_USERS,
        SECURITY_OF.format("users"),
        (True, False),
    ),
    Case(
        ops.DisableRowSecurity(ORDER),
        'ALTER TABLE "Sch%ema"."order" DISABLE ROW LEVEL SECURITY',
        SETUP_ORDER + 'ALTER TABLE "Sch%ema"."order" ENABLE ROW LEVEL SECURITY;',
        SECURITY_OF.format('"Sch%ema".order'),
        (False, False),
    ),
    Case(
        ops.ForceRowSecurity("users"),
        "ALTER TABLE users FORCE ROW LEVEL SECURITY",
        SETUP_USERS,
        SECURITY_OF.format("users"),
        (False, True),
    ),
    Case(
        ops.NoForceRowSecurity("users"),
        "ALTER TABLE users NO FORCE ROW LEVEL SECURITY",
        SETUP_USERS + "ALTER TABLE users FORCE ROW LEVEL SECURITY;",
        SECURITY_OF.format("users"),
        (False, False),
    ),
    Case(
        ops.CreatePolicy(USERS, "adults", using=USERS.c.age >= 18),
        "CREATE POLICY adults ON users FOR ALL TO PUBLIC USING (age >= 18)",
        SETUP_USERS,
        POLICY,
        (True, "*", "{-}", "(age >= 18)", None),
    ),
    Case(
        ops.CreatePolicy(
            ORDER,
            HOSTILE,
            command="update",
            roles=["pg_monitor", "CURRENT_USER"],
            using="\"select\" % 2 = 0 AND ':x' <> '%s'",
            check=ORDER.c[HOSTILE] == "it's 5%",
            permissive=False,
        ),
        f'CREATE POLICY {HOSTILE_SQL} ON "Sch%ema"."order" AS RESTRICTIVE FOR UPDATE '
        f"TO pg_monitor, CURRENT_USER USING (\"select\" % 2 = 0 AND ':x' <> '%s') "
        f"WITH CHECK ({HOSTILE_SQL} = 'it''s 5%')",
        SETUP_ORDER,
        "SELECT polpermissive, polcmd::text, pg_get_expr(polwithcheck, polrelid) FROM pg_policy",
        (False, "w", f"({HOSTILE_SQL} = 'it''s 5%'::text)"),
    ),
    Case(
        ops.DropPolicy(USERS, "adults"),
        "DROP POLICY adults ON users",
        SETUP_USERS + "CREATE POLICY adults ON users;",
        "SELECT count(*) FROM pg_policy",
        (0,),
    ),
    Case(
        ops.DropPolicy(WEIRD, HOSTILE, if_exists=True),
        f"DROP POLICY IF EXISTS {HOSTILE_SQL} ON {HOSTILE_SQL}",
        SETUP_WEIRD,
        "SELECT count(*) FROM pg_policy",
        (0,),
    ),
]

#: ``pg_monitor`` is there on every server.
HAS = "SELECT has_{}_privilege('pg_monitor', {}, '{}')"

PRIVILEGES = [
    Case(
        ops.Grant(["SELECT", "insert"], table=USERS, to="pg_monitor", with_grant_option=True),
        "GRANT SELECT, INSERT ON TABLE users TO pg_monitor WITH GRANT OPTION",
        SETUP_USERS,
        HAS.format("table", "'users'", "INSERT WITH GRANT OPTION"),
        (True,),
    ),
    Case(
        ops.Grant(
            ["SELECT", "UPDATE"],
            table=ORDER,
            columns=(ORDER.c.select, HOSTILE),
            to=["PUBLIC", "CURRENT_USER"],
        ),
        f'GRANT SELECT ("select", {HOSTILE_SQL}), UPDATE ("select", {HOSTILE_SQL}) '
        'ON TABLE "Sch%ema"."order" TO PUBLIC, CURRENT_USER',
        SETUP_ORDER,
        "SELECT has_column_privilege('pg_monitor', '\"Sch%ema\".order', "
        f"{HOSTILE_LITERAL}, 'UPDATE')",
        (True,),
    ),
    Case(
        ops.Grant("USAGE", schema="Sch%ema", to="public"),
        'GRANT USAGE ON SCHEMA "Sch%ema" TO PUBLIC',
        SETUP_ORDER,
        HAS.format("schema", "'Sch%ema'", "USAGE"),
        (True,),
    ),
    Case(
        ops.Grant("ALL", sequence=Sequence("s", schema="Sch%ema"), to="pg_monitor"),
        'GRANT ALL ON SEQUENCE "Sch%ema".s TO pg_monitor',
        SETUP_ORDER + 'CREATE SEQUENCE "Sch%ema".s;',
        HAS.format("sequence", "'\"Sch%ema\".s'", "UPDATE"),
        (True,),
    ),
    Case(
        ops.Grant("ALL PRIVILEGES", sequence="users_id_seq", to="pg_monitor"),
        "GRANT ALL PRIVILEGES ON SEQUENCE users_id_seq TO pg_monitor",
        SETUP_USERS,
        HAS.format("sequence", "'users_id_seq'", "USAGE"),
        (True,),
    ),
    Case(
        ops.Grant("EXECUTE", function=TOUCH, to="pg_monitor"),
        "GRANT EXECUTE ON FUNCTION touch() TO pg_monitor",
        SETUP_TOUCH + "REVOKE ALL ON FUNCTION touch FROM PUBLIC;",
        HAS.format("function", "'touch()'", "EXECUTE"),
        (True,),
    ),
    Case(
        ops.Grant("USAGE", type_=Enum("a", name="mood"), to="pg_monitor"),
        "GRANT USAGE ON TYPE mood TO pg_monitor",
        SETUP_MOOD + "REVOKE ALL ON TYPE mood FROM PUBLIC;",
        HAS.format("type", "'mood'", "USAGE"),
        (True,),
    ),
    Case(
        ops.Grant("SELECT", all_tables_in="Sch%ema", to="pg_monitor"),
        'GRANT SELECT ON ALL TABLES IN SCHEMA "Sch%ema" TO pg_monitor',
        SETUP_ORDER,
        HAS.format("table", "'\"Sch%ema\".order'", "SELECT"),
        (True,),
    ),
    Case(
        ops.Grant("USAGE", all_sequences_in="public", to="pg_monitor"),
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO pg_monitor",
        SETUP_USERS,
        HAS.format("sequence", "'users_id_seq'", "USAGE"),
        (True,),
    ),
    Case(
        ops.Revoke("EXECUTE", all_functions_in="public", from_="PUBLIC"),
        "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC",
        SETUP_TOUCH,
        HAS.format("function", "'touch()'", "EXECUTE"),
        (False,),
    ),
    Case(
        ops.Revoke("EXECUTE", function="touch()", from_="PUBLIC"),
        "REVOKE EXECUTE ON FUNCTION touch() FROM PUBLIC",
        SETUP_TOUCH,
        HAS.format("function", "'touch()'", "EXECUTE"),
        (False,),
    ),
    Case(
        ops.Revoke(
            "SELECT", table=USERS, columns=["name"], from_="pg_monitor", grant_option_for=True
        ),
        "REVOKE GRANT OPTION FOR SELECT (name) ON TABLE users FROM pg_monitor",
        SETUP_USERS + "GRANT SELECT (name) ON users TO pg_monitor WITH GRANT OPTION;",
        "SELECT has_column_privilege('pg_monitor', 'users', 'name', 'SELECT'), "
        "has_column_privilege('pg_monitor', 'users', 'name', 'SELECT WITH GRANT OPTION')",
        (True, False),
    ),
    Case(
        ops.Revoke(["DELETE", "TRUNCATE"], table=WEIRD, from_=["pg_monitor"], cascade=True),
        f"REVOKE DELETE, TRUNCATE ON TABLE {HOSTILE_SQL} FROM pg_monitor CASCADE",
        SETUP_WEIRD + f"GRANT DELETE ON {HOSTILE_SQL} TO pg_monitor;",
        "SELECT has_table_privilege('pg_monitor', oid, 'DELETE') FROM pg_class "
        f"WHERE relname = {HOSTILE_LITERAL}",
        (False,),
    ),
]

BOUNDS = """
SELECT inhparent::regclass::text, pg_get_expr(c.relpartbound, c.oid)
  FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
"""

PARTITIONS = [
    Case(
        ops.CreatePartition("events_1", EVENTS, "FROM (1) TO (10 % 7)"),
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (1) TO (10 % 7)",
        SETUP_EVENTS,
        BOUNDS,
        ("events", "FOR VALUES FROM (1) TO (3)"),
    ),
    Case(
        ops.CreatePartition(
            ORDER, "events", "default", partition_by="HASH (day)", if_not_exists=True
        ),
        'CREATE TABLE IF NOT EXISTS "Sch%ema"."order" PARTITION OF events DEFAULT '
        "PARTITION BY HASH (day)",
        SETUP_EVENTS + 'CREATE SCHEMA "Sch%ema";',
        BOUNDS,
        ("events", "DEFAULT"),
    ),
    Case(
        ops.AttachPartition(EVENTS, HOSTILE, "FROM (1) TO (2)"),
        f"ALTER TABLE events ATTACH PARTITION {HOSTILE_SQL} FOR VALUES FROM (1) TO (2)",
        SETUP_EVENTS + f"CREATE TABLE {HOSTILE_SQL} (day integer);",
        BOUNDS,
        ("events", "FOR VALUES FROM (1) TO (2)"),
    ),
    Case(
        ops.AttachPartition("kinds", "rest", "IN ('100%', 'it''s', ':x')"),
        "ALTER TABLE kinds ATTACH PARTITION rest FOR VALUES IN ('100%', 'it''s', ':x')",
        "CREATE TABLE kinds (k text) PARTITION BY LIST (k); CREATE TABLE rest (k text);",
        BOUNDS,
        ("kinds", "FOR VALUES IN ('100%', 'it''s', ':x')"),
    ),
    Case(
        ops.DetachPartition(EVENTS, "events_1"),
        "ALTER TABLE events DETACH PARTITION events_1",
        SETUP_PART,
        "SELECT count(*) FROM pg_inherits",
        (0,),
    ),
    Case(
        ops.DetachPartition(EVENTS, table(HOSTILE, schema="Sch%ema"), concurrently=True),
        f'ALTER TABLE events DETACH PARTITION "Sch%ema".{HOSTILE_SQL} CONCURRENTLY',
        SETUP_EVENTS + f'CREATE SCHEMA "Sch%ema"; CREATE TABLE "Sch%ema".{HOSTILE_SQL} '
        "PARTITION OF events FOR VALUES FROM (1) TO (2);",
        "SELECT count(*) FROM pg_inherits",
        (0,),
    ),
]

#: Remember the file of a relation, and see whether it has another one.
FILE_BEFORE = "CREATE TABLE before AS SELECT relfilenode FROM pg_class WHERE oid = '{}'::regclass;"
FILE_CHANGED = """
SELECT c.relfilenode <> before.relfilenode FROM before, pg_class c WHERE c.oid = '{}'::regclass
"""
ROWS_KNOWN = "SELECT reltuples FROM pg_class WHERE oid = 'users'::regclass"
SETUP_INDEX = SETUP_ORDER + 'CREATE INDEX "I%" ON "Sch%ema"."order" ("select");'

MAINTENANCE = [
    Case(
        ops.Reindex(Index("I%", ORDER.c.select)),
        'REINDEX INDEX "Sch%ema"."I%"',
        SETUP_INDEX + FILE_BEFORE.format('"Sch%ema"."I%"'),
        FILE_CHANGED.format('"Sch%ema"."I%"'),
        (True,),
    ),
    Case(
        ops.Reindex("I%", schema="Sch%ema", concurrently=True),
        'REINDEX INDEX CONCURRENTLY "Sch%ema"."I%"',
        SETUP_INDEX + FILE_BEFORE.format('"Sch%ema"."I%"'),
        FILE_CHANGED.format('"Sch%ema"."I%"'),
        (True,),
    ),
    Case(
        ops.Reindex(USERS, concurrently=True),
        "REINDEX TABLE CONCURRENTLY users",
        SETUP_USERS + FILE_BEFORE.format("users_pkey"),
        FILE_CHANGED.format("users_pkey"),
        (True,),
    ),
    Case(
        ops.Reindex(EVENTS),
        "REINDEX TABLE events",
        SETUP_PART + "CREATE INDEX ON events (day);" + FILE_BEFORE.format("events_1_day_idx"),
        FILE_CHANGED.format("events_1_day_idx"),
        (True,),
    ),
    Case(
        ops.Backfill(USERS, {"name": "name || '%s'"}, where=USERS.c.name.like("a%")),
        "UPDATE users\n   SET name = name || '%s'\n WHERE users.name LIKE 'a%'",
        SETUP_USERS,
        "SELECT string_agg(name, ',' ORDER BY id) FROM users",
        ("a%s,b",),
    ),
    Case(ops.Vacuum("users"), "VACUUM users", SETUP_USERS, ROWS_KNOWN, (2.0,)),
    Case(
        ops.Vacuum(USERS, analyze=True),
        "VACUUM (ANALYZE) users",
        SETUP_USERS,
        "SELECT count(*) FROM pg_stats WHERE tablename = 'users'",
        (4,),
    ),
    Case(
        ops.Vacuum(WEIRD, full=True, analyze=True),
        f"VACUUM (FULL, ANALYZE) {HOSTILE_SQL}",
        SETUP_WEIRD + "CREATE TABLE before AS SELECT relfilenode FROM pg_class "
        f"WHERE relname = {HOSTILE_LITERAL};",
        "SELECT c.relfilenode <> before.relfilenode FROM before, pg_class c "
        f"WHERE c.relname = {HOSTILE_LITERAL}",
        (True,),
    ),
]

VERBATIM = [
    Case(
        ops.Sql("CREATE TABLE t AS SELECT ':x' || '%s' || 7 % 4 || $$ :name % $$ AS c -- it's"),
        "CREATE TABLE t AS SELECT ':x' || '%s' || 7 % 4 || $$ :name % $$ AS c -- it's",
        "",
        "SELECT c FROM t",
        (":x%s3 :name % ",),
    ),
    Case(
        ops.Sql("\n  CREATE TABLE a ();\n  CREATE TABLE b ();\n"),
        "\n  CREATE TABLE a ();\n  CREATE TABLE b ();\n",
        "",
        "SELECT 'a'::regclass IS NOT NULL AND 'b'::regclass IS NOT NULL",
        (True,),
    ),
]

CASES = [
    *(COLUMNS + ALTERED + RENAMED + CONSTRAINTS + TYPES + ROUTINES),
    *(SECURITY + PRIVILEGES + PARTITIONS + MAINTENANCE + VERBATIM),
]


def run(connection: Connection, sql: str) -> None:
    """Send SQL as the runner does: nothing in it is a parameter."""
    connection.execution_options(no_parameters=True).exec_driver_sql(sql)


def skip_before(engine: Engine, major: int) -> None:
    """Skip where the server is older than the SQL under test."""
    with engine.connect() as connection:
        if int((connection.dialect.server_version_info or (0,))[0]) < major:
            pytest.skip(f"PostgreSQL {major} brought this")


def ids(case: Case) -> str:
    """Return a short name for a case."""
    return f"{type(case.op).__name__}-{CASES.index(case)}"


def refused_in_transaction(engine: Engine, sql: str) -> bool:
    """Run SQL in a transaction; tell whether PostgreSQL refused because it was one."""
    try:
        with engine.begin() as transaction:
            run(transaction, sql)
    except DBAPIError as error:
        if not isinstance(error.orig, ActiveSqlTransaction):
            raise
        return True
    return False


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_the_sql_is_as_written_and_does_what_it_says(engine: Engine, case: Case) -> None:
    """The text is the golden one, PostgreSQL runs it, and the catalog shows its effect.

    It says that it commits on its own exactly if PostgreSQL refuses it inside a transaction; a
    backfill does so too, whose batches are committed by us.
    """
    assert str(case.op.compile(dialect=DIALECT)) == case.sql
    assert compile_element(case.op)[0].sql in case.sql
    skip_before(engine, case.since)
    own_commit = case.op.own_commit(DIALECT.identifier_preparer)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if case.setup:
            run(connection, case.setup)
        alone = own_commit is not None and own_commit.backfill is None
        assert refused_in_transaction(engine, case.sql) == alone
        if alone:
            run(connection, case.sql)
        found = connection.execution_options(no_parameters=True).exec_driver_sql(case.check).all()
    assert [tuple(row) for row in found] == [case.expected]


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_sqlalchemy_can_execute_it_as_its_own(engine: Engine, case: Case) -> None:
    """``connection.execute(op)`` has the same effect, though the driver formats ``%``."""
    skip_before(engine, case.since)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if case.setup:
            connection.connection.cursor().execute(case.setup)
        connection.execute(case.op)
        found = connection.connection.cursor().execute(case.check).fetchall()
    assert found == [case.expected]


def test_every_operation_has_a_case() -> None:
    """An operation without a golden test fails here."""
    tried = {type(case.op).__name__ for case in CASES}
    # BackfillRows has no SQL of its own that does it.
    untried = {"Operation", "Irreversible", "irreversible", "BackfillRows"}
    assert tried == set(ops.__all__) - untried


@pytest.mark.extension("vector")
def test_an_extension_that_creates_a_type_can_be_created_and_dropped(engine: Engine) -> None:
    """The most common pair of all: pgvector on the way up, and off on the way down."""
    with engine.begin() as connection:
        connection.execute(ops.CreateExtension("vector", if_not_exists=True))
        assert connection.scalar(text("SELECT '[1,2]'::vector::text")) == "[1,2]"
        connection.execute(ops.DropExtension("vector"))
        assert connection.scalar(text("SELECT to_regtype('vector')")) is None


def test_a_role_may_have_any_name(engine: Engine) -> None:
    """A role's name is quoted; PUBLIC and CURRENT_USER are words."""
    role = f"{engine.url.database} %s \"é'"
    with engine.connect() as connection, connection.begin() as transaction:
        connection.exec_driver_sql(
            'CREATE ROLE "{}"'.format(role.replace('"', '""').replace("%", "%%"))
        )
        connection.exec_driver_sql("CREATE TABLE t ()")
        connection.execute(ops.Grant("SELECT", table="t", to=[role, "CURRENT_USER"]))
        query = text("SELECT has_table_privilege(:role, 't', 'SELECT')")
        assert connection.scalar(query, {"role": role})
        connection.execute(ops.Revoke("SELECT", table="t", from_=role))
        assert not connection.scalar(query, {"role": role})
        transaction.rollback()


def test_a_privilege_on_the_database(engine: Engine) -> None:
    """The database is one more thing that privileges are on."""
    op = ops.Revoke("TEMP", database=engine.url.database or "", from_="PUBLIC")
    assert str(op.compile(dialect=DIALECT)) == (
        f"REVOKE TEMP ON DATABASE {engine.url.database} FROM PUBLIC"
    )
    with engine.begin() as connection:
        connection.execute(op)
        assert not connection.scalar(
            text("SELECT has_database_privilege('pg_monitor', current_database(), 'TEMP')")
        )
