"""Judging a version: pure, from values to values. On real servers the integration tests do it."""

from __future__ import annotations

import ast
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.truth import claims
from neuron_schema.catalog import (
    Action,
    Change,
    Column,
    Constraint,
    Index,
    Kind,
    ObjectName,
    References,
    Relation,
    Snapshot,
    diff,
)
from neuron_schema.locking import SessionSettings
from neuron_schema.model import Migration, Statement
from neuron_schema.proof.verify import Proof
from neuron_schema.review.case import Case
from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards import HAZARDS, judge, small, timeouts
from neuron_schema.review.hazards.judging import _covers
from neuron_schema.review.hazards.model import BASE, USUAL, source
from neuron_schema.review.hazards.wording import finding
from neuron_schema.review.locks import LockMode
from neuron_schema.review.measures import (
    Failed,
    IndexBuild,
    Measure,
    Scan,
    StatementMeasure,
    TableLock,
    VersionMeasure,
)
from neuron_schema.review.report import Novelty
from neuron_schema.review.stats import Stats, TableStats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.review.findings import Finding

CODE = Path(__file__).parents[2] / "neuron_schema" / "review" / "hazards"
ITEMS = ObjectName(kind=Kind.TABLE, schema="public", name="items")
SHOPS = ObjectName(kind=Kind.TABLE, schema="public", name="shops")


def index_name(name: str) -> ObjectName:
    """Return the name of an index of items."""
    return ObjectName(kind=Kind.INDEX, schema="public", parent="items", name=name)


def column_name(name: str) -> ObjectName:
    """Return the name of a column of items."""
    return ObjectName(kind=Kind.COLUMN, schema="public", parent="items", name=name)


def lock(mode: LockMode, table: ObjectName = ITEMS, *, named: bool = True) -> TableLock:
    """Return a lock that blocks what its mode does."""
    return TableLock(table=table, mode=mode, blocks=mode.blocks, named=named)


def btree(name: str, keys: str, *, unique: bool = False, where: str = "") -> Index:
    """Return an index on plain columns, as the catalog tells of it."""
    columns = tuple(re.sub(r" .*", "", key) for key in keys.split(", "))
    head = "CREATE UNIQUE INDEX" if unique else "CREATE INDEX"
    return Index(
        name=name,
        definition=f"{head} {name} ON public.items USING btree ({keys}){where}",
        method="btree",
        unique=unique,
        columns=columns,
        opclasses=("pg_catalog.text_ops",) * len(columns),
    )


def items(*columns: Column, **parts: Any) -> Relation:
    """Return the table items."""
    return Relation(kind=Kind.TABLE, schema="public", name="items", columns=columns, **parts)


def schema(*relations: Relation) -> Snapshot:
    """Return a schema."""
    return Snapshot(objects=relations, server_major=18)


def case(
    *measures: Measure | StatementMeasure,
    before: Snapshot | None = None,
    after: Snapshot | None = None,
    accept: Sequence[tuple[str, str]] = (),
    **rest: Any,
) -> Case:
    """Return a case of a version with statements that did this, the schema unchanged by default."""
    before = before or schema(items(Column(name="id", type="bigint")))
    after = after or before
    statements = tuple(
        StatementMeasure(number=number, sql="SELECT 1", shipped=each, alone=each)
        if isinstance(each, Measure)
        else replace(each, number=number)
        for number, each in enumerate(measures, 1)
    )
    migration = Migration(
        version="002",
        name="x",
        description="",
        checksum="0" * 64,
        path="002_x.py",
        up_statements=tuple(Statement(sql="SELECT 1") for _ in statements),
        down_statements=(),
        accept=tuple(accept),
    )
    whole: dict[str, Any] = {
        "novelty": Novelty.NEW,
        "measure": VersionMeasure(version="002", transactional=True, statements=statements),
        "changes": diff(before, after),
        "proof": Proof(version="002", name="x"),
        "major": 18,
    }
    return Case(migration=migration, before=before, after=after, **(whole | rest))


def build(mode: LockMode = LockMode.SHARE, name: str = "i") -> Measure:
    """Return what CREATE INDEX did."""
    return Measure(
        locks=(lock(mode),),
        built=(IndexBuild(index=index_name(name), method="btree"),),
        scans=(Scan(table=ITEMS, times=1),),
    )


def ids(findings: Sequence[Finding]) -> list[str]:
    """Return the ids of findings, in order."""
    return [each.hazard for each in findings]


