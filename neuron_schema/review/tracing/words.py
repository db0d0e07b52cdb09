"""The names that a statement's text holds, whatever it means by them."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final

from neuron_schema.canonical import SqlTextError, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEPTH: Final = 4
_WORD: Final = re.compile(r"[^\W\d][\w$]*")


@functools.lru_cache(maxsize=64)
def words(sql: str) -> frozenset[str]:
    """Return every word and quoted name of a statement, as PostgreSQL folds them.

    Those inside of strings too: the body of a DO or of a function is one, and so is what it
    hands to EXECUTE.
    """
    return frozenset(_words(sql, _DEPTH))


def _words(sql: str, depth: int) -> Iterator[str]:
    try:
        found = list(tokens(sql))
    except SqlTextError:
        # Text inside of a string need not be SQL.
        yield from _WORD.findall(sql)
        return
    for token in found:
        if token.kind == "word":
            yield token.text
        elif token.kind == "name" and token.text.startswith('"'):
            yield token.text[1:-1].replace('""', '"')
        elif token.kind in ("text", "escaped", "dollar", "name") and depth:
            yield from _words(_inside(token.kind, token.text), depth - 1)


def _inside(kind: str, text: str) -> str:
    if kind == "dollar":
        tag = text[: text.index("$", 1) + 1]
        return text[len(tag) : -len(tag)]
    quote = '"' if kind == "name" else "'"
    return text[text.index(quote) + 1 : -1].replace(quote * 2, quote)
