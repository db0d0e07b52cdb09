"""One list of constructs that the tests of the compiler share: every trap we know of is in it.

Each case builds its elements anew, because ``AddConstraint`` marks the constraint it is given.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import ipaddress
import uuid
from typing import TYPE_CHECKING, Any

from pgvector import Bit, SparseVector
from pgvector.sqlalchemy import BIT as VECTOR_BIT
from pgvector.sqlalchemy import HALFVEC, SPARSEVEC, VECTOR
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    Double,
    Enum,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    Sequence,
    SmallInteger,
    String,
    Table,
    Text,
    Time,
    UniqueConstraint,
    Uuid,
    bindparam,
    delete,
    desc,
    func,
    insert,
    literal,
    null,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.schema import (
    DDL,
    AddConstraint,
    CreateIndex,
    CreateSchema,
    CreateSequence,
    CreateTable,
    CreateTableAs,
    CreateView,
    DropColumnComment,
    DropConstraint,
    DropConstraintComment,
    DropIndex,
    DropSchema,
    DropSequence,
    DropTable,
    DropTableComment,
    DropView,
    SetColumnComment,
    SetConstraintComment,
    SetTableComment,
)
from sqlalchemy.types import TypeDecorator

from neuron_schema.compiling.compiler import check_step, checksum, compile_element
from neuron_schema.ops import AddColumn, CreateExtension, DropColumn, Sql

if TYPE_CHECKING:
    from collections.abc import Callable

    from neuron_schema.model import Statement

    Builder = Callable[[], list[Any]]

untyped_ddl: Any = DDL

#: name -> builder of elements that run in order on an empty database
CASES: dict[str, Builder] = {}


def case(builder: Builder) -> Builder:
    """Register a case under its function's name."""
    CASES[builder.__name__] = builder
    return builder


def table(*columns: Any, name: str = "t", **options: Any) -> Table:
    """Return a table of a MetaData of its own."""
    return Table(name, MetaData(), *columns, **options)


class Mood(enum.Enum):
    """An enumeration of Python; its names are what the database holds."""

    SAD = 1
    HAPPY = 2


class Upper(TypeDecorator[str]):
    """A type that alters its values on their way in."""

    impl = String(20)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002
        """Return the value in capitals."""
        return value and value.upper()


class Document(TypeDecorator[Any]):
    """A decorated type that SQLAlchemy has no literals for."""

    impl = pg.JSONB
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002
        """Return the value, wrapped."""
        return {"v": value}


@case
def plain_table() -> list[Any]:
    """Defaults, keys and constraints of every kind."""
    t = table(
        Column("id", Integer, primary_key=True),
        Column("big", BigInteger, Identity(always=True, start=10, increment=2)),
        Column("code", String(10), nullable=False, unique=True),
        Column("note", Text, server_default="it's 50% \\ off :now"),
        Column("made", DateTime(timezone=True), server_default=func.now()),
        Column("day", Date, server_default=text("CURRENT_DATE")),
        Column("price", Numeric(10, 2), server_default=text("0")),
        Column(
            "flag", Boolean(create_constraint=True, name="flag_ck"), server_default=text("true")
        ),
        Column("key", Uuid, server_default=text("gen_random_uuid()")),
        Column("tags", ARRAY(Text), server_default="{}"),
        Column("half", Integer, Computed("id / 2", persisted=True)),
        CheckConstraint("price % 5 = 0 AND note NOT LIKE '%\\:x%'", name="ck_price"),
        UniqueConstraint("code", "day", name="uq_code_day", postgresql_nulls_not_distinct=True),
    )
    return [CreateTable(t)]


@case
def hostile_names() -> list[Any]:
    """Names that need quotes, hold quotes, per cents, colons and blanks."""
    m = MetaData(schema='Odd "Schema"')
    t = Table(
        'select "from" 100%',
        m,
        Column("Id", Integer, primary_key=True),
        Column('a"b:c', Text, CheckConstraint("true", name="ck%s"), comment="c % ' :x \\"),
        comment="100% 'quoted' $$ :name \\ -- /* ü",
    )
    i = Index('ix %(x)s "q"', t.c['a"b:c'])
    return [
        CreateSchema('Odd "Schema"'),
        CreateTable(t),
        SetTableComment(t),
        SetColumnComment(t.c['a"b:c']),
        CreateIndex(i),
    ]


