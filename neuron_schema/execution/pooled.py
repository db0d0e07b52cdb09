"""What keeps a version's session settings from a pooler's other clients.

A pooler in transaction mode gives the server's session to another client after COMMIT, and with
it what a version set for the session rather than for the transaction; nobody but the server can
say then which session it was. So the session is ended, in the breath in which COMMIT is sent:
the pooler passes it on no sooner than that is answered. https://www.pgbouncer.org/features.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.execution.session_state import leaves_unseen, session_sql
from neuron_schema.quoting import do_block

if TYPE_CHECKING:
    from collections.abc import Iterable

_MEMORY = "neuron_schema.session"


def remember_sql() -> str:
    """Return what notes how a session is set, before anything is set in it."""
    return f"SELECT pg_catalog.set_config('{_MEMORY}', ({session_sql()}), false)"


def ending_sql(statements: Iterable[str]) -> str:
    """Return what ends a session that is no longer set as was noted; it goes after COMMIT.

    Args:
        statements: The author's.
    """
    changed = (
        "true"
        if leaves_unseen(statements)
        else f"({session_sql()}) <> nullif(pg_catalog.current_setting('{_MEMORY}', true), '')"
    )
    return do_block(
        f"  IF {changed} THEN\n"
        # Another role may not end a session of the one that opened it.
        "    RESET SESSION AUTHORIZATION;\n"
        "    RESET ROLE;\n"
        "    PERFORM pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid());\n"
        "  ELSE\n"
        f"    PERFORM pg_catalog.set_config('{_MEMORY}', '', false);\n"
        "  END IF;"
    )
