"""The schema that a Python MetaData stands for, made by PostgreSQL."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import MetaData
from sqlalchemy.exc import SQLAlchemyError

from neuron_schema.errors import StatementFailed, UsageError
from neuron_schema.execution.failures import original
from neuron_schema.proof.shadow import FLAG
from neuron_schema.quoting import identifier

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from neuron_schema.proof.ground import Ground


def load(module: str, name: str, root: Path) -> MetaData:
    """Import a MetaData, as the project's own code would from its root.

    Args:
        module: The module's dotted name.
        name: The name in it, with dots for attributes: ``Base.metadata``.
        root: The project's directory, put in front of the import path.

    Raises:
        UsageError: there is no such module or name, it fails to import, or it is no MetaData.
    """
    place = f"py:{module}:{name}"
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        found: object = importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 - the project's code may raise anything
        raise UsageError(
            f"{module} cannot be imported: {type(error).__name__}: {error}",
            where=place,
            remedy="name a module that can be imported from the project's root",
        ) from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{module} has no {name}", where=place, remedy="write py:MODULE:NAME")
        found = getattr(found, part)
    if not isinstance(found, MetaData):
        raise UsageError(
            f"{name} of {module} is a {type(found).__name__}, no MetaData",
            where=place,
            remedy="name the MetaData, such as Base.metadata",
        )
    return found


def create(
    ground: Ground, metadata: MetaData, extensions: Iterable[tuple[str, str]], *, where: str
) -> None:
    """Make what a MetaData stands for.

    Args:
        ground: An empty database with the schemas that the MetaData needs.
        metadata: What to make.
        extensions: Name and schema of those that are to be there beforehand.
        where: The MetaData's place, for messages.

    Raises:
        StatementFailed: PostgreSQL refuses it.
        UsageError: SQLAlchemy does.
    """
    for name, schema in extensions:
        sql = f"CREATE EXTENSION IF NOT EXISTS {identifier(name)} WITH SCHEMA {identifier(schema)}"
        try:
            ground.connection.execute(sql.encode())
        except psycopg.Error as error:
            raise StatementFailed(
                f"the extension {name} cannot be created in the shadow: "
                f"{error.diag.message_primary or error}",
                where=where,
                remedy=f"give a server that has it with {FLAG}",
            ) from None
    try:
        with ground.engine.begin() as connection:
            metadata.create_all(connection, checkfirst=False)
    except SQLAlchemyError as error:
        cause = original(error)
        if cause is None:
            raise UsageError(
                f"the MetaData cannot be created: {error}", where=where, remedy="correct it"
            ) from None
        raise StatementFailed(
            f"the MetaData cannot be created: {cause.diag.message_primary or cause}",
            where=where,
            sqlstate=cause.sqlstate,
            remedy="correct it; what it needs of other schemas, types, extensions and functions "
            "is made by versions alone",
        ) from None
