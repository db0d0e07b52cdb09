"""``[tool.neuron_schema]`` and the environment, read in one place.

Nothing else in the package reads either. The nearest ``pyproject.toml`` upwards that has a
``[tool.neuron_schema]`` table counts; ``[tool.neuron_schema.env.NAME]`` overrides its keys.
"""

from __future__ import annotations

import contextlib
import difflib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuron_schema.address import Address
from neuron_schema.errors import AddressError, SettingsError
from neuron_schema.settings_file import HEADER, find, line_of, wrong
from neuron_schema.settings_values import KEYS, Ignore, accepted, held
from neuron_schema.url import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EMBEDDED = "embedded"
"""The value of ``database`` that picks the project's embedded server."""

LIBPQ_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")
"""libpq's own variables that say which server is meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a command goes by.

    Attributes:
        root: The directory of the settings file, else the working directory.
        file: The ``pyproject.toml`` that was read, or None.
        database: The address as it was spelled, ``"embedded"``, "" for libpq's own
            variables, or None when there is none.
        database_origin: Where ``database`` was found, for messages; with None as ``database``
            what was set, but empty.
        direct_url: An address past a pooler, for operations that commit on their own.
        versions: A directory (absolute) or the name of an importable package.
        history_table: Name of the history table.
        history_schema: Its schema, or None for the session's current schema.
        schemas: The schemas whose tables are versions' work, and that snapshots are of; () for the
            one in which an unqualified name is made, and for snapshots of all.
        search_path: Set in every step; None leaves what the session had at connect.
        role: ``SET LOCAL ROLE`` in every step, or None.
        ignore: What ``drift`` is to overlook.
        protected: Refuse ``down`` and ``reset``.
        log: Write what is run into the log beside the history table.
        lock_timeout: Seconds a statement waits for a lock in one attempt; less in the first two.
        statement_timeout: Seconds a statement may take; 0 for no limit.
        idle_in_transaction_session_timeout: Seconds after which the server ends a step whose
            runner is silent; 0 for no limit.
        transaction_timeout: Seconds a step may take (PostgreSQL 17); 0 for no limit.
        operation_timeout: Seconds an operation that commits on its own may take; 0 for no limit.
        wait_lock: Seconds after which waiting for the run lock is given up.
        deadline: Seconds after which waiting for other locks and for servers is given up.
    """

    root: Path
    file: Path | None = None
    environment: str | None = None
    database: str | None = field(default=None, repr=False)
    database_origin: str | None = None
    direct_url: str | None = field(default=None, repr=False)
    versions: str = "versions"
    history_table: str = "neuron_migrations"
    history_schema: str | None = None
    search_path: str | None = None
    role: str | None = None
    schemas: tuple[str, ...] = ()
    ignore: tuple[Ignore, ...] = ()
    protected: bool = False
    log: bool = True
    lock_timeout: float = 1.0
    statement_timeout: float = 0.0
    idle_in_transaction_session_timeout: float = 600.0
    transaction_timeout: float = 0.0
    operation_timeout: float = 0.0
    wait_lock: float = 600.0
    deadline: float = 900.0

    @property
    def embedded(self) -> bool:
        """Whether the embedded server is meant."""
        return self.database == EMBEDDED

    def address(self) -> Address:
        """Return the address of the database.

        Raises:
            AddressError: there is none, or it cannot be read.
        """
        if self.database is None:
            raise AddressError(self._no_address(), remedy=_HOW_TO_GIVE_AN_ADDRESS)
        if self.database == "":
            return Address(params={})
        return _parse_from(self.database, self.database_origin)

    def _no_address(self) -> str:
        if self.database_origin is not None:
            return f"no database address: {self.database_origin} is empty"
        return (
            "no database address: none of --database-url, NEURON_SCHEMA_DATABASE_URL, "
            "DATABASE_URL, [tool.neuron_schema] database, "
            f"{', '.join(LIBPQ_VARIABLES[:-1])} or {LIBPQ_VARIABLES[-1]} is set"
        )

    def direct_address(self) -> Address | None:
        """Return the address past a pooler, or None."""
        return _parse_from(self.direct_url, "direct_url") if self.direct_url else None


_HOW_TO_WRITE_ENV = 'write [tool.neuron_schema.env.NAME], then keys such as database = "..."'
_HOW_TO_GIVE_AN_ADDRESS = (
    'set DATABASE_URL=postgresql://user@host/dbname, or database = "embedded" in '
    "[tool.neuron_schema] for the embedded server"
)


