"""Hostile rows for every table of a schema, as far as its constraints let any in.

A table gets two rows of the same values, the extremes of their types, and a third that is NULL
wherever it may be. They differ from each other only where a key wants it. Tables that foreign keys
point at come first; a key in a circle that may be NULL is filled when all rows are there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import psycopg

from neuron_schema.proof.checks import NULL, solve
from neuron_schema.proof.order import in_order
from neuron_schema.proof.rows import qualified, shown
from neuron_schema.proof.values import Values, literals
from neuron_schema.quoting import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from neuron_schema.catalog import Column, Constraint, Relation, Snapshot

ROWS: Final = 3
_PARENTS: Final = 8
_SHIFTS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseeded:
    """A table that stayed empty.

    Attributes:
        table: ``schema.table``.
        why: What kept rows out.
    """

    table: str
    why: str

    def __str__(self) -> str:
        return f"{self.table} has no rows: {self.why}"


@dataclass(slots=True)
class _Table:
    """What is known of a table while its rows are made.

    Attributes:
        relation: The table.
        later: Foreign keys that are filled when all rows are there.
        candidates: By column, expressions, the most hostile one first.
        sets: Values of columns that CHECKs tie together, each by column; NULL comes last.
        nulls: The same, NULL first.
        parents: By foreign key, values of rows that it may point at.
        places: The rows that were made, by ``ctid``.
    """

    relation: Relation
    later: tuple[Constraint, ...] = ()
    candidates: dict[str, list[str]] = field(default_factory=dict)
    sets: list[list[dict[str, str]]] = field(default_factory=list)
    nulls: list[list[dict[str, str]]] = field(default_factory=list)
    parents: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)

    @property
    def keys(self) -> list[Constraint]:
        """The foreign keys that are filled at once."""
        return [key for key in self.relation.foreign_keys if key not in self.later]


def seed(
    connection: psycopg.Connection[Any],
    schema: Snapshot,
    *,
    only: Collection[tuple[str, str]] | None = None,
) -> tuple[Unseeded, ...]:
    """Put rows into the tables of a schema.

    Args:
        connection: In autocommit.
        schema: What the database consists of now.
        only: Schema and name of the tables wanted; None for all.

    Returns:
        The tables that stayed empty, with the reasons.

    Raises:
        psycopg.OperationalError: the connection is lost.
    """
    return _Seeder(connection, schema).seed(only)


def used(schema: Snapshot, unused: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return schema and name of the tables of a schema but for some."""
    return {(each.schema, each.name) for each in schema.tables} - set(unused)


