"""The README's sessions are real: what it shows is what its commands print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SESSIONS = re.findall(r"<!-- session: (.+?) -->\n```console\n(.*?)```", README, re.DOTALL)


def settled(text: str) -> str:
    """Return output without what differs from run to run."""
    text = re.sub(r"embedded \S+@\S+", "embedded TARGET", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "TIME", text)
    # A checkout that the server's own account cannot enter has its data elsewhere, and says so.
    text = re.sub(r"(?m)^note: .*\n", "", text)
    text = re.sub(r"\d+ ms", "N ms", text)
    # Columns are as wide as what stands in them, and the host is the reader's.
    return re.sub(
        r"(?m) {2,}| +$", "  ", re.sub(r"postgres@[\w.-]+", "postgres@HOST", text)
    ).strip()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a copy of what the sessions run on; its server is stopped afterwards."""
    copy = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "pyproject.toml", copy)
    shutil.copytree(ROOT / "versions", copy / "versions", ignore=shutil.ignore_patterns("__*"))
    yield copy
    command("neuron-schema db stop --force", copy)


def command(line: str, directory: Path) -> str:
    """Run a line of the shell as a user would, and return what the terminal shows."""
    binaries = str(Path(sys.executable).parent)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "NEURON_SCHEMA_")) and name != "DATABASE_URL"
    }
    environment["PATH"] = binaries + os.pathsep + environment["PATH"]
    environment["XDG_CACHE_HOME"] = str(directory / "cache")
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout


def test_sessions_print_what_the_readme_shows(checkout: Path) -> None:
    """Every session, run in order on one checkout, prints what the README says."""
    assert len(SESSIONS) == README.count("```console")
    for title, session in SESSIONS:
        before = ""
        for typed, shown in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
            # "$?" is the status of the line before, which ran in another shell.
            line = f"{before} >/dev/null 2>&1; echo $?" if typed == "echo $?" else typed
            assert settled(command(line, checkout)) == settled(shown), f"{title}: $ {typed}"
            before = typed


def test_the_files_shown_are_the_files() -> None:
    """A file that the README shows whole is that file."""
    shown = re.findall(r"<!-- file: (.+?) -->\n```python\n(.*?)```", README, re.DOTALL)
    assert shown
    for name, text in shown:
        assert text == (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.extension("uuid-ossp")
@pytest.mark.extension("vector")
def test_the_service_example_runs(database: URL) -> None:
    """The code for a service does what its comments say, on an address of its own."""
    (code,) = re.findall(r"<!-- runs -->\n```python\n(.*?)```", README, re.DOTALL)
    address = database.render_as_string(hide_password=False)
    code = code.replace("postgresql+psycopg://postgres@localhost/neuron", address)
    namespace: dict[str, object] = {}
    exec(code, namespace)
    runner = namespace["runner"]
    statuses = [line.status for line in runner.get_status()]  # type: ignore[attr-defined]
    assert statuses == ["applied"] * 4
    namespace["engine"].dispose()  # type: ignore[attr-defined]
