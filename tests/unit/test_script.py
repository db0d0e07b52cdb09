"""Plans as psql scripts, word for word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neuron_schema.errors import SettingsError
from neuron_schema.history import HistoryTable
from neuron_schema.locking import SessionSettings
from neuron_schema.model import Direction, OwnCommit, Plan, Statement, Step
from neuron_schema.script import psql_script, step_sql

TABLE = HistoryTable(schema="public")
CONCURRENTLY = Statement(
    sql="CREATE INDEX CONCURRENTLY i ON t (a)",
    own_commit=OwnCommit(kind="CREATE INDEX CONCURRENTLY"),
)


def step(
    *sql: str | Statement,
    version: str = "001",
    name: str = "a",
    direction: Direction = Direction.UP,
) -> Step:
    """Return a step that runs SQL."""
    statements = tuple(Statement(sql=one) if isinstance(one, str) else one for one in sql)
    return Step(
        version=version,
        name=name,
        description="",
        direction=direction,
        checksum="c" * 64,
        statements=statements,
        path="p",
    )


def script(*steps: Step, exists: bool = True, settings: SessionSettings | None = None) -> str:
    """Return the script of steps that all have the first one's direction."""
    plan = Plan(direction=steps[0].direction if steps else Direction.UP, steps=steps)
    return psql_script(plan, TABLE, exists=exists, settings=settings)


def test_a_plan_without_steps_does_nothing() -> None:
    """It is a script all the same."""
    assert script() == "\\set ON_ERROR_STOP on\n"


def test_each_version_is_a_transaction_with_its_history_row() -> None:
    """The table first where it may be absent; the row before the change, as the runner does."""
    text = script(
        step("CREATE TABLE t (a int)", "COMMENT ON TABLE t IS 'x'"),
        step("DROP TABLE u", version="002", name="b"),
        exists=False,
    )
    assert text == (
        r"""\set ON_ERROR_STOP on

-- 001_a
BEGIN;
CREATE TABLE IF NOT EXISTS "public"."neuron_migrations" (
  version VARCHAR(10) PRIMARY KEY,
  name VARCHAR(255) NOT NULL,
  applied_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
  checksum VARCHAR(64)
);
INSERT INTO "public"."neuron_migrations" (version, name, checksum) VALUES ('001', 'a', '"""
        + "c" * 64
        + r"""');
CREATE TABLE t (a int);
COMMENT ON TABLE t IS 'x';
COMMIT;

-- 002_b
BEGIN;
INSERT INTO "public"."neuron_migrations" (version, name, checksum) VALUES ('002', 'b', '"""
        + "c" * 64
        + r"""');
DROP TABLE u;
COMMIT;
"""
    )


def test_a_rollback_deletes_its_row_first() -> None:
    """A row that is not there stops it; no table is made for that."""
    text = script(step("DROP TABLE t", direction=Direction.DOWN), exists=False)
    assert text == (
        r"""\set ON_ERROR_STOP on

-- 001_a (down)
BEGIN;
DO $neuron_schema$
BEGIN
  DELETE FROM "public"."neuron_migrations" WHERE version = '001';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'version 001 is not applied'
      USING ERRCODE = '40001', CONSTRAINT = 'neuron_schema_history';
  END IF;
END
$neuron_schema$;
DROP TABLE t;
COMMIT;
"""
    )


def test_an_operation_that_commits_on_its_own_comes_before_its_row() -> None:
    """Outside of a transaction, and said so; the row's own transaction makes the table."""
    text = script(step(CONCURRENTLY), exists=False)
    head, body = text.split("\n\n", 1)
    # A psqlrc may have turned it off.
    assert head == "\\set ON_ERROR_STOP on\n\\set AUTOCOMMIT on"
    lines = body.splitlines()
    assert lines[:4] == [
        "-- 001_a",
        "-- CREATE INDEX CONCURRENTLY commits on its own, outside of a transaction",
        "CREATE INDEX CONCURRENTLY i ON t (a);",
        "BEGIN;",
    ]
    assert lines[4].startswith("CREATE TABLE IF NOT EXISTS")
    assert lines[-2].startswith("INSERT INTO")
    assert lines[-1] == "COMMIT;"


def test_sessions_are_set_as_the_runner_sets_them() -> None:
    """For the transaction only; without a lock timeout where one would leave a broken index."""
    settings = SessionSettings(
        search_path='"$user", public',
        role='own"er',
        lock_timeout=1.5,
        statement_timeout=60,
    )
    text = script(step("SELECT 1"), step(CONCURRENTLY, version="002"), settings=settings)
    assert [line for line in text.splitlines() if line.startswith("SET")] == [
        'SET LOCAL search_path = "$user", "public";',
        "SET LOCAL lock_timeout = '1500ms';",
        "SET LOCAL statement_timeout = '60000ms';",
        "SET LOCAL idle_in_transaction_session_timeout = '600000ms';",
        'SET LOCAL ROLE "own""er";',
        'SET search_path = "$user", "public";',
        "SET lock_timeout = 0;",
        "SET statement_timeout = 0;",
        "SET idle_in_transaction_session_timeout = 0;",
        'SET ROLE "own""er";',
    ]


