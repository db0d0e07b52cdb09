"""What a squashed version stands for: in files, and in a history that knows the old ones."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from neuron_schema import planning, standing
from neuron_schema.discovery import version_module
from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.errors import HistoryConflict, TargetError, VersionError
from neuron_schema.execution.course import Course, Expectation, is_done
from neuron_schema.history import HistoryTable, Look, record_sql
from neuron_schema.model import (
    AppliedRow,
    Direction,
    Migration,
    Plan,
    ServerFacts,
    Statement,
    Status,
    VersionInfo,
)
from neuron_schema.proof.drift import applied_versions
from neuron_schema.squashed import account
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    from neuron_schema.model import RowSet, Step

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
OLD = (("002", "c2"), ("003", "c3"), ("005", "c5"))


def info(version: str, checksum: str, *replaces: RowSet, name: str = "v") -> VersionInfo:
    """Return a version."""
    return VersionInfo(
        version=version, name=name, description="", checksum=checksum, path="p", replaces=replaces
    )


FILES = (info("001", "c1"), info("005", "new", OLD, name="squashed"), info("006", "c6"))


def rows(*, name: str = "v", **checksums: str | None) -> tuple[AppliedRow, ...]:
    """Return rows of the history: ``v002="c2"``."""
    return tuple(
        AppliedRow(version=version[1:], name=name, applied_at=NOW, checksum=checksum)
        for version, checksum in checksums.items()
    )


WHOLE = rows(v001="c1", v002="c2", v003="c3", v005="c5")
PARTS = [
    (rows(v001="c1", v002="c2"), "not applied: 003, 005"),
    (rows(v001="c1", v002="c2", v003="c3", v005="other"), "applied with another text: 005"),
    (rows(v001="c1", v002="c2", v003="c3", v005="new"), "applied with another text: 005"),
    (rows(v001="c1", v002="c2", v003="other", v005="c5"), "applied with another text: 003"),
    (rows(v001="c1", v005="c5"), "not applied: 002, 003"),
    (rows(v001="c1", v003="c3", v005="c5", v006="c6"), "not applied: 002"),
]


def stands(applied: tuple[AppliedRow, ...]) -> dict[str, str]:
    """Return the status of every version."""
    return {line.version: line.status.value for line in standing.statuses(FILES, applied)}


# --- the history as the files see it ------------------------------------------------------------


def test_rows_of_all_that_was_squashed_are_one_applied_version() -> None:
    """None is missing and none modified; what they were is told."""
    lines = standing.statuses(FILES, WHOLE)
    assert [(line.version, line.status.value) for line in lines] == [
        ("001", "applied"),
        ("005", "applied"),
        ("006", "pending"),
    ]
    squashed = lines[1]
    assert (squashed.name, squashed.checksum, squashed.renamed_from) == ("squashed", "new", None)
    assert (squashed.applied_at, squashed.covers) == (NOW, ("002", "003"))
    assert [one.version for one in planning.select_up(FILES, WHOLE).infos] == ["006"]
    assert not planning.select_up(FILES, WHOLE).warnings


def test_without_any_of_them_the_squashed_version_is_pending() -> None:
    """It runs as one."""
    assert stands(rows(v001="c1"))["005"] == "pending"
    chosen = planning.select_up(FILES, rows(v001="c1")).infos
    assert [one.version for one in chosen] == ["005", "006"]


def test_a_squashed_version_that_ran_as_one_is_like_any_other() -> None:
    """Applied with its own checksum, modified with one that it knows nothing of."""
    assert stands(rows(v001="c1", v005="new"))["005"] == "applied"
    assert stands(rows(v005="strange"))["005"] == "taken"
    modified = rows(name="squashed", v005="strange")
    assert stands(modified)["005"] == "modified"
    assert "was modified" in str(standing.conflicts(FILES, modified))


@pytest.mark.parametrize(("applied", "told"), PARTS)
def test_a_part_of_them_is_a_conflict_with_one_sentence(
    applied: tuple[AppliedRow, ...], told: str
) -> None:
    """It names them and the way out, and says nothing of missing, modified or out of order."""
    with pytest.raises(HistoryConflict) as caught:
        planning.select_up(FILES, applied, allow_out_of_order=True)
    assert str(caught.value.message).startswith("005_squashed replaces 002, 003, 005, of which")
    assert told in caught.value.message
    assert "the release before the squash" in str(caught.value.remedy)
    for word in ("missing", "modified", "out of order", "repair"):
        assert word not in str(caught.value)
    with pytest.raises(HistoryConflict, match="replaces 002"):
        planning.select_baseline(FILES, applied, "006")


UNNAMED = rows(v001=None, v003=None, v005=None)


@pytest.mark.parametrize("applied", [each for each, _ in PARTS] + [UNNAMED])
def test_a_part_is_not_rolled_back_by_the_down_of_the_whole(
    applied: tuple[AppliedRow, ...],
) -> None:
    """It would undo more than is there, and leave rows of the others; the log knows the part's."""
    with pytest.raises(HistoryConflict, match="005_squashed replaces 002, 003, 005, of which"):
        planning.select_down(FILES, applied, to="1")
    parts = {row.version for row in applied if 1 < row.number < 6}
    assert set(standing.without_their_files(FILES, applied)) == parts
    assert stands(applied)["005"] == ("modified" if "005" in parts else "pending")
    assert set(applied_versions(FILES, applied)[1]) == parts


