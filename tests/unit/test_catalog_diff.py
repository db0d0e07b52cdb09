"""The difference of two snapshots: made values, without a database."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from neuron_schema.catalog import (
    Action,
    Change,
    Column,
    Constraint,
    Dependency,
    Domain,
    EnumType,
    Grant,
    Index,
    Kind,
    ObjectName,
    Relation,
    Routine,
    Schema,
    Sequence,
    Snapshot,
    Trigger,
    diff,
)
from neuron_schema.catalog.model import AnyObject, name_of

_names = st.sampled_from(("a", "b", "c", "t"))
_texts = st.sampled_from(("x", "y"))
_maybe = st.none() | _texts
_grants = st.none() | st.tuples(st.builds(Grant, _texts, _texts, st.booleans(), _texts))
_sequences = st.builds(
    Sequence,
    name=_names,
    schema=_texts,
    type=_texts,
    start=st.integers(1, 2),
    increment=st.just(1),
    minimum=st.just(1),
    maximum=st.just(9),
    cache=st.just(1),
    cycle=st.booleans(),
    persistence=st.just("permanent"),
    owner=_maybe,
    privileges=_grants,
)
_columns = st.builds(
    Column,
    name=_names,
    type=_texts,
    not_null=st.booleans(),
    default=_maybe,
    sequence=st.none() | _sequences,
    is_local=st.booleans(),
    comment=_maybe,
    privileges=_grants,
)
_indexes = st.builds(Index, name=_names, definition=_texts, method=_texts, valid=st.booleans())
_constraints = st.builds(
    Constraint,
    name=_names,
    type=_texts,
    definition=_texts,
    validated=st.booleans(),
    triggered=st.booleans(),
    index=st.none() | _indexes,
)
_triggers = st.builds(Trigger, name=_names, definition=_texts, enabled=_texts)


def _some(each: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Make up to three parts of different names, in any order."""
    return st.lists(each, max_size=3, unique_by=lambda part: part.name).map(tuple)


