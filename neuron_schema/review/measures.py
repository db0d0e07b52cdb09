"""What was measured of versions under review, as frozen values.

Only what was there before a version is told of: what it makes itself nobody else can wait for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuron_schema.catalog import ObjectName
    from neuron_schema.review.locks import Access, LockMode


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLock:
    """A lock on a relation that was there before the version.

    Attributes:
        table: The table or materialized view; a lock on its index or TOAST table counts as its own
            only where the statement takes none on the table itself.
        mode: The strongest one that is held.
        blocks: What a second session was kept from when it tried.
        proven: Whether one could try; else ``blocks`` is what the mode's table in the manual says.
        named: Whether the statement names the table.
    """

    table: ObjectName
    mode: LockMode
    blocks: tuple[Access, ...]
    proven: bool = True
    named: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """All rows of a table were read.

    Attributes:
        times: How often.
        why: The server's own words for it (``verifying table "t"``), or "".
    """

    table: ObjectName
    times: int
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexBuild:
    """An index of a table that was there before was built over its rows.

    Attributes:
        index: The index, with its table as ``parent``.
        method: ``btree``, ``hnsw``, ...
        rebuilt: It was there before, and was built anew (by a rewrite, or by REINDEX).
    """

    index: ObjectName
    method: str
    rebuilt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Rows of a table that was there before and that a statement wrote, counted."""

    table: ObjectName
    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Rows of a table that was there before, which a statement changes where there are any.

    Attributes:
        updates: It updates them.
        deletes: It deletes them.
        most: How many there can be, whatever is in the table, as a unique key or the statement's
            own list tells; None where as many as there are, or where nothing tells.
    """

    table: ObjectName
    updates: bool
    deletes: bool
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """PostgreSQL refused a statement.

    Attributes:
        sqlstate: Its five letters, or "" where PostgreSQL gave none.
        message: What it said.
        rows_only: It refuses where there are rows, and not on empty tables.
        detail: What it added, such as what depends on an object; "" where that tells of rows,
            which are none of the user's.
    """

    sqlstate: str
    message: str
    rows_only: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockTimeout:
    """How many milliseconds a statement could wait for a lock; 0 is no limit.

    Attributes:
        before: When it began.
        after: When it had ended. What it sets and puts back within itself is not seen.
        reset: It made that what the server, the database or the role says, of which nobody knows
            what that is elsewhere: ``after`` is 0.
    """

    before: int
    after: int
    reset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What one statement did, run in one way.

    Attributes:
        locks: The locks that it took newly or more strongly; strongest first, then by name.
        held: Those that its transaction held already when it began.
        rewritten: Tables and materialized views that were written anew, row by row.
        built: Indexes that were built.
        scans: Tables that were read whole, whatever for.
        written: Rows that it wrote.
        sought: Rows that it was to change, whether there were any or not; nothing is known of an
            operation that PostgreSQL commits on its own.
        wal_bytes: Bytes of write-ahead log; of a few rows, so only ever to be compared. It is the
            server's, so that it differs a little from time to time, and a shared one adds others'.
        cascaded: What it dropped without naming it, columns and indexes included.
        truncated: Tables that it emptied without reading them.
        touched: What it made or dropped, and the columns and constraints that it altered; renamed
            things under both names, nothing of what is in a new or dropped table. None where
            nobody looked.
        renamed: Tables and columns, each with its new name.
        filled: Tables into which it wrote rows and of which nothing else is told: new ones.
        said: The server's messages at debug level that tell of work.
        lock_timeout: What limited its waiting for locks; None where nothing does, as PostgreSQL
            commits it on its own.
        unchecked: It ran where session_replication_role is ``replica``: without triggers, and
            without PostgreSQL's own that check foreign keys.
        failed: How it failed, or None.
    """

    locks: tuple[TableLock, ...] = ()
    held: tuple[TableLock, ...] = ()
    rewritten: tuple[ObjectName, ...] = ()
    built: tuple[IndexBuild, ...] = ()
    scans: tuple[Scan, ...] = ()
    written: tuple[Written, ...] = ()
    sought: tuple[Sought, ...] = ()
    wal_bytes: int = 0
    cascaded: tuple[ObjectName, ...] = ()
    truncated: tuple[ObjectName, ...] = ()
    touched: tuple[ObjectName, ...] | None = None
    renamed: tuple[tuple[ObjectName, ObjectName], ...] = ()
    filled: tuple[ObjectName, ...] = ()
    said: tuple[str, ...] = ()
    lock_timeout: LockTimeout | None = None
    unchecked: bool = False
    failed: Failed | None = None

    @property
    def under(self) -> tuple[TableLock, ...]:
        """The strongest lock on each table while the statement ran: its own, and those held."""
        strongest: dict[ObjectName, TableLock] = {}
        for lock in (*self.held, *self.locks):
            known = strongest.get(lock.table)
            if known is None or lock.mode.strength > known.mode.strength:
                strongest[lock.table] = lock
        return tuple(
            sorted(strongest.values(), key=lambda each: (-each.mode.strength, each.table.sort_key))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementMeasure:
    """What one statement of a version did.

    Attributes:
        number: Its place in ``up``, from 1.
        shipped: In the version's own transaction, after the statements before it; None where one
            of those failed, not on rows only. Where one failed on rows, on empty tables.
        alone: In a transaction of its own; None where it cannot run without the others.
        concurrent: PostgreSQL commits it on its own.
    """

    number: int
    sql: str
    shipped: Measure | None
    alone: Measure | None = None
    concurrent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionMeasure:
    """What the statements of one version's ``up`` did, on tables with a few hostile rows.

    Attributes:
        version: Its digits.
        transactional: Whether all of them are one transaction.
        unmeasured: Sentences about what could not be measured.
    """

    version: str
    transactional: bool
    statements: tuple[StatementMeasure, ...]
    unmeasured: tuple[str, ...] = field(default=())
