"""What a version's statements may leave set in their session, or do to rows; in doubt they may.

What is set for a session lasts longer than the transaction.

https://www.postgresql.org/docs/current/sql-set.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KEEP: Final = frozenset({"ALTER", "COMMENT", "CREATE", "DROP", "GRANT", "REVOKE"})
_CHANGE_DATA: Final = frozenset({"COPY", "DELETE", "INSERT", "MERGE", "TRUNCATE", "UPDATE"})
_LAST_LONGER: Final = frozenset({"DISCARD", "LISTEN", "LOAD", "PREPARE", "RESET", "SET"})
_OF_TRANSACTION: Final = frozenset({"CONSTRAINTS", "LOCAL", "TRANSACTION"})
_EVALUATED: Final[Mapping[str, tuple[str, ...]]] = {
    "ALTER": ("check", "default", "generated", "using"),
    "CREATE": ("execute", "select"),
}
"""Words without which these statements call no function of anybody's on rows."""

# `SET app.tenant = ...`, also in the body of a DO; an advisory lock that no transaction ends.
_UNSEEN: Final = re.compile(
    r"set_config|advisory_lock|\bset\s+(?:session\s+)?\w+\.\w+\s*(?:=|to\b)"
)


def session_sql() -> str:
    """Return a SELECT of one text that differs once a session is no longer set as it was.

    A version may say SET, SET ROLE or CREATE TEMP TABLE, all of which outlive its transaction.
    What PostgreSQL does not show is for ``leaves_unseen``.
    """
    return (
        "SELECT pg_catalog.md5(pg_catalog.concat_ws(',', "
        "(SELECT pg_catalog.string_agg(name || '=' || setting, ',') "
        "FROM pg_catalog.pg_show_all_settings() WHERE source = 'session' AND name NOT IN "
        "('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')), "
        "pg_catalog.current_setting('role'), session_user, pg_catalog.pg_my_temp_schema()))"
    )


def can_change_session(statements: Iterable[str]) -> bool:
    """Return whether statements may leave a session set otherwise than they found it.

    DDL does not, but for temporary tables, and where it calls functions for rows. Data changes and
    SELECT may call a function that does.
    """
    # As in failures: the lexer is only wanted where something runs.
    from neuron_schema.canonical import leading_words

    for sql in statements:
        first = (leading_words(sql, 1) or ("",))[0]
        if first not in _KEEP:
            return True
        text = sql.lower()
        words = ("temp", "set_config", *_EVALUATED.get(first, ()))
        if any(word in text for word in words):
            return True
    return False


def can_write_rows(statements: Iterable[str]) -> bool:
    """Return whether statements may write or drop rows that are there before them.

    DDL that makes and alters does not, but where it calls functions for rows.
    """
    from neuron_schema.canonical import leading_words

    texts = tuple(statements)
    return can_change_session(texts) or any(leading_words(sql, 1) == ("DROP",) for sql in texts)


def leaves_unseen(statements: Iterable[str]) -> bool:
    """Return whether statements may leave something that ``session_sql`` does not show.

    PostgreSQL does not show settings of an application's own (``SET app.tenant``) among the
    others, nor what is listened to, prepared, or locked for the session. A function that is called
    by itself may do any of it; one that a trigger or an expression calls is taken to do none.
    """
    return any(map(_leaves_unseen, statements))


def _leaves_unseen(sql: str) -> bool:
    from neuron_schema.canonical import leading_words

    words = leading_words(sql, 2)
    first = words[0] if words else ""
    if first in _LAST_LONGER:
        return not _OF_TRANSACTION & set(words[1:])
    calls = first not in _KEEP | _CHANGE_DATA | {"DO", "SET"} and "(" in sql
    return calls or (first not in _KEEP and _UNSEEN.search(sql.lower()) is not None)
