"""What a target names: a version, by its number, with its name if that is given too. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.errors import TargetError
from neuron_schema.squashed import replaced_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.model import VersionInfo

_MAX_DIGITS = 10


def find_version(infos: Sequence[VersionInfo], target: str) -> VersionInfo:
    """Return the version that a target names; "2" means "002", and so does "002_embeddings".

    Raises:
        TargetError: there is none, or that number has another name.
    """
    number = target_number(target)
    for info in infos:
        if info.number == number:
            check_name(target, info.version, info.name)
            return info
    whole = [info.label for info in infos if number in replaced_numbers(info)]
    raise TargetError(
        f"there is no version {target}"
        + "".join(f" any more: {label} holds it" for label in whole),
        remedy=f"versions: {', '.join(info.version for info in infos) or 'none'}",
    )


def target_number(target: object) -> int:
    """Return a target's number; 0 means before the first version.

    Raises:
        TargetError: it is no text, or does not begin with digits.
    """
    if not isinstance(target, str):
        raise TargetError(
            f"{target!r} is no version", remedy='a target is text: a number such as "3" or "003"'
        )
    digits, underscore, name = target.partition("_")
    if not (digits.isascii() and digits.isdigit()) or bool(underscore) is not bool(name):
        raise TargetError(
            f"{target!r} is no version",
            remedy="a target is a number, such as 3 or 003, or number and name: 003_clusters",
        )
    significant = digits.lstrip("0")
    if len(significant) > _MAX_DIGITS:
        raise TargetError(
            f"there is no version {target[:40]}",
            remedy=f"a version has at most {_MAX_DIGITS} digits",
        )
    if name and not significant:
        raise TargetError(f"there is no version {target[:40]}", remedy="0 is before the first one")
    return int(significant or "0")


def check_name(target: str, version: str, name: str) -> None:
    """Refuse a target that gives a version's number, and another one's name.

    Raises:
        TargetError: that is so.
    """
    given = target.partition("_")[2]
    if given and given != name:
        raise TargetError(
            f"there is no version {target[:80]}: {version} is {version}_{name}",
            remedy=f"give {version}",
        )


def check_target(to: str | None, count: object) -> None:
    """Refuse a target and a count together, and a count that is none.

    Raises:
        TargetError: that is so.
    """
    if to is not None and count is not None:
        raise TargetError("a target and --count together", remedy="give one of them")
    if count is None:
        return
    if not isinstance(count, int) or isinstance(count, bool):
        raise TargetError(f"count: {count!r} is no whole number", remedy="give 1 or more")
    if count < 1:
        raise TargetError(f"--count {count} is below 1", remedy="give 1 or more")
