"""What holds while version modules are executed, and for what they import meanwhile.

It is seen to by listeners on SQLAlchemy's own classes, which do nothing outside of ``loading`` and
in other threads. They are there for good: to add or remove one while another thread of a service
connects would break that (``RuntimeError: deque mutated during iteration``).
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Engine, Table, event
from sqlalchemy.util import OrderedSet

from neuron_schema.errors import VersionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Index


class _Loading(threading.local):
    """How many blocks of ``loading`` a thread is in."""

    depth = 0


_here = _Loading()


@contextmanager
def loading() -> Iterator[None]:
    """Execute version modules in this block: without connections, with tables in a fixed order.

    Raises:
        VersionError: in the block, where a module opens a connection.
    """
    _here.depth += 1
    try:
        yield
    finally:
        _here.depth -= 1


def _refuse_connection(*_: object) -> None:
    """Refuse connections that are opened through SQLAlchemy.

    The source check sees a version's own calls; this sees those of the code it imports.
    """
    if _here.depth:
        raise VersionError(
            "a version opens no connection (one was opened while the module was imported)",
            remedy="declare the change in `up`, and keep connections out of what it imports",
        )


def _put_in_order(table: Table, _: object) -> None:
    """Let a new table's ``indexes`` and ``constraints`` be sets that keep an order.

    SQLAlchemy's are sets by address, in another order in each process: a version with
    ``[CreateIndex(index) for index in table.indexes]`` would compile to another checksum each time.
    What a table is made with comes first, indexes sorted by their names and constraints as they
    were written; what is added to it later follows as it comes.
    https://docs.sqlalchemy.org/en/21/core/metadata.html#sqlalchemy.schema.Table.indexes
    """
    if _here.depth:
        table.indexes = OrderedSet(sorted(table.indexes, key=_place))
        table.constraints = OrderedSet(table._sorted_constraints)  # noqa: SLF001 - no public one


def _place(index: Index) -> tuple[str, ...]:
    return (str(index.name or ""), *(str(each) for each in index.expressions))


# Before a connection is made, and when one comes out of a pool.
event.listen(Engine, "do_connect", _refuse_connection)
event.listen(Engine, "engine_connect", _refuse_connection)
event.listen(Table, "after_parent_attach", _put_in_order)
