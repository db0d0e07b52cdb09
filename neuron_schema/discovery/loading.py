"""What holds while version modules are executed, and for what they import meanwhile."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from neuron_schema.errors import VersionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Index, Table


@contextmanager
def loading() -> Iterator[None]:
    """Execute version modules in this block: without connections, with tables in a fixed order.

    Raises:
        VersionError: in the block, where a module opens a connection.
    """
    with _no_connections(), _tables_in_order():
        yield


@contextmanager
def _no_connections() -> Iterator[None]:
    """Refuse connections that this thread opens through SQLAlchemy.

    The source check sees a version's own calls; this sees those of the code it imports.
    """
    from sqlalchemy import Engine, event

    thread = threading.get_ident()

    def refuse(*_: object) -> None:
        if threading.get_ident() == thread:
            raise VersionError(
                "a version opens no connection (one was opened while the module was imported)",
                remedy="declare the change in `up`, and keep connections out of what it imports",
            )

    # Before one is made, and when one comes out of a pool.
    hooks = ("do_connect", "engine_connect")
    for hook in hooks:
        event.listen(Engine, hook, refuse)
    try:
        yield
    finally:
        for hook in hooks:
            event.remove(Engine, hook, refuse)


@contextmanager
def _tables_in_order() -> Iterator[None]:
    """Let each new table's ``indexes`` and ``constraints`` be sets that keep an order.

    SQLAlchemy's are sets by address, in another order in each process: a version with
    ``[CreateIndex(index) for index in table.indexes]`` would compile to another checksum each time.
    What a table is made with comes first, indexes sorted by their names and constraints as they
    were written; what is added to it later follows as it comes.
    https://docs.sqlalchemy.org/en/21/core/metadata.html#sqlalchemy.schema.Table.indexes
    """
    from sqlalchemy import Table, event
    from sqlalchemy.util import OrderedSet

    # One of its own for each block: one may be within another.
    def put_in_order(table: Table, _: object) -> None:
        table.indexes = OrderedSet(sorted(table.indexes, key=_place))
        table.constraints = OrderedSet(table._sorted_constraints)  # noqa: SLF001 - no public one

    event.listen(Table, "after_parent_attach", put_in_order)
    try:
        yield
    finally:
        event.remove(Table, "after_parent_attach", put_in_order)


def _place(index: Index) -> tuple[str, ...]:
    return (str(index.name or ""), *(str(each) for each in index.expressions))
