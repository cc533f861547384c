"""The pages of docs/ lead somewhere: links, files they name, and an index that leaves none out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md"]
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
NAMED_FILE = re.compile(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|toml|json|md))`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_to_a_file(page: Path) -> None:
    broken = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_file_that_a_page_names_is_there(page: Path) -> None:
    named = NAMED_FILE.findall(page.read_text())
    missing = [name for name in named if not any((base / name).exists() for base in (ROOT, ROOT / "fhir_facade"))]

    assert missing == []


def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text()

    left_out = [page.name for page in DOCS.glob("*.md") if f"({page.name})" not in index]

    assert left_out == ["README.md"], "add the page to the table of docs/README.md"


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(page.name[:3]) for page in (DOCS / "decisions").glob("*.md"))

    assert numbers == list(range(1, len(numbers) + 1))


def test_a_decision_says_what_lost_and_what_it_costs() -> None:
    for page in (DOCS / "decisions").glob("*.md"):
        text = page.read_text()
        number = page.name[:3]
        assert text.startswith(f"# {number} ")
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Options", "Decision", "Consequences"], page.name
        assert "Lost" in text, page.name
        assert "Taken" in text, page.name
