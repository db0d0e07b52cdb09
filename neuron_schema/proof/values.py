"""Hostile values of a type, as SQL: extremes first, tame ones after them.

A value is text that PostgreSQL reads as the type, or SQL for what has no text of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from neuron_schema.catalog import Composite, Domain, EnumType, RangeType
from neuron_schema.quoting import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.catalog import Snapshot

_TYPE: Final = re.compile(r"(?P<base>[^(]+)(?:\((?P<size>[-0-9, ]*)\)(?P<rest>.*))?")
_LITERAL: Final = re.compile(r"'((?:[^']|'')*)'|(?<![\w.])(-?\d+(?:\.\d+)?)(?![\w.])")

# No number, longer than any usual limit, with what has to be quoted, and letters of four bytes.
_HOSTILE_TEXT: Final = "No number: 'quoted' \"name\" \\ % :p {x} $1 é ß 漢 🜚 " * 7
_TAME_TEXTS: Final = ("a", "b", "c", "0", "1", "x@example.org", "A1", "2000-01-01", "")
_INTEGERS: Final = {"smallint": 15, "integer": 31, "bigint": 63}
_TEXTS: Final = ("text", "character varying", "character", "bpchar", "name", '"char"')

# As far as clocks, other languages and sentinel values go; not PostgreSQL's own last day, which
# every sum oversteps.
_FIRST, _LAST = "0001-01-01", "9999-12-31"
_PLAIN: Final = {
    "boolean": ("true", "false"),
    "real": ("3.4e38", "-3.4e38", "0", "1", "0.5"),
    "double precision": ("1.7e308", "-1.7e308", "0", "1", "0.5"),
    "money": ("92233720368547758.07", "-92233720368547758.08", "0"),
    "date": (_LAST, _FIRST, "2000-02-29"),
    "timestamp without time zone": (f"{_LAST} 23:59:59.999999", f"{_FIRST} 00:00", "2000-02-29"),
    "timestamp with time zone": (
        f"{_LAST} 23:59:59.999999+00",
        f"{_FIRST} 00:00+00",
        "2000-02-29 00:00+00",
    ),
    "time without time zone": ("24:00:00", "00:00:00", "12:30"),
    "time with time zone": ("24:00:00-15:59", "00:00:00+15:59", "12:30+00"),
    "interval": ("9999 years 11 mons 30 days 23:59:59.999999", "-9999 years", "1 day"),
    "uuid": (
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "00000000-0000-0000-0000-000000000000",
        "11111111-1111-4111-8111-111111111111",
    ),
    "json": ('{"": null, "é": [-1.5e10, "\\"", {}]}', "null", "[]", "{}"),
    "jsonb": ('{"": null, "é": [-1.5e10, "\\"", {}]}', "null", "[]", "{}"),
    "bytea": ("\\x00ff", "\\x", "\\x01"),
    "inet": ("255.255.255.255", "::", "10.0.0.1"),
    "cidr": ("255.255.255.255/32", "::/0", "10.0.0.0/8"),
    "xml": ("<a/>", "<b>é</b>"),
    "tsvector": ("", "'a':1"),
    "oid": ("4294967295", "0", "1"),
}
_ANY: Final = (
    *("", "0", "1", "2", "a", "b", "{}", "[]", "()", "(0,0)", "((0,0),(1,1))", "0/0", "1/1"),
    *("08:00:2b:01:02:03", "08:00:2b:01:02:03:04:05", "<(0,0),1>", "{1,2,3}", "[0,0]", "1.0"),
    *("a=>1", "POINT(0 0)", "'a'", "pg_class", "now()"),
)


@dataclass(frozen=True, slots=True)
class TypeName:
    """A type as ``format_type`` spells it, taken apart.

    Attributes:
        base: ``character varying``, ``timestamp with time zone``, ``public.vector``.
        sizes: The numbers in parentheses.
        dimensions: How many pairs of brackets follow.
    """

    base: str
    sizes: tuple[int, ...]
    dimensions: int


def taken_apart(spelled: str) -> TypeName:
    """Take a type's name apart."""
    element = spelled
    while element.endswith("[]"):
        element = element.removesuffix("[]")
    dimensions = (len(spelled) - len(element)) // 2
    found = _TYPE.fullmatch(element)
    if found is None or element.startswith('"') or '."' in element:
        return TypeName(element, (), dimensions)
    sizes = tuple(int(size) for size in re.findall(r"-?\d+", found["size"] or ""))
    base = found["base"] + (found["rest"] or "")
    # Of an interval the fields do not matter.
    base = "interval" if base.startswith("interval ") else base
    return TypeName(base, sizes, dimensions)


