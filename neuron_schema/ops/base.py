"""The base of every operation: DDL that SQLAlchemy lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.schema import ExecutableDDLElement

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import IdentifierPreparer

    from neuron_schema.model import OwnCommit


class Operation(ExecutableDDLElement):
    """A DDL construct of this package; PostgreSQL only.

    Subclasses hold what they were given and have one ``@compiles`` function beside them. They
    are compiled like SQLAlchemy's own: ``str(op)``, ``op.compile(dialect=...)``, and
    ``connection.execute(op)``.
    """

    # A statement is compiled once and run once: there is nothing a cache could spare.
    inherit_cache = False
    stringify_dialect = "postgresql"

    def own_commit(self, preparer: IdentifierPreparer) -> OwnCommit | None:  # noqa: ARG002 - for subclasses
        """Return how this is made safe to repeat, if PostgreSQL commits it on its own.

        Args:
            preparer: The identifier preparer of the dialect that compiles the statement.

        Returns:
            None for all that runs inside a transaction, which is the rule.
        """
        return None
