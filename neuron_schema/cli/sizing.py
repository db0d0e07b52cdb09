"""``stats``: how large the tables of a database are, for ``review`` to say."""

# ruff: noqa: TC001 - Typer reads annotations at run time
from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Optional

import typer

from neuron_schema.cli.invocation import Invocation, working_directory
from neuron_schema.cli.options import Database, Environment, Json
from neuron_schema.cli.output import say, show_script, warn

if TYPE_CHECKING:
    from neuron_schema.address import Address
    from neuron_schema.review.sizes import Sizes

LIMIT_S: Final = 10.0
"""Enough for very many tables; a look at a database in use is not to wait for long."""


def stats(
    *,
    output: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--output", metavar="FILE", help="Write the file that `review --stats` reads."
        ),
    ] = None,
    database_url: Database = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Tell how large the tables of a database are."""
    with (
        Invocation("stats", as_json=as_json, database_url=database_url, environment=env) as call,
        call.database() as address,
    ):
        from neuron_schema.cli.writing import write_whole
        from neuron_schema.review import stats_file

        found = _counted(call, address)
        for name in found.uncounted:
            warn(f"left out: nobody has counted the rows of {name} yet (ANALYZE {name})")
        text = stats_file.written(found.stats)
        call.put(**stats_file.plain(found.stats), uncounted=list(found.uncounted))
        if output is not None:
            path = working_directory() / output
            write_whole(path, text)
            call.put(written=str(path))
        if as_json:
            return
        if output is None:
            show_script(text.rstrip("\n"))
        else:
            count = len(found.stats.tables)
            say(f"wrote {output}: {'1 table' if count == 1 else f'{count} tables'}")


def _counted(call: Invocation, address: Address) -> Sizes:
    """Return how large the tables of a database are.

    Raises:
        LockTimeout: somebody holds a table exclusively.
        ConnectionFailed: the server does not answer.
    """
    import datetime as dt

    import psycopg

    from neuron_schema.cli.connecting import bounded
    from neuron_schema.errors import LockTimeout
    from neuron_schema.review import sizes

    day = dt.datetime.now(dt.UTC).date().isoformat()
    settings = call.settings
    with bounded(address, patience_s=settings.deadline, limit_s=LIMIT_S) as fetch:
        try:
            return sizes.read(fetch, call.table, settings.schemas, taken_on=day)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled) as error:
            raise LockTimeout(
                f"the sizes could not be read within {LIMIT_S:.0f} s: {error.diag.message_primary}",
                remedy="run again when nobody holds a table exclusively",
            ) from None
