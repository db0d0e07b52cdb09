"""Which versions a review is of: those that are new or edited since another branch was left.

What counts is the SQL: a file that was only laid out anew, or renamed, is not edited. The working
tree is looked at, so that what is not committed yet is reviewed as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from neuron_schema.discovery.version_set import read, split_file_name
from neuron_schema.errors import VersionError
from neuron_schema.review.report import Novelty
from neuron_schema.review.repository import Repository
from neuron_schema.targets import find_version, target_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from neuron_schema.discovery.version_set import VersionFile, VersionSet
    from neuron_schema.model import Migration, VersionInfo
    from neuron_schema.review.repository import Blob

_SHORT: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What a review is of.

    Attributes:
        compared_with: ``origin/main (1a2b3c4)``, or ``versions up to 003``.
        versions: Numbers of the versions under review, and why they are.
        deleted: Labels of versions that were there and are there no more.
        formerly: By their numbers, edited versions as they were, where they were valid.
    """

    compared_with: str
    versions: Mapping[int, Novelty]
    deleted: tuple[str, ...] = ()
    formerly: Mapping[int, Migration] = field(default_factory=dict)


def after(infos: Sequence[VersionInfo], version: str) -> Changed:
    """Return the versions after one as those under review; ``0`` for all.

    Raises:
        TargetError: there is no such version.
    """
    number = target_number(version)
    last = find_version(infos, version) if number else None
    return Changed(
        compared_with=f"versions up to {last.version}" if last else "an empty database",
        versions={info.number: Novelty.NEW for info in infos if info.number > number},
    )


def since(versions: VersionSet, base: str | None = None) -> Changed:
    """Return the versions that are new or edited since a branch was left.

    Args:
        versions: Those of the working tree.
        base: A branch, or anything else that git takes for a commit; None for the main branch.

    Raises:
        UsageError: git cannot tell; the remedy names what does without it.
        VersionError: a version of the working tree is invalid.
    """
    repository = Repository(versions.directory)
    chosen = repository.main() if base is None else base
    common = repository.merge_base(chosen)
    then = _by_number(repository.files(common))
    now = {file.number: file for file in versions.files}
    wanted: dict[int, Novelty] = {}
    formerly: dict[int, Migration] = {}
    for number, file in now.items():
        old = then.get(number)
        if old is None:
            wanted[number] = Novelty.NEW
        elif not old.holds(read(file.path)):
            is_, was = _both(file, old, repository)
            if was is None or is_.checksum != was.checksum:
                wanted[number] = Novelty.EDITED
            if was is not None:
                formerly[number] = was
    return Changed(
        compared_with=f"{chosen} ({common[:_SHORT]})",
        versions=wanted,
        deleted=tuple(then[number].name[:-3] for number in sorted(set(then) - set(now))),
        formerly={number: each for number, each in formerly.items() if number in wanted},
    )


def _by_number(blobs: Sequence[Blob]) -> dict[int, Blob]:
    """Return the version files among those of a commit; misnamed ones are no versions."""
    found: dict[int, Blob] = {}
    for blob in blobs:
        try:
            version, _ = split_file_name(Path(blob.name))
        except VersionError:
            continue
        found.setdefault(int(version), blob)
    return found


def _both(
    file: VersionFile, blob: Blob, repository: Repository
) -> tuple[Migration, Migration | None]:
    """Return a version as it is and as it was; None where it was no valid one.

    Nobody has run that, so the one that there is now is another one.
    """
    from neuron_schema.discovery import version_module
    from neuron_schema.discovery.loading import loading

    def load(content: bytes, path: str) -> Migration:
        return version_module.load(content, path, version=file.version, name=file.name)

    with loading():
        now = load(read(file.path), str(file.path))
        try:
            return now, load(repository.content(blob), f"{file.path} as it was")
        except VersionError:
            return now, None
