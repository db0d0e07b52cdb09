"""Checksums: what is in them and what is not."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Integer,
    String,
    Text,
)
from sqlalchemy.schema import (
    CreateTable,
)

from neuron_schema.compiling.compiler import CompileError, checksum
from neuron_schema.model import Statement
from neuron_schema.ops import Sql
from tests.constructs import sums, table


def test_the_checksum_is_what_is_documented() -> None:
    """Formula 1: SHA-256 over each statement behind its direction, each ended by a NUL."""
    up, down = [Statement(sql="SELECT  A;"), Statement(sql="Select 'A'")], [Statement(sql="B")]
    expected = hashlib.sha256(b"up select a\0up select 'A'\0down b\0").hexdigest()
    assert checksum(up, down) == expected
    assert checksum([], []) == hashlib.sha256(b"").hexdigest()


def test_no_two_versions_share_a_checksum() -> None:
    """Neither the border of up and down nor that of two statements can move unseen."""
    texts = ["a", "down", "up", "down a", "up a"]
    singles = [Statement(sql=text) for text in texts]
    found = set()
    count = 0
    for first in range(4):
        for second in range(4):
            for up in (singles[:first], singles[1 : 1 + first]):
                down = singles[:second]
                found.add(
                    (checksum(up, down), tuple(s.sql for s in up), tuple(s.sql for s in down))
                )
                count += 1
    assert len({digest for digest, _, _ in found}) == len(found)


def test_layout_and_names_of_python_do_not_alter_a_checksum() -> None:
    """Blanks, comments, case, CRLF, a closing semicolon and keys of columns are not in it."""
    sql = "CREATE TABLE t (id int, b text DEFAULT 'A b')"
    same = [
        "create table T(ID INT,b TEXT default 'A b');",
        "-- why\r\nCREATE  TABLE t\r\n(id int, /* x */ b text\tDEFAULT 'A b')\r\n;\r\n",
    ]
    assert {sums(Sql(text)) for text in same} == {sums(Sql(sql))}
    assert sums(Sql(f"{sql}; SELECT 1")) == sums(Sql(sql), Sql("select 1"))
    plain = CreateTable(table(Column("a", Integer, key="x", info={"i": 1}, doc="d")))
    assert (
        sums(plain)
        == sums(CreateTable(table(Column("a", Integer))))
        == sums(Sql("CREATE TABLE t (a INTEGER)"))
    )


@pytest.mark.parametrize(
    "column",
    [
        Column("b", Text),
        Column("a", Integer),
        Column("a", String(5)),
        Column("a", Text, nullable=False),
        Column("a", Text, server_default="X"),
        Column("a", Text, server_default="x "),
        Column("A", Text),
        Column("a", Text(collation="C")),
    ],
)
def test_a_changed_column_alters_the_checksum(column: Column[Any]) -> None:
    """Whatever PostgreSQL would see alters it."""
    before = sums(CreateTable(table(Column("a", Text, server_default="x"))))
    assert sums(CreateTable(table(column))) != before


def test_a_checksum_of_text_that_cannot_be_read_is_refused() -> None:
    """A statement from elsewhere gets the same error as Sql."""
    with pytest.raises(CompileError, match="cannot be read"):
        checksum([Statement(sql="SELECT 'open")], [])
