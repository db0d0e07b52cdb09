"""What a hazard is: data, with a check and with an example of either kind."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding

USUAL: Final = frozenset({"brief-exclusive-lock", "down-loses-data", "validation-unproven"})
"""What comes with nearly every version: a short lock, and a ``down`` that drops what was added; and
what comes with every VALIDATE, which is the way around much that is worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """Version modules that show a hazard, or how it is kept away.

    Attributes:
        modules: The sources under review, for 002, 003, ...
        base: The source of 001, which makes the tables.
        also: Other hazards that are found in it as well.
        sizes: Rows and bytes of the real tables by ``schema.table``, where it takes them to see it.
        edited: The modules are edited ones, and not new.
    """

    modules: tuple[str, ...]
    base: str
    also: frozenset[str] = USUAL
    sizes: tuple[tuple[str, int, int], ...] = ()
    edited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazard:
    """One way in which a version can do harm.

    Attributes:
        id: By which it is accepted and explained.
        title: What it is, in a few words.
        condition: When a version has it.
        effect: What it does to those who use the database.
        remedy: What to do instead.
        page: PostgreSQL's or pgvector's page that says so.
        bad: Has the hazard.
        good: Does the same without it, and without anything blocking.
        check: Looks for it in one version.
        covers: Hazards that need not be told of where this one is, of the same table: it says
            what they would.
        per_table: It is told of once for a table, whatever the statement.
    """

    id: str
    title: str
    condition: str
    effect: str
    remedy: str
    page: str
    bad: Example
    good: Example
    check: Check
    covers: frozenset[str] = field(default=frozenset())
    per_table: bool = False


Check: TypeAlias = "Callable[[Case], Iterable[Finding]]"

_MODULES: Final = {
    "sqlalchemy": """UUID BigInteger CheckConstraint Column Computed DateTime ForeignKey
        ForeignKeyConstraint Identity Index Integer MetaData Numeric String Table Text
        UniqueConstraint func text""",
    "sqlalchemy.dialects.postgresql": "INT4RANGE",
    "sqlalchemy.schema": """AddConstraint CreateIndex CreateTable DropConstraint DropIndex
        DropTable""",
    "pgvector.sqlalchemy": "HALFVEC Vector",
    "neuron_schema.ops": """AddColumn AddConstraintUsingIndex AddEnumValue AlterColumn
        AttachPartition Backfill CreateExtension CreateFunction CreateTrigger DetachPartition
        DropColumn DropExtension DropFunction DropTrigger Reindex RenameColumn RenameEnumValue
        RenameTable Sql Vacuum ValidateConstraint irreversible""",
}
_ORIGINS: Final = {name: module for module, names in _MODULES.items() for name in names.split()}
_LINE: Final = 100
_STRINGS: Final = re.compile(r'"""(?:.|\n)*?"""|"[^"\n]*"')


def source(summary: str, body: str) -> str:
    """Return a complete version module: its docstring, the imports that it needs, its body.

    Args:
        summary: The docstring, without a full stop.
        body: What comes after the imports.
    """
    words = set(re.findall(r"\w+", _STRINGS.sub("", body)))
    imported: defaultdict[str, list[str]] = defaultdict(list)
    for name in words & _ORIGINS.keys():
        imported[_ORIGINS[name]].append(name)
    theirs, ours = "", ""
    for module, names in sorted(imported.items()):
        line = _import(module, sorted(names, key=_case_sensitive))
        if module.startswith("neuron_schema"):
            ours += line
        else:
            theirs += line
    imports = "\n".join(block for block in (theirs, ours) if block)
    return f'"""{summary}."""\n\n{imports}\n{body.strip()}\n'


def _import(module: str, names: list[str]) -> str:
    """Return an import as ruff lays it out."""
    line = f"from {module} import {', '.join(names)}\n"
    if len(line) <= _LINE:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")\n"


def _case_sensitive(name: str) -> tuple[int, str]:
    """Constants, classes, functions: as ruff sorts the names of an import."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


BASE: Final = source(
    "Shops and what they sell",
    """
metadata = MetaData()

shops = Table(
    "shops",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
)

items = Table(
    "items",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("shop_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("sku", String(50)),
    Column("price", Numeric(10, 2)),
    Column("stock", Integer),
    Column("created_at", DateTime(timezone=True), server_default=func.now()),
)

up = [
    CreateTable(shops),
    CreateTable(items),
    CreateIndex(Index("idx_items_shop", items.c.shop_id)),
]
down = [DropTable(items), DropTable(shops)]
""",
)
"""The tables of most examples."""


def example(
    *modules: str,
    base: str = BASE,
    also: Iterable[str] = (),
    sizes: Iterable[tuple[str, int, int]] = (),
    edited: bool = False,
) -> Example:
    """Return an example; what is usual may be found in it as well."""
    return Example(
        modules=modules, base=base, also=USUAL | set(also), sizes=tuple(sizes), edited=edited
    )
