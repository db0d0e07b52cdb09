"""Reports in every format: all is told, always in the same bytes, and nothing breaks out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuron_schema.review.findings import SEVERITIES, Severity
from neuron_schema.review.locks import LockMode
from neuron_schema.review.measures import Measure, Scan
from neuron_schema.review.render import FORMATS, render
from neuron_schema.review.render.locked import lock_rows
from neuron_schema.review.stats import TableStats
from tests.unit import review_reports as reports

if TYPE_CHECKING:
    from neuron_schema.review.report import ReviewReport

ROOT = Path(__file__).parents[2]
PEOPLE = ("terminal", "markdown", "html")
ANY_TEXT = st.text(st.characters(), max_size=60)
"""Controls, lone surrogates and all planes included."""

SOME_TEXT = ANY_TEXT | st.sampled_from(reports.HOSTILE.split(" "))


def shown(text: str, format_: str) -> str:
    """Return what a person sees of a text, about."""
    if format_ == "html":
        text = re.sub(r"<style>.*?</style>|<[^>]+>", "", text, flags=re.DOTALL)
        text = text.replace("&#x27;", "'").replace("&quot;", '"').replace("&gt;", ">")
    return text.replace("`", "").replace("**", "").replace("→", "->")


@pytest.mark.parametrize("format_", PEOPLE)
@pytest.mark.parametrize(
    "told",
    [
        "2 blocking, 1 caution, 1 note, 1 accepted",
        "The review fails: 2 open findings are blocking (--fail-on blocking).",
        "2 versions compared with origin/main (1a2b3c4), on the schema of 4 earlier versions.",
        "18.4 (embedded), with vector 0.8.5",
        "Real sizes as of 2026-11-20",
        "SHARE, under ACCESS EXCLUSIVE held since statement 1",
        "reads, writes and schema changes",
        "build of index idx_nodes_embedding (hnsw); 1 full scan",
        "rewrite of the whole table; rebuild of index edges_pkey (btree)",
        "none, catalogue only",
        "1,200,000 rows, 9.1 GB",
        "Reads and writes of public.nodes stop while the index idx_nodes_embedding (hnsw)",
        "Alone the statement takes SHARE on public.nodes",
        "Add the column in one version, and build the index with concurrently=True in the next.",
        "split into 005 and 006",
        "006_embedding_index.py",
        "SHARE UPDATE EXCLUSIVE",
        "the table is empty until launch",
        "column weight of public.edges changed: type: integer -> bigint; not null: no -> yes",
        "proven, data are lost",
        "irreversible: bigint does not fit into integer",
        "down loses data of public.nodes.embedding: the column is dropped with its values",
        "Statement 3 fails with 23502 on tables with rows, and not on empty ones:",
        "Statement 3 drops without naming it: view public.heavy_edges",
        "The extension postgis is not there.",
        "006_weights: statement 4 was not run, as an earlier one failed.",
        "006_weights: public.log had no rows: its trigger refuses rows",
        "ALTER TABLE nodes DROP COLUMN embedding;",
        "neuron-schema explain create-index-blocking",
    ],
)
def test_a_person_is_told(format_: str, told: str) -> None:
    """Verdict, versions, locks, work, sizes, findings, fixes, changes, proof, what is missing."""
    assert told in shown(render(reports.rich(), format_), format_)


@pytest.mark.parametrize("format_", PEOPLE)
def test_without_sizes_it_says_that_they_are_not_known(format_: str) -> None:
    """And how they come to be."""
    text = shown(render(replace(reports.rich(), stats=None), format_), format_)
    assert "How large the real tables are: let neuron-schema stats write it down" in text
    assert "Real size" not in text


@pytest.mark.parametrize("format_", PEOPLE)
@pytest.mark.parametrize("report", [reports.empty(), reports.clean()], ids=["empty", "clean"])
def test_without_findings_it_says_so(format_: str, report: ReviewReport) -> None:
    """In the first words."""
    text = shown(render(report, format_), format_)
    assert "no findings" in text.split("The review passes")[0]
    assert "No table that was there before is locked." in text


@pytest.mark.parametrize(
    ("fail_on", "said"),
    [
        (Severity.BLOCKING, "The review fails: 2 open findings are blocking"),
        (Severity.CAUTION, "The review fails: 3 open findings are caution or worse"),
        (Severity.NOTE, "The review fails: 4 open findings are note or worse"),
        (None, "Findings do not fail this review (--fail-on never)."),
    ],
)
@pytest.mark.parametrize("format_", PEOPLE)
def test_it_says_what_fails_the_review(format_: str, fail_on: Severity | None, said: str) -> None:
    """As the exit code does; an accepted finding does not count."""
    assert said in shown(render(reports.rich(), format_, fail_on=fail_on), format_)


@pytest.mark.parametrize("format_", PEOPLE)
def test_it_never_tells_of_time_or_of_the_log(format_: str) -> None:
    """What a throw-away server took is no forecast."""
    text = shown(render(reports.rich(), format_), format_)
    assert not re.search(r"\b\d+ ?(ms|seconds?|s)\b|123.?456.?789|\bWAL\b", text)


def test_a_held_lock_is_told_where_something_is_done_to_another_table() -> None:
    """Others wait for it all the while, and not where nothing is done."""
    exclusive = reports.lock(reports.EDGES, LockMode.ACCESS_EXCLUSIVE)
    share = reports.lock(reports.NODES, LockMode.SHARE)
    scanned = Measure(
        locks=(share,), held=(exclusive,), scans=(Scan(table=reports.NODES, times=1),)
    )
    rows = lock_rows(
        reports.measured(
            "005",
            reports.statement(1, "ALTER TABLE edges ...", Measure(locks=(exclusive,))),
            reports.statement(2, "COMMENT ON ...", Measure(held=(exclusive,))),
            reports.statement(3, "CREATE INDEX ...", scanned),
        )
    )
    assert [(row.number, str(row.table), row.lock, row.meanwhile) for row in rows] == [
        (1, "public.edges", "ACCESS EXCLUSIVE", "none, catalogue only"),
        (
            3,
            "public.edges",
            "ACCESS EXCLUSIVE held since statement 1",
            "none on it, while: 1 full scan on public.nodes",
        ),
        (3, "public.nodes", "SHARE", "1 full scan"),
    ]


def test_a_lock_that_is_hidden_by_a_stronger_one_is_told_as_well() -> None:
    """Alone the statement shows what it takes itself."""
    exclusive = reports.lock(reports.NODES, LockMode.ACCESS_EXCLUSIVE)
    scan = (Scan(table=reports.NODES, times=1),)
    alone = Measure(locks=(reports.lock(reports.NODES, LockMode.SHARE),), scans=scan)
    shipped = Measure(held=(exclusive,), scans=scan)
    rows = lock_rows(
        reports.measured("005", reports.statement(2, "CREATE INDEX", shipped, alone=alone))
    )
    assert [row.lock for row in rows] == ["SHARE, under ACCESS EXCLUSIVE held"]


def test_a_lock_beside_a_stronger_one_is_not_told_where_nothing_is_done() -> None:
    """Each further column of a table would be a row that says nothing new."""
    exclusive = reports.lock(reports.NODES, LockMode.ACCESS_EXCLUSIVE)
    once = Measure(locks=(exclusive,))
    again = Measure(held=(exclusive,), locks=(exclusive,))
    statements = (reports.statement(1, "ALTER", once), reports.statement(2, "ALTER", again))
    assert [row.number for row in lock_rows(reports.measured("005", *statements))] == [1]


def test_a_stronger_lock_than_the_one_held_stands_alone() -> None:
    """What it was before does not matter any more."""
    measure = Measure(
        locks=(reports.lock(reports.NODES, LockMode.ACCESS_EXCLUSIVE),),
        held=(reports.lock(reports.NODES, LockMode.SHARE),),
    )
    rows = lock_rows(reports.measured("005", reports.statement(1, "ALTER", measure)))
    assert [row.lock for row in rows] == ["ACCESS EXCLUSIVE"]


def test_a_lock_that_keeps_nobody_waiting_is_not_told() -> None:
    """Unless rows are read or written under it."""
    weak = Measure(locks=(reports.lock(reports.NODES, LockMode.ROW_SHARE),))
    assert not lock_rows(reports.measured("005", reports.statement(1, "SELECT", weak)))


def test_what_no_session_tried_is_marked() -> None:
    """It is what the manual says."""
    text = shown(render(reports.with_text("x"), "terminal"), "terminal")
    assert "reads, writes and schema changes (by the manual)" in text
    assert "x.x (the statement does not name it)" in text
    assert "(by the manual)" not in render(reports.rich(), "terminal")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", ["rich", "empty", "clean", "hostile", "huge"])
def test_every_report_has_every_format(format_: str, name: str) -> None:
    """As text that a file can hold, ended by a line end."""
    text = render(getattr(reports, name)(), format_, helps=reports.HELPS, version="1.2.3")
    text.encode()
    assert text.endswith("\n") or (text == "" and format_ == "github")


def test_another_format_is_refused() -> None:
    """With the names of those that there are."""
    with pytest.raises(ValueError, match="'pdf' is no format; there are terminal, markdown"):
        render(reports.rich(), "pdf")


def test_the_same_report_makes_the_same_bytes() -> None:
    """In another process with other hashes, another clock, language and directory."""
    program = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1])\n"
        "from tests.unit import review_reports as r\n"
        "from neuron_schema.review.render import FORMATS, render\n"
        "texts = [render(x, f, helps=r.HELPS) for x in (r.rich(), r.hostile(), r.huge(40))"
        " for f in FORMATS]\n"
        "print(hashlib.sha256('\\0'.join(texts).encode()).hexdigest())\n"
    )
    found = set()
    for seed, zone, language, place in (
        ("1", "UTC", "C", ROOT),
        ("77", "Asia/Tokyo", "de_DE", "/"),
    ):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "TZ": zone,
            "LANG": language,
            "NO_COLOR": seed,
            "CI": zone,
        }
        done = subprocess.run(
            [sys.executable, "-c", program, str(ROOT)],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
            cwd=place,
        )
        found.add(done.stdout)
    assert len(found) == 1


@settings(max_examples=60, deadline=None)
@given(SOME_TEXT)
def test_nothing_in_a_text_reaches_the_terminal(text: str) -> None:
    """No control, no change of direction; colours are ours alone."""
    report = reports.with_text(text)
    plain = render(report, "terminal")
    assert all(c.isprintable() or c == "\n" for c in plain if c != "\t")
    coloured = render(report, "terminal", color=True)
    assert re.sub(r"\x1b\[[0-9;]+m", "", coloured) == plain


def test_colours_are_there_where_they_are_wanted() -> None:
    """The verdict in that of the worst finding."""
    assert render(reports.rich(), "terminal", color=True).startswith("\x1b[31;1mSchema review")
    assert render(reports.clean(), "terminal", color=True).startswith("\x1b[32;1mSchema review")
    assert "\x1b" not in render(reports.rich(), "terminal")


@settings(max_examples=60, deadline=None)
@given(SOME_TEXT)
def test_no_text_writes_a_workflow_command(text: str) -> None:
    """A line for each finding, and none that a text has made."""
    lines = render(reports.with_text(text), "github").split("\n")
    assert len(lines) == 2
    head = r"::warning file=[^,:\r\n]*,line=3,title=caution%3A down-loses-data::"
    assert re.match(head, lines[0])
    assert "\r" not in lines[0]


def test_github_gets_an_annotation_for_each_open_finding() -> None:
    """With the level of its severity, at the line of its statement."""
    lines = render(reports.rich(), "github").splitlines()
    assert [line.split("::")[1] for line in lines] == [
        "error file=versions/005_embedding.py,line=32,title=blocking%3A create-index-blocking",
        "error file=versions/006_weights.py,line=12,title=blocking%3A table-rewrite",
        "warning file=versions/006_weights.py,line=1,title=caution%3A edited-applied-version",
        "notice file=versions/005_embedding.py,line=1,title=note%3A down-loses-data",
    ]
    assert "%0ARemedy: Add the column in one version" in lines[0]


def test_github_gets_no_more_annotations_than_it_shows() -> None:
    """Ten of each level, of which the last tells how many more there are."""
    report = reports.huge(findings=400)
    lines = render(report, "github").splitlines()
    for severity, level in zip(SEVERITIES, ("error", "warning", "notice"), strict=True):
        of_level = [line for line in lines if line.startswith(f"::{level} ")]
        assert len(of_level) == 10
        assert f"{report.count(severity) - 9:,} more findings" in of_level[-1]


def validator(name: str) -> Any:
    """Return what checks JSON by one of the schemas."""
    schema = json.loads((ROOT / name).read_text(encoding="utf-8"))
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


SARIF = "tests/schemas/sarif-2.1.0-rtm.5.json"
REVIEW = "docs/review.schema.json"


@pytest.mark.parametrize(("format_", "schema"), [("sarif", SARIF), ("json", REVIEW)])
@pytest.mark.parametrize("name", ["rich", "empty", "clean", "hostile", "huge"])
def test_json_is_by_its_schema(format_: str, schema: str, name: str) -> None:
    """SARIF by OASIS's own, the report by ours."""
    text = render(getattr(reports, name)(), format_, helps=reports.HELPS, version="1.2.3")
    validator(schema).validate(json.loads(text))


