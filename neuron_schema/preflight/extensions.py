"""Whether a run finds the extensions that it needs, and may create them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuron_schema.errors import ExtensionMissing, NeuronSchemaError, PrivilegeMissing
from neuron_schema.quoting import identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.model import ServerFacts
    from neuron_schema.preflight.preflight_sql import Run
    from neuron_schema.sqltext.objects import Needs

_HNSW_SINCE = (0, 5)


def about_extensions(
    run: Run, facts: ServerFacts, answer: dict[str, Any]
) -> Iterator[NeuronSchemaError]:
    """Yield what is wrong with the extensions that statements create, or need."""
    created = dict(run.needs.extensions)
    role = answer["role"]
    for name, installed, version, superuser, trusted, default in answer["extensions"] or []:
        if name == "vector" and "hnsw" in run.needs.methods:
            yield from _about_hnsw(run.needs, installed, version, answer)
        if name not in created or installed is not None:
            continue
        if version is None:
            asked = created[name]
            yield ExtensionMissing(
                f"the server has no extension {name}"
                + (f" of version {asked}; it has {default}" if default and asked else ""),
                remedy=f"install the package of {name} on the server"
                + (" (pgvector on Debian: postgresql-<major>-pgvector)" if name == "vector" else "")
                + "; the embedded server has vector and uuid-ossp only",
            )
        elif not _may_create(role, superuser=superuser, trusted=trusted, answer=answer):
            yield PrivilegeMissing(
                f"role {role['name']} may not create the extension {name}",
                remedy=grant("CREATE", f"DATABASE {identifier(facts.database)}", role)
                if trusted
                else f"let a superuser run CREATE EXTENSION {identifier(name)}",
            )


def _may_create(
    role: dict[str, Any] | None, *, superuser: bool, trusted: bool, answer: dict[str, Any]
) -> bool:
    """Whether a role may create an extension, as far as PostgreSQL's own rules tell.

    Hosted services let roles of theirs create more, by rules that cannot be asked.
    """
    if role is None or role["superuser"] or answer["managed_service"] or not superuser:
        return True
    return bool(trusted and role["creates"])


def _about_hnsw(
    needs: Needs, installed: str | None, version: str | None, answer: dict[str, Any]
) -> Iterator[NeuronSchemaError]:
    # IF NOT EXISTS leaves an installed one as it is, whatever version it names.
    created, updated = dict(needs.extensions), dict(needs.updated)
    if installed is not None and "vector" not in updated:
        found: str | None = installed
    else:
        found = version if "vector" in created or "vector" in updated else None
    if found is None:
        # Another extension may bring a method of that name too.
        if not answer["hnsw"] and not created:
            yield ExtensionMissing(
                "an index USING hnsw needs the extension vector, which is not there and which no "
                "version creates",
                remedy='put CreateExtension("vector", if_not_exists=True) into the version',
            )
    elif _numbers(found) < _HNSW_SINCE:
        yield ExtensionMissing(
            f"an index USING hnsw needs vector 0.5 or newer; here it is {found}",
            remedy="install a newer pgvector on the server; if vector is created already, "
            "ALTER EXTENSION vector UPDATE",
        )


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(int(part) for part in parts[:2] if part.isdigit()) or (0,)


def grant(privileges: str, what: str, role: dict[str, Any]) -> str:
    """Return the SQL that gives a role what it lacks."""
    return f"GRANT {privileges} ON {what} TO {identifier(role['name'])}"
