"""Whatever may be asked of a resource may be asked behind a chain and behind `_has`, with the same meaning.

https://hl7.org/fhir/R4/search.html#chaining, https://hl7.org/fhir/R4/search.html#has
"""

from __future__ import annotations

import pytest

from tests.contract.case import Case

GLUCOSE = {"coding": [{"system": "http://loinc.org", "code": "2345-7", "display": "Glucose"}]}


@pytest.fixture
async def ward(case: Case) -> Case:
    """Patient `p` of Organization `o` has much that can be asked for, Patient `q` nothing; each has a reading and a
    report. What many tests write is asked for narrowly: all that fits is found, whoever wrote it."""

    def ref(kind: str, label: str, system: str = "") -> dict[str, object]:
        named = {"identifier": {"system": system, "value": case.name}} if system else {}
        return {"reference": str(case.ref(kind, label)), **named}

    numbered = [{"system": "urn:case", "value": case.name, "type": {"coding": [{"system": "urn:types", "code": "MR"}]}}]
    person = {"name": [{"family": "Long"}], "birthDate": "1980-02-10", "gender": "male", "identifier": numbered}
    reading = {"code": GLUCOSE, "valueQuantity": {"value": 4711.4}}
    report = {"code": GLUCOSE, "effectiveDateTime": "2026-11-20", "performer": [ref("Practitioner", "d")]}
    written = [
        case.resource("Organization", "o", name="House"),
        case.resource("Practitioner", "d", name=[{"family": "Doe"}]),
        case.resource("Patient", "p", **person, managingOrganization=ref("Organization", "o", "urn:org")),
        case.resource("Patient", "q", gender="female"),
        case.resource("Observation", "a", **reading, subject=ref("Patient", "p")),
        case.resource("Observation", "b", subject=ref("Patient", "q")),
        case.resource("DiagnosticReport", "r", **report, subject=ref("Patient", "p", "urn:mrn")),
        case.resource("DiagnosticReport", "s", subject=ref("Patient", "q")),
        case.resource("RiskAssessment", "k", subject=ref("Patient", "p"), prediction=[{"probabilityDecimal": 0.254}]),
        case.resource("RiskAssessment", "l", subject=ref("Patient", "q")),
        case.resource("HealthcareService", "h", providedBy=ref("Organization", "o")),
        case.resource("Location", "w", position={"latitude": 52.5, "longitude": 13.4}),
        case.resource("Encounter", "e", location=[{"location": ref("Location", "w")}]),
    ]
    await case.store.write([case.put_of(resource) for resource in written])
    return case


async def found(ward: Case, kind: str, expected: dict[str, list[str]]) -> dict[str, list[str]]:
    return {asked: await ward.labels(kind, f"{asked.format(ward.name)}&_sort=_id") for asked in expected}


async def test_modifiers_and_prefixes_mean_the_same_behind_a_chain(ward: Case) -> None:
    expected = {
        "patient.birthdate:missing=true": ["b"],
        "patient.birthdate:missing=false": ["a"],
        "patient.organization:missing=true": ["b"],
        "patient.family:missing=false": ["a"],
        "patient.family:exact=Long": ["a"],
        "patient.family:exact=long": [],
        "patient.family:contains=ON": ["a"],
        "patient.gender:not=male": ["b"],
        "patient.active:not=true": ["a", "b"],
        "patient._id:not={0}-p": ["b"],
        "patient.identifier:of-type=urn:types|MR|{0}": ["a"],
        "patient.identifier:of-type=urn:types|XX|{0}": [],
        "patient.organization:identifier=urn:org|{0}": ["a"],
        "patient.organization:identifier=urn:other|{0}": [],
        "patient.birthdate=ap1980-02": ["a"],
        "patient.birthdate=1970,1980": ["a"],
        "patient.birthdate=sa1980-02": [],
        "_filter=patient.family pr true": ["a"],
        '_filter=patient.family ew "ng"': ["a"],
    }

    of_the_case = {f"{asked}&patient.identifier=urn:case|{{0}}": labels for asked, labels in expected.items()}
    assert await found(ward, "Observation", of_the_case) == of_the_case


async def test_modifiers_and_prefixes_mean_the_same_behind_has(ward: Case) -> None:
    of_patients = {
        "_has:DiagnosticReport:patient:code:not=2345-7": ["q"],
        "_has:DiagnosticReport:patient:code:text=gluco": ["p"],
        "_has:DiagnosticReport:patient:date=ap2026-11": ["p"],
        "_has:DiagnosticReport:patient:subject:identifier=urn:mrn|{0}": ["p"],
        "_has:DiagnosticReport:patient:performer:Practitioner.family=Doe": ["p"],
        "_has:DiagnosticReport:patient:performer:Organization.name=Doe": [],
        "_has:Observation:patient:value-quantity=4711": ["p"],
        "_has:Observation:patient:value-quantity=4712": [],
        "_has:Observation:patient:value-quantity=sa4711": ["p"],
        "_has:RiskAssessment:subject:probability:missing=true": ["q"],
        "_has:RiskAssessment:subject:probability=0.3": ["p"],
        "_has:RiskAssessment:subject:probability=0.26": [],
    }
    of_houses = {
        "_has:Patient:organization:family:exact=Long": ["o"],
        "_has:Patient:organization:family:exact=long": [],
        "_has:Patient:organization:family:contains=ON": ["o"],
        "_has:Patient:organization:identifier:of-type=urn:types|MR|{0}": ["o"],
        "_has:HealthcareService:organization:active:not=true": ["o"],
        "_has:HealthcareService:organization:_id:not={0}-h": [],
        "_has:Patient:organization:_has:DiagnosticReport:patient:code:not=718-7": ["o"],
        "_has:Patient:organization:_has:DiagnosticReport:patient:performer.name=doe&_id={0}-o": ["o"],
        "_has:Patient:organization:_has:DiagnosticReport:patient:performer.name=roe": [],
        "_has:Patient:organization:_has:Observation:patient:subject.family=long&_id={0}-o": ["o"],
    }

    assert await found(ward, "Patient", of_patients) == of_patients
    assert await found(ward, "Organization", of_houses) == of_houses


async def test_a_place_may_be_near_behind_a_chain(ward: Case) -> None:
    expected = {"location.near=52.5|13.4|1|km": ["e"], "location:Location.near=52.6|13.4|1|km": []}

    assert await found(ward, "Encounter", expected) == expected


async def test_what_is_never_missing_and_what_has_several_parts_can_be_asked_for(ward: Case) -> None:
    expected = {
        "_id:missing=false": ["a", "b"],
        "_id:missing=true": [],
        "_lastUpdated:missing=false": ["a", "b"],
        "_lastUpdated:missing=true": [],
        "_filter=not (_id pr true)": [],
        "code-value-quantity:missing=false": ["a"],
        "code-value-quantity:missing=true": ["b"],
        "patient._id:missing=false&_id:missing=false": ["a", "b"],
    }

    assert await found(ward, "Observation", expected) == expected
