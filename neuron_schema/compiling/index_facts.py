"""What an index must look like in the catalog, as conditions for a probe. Pure text.

The conditions compare what the catalog says for certain: uniqueness, access method, columns in
their order, which keys are expressions, direction and place of NULLs, operator classes,
collations, INCLUDE, storage parameters, tablespace, NULLS NOT DISTINCT, and whether there is a
WHERE. They do not compare the text of an expression or of a WHERE, which PostgreSQL prints anew
(``index_sample`` has it do so), and take a key given as ``text()`` for anything.
https://www.postgresql.org/docs/current/catalog-pg-index.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression, Cast, Grouping, Label, UnaryExpression
from sqlalchemy.sql.functions import FunctionElement

from neuron_schema.compiling.literals import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Index

_DESC, _NULLS_FIRST = 1, 2
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9$]*")
_PLAIN_VALUE = re.compile(r"[\w.+-]+", re.ASCII)


def options_of(index: Index) -> Mapping[str, Any]:
    """Return the options of an index that PostgreSQL has."""
    options: Mapping[str, Any] = index.dialect_options["postgresql"]
    return options


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What is known for certain of one key of an index; None where it is not.

    Attributes:
        column: The column's name, "" for an expression.
        flags: DESC and NULLS FIRST, as in ``pg_index.indoption``.
        operator_class: Its name without schema; "" for the type's default.
        collation: Its name; "" for the column's own.
    """

    column: str | None
    flags: int | None
    operator_class: str | None
    collation: str | None


def index_facts(index: Index) -> Iterator[str]:
    """Yield conditions on ``pg_index i``, ``pg_class c`` and ``pg_am m``, all to be true."""
    options = options_of(index)
    method = (options["using"] or "btree").lower()
    yield f"m.amname = {quote(method)}"
    yield f"i.indisunique = {_bool(index.unique)}"
    yield f"(i.indpred IS NOT NULL) = {_bool(options['where'] is not None)}"
    # The column came with PostgreSQL 15.
    same = _bool(options["nulls_not_distinct"])
    yield f"coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false) = {same}"
    yield from _facts_of_columns(index, method)
    if (parameters := _parameters(options["with"] or {})) is not None:
        yield (
            'ARRAY(SELECT o FROM pg_catalog.unnest(c.reloptions) o ORDER BY o COLLATE "C")'
            f" = {_array(sorted(parameters))}"
        )
    if options["tablespace"]:
        yield (
            "(SELECT s.spcname FROM pg_catalog.pg_tablespace s, pg_catalog.pg_database d"
            " WHERE d.datname = pg_catalog.current_database() AND s.oid ="
            " coalesce(nullif(c.reltablespace, 0), d.dattablespace))"
            f" = {quote(options['tablespace'])}"
        )


def _facts_of_columns(index: Index, method: str) -> Iterator[str]:
    parts = [_part(expression, index) for expression in index.expressions]
    include = _included(index)
    if any(_is_list(expression) for expression in index.expressions):
        return
    yield f"i.indnkeyatts = {len(parts)}"
    yield f"i.indnatts = {len(parts) + len(include)}"
    for number, part in enumerate(parts):
        if part.column is not None:
            yield f"{_column(number)} = {quote(part.column)}"
        if part.flags is not None and method == "btree":
            yield f"i.indoption[{number}] = {part.flags}"
        if part.operator_class is not None:
            yield _operator_class(number, part.operator_class)
        if part.collation == "":
            yield (
                f"i.indcollation[{number}] = (SELECT a.attcollation FROM pg_catalog.pg_attribute a"
                f" WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[{number}])"
            )
        elif part.collation is not None:
            yield (
                f"(SELECT l.collname FROM pg_catalog.pg_collation l"
                f" WHERE l.oid = i.indcollation[{number}]) = {quote(part.collation)}"
            )
    for number, name in enumerate(include, len(parts)):
        yield f"{_column(number)} = {quote(name)}"


