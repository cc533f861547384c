"""Chains and `_has` of several hops, identifiers in references, and what every resource has: the same on each store.

https://hl7.org/fhir/R4/search.html#chaining, https://hl7.org/fhir/R4/search.html#has
"""

from __future__ import annotations

import pytest

from tests.contract.case import Case

UCUM = "http://unitsofmeasure.org"


@pytest.fixture
async def house(case: Case) -> Case:
    """Organization `o` > Patient `p` > Encounter `e` > Observation `r`, in Group `g`; `x` stands alone."""
    await case.put("Organization", "top", name=f"Top {case.name}")
    await case.put("Organization", "o", name=f"House {case.name}", partOf=of(case, "Organization", "top"))
    await case.put("Patient", "p", managingOrganization=of(case, "Organization", "o"))
    await case.put("Patient", "q")
    await case.put("Group", "g", type="person", actual=True, member=[{"entity": of(case, "Patient", "p")}])
    await case.put("Encounter", "e", subject=of(case, "Patient", "p"))
    await case.put(
        "Observation",
        "r",
        subject=of(case, "Patient", "p"),
        encounter=of(case, "Encounter", "e"),
        valueQuantity={"value": 5400, "system": UCUM, "code": "mg"},
    )
    await case.put("Observation", "x", subject={"identifier": {"system": "urn:mrn", "value": case.name}})
    return case


def of(case: Case, kind: str, label: str) -> dict[str, str]:
    return {"reference": str(case.ref(kind, label))}


