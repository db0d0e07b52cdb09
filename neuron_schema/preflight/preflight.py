"""What keeps a run from going well, told before its first write, and all of it at once.

``preflight_sql`` asks one query; here the answer is judged. What the role may not see is taken to
be well: the server itself will say so when it is not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neuron_schema.errors import (
    HistoryTableMalformed,
    HistoryTableMisplaced,
    NeuronSchemaError,
    NonEmptyDatabase,
    PreflightFailed,
    PrivilegeMissing,
    ReadOnlyServer,
    SettingsError,
)
from neuron_schema.preflight.extensions import about_extensions, grant
from neuron_schema.preflight.preflight_sql import Run, preflight_sql, qualified
from neuron_schema.preflight.warnings import warnings
from neuron_schema.quoting import identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from neuron_schema.model import ServerFacts

_NAMED = 5
_LOG = "the log"
_WITHOUT_LOG = "; --no-log goes on without the log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a preflight found.

    Attributes:
        problems: What keeps the run from beginning.
        warnings: Sentences about what is odd but goes on.
    """

    problems: tuple[NeuronSchemaError, ...]
    warnings: tuple[str, ...]

    def check(self) -> None:
        """Raise what was found.

        Raises:
            NeuronSchemaError: the one problem, or all of them as one error.
        """
        if len(self.problems) == 1:
            raise self.problems[0]
        if self.problems:
            raise _together(self.problems)


def look_ahead(
    ask: Callable[[str], Sequence[Any]],
    run: Run,
    facts: ServerFacts,
    *,
    allow_non_empty: bool = False,
    read_only: bool = False,
) -> Found:
    """Ask a database for everything that is in a run's way.

    Args:
        ask: Runs one query, with nothing but ``pg_catalog`` in the search path.
        run: What is to be done.
        facts: What the look at the server told.
        allow_non_empty: Let tables be there that no history table tells of.
        read_only: The caller's connections may only read.

    Raises:
        NeuronSchemaError: what ``ask`` raises.
    """
    blind: list[str] = []
    try:
        (text,) = ask(preflight_sql(run, facts))[0]
    except PrivilegeMissing as error:
        # Somebody took rights on the server's statistics away, which is no reason not to run.
        blind = [f"old transactions and the disk could not be looked at: {error.message}"]
        (text,) = ask(preflight_sql(run, facts, statistics=False))[0]
    # From a database without an encoding psycopg returns bytes.
    answer = json.loads(text if isinstance(text, str) else bytes(text).decode(errors="replace"))
    if read_only:
        answer["read_only"] = True
    problems = [
        *_about_server(facts, answer),
        *_about_role(run, facts, answer),
        *_about_history(run, facts, answer),
        *about_extensions(run, facts, answer),
    ]
    # A log tells that a run has been let in before, and was interrupted in its first version.
    if run.up and not allow_non_empty and answer["log"] is None:
        problems += _about_tables(answer["tables"] or [])
    return Found(problems=tuple(problems), warnings=(*blind, *warnings(facts, answer)))


def _together(problems: Sequence[NeuronSchemaError]) -> NeuronSchemaError:
    ordered = sorted(problems, key=lambda problem: (problem.code, problem.message))
    lines = [f"{len(ordered)} things keep the run from beginning:"]
    for problem in ordered:
        lines.append(f"{problem.code}: {problem.message}")
        lines.append(f"  fix: {problem.remedy}")
    return PreflightFailed(
        "\n".join(lines), remedy="mend all of them and run again", problems=ordered
    )


def _about_server(facts: ServerFacts, answer: dict[str, Any]) -> Iterator[NeuronSchemaError]:
    if facts.in_recovery:
        yield ReadOnlyServer("the server is a standby", remedy="connect to the primary")
    elif answer["read_only"]:
        yield ReadOnlyServer(
            "the session may only read: default_transaction_read_only is on",
            remedy="connect to the primary, or unset default_transaction_read_only",
        )


def _about_role(
    run: Run, facts: ServerFacts, answer: dict[str, Any]
) -> Iterator[NeuronSchemaError]:
    role = answer["role"]
    if role is None:
        yield SettingsError(
            f"there is no role {run.role}", remedy="set `role` to one that there is"
        )
        return
    if not role["member"]:
        yield PrivilegeMissing(
            f"{facts.user} may not become the role {role['name']}",
            remedy=f"GRANT {identifier(role['name'])} TO {identifier(facts.user)}",
        )
    needs = run.needs
    if run.up and needs.made_schemas and not role["creates"]:
        yield PrivilegeMissing(
            f"role {role['name']} may not create schemas in this database "
            f"({', '.join(sorted(needs.made_schemas))})",
            remedy=grant("CREATE", f"DATABASE {identifier(facts.database)}", role),
        )
    yield from _about_schemas(run, facts, answer)


