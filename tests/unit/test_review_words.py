"""The names that a statement's text holds."""

from __future__ import annotations

import pytest

from neuron_schema.review.tracing.words import words


@pytest.mark.parametrize(
    ("sql", "there", "absent"),
    [
        ("ALTER TABLE App.Users ADD x int", {"app", "users", "x"}, {"App", "Users"}),
        ('DROP TABLE "App"."a""b"', {"App", 'a"b'}, {"app"}),
        ("DROP TABLE a -- not b\n/* nor c */", {"a"}, {"b", "c"}),
        ("DO $$ BEGIN ALTER TABLE t ADD x int; END $$", {"t", "x"}, set()),
        ("DO $do$ BEGIN EXECUTE 'DROP TABLE \"T\"'; END $do$", {"T"}, {"t"}),
        ("DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'a b'); END $$", {"a", "b"}, set()),
        ("SELECT 'it''s t'", {"it", "s", "t"}, set()),
        ("COMMENT ON TABLE t IS 'a $ b \" c'", {"t", "a", "b", "c"}, set()),
    ],
)
def test_every_name_of_a_statement_is_found(sql: str, there: set[str], absent: set[str]) -> None:
    """Folded as PostgreSQL folds them, and those inside of strings too; no comment's."""
    assert there <= words(sql)
    assert not absent & words(sql)