def test_what_lies_above_a_part_is_rolled_back_as_ever() -> None:
    """It is whole."""
    applied = rows(v001="c1", v003="c3", v005="c5", v006="c6")
    assert [one.version for one in planning.select_down(FILES, applied).infos] == ["006"]


def test_a_repair_does_not_make_a_part_pass_for_the_whole() -> None:
    """Else the row would say that the squashed text was applied, with the others beside it."""
    applied = rows(v001="c1", v002="c2", v003="c3", v005="a" * 64)
    with pytest.raises(HistoryConflict, match="only a part"):
        planning.select_repair(FILES, applied, "5", "a" * 12)


def test_rows_without_a_checksum_stand_for_any_text() -> None:
    """As everywhere; but all of them must be there."""
    assert stands(rows(v001=None, v002=None, v003=None, v005=None))["005"] == "applied"
    assert standing.conflicts(FILES, rows(v001=None, v002=None, v005=None)) is not None


def test_a_squash_of_a_squash_knows_both_histories() -> None:
    """That of the versions one by one, and that of the first squash."""
    twice = (info("006", "all", (("005", "new"), ("006", "c6")), (*OLD, ("006", "c6"))),)
    for applied in (rows(v005="new", v006="c6"), rows(v002="c2", v003="c3", v005="c5", v006="c6")):
        (line,) = standing.statuses(twice, applied)
        assert line.status is Status.APPLIED
    assert standing.conflicts(twice, rows(v002="c2", v005="new", v006="c6")) is not None


def test_a_squash_that_has_the_text_of_its_last_part_is_no_part_of_itself() -> None:
    """Where all others did nothing that lasts, such as a VACUUM."""
    files = (info("005", "c5", OLD),)
    for applied in (rows(v005="c5"), rows(v002="c2", v003="c3", v005="c5")):
        (line,) = standing.statuses(files, applied)
        assert line.status is Status.APPLIED
        assert standing.conflicts(files, applied) is None


def test_what_else_asks_for_applied_versions_sees_the_whole() -> None:
    """A baseline marks what is left, a repair finds nothing to do, no file is said to be gone."""
    assert [one.version for one in planning.select_baseline(FILES, WHOLE, "6").infos] == ["006"]
    assert planning.select_repair(FILES, WHOLE, "5", "c5" * 6).infos == ()
    assert standing.without_their_files(FILES, WHOLE) == ()


def test_versions_without_a_squash_leave_the_history_as_it_is() -> None:
    """Row by row."""
    assert account((info("001", "c1"),), WHOLE).rows == WHOLE


def test_a_part_is_no_target() -> None:
    """Neither upwards nor downwards; it is said what holds it."""
    with pytest.raises(TargetError, match="no version 003 any more: 005_squashed holds it"):
        planning.select_up(FILES, WHOLE, to="003")
    with pytest.raises(TargetError, match="003 is not applied by itself: 005_squashed holds it"):
        planning.select_down(FILES, WHOLE, to="003")


# --- the way down -------------------------------------------------------------------------------


def step_down(applied: tuple[AppliedRow, ...] = WHOLE) -> Step:
    """Return the step that rolls the squashed version back."""
    selection = planning.select_down(FILES, applied)
    squashed = FILES[1]
    migration = Migration(
        version="005",
        name="squashed",
        description="",
        checksum="new",
        path="p",
        replaces=squashed.replaces,
        up_statements=(Statement(sql="UP"),),
        down_statements=(Statement(sql="DOWN"),),
    )
    (step,) = planning.make_plan(selection, (migration,), applied).steps
    return step


