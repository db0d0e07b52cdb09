"""The error of everything that turns constructs into SQL."""

from __future__ import annotations


class CompileError(ValueError):
    """An element cannot become the SQL that its author meant.

    Args:
        reason: What is so, with the names.
        remedy: The edit that mends it, where there is one.
    """

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}" if self.remedy else self.reason
