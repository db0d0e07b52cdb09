"""``show``: pictures of a schema."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from neuron_schema.cli.invocation import Invocation
from neuron_schema.cli.options import (
    Database,
    Environment,
    Json,
    Shadow,
    Versions,
    complete_version,
)
from neuron_schema.cli.output import show_script, warn

if TYPE_CHECKING:
    from neuron_schema.catalog import Snapshot

app = typer.Typer(help="Pictures of the schema.", rich_markup_mode=None, no_args_is_help=True)

_DOT_SECONDS = 120


class Format(enum.StrEnum):
    """What a diagram is written as."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"


@app.callback()
def _group() -> None:
    """Pictures of the schema."""


@app.command()
def erd(
    version: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="[VERSION]", help="A version.", autocompletion=complete_version),
    ] = None,
    *,
    format_: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.MERMAID,
    live: Annotated[
        bool, typer.Option("--live", help="Show the database as it is, and not the versions.")
    ] = False,
    keys_only: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option("--keys-only/--all-columns", help="Columns of keys alone."),
    ] = None,
    database_url: Database = None,
    shadow_url: Shadow = None,
    versions: Versions = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Draw tables and foreign keys: at a version, the newest, or of the live database."""
    with Invocation(
        "show erd", as_json=as_json, database_url=database_url, versions=versions, environment=env
    ) as call:
        from neuron_schema.schemafile import diagram

        if live or (database_url is not None and version is None):
            schema = _live(call, version)
        else:
            schema = _built(call, version, shadow_url)
        drawn = diagram.diagram(schema, keys_only=keys_only)
        text = diagram.mermaid(drawn) if format_ is Format.MERMAID else diagram.dot(drawn)
        reason = diagram.too_large(text, drawn) if format_ is Format.MERMAID else None
        if reason is not None:
            warn(f"{reason}: use --keys-only or --format svg")
        if format_ is Format.SVG:
            text = _svg(text)
        call.put(format=format_.value, diagram=text)
        if not as_json:
            show_script(text.rstrip("\n"))


def _live(call: Invocation, version: str | None) -> Snapshot:
    """Return the schema of the database.

    Raises:
        UsageError: a version was asked for as well.
        NeuronSchemaError: the database cannot be read.
    """
    import psycopg

    from neuron_schema.catalog import snapshot
    from neuron_schema.errors import UsageError
    from neuron_schema.execution.failures import look_error

    if version is not None:
        raise UsageError(
            "a database is as it is, at no version", remedy="leave out --live, or the version"
        )
    with call.database() as address:
        look = call.look(address)
        try:
            with psycopg.connect(**address.conninfo(), autocommit=True) as connection:
                return snapshot(connection, history=look.table)
        except psycopg.Error as error:
            raise look_error(error, "the catalog") from None


def _built(call: Invocation, version: str | None, shadow_url: str | None) -> Snapshot:
    """Return the schema that the versions make."""
    from neuron_schema import planning
    from neuron_schema.cli.proving import open_server
    from neuron_schema.schemafile.building import build

    infos = call.versions.infos()
    if version is not None:
        infos = planning.select_range(infos, "0", version).infos
    with open_server(call, shadow_url) as shadow:
        return build(call.workshop(shadow), call.migrations(infos)).schema


def _svg(text: str) -> str:
    """Return Graphviz text as a picture that stands alone.

    Raises:
        UsageError: Graphviz is not there, or does not draw it.
    """
    import shutil
    import subprocess

    from neuron_schema.errors import UsageError

    program = shutil.which("dot")
    if program is None:
        raise UsageError(
            "Graphviz is not installed: there is no program dot",
            remedy="apt install graphviz, or brew install graphviz; or use --format mermaid",
        )
    done = subprocess.run(  # noqa: S603 - the text is ours, and no option
        [program, "-Tsvg"],
        input=text.encode(),
        capture_output=True,
        timeout=_DOT_SECONDS,
        check=False,
    )
    if done.returncode:
        raise UsageError(
            f"Graphviz ended with {done.returncode}: {done.stderr.decode(errors='replace')[:300]}"
        )
    # From <svg> on it can be put into a page; a DOCTYPE would be asked for from elsewhere.
    picture = done.stdout.decode()
    return picture[picture.index("<svg") :]