class _Seeder:
    def __init__(self, connection: psycopg.Connection[Any], schema: Snapshot) -> None:
        self._connection = connection
        self._schema = schema
        self._values = Values(schema)
        self._usable: dict[tuple[str, tuple[str, ...]], list[str]] = {}

    def seed(self, only: Collection[tuple[str, str]] | None) -> tuple[Unseeded, ...]:
        tables = [each for each in self._schema.tables if each.partition_bound is None]
        ordered = in_order(tables)
        made: list[_Table] = []
        empty: list[Unseeded] = []
        for relation, later in ordered.tables:
            if only is not None and (relation.schema, relation.name) not in only:
                continue
            table = _Table(relation, later)
            why = self._fill(table)
            if why is not None:
                empty.append(Unseeded(table=shown(relation), why=why))
            made.append(table)
        for relation, circle in ordered.circles:
            if only is None or (relation.schema, relation.name) in only:
                why = f"its foreign keys go in a circle and cannot be NULL: {circle}"
                empty.append(Unseeded(table=shown(relation), why=why))
        for table in made:
            self._close_circle(table)
        return tuple(sorted(empty, key=lambda each: each.table))

    def _fill(self, table: _Table) -> str | None:
        """Put rows into one table; return what kept all of them out, or None."""
        missing = self._prepare(table)
        if missing is not None and not self._has_rows(table.relation):
            return missing
        why: str | None = None
        for number in range(ROWS):
            failed = self._row(table, number)
            why = why or failed
        return why if not table.places and not self._has_rows(table.relation) else None

    def _prepare(self, table: _Table) -> str | None:
        """Learn what each column may hold; return why there can be no row, if there can be none."""
        relation = table.relation
        for key in table.keys:
            table.parents[key.name] = self._parent_rows(relation, key)
            if not table.parents[key.name] and not _may_be_null(relation, key):
                assert key.references is not None  # noqa: S101 - it is a foreign key
                return (
                    f"its foreign key {key.name} points at {key.references.table}, which has none"
                )
        if relation.partition_key and not self._partitions(relation):
            return "it has no partition"
        given = [column for column in relation.columns if _is_given(relation, column)]
        for column in given:
            near = self._near(relation, column)
            found = self._tried(column.type, near)
            if near and column.name in self._partitioned_by(relation):
                found = self._tried(column.type, near, near_first=True)
            table.candidates[column.name] = found
        foreign = {name for key in relation.foreign_keys for name in key.columns}
        free = {column.name: column for column in given if column.name not in foreign}
        for names, checks in _tied(relation, list(free)):
            columns = [free[name] for name in names]
            table.sets.append(self._solved(table, columns, checks, null_first=False))
            table.nulls.append(self._solved(table, columns, checks, null_first=True))
        return None

    def _solved(
        self, table: _Table, columns: Sequence[Column], checks: Sequence[str], *, null_first: bool
    ) -> list[dict[str, str]]:
        """Return values of columns that CHECKs tie together, the best first."""
        choices: dict[str, list[str]] = {}
        for column in columns:
            own = list(table.candidates[column.name])
            if not column.not_null and not self._values.required(column.type):
                null = f"{NULL}::{column.type}"
                own = [null, *own] if null_first else [*own, null]
            choices[column.name] = own
        return solve(self._connection, choices, checks)

    def _row(self, table: _Table, number: int) -> str | None:
        """Make one row; return why it cannot be made, or None."""
        why = "no value fits its constraints"
        for apart, shift in _attempts(table.relation, number):
            values = self._row_values(table, number, apart, shift)
            if values is None:
                return why
            try:
                place = self._insert(table.relation, values)
            except psycopg.Error as error:
                if self._connection.closed:
                    raise
                why = " ".join(str(error.diag.message_primary or error).split())
                continue
            if place is None:
                return "a trigger lets no row in"
            table.places.append(place)
            return None
        return why

    def _row_values(
        self, table: _Table, number: int, apart: frozenset[str], shift: int
    ) -> dict[str, str] | None:
        """Return a row's values by column; those in ``apart`` differ from row to row."""
        values: dict[str, str] = {}
        last = number == ROWS - 1
        for choice in table.nulls if last else table.sets:
            if not choice:
                return None
            index = shift if apart & choice[0].keys() else 0
            values |= choice[index % len(choice)]
        for key in table.keys:
            rows = table.parents[key.name]
            if not rows or (last and _may_be_null(table.relation, key)):
                values |= dict.fromkeys(_nullable(table.relation, key), NULL)
                rest = [name for name in key.columns if name not in values]
                values |= {name: table.candidates[name][0] for name in rest}
                continue
            index = shift if apart & set(key.columns) else 0
            # Two keys may share a column.
            agreeing = [row for row in rows if all(values.get(n, v) == v for n, v in row.items())]
            rows = agreeing or rows
            values |= rows[index % len(rows)]
        self._point_at_self(table, values)
        return values

    def _point_at_self(self, table: _Table, values: dict[str, str]) -> None:
        """Let foreign keys into the same table that must not be NULL point at the row itself."""
        for key in table.later:
            assert key.references is not None  # noqa: S101 - it is a foreign key
            if _may_be_null(table.relation, key):
                values |= dict.fromkeys(_nullable(table.relation, key), NULL)
                continue
            for name, target in zip(key.columns, key.references.columns, strict=True):
                values[name] = values[target]

    def _insert(self, relation: Relation, values: dict[str, str]) -> str | None:
        name = qualified(relation)
        if values:
            columns = ", ".join(map(identifier, values))
            given = ", ".join(values.values())
            sql = f"INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({given})"
        else:
            sql = f"INSERT INTO {name} DEFAULT VALUES"
        row = self._run(f"{sql} RETURNING ctid::text").fetchone()
        return None if row is None else str(row[0])

    def _close_circle(self, table: _Table) -> None:
        """Fill the foreign keys that were NULL for a while, but for the row of NULLs."""
        for key in table.later:
            if not _may_be_null(table.relation, key):
                continue
            rows = self._parent_rows(table.relation, key)
            if not rows:
                continue
            change = ", ".join(f"{identifier(name)} = {value}" for name, value in rows[0].items())
            nulls = " AND ".join(
                f"{identifier(name)} IS NULL" for name in _nullable(table.relation, key)
            )
            for place in table.places[: ROWS - 1]:
                # Another key of the row may have been filled before: then it has moved, and is
                # found no more. One key of each circle is enough.
                sql = (
                    f"UPDATE {qualified(table.relation)} SET {change} "
                    f"WHERE ctid = {literal(place)} AND {nulls}"
                )
                try:
                    self._run(sql)
                except psycopg.Error:
                    if self._connection.closed:
                        raise

    def _parent_rows(self, relation: Relation, key: Constraint) -> list[dict[str, str]]:
        """Return values that a foreign key may have, by column."""
        target = key.references
        assert target is not None  # noqa: S101 - it is a foreign key
        types = {column.name: column.type for column in relation.columns}
        wanted = ", ".join(f"{identifier(name)}::text" for name in target.columns)
        filled = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in target.columns)
        sql = (
            f"SELECT {wanted} FROM {identifier(target.schema)}.{identifier(target.table)} "
            f"WHERE {filled} LIMIT {_PARENTS}"
        )
        return [
            {
                name: f"{literal(text)}::{types[name]}"
                for name, text in zip(key.columns, row, strict=True)
            }
            for row in self._run(sql).fetchall()
        ]

    def _has_rows(self, relation: Relation) -> bool:
        only = "" if relation.partition_key else "ONLY "
        sql = f"SELECT 1 FROM {only}{qualified(relation)} LIMIT 1"
        return self._run(sql).fetchone() is not None

    def _near(self, relation: Relation, column: Column) -> list[str]:
        """Return the literals that constraints on a column name."""
        texts = [
            each.definition
            for each in relation.constraints
            if each.type == "check" and column.name in each.columns
        ]
        texts += self._values.constraints(column.type)
        if column.name in self._partitioned_by(relation):
            texts += [each.partition_bound or "" for each in self._partitions(relation)]
        return list(dict.fromkeys(found for text in texts for found in literals(text)))

    def _partitioned_by(self, relation: Relation) -> str:
        """Return the keys by which a table and its partitions are divided."""
        divided = (relation, *self._partitions(relation))
        return " ".join(each.partition_key or "" for each in divided)

    def _partitions(self, relation: Relation) -> list[Relation]:
        """Return the partitions of a table, those of partitions too."""
        if relation.partition_key is None:
            return []
        name = shown(relation)
        own = [
            each
            for each in self._schema.relations
            if each.partition_bound is not None and name in each.inherits
        ]
        return [*own, *(inner for each in own for inner in self._partitions(each))]

    def _tried(self, type_name: str, near: Sequence[str], *, near_first: bool = False) -> list[str]:
        """Return the expressions of a type that PostgreSQL takes."""
        memo = (f"{type_name}{near_first}", tuple(near))
        if memo not in self._usable:
            offered = self._values.of(type_name, near)
            if near_first:
                offered = [*(f"{literal(text)}::{type_name}" for text in near), *offered]
            offered = list(dict.fromkeys(offered))
            # Most often all of them are; asking once spares a dozen round trips.
            taken = self._is_taken(*offered)
            self._usable[memo] = offered if taken else list(filter(self._is_taken, offered))
        return self._usable[memo]

    def _is_taken(self, *expressions: str) -> bool:
        try:
            self._run(f"SELECT {', '.join(expressions)}")
        except psycopg.Error:
            if self._connection.closed:
                raise
            return False
        return True

    def _run(self, sql: str) -> psycopg.Cursor[Any]:
        return self._connection.execute(sql.encode())


