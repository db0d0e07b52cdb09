"""The source of a version module: decoded, parsed, and checked for what no version may do.

A version stands alone, so that it means the same for ever: it imports neither another version
nor ``neuron_schema.tables``, and it touches no database. What can be seen in the source is
refused here, with file and line, before the module runs.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from typing import TYPE_CHECKING

from neuron_schema.errors import VersionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ALONE = "write the tables it needs as stubs in the module itself"
_REFUSED_MODULES = {
    "neuron_schema.tables": "it follows the newest schema, and this version would change with it",
    "neuron_schema.versions": "a version stands alone",
}
_CONNECTING = frozenset(
    {
        "connect",
        "create_async_engine",
        "create_engine",
        "create_pool",
        "engine_from_config",
        "raw_connection",
    }
)
# By their full names: anything may have a method named `eval`.
_IMPORTING = frozenset(
    {
        "__import__",
        "eval",
        "exec",
        "importlib.__import__",
        "importlib.import_module",
        "importlib.reload",
        "importlib.util.module_from_spec",
        "importlib.util.spec_from_file_location",
        "runpy.run_module",
        "runpy.run_path",
    }
)
# What gives another value each time, by full name; `func.now()` of SQLAlchemy is the server's.
_CHANGING = frozenset(
    {
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "os.urandom",
        "time.time",
        "time.time_ns",
        "uuid.uuid1",
        "uuid.uuid4",
        "uuid.uuid6",
        "uuid.uuid7",
    }
)
STEADY = (
    "write the value out, or let the server make it: func.now(), func.gen_random_uuid(); of a set "
    "use sorted()"
)
"""What to do in a module that would be another one each time."""

_LIBRARIES = frozenset({"neuron_schema", "pgvector", "psycopg", "sqlalchemy"})


def decode(source: bytes, path: str) -> str:
    """Return a module's text: utf-8, with or without a byte order mark.

    Raises:
        VersionError: the bytes are not utf-8, or hold a NUL.
    """
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise VersionError(
            f"the file is not utf-8 (byte {error.start})",
            where=f"{path}:{line}",
            remedy="save it as utf-8",
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise VersionError("the file holds a NUL byte", where=f"{path}:{line}", remedy="remove it")
    return text


def parse(text: str, path: str, *, checked: bool = False) -> ast.Module:
    """Return the module's syntax tree, checked for what no version may do.

    Args:
        text: The module's text.
        path: Its path, for messages.
        checked: It has passed before; the walk costs three times what parsing does.

    Raises:
        VersionError: the text does not parse, imports another version or ``neuron_schema.tables``,
            opens a connection, or asks for the time or for chance.
    """
    try:
        tree = ast.parse(text, filename=path)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise unparsable(error, path) from None
    if checked:
        return tree
    nodes = list(ast.walk(tree))
    names = Names(nodes)
    for node in nodes:
        found = _refused(node, names)
        if found is not None:
            reason, remedy = found
            line = getattr(node, "lineno", 1)
            raise VersionError(reason, where=f"{path}:{line}", remedy=remedy)
    _refuse_changing(tree, nodes, names, path)
    return tree


def _refuse_changing(tree: ast.Module, nodes: Iterable[ast.AST], names: Names, path: str) -> None:
    """Refuse a module that asks for the time or for chance while it is loaded.

    A function may, such as that of a ``BackfillRows``: it runs later, if at all.
    """
    calls = [
        node
        for node in nodes
        if isinstance(node, ast.Call) and names.full_name(node.func) in _CHANGING
    ]
    if not calls:
        return
    executed = set(_executed(tree))
    for call in calls:
        if call in executed:
            raise VersionError(
                f"{ast.unparse(call.func)}() gives another value each time that the version is "
                "loaded: it would look modified as soon as it is applied",
                where=f"{path}:{call.lineno}",
                remedy=STEADY,
            )


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is executed when a module is loaded: not the bodies of functions."""
    yield node
    for name, value in ast.iter_fields(node):
        later = name == "body" and isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
        )
        for child in [] if later else value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _executed(child)


def unparsable(error: Exception, path: str) -> VersionError:
    """Return the error for a text that is no Python."""
    line = getattr(error, "lineno", None) or 1
    reason = getattr(error, "msg", None) or str(error) or type(error).__name__
    return VersionError(
        f"the module does not parse: {reason}",
        where=f"{path}:{line}",
        remedy="correct the syntax",
    )