# --- the registry


@pytest.mark.parametrize("hazard", HAZARDS)
def test_a_hazard_is_complete(hazard: str) -> None:
    """Its id can be typed, its texts are sentences, its page is PostgreSQL's or pgvector's."""
    known = HAZARDS[hazard]
    assert known.id == hazard
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", hazard)
    assert known.condition.endswith(".")
    assert known.effect.endswith(".")
    assert not known.title.endswith(".")
    assert not known.remedy.endswith(".")
    assert re.match(
        r"https://(www\.postgresql\.org/docs/current/|wiki\.postgresql\.org/wiki/"
        r"|github\.com/pgvector/pgvector)",
        known.page,
    )


@pytest.mark.parametrize("hazard", HAZARDS)
def test_a_hazard_names_no_hazard_that_there_is_not(hazard: str) -> None:
    """Neither among those it covers, nor among those of its examples."""
    known = HAZARDS[hazard]
    assert known.covers <= HAZARDS.keys() - {hazard}
    assert known.bad.also | known.good.also <= HAZARDS.keys()
    assert HAZARDS.keys() >= USUAL


@pytest.mark.parametrize("hazard", HAZARDS)
def test_the_examples_are_formatted_as_the_project_is(hazard: str) -> None:
    """No line is longer than 100, and each module has a docstring, `up` and `down`."""
    for example in (HAZARDS[hazard].bad, HAZARDS[hazard].good):
        for module in (example.base, *example.modules):
            tree = ast.parse(module)
            assert (ast.get_docstring(tree) or "").endswith(".")
            assigned = {getattr(node, "targets", [None])[0] for node in tree.body}
            names = {node.id for node in assigned if isinstance(node, ast.Name)}
            assert {"up", "down"} <= names
            assert max(map(len, module.splitlines())) <= 100


def test_a_module_imports_what_it_uses_and_no_more() -> None:
    """What stands in strings is not used."""
    made = source("A", 'up = [Sql("DROP TABLE Table")]\ndown = irreversible("Index")')
    assert made == (
        '"""A."""\n\nfrom neuron_schema.ops import Sql, irreversible\n\n'
        'up = [Sql("DROP TABLE Table")]\ndown = irreversible("Index")\n'
    )
    assert "from sqlalchemy import (\n    BigInteger,\n    Column,\n" in BASE


def test_no_hazard_looks_at_the_text_of_a_statement() -> None:
    """They judge what was measured: nothing of theirs reads the SQL."""
    for path in CODE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"sql", "up_statements", "down_statements", "up", "down"}


# --- the verdict


def test_the_order_does_not_depend_on_that_of_the_case() -> None:
    """The worst first, then by statement: the same findings whatever the order of the changes."""
    before = schema(items(Column(name="id", type="bigint"), Column(name="a", type="text")))
    after = schema(
        items(
            Column(name="id", type="bigint"),
            Column(name="t", type="money"),
            Column(name="j", type="json"),
            Column(name="c", type="character(3)"),
        )
    )
    adds = Measure(
        locks=(lock(LockMode.ACCESS_EXCLUSIVE),),
        touched=(column_name("a"), column_name("t"), column_name("j"), column_name("c")),
    )
    held = replace(build(), locks=(), held=(lock(LockMode.ACCESS_EXCLUSIVE),))
    whole = case(adds, held, before=before, after=after)
    expected = judge(whole)
    assert ids(expected) == [
        "create-index-blocking",
        "drop-column",
        "discouraged-type",
        "discouraged-type",
        "discouraged-type",
    ]
    for seed in range(5):
        changes = list(whole.changes)
        random.Random(seed).shuffle(changes)
        again = judge(replace(whole, changes=tuple(changes)))
        assert ids(again) == ids(expected)
        assert sorted(again, key=repr) == sorted(expected, key=repr)


def test_reads_and_writes_stop_where_a_stronger_lock_is_held() -> None:
    """One finding of the build, which names the statement that holds the lock."""
    adds = Measure(locks=(lock(LockMode.ACCESS_EXCLUSIVE),), touched=())
    alone = build()
    held = StatementMeasure(
        number=2,
        sql="",
        shipped=replace(alone, locks=(), held=(lock(LockMode.ACCESS_EXCLUSIVE),)),
        alone=alone,
    )
    (found,) = judge(case(adds, held))
    assert found.sentence == (
        "Reads and writes of items stop while the index i is built over all its rows: "
        "ACCESS EXCLUSIVE is held from statement 1"
    )
    assert found.reasons[:2] == (
        "alone it takes SHARE on items: a second session could read it, not write or alter it",
        "ACCESS EXCLUSIVE on items is held from statement 1: a second session could neither read "
        "nor write it",
    )
    assert found.remedy == HAZARDS["create-index-blocking"].remedy


