"""Run a backfill whose values a function computes: read, call, write what is still as it was read.

The function is called outside of any transaction, for as long as it takes. A row that changed
meanwhile is not written; the log keeps its key, so that it is read and computed again, also by the
run that follows one which is killed.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neuron_schema.backfill_log import counted, known, source_sql
from neuron_schema.backfill_sql import bare, batch_sql
from neuron_schema.compiling import literals
from neuron_schema.compiling.compile_error import CompileError
from neuron_schema.compiling.rendering import DIALECT
from neuron_schema.execution.backfill import EMPTY_SWEEPS, Worker
from neuron_schema.execution.private import execute
from neuron_schema.locking import Deadline
from neuron_schema.quoting import literal

if TYPE_CHECKING:
    from neuron_schema.errors import OperationUnfinished
    from neuron_schema.model import RowFunction

_ROUNDS = 20
"""How often rows are computed again that change while they are computed."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was read: its key as texts, its fingerprint, and its values by column."""

    key: tuple[str, ...]
    fingerprint: str
    values: dict[str, Any]


class RowsWorker(Worker):
    """One run of a backfill whose values a function computes."""

    _rounds = 0
    _before = 0
    _delays = Deadline(math.inf)
    _sweeps = 0
    _other_text = ""

    @property
    def _function(self) -> RowFunction:
        assert self.spec.rows is not None  # noqa: S101 - the caller's reason to call
        return self.spec.rows

    def check_function(self) -> None:
        """Tell when another text of the function is called by the same revision."""
        rows = self.fetch(source_sql(self.log, self.step))
        own = self._function
        if rows and own.source is not None:
            revision, source = rows[0]
            if revision == own.revision and source != own.source:
                self._other_text = (
                    f"the text of {own.name} is another than before, under the same revision "
                    f"{own.revision}"
                )
                self.around.warn(f"{self.step.label}: {self._other_text}")

    def batch(self) -> str:
        """Read rows and compute their values; return the statement that writes them."""
        at = self.position
        self._pause_before_another_round()
        size = self.spec.batch_size
        rows = self._read(self.walk.read_sql(at.after, size, only=at.again[:size]))
        later = at.again[size:]
        after, ended = at.after, at.ended
        if not at.again:
            ended = len(rows) < size
            after = None if ended else rows[-1].key
        computed = self._compute(rows)
        told = known(at) | self.same | {"after": after, "ended": ended}
        told |= {"left": at.left + sum(one is None for one in computed)}
        told |= {"revision": self._function.revision}
        if at.n == self.begins.n:
            told["source"] = self._function.source
        return self._statement(
            [(row, new) for row, new in zip(rows, computed, strict=True) if new], told, later
        )

    def is_done(self) -> bool:
        """Return whether the rows that match are those that the function left as they were."""
        at = self.position
        if at.swept:
            return False
        self._sweeps += 1
        (matching,) = self.fetch(self.walk.count_sql())[0]
        return matching <= at.left or self._sweeps >= EMPTY_SWEEPS

    def notes(self) -> list[str]:
        """Return what is to be said of it at its end."""
        left = self.position.left
        said = [f"{left} rows were left as they were"] if left else []
        return [*super().notes(), *said, *([self._other_text] if self._other_text else [])]

    def _pause_before_another_round(self) -> None:
        """Let rows come to rest that changed while they were computed."""
        again = self.position.again
        before, self._before = self._before, len(again)
        if not again or len(again) < before:
            self._rounds, self._delays = 0, Deadline(math.inf)
        if not again:
            return
        self._rounds += 1
        if self._rounds > _ROUNDS:
            shown = ", ".join("/".join(key) for key in again[:3])
            raise self.refuse(
                "rows change each time that their values are computed, or cannot be changed: "
                + shown,
                "run again when they come to rest; look for a trigger or a policy that keeps them "
                "from being changed",
            )
        time.sleep(self._delays.delay() or 0)

    def _read(self, sql: str) -> list[Row]:
        cursor = execute(self.connection, sql)
        names = [bare(name) for name in self.walk.read]
        loaders = [
            _loader(self._function.types[name], column.type_code)
            for name, column in zip(names, (cursor.description or [])[2:], strict=True)
        ]
        try:
            return [
                Row(
                    tuple(key),
                    fingerprint,
                    {
                        name: value if load is None else load(value)
                        for name, load, value in zip(names, loaders, values, strict=True)
                    },
                )
                for key, fingerprint, *values in cursor.fetchall()
            ]
        except Exception as error:
            # Python has no infinite date, and a column's type in the version is the author's.
            raise self.refuse(
                f"a row cannot be given to {self._function.name}: {type(error).__name__}: {error}",
                "leave such rows out with `where`, or mend what they hold or how the version "
                "declares it; the batches before it are done and stay so",
            ) from error

    def _compute(self, rows: list[Row]) -> list[Mapping[str, Any] | None]:
        """Call the function, and check what it returns."""
        if not rows:
            return []
        name = self._function.name
        try:
            computed = self._function.function([dict(row.values) for row in rows])
        except Exception as error:
            raise self.refuse(
                f"{name} raised {type(error).__name__}: {error}",
                "run again when the cause is mended; the batches before it are done and stay so",
            ) from error
        if not isinstance(computed, Sequence) or len(computed) != len(rows):
            got = (
                f"{len(computed)} rows"
                if isinstance(computed, list | tuple)
                else f"a {type(computed).__name__}"
            )
            raise self._wrong(f"{name} returned {got} for {len(rows)} rows")
        for one in computed:
            if one is not None and not isinstance(one, Mapping):
                raise self._wrong(f"{name} returned a {type(one).__name__} for a row")
        return list(computed)

    def _columns(self, new: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return the names of the columns that are written."""
        name, columns = self._function.name, list(new[0])
        for one in new:
            if one.keys() != new[0].keys():
                raise self._wrong(
                    f"{name} returned {', '.join(map(str, new[0]))} for one row and "
                    f"{', '.join(map(str, one))} for another"
                )
        for column in columns:
            if column not in self._function.types or column not in self.column_types:
                raise self._wrong(f"{name} returned {column!r}, which is no column of the table")
            if column in map(bare, self.spec.key):
                raise self._wrong(f"{name} returned {column!r}, which belongs to the key")
        return columns

    def _wrong(self, text: str) -> OperationUnfinished:
        return self.refuse(
            text,
            "let it return a list with one item for each row that it was given, in their order: "
            "a dict of new values by column, the same columns for all of them, or None",
        )

    def _statement(
        self,
        written: list[tuple[Row, Mapping[str, Any]]],
        told: dict[str, object],
        later: tuple[tuple[str, ...], ...],
    ) -> str:
        """Return what writes rows, and tells the log of them."""
        at = self.position
        if not written:
            nothing = counted(at, "0") | {"still": "0"}
            entry = self.entry(told | {"again": later}, nothing)
            return f"{entry}\nRETURNING progress::pg_catalog.text"
        columns = self._columns([new for _, new in written])
        names = ["neuron_schema_print", *(f"neuron_schema_v{i}" for i in range(len(columns)))]
        values = [
            (
                str(i),
                *self._key(row),
                literal(row.fingerprint),
                *(self._value(column, new[column]) for column in columns),
            )
            for i, (row, new) in enumerate(written)
        ]
        quoted = [DIALECT.identifier_preparer.quote(column) for column in columns]
        again = self.walk.unwritten
        counts = counted(at, "pg_catalog.count(neuron_schema_changed.neuron_schema_i)")
        if later:
            known_before = f"{literal(json.dumps(later))}::pg_catalog.jsonb"
            again = f"({again}::pg_catalog.jsonb || {known_before})"
        return batch_sql(
            self.walk.update_rows(quoted),
            f"neuron_schema_i, {self.walk.returning}",
            self.entry(told, counts | {"still": self.walk.still, "again": again}),
            self.walk.input(names, values),
        )

    def _key(self, row: Row) -> list[str]:
        pairs = zip(row.key, self.walk.key_types, strict=True)
        return [f"{literal(text)}::{type_}" for text, type_ in pairs]

    def _value(self, column: str, value: Any) -> str:
        """Return a value as the column's type writes it."""
        try:
            text = _rendered(value, self._function.types[column])
        except (CompileError, ValueError, TypeError) as error:
            raise self._wrong(f"{self._function.name} returned for {column!r}: {error}") from error
        if "\0" in text:
            raise self._wrong(
                f"{self._function.name} returned for {column!r} a NUL byte, which no text of "
                "PostgreSQL can hold"
            )
        return f"CAST({text} AS {self.column_types[column]})"


def _rendered(value: Any, type_: Any) -> str:
    if getattr(type_, "_has_bind_expression", False):
        from sqlalchemy import literal as bound

        made = bound(value, type_).compile(dialect=DIALECT, compile_kwargs={"literal_binds": True})
        return str(made)
    return literals.full(value, type_, DIALECT)


def _loader(type_: Any, code: int) -> Any:
    """Return what makes a value of Python from what psycopg loads, as SQLAlchemy would."""
    return type_.dialect_impl(DIALECT).result_processor(DIALECT, code)