def _column(number: int) -> str:
    """Return SQL for the name of an index's column by number from 0, "" for an expression."""
    return (
        "coalesce((SELECT a.attname::text FROM pg_catalog.pg_attribute a"
        f" WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[{number}]), '')"
    )


def _operator_class(number: int, name: str) -> str:
    wanted = f"p.opcname = {quote(name)}" if name else "p.opcdefault"
    return f"(SELECT {wanted} FROM pg_catalog.pg_opclass p WHERE p.oid = i.indclass[{number}])"


def _included(index: Index) -> list[str]:
    columns: Any = index.table.c if index.table is not None else {}
    return [
        columns[item].name if isinstance(item, str) else item.name
        for item in options_of(index)["include"] or ()
    ]


def _is_list(expression: Any) -> bool:
    """Tell whether a text may hold several keys, so that no key's number is known."""
    text = getattr(expression, "text", None) or getattr(expression, "name", None)
    return not isinstance(expression, Column) and isinstance(text, str) and "," in text


def _part(expression: Any, index: Index) -> _Part:
    """Return what is known of one key of an index."""
    given = options_of(index)["ops"].get(getattr(expression, "key", None), "")
    operator_class = _plain(given)
    element, flags = _direction(expression)
    collation: str | None = ""
    if isinstance(element, BinaryExpression) and element.operator is operators.collate:
        collation = getattr(element.right, "collation", None)
        element = _bare(element.left)
    if isinstance(element, Column):
        return _Part(
            column=element.name, flags=flags, operator_class=operator_class, collation=collation
        )
    if isinstance(element, FunctionElement | BinaryExpression | Cast):
        return _Part(
            column="", flags=flags, operator_class=operator_class, collation=collation or None
        )
    # Text may be a column or an expression, and hold a direction or an operator class.
    operator_class = operator_class if given else None
    return _Part(column=None, flags=None, operator_class=operator_class, collation=None)


def _direction(expression: Any) -> tuple[Any, int | None]:
    """Divide ``expression DESC NULLS LAST`` into the expression and its flags."""
    descending, nulls_first = False, None
    element = _bare(expression)
    while isinstance(element, UnaryExpression) and element.modifier is not None:
        if element.modifier is operators.desc_op:
            descending = True
        elif element.modifier is operators.nulls_first_op:
            nulls_first = True
        elif element.modifier is operators.nulls_last_op:
            nulls_first = False
        elif element.modifier is not operators.asc_op:
            return expression, None
        element = _bare(element.element)
    if nulls_first is None:
        nulls_first = descending
    return element, _DESC * descending + _NULLS_FIRST * nulls_first


def _bare(element: Any) -> Any:
    """Return what parentheses and labels are put around."""
    while isinstance(element, Grouping | Label):
        element = element.element
    return element


def _plain(operator_class: str) -> str | None:
    """Return the catalog's name of an operator class, "" for the default, None when unsure."""
    name = operator_class.partition("(")[0].strip().rpartition(".")[2].strip()
    if not operator_class:
        return ""
    if _PLAIN_NAME.fullmatch(name):
        return name.lower()
    quoted = re.fullmatch(r'"((?:[^"]|"")+)"', name)
    return quoted[1].replace('""', '"') if quoted and "." not in operator_class else None


def _parameters(given: Mapping[str, Any]) -> list[str] | None:
    """Return storage parameters as ``pg_class.reloptions`` holds them, None when unsure."""
    found = []
    for name, value in given.items():
        text = "true" if value is None or value is True else str(value)
        text = "false" if value is False else text
        if len(text) > 1 and text[0] == text[-1] == "'":
            text = text[1:-1]
        if not (_PLAIN_NAME.fullmatch(name) and _PLAIN_VALUE.fullmatch(text)):
            return None
        found.append(f"{name.lower()}={text}")
    return found


def _array(texts: list[str]) -> str:
    return f"ARRAY[{', '.join(map(quote, texts))}]::text[]"


def _bool(value: object) -> str:
    return "true" if value else "false"
