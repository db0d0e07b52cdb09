"""Code cut into pieces that a page shows in different colours."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from neuron_schema.canonical import SqlTextError, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

# Those of SQL that a version is likely to hold; a name that is spelled so is shown so.
_KEYWORDS: Final = frozenset(
    """
abort access action add after all alter always analyze and any array as asc atomic attach before
begin between bigint boolean by bytea cascade case cast check cluster collate column comment commit
concurrently conflict constraint copy create cross current_date current_timestamp cycle data date
declare default deferrable deferred delete desc detach disable distinct do domain double drop each
else enable end enum event except exclude execute exists extension false fetch filter first for
force foreign from full function generated global grant group having identity if ilike immediate
immutable in include increment index inherits initially inner insert instead int integer intersect
interval into invoker is isolation join json jsonb key language lateral leakproof left like limit
local lock logged materialized merge minvalue maxvalue natural no not nothing notify null nulls
numeric of offset on only operator option or order outer over owned owner parallel partition
permissive policy precision primary privileges procedure publication range real recursive
references refresh reindex release rename replace replica restart restrict restrictive return
returning returns revoke right role rollback row rows rule safe savepoint schema security select
sequence serial session set setof show similar smallint stable start statement statistics storage
stored strict table tablespace temporary text then time timestamp timestamptz to trigger true
truncate type union unique unlogged unsafe update using uuid vacuum valid validate values varchar
varying vector view virtual volatile when where window with without work zone
""".split()  # noqa: SIM905
)
_STYLES: Final = {
    "text": "s",
    "escaped": "s",
    "dollar": "s",
    "name": "q",
    "number": "n",
    "parameter": "n",
}
_PYTHON: Final = re.compile(
    r'(?P<s>[rbfu]{0,2}(?:"""(?s:.*?)"""|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'))'
    r"|(?P<c>\#[^\n]*)"
    r"|(?P<k>\b(?:and|as|class|def|else|for|from|if|import|in|is|None|not|or|return|True|False)\b)"
    r"|(?P<n>\b\d[\d_.]*\b)"
)


def pieces(language: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield all of a text in order, each piece with its style.

    Styles are ``k`` of a keyword, ``s`` of a string, ``n`` of a number, ``q`` of a quoted name,
    ``c`` of a comment, and "".
    """
    yield from _sql(text) if language == "sql" else _python(text)


def _sql(text: str) -> Iterator[tuple[str, str]]:
    spans = []
    try:
        for token in tokens(text):
            style = _STYLES.get(token.kind, "")
            if token.kind == "word" and token.text in _KEYWORDS:
                style = "k"
            spans.append((token.start, token.end, style))
    except SqlTextError:
        # What cannot be read on stays as it is.
        pass
    bounds = [(0, 0, ""), *spans, (len(text), len(text), "")]
    for (_, end, _), (start, following, style) in pairwise(bounds):
        between = text[end:start]
        yield ("c" if between.strip().startswith(("--", "/*")) else ""), between
        yield style, text[start:following]


def _python(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    for match in _PYTHON.finditer(text):
        yield "", text[position : match.start()]
        yield match.lastgroup or "", match[0]
        position = match.end()
    yield "", text[position:]
