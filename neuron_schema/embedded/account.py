"""The operating-system account that a server runs under, and what that account can reach.

PostgreSQL refuses to run as root, so root hands the server to an ordinary account: the owner of
the project where that is one, else a system account of our own. Nothing here changes the
permissions of anything that exists.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from neuron_schema.errors import EmbeddedFailed

if TYPE_CHECKING:
    from pathlib import Path

OWN_ACCOUNT: Final = "neuron-schema"
_STAND_INS: Final = ("postgres", "nobody")
_CREATION_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the operating system.

    Attributes:
        name: Its name in the password database; PostgreSQL insists that there is one.
        uid: Its user id.
        gid: Its primary group.
        groups: Its supplementary groups.
    """

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    @property
    def is_other(self) -> bool:
        """Whether processes of this account need a change of user."""
        return self.uid != os.geteuid()

    def process_arguments(self) -> dict[str, Any]:
        """Return the arguments of ``subprocess.Popen`` that give up our identity for this one."""
        if not self.is_other:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups)}

    def own(self, path: Path | int) -> None:
        """Give a file that we have just created to this account (a symlink is not followed)."""
        if not self.is_other:
            return
        if isinstance(path, int):
            os.fchown(path, self.uid, self.gid)
        else:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_reach(self, path: Path, *, write: bool = False) -> bool:
        """Say whether the account can enter every directory above ``path`` and read ``path``.

        Judged by the permission bits: asking by trial would cost a process per question.
        """
        wanted = 0o4 | (0o2 if write else 0)
        try:
            path = path.resolve(strict=True)
            if not self.is_other:
                return os.access(path, os.R_OK | (os.W_OK if write else 0))
            status = path.stat()
            wanted |= 0o1 if stat.S_ISDIR(status.st_mode) else 0
            return self._may(status, wanted) and all(
                self._may(parent.stat(), 0o1) for parent in path.parents
            )
        except OSError:
            return False

    def _may(self, status: os.stat_result, wanted: int) -> bool:
        if status.st_uid == self.uid:
            granted = status.st_mode >> 6
        elif status.st_gid == self.gid or status.st_gid in self.groups:
            granted = status.st_mode >> 3
        else:
            granted = status.st_mode
        return granted & wanted == wanted


def server_account(project: Path | None = None) -> Account:
    """Choose the account that a server runs under.

    Args:
        project: The directory whose owner the server may run as, where we are root.

    Returns:
        Ourselves; as root the project's owner, or an account that exists for this alone
        (created at need), or failing that ``postgres`` or ``nobody``.

    Raises:
        EmbeddedFailed: The user id has no name, or root finds no account to use.
    """
    if os.geteuid() != 0:
        return _named(os.geteuid()) or _refuse_nameless()
    owner = project.stat().st_uid if project else 0
    return (owner and _named(owner)) or _find(OWN_ACCOUNT) or _create() or _stand_in()


def _account(entry: pwd.struct_passwd) -> Account:
    groups = () if entry.pw_name == OWN_ACCOUNT else os.getgrouplist(entry.pw_name, entry.pw_gid)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, tuple(groups))


def _named(uid: int) -> Account | None:
    try:
        return _account(pwd.getpwuid(uid))
    except KeyError:
        return None


def _find(name: str) -> Account | None:
    try:
        return _account(pwd.getpwnam(name))
    except KeyError:
        return None


def _refuse_nameless() -> Account:
    msg = f"PostgreSQL runs only under a user with a name, and user id {os.geteuid()} has none"
    raise EmbeddedFailed(msg, remedy="add this user id to /etc/passwd, or run as another user")


def _create() -> Account | None:
    """Create our system account; two processes may try at once, so what counts is the result."""
    useradd = shutil.which("useradd") or shutil.which("useradd", path="/usr/sbin:/sbin")
    if useradd is None:
        return None
    command = [
        useradd,
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
    ]
    deadline = time.monotonic() + _CREATION_SECONDS
    while time.monotonic() < deadline:
        result = subprocess.run(  # noqa: S603 - a program found in PATH, our arguments
            [*command, "--shell", "/usr/sbin/nologin", OWN_ACCOUNT],
            check=False,
            capture_output=True,
        )
        if (account := _find(OWN_ACCOUNT)) is not None:
            return account
        if result.returncode != 1:  # 1: the password file is locked by somebody else
            return None
        time.sleep(0.05)
    return None


def _stand_in() -> Account:
    for name in _STAND_INS:
        if (account := _find(name)) is not None:
            return account
    msg = "PostgreSQL does not run as root, and there is no ordinary account to run it under"
    raise EmbeddedFailed(msg, remedy=f"useradd --system {OWN_ACCOUNT}")
