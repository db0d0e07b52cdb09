"""What tells two texts of ``schema.sql`` apart, by the objects that stand in them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_MARK = "\n\n-- "


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One block that is not the same in both texts.

    Attributes:
        object: What it is of, such as ``table public.nodes``.
        action: ``added``, ``removed`` or ``changed``.
        before: Its text, None where it was added.
        after: Its text, None where it was removed.
    """

    object: str
    action: str
    before: str | None
    after: str | None


def differences(before: str, after: str) -> tuple[Difference, ...]:
    """Return what makes one text differ from another one, in the order of the second."""
    old, new = _blocks(before), _blocks(after)
    found = []
    for title in [*new, *(title for title in old if title not in new)]:
        if old.get(title) == new.get(title):
            continue
        action = "added" if title not in old else "removed" if title not in new else "changed"
        found.append(
            Difference(object=title, action=action, before=old.get(title), after=new.get(title))
        )
    if not found and before != after:
        found.append(Difference(object="order", action="changed", before=None, after=None))
    return tuple(found)


def _blocks(text: str) -> dict[str, str]:
    """Return the blocks of a text by their titles; what stands above the first is ``head``."""
    head, *rest = text.replace("\r\n", "\n").split(_MARK)
    found = {"head": head}
    for block in rest:
        title, _, body = block.partition("\n")
        # Two blocks of one title come about where an object is continued.
        found[title] = f"{found[title]}\n{body}" if title in found else body
    return found
