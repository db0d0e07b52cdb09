"""Where the data of a project's development server are, and what runs them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from neuron_schema.embedded.account import Account, server_account
from neuron_schema.embedded.binaries import (
    STATE_DIRECTORY,
    Binaries,
    find_binaries,
    is_reachable,
    make_state_directory,
    reachable_binaries,
)
from neuron_schema.embedded.cluster import Cluster
from neuron_schema.embedded.files import make_directory, write_file

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = ".neuron_schema"


@dataclass(frozen=True, slots=True)
class Place:
    """What was decided about a project's server before anything is written.

    Attributes:
        home: The private directory of the server: its data, log and locks.
        found: The wheel's binaries.
        account: The account that the server runs under.
        notices: Sentences that a user should read once.
    """

    home: Path
    found: Binaries
    account: Account
    notices: tuple[str, ...]

    def cluster(self) -> Cluster:
        """Create the directory, and a copy of the binaries where needed.

        Raises:
            EmbeddedFailed: The directory belongs to somebody else.
            OSError: Something cannot be written.
        """
        if self.home.is_relative_to(STATE_DIRECTORY):
            make_state_directory()
        make_directory(self.home, self.account)
        write_file(self.home / ".gitignore", b"*\n", self.account)
        return Cluster(self.home, reachable_binaries(self.found, self.account), self.account)

    def existing(self) -> Cluster | None:
        """Return the cluster if there is one, for looking and stopping; nothing is written."""
        if not self.home.is_dir():
            return None
        return Cluster(self.home, self.found, self.account)


def place_of(root: Path, major: int) -> Place:
    """Decide where a project's server lives; see ``Place``.

    The data are in the project, unless the account that root has to hand the server to cannot
    get there (a home directory with mode 0700) and no permission may be changed.

    Raises:
        EmbeddedMissing: The extra ``embedded`` is not installed.
        EmbeddedFailed: The wheel has no such major, or there is no account to run under.
        OSError: ``root`` cannot be read.
    """
    root = root.resolve(strict=True)
    found = find_binaries(major)
    account = server_account(root)
    notices: tuple[str, ...] = ()
    home, elsewhere = root / FOLDER, _elsewhere(root)
    # Once chosen, a place stays, or the data would seem lost after somebody's chmod.
    if not account.can_reach(root) or (elsewhere.is_dir() and not home.is_dir()):
        home = elsewhere
        notices += (
            f"The embedded server's data are in {home}, "
            f"because the user {account.name}, under whom it runs, cannot enter {root}.",
        )
    if not is_reachable(found, account):
        notices += (
            f"The embedded server runs a copy of its binaries in {STATE_DIRECTORY}, "
            f"because the user {account.name} cannot enter {found.directory}.",
        )
    return Place(home, found, account, notices)


def _elsewhere(root: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    return STATE_DIRECTORY / f"project-{digest}"
