"""Plans as the server prints them, where no server is made to print one."""

from __future__ import annotations

from neuron_schema.review.tracing.plans import KeyColumn, Said, changes

KEYS = {9: [(KeyColumn(1, 0, {410: 3}),)]}


def plan(*, varno: int, more: str = "") -> str:
    """Return an UPDATE of a table by ``id = 5``, where ``id`` is a column of a relation."""
    return (
        "{PLANNEDSTMT :planTree {MODIFYTABLE :plan.lefttree {SEQSCAN :scan.plan.qual ({OPEXPR "
        f":opno 410 :inputcollid 0 :args ({{VAR :varno {varno} :varattno 1 :vartype 20}} "
        "{CONST :consttype 20 :constlen 8 :constisnull false :constvalue 8 [ 5 0 0 0 0 0 0 0 ]})})"
        " :scan.plan.lefttree <> :scan.scanrelid 1} :operation 2 :nominalRelation 1 "
        f":resultRelations (i 1) :onConflictAction 0 :mergeActionLists <>}}{more} :rtable "
        "({RANGETBLENTRY :rtekind 0 :relid 9})}"
    )


def most(text: str) -> int | None:
    """Return the most rows of the one change of a plan."""
    (found,) = changes(Said(text, nested=False))
    assert (found.oid, found.updates, found.deletes) == (9, True, False)
    return found.most(KEYS)


def test_only_a_tables_own_columns_are_its_key() -> None:
    """Those of an index, or of what is joined, have the same numbers."""
    assert most(plan(varno=1)) == 1
    assert most(plan(varno=-3)) is None


def test_a_name_may_hold_whatever_it_likes() -> None:
    """Braces, blanks, colons and line ends, which the server escapes."""
    odd = ' :eref {ALIAS :aliasname a\\{b\\ :operation\\ \\(\\}\\\nx :colnames ("\\)" "\\\\")}'
    assert most(plan(varno=1, more=odd)) == 1
