"""Runs the installed command as a user does: in a directory, with an environment, on a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from unittest import mock

import pytest

from neuron_schema.cli.entry import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROGRAM = Path(sysconfig.get_path("scripts")) / "neuron-schema"
CANARY = "c4n4ry-p4ssw0rd"
"""The password in every address here; no output may hold it."""

_OURS = ("NEURON_SCHEMA_", "PG", "DATABASE_URL", "NO_COLOR", "PYTHONIOENCODING")
_PATIENCE_S = 60
_IN_TERMINAL = """
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """What ``--json`` printed, which must be one object on one line."""
        assert self.out.count("\n") == 1, self.out
        printed = json.loads(self.out)
        assert isinstance(printed, dict)
        assert printed["schema_version"] == 1
        assert printed["exit_code"] == self.code
        return printed


class Command:
    """The installed command in one directory.

    Args:
        directory: Where it is run.
        environment: Variables beside those of the machine, of which none speaks to us.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(_OURS)},
            "XDG_CACHE_HOME": str(directory / ".cache"),
            **environment,
        }

    def __call__(
        self,
        *arguments: str,
        code: int = 0,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Result:
        """Run it to its end.

        Args:
            arguments: The command line.
            code: The exit status that is expected.
            env: Further variables; "" takes one away.
            options: Of ``subprocess.run``.
        """
        done = subprocess.run(
            [str(PROGRAM), *arguments],
            check=False,
            **{"stdin": subprocess.DEVNULL, **self._options(env), **options},
            capture_output=True,
            timeout=_PATIENCE_S,
        )
        return self.checked(Result(done.returncode, done.stdout, done.stderr), code)

    def quick(self, *arguments: str, code: int = 0, env: Mapping[str, str] | None = None) -> Result:
        """Run it in this process, where starting one would only cost time."""
        options = self._options(env)
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        handler = signal.getsignal(signal.SIGTERM)
        with (
            contextlib.chdir(options["cwd"]),
            mock.patch.dict(os.environ, options["env"], clear=True),
            mock.patch("sys.stdin", None),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                status = run(arguments)
            finally:
                signal.signal(signal.SIGTERM, handler)
        texts = (stream.buffer.getvalue().decode() for stream in (out, err))
        return self.checked(Result(status, *texts), code)

    def shell(self, script: str, *, code: int = 0, env: Mapping[str, str] | None = None) -> Result:
        """Run a script of the shell in which ``"$0"`` is the command."""
        done = subprocess.run(
            ["/bin/sh", "-c", script, str(PROGRAM)],
            **self._options(env),
            check=False,
            capture_output=True,
            timeout=_PATIENCE_S,
        )
        return self.checked(Result(done.returncode, done.stdout, done.stderr), code)

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start it with pipes."""
        return subprocess.Popen(
            [str(PROGRAM), *arguments],
            **self._options(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def finish(self, process: subprocess.Popen[str], code: int = 0) -> Result:
        """Wait for what ``start`` started."""
        out, err = process.communicate(timeout=_PATIENCE_S)
        return self.checked(Result(process.returncode, out or "", err or ""), code)

    def terminal(self, *arguments: str, env: Mapping[str, str] | None = None) -> Terminal:
        """Start it on a terminal."""
        return self.terminal_of([str(PROGRAM), *arguments], env=env)

    def terminal_of(self, command: list[str], env: Mapping[str, str] | None = None) -> Terminal:
        """Start any program on a terminal, with the same environment."""
        options = self._options({"TERM": "xterm", **(env or {})})
        del options["text"]
        return Terminal(
            subprocess.Popen(
                [sys.executable, "-c", _IN_TERMINAL, *command],
                **options,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
            ),
            self,
        )

    def checked(self, result: Result, code: int) -> Result:
        """Check what holds for every command: its exit status, no traceback, no password."""
        printed = result.out + result.err
        assert result.code == code, printed
        assert "Traceback" not in printed
        assert CANARY not in printed
        return result

    def _options(self, env: Mapping[str, str] | None) -> dict[str, Any]:
        merged = {**self.environment, **(env or {})}
        return {
            "cwd": self.directory,
            "env": {key: value for key, value in merged.items() if value},
            "text": True,
        }


class Terminal:
    """A program on a terminal: what it shows, and a keyboard."""

    def __init__(self, process: subprocess.Popen[bytes], command: Command) -> None:
        self._process = process
        self._command = command
        self._ends = time.monotonic() + _PATIENCE_S
        self._bytes = b""
        self.shown = ""

    def expect(self, text: str) -> None:
        """Read until a text is shown."""
        while text not in self.shown:
            assert self._read(), self.shown

    def type(self, keys: str) -> None:
        r"""Press keys; "\x03" is Ctrl-C."""
        _stream(self._process.stdin).write(keys.encode())

    def finish(self, code: int = 0) -> str:
        """Wait for the end; return all that was shown, with plain line ends."""
        while self._read():
            pass
        _stream(self._process.stdin).close()
        self._process.wait(timeout=_PATIENCE_S)
        _stream(self._process.stdout).close()
        self.shown = self.shown.replace("\r\n", "\n")
        self._command.checked(Result(self._process.returncode, self.shown, ""), code)
        return self.shown

    def _read(self) -> bool:
        """Read what there is; return whether there may be more. What hangs is ended."""
        output = _stream(self._process.stdout)
        left = self._ends - time.monotonic()
        if not select.select([output], [], [], max(0.0, left))[0]:
            self._process.kill()
            pytest.fail(f"the program hangs: {self.shown!r}")
        piece = output.read(4096)
        # Half a letter may have come; it is whole in the end.
        self._bytes += piece
        self.shown = self._bytes.decode(errors="replace")
        return bool(piece)


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def eventually(seconds: float = 20.0) -> Iterator[None]:
    """Yield again and again, until the time is up, for a loop that breaks out when it can."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        yield
        time.sleep(0.02)
    raise TimeoutError
