"""Privileges as GRANT and REVOKE, without the owner's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.schemafile.names import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from neuron_schema.catalog import DefaultPrivileges, Grant

_PUBLIC_DEFAULTS = {"FUNCTION": {"EXECUTE"}, "PROCEDURE": {"EXECUTE"}, "TYPE": {"USAGE"}}
_DEFAULT_WORDS = {
    "tables": "TABLES",
    "sequences": "SEQUENCES",
    "functions": "FUNCTIONS",
    "types": "TYPES",
    "schemas": "SCHEMAS",
}


def granted(
    what: str,
    name: str,
    grants: Iterable[Grant] | None,
    *,
    owner: str | None,
    usual: Iterable[str] = (),
    public: Iterable[str] | None = None,
) -> Iterator[str]:
    """Yield what gives an object that its owner has just made the privileges it is to have.

    Args:
        what: The object's kind in GRANT's words: ``TABLE``.
        name: The object's name as SQL spells it.
        grants: All privileges on it; None for what PostgreSQL gives by itself.
        owner: Whose object it was; the one that makes it now takes that place.
        usual: All privileges that an owner has of such an object.
        public: Those that everybody has by default; None for what PostgreSQL gives by itself.
    """
    if grants is None:
        return
    by_role = _by_role(grants)
    if owner is not None:
        own = by_role.pop((owner, False), set()) | by_role.pop((owner, True), set())
        if not set(usual) <= own:
            yield f"REVOKE ALL ON {what} {name} FROM CURRENT_USER"
        if own and not set(usual) <= own:
            yield f"GRANT {_words(own)} ON {what} {name} TO CURRENT_USER"
    given = by_role.pop(("", False), set())
    default = _PUBLIC_DEFAULTS.get(what, set()) if public is None else set(public)
    if default - given:
        yield f"REVOKE {_words(default - given)} ON {what} {name} FROM PUBLIC"
    if given - default:
        yield f"GRANT {_words(given - default)} ON {what} {name} TO PUBLIC"
    for (role, grantable), words in sorted(by_role.items()):
        yield f"GRANT {_words(words)} ON {what} {name} TO {quoted(role)}{_option(grantable)}"


def granted_columns(table: str, columns: Iterable[tuple[str, Iterable[Grant] | None]]) -> list[str]:
    """Return what gives privileges on single columns.

    Args:
        table: Its name as SQL spells it.
        columns: Names with the privileges on each.
    """
    return [
        f"GRANT {', '.join(f'{word} ({quoted(name)})' for word in sorted(words))} "
        f"ON TABLE {table} TO {_role(role)}{_option(grantable)}"
        for name, grants in columns
        for (role, grantable), words in sorted(_by_role(grants or ()).items())
    ]


def default_privileges(each: DefaultPrivileges) -> list[str]:
    """Return what gives later objects their privileges, as far as that adds to the usual ones."""
    head = "ALTER DEFAULT PRIVILEGES"
    if each.target is not None:
        head += f" IN SCHEMA {quoted(each.target)}"
    words = _DEFAULT_WORDS.get(each.objects, each.objects.upper())
    statements = []
    by_role = _by_role(each.privileges or ())
    if each.target is None:
        usual = _PUBLIC_DEFAULTS.get(words.removesuffix("S"), set())
        given = by_role.pop(("", False), set())
        if usual - given:
            statements.append(f"{head} REVOKE {_words(usual - given)} ON {words} FROM PUBLIC")
        if given - usual:
            statements.append(f"{head} GRANT {_words(given - usual)} ON {words} TO PUBLIC")
        by_role.pop((each.role, False), None)
    statements += [
        f"{head} GRANT {_words(given)} ON {words} TO {_role(role)}{_option(grantable)}"
        for (role, grantable), given in sorted(by_role.items())
    ]
    return statements


def _by_role(grants: Iterable[Grant]) -> dict[tuple[str, bool], set[str]]:
    found: dict[tuple[str, bool], set[str]] = {}
    for grant in grants:
        found.setdefault((grant.grantee, grant.grantable), set()).add(grant.privilege)
    return found


def _words(privileges: Iterable[str]) -> str:
    return ", ".join(sorted(privileges))


def _role(name: str) -> str:
    return quoted(name) if name else "PUBLIC"


def _option(grantable: bool) -> str:  # noqa: FBT001 - the one thing it tells
    return " WITH GRANT OPTION" if grantable else ""
