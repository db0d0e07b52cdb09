"""Which rows a statement is to change, whether there are any or not, and how many at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from neuron_schema.history import HistoryTable
from neuron_schema.proof.ground import Workshop
from neuron_schema.proof.shadow import open_shadow
from neuron_schema.review.tracer import measure
from tests.conftest import from_engine_url
from tests.measuring import loaded, shipped
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import URL

    from neuron_schema.address import Address
    from neuron_schema.proof.shadow import Shadow
    from neuron_schema.review.measures import Measure

SETUP = [
    """CREATE TABLE t (id bigint PRIMARY KEY, code varchar(9) COLLATE "C" UNIQUE, x smallint,
         y text, n integer, m integer, late integer UNIQUE DEFERRABLE, UNIQUE (x, y))""",
    "CREATE UNIQUE INDEX some_n ON t (n) WHERE n > 0",
    "CREATE UNIQUE INDEX twice_n ON t ((n * 2))",
    "CREATE TABLE child (t_id bigint REFERENCES t ON DELETE CASCADE, v integer)",
    "CREATE TABLE parts (id integer PRIMARY KEY, v integer) PARTITION BY RANGE (id)",
    "CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO (0)",
    "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (MAXVALUE)",
    "CREATE VIEW seen AS SELECT id, n, m FROM t",
    "CREATE MATERIALIZED VIEW kept AS SELECT id FROM t",
    "CREATE UNIQUE INDEX kept_id ON kept (id)",
    """CREATE FUNCTION clear() RETURNS void LANGUAGE plpgsql
         AS 'BEGIN DELETE FROM child WHERE v = -5; END'""",
]
MANY = None
U, D, BOTH = (True, False), (False, True), (True, True)
CASES = {
    # As many as match, and none does here.
    "UPDATE t SET m = 1 WHERE y = 'no such'": [("t", *U, MANY)],
    "DELETE FROM t WHERE y = 'no such'": [("t", *D, MANY)],
    "DELETE FROM child USING t WHERE t.id = child.t_id AND t.y = 'no such'": [("child", *D, MANY)],
    "WITH d AS (DELETE FROM child WHERE v = -5 RETURNING v) SELECT count(*) FROM d": [
        ("child", *D, MANY)
    ],
    "UPDATE seen SET m = 1 WHERE n = -5": [("t", *U, MANY)],
    "UPDATE parts SET v = 1 WHERE v = -5": [("parts", *U, MANY)],
    "DO $$ BEGIN EXECUTE 'DELETE FROM ' || 'child WHERE v = -5'; END $$": [("child", *D, MANY)],
    "SELECT clear(), clear()": [("child", *D, MANY)],
    # What may be called any number of times tells nothing by its key.
    "DO $$ BEGIN UPDATE t SET m = 1 WHERE id = 1; END $$": [("t", *U, MANY)],
    # By a key.
    "UPDATE t SET m = 1 WHERE id = 0": [("t", *U, 1)],
    "UPDATE t SET m = 1 WHERE 12345 = id": [("t", *U, 1)],
    "UPDATE t SET m = 1 WHERE id = 7::smallint AND y = 'no such'": [("t", *U, 1)],
    "DELETE FROM t WHERE code = 'no such'": [("t", *D, 1)],
    "DELETE FROM t WHERE code = 'no such' COLLATE \"POSIX\"": [("t", *D, MANY)],
    "UPDATE t SET m = 1 WHERE x = 5 AND y = 'a'": [("t", *U, 1)],
    "UPDATE t SET m = 1 WHERE x = 5": [("t", *U, MANY)],
    "UPDATE t SET m = 1 WHERE x IN (5, 6) AND y IN ('a', 'b', 'c')": [("t", *U, 6)],
    "UPDATE t SET m = 1 WHERE id IN (5, 6, 7)": [("t", *U, 3)],
    "UPDATE t SET m = 1 WHERE id <> ALL ('{5, 6, 7}')": [("t", *U, MANY)],
    "UPDATE t SET m = 1 WHERE id = ALL ('{}')": [("t", *U, MANY)],
    "UPDATE t SET m = 1 WHERE id = NULL": [("t", *U, 1)],
    "UPDATE t SET m = 1 WHERE id = 1 OR y = 'a'": [("t", *U, MANY)],
    "UPDATE t SET m = 1 WHERE id <> 1": [("t", *U, MANY)],
    "UPDATE t SET m = 1 WHERE id = n": [("t", *U, MANY)],
    "UPDATE t SET m = 1 WHERE id = (random() * 10)::integer": [("t", *U, MANY)],
    "UPDATE t SET m = 1 WHERE id = (SELECT max(v) FROM child)": [("t", *U, 1)],
    "UPDATE t SET m = 1 FROM child WHERE t.id = child.t_id": [("t", *U, MANY)],
    "UPDATE t SET m = 1 FROM child WHERE t.id = 5 AND child.v = 3": [("t", *U, 1)],
    "UPDATE parts SET v = 1 WHERE id = 5": [("parts", *U, 1)],
    "UPDATE parts SET v = 1 WHERE id BETWEEN -5 AND 5": [("parts", *U, 22)],
    # No key: there may be equal ones, for a while, in part or of something else.
    "UPDATE t SET m = 1 WHERE late = 5": [("t", *U, MANY)],
    "UPDATE t SET x = 1 WHERE n = 5": [("t", *U, MANY)],
    "UPDATE child SET v = 1 WHERE v = 5": [("child", *U, MANY)],
    # A range of whole numbers.
    "UPDATE t SET m = 1 WHERE id BETWEEN -1999 AND -1000": [("t", *U, 1000)],
    "UPDATE t SET m = 1 WHERE id > 0 AND 10 > id": [("t", *U, 9)],
    "UPDATE t SET m = 1 WHERE id >= 20 AND id < 10": [("t", *U, 0)],
    "UPDATE t SET m = 1 WHERE x BETWEEN 2 AND 5 AND y = 'a'": [("t", *U, 4)],
    "UPDATE t SET m = 1 WHERE id > 10": [("t", *U, MANY)],
    "UPDATE t SET m = 1 WHERE code BETWEEN 'a' AND 'b'": [("t", *U, MANY)],
    "UPDATE t SET m = 1 WHERE x = 5 AND y BETWEEN 'a' AND 'b'": [("t", *U, MANY)],
    # What is listed.
    "INSERT INTO t (id) VALUES (5000) ON CONFLICT (id) DO UPDATE SET m = 2": [("t", *U, 1)],
    "INSERT INTO t (id) VALUES (6000), (6001) ON CONFLICT (id) DO UPDATE SET m = 2": [("t", *U, 2)],
    "INSERT INTO t (id) SELECT v FROM child WHERE v = -5 ON CONFLICT (id) DO UPDATE SET m = 2": [
        ("t", *U, MANY)
    ],
    "INSERT INTO t (id) VALUES (7000) ON CONFLICT (id) DO NOTHING": [],
    "INSERT INTO t (id) VALUES (7000)": [],
    "UPDATE t SET m = 1 WHERE current_setting('TimeZone') = 'UTC'": [("t", *U, MANY)],
    "UPDATE t SET m = 1 WHERE false": [("t", *U, 1)],
    # Nothing of anybody's rows.
    "SELECT count(*) FROM t": [],
    "CREATE TABLE fresh AS SELECT id FROM t": [],
    "REFRESH MATERIALIZED VIEW CONCURRENTLY kept": [],
    "ALTER TABLE t ADD COLUMN z integer": [],
    # And of whom a foreign key points at.
    "DELETE FROM t WHERE id = 0": [("child", *D, MANY), ("t", *D, 1)],
}
MERGED = {
    "WHEN MATCHED THEN UPDATE SET m = 1": [("t", *U, MANY)],
    "WHEN MATCHED AND v = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET m = 1": [("t", *BOTH, MANY)],
    "WHEN NOT MATCHED AND v = -5 THEN INSERT (id) VALUES (9)": [],
    "AND t.id = 5 WHEN MATCHED THEN DELETE": [("t", *D, 1)],
}
"""MERGE, which PostgreSQL 15 brought."""

CASES |= {
    f"MERGE INTO t USING child ON t.id = child.v {actions}": found
    for actions, found in MERGED.items()
}


@pytest.fixture(scope="module")
def shadow(server: URL) -> Iterator[Shadow]:
    """Yield a shadow on the test's server."""
    with open_shadow(from_engine_url(server)) as shadow:
        yield shadow


