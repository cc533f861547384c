"""Valid R4 resources that the tests of this room bend and break."""

import copy
from typing import Any

CATEGORY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}


def loinc(*codes: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://loinc.org", "code": code} for code in codes]}


def quantity(value: float, code: str) -> dict[str, Any]:
    return {"value": value, "unit": code, "system": "http://unitsofmeasure.org", "code": code}


HEART_RATE: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "hr-1",
    "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/heartrate"], "tag": [{"code": "wearable"}]},
    "identifier": [{"system": "http://example.org/wearable", "value": "k-1"}],
    "status": "final",
    "category": [CATEGORY],
    "code": loinc("8867-4"),
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2026-11-21T08:15:30.123+01:00",
    "performer": [{"reference": "Patient/p1"}],
    "valueQuantity": quantity(72.5, "/min"),
    "device": {"reference": "Device/d1"},
}

BLOOD_PRESSURE: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "category": [CATEGORY],
    "code": loinc("85354-9"),
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2026-11-21",
    "component": [
        {"code": loinc("8480-6"), "valueQuantity": quantity(107, "mm[Hg]")},
        {"code": loinc("8462-4"), "valueQuantity": quantity(60, "mm[Hg]")},
    ],
}

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>Ada</p></div>'},
    "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3", "period": {"start": "2020"}}],
    "name": [{"family": "Lovelace", "given": ["Ada", "A."]}],
    "telecom": [{"system": "phone", "value": "+44 1"}],
    "gender": "female",
    "birthDate": "1815-12-10",
    "deceasedBoolean": True,
    "contact": [{"name": {"text": "Charles"}}],
    "generalPractitioner": [{"reference": "Practitioner/1"}],
}

CONDITION: dict[str, Any] = {
    "resourceType": "Condition",
    "clinicalStatus": {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
    },
    "subject": {"reference": "Patient/p1"},
}

TRANSACTION: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {
            "fullUrl": "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9",
            "resource": PATIENT,
            "request": {"method": "POST", "url": "Patient"},
        },
        {"request": {"method": "DELETE", "url": "Observation/1"}},
    ],
}

DROP = object()
"""As a change: take the member away."""


def bent(resource: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A deep copy with members replaced, added or (DROP) removed."""
    return {name: value for name, value in {**copy.deepcopy(resource), **changes}.items() if value is not DROP}