@case
def comments() -> list[Any]:
    """Comments set and taken away, in a schema that is not the first of the search path."""
    t = table(
        Column("id", Integer, comment="the key"),
        Column("n", Integer),
        CheckConstraint("n % 2 = 0", name="ck_n", comment="even, 100%"),
        schema="app",
        comment="a table",
    )
    ck = next(c for c in t.constraints if c.name == "ck_n")
    return [
        CreateSchema("app", if_not_exists=True),
        CreateTable(t),
        SetTableComment(t),
        SetColumnComment(t.c.id),
        SetConstraintComment(ck),
        DropColumnComment(t.c.id),
        DropConstraintComment(ck),
        DropTableComment(t),
        SetTableComment(t),
    ]


@case
def foreign_keys() -> list[Any]:
    """Keys inline, added later, and in a circle."""
    m = MetaData()
    a = Table("a", m, Column("id", Integer, primary_key=True), Column("b_id", Integer))
    b = Table(
        "b",
        m,
        Column("id", Integer, primary_key=True),
        Column("a_id", Integer, ForeignKey("a.id", ondelete="CASCADE", onupdate="RESTRICT")),
    )
    fk = ForeignKeyConstraint(
        [a.c.b_id],
        [b.c.id],
        name="fk_a_b",
        use_alter=True,
        deferrable=True,
        initially="DEFERRED",
        postgresql_not_valid=True,
    )
    a.append_constraint(fk)
    return [CreateTable(a), CreateTable(b), AddConstraint(fk)]


@case
def constraints_added_and_dropped() -> list[Any]:
    """CHECK NOT VALID, EXCLUDE with an operator class, and a drop."""
    t = table(Column("id", Integer), Column("span", pg.INT4RANGE))
    ck = CheckConstraint("id > 0 AND id::text LIKE '%'", name="ck_id", postgresql_not_valid=True)
    t.append_constraint(ck)
    ex = pg.ExcludeConstraint(
        (t.c.span, "&&"), name="ex_span", using="gist", ops={"span": "range_ops"}
    )
    t.append_constraint(ex)
    dropped = UniqueConstraint(t.c.id, name="uq_id")
    t.append_constraint(dropped)
    return [
        CreateTable(t),
        AddConstraint(ck),
        AddConstraint(ex),
        DropConstraint(dropped),
        DropConstraint(dropped, if_exists=True, cascade=True),
    ]


@case
def types_and_sequences() -> list[Any]:
    """Named types and sequences, made before the table and dropped after it."""
    m = MetaData()
    mood = pg.ENUM("sad", "it's 100%", name="mood", metadata=m)
    positive = pg.DOMAIN("positive", Integer, check="VALUE > 0", not_null=True, metadata=m)
    seq = Sequence("s", start=5, increment=5, data_type=BigInteger, metadata=m)
    t = Table(
        "t",
        m,
        Column("id", BigInteger, seq, server_default=seq.next_value(), primary_key=True),
        Column("mood", mood, server_default="it's 100%"),
        Column("moods", ARRAY(mood)),
        Column("p", positive),
        Column("free", Enum("x", "y", name="xy", native_enum=False, create_constraint=True)),
    )
    other = pg.ENUM("q", name="other")
    return [
        pg.CreateEnumType(mood),
        pg.CreateDomainType(positive),
        CreateSequence(seq),
        CreateTable(t),
        pg.CreateEnumType(other),
        pg.DropEnumType(other),
        CreateSequence(Sequence("gone"), if_not_exists=True),
        DropSequence(Sequence("gone"), if_exists=True),
    ]


@case
def indexes() -> list[Any]:
    """Every shape of index that SQLAlchemy can say."""
    return [CreateTable(indexed_table()), *[CreateIndex(i) for i in index_shapes(indexed_table())]]


