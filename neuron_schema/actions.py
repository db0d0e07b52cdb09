"""Which objects one SQL statement makes, drops, renames, empties or locks, as its text tells.

Read with PostgreSQL's lexer and by the grammar's fixed words, never by guessing: what does not fit
raises ``NotUnderstood``, and a statement that makes something of no ``Kind`` says ``UNTOLD``.
https://www.postgresql.org/docs/current/sql-commands.html
"""

from __future__ import annotations

import enum
import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from neuron_schema.canonical import SqlTextError, leading_words, tokens
from neuron_schema.quoting import MAX_IDENTIFIER_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from neuron_schema.canonical import Token


class Kind(enum.StrEnum):
    """What an object is. A view may be a materialized one, a function a procedure or aggregate."""

    TABLE = "table"
    COLUMN = "column"
    INDEX = "index"
    CONSTRAINT = "constraint"
    TYPE = "type"
    FUNCTION = "function"
    TRIGGER = "trigger"
    VIEW = "view"
    SEQUENCE = "sequence"
    SCHEMA = "schema"
    EXTENSION = "extension"


RELATIONS = frozenset({Kind.TABLE, Kind.VIEW, Kind.INDEX, Kind.SEQUENCE})
"""Those that share one space of names."""


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """An object by its name, as the catalog spells it.

    Attributes:
        schema: Its schema, or that of the table it is part of; None leaves it to the search path.
        parent: The table that a column, constraint or trigger is part of; of an index the table
            it is on, where that is known.
    """

    kind: Kind
    schema: str | None
    name: str
    parent: str | None = None

    def __str__(self) -> str:
        prefix = f"{self.schema}." if self.schema is not None else ""
        match self.kind:
            case Kind.COLUMN:
                return f"column {prefix}{self.parent}.{self.name}"
            case Kind.CONSTRAINT | Kind.TRIGGER:
                return f"{self.kind} {self.name} of {prefix}{self.parent}"
        return f"{self.kind} {prefix}{self.name}"

    @property
    def table(self) -> ObjectRef:
        """The table that it is part of, or itself."""
        return ObjectRef(Kind.TABLE, self.schema, self.parent) if self.parent else self


class Verb(enum.Enum):
    """What a statement does to an object."""

    CREATE = enum.auto()
    DROP = enum.auto()
    RENAME = enum.auto()
    EMPTY = enum.auto()
    """TRUNCATE, or DELETE without WHERE."""
    DELETE = enum.auto()
    """DELETE of some rows."""
    TOUCH = enum.auto()
    """It takes a lock that others may have to wait for."""
    BUILD = enum.auto()
    """It builds an index on it, or writes it anew."""
    UNTOLD = enum.auto()
    """It makes or drops something that has no ``Kind``; ``ref`` is None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that a statement does.

    Attributes:
        ref: To what; None for ``UNTOLD`` alone.
        becomes: The new name, for ``RENAME``.
        detail: An extension's version, a function's arguments, the method of an index that is
            built.
        cascade: What depends on it goes too.
        mentions: Names and words in the definition: what may go when one of them does.
    """

    verb: Verb
    ref: ObjectRef | None
    becomes: ObjectRef | None = None
    detail: str | None = None
    cascade: bool = False
    mentions: frozenset[str] = frozenset()


_INSERT_TOKENS = 16


class NotUnderstood(Exception):  # noqa: N818 - it says what is so
    """The text does not tell what the statement does."""


def actions(sql: str) -> tuple[Action, ...]:
    """Return what one statement does, in order.

    Raises:
        NotUnderstood: its text does not tell.
    """
    # The rows of an INSERT tell nothing, and there may be many.
    limit = _INSERT_TOKENS if leading_words(sql, 1) == ("INSERT",) else None
    try:
        cursor = _Cursor(list(itertools.islice(tokens(sql), limit)))
    except SqlTextError as error:
        raise NotUnderstood(str(error)) from None
    read = _STATEMENTS.get(cursor.next())
    if read is None:
        raise NotUnderstood(cursor.next())
    return tuple(read(cursor.after()))


