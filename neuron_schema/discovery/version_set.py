"""Find the version modules of a directory or package.

Files are only imported when their SQL is wanted, or when their checksum is not known yet.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from neuron_schema.discovery.checksum_cache import ChecksumCache, Known
from neuron_schema.errors import VersionError
from neuron_schema.model import VersionInfo
from neuron_schema.squashed import ends_with, refuse_replaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from neuron_schema.model import Migration

FILE_NAME = re.compile(r"(?P<version>\d+)_(?P<name>[^\x00-\x1f\x7f]+)\.py")
MAX_VERSION_DIGITS = 10
MAX_NAME_LENGTH = 255
NO_VERSIONS = frozenset({"__init__.py", "__pycache__", "schema.sql", "checksums.txt"})
"""What may lie beside the versions."""

_BACKUPS = ("~", ".bak", ".orig", ".rej", ".swp", ".tmp")
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
        # Compiled for their checksum by this process, by the digest of the bytes, until they are
        # asked for.
        self._compiled: dict[str, Migration] = {}
        # Digests that the cache knows: their files have passed the source checks.
        self._checked: set[str] = set()

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
            VersionError: a module is invalid, or no longer what ``infos`` told of.
        """
        wanted = None if infos is None else {info.number for info in infos}
        files = [file for file in self.files if wanted is None or file.number in wanted]
        if not files:
            return ()
        from neuron_schema.discovery.loading import loading

        with loading():
            found = tuple(self._load(file) for file in files)
        self._refuse_changed(found)
        return found

    def _refuse_changed(self, migrations: Iterable[Migration]) -> None:
        """Refuse what nobody has compared with the history: another text than the known one."""
        known = {info.number: info.checksum for info in self._infos or ()}
        for one in migrations:
            if known.get(one.number, one.checksum) != one.checksum:
                raise VersionError(
                    f"{one.label} was changed after the versions had been read",
                    where=one.path,
                    remedy="run the command again; in a service, make another MigrationRunner",
                )

    def _load(self, file: VersionFile) -> Migration:
        from neuron_schema.discovery import version_module

        source = read(file.path)
        digest = hashlib.sha256(source).hexdigest()
        known = self._compiled.pop(digest, None)
        if known is not None and known.path == str(file.path):
            return known
        return version_module.load(
            source,
            str(file.path),
            version=file.version,
            name=file.name,
            checked=digest in self._checked,
        )

    def _read(self) -> tuple[VersionInfo, ...]:
        cache = self._cache()
        infos: list[VersionInfo] = []
        digests: list[str] = []
        with contextlib.ExitStack() as guard:
            learn = _Learner(cache, guard)
            for file in self.files:
                source = read(file.path)
                digest = hashlib.sha256(source).hexdigest()
                digests.append(digest)
                known = cache.get(digest) if cache else None
                # Of the same bytes under another number, what they replace is refused.
                if known is not None and ends_with(known.replaces, file.number):
                    self._checked.add(digest)
                else:
                    self._compiled[digest] = learned = learn(file, source, digest)
                    known = known_of(learned)
                infos.append(
                    VersionInfo(
                        version=file.version, name=file.name, path=str(file.path), **known._asdict()
                    )
                )
        if cache:
            cache.save(digests)
        refuse_replaced(infos)
        return tuple(infos)

    def _cache(self) -> ChecksumCache | None:
        if self._cache_directory is None or not self.files:
            return None
        key = hashlib.sha256(str(self.directory).encode("utf-8", "surrogateescape")).hexdigest()
        return ChecksumCache(self._cache_directory / f"checksums-{key[:16]}.json")


class _Learner:
    """Compiles versions for their checksum and description, and remembers where that is safe."""

    def __init__(self, cache: ChecksumCache | None, guard: contextlib.ExitStack) -> None:
        self._cache = cache
        self._guard = guard
        self._guarded = False

    def __call__(self, file: VersionFile, source: bytes, digest: str) -> Migration:
        # All that imports SQLAlchemy is imported for the first unknown file, or never.
        from neuron_schema.discovery import version_module, version_source
        from neuron_schema.discovery.cacheable import is_cacheable
        from neuron_schema.discovery.loading import loading

        if not self._guarded:
            self._guard.enter_context(loading())
            self._guarded = True
        path = str(file.path)
        tree = version_source.parse(version_source.decode(source, path), path)
        steady = is_cacheable(tree)
        migration = version_module.load_tree(
            tree, source, path, version=file.version, name=file.name, steady=steady
        )
        if self._cache and steady:
            self._cache.put(digest, known_of(migration))
        return migration


def known_of(info: VersionInfo) -> Known:
    """Return what is remembered of a version's file."""
    return Known(info.checksum, info.description, info.replaces)


def locate(versions: str | os.PathLike[str]) -> Path:
    """Return the directory of a directory or package name.

    Raises:
        VersionError: there is neither, or the package raises while it is imported.
    """
    text = os.fspath(versions)
    with contextlib.suppress(OSError, ValueError):
        path = Path(text)
        if text and path.is_dir():
            return path.resolve()
    if isinstance(versions, str) and all(part.isidentifier() for part in text.split(".")):
        found = _package_directory(text)
        if found is not None:
            return found
    raise VersionError(
        f"there is no directory or package of versions {text!r}",
        remedy="`neuron-schema init` makes one; --versions or `versions` in "
        "[tool.neuron_schema] says where it is",
    )


