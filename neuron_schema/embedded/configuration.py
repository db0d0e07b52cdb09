"""The configuration files of an embedded server: settings, and who gets in.

Settings live in a file of their own that ``postgresql.conf`` includes, not on the command line
of the server, where a space in a path breaks them; ``ALTER SYSTEM`` still has the last word.
"""

from __future__ import annotations

import os
import pwd
import sys
from typing import TYPE_CHECKING, Final

from neuron_schema.embedded.files import write_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from neuron_schema.embedded.account import Account

SUPERUSER: Final = "postgres"
DEFAULT_PORT: Final = 5432

# sun_path holds 108 bytes on Linux and 104 on macOS and BSD, the closing NUL included.
_LONGEST_SOCKET: Final = 107 if sys.platform == "linux" else 103
_SETTINGS_FILE: Final = "neuron_schema.conf"
_MAP: Final = "neuron_schema"

BASE_SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "port": str(DEFAULT_PORT),
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "cluster_name": "neuron-schema",
}
"""What every embedded server is given."""

THROW_AWAY_SETTINGS: Final[Mapping[str, str]] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}
"""What a server gains speed by whose data nobody will miss
(https://www.postgresql.org/docs/18/non-durability.html)."""

# Peer authentication: the kernel says who is at the other end of the socket, so there is no
# password to keep, and another user of the machine does not get in. TCP, where a throw-away
# server was asked to listen, wants the password that its address carries.
# https://www.postgresql.org/docs/18/auth-peer.html
_HBA: Final = f"""\
local all,replication all peer map={_MAP}
host  all             all all  scram-sha-256
"""


def configure(data: Path, settings: Mapping[str, str], account: Account) -> None:
    """Write the settings and access rules into a data directory, where they differ.

    Raises:
        OSError: A file cannot be written.
    """
    lines = [f"{name} = {quote(value)}\n" for name, value in settings.items()]
    write_file(data / _SETTINGS_FILE, os.fsencode("".join(lines)), account)
    write_file(data / "pg_hba.conf", _HBA.encode(), account)
    write_file(data / "pg_ident.conf", _identities(account).encode(), account)


def include_settings(data: Path, account: Account) -> None:
    """Make a fresh data directory read the settings that ``configure`` writes."""
    main = data / "postgresql.conf"
    write_file(main, main.read_bytes() + f"\ninclude '{_SETTINGS_FILE}'\n".encode(), account)


def _identities(account: Account) -> str:
    """Return ``pg_ident.conf``: root, the server's account and we may be any role."""
    uids = sorted({0, os.geteuid(), account.uid})
    names = {account.uid: account.name}
    for uid in uids:
        try:
            names.setdefault(uid, pwd.getpwuid(uid).pw_name)
        except KeyError:
            continue
    return "".join(f'{_MAP} "{names[uid]}" all\n' for uid in uids if uid in names)


def quote(value: str) -> str:
    """Return a value as a string of ``postgresql.conf``.

    https://www.postgresql.org/docs/18/config-setting.html
    """
    escaped = value.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n")
    return f"'{escaped}'"


def quote_directory(directory: Path) -> str:
    """Return a directory as the only element of a comma-separated list setting."""
    return '"{}"'.format(str(directory).replace('"', '""'))


def fits_socket(directory: Path, port: int) -> bool:
    """Say whether a socket in ``directory`` can be bound, and named in a connection string.

    libpq splits ``host`` at commas, SQLAlchemy reads what follows a colon as the port, and Unix
    limits the length of a socket's path.
    """
    try:
        length = len(str(directory / f".s.PGSQL.{port}").encode())
    except UnicodeEncodeError:
        return False
    return length <= _LONGEST_SOCKET and not set(",:") & set(str(directory))
