"""What a run takes, refuses and warns of, from versions, history and target alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_schema.errors import HistoryConflict, IrreversibleVersion, TargetError
from neuron_schema.model import (
    AppliedRow,
    Direction,
    Migration,
    MigrationStatus,
    Outcome,
    Plan,
    Statement,
    Status,
    VersionInfo,
)
from neuron_schema.planning import (
    Selection,
    make_plan,
    select_baseline,
    select_down,
    select_range,
    select_repair,
    select_up,
)
from neuron_schema.standing import conflicts, statuses
from neuron_schema.targets import find_version, target_number

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def info(version: str, name: str = "v", checksum: str = "same") -> VersionInfo:
    """Return a version."""
    return VersionInfo(
        version=version, name=name, description=f"No. {version}", checksum=checksum, path="p"
    )


def row(version: str, name: str = "v", checksum: str | None = "same") -> AppliedRow:
    """Return a row of the history."""
    return AppliedRow(version=version, name=name, applied_at=NOW, checksum=checksum)


def infos(*versions: str) -> tuple[VersionInfo, ...]:
    """Return versions."""
    return tuple(map(info, versions))


def rows(*versions: str) -> tuple[AppliedRow, ...]:
    """Return rows of the history."""
    return tuple(map(row, versions))


def migration(version: str, irreversible: str | None = None) -> Migration:
    """Return a version with its SQL."""
    return Migration(
        version=version,
        name="v",
        description=f"No. {version}",
        checksum="same",
        path=f"/v/{version}_v.py",
        up_statements=(Statement(sql=f"UP {version}"),),
        down_statements=() if irreversible else (Statement(sql=f"DOWN {version}"),),
        irreversible=irreversible,
    )


def versions(chosen: Selection | Plan) -> list[str]:
    """Return the versions of a selection or a plan, in their order."""
    parts = chosen.infos if isinstance(chosen, Selection) else chosen.steps
    return [one.version for one in parts]


# --- statuses -----------------------------------------------------------------------------------


def test_each_version_stands_as_files_and_history_say() -> None:
    """All five states, ordered by number, whatever the order of what is given."""
    lines = statuses(
        [info("10"), info("1"), info("3", checksum="new"), info("4")],
        [row("12"), row("2"), row("1"), row("3", checksum="old"), row("11")],
    )
    assert [(line.version, line.status) for line in lines] == [
        ("1", Status.APPLIED),
        ("2", Status.MISSING),
        ("3", Status.MODIFIED),
        ("4", Status.PENDING),
        ("10", Status.PENDING),
        ("11", Status.AHEAD),
        ("12", Status.AHEAD),
    ]


def test_a_line_shows_what_is_known() -> None:
    """The file's spelling and description, the history's time and checksum."""
    applied, pending, ahead = statuses(
        [info("001", "new_name"), info("002", checksum="file")], [row("1", "old_name"), row("3")]
    )
    assert applied == MigrationStatus(
        version="001",
        name="new_name",
        applied_at=NOW,
        status=Status.APPLIED,
        description="No. 001",
        checksum="same",
        renamed_from="old_name",
    )
    assert (pending.applied_at, pending.checksum, pending.renamed_from) == (None, "file", None)
    assert (ahead.description, ahead.checksum, ahead.applied_at) == ("", "same", NOW)


def test_without_files_everything_applied_is_ahead() -> None:
    """Nothing here is newer, so nothing has gone missing."""
    assert [line.status for line in statuses([], rows("1", "2"))] == [Status.AHEAD] * 2
    assert statuses([], []) == ()


def test_a_row_without_a_checksum_is_not_modified() -> None:
    """There is nothing to compare."""
    assert statuses([info("1")], [row("1", checksum=None)])[0].status is Status.APPLIED


# --- going up -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("applied", "to", "count", "expected"),
    [
        ((), None, None, ["001", "002", "010"]),
        (("001",), None, None, ["002", "010"]),
        (("1",), None, None, ["002", "010"]),
        (("001", "002", "010"), None, None, []),
        ((), "2", None, ["001", "002"]),
        ((), "002", None, ["001", "002"]),
        ((), "0000000002", None, ["001", "002"]),
        ((), "00000000000000002", None, ["001", "002"]),
        (("001",), "002", None, ["002"]),
        (("001", "002"), "002", None, []),
        (("001", "002"), "001", None, []),
        ((), None, 1, ["001"]),
        ((), None, 2, ["001", "002"]),
        ((), None, 99, ["001", "002", "010"]),
        (("001", "002", "010"), None, 1, []),
    ],
)
def test_up_takes_the_pending_versions_of_its_target(
    applied: tuple[str, ...], to: str | None, count: int | None, expected: list[str]
) -> None:
    """Up to and including it, by number; nothing when it is reached already."""
    selection = select_up(infos("001", "002", "010"), rows(*applied), to=to, count=count)
    assert versions(selection) == expected
    assert selection.direction is Direction.UP
    assert selection.warnings == ()


@pytest.mark.parametrize(
    ("to", "count", "message"),
    [
        ("latest", None, "'latest' is no version"),
        ("", None, "'' is no version"),
        ("-1", None, "'-1' is no version"),
        ("1.0", None, "'1.0' is no version"),
        (" 1", None, "' 1' is no version"),
        ("1_", None, "'1_' is no version"),
        ("_v1", None, "'_v1' is no version"),
        ("0_v0", None, "there is no version 0_v0"),
        ("001_other", None, "there is no version 001_other: 001 is 001_"),
        ("\u0661", None, "is no version"),
        ("\u00b2", None, "is no version"),
        ("9" * 11, None, "there is no version 99999999999"),
        ("9" * 5000, None, "there is no version 9999"),
        ("1", 1, "a target and --count together"),
        (None, 0, "--count 0 is below 1"),
        (None, -2, "--count -2 is below 1"),
        (1, None, "1 is no version"),
        (None, "1", "count: '1' is no whole number"),
        (None, 1.0, "count: 1.0 is no whole number"),
        (None, True, "count: True is no whole number"),
    ],
)
@pytest.mark.parametrize("select", [select_up, select_down])
def test_a_target_that_is_none_is_refused(
    select: object, to: object, count: object, message: str
) -> None:
    """With exit status 2 and a remedy, before anything is looked at."""
    assert callable(select)
    with pytest.raises(TargetError) as caught:
        select(infos("001", "002"), rows("001"), to=to, count=count)
    assert message in caught.value.message
    assert (caught.value.exit_code, bool(caught.value.remedy)) == (2, True)


@pytest.mark.parametrize("to", ["3", "0", "000"])
def test_up_has_no_target_but_versions(to: str) -> None:
    """Nothing is below the first."""
    with pytest.raises(TargetError, match=f"there is no version {to}\n") as caught:
        select_up(infos("001", "002"), rows("001"), to=to)
    assert caught.value.remedy == "versions: 001, 002"


def test_a_version_may_be_named_as_it_is_shown() -> None:
    """With its name, which has to be the right one."""
    files = infos("001", "002", "003")
    label = files[1].label
    assert find_version(files, label) is files[1]
    assert versions(select_up(files, (), to=label)) == ["001", "002"]
    assert versions(select_down(files, rows("001", "002", "003"), to=label)) == ["003"]


def test_a_target_that_is_not_there_tells_which_are() -> None:
    """Spelled as they are."""
    with pytest.raises(TargetError) as caught:
        find_version(infos("001", "002"), "7")
    assert caught.value.remedy == "versions: 001, 002"
    with pytest.raises(TargetError) as caught:
        find_version((), "7")
    assert caught.value.remedy == "versions: none"


def test_ahead_and_renamed_are_warnings() -> None:
    """An older release must be able to start, and a name is only a name."""
    selection = select_up([info("1", "new")], [row("1", "old"), row("5"), row("7")])
    assert versions(selection) == []
    assert selection.warnings == (
        "1_new was applied under the name old",
        "the database is ahead of this code: 5_v is applied",
        "the database is ahead of this code: 7_v is applied",
    )


def test_ahead_and_pending_is_out_of_order() -> None:
    """Something newer was applied before what is pending here."""
    with pytest.raises(HistoryConflict, match="2_v is out of order"):
        select_up(infos("1", "2"), rows("1", "5"))


def test_all_conflicts_are_named_at_once() -> None:
    """Modified, missing and out of order, each with what is so, and exit status 4."""
    files = [
        info("1", checksum="a" * 64),
        info("2"),
        info("4", checksum="c" * 64),
        info("6"),
        info("9"),
    ]
    history = [
        row("1", checksum="b" * 64),
        row("3", "gone"),
        row("4", checksum="d" * 64),
        row("5", "lost"),
        row("7", "away"),
    ]
    with pytest.raises(HistoryConflict) as caught:
        select_up(files, history)
    error = caught.value
    assert error.exit_code == 4
    assert error.message.split("; ") == [
        "1_v was modified after it was applied (recorded checksum bbbbbbbbbbbb, now aaaaaaaaaaaa)",
        "4_v was modified after it was applied (recorded checksum dddddddddddd, now cccccccccccc)",
        "3_gone is missing: it is applied, but there is no file",
        "5_lost is missing: it is applied, but there is no file",
        "7_away is missing: it is applied, but there is no file",
        "2_v is out of order: it is pending, but 7 is applied already",
        "6_v is out of order: it is pending, but 7 is applied already",
    ]
    assert "restore the files" in (error.remedy or "")
    assert "--allow-out-of-order" in (error.remedy or "")


def test_the_way_back_begins_below_the_first_number_that_is_taken() -> None:
    """At the newest version that is applied below it, or at nothing."""
    files = [info("2"), info("4", "theirs"), info("5", "mine")]
    history = [row("2"), row("4", "mine", "m"), row("5", "more", "n")]
    error = conflicts(files, history)
    assert error is not None
    assert error.message == (
        "4_theirs is not applied: its number is taken by another version that is, 4_mine; "
        "5_mine is not applied: its number is taken by another version that is, 5_more"
    )
    assert (error.remedy or "").startswith("neuron-schema down 2 --from-history rolls")
    first = conflicts(files[1:], history[1:])
    assert first is not None
    assert "neuron-schema down 0 --from-history" in str(first)


def test_out_of_order_may_be_allowed() -> None:
    """Then it runs in the order of numbers."""
    selection = select_up(infos("1", "2", "3"), rows("2"), allow_out_of_order=True)
    assert versions(selection) == ["1", "3"]


def test_allowing_out_of_order_allows_nothing_else() -> None:
    """Modified and missing stay conflicts."""
    with pytest.raises(HistoryConflict, match="modified"):
        select_up([info("1", checksum="x")], rows("1"), allow_out_of_order=True)
    with pytest.raises(HistoryConflict, match="missing"):
        select_up(infos("2"), rows("1"), allow_out_of_order=True)


def test_out_of_order_above_the_target_does_not_matter() -> None:
    """It is not about to run."""
    assert versions(select_up(infos("1", "2", "3"), rows("1", "3"), to="1")) == []
    with pytest.raises(HistoryConflict):
        select_up(infos("1", "2", "3"), rows("1", "3"), to="2")


def test_no_conflict_is_none() -> None:
    """Everything applied, nothing applied, nothing at all."""
    for files, history in ((infos("1"), rows("1")), (infos("1"), ()), ((), ()), ((), rows("1"))):
        assert conflicts(files, history) is None


# --- going down ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "count", "expected"),
    [
        (None, None, ["003"]),
        (None, 1, ["003"]),
        (None, 2, ["003", "002"]),
        (None, 99, ["003", "002", "001"]),
        ("3", None, []),
        ("002", None, ["003"]),
        ("1", None, ["003", "002"]),
        ("0", None, ["003", "002", "001"]),
        ("000", None, ["003", "002", "001"]),
        ("0000000000000", None, ["003", "002", "001"]),
    ],
)
def test_down_keeps_its_target_and_takes_what_is_newer(
    to: str | None, count: int | None, expected: list[str]
) -> None:
    """Newest first; one version unless more are asked for."""
    files = infos("001", "002", "003", "004")
    selection = select_down(files, rows("001", "002", "003"), to=to, count=count)
    assert versions(selection) == expected
    assert selection.direction is Direction.DOWN


def test_down_of_nothing_is_nothing() -> None:
    """An empty history has nothing to roll back."""
    assert versions(select_down(infos("1"), ())) == []
    assert versions(select_down(infos("1"), (), to="0")) == []


@pytest.mark.parametrize("to", ["2", "9", "99999999999"])
def test_a_target_of_down_must_be_applied(to: str) -> None:
    """Pending or unknown, there is nothing to keep; the applied ones are named."""
    with pytest.raises(TargetError) as caught:
        select_down(infos("1", "2", "3"), rows("1", "3"), to=to)
    assert caught.value.exit_code == 2
    if len(to) < 11:
        assert caught.value.message == f"version {to} is not applied"
        assert caught.value.remedy == "applied: 1, 3; 0 rolls back all of them"


def test_what_has_no_file_cannot_be_rolled_back() -> None:
    """All of them are named; those that stay need no file."""
    with pytest.raises(HistoryConflict) as caught:
        select_down(infos("2"), [row("1", "a"), row("2"), row("3", "c"), row("4", "d")], to="2")
    assert caught.value.message == "no file to roll back 3_c, 4_d"
    assert versions(select_down(infos("2"), rows("1", "2"))) == ["2"]


def test_a_modified_version_is_not_rolled_back() -> None:
    """Its present `down` need not undo what was done; without a checksum nobody can tell."""
    files = [info("1", checksum="new"), info("2"), info("3", checksum="new")]
    history = [row("1", checksum="old"), row("2"), row("3", checksum=None)]
    with pytest.raises(HistoryConflict) as caught:
        select_down(files, history, to="0")
    assert caught.value.message.startswith("1_v was modified after it was applied")
    assert "--from-history" in str(caught.value)
    assert versions(select_down(files, history, to="1")) == ["3", "2"]


def test_a_recorded_version_stands_in_for_its_file() -> None:
    """Where the file is gone or was modified, and nowhere else."""
    recorded = replace(migration("1"), checksum="old", path="the log")
    gone = replace(migration("3"), checksum="gone", path="the log")
    history = [row("1", checksum="old"), row("2"), row("3", checksum="gone")]
    files = [info("1", checksum="new"), info("2")]
    selection = select_down(files, history, to="0", recorded=[recorded, gone])
    plan = make_plan(selection, [migration("2"), migration("1")], history)
    assert [(step.version, step.path) for step in plan.steps] == [
        ("3", "the log"),
        ("2", "/v/2_v.py"),
        ("1", "the log"),
    ]
    assert [one.version for one in selection.files] == ["2"]
    assert len(selection.warnings) == 2


@pytest.mark.parametrize("known", [[], ["another"]])
def test_what_the_log_does_not_tell_is_not_rolled_back(known: list[str]) -> None:
    """Another text than the one that was applied is no stand-in either."""
    recorded = [replace(migration("1"), checksum=checksum) for checksum in known]
    with pytest.raises(HistoryConflict, match="the log does not tell what 1_v was applied with"):
        select_down([], [row("1", checksum="old")], recorded=recorded)


def test_a_baseline_takes_what_is_pending_up_to_a_version() -> None:
    """What is applied already stays as it is, and nothing of it runs."""
    selection = select_baseline(infos("1", "2", "3"), rows("2"), "2")
    plan = make_plan(selection, map(migration, "123"), rows("2"))
    [step] = plan.steps
    assert (step.version, step.runs, step.outcome) == ("1", (), Outcome.BASELINED)
    assert step.transactional
    with pytest.raises(TargetError, match="no version 4"):
        select_baseline(infos("1"), (), "4")
    with pytest.raises(HistoryConflict, match="modified"):
        select_baseline(infos("1", "2"), [row("1", checksum="old")], "2")


OLD = "0123456789abcdef" * 4


@pytest.mark.parametrize("expected", [OLD, OLD[:12], OLD[:20].upper()])
def test_a_repair_wants_the_recorded_checksum(expected: str) -> None:
    """Twelve digits of it do."""
    history = [row("01", checksum=OLD)]
    selection = select_repair(infos("1"), history, "001", expected)
    [step] = make_plan(selection, [migration("1")], history).steps
    assert (step.version, step.expected, step.outcome) == ("01", OLD, Outcome.REPAIRED)


@pytest.mark.parametrize("expected", ["", OLD[:11], "f" * 64, OLD + "0"])
def test_a_repair_with_another_checksum_is_refused(expected: str) -> None:
    """The error tells which one is recorded."""
    with pytest.raises(HistoryConflict, match=OLD):
        select_repair(infos("1"), [row("1", checksum=OLD)], "1", expected)


@pytest.mark.parametrize("number", [1, None, 1.0])
def test_a_version_that_is_no_text_is_refused(number: Any) -> None:
    """Where one has to be named, and not only where it may be."""
    with pytest.raises(TargetError, match=f"{number!r} is no version"):
        select_baseline(infos("1"), (), number)
    with pytest.raises(TargetError, match=f"{number!r} is no version"):
        select_repair(infos("1"), rows("1"), number, OLD)


@pytest.mark.parametrize("expected", [None, 123, b"f" * 64])
def test_a_checksum_that_is_no_text_is_refused(expected: object) -> None:
    """It proves nothing."""
    with pytest.raises(TargetError, match="is no checksum"):
        select_repair(infos("1"), [row("1", checksum=OLD)], "1", expected)


def test_only_an_applied_version_that_differs_is_repaired() -> None:
    """What is as it was applied needs none; a renamed one does."""
    assert select_repair(infos("1"), rows("1"), "1", "").infos == ()
    assert select_repair([info("1", "new", OLD)], [row("1", checksum=OLD)], "1", OLD).infos
    with pytest.raises(HistoryConflict, match="1_new is not applied: its number is taken"):
        select_repair([info("1", "new")], [row("1", checksum=OLD)], "1", OLD)
    with pytest.raises(TargetError, match="is not applied"):
        select_repair(infos("1"), (), "1", OLD)


def test_a_rollback_takes_the_versions_as_the_history_spells_them() -> None:
    """That row is to go."""
    assert versions(select_down(infos("002", "003"), rows("2", "3"), to="0")) == ["3", "2"]


# --- spans --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "direction", "expected"),
    [
        ("0", "3", Direction.UP, ["001", "002", "003"]),
        ("1", "3", Direction.UP, ["002", "003"]),
        ("1", "1", Direction.UP, []),
        ("0", "0", Direction.UP, []),
        ("3", "0", Direction.DOWN, ["003", "002", "001"]),
        ("003", "002", Direction.DOWN, ["003"]),
    ],
)
def test_a_span_leads_from_one_version_to_another(
    start: str, end: str, direction: Direction, expected: list[str]
) -> None:
    """The first is applied already, the last is applied afterwards."""
    selection = select_range(infos("001", "002", "003"), start, end)
    assert (selection.direction, versions(selection)) == (direction, expected)


def test_both_ends_of_a_span_must_be_there() -> None:
    """A typing error is no empty span."""
    for start, end in (("7", "1"), ("1", "7"), ("x", "1")):
        with pytest.raises(TargetError):
            select_range(infos("1"), start, end)


# --- plans --------------------------------------------------------------------------------------


def test_a_plan_has_the_sql_of_its_direction() -> None:
    """And the history that it was made for."""
    files, history = infos("001", "002"), rows("001")
    migrations = [migration("001"), migration("002")]
    up = make_plan(select_up(files, history), migrations, history)
    assert [(s.label, s.direction, s.statements) for s in up.steps] == [
        ("002_v", Direction.UP, (Statement(sql="UP 002"),))
    ]
    assert (up.applied, up.direction) == (history, Direction.UP)
    assert (up.steps[0].description, up.steps[0].path) == ("No. 002", "/v/002_v.py")

    down = make_plan(select_down(files, history), migrations, history)
    assert [(s.label, s.statements) for s in down.steps] == [
        ("001_v", (Statement(sql="DOWN 001"),))
    ]


def test_a_plan_keeps_the_warnings() -> None:
    """Whoever runs it shows them."""
    files, history = infos("1"), rows("1", "2")
    assert make_plan(select_up(files, history), (), history).warnings


def test_irreversible_versions_stop_a_rollback_before_it_begins() -> None:
    """All of them are named, with their reasons, and exit status 9."""
    files, history = infos("1", "2", "3"), rows("1", "2", "3")
    migrations = [migration("1", "no way"), migration("2"), migration("3", "lost")]
    with pytest.raises(IrreversibleVersion) as caught:
        make_plan(select_down(files, history, to="0"), migrations, history)
    assert caught.value.message == "3_v is irreversible: lost; 1_v is irreversible: no way"
    assert (caught.value.exit_code, caught.value.where) == (9, "/v/3_v.py")
    with pytest.raises(IrreversibleVersion):
        make_plan(select_down(files, history), migrations, history)


def test_an_irreversible_version_goes_up_and_stays_below() -> None:
    """It only stops its own rollback."""
    files = infos("1", "2")
    migrations = [migration("1", "no way"), migration("2")]
    assert versions(make_plan(select_up(files, ()), migrations, ())) == ["1", "2"]
    history = rows("1", "2")
    assert versions(make_plan(select_down(files, history), migrations, history)) == ["2"]


# --- for all versions and histories -------------------------------------------------------------

NUMBERS = st.integers(1, 30)
SPELLINGS = st.sampled_from(["{}", "{:03}", "{:010}"])


@st.composite
def files_of(draw: st.DrawFn) -> tuple[VersionInfo, ...]:
    """Draw versions as a directory has them: by number, spelled in any way."""
    numbers = sorted(draw(st.sets(NUMBERS, max_size=12)))
    return tuple(info(draw(SPELLINGS).format(number)) for number in numbers)


@given(files=files_of(), applied=st.integers(0, 12))
def test_up_applies_exactly_what_is_pending(files: tuple[VersionInfo, ...], applied: int) -> None:
    """After any prefix, the rest; every target its share of it."""
    history = rows(*(str(one.number) for one in files[:applied]))
    pending = list(files[applied:])
    assert list(select_up(files, history).infos) == pending
    for target in files:
        selected = select_up(files, history, to=str(target.number)).infos
        assert list(selected) == [one for one in pending if one.number <= target.number]


@given(files=files_of(), keep=st.integers(0, 12))
def test_down_is_the_reverse_of_up(files: tuple[VersionInfo, ...], keep: int) -> None:
    """What goes up from a version comes down to it, in the opposite order."""
    kept = files[:keep]
    target = kept[-1].version if kept else "0"
    went_up = select_up(files, rows(*(one.version for one in kept))).infos
    came_down = select_down(files, rows(*(one.version for one in files)), to=target).infos
    assert came_down == tuple(reversed(went_up))


@given(files=files_of(), numbers=st.sets(NUMBERS, max_size=12))
def test_each_version_has_one_line_in_order(
    files: tuple[VersionInfo, ...], numbers: set[int]
) -> None:
    """Whatever is applied, every file and every row is there once, ordered by number."""
    lines = statuses(files, rows(*map(str, numbers)))
    found = [int(line.version) for line in lines]
    assert found == sorted({one.number for one in files} | numbers)
    pending = {int(line.version) for line in lines if line.status is Status.PENDING}
    assert pending == {one.number for one in files} - numbers


@given(files=files_of(), numbers=st.sets(NUMBERS, max_size=12))
def test_up_runs_or_names_every_conflict(files: tuple[VersionInfo, ...], numbers: set[int]) -> None:
    """There is no third way: nothing pending is left out in silence."""
    history = rows(*map(str, numbers))
    own = {one.number for one in files}
    late = {number for number in own - numbers if number < max(numbers, default=0)}
    missing = {number for number in numbers - own if number < max(own, default=0)}
    if not late | missing:
        assert {one.number for one in select_up(files, history).infos} == own - numbers
        return
    with pytest.raises(HistoryConflict) as caught:
        select_up(files, history)
    named = {int(line.partition("_")[0]) for line in caught.value.message.split("; ")}
    assert named == late | missing


@given(number=st.integers(0, 10**10 - 1), zeros=st.integers(0, 20))
def test_leading_zeros_of_a_target_mean_nothing(number: int, zeros: int) -> None:
    """2 is 002."""
    assert target_number("0" * zeros + str(number)) == number
