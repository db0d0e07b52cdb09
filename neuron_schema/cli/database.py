"""``db``: the project's embedded PostgreSQL."""

# ruff: noqa: TC001 - Typer reads annotations at run time
from __future__ import annotations

import contextlib
import signal
import subprocess
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from neuron_schema.cli.invocation import Invocation
from neuron_schema.cli.options import Environment, Json
from neuron_schema.cli.output import note, say, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.address import Address
    from neuron_schema.embedded import DevelopmentServer, ServerStatus

app = typer.Typer(help="The project's embedded PostgreSQL.", rich_markup_mode=None)


def _server(call: Invocation) -> DevelopmentServer:
    from neuron_schema.embedded import DevelopmentServer

    return DevelopmentServer(call.settings.root)


def _status(call: Invocation, server: DevelopmentServer) -> ServerStatus:
    found = server.status()
    if found.address is not None:
        call.announce(found.address)
    return found


def link(address: Address) -> str:
    """Return a URL that everybody reads alike: "+" is a blank to SQLAlchemy, and not to libpq."""
    url = (
        address.sqlalchemy_url().set(drivername="postgresql").render_as_string(hide_password=False)
    )
    before, mark, parameters = url.partition("?")
    return before + mark + parameters.replace("+", "%20")


@app.command()
def start(*, env: Environment = None, as_json: Json = False) -> None:
    """Start it, and keep it running until `db stop`."""
    with Invocation("db start", as_json=as_json, environment=env) as call:
        server = _server(call)
        address = server.start(keep=True)
        call.announce(address)
        for sentence in server.notices:
            note(f"note: {sentence}")
        call.put(running=True, url=link(address))
        if not as_json:
            show(link(address))


@app.command()
def stop(
    *,
    force: Annotated[bool, typer.Option("--force", help="Even while it is in use.")] = False,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Stop it; a server in use stops with its last user."""
    with Invocation("db stop", as_json=as_json, environment=env) as call:
        server = _server(call)
        before = _status(call, server)
        stopped = server.stop(force=force)
        call.put(running=before.running and not stopped)
        if as_json:
            return
        if not before.running:
            say("not running")
        else:
            say("stopped" if stopped else "in use; it stops with its last user")


@app.command()
def status(*, env: Environment = None, as_json: Json = False) -> None:
    """Show whether it runs, and where its data are."""
    with Invocation("db status", as_json=as_json, environment=env) as call:
        found = _status(call, _server(call))
        call.put(
            running=found.running,
            kept=found.kept,
            used=found.used,
            pid=found.pid,
            major=found.major,
            data_directory=str(found.data_directory),
        )
        if not as_json:
            say(f"running, pid {found.pid}" if found.running else "not running")
            say(f"data: {found.data_directory}")


@app.command()
def url(*, env: Environment = None, as_json: Json = False) -> None:
    """Print its address; it must be running (`db start`)."""
    with Invocation("db url", as_json=as_json, environment=env) as call:
        from neuron_schema.errors import EmbeddedFailed

        found = _status(call, _server(call))
        if not found.running or found.address is None:
            raise EmbeddedFailed(
                "the embedded server is not running", remedy="neuron-schema db start"
            )
        call.put(url=link(found.address))
        if not as_json:
            show(link(found.address))


@app.command(context_settings={"ignore_unknown_options": True})
def psql(
    arguments: Annotated[
        Optional[list[str]],  # noqa: UP045 - Typer reads it
        typer.Argument(metavar="[ARGS]...", help="Passed on to psql; after -- as they are."),
    ] = None,
    *,
    env: Environment = None,
) -> None:
    """Open psql on it, started if needed."""
    with Invocation("db psql", environment=env) as call:
        server = _server(call)
        with server.in_use() as address:
            call.announce(address)
            command = [str(server.psql()), *(arguments or [])]
            with _interrupts_left_to_psql():
                status = subprocess.run(  # noqa: S603 - the wheel's own psql
                    command, env=address.child_environment(), check=False
                ).returncode
        # A negative one is a signal, which a shell shows as 128 and its number.
        call.exit_code = status if status >= 0 else 128 - status


@contextlib.contextmanager
def _interrupts_left_to_psql() -> Iterator[None]:
    """In psql Ctrl-C ends a query, and not psql."""
    # A handler of our own: a child would inherit that a signal is ignored.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
