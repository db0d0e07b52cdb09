"""The specification's own SQL for the Neuron schema, against which our versions are held."""

from __future__ import annotations

from pathlib import Path

VERSIONS = ("001", "002", "003", "004")

_folder = Path(__file__).parent / "reference"


def reference_up(version: str) -> str:
    """Return the SQL that applies a version."""
    return _read(version, "up")


def reference_down(version: str) -> str:
    """Return the SQL that rolls a version back.

    The specification drops ``clusters`` while ``nodes.cluster_id`` still refers to it, which
    PostgreSQL refuses; here that column goes first, as it has to.
    """
    sql = _read(version, "down")
    if version != "003":
        return sql
    drop_clusters = "DROP TABLE IF EXISTS clusters;"
    return sql.replace(drop_clusters, "") + drop_clusters


def reference_down_as_specified(version: str) -> str:
    """Return the SQL that rolls a version back, word for word."""
    return _read(version, "down")


def _read(version: str, direction: str) -> str:
    (path,) = _folder.glob(f"{version}_*.{direction}.sql")
    return path.read_text(encoding="utf-8")
