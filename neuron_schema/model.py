"""The values that flow through neuron-schema, all frozen.

``discovery`` makes ``VersionInfo`` and ``Migration``, ``history`` makes ``AppliedRow``,
``planning`` turns them into ``MigrationStatus`` and ``Plan``, ``runner`` turns a ``Plan``
into ``StepReport`` (what it tells meanwhile stands in ``events``).
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

RowSet: TypeAlias = tuple[tuple[str, str], ...]
"""Versions and checksums of rows of the history."""


class Direction(enum.StrEnum):
    """Which list of a version runs."""

    UP = "up"
    DOWN = "down"


class Status(enum.StrEnum):
    """How a version stands in a database.

    ``ahead``: applied, and newer than every file. ``missing``: applied, without a file,
    though some file is newer. ``taken``: another version, of another name and text, was applied
    under its number.
    """

    APPLIED = "applied"
    PENDING = "pending"
    MODIFIED = "modified"
    TAKEN = "taken"
    MISSING = "missing"
    AHEAD = "ahead"


class Purpose(enum.StrEnum):
    """What a step does beside its entry in the history."""

    RUN = "run"
    """It runs the version's statements."""

    BASELINE = "baseline"
    """Nothing: what the version makes is there already."""

    REPAIR = "repair"
    """Nothing: the version's present text is accepted as the one that was applied."""


class Outcome(enum.StrEnum):
    """How a step ended."""

    APPLIED = "applied"
    ROLLED_BACK = "rolled back"
    BASELINED = "baselined"
    REPAIRED = "repaired"
    ALREADY = "done by another run"
    FAILED = "failed"
    NOT_RUN = "not run"


BACKFILL_ROWS = "BACKFILL ROWS"
"""The kind of an operation whose values a function of the version's file computes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFunction:
    """What computes a backfill's values outside of the database.

    Attributes:
        function: Takes rows, returns for each the new values by column, or None.
        name: What the function calls itself.
        columns: The quoted names of what it reads, beside the key.
        types: The table's columns and their SQLAlchemy types, by their names in the database.
        revision: What its author calls this state of it.
        source: Its text, or None where that cannot be had.
    """

    function: Callable[[list[dict[str, Any]]], Any]
    name: str
    columns: tuple[str, ...]
    types: Mapping[str, Any]
    revision: str
    source: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillSpec:
    """What a backfill does to each row, and how it walks through them. All of it is SQL.

    Attributes:
        table: The table, as a statement names it.
        key: The quoted names of the columns in whose order it walks.
        set_: Columns and what each is set to; none where a function computes the values.
        where: Which rows are to be changed; None for all.
        batch_size: How many rows the first batch has; where a function computes, the most it
            is given at once.
        pause_s: Seconds between two batches.
        rows: What computes the values outside of the database.
    """

    table: str
    key: tuple[str, ...]
    set_: tuple[tuple[str, str], ...] = ()
    where: str | None = None
    batch_size: int = 1000
    pause_s: float = 0.0
    rows: RowFunction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCommit:
    """How an operation that PostgreSQL commits on its own is made safe to repeat.

    Attributes:
        kind: What it is, in SQL's words: ``CREATE INDEX CONCURRENTLY``.
        probe: A query of one row and one text column that says how the database stands:
            ``absent`` (run it), ``invalid`` (run ``repair``, then it), ``done`` (leave it) or
            ``different`` (something else has the name). None: simply run it again.
        repair: Statements that clear away what an interrupted attempt left behind.
        cleanup: A query of one text column whose rows are such statements, where only the catalog
            knows the names. It is asked before anything else, and after an attempt that failed.
        backfill: What is done batch by batch, instead of the statement; the log remembers how
            far it came.
        sample: Statements, the last of them a query of one bool, for a transaction that is rolled
            back: they tell whether what the probe calls ``done`` before the statement was run is
            what is wanted. Where the role may not run them, the probe's word holds.
    """

    kind: str
    probe: str | None = None
    repair: tuple[str, ...] = ()
    cleanup: str | None = None
    backfill: BackfillSpec | None = None
    sample: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One SQL statement, as it is sent.

    Attributes:
        sql: One statement, without a closing semicolon, `%` and `:` as PostgreSQL sees them.
        own_commit: Set when PostgreSQL commits it on its own.
    """

    sql: str
    own_commit: OwnCommit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInfo:
    """What is known of a version without its SQL.

    Attributes:
        version: The digits as the file name spells them, 1 to 10 of them.
        name: The rest of the file name, at most 255 characters.
        description: The first line of the module's docstring, or "".
        checksum: 64 hex digits over the canonical SQL of ``up`` and ``down``.
        path: The module's file.
        replaces: Of a squashed version, the rows that a database may have instead of its own, each
            set of which stands for all of it.
    """

    version: str
    name: str
    description: str
    checksum: str
    path: str
    replaces: tuple[RowSet, ...] = ()

    @property
    def number(self) -> int:
        """The version as a number; order, matching and targets go by it."""
        return int(self.version)

    @property
    def label(self) -> str:
        """Version and name as the file name joins them."""
        return f"{self.version}_{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration(VersionInfo):
    """A version with its SQL.

    Attributes:
        up_statements: What applies it; never empty.
        down_statements: What rolls it back; empty when there is nothing to undo.
        irreversible: Why it cannot be rolled back, or None.
        settings: Names and values that PostgreSQL's own are set to while it runs.
        accept: Hazards that its review is to accept, each with the reason.
    """

    up_statements: tuple[Statement, ...]
    down_statements: tuple[Statement, ...]
    irreversible: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    accept: tuple[tuple[str, str], ...] = ()

    @property
    def up(self) -> str:
        """The SQL of ``up``, statements ended by semicolons."""
        return script(self.up_statements)

    @property
    def down(self) -> str:
        """The SQL of ``down``, statements ended by semicolons; "" for nothing to undo."""
        return script(self.down_statements)


