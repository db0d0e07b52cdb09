"""Our stand-in for the contrib extension ``uuid-ossp``, which the wheel does not carry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from neuron_schema.embedded.files import make_directory, write_file

if TYPE_CHECKING:
    from neuron_schema.embedded.account import Account

FIRST_MAJOR: Final = 18
"""``extension_control_path`` came with PostgreSQL 18."""

STAND_IN: Final = "uuid-ossp"
STAND_IN_NOTICE: Final = (
    "uuid-ossp on the embedded server is neuron-schema's stand-in for development: "
    "v3, v4, v5, nil and the namespaces, without v1 and v1mc."
)
_PACKAGE: Final = Path(__file__).resolve().parent


def extension_settings(place: Path, account: Account) -> dict[str, str]:
    """Return the setting that makes our extension known, after copying its files if need be.

    The setting names the parent of ``extension/``, separates directories by colons and needs
    ``$system`` in it for pgvector to stay
    (https://www.postgresql.org/docs/18/runtime-config-client.html#GUC-EXTENSION-CONTROL-PATH).

    Args:
        place: A directory of the account's without a colon in its path, for a copy.
        account: Who has to read the files.

    Raises:
        OSError: The copy cannot be written.
    """
    directory = _PACKAGE
    if ":" in str(_PACKAGE) or not all(account.can_reach(path) for path in _files()):
        directory = place
        make_directory(directory / "extension", account)
        for path in _files():
            write_file(directory / "extension" / path.name, path.read_bytes(), account)
    return {"extension_control_path": f"{directory}:$system"}


def _files() -> list[Path]:
    return sorted((_PACKAGE / "extension").glob("uuid-ossp*"))
