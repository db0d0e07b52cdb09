"""The schema as a file: ``snapshot``, and what ``check`` and ``up --from-snapshot`` do with it."""

# ruff: noqa: TC001 - Typer reads annotations at run time
from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuron_schema.cli.invocation import Invocation
from neuron_schema.cli.options import Environment, Json, Shadow, Versions
from neuron_schema.cli.output import note, quote, say, warn
from neuron_schema.cli.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from neuron_schema.address import Address
    from neuron_schema.history import Look
    from neuron_schema.model import Migration, VersionInfo
    from neuron_schema.proof.ground import Workshop

_SHOWN = 10


def snapshot(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 5 when a file is out of date.")
    ] = False,
    shadow_url: Shadow = None,
    versions: Versions = None,
    env: Environment = None,
    as_json: Json = False,
) -> None:
    """Write schema.sql and checksums.txt."""
    with Invocation("snapshot", as_json=as_json, versions=versions, environment=env) as call:
        from neuron_schema.schemafile import checksums

        wanted = wanted_files(call, shadow_url)
        if check:
            _refuse_outdated(call, wanted)
            if not as_json:
                say(f"{checksums.SCHEMA_FILE} and {checksums.FILE} are up to date")
            return
        write_files(call, wanted)


def wanted_files(call: Invocation, shadow_url: str | None) -> dict[Path, str]:
    """Return what schema.sql and checksums.txt are to be.

    Raises:
        NeuronSchemaError: a version fails, or what they make cannot be written.
    """
    from neuron_schema.cli.proving import open_server

    migrations = call.migrations(call.versions.infos())
    with open_server(call, shadow_url) as shadow:
        return wanted_texts(call.versions.directory, call.workshop(shadow), migrations)


def wanted_texts(
    directory: Path, workshop: Workshop, migrations: Sequence[Migration]
) -> dict[Path, str]:
    """Return what schema.sql and checksums.txt are to be for versions, whatever files there are.

    Raises:
        NeuronSchemaError: a version fails, or what they make cannot be written.
    """
    from neuron_schema.schemafile import checksums
    from neuron_schema.schemafile.building import schema_text

    text = schema_text(workshop, migrations)
    listed = checksums.checksums_of(migrations, text)
    return {directory / checksums.SCHEMA_FILE: text, directory / checksums.FILE: listed.text}


def write_files(call: Invocation, wanted: dict[Path, str]) -> None:
    """Write schema.sql and checksums.txt, and say what the first cannot hold.

    Raises:
        UsageError: one of them cannot be written.
    """
    from neuron_schema.schemafile.text import parse

    for path, content in wanted.items():
        write_whole(path, content)
    path, text = next(iter(wanted.items()))
    file = parse(text, str(path))
    call.put(
        written=[str(path) for path in wanted],
        obstacles=list(file.obstacles),
        left_out=list(file.left_out),
    )
    for sentence in file.left_out:
        warn(f"not in the file: {sentence}")
    for sentence in file.obstacles:
        warn(f"a database cannot start from the file: {sentence}")
    if not call.as_json:
        for path in wanted:
            say(f"wrote {path}")


