"""Python values as SQL literals, where SQLAlchemy has no renderer for them or a wrong one.

SQLAlchemy 2.1 renders ``LargeBinary`` as the raw bytes, ``Interval`` without its days, NaN bare,
1.5 for an Integer as 1, and JSON, ranges, bit strings, network addresses not at all. What is
written here follows PostgreSQL's input syntax and assumes ``standard_conforming_strings = on``:
https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-CONSTANTS
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from psycopg import Error as PsycopgError
from psycopg.sql import Literal
from sqlalchemy import (
    ARRAY,
    CHAR,
    JSON,
    Date,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Time,
)
from sqlalchemy import literal as sqlalchemy_literal
from sqlalchemy.dialects.postgresql import BIT, BYTEA, INTERVAL
from sqlalchemy.dialects.postgresql.ranges import AbstractMultiRange, AbstractSingleRange
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine, UserDefinedType

from neuron_schema.compiling.compile_error import CompileError

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

AnyType: TypeAlias = TypeEngine[Any]
Renderer: TypeAlias = Callable[[Any, AnyType, "Dialect"], str]


def quote(text: str) -> str:
    """Return a string constant.

    Raises:
        CompileError: The text holds a NUL, which PostgreSQL cannot store.
    """
    if "\x00" in text:
        raise CompileError(f"the value {text!r} holds a NUL byte, which no text of PostgreSQL can")
    return "'" + text.replace("'", "''") + "'"


def render(value: object, type_: AnyType, dialect: Dialect) -> str | None:
    """Return a value as a literal of a type, or None where SQLAlchemy's own text is right.

    Args:
        value: What is to be written; None only for a type that gives it a meaning (JSON null).
        type_: The type that the value has in its statement.
        dialect: The dialect that the type is looked up for.

    Raises:
        CompileError: The value cannot be one of the type.
    """
    impl = type_.dialect_impl(dialect)
    if isinstance(impl, TypeDecorator):
        return _decorated(value, impl, dialect)
    if isinstance(impl, NullType):
        return _untyped(value, dialect)
    renderer = next((made for kinds, made in _RENDERERS if isinstance(impl, kinds)), None)
    if renderer is not None:
        return renderer(value, impl, dialect)
    if impl.literal_processor(dialect) is not None:
        return None
    return _other(value, impl, dialect)


def _decorated(value: object, type_: TypeDecorator[Any], dialect: Dialect) -> str:
    """Render what a TypeDecorator makes of a value, by the type that it decorates."""
    if _overrides(type_, "process_literal_param"):
        value = type_.process_literal_param(value, dialect)
    elif _overrides(type_, "process_bind_param"):
        value = type_.process_bind_param(value, dialect)
    elif _overrides(type_, "bind_processor"):
        raise CompileError(
            f"{type(type_).__name__} cannot be written as a literal",
            "use Sql(...), or a type with process_bind_param",
        )
    return full(value, type_.impl_instance, dialect)


def _overrides(type_: TypeDecorator[Any], name: str) -> bool:
    return getattr(type(type_), name) is not getattr(TypeDecorator, name)


def full(value: object, type_: AnyType, dialect: Dialect) -> str:
    """Return a value as a literal, ours or SQLAlchemy's; None is NULL."""
    if value is None and not type_.should_evaluate_none:
        return "NULL"
    own = render(value, type_, dialect)
    if own is not None:
        return own
    processor = type_.dialect_impl(dialect).literal_processor(dialect)
    if processor is None:  # render() leaves only those that have one
        raise CompileError(f"{type_!r} has no literals")
    return processor(value)


def type_text(type_: AnyType, dialect: Dialect) -> str:
    """Return a type's name for a cast."""
    return dialect.type_compiler_instance.process(
        type_, identifier_preparer=dialect.identifier_preparer
    )


def _cast(text: str, type_: AnyType, dialect: Dialect) -> str:
    return f"{quote(text)}::{type_text(type_, dialect)}"


def _bytes(value: Any, _type: AnyType, _dialect: Dialect) -> str:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise CompileError(f"{value!r} is not bytes", "pass bytes, or Sql(...)")
    return f"'\\x{bytes(value).hex()}'::BYTEA"


def _json(value: Any, type_: AnyType, dialect: Dialect) -> str:
    if value is JSON.NULL:
        value = None
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CompileError(f"{value!r} cannot be JSON: {error}") from error
    return _cast(text, type_, dialect)


def _interval(value: Any, _type: AnyType, _dialect: Dialect) -> str:
    if isinstance(value, str):
        return f"{quote(value)}::INTERVAL"
    if not isinstance(value, dt.timedelta):
        raise CompileError(f"{value!r} is no timedelta")
    # Each field has its sign: with IntervalStyle sql_standard a leading minus counts for all.
    parts = [f"{value.days:+d} days"] if value.days else []
    if value.seconds or value.microseconds or not parts:
        fraction = f".{value.microseconds:06d}" if value.microseconds else ""
        parts.append(f"+{value.seconds}{fraction} seconds")
    text = " ".join(parts)
    return quote(text.replace("+", "") if value.days >= 0 else text) + "::INTERVAL"


