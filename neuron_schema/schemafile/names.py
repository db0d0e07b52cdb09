"""Names as a reader of SQL wants them: quoted only where PostgreSQL needs it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# $ could stand in one too, but PostgreSQL's own quote_ident quotes that.
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
# All words of PostgreSQL 14 to 18 that are no plain name everywhere: pg_get_keywords() with
# another catcode than U.
_KEYWORDS = frozenset(
    # One after the other they would fill four screens.
    """
all analyse analyze and any array as asc asymmetric authorization between bigint binary bit
boolean both case cast char character check coalesce collate collation column concurrently
constraint create cross current_catalog current_date current_role current_schema current_time
current_timestamp current_user dec decimal default deferrable desc distinct do else end except
exists extract false fetch float for foreign freeze from full grant greatest group grouping
having ilike in initially inner inout int integer intersect interval into is isnull join json
json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar
json_serialize json_table json_value lateral leading least left like limit localtime
localtimestamp merge_action national natural nchar none normalize not notnull null nullif
numeric offset on only or order out outer overlaps overlay placing position precision primary
real references returning right row select session_user setof similar smallint some substring
symmetric system_user table tablesample then time timestamp to trailing treat trim true union
unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat
xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
""".split()  # noqa: SIM905
)


def quoted(name: str) -> str:
    """Return a name, in quotes where it is no plain word of lower case."""
    if _PLAIN.fullmatch(name) and name not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str | None, name: str) -> str:
    """Return a name with its schema, where it stands in one."""
    return quoted(name) if schema is None else f"{quoted(schema)}.{quoted(name)}"


def listed(names: Iterable[str]) -> str:
    """Return names with commas between them."""
    return ", ".join(map(quoted, names))


_NUMBER = re.compile(r"-?\d+(\.\d+)?|on|off|true|false")


def settings(options: Iterable[str]) -> str:
    """Return options such as ``fillfactor=70`` as they stand behind WITH, in parentheses."""
    from neuron_schema.quoting import literal

    words = []
    for option in options:
        name, _, value = option.partition("=")
        shown = value if _NUMBER.fullmatch(value) else literal(value).strip()
        words.append(f"{name} = {shown}")
    return f"({', '.join(words)})"