class _Cursor:
    """A place in a statement's tokens.

    A quoted name keeps its quotes in a token's text, so that it never equals a word of the grammar.
    """

    def __init__(self, found: Sequence[Token]) -> None:
        while found and found[-1].text == ";":
            found = found[:-1]
        self._tokens = found
        self._place = 0

    def next(self, ahead: int = 0) -> str:
        """Return the text of a token that is still to come; "" after the last."""
        place = self._place + ahead
        return self._tokens[place].text if place < len(self._tokens) else ""

    def after(self, count: int = 1) -> _Cursor:
        """Go on by some tokens."""
        self._place += count
        return self

    def take(self, *words: str) -> bool:
        """Go on over words if they are what comes next."""
        if all(self.next(ahead) == word for ahead, word in enumerate(words)):
            self.after(len(words))
            return True
        return False

    def take_any(self, words: Iterable[str]) -> set[str]:
        """Go on over words in any order; return those that were there."""
        known, seen = frozenset(words), set()
        while self.next() in known:
            seen.add(self.next())
            self.after()
        return seen

    def name(self) -> str:
        """Take a name, as the catalog spells it."""
        if self._place >= len(self._tokens):
            raise NotUnderstood("a name is missing")
        token = self._tokens[self._place]
        self.after()
        if token.kind == "word":
            return _cut(token.text)
        if token.kind == "name" and token.text[0] == '"':
            return _cut(token.text[1:-1].replace('""', '"'))
        raise NotUnderstood(token.text)

    def qualified(self) -> tuple[str | None, str]:
        """Take a name with or without a schema."""
        parts = self.dotted()
        return (parts[-2] if len(parts) > 1 else None), parts[-1]

    def dotted(self) -> list[str]:
        """Take names joined by dots."""
        parts = [self.name()]
        while self.take("."):
            parts.append(self.name())
        return parts

    def relation(self, kind: Kind = Kind.TABLE) -> ObjectRef:
        """Take the name of a relation, with or without ONLY and a star."""
        self.take("only")
        within = self.take("(")
        schema, name = self.qualified()
        if within and not self.take(")"):
            raise NotUnderstood(self.next())
        self.take("*")
        return ObjectRef(kind, schema, name)

    def group(self) -> _Cursor | None:
        """Take what stands in parentheses, or return None where none are next."""
        if self.next() != "(":
            return None
        begin, depth = self._place + 1, 0
        while True:
            depth += _DEPTH.get(self.next(), 0)
            self.after()
            if not depth:
                return _Cursor(self._tokens[begin : self._place - 1])
            if not self:
                raise NotUnderstood("(")

    def parts(self) -> Iterator[_Cursor]:
        """Yield the rest, divided at its commas outside of parentheses."""
        begin, depth = self._place, 0
        for place in range(self._place, len(self._tokens)):
            text = self._tokens[place].text
            depth += _DEPTH.get(text, 0)
            if text == "," and not depth:
                yield _Cursor(self._tokens[begin:place])
                begin = place + 1
        yield _Cursor(self._tokens[begin:])

    def seek(self, *words: str, inside: bool = False) -> bool:
        """Go on behind the next place where the words stand; stay where they do not.

        Args:
            words: One after the other.
            inside: In parentheses too.
        """
        depth = 0
        for ahead in range(len(self._tokens) - self._place):
            depth += _DEPTH.get(self.next(ahead), 0)
            if (inside or not depth) and all(
                self.next(ahead + number) == word for number, word in enumerate(words)
            ):
                self.after(ahead + len(words))
                return True
        return False

    def has(self, *words: str, inside: bool = False) -> bool:
        """Whether the words stand somewhere in the rest."""
        return self.copy().seek(*words, inside=inside)

    def copy(self) -> _Cursor:
        """Return a cursor at the same place."""
        return _Cursor(self._tokens[self._place :])

    def words(self) -> Iterator[str]:
        """Yield what stands outside of parentheses in the rest."""
        depth = 0
        for token in self._tokens[self._place :]:
            depth += _DEPTH.get(token.text, 0)
            if not depth:
                yield token.text

    def names(self) -> frozenset[str]:
        """Return every name and word in the rest."""
        found = set()
        for token in self._tokens[self._place :]:
            if token.kind == "word":
                found.add(token.text)
            elif token.kind == "name":
                found.add(token.text[1:-1].replace('""', '"'))
        return frozenset(found)

    def calls(self) -> bool:
        """Whether the rest calls a function."""
        rest = self._tokens[self._place :]
        return any(
            after.text == "(" and token.kind in _NAMES and token.text not in _BEFORE_PARENTHESIS
            for token, after in itertools.pairwise(rest)
        )

    def text(self) -> str:
        """Return the rest in canonical spelling."""
        return " ".join(token.text for token in self._tokens[self._place :])

    def __bool__(self) -> bool:
        return self._place < len(self._tokens)