def test_rolling_back_takes_all_the_rows_that_stand_for_it() -> None:
    """And where it ran as one, its one row."""
    step = step_down()
    assert (step.version, [row.version for row in step.covers]) == ("005", ["002", "003"])
    sql = record_sql(HistoryTable(schema="s"), step)
    assert "WHERE version IN ('002', '003', '005')" in sql
    assert "gone <> 3" in sql
    assert step_down(rows(v001="c1", v005="new")).covers == ()


def test_going_up_takes_no_row_away() -> None:
    """A plan's steps upwards cover nothing."""
    migration = Migration(
        version="006",
        name="v",
        description="",
        checksum="c6",
        path="p",
        up_statements=(Statement(sql="UP"),),
        down_statements=(),
    )
    plan = planning.make_plan(planning.select_up(FILES, WHOLE), (migration,), WHOLE)
    assert [step.covers for step in plan.steps] == [()]


def test_it_is_rolled_back_when_none_of_the_rows_is_left() -> None:
    """A release from before the squash may have rolled back its newest part alone."""
    step = step_down()
    assert is_done(step, rows(v001="c1"))
    assert not is_done(step, rows(v001="c1", v002="c2", v003="c3"))
    assert not is_done(step, WHOLE)


def test_what_a_step_down_leaves_is_counted() -> None:
    """The next step's premise is the history without all of the rows."""
    look = Look(facts=_facts(), table=HistoryTable(schema="s"), exists=True, applied=WHOLE)
    history = Expectation(look)
    history.add(step_down())
    assert "count(*) FROM" in history.premise()
    assert "= 1 AND NOT EXISTS" in history.premise()
    assert [row.version for row in history.expected().applied] == ["001"]


def test_a_part_that_another_run_rolled_back_ends_the_run() -> None:
    """The rest of what stands for the version is not ours to take apart."""
    plan = Plan(direction=Direction.DOWN, steps=(step_down(),), applied=WHOLE)
    less = Look(
        facts=_facts(),
        table=HistoryTable(schema="s"),
        exists=True,
        applied=rows(v001="c1", v002="c2", v003="c3"),
    )
    with pytest.raises(HistoryConflict, match="005 was rolled back by another run meanwhile"):
        Course(plan, ()).replan(less)


def test_its_own_rows_are_no_strangers_to_a_rollback_of_more() -> None:
    """Those with lower numbers than its own stand above what is rolled back last."""
    selection = planning.select_down(FILES, WHOLE, to="0")
    assert [one.version for one in selection.infos] == ["005", "001"]
    first = step_down()
    last = Plan(direction=Direction.DOWN, steps=(first, _like(first, "001")), applied=WHOLE)
    look = Look(facts=_facts(), table=HistoryTable(schema="s"), exists=True, applied=WHOLE)
    course = Course(last, ())
    course.replan(look)
    assert len(course.plan.steps) == 2


def test_what_came_back_with_another_text_is_not_rolled_back() -> None:
    """The row has the number of the step; its version is another one, or a part of it."""
    ran_as_one = rows(v001="c1", v005="new")
    plan = Plan(direction=Direction.DOWN, steps=(step_down(ran_as_one),), applied=ran_as_one)
    now = Look(facts=_facts(), table=HistoryTable(schema="s"), exists=True, applied=WHOLE)
    with pytest.raises(HistoryConflict, match="005 was applied anew by another run meanwhile"):
        Course(plan, ()).replan(now)


def _like(step: Step, version: str) -> Step:
    from dataclasses import replace

    return replace(step, version=version, covers=())


def _facts() -> ServerFacts:
    return ServerFacts(
        version_num=180000,
        version="",
        database="d",
        user="u",
        current_schema="s",
        search_path="",
        in_recovery=False,
        through_pooler=False,
        application="",
    )


# --- what a module declares ---------------------------------------------------------------------

SUM = "ab" * 32


def loaded(directory: Path, replaces: str) -> Migration:
    """Load a version 005 that declares this."""
    path = write_version(directory, "005_a", body=f"replaces = {replaces}")
    return version_module.load(path.read_bytes(), str(path), version="005", name="a")


def test_a_module_declares_one_set_or_several(tmp_path: Path) -> None:
    """In the order of their numbers; the checksum of the module does not depend on it."""
    one = loaded(tmp_path, f"{{'005': '{SUM}', '003': '{SUM}'}}")
    assert one.replaces == ((("003", SUM), ("005", SUM)),)
    two = loaded(tmp_path, f"[{{'3': '{SUM}', '5': '{SUM}'}}, {{'1': '{SUM}', '005': '{SUM}'}}]")
    assert two.replaces == ((("3", SUM), ("5", SUM)), (("1", SUM), ("005", SUM)))
    assert one.checksum == two.checksum == loaded(tmp_path, "None").checksum


