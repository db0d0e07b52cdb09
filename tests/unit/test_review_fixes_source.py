"""Remedies, written: what of an author's module stays, what goes, and where the source fails."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from neuron_schema.catalog import Column, Constraint, Index, Kind, Relation, Snapshot, diff
from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.proof.verify import Proof
from neuron_schema.review.case import Case
from neuron_schema.review.findings import Finding, Severity
from neuron_schema.review.fixes import Proposal, propose
from neuron_schema.review.measures import VersionMeasure
from neuron_schema.review.report import Novelty

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """\
from sqlalchemy import Column, Index, Integer, MetaData, Table, Text, func
from sqlalchemy.schema import CreateIndex, DropIndex

from neuron_schema.ops import AddColumn, DropColumn, Sql, irreversible

t = Table("t", MetaData(), Column("id", Integer), Column("a", Integer), Column("b", Text))
"""
BASE = (Column(name="id", type="integer", not_null=True), Column(name="a", type="integer"))
KEY = Constraint(name="t_pkey", type="primary key", definition="PRIMARY KEY (id)", columns=("id",))
I_A = Index(name="i_a", definition="CREATE INDEX i_a ON public.t USING btree (a)", method="btree")


def table(*columns: Column, indexes: tuple[Index, ...] = ()) -> Snapshot:
    """Return a schema of the table ``t``."""
    relation = Relation(
        kind=Kind.TABLE,
        schema="public",
        name="t",
        columns=(*BASE, *columns),
        constraints=(KEY,),
        indexes=indexes,
    )
    return Snapshot(objects=(relation,), server_major=18)


def proposed(
    directory: Path,
    source: str,
    *,
    hazard: str = "create-index-blocking",
    statement: int | None = 1,
    after: Snapshot | None = None,
    taken: tuple[int, ...] = (),
) -> Proposal | None:
    """Return what is proposed for ``005_change.py`` of this source."""
    (directory / "005_change.py").write_text(source, encoding="utf-8")
    (migration,) = VersionSet(directory).migrations()
    before = table()
    after = after or table(indexes=(I_A,))
    case = Case(
        migration=migration,
        novelty=Novelty.NEW,
        measure=VersionMeasure(version="005", transactional=True, statements=()),
        before=before,
        after=after,
        changes=diff(before, after),
        proof=Proof(version="005", name="change"),
        major=18,
    )
    finding = Finding(
        hazard=hazard,
        severity=Severity.BLOCKING,
        version="005",
        statement=statement,
        object=None,
        sentence="",
    )
    return propose(case, finding, taken=taken)


def split(directory: Path, lists: str, **given: int | str) -> dict[str, str]:
    """Return the modules proposed for ``lists`` by file name, or nothing."""
    found = proposed(directory, f'"""Change t."""\n\n{HEAD}\n{lists}', **given)  # type: ignore[arg-type]
    return {} if found is None else {each.file_name: each.source for each in found.modules}


INDEX = 'Index("i_a", t.c.a)'


@pytest.mark.parametrize(
    "index",
    [
        INDEX,
        'Index("i_a", t.c.a,)',
        'Index(\n        "i_a",\n        t.c.a,  # what is looked for\n    )',
        'Index(\n        "i_a", t.c.a\n    )',
    ],
)
def test_an_index_in_its_element_is_made_concurrent(tmp_path: Path, index: str) -> None:
    """However the call is laid out, and with the author's words and comments."""
    up = (
        f"up = [\n    AddColumn(t.c.b),\n    CreateIndex({index}),\n]\ndown = [DropColumn(t.c.b)]\n"
    )
    found = split(tmp_path, up, statement=2)
    assert list(found) == ["005_change.py", "006_i_a.py"]
    assert "CreateIndex" not in found["005_change.py"]
    assert "postgresql_concurrently=True" in found["006_i_a.py"]
    assert ("what is looked for" in index) is ("what is looked for" in found["006_i_a.py"])