_DEPTH = {"(": 1, "[": 1, ")": -1, "]": -1}
_NAMES = frozenset({"word", "name"})
_BEFORE_PARENTHESIS = frozenset(
    {
        "all",
        "and",
        "any",
        "array",
        "as",
        "between",
        "by",
        "case",
        "coalesce",
        "else",
        "except",
        "exists",
        "filter",
        "from",
        "greatest",
        "group",
        "having",
        "in",
        "intersect",
        "is",
        "join",
        "least",
        "limit",
        "not",
        "nullif",
        "on",
        "or",
        "order",
        "over",
        "row",
        "select",
        "set",
        "some",
        "then",
        "union",
        "using",
        "values",
        "when",
        "where",
        "with",
        "within",
    }
)


def _cut(name: str) -> str:
    """Return a name as PostgreSQL cuts it: to 63 bytes, between two characters."""
    return name.encode()[:MAX_IDENTIFIER_BYTES].decode(errors="ignore")


def _touch(ref: ObjectRef) -> Action:
    return Action(verb=Verb.TOUCH, ref=ref)


_UNTOLD = Action(verb=Verb.UNTOLD, ref=None)

TEMPORARY = "temporary"
"""The ``detail`` of what ends with its session."""


# --- CREATE


def _create(cursor: _Cursor) -> Iterator[Action]:
    cursor.take("or", "replace")
    temporary = bool(
        cursor.take_any(("local", "global", "temp", "temporary", "unlogged"))
        & {"temp", "temporary"}
    )
    cursor.take_any(("recursive", "unique", "materialized", "constraint"))
    if cursor.take("foreign", "table"):
        yield from _create_table(cursor)
        return
    what = cursor.next()
    read = _CREATED.get(what)
    if read is None:
        yield _UNTOLD
        return
    for action in read(cursor.after()):
        if action.verb is Verb.CREATE and temporary:
            yield replace(action, detail=TEMPORARY)
        else:
            yield action


def _create_table(cursor: _Cursor) -> Iterator[Action]:
    cursor.take("if", "not", "exists")
    table = cursor.relation()
    yield Action(verb=Verb.CREATE, ref=table, mentions=cursor.names())
    if cursor.take("partition", "of") or cursor.take("of"):
        # Of a type is none of a table's, and no relation of that name is found.
        yield _touch(cursor.relation())
    body = cursor.group()
    if body is not None:
        for item in body.parts():
            yield from _table_item(item, table)
    if cursor.take("inherits"):
        parents = cursor.group()
        for parent in parents.parts() if parents else ():
            if parent:
                yield _touch(parent.relation())


def _table_item(item: _Cursor, table: ObjectRef) -> Iterator[Action]:
    """Yield what one line of a CREATE TABLE makes."""
    if not item or item.next() == "like":
        return
    if _is_constraint(item):
        yield from _constraint(item, table)
    else:
        yield from _column(item, table)


def _is_constraint(item: _Cursor) -> bool:
    if item.next() == "exclude":
        return item.next(1) in ("using", "(")
    return item.next() in ("constraint", "primary", "unique", "check", "foreign")