def broken_sarif() -> Any:
    """Return SARIF with a level that there is not."""
    found = json.loads(render(reports.rich(), "sarif"))
    found["runs"][0]["results"][0]["level"] = "blocking"
    return found


def broken_report() -> Any:
    """Return a report with a member that nobody has documented."""
    found = json.loads(render(reports.rich(), "json"))
    found["versions"][0]["proof"]["secret"] = 1
    return found


@pytest.mark.parametrize(("schema", "broken"), [(SARIF, broken_sarif()), (REVIEW, broken_report())])
def test_the_schemas_refuse_what_is_wrong(schema: str, broken: Any) -> None:
    """A check that cannot fail is none."""
    with pytest.raises(jsonschema.ValidationError):
        validator(schema).validate(broken)


def test_json_tells_whether_the_review_fails() -> None:
    """By the same rule as the exit code."""
    for fail_on in (*Severity, None):
        verdict = json.loads(render(reports.clean(), "json", fail_on=fail_on))["verdict"]
        assert verdict["fails"] is False
    verdict = json.loads(render(reports.rich(), "json", fail_on=None))["verdict"]
    assert verdict == {
        "worst": "blocking",
        "fail_on": "never",
        "fails": False,
        "counts": {"blocking": 2, "caution": 1, "note": 1},
        "accepted": 1,
    }
    assert json.loads(render(reports.rich(), "json"))["verdict"]["fails"] is True