def test_a_build_that_lets_writes_go_on_is_no_finding() -> None:
    """As CONCURRENTLY does."""
    assert judge(case(build(LockMode.SHARE_UPDATE_EXCLUSIVE))) == ()


def test_a_lock_on_another_table_while_work_goes_on_is_told_of_once() -> None:
    """However many statements work under it."""
    exclusive = lock(LockMode.ACCESS_EXCLUSIVE, SHOPS)
    held = [replace(build(name=f"i{n}"), held=(exclusive,)) for n in range(3)]
    found = judge(case(Measure(locks=(exclusive,), touched=()), *held))
    (one,) = [each for each in found if each.hazard == "lock-held-across-statements"]
    assert one.sentence == (
        "Reads and writes of shops stop while statements 2, 3 and 4 work through items: "
        "ACCESS EXCLUSIVE is held from statement 1"
    )
    assert "brief-exclusive-lock" not in ids(found)


def test_rows_that_are_only_inserted_are_no_work_that_grows() -> None:
    """PostgreSQL may read all of a small table to look a key up; a large one it does not."""
    from neuron_schema.review.measures import Written

    inserts = Measure(
        held=(lock(LockMode.ACCESS_EXCLUSIVE),),
        scans=(Scan(table=SHOPS, times=1),),
        written=(Written(table=ITEMS, inserted=1),),
    )
    adds = Measure(locks=(lock(LockMode.ACCESS_EXCLUSIVE),), touched=())
    assert ids(judge(case(adds, inserts))) == ["brief-exclusive-lock"]
    selects = replace(inserts, written=())
    assert ids(judge(case(adds, selects))) == ["lock-held-across-statements"]


def test_a_short_lock_is_told_of_once_for_a_table() -> None:
    """And says that it is short, and what the runner does."""
    adds = Measure(locks=(lock(LockMode.ACCESS_EXCLUSIVE),), touched=())
    held = Measure(held=(lock(LockMode.ACCESS_EXCLUSIVE),), touched=())
    (found,) = judge(case(adds, held, held))
    assert (found.hazard, found.severity, found.statement) == (
        "brief-exclusive-lock",
        Severity.CAUTION,
        1,
    )
    assert "takes a moment" in found.sentence
    assert "at most lock_timeout" in found.sentence


def test_a_special_finding_covers_a_general_one_of_its_table_alone() -> None:
    """Of its statement too, unless the general one is told of once for a table."""
    one = case(build())

    def of(hazard: str, statement: int, table: ObjectName = ITEMS) -> Finding:
        return finding(one, hazard, Severity.NOTE, table, "", statement=statement)

    special = of("create-index-blocking", 2)
    assert _covers(special, of("opaque-ddl", 2))
    assert not _covers(special, of("opaque-ddl", 3))
    assert not _covers(special, of("opaque-ddl", 2, SHOPS))
    assert _covers(special, of("brief-exclusive-lock", 1))
    assert not _covers(special, of("brief-exclusive-lock", 1, SHOPS))
    assert not _covers(special, of("fk-unindexed", 2))


def test_the_lock_of_a_sequence_is_not_told_of() -> None:
    """Nobody reads or writes it as a table."""
    numbers = ObjectName(kind=Kind.SEQUENCE, schema="public", name="numbers")
    renames = Measure(locks=(lock(LockMode.ACCESS_EXCLUSIVE, numbers, named=False),), touched=())
    assert judge(case(renames)) == ()


def test_what_grows_with_a_table_is_what_the_truth_table_calls_long() -> None:
    """And what stands still for a reason that nobody knows."""
    long = {name for name, each in claims.HAZARDS.items() if claims.LONG in each}
    assert long | {"opaque-ddl"} == small.GROWING


def test_what_commits_on_its_own_waits_without_a_limit() -> None:
    """The runner sets none there, and does not try again."""
    alone = Measure(locks=(lock(LockMode.ACCESS_EXCLUSIVE),))
    (found,) = judge(case(StatementMeasure(number=1, sql="", shipped=alone, concurrent=True)))
    assert found.hazard == "brief-exclusive-lock"
    assert found.sentence.endswith("the runner waits without a limit, as lock_timeout is 0")