def _column(item: _Cursor, table: ObjectRef) -> Iterator[Action]:
    name = item.name()
    ref = ObjectRef(Kind.COLUMN, table.schema, name, table.name)
    yield Action(verb=Verb.CREATE, ref=ref, mentions=item.names())
    rest = item.copy()
    while rest.seek("constraint"):
        constraint = rest.name()
        # Until 17 the server forgets the name of a NOT NULL; NULL and DEFAULT have none.
        if rest.next() in ("check", "unique", "primary", "references"):
            yield Action(
                verb=Verb.CREATE,
                ref=ObjectRef(Kind.CONSTRAINT, table.schema, constraint, table.name),
                mentions=rest.names() | {name},
            )
    yield from _references(item)


def _constraint(item: _Cursor, table: ObjectRef) -> Iterator[Action]:
    if item.take("constraint"):
        name = item.name()
        if item.next() != "not":
            yield Action(
                verb=Verb.CREATE,
                ref=ObjectRef(Kind.CONSTRAINT, table.schema, name, table.name),
                mentions=item.names(),
            )
        rest = item.copy()
        if rest.seek("using", "index"):
            # The index takes the constraint's name.
            index = ObjectRef(Kind.INDEX, table.schema, rest.name())
            yield Action(verb=Verb.RENAME, ref=index, becomes=replace(index, name=name))
    yield from _references(item)


def _references(item: _Cursor) -> Iterator[Action]:
    rest = item.copy()
    while rest.seek("references"):
        yield _touch(rest.relation())


def _create_index(cursor: _Cursor) -> Iterator[Action]:
    cursor.take("concurrently")
    cursor.take("if", "not", "exists")
    name = None if cursor.next() == "on" else cursor.name()
    if not cursor.take("on"):
        raise NotUnderstood(cursor.next())
    table = cursor.relation()
    method = cursor.next(1) if cursor.next() == "using" else "btree"
    if name is not None:
        ref = ObjectRef(Kind.INDEX, table.schema, name, table.name)
        yield Action(verb=Verb.CREATE, ref=ref, mentions=cursor.names())
    yield _touch(table)
    yield Action(verb=Verb.BUILD, ref=table, detail=method.strip('"'))


def _create_trigger(cursor: _Cursor) -> Iterator[Action]:
    name = cursor.name()
    table = _on(cursor)
    ref = ObjectRef(Kind.TRIGGER, table.schema, name, table.name)
    yield Action(verb=Verb.CREATE, ref=ref, mentions=cursor.names())
    yield _touch(table)


def _on(cursor: _Cursor, word: str = "on") -> ObjectRef:
    if not cursor.seek(word):
        raise NotUnderstood(f"{word} is missing")
    return cursor.relation()


def _create_named(kind: Kind) -> Callable[[_Cursor], Iterator[Action]]:
    def read(cursor: _Cursor) -> Iterator[Action]:
        cursor.take("if", "not", "exists")
        schema, name = cursor.qualified()
        yield Action(verb=Verb.CREATE, ref=ObjectRef(kind, schema, name), mentions=cursor.names())

    return read


def _create_function(cursor: _Cursor) -> Iterator[Action]:
    schema, name = cursor.qualified()
    arguments = cursor.group()
    yield Action(
        verb=Verb.CREATE,
        ref=ObjectRef(Kind.FUNCTION, schema, name),
        detail=arguments.text() if arguments is not None else "",
        mentions=cursor.names(),
    )


def _create_schema(cursor: _Cursor) -> Iterator[Action]:
    cursor.take("if", "not", "exists")
    name = None if cursor.next() == "authorization" else cursor.name()
    if cursor.take("authorization"):
        name = name or cursor.name()
        if cursor.next() == name:
            cursor.after()
    if name is None or (cursor and cursor.after()):
        raise NotUnderstood("objects within CREATE SCHEMA")
    yield Action(verb=Verb.CREATE, ref=ObjectRef(Kind.SCHEMA, None, name))


def _create_extension(cursor: _Cursor) -> Iterator[Action]:
    cursor.take("if", "not", "exists")
    ref = ObjectRef(Kind.EXTENSION, None, cursor.name())
    version = None
    if cursor.seek("version"):
        version = cursor.next().strip("'\"")
    yield Action(verb=Verb.CREATE, ref=ref, detail=version)


