"""Reading the history table's rows, without a database."""

from __future__ import annotations

import pytest

from neuron_schema.errors import HistoryTableMalformed
from neuron_schema.history import HistoryTable, read

TABLE = HistoryTable(name="neuron_migrations", schema="public")


def test_rows_are_ordered_by_number() -> None:
    """The order is that of the numbers, not of the text or of the table."""
    rows = [("10", "b", None, None), ("9", "a", None, None)]
    assert [row.version for row in read(lambda _: rows, TABLE)] == ["9", "10"]


@pytest.mark.parametrize("version", ["abc", "", "1a", "-1", "\u0663"])
def test_a_version_that_is_no_number_is_refused(version: str) -> None:
    """What neuron-schema did not write is not guessed at."""
    with pytest.raises(HistoryTableMalformed, match="no number"):
        read(lambda _: [(version, "a", None, None)], TABLE)


def test_one_number_in_two_spellings_is_refused() -> None:
    """Rows "2" and "002" would both be rolled back by the same file."""
    rows = [("2", "a", None, None), ("002", "a", None, None)]
    with pytest.raises(HistoryTableMalformed, match="twice"):
        read(lambda _: rows, TABLE)
