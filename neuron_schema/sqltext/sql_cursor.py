"""A place in the tokens of one statement, and what can be read from there on."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from neuron_schema.quoting import MAX_IDENTIFIER_BYTES
from neuron_schema.sqltext.actions import Kind, ObjectRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from neuron_schema.canonical import Token


class NotUnderstood(Exception):  # noqa: N818 - it says what is so
    """The text does not tell what the statement does."""


class Cursor:
    """A place in a statement's tokens.

    A quoted name keeps its quotes in a token's text, so that it never equals a word of the grammar.

    Args:
        found: The tokens.
        whole: What is made is asked for to its last part.
    """

    def __init__(self, found: Sequence[Token], *, whole: bool = True) -> None:
        while found and found[-1].text == ";":
            found = found[:-1]
        self._tokens = found
        self._texts = [token.text for token in found]
        self._place = 0
        self.whole = whole

    def next(self, ahead: int = 0) -> str:
        """Return the text of a token that is still to come; "" after the last."""
        place = self._place + ahead
        return self._texts[place] if place < len(self._texts) else ""

    def after(self, count: int = 1) -> Cursor:
        """Go on by some tokens."""
        self._place += count
        return self

    def take(self, *words: str) -> bool:
        """Go on over words if they are what comes next."""
        if self.next() == words[0] and all(
            self.next(ahead) == word for ahead, word in enumerate(words)
        ):
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

    def group(self) -> Cursor | None:
        """Take what stands in parentheses, or return None where none are next."""
        if self.next() != "(":
            return None
        begin, depth = self._place + 1, 0
        while True:
            depth += _DEPTH.get(self.next(), 0)
            self.after()
            if not depth:
                return Cursor(self._tokens[begin : self._place - 1])
            if not self:
                raise NotUnderstood("(")

    def parts(self) -> Iterator[Cursor]:
        """Yield the rest, divided at its commas outside of parentheses."""
        begin, depth = self._place, 0
        for place in range(self._place, len(self._tokens)):
            text = self._tokens[place].text
            depth += _DEPTH.get(text, 0)
            if text == "," and not depth:
                yield Cursor(self._tokens[begin:place])
                begin = place + 1
        yield Cursor(self._tokens[begin:])

    def seek(self, *words: str, inside: bool = False) -> bool:
        """Go on behind the next place where the words stand; stay where they do not.

        Args:
            words: One after the other.
            inside: In parentheses too.
        """
        depth = 0
        if words[0] not in self._texts[self._place :]:
            # Most words are sought in vain.
            return False
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

    def copy(self) -> Cursor:
        """Return a cursor at the same place."""
        return Cursor(self._tokens[self._place :])

    def words(self) -> Iterator[str]:
        """Yield what stands outside of parentheses in the rest."""
        depth = 0
        for token in self._tokens[self._place :]:
            depth += _DEPTH.get(token.text, 0)
            if not depth:
                yield token.text

    def names(self) -> frozenset[str]:
        """Return every name and word in the rest; none where not the whole is asked for."""
        if not self.whole:
            return frozenset()
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