def _untold_on(word: str) -> Callable[[_Cursor], Iterator[Action]]:
    """Return a reader of what belongs to a table and has no kind."""

    def read(cursor: _Cursor) -> Iterator[Action]:
        yield _UNTOLD
        yield _touch(_on(cursor, word))

    return read


_CREATED: dict[str, Callable[[_Cursor], Iterator[Action]]] = {
    "table": _create_table,
    "index": _create_index,
    "trigger": _create_trigger,
    "view": _create_named(Kind.VIEW),
    "sequence": _create_named(Kind.SEQUENCE),
    "type": _create_named(Kind.TYPE),
    "domain": _create_named(Kind.TYPE),
    "function": _create_function,
    "procedure": _create_function,
    "aggregate": _create_function,
    "schema": _create_schema,
    "extension": _create_extension,
    "policy": _untold_on("on"),
    "rule": _untold_on("to"),
    "statistics": _untold_on("from"),
}


# --- DROP

_DROPPED = {
    "table": Kind.TABLE,
    "foreign table": Kind.TABLE,
    "view": Kind.VIEW,
    "materialized view": Kind.VIEW,
    "index": Kind.INDEX,
    "sequence": Kind.SEQUENCE,
    "type": Kind.TYPE,
    "domain": Kind.TYPE,
    "schema": Kind.SCHEMA,
    "extension": Kind.EXTENSION,
    "function": Kind.FUNCTION,
    "procedure": Kind.FUNCTION,
    "aggregate": Kind.FUNCTION,
    "routine": Kind.FUNCTION,
}


def _kind(cursor: _Cursor) -> Kind | None:
    """Take the word or words for a kind of objects that are dropped and altered alike."""
    for count in (2, 1):
        words = " ".join(cursor.next(ahead) for ahead in range(count))
        if words in _DROPPED:
            cursor.after(count)
            return _DROPPED[words]
    return None


def _drop(cursor: _Cursor) -> Iterator[Action]:
    if cursor.next() == "owned":
        raise NotUnderstood("DROP OWNED")
    kind = _kind(cursor)
    if kind is None:
        yield from _drop_other(cursor)
        return
    cursor.take("concurrently")
    cursor.take("if", "exists")
    cascade = cursor.has("cascade")
    for item in cursor.parts():
        schema, name = item.qualified()
        arguments = item.group()
        ref = ObjectRef(kind, schema, name)
        detail = arguments.text() if arguments is not None else None
        yield Action(verb=Verb.DROP, ref=ref, cascade=cascade, detail=detail)


def _drop_other(cursor: _Cursor) -> Iterator[Action]:
    what = cursor.next()
    cursor.after()
    cursor.take("if", "exists")
    if what == "trigger":
        name = cursor.name()
        table = _on(cursor)
        ref = ObjectRef(Kind.TRIGGER, table.schema, name, table.name)
        yield Action(verb=Verb.DROP, ref=ref, cascade=cursor.has("cascade"))
        yield _touch(table)
        return
    yield _UNTOLD
    if what in ("policy", "rule"):
        yield _touch(_on(cursor))


# --- ALTER


def _alter(cursor: _Cursor) -> Iterator[Action]:
    what = cursor.next()
    kind = _kind(cursor)
    if kind is None:
        yield from _alter_other(what, cursor.after())
        return
    cursor.take("if", "exists")
    if cursor.next() == "all" and cursor.next(1) == "in":
        raise NotUnderstood("ALL IN TABLESPACE")
    ref = cursor.relation(kind)
    if kind in RELATIONS:
        yield _touch(ref)
    if kind is Kind.FUNCTION:
        cursor.group()
    if kind is Kind.EXTENSION:
        yield from _alter_extension(cursor, ref)
    elif kind in (Kind.TABLE, Kind.VIEW):
        for part in cursor.parts():
            yield from _table_action(part, ref)
    else:
        yield from _renamed(cursor, ref)
        if kind is Kind.SEQUENCE and cursor.seek("owned", "by"):
            yield Action(verb=Verb.TOUCH, ref=ref, mentions=cursor.names())


