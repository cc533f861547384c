"""The tables in words."""

from __future__ import annotations

import pytest

from fhir_facade.access.compartment import type_rules
from fhir_facade.access.describe import TABLES, page


def test_a_marker_without_table_is_an_error_instead_of_an_empty_place() -> None:
    with pytest.raises(KeyError):
        page("<!-- unicorns -->\n<!-- end -->")


def test_text_outside_of_the_markers_stays() -> None:
    assert page("before <!-- note --> after") == "before <!-- note --> after"


def test_writing_a_page_twice_changes_nothing() -> None:
    once = page("".join(f"# x\n<!-- {name} -->\n<!-- end -->\n" for name in TABLES))

    assert page(once) == once


@pytest.mark.parametrize("name", ["owners", "closed", "shared"])
def test_every_stored_type_is_in_one_table(name: str) -> None:
    classes = {"owners": {"person", "personal", "optional"}, "closed": {"closed"}, "shared": {"shared"}}[name]

    text = TABLES[name]()

    assert all(rule.type in text for rule in type_rules().values() if rule.type_class in classes)


def test_exceptions_and_engines_say_their_letters() -> None:
    assert "* practitioner:" in TABLES["rights"]()
    assert "`nothing` on AuditEvent" in TABLES["rights"]()
    assert "`rs` on Patient" in TABLES["engines"]()
