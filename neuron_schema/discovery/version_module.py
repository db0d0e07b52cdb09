"""One version module: executed, and compiled to a ``Migration``.

``version_source`` has checked its text. It runs in a namespace of its own that nothing keeps, and
leaves lists of constructs there.
"""

from __future__ import annotations

import functools
import itertools
import sys
import traceback
import types
from typing import TYPE_CHECKING, Any

from neuron_schema.discovery import bytecode
from neuron_schema.discovery.version_places import place
from neuron_schema.discovery.version_source import STEADY, decode, parse, summary_of, unparsable
from neuron_schema.errors import VersionError

if TYPE_CHECKING:
    import ast
    from collections.abc import Sequence

    from neuron_schema.compiling.compile_error import CompileError
    from neuron_schema.model import Migration, RowSet, Statement

_SHOWN = 60
"""Characters of a text that differs."""

_serial = itertools.count(1)


def load(source: bytes, path: str, *, version: str, name: str, checked: bool = False) -> Migration:
    """Execute a version module and compile what it declares.

    Args:
        source: The file's bytes.
        path: Its path, for messages and tracebacks.
        version: The digits of its file name.
        name: The rest of its file name.
        checked: These bytes have passed the source checks before.

    Raises:
        VersionError: whatever is wrong with the module, with file and line.
    """
    module = _Module(source, path)
    if not checked:
        module.tree = parse(module.text, path)
    return _load(module, version=version, name=name)


def load_tree(
    tree: ast.Module, source: bytes, path: str, *, version: str, name: str, steady: bool
) -> Migration:
    """Execute and compile a module that ``version_source.parse`` has checked.

    Args:
        tree: What it returned.
        source: The bytes that this was parsed from.
        path: The file's path, for messages and tracebacks.
        version: The digits of its file name.
        name: The rest of its file name.
        steady: Nothing but these bytes decides what it means (``is_cacheable``). Any other module
            is executed twice, to see whether it means the same both times.

    Raises:
        VersionError: whatever is wrong with the module, with file and line.
    """
    module = _Module(source, path)
    module.tree = tree
    found = _load(module, version=version, name=name)
    if not steady:
        _refuse_unsteady(found, _load(module, version=version, name=name))
    return found


def _refuse_unsteady(once: Migration, again: Migration) -> None:
    """Refuse a module that would look modified to every run but the one that applied it.

    Raises:
        VersionError: it was compiled to two texts.
    """
    if once.checksum == again.checksum:
        return
    texts = " and then ".join(
        repr(text)
        for text in _around_difference(f"{once.up}\n{once.down}", f"{again.up}\n{again.down}")
    )
    raise VersionError(
        f"{once.label} compiles to other SQL each time that it is loaded: first {texts}",
        where=once.path,
        remedy=STEADY,
    )


