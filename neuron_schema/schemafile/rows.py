"""The rows that versions themselves have inserted, and where sequences stand."""

from __future__ import annotations

import enum
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from neuron_schema.catalog import Kind, Relation, Sequence
from neuron_schema.quoting import literal
from neuron_schema.schemafile.blocks import Block
from neuron_schema.schemafile.names import listed, qualified, quoted
from neuron_schema.schemafile.tables import full_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import psycopg

    from neuron_schema.catalog import Column, Snapshot

MOST_ROWS = 1000
"""Rows of one table that are written down."""

_AT_ONCE = 100
# Their text is SQL as it stands.
_BARE = frozenset({"smallint", "integer", "bigint", "boolean"})
# A function, or one of SQL's own that look like names.
_CALLS = re.compile(r"\(|^(CURRENT|SESSION|LOCAL|USER)")
# As a snapshot is read: the text of values must not depend on the session.
_SESSION = """SELECT pg_catalog.set_config(name, value, false) FROM (VALUES
  ('search_path', ''), ('DateStyle', 'ISO, YMD'), ('IntervalStyle', 'postgres'),
  ('TimeZone', 'UTC'), ('extra_float_digits', '1'), ('bytea_output', 'hex'),
  ('xmloption', 'content'), ('lc_monetary', 'C'), ('row_security', 'off')) AS s(name, value)"""


class Cell(enum.Enum):
    """What a cell may hold beside text and NULL."""

    DEFAULT = "DEFAULT"
    """What the column's default made, and makes anew for each database."""


Value: TypeAlias = str | Literal[Cell.DEFAULT] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRows:
    """What is in one table.

    Attributes:
        table: The table.
        columns: The columns that are written: all but generated ones.
        rows: Each value as text; at most one more than are written down.
        defaults: What the columns' defaults, where they are no constants, give at the moment.
    """

    table: Relation
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    defaults: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def too_many(self) -> bool:
        """Whether these are more than are written down."""
        return len(self.rows) > MOST_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a database holds beside its schema.

    Attributes:
        tables: Those with rows.
        sequences: Name as SQL spells it, value, and whether that was given out, of each sequence
            that does not stand at its start.
        unpopulated: Materialised views that cannot be read yet.
        obstacles: Why another database cannot start from what was read, as sentences.
        comments: The comments that extensions bring along, by extension.
    """

    tables: tuple[TableRows, ...] = ()
    sequences: tuple[tuple[str, int, bool], ...] = ()
    unpopulated: frozenset[str] = frozenset()
    obstacles: tuple[str, ...] = ()
    comments: Mapping[str, str] = field(default_factory=dict)

    @property
    def filled(self) -> frozenset[str]:
        """The tables with rows, as SQL spells them."""
        return frozenset(full_name(each.table) for each in self.tables)


def read(connection: psycopg.Connection[Any], snapshot: Snapshot) -> Contents:
    """Return what a database holds.

    Args:
        connection: To a shadow, in autocommit; its settings are changed.
        snapshot: The database's schema.
    """
    connection.execute(_SESSION.encode())
    tables = [each for each in snapshot.tables if each.partition_key is None]
    filled = _indices(connection, [f"EXISTS (SELECT FROM ONLY {full_name(t)})" for t in tables])
    return Contents(
        tables=tuple(_table(connection, tables[index]) for index in filled),
        sequences=tuple(_sequences(connection, snapshot)),
        unpopulated=frozenset(_unpopulated(connection)),
        obstacles=tuple(_beside(connection)),
        comments=dict(
            connection.execute("SELECT name, comment FROM pg_catalog.pg_available_extensions")
        ),
    )


def _indices(connection: psycopg.Connection[Any], conditions: list[str]) -> list[int]:
    """Return which of some conditions hold."""
    found: list[int] = []
    for start in range(0, len(conditions), _AT_ONCE):
        part = conditions[start : start + _AT_ONCE]
        asked = [f"SELECT {start + index} WHERE {sql}" for index, sql in enumerate(part)]
        found += [row[0] for row in connection.execute(" UNION ALL ".join(asked).encode())]
    return sorted(found)


def _table(connection: psycopg.Connection[Any], table: Relation) -> TableRows:
    columns = tuple(each for each in table.columns if each.generated is None)
    texts = ", ".join(f"{quoted(each.name)}::text" for each in columns)
    rows = connection.execute(
        f"SELECT {texts} FROM ONLY {full_name(table)} LIMIT {MOST_ROWS + 1}".encode()
    ).fetchall()
    return TableRows(
        table=table,
        columns=columns,
        rows=tuple(tuple(row) for row in rows),
        defaults=_evaluated(connection, columns),
    )


def _evaluated(
    connection: psycopg.Connection[Any], columns: Iterable[Column]
) -> dict[str, str | None]:
    """Return what defaults give that may give something else elsewhere: CURRENT_USER."""
    found: dict[str, str | None] = {}
    for column in columns:
        default = column.default or ""
        if not _CALLS.search(default) or "nextval(" in default:
            continue
        row = connection.execute(f"SELECT (({default})::{column.type})::text".encode()).fetchone()
        found[column.name] = row[0] if row else None
    return found


def _sequences(
    connection: psycopg.Connection[Any], snapshot: Snapshot
) -> Iterator[tuple[str, int, bool]]:
    every = [each for each in snapshot.objects if isinstance(each, Sequence)]
    for relation in snapshot.relations:
        every += [each.sequence for each in relation.columns if each.sequence is not None]
    for start in range(0, len(every), _AT_ONCE):
        part = every[start : start + _AT_ONCE]
        asked = " UNION ALL ".join(
            f"SELECT {index}, last_value, is_called FROM {qualified(each.schema, each.name)}"
            for index, each in enumerate(part)
        )
        for index, value, called in sorted(connection.execute(asked.encode()).fetchall()):
            if called or value != part[index].start:
                yield qualified(part[index].schema, part[index].name), value, called


def _unpopulated(connection: psycopg.Connection[Any]) -> list[str]:
    rows = connection.execute(
        "SELECT c.oid::pg_catalog.regclass::text FROM pg_catalog.pg_class c "
        "WHERE c.relkind = 'm' AND NOT c.relispopulated"
    )
    return [row[0] for row in rows]


def _beside(connection: psycopg.Connection[Any]) -> Iterator[str]:
    """Yield what versions did that is in no schema."""
    row = connection.execute("""
