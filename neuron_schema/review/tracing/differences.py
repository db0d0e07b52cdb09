"""What a statement did, from what was there before and after it. Pure: values in, values out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from neuron_schema.review.measures import (
    IndexBuild,
    LockTimeout,
    Measure,
    Scan,
    Sought,
    TableLock,
    Written,
)
from neuron_schema.review.tracing import told
from neuron_schema.review.tracing.existing import name_of
from neuron_schema.review.tracing.touching import renamed, touched
from neuron_schema.review.tracing.words import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from neuron_schema.catalog import ObjectName
    from neuron_schema.review.tracing.existing import Existing, Held
    from neuron_schema.review.tracing.plans import Change, Key
    from neuron_schema.review.tracing.probing import Blocked
    from neuron_schema.review.tracing.queries import Catalog, Relation

_REWRITERS = frozenset({"cluster", "refresh", "vacuum"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of one statement.

    Attributes:
        before: What was there, as the session saw it, and what it had counted.
        after: The same after it.
        held: The locks that the session had before, by OID of the table.
        locks: Those that it has after it.
        blocked_before: What others were kept from before.
        blocked: The same after it.
        texts: What the server said.
        emptied: Relations that have a new file without a page.
        wal_bytes: Write-ahead log.
        sought: What it planned to change.
        keys: The unique indexes of the tables that it read for that, by OID of the table.
        lock_timeout: What limited its waiting for locks, or None.
        unchecked: Whether no trigger ran for what it wrote.
    """

    sql: str
    before: Catalog
    after: Catalog
    held: Mapping[int, Held]
    locks: Mapping[int, Held]
    blocked_before: Mapping[int, Blocked]
    blocked: Mapping[int, Blocked]
    texts: tuple[str, ...]
    emptied: frozenset[int]
    wal_bytes: int
    sought: tuple[Change, ...] = ()
    keys: Mapping[int, Sequence[Key]] = field(default_factory=dict)
    lock_timeout: LockTimeout | None = None
    unchecked: bool = False


def measure_of(seen: Seen, existing: Existing) -> Measure:
    """Return what a statement did to what was there before its version."""
    truncated = _truncated(seen, existing)
    told_of = _Told(seen, existing, truncated)
    return Measure(
        locks=_locks(seen, existing, _taken(seen), seen.blocked),
        held=_locks(seen, existing, seen.held, seen.blocked_before),
        rewritten=_names(existing, _changed(seen, existing, "rm") - truncated),
        built=tuple(
            sorted(_built(seen, existing, truncated), key=lambda each: each.index.sort_key)
        ),
        scans=tuple(sorted(told_of.scans(), key=lambda each: each.table.sort_key)),
        written=tuple(sorted(_written(seen, existing), key=lambda each: each.table.sort_key)),
        sought=tuple(dict.fromkeys(_sought(seen, existing))),
        wal_bytes=seen.wal_bytes,
        cascaded=tuple(sorted(_cascaded(seen, existing), key=lambda each: each.sort_key)),
        truncated=_names(existing, truncated),
        touched=touched(seen.before, seen.after),
        renamed=renamed(seen.before, seen.after),
        filled=tuple(sorted(_filled(seen, existing), key=lambda each: each.sort_key)),
        said=told_of.texts,
        lock_timeout=seen.lock_timeout,
        unchecked=seen.unchecked,
    )


# --- locks


def _taken(seen: Seen) -> dict[int, Held]:
    """Return the locks that are new, or stronger than before."""
    return {
        oid: lock
        for oid, lock in seen.locks.items()
        if oid not in seen.held or seen.held[oid].mode.strength < lock.mode.strength
    }


def _locks(
    seen: Seen, existing: Existing, locks: Mapping[int, Held], blocked: Mapping[int, Blocked]
) -> tuple[TableLock, ...]:
    found = [
        TableLock(
            table=existing.name(oid),
            mode=lock.mode,
            blocks=blocked[oid].accesses,
            proven=blocked[oid].proven,
            named=_is_named(seen, existing, oid),
        )
        for oid, lock in locks.items()
    ]
    return tuple(sorted(found, key=lambda each: (-each.mode.strength, each.table.sort_key)))


def _is_named(seen: Seen, existing: Existing, oid: int) -> bool:
    """Whether a statement names a table, or an index or sequence of it, under any of its names."""
    states = (existing.relations, seen.before.relations, seen.after.relations)
    names = {
        each.name
        for relations in states
        for each in relations.values()
        if oid in (each.oid, each.parent)
    }
    return not words(seen.sql).isdisjoint(names)


# --- files


def _changed(seen: Seen, existing: Existing, kinds: str) -> set[int]:
    """Return the existing relations that have another file than before."""
    return {
        oid
        for oid, now in seen.after.relations.items()
        if oid in existing
        and now.kind in kinds
        and oid in seen.before.relations
        and now.filenode != seen.before.relations[oid].filenode
    }


def _truncated(seen: Seen, existing: Existing) -> set[int]:
    """Return the tables whose new file is empty because nothing was written into it."""
    rewriting = {
        oid
        for oid, relation in seen.after.relations.items()
        if told.REWRITING.format(relation.name) in seen.texts
    }
    changed = _changed(seen, existing, "r") & seen.emptied
    return set() if words(seen.sql) & _REWRITERS else changed - rewriting


def _names(existing: Existing, oids: Iterable[int]) -> tuple[ObjectName, ...]:
    return tuple(sorted((existing.name(oid) for oid in oids), key=lambda each: each.sort_key))