def load(
    *,
    directory: Path,
    environ: Mapping[str, str],
    environment: str | None = None,
    database_url: str | None = None,
    direct_url: str | None = None,
    versions: str | None = None,
    wait_lock: str | None = None,
    lock_timeout: str | None = None,
    no_log: bool = False,
) -> Settings:
    """Read the settings that hold in ``directory``.

    Args:
        directory: Where to look first; its parents follow.
        environ: The process environment.
        environment: The name given with ``--env``; else ``NEURON_SCHEMA_ENV``.
        database_url: The address given with ``--database-url``.
        direct_url: The address given with ``--direct-url``.
        versions: What was given with ``--versions``, relative to ``directory``.
        wait_lock: A duration given with ``--wait-lock``.
        lock_timeout: A duration given with ``--lock-timeout``.
        no_log: Whether ``--no-log`` was given.

    Raises:
        SettingsError: an unknown key or environment, or a value of the wrong kind.
    """
    file, table = find(directory)
    root = file.parent if file else directory
    environments = table.pop("env", {})
    environment = environment or environ.get("NEURON_SCHEMA_ENV") or None
    values = _checked(table, file)
    if not isinstance(environments, dict) or not all(
        isinstance(entry, dict) for entry in environments.values()
    ):
        raise wrong("env", "must be a table of tables", file, remedy=_HOW_TO_WRITE_ENV)
    for name, entry in environments.items():
        checked = _checked(entry, file, "env", name)
        if name == environment:
            values |= checked
    if environment is not None and environment not in environments:
        raise SettingsError(
            f"there is no environment {environment!r} in the settings{_known(environments)}",
            where=str(file) if file else None,
            remedy=suggest(environment, environments)
            or f"add [tool.neuron_schema.env.{environment}] to pyproject.toml",
        )
    settings = replace(
        Settings(root=root, file=file, environment=environment),
        **{key: value for key, value in values.items() if key != "database"},
    )
    if wait_lock is not None:
        waited = accepted("wait_lock", wait_lock, name="--wait-lock")
        settings = replace(settings, wait_lock=waited)
    if lock_timeout is not None:
        limit = accepted("lock_timeout", lock_timeout, name="--lock-timeout")
        settings = replace(settings, lock_timeout=limit)
    if no_log:
        settings = replace(settings, log=False)
    database, origin = _database(database_url, environ, values.get("database"))
    chosen, base = _versions(versions, environ, settings.versions, directory, root)
    return replace(
        settings,
        database=database,
        database_origin=origin,
        direct_url=direct_url or environ.get("NEURON_SCHEMA_DIRECT_URL") or settings.direct_url,
        versions=_resolved(chosen, base),
    )


def _checked(table: dict[str, Any], file: Path | None, *below: str) -> dict[str, Any]:
    """Return a table below ``[tool.neuron_schema]`` with values of the right kinds."""
    header = ".".join((*HEADER, *below))
    for key in table:
        if key not in KEYS:
            raise SettingsError(
                f"unknown key {key!r} in [{header}]",
                where=line_of(file, key, *below),
                remedy=suggest(key, KEYS) or f"known keys: {', '.join(KEYS)}",
            )
    return {key: _value(key, value, file, *below) for key, value in table.items()}


def _value(key: str, value: Any, file: Path | None, *below: str) -> Any:
    """Return a value as the settings hold it.

    Raises:
        SettingsError: it is of the wrong kind.
    """
    value, why, remedy = held(key, value)
    if why is not None:
        raise wrong(key, why, file, *below, remedy=remedy)
    return value


def _database(
    given: str | None, environ: Mapping[str, str], configured: str | None
) -> tuple[str | None, str | None]:
    """Return the first address there is, and where it came from.

    What is set but empty ends the search: a deployment whose address got lost on the way must not
    run somewhere else.
    """
    candidates = (
        (given, "--database-url"),
        (environ.get("NEURON_SCHEMA_DATABASE_URL"), "NEURON_SCHEMA_DATABASE_URL"),
        (environ.get("DATABASE_URL"), "DATABASE_URL"),
        (configured, "[tool.neuron_schema] database"),
    )
    for text, origin in candidates:
        if text is not None:
            return text.strip() or None, origin
    for variable in LIBPQ_VARIABLES:
        if environ.get(variable):
            return "", variable
    return None, None


def _versions(
    given: str | None, environ: Mapping[str, str], configured: str, directory: Path, root: Path
) -> tuple[str, Path]:
    """Return where the versions are, and what a relative path starts from."""
    if given:
        return given, directory
    variable = environ.get("NEURON_SCHEMA_VERSIONS")
    return (variable, directory) if variable else (configured, root)


def _resolved(versions: str, base: Path) -> str:
    """Return an absolute directory, or the dotted name of a package as it is."""
    path = Path(versions)
    # Without a home directory, or with an unknown user's, `~` is a name like any other.
    with contextlib.suppress(RuntimeError):
        path = path.expanduser()
    looks_like_package = re.fullmatch(r"[A-Za-z_]\w*(\.\w+)+", versions) is not None
    if looks_like_package and not (base / path).is_dir():
        return versions
    return str(base / path)


def _parse_from(text: str, origin: str | None) -> Address:
    """Parse an address, and say in an error where it came from."""
    try:
        return parse(text)
    except AddressError as error:
        raise AddressError(error.message, remedy=error.remedy, where=origin) from None


def suggest(word: str, known: Iterable[str]) -> str | None:
    """Return a question about a word that is nearly one of those known, or None."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else None


def _known(names: Iterable[str]) -> str:
    return f" (there are: {', '.join(sorted(names))})" if names else ""
