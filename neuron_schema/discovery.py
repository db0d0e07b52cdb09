"""Find the version modules of a directory or package.

Files are only imported when their SQL is wanted, or when their checksum is not known yet.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from neuron_schema import version_module
from neuron_schema.checksum_cache import ChecksumCache
from neuron_schema.errors import VersionError
from neuron_schema.model import Migration, VersionInfo

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_VERSIONS = frozenset({"__init__.py", "__pycache__", "schema.sql", "checksums.txt"})
"""What may lie beside the versions."""

_MAX_FILE_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFile:
    """A file that is named like a version."""

    version: str
    name: str
    path: Path

    @property
    def number(self) -> int:
        """The version as a number."""
        return int(self.version)


class VersionSet:
    """The versions of one directory, in the order of their numbers.

    Args:
        versions: A directory, or the name of an importable package. A string that names an
            existing directory is a directory.
        cache_directory: Where checksums of unchanged files are remembered; None for nowhere.

    Raises:
        VersionError: there is no such place, or a file in it is not named as it must be.
    """

    def __init__(
        self, versions: str | os.PathLike[str], *, cache_directory: Path | None = None
    ) -> None:
        self.directory = locate(versions)
        self.files = scan(self.directory)
        self._cache_directory = cache_directory
        self._infos: tuple[VersionInfo, ...] | None = None

    def infos(self) -> tuple[VersionInfo, ...]:
        """Return all versions with their checksums.

        Files whose bytes are known from the cache are not imported.

        Raises:
            VersionError: a module is invalid.
        """
        if self._infos is None:
            self._infos = self._read()
        return self._infos

    def migrations(self, infos: Iterable[VersionInfo] | None = None) -> tuple[Migration, ...]:
        """Return versions with their SQL, compiled afresh.

        Args:
            infos: The versions wanted; all of them when None.

        Raises:
            VersionError: a module is invalid.
        """
        wanted = None if infos is None else {info.number for info in infos}
        files = [file for file in self.files if wanted is None or file.number in wanted]
        if not files:
            return ()
        with version_module.no_connections():
            return tuple(_load(file) for file in files)

    def _read(self) -> tuple[VersionInfo, ...]:
        cache = self._cache()
        infos: list[VersionInfo] = []
        digests: list[str] = []
        with contextlib.ExitStack() as stack:
            guarded = False
            for file in self.files:
                source = read(file.path)
                digest = hashlib.sha256(source).hexdigest()
                digests.append(digest)
                known = cache.get(digest) if cache else None
                if known is None:
                    if not guarded:
                        stack.enter_context(version_module.no_connections())
                        guarded = True
                    known = _learn(file, source, digest, cache)
                infos.append(
                    VersionInfo(
                        version=file.version,
                        name=file.name,
                        path=str(file.path),
                        checksum=known[0],
                        description=known[1],
                    )
                )
        if cache:
            cache.save(digests)
        return tuple(infos)

    def _cache(self) -> ChecksumCache | None:
        if self._cache_directory is None or not self.files:
            return None
        key = hashlib.sha256(str(self.directory).encode("utf-8", "surrogateescape")).hexdigest()
        return ChecksumCache(self._cache_directory / f"checksums-{key[:16]}.json")


def locate(versions: str | os.PathLike[str]) -> Path:
    """Return the directory of a directory or package name.

    Raises:
        VersionError: there is neither.
    """
    path = Path(versions)
    if path.is_dir():
        return path.resolve()
    text = os.fspath(versions)
    if isinstance(versions, str) and all(part.isidentifier() for part in text.split(".")):
        # The package's own __path__, not its spec's: an editable install may set it elsewhere.
        from importlib import import_module

        with contextlib.suppress(ImportError):
            for location in getattr(import_module(text), "__path__", ()):
                if Path(location).is_dir():
                    return Path(location).resolve()
    raise VersionError(
        f"there is no directory or package of versions {text!r}",
        remedy="`neuron-schema init` makes one; --versions or `versions` in "
        "[tool.neuron_schema] says where it is",
    )


def scan(directory: Path) -> tuple[VersionFile, ...]:
    """Return the version files of a directory, ordered by number.

    Raises:
        VersionError: a file looks like a version but is not named like one, or two have one
            number.
    """
    files: dict[int, VersionFile] = {}
    try:
        paths = sorted(directory.iterdir())
    except OSError as error:
        raise VersionError(f"the directory cannot be read: {error}", where=str(directory)) from None
    for path in paths:
        if not _looks_like_version(path):
            continue
        version, name = version_module.split_file_name(path)
        if not path.is_file():
            raise VersionError(f"{path.name!r} is no file", where=str(path), remedy="move it away")
        file = VersionFile(version=version, name=name, path=path)
        twin = files.setdefault(file.number, file)
        if twin is not file:
            raise VersionError(
                f"two files have the number {file.number}: {twin.path.name} and {path.name}",
                where=str(path),
                remedy="give one of them the next free number (`neuron-schema new` tells it)",
            )
    return tuple(file for _, file in sorted(files.items()))


def _looks_like_version(path: Path) -> bool:
    name = path.name
    if name in NO_VERSIONS or name.startswith(".") or name.endswith("~"):
        return False
    return name.lower().endswith(".py") or name[0].isdigit()


def read(path: Path) -> bytes:
    """Return the bytes of a version file.

    Raises:
        VersionError: it cannot be read, or is larger than 64 MiB.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        raise VersionError(f"the file cannot be read: {error.strerror}", where=str(path)) from None
    if len(source) > _MAX_FILE_BYTES:
        raise VersionError(
            f"the file has {len(source)} bytes; at most {_MAX_FILE_BYTES} are read",
            where=str(path),
            remedy="load data with COPY outside of versions",
        )
    return source


def _load(file: VersionFile) -> Migration:
    return version_module.load(
        read(file.path), str(file.path), version=file.version, name=file.name
    )


def _learn(
    file: VersionFile, source: bytes, digest: str, cache: ChecksumCache | None
) -> tuple[str, str]:
    """Compile a version for its checksum and description, and remember them where that is safe."""
    path = str(file.path)
    tree = version_module.parse(version_module.decode(source, path), path)
    migration = version_module.load_tree(tree, path, version=file.version, name=file.name)
    if cache and version_module.cacheable(tree):
        cache.put(digest, migration.checksum, migration.description)
    return migration.checksum, migration.description