def _is_given(relation: Relation, column: Column) -> bool:
    """Whether a column gets a value from here, rather than its own."""
    if column.generated is not None:
        return False
    counted = column.identity is not None or "nextval(" in (column.default or "")
    return not counted or _points_at_itself(relation, column)


def _points_at_itself(relation: Relation, column: Column) -> bool:
    """Whether a foreign key that must not be NULL points from the table at this column of it."""
    return any(
        key.references is not None
        and (key.references.schema, key.references.table) == (relation.schema, relation.name)
        and column.name in key.references.columns
        and not _may_be_null(relation, key)
        for key in relation.foreign_keys
    )


def _nullable(relation: Relation, key: Constraint) -> list[str]:
    free = {column.name for column in relation.columns if not column.not_null}
    return [name for name in key.columns if name in free]


def _may_be_null(relation: Relation, key: Constraint) -> bool:
    return bool(_nullable(relation, key))


def _tied(relation: Relation, names: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the columns that are to be chosen together, with the CHECKs that tie them."""
    groups = {name: {name} for name in names}
    checks = [
        each
        for each in relation.constraints
        if each.type == "check" and each.columns and set(each.columns) <= groups.keys()
    ]
    for check in checks:
        together = set().union(*(groups[name] for name in check.columns))
        for name in together:
            groups[name] = together
    for group in dict.fromkeys(frozenset(groups[name]) for name in names):
        inside = [each.definition for each in checks if set(each.columns) <= group]
        yield [name for name in names if name in group], inside


def _attempts(relation: Relation, number: int) -> Iterator[tuple[frozenset[str], int]]:
    """Yield what to try for a row: the columns that differ from row to row, and how far on."""
    everything = frozenset(column.name for column in relation.columns)
    foreign = {name for key in relation.foreign_keys for name in key.columns}
    if number < ROWS - 1:
        yield frozenset(_told_apart(relation)), number
    else:
        required = {column.name for column in relation.columns if column.not_null}
        yield frozenset(required - foreign), number
        yield frozenset(required), number
    yield everything - foreign, number
    for shift in range(number, number + _SHIFTS):
        yield everything, shift


def _told_apart(relation: Relation) -> Iterator[str]:
    """Yield a column of each key that two rows must not have in common."""
    foreign = {name for key in relation.foreign_keys for name in key.columns}
    own = {column.name for column in relation.columns if not _is_given(relation, column)}
    keys = [
        each.columns
        for each in relation.constraints
        if each.type in ("primary key", "unique", "exclude")
    ]
    keys += [
        tuple(name for name in each.columns if name) for each in relation.indexes if each.unique
    ]
    for columns in keys:
        if own & set(columns):
            continue
        yield from [name for name in columns if name not in foreign][:1] or columns[:1]
