"""The sample versions that the fault suite runs: one of each kind of change, in both directions.

Every transactional version adds a row to ``ledger.entries``, which DDL cannot: what runs twice
shows there and nowhere else. The ledger is not part of the versions and is never rolled back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

LEDGER = "CREATE SCHEMA ledger CREATE TABLE entries (version text NOT NULL)"
"""Makes the ledger, before the first version."""

ALONE = {
    "006": "people_by_name",
    "007": "people_by_age",
    "010": "visits_old",
    "011": "people",
    "016": "people",
}
"""The versions that commit on their own, in one direction at least, and what they work on."""

_ROWS = 200

_IMPORTS = """\
from sqlalchemy import BigInteger, Column, Identity, Index, Integer, MetaData, Table, Text, table
from sqlalchemy.schema import CreateIndex, CreateTable, DropIndex, DropTable
from neuron_schema.ops import (
    AddEnumValue, AttachPartition, CreateExtension, DetachPartition, DropExtension, Grant, Reindex,
    Revoke, Vacuum, ValidateConstraint,
)"""

_PEOPLE = """\
people = Table(
    "people", MetaData(),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False), Column("age", Integer),
)
by_name = Index("people_by_name", people.c.name, postgresql_concurrently=True)
by_age = Index("people_by_age", people.c.age, postgresql_concurrently=True)
visits, visits_old = table("visits"), table("visits_old")"""


def write_sample(directory: Path) -> tuple[str, ...]:
    """Write the sample versions into a directory; return their numbers in order."""
    for label, up, down in _sample():
        write_version(directory, label, up=up, down=down, imports=_IMPORTS, body=_PEOPLE)
    return tuple(label[:3] for label, _, _ in _sample())


def _sample() -> list[tuple[str, str, str]]:
    """Return label, up and down of every version."""
    return [
        (
            "001_people",
            _with_ledger(
                "001",
                "CreateTable(people)",
                # An access list once written stays written: null and the default are two things.
                _sql("GRANT SELECT ON people TO pg_read_all_data"),
                _sql("CREATE INDEX people_by_age ON people (age)"),
            ),
            _with_ledger("-001", "DropTable(people)"),
        ),
        (
            "002_rows",
            _with_ledger(
                "002",
                _sql(
                    "INSERT INTO people (name, age) "
                    f"SELECT 'n' || g, g % 90 FROM generate_series(1, {_ROWS}) g"
                ),
                _sql("UPDATE people SET age = age + 1"),
            ),
            _with_ledger("-002", _sql("DELETE FROM people")),
        ),
        (
            "003_mood",
            _with_ledger(
                "003",
                _sql("CREATE TYPE mood AS ENUM ('sad', 'ok')"),
                _sql("ALTER TABLE people ADD COLUMN mood mood"),
            ),
            _with_ledger(
                "-003", _sql("ALTER TABLE people DROP COLUMN mood"), _sql("DROP TYPE mood")
            ),
        ),
        (
            "004_happy",
            _with_ledger("004", 'AddEnumValue("mood", "happy")'),
            # PostgreSQL has no DROP VALUE.
            _with_ledger(
                "-004",
                _sql("ALTER TYPE mood RENAME TO mood_before"),
                _sql("CREATE TYPE mood AS ENUM ('sad', 'ok')"),
                _sql("ALTER TABLE people ALTER COLUMN mood TYPE mood USING mood::text::mood"),
                _sql("DROP TYPE mood_before"),
            ),
        ),
        (
            "005_embedding",
            _with_ledger(
                "005",
                'CreateExtension("vector")',
                _sql("ALTER TABLE people ADD COLUMN embedding vector(3)"),
                _sql("UPDATE people SET embedding = '[1,2,3]'"),
            ),
            _with_ledger(
                "-005",
                _sql("ALTER TABLE people DROP COLUMN embedding"),
                'DropExtension("vector")',
            ),
        ),
        ("006_by_name", "[CreateIndex(by_name)]", "[DropIndex(by_name)]"),
        ("007_by_age", "[DropIndex(by_age)]", "[CreateIndex(by_age)]"),
        (
            "008_greeting",
            _with_ledger(
                "008",
                _sql(
                    "CREATE FUNCTION greet() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN NEW.name := trim(NEW.name); RETURN NEW; END $$"
                ),
                _sql(
                    "CREATE TRIGGER greet BEFORE INSERT ON people "
                    "FOR EACH ROW EXECUTE FUNCTION greet()"
                ),
            ),
            _with_ledger(
                "-008", _sql("DROP TRIGGER greet ON people"), _sql("DROP FUNCTION greet()")
            ),
        ),
        (
            "009_visits",
            _with_ledger(
                "009",
                _sql("CREATE TABLE visits (day int NOT NULL) PARTITION BY RANGE (day)"),
                _sql("CREATE TABLE visits_old (day int NOT NULL)"),
                'AttachPartition(visits, visits_old, "FROM (0) TO (10)")',
                _sql("INSERT INTO visits VALUES (1), (2)"),
            ),
            _with_ledger("-009", _sql("DROP TABLE visits")),
        ),
        (
            "010_detach",
            "[DetachPartition(visits, visits_old, concurrently=True)]",
            _with_ledger(
                "-010",
                # DETACH CONCURRENTLY leaves a CHECK that repeats the bounds.
                _sql("ALTER TABLE visits_old DROP CONSTRAINT visits_old_day_check"),
                'AttachPartition(visits, visits_old, "FROM (0) TO (10)")',
            ),
        ),
        ("011_vacuum", "[Vacuum(people, analyze=True)]", "[]"),
        (
            "012_adults",
            _with_ledger(
                "012",
                _sql("CREATE VIEW adults AS SELECT id, name FROM people WHERE age >= 18"),
                _sql("COMMENT ON VIEW adults IS 'of age'"),
            ),
            _with_ledger("-012", _sql("DROP VIEW adults")),
        ),
        (
            "013_age_check",
            _with_ledger(
                "013", _sql("ALTER TABLE people ADD CONSTRAINT aged CHECK (age >= 0) NOT VALID")
            ),
            _with_ledger("-013", _sql("ALTER TABLE people DROP CONSTRAINT aged")),
        ),
        (
            "014_age_checked",
            _with_ledger("014", 'ValidateConstraint("aged", table=people)'),
            _with_ledger(
                "-014",
                _sql("ALTER TABLE people DROP CONSTRAINT aged"),
                _sql("ALTER TABLE people ADD CONSTRAINT aged CHECK (age >= 0) NOT VALID"),
            ),
        ),
        (
            "015_grants",
            _with_ledger("015", _sql("GRANT SELECT ON people TO pg_monitor")),
            _with_ledger("-015", _sql("REVOKE SELECT ON people FROM pg_monitor")),
        ),
        ("016_reindex", "[Reindex(people, concurrently=True)]", "[]"),
        (
            "017_comment",
            _with_ledger(
                "017",
                _sql("COMMENT ON TABLE people IS 'who is known'"),
                _sql("ALTER TABLE visits_old ALTER COLUMN day TYPE bigint"),
            ),
            _with_ledger(
                "-017",
                _sql("ALTER TABLE visits_old ALTER COLUMN day TYPE int"),
                _sql("COMMENT ON TABLE people IS NULL"),
            ),
        ),
        # BACKFILL: a version with ops.Backfill goes here, as ("018_...", up, down).
    ]


def _with_ledger(entry: str, *elements: str) -> str:
    """Return the source of a list of elements that first writes into the ledger."""
    return (
        "[" + ", ".join((_sql(f"INSERT INTO ledger.entries VALUES ('{entry}')"), *elements)) + "]"
    )


def _sql(text: str) -> str:
    return f"Sql({text!r})"
