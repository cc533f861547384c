"""`:in`, `:not-in`, `:above` and `:below` of tokens: https://hl7.org/fhir/R4/search.html#modifiers."""

from __future__ import annotations

import pytest

from tests.contract.case import Case

WEARABLE = "https://fhir-facade.org/fhir/ValueSet/wearable-observation"
STATUS = "http://hl7.org/fhir/ValueSet/observation-status"
LOINC = "http://loinc.org"


def coded(code: str) -> dict[str, object]:
    return {"coding": [{"system": LOINC, "code": code}]}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param(f"code:in={WEARABLE}", ["steps"], id="in a value set"),
        pytest.param(f"code:not-in={WEARABLE}", ["blood"], id="not in a value set"),
        pytest.param(f"code:below={LOINC}|41950-7", ["steps"], id="below"),
        pytest.param("code:above=41950-7", ["steps"], id="above, in any system"),
        pytest.param(f"method:not-in={WEARABLE}", ["blood", "steps"], id="what has no code is in no set"),
        pytest.param(f"status:in={STATUS}", ["blood", "steps"], id="in a value set of R4"),
        pytest.param(f"status:not-in={STATUS}", [], id="not in a value set of R4"),
        pytest.param("status:below=amended", ["blood"], id="below, in a code system of R4"),
        pytest.param("status:above=corrected", ["blood"], id="above, in a code system of R4"),
        pytest.param(f"code:in={WEARABLE}&status:in={STATUS}", ["steps"], id="in both"),
        pytest.param(f"has-member:Observation.code:in={WEARABLE}", ["blood"], id="at the end of a chain"),
    ],
)
async def test_codes_are_found_by_where_they_belong(case: Case, asked: str, found: list[str]) -> None:
    await case.put("Observation", "steps", code=coded("41950-7"))
    member = {"reference": str(case.ref("Observation", "steps"))}
    await case.put("Observation", "blood", status="corrected", code=coded("718-7"), hasMember=[member])

    assert await case.labels("Observation", f"{asked}&_sort=_id") == found
