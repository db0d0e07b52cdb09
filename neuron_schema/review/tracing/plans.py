"""What the server plans to change, from the plans that it prints. Pure: values in, values out.

``debug_print_plan`` tells of every plan that a statement needs, those inside of functions and of
blocks among them: which tables it updates or deletes from, whether a row matches or not, and by
which conditions. https://www.postgresql.org/docs/current/runtime-config-logging.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Node: TypeAlias = "dict[str, Any]"
"""Its fields, and its type as ``""``."""

_WORD: Final = re.compile(r"(?:\\.|[^\s(){}\[\]\\])+|[(){}\[\]]", re.DOTALL)
_UPDATE, _INSERT, _DELETE, _MERGE = "2345"
"""https://github.com/postgres/postgres/blob/master/src/include/nodes/nodes.h: ``CmdType``."""

_ON_CONFLICT_UPDATE: Final = "2"
_CONSTANTS: Final = ("CONST", "PARAM")
_INTEGERS: Final = ("20", "21", "23")
_LESS, _LESS_EQUAL, _EQUAL, _GREATER_EQUAL, _GREATER = range(1, 6)


class Said(NamedTuple):
    """A plan as it was printed.

    Attributes:
        nested: Something that the statement calls needs it: who knows how often.
    """

    text: str
    nested: bool


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of a unique index.

    Attributes:
        number: The column's.
        operators: Their strategies, 1 to 5 for ``<`` to ``>``, by OID.
    """

    number: int
    collation: int
    operators: Mapping[int, int]


Key: TypeAlias = tuple[KeyColumn, ...]


class _Condition(NamedTuple):
    """A column compared with what is the same for all rows.

    Attributes:
        flipped: The column stands on the right.
        choices: With how many values, one of which it has to be; None for an unknown number.
        value: The one whole number.
    """

    column: int
    operator: int
    collation: int
    flipped: bool
    choices: int | None
    value: int | None


class Change(NamedTuple):
    """One table that a plan updates or deletes from.

    Attributes:
        oid: The table that the statement names; of a partitioned one its own.
        rows: At most how many there can be whatever is in it; None where nothing tells.
        scans: Otherwise the tables that are read for them and by which conditions: all of them.
    """

    oid: int
    updates: bool
    deletes: bool
    rows: int | None
    scans: tuple[tuple[int, tuple[_Condition, ...]], ...]

    def most(self, keys: Mapping[int, Sequence[Key]]) -> int | None:
        """Return the most rows that there can be; None where as many as there are.

        Args:
            keys: By table, its unique indexes.
        """
        if self.rows is not None or not self.scans:
            return self.rows
        found = [_most(conditions, keys.get(oid, ())) for oid, conditions in self.scans]
        return None if None in found else sum(each for each in found if each is not None)


def changes(said: Said) -> Iterator[Change]:
    """Yield the tables that a plan updates or deletes from."""
    if "{MODIFYTABLE" not in said.text:
        return
    plan = _read(said.text)
    tables = plan["rtable"]
    for node in _walk(plan):
        if node[""] != "MODIFYTABLE":
            continue
        operation = node["operation"]
        merged = {
            each["commandType"]
            for each in _walk(node.get("mergeActionLists"))
            if operation == _MERGE and each[""] == "MERGEACTION"
        }
        upserts = operation == _INSERT and node["onConflictAction"] == _ON_CONFLICT_UPDATE
        updates = operation == _UPDATE or upserts or _UPDATE in merged
        deletes = operation == _DELETE or _DELETE in merged
        if not updates and not deletes:
            continue
        rows, scans = (None, ()) if said.nested else _bounds(node, tables)
        oid = int(tables[int(node["nominalRelation"]) - 1]["relid"])
        yield Change(oid=oid, updates=updates, deletes=deletes, rows=rows, scans=scans)


def _bounds(
    node: Node, tables: Sequence[Node]
) -> tuple[int | None, tuple[tuple[int, tuple[_Condition, ...]], ...]]:
    """Return how many rows come in at most, or what is read for them."""
    below = node["lefttree"]
    if below[""] == "RESULT" and below["lefttree"] is None:
        return 1, ()
    if below[""] == "VALUESSCAN":
        return len(below["values_lists"]), ()
    # A nested loop looks up one row after the other.
    loops = {each["paramno"] for each in _walk(node) if each[""] == "NESTLOOPPARAM"}
    targets = set(node["resultRelations"][1:])
    scans = [
        each
        for each in _walk(below)
        if each.get("scanrelid") in targets and each[""] != "BITMAPINDEXSCAN"
    ]
    return None, tuple(
        (int(tables[int(each["scanrelid"]) - 1]["relid"]), tuple(_conditions(each, loops)))
        for each in scans
    )


def _conditions(scan: Node, loops: set[str]) -> Iterator[_Condition]:
    """Yield those that all rows of a scan meet."""
    for name in ("qual", "indexqualorig", "bitmapqualorig"):
        for each in scan.get(name) or ():
            if each[""] == "BOOLEXPR" and each["boolop"] == "or":
                found = _one_of([_condition(part, scan, loops) for part in each["args"]])
            else:
                found = _condition(each, scan, loops)
            if found is not None:
                yield found


def _one_of(parts: Sequence[_Condition | None]) -> _Condition | None:
    """Return conditions by one operator, one of which holds, as one with the choices of all."""
    first, choices = parts[0], 0
    for each in parts:
        if first is None or each is None or each.choices is None:
            return None
        if each[:3] != first[:3]:
            return None
        choices += each.choices
    return first and first._replace(choices=choices, value=None)


def _condition(node: Node, scan: Node, loops: set[str]) -> _Condition | None:
    """Return what an expression says of a column of a scan, or None."""
    array = node[""] == "SCALARARRAYOPEXPR" and node["useOr"] == "true"
    if node[""] != "OPEXPR" and not array:
        return None
    sides = [_bare(side) for side in node["args"]]
    if len(sides) != 2:  # noqa: PLR2004 - there are operators of one side
        return None
    flipped = sides[0][""] != "VAR"
    column, other = reversed(sides) if flipped else sides
    if column[""] != "VAR" or column["varno"] != scan["scanrelid"] or other[""] not in _CONSTANTS:
        return None
    if other[""] == "PARAM" and other["paramid"] in loops:
        return None
    return _Condition(
        column=int(column["varattno"]),
        operator=int(node["opno"]),
        collation=int(node["inputcollid"]),
        flipped=flipped,
        choices=_elements(other) if array else 1,
        value=_integer(other) if column["vartype"] in _INTEGERS else None,
    )


def _bare(node: Node) -> Node:
    """Return what a change of the type in name alone is applied to."""
    while node[""] == "RELABELTYPE":
        node = node["arg"]
    return node


def _most(conditions: Sequence[_Condition], keys: Sequence[Key]) -> int | None:
    """Return how many rows of a table meet some conditions at most, by one of its keys."""
    found = [_most_of_key(conditions, key) for key in keys]
    return min((each for each in found if each is not None), default=None)


def _most_of_key(conditions: Sequence[_Condition], key: Key) -> int | None:
    rows = 1
    for column in key:
        mine = [
            (column.operators[each.operator], each)
            for each in conditions
            if each.column == column.number
            and each.collation == column.collation
            and each.operator in column.operators
        ]
        equal = [each.choices for way, each in mine if way == _EQUAL and each.choices is not None]
        span = min(equal, default=None)
        if span is None:
            span = _span(mine)
        if span is None:
            return None
        rows *= span
    return rows


def _span(conditions: Sequence[tuple[int, _Condition]]) -> int | None:
    """Return how many whole numbers there are between two limits."""
    least, most = [], []
    for way, each in conditions:
        if each.value is None:
            continue
        # 5 < id is id > 5.
        turned = _GREATER + _LESS - way if each.flipped else way
        if turned in (_GREATER, _GREATER_EQUAL):
            least.append(each.value + (turned == _GREATER))
        elif turned in (_LESS, _LESS_EQUAL):
            most.append(each.value - (turned == _LESS))
    return max(0, min(most) - max(least) + 1) if least and most else None


def _bytes(constant: Node) -> bytes:
    """Return the memory of a constant; nothing for NULL."""
    value = constant.get("constvalue")
    # ``8 [ 1 0 0 0 0 0 0 0 ]``, signed.
    return bytes(int(each) % 256 for each in value[1]) if value is not None else b""


def _integer(node: Node) -> int | None:
    if node[""] != "CONST" or node["consttype"] not in _INTEGERS or node["constisnull"] == "true":
        return None
    return int.from_bytes(_bytes(node)[: int(node["constlen"])], "little", signed=True)


def _elements(node: Node) -> int | None:
    """Return how many elements an array has.

    https://github.com/postgres/postgres/blob/master/src/include/utils/array.h: its size, the number
    of dimensions, where the data are, the type, and how long each dimension is.
    """
    if node[""] != "CONST":
        return None
    if node["constisnull"] == "true":
        return 0
    head = [int.from_bytes(_bytes(node)[at : at + 4], "little") for at in range(0, 24, 4)]
    return {0: 0, 1: head[4]}.get(head[1])


# --- how PostgreSQL writes nodes


def _walk(value: Any) -> Iterator[Node]:
    """Yield a node and all that it holds."""
    if isinstance(value, dict):
        yield value
        value = value.values()
    elif not isinstance(value, list):
        return
    for each in value:
        yield from _walk(each)


def _read(text: str) -> Node:
    """Return a tree of nodes: ``{SEQSCAN :scan.plan.qual <> :scan.scanrelid 1}``.

    Nodes are dicts, lists are lists, ``<>`` is None, and all else is text. Of a field's name what
    it is a part of is left out, which depends on the version.
    """
    found: list[Any] = []
    stack: list[Any] = [found]
    for word in _WORD.findall(text):
        if word in ("(", "[", "{"):
            stack.append([])
        elif word in (")", "]"):
            inner = stack.pop()
            stack[-1].append(inner)
        elif word == "}":
            inner = stack.pop()
            stack[-1].append(_node(inner))
        else:
            stack[-1].append(None if word == "<>" else word)
    node: Node = found[0]
    return node


def _node(items: Sequence[Any]) -> Node:
    """Return a node of its type and its fields, each of which has one value or several."""
    fields: dict[str, list[Any]] = {}
    for item in items[1:]:
        if isinstance(item, str) and item.startswith(":"):
            fields[item[1:].rpartition(".")[2]] = []
        elif fields:
            fields[next(reversed(fields))].append(item)
    node = {name: held[0] if len(held) == 1 else held for name, held in fields.items()}
    return {"": items[0], **node}