def _alter_other(what: str, cursor: _Cursor) -> Iterator[Action]:
    if what == "trigger":
        name = cursor.name()
        table = _on(cursor)
        yield _touch(table)
        yield from _renamed(cursor, ObjectRef(Kind.TRIGGER, table.schema, name, table.name))
    elif what in ("policy", "rule"):
        yield _touch(_on(cursor))
    elif what not in ("default", "role", "user", "group", "database", "system"):
        yield _UNTOLD


def _alter_extension(cursor: _Cursor, ref: ObjectRef) -> Iterator[Action]:
    if cursor.take("update"):
        version = cursor.next(1).strip("'\"") if cursor.next() == "to" else None
        yield Action(verb=Verb.TOUCH, ref=ref, detail=version)
    else:
        yield _UNTOLD


def _renamed(cursor: _Cursor, ref: ObjectRef) -> Iterator[Action]:
    if cursor.take("rename", "to"):
        yield Action(verb=Verb.RENAME, ref=ref, becomes=replace(ref, name=cursor.name()))
    elif cursor.take("set", "schema"):
        yield Action(verb=Verb.RENAME, ref=ref, becomes=replace(ref, schema=cursor.name()))


_WITH_ANOTHER = (
    ("attach", "partition"),
    ("detach", "partition"),
    ("inherit",),
    ("no", "inherit"),
)


def _table_action(part: _Cursor, table: ObjectRef) -> Iterator[Action]:
    """Yield what one action of an ALTER TABLE does."""
    if part.take("add"):
        yield from _add(part, table)
    elif part.take("drop"):
        yield from _drop_part(part, table)
    elif part.next() == "rename" and part.next(1) != "to":
        part.after()
        yield from _rename_part(part, table)
    elif any(part.take(*words) for words in _WITH_ANOTHER):
        yield _touch(part.relation())
    else:
        yield from _renamed(part, table)


def _add(part: _Cursor, table: ObjectRef) -> Iterator[Action]:
    builds = ("unique",), ("primary", "key"), ("exclude",)
    if any(part.has(*words) for words in builds) and not part.has("using", "index"):
        yield Action(verb=Verb.BUILD, ref=table, detail="btree")
    if _is_constraint(part):
        yield from _constraint(part, table)
        return
    part.take("column")
    part.take("if", "not", "exists")
    yield from _column(part, table)


def _drop_part(part: _Cursor, table: ObjectRef) -> Iterator[Action]:
    kind = Kind.CONSTRAINT if part.take("constraint") else Kind.COLUMN
    if kind is Kind.COLUMN:
        part.take("column")
    part.take("if", "exists")
    ref = ObjectRef(kind, table.schema, part.name(), table.name)
    yield Action(verb=Verb.DROP, ref=ref, cascade=part.has("cascade"))


def _rename_part(part: _Cursor, table: ObjectRef) -> Iterator[Action]:
    kind = Kind.CONSTRAINT if part.take("constraint") else Kind.COLUMN
    if kind is Kind.COLUMN and part.next(1) != "to":
        part.take("column")
    ref = ObjectRef(kind, table.schema, part.name(), table.name)
    if not part.take("to"):
        raise NotUnderstood(part.next())
    yield Action(verb=Verb.RENAME, ref=ref, becomes=replace(ref, name=part.name()))


# --- rows


def _truncate(cursor: _Cursor) -> Iterator[Action]:
    cursor.take("table")
    cascade = cursor.has("cascade")
    for part in cursor.parts():
        ref = part.relation()
        yield _touch(ref)
        yield Action(verb=Verb.EMPTY, ref=ref, cascade=cascade)


def _delete(cursor: _Cursor) -> Iterator[Action]:
    if not cursor.take("from"):
        raise NotUnderstood(cursor.next())
    ref = cursor.relation()
    yield _touch(ref)
    some = cursor.has("where") or cursor.has("using")
    yield Action(verb=Verb.DELETE if some else Verb.EMPTY, ref=ref)


