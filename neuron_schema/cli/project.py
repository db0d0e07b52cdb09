"""The commands that write into a user's project: ``init`` and ``new``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from neuron_schema.cli.invocation import Invocation
from neuron_schema.cli.options import Environment, Json, Versions
from neuron_schema.cli.output import say

_SETTINGS = """\
[tool.neuron_schema]
versions = "versions"
{database}
"""
_NO_DATABASE = """\
# The address comes from --database-url, NEURON_SCHEMA_DATABASE_URL or DATABASE_URL.
# database = "embedded"  # a PostgreSQL of your own: pip install 'neuron-schema[embedded]'"""

_FIRST = '''\
"""First version: a table of notes."""

from sqlalchemy import BigInteger, Column, DateTime, Identity, MetaData, Table, Text, func
from sqlalchemy.schema import CreateTable, DropTable

notes = Table(
    "notes",
    MetaData(),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("text", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
)

up = [
    CreateTable(notes),
]

down = [
    DropTable(notes),
]
'''

_NEXT = '''\
"""{title}."""

from sqlalchemy import Column, MetaData, Table, Text

from neuron_schema.ops import AddColumn, DropColumn

# Write the tables it touches as stubs: a version never changes meaning because a model did.
# notes = Table("notes", MetaData(), Column("title", Text))

up = [
    # AddColumn(notes.c.title),
]

down = [
    # DropColumn(notes.c.title),
]
'''


def init(
    *,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Use the embedded server for this project.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write [tool.neuron_schema] and a first version into this directory's project."""
    with Invocation("init", as_json=as_json) as call:
        root = Path.cwd()
        written = [_write_settings(root, embedded=embedded), _write_first(root / "versions")]
        call.put(written=[str(path) for path in written])
        if not as_json:
            for path in written:
                say(f"wrote {path.relative_to(root)}")
            say("next: neuron-schema up")


def new(
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="What it does: add_tags.")],
    *,
    versions: Versions = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Write the next version's file, with both lists to fill in."""
    with Invocation("new", as_json=as_json, versions=versions, environment=env) as call:
        name = _name(slug)
        files = call.versions.files
        width = max((len(file.version) for file in files), default=3)
        number = files[-1].number + 1 if files else 1
        path = call.versions.directory / f"{number:0{width}d}_{name}.py"
        title = name.replace("_", " ").capitalize()
        _write_new(path, _NEXT.format(title=title))
        call.put(path=str(path), version=f"{number:0{width}d}", name=name)
        if not as_json:
            say(str(path))


def _name(slug: str) -> str:
    from neuron_schema.errors import UsageError

    name = re.sub(r"[\s-]+", "_", slug.strip()).lower()
    if not re.fullmatch(r"[a-z0-9]\w*", name, re.ASCII):
        raise UsageError(
            f"{slug!r} is no name for a version", remedy="use letters, digits and _: add_tags"
        )
    return name


def _write_settings(root: Path, *, embedded: bool) -> Path:
    import tomllib

    from neuron_schema.errors import SettingsError

    path = root / "pyproject.toml"
    text = ""
    if path.exists():
        text = path.read_text(encoding="utf-8")
        try:
            present = "neuron_schema" in tomllib.loads(text).get("tool", {})
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"{path} is not valid TOML: {error}", where=str(path)) from None
        if present:
            raise SettingsError(
                f"{path} has [tool.neuron_schema] already",
                where=str(path),
                remedy="neuron-schema new SLUG writes the next version",
            )
        text = text.rstrip("\n") + "\n\n" if text.strip() else ""
    database = 'database = "embedded"' if embedded else _NO_DATABASE
    path.write_text(text + _SETTINGS.format(database=database), encoding="utf-8")
    return path


def _write_first(directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / "001_first.py"
    existing = sorted(directory.glob("[0-9]*_*.py"))
    if existing:
        return existing[0]
    _write_new(path, _FIRST)
    return path


def _write_new(path: Path, text: str) -> None:
    """Write a file that must not be there yet.

    Raises:
        UsageError: it is there, or cannot be written.
    """
    from neuron_schema.errors import UsageError

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", where=str(path)) from None