SELECT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata),
  EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase = d.oid)
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
""").fetchone()
    objects, told = row if row else (False, False)
    if objects:
        yield "versions make large objects, which are not written down"
    if told:
        yield "versions set parameters of the database (ALTER DATABASE), which are not written down"


def settled(first: Contents, second: Contents) -> Contents:
    """Return what is the same on every run, out of what two runs have left.

    A value that the two do not share was made while they ran: ``now()``, ``gen_random_uuid()``.
    Where the column's default makes it, it will make another one for each database, as it does
    when the versions run there; where nothing but the version itself knows how, starting from a
    file would not be the same.

    Args:
        first: Of one database that the versions were run on.
        second: Of another one.
    """
    others = {full_name(each.table): each for each in second.tables}
    tables, obstacles = [], list(first.obstacles)
    for each in first.tables:
        name = full_name(each.table)
        if each.too_many:
            obstacles.append(f"versions insert more than {MOST_ROWS} rows into {name}")
            continue
        table, varying = _settled(each, others.get(name))
        obstacles += [
            f"values that versions insert into {name}.{quoted(column)} are others on every run"
            for column in varying
        ]
        tables.append(table)
    return replace(first, tables=tuple(tables), obstacles=tuple(obstacles))


def _settled(first: TableRows, second: TableRows | None) -> tuple[TableRows, list[str]]:
    """Return rows in an order of their own, and the columns that no default explains."""
    names = [column.name for column in first.columns]
    there = [
        Counter(row[index] for row in second.rows) if second else Counter()
        for index in range(len(names))
    ]
    rows: list[tuple[Value, ...]] = []
    varying: set[str] = set()
    for row in first.rows:
        cells: list[Value] = []
        for index, cell in enumerate(row):
            column = first.columns[index]
            same = there[index][cell] > 0
            made = column.name in first.defaults
            if made and (not same or first.defaults[column.name] == cell):
                cells.append(Cell.DEFAULT)
            else:
                cells.append(cell)
                if not same:
                    varying.add(column.name)
        rows.append(tuple(cells))
    ordered = sorted(rows, key=lambda row: _sort_key(first, row))
    return replace(first, rows=tuple(ordered)), [name for name in names if name in varying]


def _sort_key(table: TableRows, row: tuple[Value, ...]) -> tuple[tuple[int, int, str], ...]:
    """Order rows by the primary key, then by all columns; numbers as numbers."""
    key = table.table.primary_key
    first = [] if key is None else list(key.columns)
    names = [column.name for column in table.columns]
    order = [names.index(name) for name in first if name in names]
    order += [index for index in range(len(names)) if index not in order]
    return tuple(_comparable(table.columns[index], row[index]) for index in order)


def _comparable(column: Column, cell: Value) -> tuple[int, int, str]:
    if not isinstance(cell, str):
        return (0, 0, "")
    if column.type in _BARE and column.type != "boolean":
        return (1, int(cell), "")
    return (1, 0, cell)


def row_blocks(contents: Contents, order: Mapping[str, int]) -> tuple[Block, ...]:
    """Return the rows as INSERTs, and where sequences stand.

    Args:
        contents: What is to be written.
        order: The place of each table in the file: what is referred to comes before.
    """
    tables = sorted(contents.tables, key=lambda each: order.get(full_name(each.table), 0))
    blocks = [
        Block(title=f"rows of {full_name(each.table)}", statements=(_insert(each),))
        for each in tables
        if each.rows and each.columns
    ]
    values = tuple(
        f"SELECT pg_catalog.setval({literal(name).strip()}, {value}, {str(called).lower()})"
        for name, value, called in contents.sequences
    )
    if values:
        blocks.append(Block(title="where sequences stand", statements=values))
    return tuple(blocks)


def refresh_blocks(snapshot: Snapshot, contents: Contents) -> tuple[Block, ...]:
    """Return what brings materialised views up to the rows, or leaves them unread."""
    blocks = []
    for view in snapshot.relations:
        name = full_name(view)
        if view.kind is not Kind.MATERIALIZED_VIEW:
            continue
        data = " WITH NO DATA" if name in contents.unpopulated else ""
        if data or contents.tables:
            sql = f"REFRESH MATERIALIZED VIEW {name}{data}"
            blocks.append(Block(title=f"data of {name}", statements=(sql,)))
    return tuple(blocks)


def _insert(each: TableRows) -> str:
    columns = listed(column.name for column in each.columns)
    always = any(column.identity == "always" for column in each.columns)
    overriding = " OVERRIDING SYSTEM VALUE" if always else ""
    lines = ",\n    ".join(f"({', '.join(_values(each, row))})" for row in each.rows)
    return f"INSERT INTO {full_name(each.table)} ({columns}){overriding} VALUES\n    {lines}"


def _values(each: TableRows, row: tuple[Value, ...]) -> Iterator[str]:
    for column, cell in zip(each.columns, row, strict=True):
        if not isinstance(cell, str):
            yield "NULL" if cell is None else "DEFAULT"
        elif column.type in _BARE:
            yield cell
        else:
            yield literal(cell).strip()
