"""How findings say what was measured: names, sizes, locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.catalog.model import Kind, ObjectName, spelled
from neuron_schema.review.findings import Finding
from neuron_schema.review.hazards.facts import (
    held_since,
    lock_limit,
    lock_on,
    place,
    same_table,
    taken_on,
)
from neuron_schema.review.locks import Access

if TYPE_CHECKING:
    from collections.abc import Iterable

    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Severity
    from neuron_schema.review.hazards.facts import Ran
    from neuron_schema.review.measures import Failed, TableLock
    from neuron_schema.review.stats import TableStats

_UNIT = 1024
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def finding(
    case: Case,
    hazard: str,
    severity: Severity,
    object_: ObjectName | None,
    sentence: str,
    *,
    statement: int | None = None,
    reasons: Iterable[str] = (),
    remedy: str = "",
) -> Finding:
    """Return a finding of a case's version; without a remedy it gets its hazard's."""
    return Finding(
        hazard=hazard,
        severity=severity,
        version=case.migration.version,
        statement=statement,
        object=object_,
        sentence=sentence,
        reasons=tuple(reasons),
        remedy=remedy,
    )


def named(name: ObjectName) -> str:
    """Return a name for people: without ``public``; a column, but no other part, with its table."""
    parts = [name.schema if name.schema != "public" else None]
    parts += [name.parent if name.kind is Kind.COLUMN else None, name.name]
    written = ".".join(spelled(part) for part in parts if part is not None)
    return written if name.arguments is None else f"{written}({name.arguments})"


def table_name(name: ObjectName) -> str:
    """Return the name of the relation that something is a part of, for people."""
    return named(table_of(name))


def table_of(name: ObjectName) -> ObjectName:
    """Return the relation that something is a part of."""
    if name.parent is None or name.kind is Kind.OTHER:
        return name
    return ObjectName(kind=Kind.TABLE, schema=name.schema, name=name.parent)


def size_of(case: Case, table: ObjectName) -> TableStats | None:
    """Return how large the real table is, where that is known."""
    if case.stats is None:
        return None
    schema, own = place(table)
    return case.stats.tables.get(".".join(spelled(part) for part in (schema, own) if part))


def sized(case: Case, table: ObjectName) -> str:
    """Return a table's name, with its size where that is known."""
    size = size_of(case, table)
    if size is None:
        return table_name(table)
    rows = "1 row" if size.rows == 1 else f"{size.rows:,} rows"
    return f"{table_name(table)} (about {rows}, {amount(size.bytes)})"


def amount(count: float) -> str:
    """Return bytes in a unit that people read."""
    for unit in _UNITS:
        if count < _UNIT or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= _UNIT
    raise AssertionError


def listed(words: Iterable[str]) -> str:
    """Return words as a sentence lists them."""
    *rest, last = words
    return f"{', '.join(rest)} and {last}" if rest else last


def refusal(failed: Failed) -> str:
    """Return what PostgreSQL said when it refused a statement."""
    return f"{failed.message} ({failed.detail.rstrip('.')})" if failed.detail else failed.message


def numbers(counts: Iterable[int]) -> str:
    """Return ``statement 3``, or ``statements 3, 4 and 5``."""
    texts = [str(each) for each in counts]
    return f"statement{'s' if len(texts) > 1 else ''} {listed(texts)}"


def stopped(lock: TableLock) -> str:
    """Return what stops under a lock: ``reads and writes``; nobody writes a materialized view."""
    is_view = lock.table.kind is Kind.MATERIALIZED_VIEW
    told = (Access.READS,) if is_view else (Access.READS, Access.WRITES)
    return listed([str(each) for each in lock.blocks if each in told] or ["nothing"])


def duration(milliseconds: int) -> str:
    """Return a time as people say it."""
    return f"{milliseconds / 1000:g} s"


