"""The module that a squash writes: what goes into it, and that it reads as it was meant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from neuron_schema.errors import (
    InternalError,
    SquashRefused,
    TargetError,
    UsageError,
    VersionError,
)
from neuron_schema.model import Migration, OwnCommit, Statement
from neuron_schema.quoting import literal
from neuron_schema.schemafile.squash import Draft, compose, parts_of, span_of
from neuron_schema.schemafile.squash_files import begun, exchange, left_behind, uncommitted
from neuron_schema.schemafile.squash_source import load, source_of, tidy

if TYPE_CHECKING:
    from pathlib import Path

SUM = "ab" * 32


def migration(version: str, *up: str, down: tuple[str, ...] = (), kind: str = "") -> Migration:
    """Return a version; with ``kind`` its statements commit on their own."""
    own = OwnCommit(kind=kind) if kind else None
    return Migration(
        version=version,
        name=f"v{int(version)}",
        description=f"No. {version}",
        checksum=f"{int(version):064x}",
        path=f"/v/{version}.py",
        up_statements=tuple(Statement(sql=sql, own_commit=own) for sql in up),
        down_statements=tuple(Statement(sql=sql, own_commit=own) for sql in down),
    )


def loaded(draft: Draft) -> Migration:
    """Load the module of a draft."""
    return load(draft, source_of(draft), "x.py")


ONE = migration("001", "CREATE TABLE a ()", "CREATE TABLE b ()", down=("DROP TABLE b, a",))
TWO = migration("002", "CREATE TABLE c ()", down=("DROP TABLE c",))


def test_ups_stand_in_order_and_downs_in_reverse() -> None:
    """The last number stays, and what was there is declared."""
    draft = compose((ONE, TWO))
    assert [item.sql for item in draft.up] == [
        "CREATE TABLE a ()",
        "CREATE TABLE b ()",
        "CREATE TABLE c ()",
    ]
    assert [item.sql for item in draft.down] == ["DROP TABLE c", "DROP TABLE b, a"]
    assert (draft.version, draft.name) == ("002", "squashed_001_to_002")
    assert draft.replaces == ((("001", ONE.checksum), ("002", TWO.checksum)),)
    found = loaded(draft)
    assert [one.sql for one in found.up_statements] == [item.sql for item in draft.up]
    assert [one.sql for one in found.down_statements] == [item.sql for item in draft.down]
    assert found.replaces == draft.replaces
    assert found.description == "Versions 001 to 002 as one."


def test_what_cannot_be_rolled_back_cannot_be_so_as_a_part() -> None:
    """With all the reasons; the downs of the others would go on from a place never reached."""
    final = replace(TWO, irreversible='the "old" rows\nare gone \\ lost', down_statements=())
    other = replace(migration("003", "SELECT 1"), irreversible="no")
    found = loaded(compose((ONE, final, other)))
    assert found.irreversible == '002_v2: the "old" rows\nare gone \\ lost; 003_v3: no'
    assert not found.down_statements


def test_settings_are_put_together() -> None:
    """A note tells that they now hold for more."""
    first = replace(ONE, settings=(("lock_timeout", "2000ms"), ("vacuum_cost_limit", "500")))
    second = replace(TWO, settings=(("lock_timeout", "2000ms"), ("work_mem", "64MB")))
    draft = compose((first, second))
    assert loaded(draft).settings == (
        ("lock_timeout", "2000ms"),
        ("vacuum_cost_limit", "500"),
        ("work_mem", "64MB"),
    )
    assert "work_mem = 64MB, which 002_v2 sets, now holds for all of them" in draft.notes
    with pytest.raises(
        SquashRefused, match="001_v1 sets lock_timeout to 2000ms, and 002_v2 to 1ms"
    ):
        compose((first, replace(second, settings=(("lock_timeout", "1ms"),))))


INDEX = "CREATE INDEX CONCURRENTLY i ON a (x)"


@pytest.mark.parametrize(
    ("kind", "sql", "plain"),
    [
        ("CREATE INDEX CONCURRENTLY", INDEX, "CREATE INDEX i ON a (x)"),
        (
            "CREATE INDEX CONCURRENTLY",
            'CREATE UNIQUE INDEX CONCURRENTLY "INDEX CONCURRENTLY " ON a (x)',
            'CREATE UNIQUE INDEX "INDEX CONCURRENTLY " ON a (x)',
        ),
        (
            "DROP INDEX CONCURRENTLY",
            "DROP INDEX CONCURRENTLY IF EXISTS i",
            "DROP INDEX IF EXISTS i",
        ),
        (
            "ALTER TABLE DETACH PARTITION CONCURRENTLY",
            "ALTER TABLE a DETACH PARTITION b CONCURRENTLY",
            "ALTER TABLE a DETACH PARTITION b",
        ),
        ("VACUUM", "VACUUM a", None),
        ("REINDEX CONCURRENTLY", "REINDEX TABLE CONCURRENTLY a", None),
    ],
)
def test_what_commits_on_its_own_becomes_plain_only_when_asked(
    kind: str, sql: str, plain: str | None
) -> None:
    """It would lock a table that has rows; what changes nothing is left out; both are said."""
    own = migration("003", sql, kind=kind)
    with pytest.raises(SquashRefused, match="003_v3") as caught:
        compose((ONE, own))
    assert "--plain-indexes" in str(caught.value.remedy)
    draft = compose((ONE, own), plain=True)
    assert [item.sql for item in draft.up[2:]] == ([] if plain is None else [plain])
    assert any(sentence.startswith("003_v3:") for sentence in draft.notes)


def test_a_backfill_is_no_part_of_another_version() -> None:
    """Whatever the option says; its batches are its point."""
    own = migration("003", "UPDATE a SET x = 1", kind="BACKFILL ROWS")
    with pytest.raises(SquashRefused, match="003_v3: a backfill"):
        compose((ONE, own), plain=True)


def test_what_nobody_knows_how_to_do_otherwise_is_refused() -> None:
    """An operation of a later release, for instance."""
    with pytest.raises(SquashRefused, match="TELEPORT cannot be a part"):
        compose((ONE, migration("003", "TELEPORT a", kind="TELEPORT")), plain=True)


def test_a_version_of_nothing_is_refused() -> None:
    """Two VACUUMs leave none."""
    parts = [migration(each, "VACUUM a", kind="VACUUM") for each in ("003", "004")]
    with pytest.raises(SquashRefused, match="nothing of 003_v3, 004_v4"):
        compose(parts, plain=True)


def test_a_squash_of_squashes_declares_every_way_to_have_applied_them() -> None:
    """Each set is whole; too many are refused."""
    first = replace(TWO, replaces=((("001", "x"), ("002", "y")),))
    second = replace(migration("004", "SELECT 1"), replaces=((("003", "z"), ("004", "w")),))
    draft = compose((first, second))
    assert draft.replaces == (
        (("002", TWO.checksum), ("004", second.checksum)),
        (("002", TWO.checksum), ("003", "z"), ("004", "w")),
        (("001", "x"), ("002", "y"), ("004", second.checksum)),
        (("001", "x"), ("002", "y"), ("003", "z"), ("004", "w")),
    )
    many = [
        replace(migration(f"{number:03d}", "SELECT 1"), replaces=((("001", "x"),),))
        for number in range(2, 9)
    ]
    with pytest.raises(SquashRefused, match="in 128 ways"):
        compose(many)


def test_two_squashes_in_a_row_are_written_and_read_as_a_list() -> None:
    """As the module declares them."""
    old = (("001", SUM), ("002", SUM))
    first = replace(TWO, checksum=SUM, replaces=(old,))
    draft = compose((first, replace(migration("003", "SELECT 1"), checksum=SUM)))
    assert loaded(draft).replaces == draft.replaces
    assert len(draft.replaces) == 2


def test_a_module_that_reads_otherwise_is_never_written() -> None:
    """Whatever is wrong with the writing of it."""
    draft = compose((ONE, TWO))
    other = source_of(draft).replace("TABLE c", "TABLE d", 1)
    with pytest.raises(VersionError, match="`proven`"):
        load(draft, other, "x.py")
    with pytest.raises(InternalError, match="does not read as it was written"):
        load(draft, other.replace("proven =", "shown ="), "x.py")
    with pytest.raises(InternalError):
        load(draft, source_of(draft).replace("replaces =", "replaced ="), "x.py")


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(TEXTS, TEXTS)
@example("", "two\nlines")
@example('"', 'a\\"b"')
def test_any_text_is_read_as_it_was_meant(text: str, reason: str) -> None:
    """Quotes, backslashes, line ends and control characters included."""
    sql = f"SELECT {literal(text)}"
    part = replace(migration("002", sql), irreversible=reason or "x")
    found = loaded(compose((ONE, part)))
    assert found.up_statements[-1].sql == tidy(sql)
    assert found.irreversible == f"002_v2: {reason or 'x'}"


@given(TEXTS)
def test_any_description_is_a_docstring(text: str) -> None:
    """A version's first line may hold what ends one."""
    assert loaded(compose((replace(ONE, description=text), TWO))).up_statements