def test_a_named_index_is_made_concurrent_for_both_directions(tmp_path: Path) -> None:
    """The definition is altered once, and each list names it."""
    found = split(
        tmp_path,
        f"i = {INDEX}\nup = [AddColumn(t.c.b), CreateIndex(i)]\n"
        "down = [DropIndex(i), DropColumn(t.c.b)]\n",
        statement=2,
    )
    assert 'i = Index("i_a", t.c.a, postgresql_concurrently=True)' in found["006_i_a.py"]
    assert "up = [CreateIndex(i)]\n" in found["006_i_a.py"]
    assert "down = [DropIndex(i)]\n" in found["006_i_a.py"]
    assert "down = [DropColumn(t.c.b)]\n" in found["005_change.py"]


def test_comments_stay_with_what_they_speak_of(tmp_path: Path) -> None:
    """Above an element, beside it, and above a definition."""
    found = split(
        tmp_path,
        "# The one that is searched by.\n"
        f"i = {INDEX}\n\n"
        "up = [\n"
        "    # first the column\n"
        "    AddColumn(t.c.b),  # nullable\n"
        "    # then its neighbour's index\n"
        "    CreateIndex(i),  # slow\n"
        "]\n\n"
        "down = []  # nothing\n",
        statement=2,
    )
    first, second = found.values()
    assert "    # first the column\n    AddColumn(t.c.b),  # nullable\n" in first
    assert "    # then its neighbour's index\n    CreateIndex(i),  # slow\n" in second
    assert "searched by" not in first
    assert "# The one that is searched by.\ni = Index(" in second
    assert "# nothing" in first


def test_what_nothing_uses_any_more_goes_and_all_else_stays(tmp_path: Path) -> None:
    """Imports and definitions; what was unused before is left to its author."""
    found = split(
        tmp_path,
        "LIMIT = 7\n\n"
        f"i = {INDEX}\nup = [AddColumn(t.c.b), CreateIndex(i)]\ndown = [DropIndex(i)]\n",
        statement=2,
    )
    first, second = found.values()
    assert "from sqlalchemy import Column, Integer, MetaData, Table, Text, func\n" in first
    assert "sqlalchemy.schema" not in first
    assert "from neuron_schema.ops import DropColumn, Sql, irreversible\n" in second
    assert "LIMIT = 7" in first
    assert "LIMIT = 7" in second


def test_the_docstring_stays_and_says_what_follows(tmp_path: Path) -> None:
    """The first line is the author's; the new version says what it does itself."""
    found = split(
        tmp_path, f"up = [AddColumn(t.c.b), CreateIndex({INDEX})]\ndown = []\n", statement=2
    )
    first, second = (ast.get_docstring(ast.parse(text)) for text in found.values())
    assert first == "Change t.\n\nThe rest of it comes in 006."
    assert second == "Build the index i_a of t while others write."


def test_if_not_exists_goes(tmp_path: Path) -> None:
    """It would take an invalid index for the one that is wanted."""
    found = split(tmp_path, f"up = [CreateIndex({INDEX}, if_not_exists=True)]\ndown = []\n")
    assert "if_not_exists" not in found["005_change.py"]
    assert 'DropIndex(Index("i_a", t.c.a, postgresql_concurrently=True))' in found["005_change.py"]


@pytest.mark.parametrize(
    "lists",
    [
        "up = []\nfor i in [Index('i_a', t.c.a)]:\n    up.append(CreateIndex(i))\ndown = []\n",
        "up = [CreateIndex(i) for i in [Index('i_a', t.c.a)]]\ndown = []\n",
        "up = [*[CreateIndex(Index('i_a', t.c.a))]]\ndown = []\n",
        "up = [CreateIndex(Index('i_a', t.c.a))]\nup += []\ndown = []\n",
        "up = [(CreateIndex(Index('i_a', t.c.a)))]\ndown = []\n",
        "up = [CreateIndex(Index('i_a', t.c.a))]; down = []\n",
        "name = 'i'\nup = [Sql(f'CREATE INDEX {name}_a ON t (a)')]\ndown = []\n",
        "index = lambda: Index('i_a', t.c.a)\nup = [CreateIndex(index())]\ndown = []\n",
    ],
)
def test_a_module_of_another_shape_is_written_anew(tmp_path: Path, lists: str) -> None:
    """By what the catalog says of the index."""
    found = split(tmp_path, lists)["005_change.py"]
    assert "lambda" not in found
    assert "for " not in found
    assert 'Index(\n    "i_a",\n    text("a"),\n    postgresql_using="btree",\n' in found
    assert "up = [CreateIndex(index)]\n" in found


