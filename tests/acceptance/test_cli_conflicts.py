"""Files and history disagree: what is refused with exit 4, and what is not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.conftest import applied
from tests.support import write_version

if TYPE_CHECKING:
    import psycopg

    from tests.acceptance.command import Command

NEURON = Path(__file__).parents[2] / "versions"


@pytest.mark.extension("uuid-ossp")
@pytest.mark.extension("vector")
def test_a_changed_index_is_modified_and_another_spelling_is_not(cli: Command) -> None:
    """Another ``ef_construction`` is refused; layout, names, line ends and a BOM are not seen."""
    versions = cli.directory / "versions"
    shutil.copytree(NEURON, versions, ignore=shutil.ignore_patterns("__pycache__"))
    cli("up")
    path = versions / "002_embeddings.py"
    text = path.read_text(encoding="utf-8")
    respelled = text.replace("idx_nodes_embedding =", "renamed =").replace(
        "(idx_nodes_embedding", "(renamed"
    )
    assert respelled != text
    respelled = "\ufeff# A remark.\n\n\n" + respelled.replace("\n", "\r\n")
    path.write_bytes(respelled.encode())
    assert cli.quick("up").out.startswith("nothing to apply")
    cli.quick("status", "--check")

    changed = text.replace('"ef_construction": 64', '"ef_construction": 128')
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    assert "002      embeddings      modified" in cli.quick("status").out
    for command in ("up", "wait", "plan"):
        error = cli.quick(command, code=4).err
        assert "error[NS400]: 002_embeddings was modified after it was applied" in error
    assert cli.quick("status", "--check", "--json", code=4).json["error"]["code"] == "NS400"


def test_a_deleted_version_is_missing_and_a_newer_row_is_ahead(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """The first is refused; with the second an older release still starts, and says so."""
    cli.quick("up")
    newest = (versions / "003_c.py").rename(cli.directory / "003_c.py")
    ahead = cli.quick("up")
    assert "warning: the database is ahead of this code: 003_c is applied" in ahead.err
    assert ahead.out == "nothing to apply: 003_c is the newest applied version\n"
    assert "003      c     ahead" in cli.quick("status", "--check").out
    cli.quick("wait", "--timeout", "0")
    assert "no file to roll back 003_c" in cli.quick("down", "--yes", code=4).err

    newest.rename(versions / "003_c.py")
    (versions / "002_b.py").unlink()
    assert "002      b     missing" in cli.quick("status").out
    assert "002_b is missing" in cli.quick("up", code=4).err
    assert applied(connection) == ["001", "002", "003"]


def test_a_version_out_of_order_runs_only_on_demand(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """Exit 4 without ``--allow-out-of-order``; conflicts go before pending versions."""
    late = (versions / "002_b.py").rename(cli.directory / "002_b.py")
    cli.quick("up")
    late.rename(versions / "002_b.py")
    refused = cli.quick("up", code=4).err
    assert "002_b is out of order: it is pending, but 3 is applied already" in refused
    assert "--allow-out-of-order" in refused
    cli.quick("status", "--check", code=4)
    cli.quick("up", "--allow-out-of-order")
    assert applied(connection) == ["001", "002", "003"]
    (versions / "001_a.py").rename(versions / "001_renamed.py")
    for command in ("up", "status"):
        assert "warning: 001_renamed was applied under the name a" in cli.quick(command).err


def test_wait_ends_when_another_process_has_applied_everything(
    cli: Command, versions: Path, connection: psycopg.Connection
) -> None:
    """Exit 3 when time is up; exit 0 as soon as nothing is pending."""
    nowhere = "postgresql://somebody@127.0.0.1:1/nothing"
    cli.quick("wait", "--timeout", "0.1", "--database-url", nowhere, code=7)
    assert "'--timeout'" in cli.quick("wait", "--timeout", "-1", code=2).err
    assert "3 pending: 001_a, 002_b, 003_c" in cli.quick("wait", "--timeout", "0.1", code=3).err
    cli.quick("up", "2")
    waiting = cli.start("wait", "--timeout", "50", "--json")
    # Let it look once while a version is pending.
    assert waiting.stderr is not None
    assert waiting.stderr.readline().startswith("target: ")
    cli.quick("up")
    assert cli.finish(waiting).json["command"] == "wait"
    write_version(versions, "001_a", up=["CREATE TABLE other ()"])
    cli.quick("wait", code=4)
