"""The SQL of a backfill: where a batch ends, and the one statement that writes it. Pure text.

A batch is a range of the key: above where the last one ended, up to its own edge. Its bounds are
literals of the key's types, so that the planner sees them. The names that stand beside the author's
expressions begin with ``neuron_schema_``, so that no column of theirs is taken for one of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuron_schema.quoting import do_block, literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from neuron_schema.model import BackfillSpec

CONDITION_HOLDS = "neuron_schema_backfill_condition"
"""The constraint name under which the server tells that a change leaves its condition true."""

SESSION_SQL = (
    "SELECT pg_catalog.set_config('DateStyle', 'ISO', false), "
    "pg_catalog.set_config('IntervalStyle', 'postgres', false), "
    "pg_catalog.set_config('extra_float_digits', '1', false), "
    "pg_catalog.set_config('idle_session_timeout', '0', false), "
    "pg_catalog.current_setting('enable_sort'), "
    "pg_catalog.set_config('enable_sort', 'off', false)"
)
"""Sets a backfill's session; the last but one column is how ``enable_sort`` was.

A key that was turned into text is to be the same key when it is read again, and the session is to
wait for as long as a function takes. Where few rows are expected to match (a column that is new has
no statistics), the planner would read and sort the whole table to find where each batch ends;
without sorting it goes along the key's index. A batch itself is planned as ever.
"""

STANDBYS_SQL = (
    "SELECT application_name, EXTRACT(epoch FROM replay_lag)::pg_catalog.float8, "
    "pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), replay_lsn)::pg_catalog.float8 "
    "FROM pg_catalog.pg_stat_replication WHERE state IN ('streaming', 'catchup')"
)
"""Who replicates this server, and by how much each is behind in seconds and in bytes.

https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW
"""


def relation_sql(table: str) -> str:
    """Return a query of at most one row: what the server knows of a table.

    Its number, its kind, about how many rows it has (NULL: never counted), and about how many were
    ever inserted.

    Args:
        table: As a statement names it.
    """
    return f"""\
SELECT c.oid::pg_catalog.int8, c.relkind::pg_catalog.text,
       (SELECT CASE WHEN pg_catalog.min(p.reltuples) >= 0
                    THEN pg_catalog.sum(p.reltuples)::pg_catalog.int8 END
          FROM pg_catalog.pg_class p WHERE p.oid IN (SELECT {_PARTS}) AND p.relkind = 'r'),
       (SELECT pg_catalog.sum(pg_catalog.pg_stat_get_tuples_inserted(parts.oid))::pg_catalog.int8
          FROM (SELECT {_PARTS} AS oid) parts)
  FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass({literal(table)})"""


# The table, or the partitions that hold its rows.
_PARTS = (
    "pg_catalog.unnest(pg_catalog.array_append(ARRAY("
    "SELECT t.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree(c.oid) t WHERE t.isleaf), "
    "c.oid))"
)


def columns_sql(table: str) -> str:
    """Return a query of a table's columns: name, type, and whether none of them can be NULL."""
    return f"""\
SELECT a.attname::pg_catalog.text, pg_catalog.format_type(a.atttypid, -1),
       a.attnotnull AND NOT EXISTS (
         SELECT FROM pg_catalog.pg_constraint n WHERE n.conrelid = a.attrelid
            AND n.contype = 'n' AND NOT n.convalidated AND a.attnum = ANY (n.conkey)),
       a.attnum::pg_catalog.int4
  FROM pg_catalog.pg_attribute a
 WHERE a.attrelid = pg_catalog.to_regclass({literal(table)})
   AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum"""


def unique_sql(table: str) -> str:
    """Return a query of the columns of each unique index that covers all rows of a table."""
    return f"""\
SELECT ARRAY(SELECT a.attname::pg_catalog.text
               FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[])
                    WITH ORDINALITY AS k (attnum, place)
               JOIN pg_catalog.pg_attribute a
                 ON a.attrelid = i.indrelid AND a.attnum = k.attnum
              WHERE k.place <= i.indnkeyatts ORDER BY k.place)
  FROM pg_catalog.pg_index i
 WHERE i.indrelid = pg_catalog.to_regclass({literal(table)})
   AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL"""