def results(report: ReviewReport) -> list[dict[str, Any]]:
    """Return SARIF's results."""
    return list(json.loads(render(report, "sarif", helps=reports.HELPS))["runs"][0]["results"])


def test_sarif_tells_of_findings_where_they_stand() -> None:
    """Each with its level, its file and line; accepted ones suppressed, with the reason."""
    found = results(reports.rich())
    assert [each["level"] for each in found] == ["error", "error", "warning", "warning", "note"]
    place = found[0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "versions/005_embedding.py"
    assert place["region"] == {"startLine": 32}
    assert [each.get("suppressions") for each in found if "suppressions" in each] == [
        [
            {
                "kind": "inSource",
                "status": "accepted",
                "justification": "the table is empty until launch",
            }
        ]
    ]


def test_sarif_explains_the_hazards_that_were_found() -> None:
    """With help, and with the page where one is known."""
    text = render(reports.rich(), "sarif", helps=reports.HELPS, version="1.2.3")
    driver = json.loads(text)["runs"][0]["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("neuron-schema", "1.2.3")
    rules = {each["id"]: each for each in driver["rules"]}
    assert len(rules) == 5
    rule = rules["create-index-blocking"]
    assert rule["helpUri"].startswith("https://www.postgresql.org/")
    assert rule["help"]["text"].startswith("Writes of the table wait")
    assert rule["defaultConfiguration"] == {"level": "error"}


def test_sarif_shows_no_link_and_no_placeholder_of_a_text() -> None:
    """Brackets and braces mean something in its messages (3.11.5, 3.11.6)."""
    message = results(reports.with_text("[x](1) {0}"))[0]["message"]["text"]
    assert message.startswith("[x] (1) {{0}}")


def test_a_finding_is_known_again_wherever_its_lines_have_gone() -> None:
    """After an edit above it, and after a statement that is put before it."""
    report = reports.rich()
    moved = replace(
        report,
        versions=tuple(
            replace(
                version,
                lines=tuple(line + 7 for line in version.lines),
                findings=tuple(
                    replace(each, statement=each.statement and each.statement + 1)
                    for each in version.findings
                ),
            )
            for version in report.versions
        ),
    )
    for format_ in ("sarif", "gitlab"):
        assert fingerprints(report, format_) == fingerprints(moved, format_)
    other = replace(report, versions=report.versions[:1])
    assert fingerprints(other, "gitlab")[0] in fingerprints(report, "gitlab")


def fingerprints(report: ReviewReport, format_: str) -> list[str]:
    """Return by what findings are known again."""
    if format_ == "gitlab":
        return [each["fingerprint"] for each in json.loads(render(report, "gitlab"))]
    return [next(iter(each["partialFingerprints"].values())) for each in results(report)]


@pytest.mark.parametrize("format_", ["sarif", "gitlab"])
def test_no_two_findings_are_taken_for_one(format_: str) -> None:
    """Not even of one hazard and one object."""
    found = fingerprints(reports.huge(), format_)
    assert len(set(found)) == len(found) > 300
    report = reports.rich()
    twice = replace(report, versions=(report.versions[0],) * 2)
    assert len(set(fingerprints(twice, format_))) == 4


def test_gitlab_gets_its_own_words() -> None:
    """Open findings alone, with the severities that it knows."""
    found = json.loads(render(reports.rich(), "gitlab"))
    assert [each["severity"] for each in found] == ["blocker", "blocker", "major", "info"]
    assert found[0]["check_name"] == "create-index-blocking"
    assert found[0]["location"] == {
        "path": "versions/005_embedding.py",
        "lines": {"begin": 32},
    }
    assert "\n" not in json.loads(render(reports.hostile(), "gitlab"))[0]["description"]


def test_gitlab_gets_two_sentences() -> None:
    """What happens and what to do, with one full stop between."""
    report = reports.rich()
    first, *_ = report.open_findings
    for sentence, told in (("It waits", "It waits. "), ("Wait!", "Wait! "), ("So.", "So. ")):
        found = replace(first, sentence=sentence, remedy="Do not")
        version = replace(report.versions[0], findings=(found,))
        (issue,) = json.loads(render(replace(report, versions=(version,)), "gitlab"))
        assert issue["description"] == f"{told}Remedy: Do not"


@pytest.mark.parametrize("format_", PEOPLE)
def test_what_was_found_comes_before_the_locks(format_: str) -> None:
    """A reader looks for it first."""
    text = shown(render(reports.rich(), format_), format_)
    assert text.index("create-index-blocking") < text.rindex("Locks on existing tables")


@pytest.mark.parametrize("format_", PEOPLE)
def test_one_fix_of_two_findings_is_shown_once(format_: str) -> None:
    """The second one refers to it; another fix of the version repeats no lock of the version."""
    report = reports.rich()
    first, *_ = report.open_findings
    assert first.fix is not None
    same = replace(first, hazard="lock-held-across-statements", statement=None)
    other = replace(first.fix, summary="another", modules=first.fix.modules[:1])
    third = replace(first, hazard="opaque-ddl", fix=other)
    version = replace(report.versions[0], findings=(first, same, third))
    text = shown(render(replace(report, versions=(version,)), format_), format_)
    assert text.count("split into 005 and 006") == 1
    said = " ".join(text.split())
    at = f", statement {first.statement}"
    assert f"the same as that of {first.hazard}{at}, above" in said.replace(
        f"{first.hazard} ,", f"{first.hazard},"
    )
    once = text.count("as written")
    alone = replace(report.versions[0], findings=(first,))
    whole = shown(render(replace(report, versions=(alone,)), format_), format_)
    assert once == whole.count("as written")
    assert once


@pytest.mark.parametrize("format_", PEOPLE)
def test_a_fix_that_leaves_something_blocking_says_so(format_: str) -> None:
    """Where it is offered, and with what happens."""
    report = reports.rich()
    first, *_ = report.open_findings
    assert first.fix is not None
    assert "still blocking" not in shown(render(report, format_), format_)
    left = replace(first, hazard="opaque-ddl", version="006", sentence="It stands still", fix=None)
    found = replace(first, fix=replace(first.fix, left=(left,)))
    version = replace(report.versions[0], findings=(found,))
    text = shown(render(replace(report, versions=(version,)), format_), format_)
    assert "split into 005 and 006; still blocking: opaque-ddl in 006" in " ".join(text.split())
    assert "opaque-ddl: It stands still" in text


def test_sizes_are_told_as_postgresql_tells_them() -> None:
    """1,024 bytes are a kB."""
    from neuron_schema.review.render.wording import size

    told = [size(TableStats(rows=1, bytes=count)) for count in (1, 8192, 15 * 2**20, 2**60)]
    assert told == [
        "1 row, 1 bytes",
        "1 row, 8.0 kB",
        "1 row, 15 MB",
        "1 row, 1,024 PB",
    ]


def test_a_finding_always_has_a_line() -> None:
    """The first where its statement's is not known; no place where its version is not there."""
    report = reports.rich()
    version = report.versions[0]
    cut = replace(report, versions=(replace(version, lines=()),))
    assert {each["location"]["lines"]["begin"] for each in json.loads(render(cut, "gitlab"))} == {1}
    lost = replace(version, findings=(replace(version.findings[0], version="099"),))
    found = results(replace(report, versions=(lost,)))
    assert "locations" not in found[0]
    assert " in 099, statement 2" in render(replace(report, versions=(lost,)), "terminal")


def test_an_annotation_is_no_novel() -> None:
    """A server's message may have any length."""
    message = render(reports.with_text("word " * 10_000), "github").rpartition("::")[2]
    assert len(message) < 5_000
    assert message.endswith("…\n")


def test_a_path_is_one_address() -> None:
    """With a blank, an umlaut and a percent sign in it."""
    version = replace(reports.rich().versions[0], path="my versions/ü%.py")
    found = results(replace(reports.rich(), versions=(version,)))
    place = found[0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place["uri"] == "my%20versions/%C3%BC%25.py"


def test_what_is_blocked_while_something_is_done_stands_out() -> None:
    """A lock for an instant does not, nor one under which others read and write."""
    text = render(reports.rich(), "markdown")
    locks = [line for line in text.splitlines() if line.startswith("| `005_embedding` | ")][1:3]
    assert "| reads, writes and schema changes |" in locks[0]
    assert "| **reads, writes and schema changes** |" in locks[1]
    fixed = next(each for each in text.splitlines() if each.startswith("| `006_embedding_index"))
    assert "| schema changes |" in fixed


def test_the_first_versions_of_all_stand_on_nothing() -> None:
    """There is no earlier one."""
    text = render(replace(reports.rich(), before=0), "terminal")
    assert "compared with origin/main (1a2b3c4), on an empty schema." in text


def test_a_wide_table_is_a_list_on_a_terminal() -> None:
    """A narrow one stays a table."""
    lines = render(reports.rich(), "terminal").splitlines()
    assert any(
        re.fullmatch(r"005_embedding +new +1 blocking, 1 note +1 +.*", each) for each in lines
    )
    start = next(n for n, each in enumerate(lines) if "005_embedding, statement 1: ALTER" in each)
    assert lines[start + 1].split() == ["table", "public.nodes"]


def test_extensions_that_every_database_has_are_not_told() -> None:
    """That plpgsql is there is no news."""
    server = replace(reports.rich().server, extensions=(("plpgsql", "1.0"), ("vector", "0.8.5")))
    text = render(replace(reports.rich(), server=server), "terminal")
    assert "PostgreSQL 18.4 (embedded), with vector 0.8.5, on tables" in text
    address = replace(server, embedded=False, extensions=())
    text = render(replace(reports.rich(), server=address), "terminal")
    assert "PostgreSQL 18.4 (of the address that was given), on tables" in text
