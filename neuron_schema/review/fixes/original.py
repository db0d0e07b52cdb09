"""A version under review, its text and its statements brought together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from neuron_schema.canonical import SqlTextError, canonical
from neuron_schema.compiling.compile_error import CompileError
from neuron_schema.discovery import version_module
from neuron_schema.discovery.loading import loading
from neuron_schema.discovery.version_source import decode
from neuron_schema.errors import VersionError
from neuron_schema.review.fixes.module import ModuleText
from neuron_schema.review.fixes.writing import EMPTY, Piece, verbatim
from neuron_schema.sqltext.actions import Kind, Verb
from neuron_schema.sqltext.sql_cursor import NotUnderstood
from neuron_schema.sqltext.statement_reader import actions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from neuron_schema.catalog import Relation
    from neuron_schema.model import Migration, Statement
    from neuron_schema.review.case import Case
    from neuron_schema.review.fixes.module import Element
    from neuron_schema.sqltext.actions import Action, ObjectRef

_USUAL_SCHEMA = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One statement of a version.

    Attributes:
        number: Its place in its list, from 1.
        sql: Its text.
        element: What its author wrote for it alone; None where that is not to be told.
    """

    number: int
    sql: str
    element: Element | None = None

    @property
    def piece(self) -> Piece:
        """What stands for it in a list."""
        if self.element is None:
            return verbatim(self.sql)
        return Piece(element=self.element, sql=(self.sql,))

    @property
    def words(self) -> str:
        """Its text with words in lower case and single blanks; "" where it cannot be read."""
        try:
            return canonical(self.sql)
        except SqlTextError:
            return ""

    @property
    def actions(self) -> tuple[Action, ...]:
        """What it does; nothing where its text does not tell."""
        try:
            return actions(self.sql)
        except NotUnderstood:
            return ()

    def made(self, kind: Kind) -> ObjectRef | None:
        """Return the one thing of a kind that it makes."""
        return self._one(Verb.CREATE, kind)

    def dropped(self, kind: Kind) -> ObjectRef | None:
        """Return the one thing of a kind that it drops."""
        return self._one(Verb.DROP, kind)

    def _one(self, verb: Verb, kind: Kind) -> ObjectRef | None:
        found = [each.ref for each in self.actions if each.verb is verb and each.ref is not None]
        return found[0] if len(found) == 1 and found[0].kind is kind else None


class Original:
    """A version under review.

    Args:
        case: What is known of it.

    Attributes:
        case: What is known of it.
        module: Its text; an empty module where its lists are not written out.
        written_out: Whether ``module`` is its author's.
        up: The statements of ``up``.
        down: Those of ``down``.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        migration = case.migration
        found = _read(migration)
        self.written_out = found is not None
        if found is None:
            self.module = ModuleText(EMPTY)
            self.up = tuple(_plain(migration.up_statements))
            self.down = tuple(_plain(migration.down_statements))
        else:
            self.module, self.up, self.down = found

    @property
    def migration(self) -> Migration:
        """The version."""
        return self.case.migration

    def item(self, number: int | None) -> Item | None:
        """Return a statement of ``up`` by its number."""
        return next((each for each in self.up if each.number == number), None)

    def table(self, ref: ObjectRef | None) -> Relation | None:
        """Return a relation that was there before the version, as a statement names it."""
        if ref is None:
            return None
        named = [
            each
            for each in self.case.before.relations
            if each.name == ref.name and ref.schema in (None, each.schema)
        ]
        public = [each for each in named if each.schema == _USUAL_SCHEMA]
        return named[0] if len(named) == 1 else (public[0] if public else None)

    def undoing(self, kind: Kind, name: str) -> Item | None:
        """Return the statement of ``down`` that drops a thing that ``up`` made."""
        for each in self.down:
            ref = each.dropped(kind)
            if ref is not None and ref.name == name:
                return each
        return None


def _read(migration: Migration) -> tuple[ModuleText, tuple[Item, ...], tuple[Item, ...]] | None:
    """Return a module's text and statements, or None where these cannot be told apart."""
    try:
        source = Path(migration.path).read_bytes()
        text = decode(source, migration.path).replace("\r\n", "\n")
        module = ModuleText(text)
        with loading():
            lists = version_module.load_elements(source, migration.path)
    except (OSError, ValueError, VersionError, CompileError):
        return None
    up = _items(module.up, lists["up"], migration.up_statements)
    if (module.down is None) is not (migration.irreversible is not None):
        return None
    down = (
        ()
        if module.down is None
        else _items(module.down, lists.get("down", ()), migration.down_statements)
    )
    return None if up is None or down is None else (module, up, down)


def _items(
    elements: Sequence[Element],
    compiled: Sequence[tuple[Statement, ...]],
    expected: Sequence[Statement],
) -> tuple[Item, ...] | None:
    if len(elements) != len(compiled):
        return None
    found: list[Item] = []
    for element, statements in zip(elements, compiled, strict=True):
        for each in statements:
            only = element if len(statements) == 1 else None
            found.append(Item(number=len(found) + 1, sql=each.sql, element=only))
    return tuple(found) if [i.sql for i in found] == [e.sql for e in expected] else None


def _plain(statements: Sequence[Statement]) -> Iterator[Item]:
    for number, each in enumerate(statements, 1):
        yield Item(number=number, sql=each.sql)
