"""The Typer application: every command and the module that it lives in."""

from __future__ import annotations

from typing import Annotated

import typer

from neuron_schema.cli import (
    database,
    explaining,
    history,
    project,
    proving,
    reading,
    rebasing,
    reviewing,
    running,
    schemafile,
    showing,
    sizing,
)
from neuron_schema.cli.quick import Command, Group

# A line of \b keeps the lines of its paragraph.
_EPILOG = """\b
Exit status:
  0    done, or nothing to do
  1    a statement failed and its version was rolled back; an internal error
  2    usage or settings; an invalid version module
  3    versions are pending (status --check, wait)
  4    history conflict: modified, missing, out of order
  5    a difference was found: verify, drift, diff, snapshot --check
  6    a lock was not obtained
  7    no connection; a privilege, extension or direct address is missing
  8    review: findings as bad as --fail-on says, or worse
  9    refused: irreversible, protected, without --yes, not empty
  130  interrupted by SIGINT, rolled back (143: by SIGTERM)
"""

app = typer.Typer(
    cls=Group,
    help="Schema as code for PostgreSQL: versions in SQLAlchemy Core, reviewed as SQL, run safely.",
    epilog=_EPILOG,
    no_args_is_help=True,
    # Rich's boxes cost a tenth of a second and are cut at 80 columns off a terminal.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:  # noqa: FBT001 - Typer's callback
    if wanted:
        from importlib.metadata import version

        typer.echo(f"neuron-schema {version('neuron-schema')}")
        raise typer.Exit


@app.callback()
def _main(
    _: Annotated[  # noqa: FBT002 - Typer's callback
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


app.command("init", cls=Command)(project.init)
app.command("new", cls=Command)(project.new)
app.command("status", cls=Command)(reading.status)
app.command("plan", cls=Command)(reading.plan)
app.command("up", cls=Command)(running.up)
app.command("down", cls=Command)(running.down)
app.command("reset", cls=Command)(running.reset)
app.command("sql", cls=Command)(reading.sql)
app.command("check", cls=Command)(reading.check)
app.command("history", cls=Command)(history.history)
app.command("baseline", cls=Command)(history.baseline)
app.command("repair", cls=Command)(history.repair)
app.command("snapshot", cls=Command)(schemafile.snapshot)
app.command("rebase", cls=Command)(rebasing.rebase)
app.command("verify", cls=Command)(proving.verify)
app.command("drift", cls=Command)(proving.drift)
app.command("diff", cls=Command)(proving.diff)
app.command("review", cls=Command)(reviewing.review)
app.command("stats", cls=Command)(sizing.stats)
app.command("explain", cls=Command)(explaining.explain)
app.command("wait", cls=Command)(reading.wait)
app.add_typer(database.app, name="db")
app.add_typer(showing.app, name="show")
