"""What the facade holds when it is asked: two patients and those around them, and something of most kinds of element."""

from __future__ import annotations

from typing import Any, Final

ANNA, BERT, DORA, HOUSE = "anna", "bert", "dora", "house"
LOINC, UCUM, TERMS = "http://loinc.org", "http://unitsofmeasure.org", "http://terminology.hl7.org/CodeSystem"


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"reference": f"{kind}/{name}"}


def _concept(system: str, code: str, **more: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, **more}]}


def _quantity(value: float, code: str) -> dict[str, Any]:
    return {"value": value, "unit": code, "system": UCUM, "code": code}


def _reading(name: str, code: str, value: dict[str, Any], patient: str = ANNA, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "category": [_concept(f"{TERMS}/observation-category", "vital-signs")],
        "code": _concept(LOINC, code),
        "subject": _ref("Patient", patient),
        "effectiveDateTime": "2026-11-20T08:15:30.123+01:00",
        **value,
        **more,
    }


_PRESSURE: Final = [
    {"code": _concept(LOINC, "8480-6"), "valueQuantity": _quantity(107, "mm[Hg]")},
    {"code": _concept(LOINC, "8462-4"), "valueQuantity": _quantity(60, "mm[Hg]")},
]

SEEDS: Final[tuple[dict[str, Any], ...]] = (
    {"resourceType": "Organization", "id": HOUSE, "name": "House", "active": True},
    {"resourceType": "Organization", "id": "surgery", "name": "Surgery", "partOf": _ref("Organization", HOUSE)},
    {"resourceType": "Practitioner", "id": DORA, "name": [{"family": "Doe", "given": ["Dora"]}]},
    {
        "resourceType": "Patient",
        "id": ANNA,
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>Anna</p></div>'},
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3", "period": {"start": "2020"}}],
        "name": [{"family": "Müller", "given": ["Anna", "A."]}],
        "telecom": [{"system": "phone", "value": "+49 1"}],
        "gender": "female",
        "birthDate": "1980-02",
        "generalPractitioner": [_ref("Practitioner", DORA)],
        "managingOrganization": _ref("Organization", HOUSE),
    },
    {"resourceType": "Patient", "id": BERT, "gender": "male", "birthDate": "1970-01-01"},
    _reading("rate", "8867-4", {"valueQuantity": _quantity(72.5, "/min")}),
    _reading("mass", "29463-7", {"valueQuantity": _quantity(70, "kg")}, BERT),
    _reading("pressure", "85354-9", {"component": _PRESSURE}),
    {
        "resourceType": "Location",
        "id": "ward",
        "status": "active",
        "position": {"longitude": 13.4, "latitude": 52.5},
        "managingOrganization": _ref("Organization", HOUSE),
    },
    {"resourceType": "Location", "id": "bed", "status": "active", "partOf": _ref("Location", "ward")},
    {
        "resourceType": "Encounter",
        "id": "stay",
        "status": "in-progress",
        "class": {"system": f"{TERMS}/v3-ActCode", "code": "IMP"},
        "subject": _ref("Patient", ANNA),
        "period": {"start": "2026-11-01T10:00:00Z"},
        "location": [{"location": _ref("Location", "bed")}],
    },
    {
        "resourceType": "Condition",
        "id": "illness",
        "clinicalStatus": _concept(f"{TERMS}/condition-clinical", "active"),
        "code": _concept("http://snomed.info/sct", "38341003", display="Hypertension"),
        "subject": _ref("Patient", ANNA),
        "onsetAge": {"value": 44, "unit": "a", "system": UCUM, "code": "a"},
    },
    {
        "resourceType": "CareTeam",
        "id": "team",
        "status": "active",
        "subject": _ref("Patient", ANNA),
        "participant": [{"member": _ref("Practitioner", DORA), "period": {"start": "2026-01-01"}}],
    },
    {
        "resourceType": "List",
        "id": "list",
        "status": "current",
        "mode": "working",
        "entry": [{"item": _ref("Observation", "rate")}, {"item": _ref("Patient", ANNA)}],
    },
    {
        "resourceType": "RiskAssessment",
        "id": "risk",
        "status": "final",
        "subject": _ref("Patient", ANNA),
        "prediction": [{"probabilityDecimal": 0.25}],
    },
    {"resourceType": "Binary", "id": "file", "contentType": "text/plain", "data": "aGVsbG8="},
    {
        "resourceType": "ValueSet",
        "id": "set",
        "url": "http://example.org/set",
        "version": "1",
        "status": "active",
        "compose": {"include": [{"system": "http://example.org/codes", "concept": [{"code": "a"}, {"code": "b"}]}]},
    },
    {
        "resourceType": "CodeSystem",
        "id": "codes",
        "url": "http://example.org/codes",
        "status": "active",
        "content": "complete",
        "concept": [{"code": "a", "display": "A", "concept": [{"code": "b", "display": "B"}]}],
    },
    {
        "resourceType": "QuestionnaireResponse",
        "id": "answers",
        "status": "completed",
        "questionnaire": "http://example.org/q|2",
        "subject": _ref("Patient", ANNA),
        "author": {"reference": "#d"},
        "contained": [{"resourceType": "Device", "id": "d", "deviceName": [{"name": "watch", "type": "other"}]}],
        "item": [{"linkId": "1", "answer": [{"valueDecimal": 1.50}]}],
    },
)
PLACES: Final = tuple(f"{one['resourceType']}/{one['id']}" for one in SEEDS)
