"""Attacks that learn whether a hidden record exists, or what it was: every answer is that of an absent one.

https://owasp.org/API-Security/editions/2023/en/0xa1-broken-object-level-authorization/
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import httpx
import pytest

from fhir_facade.errors import NotFound
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import FhirStore
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import FhirRequest, Interaction, PatientId, Principal, Scope
from tests.attacks.conftest import AskedStore, Ward, entry, observation, transaction

pytestmark = pytest.mark.both_stores

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
BROKEN = {"resourceType": "Observation", "status": "finished", "code": {"text": "x"}}


def told(answer: httpx.Response, id: str) -> tuple[int, str, dict[str, str]]:
    """All that an answer tells, without what is different in every answer."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "content-length")}
    return answer.status_code, answer.text.replace(id, "…"), headers


@pytest.mark.parametrize(
    ("interaction", "version"),
    [
        (Interaction.READ, None),
        (Interaction.VREAD, "1"),
        (Interaction.VREAD, "7"),
        (Interaction.HISTORY_INSTANCE, None),
        (Interaction.DELETE, None),
        (Interaction.PATCH, None),
    ],
    ids=lambda part: str(part),
)
async def test_the_time_an_answer_takes_does_not_tell_what_was_deleted_of_somebody_else(
    ward: Ward, interaction: Interaction, version: str | None
) -> None:
    """What a store was asked is most of the time; a server behind it takes milliseconds for each."""
    await ward.put(observation("bert", id="deleted"))
    await ward.service.delete("/fhir/Observation/deleted")
    anna = Principal("patient", patient=PatientId("anna"), scopes=(Scope("patient", "*", frozenset("cruds")),))
    asked = []

    for id_ in ("absent", "foreign", "deleted"):
        store = AskedStore(ward.facade.ports.store)
        request = FhirRequest(
            interaction, "Observation", id_, version, body=b"[]", content_type="application/json-patch+json"
        )
        with pytest.raises(NotFound):
            await dispatch(replace(ward.facade.ports, store=cast("FhirStore", store)), anna, request)
        asked.append(store.asked)

    assert asked[0] == asked[1] == asked[2] != []


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        pytest.param("GET", "", None, {}, id="read"),
        pytest.param("GET", "", None, {"If-None-Match": 'W/"1"'}, id="read unless it is version 1"),
        pytest.param("GET", "/_history", None, {}, id="history"),
        pytest.param("GET", "/_history/1", None, {}, id="read of version 1"),
        pytest.param("GET", "/_history/2", None, {}, id="read of version 2"),
        pytest.param("PUT", "", observation("anna"), {}, id="take over by PUT"),
        pytest.param("PUT", "", BROKEN, {}, id="PUT of an invalid resource"),
        pytest.param("PUT", "", observation("bert"), {"If-Match": 'W/"1"'}, id="PUT on the right version"),
        pytest.param("PUT", "", observation("bert"), {"If-Match": 'W/"7"'}, id="PUT on a wrong version"),
        pytest.param(
            "PATCH", "", [{"op": "test", "path": "/status", "value": "final"}], JSON_PATCH, id="PATCH that tests"
        ),
        pytest.param("PATCH", "", [{"op": "nonsense"}], JSON_PATCH, id="broken PATCH"),
        pytest.param("DELETE", "", None, {}, id="DELETE"),
        pytest.param("DELETE", "", None, {"If-Match": 'W/"7"'}, id="DELETE of a wrong version"),
    ],
)
@pytest.mark.parametrize("attacker", ["anna", "doctor"])
async def test_a_foreign_record_answers_like_an_absent_one(
    ward: Ward, attacker: str, method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    client: httpx.AsyncClient = getattr(ward, attacker)
    answers = []
    for asked in ("foreign", "absent"):
        content = json.dumps({**body, "id": asked} if isinstance(body, dict) else body) if body is not None else None
        answer = await client.request(method, f"/fhir/Observation/{asked}{path}", content=content, headers=headers)
        answers.append(told(answer, asked))

    assert answers[0] == answers[1]
    assert answers[0][0] == 404


async def test_a_record_that_was_given_away_answers_like_an_absent_one(ward: Ward) -> None:
    await ward.put(observation("anna", id="given"))
    await ward.put(observation("bert", id="given"))

    for path in ("", "/_history", "/_history/1", "/_history/2"):
        answers = [
            told(await ward.anna.get(f"/fhir/Observation/{asked}{path}"), asked) for asked in ("given", "absent")
        ]
        assert answers[0] == answers[1], path


async def test_versions_from_before_a_record_became_ones_own_stay_hidden(ward: Ward) -> None:
    await ward.put(observation("bert", id="got", valueString="a secret"))
    await ward.put(observation("anna", id="got"))

    history = await ward.anna.get("/fhir/Observation/got/_history")

    assert (await ward.anna.get("/fhir/Observation/got/_history/1")).status_code == 404
    assert [version["resource"]["meta"]["versionId"] for version in history.json()["entry"]] == ["2"]
    assert "a secret" not in history.text


@pytest.mark.parametrize("id", ["foreign", "absent"])
async def test_a_reference_to_a_foreign_record_is_as_dangling_as_one_to_nothing(ward: Ward, id: str) -> None:
    answer = await ward.anna.post(
        "/fhir/Observation", json=observation("anna", derivedFrom=[{"reference": f"Observation/{id}"}])
    )

    assert answer.status_code == 400
    assert f"refers to Observation/{id}, which is not there" in answer.text


@pytest.mark.parametrize("id", ["circle", "absent"])
async def test_a_reference_does_not_find_records_of_closed_types(ward: Ward, id: str) -> None:
    await ward.put({"resourceType": "Group", "id": "circle", "type": "person", "actual": True})

    answer = await ward.doctor.post("/fhir/Observation", json=observation("anna", focus=[{"reference": f"Group/{id}"}]))

    assert answer.status_code == 400
    assert f"refers to Group/{id}, which is not there" in answer.text


@pytest.mark.parametrize("id", ["named", "absent"])
async def test_a_reference_does_not_find_shared_records_that_name_a_foreign_patient(ward: Ward, id: str) -> None:
    about = [{"url": "https://example.org/relative-of", "valueReference": {"reference": "Patient/bert"}}]
    await ward.put({"resourceType": "Practitioner", "id": "named", "extension": about})

    answer = await ward.anna.post(
        "/fhir/Observation", json=observation("anna", performer=[{"reference": f"Practitioner/{id}"}])
    )

    assert answer.status_code == 400
    assert f"refers to Practitioner/{id}, which is not there" in answer.text


async def test_a_refused_deletion_does_not_name_what_refers_to_the_record(ward: Ward) -> None:
    await ward.put({"resourceType": "Device", "id": "watch", "patient": {"reference": "Patient/anna"}})
    await ward.put(observation("bert", id="measured", device={"reference": "Device/watch"}))

    by_a_service = await ward.service.delete("/fhir/Device/watch")
    single = await ward.anna.delete("/fhir/Device/watch")
    together = await ward.anna.post("/fhir", json=transaction(entry("DELETE", "Device/watch")))

    for answer in (single, together):
        assert answer.status_code == 409
        assert "measured" not in answer.text
    assert by_a_service.status_code == 409
    assert "measured" in by_a_service.text
    lines = await ward.facade.ports.state.read(lambda tx: tx.find(AuditLine, ("outcome", "=", "failed")))
    assert [line.patient for line in lines] == ["anna", "anna", "anna"], "each is told to whose record it is"


JOINT = [
    pytest.param(
        "Account",
        {"status": "active", "subject": [{"reference": "Patient/anna"}, {"reference": "Patient/bert"}]},
        "patient=Patient/anna",
        id="an account of two patients",
    ),
    pytest.param(
        "Appointment",
        {
            "status": "booked",
            "participant": [
                {"status": "accepted", "actor": {"reference": "Patient/anna"}},
                {"status": "accepted", "actor": {"reference": "Patient/bert"}},
            ],
        },
        "patient=Patient/anna",
        id="an appointment of two patients",
    ),
    pytest.param(
        "Device",
        {"note": [{"text": "lent", "authorReference": {"reference": "Patient/bert"}}]},
        "_lastUpdated=ge2000",
        id="an unassigned device that names a foreign patient",
    ),
    pytest.param(
        "Location",
        {"extension": [{"url": "https://example.org/home-of", "valueReference": {"reference": "Patient/bert"}}]},
        "_lastUpdated=ge2000",
        id="a shared record that names a foreign patient",
    ),
]


@pytest.mark.parametrize(("type", "elements", "query"), JOINT)
async def test_what_may_not_leave_is_neither_found_nor_counted(
    ward: Ward, type: str, elements: dict[str, Any], query: str
) -> None:
    await ward.put({"resourceType": type, "id": "joint", **elements})

    for client in (ward.anna, ward.doctor):
        for count in ("", "&_summary=count", "&_total=accurate", "&_count=0", "&_count=1&_total=accurate"):
            answer = await client.get(f"/fhir/{type}?{query}{count}")
            assert (answer.status_code, answer.json()["total"]) == (200, 0), count
            assert "entry" not in answer.json()


async def test_what_may_leave_is_counted_beside_what_may_not(ward: Ward) -> None:
    for number in range(3):
        about = {"url": "https://example.org/home-of", "valueReference": {"reference": "Patient/bert"}}
        await ward.put({"resourceType": "Location", "id": f"home-{number}", "extension": [about]})
        await ward.put({"resourceType": "Location", "id": f"ward-{number}"})

    first = (await ward.anna.get("/fhir/Location?_count=2&_total=accurate")).json()
    pages = [first]
    while (links := {link["relation"]: link["url"] for link in pages[-1]["link"]}).get("next"):
        pages.append((await ward.anna.get(links["next"])).json())

    found = [found["resource"]["id"] for page in pages for found in page.get("entry", [])]
    assert first["total"] == 3
    assert sorted(found) == ["ward-0", "ward-1", "ward-2"]


@pytest.mark.parametrize(("type", "elements", "query"), JOINT[:2])
async def test_a_conditional_create_does_not_hand_out_a_hidden_match(
    ward: Ward, type: str, elements: dict[str, Any], query: str
) -> None:
    await ward.put({"resourceType": type, "id": "joint", **elements})
    (own,) = (value for value in elements.values() if isinstance(value, list))
    mine = {"resourceType": type, **elements, **{name: own[:1] for name in elements if elements[name] is own}}

    alone = await ward.doctor.post(f"/fhir/{type}", json=mine, headers={"If-None-Exist": query})
    await ward.doctor.delete(f"/fhir/{type}/{alone.json()['id']}")
    together = await ward.doctor.post(
        "/fhir",
        json=transaction(entry("POST", type, mine, ifNoneExist=query)),
        headers={"Prefer": "return=representation"},
    )

    assert alone.status_code == 201
    assert together.json()["entry"][0]["response"]["status"] == "201 Created"
    assert "bert" not in alone.text + together.text


async def test_a_condition_that_is_no_condition_is_refused(ward: Ward) -> None:
    answer = await ward.anna.post("/fhir/Observation", json=observation("anna"), headers={"If-None-Exist": "_count=1"})

    assert answer.status_code == 400
    assert "at least one search parameter" in answer.text
