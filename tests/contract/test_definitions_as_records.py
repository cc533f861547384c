"""Terminology, subscriptions and search parameters that are stored are records like any other: none is refused for what
HAPI does with it, and none changes what others find. https://hl7.org/fhir/R4/terminology-module.html
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from fhir_facade.errors import Gone
from tests.contract.case import Case

CODES = {"status": "active", "content": "complete", "version": "1", "concept": [{"code": "a"}]}
SET = {"status": "active", "compose": {"include": [{"system": "http://example.org/codes"}]}}
MAP = {"status": "active", "group": [{"element": [{"code": "a"}]}]}
CHANNEL = {"type": "rest-hook", "endpoint": "https://example.org/hook"}


@pytest.mark.parametrize(
    ("type", "elements"),
    [
        pytest.param("CodeSystem", {**CODES, "url": "http://example.org/{0}"}, id="codes"),
        pytest.param("CodeSystem", {**CODES, "url": "http://loinc.org"}, id="codes of another"),
        pytest.param("ValueSet", {**SET, "url": "http://example.org/{0}"}, id="a value set"),
        pytest.param("ValueSet", SET, id="a value set without an address"),
        pytest.param("ConceptMap", {**MAP, "url": "http://example.org/{0}"}, id="a map without a source"),
        pytest.param("ConceptMap", MAP, id="a map without an address"),
        pytest.param(
            "Subscription",
            {"status": "requested", "reason": "r", "criteria": "what cannot be read", "channel": CHANNEL},
            id="a subscription to what cannot be read",
        ),
    ],
)
async def test_two_that_are_alike_are_kept_changed_and_deleted(case: Case, type: str, elements: dict[str, Any]) -> None:
    said = json.loads(json.dumps(elements).replace("{0}", case.name))
    for label in ("first", "second"):
        await case.put_resource({"resourceType": type, "id": f"{case.name}-{label}"} | said)
        await case.put_resource({"resourceType": type, "id": f"{case.name}-{label}"} | said | {"language": "en"})

    found = [json.loads((await case.store.read(case.ref(type, label))).body) for label in ("first", "second")]
    for label in ("first", "second"):
        await case.delete(case.ref(type, label))

    assert [{name: each[name] for name in said} for each in found] == [said] * 2
    with pytest.raises(Gone):
        await case.store.read(case.ref(type, "first"))


async def test_a_search_parameter_of_somebody_changes_no_search(case: Case) -> None:
    meant = {"name": "n", "status": "active", "description": "Another meaning", "base": ["Patient"], "type": "token"}
    for label, code, path in (("gender", "gender", "Patient.active"), ("broken", "x", "Patient.(((")):
        said = {"url": f"http://example.org/{case.name}-{label}", "code": code, "expression": path}
        await case.put_resource({"resourceType": "SearchParameter", "id": f"{case.name}-{label}"} | meant | said)
    await case.put("Patient", "a", gender="male", active=True)

    found = [await case.labels("Patient", f"gender={gender}") for gender in ("male", "true")]
    for label in ("gender", "broken"):
        await case.delete(case.ref("SearchParameter", label))

    assert found == [["a"], []]
