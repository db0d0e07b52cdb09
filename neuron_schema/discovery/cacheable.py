"""Which version modules always mean the same, so that their checksum may be remembered.

Only what is known to be harmless passes; everything else is imported anew each time. This is about
honest modules: one that hides from it what it does can only deceive its own author.
"""

from __future__ import annotations

import ast
import builtins

from neuron_schema.discovery.version_source import Names, is_builtin, is_sql_function, modules_of

_PACKAGES = ("neuron_schema.ops", "pgvector", "sqlalchemy")
# Of the standard library, what gives the same values at every import, but for _CHANGING.
_STANDARD = frozenset(
    {
        "__future__",
        "collections",
        "collections.abc",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "ipaddress",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "textwrap",
        "types",
        "typing",
        "uuid",
    }
)
# Besides exceptions; without what reads or runs something, or depends on addresses or hashes.
_BUILTINS = frozenset(
    """
    Ellipsis False None NotImplemented True __doc__ abs all any ascii bin bool bytearray bytes
    callable chr classmethod complex dict divmod enumerate filter float format hasattr hex int
    isinstance issubclass iter len list map max memoryview min next object oct ord pow print
    property range repr reversed round slice sorted staticmethod str sum super tuple type zip
    """.split()  # noqa: SIM905 - a list would take one line for each
)
_CHANGING = frozenset(
    {
        # the clock, the time zone and the locale
        "astimezone",
        "ctime",
        "fromtimestamp",
        "localcontext",
        "now",
        "strftime",
        "timestamp",
        "today",
        "utcnow",
        # chance and the machine
        "getnode",
        "uuid1",
        "uuid4",
        "uuid6",
        "uuid7",
        "uuid8",
        # sets, whose order differs from process to process
        "constraints",
        "foreign_key_constraints",
        "foreign_keys",
        "indexes",
        # what is looked up by name while it runs
        "attrgetter",
        "methodcaller",
    }
)
# Harmless where they are gone through; a.keys() - b.keys() is a set.
_VIEWS = frozenset({"items", "keys"})
_HARMLESS_DUNDERS = frozenset({"__doc__", "__init__", "__table__", "__tablename__"})


def is_cacheable(tree: ast.Module) -> bool:
    """Return whether the module's meaning depends on nothing but its bytes.

    It imports sqlalchemy, pgvector, ``neuron_schema.ops`` and harmless parts of the standard
    library, and it uses nothing that gives another value tomorrow or elsewhere.
    """
    nodes = list(ast.walk(tree))
    names = Names(nodes)
    views = {view for node in nodes for view in _gone_through(node, names)}
    return not any(_may_change(node, names) for node in nodes if node not in views)


def _gone_through(node: ast.AST, names: Names) -> list[ast.expr]:
    """Return the views of dictionaries that are only gone through, in their own order."""
    if isinstance(node, ast.For | ast.comprehension):
        expressions = [node.iter]
    elif isinstance(node, ast.Call) and is_builtin(names.full_name(node.func) or ""):
        expressions = node.args
    else:
        return []
    return [
        one.func
        for one in expressions
        if isinstance(one, ast.Call)
        and isinstance(one.func, ast.Attribute)
        and one.func.attr in _VIEWS
    ]


def _may_change(node: ast.AST, names: Names) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        taken = {part for alias in node.names for part in alias.name.split(".")}
        return bool(taken & _CHANGING) or not all(map(_is_known, modules_of(node)))
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        return _is_changing_name(node, names)
    if isinstance(node, ast.Attribute):
        return _is_changing_attribute(node, names)
    # Their order differs from process to process.
    return isinstance(node, ast.Set | ast.SetComp)


def _is_known(module: str) -> bool:
    return module in _STANDARD or any(
        module == package or module.startswith(package + ".") for package in _PACKAGES
    )


def _is_changing_name(node: ast.Name, names: Names) -> bool:
    if node.id.startswith("__") or is_builtin(node.id):
        found = getattr(builtins, node.id, None)
        is_exception = isinstance(found, type) and issubclass(found, BaseException)
        return node.id not in _BUILTINS and not is_exception
    # From `import *`; what is imported by name is seen at the import.
    return names.full_name(node) in _CHANGING


def _is_changing_attribute(node: ast.Attribute, names: Names) -> bool:
    if is_sql_function(names.full_name(node) or ""):
        return False
    dunder = node.attr.startswith("__") and node.attr not in _HARMLESS_DUNDERS
    return dunder or node.attr in _CHANGING | _VIEWS
