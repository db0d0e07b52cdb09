"""The Typer application: every command and the module that it lives in."""

from __future__ import annotations

from typing import Annotated

import typer

from neuron_schema.cli import database, project, reading, running

app = typer.Typer(
    help="Schema as code for PostgreSQL: versions in SQLAlchemy Core, reviewed as SQL, run safely.",
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
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


app.command("init")(project.init)
app.command("new")(project.new)
app.command("status")(reading.status)
app.command("plan")(reading.plan)
app.command("up")(running.up)
app.command("down")(running.down)
app.command("reset")(running.reset)
app.command("sql")(reading.sql)
app.command("check")(reading.check)
app.command("wait")(reading.wait)
app.add_typer(database.app, name="db")
