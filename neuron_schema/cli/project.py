"""The commands that write into a user's project: ``init`` and ``new``."""

# ruff: noqa: TC001 - Typer reads annotations at run time
from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Annotated

import typer

from neuron_schema.cli.invocation import Invocation, working_directory
from neuron_schema.cli.options import Environment, Json, Versions
from neuron_schema.cli.output import say

if TYPE_CHECKING:
    from pathlib import Path

_LEAST_WIDTH = 3
# The history column holds 255, a file name 255 bytes with number and ending.
_MOST_LETTERS = 200
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
    """Write [tool.neuron_schema] and a first version."""
    with Invocation("init", as_json=as_json) as call:
        root = working_directory()
        settings = root / "pyproject.toml"
        addition = _settings_text(settings, embedded=embedded)
        # The settings last: they are what says that this was done.
        written = [*_write_first(root / "versions"), settings]
        _append(settings, addition)
        call.put(written=[str(path) for path in written])
        if not as_json:
            for path in written:
                say(f"wrote {path.relative_to(root)}")
            say(
                "next: neuron-schema up" if embedded else "next: set DATABASE_URL; neuron-schema up"
            )


def new(
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="What it does: add_tags.")],
    *,
    versions: Versions = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Write the next version's file, with both lists to fill in."""
    with Invocation("new", as_json=as_json, versions=versions, environment=env) as call:
        from neuron_schema.discovery.version_set import MAX_VERSION_DIGITS
        from neuron_schema.errors import UsageError

        name = _name(slug)
        files = call.versions.files
        width = max([_LEAST_WIDTH, *(len(file.version) for file in files)])
        version = f"{files[-1].number + 1 if files else 1:0{width}d}"
        if len(version) > MAX_VERSION_DIGITS:
            raise UsageError(
                f"there is no number after {files[-1].version}",
                where=str(files[-1].path),
                remedy="the history table holds numbers of 10 digits",
            )
        path = call.versions.directory / f"{version}_{name}.py"
        _write_new(path, _NEXT.format(title=name.replace("_", " ").capitalize()))
        call.put(path=str(path), version=version, name=name)
        if not as_json:
            say(str(path))


def _name(slug: str) -> str:
    from neuron_schema.errors import UsageError

    name = re.sub(r"[\s-]+", "_", slug.strip()).lower()
    if not re.fullmatch(r"[a-z0-9]\w*", name, re.ASCII) or len(name) > _MOST_LETTERS:
        raise UsageError(
            f"{slug!r} is no name for a version",
            remedy=f"use up to {_MOST_LETTERS} letters, digits and _: add_tags",
        )
    return name


def _settings_text(path: Path, *, embedded: bool) -> str:
    """Return what is to be added to the settings file.

    Raises:
        SettingsError: the file cannot be read, or would not be valid with it.
    """
    from neuron_schema.errors import SettingsError

    present = _read_toml(path)
    tables = tomllib.loads(present).get("tool", {})
    if "neuron_schema" in tables:
        raise SettingsError(
            f"{path} has [tool.neuron_schema] already",
            where=str(path),
            remedy=_what_is_left(path.parent, tables["neuron_schema"], embedded=embedded),
        )
    addition = _SETTINGS.format(database='database = "embedded"' if embedded else _NO_DATABASE)
    if present.strip():
        addition = ("\n" if present.endswith("\n") else "\n\n") + addition
    try:
        tomllib.loads(present + addition)
    except tomllib.TOMLDecodeError:
        raise SettingsError(
            f"{path} leaves no room for a table [tool.neuron_schema]: tool is an inline table",
            where=str(path),
            remedy="write it as [tool] or [tool.NAME] tables",
        ) from None
    return addition


def _what_is_left(root: Path, table: object, *, embedded: bool) -> str:
    """Return what helps who has settings already, and may have no versions yet."""
    settings = table if isinstance(table, dict) else {}
    if embedded and settings.get("database") != "embedded":
        return 'write database = "embedded" into that table'
    # git keeps no empty directory. A package has dots, and is not ours to make.
    name = str(settings.get("versions", "versions"))
    if name.isidentifier() and not (root / name).exists():
        return f"mkdir {name}, then neuron-schema new SLUG writes the first version"
    return "neuron-schema new SLUG writes the next version"


def _read_toml(path: Path) -> str:
    """Return a TOML file's text with plain line ends, "" when there is none.

    Raises:
        SettingsError: it cannot be read, or is no TOML.
    """
    from neuron_schema.errors import SettingsError

    try:
        text = path.read_text(encoding="utf-8")
        tomllib.loads(text)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}", where=str(path)) from None
    except ValueError as error:
        raise SettingsError(
            f"{path} is not valid TOML: {error}", where=str(path), remedy="correct that line"
        ) from None
    return text


def _append(path: Path, text: str) -> None:
    """Add text to a file, whose own bytes stay as they are, with its line ends.

    Raises:
        SettingsError: it cannot be written.
    """
    from neuron_schema.errors import SettingsError

    try:
        with path.open("ab+") as file:
            file.seek(0)
            end = b"\r\n" if b"\r\n" in file.read() else b"\n"
            file.write(text.encode().replace(b"\n", end))
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}", where=str(path)
        ) from None


def _write_first(directory: Path) -> list[Path]:
    """Write a first version where there is none; return what was written."""
    from neuron_schema.discovery.version_set import scan
    from neuron_schema.errors import UsageError

    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{directory} cannot be made: {error.strerror}", where=str(directory)
        ) from None
    if scan(directory):
        return []
    path = directory / "001_first.py"
    _write_new(path, _FIRST)
    return [path]


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