def _sorted(each: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Make parts that a snapshot holds sorted by name."""
    return _some(each).map(lambda parts: tuple(sorted(parts, key=lambda part: part.name)))


_relations = st.builds(
    Relation,
    name=st.sampled_from(("b", "c", "t")),
    schema=st.just("x"),
    kind=st.sampled_from((Kind.TABLE, Kind.VIEW)),
    options=st.tuples(_texts),
    definition=_maybe,
    comment=_maybe,
    inherits=st.sampled_from(((), ("x.a",))),
    columns=_some(_columns),
    constraints=_sorted(_constraints),
    indexes=_sorted(_indexes),
    triggers=_sorted(_triggers),
)
_parents = st.builds(
    Relation,
    name=st.just("a"),
    schema=st.just("x"),
    kind=st.just(Kind.TABLE),
    columns=_some(_columns),
)
_objects: st.SearchStrategy[AnyObject] = st.one_of(
    st.builds(Schema, name=_names, owner=_maybe, comment=_maybe),
    st.builds(EnumType, name=_names, schema=_texts, labels=st.lists(_texts).map(tuple)),
    st.builds(Domain, name=_names, schema=_texts, type=_texts, constraints=_sorted(_constraints)),
    st.builds(
        Routine,
        name=_names,
        schema=_texts,
        kind=st.sampled_from((Kind.FUNCTION, Kind.PROCEDURE)),
        arguments=_texts,
        result=_maybe,
        language=_texts,
        definition=_texts,
    ),
    _sequences,
    _relations,
    _relations,
    _parents,
)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Make a snapshot of up to six objects, and dependencies between some of them."""
    objects = draw(st.lists(_objects, max_size=6, unique_by=name_of))
    objects.sort(key=lambda each: repr(name_of(each)))
    pairs = draw(st.lists(st.tuples(st.sampled_from(objects), st.sampled_from(objects)))
                 if objects else st.just([]))  # fmt: skip
    return Snapshot(
        objects=tuple(objects),
        server_major=18,
        dependencies=tuple(Dependency(name_of(left), name_of(right)) for left, right in pairs),
    )


@settings(deadline=None, max_examples=300)
@given(snapshots(), snapshots())
def test_a_difference_is_empty_exactly_when_snapshots_are_equal(
    before: Snapshot, after: Snapshot
) -> None:
    """Whatever the two hold; also of a snapshot and an equal one made anew."""
    assert (diff(before, after) == ()) is (before == after)
    assert (
        diff(before, replace(before, objects=tuple(replace(each) for each in before.objects))) == ()
    )


@settings(deadline=None, max_examples=100)
@given(snapshots(), snapshots())
def test_every_change_can_be_told_in_words_and_in_json(before: Snapshot, after: Snapshot) -> None:
    """Each has a line that names it, and values that JSON takes."""
    for change in diff(before, after):
        assert str(change.action) in str(change).splitlines()[0]
        json.dumps(change.plain())
        assert bool(change.differences) is (change.action is Action.CHANGED)
    json.dumps(after.plain())


@settings(deadline=None, max_examples=100)
@given(snapshots(), snapshots())
def test_the_way_back_undoes_what_the_way_there_does(before: Snapshot, after: Snapshot) -> None:
    """What is added in one direction is removed in the other, what is changed is changed."""
    there = {(change.object, change.action) for change in diff(before, after)}
    back = {(change.object, change.action) for change in diff(after, before)}
    turned = {Action.ADDED: Action.REMOVED, Action.REMOVED: Action.ADDED}
    assert back == {(name, turned.get(action, action)) for name, action in there}


def table(name: str, *columns: Column, **rest: Any) -> Relation:
    """Return a table of the schema s."""
    return Relation(kind=Kind.TABLE, schema="s", name=name, columns=columns, **rest)


def taken(*objects: AnyObject, needs: tuple[tuple[AnyObject, AnyObject], ...] = ()) -> Snapshot:
    """Return a snapshot of objects, of which the first of each pair needs the second."""
    pairs = tuple(Dependency(name_of(left), name_of(right)) for left, right in needs)
    return Snapshot(objects=objects, server_major=18, dependencies=pairs)


ID = Column(name="id", type="integer")
NOTE = Column(name="note", type="text")
SIZE = Column(name="size", type="integer")


def told(changes: tuple[Change, ...]) -> list[tuple[str, str]]:
    """Return the name and action of each change."""
    return [(str(change.object), str(change.action)) for change in changes]


def test_another_order_of_columns_is_a_change_of_its_own() -> None:
    """Columns are compared by name; their order is told apart, in the table's name."""
    (change,) = diff(taken(table("t", ID, NOTE)), taken(table("t", NOTE, ID)))
    assert change.order_only
    assert (change.before, change.after) == (("id", "note"), ("note", "id"))
    assert str(change) == "column order s.t changed\n  order: id, note -> note, id"


def test_a_new_column_between_others_is_no_other_order() -> None:
    """Only columns that both sides have are compared in their order."""
    (change,) = diff(taken(table("t", ID, NOTE)), taken(table("t", ID, SIZE, NOTE)))
    assert told((change,)) == [("s.t.size", "added")]


def test_a_change_tells_every_property_with_both_values() -> None:
    """One line for each property, in words."""
    wider = replace(NOTE, type="character varying(9)", not_null=True)
    (change,) = diff(taken(table("t", NOTE)), taken(table("t", wider)))
    assert str(change) == (
        "column note of s.t changed\n  type: text -> character varying(9)\n  not null: no -> yes"
    )


def test_a_change_of_the_index_behind_a_key_tells_its_own_properties() -> None:
    """It is a value within a value, of which most is as it was."""
    index = Index(name="t_pkey", definition="CREATE ...", method="btree", opclasses=("a",))
    key = Constraint(name="t_pkey", type="primary key", definition="PRIMARY KEY (id)", index=index)
    filled = replace(key, index=replace(index, options=("fillfactor=70",), clustered=True))
    (change,) = diff(
        taken(table("t", ID, constraints=(key,))), taken(table("t", ID, constraints=(filled,)))
    )
    assert str(change) == (
        "constraint t_pkey of s.t changed\n"
        "  index options: none -> fillfactor=70\n  index clustered: no -> yes"
    )


def test_a_changed_table_tells_of_its_own_properties_and_its_parts_of_theirs() -> None:
    """A part's change is no change of the table."""
    index = Index(name="i", definition="CREATE INDEX ...", method="btree")
    changes = diff(
        taken(table("t", ID)), taken(table("t", ID, indexes=(index,), row_security=True))
    )
    assert told(changes) == [("s.t", "changed"), ("s.t.i", "added")]
    assert [each.attribute for each in changes[0].differences] == ["row_security"]


def test_what_is_needed_comes_first_and_goes_last() -> None:
    """A table that its name sorts first still waits for the one that it references."""
    first, last = table("a", ID), table("z", ID)
    both = taken(first, last, needs=((first, last),))
    assert told(diff(taken(), both)) == [("s.z", "added"), ("s.a", "added")]
    assert told(diff(both, taken())) == [("s.a", "removed"), ("s.z", "removed")]


def test_what_is_removed_waits_for_what_is_changed_to_do_without_it() -> None:
    """A default that called a function is changed before the function goes."""
    function = Routine(
        schema="s", name="f", kind=Kind.FUNCTION, arguments="", result="integer", language="sql",
        definition="...",
    )  # fmt: skip
    calls = table("t", replace(ID, default="s.f()"))
    before = taken(function, calls, needs=((calls, function),))
    assert told(diff(before, taken(table("t", ID)))) == [
        ("s.t.id", "changed"),
        ("s.f()", "removed"),
    ]


def test_a_view_in_a_tables_place_comes_after_the_table_has_gone() -> None:
    """Two kinds of relation cannot bear one name at the same time."""
    view = Relation(kind=Kind.VIEW, schema="s", name="t", definition=" SELECT 1;")
    changes = diff(taken(table("t", ID)), taken(view))
    assert [(change.kind, change.action) for change in changes] == [
        (Kind.TABLE, Action.REMOVED),
        (Kind.VIEW, Action.ADDED),
    ]


def test_two_that_need_each_other_are_told_all_the_same() -> None:
    """A circle has no right order, but always the same one."""
    left, right = table("a", ID), table("b", ID)
    circle = taken(left, right, needs=((left, right), (right, left)))
    assert told(diff(taken(), circle)) == [("s.a", "added"), ("s.b", "added")]


def test_parts_go_before_what_they_are_on_and_come_after_it() -> None:
    """An index goes before its column; a constraint comes after its."""
    check = Constraint(name="c", type="check", definition="CHECK (size > 0)")
    index = Index(name="i", definition="CREATE INDEX ...", method="btree")
    before = taken(table("t", ID, NOTE, indexes=(index,)))
    after = taken(table("t", ID, SIZE, constraints=(check,)))
    changes = [str(change.object) for change in diff(before, after)]
    assert changes == ["s.t.i", "s.t.note", "s.t.size", "s.t.c"]


def test_what_is_alike_but_for_its_name_is_told_as_a_possible_rename() -> None:
    """Both halves of a pair name the other; what has no twin names none."""
    changes = diff(taken(table("t", NOTE, SIZE)), taken(table("t", replace(NOTE, name="remark"))))
    assert [str(change) for change in changes] == [
        "column note of s.t removed (or renamed to remark?)",
        "column size of s.t removed",
        "column remark of s.t added (or renamed from note?)",
    ]


def test_a_table_whose_keys_kept_its_old_name_may_be_renamed() -> None:
    """RENAME leaves the names of keys and sequences as they were."""
    key = Constraint(name="old_pkey", type="primary key", definition="PRIMARY KEY (id)")
    before = taken(table("old", ID, NOTE, constraints=(key,)))
    after = taken(table("new", ID, NOTE, constraints=(key,)))
    assert [change.rename and change.rename.name for change in diff(before, after)] == [
        "new",
        "old",
    ]
    assert all(change.rename is None for change in diff(before, taken(table("new", ID, SIZE))))


def test_an_inherited_column_is_told_of_with_its_parent_alone() -> None:
    """A partition's own deviation is told, what it has of its parent is not."""
    inherited = replace(NOTE, is_local=False, parents=1)
    before = taken(table("p", ID), table("p1", ID, inherits=("s.p",)))
    child = table("p1", ID, inherited, inherits=("s.p",))
    after = taken(table("p", ID, NOTE), child)
    own = table("p1", replace(ID, default="7"), inherited, inherits=("s.p",))
    assert told(diff(before, after)) == [("s.p.note", "added")]
    assert told(diff(after, taken(table("p", ID, NOTE), own))) == [("s.p1.id", "changed")]


def test_owners_and_privileges_can_be_left_out() -> None:
    """They differ between environments; of an identity's sequence, too."""
    grant = (Grant("bob", "SELECT", grantable=False, grantor="amy"),)
    sequence = Sequence(
        schema="s", name="t_id_seq", type="integer", start=1, increment=1, minimum=1, maximum=9,
        cache=1, cycle=False, persistence="permanent", owner="amy", privileges=grant,
    )  # fmt: skip
    column = replace(ID, identity="always", sequence=sequence, privileges=grant)
    owned = taken(table("t", column, owner="amy", privileges=grant), Schema(name="s", owner="amy"))
    plain = replace(ID, identity="always", sequence=replace(sequence, owner=None, privileges=None))
    assert owned.unowned() == taken(table("t", plain), Schema(name="s"))


def test_names_are_quoted_where_sql_needs_it() -> None:
    """A name that is no plain word is shown as SQL spells it."""
    name = ObjectName(kind=Kind.COLUMN, schema="s", parent="Odd table", name='a"b')
    assert str(name) == 's."Odd table"."a""b"'


def test_snapshots_of_two_majors_can_be_told_apart() -> None:
    """The major is there to be asked for, and no part of equality."""
    assert taken() == replace(taken(), server_major=16)
    assert replace(taken(), server_major=16).server_major == 16
