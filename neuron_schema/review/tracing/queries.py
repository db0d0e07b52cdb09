"""What the tracer asks a server. Nothing else in a review reads its catalogs and statistics.

https://www.postgresql.org/docs/current/view-pg-locks.html
https://www.postgresql.org/docs/current/monitoring-stats.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from neuron_schema.catalog import Kind, ObjectName
from neuron_schema.catalog.queries import FIRST_USER_OID
from neuron_schema.review.locks import LockMode, mode_of
from neuron_schema.review.tracing.part_queries import OTHER_PARTS, parts_of_relations
from neuron_schema.review.tracing.plans import KeyColumn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from neuron_schema.history import Fetch
    from neuron_schema.review.tracing.plans import Key


class Relation(NamedTuple):
    """A relation as one session sees it, and what its transaction did to it so far.

    Attributes:
        kind: As ``pg_class.relkind``.
        parent: What it is a part of: an index's or TOAST table's table, a sequence's owner.
        filenode: The file its rows are in; another one after a rewrite. 0 for none.
        method: The access method: ``heap``, ``btree``, ``hnsw``, or "".
        scans: How often it was read from end to end.
    """

    oid: int
    schema: str
    name: str
    kind: str
    parent: int | None
    filenode: int
    method: str
    scans: int
    inserted: int
    updated: int
    deleted: int


@dataclass(frozen=True, slots=True)
class Part:
    """An object of which a statement may dispose, other than a relation.

    Attributes:
        of: The relation that it belongs to, or None.
        refers: The table that a foreign key points at, or None.
        state: What a statement may alter about a column or constraint, as text.
        inherited: It is a partition's share of a constraint of its parent, which is told of
            instead. ATTACH PARTITION makes one of a constraint that the partition has.
    """

    name: ObjectName
    of: int | None = None
    refers: int | None = None
    state: str = ""
    inherited: bool = False


@dataclass(frozen=True, slots=True)
class Catalog:
    """What there is, by OID.

    Attributes:
        relations: All but temporary ones and PostgreSQL's own.
        parts: Everything else, by catalog, OID and column number.
    """

    relations: Mapping[int, Relation]
    parts: Mapping[tuple[str, int, int], Part]


def read_catalog(fetch: Fetch, *, flushed: bool = False) -> Catalog:
    """Read what there is, as a session sees it.

    Args:
        fetch: Runs SQL on the session.
        flushed: Count what ended sessions did, rather than this one's transaction.
    """
    relations = read_relations(fetch, flushed=flushed)
    return Catalog(relations, _parts(fetch, parts_of_relations()) | _parts(fetch, OTHER_PARTS))


def read_changed(fetch: Fetch, known: Catalog, locked: Iterable[int]) -> Catalog:
    """Read what there is now, at less cost.

    Nothing changes what belongs to a relation without a lock on it, but for its schema's name.

    Args:
        fetch: Runs SQL on the session.
        known: What there was.
        locked: The relations that the session has locked since.
    """
    others = _parts(fetch, OTHER_PARTS)
    if _schemas(others) != _schemas(known.parts):
        return read_catalog(fetch)
    relations, changed = read_relations(fetch), frozenset(locked)
    kept = {
        key: part
        for key, part in known.parts.items()
        if part.of is not None and part.of not in changed
    }
    return Catalog(relations, kept | _parts(fetch, parts_of_relations(changed)) | others)


def _schemas(parts: Mapping[tuple[str, int, int], Part]) -> set[tuple[int, str]]:
    return {(key[1], part.name.name) for key, part in parts.items() if key[0] == "pg_namespace"}


def _parts(fetch: Fetch, sql: str) -> dict[tuple[str, int, int], Part]:
    return {
        (catalog, oid, number): Part(
            ObjectName(
                kind=Kind(kind), name=name, schema=schema, parent=parent, arguments=arguments
            ),
            *rest,
        )
        for catalog, oid, number, kind, name, schema, parent, arguments, *rest in fetch(sql)
    }


def read_relations(fetch: Fetch, *, flushed: bool = False) -> dict[int, Relation]:
    """Read which relations there are, without a lock on any of them."""
    rows = fetch(_RELATIONS.replace("_xact", "") if flushed else _RELATIONS)
    return {row[0]: Relation(*row) for row in rows}


def own_tables(fetch: Fetch, condition: str) -> frozenset[int]:
    """Return the OIDs of the tables for which a condition on ``c`` and ``n`` holds."""
    rows = fetch(
        "SELECT c.oid::pg_catalog.int8 FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.relkind IN ('r', 'p') AND {condition}"
    )
    return frozenset(row[0] for row in rows)


def read_locks(fetch: Fetch, pids: Iterable[int]) -> dict[int, LockMode]:
    """Return the strongest mode in which backends hold, or wait for, each relation.

    A mode that is waited for counts: whoever comes later waits behind it.
    """
    rows = fetch(
        "SELECT l.relation::pg_catalog.int8, l.mode FROM pg_catalog.pg_locks l "
        f"WHERE l.locktype = 'relation' AND l.pid IN ({_numbers(pids)}) "
        f"AND l.relation >= {FIRST_USER_OID} AND l.database = (SELECT d.oid "
        "FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())"
    )
    strongest: dict[int, LockMode] = {}
    for oid, word in rows:
        mode = mode_of(word)
        known = strongest.get(oid)
        if known is None or mode.strength > known.strength:
            strongest[oid] = mode
    return strongest


def read_keys(fetch: Fetch, oids: Collection[int]) -> dict[int, list[Key]]:
    """Return the unique indexes of tables that tell each row from all others."""
    columns: dict[tuple[int, int], dict[int, KeyColumn]] = {}
    for table, index, number, collation, operators, strategies in (
        fetch(_KEYS.format(_numbers(oids))) if oids else ()
    ):
        column = KeyColumn(number, collation, dict(zip(operators, strategies, strict=True)))
        columns.setdefault((table, index), {})[number] = column
    found: dict[int, list[Key]] = {}
    for (table, _), key in columns.items():
        found.setdefault(table, []).append(tuple(key.values()))
    return found


_KEYS: Final = """
SELECT i.indrelid::pg_catalog.int8, i.indexrelid::pg_catalog.int8, i.indkey[k.n],
  i.indcollation[k.n]::pg_catalog.int8,
  pg_catalog.array_agg(o.amopopr::pg_catalog.int8 ORDER BY o.amopopr),
  pg_catalog.array_agg(o.amopstrategy ORDER BY o.amopopr)