def test_a_short_time_is_not_rounded_to_none_at_all() -> None:
    """0 stands for no limit."""
    settings = SessionSettings(search_path="a", lock_timeout=0.0004, statement_timeout=0)
    lines = script(step("SELECT 1"), settings=settings).splitlines()
    assert "SET LOCAL lock_timeout = '1ms';" in lines
    assert "SET LOCAL statement_timeout = 0;" in lines


def test_an_operation_is_ended_in_the_script_as_by_the_runner() -> None:
    """By the server, and never by a lock timeout."""
    settings = SessionSettings(search_path="a", operation_timeout=3600)
    lines = script(step(CONCURRENTLY), settings=settings).splitlines()
    assert "SET statement_timeout = '3600000ms';" in lines
    assert "SET lock_timeout = 0;" in lines


def test_what_a_version_sets_itself_is_set_in_the_script_too() -> None:
    """After the run's own, so that it holds."""
    own = replace(step("SELECT 1"), settings=(("lock_timeout", "9000ms"), ("work_mem", "1GB")))
    text = script(own, settings=SessionSettings(search_path="a"))
    lines = [line for line in text.splitlines() if line.startswith("SET")]
    assert lines[-2:] == ["SET LOCAL lock_timeout = '9000ms';", "SET LOCAL work_mem = '1GB';"]


def test_without_settings_the_session_stays_as_it_is() -> None:
    """``sql`` knows of no database."""
    assert "SET " not in script(step("SELECT 1"), step(CONCURRENTLY, version="002"))


@pytest.mark.parametrize(
    ("names", "quoted"),
    [
        ("public", '"public"'),
        ("Public,  APP", '"public", "app"'),
        ('"Public" , app', '"Public", "app"'),
        ('"we""ird"', '"we""ird"'),
        ("my-schema", '"my-schema"'),
        ("user", '"user"'),
        ("\u00dcber", '"\u00dcber"'),
        ('""', "''"),
        ("", "''"),
        ("  ", "''"),
        ('"open', '"open'),
    ],
)
def test_a_search_path_is_a_list_of_names(names: str, quoted: str) -> None:
    """Read as PostgreSQL reads the setting, so that SET takes the very same names."""
    text = script(step("SELECT 1"), settings=SessionSettings(search_path=names))
    assert f"SET LOCAL search_path = {quoted};" in text.splitlines()


def test_a_name_that_would_be_cut_is_no_schema() -> None:
    """Two could become one."""
    with pytest.raises(SettingsError):
        script(step("SELECT 1"), settings=SessionSettings(search_path="x" * 64))


def test_a_backslash_keeps_its_meaning() -> None:
    """Also on a server where it would begin an escape."""
    assert "SET LOCAL standard_conforming_strings = on;" in script(step("SELECT 'a\\b'"))
    assert "standard_conforming_strings" not in script(step("SELECT 'a'"))


def test_a_comment_at_the_end_does_not_swallow_the_semicolon() -> None:
    """It would take the next statement with it."""
    assert "SELECT 1 -- one\n;\n" in script(step("SELECT 1 -- one"))
    assert "SELECT 1\n-- one\n;\n" in script(step("SELECT 1\n-- one"))
    assert "-- one\nSELECT 1;\n" in script(step("-- one\nSELECT 1"))


@pytest.mark.parametrize("name", ["a\u2028DROP", "a\rDROP", "a\x0bDROP", "a\nDROP"])
def test_a_name_cannot_leave_its_comment(name: str) -> None:
    """Whatever a file is called."""
    assert "-- 001_a?DROP\nBEGIN;" in script(step("SELECT 1", name=name))


def test_text_beyond_ascii_says_its_encoding() -> None:
    """By itself psql takes it for the database's own."""
    assert "\\encoding UTF8\n" in script(step("SELECT 'ü'"))
    assert "\\encoding UTF8\n" in script(step("SELECT 1", name="ü"))
    assert "\\encoding" not in script(step("SELECT 'u'"))


def test_a_dry_run_shows_the_same_statements() -> None:
    """In the order in which they take effect."""
    create, record, change = step_sql(step("CHANGE"), TABLE, create=True)
    assert create.startswith("CREATE TABLE IF NOT EXISTS")
    assert record.startswith("INSERT INTO")
    assert change == "CHANGE"
    assert [sql.partition(" ")[0] for sql in step_sql(step(CONCURRENTLY), TABLE)] == [
        "CREATE",
        "INSERT",
    ]
