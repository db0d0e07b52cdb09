"""Diagrams: text that Mermaid and Graphviz read, whatever the names are."""

from __future__ import annotations

import re

import pytest

from neuron_schema.catalog import Column, Constraint, Kind, References, Relation, Snapshot
from neuron_schema.schemafile.diagram import diagram, dot, mermaid, too_large


def table(name: str, *columns: Column, schema: str = "public", **more: object) -> Relation:
    """Return a table."""
    return Relation(kind=Kind.TABLE, schema=schema, name=name, columns=columns, **more)  # type: ignore[arg-type]


def column(name: str, kind: str = "integer", *, not_null: bool = False) -> Column:
    """Return a column."""
    return Column(name=name, type=kind, not_null=not_null)


def key(kind: str, *columns: str) -> Constraint:
    """Return a key on columns."""
    return Constraint(name=f"{kind} {columns}", type=kind, definition="", columns=columns)


def reference(to: str, *columns: str, schema: str = "public") -> Constraint:
    """Return a foreign key."""
    return Constraint(
        name=f"to {to}",
        type="foreign key",
        definition="",
        columns=columns,
        references=References(schema=schema, table=to, columns=("id",)),
    )


def drawn(*tables: Relation, keys_only: bool | None = None) -> str:
    """Return tables as Mermaid text."""
    snapshot = Snapshot(objects=tables, server_major=18)
    return mermaid(diagram(snapshot, keys_only=keys_only))


PARENT = table("parent", column("id", not_null=True), constraints=(key("primary key", "id"),))


@pytest.mark.parametrize(
    ("child", "line"),
    [
        (table("c", column("p"), constraints=(reference("parent", "p"),)), "|o--o{"),
        (
            table("c", column("p", not_null=True), constraints=(reference("parent", "p"),)),
            "||--o{",
        ),
        (
            table(
                "c",
                column("p", not_null=True),
                constraints=(reference("parent", "p"), key("unique", "p")),
            ),
            "||--o|",
        ),
        (
            table("c", column("p"), constraints=(reference("parent", "p"), key("unique", "p"))),
            "|o--o|",
        ),
    ],
)
def test_a_line_tells_how_many_on_both_ends(child: Relation, line: str) -> None:
    """NOT NULL makes the one end certain, a unique key makes the many end one."""
    assert f'    parent {line} c : "p"\n' in drawn(PARENT, child)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("timestamp with time zone", "timestamptz"),
        ("timestamp(3) with time zone[]", "timestamptz(3)[]"),
        ("time without time zone", "time"),
        ("double precision", "float8"),
        ("character varying(40)", "varchar(40)"),
        ("numeric(10,2)", "numeric(10,2)"),
        ("public.vector(1536)", "vector(1536)"),
        ('"My Schema"."Odd Type"', "Odd_Type"),
        ("app.mood", "mood"),
        ("interval day to second", "interval_day_to_second"),
        ('"char"', "char"),
        ("text[]", "text[]"),
    ],
)
def test_a_type_is_one_word(kind: str, word: str) -> None:
    """Mermaid fails at a blank, at a quote and at a dot."""
    assert f"        {word} a\n" in drawn(table("t", column("a", kind)))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("my col", 'integer my_col "my col"'),
        ("a$b", 'integer a_b "a$b"'),
        ("PK", 'integer PK_ "PK"'),
        ("1st", 'integer c_1st "1st"'),
        ('quo"te', 'integer quo_te "quo#quot;te"'),
        ("größe", 'integer gr__e "größe"'),
        ("line\nbreak", 'integer line_break "line break"'),
        ("<b>#1", 'integer c__b__1 "#lt;b#gt;#35;1"'),
    ],
)
def test_a_column_that_is_no_word_is_told_in_a_comment(name: str, line: str) -> None:
    """What stands in its place is a word, and the name itself is still seen."""
    assert f"        {line}\n" in drawn(table("t", column(name)))


def test_two_names_never_become_one() -> None:
    """Columns of a table and tables of a diagram stay apart."""
    text = drawn(table("a b", column("x y"), column("x_y")), table("a_b"), table("a b", schema="s"))
    entities = re.findall(r"^    (\w+)(?=[\[ {]|$)", text, re.MULTILINE)
    assert len(entities) == len(set(entities)) == 3
    assert "x_y " in text
    assert "x_y_2 " in text


@pytest.mark.parametrize("name", ["class", "style", "direction", "title", "end", "one", "TB"])
def test_a_table_that_is_an_instruction_gets_another_word(name: str) -> None:
    """Its own name is what is shown."""
    assert f'    t_{name}["{name}"] {{\n' in drawn(table(name, column("id")))


def test_a_large_schema_shows_keys_only() -> None:
    """Unless all columns are asked for; a small one shows all unless keys are."""
    wide = table("wide", *(column(f"c{n}") for n in range(200)), constraints=(key("unique", "c7"),))
    assert "c8" not in drawn(wide)
    assert "integer c7 UK" in drawn(wide)
    assert "c8" in drawn(wide, keys_only=False)
    assert drawn(table("t", column("a")), keys_only=True) == "erDiagram\n    t\n"


def test_what_mermaid_would_not_draw_is_told() -> None:
    """50,000 characters or 500 lines."""
    many = [
        table(f"t{n}", column("p"), constraints=(reference("parent", "p"),)) for n in range(501)
    ]
    large = diagram(Snapshot(objects=(PARENT, *many), server_major=18))
    assert "501 foreign keys" in (too_large(mermaid(large), large) or "")
    small = diagram(Snapshot(objects=(PARENT,), server_major=18))
    assert too_large(mermaid(small), small) is None
    assert "characters" in (too_large("x" * 50_001, small) or "")


def test_partitions_are_not_drawn() -> None:
    """They are their table's."""
    text = drawn(table("m", column("id")), table("m1", column("id"), partition_bound="DEFAULT"))
    assert "m1" not in text


def test_graphviz_text_escapes_what_it_would_read() -> None:
    """Quotes in names, and HTML in labels."""
    child = table('a"b', column("<i>"), column("p"), constraints=(reference("parent", "p"),))
    text = dot(diagram(Snapshot(objects=(PARENT, child), server_major=18)))
    assert '"public.a\\"b" -> "public.parent" [label="p", style=dashed];' in text
    assert "&lt;i&gt;" in text
    assert "<i>" not in text