def waited(case: Case, each: Ran) -> str:
    """Return how long a statement waits for a lock: ``at most lock_timeout``."""
    limit = lock_limit(case, each)
    if limit is None:
        return "at most lock_timeout"
    if limit == 0:
        return "without a limit, as lock_timeout is 0"
    return f"at most {duration(limit)}, to which the version sets lock_timeout"


def stop_of(case: Case, each: Ran, table: ObjectName) -> str:
    """Return ``Reads and writes of nodes (about ...) stop``."""
    lock = lock_on(each.measure, table)
    what = stopped(lock) if lock is not None else "writes"
    verb = "stop" if " and " in what or what.endswith("s") else "stops"
    return f"{what[0].upper()}{what[1:]} of {sized(case, table)} {verb}"


def why(case: Case, each: Ran, table: ObjectName) -> str:
    """Return ``: ACCESS EXCLUSIVE is held from statement 1``, or "" for the statement's own."""
    lock = lock_on(each.measure, table)
    own = taken_on(each.measure, table)
    if lock is None or (own is not None and own.mode is lock.mode):
        return ""
    since = held_since(case, table, lock.mode)
    if since is None or since == each.number:
        return ""
    return f": {lock.mode} is held from statement {since}"


def reasons(case: Case, each: Ran, *tables: ObjectName) -> tuple[str, ...]:
    """Return what was measured of one statement and some tables."""
    told: list[str] = []
    for table in tables:
        told += _locks(case, each, table)
    told += _work(each, tables)
    quoted = [f'"{place(table)[1]}"' for table in tables]
    because = " ".join(
        scan.why
        for scan in each.measure.scans
        if any(same_table(scan.table, table) for table in tables)
    )
    said = [
        text
        for text in each.measure.said
        if text in because or any(word in text for word in quoted)
    ]
    told += [f"the server said: {text}" for text in said]
    failed = each.measure.failed
    if failed is not None:
        told.append(f"on a few hostile rows PostgreSQL refused: {failed.message}")
    return tuple(dict.fromkeys(told))


def _locks(case: Case, each: Ran, table: ObjectName) -> list[str]:
    told = []
    alone = taken_on(each.statement.alone, table)
    own = alone or taken_on(each.measure, table)
    name = table_name(table)
    if own is not None:
        head = "alone it takes" if alone is not None else "it takes"
        told.append(f"{head} {own.mode} on {name}: {_tried(own)}")
    lock = lock_on(each.measure, table)
    since = held_since(case, table, lock.mode) if lock is not None else None
    if lock is not None and since is not None and since < each.number:
        stronger = own is None or lock.mode.strength > own.mode.strength
        if stronger:
            text = f"{lock.mode} on {name} is held from statement {since}: {_tried(lock)}"
            told.append(text)
    return told


def _tried(lock: TableLock) -> str:
    """Return what a second session was kept from, or would be."""
    can = [text for access, text in _DOINGS if access not in lock.blocks]
    cannot = [text for access, text in _DOINGS if access in lock.blocks]
    verb = "could" if lock.proven else "can"
    if not cannot:
        return f"a second session {verb} read, write and alter it"
    if not can:
        return f"a second session {verb} neither read nor write it"
    return f"a second session {verb} {listed(can)} it, not {' or '.join(cannot)} it"


_DOINGS = ((Access.READS, "read"), (Access.WRITES, "write"), (Access.DDL, "alter"))


def _work(each: Ran, tables: tuple[ObjectName, ...]) -> list[str]:
    measure = each.measure
    told = []
    for table in tables:
        name = table_name(table)
        if any(same_table(table, other) for other in measure.rewritten):
            told.append(f"all of {name} was written anew")
        built = [one for one in measure.built if same_table(table, one.index)]
        for one in built:
            again = " anew" if one.rebuilt else ""
            told.append(f"the index {one.index.name} ({one.method}) was built{again}")
        if any(same_table(table, scan.table) for scan in measure.scans):
            told.append(f"all rows of {name} were read")
    return told