def script(statements: tuple[Statement, ...]) -> str:
    """Join statements into text that psql runs as it stands."""
    return "\n\n".join(ended(statement.sql) for statement in statements)


def ended(sql: str) -> str:
    """Return a statement with its semicolon, outside of a comment in its last line."""
    return f"{sql}\n;" if "--" in sql.rpartition("\n")[2] else f"{sql};"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedRow:
    """A row of the history table.

    Attributes:
        covers: Further rows that are there for it, where a squashed version stands for several.
    """

    version: str
    name: str
    applied_at: dt.datetime | None
    checksum: str | None
    covers: tuple[AppliedRow, ...] = ()

    @property
    def number(self) -> int:
        """The version as a number."""
        return int(self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """A row of the log; of a version applied without one, what the history table tells.

    Attributes:
        run_id: Rows of one run share it.
        kind: ``transaction``, or the operation that commits on its own.
        outcome: How it ended, in the words of ``Outcome``.
        duration_ms: Milliseconds, as the server counted them.
        database_user: Who had logged in.
        sqlstate: Of a failure, where PostgreSQL gave one.
        up: The statements of both directions as they were then.
        down: None when the version could not be rolled back.
    """

    version: str
    name: str
    direction: str
    outcome: str
    started_at: dt.datetime | None
    checksum: str | None
    run_id: str | None = None
    kind: str | None = None
    duration_ms: float | None = None
    database_user: str | None = None
    host: str | None = None
    application: str | None = None
    tool_version: str | None = None
    sqlstate: str | None = None
    message: str | None = None
    up: tuple[str, ...] = ()
    down: tuple[str, ...] | None = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationStatus:
    """One line of ``status``.

    Attributes:
        applied_at: When the server committed it (aware), None while it is pending.
        checksum: The recorded one when applied, else the file's.
        renamed_from: The recorded name, where the file has another one.
        covers: The older versions that were applied in place of a squashed one.
    """

    version: str
    name: str
    applied_at: dt.datetime | None
    status: Status
    description: str = ""
    checksum: str | None = None
    renamed_from: str | None = None
    covers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One direction of one version: either one transaction or one own-commit operation.

    Attributes:
        statements: What runs.
        opposite: What the version declares for the other direction; the log keeps both.
        irreversible: Why the version cannot be rolled back, or None.
        settings: Names and values that the version sets while it runs.
        expected: The checksum that a repair replaces.
        covers: Further rows of the history that go when a squashed version is rolled back.
    """

    version: str
    name: str
    description: str
    direction: Direction
    checksum: str
    statements: tuple[Statement, ...]
    path: str
    opposite: tuple[Statement, ...] = ()
    irreversible: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    purpose: Purpose = Purpose.RUN
    expected: str | None = None
    covers: tuple[AppliedRow, ...] = ()

    @property
    def runs(self) -> tuple[Statement, ...]:
        """The statements that are sent; none where only the history is put right."""
        return self.statements if self.purpose is Purpose.RUN else ()

    @property
    def outcome(self) -> Outcome:
        """What it ends as when it goes well."""
        if self.purpose is not Purpose.RUN:
            return Outcome.BASELINED if self.purpose is Purpose.BASELINE else Outcome.REPAIRED
        return Outcome.APPLIED if self.direction is Direction.UP else Outcome.ROLLED_BACK

    @property
    def transactional(self) -> bool:
        """Whether the step runs in one transaction."""
        return not any(statement.own_commit for statement in self.runs)

    @property
    def backfill(self) -> BackfillSpec | None:
        """What the step does batch by batch, or None."""
        own = None if self.transactional else self.statements[0].own_commit
        return own.backfill if own is not None else None

    @property
    def label(self) -> str:
        """Version and name as the file name joins them."""
        return f"{self.version}_{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a run will do, in order.

    Attributes:
        steps: What runs; empty when there is nothing to do.
        applied: The history the plan was made for; a step runs only while it still holds.
        warnings: Sentences about what is odd but goes on (``ahead``, a renamed file).
    """

    direction: Direction
    steps: tuple[Step, ...]
    applied: tuple[AppliedRow, ...] = ()
    warnings: tuple[str, ...] = ()
    purpose: Purpose = Purpose.RUN


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """How one step of a run ended.

    Attributes:
        duration_ms: Wall time in milliseconds, attempts and waits included.
        confirmed: True when the reply to COMMIT was lost and the history row told the outcome.
        rows: How many rows a backfill wrote, in all runs that it took; None for any other step.
        note: What is to be known of it beside, or "".
    """

    step: Step
    outcome: Outcome
    duration_ms: float = 0.0
    confirmed: bool = False
    rows: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run did: its steps in order, those that were not run included."""

    direction: Direction
    steps: tuple[StepReport, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a first look at a server tells.

    Attributes:
        version_num: ``server_version_num``, for instance 170011.
        version: What ``version()`` says, build platform included.
        through_pooler: The session's backend is not the one that libpq was told of.
        application: What the session's client calls itself.
    """

    version_num: int
    database: str
    user: str
    current_schema: str | None
    search_path: str
    version: str
    in_recovery: bool
    through_pooler: bool
    application: str = ""
