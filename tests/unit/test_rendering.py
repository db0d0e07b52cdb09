"""What our renderer does beyond SQLAlchemy's."""

from __future__ import annotations

import pytest
from sqlalchemy import CheckConstraint, Column, Integer, MetaData, Table
from sqlalchemy.schema import CreateTable

from neuron_schema.compiling.compiler import compile_element


def test_checks_of_a_column_keep_the_order_in_which_they_were_made() -> None:
    """SQLAlchemy keeps them in a set; the text, and so the checksum, must not depend on that."""
    checks = [CheckConstraint(f"a > {n}", name=f"c{n}") for n in range(8)]
    table = Table("t", MetaData(), Column("a", Integer, *checks))
    (statement,) = compile_element(CreateTable(table))
    places = [statement.sql.index(f"CONSTRAINT c{n} ") for n in range(8)]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "word", ["collation", "concurrently", "lateral", "system_user", "tablesample", "user"]
)
def test_reserved_words_are_quoted(word: str) -> None:
    """A table named like a reserved word is quoted, also where SQLAlchemy's list has a gap."""
    table = Table(word, MetaData(), Column("a", Integer))
    (statement,) = compile_element(CreateTable(table))
    assert f'CREATE TABLE "{word}"' in statement.sql
