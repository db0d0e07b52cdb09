"""People and their teams: keys, checks, computed and counted columns, enums, comments."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ENUM, INET, INT4RANGE, JSONB, CreateEnumType
from sqlalchemy.schema import CreateIndex, CreateSchema, CreateTable, DropSchema, SetTableComment

from neuron_schema.ops import Sql

metadata = MetaData()
mood = ENUM("sad", "it's fine", name="mood", schema="hr", metadata=metadata)

team = Table(
    "team",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", String(40), nullable=False, server_default=text("'none'")),
    Column("budget", Numeric(12, 2), CheckConstraint("budget >= 0", name="not_in_debt")),
    UniqueConstraint("name", name="one_of_a_name", deferrable=True, initially="DEFERRED"),
    schema="hr",
)
person = Table(
    "person",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid()),
    Column("team_id", BigInteger, ForeignKey(team.c.id, ondelete="CASCADE", name="of_team")),
    Column("first name", Text, nullable=False),
    Column("length", Integer, Computed('length("first name")', persisted=True)),
    Column("born", Date, server_default=text("'2000-02-29'::date")),
    Column("seen", DateTime(timezone=True), server_default=func.now()),
    Column("tags", ARRAY(Text), server_default=text("'{}'")),
    Column("facts", JSONB, server_default=text("'{}'::jsonb")),
    Column("host", INET),
    Column("years", INT4RANGE),
    Column("mood", mood, server_default=text("'sad'::hr.mood")),
    schema="hr",
)

up = [
    CreateSchema("hr"),
    CreateEnumType(mood),
    CreateTable(team),
    CreateTable(person),
    CreateIndex(
        Index(
            "person_by_name",
            func.lower(person.c["first name"]),
            person.c.seen.desc(),
            postgresql_where=person.c.length > 3,
            postgresql_include=["id"],
        )
    ),
    SetTableComment(Table("team", MetaData(), schema="hr", comment="Who works together.")),
    Sql("ALTER TABLE hr.person ALTER COLUMN facts SET STORAGE EXTERNAL"),
]
down = [DropSchema("hr", cascade=True)]
