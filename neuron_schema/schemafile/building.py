"""What the versions make, on throw-away databases, as the text of ``schema.sql``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuron_schema.canonical import leading_words
from neuron_schema.schemafile import rows, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from neuron_schema.catalog import Snapshot
    from neuron_schema.model import Migration
    from neuron_schema.proof.ground import Workshop
    from neuron_schema.schemafile.rows import Contents

_ROLES = (("CREATE", "ROLE"), ("CREATE", "USER"), ("CREATE", "GROUP"), ("ALTER", "ROLE"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What versions made.

    Attributes:
        schema: The schema after the last one.
        contents: What is in it.
        current_schema: Where names without a schema were made; None for nowhere.
        search_path: What the versions saw.
    """

    schema: Snapshot
    contents: Contents
    current_schema: str | None
    search_path: str


def schema_text(workshop: Workshop, migrations: Sequence[Migration]) -> str:
    """Return the text of ``schema.sql``: what all versions make.

    Where they insert rows they are run twice, to see which values are the same each time.

    Args:
        workshop: Where and how.
        migrations: All versions.

    Raises:
        SchemaNotRendered: what they make cannot be written.
        NeuronSchemaError: a version fails, or the server cannot be had.
    """
    first = build(workshop, migrations)
    contents = first.contents
    if contents.tables:
        contents = rows.settled(contents, build(workshop, migrations).contents)
    return text.written(
        first.schema,
        contents,
        version=migrations[-1].label if migrations else "",
        schema=first.current_schema,
        search_path=first.search_path,
        obstacles=tuple(obstacles(migrations)),
    )


def obstacles(migrations: Sequence[Migration]) -> Iterator[str]:
    """Yield what versions say themselves that no file could do for them."""
    for migration in migrations:
        kinds = {one.own_commit.kind for one in migration.up_statements if one.own_commit}
        if any(kind.startswith("BACKFILL") for kind in kinds):
            yield f"{migration.label} changes rows by a Backfill"
        if any(leading_words(one.sql, 2) in _ROLES for one in migration.up_statements):
            yield f"{migration.label} makes or alters roles, which are in no schema"


def build(workshop: Workshop, migrations: Sequence[Migration]) -> Built:
    """Run versions on an empty database, and read what they made.

    Args:
        workshop: Where and how.
        migrations: The versions, from the first one on.

    Raises:
        NeuronSchemaError: a version fails.
    """
    with (
        workshop.roles_put_back(migrations),
        workshop.database() as database,
        workshop.open(database) as ground,
    ):
        row = ground.connection.execute(
            "SELECT pg_catalog.current_schema()::text, pg_catalog.current_setting('search_path')"
        ).fetchone()
        assert row is not None  # noqa: S101 - the query has one row
        if migrations:
            ground.run(migrations)
        schema = ground.snapshot()
        return Built(
            schema=schema,
            contents=rows.read(ground.connection, schema),
            current_schema=row[0],
            search_path=row[1],
        )