def bare(name: str) -> str:
    """Return a quoted name as the catalog has it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """How a table is walked through.

    Attributes:
        key_types: The types of the key's columns.
    """

    spec: BackfillSpec
    key_types: tuple[str, ...]

    @property
    def key(self) -> str:
        """The key of the table's row: one column, or several in brackets."""
        return tuple_of(f"{self.spec.table}.{name}" for name in self.spec.key)

    @property
    def order(self) -> str:
        """The key's columns, for ORDER BY."""
        return ", ".join(f"{self.spec.table}.{name}" for name in self.spec.key)

    @property
    def key_texts(self) -> str:
        """The key's columns as texts, for SELECT."""
        names = (f"{self.spec.table}.{name}" for name in self.spec.key)
        return ", ".join(f"{name}::pg_catalog.text" for name in names)

    def bound(self, texts: Sequence[str]) -> str:
        """Return a key that was turned into texts."""
        values = zip(texts, self.key_types, strict=True)
        return tuple_of(f"{literal(text)}::{type_}" for text, type_ in values)

    def condition(
        self, after: Sequence[str] | None, upto: Sequence[str] | None = None, *, where: bool = True
    ) -> str:
        """Return the WHERE of what lies in a range, or "" where that is all.

        Args:
            after: The key above which it begins; None for the first.
            upto: The key at which it ends; None for the last.
            where: Only those rows that are to be changed.
        """
        parts = []
        if after is not None:
            parts.append(f"{self.key} > {self.bound(after)}")
        if upto is not None:
            parts.append(f"{self.key} <= {self.bound(upto)}")
        if where and self.spec.where is not None:
            parts.append(f"({self.spec.where})")
        return "\n WHERE " + "\n   AND ".join(parts) if parts else ""

    def edge_sql(self, after: Sequence[str] | None, size: int) -> str:
        """Return a query of the key at which a batch ends; no row where fewer are left."""
        return (
            f"SELECT {self.key_texts}\n  FROM {self.spec.table}{self.condition(after)}\n"
            f" ORDER BY {self.order}\nOFFSET {size - 1} LIMIT 1"
        )

    def left_sql(self) -> str:
        """Return a query of one boolean: whether a row is still to be changed."""
        return f"SELECT EXISTS (SELECT FROM {self.spec.table}{self.condition(None)})"

    def update(self, after: Sequence[str] | None, upto: Sequence[str] | None) -> str:
        """Return the UPDATE of a batch, without what it returns."""
        changes = ",\n       ".join(f"{name} = {value}" for name, value in self.spec.set_)
        return f"UPDATE {self.spec.table}\n   SET {changes}{self.condition(after, upto)}"

    @property
    def returning(self) -> str:
        """Whether a changed row is still to be changed."""
        return f"({self.spec.where}) AS neuron_schema_still" if self.spec.where else "1"

    @property
    def still(self) -> str:
        """How many changed rows are still to be changed."""
        if self.spec.where is None:
            return "0"
        return "pg_catalog.count(*) FILTER (WHERE neuron_schema_changed.neuron_schema_still)"

    @property
    def fingerprint(self) -> str:
        """What differs as soon as one of the columns does that a function reads.

        Of its text, because not every type has an equality (json), and equal is not the same
        (1.0 and 1.00).
        """
        assert self.spec.rows is not None  # noqa: S101 - only for these
        columns = ", ".join(f"{self.spec.table}.{name}" for name in self.spec.rows.columns)
        return (
            "pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to("
            f"ROW({columns})::pg_catalog.text, 'UTF8')), 'hex')"
        )

    def read_sql(
        self,
        after: Sequence[str] | None,
        size: int,
        *,
        only: Sequence[Sequence[str]] = (),
    ) -> str:
        """Return a query of rows: key as texts, fingerprint, and each of ``read`` as it is.

        Args:
            after: The key above which they are; None for the first.
            size: So many, and those with the last one's key: of a table that others inherit from
                the key is unique in each of them alone.
            only: These keys alone.
        """
        columns = ", ".join(f"{self.spec.table}.{name}" for name in self.read)
        condition = self.condition(None if only else after)
        if only:
            keys = ", ".join(self.bound(texts) for texts in only)
            condition += f"\n {'AND' if condition else 'WHERE'} {self.key} IN ({keys})"
        return (
            f"SELECT ARRAY[{self.key_texts}], {self.fingerprint}, {columns}\n"
            f"  FROM {self.spec.table}{condition}\n ORDER BY {self.order}\n"
            f" FETCH FIRST {size} ROWS WITH TIES"
        )

    @property
    def read(self) -> tuple[str, ...]:
        """The quoted names of the columns that a function is given."""
        assert self.spec.rows is not None  # noqa: S101 - only for these
        return tuple(dict.fromkeys((*self.spec.key, *self.spec.rows.columns)))

    def input(self, names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
        """Return the CTE of computed values, with its comma.

        Args:
            names: What stands beside the number and the key, by its name in the CTE.
            rows: For each row all of its expressions.
        """
        columns = ["neuron_schema_i", *self._keys, *names]
        values = ",\n".join(f"({', '.join(row)})" for row in rows)
        return f"neuron_schema_input ({', '.join(columns)}) AS (VALUES\n{values}),\n"

    @property
    def _keys(self) -> list[str]:
        return [f"neuron_schema_k{i}" for i in range(len(self.spec.key))]

    def update_rows(self, columns: Sequence[str]) -> str:
        """Return the UPDATE that writes computed values to the rows that are as they were read.

        Args:
            columns: The quoted names of what is written, in the order of the CTE's ``..._v``.
        """
        changes = ", ".join(f"{name} = neuron_schema_v{i}" for i, name in enumerate(columns))
        same = [
            f"{self.spec.table}.{name} = {key}"
            for name, key in zip(self.spec.key, self._keys, strict=True)
        ]
        same.append(f"{self.fingerprint} = neuron_schema_print")
        if self.spec.where is not None:
            same.append(f"({self.spec.where})")
        condition = "\n   AND ".join(same)
        return (
            f"UPDATE {self.spec.table}\n   SET {changes}\n  FROM neuron_schema_input\n"
            f" WHERE {condition}"
        )

    @property
    def unwritten(self) -> str:
        """The keys of computed rows that were not written, as json."""
        texts = ", ".join(f"{key}::pg_catalog.text" for key in self._keys)
        return (
            f"COALESCE(pg_catalog.json_agg(pg_catalog.json_build_array({texts})) "
            "FILTER (WHERE neuron_schema_changed.neuron_schema_i IS NULL), '[]')"
        )

    def count_sql(self) -> str:
        """Return a query of how many rows are still to be changed."""
        return f"SELECT pg_catalog.count(*) FROM {self.spec.table}{self.condition(None)}"


def batch_sql(update: str, returning: str, insert: str, source: str = "") -> str:
    """Return the statement that writes a batch and tells the log of it.

    Args:
        update: The UPDATE.
        returning: What it returns of each row.
        insert: What tells the log, up to its FROM.
        source: CTEs before it, each with its comma.
    """
    frm = "neuron_schema_input LEFT JOIN neuron_schema_changed USING (neuron_schema_i)"
    return (
        f"WITH {source}neuron_schema_changed AS (\n{update}\nRETURNING {returning})\n{insert}\n"
        f"  FROM {frm if source else 'neuron_schema_changed'}\n"
        "RETURNING progress::pg_catalog.text"
    )


def progress_sql(known: Mapping[str, object], counted: Mapping[str, str]) -> str:
    """Return an expression of the type json: what a batch's row in the log tells.

    Args:
        known: What is known before.
        counted: Names and SQL expressions.
    """
    pairs = [
        f"{literal(name)}, {literal(json.dumps(value))}::pg_catalog.json"
        for name, value in known.items()
    ]
    pairs += [f"{literal(name)}, {sql}" for name, sql in counted.items()]
    return f"pg_catalog.json_build_object({', '.join(pairs)})"


def check_sql(log: str, *, version: str, direction: str, attempt: int, n: int) -> str:
    """Return a DO that raises where rows of the batch just written would be changed again.

    Args:
        log: The log's quoted name.
        version: With the others, what the batch's row in the log is known by.
    """
    return do_block(
        "  IF (SELECT (progress ->> 'still')::pg_catalog.int8 > 0\n"
        f"        FROM {log} WHERE version = {literal(version)} "
        f"AND direction = {literal(direction)} AND attempt = {attempt} AND n = {n}) THEN\n"
        "    RAISE EXCEPTION 'the condition of a backfill still holds for rows that it changed'\n"
        f"      USING ERRCODE = '23514', CONSTRAINT = '{CONDITION_HOLDS}';\n"
        "  END IF;"
    )


def tuple_of(parts: Iterable[str]) -> str:
    """Return expressions as one: a row of them, where there are several."""
    texts = tuple(parts)
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
