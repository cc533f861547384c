"""String parameters: https://hl7.org/fhir/R4/search.html#string."""

from __future__ import annotations

import pytest

from tests.contract.case import Case

NAMES = {"anna": "Müller", "bert": "Mueller-Lüdenscheidt", "carl": "Zumüller", "dora": "O'Brien, Sr. | $"}


@pytest.fixture
async def people(case: Case) -> Case:
    resources = [case.resource("Patient", label, name=[{"family": family}]) for label, family in NAMES.items()]
    await case.store.write([case.put_of(resource) for resource in resources])
    return case


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("family=nobody", [], id="nothing"),
        pytest.param("family=Müller", ["anna"], id="the beginning"),
        pytest.param("family=MULL", ["anna"], id="without case and accents"),
        pytest.param("family:contains=muller", ["anna", "carl"], id="contains"),
        pytest.param("family:exact=Müller", ["anna"], id="exact"),
        pytest.param("family:exact=müller", [], id="exact minds the case"),
        pytest.param("family=mul,zum", ["anna", "carl"], id="one of a list"),
        pytest.param("family=m&family=mue", ["bert"], id="both of two"),
        pytest.param("family:exact=O'Brien\\, Sr. \\| \\$", ["dora"], id="a comma, a bar and a dollar sign"),
        pytest.param("family=o'brien\\,", ["dora"], id="a comma in a beginning"),
        pytest.param("name=müll", ["anna"], id="any part of the name"),
        pytest.param("given:missing=true", ["anna", "bert", "carl", "dora"], id="missing"),
        pytest.param("family:missing=true", [], id="not missing"),
    ],
)
async def test_a_string_is_found(people: Case, asked: str, found: list[str]) -> None:
    assert await people.labels("Patient", f"{asked}&_sort=_id") == found