def test_only_white_space_that_nobody_reads_is_mended() -> None:
    """Within quotes and bodies it stays."""
    assert tidy("CREATE TABLE a ( \n\tx int\n)") == "CREATE TABLE a (\n    x int\n)"
    for sql in ("SELECT 'a\tb'", "SELECT 'a \n'", "DO $$ \n\t$$"):
        assert tidy(sql) == sql


@pytest.mark.parametrize("word", ["1", "2:1", "a:2", ":", "1:-2"])
def test_a_span_has_two_ends_in_order(word: str) -> None:
    """Both are versions."""
    with pytest.raises(TargetError):
        span_of(word)
    assert span_of("1:02") == ("1", "02")


def test_a_span_holds_two_versions_at_least() -> None:
    """Its ends are there."""
    assert parts_of((ONE, TWO), "1", "2") == (ONE, TWO)
    for first, last in (("1", "1"), ("1", "3"), ("0", "2")):
        with pytest.raises(TargetError):
            parts_of((ONE, TWO), first, last)


# --- files ---------------------------------------------------------------------------------------


def files(directory: Path) -> dict[str, str]:
    """Return all that is in a directory."""
    return {path.name: path.read_text() for path in sorted(directory.iterdir())}


@pytest.mark.parametrize("fails_at", range(6))
def test_what_fails_half_way_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    """Whatever file it is: all is as it was, and nothing lies about."""
    from pathlib import Path

    for name in ("001_a.py", "002_b.py", "003_c.py", "checksums.txt"):
        (tmp_path / name).write_text(name)
    before = files(tmp_path)
    left = [fails_at]
    for method in ("replace", "rename", "unlink"):
        real = getattr(Path, method)

        def failing(self: Path, *args: object, real: object = real, **options: object) -> object:
            left[0] -= 1
            if left[0] == -1:
                raise OSError(28, "no space", str(self))
            return real(self, *args, **options)  # type: ignore[operator]

        monkeypatch.setattr(Path, method, failing)
    old = [tmp_path / name for name in ("001_a.py", "002_b.py", "003_c.py")]
    new = tmp_path / "003_new.py"
    texts = {new: "new", tmp_path / "checksums.txt": "sums"}
    if fails_at < 5:
        with pytest.raises(UsageError, match="no space"):
            exchange(old, new, texts)
        assert files(tmp_path) == before
    else:
        exchange(old, new, texts)
        assert files(tmp_path) == {"003_new.py": "new", "checksums.txt": "sums"}