def _built(seen: Seen, existing: Existing, truncated: set[int]) -> Iterator[IndexBuild]:
    files = {each.filenode for each in seen.before.relations.values() if each.filenode}
    before = {(each.schema, each.name) for each in seen.before.relations.values()}
    for relation in seen.after.relations.values():
        table = relation.parent
        if relation.kind != "i" or table is None or table not in existing or table in truncated:
            continue
        # An index whose column became another type may be a new one on the old file.
        if existing.relations[table].kind == "t" or relation.filenode in files:
            continue
        name = name_of(relation, {table: existing.relations[table]})
        known = relation.oid in seen.before.relations or (relation.schema, relation.name) in before
        yield IndexBuild(index=name, method=relation.method, rebuilt=known)


# --- rows


def _written(seen: Seen, existing: Existing) -> Iterator[Written]:
    for oid, now in seen.after.relations.items():
        then = seen.before.relations.get(oid)
        if then is None or oid not in existing:
            continue
        counts = (
            max(0, now.inserted - then.inserted),
            max(0, now.updated - then.updated),
            max(0, now.deleted - then.deleted),
        )
        if any(counts):
            inserted, updated, deleted = counts
            yield Written(
                table=existing.name(oid), inserted=inserted, updated=updated, deleted=deleted
            )


def _sought(seen: Seen, existing: Existing) -> Iterator[Sought]:
    for each in seen.sought:
        # Who refreshes a materialized view CONCURRENTLY does it by DELETE and INSERT.
        if each.oid in existing and existing.relations[each.oid].kind != "m":
            yield Sought(
                table=existing.name(each.oid),
                updates=each.updates,
                deletes=each.deletes,
                most=each.most(seen.keys),
            )


def _filled(seen: Seen, existing: Existing) -> Iterator[ObjectName]:
    """Yield the new tables that got rows."""
    for oid, now in seen.after.relations.items():
        then = seen.before.relations.get(oid)
        is_new = now.kind == "r" and oid not in existing and not existing.is_own(oid)
        if is_new and now.inserted > (then.inserted if then is not None else 0):
            yield name_of(now, seen.after.relations)


class _Told:
    """The messages that concern existing tables, and the scans that they and the counts tell of."""

    def __init__(self, seen: Seen, existing: Existing, truncated: set[int]) -> None:
        self._seen = seen
        self._truncated = truncated
        self._existing = existing
        self._why: dict[int, list[str]] = {}
        self._least: dict[int, int] = {}
        self.texts = tuple(text for text in seen.texts if self._concerns(text))

    def scans(self) -> Iterator[Scan]:
        """Yield the tables that were read whole."""
        for oid, now in self._seen.after.relations.items():
            then = self._seen.before.relations.get(oid)
            if then is None or oid not in self._existing or oid in self._truncated:
                continue
            times = max(now.scans - then.scans, self._least.get(oid, 0))
            if times > 0:
                why = "; ".join(dict.fromkeys(self._why.get(oid, ())))
                yield Scan(table=self._existing.name(oid), times=times, why=why)

    def _concerns(self, text: str) -> bool:
        """Whether a message is about an existing table; if so it is kept as a reason."""
        tables = self._validated(text)
        for oid in tables:
            self._least[oid] = self._least.get(oid, 0) + 1
        if not tables:
            names = frozenset(each.name for each in self._tables())
            name = told.table_of(text, names)
            tables = [each.oid for each in self._tables() if each.name == name]
        # The empty indexes of a table without rows are no work.
        tables = [oid for oid in tables if oid not in self._truncated]
        for oid in tables:
            self._why.setdefault(oid, []).append(text)
        return bool(tables)

    def _tables(self) -> Iterator[Relation]:
        for oid, each in self._seen.after.relations.items():
            if oid in self._existing and each.kind in "rpm":
                yield each

    def _validated(self, text: str) -> list[int]:
        """Return the tables that a foreign key's validation reads: it joins one with the other."""
        before = self._seen.before.parts
        keys = [
            each
            for key, each in self._seen.after.parts.items()
            if each.refers is not None
            and not each.inherited
            and text == told.VALIDATING.format(each.name.name)
            # Other tables may have one of that name.
            and before.get(key) != each
        ]
        found = [oid for key in keys for oid in (key.of, key.refers)]
        return list(
            dict.fromkeys(oid for oid in found if oid is not None and oid in self._existing)
        )


# --- what vanished


def _cascaded(seen: Seen, existing: Existing) -> Iterator[ObjectName]:
    """Yield what is gone and was not named; parts of what is gone as a whole are not told of."""
    before, after = seen.before.relations, seen.after.relations
    there = {name_of(each, after) for each in after.values()}
    there |= {part.name for part in seen.after.parts.values()}
    named = words(seen.sql)
    constraints = set()
    for key, part in seen.before.parts.items():
        gone = key not in seen.after.parts and part.name not in there and key in existing.parts
        if gone and not part.inherited and (part.of is None or part.of in after):
            constraints.add((part.name.schema, part.name.name))
            if not {part.name.name, part.name.parent or part.name.name} <= named:
                yield part.name
    for oid, relation in before.items():
        name = name_of(relation, before)
        if oid in after or oid not in existing or relation.kind == "t" or name in there:
            continue
        # A sequence that a column owns goes with it, or with its identity.
        if relation.parent is not None and (relation.parent not in after or relation.kind == "S"):
            continue
        # The index of a constraint goes by its name.
        if relation.name not in named and (relation.schema, relation.name) not in constraints:
            yield name