def _refuse_outdated(call: Invocation, wanted: dict[Path, str]) -> None:
    """Refuse files that are not what they should be.

    Raises:
        SnapshotOutdated: with what differs.
    """
    from neuron_schema.errors import SnapshotOutdated
    from neuron_schema.schemafile.compare import differences

    sentences, changes, where = [], [], None
    for path, content in wanted.items():
        present = _present(path)
        if present is None:
            sentences.append(f"there is no {path.name}")
        elif present != content:
            found = differences(present, content) if path.suffix == ".sql" else ()
            changes += [_change(path, each) for each in found]
            told = [f"{each.object} {each.action}" for each in found[:_SHOWN]]
            told += [f"{len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
            sentences.append(f"{path.name} differs" + (f": {', '.join(told)}" if told else ""))
        where = where or (str(path) if sentences else None)
    call.put(changes=changes)
    if sentences:
        raise SnapshotOutdated(
            "; ".join(sentences), where=where, remedy="neuron-schema snapshot, and commit the files"
        )


def _change(path: Path, each: Any) -> dict[str, Any]:
    return {
        "version": None,
        "kind": path.name,
        "object": each.object,
        "action": each.action,
        "before": each.before,
        "after": each.after,
    }


def _present(path: Path) -> str | None:
    """Return a file's text with plain line ends, None where it is not there.

    Raises:
        UsageError: it cannot be read.
    """
    from neuron_schema.errors import UsageError

    try:
        return path.read_bytes().decode().replace("\r\n", "\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{path} cannot be read: {reason}", where=str(path)) from None


def check_listed(directory: Path, infos: Sequence[VersionInfo]) -> None:
    """Refuse versions that are not those of ``checksums.txt``, where that is there.

    Raises:
        ChecksumsDiffer: with every difference.
    """
    from neuron_schema.errors import ChecksumsDiffer
    from neuron_schema.schemafile import checksums

    path = directory / checksums.FILE
    text = _present(path)
    if text is None:
        return
    listed = checksums.parse(text, str(path))
    checksums.refuse_differences(listed, infos, str(path))
    schema = _present(directory / checksums.SCHEMA_FILE)
    if schema is not None and listed.schema != checksums.digest(schema):
        raise ChecksumsDiffer(
            f"{checksums.SCHEMA_FILE} is not the file that {path.name} was written with",
            where=str(directory / checksums.SCHEMA_FILE),
            remedy="neuron-schema snapshot writes both anew",
        )


def start_from_snapshot(call: Invocation, address: Address, look: Look, to: str | None) -> Look:
    """Let an empty database start from ``schema.sql``; return the look afterwards.

    Raises:
        SnapshotUnusable: the file or the database is not fit for it.
        NeuronSchemaError: what ``up`` raises while it runs.
    """
    import time

    from neuron_schema import log
    from neuron_schema.cli.connecting import engine_for
    from neuron_schema.execution.step_context import step_watch
    from neuron_schema.execution.steps import HistoryMoved
    from neuron_schema.preflight.preflight_sql import schemas_of_path
    from neuron_schema.schemafile.start import (
        beginning,
        loading,
        look_before,
        refuse_database,
        start,
        steps_of,
    )

    found = beginning(call.versions.directory, call.versions.infos(), to=to)
    with engine_for(address) as engine:
        settings = call.session_settings(look)
        path = schemas_of_path(settings.search_path, settings.role or look.facts.user)
        refuse_database(engine, look, found.file, path)
        if not found.infos:
            return look
        if found.file.server != look.facts.version_num // 10000:
            note(f"note: schema.sql is as PostgreSQL {found.file.server} told it")
        migrations = call.versions.migrations(found.infos)
        call.note_stand_ins(each for one in migrations for each in one.up_statements)
        began = time.monotonic()
        author = log.author(look.facts.application) if call.settings.log else None
        try:
            with step_watch(call.settings.lock_timeout, None) as watch:
                context = _context(
                    call, look, engine, author=author, watch=watch, steps=steps_of(migrations)
                )
                step = loading(found, migrations[-1])
                given = call.settings.history_schema is not None
                for sentence in look_before(step, context, given_schema=given):
                    warn(sentence)
                try:
                    start(found, migrations, context)
                finally:
                    context.notices.tell(
                        lambda severity, text: quote(f"schema.sql: {severity}: ", text)
                    )
            outcome = "loaded"
        except HistoryMoved as moved:
            after = call.look(address)
            if not _holds(after, migrations):
                raise moved.otherwise or _disturbed() from None
            outcome = "loaded" if moved.unsure else "done by another run"
    _tell(call, migrations, outcome, (time.monotonic() - began) * 1000)
    return call.look(address)


def _context(
    call: Invocation, look: Look, engine: Any, *, author: Any, watch: Any, steps: tuple[Any, ...]
) -> Any:
    from neuron_schema.history import premise_body
    from neuron_schema.notices import Notices
    from neuron_schema.schemafile.start import StartContext

    settings = call.settings
    return StartContext(
        engine=engine,
        direct=engine,
        look=look,
        premise=premise_body(look.table, look.applied, exists=look.exists),
        watch=watch,
        settings=call.session_settings(look),
        author=author,
        wait_lock_s=settings.wait_lock,
        deadline_s=settings.deadline,
        waiting=lambda reason, _: note(f"waiting: {reason}"),
        notices=Notices(),
        steps=steps,
    )


def _holds(look: Look, migrations: Sequence[Migration]) -> bool:
    rows = {row.number: row.checksum for row in look.applied}
    return all(rows.get(each.number) == each.checksum for each in migrations)


def _disturbed() -> Exception:
    from neuron_schema.errors import HistoryConflict

    return HistoryConflict(
        "another run changed the history meanwhile",
        remedy="look at `neuron-schema status` and run again",
    )


def _tell(
    call: Invocation, migrations: Sequence[Migration], outcome: str, duration_ms: float
) -> None:
    call.put(
        from_snapshot={
            "versions": [each.version for each in migrations],
            "outcome": outcome,
            "duration_ms": round(duration_ms, 1),
        }
    )
    if not call.as_json:
        first, last = migrations[0], migrations[-1]
        span = first.label if len(migrations) == 1 else f"{first.label} to {last.label}"
        say(f"{outcome}: schema.sql, {span}, in {duration_ms:.0f} ms")
