"""One data directory and the server on it: initialise, launch, find out, shut down.

Whether a server lives is asked of a lock, never of a process id, which may belong to somebody
else by now (a reboot, a container): every process of the server inherits the descriptor that
holds ``alive.lock``, as its standard output, and the kernel lets go of it with the last of them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from neuron_schema.embedded.configuration import SUPERUSER, include_settings
from neuron_schema.embedded.files import is_locked, lock, open_file, write_file
from neuron_schema.errors import EmbeddedFailed

if TYPE_CHECKING:
    from neuron_schema.embedded.account import Account
    from neuron_schema.embedded.binaries import Binaries

START_SECONDS: Final = 120.0
"""How long a server may take to get ready; recovery after a crash can need it."""

STOP_SECONDS: Final = 30.0
"""How long a server may take to stop before it is told to drop everything."""

_POLL_SECONDS: Final = 0.003
_LOG_LINES: Final = 15
_KEPT_ENVIRONMENT: Final = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
_IN_BACKGROUND: Final = '"$@" &'


@dataclass(frozen=True, slots=True)
class Running:
    """What ``postmaster.pid`` says of a server that accepts connections.

    Attributes:
        pid: The postmaster's process id.
        socket_directory: Where its socket is.
        port: The number in the socket's name, and of TCP if it listens there.
    """

    pid: int
    socket_directory: str
    port: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data directory, what runs it, and the private directory around it.

    Attributes:
        home: The directory that holds the data, the log and the locks.
        binaries: The installation of PostgreSQL to run.
        account: The account that owns the files and the processes.
        throw_away: Whether the directory goes with the server, so that no remedy names it.
    """

    home: Path
    binaries: Binaries
    account: Account
    throw_away: bool = False

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.home / "log"

    @property
    def alive_lock(self) -> Path:
        """The file that every process of the server holds locked."""
        return self.home / "alive.lock"

    def initialise(self, *, password: str | None = None) -> None:
        """Make the data directory, under another name until it is complete.

        Args:
            password: The superuser's, for a server that listens on TCP.

        Raises:
            EmbeddedFailed: ``initdb`` failed.
            OSError: A file cannot be written.
        """
        for left in self.home.glob("data.unfinished*"):
            shutil.rmtree(left, ignore_errors=True)
        # A name of its own: the initdb of a user that was killed lives on for a moment.
        unfinished = self.home / f"data.unfinished-{os.getpid()}-{time.monotonic_ns()}"
        command = [str(self.binaries.path("initdb")), "-D", str(unfinished), "-U", SUPERUSER]
        command += ["--no-instructions", "--auth-local=peer", "--auth-host=scram-sha-256"]
        # A thousand small files, which the kernel writes within half a minute anyway: waiting for
        # the disk costs seconds on a busy one, when there is nothing of the user's to lose yet.
        command.append("--no-sync")
        secret = self.home / "password"
        if password is not None:
            write_file(secret, password.encode(), self.account)
            command.append(f"--pwfile={secret}")
        # One locale for all machines: PostgreSQL 17 brought its own C.UTF-8, before it only C
        # is the same everywhere. https://www.postgresql.org/docs/18/locale.html
        command += ["--encoding=UTF8", "--locale=C"]
        if self.binaries.major >= 17:  # noqa: PLR2004 - the first major with the provider
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        result = subprocess.run(  # noqa: S603 - the wheel's program, our arguments
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment(),
            **self.account.process_arguments(),
        )
        secret.unlink(missing_ok=True)
        if result.returncode != 0:
            output = result.stdout.decode(errors="replace")
            msg = f"initdb failed:\n{last_lines(output)}"
            raise EmbeddedFailed(msg, where=str(self.data))
        include_settings(unfinished, self.account)
        unfinished.rename(self.data)

    def launch(
        self, script: str = _IN_BACKGROUND, *, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start the server from a shell, in a session of its own, and return the shell.

        The shell makes the server nobody's child here, so that it may outlive this process.

        Args:
            script: What the shell runs; ``"$@"`` is the server's command, ``$0`` is ``home``.
            stdin: The shell's standard input, as for ``subprocess.Popen``.

        Raises:
            EmbeddedFailed: A server of this data directory is still there.
        """
        alive = open_file(self.alive_lock, os.O_RDWR, self.account)
        log = open_file(self.log, os.O_WRONLY | os.O_APPEND, self.account)
        try:
            if not lock(alive, fcntl.LOCK_EX, seconds=STOP_SECONDS):
                msg = "processes of a former server do not end"
                raise EmbeddedFailed(msg, where=str(self.data))
            self._remove_remains()
            return subprocess.Popen(  # noqa: S603 - the wheel's program, our arguments
                [
                    "/bin/sh",
                    "-c",
                    script,
                    self.home,
                    self.binaries.path("postgres"),
                    "-D",
                    self.data,
                ],
                stdin=stdin,
                stdout=alive,
                stderr=log,
                cwd="/",
                env=environment(),
                start_new_session=True,
                **self.account.process_arguments(),
            )
        finally:
            os.close(log)
            os.close(alive)

    def wait_until_ready(self) -> Running:
        """Wait for a launched server to accept connections.

        Raises:
            EmbeddedFailed: It ended, or is not ready after ``START_SECONDS``.
        """
        running = self.settled()
        if running is None:
            raise self.failure("the embedded server did not start")
        return running

    def settled(self) -> Running | None:
        """Return the server that accepts connections, or None when no process of it lives.

        One on its way up or down, or what a killed one left behind, is waited for.

        Raises:
            EmbeddedFailed: It is neither after ``START_SECONDS``.
        """
        deadline = time.monotonic() + START_SECONDS
        while self.is_alive():
            if (running := self.running()) is not None:
                return running
            if time.monotonic() > deadline:
                msg = f"the embedded server neither gets ready nor ends in {START_SECONDS:.0f} s"
                raise self.failure(msg)
            time.sleep(_POLL_SECONDS)
        return None

    def running(self) -> Running | None:
        """Return what a server that accepts connections says of itself, None if there is none."""
        return self._read_pid_file() if self._postmaster() is not None else None

    def is_alive(self) -> bool:
        """Say whether any process of the server lives."""
        return is_locked(self.alive_lock)

    def _read_pid_file(self) -> Running | None:
        """Read what a server wrote of itself; None before it was ready.

        Lines 1, 4, 5 and 8 of ``postmaster.pid``
        (https://github.com/postgres/postgres/blob/master/src/include/utils/pidfile.h).
        """
        try:
            lines = os.fsdecode((self.data / "postmaster.pid").read_bytes()).split("\n")
        except FileNotFoundError:
            return None
        if len(lines) < 8 or lines[7].strip() != "ready":  # noqa: PLR2004 - as documented above
            return None
        return Running(int(lines[0]), lines[4], int(lines[3]))

    def shut_down(self) -> None:
        """Stop the server in an orderly way, and by force if that takes too long.

        Raises:
            EmbeddedFailed: It is not to be stopped by us.
        """
        # https://www.postgresql.org/docs/18/server-shutdown.html: fast, then immediate.
        for number in (signal.SIGINT, signal.SIGQUIT):
            if (pid := self._postmaster()) is not None:
                self._send(pid, number)
            deadline = time.monotonic() + STOP_SECONDS
            while time.monotonic() < deadline:
                if not self.is_alive():
                    return
                time.sleep(_POLL_SECONDS)
        raise self.failure("the embedded server does not stop")

    def failure(self, message: str) -> EmbeddedFailed:
        """Return an error that ends with what the server logged last."""
        with suppress(OSError):
            text = self.log.read_bytes()[-20_000:].decode(errors="replace")
            message = f"{message}; its log ends with:\n{last_lines(text)}"
        remedy = (
            None
            if self.throw_away
            else (
                f"read {self.log}; if this data may go: neuron-schema db stop, "
                f"then remove the directory {self.home}"
            )
        )
        return EmbeddedFailed(message, where=str(self.data), remedy=remedy)

    def _send(self, pid: int, number: signal.Signals) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        except PermissionError:
            msg = f"the embedded server (process {pid}) belongs to another user"
            remedy = "stop it as that user, or as root"
            raise EmbeddedFailed(msg, where=str(self.data), remedy=remedy) from None

    def _postmaster(self) -> int | None:
        """Return the process id of ``postmaster.pid`` if that process is this server."""
        try:
            pid = int((self.data / "postmaster.pid").read_bytes().split(b"\n", 1)[0])
            if sys.platform == "linux":
                # Readable by all, unlike /proc/PID/cwd; a zombie's is empty.
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                return pid if os.fsencode(self.data) in command else None
            os.kill(pid, 0)
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        except PermissionError:
            pass
        return pid

    def _remove_remains(self) -> None:
        """Remove the pid file and the socket that a killed server left behind.

        The number in them may be another process's by now (in a container it often is), and then
        PostgreSQL would refuse to start. Nobody of ours lives: the caller holds ``alive.lock``.
        """
        if (pid := self._postmaster()) is not None:
            msg = f"process {pid} runs a server here that neuron-schema did not start"
            raise EmbeddedFailed(msg, where=str(self.data), remedy="stop it with pg_ctl")
        for path in (self.data / "postmaster.pid", *self.home.glob(".s.PGSQL.*")):
            path.unlink(missing_ok=True)


def environment() -> dict[str, str]:
    """Return the environment of the server's processes: nothing of the user's that matters."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def last_lines(text: str) -> str:
    """Return the end of a log, indented."""
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-_LOG_LINES:])
