"""Each guard of the runner has a test that fails without it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.mutations import MUTATIONS, VARIABLE
from tests.faults.size import WHOLE

if TYPE_CHECKING:
    from tests.faults.counts import Counts

_ROOT = Path(__file__).parents[2]
_TESTS_FAILED = 1


@pytest.mark.timeout(600)
@pytest.mark.skipif(not WHOLE, reason="part of the whole fault suite")
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_guard_is_missed_when_it_is_taken_out(name: str, counts: Counts) -> None:
    """The test passes with the guard, and fails without it."""
    test = f"tests/{MUTATIONS[name].test}"
    assert _run(test, None) == 0
    assert _run(test, name) == _TESTS_FAILED
    counts.add("guards taken out, each missed by a test")


def _run(test: str, without: str | None) -> int:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COV_", "COVERAGE_"))
        and name not in (VARIABLE, "NEURON_SCHEMA_TEST_FAULTS")
    }
    if without is not None:
        environment[VARIABLE] = without
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "120"]
    return subprocess.run(
        [*command, "-p", "tests.faults.mutations", test],
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        check=False,
    ).returncode
