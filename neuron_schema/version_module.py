"""One version module: read, checked, executed and compiled to a ``Migration``.

A version stands alone, so that it means the same for ever: it imports neither another version
nor ``neuron_schema.tables``, and it touches no database. What can be seen in the source is
refused before the module runs, with file and line.
"""

from __future__ import annotations

import ast
import itertools
import re
import sys
import threading
import traceback
import types
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuron_schema.errors import VersionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from neuron_schema.model import Migration, Statement

FILE_NAME = re.compile(r"(?P<version>\d+)_(?P<name>[^\x00-\x1f\x7f]+)\.py")
MAX_VERSION_DIGITS = 10
MAX_NAME_LENGTH = 255

_CONNECTING = frozenset(
    {
        "connect",
        "create_engine",
        "create_async_engine",
        "create_pool",
        "engine_from_config",
        "raw_connection",
    }
)
_IMPORTING = frozenset(
    {
        "__import__",
        "import_module",
        "run_path",
        "run_module",
        "spec_from_file_location",
        "exec",
        "eval",
        "execfile",
    }
)
_REFUSED_MODULES = {
    "neuron_schema.tables": "it follows the newest schema, and this version would change with it",
    "neuron_schema.versions": "a version stands alone",
}
_CACHEABLE_ROOTS = frozenset({"pgvector", "sqlalchemy"})
# Modules of the standard library that give the same values at every import.
_CACHEABLE_STDLIB = frozenset(
    {
        "__future__",
        "collections",
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
# What makes a module's meaning depend on more than its bytes.
_UNCACHEABLE_NAMES = frozenset(
    {
        "__builtins__",
        "__file__",
        "__loader__",
        "__name__",
        "__spec__",
        "breakpoint",
        "compile",
        "getattr",
        "getnode",
        "globals",
        "hash",
        "id",
        "input",
        "locals",
        "now",
        "open",
        "set",
        "today",
        "utcnow",
        "uuid1",
        "uuid4",
        "vars",
    }
)
_serial = itertools.count(1)


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


def parse(text: str, path: str) -> ast.Module:
    """Return the module's syntax tree, checked for what no version may do.

    Raises:
        VersionError: the text does not parse, imports another version or ``neuron_schema.tables``,
            or opens a connection.
    """
    try:
        tree = ast.parse(text, filename=path)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        reason = getattr(error, "msg", None) or str(error)
        raise VersionError(
            f"the module does not parse: {reason}",
            where=f"{path}:{line}",
            remedy="correct the syntax",
        ) from None
    for node in ast.walk(tree):
        reason_and_fix = _refused(node)
        if reason_and_fix:
            reason, remedy = reason_and_fix
            line = getattr(node, "lineno", 1)
            raise VersionError(reason, where=f"{path}:{line}", remedy=remedy)
    return tree


def _refused(node: ast.AST) -> tuple[str, str] | None:
    """Say why a version may not hold this node, and what to do instead."""
    for module, relative in _imports(node):
        if relative:
            return (
                f"a version imports nothing beside itself (relative import of {module or '.'!r})",
                "write the tables it needs as stubs in the module itself",
            )
        for refused, why in _REFUSED_MODULES.items():
            if module == refused or module.startswith(refused + "."):
                return (
                    f"a version must not import {refused}: {why}",
                    "write the tables it needs as stubs in the module itself",
                )
    if isinstance(node, ast.Call):
        called = _called(node)
        if called in _CONNECTING:
            return (
                f"a version opens no connection ({called}() in the module)",
                "declare the change in `up`; data changes are insert(), update(), delete() or Sql()",
            )
        if called in _IMPORTING:
            return (
                f"a version loads no other code ({called}() in the module)",
                "import at the top of the module, and write what another version holds anew",
            )
    return None


def _imports(node: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield the modules an import statement names, and whether it is relative."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, False
    elif isinstance(node, ast.ImportFrom):
        module = node.module or ""
        yield module, node.level > 0
        for alias in node.names:
            yield f"{module}.{alias.name}", node.level > 0


def _called(node: ast.Call) -> str | None:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr if node.func.attr != "eval" else None
    return node.func.id if isinstance(node.func, ast.Name) else None


def cacheable(tree: ast.Module) -> bool:
    """Return whether the module's meaning depends on nothing but its bytes.

    Only then may a checksum be remembered: it imports sqlalchemy, pgvector,
    ``neuron_schema.ops`` and harmless parts of the standard library, and it uses nothing that
    gives another value tomorrow.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
            )
            if not all(_cacheable_module(module) for module in modules):
                return False
            if {alias.name for alias in node.names} & _UNCACHEABLE_NAMES:
                return False
        elif isinstance(node, ast.Name) and node.id in _UNCACHEABLE_NAMES:
            return False
        elif isinstance(node, ast.Attribute) and node.attr in _UNCACHEABLE_NAMES:
            return False
        elif isinstance(node, ast.Set | ast.SetComp):
            # The order of a set of strings differs from process to process.
            return False
    return True


def _cacheable_module(module: str) -> bool:
    return (
        module.partition(".")[0] in _CACHEABLE_ROOTS
        or module in _CACHEABLE_STDLIB
        or module == "neuron_schema.ops"
        or module.startswith("neuron_schema.ops.")
    )


def foreign_imports(tree: ast.Module) -> tuple[tuple[str, int], ...]:
    """Return modules imported that are neither known libraries nor the standard library.

    They are the application's own code, which changes while the version must not.

    Returns:
        Pairs of module name and line.
    """
    known = _CACHEABLE_ROOTS | {"neuron_schema", "psycopg"} | set(sys.stdlib_module_names)
    return tuple(
        (module, node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
        if module.partition(".")[0] not in known
    )


def describe(tree: ast.Module) -> str:
    """Return the first line of the module's docstring, or ""."""
    docstring = ast.get_docstring(tree) or ""
    return docstring.strip().partition("\n")[0].strip()


def load(source: bytes, path: str, *, version: str, name: str) -> Migration:
    """Execute a version module and compile what it declares.

    Args:
        source: The file's bytes.
        path: Its path, for messages and tracebacks.
        version: The digits of its file name.
        name: The rest of its file name.

    Raises:
        VersionError: whatever is wrong with the module, with file and line.
    """
    return load_tree(parse(decode(source, path), path), path, version=version, name=name)


def load_tree(tree: ast.Module, path: str, *, version: str, name: str) -> Migration:
    """Execute and compile a module that ``parse`` has checked.

    Raises:
        VersionError: whatever is wrong with the module, with file and line.
    """
    from neuron_schema.compiler import checksum
    from neuron_schema.model import Migration
    from neuron_schema.ops import Irreversible

    namespace = _execute(tree, path)
    up = _elements(namespace, "up", tree, path)
    if not up:
        raise VersionError(
            "`up` is empty: there is nothing to apply",
            where=_place(tree, path, "up"),
            remedy='list at least one construct, such as Sql("...")',
        )
    declared = namespace.get("down")
    irreversible = declared.reason if isinstance(declared, Irreversible) else None
    down = [] if irreversible is not None else _elements(namespace, "down", tree, path)
    up_statements = _compile(up, "up", tree, path)
    down_statements = _compile(down, "down", tree, path)
    return Migration(
        version=version,
        name=name,
        description=describe(tree),
        checksum=checksum(up_statements, down_statements),
        path=path,
        up_statements=up_statements,
        down_statements=down_statements,
        irreversible=irreversible,
    )


def _execute(tree: ast.Module, path: str) -> dict[str, Any]:
    """Run the module in a namespace of its own and return that."""
    # Dataclasses and enums look their module up by name while they are made.
    module = types.ModuleType(f"_neuron_schema_version_{next(_serial)}", describe(tree))
    module.__file__ = path
    sys.modules[module.__name__] = module
    try:
        exec(compile(tree, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    except VersionError as error:
        raise VersionError(error.message, remedy=error.remedy, where=_raised_at(error, path)) from None
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a module may even call sys.exit()
        raise VersionError(
            f"the module raised {type(error).__name__}: {error}",
            where=_raised_at(error, path),
            remedy="correct the module; `neuron-schema check` loads it without a database",
        ) from error
    finally:
        del sys.modules[module.__name__]
    return module.__dict__


def _raised_at(error: BaseException, path: str) -> str:
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path
    ]
    return f"{path}:{lines[-1]}" if lines else path


def _elements(
    namespace: dict[str, Any], direction: str, tree: ast.Module, path: str
) -> list[object]:
    """Return the list that a module declares for a direction."""
    if direction not in namespace:
        remedy = {
            "up": "add `up = [...]`, a list of constructs",
            "down": 'add `down = [...]`, or `down = irreversible("why")`; [] for nothing to undo',
        }[direction]
        raise VersionError(f"the module declares no `{direction}`", where=f"{path}:1", remedy=remedy)
    declared = namespace[direction]
    if not isinstance(declared, list):
        hint = "; a comma after the list makes it a tuple" if isinstance(declared, tuple) else ""
        raise VersionError(
            f"`{direction}` is not a list but {_kind(declared)}{hint}",
            where=_place(tree, path, direction),
            remedy=f"write `{direction} = [...]`",
        )
    return declared


def _compile(
    elements: Sequence[object], direction: str, tree: ast.Module, path: str
) -> tuple[Statement, ...]:
    """Compile the elements of one direction, and check that they make one step."""
    from neuron_schema.compiler import CompileError, check_step, compile_element

    statements: list[Statement] = []
    for index, element in enumerate(elements):
        try:
            statements.extend(compile_element(element))
        except CompileError as error:
            raise VersionError(
                f"{direction}[{index}]: {error.reason}",
                where=_place(tree, path, direction, index),
                remedy=error.remedy,
            ) from None
    try:
        check_step(statements)
    except CompileError as error:
        raise VersionError(
            f"`{direction}`: {error.reason}",
            where=_place(tree, path, direction),
            remedy=error.remedy,
        ) from None
    return tuple(statements)


def _place(tree: ast.Module, path: str, name: str, index: int | None = None) -> str:
    """Return ``file:line`` of a top-level list, or of one element where the source shows it."""
    line = 1
    for node in tree.body:
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign | ast.AugAssign)
            else []
        )
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            line = node.lineno
            value = getattr(node, "value", None)
            if (
                index is not None
                and isinstance(value, ast.List | ast.Tuple)
                and not any(isinstance(item, ast.Starred) for item in value.elts)
                and index < len(value.elts)
            ):
                line = value.elts[index].lineno
    return f"{path}:{line}"


def _kind(value: object) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


@contextmanager
def no_connections() -> Iterator[None]:
    """Refuse connections that this thread opens through SQLAlchemy while modules load.

    The source check sees a version's own calls; this sees those of the code it imports.
    """
    from sqlalchemy import Engine, event

    thread = threading.get_ident()

    def refuse(_connection: object) -> None:
        if threading.get_ident() == thread:
            raise VersionError(
                "a version opens no connection (one was opened while the module was imported)",
                remedy="declare the change in `up`, and keep connections out of what it imports",
            )

    event.listen(Engine, "engine_connect", refuse)
    try:
        yield
    finally:
        event.remove(Engine, "engine_connect", refuse)


def split_file_name(file: Path) -> tuple[str, str]:
    """Return version and name of a version file.

    Raises:
        VersionError: the file is not named like a version.
    """
    match = FILE_NAME.fullmatch(file.name)
    if match is None:
        raise VersionError(
            f"{file.name!r} looks like a version but is not named like one",
            where=str(file),
            remedy="name it <digits>_<name>.py, such as 005_add_tags.py, or move it elsewhere",
        )
    version, name = match["version"], match["name"]
    if not version.isascii():
        raise VersionError(
            f"version {version!r} is not in ASCII digits", where=str(file), remedy="use 0 to 9"
        )
    if len(version) > MAX_VERSION_DIGITS:
        raise VersionError(
            f"version {version} has {len(version)} digits; the history table holds "
            f"{MAX_VERSION_DIGITS}",
            where=str(file),
            remedy="number versions 001, 002, ... (`neuron-schema new SLUG` takes the next one)",
        )
    if int(version) < 1:
        raise VersionError(
            f"version {version} is below 1", where=str(file), remedy="begin with 001"
        )
    if len(name) > MAX_NAME_LENGTH:
        raise VersionError(
            f"the name has {len(name)} characters; the history table holds {MAX_NAME_LENGTH}",
            where=str(file),
            remedy="shorten the file name",
        )
    return version, name