def test_a_limit_that_is_the_runners_own_is_none_that_is_raised() -> None:
    """As long as it waits where nobody tells it otherwise."""
    assert SessionSettings(search_path="").lock_timeout * 1000 == timeouts._USUAL_MS


def test_a_table_that_is_locked_without_being_named_is_told_of() -> None:
    """Reads that wait are a caution, writes a note; who reads and writes on is not told of."""
    for mode, severity in (
        (LockMode.ACCESS_EXCLUSIVE, Severity.CAUTION),
        (LockMode.SHARE_ROW_EXCLUSIVE, Severity.NOTE),
    ):
        (found,) = judge(case(Measure(locks=(lock(mode, SHOPS, named=False),), touched=())))
        assert (found.hazard, found.severity) == ("collateral-table-lock", severity)
    quiet = Measure(locks=(lock(LockMode.SHARE_UPDATE_EXCLUSIVE, SHOPS, named=False),), touched=())
    assert judge(case(quiet)) == ()


def test_a_foreign_key_to_its_own_table_locks_no_other_one() -> None:
    """The lock is the table's own."""
    points_at = References(schema="public", table="items", columns=("id",))
    key = replace(foreign_key(), references=points_at)
    adds = Measure(locks=(lock(LockMode.SHARE_ROW_EXCLUSIVE),), touched=())
    index = btree("i", "shop_id, kind")
    after = schema(items(constraints=(key,), indexes=(index,)))
    assert judge(case(adds, before=schema(items(indexes=(index,))), after=after)) == ()


# --- sizes


def test_sizes_are_told_only_where_they_are_known() -> None:
    """Rows and bytes, of the table concerned; nothing is ever said of time."""
    tables = {"public.items": TableStats(rows=1_200_000, bytes=9_771_050_598)}
    without = judge(case(build()))
    with_them = judge(case(build(), stats=Stats(taken_on="2026-01-01", tables=tables)))
    other = judge(case(build(), stats=Stats(taken_on="2026-01-01", tables={})))
    assert without == other
    assert without[0].sentence.startswith("Writes of items stop")
    assert with_them[0].sentence.startswith("Writes of items (about 1,200,000 rows, 9.1 GB) stop")
    said = " ".join((with_them[0].sentence, *with_them[0].reasons))
    assert not re.search(
        r"\b(ms|milliseconds?|seconds?|minutes?|hours?)\b", said.replace("a second session", "")
    )


# --- acceptance


def test_an_accepted_hazard_keeps_its_finding_with_the_reason() -> None:
    """So that the report can show it; nothing is said of the acceptance."""
    (found,) = judge(case(build(), accept=[("create-index-blocking", "it is empty")]))
    assert found.accepted == "it is empty"
    (open_,) = judge(case(build()))
    assert open_.accepted is None
    assert replace(found, accepted=None) == open_


def test_what_is_accepted_in_vain_is_a_finding() -> None:
    """A hazard that is not there, and one that does not exist, with the nearest that does."""
    accept = [("truncate", "a cache"), ("create-index-blokcing", "it is empty")]
    found = judge(case(build(), accept=accept))
    assert ids(found) == ["create-index-blocking", "acceptance-unused", "acceptance-unknown"]
    assert [each.severity for each in found[1:]] == [Severity.NOTE, Severity.NOTE]
    assert "accepts truncate, which it does not have" in found[1].sentence
    assert "did you mean 'create-index-blocking'?" in found[2].sentence
    assert found[0].accepted is None


def test_an_acceptance_can_be_accepted_by_nobody() -> None:
    """Who accepts acceptance-unused in vain is told of that one."""
    found = judge(case(build(), accept=[("acceptance-unused", "why not")]))
    assert ids(found) == ["create-index-blocking", "acceptance-unused"]
    assert found[1].accepted is None


