"""``checksums.txt``: one line for each version, so that two branches with a new one conflict. Pure.

Git merges two branches that each add a file without a word, also where both files have the
number 005, or one has 005 and the other 006. Both have added a line to the end of this file, and
that is a conflict.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuron_schema.errors import ChecksumsDiffer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.model import VersionInfo

FILE = "checksums.txt"
SCHEMA_FILE = "schema.sql"

_HEAD = "# Written by `neuron-schema snapshot`; on a conflict in it: `neuron-schema rebase`."
_LINE = re.compile(r"([0-9a-f]{64})  ([^\x00-\x1f\x7f]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksums:
    """What the file says.

    Attributes:
        versions: The checksum of each version, by its file name without ending, in order.
        schema: The digest of ``schema.sql``.
    """

    versions: dict[str, str]
    schema: str | None = None

    @property
    def text(self) -> str:
        """The file's text."""
        lines = [_HEAD]
        if self.schema is not None:
            lines.append(f"{self.schema}  {SCHEMA_FILE}")
        lines += [f"{checksum}  {label}" for label, checksum in self.versions.items()]
        return "\n".join(lines) + "\n"


def checksums_of(infos: Sequence[VersionInfo], schema: str) -> Checksums:
    """Return the checksums of versions and of the text of ``schema.sql``."""
    versions = {info.label: info.checksum for info in infos}
    return Checksums(versions=versions, schema=digest(schema))


def digest(text: str) -> str:
    """Return a text's SHA-256 in hex, whatever its line ends: git may have changed those."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()


def parse(text: str, where: str) -> Checksums:
    """Return what a file says.

    Raises:
        ChecksumsDiffer: a line is no checksum, such as those that git marks a conflict with.
    """
    versions: dict[str, str] = {}
    schema = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            marked = line.startswith(("<<<<<<<", "=======", ">>>>>>>", "|||||||"))
            raise ChecksumsDiffer(
                "a merge left a conflict" if marked else f"no checksum and name: {line:.60}",
                where=f"{where}:{number}",
                remedy="two branches have added a version: `neuron-schema rebase` gives yours "
                "the next numbers"
                if marked
                else "`neuron-schema snapshot` writes the file anew",
            )
        checksum, label = match.groups()
        if label == SCHEMA_FILE:
            schema = checksum
        else:
            versions[label] = checksum
    return Checksums(versions=versions, schema=schema)


def differences(listed: Checksums, infos: Sequence[VersionInfo]) -> list[str]:
    """Return what of the versions is not as it is listed, as sentences; none where all is."""
    found = {info.label: info.checksum for info in infos}
    sentences = [
        f"{label} was modified since (listed {listed.versions[label][:12]}, now {checksum[:12]})"
        for label, checksum in found.items()
        if label in listed.versions and listed.versions[label] != checksum
    ]
    sentences += [f"{label} is not listed" for label in found if label not in listed.versions]
    return sentences + [
        f"{label} is listed, but there is no such file"
        for label in listed.versions
        if label not in found
    ]


def refuse_differences(listed: Checksums, infos: Sequence[VersionInfo], where: str) -> None:
    """Refuse versions that are not those that are listed.

    Raises:
        ChecksumsDiffer: with every difference.
    """
    sentences = differences(listed, infos)
    if sentences:
        raise ChecksumsDiffer(
            "; ".join(sentences),
            where=where,
            remedy="restore what was changed by mistake; `neuron-schema snapshot` lists the "
            "versions as they are now",
        )