@case
def drops() -> list[Any]:
    """What is made is dropped, with and without IF EXISTS."""
    t = table(Column("id", Integer, key="k"), schema="s")
    ix = Index("ix_id", t.c.k)
    view = CreateView(select(t), "v", schema="s")
    return [
        CreateSchema("s"),
        CreateTable(t, if_not_exists=True),
        CreateIndex(ix, if_not_exists=True),
        DropIndex(ix),
        DropIndex(ix, if_exists=True),
        view,
        DropView(view.table),
        DropTable(t),
        DropTable(t, if_exists=True),
        DropSchema("s", cascade=True, if_exists=True),
        CreateSchema("kept"),
    ]


@case
def views() -> list[Any]:
    """Views and tables from queries, with their values inline."""
    t = table(Column("id", Integer), Column("name", Text), Column("at", DateTime))
    since = dt.datetime(2024, 2, 29, 12, 30, 1, 5)  # noqa: DTZ001 - the column has no zone
    query = select(t.c.id, (t.c.name + "%:x").label("n")).where(
        t.c.name.like("50%\\%'"), t.c.at > since, t.c.id.in_([1, 2, 3])
    )
    return [
        CreateTable(t),
        CreateView(query, "v", postgresql_with={"security_invoker": True}),
        CreateView(query, "mv", materialized=True),
        CreateTableAs(query, "copy"),
        CreateView(query, "v", or_replace=True),
    ]


@case
def partitions_and_options() -> list[Any]:
    """Table options that PostgreSQL alone has."""
    t = table(
        Column("id", Integer), Column("at", Date), postgresql_partition_by="RANGE (at)", name="p"
    )
    u = table(
        Column("id", Integer),
        name="u",
        prefixes=["UNLOGGED"],
        postgresql_with={"fillfactor": 70, "autovacuum_enabled": False},
    )
    child = table(Column("x", Integer), name="child", postgresql_inherits="u")
    return [CreateTable(t), CreateTable(u), CreateTable(child)]


@case
def verbatim() -> list[Any]:
    """SQL as it stands: bodies, per cents, colons, backslashes, comments."""
    return [
        Sql(
            """
            -- a leading comment; with a semicolon
            CREATE FUNCTION f(a int) RETURNS text LANGUAGE plpgsql AS $body$
            BEGIN
              -- :name and %s and ; stay
              RETURN format('%s-%I %% ' || E'\\t' || ':x', a, 'q');
            END $body$;
            CREATE TABLE "T" (a text DEFAULT 'a%b :c \\d', CHECK (a <> '%' AND a::text <> ''));
            CREATE FUNCTION g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 5 % 3; END;
            /* nested /* ; */ */ COMMENT ON TABLE "T" IS 'it''s 100% :z';
            """
        ),
        untyped_ddl("CREATE VIEW v AS SELECT ':a' AS \"b\""),
        Sql("CREATE RULE r AS ON INSERT TO \"T\" DO ALSO (SELECT 1; SELECT '%'; )"),
    ]


@case
def rows() -> list[Any]:
    """INSERT, UPDATE and DELETE with their values inline."""
    t = table(
        Column("id", Integer, primary_key=True),
        Column("name", String(30)),
        Column("n", Integer, server_default="7"),
        Column("at", DateTime, default=func.date_trunc("century", func.now())),
        Column("doc", pg.JSONB),
    )
    return [
        CreateTable(t),
        insert(t).values(name="50% 'a' :b \\ \n%(x)s", n=None, doc={"a": [1, None, "ü'%"]}),
        insert(t).values([{"name": "x", "n": 1, "doc": None}, {"name": "y", "n": 2, "doc": 3}]),
        insert(t).values({}),
        insert(t).values(name=null(), n=func.length("abc%")),
        insert(t).from_select(["name", "n"], select(t.c.name, t.c.n + 1).where(t.c.n == 2)),
        pg.insert(t)
        .values(id=1, name="clash")
        .on_conflict_do_update(index_elements=[t.c.id], set_={"name": "upd%"}, where=t.c.n > 0),
        update(t).where(t.c.name.like("%x%"), t.c.id.in_([2, 3])).values(n=t.c.n * 2 + 1),
        update(t).where(t.c.doc["a"].astext == "1", t.c.n.is_(None)).values(doc=pg.JSONB.NULL),
        delete(t).where(t.c.n == bindparam("x", 4)),
        delete(t).where(t.c.n.in_([])),
    ]