def test_a_full_disk_is_told_with_the_file_that_was_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails while it is written names no file."""
    from pathlib import Path

    def full(self: Path, _: bytes) -> int:
        raise OSError(28, "no space")

    old = [tmp_path / name for name in ("001_a.py", "002_b.py")]
    for path in old:
        path.write_text("")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UsageError, match=r"002_new.py cannot be exchanged: no space"):
        exchange(old, tmp_path / "002_new.py", {tmp_path / "002_new.py": "x"})


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """It is none of those that go."""
    for name in ("001_a.py", "002_b.py", "002_new.py"):
        (tmp_path / name).write_text(name)
    before = files(tmp_path)
    with pytest.raises(UsageError, match="it is there already"):
        exchange(
            [tmp_path / "001_a.py", tmp_path / "002_b.py"],
            tmp_path / "002_new.py",
            {tmp_path / "002_new.py": "x"},
        )
    assert files(tmp_path) == before


def test_only_what_it_was_made_of_is_taken_for_left_behind() -> None:
    """A text of the same number that is another one is somebody's work."""
    squashed = replace(
        migration("003", "SELECT 1"),
        replaces=((("001", ONE.checksum), ("002", TWO.checksum), ("003", SUM)),),
    )
    everything = (ONE, TWO, squashed)
    assert begun(everything, 1, 3) is squashed
    assert begun(everything, 2, 3) is None
    assert begun((ONE, TWO), 1, 2) is None
    assert left_behind(squashed, everything) == (ONE, TWO)
    other = replace(TWO, checksum=SUM)
    with pytest.raises(SquashRefused, match="002_v2 is not what 003_v3 was made of"):
        left_behind(squashed, (ONE, other, squashed))


def test_without_git_nothing_is_uncommitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in a directory of no repository nor where there is no git."""
    (tmp_path / "001_a.py").write_text("")
    assert uncommitted([tmp_path / "001_a.py"]) == ()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert uncommitted([tmp_path / "001_a.py"]) == ()