# --- rewrites


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([("a", "gen_random_uuid()")], {"add-column-volatile-default": "a"}),
        ([("a", "7"), ("b", "random()")], {"add-column-volatile-default": "b"}),
        ([("a", "now()"), ("b", "random()")], {"add-column-volatile-default": "b"}),
        ([("a", "SESSION_USER")], {"add-column-volatile-default": "a"}),
        ([("a", "7"), ("b", "nextval('s'::regclass)")], {"add-column-serial": "b"}),
        (
            [("a", "random()"), ("b", "nextval('s'::regclass)")],
            {"add-column-volatile-default": "a", "add-column-serial": "b"},
        ),
    ],
)
def test_a_rewrite_is_laid_to_the_column_that_explains_it(
    columns: list[tuple[str, str]], expected: dict[str, str]
) -> None:
    """That the table was written anew is measured; which column did it the catalog tells."""
    key = Column(name="id", type="bigint")
    new = [Column(name=name, type="text", default=default) for name, default in columns]
    rewrites = Measure(
        locks=(lock(LockMode.ACCESS_EXCLUSIVE),),
        rewritten=(ITEMS,),
        scans=(Scan(table=ITEMS, times=1),),
        touched=tuple(column_name(name) for name, _ in columns),
    )
    found = judge(case(rewrites, before=schema(items(key)), after=schema(items(key, *new))))
    told = {each.hazard: each.object.name if each.object else "" for each in found}
    assert told == expected


def test_a_rewrite_that_no_new_column_explains_is_the_commands() -> None:
    """A generated column whose expression is another one, or VACUUM FULL."""
    was = Column(name="c", type="text", default="a", generated="stored")
    rewrites = Measure(
        locks=(lock(LockMode.ACCESS_EXCLUSIVE),),
        rewritten=(ITEMS,),
        touched=(column_name("c"),),
    )
    after = schema(items(replace(was, default="b")))
    for end in (after, None):
        found = judge(case(rewrites, before=schema(items(was)), after=end))
        assert ids(found) == ["whole-table-rewrite-command"]


# --- indexes


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (btree("a", "x"), btree("b", "x"), ("duplicate-index", "b")),
        (btree("a", "x"), btree("b", "x", unique=True), ("duplicate-index", "a")),
        (btree("a", "x"), btree("b", "x, y"), ("redundant-index", "a")),
        (btree("a", "x"), btree("b", "x, y", unique=True), ("redundant-index", "a")),
        (btree("a", "x", unique=True), btree("b", "x, y"), None),
        (btree("a", "y"), btree("b", "x, y"), None),
        (btree("a", "x"), btree("b", "x DESC, y"), None),
        (btree("a", "x"), btree("b", "x text_pattern_ops, y"), None),
        (btree("a", "x"), btree("b", "x, y", where=" WHERE (y > 0)"), None),
        (btree("a", "x", where=" WHERE (y > 0)"), btree("b", "x"), None),
        (btree("a", "x"), btree("b", "x", where=" NULLS NOT DISTINCT"), None),
        (btree("a", "x"), btree("b", "x, y", where=" INCLUDE (z)"), None),
        (btree("a", "lower(x, ',)')"), btree("b", "lower(x, ',)'), y"), ("redundant-index", "a")),
        (btree("a", '"a,b"'), btree("b", '"a,b", "c)"'), ("redundant-index", "a")),
    ],
)
def test_an_index_is_needless_where_another_does_all_that_it_does(
    one: Index, other: Index, expected: tuple[str, str] | None
) -> None:
    """Same method, keys, directions, operator classes and condition; a unique one is needed."""
    before, after = schema(items()), schema(items(indexes=(one, other)))
    found = judge(case(Measure(), before=before, after=after))
    told = [(each.hazard, each.object.name if each.object else "") for each in found]
    assert told == ([expected] if expected else [])


def test_indexes_that_were_there_before_are_not_told_of() -> None:
    """They are not the version's doing."""
    both = (btree("a", "x"), btree("b", "x"))
    before = schema(items(indexes=both))
    after = schema(items(Column(name="n", type="text"), indexes=both))
    assert judge(case(Measure(), before=before, after=after)) == ()


def test_an_index_behind_a_constraint_is_compared_too() -> None:
    """It is no object of its own, and needed."""
    behind = btree("items_x_key", "x", unique=True)
    key = Constraint(
        name="items_x_key", type="unique", definition="UNIQUE (x)", columns=("x",), index=behind
    )
    before = schema(items(constraints=(key,)))
    after = schema(items(constraints=(key,), indexes=(btree("a", "x", unique=True),)))
    (found,) = judge(case(Measure(), before=before, after=after))
    assert found.hazard == "duplicate-index"
    assert "does what items_x_key does" in found.sentence