def _about_schemas(
    run: Run, facts: ServerFacts, answer: dict[str, Any]
) -> Iterator[NeuronSchemaError]:
    role = answer["role"]
    schemas = {name: (usage, create) for name, usage, create in answer["schemas"] or []}
    home = run.table.schema or ""
    wanted: dict[str, str] = {}
    if home not in schemas:
        yield SettingsError(
            f"there is no schema {home} for the history table",
            remedy=f"CREATE SCHEMA {identifier(home)}, or set history_schema to another one",
        )
    elif answer["history"] is None and run.up:
        wanted[home] = "the history table"
    # What a statement that is not understood does may be to change the role.
    if not run.needs.not_understood:
        for name in run.needs.schemas:
            target = name or _first_usable(run.path(facts), schemas)
            if target is None and not run.needs.made_schemas:
                yield PrivilegeMissing(
                    f"role {role['name']} can use no schema of the search path {run.search_path!r}",
                    remedy=grant("USAGE, CREATE", "SCHEMA ...", role) + ", or set search_path",
                )
            elif target in schemas:
                wanted.setdefault(target or "", "what the versions make")
    if run.log and answer["log"] is None and home in schemas:
        wanted.setdefault(home, _LOG)
    for name, what in wanted.items():
        usage, create = schemas[name]
        if not (usage and create):
            yield PrivilegeMissing(
                f"role {role['name']} may not create in schema {name}, where {what} belongs",
                remedy=grant("USAGE, CREATE", f"SCHEMA {identifier(name)}", role)
                + (_WITHOUT_LOG if what == _LOG else ""),
            )


def _first_usable(path: Sequence[str], schemas: dict[str, tuple[bool, bool]]) -> str | None:
    return next((name for name in path if name in schemas and schemas[name][0]), None)


def _about_history(
    run: Run, facts: ServerFacts, answer: dict[str, Any]
) -> Iterator[NeuronSchemaError]:
    history = answer["history"]
    name = f"{run.table.schema}.{run.table.name}"
    twins = [schema for (schema,) in answer["twins"] or []]
    if twins and history is not None and not run.given_schema:
        yield HistoryTableMisplaced(
            f"{run.table.name} stands in schema {run.table.schema} and in {', '.join(twins)}: the "
            f"search path {facts.search_path!r} alone decides which one counts",
            remedy="set history_schema in [tool.neuron_schema] to the schema that is meant",
        )
    if history is None:
        return
    odd = list(_oddities(history))
    if odd:
        yield HistoryTableMalformed(
            f"{name} is not the table that neuron-schema makes: {'; '.join(odd)}",
            remedy="take that away from the table, or set history_table to another name",
        )
    role = answer["role"]
    missing = [
        word
        for word, has in (("SELECT", history["select"]), (run.write, history["write"]))
        if has is False
    ]
    if missing:
        yield PrivilegeMissing(
            f"role {role['name']} may not {' and '.join(missing)} on {name}",
            remedy=grant(
                f"SELECT, {run.write}",
                qualified(run.table.schema or "", run.table.name),
                role,
            ),
        )
    if answer["log"]:
        log = qualified(run.table.schema or "", run.table.log_name)
        yield PrivilegeMissing(
            f"role {role['name']} may not {' and '.join(answer['log'])} on the log "
            f"{run.table.log_name}",
            remedy=grant(", ".join(run.log), log, role)
            + ("" if "SELECT" in run.log else _WITHOUT_LOG),
        )
    usage = {name: has for name, has, _ in answer["schemas"] or []}
    if usage.get(run.table.schema) is False:
        yield PrivilegeMissing(
            f"role {role['name']} may not use schema {run.table.schema}, where {name} is",
            remedy=grant("USAGE", f"SCHEMA {identifier(run.table.schema or '')}", role),
        )


def _oddities(history: dict[str, Any]) -> Iterator[str]:
    """Yield what is otherwise than a run makes it."""
    if history["relkind"] != "r":
        yield "it is no ordinary table"
    if history["persistence"] != "p":
        yield "it is unlogged or temporary, and would be lost with the server"
    if history["key"] != "version":
        yield "its primary key is not version"
    if history["nullable"]:
        yield f"{history['nullable']} may be null"
    if history["row_security"]:
        yield "row security may hide rows of it"
    for what, names in (
        ("a trigger", history["triggers"]),
        ("a rule", history["rules"]),
        ("a parent or child table", history["relatives"]),
    ):
        if names:
            yield f"it has {what} ({names})"


def _about_tables(tables: Sequence[Sequence[str]]) -> list[NeuronSchemaError]:
    return [NonEmptyDatabase(non_empty(tables), remedy=NON_EMPTY_REMEDY)] if tables else []


NON_EMPTY_REMEDY = (
    "neuron-schema baseline VERSION, if the versions up to that one made them; "
    "--allow-non-empty (allow_non_empty=True), if they are somebody else's"
)


def non_empty(tables: Sequence[Sequence[str]]) -> str:
    """Return what is so where tables are there before any version was applied."""
    names = ", ".join(f"{schema}.{name}" for schema, name in tables[:_NAMED])
    more = ", ..." if len(tables) > _NAMED else ""
    return f"there is no history table, but there are tables: {names}{more}"
