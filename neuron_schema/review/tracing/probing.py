"""A second session tries what others would do with a table that is locked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg

from neuron_schema.quoting import identifier
from neuron_schema.review.locks import PROBES, Access

if TYPE_CHECKING:
    from collections.abc import Mapping

    from neuron_schema.review.tracing.existing import Held
    from neuron_schema.review.tracing.queries import Relation

# Nothing is waited for but the one lock of the transaction that is measured, which does not end
# meanwhile.
_PLANNING: Final = "SET LOCAL lock_timeout = '10ms'; EXPLAIN SELECT FROM ONLY"


@dataclass(frozen=True, slots=True)
class Blocked:
    """What others are kept from.

    Attributes:
        proven: A session tried; else it is what the manual says of the mode.
    """

    accesses: tuple[Access, ...]
    proven: bool


def probe(
    connection: psycopg.Connection[Any],
    relations: Mapping[int, Relation],
    locks: Mapping[int, Held],
) -> dict[int, Blocked]:
    """Try to read, write and alter each table that is locked.

    Args:
        connection: Another session than the one that holds the locks, in autocommit.
        relations: As this session knows them: under the names that are committed.
        locks: By OID of the table.
    """
    return {oid: _probe(connection, relations.get(oid), held) for oid, held in locks.items()}


def _probe(connection: psycopg.Connection[Any], relation: Relation | None, held: Held) -> Blocked:
    by_the_manual = Blocked(held.mode.blocks, proven=False)
    # LOCK takes tables only; of a view it locks what is under it.
    if relation is None or relation.kind not in ("r", "p"):
        return by_the_manual
    if held.inside and not held.index:
        return by_the_manual
    name = f"{identifier(relation.schema)}.{identifier(relation.name)}"
    refused = {
        access: _is_refused(connection, f"LOCK TABLE ONLY {name} IN {mode} MODE NOWAIT")
        for access, mode in PROBES
    }
    if held.index and not refused[Access.READS]:
        # Whoever plans a query locks the table's indexes, all of them, and so does VACUUM.
        planned = _is_refused(connection, f"{_PLANNING} {name}")
        refused = {
            access: known if planned is False else planned for access, known in refused.items()
        }
    if None in refused.values():
        return by_the_manual
    return Blocked(tuple(access for access, known in refused.items() if known), proven=True)


def _is_refused(connection: psycopg.Connection[Any], sql: str) -> bool | None:
    """Whether a lock is not to be had; None where that cannot be tried."""
    try:
        connection.execute(f"BEGIN; {sql}; ROLLBACK".encode())
    except psycopg.errors.LockNotAvailable:
        return True
    except psycopg.Error:
        if connection.closed:
            raise
        return None
    finally:
        if connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
            connection.execute("ROLLBACK")
    return False