def test_an_f_string_that_is_not_concerned_stays(tmp_path: Path) -> None:
    """The element is the author's text, with the names in it."""
    found = split(
        tmp_path,
        "name = 'b'\n"
        f"up = [Sql(f'ALTER TABLE t ADD {{name}} text'), CreateIndex({INDEX})]\ndown = []\n",
        statement=2,
    )
    assert "up = [Sql(f'ALTER TABLE t ADD {name} text')]\n" in found["005_change.py"]
    assert "name = 'b'" not in found["006_i_a.py"]


def test_statements_of_one_sql_are_told_apart(tmp_path: Path) -> None:
    """What is not concerned is written out, statement by statement."""
    found = split(
        tmp_path,
        "up = [Sql('ALTER TABLE t ADD b text; CREATE INDEX i_a ON t (a); ANALYZE t')]\n"
        "down = [Sql('DROP INDEX i_a; ALTER TABLE t DROP b')]\n",
        statement=2,
    )
    first, second = found.values()
    assert 'Sql("ALTER TABLE t ADD b text"),\n    Sql("ANALYZE t"),' in first
    assert 'down = [Sql("ALTER TABLE t DROP b")]\n' in first
    assert "down = [DropIndex(index)]\n" in second


def test_what_needs_the_index_comes_after_it(tmp_path: Path) -> None:
    """In a third version, with the part of the down that belongs to it."""
    found = split(
        tmp_path,
        f"up = [AddColumn(t.c.b), CreateIndex({INDEX}), Sql('CLUSTER t USING i_a')]\n"
        "down = [Sql('SELECT 1'), DropIndex(Index('i_a', t.c.a)), DropColumn(t.c.b)]\n",
        statement=2,
    )
    assert list(found) == ["005_change.py", "006_i_a.py", "007_change_rest.py"]
    assert "up = [Sql('CLUSTER t USING i_a')]" in found["007_change_rest.py"]
    assert "down = [Sql('SELECT 1')]" in found["007_change_rest.py"]


def test_settings_go_where_they_are_allowed_and_acceptances_stay_behind(tmp_path: Path) -> None:
    """A limit has no place beside CONCURRENTLY, and what is cured need not be accepted."""
    found = split(
        tmp_path,
        'settings = {"maintenance_work_mem": "2GB", "lock_timeout": 3}\n'
        'accept = {"create-index-blocking": "no", "bulk-dml": "few rows"}\n'
        f"up = [AddColumn(t.c.b), CreateIndex({INDEX})]\ndown = []\n",
        statement=2,
    )
    first, second = found.values()
    assert 'settings = {"maintenance_work_mem": "2GB", "lock_timeout": 3}\n' in first
    assert 'settings = {"maintenance_work_mem": "2GB"}\n' in second
    assert 'accept = {"bulk-dml": "few rows"}\n' in first
    assert "accept" not in second


def test_an_irreversible_version_stays_so(tmp_path: Path) -> None:
    """What is split off can be undone all the same."""
    found = split(
        tmp_path,
        f'up = [AddColumn(t.c.b), CreateIndex({INDEX})]\ndown = irreversible("b is needed")\n',
        statement=2,
    )
    first, second = found.values()
    assert 'down = irreversible("b is needed")\n' in first
    assert "down = [DropIndex(" in second


UPDATE = 'Sql("UPDATE t SET a = 1 WHERE a IS NULL")'
DECLARED = 'down = irreversible("which were NULL is not kept")\n'


def test_a_backfill_of_an_irreversible_version_declares_so_too(tmp_path: Path) -> None:
    """Alone, in a module of its own, and beside a statement that stays."""
    alone = split(tmp_path, f"up = [{UPDATE}]\n{DECLARED}", hazard="bulk-dml")
    assert [DECLARED in each and "irreversible\n" in each for each in alone.values()] == [True]
    both = f"up = [AddColumn(t.c.b), {UPDATE}]\n{DECLARED}"
    found = split(tmp_path, both, hazard="bulk-dml", statement=2)
    assert [DECLARED in each for each in found.values()] == [True, True]
    long = DECLARED.replace("NULL", "NULL, before this version, and for what reason, ")
    (written,) = split(tmp_path, f"up = [{UPDATE}]\n{long}", hazard="bulk-dml").values()
    assert "down = irreversible(\n    " in written


