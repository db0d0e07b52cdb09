"""``show erd``: the schema as a picture."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from tests.conftest import libpq
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg
    from sqlalchemy.engine import URL

    from tests.acceptance.command import Command


@pytest.fixture
def shadow(server: URL, versions: Path) -> list[str]:
    """Return the option for throw-away databases; there are versions, the fourth with a key."""
    write_version(
        versions,
        "004_d",
        up=["ALTER TABLE a ADD PRIMARY KEY (id); CREATE TABLE d (a int REFERENCES a)"],
    )
    return ["--shadow-url", libpq(server)]


def test_a_diagram_is_of_the_newest_version_or_of_one(offline: Command, shadow: list[str]) -> None:
    """0 is before the first."""
    newest = offline("show", "erd", *shadow).out
    assert newest.startswith("erDiagram\n    a {\n        integer id PK\n    }\n    b {\n")
    assert newest.endswith('    a |o--o{ d : "a"\n')
    second = offline.quick("show", "erd", "2", *shadow).out
    assert second == (
        "erDiagram\n    a {\n        integer id\n    }\n    b {\n        integer id\n    }\n"
    )
    assert offline.quick("show", "erd", "0", *shadow).out == "erDiagram\n"
    assert "there is no version 9" in offline.quick("show", "erd", "9", *shadow, code=2).err


def test_a_live_database_is_drawn_as_it_is(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """Nothing of ours is in the picture, and no version may be asked for."""
    cli.quick("up", "1")
    connection.execute("CREATE TABLE by_hand (id int)")
    text = cli.quick("show", "erd", "--live").out
    assert "    by_hand {\n" in text
    assert "neuron" not in text
    assert "at no version" in cli.quick("show", "erd", "2", "--live", code=2).err


def test_json_holds_the_text(offline: Command, shadow: list[str]) -> None:
    """In one object, as with every command."""
    printed = offline.quick("show", "erd", "--format", "dot", "--json", *shadow).json
    assert printed["format"] == "dot"
    assert printed["diagram"].startswith("digraph schema {")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_svg_stands_alone(offline: Command, shadow: list[str]) -> None:
    """It is XML that asks nobody for anything."""
    text = offline.quick("show", "erd", "--format", "svg", *shadow).out
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "DOCTYPE" not in text
    assert not [each for each in root.iter() if each.tag.endswith(("image", "script"))]


def test_without_graphviz_the_way_out_is_told(offline: Command, shadow: list[str]) -> None:
    """Exit 2."""
    result = offline.quick(
        "show", "erd", "--format", "svg", *shadow, code=2, env={"PATH": "/nowhere"}
    )
    assert "Graphviz is not installed" in result.err
    assert "--format mermaid" in result.err
