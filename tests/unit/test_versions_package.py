"""``neuron_schema.versions`` and ``neuron_schema.tables`` as packages."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Table

from neuron_schema import tables

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "versions").glob("[0-9]*.py"))
PRINT_NAMES = (
    "import pkgutil, neuron_schema.versions as v;"
    "print(*(name for _, name, _ in pkgutil.iter_modules(v.__path__)), *v.__path__)"
)


def found_from(folder: Path) -> list[str]:
    """Return the version names and the path of the package that lies in ``folder``.

    Without the environment, in which coverage would follow and count the copy as well.
    """
    ran = subprocess.run(
        [sys.executable, "-c", PRINT_NAMES],
        cwd=folder,
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.split()


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def lay_out(folder: Path, *, as_wheel: bool) -> Path:
    """Copy the package into ``folder`` as a checkout or as an installed wheel has it."""
    shutil.copytree(ROOT / "neuron_schema", folder / "neuron_schema")
    target = folder / "neuron_schema" / "versions" if as_wheel else folder / "versions"
    shutil.copytree(ROOT / "versions", target, dirs_exist_ok=True)
    return target


def test_a_checkout_finds_its_versions_folder(tmp_path: Path) -> None:
    """In a checkout the package is the top-level folder that people edit."""
    target = lay_out(tmp_path, as_wheel=False)
    (tmp_path / "pyproject.toml").touch()
    assert found_from(tmp_path) == [*(module.stem for module in MODULES), str(target)]


def test_a_wheel_finds_the_modules_beside_it(tmp_path: Path) -> None:
    """Installed, the package holds the version modules itself."""
    target = lay_out(tmp_path, as_wheel=True)
    assert found_from(tmp_path) == [*(module.stem for module in MODULES), str(target)]


def test_a_wheel_is_not_misled_by_what_others_put_beside_it(tmp_path: Path) -> None:
    """A stray pyproject.toml and a package `versions` in site-packages change nothing."""
    target = lay_out(tmp_path, as_wheel=True)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "versions").mkdir()
    assert found_from(tmp_path)[-1] == str(target)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_version_stands_alone(path: Path) -> None:
    """A version imports SQLAlchemy, pgvector and the operations; no model, no other version."""
    ours = {"neuron_schema.ops"}
    foreign = {name.partition(".")[0] for name in imported(path) - ours}
    assert foreign <= {"sqlalchemy", "pgvector"}


def test_the_tables_module_stands_alone() -> None:
    """A service that queries imports none of the migrator."""
    path = ROOT / "neuron_schema" / "tables.py"
    assert {name.partition(".")[0] for name in imported(path)} == {
        "__future__",
        "pgvector",
        "sqlalchemy",
    }


def test_the_tables_module_exports_every_table_under_its_name() -> None:
    """Each table of the metadata is an attribute of the same name, listed in __all__."""
    exported = {name: getattr(tables, name) for name in tables.__all__}
    assert exported.pop("metadata") is tables.metadata
    assert exported == dict(tables.metadata.tables)
    assert all(isinstance(table, Table) for table in exported.values())