class Values:
    """The hostile values of a schema's types.

    Args:
        schema: Holds the types that are not PostgreSQL's own.
    """

    def __init__(self, schema: Snapshot) -> None:
        self._types = {
            spelling: each
            for each in schema.objects
            if isinstance(each, EnumType | Domain | Composite | RangeType)
            for spelling in _spellings(each.schema, each.name)
        }
        self._multiranges = {
            spelling
            for each in schema.objects
            if isinstance(each, RangeType)
            for spelling in _spellings(each.schema, each.multirange)
        }

    def of(self, type_name: str, near: Sequence[str] = ()) -> list[str]:
        """Return SQL expressions of a type, the most hostile one first.

        Args:
            type_name: As ``format_type`` spells it.
            near: Literals of constraints on it.
        """
        texts = self._texts(type_name, near, depth=0)
        return list(dict.fromkeys(f"{literal(text)}::{type_name}" for text in texts))

    def constraints(self, type_name: str) -> list[str]:
        """Return the definitions of a domain's CHECKs; none for another type."""
        found = self._types.get(type_name)
        if not isinstance(found, Domain):
            return []
        own = [each.definition for each in found.constraints]
        return [*own, *self.constraints(found.type)]

    def required(self, type_name: str) -> bool:
        """Whether the type itself is NOT NULL, as a domain can be."""
        found = self._types.get(type_name)
        return isinstance(found, Domain) and (found.not_null or self.required(found.type))

    def _texts(self, type_name: str, near: Sequence[str], *, depth: int) -> list[str]:
        name = taken_apart(type_name)
        if name.dimensions:
            element = type_name[: -2 * name.dimensions]
            inner = self._texts(element, near, depth=depth + 1) if depth < _DEEPEST else []
            arrays = [_array([text, None]) for text in inner[:1]]
            return [*arrays, "{}", *(_array([text]) for text in inner[1:])]
        own = self._types.get(name.base)
        if own is not None and depth < _DEEPEST:
            return self._own(own, near, depth)
        if name.base in self._multiranges:
            return ["{(,)}", "{}"]
        return _builtin(name, near)

    def _own(
        self, own: EnumType | Domain | Composite | RangeType, near: Sequence[str], depth: int
    ) -> list[str]:
        if isinstance(own, EnumType):
            return [*own.labels[-1:], *own.labels[:-1]]
        if isinstance(own, RangeType):
            return ["(,)", "empty"]
        if isinstance(own, Domain):
            checks = [literal for each in own.constraints for literal in literals(each.definition)]
            return self._texts(own.type, [*checks, *near], depth=depth + 1)
        fields = [self._texts(each.type, (), depth=depth + 1)[:1] for each in own.columns]
        return [
            _composite([field[0] if field else None for field in fields]),
            "(" + "," * (len(fields) - 1) + ")",
        ]


_DEEPEST: Final = 8


def literals(definition: str) -> list[str]:
    """Return the literals of a constraint, and of numbers those beside them."""
    found: list[str] = []
    for text, number in _LITERAL.findall(definition):
        if number:
            found += [number, *_beside(number)]
        else:
            plain = text.replace("''", "'")
            found.append(plain)
            if re.fullmatch(r"-?\d+(\.\d+)?", plain):
                found += _beside(plain)
    return list(dict.fromkeys(found))


def _beside(number: str) -> list[str]:
    if "." in number:
        return []
    return [str(int(number) + 1), str(int(number) - 1)]