@pytest.mark.parametrize(
    ("kind", "asked", "found"),
    [
        pytest.param("Observation", "encounter.subject:Patient.organization.name=House {0}", ["r"], id="three hops"),
        pytest.param("Observation", "subject:Patient.organization.partof.name=Top {0}", ["r"], id="three other hops"),
        pytest.param("Observation", "subject:Patient.organization.partof.name=House {0}", [], id="the wrong house"),
        pytest.param(
            "Observation", "encounter.subject:Patient.organization.partof.name=Top {0}", ["r"], id="four hops"
        ),
        pytest.param(
            "Observation",
            '_filter=encounter.subject:Patient.organization.partof.name eq "Top {0}" or status eq amended',
            ["r"],
            id="four hops, or something else",
        ),
        pytest.param("Patient", "_has:Encounter:subject:_has:Observation:encounter:_id={0}-r", ["p"], id="has of has"),
        pytest.param("Observation", "subject:Patient._has:Group:member:_id={0}-g", ["r"], id="has behind a chain"),
        pytest.param(
            "Observation",
            "subject:Patient._has:Encounter:subject:subject:Patient.organization.name=House {0}",
            ["r"],
            id="chain behind has behind a chain",
        ),
        pytest.param("Patient", "_has:Observation:patient:encounter.status=finished", ["p"], id="chain behind has"),
        pytest.param(
            "Organization",
            "_has:Patient:organization:_has:Encounter:subject:_has:Observation:encounter:status=final",
            ["o"],
            id="has of has of has",
        ),
        pytest.param(
            "Organization",
            "_has:Organization:partof:_has:Patient:organization:_has:Encounter:subject:_has:Observation:encounter:"
            "status=final",
            ["top"],
            id="has, four times",
        ),
        pytest.param(
            "Patient",
            f"_has:Observation:patient:value-quantity=5.4|{UCUM}|g",
            ["p"],
            id="a quantity in another unit, behind has",
        ),
        pytest.param("Observation", f"value-quantity=5.4|{UCUM}|g", ["r"], id="a quantity in another unit"),
        pytest.param("Observation", "subject:identifier=urn:mrn|{0}", ["x"], id="the identifier in a reference"),
        pytest.param("Observation", "subject:identifier=urn:other|{0}", [], id="another identifier in a reference"),
        pytest.param("Observation", "subject:identifier={0}&status=final", ["x"], id="an identifier and more"),
        pytest.param("Observation", "subject:Patient={0}-p", ["r"], id="a reference of a type"),
        pytest.param("Observation", "patient:missing=true", ["x"], id="no literal reference"),
    ],
)
async def test_references_are_followed_as_far_as_asked(house: Case, kind: str, asked: str, found: list[str]) -> None:
    if kind == "Organization":
        assert await house.labels("Organization", asked.format(house.name)) == found
        return
    assert await house.labels(kind, f"{asked.format(house.name)}&_sort=_id") == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("_tag=urn:t|new", ["a"], id="a tag"),
        pytest.param("_tag:not=urn:t|new", ["b", "c"], id="without a tag"),
        pytest.param("_tag=urn:t|", ["a", "b"], id="a tag of a system"),
        pytest.param("_tag:not=urn:t|", ["c"], id="without a tag of a system"),
        pytest.param("_tag:missing=true", ["c"], id="without any tag"),
        pytest.param("_tag:missing=false", ["a", "b"], id="with any tag"),
        pytest.param("_security=urn:s|R", ["b"], id="a label"),
        pytest.param("_security:missing=false", ["b"], id="any label"),
        pytest.param("_profile=http://example.org/{0}/p", ["a"], id="a profile"),
        pytest.param("_profile:below=http://example.org/{0}", ["a"], id="below a profile"),
        pytest.param("_profile:missing=true", ["b", "c"], id="no profile"),
        pytest.param("_source=http://example.org/{0}/s", ["b"], id="a source"),
        pytest.param("_source:missing=false&_tag=urn:t|old", ["b"], id="any source"),
        pytest.param("_id:not={0}-a", ["b", "c"], id="any but one"),
        pytest.param("_lastUpdated=ge2020&_tag=urn:t|new,urn:t|old", ["a", "b"], id="written since"),
    ],
)
async def test_what_every_resource_has_is_found(case: Case, asked: str, found: list[str]) -> None:
    address = f"http://example.org/{case.name}"
    await case.put("Patient", "a", meta={"tag": [{"system": "urn:t", "code": "new"}], "profile": [f"{address}/p"]})
    security = [{"system": "urn:s", "code": "R"}]
    tag = [{"system": "urn:t", "code": "old"}]
    await case.put("Patient", "b", meta={"tag": tag, "security": security, "source": f"{address}/s"})
    await case.put("Patient", "c")

    assert await case.labels("Patient", f"{asked.format(case.name)}&_sort=_id") == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("_sort=value-quantity", "bca", id="a quantity"),
        pytest.param("_sort=-value-quantity", "cba", id="a quantity, descending"),
        pytest.param("_sort=value-quantity,-value-quantity", "bca", id="a quantity, named again"),
        pytest.param("_sort=subject", "cab", id="a reference"),
        pytest.param("_sort=value-string", "acb", id="a text"),
        pytest.param("_sort=-value-string,_id", "cab", id="a text, descending"),
        pytest.param("_sort=status,-date", "cba", id="a code, then a date that one does not have"),
    ],
)
async def test_what_is_missing_comes_last_in_both_directions(case: Case, asked: str, found: str) -> None:
    for label in "pq":
        await case.put("Patient", label)
    readings = {
        "a": {"valueString": "Ant", "subject": of(case, "Patient", "q")},
        "b": {"valueQuantity": {"value": 1, "system": UCUM, "code": "g"}, "effectiveDateTime": "2026-01-01"},
        "c": {"valueQuantity": {"value": 2, "system": UCUM, "code": "g"}, "subject": of(case, "Patient", "p")},
    }
    readings["c"] |= {"component": [{"code": {"text": "x"}}], "effectiveDateTime": "2026-01-02", "status": "amended"}
    readings["a"] |= {"note": [{"text": "x"}]}
    for label, elements in readings.items():
        await case.put("Observation", label, **elements)
    if "value-string" in asked:
        body = case.resource("Observation", "c", **(readings["c"] | {"valueString": "Bee"}))
        del body["valueQuantity"]
        await case.put_resource(body)

    assert "".join(await case.labels("Observation", asked)) == found