UTC = dt.UTC
#: type, value as given, and what PostgreSQL prints for it
VALUES: dict[str, tuple[Any, Any, str]] = {
    "text": (Text, "it's \\ 50% :x\n", "it's \\ 50% :x\n"),
    "integer": (Integer, -5, "-5"),
    "small": (SmallInteger, True, "1"),
    "big": (BigInteger, 2**62, str(2**62)),
    "numeric": (Numeric(20, 5), decimal.Decimal("-1.5E+3"), "-1500.00000"),
    "numeric nan": (Numeric, decimal.Decimal("NaN"), "NaN"),
    "float": (Double, 0.1, "0.1"),
    "float small": (Float, 1e-7, "1e-07"),
    "float inf": (Double, float("-inf"), "-Infinity"),
    "true": (Boolean, True, "true"),
    "bytes": (LargeBinary, b"\x00'\\%\xff", "\\x00275c25ff"),
    "bytea": (pg.BYTEA, bytearray(b"ab"), "\\x6162"),
    "uuid": (Uuid, uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    "uuid text": (Uuid(as_uuid=False), str(uuid.UUID(int=5)), str(uuid.UUID(int=5))),
    "date": (Date, dt.date(2024, 2, 29), "2024-02-29"),
    "date text": (Date, "infinity", "infinity"),
    "time": (Time, dt.time(1, 2, 3, 4), "01:02:03.000004"),
    "timestamp": (DateTime, dt.datetime(24, 1, 2, 3), "0024-01-02 03:00:00"),  # noqa: DTZ001
    "timestamptz": (
        DateTime(timezone=True),
        dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        "2024-01-02 01:04:05.000006+00",
    ),
    "interval": (
        Interval,
        dt.timedelta(days=1, seconds=5, microseconds=7),
        "1 day 00:00:05.000007",
    ),
    "interval negative": (Interval, dt.timedelta(days=-1, seconds=5), "-1 days +00:00:05"),
    "interval zero": (pg.INTERVAL, dt.timedelta(), "00:00:00"),
    "interval text": (pg.INTERVAL, "1 mon", "1 mon"),
    "enum": (Enum(Mood, native_enum=False), Mood.HAPPY, "HAPPY"),
    "json": (pg.JSON, {"a": ["ü", "'", "\\", "%", ":x"]}, '{"a": ["ü", "\'", "\\\\", "%", ":x"]}'),
    "jsonb": (pg.JSONB, [1, None, {"b": 1.5}], '[1, null, {"b": 1.5}]'),
    "jsonb null": (pg.JSONB, None, "null"),
    "jsonb sql null": (pg.JSONB(none_as_null=True), None, "<null>"),
    "jsonb text": (pg.JSONB, "a'b", '"a\'b"'),
    "null": (Integer, None, "<null>"),
    "array": (ARRAY(Integer), [1, None, 3], "{1,NULL,3}"),
    "array empty": (pg.ARRAY(Text), [], "{}"),
    "array nested": (ARRAY(Integer), [[1, 2], [3, 4]], "{{1,2},{3,4}}"),
    "array of text": (
        ARRAY(String(9)),
        ["a'", '"', "\\", "%", "NULL"],
        '{a\',"\\"","\\\\",%,"NULL"}',
    ),
    "array of jsonb": (ARRAY(pg.JSONB), [[1], {"a": 2}], '{[1],"{\\"a\\": 2}"}'),
    "array of uuid": (ARRAY(Uuid), [uuid.UUID(int=1)], "{00000000-0000-0000-0000-000000000001}"),
    "int range": (pg.INT4RANGE, pg.Range(1, 10), "[1,10)"),
    "empty range": (pg.INT4RANGE, pg.Range(empty=True), "empty"),
    "open range": (pg.NUMRANGE, pg.Range(None, decimal.Decimal("1.5"), bounds="(]"), "(,1.5]"),
    "ts range": (
        pg.TSRANGE,
        pg.Range(dt.datetime(2024, 1, 1), None),  # noqa: DTZ001
        '["2024-01-01 00:00:00",)',
    ),
    "multirange": (pg.INT4MULTIRANGE, [pg.Range(1, 3), pg.Range(5, 7)], "{[1,3),[5,7)}"),
    "inet": (pg.INET, ipaddress.ip_interface("10.0.0.1/8"), "10.0.0.1/8"),
    "cidr": (pg.CIDR, "10.0.0.0/8", "10.0.0.0/8"),
    "macaddr": (pg.MACADDR, "08:00:2b:01:02:03", "08:00:2b:01:02:03"),
    "bit": (pg.BIT(4), pg.BitString("0101"), "0101"),
    "varbit": (pg.BIT(varying=True), "011", "011"),
    "money": (pg.MONEY, "12.50", "$12.50"),
    "tsvector": (pg.TSVECTOR, "a:1 b", "'a':1 'b'"),
    "oid": (pg.OID, 25, "25"),
    "regclass": (pg.REGCLASS, "pg_class", "pg_class"),
    "jsonpath": (pg.JSONPATH, "$.a", '$."a"'),
    "decorated": (Upper, "abc%", "ABC%"),
    "decorated json": (Document, [1], '{"v": [1]}'),
    "vector": (VECTOR(3), [1, 2.5, -3], "[1,2.5,-3]"),
    "halfvec": (HALFVEC(2), [1, 2], "[1,2]"),
    "sparsevec": (SPARSEVEC(3), SparseVector({1: 2.0}, 3), "{2:2}/3"),
    "vector bit": (VECTOR_BIT(3), "101", "101"),
    "vector bit value": (VECTOR_BIT(3), Bit("110"), "110"),
}


def values_table() -> Table:
    """Return a table with a column for each of VALUES."""
    return table(
        *(Column(f"c{n}", kind) for n, (kind, _, _) in enumerate(VALUES.values())), name="vals"
    )


@case
def values() -> list[Any]:
    """A value of every type, inserted, updated, compared and as a default."""
    t = values_table()
    row = {f"c{n}": value for n, (_, value, _) in enumerate(VALUES.values())}
    defaults = table(
        *(
            Column(f"c{n}", kind, server_default=literal(value, kind))
            for n, (kind, value, _) in enumerate(VALUES.values())
            if value is not None
        ),
        name="defaults",
    )
    return [
        CreateExtension("vector"),
        CreateTable(t),
        insert(t).values(row),
        update(t).values(row),
        CreateTable(defaults),
        insert(defaults).values({}),
    ]


@case
def vectors() -> list[Any]:
    """Columns of pgvector and their indexes."""
    t = table(Column("id", Integer), Column("e", VECTOR(3), key="embedding"))
    hnsw = Index(
        "ix_hnsw",
        t.c.embedding,
        postgresql_using="hnsw",
        postgresql_with={"m": 16, "ef_construction": 64},
        postgresql_ops={"embedding": "vector_cosine_ops"},
    )
    ivf = Index(
        "ix_ivf",
        t.c.embedding,
        postgresql_using="ivfflat",
        postgresql_with={"lists": 10},
        postgresql_ops={"embedding": "vector_l2_ops"},
    )
    return [CreateExtension("vector"), CreateTable(t), CreateIndex(hnsw), CreateIndex(ivf)]


@case
def columns() -> list[Any]:
    """Columns added with what CREATE TABLE says too."""
    m = MetaData()
    t = Table("t", m, Column("id", Integer, primary_key=True))
    wide = Table(
        "t",
        MetaData(),
        Column("pct", Text, CheckConstraint("pct LIKE '%\\:a'"), server_default="5%"),
        Column("made", Integer, Computed("id * 2", persisted=True)),
        Column("gone", Integer),
    )
    return [
        CreateTable(t),
        *map(AddColumn, (wide.c.pct, wide.c.made, wide.c.gone)),
        DropColumn(wide.c.gone),
    ]


def indexed_table(schema: str | None = None) -> Table:
    """Return the table that the shapes of index are for."""
    return table(
        Column("id", Integer),
        Column("a", Text, key="alpha"),
        Column("b", String(20)),
        Column("doc", pg.JSONB),
        Column("tags", ARRAY(Text)),
        Column("span", pg.INT4RANGE),
        Column('We"ird %', Text, key="weird"),
        name="shapes",
        schema=schema,
    )


def index_shapes(t: Table, **extra: Any) -> list[Index]:
    """Return an index of every shape, for a table like ``indexed_table``."""
    c = t.c

    def ix(name: str, *keys: Any, **options: Any) -> Index:
        prefixed = {f"postgresql_{key}": value for key, value in options.items() if key != "unique"}
        unique = options.get("unique", False)
        index = Index(name, *keys, unique=unique, _table=t, **prefixed, **extra)
        t.indexes.discard(index)
        return index

    return [
        ix("s_plain", c.alpha),
        ix("s_two", c.alpha, c.id),
        ix("s_desc", c.alpha.desc()),
        ix("s_desc_last", c.alpha.desc().nulls_last(), c.id.asc().nulls_first()),
        ix("s_desc_func", desc(c.b)),
        ix("s_text", text("a DESC")),
        ix("s_text_two", text("a DESC NULLS LAST, lower(b)")),
        ix("s_text_ops", text("lower(a) text_pattern_ops"), c.id),
        ix("s_lower", func.lower(c.alpha)),
        ix("s_lower_desc", func.lower(c.alpha).desc().nulls_last()),
        ix("s_concat", c.alpha + "%:x'", c.id),
        ix("s_coalesce", func.coalesce(c.alpha, c.b, "x,y")),
        ix("s_cast", c.id.cast(Text)),
        ix("s_labelled", func.lower(c.alpha).label("low"), ops={"low": "text_pattern_ops"}),
        ix("s_pattern", c.alpha, c.b, ops={"alpha": "text_pattern_ops"}),
        ix("s_varchar", c.b, ops={"b": "pg_catalog.varchar_ops"}),
        ix("s_partial", c.id, where=c.alpha.like("50%'")),
        ix("s_partial_text", c.id, where=text("a <> '%\\:x'")),
        ix("s_include", c.id, include=["b", "alpha"]),
        ix("s_include_column", c.id, include=[c.weird]),
        ix("s_unique", c.id, unique=True),
        ix("s_nulls", c.id, c.alpha, unique=True, nulls_not_distinct=True),
        ix("s_nulls_distinct", c.id, unique=True, nulls_not_distinct=False),
        ix("s_fill", c.id, **{"with": {"fillfactor": 70, "deduplicate_items": False}}),
        ix("s_hash", c.id, using="hash"),
        ix(
            "s_brin", c.id, using="BRIN", **{"with": {"pages_per_range": 32, "autosummarize": True}}
        ),
        ix(
            "s_gin",
            c.doc,
            using="gin",
            ops={"doc": "jsonb_path_ops"},
            **{"with": {"fastupdate": "off"}},
        ),
        ix("s_gin_default", c.doc, c.tags, using="gin"),
        ix("s_gin_path", c.doc["a"].label("x"), using="gin", ops={"x": "jsonb_ops"}),
        ix("s_gist", c.span, using="gist"),
        ix("s_spgist", c.span, using="spgist"),
        ix("s_collate", c.alpha.collate("C")),
        ix("s_collate_desc", c.alpha.collate("C").desc(), c.b),
        ix("s_collate_expr", func.lower(c.alpha).collate("C")),
        ix('S "hostile" % :x', c.weird),
        ix("s_space", c.id, tablespace="pg_default"),
        ix("s_bool", c.id > 5),
        ix("s_sub", func.substr(c.alpha, 1, 3), c.b.desc()),
    ]


def compile_all(*elements: object) -> tuple[Statement, ...]:
    """Return the statements of elements, checked as a step."""
    statements = tuple(s for element in elements for s in compile_element(element))
    check_step(statements)
    return statements


def sums(*elements: object) -> str:
    """Return the checksum of a version with these elements."""
    return checksum(compile_all(*elements), ())
