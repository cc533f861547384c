"""FHIRPath Patches and the resource that the tests of this folder apply them to."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fhir_facade.fhir.patch import fhirpath_patch

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "1",
    "active": True,
    "identifier": [
        {"system": "urn:a", "value": "1"},
        {"system": "urn:b", "value": "2"},
        {"system": "urn:a", "value": "3"},
    ],
    "name": [
        {"use": "official", "family": "A", "given": ["B", "C"], "_given": [{"id": "b"}]},
        {"use": "nickname", "family": "D'E"},
    ],
    "birthDate": "1815-12-10",
    "_birthDate": {"id": "x"},
    "multipleBirthInteger": 2,
    "extension": [{"url": "http://a", "valueString": "x"}, {"url": "http://b", "valueCode": "y"}],
    "contained": [{"resourceType": "Observation", "id": "o", "valueQuantity": {"value": Decimal("1.50")}}],
    "telecom": [{"system": "phone", "rank": 1}, {"system": "email", "rank": 2}],
    "communication": [{"language": {"text": "de"}, "preferred": True}],
}


def operation(kind: str, path: str, *parts: dict[str, Any], **values: Any) -> dict[str, Any]:
    named = [{"name": name, **part} for name, part in values.items()]
    head = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    return {"name": "operation", "part": [*head, *named, *parts]}


def add(path: str, name: str, **value: Any) -> dict[str, Any]:
    return operation("add", path, name={"valueString": name}, value=value)


def patched(*operations: Any) -> dict[str, Any]:
    change = {"resourceType": "Parameters", "parameter": list(operations)}
    return fhirpath_patch.apply(copy.deepcopy(PATIENT), change, NOW)


def integer(value: int) -> dict[str, int]:
    return {"valueInteger": value}