def _around_difference(one: str, other: str) -> tuple[str, str]:
    """Return two texts from a little before their first difference."""
    pairs = enumerate(zip(one, other, strict=False))
    same = next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
    begins = max(0, same - _SHOWN // 2)
    return one[begins : begins + _SHOWN], other[begins : begins + _SHOWN]


def lines_of_up(source: bytes, path: str) -> tuple[int, ...]:
    """Return, for each statement of ``up``, the line of the element that it comes from.

    Args:
        source: The file's bytes.
        path: Its path, for messages and tracebacks.

    Raises:
        VersionError: whatever is wrong with the module, with file and line.
    """
    module = _Module(source, path)
    lines: list[int] = []
    elements = _elements(_execute(module), "up", module)
    for index, element in enumerate(elements):
        line = int(module.place("up", index, len(elements)).rpartition(":")[2])
        lines += [line] * len(_compile_element(element))
    return tuple(lines)


def load_elements(source: bytes, path: str) -> dict[str, tuple[tuple[Statement, ...], ...]]:
    """Execute a version module, and compile each element of its lists by itself.

    Args:
        source: The file's bytes.
        path: Its path, for messages and tracebacks.

    Returns:
        For ``up`` and ``down`` the statements of each element; without ``down`` where that is
        irreversible.

    Raises:
        VersionError: the module cannot be executed, or lacks a list.
        CompileError: an element cannot be compiled.
    """
    from neuron_schema.ops import Irreversible

    module = _Module(source, path)
    module.tree = parse(module.text, path)
    namespace = _execute(module)
    lists = [name for name in ("up", "down") if not isinstance(namespace.get(name), Irreversible)]
    return {
        name: tuple(_compile_element(element) for element in _elements(namespace, name, module))
        for name in lists
    }


class _Module:
    """A module's text, and its syntax tree where that is wanted.

    To build a tree costs as much as to run the module, and one that has passed the checks before
    needs it only to place an error.
    """

    def __init__(self, source: bytes, path: str) -> None:
        self.source = source
        self.path = path

    @functools.cached_property
    def text(self) -> str:
        return decode(self.source, self.path)

    @functools.cached_property
    def tree(self) -> ast.Module:
        return parse(self.text, self.path, checked=True)

    def code(self) -> types.CodeType:
        kept = bytecode.read(self.source, self.path)
        if kept is not None:
            return kept
        made: Any = self.__dict__.get("tree")
        if made is None:
            made = self.text
        try:
            code: types.CodeType = compile(made, self.path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise unparsable(error, self.path) from None
        bytecode.write(code, self.source, self.path)
        return code

    def place(self, name: str, index: int | None = None, count: int | None = None) -> str:
        return place(self.tree, self.path, name, index, count)


def _load(module: _Module, *, version: str, name: str) -> Migration:
    from neuron_schema.compiling.compiler import CompileError, checksum
    from neuron_schema.model import Migration
    from neuron_schema.ops import Irreversible

    namespace = _execute(module)
    up = _elements(namespace, "up", module)
    if not up:
        raise VersionError(
            "`up` is empty: there is nothing to apply",
            where=module.place("up"),
            remedy='list at least one construct, such as Sql("...")',
        )
    declared = namespace.get("down")
    irreversible = declared.reason if isinstance(declared, Irreversible) else None
    down = [] if irreversible is not None else _elements(namespace, "down", module)
    up_statements = _compile(up, "up", module)
    down_statements = _compile(down, "down", module)
    try:
        digest = checksum(up_statements, down_statements)
    except CompileError:
        _find_unreadable(up, "up", module)
        _find_unreadable(down, "down", module)
        raise
    return Migration(
        version=version,
        name=name,
        description=summary_of(namespace.get("__doc__")),
        checksum=digest,
        path=module.path,
        up_statements=up_statements,
        down_statements=down_statements,
        irreversible=irreversible,
        settings=_settings(namespace, (*up_statements, *down_statements), module),
        replaces=_replaces(namespace, version, digest, module),
        accept=_acceptances(namespace, module),
    )


def _replaces(
    namespace: dict[str, Any], version: str, digest: str, module: _Module
) -> tuple[RowSet, ...]:
    from sqlalchemy.sql.visitors import Visitable

    from neuron_schema.compiling.compiler import CompileError
    from neuron_schema.discovery import replaces

    declared = namespace.get("replaces")
    # As for `settings`: a table may have the name.
    if declared is None or isinstance(declared, Visitable):
        return ()
    try:
        found = replaces.checked(declared, int(version))
    except CompileError as error:
        raise _invalid(error, "`replaces`", module.place("replaces")) from None
    proven = namespace.get("proven")
    try:
        if not isinstance(proven, Visitable):
            replaces.check_proven(proven, digest)
    except CompileError as error:
        raise _invalid(error, "`proven`", module.place("proven")) from None
    return found


def _settings(
    namespace: dict[str, Any], statements: Sequence[Statement], module: _Module
) -> tuple[tuple[str, str], ...]:
    from sqlalchemy.sql.visitors import Visitable

    from neuron_schema.compiling.compiler import CompileError
    from neuron_schema.discovery import version_settings

    declared = namespace.get("settings", {})
    if isinstance(declared, Visitable):
        # A table of that name is as good as any other.
        return ()
    try:
        alone = any(one.own_commit and not one.own_commit.backfill for one in statements)
        return version_settings.checked(declared, alone=alone)
    except CompileError as error:
        raise _invalid(error, "`settings`", module.place("settings")) from None


def _acceptances(namespace: dict[str, Any], module: _Module) -> tuple[tuple[str, str], ...]:
    from sqlalchemy.sql.visitors import Visitable

    from neuron_schema.compiling.compiler import CompileError
    from neuron_schema.discovery import version_acceptances

    declared = namespace.get("accept", {})
    if isinstance(declared, Visitable):
        return ()
    try:
        return version_acceptances.checked(declared)
    except CompileError as error:
        raise _invalid(error, "`accept`", module.place("accept")) from None


def _execute(module: _Module) -> dict[str, Any]:
    """Run the module in a namespace of its own and return that."""
    code, path = module.code(), module.path
    # Dataclasses and enums look their module up by name while they are made.
    made = types.ModuleType(f"_neuron_schema_version_{next(_serial)}")
    made.__file__ = path
    sys.modules[made.__name__] = made
    try:
        exec(code, made.__dict__)  # noqa: S102
    except VersionError as error:
        raise VersionError(
            error.message, remedy=error.remedy, where=_raised_at(error, path)
        ) from None
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a module may even call sys.exit()
        raise VersionError(
            f"the module raised {_summary(error)}",
            where=_raised_at(error, path),
            remedy=_remedy(error),
        ) from error
    finally:
        sys.modules.pop(made.__name__, None)
    return made.__dict__


def _raised_at(error: BaseException, path: str) -> str:
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == path
    ]
    return f"{path}:{lines[-1]}" if lines else path


def _remedy(error: BaseException) -> str:
    text = str(error)
    # An element without a comma after it is called with, or indexed by, the one that follows.
    if isinstance(error, TypeError) and ("call" in text or "subscript" in text):
        return "is a comma missing at the end of that line, or of the one above?"
    if isinstance(error, ModuleNotFoundError):
        return (
            f"install the package that has {error.name}, or name its directory in PYTHONPATH, as "
            "in `PYTHONPATH=. neuron-schema check`; a service that runs versions has to find it too"
        )
    return "correct the module; `neuron-schema check` loads it without a database"


def _summary(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _elements(namespace: dict[str, Any], direction: str, module: _Module) -> list[object]:
    """Return the list that a module declares for a direction."""
    if direction not in namespace:
        remedy = {
            "up": "add `up = [...]`, a list of constructs",
            "down": "add `down = [...]` ([] for nothing to undo), or, with `from neuron_schema.ops "
            'import irreversible`, `down = irreversible("why")`',
        }[direction]
        raise VersionError(
            f"the module declares no `{direction}`",
            where=module.place(direction),
            remedy=remedy,
        )
    declared = namespace[direction]
    if not isinstance(declared, list):
        hint = "; a comma after the list makes it a tuple" if isinstance(declared, tuple) else ""
        raise VersionError(
            f"`{direction}` is not a list but {_kind(declared)}{hint}",
            where=module.place(direction),
            remedy=f"write `{direction} = [...]`",
        )
    return declared


def _compile(elements: Sequence[object], direction: str, module: _Module) -> tuple[Statement, ...]:
    """Compile the elements of one direction, and check that they make one step."""
    from neuron_schema.compiling.compiler import CompileError, check_step

    statements: list[Statement] = []
    for index, element in enumerate(elements):
        try:
            statements.extend(_compile_element(element))
        except CompileError as error:
            raise _invalid(error, f"{direction}[{index}]", module.place(direction, index)) from None
    try:
        check_step(statements)
    except CompileError as error:
        raise _invalid(error, f"`{direction}`", module.place(direction)) from None
    return tuple(statements)


def _compile_element(element: object) -> tuple[Statement, ...]:
    """Compile one element, whatever its own code raises.

    Raises:
        CompileError: it cannot be compiled.
    """
    from neuron_schema.compiling.compiler import CompileError, compile_element

    try:
        return compile_element(element)
    except CompileError:
        raise
    except Exception as error:
        # A construct of the module's own, or of a library, runs its own code here.
        raise CompileError(
            f"{type(element).__name__} raised {_summary(error)} while it was compiled",
            "correct the construct, or use Sql(...)",
        ) from error


def _find_unreadable(elements: Sequence[object], direction: str, module: _Module) -> None:
    """Raise for the element whose SQL PostgreSQL's lexer would refuse, if there is one."""
    from neuron_schema.compiling.compiler import CompileError, checksum

    for index, element in enumerate(elements):
        try:
            checksum(_compile_element(element), ())
        except CompileError as error:
            raise _invalid(error, f"{direction}[{index}]", module.place(direction, index)) from None


def _invalid(error: CompileError, what: str, where: str) -> VersionError:
    return VersionError(f"{what}: {error.reason}", where=where, remedy=error.remedy)


def _kind(value: object) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
