"""What the server says while a step runs: NOTICE and WARNING, kept until the step has ended.

Of a step that is tried several times the last attempt counts: what the others said was rolled back
with them. https://www.postgresql.org/docs/current/plpgsql-errors-and-messages.html
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg
    from psycopg.errors import Diagnostic

MOST = 20
"""So many are kept of a step; a loop may raise one for each row."""

LONGEST = 500
"""So many characters are kept of each."""


class Notices:
    """Takes what the server says, and tells it later."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, str]] = []
        self._heard = 0

    @contextlib.contextmanager
    def heard(self, raw: psycopg.Connection[Any]) -> Iterator[None]:
        """Take what is said on a connection, and forget what was said before."""
        self._kept, self._heard = [], 0
        raw.add_notice_handler(self._take)
        try:
            yield
        finally:
            raw.remove_notice_handler(self._take)

    def _take(self, said: Diagnostic) -> None:
        self._heard += 1
        if len(self._kept) < MOST:
            parts = (said.message_primary, said.message_detail, said.message_hint)
            text = "; ".join(part for part in parts if part)
            if len(text) > LONGEST:
                text = text[: LONGEST - 3] + "..."
            self._kept.append((said.severity or "NOTICE", text))

    def tell(self, listener: Callable[[str, str], None]) -> None:
        """Tell severity and text of each, and how many there were more."""
        kept, more = self._kept, self._heard - len(self._kept)
        self._kept, self._heard = [], 0
        for severity, text in kept:
            listener(severity, text)
        if more:
            listener("NOTICE", f"{more} more like these")