@pytest.mark.parametrize("hazard", ["bulk-dml", "lock-held-across-statements"])
def test_no_version_is_left_with_a_lock_and_nothing_else(tmp_path: Path, hazard: str) -> None:
    """It would lock for nothing: what it was taken for has gone elsewhere."""
    lists = f'up = [Sql("LOCK TABLE t IN SHARE MODE"), {UPDATE}]\ndown = []\n'
    assert split(tmp_path, lists, hazard=hazard, statement=2) == {}
    more = lists.replace("up = [", "up = [AddColumn(t.c.b), ")
    assert split(tmp_path, more, hazard=hazard, statement=3)


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        ((4, 5), "split into 005 and 006"),
        ((5, 7), "split into 005 and 006"),
        ((5, 6, 7), "split into 005 and 006; 006 and later move up by one"),
    ],
)
def test_the_summary_tells_which_versions_make_room(
    tmp_path: Path, taken: tuple[int, ...], said: str
) -> None:
    """Only where a number is taken."""
    lists = f"up = [AddColumn(t.c.b), CreateIndex({INDEX})]\ndown = []\n"
    found = proposed(tmp_path, f"{HEAD}\n{lists}", statement=2, taken=taken)
    assert found is not None
    assert found.summary == said


@pytest.mark.parametrize("hazard", ["drop-column", "matview-refresh", "no-such-hazard"])
def test_a_hazard_without_a_module_has_no_proposal(tmp_path: Path, hazard: str) -> None:
    """Nor has one whose statement is no such thing."""
    lists = f"up = [CreateIndex({INDEX})]\ndown = []\n"
    assert proposed(tmp_path, f"{HEAD}\n{lists}", hazard=hazard) is None
    assert proposed(tmp_path, f"{HEAD}\n{lists}", hazard="set-not-null-scan") is None


@pytest.mark.parametrize(
    ("sql", "backfill"),
    [
        ("UPDATE t SET a = id + 1", 'Backfill("t", {"a": "id + 1"}, key=["id"])'),
        ("UPDATE t SET a = id", 'Backfill("t", {"a": text("id")}, key=["id"])'),
        (
            "UPDATE t SET a = 0 WHERE a IS NULL",
            'Backfill("t", {"a": "0"}, where="a IS NULL", key=["id"])',
        ),
        ("UPDATE t SET a = id WHERE a IS NULL", None),
        ("UPDATE t SET a = 1 WHERE id > 7", None),
        ("UPDATE t SET id = id + 1", None),
        ("UPDATE t SET a = (SELECT 1)", None),
        ("UPDATE t SET a = u.a FROM u", None),
        ("UPDATE t SET (a, b) = (1, 2)", None),
        ("UPDATE t x SET a = x.id", None),
        ("DELETE FROM t", None),
    ],
)
def test_an_update_of_rows_by_themselves_becomes_a_backfill(
    tmp_path: Path, sql: str, backfill: str | None
) -> None:
    """And no other one, nor one of which some rows would be found for ever."""
    found = split(tmp_path, f"up = [Sql({sql!r})]\ndown = []\n", hazard="bulk-dml")
    assert bool(found) is (backfill is not None)
    if backfill is not None:
        source = found["005_change.py"]
        assert f"up = [{backfill}]\n" in source
        assert ("from sqlalchemy import text\n" in source) is ("text(" in backfill)


def test_a_proposal_is_laid_out_as_ruff_lays_it_out(tmp_path: Path) -> None:
    """So that committing it changes no line."""
    long = (
        'i = Index("i_a", t.c.a, postgresql_using="btree", postgresql_with={"fillfactor": 70})\n\n'
    )
    found = split(
        tmp_path,
        f"{long}up = [\n    AddColumn(t.c.b),\n    CreateIndex(i),\n]\n\ndown = []\n",
        statement=2,
    )
    anew = split(tmp_path, "up = [Sql('CREATE INDEX i_a ON t (a)')]\n\ndown = []\n")
    found |= {name.replace("005", "007"): source for name, source in anew.items()}
    directory = tmp_path / "written"
    directory.mkdir()
    for name, source in found.items():
        (directory / name).write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "100"]
    done = subprocess.run(
        [*command, "--diff", str(directory)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
