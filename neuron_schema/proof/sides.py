"""What ``diff`` compares: a version, a git revision, a database, or a Python MetaData."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from neuron_schema.address import Address
from neuron_schema.catalog import Extension, Schema
from neuron_schema.errors import UsageError
from neuron_schema.proof.drift import build
from neuron_schema.proof.git import directory_at
from neuron_schema.proof.metadata import create, load
from neuron_schema.targets import find_version, target_number
from neuron_schema.url import parse

if TYPE_CHECKING:
    from pathlib import Path

    from neuron_schema.catalog import Snapshot
    from neuron_schema.discovery.version_set import VersionSet
    from neuron_schema.proof.ground import Workshop

SPELLINGS = (
    "write @003 for a version, git:REVISION, postgresql://... for a database, or py:MODULE:METADATA"
)


@dataclass(frozen=True, slots=True)
class AtVersion:
    """The schema that the versions up to one build; "0" for none."""

    target: str


@dataclass(frozen=True, slots=True)
class AtRevision:
    """The schema that all versions of a git revision build."""

    revision: str


@dataclass(frozen=True, slots=True)
class OfMetaData:
    """The schema that ``MetaData.create_all`` makes."""

    module: str
    name: str


Side: TypeAlias = AtVersion | AtRevision | OfMetaData | Address


def parse_side(text: str) -> Side:
    """Read one side of a comparison.

    Raises:
        UsageError: it is none of the four.
        AddressError: it is no address.
    """
    if text.startswith("@"):
        target_number(text[1:])
        return AtVersion(text[1:])
    if text.startswith("git:"):
        if not text[4:]:
            raise UsageError("git: names no revision", remedy="write git:origin/main")
        return AtRevision(text[4:])
    if text.startswith("py:"):
        module, _, name = text[3:].partition(":")
        if not module or not name:
            raise UsageError(
                f"{text} names no MetaData",
                remedy="write py:MODULE:NAME, as py:app.tables:metadata",
            )
        return OfMetaData(module, name)
    if "=" not in text and "://" not in text:
        raise UsageError(f"{text!r} is nothing that can be compared", remedy=SPELLINGS)
    return parse(text)


def build_side(
    side: AtVersion | AtRevision | OfMetaData,
    workshop: Workshop,
    versions: VersionSet,
    *,
    root: Path,
    other: Snapshot | None = None,
) -> Snapshot:
    """Return the schema of one side, built in a shadow.

    Args:
        side: What to build.
        workshop: Where and how.
        versions: Those of the working directory.
        root: The project's directory.
        other: The schema that a MetaData is compared with: a MetaData knows neither extensions
            nor all schemas, so that those come from there.

    Raises:
        UsageError: there is no such version, revision, file or MetaData.
        NeuronSchemaError: it cannot be built.
    """
    if isinstance(side, AtVersion):
        return _at_version(side, workshop, versions)
    if isinstance(side, AtRevision):
        with directory_at(side.revision, versions.directory) as then:
            there = replace(workshop, directory=then.directory)
            return build(there, then.migrations(then.infos()))
    return _of_metadata(side, workshop, root, other)


def _at_version(side: AtVersion, workshop: Workshop, versions: VersionSet) -> Snapshot:
    infos = versions.infos()
    number = target_number(side.target)
    last = find_version(infos, side.target).number if number else 0
    return build(workshop, versions.migrations([info for info in infos if info.number <= last]))


def _of_metadata(
    side: OfMetaData, workshop: Workshop, root: Path, other: Snapshot | None
) -> Snapshot:
    metadata = load(side.module, side.name, root)
    objects = () if other is None else other.objects
    schemas = tuple(each.name for each in objects if isinstance(each, Schema))
    extensions = tuple((each.name, each.target) for each in objects if isinstance(each, Extension))
    there = replace(workshop, beforehand=schemas)
    with there.database() as address, there.open(address) as ground:
        create(ground, metadata, extensions, where=f"py:{side.module}:{side.name}")
        return ground.snapshot()