def _builtin(name: TypeName, near: Sequence[str]) -> list[str]:
    """Return the texts of one of PostgreSQL's own types, or of an extension's."""
    last = name.base.rpartition(".")[2]
    if name.base in _TEXTS:
        found = _texts(name, near)
    elif name.base in _INTEGERS or name.base == "numeric":
        found = _numbers(name, near)
    elif name.base in ("bit", "bit varying"):
        size = name.sizes[0] if name.sizes else 1
        found = ["1" * size, "0" * size]
    elif last in ("vector", "halfvec", "sparsevec"):
        found = _vectors(last, name.sizes)
    elif name.base.endswith("multirange"):
        found = ["{(,)}", "{}"]
    elif name.base.endswith("range"):
        found = ["(,)", "empty"]
    else:
        found = [*_PLAIN.get(name.base, ()), *near, *(() if name.base in _PLAIN else _ANY)]
    return found


def _texts(name: TypeName, near: Sequence[str]) -> list[str]:
    longest = name.sizes[0] if name.sizes else {"name": 63, '"char"': 1}.get(name.base)
    if longest is None:
        return [_HOSTILE_TEXT, *near, *_TAME_TEXTS]
    tame = [each for each in (*near, *_TAME_TEXTS) if len(each) <= longest]
    return [_cut(_HOSTILE_TEXT, longest, name.base), *tame]


def _numbers(name: TypeName, near: Sequence[str]) -> list[str]:
    if name.base == "numeric":
        fitting = [each for each in near if _is_number(each)]
        return [*_numeric(name.sizes), *fitting, "0", "1", "0.5"]
    bound: int = 2 ** _INTEGERS[name.base]
    whole = [each for each in near if re.fullmatch(r"-?\d+", each)]
    fitting = [each for each in whole if -bound <= int(each) < bound]
    return [str(bound - 1), str(-bound), *fitting, "0", "1", "2", "-1", "7", "100"]


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def _numeric(sizes: Sequence[int]) -> list[str]:
    if not sizes:
        return ["99999999999999999999.9999999999", "-99999999999999999999.9999999999"]
    precision, scale = sizes[0], sizes[1] if len(sizes) > 1 else 0
    digits = "9" * precision
    if scale < 0:
        largest = digits + "0" * -scale
    elif scale >= precision:
        largest = "0." + "0" * (scale - precision) + digits
    else:
        largest = digits[: precision - scale] + ("." + digits[:scale] if scale else "")
    return [largest, f"-{largest}"]


def _cut(text: str, longest: int, base: str) -> str:
    """Return text of exactly the length that a type takes; names are measured in bytes."""
    text = text * (longest // len(text) + 1)
    if base in ("name", '"char"'):
        return text.encode("ascii", "ignore").decode()[:longest]
    return text[:longest]


def _vectors(kind: str, sizes: Sequence[int]) -> list[str]:
    """Return vectors that point in two directions; without a size, also of two lengths."""
    size = sizes[0] if sizes else 3
    if kind == "sparsevec":
        return [f"{{1:1}}/{size}", f"{{{size}:-1}}/{size}"]
    ones = ",".join(["1"] * size)
    other = ",".join(str((-1) ** place) for place in range(size if sizes else size - 1))
    return [f"[{ones}]", f"[{other}]"]


def _array(elements: Sequence[str | None]) -> str:
    return "{" + ",".join("NULL" if each is None else _quoted(each) for each in elements) + "}"


def _composite(fields: Sequence[str | None]) -> str:
    return "(" + ",".join("" if each is None else _quoted(each) for each in fields) + ")"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _spellings(schema: str, name: str) -> list[str]:
    """Return how ``format_type`` may spell a name: quoted where it has to be."""
    plain = [
        part if re.fullmatch(r"[a-z_][a-z0-9_]*", part) else identifier(part)
        for part in (schema, name)
    ]
    return list(
        dict.fromkeys(
            f"{first}.{second}"
            for first in (plain[0], identifier(schema))
            for second in (plain[1], identifier(name))
        )
    )
