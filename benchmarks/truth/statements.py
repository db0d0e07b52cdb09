"""The statements, the schema that they stand on, and what a tool that is right says of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from benchmarks.truth.claims import ANOTHER, FAILS, LONG, NOTHING, TAKES_AWAY, Claim

SINCE_18: Final = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One statement, or two that belong together.

    Attributes:
        name: What it is, in a few words.
        sql: Its text.
        must: What has to be said; None where it holds up nobody for longer than a moment.
        why: What was measured of it that makes this right.
        may: What is true as well, and need not be said.
        since: The major from which on PostgreSQL has it.
        python: The list of our version, where it is no verbatim SQL.
    """

    name: str
    sql: str
    must: Claim | None
    why: str
    may: frozenset[Claim] = NOTHING
    since: int = 14
    python: str | None = None

    def is_right(self, claims: frozenset[Claim]) -> str:
        """Return ``right``, ``miss`` or ``false alarm`` for what a tool claims."""
        if self.must is not None and self.must not in claims:
            return "miss"
        wanted = {self.must} if self.must is not None else set()
        return "false alarm" if claims - wanted - self.may else "right"


def _short(name: str, sql: str, why: str, *may: Claim, since: int = 14) -> Example:
    return Example(name=name, sql=sql, must=None, why=why, may=frozenset(may), since=since)


def _must(claim: Claim, name: str, sql: str, why: str, *may: Claim) -> Example:
    return Example(name=name, sql=sql, must=claim, why=why, may=frozenset(may))


BASE: Final = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE p (id bigint PRIMARY KEY);
CREATE TABLE t (id bigint PRIMARY KEY, a integer, b integer NOT NULL, s varchar(50),
  n numeric(10,2), j json, at timestamp, r int4range, p_id bigint);
CREATE INDEX t_a ON t (a);
CREATE TABLE child (id bigint PRIMARY KEY, p_id bigint CONSTRAINT child_p REFERENCES p);
CREATE TABLE checked (id bigint PRIMARY KEY, a integer, b integer, p_id bigint, u bigint NOT NULL,
  CONSTRAINT checked_a CHECK (a IS NOT NULL));
