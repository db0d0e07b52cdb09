"""What rows are in a schema's tables, and which of them are gone later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neuron_schema.catalog.model import spelled
from neuron_schema.model import Direction
from neuron_schema.quoting import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import psycopg

    from neuron_schema.catalog import Relation, Snapshot
    from neuron_schema.proof.whereabouts import Whereabouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Data that a version does away with.

    Attributes:
        direction: Which of its lists does.
        object: The table ``schema.table`` or the column ``schema.table.column``.
        what: What becomes of its data, in words.
    """

    direction: Direction
    object: str
    what: str

    def __str__(self) -> str:
        return f"{self.direction}: {self.object}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a table holds.

    Attributes:
        rows: How many rows.
        digest: Of all rows as wholes, whatever their order.
        filled: By column, how many values are not NULL.
        digests: By column, of its values, whatever their order.
    """

    rows: int
    digest: str
    filled: Mapping[str, int]
    digests: Mapping[str, str]


def contents(connection: psycopg.Connection[Any], schema: Snapshot) -> dict[str, Content]:
    """Return what every table of a schema holds, by ``schema.table``.

    Partitions are part of the table that they are partitions of.
    """
    return {
        shown(table): _content(connection, table)
        for table in schema.tables
        if table.partition_bound is None
    }


def qualified(table: Relation) -> str:
    """Return a table's name with its schema, for SQL."""
    return f"{identifier(table.schema)}.{identifier(table.name)}"


def shown(table: Relation, column: str | None = None) -> str:
    """Return the name of a table, or of a column of it, for people."""
    parts = [table.schema, table.name, *([column] if column is not None else [])]
    return ".".join(spelled(part) for part in parts)


def _content(connection: psycopg.Connection[Any], table: Relation) -> Content:
    # What is generated follows from the rest; a virtual one may even fail when it is read.
    names = [column.name for column in table.columns if column.generated is None]
    # By text: a type that was changed for a wider one has lost nothing.
    texts = [f"t.{identifier(name)}::text" for name in names]
    whole = f"ARRAY[{', '.join(_in_order(names))}]::text" if names else "''"
    asked = ["pg_catalog.count(*)", _digest(whole)]
    asked += [f"pg_catalog.count({text})" for text in texts]
    asked += [_digest(text) for text in texts]
    # A partitioned table has rows in its partitions alone; a parent by INHERITS must not be told
    # its children's.
    only = "" if table.partition_key else "ONLY "
    sql = f"SELECT {_row(asked)} FROM {only}{qualified(table)} t"
    found = connection.execute(sql.encode()).fetchone()
    assert found is not None  # noqa: S101 - an aggregate has a row
    count, digest, *rest = found[0]
    half = len(names)
    return Content(
        rows=int(count),
        digest=digest,
        filled=dict(zip(names, map(int, rest[:half]), strict=True)),
        digests=dict(zip(names, rest[half:], strict=True)),
    )


def _in_order(names: list[str]) -> list[str]:
    return [f"t.{identifier(name)}::text" for name in sorted(names)]


def _row(expressions: list[str]) -> str:
    """Return expressions as one array: a select list takes 1,664 of them at most."""
    return f"ARRAY[{', '.join(f'({each})::text' for each in expressions)}]"


def _digest(text: str) -> str:
    """Return SQL for what tells two multisets of texts apart."""
    hashed = f"pg_catalog.md5(COALESCE({text}, {literal('NULL ')}))"
    return (
        "COALESCE(pg_catalog.md5(pg_catalog.string_agg("
        f"{hashed}, '' ORDER BY {hashed} COLLATE \"C\")), '')"
    )


def missing(
    before: Mapping[str, Content],
    after: Mapping[str, Content],
    direction: Direction,
    where: Whereabouts,
) -> Iterator[Loss]:
    """Yield what of the rows before is not there any more: tables, columns, rows."""
    for table, then in before.items():
        place = where.of(table)
        if place in where.partitions:
            continue
        now = after.get(place) if place is not None else None
        if now is None:
            if then.rows:
                yield Loss(direction=direction, object=table, what=f"dropped with {_rows(then)}")
            continue
        apart = [each for each, root in where.detached.items() if root == table and each in after]
        gone = then.rows - now.rows - sum(after[each].rows for each in apart)
        if gone > 0:
            text = f"{gone} of {_rows(then)} gone"
            yield Loss(direction=direction, object=table, what=text)
        there = {f"{place}.{spelled(column)}" for column in now.filled}
        for column, filled in then.filled.items():
            name = f"{table}.{spelled(column)}"
            if filled and where.of(name) not in there:
                text = f"dropped with {_values(filled)}"
                yield Loss(direction=direction, object=name, what=text)


def altered(
    before: Mapping[str, Content], after: Mapping[str, Content], direction: Direction
) -> Iterator[Loss]:
    """Yield the columns whose values are other ones, where all rows are there."""
    for table, then in before.items():
        now = after.get(table)
        if now is None or now.rows < then.rows:
            continue
        # More rows than before: nothing of those that were there can be told.
        common = [name for name in then.digests if name in now.digests and now.rows == then.rows]
        changed = [name for name in common if then.digests[name] != now.digests[name]]
        for name in changed:
            yield Loss(
                direction=direction,
                object=f"{table}.{spelled(name)}",
                what=f"its values are not those of before ({_values(then.filled[name])})",
            )
        same_columns = set(then.digests) == set(now.digests) == set(common)
        if same_columns and not changed and then.digest != now.digest:
            yield Loss(
                direction=direction, object=table, what="its values stand in other rows than before"
            )


def dropped(before: Snapshot, after: Snapshot, where: Whereabouts) -> Iterator[Loss]:
    """Yield the tables and columns that a ``down`` drops, with all that was written since."""
    left = {shown(table): table for table in after.tables}
    for table in before.tables:
        if table.partition_bound is not None:
            continue
        now = left.get(where.of(shown(table)) or "")
        if now is None:
            yield Loss(direction=Direction.DOWN, object=shown(table), what="dropped with its rows")
            continue
        columns = {shown(now, column.name) for column in now.columns}
        for column in table.columns:
            name = shown(table, column.name)
            if where.of(name) not in columns and column.generated is None:
                yield Loss(direction=Direction.DOWN, object=name, what="dropped with its values")


def _rows(content: Content) -> str:
    return "1 row" if content.rows == 1 else f"{content.rows} rows"


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"