def test_a_table_may_be_called_replaces(tmp_path: Path) -> None:
    """A module calls its tables by their names."""
    path = write_version(
        tmp_path,
        "005_a",
        imports="from sqlalchemy import MetaData, Table",
        body="replaces = Table('replaces', MetaData())",
    )
    assert not version_module.load(path.read_bytes(), str(path), version="005", name="a").replaces


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ("'002:005'", "neither a dict nor a list"),
        ("[]", "it is empty"),
        ("['002', '005']", "neither a dict nor a list"),
        (f"{{2: '{SUM}', '005': '{SUM}'}}", "2 is no version"),
        (f"{{'two': '{SUM}', '005': '{SUM}'}}", "'two' is no version"),
        (f"{{'0': '{SUM}', '005': '{SUM}'}}", "'0' is no version"),
        ("{'002': 'abc', '005': 'abc'}", "no checksum of 64 digits"),
        (f"{{'2': '{SUM}', '002': '{SUM}', '005': '{SUM}'}}", "002 stands there twice"),
        (f"{{'005': '{SUM}'}}", "it names 005"),
        ("{}", "it names nothing"),
        (f"{{'002': '{SUM}', '004': '{SUM}'}}", "it names 002, 004"),
        (f"{{'002': '{SUM}', '006': '{SUM}'}}", "it names 002, 006"),
    ],
)
def test_what_is_no_set_is_refused(tmp_path: Path, declared: str, told: str) -> None:
    """With its line; one version alone would be a way to alter an applied text."""
    with pytest.raises(VersionError) as caught:
        loaded(tmp_path, declared)
    assert told in str(caught.value)
    assert ":2" in str(caught.value.where)


def test_what_is_replaced_may_not_stand_beside(tmp_path: Path) -> None:
    """It would run a second time; the remedy finishes what was interrupted."""
    write_version(tmp_path, "005_a", body=f"replaces = {{'002': '{SUM}', '005': '{SUM}'}}")
    write_version(tmp_path, "002_old")
    with pytest.raises(VersionError, match="002_old: 005_a replaces that number") as caught:
        VersionSet(tmp_path).infos()
    assert "neuron-schema squash 2:5" in str(caught.value.remedy)


def test_two_squashes_may_not_replace_one_version(tmp_path: Path) -> None:
    """A row of the history would stand for both."""
    for own in ("005", "007"):
        write_version(tmp_path, f"{own}_a", body=f"replaces = {{'002': '{SUM}', '{own}': '{SUM}'}}")
    with pytest.raises(VersionError, match="both replace version 2"):
        VersionSet(tmp_path).infos()


def test_what_is_replaced_is_remembered_with_the_checksum(tmp_path: Path) -> None:
    """Else an unchanged file, which is not imported, would forget it."""
    versions, cache = tmp_path / "versions", tmp_path / "cache"
    write_version(versions, "005_a", body=f"replaces = {{'002': '{SUM}', '005': '{SUM}'}}")
    first = VersionSet(versions, cache_directory=cache).infos()
    again = VersionSet(versions, cache_directory=cache)
    assert again.infos() == first
    assert not again._compiled


def test_the_same_bytes_under_another_number_are_refused(tmp_path: Path) -> None:
    """What is remembered of them was right for the first number only."""
    versions, cache = tmp_path / "versions", tmp_path / "cache"
    write_version(versions, "005_a", body=f"replaces = {{'002': '{SUM}', '005': '{SUM}'}}")
    VersionSet(versions, cache_directory=cache).infos()
    (versions / "005_a.py").rename(versions / "007_a.py")
    for _ in range(2):
        with pytest.raises(VersionError, match="it names 002, 005"):
            VersionSet(versions, cache_directory=cache).infos()


def test_who_only_looks_at_the_history_reads_no_declarations() -> None:
    """A run with nothing to do does not import what checks them."""
    wanted = "neuron_schema.planning, neuron_schema.discovery.version_set"
    code = f"import {wanted}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    imported = set(done.stdout.split())
    assert "neuron_schema.squashed" in imported
    assert not imported & {
        "neuron_schema.discovery.replaces",
        "neuron_schema.compiling.compile_error",
    }