def foreign_key() -> Constraint:
    """Return a foreign key of items."""
    return Constraint(
        name="items_shop",
        type="foreign key",
        definition="FOREIGN KEY (shop_id, kind) REFERENCES shops(id, kind)",
        columns=("shop_id", "kind"),
        references=References(schema="public", table="shops", columns=("id", "kind")),
    )


@pytest.mark.parametrize(
    ("indexes", "found"),
    [
        ((), True),
        ((btree("i", "shop_id"),), True),
        ((btree("i", "shop_id, kind"),), False),
        ((btree("i", "kind, shop_id, name"),), False),
        ((btree("i", "name, shop_id, kind"),), True),
        ((btree("i", "shop_id, kind", where=" WHERE (kind > 0)"),), True),
        ((replace(btree("i", "shop_id, kind"), valid=False),), True),
        ((replace(btree("i", "shop_id, kind"), method="gin"),), True),
    ],
)
def test_a_foreign_key_has_an_index_where_one_begins_with_its_columns(
    *, indexes: tuple[Index, ...], found: bool
) -> None:
    """In any order; a partial or an invalid one is none."""
    before, after = schema(), schema(items(constraints=(foreign_key(),), indexes=indexes))
    told = ids(judge(case(Measure(), before=before, after=after)))
    assert ("fk-unindexed" in told) is found


def test_an_index_that_a_later_version_makes_valid_is_not_left_invalid() -> None:
    """So it goes with one that is built for each partition, and attached."""
    bad = replace(btree("i", "name"), valid=False)
    left = case(Measure(), before=schema(items()), after=schema(items(indexes=(bad,))))
    assert [each.hazard for each in judge(left)] == ["invalid-index"]
    cured = schema(items(indexes=(replace(bad, valid=True),)))
    assert judge(replace(left, final=cured)) == ()


def test_a_reindex_says_that_reads_stop_once() -> None:
    """Where they were tried; the manual's table of locks does not know of the index."""
    build = IndexBuild(
        index=ObjectName(kind=Kind.INDEX, schema="public", parent="items", name="i"),
        method="btree",
        rebuilt=True,
    )
    share = lock(LockMode.SHARE)
    for held, said in (
        (replace(share, blocks=LockMode.ACCESS_EXCLUSIVE.blocks), "Reads and writes of items stop"),
        (share, "Writes of items stop, and reads that would use it,"),
    ):
        (found,) = judge(case(Measure(locks=(held,), built=(build,))))
        assert found.sentence.startswith(f"{said} while the index i is built anew")


def test_an_index_that_a_later_version_makes_is_in_time() -> None:
    """CONCURRENTLY it has to be in a version of its own."""
    before, after = schema(items()), schema(items(constraints=(foreign_key(),)))
    final = schema(items(constraints=(foreign_key(),), indexes=(btree("i", "shop_id, kind"),)))
    assert "fk-unindexed" in ids(judge(case(Measure(), before=before, after=after)))
    now = judge(case(Measure(), before=before, after=after, final=final))
    assert "fk-unindexed" not in ids(now)


# --- what is dropped and renamed


def renaming() -> tuple[Snapshot, Snapshot]:
    """Return schemas before and after a column has another name, or is another one."""
    return (
        schema(items(Column(name="id", type="bigint"), Column(name="old", type="text"))),
        schema(items(Column(name="id", type="bigint"), Column(name="new", type="text"))),
    )


def test_what_is_dropped_and_made_anew_is_not_taken_for_renamed() -> None:
    """The catalog looks the same after both; what tells them apart was measured."""
    before, after = renaming()
    exclusive = (lock(LockMode.ACCESS_EXCLUSIVE),)
    names = (column_name("old"), column_name("new"))
    dropped = Measure(locks=exclusive, touched=names)
    renamed = replace(dropped, renamed=(names,))
    assert ids(judge(case(dropped, before=before, after=after))) == ["drop-column"]
    (found,) = judge(case(renamed, before=before, after=after))
    assert found.hazard == "rename-column"
    assert found.sentence.startswith("items.old is renamed to new: the previous release breaks")


def test_without_a_measurement_what_looks_renamed_is_taken_for_it() -> None:
    """As where nobody looked which statement touched what."""
    before, after = renaming()
    assert ids(judge(case(Measure(), before=before, after=after))) == ["rename-column"]


