"""The shape of the code: what is public is explained, and every test says what it claims."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).parents[2]
CODE = sorted((ROOT / "neuron_schema").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

Explained: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def relative(path: Path) -> str:
    """Return a path as the test's name shows it."""
    return str(path.relative_to(ROOT))


def public(body: list[ast.stmt]) -> list[Explained]:
    """Return functions and classes without an underscore, those in public classes included."""
    found: list[Explained] = []
    for node in body:
        if isinstance(node, Explained) and not node.name.startswith("_"):
            found.append(node)
            if isinstance(node, ast.ClassDef):
                found.extend(public(node.body))
    return found


def is_explained_elsewhere(node: Explained) -> bool:
    """Tell whether the docstring is the implementation's, or the property's."""
    names = {getattr(one, "id", getattr(one, "attr", "")) for one in node.decorator_list}
    return bool(names & {"overload", "setter"})


@pytest.mark.parametrize("path", CODE, ids=relative)
def test_every_public_name_is_explained(path: Path) -> None:
    """By a docstring: the module, its functions, its classes and their methods."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module has no docstring"
    missing = [
        f"{node.name} (line {node.lineno})"
        for node in public(tree.body)
        if not ast.get_docstring(node) and not is_explained_elsewhere(node)
    ]
    assert not missing


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_every_test_says_what_it_claims(path: Path) -> None:
    """In a sentence, as do the fixtures and helpers beside it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module has no docstring"
    wrong = [
        f"{node.name} (line {node.lineno})"
        for node in public(tree.body)
        if not (ast.get_docstring(node) or "").partition("\n")[0].endswith((".", "?", ":", "!"))
    ]
    assert not wrong
