"""Who is kept out of what was there, by the catalog: row-level security and privileges. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from neuron_schema.catalog.model import Policy, Relation, part_name
from neuron_schema.review.hazards.facts import is_new, taken
from neuron_schema.review.hazards.wording import listed, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import Change, ObjectName
    from neuron_schema.catalog.model import AnyObject
    from neuron_schema.review.case import Case

_POLICIES_FIRST: Final = (
    "Make the policies first, in a version of its own, for each role that uses the table; then "
    "enable row-level security"
)
_BESIDE_FIRST: Final = (
    "Make the new policy beside the old one, as policies that permit something add up; drop the "
    "old one, or restrict, when no release needs the rows that only it lets in"
)
_UNUSED_FIRST: Final = (
    "First a release that does not need the privileges any more, then the version that takes them"
)


def kept_out(case: Case) -> Iterator[tuple[ObjectName, str, str]]:
    """Yield what others may do no more: of what, a sentence, and what to do instead."""
    for change in case.changes:
        yield from _secured(case, change)
    yield from _restricted(case)
    yield from _revoked(case)


def _secured(case: Case, change: Change) -> Iterator[tuple[ObjectName, str, str]]:
    before, after = change.before, change.after
    if not isinstance(before, Relation) or not isinstance(after, Relation):
        return
    if _secures(after) <= _secures(before) or is_new(case, change.object):
        return
    who = "its owner too" if before.row_security else "any role but its owner and superusers"
    # A change of a relation tells of its own properties only.
    table = case.after.relation(after.schema, after.name) or after
    if table.policies:
        policies = listed(named(part_name(each, table)) for each in table.policies)
        what = f"{who} reads and writes only the rows that a policy lets it ({policies})"
    else:
        what = f"and it has no policy: {who} sees no row and can insert none"
    yield (
        change.object,
        f"Row-level security holds for {named(change.object)} from now on, {what}; the previous "
        "release breaks where it comes as such a role",
        _POLICIES_FIRST,
    )


def _secures(table: Relation) -> int:
    """Return for how many row-level security holds: nobody, others, the owner too."""
    return table.row_security + (table.row_security and table.force_row_security)


def _restricted(case: Case) -> Iterator[tuple[ObjectName, str, str]]:
    """Yield the tables whose row-level security held before, and lets others do less now."""
    after = case.after.by_name
    for name, was in case.before.by_name.items():
        is_ = after.get(name)
        if not isinstance(was, Relation) or not isinstance(is_, Relation) or is_new(case, name):
            continue
        how = list(_policies(was, is_)) if was.row_security and is_.row_security else []
        if how:
            left = any(each.permissive for each in is_.policies)
            end = "" if left else "; no policy is left that lets anybody see a row or insert one"
            yield (
                name,
                f"Row-level security lets others read and write other rows of {named(name)} than "
                f"before, as {listed(how)}{end}: the previous release breaks where it counts on "
                "those",
                _BESIDE_FIRST,
            )


def _policies(was: Relation, is_: Relation) -> Iterator[str]:
    """Yield what became of policies by which somebody may do less; by another name is the same."""
    left = {_nameless(each) for each in is_.policies}
    there = {each.name: each for each in is_.policies}
    for each in was.policies:
        if _nameless(each) in left:
            continue
        if each.name in there:
            yield f"the policy {named(part_name(each, was))} is another one"
        elif each.permissive:
            yield f"the policy {named(part_name(each, was))} is dropped"
    known = {each.name for each in was.policies}
    before = {_nameless(each) for each in was.policies}
    for each in is_.policies:
        if not each.permissive and each.name not in known and _nameless(each) not in before:
            yield f"the policy {named(part_name(each, is_))} is new and restrictive"


def _nameless(policy: Policy) -> Policy:
    return replace(policy, name="", comment=None)


def _revoked(case: Case) -> Iterator[tuple[ObjectName, str, str]]:
    after = case.after.by_name
    for name, was in case.before.by_name.items():
        is_ = after.get(name)
        if is_ is None or (isinstance(was, Relation) and is_new(case, name)):
            continue
        gone = list(_taken(name, was, is_))
        if gone:
            yield (
                name,
                f"The version takes away {listed(gone)}: the previous release breaks where it "
                "comes as that role",
                _UNUSED_FIRST,
            )


def _taken(name: ObjectName, was: AnyObject, is_: AnyObject) -> Iterator[str]:
    """Yield privileges on an object that somebody has no more, and those on its columns alone."""
    gone = [(name, each) for each in taken(name, was, is_)]
    if isinstance(was, Relation) and isinstance(is_, Relation):
        there = {column.name: column for column in is_.columns}
        gone += [
            (part_name(column, was), (grant.grantee, grant.privilege))
            for column in was.columns
            if column.name in there
            for grant in column.privileges or ()
            if grant not in (there[column.name].privileges or ())
        ]
    told: defaultdict[str, list[str]] = defaultdict(list)
    for object_, (role, privilege) in gone:
        told[f"on {named(object_)} from {role or 'PUBLIC'}"].append(privilege)
    yield from (f"{listed(what)} {whose}" for whose, what in told.items())
