"""`$validate` on both stores: what would be said of a resource, without storing it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.journeys.operations.world import Bedside, Resource, parameters

pytestmark = pytest.mark.asyncio(loop_scope="module")

HL7 = "http://hl7.org/fhir/StructureDefinition"
TEXT = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Ada</div>'}
GOOD: Resource = {"resourceType": "Patient", "text": TEXT, "gender": "female"}
READING: Resource = {
    "resourceType": "Observation",
    "text": TEXT,
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
}


def errors(answer: httpx.Response) -> list[tuple[str, str | None]]:
    assert answer.status_code == 200, answer.text
    issues = [issue for issue in answer.json()["issue"] if issue["severity"] == "error"]
    return [(issue["code"], issue.get("expression", [None])[0]) for issue in issues]


async def said(bedside: Bedside, path: str, body: Any) -> list[tuple[str, str | None]]:
    return errors(await bedside.world.system.post(f"/fhir/{path}", json=body))


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        pytest.param("Patient/$validate", {"resourceType": "Parameters"}, "resource", id="nothing to look at"),
        pytest.param("Patient/$validate?mode=read", GOOD, "mode=read", id="unknown mode"),
        pytest.param("Patient/$validate?mode=delete", GOOD, "own address", id="delete of no resource"),
        pytest.param("Patient/$validate?mode=profile&profile=urn:x", GOOD, "own address", id="profile of no resource"),
        pytest.param("Patient/p/$validate?mode=profile&profile=urn:x", GOOD, "send none", id="profile of another"),
        pytest.param("Patient/$validate?profil=x", GOOD, "profil", id="unknown parameter"),
        pytest.param("Patient/$validate", parameters(resource=("valueString", "x")), "resource", id="no resource"),
    ],
)
async def test_what_cannot_be_looked_at_is_refused(bedside: Bedside, path: str, body: Any, named: str) -> None:
    answer = await bedside.world.system.post(f"/fhir/{path}", json=body)

    assert answer.status_code == 400
    assert named in answer.json()["issue"][0]["diagnostics"]


async def test_every_fault_is_named_with_its_place_and_nothing_is_stored(bedside: Bedside) -> None:
    bad = GOOD | {
        "gender": "f",
        "name": [{"famly": "x"}],
        "identifier": [{"system": "urn:x", "value": bedside.patient}],
    }

    found = await said(bedside, "Patient/$validate", bad)
    wrapped = await said(bedside, "Patient/$validate", parameters(resource=bad))
    stored = await bedside.world.system.get(f"/fhir/Patient?identifier=urn:x|{bedside.patient}")

    assert sorted(found) == [("code-invalid", "Patient.gender"), ("structure", "Patient.name[0].famly")]
    assert wrapped == found
    assert "entry" not in stored.json()


@pytest.mark.parametrize(
    ("body", "profile", "expected"),
    [
        pytest.param(GOOD, f"{HL7}/Patient", [], id="base"),
        pytest.param(
            GOOD, "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient", ["not-supported"], id="other"
        ),
        pytest.param(GOOD | {"gender": "f"}, "urn:other", ["code-invalid", "not-supported"], id="faulty, and other"),
        pytest.param(READING, f"{HL7}/heartrate", ["invariant"] * 5, id="vital sign"),
    ],
)
async def test_a_profile_is_looked_at_or_said_not_to_be_known(
    bedside: Bedside, body: Resource, profile: str, expected: list[str]
) -> None:
    in_address = await said(bedside, f"{body['resourceType']}/$validate?profile={profile}", body)
    asked = parameters(resource=body, profile=("valueUri", profile))
    in_body = await said(bedside, f"{body['resourceType']}/$validate", asked)

    assert sorted(code for code, _ in in_address) == expected
    assert in_body == in_address


async def test_what_is_right_is_said_to_be_right(bedside: Bedside) -> None:
    answer = await bedside.world.system.post("/fhir/Patient/$validate", json=GOOD)
    warned = await bedside.world.system.post(
        "/fhir/Patient/$validate", json={"resourceType": "Patient", "active": True, "meta": {"profile": ["urn:other"]}}
    )

    assert [issue["severity"] for issue in answer.json()["issue"]] == ["information"]
    assert [(issue["severity"], issue["code"]) for issue in warned.json()["issue"]] == [
        ("warning", "not-supported"),
        ("warning", "invariant"),
    ]


async def test_the_stored_resource_is_looked_at_when_none_is_sent(bedside: Bedside) -> None:
    path = f"/fhir/Patient/{bedside.patient}/$validate"

    assert errors(await bedside.world.system.get(path)) == []
    assert errors(await bedside.world.system.get(f"{path}?profile=urn:other")) == [("not-supported", "Patient")]
    profile = "http://hl7.org/fhir/StructureDefinition/"
    assert errors(await bedside.world.system.get(f"{path}?mode=profile&profile={profile}Patient")) == []
    assert errors(await bedside.world.system.get(f"{path}?mode=profile&profile={profile}bmi")) == [
        ("structure", "Patient")
    ]
    assert (await bedside.world.system.get(f"{path}?mode=profile")).status_code == 400
    assert (await bedside.world.system.get("/fhir/Patient/nobody/$validate")).status_code == 404


async def test_a_deletion_is_no_success_while_something_refers_to_the_resource(bedside: Bedside) -> None:
    """As the DELETE would be answered, and as little is deleted by asking."""
    system, path = bedside.world.system, f"/fhir/Patient/{(await bedside.world.new_patient()).patient}"
    before = errors(await system.get(f"{path}/$validate?mode=delete"))
    own = READING | {"subject": {"reference": path.removeprefix("/fhir/")}}
    reading = (await system.post("/fhir/Observation", json=own)).json()["id"]

    asked = await system.post(f"{path}/$validate", json=parameters(mode=("valueCode", "delete")))
    tried = await system.delete(path)
    free = errors(await system.get(f"/fhir/Observation/{reading}/$validate?mode=delete"))
    await system.delete(f"/fhir/Observation/{reading}")

    assert (before, errors(asked), tried.status_code, free) == ([], [("conflict", "Patient")], 409, [])
    assert errors(await system.get(f"{path}/$validate?mode=delete")) == []
    assert (await system.delete(path)).status_code == 200


async def test_another_type_or_another_id_than_the_address_says_is_an_error(bedside: Bedside) -> None:
    path = f"Patient/{bedside.patient}/$validate?mode=update"

    assert await said(bedside, "Patient/$validate", READING) == [("invalid", "Observation")]
    assert await said(bedside, path, GOOD | {"id": "x"}) == [("invalid", "Patient.id")]
    assert await said(bedside, path, GOOD | {"id": bedside.patient}) == []


async def test_a_mode_asks_for_the_rights_of_the_caller(bedside: Bedside) -> None:
    own, other = READING | {"subject": {"reference": bedside.reference}}, await bedside.world.new_patient()
    foreign = READING | {"subject": {"reference": other.reference}}
    async with await bedside.world.person(bedside.patient) as person:
        create = "/fhir/Observation/$validate?mode=create"
        mine = errors(await person.post(create, json=own))
        theirs = errors(await person.post(create, json=foreign))
        delete = errors(await person.get(f"/fhir/Patient/{bedside.patient}/$validate?mode=delete"))
        hidden = await person.get(f"/fhir/Patient/{other.patient}/$validate")

    assert (mine, theirs, delete) == ([], [("forbidden", "Observation")], [("forbidden", "Patient")])
    assert hidden.status_code == 404
