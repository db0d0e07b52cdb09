"""What acts on rows: functions, triggers, views, policies, rules; and partitions."""

from sqlalchemy import Column, MetaData, Table, Text, Uuid, select
from sqlalchemy.schema import CreateView

from neuron_schema.ops import AlterColumn, DisableRowSecurity, EnableRowSecurity, Sql

person = Table("person", MetaData(), Column("id", Uuid), Column("first name", Text), schema="hr")

names = select(person.c["first name"]).where(person.c.id.is_not(None))

up = [
    Sql(
        """
        CREATE FUNCTION hr.touch() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          NEW.seen := now();
          RETURN NEW;
        END $$;
        CREATE TRIGGER touch BEFORE UPDATE OF mood ON hr.person FOR EACH ROW
          WHEN (OLD.mood IS DISTINCT FROM NEW.mood) EXECUTE FUNCTION hr.touch();
        CREATE FUNCTION hr.total(first integer, VARIADIC rest integer[] DEFAULT '{}')
          RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
          RETURN first + COALESCE(array_length(rest, 1), 0);
        CREATE AGGREGATE hr.largest(integer) (SFUNC = int4larger, STYPE = integer);
        CREATE DOMAIN hr.share AS numeric(5,2) DEFAULT 0 CHECK (VALUE BETWEEN 0 AND 100);
        CREATE TYPE hr.point_of AS (x integer, y hr.share);
        CREATE TYPE hr.span AS RANGE (subtype = float8);
        CREATE SEQUENCE hr.tickets AS integer INCREMENT 5 MINVALUE 10 CYCLE;
        CREATE TABLE hr.event (at timestamptz NOT NULL, part hr.share, what hr.point_of)
          PARTITION BY RANGE (at);
        CREATE TABLE hr.event_2024 PARTITION OF hr.event
          FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2025-01-01 00:00+00');
        CREATE INDEX event_at ON hr.event USING brin (at) WITH (pages_per_range = 8);
        CREATE STATISTICS hr.together (dependencies, mcv) ON team_id, mood FROM hr.person;
        CREATE POLICY mine ON hr.person FOR UPDATE USING (length > 3) WITH CHECK (mood <> 'sad');
        CREATE RULE quiet AS ON DELETE TO hr.team DO INSTEAD NOTHING;
        """
    ),
    CreateView(names, "names"),
    EnableRowSecurity(person),
    AlterColumn(person.c["first name"], nullable=True),
]
down = [
    AlterColumn(person.c["first name"], nullable=False),
    DisableRowSecurity(person),
    Sql(
        """
        DROP VIEW names;
        DROP RULE quiet ON hr.team;
        DROP POLICY mine ON hr.person;
        DROP STATISTICS hr.together;
        DROP TABLE hr.event;
        DROP SEQUENCE hr.tickets;
        DROP TYPE hr.span;
        DROP TYPE hr.point_of;
        DROP DOMAIN hr.share;
        DROP AGGREGATE hr.largest(integer);
        DROP FUNCTION hr.total(integer, integer[]);
        DROP TRIGGER touch ON hr.person;
        DROP FUNCTION hr.touch();
        """
    ),
]