ALTER TABLE checked ADD CONSTRAINT checked_b CHECK (b IS NOT NULL) NOT VALID;
ALTER TABLE checked ADD CONSTRAINT checked_p FOREIGN KEY (p_id) REFERENCES p NOT VALID;
CREATE UNIQUE INDEX checked_u ON checked (u);
CREATE TABLE m (id bigint NOT NULL, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE m1 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE m2 (id bigint NOT NULL, at date NOT NULL);
CREATE TABLE m3 (id bigint NOT NULL, at date NOT NULL,
  CONSTRAINT m3_at CHECK (at >= '2026-01-01' AND at < '2027-01-01'));
CREATE MATERIALIZED VIEW mv AS SELECT id FROM p;
CREATE UNIQUE INDEX mv_id ON mv (id);
CREATE TABLE dropped (id bigint PRIMARY KEY, a integer);
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE vecs (id bigint PRIMARY KEY, e vector(3));
CREATE TABLE wide (id bigint PRIMARY KEY, e vector(2001))
"""
BASE_18: Final = "ALTER TABLE checked ADD CONSTRAINT checked_u_is NOT NULL p_id NOT VALID"
"""What PostgreSQL 18 can say besides."""

_O1 = "the catalog alone is written"
_REWRITE = "ACCESS EXCLUSIVE while every row is written anew"
_SCAN = "ACCESS EXCLUSIVE while every row is read"
_BUILD = "writes wait while an index is built"
_NONE_WAITS = "every row is read, and nobody waits for it"

EXAMPLES: Final = (
    _short("add a column", "ALTER TABLE t ADD COLUMN k bigint", _O1),
    _short("a constant default", "ALTER TABLE t ADD COLUMN k bigint NOT NULL DEFAULT 7", _O1),
    _short(
        "a default of now()",
        "ALTER TABLE t ADD COLUMN k timestamptz NOT NULL DEFAULT now()",
        "it is evaluated once, so the catalog alone is written",
    ),
    _must(
        LONG,
        "a default of clock_timestamp()",
        "ALTER TABLE t ADD COLUMN k timestamptz DEFAULT clock_timestamp()",
        _REWRITE,
    ),
    _must(
        LONG,
        "a default of gen_random_uuid()",
        "ALTER TABLE t ADD COLUMN k uuid DEFAULT gen_random_uuid()",
        _REWRITE,
    ),
    _must(LONG, "a bigserial column", "ALTER TABLE t ADD COLUMN k bigserial", _REWRITE),
    _must(
        LONG,
        "a stored generated column",
        "ALTER TABLE t ADD COLUMN k bigint GENERATED ALWAYS AS (b) STORED",
        _REWRITE,
    ),
    _short(
        "a virtual generated column",
        "ALTER TABLE t ADD COLUMN k bigint GENERATED ALWAYS AS (b) VIRTUAL",
        _O1,
        since=SINCE_18,
    ),
    _must(
        LONG,
        "a column with a CHECK",
        "ALTER TABLE t ADD COLUMN k bigint CHECK (k > 0)",
        _SCAN,
    ),
    _must(
        LONG,
        "a column of a domain with a CHECK",
        "ALTER TABLE t ADD COLUMN k positive",
        _REWRITE,
    ),
    _short(
        "a column that references a table",
        "ALTER TABLE t ADD COLUMN k bigint REFERENCES p",
        "no row is read: the new column is NULL in all of them",
        ANOTHER,
    ),
    _must(
        FAILS,
        "a required column",
        "ALTER TABLE t ADD COLUMN k bigint NOT NULL",
        "refused as soon as there is a row",
        TAKES_AWAY,
    ),
    _must(
        TAKES_AWAY,
        "drop a column",
        "ALTER TABLE dropped DROP COLUMN a",
        "its values are gone, and releases that read it fail",
    ),
    _must(
        TAKES_AWAY,
        "drop a table",
        "DROP TABLE dropped",
        "its rows are gone, and releases that read it fail",
    ),
    _must(
        ANOTHER,
        "drop a table with a foreign key",
        "DROP TABLE child",
        "ACCESS EXCLUSIVE on p, which it references",
        TAKES_AWAY,
    ),
    _short("widen a varchar", "ALTER TABLE t ALTER COLUMN s TYPE varchar(100)", _O1),
    _short("varchar to text", "ALTER TABLE t ALTER COLUMN s TYPE text", _O1),
    _short("widen a numeric", "ALTER TABLE t ALTER COLUMN n TYPE numeric(12,2)", _O1),
    _must(
        LONG,
        "narrow a varchar",
        "ALTER TABLE t ALTER COLUMN s TYPE varchar(20)",
        _REWRITE,
        FAILS,
        TAKES_AWAY,
    ),
    _must(
        LONG,
        "change a numeric's scale",
        "ALTER TABLE t ALTER COLUMN n TYPE numeric(12,4)",
        _REWRITE,
        FAILS,
    ),
    _must(LONG, "json to jsonb", "ALTER TABLE t ALTER COLUMN j TYPE jsonb", _REWRITE),
    _must(LONG, "integer to bigint", "ALTER TABLE t ALTER COLUMN a TYPE bigint", _REWRITE),
    _short(
        "timestamp to timestamptz, in UTC",
        "SET LOCAL TimeZone = 'UTC'; ALTER TABLE t ALTER COLUMN at TYPE timestamptz",
        _O1,
    ),
    _must(
        LONG,
        "timestamp to timestamptz, elsewhere",
        "SET LOCAL TimeZone = 'Europe/Paris'; ALTER TABLE t ALTER COLUMN at TYPE timestamptz",
        _REWRITE,
    ),
    _must(
        LONG, "set NOT NULL", "ALTER TABLE t ALTER COLUMN a SET NOT NULL", _SCAN, FAILS, TAKES_AWAY
    ),
    _short(
        "set NOT NULL, which a valid CHECK proves",
        "ALTER TABLE checked ALTER COLUMN a SET NOT NULL",
        "no row is read",
    ),
    _must(
        LONG,
        "set NOT NULL, which a CHECK proves that is not valid",
        "ALTER TABLE checked ALTER COLUMN b SET NOT NULL",
        _SCAN,
        FAILS,
    ),
    _must(
        LONG,
        "add a CHECK",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (b > 0 OR b <= 0)",
        _SCAN,
    ),
    _short(
        "add a CHECK NOT VALID",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (b > 0 OR b <= 0) NOT VALID",
        _O1,
    ),
    _short(
        "validate a CHECK",
        "ALTER TABLE checked VALIDATE CONSTRAINT checked_b",
        _NONE_WAITS,
        FAILS,
    ),
    _must(
        LONG,
        "add a foreign key",
        "ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (p_id) REFERENCES p",
        "writes of both tables wait while every row is read",
        ANOTHER,
        FAILS,
    ),
    _short(
        "add a foreign key NOT VALID",
        "ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (p_id) REFERENCES p NOT VALID",
        _O1,
        ANOTHER,
    ),
    _short(
        "validate a foreign key",
        "ALTER TABLE checked VALIDATE CONSTRAINT checked_p",
        _NONE_WAITS,
        FAILS,
    ),
    _must(
        ANOTHER,
        "drop a foreign key",
        "ALTER TABLE child DROP CONSTRAINT child_p",
        "ACCESS EXCLUSIVE on p as well",
        TAKES_AWAY,
    ),
    _short(
        "NOT NULL, NOT VALID",
        "ALTER TABLE t ADD CONSTRAINT c NOT NULL a NOT VALID",
        _O1,
        TAKES_AWAY,
        since=SINCE_18,
    ),
    _short(
        "validate NOT NULL",
        "ALTER TABLE checked VALIDATE CONSTRAINT checked_u_is",
        _NONE_WAITS,
        FAILS,
        since=SINCE_18,
    ),
    _must(LONG, "create an index", "CREATE INDEX i ON t (b)", _BUILD),
    _must(LONG, "create a unique index", "CREATE UNIQUE INDEX i ON t (id, b)", _BUILD),
    Example(
        name="create an index CONCURRENTLY",
        sql="CREATE INDEX CONCURRENTLY i ON t (b)",
        must=None,
        why="it is built, and nobody waits for it",
        python='[CreateIndex(Index("i", Table("t", MetaData(), Column("b")).c.b,'
        " postgresql_concurrently=True))]",
    ),
    _must(
        LONG,
        "add a UNIQUE constraint",
        "ALTER TABLE t ADD CONSTRAINT c UNIQUE (id, b)",
        "nobody reads or writes while an index is built",
        FAILS,
    ),
    _short(
        "a UNIQUE constraint USING INDEX",
        "ALTER TABLE checked ADD CONSTRAINT c UNIQUE USING INDEX checked_u",
        _O1,
    ),
    _must(
        LONG,
        "add an EXCLUDE constraint",
        "ALTER TABLE t ADD CONSTRAINT c EXCLUDE USING gist (r WITH &&)",
        "nobody reads or writes while an index is built",
        FAILS,
    ),
    _short("drop an index", "DROP INDEX t_a", "ACCESS EXCLUSIVE for a moment"),
    _must(LONG, "reindex", "REINDEX INDEX t_a", _BUILD),
    _short(
        "create a trigger",
        "CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touched()",
        "SHARE ROW EXCLUSIVE for a moment",
    ),
    _must(
        LONG,
        "attach a partition",
        "ALTER TABLE m ATTACH PARTITION m2 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
        "ACCESS EXCLUSIVE on the partition while every row of it is read",
        FAILS,
        ANOTHER,
    ),
    _short(
        "attach a partition, its bounds checked before",
        "ALTER TABLE m ATTACH PARTITION m3 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "no row is read",
        ANOTHER,
    ),
    _short(
        "detach a partition",
        "ALTER TABLE m DETACH PARTITION m1",
        "ACCESS EXCLUSIVE for a moment",
        ANOTHER,
        TAKES_AWAY,
    ),
    _must(
        LONG,
        "refresh a materialized view",
        "REFRESH MATERIALIZED VIEW mv",
        "ACCESS EXCLUSIVE while it is computed",
    ),
    _short(
        "refresh it CONCURRENTLY",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY mv",
        "readers go on, and nobody else writes it",
    ),
    _short("set statistics", "ALTER TABLE t ALTER COLUMN a SET STATISTICS 500", _O1),
    _short("set a default", "ALTER TABLE t ALTER COLUMN a SET DEFAULT 7", _O1),
    _short("row-level security", "ALTER TABLE t ENABLE ROW LEVEL SECURITY", _O1, TAKES_AWAY),
    _must(
        LONG,
        "update all rows",
        "UPDATE t SET b = 7",
        "every row is written in one transaction, and stays locked until its end",
    ),
    _short(
        "update a thousand rows",
        "UPDATE t SET b = 7 WHERE id BETWEEN 0 AND 999",
        "by the key, and not all of them",
    ),
    _short("update one row", "UPDATE t SET b = 7 WHERE id = 0", "by the key, and one at most"),
    _must(
        LONG,
        "delete what is old",
        "DELETE FROM t WHERE at < now() - interval '90 days'",
        "every row that matches is deleted in one transaction, and stays locked until its end",
    ),
    _must(
        ANOTHER,
        "create a table that references one",
        "CREATE TABLE n (id bigint PRIMARY KEY, t_id bigint REFERENCES t)",
        "SHARE ROW EXCLUSIVE on t",
    ),
    _short(
        "an index on a new table",
        "CREATE TABLE n (id bigint PRIMARY KEY, a bigint); CREATE INDEX i ON n (a)",
        "nobody can wait for it",
    ),
    _must(
        LONG,
        "an HNSW index",
        "CREATE INDEX i ON vecs USING hnsw (e vector_cosine_ops)",
        _BUILD,
    ),
    _must(
        FAILS,
        "an HNSW index of 2,001 dimensions",
        "CREATE INDEX i ON wide USING hnsw (e vector_cosine_ops)",
        "refused, without any row too",
        LONG,
    ),
    _must(
        FAILS,
        "change a vector's dimensions",
        "ALTER TABLE vecs ALTER COLUMN e TYPE vector(2)",
        "refused as soon as there is a row",
        LONG,
        TAKES_AWAY,
    ),
    _short("add an enum value", "ALTER TYPE mood ADD VALUE 'calm'", "no table is locked"),
    _must(
        LONG,
        "a rewrite inside of a DO block",
        "DO $$BEGIN ALTER TABLE t ALTER COLUMN a TYPE bigint; END$$",
        _REWRITE,
    ),
    _must(LONG, "SET UNLOGGED", "ALTER TABLE t SET UNLOGGED", _REWRITE),
    _must(LONG, "CLUSTER", "CLUSTER t USING t_a", _REWRITE),
    _must(TAKES_AWAY, "TRUNCATE", "TRUNCATE dropped", "its rows are gone"),
)