@pytest.fixture(scope="module")
def base(shadow: Shadow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Yield a database that the first version has made."""
    directory = tmp_path_factory.mktemp("base")
    write_version(directory, "001_setup", up=SETUP)
    place = Workshop(shadow=shadow, directory=directory, history=HistoryTable())
    with place.database() as base:
        with place.open(base) as ground:
            ground.run(loaded(directory))
        yield base


def last(shadow: Shadow, base: Address, directory: Path, up: list[str]) -> Measure:
    """Return what the last of some statements did."""
    write_version(directory, "001_setup", up=SETUP)
    write_version(directory, "002_x", up=up)
    place = Workshop(shadow=shadow, directory=directory, history=HistoryTable())
    return shipped(measure(place, base, loaded(directory)[-1]), len(up))


def sought(found: Measure) -> list[tuple[str, bool, bool, int | None]]:
    """Return what was to be changed, as a case says it."""
    assert found.failed is None
    return sorted((each.table.name, each.updates, each.deletes, each.most) for each in found.sought)


@pytest.mark.parametrize("sql", CASES)
def test_what_is_to_be_changed_is_known_without_a_row_that_matches(
    shadow: Shadow, base: Address, tmp_path: Path, sql: str
) -> None:
    """And how many rows it is at most, wherever a key or a list says so."""
    if shadow.major < 15 and sql.startswith("MERGE"):
        pytest.skip("PostgreSQL 15 and newer")
    assert sought(last(shadow, base, tmp_path, [sql])) == CASES[sql]


_SCANS = ("seqscan", "hashjoin", "mergejoin")


@pytest.mark.parametrize(
    "case",
    [
        ("id IN (5, 6)", (), 2),
        ("id IN (5, 6)", ("indexscan", "indexonlyscan"), 2),
        ("id = 5 OR id = 6 OR id = 9", (), 3),
        ("id = 5 OR id = 6", ("indexscan", "indexonlyscan"), 2),
        ("id = 5 OR id > 6", (), MANY),
        ("id = 5 OR y = 'a'", (), MANY),
        ("id = 5 OR id = id + 1", (), MANY),
        ("id BETWEEN 1 AND 7", (), 7),
        ("id BETWEEN 1 AND 7", ("indexscan", "indexonlyscan"), 7),
        ("id = (SELECT max(v) FROM child)", (), 1),
        ("y = 'a' AND x > 5", (), MANY),
    ],
)
def test_however_the_rows_are_found_they_are_as_many(
    shadow: Shadow, base: Address, tmp_path: Path, case: tuple[str, tuple[str, ...], int | None]
) -> None:
    """By an index, or by a bitmap of one, as it would be in a large table."""
    where, off, most = case
    up = [*(f"SET LOCAL enable_{each} = off" for each in (*_SCANS, *off))]
    found = last(shadow, base, tmp_path, [*up, f"UPDATE t SET m = 1 WHERE {where}"])
    assert sought(found) == [("t", *U, most)]


def test_what_is_looked_up_for_each_row_of_another_table_is_not_one(
    shadow: Shadow, base: Address, tmp_path: Path
) -> None:
    """Though each time it is found by the key."""
    up = [f"SET LOCAL enable_{each} = off" for each in _SCANS]
    join = "UPDATE t SET m = 1 FROM child WHERE t.id = child.t_id"
    assert sought(last(shadow, base, tmp_path, [*up, join])) == [("t", *U, MANY)]


def test_a_plan_that_the_session_has_kept_is_known_too(
    shadow: Shadow, base: Address, tmp_path: Path
) -> None:
    """The server prints a plan where it makes it."""
    found = last(shadow, base, tmp_path, ["SELECT clear()", "SELECT clear()"])
    assert sought(found) == [("child", *D, MANY)]


def test_what_is_planned_between_statements_is_not_a_statements(
    shadow: Shadow, base: Address, tmp_path: Path
) -> None:
    """Nor what another one planned."""
    found = last(shadow, base, tmp_path, ["DELETE FROM child WHERE v = -5", "SELECT 1"])
    assert sought(found) == []
