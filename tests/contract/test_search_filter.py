"""`_filter`, and what its words mean on every store: https://hl7.org/fhir/R4/search_filter.html."""

from __future__ import annotations

import pytest

from tests.contract.case import Case


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("status eq final", ["a", "c"], id="equal"),
        pytest.param("status ne final", ["b"], id="not equal"),
        pytest.param("status eq final and date ge 2020-06-01", ["c"], id="and"),
        pytest.param("status eq amended or date ge 2020-06-01", ["b", "c"], id="or"),
        pytest.param("status eq amended or status eq final and date lt 2020-06-01", ["a"], id="from left to right"),
        pytest.param("status eq amended or (status eq final and date ge 2020-06-01)", ["b", "c"], id="brackets"),
        pytest.param("not (status eq final)", ["b"], id="not"),
        pytest.param("not (status eq final and date ge 2020-06-01)", ["a", "b"], id="not of several"),
        pytest.param("not (date ge 2020-06-01)", ["a", "b"], id="not of a date, which may be missing"),
        pytest.param("date pr true", ["a", "c"], id="present"),
        pytest.param("date pr false", ["b"], id="absent"),
        pytest.param("not (date pr true)", ["b"], id="not present"),
        pytest.param("date po 2020-01", ["a"], id="overlapping"),
        pytest.param('value-string eq "swimming, SLOWLY"', ["a"], id="a text, whatever its case"),
        pytest.param("value-string eq Swimming", [], id="not a beginning of a text"),
        pytest.param('value-string ne "swimming, slowly"', ["b", "c"], id="another text, or none"),
        pytest.param("value-string co MING", ["a", "b"], id="a text inside"),
        pytest.param("value-string sw swim", ["a"], id="the beginning of a text"),
        pytest.param("value-string ew ming", ["b"], id="the end of a text"),
        pytest.param("encounter.status eq finished", ["a"], id="over a reference"),
        pytest.param("encounter.status eq finished or status eq amended", ["a", "b"], id="over a reference, or not"),
    ],
)
async def test_comparisons_are_joined(case: Case, asked: str, found: list[str]) -> None:
    await case.put("Encounter", "e")
    encounter = {"reference": str(case.ref("Encounter", "e"))}
    await case.put(
        "Observation", "a", effectiveDateTime="2020-01-15", valueString="Swimming, slowly", encounter=encounter
    )
    await case.put("Observation", "b", status="amended", valueString="Fast swimming")
    await case.put("Observation", "c", effectiveDateTime="2020-07-01")

    assert await case.labels("Observation", f"_filter={asked}&_sort=_id") == found


async def test_alternatives_about_one_reference_have_pages_and_a_total(case: Case) -> None:
    """As a compartment asks: by several parameters for the same resource."""
    await case.put("Patient", "p")
    patient = {"reference": str(case.ref("Patient", "p"))}
    for label in "abc":
        await case.put("Observation", label, subject=patient)
    await case.put("Observation", "d", performer=[patient])
    await case.put("Observation", "e")
    asked = f"_filter=subject eq {patient['reference']} or performer eq {patient['reference']}&_sort=_id"

    first = await case.search("Observation", asked, count=3, total=True)
    rest = await case.search("Observation", asked, count=3, total=True, cursor=first.cursor)

    assert (case.labels_of(first), case.labels_of(rest)) == (["a", "b", "c"], ["d"])
    assert (first.total, rest.total) == (4, 4)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("near=48.4|9.9|10|km", ["ulm"], id="within"),
        pytest.param("near=48.4|9.9|6500|m", [], id="not within"),
        pytest.param("near=48.4|9.9", ["ulm"], id="a distance is understood"),
        pytest.param("near=0|-179.9|30|km", ["fiji"], id="across the 180th meridian"),
        pytest.param("near=48.4|9.9|10|km,0|179.9|30|km", ["fiji", "ulm"], id="two places"),
        pytest.param("near=90|0|4700|km", ["ulm"], id="around a pole"),
        pytest.param("near=48.4|9.99|0", ["ulm"], id="the very place"),
    ],
)
async def test_places_are_found_by_their_distance(case: Case, asked: str, found: list[str]) -> None:
    await case.put("Location", "ulm", position={"latitude": 48.4, "longitude": 9.99})
    await case.put("Location", "fiji", position={"latitude": 0, "longitude": 179.95})
    await case.put("Location", "nowhere")

    assert await case.labels("Location", f"{asked}&_sort=_id") == found
