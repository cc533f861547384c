"""The security page says what is enforced."""

from __future__ import annotations

from pathlib import Path

from fhir_facade.access.describe import TABLES, page

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


def test_the_tables_of_the_security_page_are_those_that_are_enforced() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert all(f"<!-- {name} -->" in text for name in TABLES)
    assert page(text) == text, "run: python -m fhir_facade.access.describe docs/security.md"