def _change(*words: str) -> Callable[[_Cursor], Iterator[Action]]:
    def read(cursor: _Cursor) -> Iterator[Action]:
        if words and not cursor.take(*words):
            raise NotUnderstood(cursor.next())
        yield _touch(cursor.relation())

    return read


def _copy(cursor: _Cursor) -> Iterator[Action]:
    if cursor.next() != "(":
        ref = cursor.relation()
        cursor.group()
        if cursor.take("from"):
            yield _touch(ref)


def _lock(cursor: _Cursor) -> Iterator[Action]:
    cursor.take("table")
    for part in cursor.parts():
        yield _touch(part.relation())


def _query(cursor: _Cursor) -> Iterator[Action]:
    if cursor.has("into"):
        raise NotUnderstood("SELECT INTO")
    if cursor.calls():
        yield _UNTOLD


def _with(cursor: _Cursor) -> Iterator[Action]:
    """Read what a statement that begins with WITH does, its parts in parentheses included."""
    for read, verb in ((_change("into"), "insert"), (_change(), "update"), (_delete, "delete")):
        rest = cursor.copy()
        while rest.seek("(", verb, inside=True):
            yield from read(rest.copy())
    if cursor.has("(", "merge", inside=True):
        raise NotUnderstood("MERGE in WITH")
    verbs = ("select", "insert", "update", "delete", "merge", "values")
    main = next((word for word in cursor.words() if word in verbs), "")
    if not cursor.seek(main):
        raise NotUnderstood("WITH")
    yield from _STATEMENTS[main](cursor)


# --- the rest


def _comment(cursor: _Cursor) -> Iterator[Action]:
    if cursor.take("on", "table"):
        yield _touch(cursor.relation())
    elif cursor.take("on", "column"):
        *table, _column_name = cursor.dotted()
        if table:
            schema = table[-2] if len(table) > 1 else None
            yield _touch(ObjectRef(Kind.TABLE, schema, table[-1]))


def _refresh(cursor: _Cursor) -> Iterator[Action]:
    cursor.take("materialized", "view")
    cursor.take("concurrently")
    ref = cursor.relation(Kind.VIEW)
    yield _touch(ref)
    yield Action(verb=Verb.BUILD, ref=ref)


def _maintain(cursor: _Cursor) -> Iterator[Action]:
    """Read VACUUM, CLUSTER and REINDEX: options, and what is to be written anew."""
    cursor.group()
    cursor.take_any(("full", "freeze", "verbose", "analyze", "analyse"))
    kind = Kind.INDEX if cursor.take("index") else Kind.TABLE
    if cursor.next() in ("schema", "database", "system"):
        raise NotUnderstood(cursor.next())
    cursor.take("table")
    cursor.take("concurrently")
    if not cursor:
        return
    ref = cursor.relation(kind)
    if cursor.take("on"):
        # CLUSTER index ON table
        ref = cursor.relation()
    yield _touch(ref)
    yield Action(verb=Verb.BUILD, ref=ref)


def _set(cursor: _Cursor) -> Iterator[Action]:
    """Read SET: some change who does what comes next, and where."""
    if cursor.names() & {"role", "authorization", "search_path", "schema"}:
        raise NotUnderstood("SET")
    return iter(())


def _nothing(_cursor: _Cursor) -> Iterator[Action]:
    return iter(())


_STATEMENTS: dict[str, Callable[[_Cursor], Iterator[Action]]] = {
    "create": _create,
    "drop": _drop,
    "alter": _alter,
    "truncate": _truncate,
    "delete": _delete,
    "insert": _change("into"),
    "update": _change(),
    "merge": _change("into"),
    "copy": _copy,
    "lock": _lock,
    "select": _query,
    "values": _query,
    "table": _nothing,
    "with": _with,
    "comment": _comment,
    "refresh": _refresh,
    "vacuum": _maintain,
    "cluster": _maintain,
    "reindex": _maintain,
    "analyze": _nothing,
    "analyse": _nothing,
    "grant": _nothing,
    "revoke": _nothing,
    "security": _nothing,
    "set": _set,
    "reset": _nothing,
    "show": _nothing,
    "notify": _nothing,
}
