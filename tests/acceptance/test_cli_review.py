"""``review`` as a user meets it, on branches of real repositories."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from neuron_schema.review import reviewing
from neuron_schema.review.reviewing import review
from tests.acceptance.git import committed, git
from tests.actions import ROOT
from tests.conftest import libpq
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg
    from sqlalchemy.engine import URL

    from neuron_schema.review.report import ReviewReport
    from tests.acceptance.command import Command

FORMATS = ("terminal", "markdown", "github", "sarif", "gitlab", "json", "html")
VERSIONS = ROOT / "versions"
NOWHERE = ("--shadow-url", "postgresql://localhost:1/none")
"""A server that does not answer: what needs none works with it."""


@pytest.fixture
def shadow(server: URL) -> list[str]:
    """Return the option that puts throw-away databases on the test's server."""
    return ["--shadow-url", libpq(server)]


@pytest.fixture
def branch(versions: Path) -> Path:
    """Return versions in a work tree on ``mine``; main has tables ``a``, ``b`` and ``c``."""
    root = versions.parent
    git(root, "init", "-q")
    committed(root, "base")
    git(root, "checkout", "-q", "-b", "mine")
    return versions


@pytest.fixture
def blocking(branch: Path) -> Path:
    """Return a version that builds an index on a table that was there before."""
    return write_version(
        branch,
        "004_index",
        up=["CREATE INDEX a_id ON a (id)"],
        down=["DROP INDEX a_id"],
    )


