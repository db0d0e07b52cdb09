"""PostgreSQL's lock modes of tables, and what each keeps others from.

https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
"""

from __future__ import annotations

import enum
from typing import Final


class Access(enum.StrEnum):
    """What a session at work on a table may be kept from."""

    READS = "reads"
    WRITES = "writes"
    DDL = "schema changes"
    """Vacuum and ANALYZE as well."""


class LockMode(enum.StrEnum):
    """A mode in which a table is locked, the weakest first."""

    ACCESS_SHARE = "ACCESS SHARE"
    ROW_SHARE = "ROW SHARE"
    ROW_EXCLUSIVE = "ROW EXCLUSIVE"
    SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
    SHARE = "SHARE"
    SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
    EXCLUSIVE = "EXCLUSIVE"
    ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"

    @property
    def strength(self) -> int:
        """Orders the modes; a stronger one conflicts with all that a weaker one does, or more."""
        return _ORDER.index(self)

    @property
    def blocks(self) -> tuple[Access, ...]:
        """What others have to wait with while it is held."""
        return tuple(access for access, weakest in _BLOCKED_FROM if self.strength >= weakest)


_ORDER: Final = tuple(LockMode)
_BLOCKED_FROM: Final = (
    (Access.READS, LockMode.ACCESS_EXCLUSIVE.strength),
    (Access.WRITES, LockMode.SHARE.strength),
    (Access.DDL, LockMode.SHARE_UPDATE_EXCLUSIVE.strength),
)
PROBES: Final = (
    (Access.READS, LockMode.ACCESS_SHARE),
    (Access.WRITES, LockMode.ROW_EXCLUSIVE),
    (Access.DDL, LockMode.SHARE_UPDATE_EXCLUSIVE),
)
"""The mode that somebody who reads, writes or alters a table asks for."""


def mode_of(word: str) -> LockMode:
    """Return the mode that ``pg_locks`` calls ``AccessExclusiveLock``.

    Raises:
        ValueError: there is no such mode.
    """
    for mode in LockMode:
        if word == mode.title().replace(" ", "") + "Lock":
            return mode
    raise ValueError(f"{word!r} is no lock mode of a table")
