"""Takes one guard out of the runner: a pytest plugin for ``test_guards``.

``NEURON_SCHEMA_TEST_WITHOUT`` names the guard.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import Any

VARIABLE = "NEURON_SCHEMA_TEST_WITHOUT"


@dataclass(frozen=True, slots=True)
class Mutation:
    """A guard that is taken out, and a test that has to miss it.

    Attributes:
        where: The module and the attribute in it that is replaced.
        instead: What comes in its place.
        test: The test's node id below ``tests``.
    """

    where: str
    instead: Any
    test: str


MUTATIONS = {
    "run lock": Mutation(
        "neuron_schema.execution.step_context:guard_body",
        lambda _key: "  NULL;",
        "integration/test_runner_concurrency.py::test_a_run_lock_that_is_not_let_go_is_an_error",
    ),
    "lock of an operation still at work": Mutation(
        "neuron_schema.execution.alone:operation_lock_key",
        lambda _table: 1,
        "integration/test_runner_concurrency.py::test_an_operation_still_at_work_is_waited_for",
    ),
    "premise": Mutation(
        "neuron_schema.execution.course:premise_body",
        lambda *_args, **_options: "  NULL;",
        "integration/test_runner_concurrency.py::"
        "test_versions_do_not_go_on_top_of_what_was_rolled_back_meanwhile",
    ),
    "look at what another run did": Mutation(
        "neuron_schema.execution.course:Course._check_undisturbed",
        lambda *_args: None,
        "integration/test_runner_concurrency.py::"
        "test_a_rollback_stops_below_what_was_applied_meanwhile",
    ),
    "history row": Mutation(
        "neuron_schema.execution.step_context:record_body",
        lambda *_args: "  NULL;",
        "faults/test_cuts.py::test_a_run_whose_commit_goes_unanswered_says_what_became_of_it",
    ),
    "doubt after a lost COMMIT": Mutation(
        "neuron_schema.execution.course:Course.settle",
        lambda *_args, **_options: None,
        "faults/test_cuts.py::test_a_run_whose_commit_goes_unanswered_says_what_became_of_it",
    ),
    "another try after a lost connection": Mutation(
        "neuron_schema.locking:Deadline.delay",
        lambda _self: None,
        "integration/test_runner_faults.py::test_a_terminated_backend_is_replaced",
    ),
    "probe": Mutation(
        "neuron_schema.execution.operating:Operation._probe",
        lambda *_args: "absent",
        "integration/test_steps_own_commit.py::"
        "test_an_invalid_index_of_an_interrupted_run_is_built_again",
    ),
    "repair": Mutation(
        "neuron_schema.execution.operating:Operation._repair",
        lambda *_args: None,
        "integration/test_steps_own_commit.py::test_a_build_that_fails_leaves_no_invalid_index",
    ),
    "lock_timeout": Mutation(
        "neuron_schema.locking:SessionSettings.lock_timeout_of",
        lambda _self, _attempt: 5.0,
        "integration/test_runner_concurrency.py::"
        "test_readers_are_not_held_up_for_long_behind_a_blocked_change",
    ),
    "client_connection_check_interval": Mutation(
        "neuron_schema.locking:_can_check_connection",
        lambda _facts: False,
        "faults/test_killed.py::"
        "test_the_lock_of_a_killed_run_is_free_long_before_its_statement_would_end",
    ),
    "limits of the guardian": Mutation(
        "neuron_schema.execution.step_context:StepContext.set_session",
        lambda _self, _place, _attempt=0: "SELECT 1",
        "integration/test_steps_own_commit.py::"
        "test_a_build_waits_for_writers_while_others_wait_for_the_run",
    ),
    "look at a session left changed": Mutation(
        "neuron_schema.execution.steps:can_change_session",
        lambda _statements: False,
        "integration/test_runner.py::test_no_version_changes_the_session_of_the_next_or_of_the_service",
    ),
    "end of a shared session": Mutation(
        "neuron_schema.execution.transaction:ending_sql",
        lambda _statements: "SELECT 1",
        "integration/test_pooled.py::test_a_shared_session_that_is_left_changed_is_ended",
    ),
}


def apply(name: str) -> None:
    """Take a guard out of this process."""
    mutation = MUTATIONS[name]
    module, _, path = mutation.where.partition(":")
    *owners, attribute = path.split(".")
    owner: Any = importlib.import_module(module)
    for one in owners:
        owner = getattr(owner, one)
    assert hasattr(owner, attribute), mutation.where
    setattr(owner, attribute, mutation.instead)


def apply_from_environment() -> None:
    """Take out the guard that the environment names, if it names one."""
    name = os.environ.get(VARIABLE)
    if name:
        apply(name)


def pytest_configure() -> None:
    """Do so as pytest begins."""
    apply_from_environment()
