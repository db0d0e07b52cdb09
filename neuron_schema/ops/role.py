"""Names of roles, among them the words that are no names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.errors import VersionError
from neuron_schema.ops.fragments import checked_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.sql.compiler import IdentifierPreparer

_KEYWORDS = frozenset({"PUBLIC", "CURRENT_USER", "CURRENT_ROLE", "SESSION_USER"})


def checked_roles(roles: str | Sequence[str]) -> tuple[str, ...]:
    """Return one or more roles as a tuple.

    Raises:
        VersionError: There is none, or one that is no name.
    """
    found = (roles,) if isinstance(roles, str) else tuple(roles)
    if not found:
        raise VersionError("no role is named", remedy='name one, or "PUBLIC" for all')
    return tuple(checked_name(role, "role name") for role in found)


def role_list(preparer: IdentifierPreparer, roles: tuple[str, ...]) -> str:
    """Return roles as SQL: capitals PUBLIC, CURRENT_USER ... are words, all else is a name."""
    # No role can be called "public", so that spelling has one meaning only.
    words = ("PUBLIC" if role == "public" else role for role in roles)
    return ", ".join(word if word in _KEYWORDS else preparer.quote(word) for word in words)