def summary_of(docstring: object) -> str:
    """Return the first line of a module's docstring, or ""."""
    text = inspect.cleandoc(docstring) if isinstance(docstring, str) else ""
    return text.strip().partition("\n")[0].strip()


def foreign_imports(tree: ast.Module) -> tuple[tuple[str, int], ...]:
    """Return modules imported that are neither known libraries nor the standard library.

    They are the application's own code, which changes while the version must not.

    Returns:
        Pairs of module name and line.
    """
    return tuple(
        (module, node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in modules_of(node)
        if module.partition(".")[0] not in _LIBRARIES | sys.stdlib_module_names
    )


def modules_of(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the modules that an import statement names, without what it takes from them."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""]


class Names:
    """What the names in a module stand for, as far as its imports tell.

    Scopes are not told apart: a name that is imported anywhere stands for the import everywhere.

    Args:
        nodes: All nodes of the module.
    """

    def __init__(self, nodes: Iterable[ast.AST]) -> None:
        self._imported: dict[str, str] = {}
        self._bound: set[str] = set()
        for node in nodes:
            self._take(node)

    def full_name(self, node: ast.expr) -> str | None:
        """Return the dotted name that an expression stands for, imports resolved.

        ``sa.func.now`` is ``sqlalchemy.func.now`` after ``import sqlalchemy as sa``; a built-in
        function has its own name. None for what the module itself makes.
        """
        attributes: list[str] = []
        while isinstance(node, ast.Attribute):
            attributes.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        root = self._imported.get(node.id)
        if root is None:
            # Neither imported by name nor bound: a built-in, or from `import *`.
            root = None if node.id in self._bound else node.id
        return None if root is None else ".".join([root, *reversed(attributes)])

    def _take(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                self._imported[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                self._imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            self._bound.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._bound.add(node.name)
        elif isinstance(node, ast.arg):
            self._bound.add(node.arg)


def is_sql_function(name: str) -> bool:
    """Tell whether a full name is one of ``sqlalchemy.func``, whose names are PostgreSQL's."""
    # After `from sqlalchemy import *` it has no longer name.
    return name.startswith("func.") or (name.startswith("sqlalchemy.") and ".func." in name)


def is_builtin(name: str) -> bool:
    """Tell whether a full name is one of Python's built-in names."""
    return "." not in name and hasattr(builtins, name)


def _refused(node: ast.AST, names: Names) -> tuple[str, str] | None:
    """Say why a version may not hold this node, and what to do instead."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return _refused_import(node)
    if isinstance(node, ast.Attribute):
        # `import neuron_schema` reaches both as attributes once the application imported them.
        return _refused_module(names.full_name(node) or "")
    if isinstance(node, ast.Call):
        return _refused_call(names.full_name(node.func))
    return None


def _refused_import(node: ast.Import | ast.ImportFrom) -> tuple[str, str] | None:
    if isinstance(node, ast.ImportFrom) and node.level:
        what = "." * node.level + (node.module or "")
        return f"a version imports nothing beside itself (relative import of {what!r})", _ALONE
    for module in _imports(node):
        refused = _refused_module(module)
        if refused is not None:
            return refused
    return None


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Yield the modules that an import statement names or may name."""
    for module in modules_of(node):
        yield module
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f"{module}.{alias.name}"


def _refused_module(name: str) -> tuple[str, str] | None:
    for refused, why in _REFUSED_MODULES.items():
        if name == refused or name.startswith(refused + "."):
            return f"a version must not import {refused}: {why}", _ALONE
    return None


def _refused_call(name: str | None) -> tuple[str, str] | None:
    if name is None or is_sql_function(name):
        return None
    last = name.rpartition(".")[2]
    if last in _CONNECTING:
        return (
            f"a version opens no connection ({last}() in the module)",
            "declare the change in `up`; data changes are insert(), update(), delete() or Sql()",
        )
    if name.removeprefix("builtins.") in _IMPORTING:
        return (
            f"a version loads no other code ({last}() in the module)",
            "import at the top of the module, and write what another version holds anew",
        )
    return None