FROM pg_catalog.pg_index i
CROSS JOIN LATERAL pg_catalog.generate_series(0, i.indnkeyatts - 1) k(n)
JOIN pg_catalog.pg_opclass c ON c.oid = i.indclass[k.n]
JOIN pg_catalog.pg_am m ON m.oid = c.opcmethod AND m.amname = 'btree'
JOIN pg_catalog.pg_amop o ON o.amopfamily = c.opcfamily AND o.amoppurpose = 's'
WHERE i.indrelid IN ({}) AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL
GROUP BY 1, 2, 3, 4
"""


def read_lock_timeout(fetch: Fetch) -> tuple[int, bool]:
    """Return the session's ``lock_timeout`` in milliseconds, and whether it is the server's own.

    The server's own, or that of the database or role, is told as 0: elsewhere it may be another.
    """
    ((value, own),) = fetch(
        "SELECT s.setting::pg_catalog.int8, s.source <> 'session' "
        "FROM pg_catalog.pg_settings s WHERE s.name = 'lock_timeout'"
    )
    return 0 if own else int(value), bool(own)


def read_unchecked(fetch: Fetch) -> bool:
    """Whether the session writes as one that replicates: no trigger runs, no key is checked."""
    ((role,),) = fetch("SELECT pg_catalog.current_setting('session_replication_role')")
    return bool(role == "replica")


def read_wal(fetch: Fetch) -> int:
    """Return how many bytes of write-ahead log the server has written so far."""
    sql = "SELECT (pg_catalog.pg_current_wal_insert_lsn() - '0/0')::pg_catalog.int8"
    return int(fetch(sql)[0][0])


def is_empty(fetch: Fetch, oid: int) -> bool:
    """Return whether a relation's file has no page."""
    return bool(fetch(f"SELECT pg_catalog.pg_relation_size({int(oid)}) = 0")[0][0])


_RELATIONS: Final = f"""
SELECT c.oid::pg_catalog.int8, n.nspname::pg_catalog.text, c.relname::pg_catalog.text,
  c.relkind::pg_catalog.text, COALESCE(i.indrelid, t.oid, s.refobjid)::pg_catalog.int8,
  c.relfilenode::pg_catalog.int8, COALESCE(am.amname::pg_catalog.text, ''),
  CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_stat_get_xact_numscans(c.oid) ELSE 0 END,
  CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) ELSE 0 END,
  CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) ELSE 0 END,
  CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) ELSE 0 END
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
LEFT JOIN pg_catalog.pg_class t ON t.reltoastrelid = c.oid AND c.relkind = 't'
LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
LEFT JOIN pg_catalog.pg_depend s ON s.objid = c.oid AND c.relkind = 'S'
  AND s.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND s.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND s.deptype IN ('a', 'i')
WHERE c.oid >= {FIRST_USER_OID} AND c.relpersistence <> 't'
  AND c.relkind IN ('r', 'p', 'm', 'v', 'f', 'i', 'I', 't', 'S')
"""


def depths(fetch: Fetch, oids: Iterable[int]) -> dict[int, int]:
    """Return how many tables each table is a partition of, one within the other."""
    return dict(
        fetch(
            "SELECT c.oid::pg_catalog.int8, (SELECT pg_catalog.count(*) "
            "FROM pg_catalog.pg_partition_ancestors(c.oid)) FROM pg_catalog.pg_class c "
            f"WHERE c.oid IN ({_numbers(oids)})"
        )
    )


def waiting(fetch: Fetch, pids: Iterable[int], blocker: int) -> bool:
    """Return whether one of some backends waits for a lock that another one holds."""
    return bool(
        fetch(
            "SELECT a.pid FROM pg_catalog.pg_stat_activity a "
            f"WHERE a.pid IN ({_numbers(pids)}) AND a.wait_event_type = 'Lock' "
            f"AND {int(blocker)} = ANY (pg_catalog.pg_blocking_pids(a.pid))"
        )
    )


def sessions(fetch: Fetch, pids: Iterable[int]) -> int:
    """Return how many of some backends are still there."""
    return len(fetch(f"SELECT 1 FROM pg_catalog.pg_stat_activity WHERE pid IN ({_numbers(pids)})"))


def _numbers(pids: Iterable[int]) -> str:
    return ", ".join(str(int(pid)) for pid in pids) or "0"