def hazards(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return what was found: version, severity and hazard."""
    return [(each["version"], each["severity"], each["hazard"]) for each in result["findings"]]


def blocked(module: dict[str, Any], number: int) -> dict[str, list[str]]:
    """Return what a second session was kept from while a statement ran, by table."""
    shipped = module["statements"][number - 1]["shipped"]
    found: dict[str, list[str]] = {}
    for lock in [*shipped["held"], *shipped["locks"]]:
        found.setdefault(lock["table"], []).append(lock["mode"])
    return found


@pytest.mark.extension("uuid-ossp")
@pytest.mark.extension("vector")
def test_an_index_built_after_its_column_is_told_with_the_split_that_cures_it(
    offline: Command, tmp_path: Path, shadow: list[str]
) -> None:
    """That reads and writes stop for the whole build, why, and what the remedy was measured at."""
    versions = tmp_path / "versions"
    versions.mkdir()
    for name in ("001_initial_schema.py", "002_embeddings.py"):
        (versions / name).write_text((VERSIONS / name).read_text(encoding="utf-8"))
        git(tmp_path, "init", "-q")
        if name.startswith("001"):
            committed(tmp_path, "base")
            git(tmp_path, "checkout", "-q", "-b", "embeddings")
    result = offline("review", *shadow, "--json", code=8).json
    assert [each["version"] for each in result["versions"]] == ["002"]
    found = next(each for each in result["findings"] if each["severity"] == "blocking")
    assert found["hazard"] == "vector-index-blocking"
    assert "Reads and writes of nodes stop for the whole build" in found["sentence"]
    assert "ACCESS EXCLUSIVE is held from statement 2" in found["sentence"]
    assert result["versions"][0]["up"][1] == "ALTER TABLE nodes ADD COLUMN embedding VECTOR(1536)"
    assert found["fix"]["summary"].startswith("split into 002 and 003")
    column, index = found["fix"]["measures"]
    assert all(not each["shipped"]["built"] for each in column["statements"])
    assert index["transactional"] is False
    (build,) = index["statements"]
    assert [each["index"]["name"] for each in build["shipped"]["built"]]
    assert blocked(index, 1) == {"public.nodes": ["SHARE UPDATE EXCLUSIVE"]}
    assert build["shipped"]["locks"][0]["blocks"] == ["schema changes"]


@pytest.mark.extension("uuid-ossp")
@pytest.mark.extension("vector")
def test_of_neurons_own_versions_only_true_things_are_told(
    offline: Command, shadow: list[str]
) -> None:
    """Each finding is listed here with why it is true; all at once they come to an empty table."""
    notes = [
        # Its keys are those of the unique constraint on slug.
        ("001", "note", "duplicate-index"),
        # The unique constraint on edges begins with from_node_id.
        ("001", "note", "redundant-index"),
        ("001", "note", "down-loses-data"),
        ("002", "note", "down-loses-data"),
        ("003", "note", "down-loses-data"),
        ("004", "note", "down-loses-data"),
    ]
    of = ("--versions", str(VERSIONS), *shadow, "--json")
    assert sorted(hazards(offline("review", "--from", "0", *of).json)) == sorted(notes)
    assert sorted(hazards(offline("review", "--from", "1", *of, code=8).json)) == sorted(
        [
            # The index is built under the lock that ADD COLUMN took.
            ("002", "blocking", "vector-index-blocking"),
            # So is this one.
            ("003", "blocking", "create-index-blocking"),
            *notes[3:],
        ]
    )


def test_the_exit_status_follows_fail_on_and_not_the_format(
    offline: Command, branch: Path, shadow: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is 8 where there is a finding as bad as that, or worse."""
    write_version(branch, "004_drop", up=["ALTER TABLE a DROP id"], down="irreversible('gone')")
    made: list[ReviewReport] = []

    def once(*arguments: Any) -> ReviewReport:
        # The same review each time: what is tried here is what comes after it.
        made.append(made[0] if made else review(*arguments))
        return made[0]

    monkeypatch.setattr(reviewing, "review", once)
    for limit, code in (("blocking", 0), ("caution", 8), ("note", 8), ("never", 0)):
        for form in FORMATS:
            options = ("--format", form, "--fail-on", limit)
            result = offline.quick("review", *shadow, *options, code=code)
            told = result.err if form != "json" else str(result.json.get("error"))
            assert ("NS801" in told) is (code == 8), options
    assert len(made) == 4 * len(FORMATS)
    assert (
        "2 findings, note or worse, in 004_drop"
        in offline.quick("review", *shadow, "--fail-on", "note", code=8).err
    )


def test_two_reviews_are_the_same_bytes(
    offline: Command, blocking: Path, shadow: list[str], tmp_path: Path
) -> None:
    """In every format: nothing in a report depends on the time or the machine."""
    write_version(
        blocking.parent,
        "005_more",
        up=["CREATE TABLE d (id int PRIMARY KEY)", "ALTER TABLE b ADD d int REFERENCES d"],
        down=["ALTER TABLE b DROP d", "DROP TABLE d"],
    )
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        also = [word for form in FORMATS for word in ("--also", f"{form}={run}/{form}")]
        offline("review", *shadow, *also, code=8)
    for form in FORMATS:
        one, two = ((tmp_path / run / form).read_bytes() for run in ("one", "two"))
        assert one == two, form
        assert one


def test_nothing_under_review_says_so_and_needs_no_server(offline: Command, branch: Path) -> None:
    """With exit 0, in every format; what a machine reads is valid all the same."""
    result = offline("review", *NOWHERE)
    assert "no versions under review" in result.err
    assert "main (" in result.err
    for form in FORMATS:
        offline.quick("review", *NOWHERE, "--format", form)
    assert offline.quick("review", *NOWHERE, "--json").json["versions"] == []
    assert json.loads(offline.quick("review", *NOWHERE, "--format", "gitlab").out) == []
    sarif = json.loads(offline.quick("review", *NOWHERE, "--format", "sarif").out)
    assert sarif["runs"][0]["results"] == []
    assert "PostgreSQL" not in offline.quick("review", *NOWHERE, "--format", "markdown").out


def test_a_deleted_version_is_told_of(offline: Command, branch: Path) -> None:
    """It is not measured, and that is said."""
    (branch / "003_c.py").unlink()
    result = offline("review", *NOWHERE, "--json").json
    assert any(sentence.startswith("003_c was deleted.") for sentence in result["unmeasured"])


def test_with_output_the_report_goes_to_a_file_and_the_verdict_to_stdout(
    offline: Command, blocking: Path, shadow: list[str], tmp_path: Path
) -> None:
    """One line; with ``--json`` that is an object."""
    result = offline("review", *shadow, "--format", "html", "--output", "r.html", code=8)
    assert result.out == f"1 blocking: {tmp_path / 'r.html'}\n"
    assert (tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")
    assert not list(tmp_path.glob(".r.html*"))
    printed = offline("review", *shadow, "--json", "--output", "r.json", code=8).json
    assert printed["summary"] == "1 blocking"
    assert printed["written"] == [str(tmp_path / "r.json")]
    assert printed["error"]["code"] == "NS801"
    assert json.loads((tmp_path / "r.json").read_text())["verdict"]["fails"] is True


def test_a_file_that_cannot_be_written_is_an_error(offline: Command, branch: Path) -> None:
    """Nothing is half-done."""
    result = offline.quick("review", *NOWHERE, "--output", "no/such/place", code=2)
    assert "cannot be written" in result.err


def test_what_is_no_file_is_written_to_and_not_replaced(
    offline: Command, branch: Path, tmp_path: Path
) -> None:
    """A pipe here; /dev/stdout is as little to be replaced."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        offline.quick("review", *NOWHERE, "--format", "markdown", "--output", "pipe")
        assert pipe.is_fifo()
        assert b"No version is under review" in os.read(end, 10_000)
    finally:
        os.close(end)


def test_what_cannot_be_told_apart_is_an_error(
    offline: Command, versions: Path, tmp_path: Path
) -> None:
    """Each with its remedy, and as an object where JSON is wanted."""
    error = offline("review", "--json", code=2).json["error"]
    for words in (["--format", "json"], ["--format=json"], ["--json"]):
        early = offline.quick("review", *words, "--fail-on", "always", code=2).json
        assert early["error"]["code"] == "NS200"
    assert "git cannot tell which versions are new" in error["message"]
    assert "--from VERSION" in error["remedy"]
    assert offline.quick("review", "--format", "json", code=2).json["error"] == error
    for arguments, message in (
        (["--base", "x", "--from", "1"], "--base and --from contradict each other"),
        (["--json", "--format", "html"], "--json and --format html contradict each other"),
        (["--also", "paper=x", "--from", "3"], "--also paper=x: that is no format and file"),
        (["--also", "html=", "--from", "3"], "that is no format and file"),
        (["--output", "x", "--also", "html=x", "--from", "3"], "would be written more than once"),
        (["--from", "9"], "there is no version 9"),
        (["--from", "3", "--stats", "none.json"], "the file of sizes is not usable"),
        (["--from", "3", "--format", "paper"], "--format"),
        (["--from", "3", "--fail-on", "always"], "--fail-on"),
    ):
        result = offline.quick("review", *NOWHERE, *arguments, code=2)
        assert message in result.out + result.err, arguments


def test_a_version_that_fails_is_a_finding_and_the_others_are_reviewed_all_the_same(
    offline: Command, branch: Path, shadow: list[str]
) -> None:
    """Also the one after it, as far as it does not need it."""
    write_version(branch, "004_bad", up=["ALTER TABLE a ADD x int", "SELECT 1/0"])
    write_version(branch, "005_index", up=["CREATE INDEX b_id ON b (id)"], down=["DROP INDEX b_id"])
    result = offline("review", *shadow, "--json", code=8).json
    assert [each["version"] for each in result["versions"]] == ["004", "005"]
    found = hazards(result)
    assert [each for each in found if each[:2] == ("004", "blocking")]
    assert ("005", "blocking", "create-index-blocking") in found
    failed = result["versions"][0]["statements"][1]["shipped"]["failed"]
    assert failed["sqlstate"] == "22012"


def test_an_earlier_version_that_fails_is_told_of(
    offline: Command, branch: Path, shadow: list[str]
) -> None:
    """It is not under review: what comes after it is reviewed without it."""
    write_version(branch, "002_b", up=["CREATE TABLE b (id nonsense)"])
    committed(branch.parent, "broken")
    write_version(branch, "004_index", up=["CREATE INDEX a_id ON a (id)"], down=["DROP INDEX a_id"])
    result = offline("review", "--base", "HEAD", *shadow, "--json", code=8).json
    assert [each["version"] for each in result["versions"]] == ["004"]
    told = [each for each in result["unmeasured"] if each.startswith("002_b, which is not under")]
    assert told
    assert 'type "nonsense" does not exist' in told[0]


def test_an_edited_version_is_told_as_such(
    offline: Command, branch: Path, shadow: list[str]
) -> None:
    """It is measured where it stands, and so is a new one after it."""
    write_version(branch, "002_b", up=["CREATE TABLE b (id bigint)"], down=["DROP TABLE b"])
    write_version(branch, "004_d", up=["CREATE TABLE d (id int)"], down=["DROP TABLE d"])
    result = offline("review", *shadow, "--json", "--fail-on", "never").json
    assert [(each["version"], each["novelty"]) for each in result["versions"]] == [
        ("002", "edited"),
        ("004", "new"),
    ]
    assert result["versions_before"] == 1
    assert any(each[0] == "002" and "edited" in each[2] for each in hazards(result))


@pytest.mark.parametrize(
    ("was", "is_", "told"),
    [
        ("a json", "a json, b money", ["public.d.b"]),
        ("a json, b text", "a char(3), b text", ["public.d.a"]),
        ("a nonsense", "a json", ["public.d.a"]),
    ],
)
def test_of_an_edited_version_only_what_the_edit_chose_is_advised_against(
    offline: Command, versions: Path, shadow: list[str], *, was: str, is_: str, told: list[str]
) -> None:
    """What was there is no news; where the old version did not run all of it is."""
    root = versions.parent
    write_version(versions, "004_d", up=[f"CREATE TABLE d ({was})"], down=["DROP TABLE d"])
    git(root, "init", "-q")
    committed(root, "base")
    write_version(versions, "004_d", up=[f"CREATE TABLE d ({is_})"], down=["DROP TABLE d"])
    result = offline("review", "--base", "HEAD", *shadow, "--json").json
    found = [each for each in result["findings"] if each["hazard"] == "discouraged-type"]
    assert [each["object"]["name"] for each in found] == told


def test_the_sizes_of_the_real_tables_are_told(
    offline: Command, blocking: Path, shadow: list[str], tmp_path: Path
) -> None:
    """As ``stats`` wrote them; without them the report says what is missing."""
    sizes = {"schema_version": 1, "taken_on": "2026-11-22", "server_major": 9}
    tables = {"public.a": {"rows": 12_345_678, "bytes": 2_000_000_000}}
    (tmp_path / "stats.json").write_text(json.dumps({**sizes, "tables": tables}))
    shown = offline("review", *shadow, "--stats", "stats.json", code=8).out
    assert "12,345,678 rows" in shown
    assert "2026-11-22" in shown
    assert "The sizes are those of a PostgreSQL 9; what is measured here is PostgreSQL" in shown
    assert "neuron-schema stats" in offline("review", *shadow, code=8).out
    (tmp_path / "stats.json").write_text(json.dumps({**sizes, "tables": {"a": tables["public.a"]}}))
    unknown = offline("review", *shadow, "--stats", "stats.json", code=8).out
    assert "How large public.a really is: the file of sizes does not say." in unknown


def test_an_accepted_finding_does_not_fail_the_review(
    offline: Command, blocking: Path, shadow: list[str]
) -> None:
    """It is shown with the reason."""
    accepted = 'accept = {"create-index-blocking": "empty until launch"}'
    blocking.write_text(blocking.read_text() + f"{accepted}\n")
    assert "empty until launch" in offline("review", *shadow).out


def test_an_extension_that_the_server_lacks_ends_the_review(
    offline: Command, branch: Path, shadow: list[str]
) -> None:
    """What could not be run was not reviewed: exit 7, with the flag that helps."""
    write_version(branch, "004_e", up=["CREATE EXTENSION no_such_extension"])
    error = offline("review", *shadow, "--json", code=7).json["error"]
    assert "no_such_extension" in error["message"]
    assert "--shadow-url" in error["remedy"]


def test_the_report_counts_paths_and_lines_from_the_root_of_the_work_tree(
    offline: Command, tmp_path: Path, shadow: list[str]
) -> None:
    """As hosts do that show it beside the code, wherever in the repository the project is."""
    project = tmp_path / "services" / "api"
    write_version(project / "versions", "001_a", up=["CREATE TABLE a (id int)"])
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A", "services")
    git(tmp_path, "commit", "-qm", "base")
    up = '[\n    Sql("SELECT 1"),\n    Sql("CREATE INDEX a_id ON a (id)"),\n]'
    write_version(project / "versions", "002_b", up=up, down=["DROP INDEX a_id"])
    shown = offline("review", *shadow, "--format", "github", code=8, cwd=project).out
    assert shown.startswith("::error file=services/api/versions/002_b.py,line=4,")


def test_roles_that_versions_make_are_gone_afterwards(
    offline: Command, branch: Path, shadow: list[str], admin: psycopg.Connection
) -> None:
    """Though the versions run more than once: measured, proven, and for the remedy."""
    write_version(
        branch, "004_role", up=["CREATE ROLE review_passer_by"], down=["DROP ROLE review_passer_by"]
    )
    write_version(
        branch,
        "005_grant",
        up=["GRANT SELECT ON a TO review_passer_by"],
        down=["REVOKE SELECT ON a FROM review_passer_by"],
    )
    write_version(branch, "006_index", up=["CREATE INDEX a_id ON a (id)"], down=["DROP INDEX a_id"])
    result = offline("review", *shadow, "--json", code=8).json
    found = next(each for each in result["findings"] if each["version"] == "006")
    assert found["fix"]["modules"][0]["file_name"] == "006_index.py"
    assert not any(each["proof"]["failures"] for each in result["versions"])
    rows = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = 'review_passer_by'").fetchall()
    assert rows == []


ON_NEW = (
    "CREATE INDEX d_n ON d (n)",
    "ALTER TABLE d ALTER n SET NOT NULL",
    "ALTER TABLE d ADD m int NOT NULL",
    "ALTER TABLE d ALTER n TYPE text",
    "ALTER TABLE d DROP k",
)
"""What blocks a table in use, fails on its rows or breaks what reads it."""


def test_what_a_version_under_review_makes_is_new_to_the_later_ones(
    offline: Command, branch: Path, shadow: list[str]
) -> None:
    """Nobody uses it before all of them are applied: no lock of it is told, and no row fails."""
    new = ["CREATE TABLE d (id int PRIMARY KEY, n int, k int)"]
    write_version(branch, "004_d", up=new, down=["DROP TABLE d"])
    write_version(branch, "005_on_d", up=ON_NEW, down="irreversible('no')")
    index = "Index('d_m', Table('d', MetaData(), Column('m')).c.m, postgresql_concurrently=True)"
    imports = "from sqlalchemy import *\nfrom sqlalchemy.schema import CreateIndex, DropIndex"
    write_version(
        branch, "006_m", imports=imports, up=f"[CreateIndex({index})]", down=["DROP INDEX d_m"]
    )
    write_version(branch, "007_e", up=["ALTER TABLE d RENAME TO e"], down="irreversible('no')")
    write_version(
        branch,
        "008_on_e",
        up=["CREATE INDEX ON e (id, n)", "CREATE MATERIALIZED VIEW f AS SELECT id FROM a"],
        down="irreversible('no')",
    )
    write_version(branch, "009_f", up=["REFRESH MATERIALIZED VIEW f"])
    result = offline("review", *shadow, "--json", "--fail-on", "caution").json
    assert not [each for each in hazards(result) if each[1] != "note"]
    locks = [
        lock["table"]
        for one in result["versions"]
        for each in one["statements"]
        for lock in each["shipped"]["locks"]
    ]
    assert set(locks) == {"public.a"}
    assert [each for each in result["unmeasured"] if "stats" not in each] == []


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (["ALTER TABLE a RENAME TO d"], "CREATE INDEX ON d (id)"),
        (["CREATE TABLE d AS SELECT id FROM a"], "CREATE INDEX ON d (id)"),
        (
            ["CREATE TABLE d (id int PRIMARY KEY)", "ALTER TABLE a ADD d int REFERENCES d"],
            "CREATE INDEX ON d ((id + 1))",
        ),
        (
            ["CREATE TABLE d () INHERITS (a)"],
            "CREATE INDEX ON d (id)",
        ),
        (
            [
                "CREATE TABLE d (id int)",
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN INSERT INTO d VALUES (NEW.id); RETURN NEW; END $$",
                "CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION f()",
            ],
            "CREATE INDEX ON d (id)",
        ),
    ],
    ids=["old", "filled", "pointed at", "a part", "written by a trigger"],
)
def test_what_may_be_in_use_is_not_new(
    offline: Command, branch: Path, shadow: list[str], first: list[str], then: str
) -> None:
    """Though a version under review makes it, or gives it its name."""
    write_version(branch, "004_d", up=first)
    write_version(branch, "005_on_d", up=[then])
    found = hazards(offline("review", *shadow, "--json", code=8).json)
    assert ("005", "blocking", "create-index-blocking") in found


def test_a_table_of_an_edited_version_or_of_known_size_is_not_new(
    offline: Command, branch: Path, shadow: list[str], tmp_path: Path
) -> None:
    """It may be there already."""
    write_version(branch, "003_c", up=["CREATE TABLE c (id bigint)"], down=["DROP TABLE c"])
    write_version(branch, "004_d", up=["CREATE TABLE d (id int)"], down=["DROP TABLE d"])
    write_version(branch, "005_c", up=["CREATE INDEX ON c (id)"], down="irreversible('no')")
    write_version(branch, "006_d", up=["CREATE INDEX ON d (id)"], down="irreversible('no')")

    def blocking(*options: str) -> list[str]:
        found = hazards(offline("review", *shadow, "--json", *options, code=8).json)
        return [version for version, severity, _ in found if severity == "blocking"]

    assert blocking() == ["005"]
    stats = {"schema_version": 1, "taken_on": "2026-11-22", "server_major": None}
    tables = {"public.d": {"rows": 50_000, "bytes": 8_192_000}}
    (tmp_path / "stats.json").write_text(json.dumps({**stats, "tables": tables}))
    assert blocking("--stats", "stats.json") == ["005", "006"]