def _moment(value: Any, type_: AnyType, _dialect: Dialect) -> str:
    """Render a date or time; text such as 'infinity' goes as it is."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        if isinstance(type_, Date) and isinstance(value, dt.datetime):
            value = value.date()
        return quote(value.isoformat().replace("T", " "))
    raise CompileError(f"{value!r} is no date or time")


def _integer(value: Any, _type: AnyType, _dialect: Dialect) -> str:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise CompileError(f"{value!r} is no integer") from error
    if not isinstance(value, str) and number != value:
        raise CompileError(f"{value!r} is no integer; SQLAlchemy would write {number}")
    return str(number)


def _number(value: Any, type_: AnyType, _dialect: Dialect) -> str:
    try:
        finite = math.isfinite(float(value))
    except OverflowError:
        finite = True  # a whole number beyond the range of float
    except (TypeError, ValueError) as error:
        raise CompileError(f"{value!r} is no number") from error
    if isinstance(value, float):
        value = float(value)  # a NumPy float prints its type's name
    if finite:
        return str(int(value)) if isinstance(value, bool) else str(value).strip()
    return f"'{value}'::{'DOUBLE PRECISION' if isinstance(type_, Float) else 'NUMERIC'}"


def _bits(value: Any, _type: AnyType, _dialect: Dialect) -> str:
    text = value.to_text() if hasattr(value, "to_text") else value
    if not isinstance(text, str) or set(text) - {"0", "1"}:
        raise CompileError(f"{value!r} is no bit string", 'pass a str such as "0101"')
    return f"B'{text}'"


def _array(value: Any, type_: AnyType, dialect: Dialect) -> str:
    assert isinstance(type_, ARRAY)  # noqa: S101 - by _RENDERERS
    if isinstance(value, str):  # PostgreSQL's own notation: '{1,2}'
        return _cast(value, type_, dialect)
    item: AnyType = type_.item_type
    # A list can itself be an item where the items are documents or vectors.
    listlike = isinstance(item.dialect_impl(dialect), JSON | UserDefinedType | AbstractMultiRange)
    depth = type_.dimensions or (1 if listlike else None)
    cast = type_
    if isinstance(item, String) and not isinstance(item, CHAR) and getattr(item, "length", None):
        # A cast to VARCHAR(3)[] would cut what is too long; an assignment refuses it.
        cast = ARRAY(String(collation=item.collation), dimensions=type_.dimensions)
    return f"{_items(value, item, depth, dialect)}::{type_text(cast, dialect)}"


def _items(value: Any, item: AnyType, depth: int | None, dialect: Dialect) -> str:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise CompileError(f"{value!r} is no list for an array")
    inner = depth - 1 if depth else None
    parts = [
        _items(part, item, inner, dialect)
        if inner or (depth is None and isinstance(part, list | tuple))
        else full(part, item, dialect)
        for part in value
    ]
    return f"ARRAY[{', '.join(parts)}]"


def _range(value: Any, type_: AnyType, dialect: Dialect) -> str:
    return _cast(_range_text(value), type_, dialect)


def _multirange(value: Any, type_: AnyType, dialect: Dialect) -> str:
    if isinstance(value, str):
        return _cast(value, type_, dialect)
    if not isinstance(value, Iterable):
        raise CompileError(f"{value!r} is no list of ranges")
    return _cast("{" + ",".join(map(_range_text, value)) + "}", type_, dialect)


def _range_text(value: Any) -> str:
    """Return a range of SQLAlchemy or psycopg in PostgreSQL's notation; text goes as it is."""
    if isinstance(value, str):
        return value
    if not hasattr(value, "isempty"):
        raise CompileError(f"{value!r} is no range", "pass a postgresql.Range")
    if getattr(value, "isempty", False):
        return "empty"
    left, right = value.bounds
    return f"{left}{_bound(value.lower)},{_bound(value.upper)}{right}"


def _bound(value: object) -> str:
    if value is None:
        return ""
    text = value.isoformat(sep=" ") if isinstance(value, dt.datetime) else str(value)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _untyped(value: object, dialect: Dialect) -> str:
    """Render a value whose type SQLAlchemy was not told."""
    type_ = sqlalchemy_literal(value).type
    if not isinstance(type_, NullType):
        return full(value, type_, dialect)
    return _by_psycopg(value)


def _other(value: object, type_: AnyType, dialect: Dialect) -> str:
    """Render a value of a type that has no literals: as text, cast to the type."""
    if isinstance(type_, UserDefinedType) and (bind := type_.bind_processor(dialect)) is not None:
        value = bind(value)
    if isinstance(value, _NETWORK):
        value = str(value)
    text = quote(value) if isinstance(value, str) else _by_psycopg(value)
    # A type that wraps its values in a function says there what they are.
    wrapped = getattr(type_, "_has_bind_expression", False)
    return text if wrapped else f"{text}::{type_text(type_, dialect)}"


def _by_psycopg(value: object) -> str:
    try:
        return Literal(value).as_string(None).strip()
    except PsycopgError as error:
        raise CompileError(
            f"{value!r} cannot be written as a literal: {error}",
            "give it a type with literal(value, type_), or use Sql(...)",
        ) from error


_NETWORK = (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
)
# The first that fits.
_RENDERERS: tuple[tuple[tuple[type[Any], ...], Renderer], ...] = (
    ((LargeBinary, BYTEA), _bytes),
    ((JSON,), _json),
    ((INTERVAL,), _interval),
    ((DateTime, Date, Time), _moment),
    ((Integer,), _integer),
    ((Numeric, Float), _number),
    ((BIT,), _bits),
    ((ARRAY,), _array),
    ((AbstractMultiRange,), _multirange),
    ((AbstractSingleRange,), _range),
)