def test_a_column_that_is_dropped_of_a_view_breaks_its_readers() -> None:
    """No data are lost with it."""
    view = Relation(
        kind=Kind.VIEW,
        schema="public",
        name="shown",
        columns=(Column(name="a", type="text"), Column(name="b", type="text")),
        definition="SELECT a, b",
    )
    after = replace(view, columns=view.columns[:1], definition="SELECT a")
    found = judge(case(Measure(), before=schema(view), after=schema(after)))
    assert ids(found) == ["breaks-previous-release"]


@pytest.mark.parametrize(
    ("was", "is_", "found"),
    [
        (
            Column(name="c", type="text"),
            Column(name="c", type="text", not_null=True),
            "First a release that always writes it, then the version that forbids NULL",
        ),
        (
            Column(name="c", type="text", default="''::text"),
            Column(name="c", type="text", default="''::text", not_null=True),
            None,
        ),
        (
            Column(name="c", type="text", default="''::text", not_null=True),
            Column(name="c", type="text", not_null=True),
            "First a release that always writes it, then the version that drops the default",
        ),
        (None, Column(name="c", type="text", not_null=True), "Give it a default"),
        (None, Column(name="c", type="bigint", not_null=True, identity="always"), None),
        (None, Column(name="c", type="text"), None),
    ],
)
def test_what_the_previous_release_leaves_out_must_not_be_asked_for(
    was: Column | None, is_: Column, found: str | None
) -> None:
    """A column that must not be NULL, where nothing fills it; the remedy is the case's own."""
    key = Column(name="id", type="bigint")
    before = schema(items(*([key, was] if was else [key])))
    told = judge(case(Measure(), before=before, after=schema(items(key, is_))))
    breaks = [each.remedy for each in told if each.hazard == "breaks-previous-release"]
    assert len(breaks) == (found is not None)
    assert all(each.startswith(found or "") for each in breaks)


# --- what fails


def test_a_failure_that_another_finding_explains_is_not_told_of_twice() -> None:
    """The server's words are among its reasons."""
    failed = Failed(sqlstate="23505", message="could not create unique index", rows_only=True)
    (found,) = judge(case(replace(build(), failed=failed)))
    assert found.hazard == "create-index-blocking"
    assert found.reasons[-1].endswith("PostgreSQL refused: could not create unique index")


def test_a_failure_on_rows_is_blocking_and_one_everywhere_too() -> None:
    """But they are not the same: one passes on an empty database."""
    failed = Failed(sqlstate="22P02", message="no", rows_only=True)
    (on_rows,) = judge(case(Measure(failed=failed)))
    (always,) = judge(case(Measure(failed=replace(failed, rows_only=False))))
    assert (on_rows.hazard, always.hazard) == ("data-dependent-failure", "statement-fails")
    assert {on_rows.severity, always.severity} == {Severity.BLOCKING}


# --- types


@pytest.mark.parametrize(
    ("type_", "found"),
    [
        ("timestamp without time zone", True),
        ("timestamp(3) without time zone", True),
        ("timestamp(0) with time zone", True),
        ("timestamp with time zone", False),
        ("time with time zone", True),
        ("time without time zone", False),
        ("character(10)", True),
        ("character varying(10)", False),
        ("money", True),
        ("json", True),
        ("json[]", True),
        ("jsonb", False),
        ("text", False),
        ("bit(3)", False),
    ],
)
def test_types_that_postgresql_advises_against_are_noted(*, type_: str, found: bool) -> None:
    """Of columns that the version adds, to a new table or an old one; varchar(n) is none."""
    key, made = Column(name="id", type="bigint"), Column(name="c", type=type_)
    for before in (schema(items(key)), schema()):
        told = judge(case(Measure(), before=before, after=schema(items(key, made))))
        assert ("discouraged-type" in ids(told)) is found
    there = schema(items(key, made))
    more = schema(items(key, made, Column(name="d", type="text")))
    assert "discouraged-type" not in ids(judge(case(Measure(), before=there, after=more)))


def test_a_change_without_a_measurement_is_judged_all_the_same() -> None:
    """Where nothing could be measured, the catalog still tells what was dropped."""
    before = schema(items(Column(name="id", type="bigint")))
    found = judge(
        case(
            StatementMeasure(number=1, sql="", shipped=None),
            before=before,
            after=schema(),
            changes=(Change(object=ITEMS, action=Action.REMOVED, before=items(), after=None),),
        )
    )
    assert ids(found) == ["drop-table"]
    assert found[0].statement is None
