"""Commands that read absent options and plain words themselves.

Typer (0.26 and later) imports pydantic to read any option that is no flag, given or not, --help
included: a fifth of what a command takes that finds nothing to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Callable


class Command(TyperCommand):
    """Typer's command, with a quick reader for each of its options."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options, --help included."""
        return _quick(super().get_params(ctx))


class Group(TyperGroup):
    """Typer's group, with a quick reader for each of its options."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options, --help included."""
        return _quick(super().get_params(ctx))


class _Reader:
    """Stands where Typer's reader of an option does, and asks for that only when it must.

    Args:
        typers: Returns Typer's reader.
    """

    def __init__(self, typers: Callable[[], Any]) -> None:
        self._typers = typers

    def __call__(self) -> _Reader:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return an option's value from what stands on the command line."""
        if param.nargs == 1 and not param.multiple:
            if value is None:
                return None
            if param.type_descriptor.annotation is str and isinstance(value, str):
                return value
        return self._typers().coerce(value, param=param, ctx=ctx)


def _quick(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        # Where another Typer has no such method, nothing happens.
        typers = getattr(parameter, "get_runtime_param", None)
        if typers is not None and not isinstance(typers, _Reader):
            parameter.get_runtime_param = _Reader(typers)
    return parameters
