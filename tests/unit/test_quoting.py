"""Names and values as PostgreSQL reads them."""

from __future__ import annotations

import pytest

from neuron_schema.errors import SettingsError
from neuron_schema.quoting import identifier, literal


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("users", '"users"'),
        ("Users", '"Users"'),
        ("select", '"select"'),
        ("a.b", '"a.b"'),
        ('we"ird', '"we""ird"'),
        ("it's", '"it\'s"'),
        (" ", '" "'),
        ("a\nb", '"a\nb"'),
        ("ü" * 31, '"' + "ü" * 31 + '"'),
        ("x" * 63, '"' + "x" * 63 + '"'),
    ],
)
def test_an_identifier_stands_for_the_very_name(name: str, quoted: str) -> None:
    """Case, dots and quotes included."""
    assert identifier(name) == quoted


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 64, "ü" * 32])
def test_what_postgresql_would_cut_or_refuse_is_no_identifier(name: str) -> None:
    """Cut names could make two into one."""
    with pytest.raises(SettingsError, match="cannot be a name in PostgreSQL") as caught:
        identifier(name)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", "''"),
        ("plain", "'plain'"),
        ("it's", "'it''s'"),
        ("100% :name $1 $x$", "'100% :name $1 $x$'"),
        ("back\\slash", " E'back\\\\slash'"),
        ("\\'", " E'\\\\'''"),
        ("line\nline", "'line\nline'"),
    ],
)
def test_a_literal_stands_for_the_very_text(text: str, quoted: str) -> None:
    """Whatever ``standard_conforming_strings`` is."""
    assert literal(text) == quoted
