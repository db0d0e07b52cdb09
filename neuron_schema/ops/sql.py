"""Verbatim SQL, and the declaration that a version cannot be rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.ext.compiler import compiles

from neuron_schema.ops.base import Operation
from neuron_schema.ops.fragments import verbatim

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import DDLCompiler


class Sql(Operation):
    """SQL as it stands: nothing in it is bound, formatted, quoted or laid out anew.

    For what neither SQLAlchemy nor this package has a construct for. It may hold several
    statements, parted by semicolons; none of them may begin or end a transaction.

    Args:
        text: One or more statements. ``%`` and ``:name`` mean what PostgreSQL takes them for.

    Raises:
        ValueError: The text is blank or holds a NUL byte.
        TypeError: It is no text.

    Attributes:
        text: What was given, unchanged.
    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"Sql() takes SQL as a str, not {type(text).__name__}")
        if not text.strip():
            raise ValueError("Sql() was given a blank text; leave the element out")
        if "\x00" in text:
            raise ValueError(
                f"the text of Sql() holds a NUL byte at position {text.index(chr(0))}, "
                "which PostgreSQL cannot read; remove it"
            )
        self.text = text


@compiles(Sql, "postgresql")
def _sql(op: Sql, compiler: DDLCompiler, **_: object) -> str:
    return verbatim(compiler, op.text)


@dataclass(frozen=True, slots=True)
class Irreversible:
    """The ``down`` of a version that cannot be rolled back; made by :func:`irreversible`.

    Attributes:
        reason: Why it cannot, as the one who tries is told.
    """

    reason: str

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str):
            raise TypeError(f"the reason is a str, not {type(self.reason).__name__}")
        if not self.reason.strip():
            raise ValueError('irreversible("...") wants a reason: say what rolling back would lose')


def irreversible(reason: str) -> Irreversible:
    """Declare that a version cannot be rolled back.

    ``down = irreversible("the old addresses are gone")``.

    Args:
        reason: Why it cannot; whoever tries to roll back reads it.

    Raises:
        ValueError: The reason is blank.
    """
    return Irreversible(reason)
