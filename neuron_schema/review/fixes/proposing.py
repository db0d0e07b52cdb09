"""From a finding to version modules that are rid of it. Pure: no database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from neuron_schema.compiling.compile_error import CompileError
from neuron_schema.discovery import version_module
from neuron_schema.discovery.loading import loading
from neuron_schema.discovery.version_set import split_file_name
from neuron_schema.errors import VersionError
from neuron_schema.review.fixes import (
    backfills,
    columns,
    constraints,
    indexes,
    moving,
    not_null,
    partitions,
)
from neuron_schema.review.fixes.arranging import Remedy, arranged
from neuron_schema.review.fixes.original import Original
from neuron_schema.review.fixes.proposal import Proposal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding, FixModule

_Way: TypeAlias = "Callable[[Original, Finding], Iterator[Remedy]]"

_INDEXES: Final[tuple[_Way, ...]] = (indexes.create_index,)
_LOCKING: Final[tuple[_Way, ...]] = (
    indexes.create_index,
    constraints.validated_too_soon,
    constraints.add_constraint,
    constraints.add_unique,
    not_null.set_not_null,
    backfills.all_rows,
    moving.split,
)
"""What a statement that runs under the locks of others may be, and at last any."""

_BY_HAZARD: Final[Mapping[str, tuple[_Way, ...]]] = {
    "add-check-valid": (constraints.add_constraint,),
    "add-fk-valid": (constraints.add_constraint,),
    "add-unique-blocking": (constraints.add_unique,),
    "add-column-inline-check": (columns.inline_check,),
    "add-column-inline-unique": (columns.inline_unique,),
    "add-column-volatile-default": (columns.volatile_default,),
    "bulk-dml": (backfills.all_rows,),
    "create-index-blocking": _INDEXES,
    "drop-index-blocking": (indexes.drop_index,),
    "lock-held-across-statements": _LOCKING,
    "not-valid-validated-same-tx": (constraints.validated_too_soon,),
    "partition-attach-scan": (partitions.attach,),
    "partition-detach-blocking": (partitions.detach,),
    "reindex-blocking": (moving.reindex,),
    "set-not-null-scan": (not_null.set_not_null,),
    "vector-index-blocking": _INDEXES,
}
_NOWHERE: Final = "<proposal>"
REMEDIED: Final = frozenset(_BY_HAZARD)
"""The hazards for which modules can be written."""


def propose(case: Case, finding: Finding, *, taken: Collection[int] = ()) -> Proposal | None:
    """Return version modules to be used instead of one, or None where none can be written.

    Args:
        case: The version.
        finding: What they are to be rid of.
        taken: The numbers of all versions that there are; later ones may have to move up.
    """
    if finding.hazard not in _BY_HAZARD:
        return None
    original = Original(case)
    remedies: list[Remedy] = []
    for way in _BY_HAZARD[finding.hazard]:
        remedies = list(way(original, finding))
        # To split is to stop before the statement.
        told = {each.number + (way is moving.split) for each in remedies}
        if remedies and finding.statement in {None, *told}:
            break
    else:
        return None
    found = arranged(original, remedies, finding.hazard, taken)
    if found is None or not all(map(_is_valid, found[1])):
        return None
    summary, modules = found
    return Proposal(
        hazard=finding.hazard, statement=finding.statement, summary=summary, modules=modules
    )


def _is_valid(module: FixModule) -> bool:
    """Whether a module can be loaded."""
    version, name = split_file_name(Path(module.file_name))
    # In no directory: byte code is kept beside a file that is there.
    path = f"{_NOWHERE}/{module.file_name}"
    try:
        with loading():
            version_module.load(module.source.encode(), path, version=version, name=name)
    except (VersionError, CompileError):
        return False
    return True
