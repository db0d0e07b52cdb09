"""The diagram of a review: the tables that changed, and those beside them."""

from __future__ import annotations

from neuron_schema.catalog import (
    Action,
    Change,
    Column,
    Constraint,
    Kind,
    ObjectName,
    References,
    Relation,
    Snapshot,
)
from neuron_schema.review.neighbours import MOST_CHARACTERS, MOST_TABLES, draw


def table(name: str, *targets: str, columns: int = 1, bound: str | None = None) -> Relation:
    """Return a table with a key to each target."""
    return Relation(
        schema="public",
        name=name,
        kind=Kind.TABLE,
        partition_bound=bound,
        columns=(
            *(Column(name=f"c{number}", type="text") for number in range(columns)),
            *(Column(name=f"{target}_id", type="integer") for target in targets),
        ),
        constraints=tuple(
            Constraint(
                name=f"{name}_{target}",
                type="foreign key",
                definition="",
                columns=(f"{target}_id",),
                references=References(schema="public", table=target, columns=("id",)),
            )
            for target in targets
        ),
    )


def schema(*tables: Relation) -> Snapshot:
    """Return a schema of these tables."""
    return Snapshot(objects=tables, server_major=18)


def changed(name: str, *, parent: str | None = None, kind: Kind = Kind.TABLE) -> Change:
    """Return the change of a table, or of a part of one."""
    named = ObjectName(kind=kind, schema="public", name=name, parent=parent)
    return Change(object=named, action=Action.CHANGED, before=None, after=None)


def names(*tables: Relation) -> list[str]:
    """Return the names of tables."""
    return [each.name for each in tables]


def test_neighbours_are_one_foreign_key_away_in_either_direction() -> None:
    """What is further away is not drawn."""
    there = schema(
        table("far", "near"), table("near", "mid"), table("mid", "up"), table("up", "top"),
        table("top"),
    )  # fmt: skip
    drawing = draw(there, [changed("c0", parent="mid", kind=Kind.COLUMN)])
    assert names(*drawing.tables) == ["near", "mid", "up"]
    assert drawing.text.startswith("erDiagram\n")
    assert "far" not in drawing.text
    assert drawing.left_out == ""


def test_nothing_is_drawn_where_no_table_changed() -> None:
    """A dropped table is there no more, and a view is no table."""
    there = schema(table("a"))
    for change in (
        changed("gone"),
        changed("v", kind=Kind.VIEW),
        changed("e", kind=Kind.EXTENSION),
    ):
        assert draw(there, [change]).text == ""
    assert draw(there, []).tables == ()


def test_a_partition_is_its_table() -> None:
    """Partitions are not drawn beside it."""
    there = schema(table("parts"), table("p1", bound="DEFAULT"))
    assert names(*draw(there, [changed("parts"), changed("p1")]).tables) == ["parts"]


def test_many_neighbours_give_way_to_what_changed() -> None:
    """At most forty tables are drawn."""
    others = [table(f"n{number:03d}", "hub") for number in range(60)]
    drawing = draw(schema(*others, table("hub")), [changed("hub")])
    assert len(drawing.tables) == MOST_TABLES
    assert "hub" in names(*drawing.tables)
    assert drawing.left_out == ""


def test_more_changed_tables_than_can_be_read_are_counted() -> None:
    """The sentence says how many are left out."""
    many = [table(f"t{number:03d}") for number in range(50)]
    drawing = draw(schema(*many), [changed(each.name) for each in many])
    assert len(drawing.tables) == MOST_TABLES
    assert drawing.left_out == "The diagram leaves out 10 tables that changed."


def test_wide_tables_are_drawn_with_their_keys_alone() -> None:
    """Then without neighbours, then fewer of them: the text stays within its bound."""
    wide = [table("a", columns=900), table("b", "a", columns=900)]
    drawing = draw(schema(*wide), [changed("b")])
    assert names(*drawing.tables) == ["a", "b"]
    assert "c0" not in drawing.text
    assert "a_id" in drawing.text
    keys = [table(f"t{number}", *(f"x{each}" for each in range(200))) for number in range(30)]
    drawing = draw(schema(*keys), [changed(each.name) for each in keys])
    assert 0 < len(drawing.tables) < 30
    assert len(drawing.text) <= MOST_CHARACTERS
    assert drawing.left_out.startswith("The diagram leaves out ")