def _package_directory(name: str) -> Path | None:
    """Return where a package is, or None when there is no such package."""
    from importlib import import_module

    try:
        package = import_module(name)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            return None
        raise VersionError(
            f"the package of versions {name!r} raised {type(error).__name__}: {error}",
            where=name,
            remedy=f"`python -c 'import {name}'` shows where",
        ) from error
    # The package's own __path__, not its spec's: an editable install may set it elsewhere.
    for location in getattr(package, "__path__", ()):
        if Path(location).is_dir():
            return Path(location).resolve()
    return None


def scan(directory: Path) -> tuple[VersionFile, ...]:
    """Return the version files of a directory, ordered by number.

    Raises:
        VersionError: a file looks like a version but is not named like one, or two have one
            number.
    """
    files: dict[int, VersionFile] = {}
    for file in versions_in(directory):
        twin = files.setdefault(file.number, file)
        if twin is not file:
            raise VersionError(
                f"two files have the number {file.number}: {twin.path.name} and {file.path.name}",
                where=str(file.path),
                remedy="give one of them the next free number: `neuron-schema rebase` does, where "
                "they come from two branches",
            )
    return tuple(file for _, file in sorted(files.items()))


def versions_in(directory: Path) -> tuple[VersionFile, ...]:
    """Return the version files of a directory by name, two of one number included.

    Raises:
        VersionError: a file looks like a version but is not named like one.
    """
    files: list[VersionFile] = []
    try:
        with os.scandir(directory) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise VersionError(
            f"the directory cannot be read: {error.strerror}",
            where=str(directory),
            remedy="give the user that runs this the right to read it",
        ) from None
    for entry in found:
        if not _looks_like_version(entry.name):
            continue
        path = Path(entry.path)
        version, name = split_file_name(path)
        if not entry.is_file():
            raise VersionError(
                f"{path.name!r} is no file",
                where=str(path),
                remedy="mend the link" if path.is_symlink() else "move it elsewhere",
            )
        files.append(VersionFile(version=version, name=name, path=path))
    return tuple(files)


def _looks_like_version(name: str) -> bool:
    if name in NO_VERSIONS or name.startswith(".") or name.endswith(_BACKUPS):
        return False
    return name.lower().endswith(".py") or name[0].isdecimal()


def split_file_name(file: Path) -> tuple[str, str]:
    """Return version and name of a version file.

    Raises:
        VersionError: the file is not named like a version.
    """
    match = FILE_NAME.fullmatch(file.name)
    if match is None:
        raise VersionError(
            f"{file.name!r} looks like a version but is not named like one",
            where=str(file),
            remedy="name it <digits>_<name>.py, such as 005_add_tags.py, or move it elsewhere",
        )
    version, name = match["version"], match["name"]
    fault = _version_fault(version) or _name_fault(name)
    if fault is not None:
        reason, remedy = fault
        raise VersionError(reason, where=str(file), remedy=remedy)
    return version, name


def _version_fault(version: str) -> tuple[str, str] | None:
    if not version.isascii():
        return f"version {version!r} is not in ASCII digits", "use 0 to 9"
    if len(version) > MAX_VERSION_DIGITS:
        return (
            f"version {version} has {len(version)} digits; the history table holds "
            f"{MAX_VERSION_DIGITS}",
            "number versions 001, 002, ... (`neuron-schema new SLUG` takes the next number)",
        )
    return (f"version {version} is below 1", "begin with 001") if int(version) < 1 else None


def _name_fault(name: str) -> tuple[str, str] | None:
    if len(name) > MAX_NAME_LENGTH:
        return (
            f"the name has {len(name)} characters; the history table holds {MAX_NAME_LENGTH}",
            "shorten the file name",
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"the name {name!r} is not utf-8", "rename the file"
    return None


def read(path: Path) -> bytes:
    """Return the bytes of a version file.

    Raises:
        VersionError: it cannot be read, or is larger than 64 MiB.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        raise VersionError(
            f"the file cannot be read: {error.strerror}",
            where=str(path),
            remedy="give the user that runs this the right to read it",
        ) from None
    if len(source) > _MAX_FILE_BYTES:
        raise VersionError(
            f"the file has {len(source)} bytes; at most {_MAX_FILE_BYTES} are read",
            where=str(path),
            remedy="load data with COPY outside of versions",
        )
    return source


def foreign_imports(files: Iterable[VersionFile]) -> Iterator[tuple[str, int, str]]:
    """Yield path, line and module wherever a version imports the application's own code.

    Raises:
        VersionError: a file cannot be read or parsed.
    """
    from neuron_schema.discovery import version_source

    for file in files:
        path = str(file.path)
        tree = version_source.parse(version_source.decode(read(file.path), path), path)
        for module, line in version_source.foreign_imports(tree):
            yield path, line, module
